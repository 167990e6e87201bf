"""What a run did, object by object, as its journal tells it.

Every changing command's intent names the resource that it was made for. What one run did to one object, in however
many commands, is one :class:`Deed` with the state before the first and after the last of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from umkit import proof, record
from umkit.command import Command
from umkit.customer import LAB, CustomerFile
from umkit.errors import RecordError, UsageError
from umkit.journal import read, select
from umkit.resource import Done, Property, Resource, Verb
from umkit.windows.services import moment

#: Modes whose runs change something.
CHANGING = ("apply", "rollback", "interactive")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass
class Deed:
    """What one run did to one object.

    Arguments:
        chapter: the chapter of its first command.
        step: the step of its first command.
        label: the object.
        endpoint: the endpoint's name.
        intents: the journal's intents, oldest first, without those that the server never took.
        lost: whether the answer to one of them was lost.
        why: why its resource cannot be made again; empty where it can.
        made: all that the object showed as the run left it, where the run made it; none where that is not told.
        ended: when the run wrote its last line.
        used: later steps and runs that relied on the object, one sentence for each run (see :mod:`umkit.since`).
        although: whether a person said that it is taken back although somebody changed it since.
    """

    chapter: str
    step: str
    label: str
    endpoint: str
    intents: list[Mapping[str, Any]] = field(default_factory=list)
    resources: list[Resource] = field(default_factory=list)
    lost: bool = False
    why: str = ""
    made: Mapping[str, Any] | None = None
    ended: datetime | None = None
    used: Sequence[str] = ()
    although: bool = False

    @property
    def undoes(self) -> bool:
        """Whether it took back what an earlier run had done."""
        return any(_told(intent).get("undoes") for intent in self.intents)

    @property
    def steps(self) -> list[str]:
        """The steps that had a part in it."""
        return list(dict.fromkeys(str(intent.get("step")) for intent in self.intents))

    @property
    def resource(self) -> Resource:
        """The resource that the object is read and put back with."""
        named = {change["property"] for change in self.changes if change["object"] == self.label}
        return next((each for each in self.resources if named - set(each.stays)), self.resources[0])

    @property
    def changes(self) -> list[Mapping[str, Any]]:
        """Every change that the intents announce, oldest first."""
        return [change for intent in self.intents for change in changes_of(intent)]

    def property_named(self, name: str) -> Property | None:
        """A property by its name, of any of the resources that had a part in it."""
        return next((prop for each in self.resources for prop in each.properties if prop.name == name), None)

    def done(self) -> Done:
        """The state before the first command and after the last one."""
        verbs = [str(_told(intent).get("verb")) for intent in self.intents]
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}
        whole: Mapping[str, Any] | None = None
        for change in self.changes:
            if change["object"] != self.label:
                continue
            if change["property"] == "*":
                if whole is None and not after and isinstance(change["before"], Mapping):
                    whole = change["before"]
                after.clear()
                continue
            before.setdefault(change["property"], change["before"])
            after[change["property"]] = change["after"]
        # what a rollback made again had nothing before
        again = verbs[0] == "replace" and whole is None and all(value is None for value in before.values())
        verb: Verb = "create" if verbs[0] == "create" or again else "update"
        if verb != "create" and whole is not None:
            # a server spells some names in other letters than its cmdlets: CpaMaxConcurrency
            named = {prop.name.casefold(): prop.name for each in self.resources for prop in each.properties}
            verb, before = "replace", {named.get(name.casefold(), name): value for name, value in whole.items()}
        return Done(verb, before, after, [command_of(intent) for intent in self.intents], self.changes)


def deeds(events: Iterable[Mapping[str, Any]], chapters: Collection[str] = (), step: str = "") -> list[Deed]:
    """What a run did, the object that it began with last first.

    Arguments:
        events: the run's journal.
        chapters: only what these chapters did; everything without any.
        step: only what this step did; everything without one.
    """
    events = list(events)
    made = _made(events)
    ended = moment(events[-1].get("time")) if events else None
    found: dict[tuple[str, ...], Deed] = {}
    for intent, outcome in _sent(events):
        chapter, own = str(intent.get("chapter") or ""), str(intent.get("step") or "")
        if (chapters and chapter not in chapters) or (step and own != step):
            continue
        resource, label, why = _object_of(intent)
        key = (str(intent.get("endpoint")), label, _family(resource))
        new = Deed(chapter, own, label, key[0], why=why, made=made.get(label), ended=ended)
        deed = found.setdefault(key, new)
        deed.intents.append(intent)
        deed.lost |= outcome != "done"
        if resource is not None:
            deed.resources.append(resource)
    return [deed for deed in reversed(found.values()) if not _came_and_went(deed)]


def changes_of(intent: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What an intent says that its command changes: ``object, property, before, after`` each."""
    told = intent.get("changes")
    return [change for change in told if isinstance(change, Mapping)] if isinstance(told, list) else []


