"""Drift: what was changed since the last sealed record.

An apply, and a rollback, write down how they left each object, and all that is shown of one that they made. A later
verify compares: what differs from that was changed by somebody else, whether it fits the customer file or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from umkit import record
from umkit.channel import Channel
from umkit.customer import CustomerFile
from umkit.engine import Plan
from umkit.errors import RecordError
from umkit.history import CHANGING, elsewhere, events_of
from umkit.kinds import ListKind
from umkit.outcome import Finding, Row
from umkit.resource import HostResource, Present, Resource
from umkit.site import Site
from umkit.windows.services import moment


def write_down(done: Plan, channel: Channel) -> None:
    """Write down what an apply left: the wanted value where it was set, else what was read and accepted."""
    if done.resource.follows:  # a start time is no setting
        return
    values = {row.property: row.now if row.same else row.wanted for row in done.rows}
    made = bool(done.commands) and done.verb in ("create", "replace")
    channel.note("left", object=done.resource.label, values=values, **(besides(done.resource, channel) if made else {}))


def besides(resource: Resource, channel: Channel) -> dict[str, Any]:
    """What the journal keeps of an object that was just made and read back, beyond the declared properties.

    Only with that can a rollback tell whether somebody added something to the object before it is removed.
    """
    if isinstance(resource, HostResource):
        return {}
    seen = resource.besides(resource.read(channel))
    return {"besides": seen} if seen else {}


def since_the_record(seen: Plan, site: Site) -> list[Finding]:
    """A finding for each property that was changed since the last sealed record that tells of it.

    Arguments:
        seen: the plan that a verify made; nothing is sent.
        site: whose records.

    A change that is as wanted by now is told too, as *ok*.
    """
    if seen.resource.follows or site.records is None:
        return []
    home = site.records / site.inputs.customer.name
    under_way = site.journal.path.parent.name if site.journal else ""
    label = seen.resource.label
    moved: list[tuple[Row, str, Any]] = []
    for row in seen.rows:
        run, then = _left(home, under_way, label, row.property, site.inputs)
        if run and not _same(row, then):
            moved.append((row, run, then))
    if not moved:
        return []
    ask = f"ask {_keeper(seen.resource)} who changed it, and why"
    if not any(row.exists for row, _, _ in moved):
        runs = ", ".join(sorted({run for _, run, _ in moved}))
        text = f"changed since the record of {runs}: {label}: then there, now gone"
        return [Finding("differs", text, f"{ask}; umkit apply makes it again")]
    when = moment(seen.state.values.get("WhenChangedUTC")) if isinstance(seen.state, Present) else None
    last = f" (the object was last changed at {when.isoformat(' ', 'seconds')})" if when else ""
    return [_finding(row, run, then, last, ask) for row, run, then in moved]


def _finding(row: Row, run: str, then: Any, last: str, ask: str) -> Finding:
    text = f"changed since the record of {run}: {row.thing}, {row.property}: "
    text += f"then {row.kind.show(then)}, now {row.shown_now}"
    if row.same:
        return Finding("ok", f"{text}, as wanted{last}")
    return Finding("differs", text + last, ask)


def _keeper(resource: Resource) -> str:
    if isinstance(resource, HostResource):
        return f"whoever looks after {resource.host}"
    return f"the Exchange administrators (Search-AdminAuditLog names who ran Set-{resource.noun} and its like)"


def _same(row: Row, then: Any) -> bool:
    """Whether the record left the property as it is now; an object that is not there has no value."""
    if not row.exists:
        return then is None
    # of a list the record tells what was asked for, not what else stood there
    return row.kind.same(row.now, then) if isinstance(row.kind, ListKind) else row.kind.unmoved(row.now, then)


def _left(home: Path, under_way: str, label: str, name: str, inputs: CustomerFile) -> tuple[str, Any]:
    """The newest sealed run that tells how it left a property, and the value; an empty name where none does."""
    for folder in _records(home, under_way):
        values = _values(folder, inputs).get(label, {})
        if name in values:
            return folder.name, values[name]
    return "", None


@lru_cache(maxsize=2)
def _records(home: Path, under_way: str) -> tuple[Path, ...]:
    """The records of changing runs, newest first; listed once for a run, while the customer's lock is held."""
    found = record.folders(home, CHANGING)
    return tuple(each for each in found if each.name != under_way and (each / record.MANIFEST).is_file())


@cache
def _events(folder: Path) -> list[dict[str, Any]]:
    """Of a sealed run, where it was and how it left what it touched.

    A record that was changed after it was sealed tells nothing: those who list records see it.
    """
    try:
        return [event for event in events_of(folder) if event["event"] in ("left", "session")]
    except RecordError:
        return []


def _values(folder: Path, inputs: CustomerFile) -> Mapping[str, Mapping[str, Any]]:
    """Object → property → value, as a sealed run left it at the servers that the customer file names."""
    left: dict[str, dict[str, Any]] = {}
    events = _events(folder)
    for event in events if not elsewhere(events, inputs) else ():
        if event["event"] == "left":
            left.setdefault(str(event["object"]), {}).update(event["values"])
    return left
