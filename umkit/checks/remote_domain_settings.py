"""Remote domain settings: all of them read back, the eight numbered ones judged."""

from __future__ import annotations

from umkit.engine import plan
from umkit.outcome import Report, Row
from umkit.resource import Absent, Missed
from umkit.resources.remote_domain import RemoteDomain
from umkit.site import Site

#: Properties that say nothing about message formats.
_LEFT_OUT = {
    *("Id", "Identity", "Guid", "DistinguishedName", "OriginatingServer", "OrganizationId", "ExchangeVersion"),
    *("ObjectCategory", "ObjectClass", "ObjectState", "IsValid", "AdminDisplayName"),
}


class RemoteDomainSettings:
    """Each service's remote domain, whole, with the page's numbers."""

    def run(self, site: Site) -> Report:
        """One row a property; the numbered ones first, in the page's order."""
        report = Report()
        for domain in RemoteDomain.wanted_by(site):
            state = domain.read(site.organisation(), fresh=True)
            if isinstance(state, Missed):
                raise state.error
            rows = plan(domain, state).rows
            report.rows += sorted(rows, key=lambda row: (row.number is None, row.number or 0))
            if isinstance(state, Absent):
                report.add("differs", f"{domain.label} does not exist yet", "apply FMT-0")
                continue
            declared = {row.property for row in rows} | _LEFT_OUT
            report.rows += [
                Row(domain.label, str(name), value, value, same=True, note="not asked for by the page")
                for name, value in state.values.items()
                if name not in declared
            ]
            differing = [row.property for row in rows if not row.same]
            if differing:
                report.add(
                    "differs", f"{domain.label}: {', '.join(differing)} not as in the page", "apply the step of each"
                )
            else:
                report.add("ok", f"{domain.label}: all eight numbered settings are as in the page")
        return report
