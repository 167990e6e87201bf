"""Settings, read back: every property of an object, the ones that the page asks for judged."""

from __future__ import annotations

from umkit.engine import plan
from umkit.outcome import Report, Row
from umkit.resource import Absent, Missed, Resource
from umkit.site import Site

#: Properties that say nothing about how the object behaves.
_LEFT_OUT = {
    *("Id", "Identity", "Name", "Guid", "DistinguishedName", "OriginatingServer", "OrganizationId", "ExchangeVersion"),
    *("ObjectCategory", "ObjectClass", "ObjectState", "IsValid", "AdminDisplayName"),
}


class SettingsListed:
    """Each object of one kind that the inputs ask for, whole, read afresh.

    Arguments:
        kind: the resource, for example ``RemoteDomain``.
    """

    def __init__(self, kind: type[Resource]) -> None:
        self.kind = kind

    def run(self, site: Site) -> Report:
        """One row a property, those with a number of the page first in its order; one finding an object."""
        report = Report()
        for resource in self.kind.wanted_by(site):
            state = resource.read(resource.channel(site), fresh=True)
            if isinstance(state, Missed):
                raise state.error
            rows = plan(resource, state).rows
            report.rows += sorted(rows, key=lambda row: (row.number is None, row.number or 0))
            if isinstance(state, Absent):
                report.add("differs", state.rival or f"{resource.label} does not exist yet", "apply the steps before")
                continue
            declared = {row.property for row in rows} | _LEFT_OUT
            report.rows += [
                Row(resource.label, str(name), value, value, same=True, note="not asked for by the page")
                for name, value in state.values.items()
                if name not in declared
            ]
            differing = [row.property for row in rows if not row.same]
            if differing:
                report.add(
                    "differs", f"{resource.label}: {', '.join(differing)} not as wanted", "apply the step of each"
                )
            else:
                report.add("ok", f"{resource.label}: everything that the page asks for is as wanted")
        return report
