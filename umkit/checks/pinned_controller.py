"""Domain controller: the one that every read, change and verification asks.

Without it a fresh object does not exist for some seconds, on another domain
controller than the one that took the change.
"""

from __future__ import annotations

from umkit.outcome import Report
from umkit.site import Site


class PinnedController:
    """One domain controller is chosen and answers."""

    def run(self, site: Site) -> Report:
        """Choose it, ask it for the servers, and see that it answered itself."""
        report = Report()
        controller = site.domain_controller
        servers = site.organisation().list("ExchangeServer", fresh=True)
        others = {str(server["OriginatingServer"]) for server in servers} - {controller}
        others = {other for other in others if other.casefold() != controller.casefold()}
        named = "named in the customer file" if site.inputs.exchange.domain_controller else "it answered first"
        if others:
            report.add(
                "failed",
                f"{', '.join(sorted(others))} answered in place of {controller}",
                "name another exchange.domain_controller",
            )
        else:
            report.add("ok", f"{controller} is used for the whole run ({named})")
        return report