def recall(told: Mapping[str, Any]) -> Resource:
    """The resource that an intent names, made again.

    Raises ``RecordError`` when there is no such resource, or it is not made like that.
    """
    module, _, name = str(told.get("class", "")).partition(".")
    try:
        if not module.isidentifier():
            raise ValueError(f"{module} is no module of the resources")
        kind = getattr(import_module(f"umkit.resources.{module}"), name)
        if not (isinstance(kind, type) and issubclass(kind, Resource)):
            raise ValueError(f"{name} is no resource")
        return kind(**told["given"])
    except (ImportError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise RecordError(
            "the resource that the record names cannot be made again", seen=f"{told.get('class')}: {error}"
        ) from error


def command_of(intent: Mapping[str, Any]) -> Command:
    """An intent's command, without the domain controller of its run."""
    command = Command.from_json(intent["command"])
    parameters = {name: value for name, value in command.parameters.items() if name != "DomainController"}
    return Command(command.name, parameters, command.arguments)


def elsewhere(events: Iterable[Mapping[str, Any]], inputs: CustomerFile) -> bool:
    """Whether a run was a rehearsal in the lab and the customer file speaks of real servers, or the other way round.

    A rehearsal is kept beside the customer's own runs, and says nothing of the customer's servers.
    """
    url = next((str(event["url"]) for event in events if event["event"] == "session"), "")
    if not url or not inputs.has("exchange"):
        return False
    endpoint = str(inputs.exchange.endpoint)
    here = endpoint == LAB or urlsplit(endpoint).hostname in _LOOPBACK
    return (urlsplit(url).hostname in _LOOPBACK) != here


def find(records: Path, inputs: CustomerFile, run: str | None = None) -> Path:
    """The record of a run of one customer; without its name the customer's newest apply.

    Arguments:
        records: the folder of all records.
        inputs: the customer file.
        run: the run's id, the beginning of one that no other has, or the record's path.

    Raises ``UsageError`` when there is none, when it is another customer's, or a rehearsal in the lab.
    """
    customer = inputs.customer.name
    home = Path(records) / customer
    if run is not None:
        folder = proof.find(run if "/" in run or "\\" in run else f"{customer}/{run}", records)
        if folder.parent.name != customer:
            raise UsageError(f"{folder.name} is a run of {folder.parent.name}, not of {customer}")
        if elsewhere(_session(folder), inputs):
            raise UsageError(
                f"{folder.name} was not at the servers that the customer file names: one is the lab, the other is not",
                where={"file": str(folder)},
                next="name a run at these servers: umkit records list",
            )
        return folder
    applies = (folder for folder in record.folders(home, ["apply"]) if not elsewhere(_session(folder), inputs))
    if (newest := next(applies, None)) is None:
        raise UsageError(f"{customer} has no record of an apply", where={"folder": str(home)})
    return newest


def untrue(folder: Path) -> list[str]:
    """What speaks against believing a record's journal; nothing where it is as it was written.

    A run that was killed leaves no manifest, and perhaps half a last line: that alone is no reason.
    """
    sealed = (folder / record.MANIFEST).is_file()
    found = [finding for finding in record.verify(folder) if not finding.explained]
    found = [finding for finding in found if finding.startswith((record.JOURNAL, record.MANIFEST))]
    if not sealed:
        lines = (folder / record.JOURNAL).read_bytes().splitlines()
        last = f"{record.JOURNAL} line {len(lines)}:"
        found = [finding for finding in found if not finding.startswith((record.MANIFEST, last))]
    return [str(finding) for finding in found]


def events_of(folder: Path) -> list[dict[str, Any]]:
    """The events of a record that can be believed.

    Raises ``RecordError`` when the record was changed after it was written.
    """
    if problems := untrue(folder):
        raise RecordError(
            f"the record of {folder.name} was changed after it was written",
            where={"file": str(folder)},
            seen="; ".join(problems[:3]),
            next="take a copy of the record that is whole; nothing is taken back on the word of this one",
        )
    return read(folder / record.JOURNAL)


def _session(folder: Path) -> list[dict[str, Any]]:
    try:
        return select(folder / record.JOURNAL, ("session",))
    except RecordError:
        return []


def _told(intent: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an intent says of the resource that it was made for."""
    told = intent.get("resource")
    return told if isinstance(told, Mapping) else {}


def _made(events: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Object → all that it showed when the run had made it, with what the run itself set of it after that."""
    made: dict[str, dict[str, Any]] = {}
    for event in events:
        if event["event"] != "left":
            continue
        label, values = str(event.get("object")), event.get("values")
        if isinstance(event.get("besides"), Mapping):
            made[label] = dict(event["besides"])
        elif label in made and isinstance(values, Mapping):
            shown = {name.casefold(): name for name in made[label]}
            made[label] |= {shown.get(str(name).casefold(), str(name)): value for name, value in values.items()}
    return made


def _object_of(intent: Mapping[str, Any]) -> tuple[Resource | None, str, str]:
    """The resource of an intent, the object's name, and why the resource cannot be made again.

    A record may be of an older kit, or edited by hand and sealed anew: what cannot be understood is for a person.
    """
    why = "the record does not say which resource it was made for"
    try:
        if intent.get("resource"):
            resource, _ = recall(intent["resource"]), command_of(intent)
            for change in intent.get("changes") or ():
                _ = [change[name] for name in ("object", "property", "before", "after")]
            return resource, resource.label, ""
    except RecordError as error:
        why = f"{error.what}: {error.seen}"
    except Exception as error:
        why = f"the record tells it in a form that is not known here ({type(error).__name__}: {error})"
    named = [str(change["object"]) for change in changes_of(intent) if "object" in change]
    return None, (named or [str(intent.get("powershell") or "a command")])[0], why


def _sent(events: Iterable[Mapping[str, Any]]) -> Sequence[tuple[Mapping[str, Any], str]]:
    """Changing commands that the server took or may have taken, each with its outcome."""
    sent: list[tuple[Mapping[str, Any], str]] = []
    waiting: dict[str, int] = {}
    for event in events:
        if event["event"] == "intent" and event.get("mutating"):
            waiting[str(event.get("id"))] = len(sent)
            sent.append((event, "unknown"))
        elif event["event"] == "outcome" and (place := waiting.pop(str(event.get("intent")), None)) is not None:
            sent[place] = (sent[place][0], str(event.get("outcome")))
    return [(intent, outcome) for intent, outcome in sent if outcome in ("done", "unknown")]


def _came_and_went(deed: Deed) -> bool:
    """Whether it was a temporary file of the kit's own, which no resource stands for."""
    last = deed.changes[-1:] if not any(intent.get("resource") for intent in deed.intents) else []
    return bool(last) and last[0].get("property") == "*" and "after" in last[0] and last[0]["after"] is None


def _family(resource: Resource | None) -> str:
    """What two classes have in common that read the same object in the same way."""
    kinds = [kind for kind in type(resource).__mro__ if issubclass(kind, Resource)]
    return kinds[-2].__name__ if resource is not None else ""
