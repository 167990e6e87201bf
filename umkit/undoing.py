"""What would take a deed back: planned from the present state, and compared with the state before.

What is still as the run left it is taken back; what somebody changed since is named and left alone; what cannot be
taken back is said beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from umkit.channel import Channel
from umkit.chapters import step_named
from umkit.command import Command
from umkit.errors import ObjectNotFound, RecordError, RemoteError, UmkitError
from umkit.history import Deed
from umkit.journal import plain
from umkit.kinds import ListKind
from umkit.outcome import Finding, Result, Row, StepOutcome, worst
from umkit.resource import Absent, Done, Missed, Present, Property, State, Verb
from umkit.since import further, unseen
from umkit.site import Site
from umkit.steps import missing_consent

#: Consents that a step's commands need in either direction.
_GUARDS = ("restarts", "information_store")
_ASK = "look who changed it, and why"
_ALTHOUGH = "umkit rollback --although-changed OBJECT takes it back all the same"
#: What an object gets anew when it is made again.
_OF_ITS_OWN = ("guid", "id", "when", "objectstate", "originating", "distinguishedname", "pscomputer", "runspace")


@dataclass
class Undoing:
    """What would be done to take one deed back.

    Arguments:
        deed: what the run did.
        out: rows, findings and notes; ``would`` holds the commands.
        done: the part of it that is taken back.
        state: what was read.
        verb: what would be done to the object.
    """

    deed: Deed
    out: StepOutcome
    done: Done | None = None
    state: State = field(default_factory=Absent)
    verb: Verb = "nothing"

    @property
    def commands(self) -> list[Command]:
        """What would be sent."""
        return self.out.would

    def as_event(self) -> dict[str, Any]:
        """The plan's fields for the journal's ``planned`` event."""
        return {
            "chapter": self.deed.chapter,
            "step": self.deed.step,
            "object": self.deed.label,
            "verb": self.verb,
            "needs": "",
            "why": "; ".join([self.out.summary] if self.out.error else [each.text for each in self.out.findings]),
            "rows": [
                {"property": row.property, "now": row.now, "wanted": row.wanted, "exists": row.exists, "same": row.same}
                for row in self.out.rows
            ],
            "commands": [command.as_json() for command in self.commands],
        }

    def find(self, result: Result, text: str, next: str = "") -> Undoing:
        """Add a finding about the object."""
        self.out.findings.append(Finding(result, f"{self.deed.label}: {text}", next))
        return self

    def __str__(self) -> str:
        return str(replace(self.out, title=f"{self.deed.label} ({', '.join(self.deed.steps)})"))


def plan(deed: Deed, site: Site) -> Undoing:
    """Read one object and say what would be done; changes nothing."""
    out = StepOutcome(deed.step, deed.label, "rollback", "rollback")
    undoing = Undoing(deed, out)
    if deed.why:
        out.result = "open"
        return undoing.find("open", deed.why, f"look at it, and take it back by hand: {_told(deed)}")
    try:
        _judge(undoing, site)
        _ask_consent(undoing, site)
        if out.would or any(finding.result == "differs" for finding in out.findings):
            for used in deed.used:
                undoing.find("ok", used, "look whether that still needs it")
        _tell(undoing)
    except UmkitError as error:
        return _failed(undoing, error)
    except Exception as error:  # of a record that an older kit wrote, or somebody's hand: the other objects go on
        what = f"{deed.label} cannot be planned from what the record tells of it"
        return _failed(undoing, RecordError(what, seen=f"{type(error).__name__}: {error}"))
    out.result = worst(["differs" if out.would else "ok", *(finding.result for finding in out.findings)])
    return undoing


def _failed(undoing: Undoing, error: UmkitError) -> Undoing:
    """Nothing is sent for an object whose plan failed."""
    out = undoing.out
    out.error, out.result, out.would, undoing.done = error.at(step=undoing.deed.step), "failed", [], None
    error.next = error.next or f"look at it, and take it back by hand: {_told(undoing.deed)}"
    out.rows.clear()
    out.notes.clear()
    return undoing


def _tell(undoing: Undoing) -> None:
    """Say all that a plan and its doing say: what cannot be said must not be sent."""
    _ = str(undoing), undoing.as_event()
    if undoing.done is not None:
        _ = [announced(command, undoing) for command in undoing.commands], values_left(undoing)


def differences(undoing: Undoing, channel: Channel) -> list[str]:
    """What is not as it was before the run, read anew."""
    deed, done = undoing.deed, undoing.done
    assert done is not None
    try:
        state = deed.resource.read(channel, fresh=True)
    except RemoteError as error:
        return [error.what]
    if isinstance(state, Missed):
        return [state.error.what]
    if done.verb == "create":
        gone = {deed.resource.key: None}
        return [] if isinstance(state, Absent) or _is_empty(state, done, gone) else ["it is still there"]
    if isinstance(state, Absent):
        return ["it is not there"]
    differs = []
    for prop in deed.resource.properties:
        if prop.name not in done.before or (done.verb == "update" and prop.name not in done.after):
            continue
        now, before = state.values.get(prop.name), done.before[prop.name]
        if not _is_undone(prop, now, before, done.after.get(prop.name)):
            differs.append(f"{prop.name} = {prop.kind.show(now)}, not {prop.kind.show(before)}")
    return differs


def channel_of(deed: Deed, site: Site) -> Channel:
    """The channel of a deed's object, speaking for its chapter and step."""
    site.step = deed.step
    channel = deed.resource.channel(site)
    channel.chapter, channel.step = deed.chapter, deed.step
    return channel


