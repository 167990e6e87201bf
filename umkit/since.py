"""Since: what became of an object after a run had changed it.

Before a rollback removes what a run made, or puts something back, it tells two things: whether the object was changed
in ways that the run knows nothing of, and which later steps and runs relied on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from umkit import record
from umkit.customer import CustomerFile
from umkit.errors import RecordError
from umkit.history import CHANGING, Deed, changes_of, elsewhere
from umkit.journal import plain, read
from umkit.kinds import TEXT
from umkit.resource import Present
from umkit.windows.services import moment

Event = Mapping[str, Any]

#: How far two clocks may differ before a time says nothing; as with tickets.
_SKEW = timedelta(minutes=5)
#: Characters of a value, and steps of a run, that are told.
_LONGEST, _MOST = 80, 8


def further(deed: Deed, state: Present, settled: Iterable[str]) -> list[str]:
    """What of an object that a run made is not as it was read back then, one sentence each.

    Arguments:
        deed: what the run did.
        state: what was just read.
        settled: properties that the run set, which are compared by themselves.

    Where the record does not tell how the object was read back, a change after the run's end is told without its name.
    """
    if deed.made is None:
        if late := _changed_after(deed, state):
            return [f"it was changed at {late}, after the run; the record does not tell how it was before"]
        return []
    now = {name.casefold(): value for name, value in deed.resource.besides(state).items()}
    known = {name.casefold() for name in settled}
    found = []
    for name, then in deed.made.items():
        if name.casefold() in known or name.casefold() not in now:
            continue
        value, prop = now[name.casefold()], deed.property_named(name)
        if prop.kind.unmoved(value, then) if prop else _ordered(plain(value)) == _ordered(then):
            continue
        if name.casefold() == "guid":
            return ["it is another object of that name, made since"]
        found.append(f"{name}: then {_shown(then)}, now {_shown(value)}")
    return found


def unseen(deed: Deed, state: Present) -> str:
    """That an object was changed after the run though all that is shown of it is as it was; empty where it was not.

    Rights on an object are such a thing: they move its time, and are not among what ``Get-`` shows.
    """
    late = _changed_after(deed, state) if deed.made is not None else ""
    return f"something of it that is not shown was changed at {late}, after the run" if late else ""


def note_uses(found: Sequence[Deed], rest: Iterable[Event], later: Iterable[tuple[str, Sequence[Event]]] = ()) -> None:
    """Tell each deed which later steps and runs relied on its object.

    Arguments:
        found: what is to be taken back.
        rest: the events of the same run that are not to be taken back.
        later: the runs after it with their events, oldest first (see :func:`later_runs`).

    To find an object as wanted is to rely on it. What a run did and a later rollback took back is left out.
    """
    rest, later = list(rest), list(later)
    for deed in found:
        first = deed.intents[0].get("seq", 0)
        uses: dict[str, list[str]] = {}
        if own := [event for event in rest if event.get("seq", 0) > first and deed.label in _touched(event)]:
            uses["this run"] = _steps(own)
        for run, events in later:
            of = next((str(event.get("of")) for event in events if event["event"] == "rollback"), "")
            own = [event for event in events if deed.label in _touched(event)]
            if of in uses and any(event["event"] == "left" for event in own):
                del uses[of]
            elif own:
                uses[run] = _steps(own)
        deed.used = [
            f"used since by {run if run == 'this run' else f'run {run}'}, step {', '.join(steps[:_MOST])}"
            + (" and others" if len(steps) > _MOST else "")
            for run, steps in uses.items()
        ]


def later_runs(folder: Path, inputs: CustomerFile, under_way: str) -> tuple[list[tuple[str, list[Event]]], list[str]]:
    """The runs after one that changed something or could, oldest first, and those whose journal cannot be read.

    Arguments:
        folder: the record of the run.
        inputs: the customer file; only runs at its servers count.
        under_way: the run that asks.
    """
    found: list[tuple[str, list[Event]]] = []
    unreadable: list[str] = []
    for each in record.folders(folder.parent, CHANGING):
        if each.name == folder.name:
            break
        if each.name == under_way:
            continue
        try:
            events: list[Event] = [*read(each / record.JOURNAL)]
        except RecordError:
            unreadable.append(each.name)
            continue
        if not elsewhere(events, inputs):
            found.append((each.name, events))
    return found[::-1], unreadable


def _touched(event: Event) -> set[str]:
    """The objects that an event of a run tells it to have changed, or to have found as it wants them."""
    if event["event"] == "left":
        return {str(event.get("object"))}
    if event["event"] == "intent" and event.get("mutating"):
        return {str(change.get("object")) for change in changes_of(event)}
    return set()


def _steps(events: Iterable[Event]) -> list[str]:
    return list(dict.fromkeys(str(event.get("step")) for event in events))


def _changed_after(deed: Deed, state: Present) -> str:
    """When the object was changed after the run; empty where it was not, or nothing tells."""
    when = moment(state.values.get("WhenChangedUTC"))
    if when is None or deed.ended is None or when <= deed.ended + _SKEW:
        return ""
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def _ordered(value: Any) -> Any:
    """A list of an object's is in no order."""
    return sorted(value, key=str) if isinstance(value, list) else value


def _shown(value: Any) -> str:
    text = TEXT.show(plain(value))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
