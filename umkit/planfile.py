"""The plan file: what a plan run would do, and from which state, so that exactly that can be done later.

A plan run writes ``plan.json`` into its record. An apply that is held to it compares every step's fresh plan with it,
and stops before that step sends anything where the state has moved. What earlier steps of the same run changed is no
movement: it was planned.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from umkit import __version__
from umkit.channel import Channel
from umkit.engine import Plan
from umkit.errors import Blocked, UsageError
from umkit.journal import plain, read
from umkit.outcome import Row

FILE = "plan.json"
#: The environment variable that hands the plan to the chapters' kernels.
VARIABLE = "UMKIT_PLAN"

_FIELDS = ("object", "verb", "needs", "why", "rows", "commands")


@dataclass(frozen=True)
class Moved:
    """One difference between a plan and the state, or between two plans.

    Arguments:
        step: the step's id.
        thing: the object.
        property: the property, or what else differs.
        then: what the plan was made from.
        now: what is there.
    """

    step: str
    thing: str
    property: str
    then: str
    now: str

    def __str__(self) -> str:
        return f"{self.step} {self.thing}, {self.property}: then {self.then}, now {self.now}"


@dataclass(frozen=True)
class PlanFile:
    """A plan that was kept.

    Arguments:
        customer: the customer's name.
        run: the run that planned.
        mode: ``plan``, or ``apply`` where each step was planned after the ones before it were done.
        inputs: fingerprint of the customer file's values.
        chapters: the chapters that were planned.
        broken: those whose notebook did not come to its end; such a plan is not whole.
        steps: what each step would do to each object.
        kit: the version of the kit that planned.
    """

    customer: str
    run: str
    mode: str
    inputs: str
    chapters: Sequence[str]
    broken: Sequence[str]
    steps: Sequence[Mapping[str, Any]]
    kit: str = __version__

    @property
    def other_kit(self) -> str:
        """That another version of the kit planned than the one that works now; empty where it was the same."""
        return "" if self.kit == __version__ else f"the plan was made by umkit {self.kit}, this is umkit {__version__}"

    def find(self, chapter: str, step: str, thing: str) -> Mapping[str, Any] | None:
        """What one step would do to one object; nothing where the plan does not know it."""
        key = (chapter, step, thing)
        return next((one for one in self.steps if (one["chapter"], one["step"], one["object"]) == key), None)

    def moved(self, fresh: PlanFile) -> list[Moved]:
        """Every difference to a plan that was made since, before anything was sent."""
        found = []
        then, now = ({_key(one): one for one in each.steps} for each in (self, fresh))
        for key in [*then, *(key for key in now if key not in then)]:
            _, step, thing = key
            if key not in now:
                found.append(Moved(step, thing, "the object", "planned", "not planned any more"))
            elif key not in then:
                found.append(Moved(step, thing, "the object", "not planned", "planned"))
            else:
                found += _moved(step, then[key], now[key])
        return found

    def as_dict(self) -> dict[str, Any]:
        """The plan as the file has it."""
        head = {"kit": self.kit, "customer": self.customer, "run": self.run, "mode": self.mode}
        head["inputs"] = self.inputs
        return head | {"chapters": list(self.chapters), "broken": list(self.broken), "steps": list(self.steps)}


def fingerprint(values: Mapping[str, Any]) -> str:
    """A hash of the customer file's values, defaults included."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def write_down(planned: Plan, channel: Channel) -> None:
    """Write down what would be done to one object, and the state that it was planned from."""
    channel.note("planned", **_entry(planned))


def collect(folder: Path, values: Mapping[str, Any], *, broken: Iterable[str] = ()) -> PlanFile:
    """The plan that a plan run's journal holds.

    Arguments:
        folder: the run's record.
        values: the customer file's values.
        broken: chapters that did not come to their end.
    """
    events = read(folder / "journal.jsonl")
    start = next(event for event in events if event["event"] == "run-start")
    steps = [
        {"chapter": event["chapter"], "step": event["step"]} | {name: event[name] for name in _FIELDS}
        for event in events
        if event["event"] == "planned"
    ]
    run, customer, mode = (str(start[name]) for name in ("run", "customer", "mode"))
    return PlanFile(customer, run, mode, fingerprint(values), list(start["chapters"]), list(broken), steps)


