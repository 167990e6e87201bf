"""What must hold when a connection breaks at any request: the scenes, the faults, and what is judged afterwards."""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import os
import shutil
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import in_process
import yaml

from umkit import record
from umkit.attestation import attest
from umkit.chapters import chapter as chapter_info
from umkit.customer import CustomerFile, load
from umkit.errors import UmkitError
from umkit.headless import RunSummary
from umkit.journal import read
from umkit.lab import Lab, server
from umkit.lab import organisation as organisations
from umkit.lab.organisation import Organisation
from umkit.lab.wire import site as lab_site
from umkit.lab.wire.faults import Faults

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = tuple(path.stem for path in sorted((ROOT / "runbooks").glob("*.ipynb")))
FAULTS = ("drop-before", "drop-after", "lose-shell")
CUSTOMER = ROOT / "tests" / "parameters" / "crash.yaml"
_SHIPPED = ROOT / "umkit" / "lab" / "organisations" / "clean-2019-dag.yaml"
#: Times, counters, process ids and what identifies an object for life: no two runs have them alike.
_VOLATILE = {"Guid", "ExchangeGuid", "pid", "started", "start_count", "stop_count", "WhenMailboxCreated"} | {
    f"When{what}{zone}" for what in ("Changed", "Created") for zone in ("", "UTC")
}
#: What somebody left behind: objects that must be mended or replaced, not only made.
_LEFT_BEHIND: dict[str, list[dict[str, Any]]] = {
    "SendConnector": [
        {
            "Name": "XPhone Connect fax",
            "AddressSpaces": ["SMTP:fax.alleo.intern;1"],
            "SmartHosts": ["10.1.2.31"],
            "DNSRoutingEnabled": False,
            "Port": 25,
            "SourceTransportServers": ["EX01"],
        }
    ],
    "RemoteDomain": [{"Name": "sms", "DomainName": "sms.alleo.local", "NDREnabled": False}],
    "ReceiveConnector": [
        {
            "Name": "XPhone Connect relay",
            "Server": "EX01",
            "TransportRole": "HubTransport",
            "Bindings": ["0.0.0.0:2500"],
            "RemoteIPRanges": ["10.1.2.0/24"],
            "PermissionGroups": "AnonymousUsers",
        }
    ],
    "ThrottlingPolicy": [
        {"Name": "NoThrottlingPolicy", "RcaMaxConcurrency": "Unlimited", "EwsMaxConcurrency": "10"},
    ],
}
_GROUP = {"name": "EwsImpersonationRoleGroup", "roles": ["Mail Recipients"], "members": ["aberger"]}


