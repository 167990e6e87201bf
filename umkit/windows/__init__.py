"""What is read from a Windows host, the same way by every resource and check.

Only structured cmdlets, for the endpoint may refuse script text. Sources: Microsoft's pages of the cmdlets for
Windows PowerShell 5.1; what no page establishes is marked (?).
"""

from __future__ import annotations

from umkit.errors import HostNotNamed
from umkit.site import Site

__all__ = ["xphone_host"]


def xphone_host(site: Site) -> str:
    """The XPhone server's name among the Windows hosts; raises ``HostNotNamed`` where it is not reached from here."""
    host = site.inputs.hosts.xphone
    if host is None:
        raise HostNotNamed(
            "the customer file does not say how the XPhone server's Windows is reached",
            expected="the XPhone server under hosts",
            next="add hosts.xphone to the customer file, or see to this step by hand and attest it",
        )
    return host.name
