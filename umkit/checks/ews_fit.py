"""EWS or MAPI: which of the two fits this customer's calendar synchronisation.

EWS serves the server's calendar synchronisation and nothing else; the page recommends it from about 500 users. Stream
is recommended above 500 users, pull where the load must stay low and some delay does not matter.
"""

from __future__ import annotations

from umkit.outcome import Report
from umkit.site import Site

#: Users from which the page recommends EWS and its stream.
MANY = 500


class EwsFit:
    """Whether EWS fits, and which way of subscribing."""

    def run(self, site: Site) -> Report:
        """Findings by the number of users; *open* where it is not known."""
        report, asked = Report(), site.inputs.ews
        report.add(
            "ok",
            "EWS serves server-side calendar synchronisation alone: neither personal contacts nor remote access to"
            " voicemail; MAPI remains for those",
        )
        if asked.users is None:
            report.add(
                "open",
                f"how many users are synchronised is not known; from about {MANY} EWS is recommended",
                "ask the customer and write ews.users",
            )
        elif asked.users >= MANY:
            report.add("ok", f"{asked.users} users: EWS is recommended from about {MANY}")
        else:
            report.add("ok", f"{asked.users} users: MAPI would do as well below about {MANY}; EWS works too")
        if asked.users is not None and asked.users > MANY and asked.advise == "EwsPull":
            report.add(
                "ok",
                f"EwsPull is chosen for {asked.users} users: above {MANY} EwsStream is recommended; pull keeps the load"
                " low and brings changes with some delay",
            )
        else:
            report.add("ok", f"{asked.advise} is chosen")
        if site.inputs.has("mapi") and "calendar" in site.inputs.mapi.uses:
            report.add(
                "open",
                "calendar synchronisation is asked for over MAPI too; one of the two does it",
                "take calendar out of mapi.uses",
            )
        return report
