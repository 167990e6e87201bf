"""The resource engine: read, plan, apply and verify a table of properties.

A resource is a noun, a key and a table of :class:`Property`; everything else is
here, once. ``Get-``, ``New-``, ``Set-`` and ``Remove-`` are made from the noun.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self

from umkit.channel import Channel
from umkit.command import Command
from umkit.errors import Blocked, OutcomeUnknown, RemoteError, StepError, UmkitError, Unreadable, VerifyFailed
from umkit.kinds import NAME, TEXT, Kind, ListKind
from umkit.outcome import Row
from umkit.site import Site

Verb = Literal["nothing", "create", "update", "replace", "remove", "cannot be foreseen"]


@dataclass(frozen=True)
class Property:
    """One property of a resource: its kind, who asks for it, how it can be set.

    Arguments:
        name: the property's name, in the object that ``Get-`` returns.
        kind: how two of its values are compared.
        step: the documented step that asks for it.
        number: its number in the vendor's page, where it has one.
        wanted: the page's value, where the page fixes it; else the resource's own values say it.
        create: whether ``New-`` takes it.
        update: whether ``Set-`` takes it; where not, a difference means *replace*.
        along: properties that ``Set-`` and ``New-`` want on the same command line.
    """

    name: str
    kind: Kind = TEXT
    step: str = ""
    number: int | None = None
    wanted: Any = None
    create: bool = True
    update: bool = True
    along: tuple[str, ...] = ()


@dataclass(frozen=True)
class Present:
    """The object is there, with these values."""

    values: Mapping[str, Any]


@dataclass(frozen=True)
class Absent:
    """The object was looked for and is not there.

    Arguments:
        rival: what stands in the way of making it; empty where nothing does.
    """

    rival: str = ""


@dataclass(frozen=True)
class Missed:
    """The object could not be read; nothing is known about it."""

    error: UmkitError


State = Present | Absent | Missed


class Resource:
    """The wanted state of one object.

    Arguments:
        name: the value of the key property.
        values: property name → wanted value, over the values that the page fixes.
    """

    noun: ClassVar[str]
    title: ClassVar[str]
    key: ClassVar[str] = "Name"
    properties: ClassVar[tuple[Property, ...]]
    #: What to do when something stands in the way of making one.
    way_out: ClassVar[str] = "remove or rename what stands in the way, or change the customer file"
    #: Parameters of ``New-`` that are no properties.
    creation: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        known = {prop.name for prop in self.properties}
        if unknown := set(values) - known:
            raise ValueError(f"{self.noun} has no property {', '.join(sorted(unknown))}")
        self.name = name
        self.wanted: dict[str, Any] = {prop.name: prop.wanted for prop in self.properties} | dict(values)

    @property
    def label(self) -> str:
        """The object as a person would name it."""
        return f"{self.title} {self.name}"

    def __repr__(self) -> str:
        return f"<{self.label}>"

    def of_step(self, step: str | None) -> list[Property]:
        """The properties that one step asks for; all of them without a step."""
        return [prop for prop in self.properties if step is None or prop.step == step]

    def find(self, objects: Sequence[Any]) -> Any | None:
        """This resource's object among those of its noun, or nothing."""
        return next((found for found in objects if NAME.same(found.get(self.key), self.name)), None)

    def rival(self, objects: Sequence[Any]) -> str:
        """What stands in the way of making this object, in one sentence; empty where nothing does."""
        return ""

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """The resources of this kind that a customer's inputs ask for."""
        raise NotImplementedError(f"{cls.__name__} does not say which resources a customer's inputs ask for")

    def read(self, channel: Channel, *, fresh: bool = False) -> State:
        """The present state, by listing and filtering here."""
        try:
            objects = channel.list(self.noun, fresh=fresh)
        except RemoteError as error:
            return Missed(error)
        found = self.find(objects)
        return Absent(self.rival(objects)) if found is None else Present(found)


