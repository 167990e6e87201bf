"""Unanswered commands: what became of those that an earlier run sent without hearing of their outcome.

A run that was killed, or whose connection broke, leaves intents without outcomes in its journal. They are never sent
again on the word of the journal: the state is read, from the same domain controller where it answers, and what was
found is written into the journal of the run that looked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from umkit import record
from umkit.customer import CustomerFile
from umkit.errors import HostNotNamed, RecordError, UmkitError
from umkit.history import CHANGING, changes_of, elsewhere, recall
from umkit.journal import Journal, read
from umkit.resource import Absent, Missed, Present, Resource
from umkit.site import Site

#: What reading found of an unanswered command.
TOOK, DID_NOT, OTHERWISE, UNREAD = (
    "it took effect",
    "it did not take effect",
    "neither as before nor as wanted",
    "unread",
)
#: What no state tells: a file that was read or copied, a restart, which its own step judges by the start time.
NOT_TOLD = "no state tells; the step itself looks"


@dataclass(frozen=True)
class Unanswered:
    """One changing command without an outcome.

    Arguments:
        folder: the record of the run that sent it.
        intent: the journal's intent.
    """

    folder: Path
    intent: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.intent.get('step')} {self.intent.get('powershell')} (run {self.folder.name})"


@dataclass(frozen=True)
class Answer:
    """What was found of an unanswered command.

    Arguments:
        about: the command.
        found: one of the words above.
        seen: what the state shows, where it is neither as before nor as wanted, or why it could not be read.
    """

    about: Unanswered
    found: str
    seen: str = ""

    def __str__(self) -> str:
        return f"{self.about}: {self.found}" + (f": {self.seen}" if self.seen else "")


def unanswered(home: Path, *, under_way: str = "", inputs: CustomerFile | None = None) -> list[Unanswered]:
    """Changing commands of a customer's earlier runs of which nobody knows yet what became of them, oldest first.

    Arguments:
        home: the customer's folder of records.
        under_way: the run that asks; it is left out.
        inputs: the customer file; where given, only runs at the servers that it names count.

    Runs before one that looked for such commands and could read everything are not looked at again.
    """
    found: list[Unanswered] = []
    answered: set[tuple[str, str]] = set()
    for folder in record.folders(home, CHANGING):
        try:
            events = read(folder / record.JOURNAL)
        except RecordError:
            continue  # a broken record is seen by those who list records
        if folder.name == under_way or (inputs is not None and elsewhere(events, inputs)):
            continue
        answered |= {(str(event["of"]), str(event["intent"])) for event in _answers(events)}
        open_ones = [Unanswered(folder, intent) for intent in _open(events)]
        found += [one for one in reversed(open_ones) if (one.folder.name, str(one.intent.get("id"))) not in answered]
        if any(event["event"] == "reconciled" and not event.get("unread") for event in events):
            break
    return found[::-1]


def reconcile(
    inputs: CustomerFile, journal: Journal, records: Path, *, lab: Mapping[str, Any] | None = None
) -> list[Answer]:
    """Look up what became of a customer's unanswered commands, and write it down.

    Arguments:
        inputs: the customer file.
        journal: the journal of the run that begins.
        records: the folder of all records.
        lab: what ``Lab.describe()`` says, where a lab stands for every endpoint named ``lab``.

    Nothing is changed. What cannot be read now is *unread* and looked up again by the next run.
    """
    home = Path(records) / inputs.customer.name
    open_ones = unanswered(home, under_way=journal.path.parent.name, inputs=inputs)
    answers: list[Answer] = []
    for controller in dict.fromkeys(one.intent.get("domain_controller") for one in open_ones):
        site = Site(inputs, journal=journal, records=records, described=lab, controller=controller)
        try:
            answers += [_look_up(one, site) for one in open_ones if one.intent.get("domain_controller") == controller]
        finally:
            site.close()
    for answer in answers:
        folder, intent = answer.about.folder, answer.about.intent
        journal.append(
            "found",
            chapter=intent.get("chapter"),
            step=intent.get("step"),
            about=f"{intent.get('powershell')}",
            found=answer.found,
            differences=[answer.seen] if answer.seen else [],
            of=folder.name,
            intent=intent.get("id"),
            sha256=hashlib.sha256((folder / record.JOURNAL).read_bytes()).hexdigest(),
        )
    unread = sum(answer.found == UNREAD for answer in answers)
    journal.append("reconciled", commands=len(answers), unread=unread)
    return answers


def _look_up(one: Unanswered, site: Site) -> Answer:
    """Read the object of one command, and compare it with what the intent announced."""
    try:
        return _compared(one, site)
    except Exception as error:  # of a record that an older kit wrote, or somebody's hand: every run begins here
        return Answer(one, NOT_TOLD, f"the record tells it in an unknown form ({type(error).__name__}: {error})")


def _compared(one: Unanswered, site: Site) -> Answer:
    told = one.intent.get("resource")
    if not told:
        return Answer(one, NOT_TOLD)
    try:
        resource = recall(told)
        if resource.follows:
            return Answer(one, NOT_TOLD)
        site.step = str(one.intent.get("step") or "")
        channel = resource.channel(site)
        channel.chapter, channel.step = str(one.intent.get("chapter") or ""), site.step
        state = resource.read(channel, fresh=True)
    except (RecordError, HostNotNamed) as error:  # nothing that could be read
        return Answer(one, NOT_TOLD, error.what)
    except UmkitError as error:
        return Answer(one, UNREAD, error.what)
    if isinstance(state, Missed):
        return Answer(one, UNREAD, state.error.what)
    changes = [change for change in changes_of(one.intent) if change["object"] == resource.label]
    return _judged(one, resource, state, changes)


def _judged(
    one: Unanswered, resource: Resource, state: Present | Absent, changes: Iterable[Mapping[str, Any]]
) -> Answer:
    kinds = {prop.name: prop.kind for prop in resource.properties}
    took: list[bool] = []
    seen: list[str] = []
    for change in changes:
        name = str(change["property"])
        if name == "*":  # the whole object was removed
            took.append(isinstance(state, Absent))
            continue
        kind = kinds.get(name)
        if kind is None:
            continue
        if isinstance(state, Absent):
            took.append(False)
            if change["before"] is not None:
                seen.append(f"{name}: it is not there any more")
            continue
        now = state.values.get(name)
        took.append(kind.same(now, change["after"]))
        if not took[-1] and not kind.same(now, change["before"]):
            seen.append(f"{name} = {kind.show(now)}")
    if not took:
        return Answer(one, NOT_TOLD)
    if all(took):
        return Answer(one, TOOK)
    if any(took) or seen:
        return Answer(one, OTHERWISE, "; ".join(seen))
    return Answer(one, DID_NOT)


def _open(events: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Changing intents of one journal without an outcome that says what became of them."""
    waiting: dict[str, Mapping[str, Any]] = {}
    lost: dict[str, set[str]] = {}  # step → its intents whose answer was lost
    for event in events:
        match event["event"]:
            case "intent" if event.get("mutating"):
                waiting[str(event.get("id"))] = event
            case "outcome":
                number = str(event.get("intent"))
                if event.get("outcome") != "unknown":
                    waiting.pop(number, None)
                elif number in waiting:
                    lost.setdefault(str(waiting[number].get("step")), set()).add(number)
            case "found" if "of" not in event and event.get("found") in ("as wanted", "not as wanted"):
                for number in lost.pop(str(event.get("step")), ()):  # the engine read at once, and knew
                    waiting.pop(number, None)
    return list(waiting.values())


def _answers(events: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What a run found of earlier runs' commands, but for what it could not read."""
    return [event for event in events if event["event"] == "found" and "of" in event and event.get("found") != UNREAD]