class Watched(Faults):
    """The lab's faults, which also say at which requests something changing came, and call at a request."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.changing: list[int] = []
        self.calls: dict[int, Callable[[], None]] = {}

    @property
    def requests(self) -> int:
        return self._requests

    def on_request(self) -> str | None:
        action = super().on_request()
        if (call := self.calls.pop(self._requests, None)) is not None:
            call()
        return action

    def on_mutation(self) -> str | None:
        self.changing.append(self._requests)
        return super().on_mutation()


@dataclass
class Place:
    """A running lab with a copy of an organisation, and what it received."""

    lab: Lab
    faults: Watched
    trace: Path

    @property
    def organisation(self) -> Organisation:
        found = self.lab._organisation
        assert found is not None
        return found

    def received(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.trace.read_text("utf-8").splitlines()]


def founded(folder: Path) -> Organisation:
    """The organisation to begin with: the clean one, with a few things that somebody left behind."""
    values = yaml.safe_load(_SHIPPED.read_text("utf-8"))
    values["groups"].append(_GROUP)
    for noun, objects in _LEFT_BEHIND.items():
        values["objects"][noun] = [*values["objects"].get(noun, []), *objects]
    file = folder / "organisation.yaml"
    file.write_text(yaml.safe_dump(values, allow_unicode=True), "utf-8")
    with in_process.Clock.at_work():  # its machines take the clock that they are made with
        return organisations.load(file)


def copied(organisation: Organisation) -> Organisation:
    """A copy that shares nothing that changes."""
    with organisation.lock:
        shared: dict[int, Any] = {id(organisation.lock): threading.RLock()}
        shared |= {id(module): module for module in organisation._modules.values() if isinstance(module, ModuleType)}
        return copy.deepcopy(organisation, shared)


@contextlib.contextmanager
def laid_out(organisation: Organisation, folder: Path) -> Iterator[Place]:
    """A lab with a copy of the organisation, on its own addresses."""
    trace = folder / "trace.jsonl"
    with (
        mock.patch.object(server, "load", return_value=copied(organisation)),
        mock.patch.object(lab_site, "Faults", Watched),
    ):
        lab = Lab(trace=trace).start()
    try:
        running = lab._running_site().faults
        assert isinstance(running, Watched)
        yield Place(lab, running, trace)
    finally:
        lab.stop()


def flat(state: Any, path: str = "") -> dict[str, Any]:
    """The lab's state as one table, path → value, without what no two runs have alike."""
    if isinstance(state, dict):
        pairs = [(f"{path}/{key}", value) for key, value in state.items() if key not in _VOLATILE | {"pending"}]
    elif isinstance(state, list) and state and all(isinstance(each, dict) for each in state):
        names = [f"{each.get('Server', '')}/{each.get('Identity', '')}" for each in state]
        if len(set(names)) < len(names):  # entries of an access list have no name of their own
            return {f"{path}/{json.dumps(flat(each), sort_keys=True)}": True for each in state}
        pairs = [(f"{path}/{name}", each) for name, each in zip(names, state, strict=True)]
    else:
        return {path: state}
    return {key: value for name, part in pairs for key, value in flat(part, name).items()}


@dataclass
class Scene:
    """A chapter, or one step of it, from a certain state of the organisation on.

    Arguments:
        chapter: the chapter's name.
        step: its only step; empty for the whole chapter.
        begin: the organisation before it.
    """

    chapter: str
    step: str
    begin: Organisation
    #: The lab's state at the end of an undisturbed run.
    end: dict[str, Any] = field(default_factory=dict)
    #: Step → what it changes: path → the values that it may have from then on.
    marks: dict[str, dict[str, tuple[Any, ...]]] = field(default_factory=dict)
    #: Step → its result when all has been done before.
    settled: dict[str, str] = field(default_factory=dict)
    #: HTTP requests of an undisturbed run, and those that complete a changing command, each with its cmdlet.
    requests: int = 0
    changing: list[tuple[int, str]] = field(default_factory=list)
    #: Step → the organisation before it.
    steps: dict[str, Organisation] = field(default_factory=dict)
    #: Step → the changing cmdlets that it sends.
    sends: dict[str, set[str]] = field(default_factory=dict)

    @property
    def carrying(self) -> list[tuple[int, str]]:
        """Requests that carry a changing command or bring its answer, each with the cmdlet."""
        return [(at, name) for first, name in self.changing for at in (first, first + 1)]

    def alone(self, stage: Stage, *, without: Collection[str] = ()) -> Iterator[Scene]:
        """Its steps that change something, each as a scene of its own; needs ``scenes(steps=True)``.

        Arguments:
            stage: where they are played.
            without: a step that sends only these cmdlets is left out.
        """
        for step, begin in self.steps.items():
            if self.sends[step] <= set(without):
                continue
            scene = Scene(self.chapter, step, begin)
            stage.rehearse(scene)
            yield scene


@dataclass
class Verdict:
    """What became of one case.

    Arguments:
        error: whether the run ended with an error; else it went on.
        problems: what must not be; none when all is well.
    """

    error: bool
    repeated: int
    problems: list[str]