def text(plan: PlanFile) -> str:
    """The plan file's text."""
    return json.dumps(plan.as_dict(), indent=1, ensure_ascii=False) + "\n"


def load(path: Path) -> PlanFile:
    """A plan file.

    Raises ``UsageError`` when it cannot be read, or is none.
    """
    try:
        data = json.loads(Path(path).read_text("utf-8-sig"))
        names = ("customer", "run", "mode", "inputs", "chapters", "broken", "steps", "kit")
        plan = PlanFile(*(data[name] for name in names))
        for one in plan.steps:
            _ = [one[name] for name in ("chapter", "step", *_FIELDS)]
            _ = [row[name] for row in one["rows"] for name in ("property", "now", "wanted", "exists", "same")]
        told = [plan.kit, *plan.chapters, *(text for one in plan.steps for text in _key(one))]
        if odd := [name for name in told if not isinstance(name, str)]:
            raise TypeError(f"{odd[0]!r} is no name")
    except OSError as error:
        raise UsageError(f"{path} cannot be read", seen=error.strerror or type(error).__name__) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is no plan file", seen=f"{type(error).__name__}: {error}") from error
    return plan


def usable(path: Path, customer: str, values: Mapping[str, Any]) -> PlanFile:
    """A plan file that may be applied for a customer.

    Raises ``UsageError`` when it is another customer's, not whole, or made with other values of the customer file, or
    by another version of the kit, for what it says and plans may mean something else there. Only its third number
    makes no difference, for that mends faults and nothing else.
    """
    plan = load(path)
    where = {"file": str(path)}
    if plan.kit.split(".")[:2] != __version__.split(".")[:2]:
        raise UsageError(
            "the plan was made by another version of the kit, so it is not applied",
            where=where,
            seen=f"umkit {plan.kit}",
            expected=f"umkit {__version__}",
            next="plan again with this version, and have the new plan agreed; or apply it with the version it is from",
        )
    if plan.customer != customer:
        raise UsageError(f"the plan is {plan.customer}'s, not {customer}'s", where=where)
    if plan.mode != "plan":
        raise UsageError(
            f"the plan was made by an {plan.mode}, step by step, so it is not applied as a whole",
            where=where,
            next=f"umkit plan {customer} -o plan.json makes one",
        )
    if plan.broken:
        raise UsageError(
            "the plan is not whole, so it is not applied",
            where=where,
            seen="these chapters did not come to their end: " + ", ".join(plan.broken),
            next="mend what stopped them, and plan again",
        )
    if plan.inputs != fingerprint(values):
        raise UsageError(
            "the customer file was changed since the plan was made",
            where=where,
            next="plan again, and have the new plan agreed",
        )
    return plan


def refuse(plan: PlanFile, moved: Sequence[Moved]) -> Blocked:
    """The error that says what has moved since a plan."""
    return Blocked(
        f"the state has moved since the plan of {plan.run}: nothing was sent",
        seen="; ".join(map(str, moved[:12])) + (f"; and {len(moved) - 12} more" if len(moved) > 12 else ""),
        next="look who changed it, and plan again" + (f" ({plan.other_kit})" if plan.other_kit else ""),
    )


def hold_to(planned: Plan, channel: Channel) -> None:
    """Compare a step's fresh plan with the plan file that the run is held to; without one nothing is compared.

    Raises ``Blocked`` naming each property with its value then and now; nothing of the step was sent.
    """
    path = os.environ.get(VARIABLE)
    if not path:
        return
    plan, label, step = _loaded(path), planned.resource.label, planned.step or ""
    entry = plan.find(channel.chapter, step, label)
    if entry is None:
        if planned.commands:
            raise refuse(plan, [Moved(step, label, "the object", "not planned", "planned")])
        return
    if moved := _moved_in_run(step, entry, planned, _changed_by_run(channel)):
        raise refuse(plan, moved)


