"""Exchange versions: which product a server is, told by its build.

``15.1`` is Exchange 2016 and ``15.2`` Exchange 2019; Subscription Edition is 15.2 too and told by its build, from 2562
on (?).
"""

from __future__ import annotations

import re

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