class Stage:
    """Where scenes are played: a customer, a folder for records, and the undisturbed runs to compare with.

    Arguments:
        folder: for everything that is written; each case's part is removed when it went well.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0
        os.environ.setdefault("UMKIT_CRASH_INITIAL", "Anfang-4711-geheim")
        self.inputs: CustomerFile = load(CUSTOMER)

    def scenes(self, *, steps: bool = False) -> Iterator[Scene]:
        """Every chapter in its order, each from where the ones before it end.

        Arguments:
            steps: keep the organisation before each step that changes something.
        """
        begin = founded(self.folder)
        for chapter in CHAPTERS:
            scene = Scene(chapter, "", begin)
            begin = self.rehearse(scene, steps=steps)
            yield scene

    def rehearse(self, scene: Scene, *, steps: bool = False) -> Organisation:
        """Play a scene undisturbed, twice, and keep what others are compared with; returns the organisation's end."""
        now: dict[str, Any] = {}
        after: dict[str, dict[str, Any]] = {}
        kept: dict[str, Organisation] = {}
        sent: dict[str, int] = {}
        sending = {step.id for step in chapter_info(scene.chapter).steps if step.kind not in ("info", "probe")}
        with self.case() as folder, laid_out(scene.begin, folder) as place:

            def before(cell: str) -> None:
                if steps and cell in sending:
                    kept[cell] = copied(place.organisation)

            def changed(cell: str) -> None:
                nonlocal now
                if len(place.faults.changing) > sum(sent.values()):
                    found = flat(place.lab.state())
                    after[cell] = {path: found.get(path) for path in found | now if found.get(path) != now.get(path)}
                    now = found
                    sent[cell] = len(place.faults.changing) - sum(sent.values())

            now = flat(place.lab.state())
            summary, error = self._run(scene, place, folder, before=before, after=changed)
            assert error is None, error
            scene.requests, numbers = place.faults.requests, list(place.faults.changing)
            names = [line["commands"][0]["name"] for line in place.received() if line["mutating"]]
            scene.changing = list(zip(numbers, names, strict=True))
            scene.end = now
            waiting = iter(names)
            scene.sends = {cell: set(itertools.islice(waiting, number)) for cell, number in sent.items()}
            end = copied(place.organisation)
            again, error = self._run(scene, place, folder)
            assert error is None, error
            assert not any(step["changes"] for step in _steps(again).values()), again
            scene.settled = calm(again.as_dict()["chapters"])
            assert calm(summary.as_dict()["chapters"]) == scene.settled
            assert flat(place.lab.state()) == scene.end
        scene.marks = {
            step: {path: (value, scene.end.get(path)) for path, value in after[step].items()}
            for step in _steps(summary)
            if after.get(step)
        }
        scene.steps = {step: kept[step] for step in scene.sends if step in kept}
        return end

    def play(self, scene: Scene, fault: str, at: int) -> Verdict:
        """Play a scene with a fault at one request, then once more undisturbed; judge both."""
        with self.case() as folder, laid_out(scene.begin, folder) as place:
            place.lab.set_faults([{"at_request": at, "do": fault}])
            first, error = self._run(scene, place, folder)
            left = flat(place.lab.state())
            place.lab.set_faults([])
            second, stopped = self._run(scene, place, folder)
            found = flat(place.lab.state())
            received = place.received()
            problems = [*_claims(scene, first, left), *_records(first), *_records(second)]
            if error is not None:
                problems += _clear(error)
            if stopped is not None:
                problems.append(f"the following apply failed: {stopped}")
            problems += differences(found, scene.end)
            ended = calm(second.as_dict()["chapters"])
            problems += [f"{name} ends as {ended.get(name)}, not as {was}" for name, was in scene.settled.items()
                         if ended.get(name) != was]  # fmt: skip
            again = repeated(received)
            problems += [f"sent twice without a read between: {each}" for each in again]
            problems += unexplained(read(first.record / "journal.jsonl"))
            if problems:
                kept = self.folder / f"bad-{scene.chapter}-{scene.step}-{fault}-{at}"
                shutil.copytree(folder, kept, dirs_exist_ok=True)
            return Verdict(error is not None, len(again), problems)

    def _run(self, scene: Scene, place: Place, folder: Path, **more: Any) -> tuple[RunSummary, BaseException | None]:
        records = folder / "records"
        self.attest(scene, records)
        with in_process.Clock.at_work():
            return in_process.run(
                self.inputs,
                "apply",
                scene.chapter,
                records=records,
                lab=place.lab.describe(),
                steps=(scene.step,) if scene.step else (),
                **more,
            )

    def attest(self, scene: Scene, records: Path) -> None:
        """What a person has to say before the password's change can be gone through at once."""
        if scene.chapter.startswith("20") and not records.exists():
            for step in ("PWD-1", "PWD-3", "PWD-4", "PWD-5"):
                attest(records, self.inputs.customer.name, step, who="the lab")

    @contextlib.contextmanager
    def case(self) -> Iterator[Path]:
        """A folder for one case; it is left where the case broke off."""
        self._count += 1
        folder = self.folder / f"case-{self._count}"
        folder.mkdir(parents=True)
        yield folder
        shutil.rmtree(folder, ignore_errors=True)