@lru_cache(maxsize=2)
def _loaded(path: str) -> PlanFile:
    return load(Path(path))


def _entry(planned: Plan) -> dict[str, Any]:
    return {
        "object": planned.resource.label,
        "verb": planned.verb,
        "needs": planned.needs,
        "why": planned.why,
        "rows": [
            {
                "property": row.property,
                "now": plain(row.now) if row.exists else None,
                "wanted": plain(row.wanted),
                "exists": row.exists,
                "same": row.same,
            }
            for row in planned.rows
        ],
        "commands": [command.as_json() for command in planned.commands],
    }


def _key(one: Mapping[str, Any]) -> tuple[str, str, str]:
    return one["chapter"], one["step"], one["object"]


def _moved(step: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Moved]:
    """What differs between two entries of plan files, both made before anything was sent."""
    thing = str(then["object"])
    before = {row["property"]: row for row in then["rows"]}
    found = []
    for row in now["rows"]:
        old = before.get(row["property"], {})
        for name in ("now", "wanted"):
            if (old.get(name), old.get("exists")) != (row[name], row["exists"]):
                about = row["property"] if name == "now" else f"{row['property']} wanted"
                found.append(Moved(step, thing, about, _shown(old, name), _shown(row, name)))
                break
    if not found:
        for name in ("verb", "why", "commands"):
            if then[name] != now[name]:
                found.append(Moved(step, thing, name, str(then[name]), str(now[name])))
                break
    return found


def _moved_in_run(
    step: str, then: Mapping[str, Any], planned: Plan, changed: Collection[tuple[str, str]]
) -> list[Moved]:
    """What has moved, leaving aside what this very run did before."""
    label = planned.resource.label
    before = {row["property"]: row for row in then["rows"]}
    would = {name for name, row in before.items() if not row["same"]}
    own = bool(then["needs"]) or (label, "*") in changed or planned.resource.follows
    found = []
    for row in planned.rows:
        old = before.get(row.property, {})
        here = {"now": row.now, "wanted": row.wanted, "exists": row.exists}
        if not own and (label, row.property) not in changed and not _same(row, old):
            found.append(Moved(step, label, row.property, _shown(old, "now"), row.shown_now))
        elif not row.same and row.property not in would:
            found.append(Moved(step, label, row.property, f"{_shown(old, 'now')}, as wanted", _shown(here, "now")))
        elif not changed and not row.kind.same(row.wanted, old.get("wanted")):
            found.append(Moved(step, label, f"{row.property} wanted", _shown(old, "wanted"), row.shown_wanted))
    if not found and not changed:
        commands = [command.as_json() for command in planned.commands]
        if commands != then["commands"]:
            found.append(Moved(step, label, "commands", str(then["commands"]), str(commands)))
    return found


def _same(row: Row, old: Mapping[str, Any]) -> bool:
    if row.exists != old.get("exists"):
        return False
    return not row.exists or row.kind.unmoved(row.now, old.get("now"))


def _changed_by_run(channel: Channel) -> set[tuple[str, str]]:
    """Objects and properties that this run has changed so far, or may have; ``*`` for an object that it made."""
    if channel.journal is None:
        return set()
    intents = [event for event in read(channel.journal.path) if event["event"] == "intent" and event.get("mutating")]
    changed: set[tuple[str, str]] = set()
    for intent in intents:
        made = intent.get("resource", {}).get("verb") in ("create", "replace")
        for change in intent.get("changes", ()):
            changed |= {(change["object"], change["property"])} | ({(change["object"], "*")} if made else set())
    return changed


def _shown(row: Mapping[str, Any], name: str) -> str:
    if not row or (name == "now" and not row.get("exists")):
        return "(not there)"
    value = row.get(name)
    return "(empty)" if value in (None, "", []) else str(plain(value))
