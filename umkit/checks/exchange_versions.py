"""Exchange servers: which version each one is."""

from __future__ import annotations

from umkit.outcome import Report, Row
from umkit.site import Site
from umkit.versions import edition


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