def only(values: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """The values of some names."""
    return {name: value for name, value in values.items() if name in names}


def announced(command: Command, undoing: Undoing) -> list[dict[str, Any]]:
    """Before and after of what one command takes back, for the journal."""
    deed, done = undoing.deed, undoing.done
    assert done is not None
    values = undoing.state.values if isinstance(undoing.state, Present) else {}
    if done.verb != "update" and command.name.startswith("Remove-"):
        whole = {name: plain(value) for name, value in values.items() if not isinstance(value, bytes)}
        return [{"object": deed.label, "property": "*", "before": whole, "after": None}]
    carried = set(deed.resource.carries(command))
    names = done.after if done.verb == "update" else [n for n in done.before if n in carried]
    many = len(undoing.commands) > 1 and carried & set(names)
    return [
        {
            "object": deed.label,
            "property": name,
            "before": plain(values.get(name)) if done.verb == "update" else None,
            "after": done.before.get(name),
        }
        for name in names
        if not many or name in carried
    ]


def values_left(undoing: Undoing) -> dict[str, Any]:
    """What the object's properties are once it is taken back."""
    done = undoing.done
    assert done is not None
    if done.verb == "create":
        return dict.fromkeys(done.after)
    return {name: value for name, value in done.before.items() if name in done.after}


def _judge(undoing: Undoing, site: Site) -> None:
    """Compare the present state with what the run left, and find the commands."""
    deed, done = undoing.deed, undoing.deed.done()
    resource = deed.resource
    known = {name: prop for name in done.after if (prop := deed.property_named(name)) is not None}
    staying = {"*"} & set(resource.stays) if done.verb == "create" else set(known) & set(_stays(deed))
    if staying:
        for name in sorted(staying):
            undoing.find("open", _stays(deed)[name])
        known = {} if "*" in staying else {name: prop for name, prop in known.items() if name not in staying}
        if not known:
            return
    channel = channel_of(deed, site)
    state = undoing.state = resource.read(channel, fresh=True)
    if isinstance(state, Missed):
        if isinstance(state.error, ObjectNotFound):  # what it is on was removed or renamed
            undoing.find("differs", f"left alone: {state.error.what}")
            return
        raise state.error
    if isinstance(state, Absent) and done.verb != "replace":
        if state.rival or done.verb == "update":
            undoing.find("differs", f"left alone: {state.rival or 'it is not there any more'}")
        else:
            undoing.find("ok", "it is not there any more; one that was renamed since is removed by hand")
        return
    if done.verb == "replace" and not done.after and isinstance(state, Present):
        if not _is_empty(state, done, {resource.key: None}):
            _there_again(undoing, state, done)
            return
        state = undoing.state = Present(state.values)
    _say_what_a_rollback_took(undoing, state, done, known)
    taken = dict(known)
    if isinstance(state, Present):
        taken = _still_as_left(undoing, state, done, known)
    part = done
    if done.verb == "update":
        part = replace(done, before=only(done.before, taken), after=only(done.after, taken))
    removed = done.verb == "replace" and not done.after
    if not taken and not (removed or (done.verb == "replace" and isinstance(state, Absent))):
        return
    part = _hold_back(undoing, state, part)
    if not part.before and part.verb == "update":
        return
    commands = resource.undo(part, state, channel)
    if isinstance(commands, str):
        undoing.find("open", commands)
        undoing.out.rows.clear()
        return
    undoing.done = part
    undoing.out.would = [channel.placed(command) for command in commands]
    if done.verb == "update" and resource.undo_remark:
        undoing.out.notes.append(resource.undo_remark)
    if any(command.name == "Stop-Service" for command in commands):  # its settings hold when it starts again
        undoing.out.findings = [each for each in undoing.out.findings if each.result != "open"]
    undoing.verb = "remove" if done.verb == "create" else done.verb
    if done.verb == "replace":
        undoing.out.notes += _not_restored(part, state, deed)


def _still_as_left(undoing: Undoing, state: Present, done: Done, known: Mapping[str, Property]) -> dict[str, Property]:
    """The properties that are as the run left them; the others are named."""
    taken: dict[str, Property] = {}
    moved: list[str] = []
    for name, prop in known.items():
        now, before, after = state.values.get(name), done.before.get(name), done.after[name]
        if done.verb == "update" and _is_undone(prop, now, before, after):
            continue
        as_left = (prop.kind.same if isinstance(prop.kind, ListKind) else prop.kind.unmoved)(now, after)
        if done.verb == "create" and isinstance(prop.kind, ListKind) and prop.kind.surplus(now, after):
            as_left = False  # the whole object would go, with what somebody added to it
        if as_left:
            taken[name] = prop
            wanted, note = (None, "goes with the object") if done.verb == "create" else (before, "")
            row = Row(undoing.deed.label, name, now, wanted, False, prop.number, note, prop.kind)
            undoing.out.rows.append(row)
        else:
            moved.append(f"{name}: then {prop.kind.show(after)}, now {prop.kind.show(now)}")
    if done.verb == "update":
        if moved:
            undoing.find("differs", "changed since, so left alone: " + "; ".join(moved), _ASK)
        return taken
    moved += further(undoing.deed, state, done.after)
    if not moved:
        if late := unseen(undoing.deed, state):
            undoing.find("ok", late, _ASK)
        return taken
    if undoing.deed.although:
        undoing.find("ok", "changed since, and taken back all the same, as was asked: " + "; ".join(moved))
        return dict(known)
    undoing.find("differs", "changed since, so left alone: " + "; ".join(moved), f"{_ASK}; {_ALTHOUGH}")
    undoing.out.rows.clear()
    return {}


def _hold_back(undoing: Undoing, state: State, part: Done) -> Done:
    """Leave what cannot be put back, and say what is put back in part only; gives what is left to be taken back."""
    if part.verb == "create":
        return part
    resource = undoing.deed.resource
    held = resource.held_back(part, state)
    for name, why in held.items():
        undoing.find("open", f"{name}: {why}")
    if short := resource.shortfall(part, state):
        undoing.find("open", short)
    undoing.out.rows = [row for row in undoing.out.rows if row.property not in held]
    left = {name: value for name, value in part.before.items() if name not in held}
    return replace(part, before=left, after={name: value for name, value in part.after.items() if name not in held})


def _ask_consent(undoing: Undoing, site: Site) -> None:
    guard = step_named(undoing.deed.step).guard if undoing.deed.step else ""
    if guard in _GUARDS and any(command.name.endswith("-Service") for command in undoing.commands):
        missing = missing_consent(site, guard)
        if missing is not None:
            undoing.out.findings.append(missing)
            undoing.out.would = []


def _is_undone(prop: Property, now: Any, before: Any, after: Any) -> bool:
    """Whether a property is as it was before the run; of a list that may hold more, what the run added is gone."""
    if isinstance(prop.kind, ListKind) and prop.kind.how == "at least":
        added = prop.kind.missing(before, after)
        return len(prop.kind.missing(now, added)) == len(added)
    return prop.kind.unmoved(now, before)


def _is_empty(state: Present, done: Done, key: Mapping[str, Any]) -> bool:
    """Whether the value that was made is gone though what it is in is still there, as a value of a registry key."""
    known = done.after or done.before
    return all(name in known and state.values.get(name) is None for name in key)


def _there_again(undoing: Undoing, state: Present, done: Done) -> None:
    """What the run removed is there again: nothing is left to do, unless it is another one."""
    others = [
        prop.name
        for prop in undoing.deed.resource.properties
        if prop.name in done.before and not prop.kind.unmoved(state.values.get(prop.name), done.before[prop.name])
    ]
    if others:
        undoing.find("differs", f"left alone: it is there again, with another {', '.join(others)}")


def _say_what_a_rollback_took(undoing: Undoing, state: State, done: Done, known: dict[str, Property]) -> None:
    """Of a list that may hold more, no record tells which entries are meant: an apply adds those that are wanted."""
    values = state.values if isinstance(state, Present) else {}
    for name, prop in [*known.items()] if done.verb == "update" and undoing.deed.undoes else ():
        if not isinstance(prop.kind, ListKind) or prop.kind.how != "at least":
            continue
        taken = prop.kind.surplus(done.before[name], done.after[name])
        if taken:
            del known[name]
        if missing := prop.kind.missing(values.get(name), taken):
            undoing.find("open", f"{name}: {prop.kind.show(missing)} is added by umkit apply, not by a rollback")


def _stays(deed: Deed) -> dict[str, str]:
    return {name: why for each in deed.resources for name, why in each.stays.items()}


def _not_restored(done: Done, state: State, deed: Deed) -> list[str]:
    """What an object that is made again does not get back."""
    table = {prop.name for prop in deed.resource.properties}
    now = state.values if isinstance(state, Present) else {}
    lost = [
        f"{name} (was {plain(value)})"
        for name, value in done.before.items()
        if name not in table
        and value not in (None, "", [])
        and not any(word in name.casefold() for word in _OF_ITS_OWN)
        and str(plain(now.get(name))) != str(value)
    ]
    notes = ["it is made again, so it gets a new identity and new times"]
    return notes + ([f"cannot be restored: {', '.join(lost)}"] if lost else [])


def _told(deed: Deed) -> str:
    return "; ".join(str(intent.get("powershell", "")) for intent in deed.intents)[:300]
