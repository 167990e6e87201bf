"""The engine: plan a resource, do the plan, and believe only what was read back."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from umkit.channel import Channel
from umkit.command import Command
from umkit.errors import Blocked, OutcomeUnknown, RemoteError, StepError, UmkitError, Unreadable, VerifyFailed
from umkit.kinds import ListKind
from umkit.outcome import Row
from umkit.resource import Absent, Missed, Present, Property, Resource, State, Verb


@dataclass(frozen=True)
class Plan:
    """What would be done to bring one resource to its wanted state.

    Arguments:
        resource: the resource.
        step: the step that is planned; none for all of them.
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
        """Before and after of each property; the journal makes JSON of the values."""
        return [
            {
                "object": row.thing,
                "property": row.property,
                "before": row.now if row.exists else None,
                "after": row.wanted,
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
        if any(not prop.update or prop.name == resource.key for prop in asked):
            commands = resource.commands("create", asked, state)
            return Plan(resource, step, "create", rows, commands, state=state)
        first = next(prop.step for prop in resource.properties if prop.name == resource.key)
        return _later(resource, step, rows, state, first, "made")

    values = state.values
    if state.blocked:
        rows = tuple(_row(resource, prop, values) for prop in asked)
        return Plan(resource, step, "cannot be foreseen", rows, why=state.blocked, state=state)
    fixed = [prop for prop in resource.properties if not prop.update and prop.name != resource.key]
    replacing = [prop for prop in fixed if not prop.kind.same(values.get(prop.name), resource.wanted[prop.name])]
    if replacing and any(prop in asked for prop in replacing):
        rows = tuple(_row(resource, prop, values) for prop in asked)
        if state.rival:
            return Plan(resource, step, "cannot be foreseen", rows, why=state.rival, state=state)
        why = f"{', '.join(prop.name for prop in replacing)} can only be given at creation: removed and made again"
        if lost := _lost(resource, values):
            why += f"; nobody declared these values, and they are lost: {lost}"
        return Plan(resource, step, "replace", rows, resource.commands("replace", asked, state), why, state)
    if replacing:
        rows = tuple(_row(resource, prop, values, same=False) for prop in asked)
        return _later(resource, step, rows, state, replacing[0].step, "replaced")
    rows = tuple(_row(resource, prop, values) for prop in asked)
    differing = [prop for prop, row in zip(asked, rows, strict=True) if not row.same]
    if not differing:
        return Plan(resource, step, "nothing", rows, state=state)
    return Plan(resource, step, "update", rows, resource.commands("update", differing, state), state=state)


def apply(planned: Plan, channel: Channel, *, wait: float = 30.0) -> list[str]:
    """Do a plan, then read every property of it back.

    Arguments:
        planned: the plan, made from a state that was just read.
        channel: where to.
        wait: seconds to wait at most until what was changed can be read back.

    Returns what a reader must know besides. Raises ``Blocked``, ``StepError``, the mapped remote error, or
    ``VerifyFailed``; ``OutcomeUnknown`` where what was changed cannot be read back.
    """
    if planned.verb == "cannot be foreseen":
        raise Blocked(f"{planned.resource.label} was left alone", seen=planned.why, next=planned.resource.way_out)
    if planned.needs:
        raise StepError(
            f"{planned.resource.label} is not ready for this step, so nothing was set",
            seen=planned.why,
            next=f"apply {planned.needs} first",
        )
    notes: list[str] = []
    removed = False
    with channel.serving(planned.resource.reference() | {"verb": planned.verb}):
        for command in planned.commands:
            changes = _changes_of(planned, command)
            try:
                planned.resource.send(command, changes, channel)
            except OutcomeUnknown as error:
                if not _took(planned, channel, error):
                    raise (_without(planned, error) if removed else error) from None
                channel.took(command, changes)
                notes.append(f"the answer to {command.name} was lost; it was not sent again, and reads back as wanted")
                break
            except RemoteError as error:
                raise (_without(planned, error) if removed else error) from None
            removed = removed or command.name == f"Remove-{planned.resource.noun}"
    if planned.commands:
        verify(planned.resource, channel, planned.step, wait=wait)
    return notes


def verify(resource: Resource, channel: Channel, step: str | None = None, *, wait: float = 0.0) -> None:
    """Read every declared property again, from the same domain controller.

    Arguments:
        resource: the wanted state.
        channel: where from.
        step: only the properties of this step.
        wait: seconds to go on reading while they differ (replication); 0 reads once.

    Raises ``VerifyFailed`` naming each property that still differs after waiting.
    """
    until = time.monotonic() + wait
    pause, pauses = 0.1, threading.Event()
    while True:
        state = resource.read(channel, fresh=True)
        seen = None if isinstance(state, Missed) else plan(resource, state, step)
        if seen is not None and not seen.differing:
            return
        if channel.cancel.is_set() or time.monotonic() + pause > until:
            break
        pauses.wait(pause)
        pause = min(pause * 2, 3.0)
    if isinstance(state, Missed):
        raise OutcomeUnknown(
            f"{resource.label} was changed, but could not be read back",
            where={"step": step} if step else None,
            seen=state.error.what,
        ) from state.error
    assert seen is not None
    raise VerifyFailed(
        f"{resource.label} was changed, but reads back otherwise",
        where={"step": step} if step else None,
        seen="; ".join(f"{row.property} = {row.shown_now}" for row in seen.differing),
        expected="; ".join(f"{row.property} = {row.shown_wanted}" for row in seen.differing),
        next="run plan again: replication may be late, or something else sets this property",
    )


def _changes_of(planned: Plan, command: Command) -> list[dict[str, Any]]:
    """Before and after of the properties that one of the plan's commands carries.

    What is removed is written down whole, for only that can bring it back.
    """
    if command.name == f"Remove-{planned.resource.noun}" and isinstance(planned.state, Present):
        return [{"object": planned.resource.label, "property": "*", "before": planned.state.values, "after": None}]
    if len(planned.commands) == 1:
        return planned.changes()
    carried = planned.resource.carries(command)
    return [change for change in planned.changes() if change["property"] in carried]


def _without(planned: Plan, error: RemoteError) -> RemoteError:
    """The error of a replacement that stopped half way: the object is gone."""
    error.expected = (
        f"{planned.resource.label} made again; it was removed before, and its former values are in the journal"
    )
    error.next = f"apply again: {planned.resource.label} is then made from nothing ({error.next})"
    return error


def _lost(resource: Resource, values: Mapping[str, Any]) -> str:
    """Values that a replacement loses: not declared, and not what a new object has of itself."""
    declared = {prop.name for prop in resource.properties}
    lost = [
        f"{name} = {values.get(name)}"
        for name, new in resource.new_values.items()
        if name not in declared and str(values.get(name)).casefold() != str(new).casefold()
    ]
    return ", ".join(lost)


def _took(planned: Plan, channel: Channel, lost: OutcomeUnknown) -> bool:
    """Whether a command whose answer was lost took effect, by reading; never by sending it again."""
    try:
        found = plan(planned.resource, planned.resource.read(channel, fresh=True), planned.step)
    except UmkitError as error:
        channel.note("found", about=lost.what, found="unreadable", error=error.as_dict())
        return False
    as_wanted = not found.differing
    channel.note(
        "found",
        about=lost.what,
        found="as wanted" if as_wanted else "not as wanted",
        differences=found.changes(),
    )
    return as_wanted


def _later(resource: Resource, step: str | None, rows: tuple[Row, ...], state: State, first: str, how: str) -> Plan:
    commands = resource.commands("update", resource.of_step(step), Absent())
    why = f"{resource.label} is {how} in {first}; this is set after that"
    return Plan(resource, step, "update", rows, commands, why, state, needs=first)


def _row(
    resource: Resource,
    prop: Property,
    values: Mapping[str, Any] | None,
    *,
    exists: bool = True,
    same: bool | None = None,
) -> Row:
    now = values.get(prop.name) if values is not None else None
    wanted = resource.wanted[prop.name]
    if same is None:
        same = exists and prop.kind.same(now, wanted)
    surplus: list[Any] = []
    if exists and isinstance(prop.kind, ListKind) and prop.kind.how != "exactly":
        surplus = prop.kind.surplus(now, wanted)  # stays where it is, so a reader must be told of it
    notes = [f"surplus: {', '.join(map(str, surplus))}"] if surplus else []
    if exists and values is not None and (remark := resource.remark(prop, values)):
        notes.append(remark)
    return Row(resource.label, prop.name, now, wanted, same, prop.number, "; ".join(notes), prop.kind, exists)