@dataclass(frozen=True)
class Plan:
    """What would be done to bring one resource to its wanted state.

    Arguments:
        resource: the resource.
        step: the step that is planned; empty for all of them.
        verb: what would be done.
        rows: every property of the step, differing or not.
        commands: what would be sent, in this order.
        why: why it cannot be foreseen, or what a reader must know.
        state: what was read.
        needs: the step that must have been done before this one can be; empty where none must.
    """

    resource: Resource
    step: str | None
    verb: Verb
    rows: tuple[Row, ...] = ()
    commands: tuple[Command, ...] = ()
    why: str = ""
    state: State = field(default_factory=Absent)
    needs: str = ""

    @property
    def differing(self) -> list[Row]:
        """The rows that would change."""
        return [row for row in self.rows if not row.same]

    def changes(self) -> list[dict[str, Any]]:
        """Before and after of each property, as the journal writes it."""
        return [
            {
                "object": row.thing,
                "property": row.property,
                "before": _plain(row.now) if row.exists else None,
                "after": _plain(row.wanted),
            }
            for row in self.differing
        ]


def plan(resource: Resource, state: State, step: str | None = None) -> Plan:
    """Plan one resource, or what one step asks of it; changes nothing.

    Arguments:
        resource: the wanted state.
        state: what was read.
        step: only the properties of this step; the other ones are left alone.

    Raises ``Unreadable`` when the state could not be read: that is never taken for absent.
    """
    if isinstance(state, Missed):
        raise Unreadable(
            f"{resource.label} could not be read, so nothing is planned for it",
            where={"step": step} if step else None,
            seen=state.error.what,
            next=state.error.next,
        ) from state.error
    asked = resource.of_step(step)
    if isinstance(state, Absent):
        rows = tuple(_row(resource, prop, None, exists=False) for prop in asked)
        if state.rival:
            return Plan(resource, step, "cannot be foreseen", rows, why=state.rival, state=state)
        creates = any(not prop.update or prop.name == resource.key for prop in asked)
        if creates:
            return Plan(resource, step, "create", rows, (_new(resource, asked), *_rest(resource, asked)), state=state)
        first = next(prop.step for prop in resource.properties if prop.name == resource.key)
        return _later(resource, step, rows, state, first, "made")

    values = state.values
    fixed = [prop for prop in resource.properties if not prop.update and prop.name != resource.key]
    replacing = [p for p in fixed if not p.kind.same(values.get(p.name), resource.wanted[p.name])]
    identity = str(values.get("Identity") or resource.name)
    if replacing and any(prop in asked for prop in replacing):
        rows = tuple(_row(resource, prop, values) for prop in asked)
        remove = Command(f"Remove-{resource.noun}", {"Identity": identity, "Confirm": False})
        why = f"{', '.join(p.name for p in replacing)} can only be given at creation: removed and made again"
        commands = (remove, _new(resource, asked), *_rest(resource, asked))
        return Plan(resource, step, "replace", rows, commands, why, state=state)
    if replacing:
        rows = tuple(_row(resource, prop, values, same=False) for prop in asked)
        return _later(resource, step, rows, state, replacing[0].step, "replaced")
    rows = tuple(_row(resource, prop, values) for prop in asked)
    differing = [prop for prop, row in zip(asked, rows, strict=True) if not row.same]
    if not differing:
        return Plan(resource, step, "nothing", rows, state=state)
    return Plan(resource, step, "update", rows, (_set(resource, identity, differing),), state=state)


def apply(planned: Plan, channel: Channel, *, wait: float = 30.0) -> Plan:
    """Do a plan, then read every property of it back.

    Arguments:
        planned: the plan, made from a state that was just read.
        channel: where to.
        wait: seconds to wait at most until what was changed can be read back.

    Returns the plan's rows as they were before. Raises the mapped remote error, or ``VerifyFailed``.
    """
    if planned.verb == "cannot be foreseen":
        raise Blocked(f"{planned.resource.label} was left alone", seen=planned.why, next=planned.resource.way_out)
    if planned.needs:
        raise StepError(
            f"{planned.resource.label} is not ready for this step, so nothing was set",
            seen=planned.why,
            next=f"apply {planned.needs} first",
        )
    for command in planned.commands:
        changes = [change for change in planned.changes() if change["property"] in command.parameters]
        if command.name.startswith("Remove-") and isinstance(planned.state, Present):
            whole = {"object": planned.resource.label, "property": "*", "after": None}
            changes = [whole | {"before": _plain(planned.state.values)}]
        try:
            channel.change(command, changes)
        except OutcomeUnknown as error:
            if not _took(planned, channel, error):
                raise
            break
    if planned.commands:
        verify(planned.resource, channel, planned.step, wait=wait)
    return planned


