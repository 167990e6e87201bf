"""Exchange servers: which version each one is, told by its build.

``15.1`` is Exchange 2016 and ``15.2`` Exchange 2019; Subscription Edition is 15.2
too and told by its build, from 2562 on (?).
"""

from __future__ import annotations

import re

from umkit.outcome import Report, Row
from umkit.site import Site

_SUBSCRIPTION_BUILD = 2562  # (?) first build of Subscription Edition RTM; not confirmed by the reference


def edition(version: str) -> str | None:
    """The product of an ``AdminDisplayVersion``; nothing for one that the chapters do not cover."""
    found = re.fullmatch(r"Version (\d+)\.(\d+) \(Build (\d+)(?:\.\d+)?\)", version.strip())
    if found is None:
        return None
    major, minor, build = (int(part) for part in found.groups())
    if (major, minor) == (15, 1):
        return "Exchange 2016"
    if (major, minor) == (15, 2):
        return "Exchange Subscription Edition (?)" if build >= _SUBSCRIPTION_BUILD else "Exchange 2019"
    return None


class ExchangeVersions:
    """Every Exchange server runs a version that the chapters are written for."""

    def run(self, site: Site) -> Report:
        """One row and one finding for each server."""
        report = Report()
        for server in site.organisation().list("ExchangeServer"):
            name, version = str(server["Name"]), str(server["AdminDisplayVersion"])
            product = edition(version)
            wanted = "Exchange 2016 or 2019"
            report.rows.append(
                Row(f"server {name}", "AdminDisplayVersion", version, product or wanted, product is not None)
            )
            if product:
                report.add("ok", f"{name} is {product}")
            else:
                report.add("failed", f"{name} reports {version}", f"the chapters are written for {wanted}")
        if not report.findings:
            report.add("failed", "the organisation lists no Exchange server", "check what the account may see")
        return report
