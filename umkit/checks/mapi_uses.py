"""MAPI: what it is used for at this customer, and what Office 365 leaves of it.

A customer file that asks for more than Office 365 offers is refused before anything is contacted (customer rules).
"""

from __future__ import annotations

from umkit.outcome import Report
from umkit.site import Site

#: What each use means, as the vendor's page says it.
USES = {
    "directory": "public Outlook contact folders in the XPhone Connect Directory",
    "calendar": "server-side calendar synchronisation for presence",
    "voicemail": "the MAPI inbox for messages and remote access to voicemail",
}


class MapiUses:
    """What MAPI serves here, and what it does not."""

    def run(self, site: Site) -> Report:
        """One finding for each use; all *ok*: this informs."""
        report, asked = Report(), site.inputs.mapi
        for use, meaning in USES.items():
            report.add("ok", f"{use}: {meaning}: {'wanted' if use in asked.uses else 'not wanted'}")
        if "directory" in asked.uses:
            private = "wanted" if asked.private_contacts else "not wanted"
            report.add("ok", f"private Outlook contact folders as data sources: {private}")
        if "calendar" in asked.uses and site.inputs.has("ews"):
            report.add(
                "open",
                "calendar synchronisation is asked for over MAPI and over EWS; one of the two does it",
                "take calendar out of mapi.uses where EWS serves it, or set ews to null",
            )
        return report


class Office365Limits:
    """What works over MAPI where the mailboxes are in Office 365."""

    def run(self, site: Site) -> Report:
        """One finding; contacts nothing."""
        report, asked = Report(), site.inputs.mapi
        lost = [use for use in asked.uses if use != "directory"] + ["private contacts"] * asked.private_contacts
        if not asked.office365:
            report.add("ok", "the mailboxes are in this organisation: MAPI serves everything the page names")
        elif lost:
            report.add(
                "failed",
                f"with Office 365 there is no {', no '.join(lost)} over MAPI",
                "set mapi.uses to [directory] and mapi.private_contacts to false; EWS serves the calendar",
            )
        else:
            report.add(
                "ok",
                "with Office 365 MAPI serves public and shared contact folders; neither private contact folders nor"
                " server-side calendar synchronisation nor remote access to voicemail",
            )
        return report
