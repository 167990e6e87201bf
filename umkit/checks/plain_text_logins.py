"""Plain-text logins: that passwords cross the network in clear, and who accepted it."""

from __future__ import annotations

from umkit.outcome import Report
from umkit.site import Site


class PlainTextAccepted:
    """Somebody at the customer's knows and accepts what plain-text login means."""

    def run(self, site: Site) -> Report:
        """One finding: accepted by whom, *open* where by nobody; contacts nothing."""
        report, asked = Report(), site.inputs.imap4
        if asked.login_type != "PlainTextLogin":
            report.add("ok", f"login type {asked.login_type}: no password crosses the network in clear on its account")
        elif asked.plain_text_accepted_by:
            report.add(
                "ok",
                f"passwords cross the network in clear on port {asked.port};"
                f" accepted by {asked.plain_text_accepted_by}",
            )
        else:
            report.add(
                "open",
                f"with plain-text login passwords cross the network in clear on port {asked.port}, and nobody is named"
                " who accepts that",
                "agree it with the customer, limit the port to the UM server by firewall, and write"
                " imap4.plain_text_accepted_by",
            )
        return report
