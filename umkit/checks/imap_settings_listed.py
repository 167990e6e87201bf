"""IMAP4 settings: all of them read back from each server, the page's two judged."""

from __future__ import annotations

from umkit.engine import plan
from umkit.outcome import Report, Row
from umkit.resource import Absent, Missed
from umkit.resources.imap_settings import ImapSettings
from umkit.site import Site

#: Properties that say nothing about how the service behaves.
_LEFT_OUT = {
    *("Id", "Identity", "Guid", "DistinguishedName", "OriginatingServer", "OrganizationId", "ExchangeVersion", "Name"),
    *("ObjectCategory", "ObjectClass", "ObjectState", "IsValid", "AdminDisplayName"),
}


class ImapSettingsListed:
    """Each server's IMAP4 settings, whole."""

    def run(self, site: Site) -> Report:
        """One row a property, the page's two first; one finding a server."""
        report = Report()
        for settings in ImapSettings.wanted_by(site):
            state = settings.read(site.organisation(), fresh=True)
            if isinstance(state, Missed):
                raise state.error
            rows = plan(settings, state).rows
            report.rows += rows
            if isinstance(state, Absent):
                report.add("failed", state.rival, settings.way_out)
                continue
            declared = {row.property for row in rows} | _LEFT_OUT
            report.rows += [
                Row(settings.label, str(name), value, value, same=True, note="not asked for by the page")
                for name, value in state.values.items()
                if name not in declared
            ]
            differing = [row.property for row in rows if not row.same]
            if differing:
                report.add("differs", f"{settings.label}: {', '.join(differing)} not as wanted", "apply IMAP-2")
            else:
                report.add("ok", f"{settings.label}: login and message format as wanted")
        return report