def verify(resource: Resource, channel: Channel, step: str | None = None, *, wait: float = 0.0) -> list[Row]:
    """Read every declared property again, from the same domain controller.

    Arguments:
        resource: the wanted state.
        channel: where from.
        step: only the properties of this step.
        wait: seconds to go on reading while they differ (replication); 0 reads once.

    Returns the rows as read. Raises ``VerifyFailed`` naming each property that still differs after waiting.
    """
    until = time.monotonic() + wait
    pause, pauses = 0.1, threading.Event()
    while True:
        seen = plan(resource, resource.read(channel, fresh=True), step)
        if not seen.differing:
            return list(seen.rows)
        if channel.cancel.is_set() or time.monotonic() + pause > until:
            break
        pauses.wait(pause)
        pause = min(pause * 2, 3.0)
    raise VerifyFailed(
        f"{resource.label} was changed, but reads back otherwise",
        where={"step": step} if step else None,
        seen="; ".join(f"{row.property} = {row.shown_now}" for row in seen.differing),
        expected="; ".join(f"{row.property} = {row.shown_wanted}" for row in seen.differing),
        next="run plan again: replication may be late, or something else sets this property",
    )


def _took(planned: Plan, channel: Channel, lost: OutcomeUnknown) -> bool:
    """Whether a command whose answer was lost took effect, by reading; never by sending it again."""
    try:
        found = plan(planned.resource, planned.resource.read(channel, fresh=True), planned.step)
    except UmkitError as error:
        channel.note("found", about=lost.what, found="unreadable", error=error.as_dict())
        return False
    channel.note(
        "found",
        about=lost.what,
        found="as wanted" if not found.differing else "not as wanted",
        differences=found.changes(),
    )
    return not found.differing


def _row(
    resource: Resource,
    prop: Property,
    values: Mapping[str, Any] | None,
    *,
    exists: bool = True,
    same: bool | None = None,
) -> Row:
    now = values.get(prop.name) if values is not None else None
    wanted = resource.wanted[prop.name] if prop.name != resource.key else resource.name
    if same is None:
        same = exists and prop.kind.same(now, wanted)
    surplus: list[Any] = []
    if exists and isinstance(prop.kind, ListKind) and prop.kind.how != "exactly":
        surplus = prop.kind.surplus(now, wanted)  # stays where it is, so a reader must be told of it
    note = f"surplus: {', '.join(map(str, surplus))}" if surplus else ""
    return Row(resource.label, prop.name, now, wanted, same, prop.number, note, prop.kind, exists)


def _later(resource: Resource, step: str | None, rows: tuple[Row, ...], state: State, first: str, how: str) -> Plan:
    command = _set(resource, resource.name, resource.of_step(step))
    why = f"{resource.label} is {how} in {first}; this is set after that"
    return Plan(resource, step, "update", rows, (command,), why, state, needs=first)


def _new(resource: Resource, asked: Sequence[Property]) -> Command:
    names = {resource.key: resource.name, **resource.creation}
    return Command(f"New-{resource.noun}", names | _parameters(resource, [p for p in asked if p.create]))


def _rest(resource: Resource, asked: Sequence[Property]) -> tuple[Command, ...]:
    rest = [prop for prop in asked if not prop.create]
    return (_set(resource, resource.name, rest),) if rest else ()


def _set(resource: Resource, identity: str, props: Sequence[Property]) -> Command:
    return Command(f"Set-{resource.noun}", {"Identity": identity} | _parameters(resource, props))


def _parameters(resource: Resource, props: Sequence[Property]) -> dict[str, Any]:
    names = {name for prop in props for name in (prop.name, *prop.along)} - {resource.key}
    return {prop.name: resource.wanted[prop.name] for prop in resource.properties if prop.name in names}


def _plain(value: Any) -> Any:
    """A value as JSON can hold it, for the journal."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)
