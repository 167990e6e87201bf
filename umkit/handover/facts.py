"""What a handover tells of a run, as plain values; :mod:`umkit.handover.gather` brings them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from umkit.attestation import Attestation
from umkit.outcome import Result, worst
from umkit.sealing import Signature


@dataclass(frozen=True)
class Change:
    """One property of one object: what it was, what it was set to.

    Arguments:
        object: the object, for example ``remote domain fax``.
        property: the property's name; ``*`` for the whole object.
        before: the value before, as a table shows it.
        after: the value after.
        created: whether the object was not there before.
        removed: whether the whole object was removed; ``before`` then has all its values.
        lasting: whether it can be set back at all.
    """

    object: str
    property: str
    before: str
    after: str
    created: bool = False
    removed: bool = False
    lasting: bool = True


@dataclass(frozen=True)
class Sent:
    """One changing command that was sent, or was to be.

    Arguments:
        step: the step that sent it.
        endpoint: where to.
        powershell: its text.
        line: the journal's line that announces it.
        time: when, UTC.
        outcome: ``done``, ``refused``, ``not sent`` or ``unknown``.
        found: what reading found after a lost answer, ``as wanted`` or ``not as wanted``; else empty.
        error: why it was not done; empty where it was.
        changes: what it was to change.
        undone: whether nothing is left of it, because it was taken back in the same run, or took something back.
    """

    step: str
    endpoint: str
    powershell: str
    line: int
    time: datetime
    outcome: str
    found: str = ""
    error: str = ""
    changes: Sequence[Change] = ()
    undone: bool = False

    @property
    def took(self) -> bool:
        """Whether the server did it, as far as anybody knows."""
        return self.outcome == "done" or self.found == "as wanted"


@dataclass(frozen=True)
class Seen:
    """One thing that a step found: its result, a sentence, the next action."""

    result: Result
    text: str
    next: str = ""


@dataclass(frozen=True)
class StepFacts:
    """One step as its last event in the journal tells it, and what a person said about it.

    Arguments:
        where: whose machine it concerns, as the chapters have it; empty where they do not know the step.
        differences: ``object, property, now, wanted`` of what differed when the step began.
        error: the parts of the error that ended it, with ``what`` first and a ``where host`` for each part of its
            place; empty without one.
        attestation: the newest word of a person for it.
        problems: what is wrong with that word or its evidence.
        later: whether the person spoke after the step had run.
    """

    id: str
    title: str
    kind: str
    result: Result
    time: datetime
    findings: Sequence[Seen] = ()
    differences: Sequence[Mapping[str, str]] = ()
    error: Mapping[str, str] = field(default_factory=dict)
    attestation: Attestation | None = None
    evidence: Path | None = None
    problems: Sequence[str] = ()
    later: bool = False
    where: str = ""

    @property
    def standing(self) -> Result:
        """The result today: a person's word that came after the run closes a step that waited for nothing else."""
        if not self.later or self.problems or self.result != "open":
            return self.result
        return worst(seen.result for seen in self.findings if seen.result != "open")


@dataclass(frozen=True)
class ChapterFacts:
    """One chapter: its steps in order and the changing commands that it sent.

    Arguments:
        missed: ``id, title`` of each step that was not reached, because the chapter ended before.
    """

    name: str
    title: str
    result: Result
    steps: Sequence[StepFacts] = ()
    sent: Sequence[Sent] = ()
    error: Mapping[str, str] = field(default_factory=dict)
    missed: Sequence[tuple[str, str]] = ()

    @property
    def took(self) -> list[Sent]:
        """What was really changed, without what was made and removed again within one step."""
        gone = {change.object for sent in self.sent for change in sent.changes if sent.took and change.removed}
        made = {change.object for sent in self.sent for change in sent.changes if sent.took and _is_making(change)}
        return [s for s in self.sent if s.took and not s.undone and not _all_in(s.changes, gone & made)]

    @property
    def momentary(self) -> list[str]:
        """Objects that were made and removed again: files for a tool's output."""
        kept = {id(sent) for sent in self.took}
        gone = [sent for sent in self.sent if sent.took and not sent.undone and id(sent) not in kept]
        return list(dict.fromkeys(change.object for sent in gone for change in sent.changes))


@dataclass(frozen=True)
class RunFacts:
    """One run, with everything that its handover tells.

    Arguments:
        inputs: the customer file's values as they were used; empty where they cannot be read.
        sessions: ``endpoint, account, protocol`` of each endpoint that was spoken to.
        ended: when the run ended; the journal's last event where no end is written yet.
        files: the record's files, each with its SHA-256.
        last_line: number and SHA-256 of the journal's last line.
        manifest: SHA-256 of the manifest; empty while the record is not sealed.
        signatures: the signatures over the manifest, each as it was found to be.
        problems: what the journal's chain shows that should not be.
    """

    folder: Path
    run: str
    customer: str
    mode: str
    kit: str
    account: str
    workstation: str
    result: Result
    started: datetime
    ended: datetime
    chapters: Sequence[ChapterFacts]
    inputs: Mapping[str, Any]
    sessions: Sequence[tuple[str, str, str]]
    controllers: Sequence[str]
    files: Mapping[str, str]
    last_line: tuple[int, str]
    manifest: str = ""
    signatures: Sequence[Signature] = ()
    problems: Sequence[str] = ()

    def input(self, *path: str) -> Any:
        """One value of the customer file by its path of keys; ``None`` where there is none."""
        value: Any = self.inputs
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    @property
    def steps(self) -> list[StepFacts]:
        """Every step of every chapter."""
        return [step for chapter in self.chapters for step in chapter.steps]

    @property
    def missed(self) -> list[tuple[str, str]]:
        """Every step that was not reached."""
        return [step for chapter in self.chapters for step in chapter.missed]


def _is_making(change: Change) -> bool:
    return change.property == "*" and change.created


def _all_in(changes: Sequence[Change], objects: set[str]) -> bool:
    return bool(changes) and all(change.object in objects for change in changes)