def repeated(received: list[dict[str, Any]]) -> list[str]:
    """Changing commands that a host took twice with nothing read there in between."""
    unread: dict[str, set[str]] = {}
    found = []
    for line in received:
        sent = unread.setdefault(f"{line['endpoint']} {line['host']}", set())
        if not line["mutating"]:
            sent.clear()
            continue
        key = json.dumps(line["commands"], sort_keys=True)
        if key in sent:
            found.append(f"{line['host']}: {key}")
        sent.add(key)
    return found


def unexplained(events: list[dict[str, Any]]) -> list[str]:
    """What the journal leaves open: intents without outcome, lost changing commands after which nothing was read."""
    problems = []
    intents = {event["id"]: event for event in events if event["event"] == "intent"}
    outcomes = {event["intent"]: event for event in events if event["event"] == "outcome"}
    problems += [f"no outcome of {intent['powershell']}" for key, intent in intents.items() if key not in outcomes]
    for key, outcome in outcomes.items():
        intent = intents[key]
        if not intent["mutating"] or outcome["outcome"] != "unknown":
            continue
        later = [event for event in events if event["seq"] > outcome["seq"] and event.get("step") == intent["step"]]
        if not any(event["event"] == "found" for event in later):
            problems.append(f"nothing says what was found after the answer was lost: {intent['powershell']}")
    return problems


def _claims(scene: Scene, summary: RunSummary, state: dict[str, Any]) -> list[str]:
    """Steps that are called done, but whose properties the lab has otherwise."""
    done = [name for name, step in _steps(summary).items() if step["result"] in ("ok", "changed")]
    return [
        f"{name} is called done, but {path} is {state.get(path)!r}, not one of {allowed}"
        for name in done
        for path, allowed in scene.marks.get(name, {}).items()
        if state.get(path) not in allowed
    ]


def _records(summary: RunSummary) -> list[str]:
    return [f"{summary.run}: {finding}" for finding in record.verify(summary.record)]


def _clear(error: BaseException) -> list[str]:
    if not isinstance(error, UmkitError):
        return [f"no error of ours: {type(error).__name__}: {error}"]
    return [] if error.what and error.next and error.where else [f"no clear error: {error!r} {error.as_dict()}"]


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """What one state has otherwise than another."""
    return [
        f"{path} is {found.get(path)!r}, not {wanted.get(path)!r}"
        for path in sorted(found | wanted)
        if found.get(path) != wanted.get(path)
    ]


def _steps(summary: RunSummary) -> dict[str, dict[str, Any]]:
    return {step["id"]: step for chapter in summary.as_dict()["chapters"] for step in chapter["steps"]}


def calm(chapters: list[dict[str, Any]]) -> dict[str, str]:
    """Each step's result as it is when nothing was left to do."""
    steps = [step for chapter in chapters for step in chapter["steps"]]
    return {step["id"]: "ok" if step["result"] == "changed" else step["result"] for step in steps}
