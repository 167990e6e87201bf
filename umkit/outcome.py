"""What a step found, would do or did: rows, findings and the step's result."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from umkit.command import Command
from umkit.errors import UmkitError
from umkit.kinds import TEXT, Kind

Result = Literal["ok", "changed", "differs", "open", "blocked", "failed", "unknown"]

#: Results from best to worst; a chapter is as good as its worst step (design §4.2).
RESULTS: tuple[Result, ...] = ("ok", "changed", "open", "differs", "blocked", "failed", "unknown")

#: How a step ended, as a person would say it.
WORDS: Mapping[str, str] = {
    "ok": "as wanted",
    "changed": "changed and read back",
    "differs": "differs",
    "open": "open: a person must act or look",
    "blocked": "blocked",
    "failed": "failed",
    "unknown": "unknown: read before anything else",
}


class Say(Protocol):
    """The words of what was found, in a reader's language."""

    def text(self, message: str) -> str:
        """A label or a state."""

    def title(self, text: str) -> str:
        """A step's title."""

    def thing(self, text: str) -> str:
        """The name of an object."""

    def value(self, text: str) -> str:
        """A value as the table shows it."""

    def finding(self, text: str) -> str:
        """A sentence about what was found."""


class AsItIs:
    """English, as everything is said by itself."""

    def text(self, message: str) -> str:
        """The same."""
        return message

    title = thing = value = finding = text


def worst(results: Iterable[Result]) -> Result:
    """The worst of several results; ``ok`` when there is none."""
    return max(results, key=RESULTS.index, default="ok")


@dataclass(frozen=True)
class Row:
    """One property of one object: what it is now and what is wanted.

    Arguments:
        thing: the object, for example ``remote domain fax``.
        property: the property's name.
        number: its number in the vendor's page, where it has one.
        now: the present value; ``None`` is a value of its own.
        wanted: the wanted value.
        same: whether the two are the same by the property's kind.
        note: what a reader must know about this row.
        kind: how both values are shown.
        exists: whether the object was there.
        changed: whether it was changed since, and read back as wanted.
    """

    thing: str
    property: str
    now: Any
    wanted: Any
    same: bool
    number: int | None = None
    note: str = ""
    kind: Kind = TEXT
    exists: bool = True
    changed: bool = False

    @builtins.property  # a row has a property of its own
    def shown_now(self) -> str:
        """The present value as a table shows it."""
        return self.kind.show(self.now) if self.exists else "(not there yet)"

    @builtins.property
    def shown_wanted(self) -> str:
        """The wanted value as a table shows it."""
        return self.kind.show(self.wanted)


@dataclass(frozen=True)
class Finding:
    """One thing a check or a probe found.

    Arguments:
        result: ``ok``, or what is the matter.
        text: one sentence.
        next: what to do about it; empty where nothing is to do.
        unseen: whether it could not be looked at; then a person's word stands against nothing.
    """

    result: Result
    text: str
    next: str = ""
    unseen: bool = False


@dataclass
class Report:
    """What a check or a probe brings back.

    Arguments:
        findings: what was found, at least one.
        rows: what was read, property by property.
        notes: what a reader should know besides.
    """

    findings: list[Finding] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, result: Result, text: str, next: str = "") -> None:
        """Add one finding."""
        self.findings.append(Finding(result, text, next))

    def add_unseen(self, text: str, next: str = "") -> None:
        """Add that something could not be looked at: *open*, and no contradiction to a person's word."""
        self.findings.append(Finding("open", text, next, unseen=True))


@dataclass
class StepOutcome:
    """How one step ended, with everything a reader needs to believe it.

    Arguments:
        step: the step's id, for example ``FMT-3``.
        title: the step in a few words.
        kind: ``configure``, ``check``, ``manual``, ``probe`` or ``info``.
        mode: the mode it ran in.
        commands: changing commands that the server took.
        would: changing commands that would be sent.
        called: whether the step is called for at this customer.
        acts: what looking at it does to the customer's systems; empty where it only reads.
    """

    step: str
    title: str
    kind: str
    mode: str
    result: Result = "ok"
    rows: list[Row] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    would: list[Command] = field(default_factory=list)
    changes: int = 0
    error: UmkitError | None = None
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    called: bool = True
    acts: str = ""

    @property
    def summary(self) -> str:
        """One line for the terminal and the journal."""
        return self.said(AsItIs())

    def said(self, say: Say) -> str:
        """The summary in a reader's language."""
        if not self.called:
            return say.text("not called for here")
        if self.error is not None:
            next = self.error.next and f"{say.text('next')}: {say.finding(self.error.next)}"
            parts = (say.finding(self.error.what), self.error.seen, next)
            return "; ".join(dict.fromkeys(part for part in parts if part))
        bad = [say.finding(finding.text) for finding in self.findings if finding.result != "ok"]
        if bad:
            return "; ".join(bad)
        if self.result == "differs":
            return "; ".join(_differing(self.rows, say))
        if self.changes == 1:
            return say.text("1 property changed and read back")
        if self.changes:
            return say.text("{number} properties changed and read back").replace("{number}", str(self.changes))
        return say.text(WORDS[self.result])

    def as_event(self) -> dict[str, Any]:
        """The step's fields for the journal's ``step`` event (design §4.2, §4.5)."""
        event: dict[str, Any] = {
            "step": self.step,
            "kind": self.kind,
            "title": self.title,
            "result": self.result,
            "changes": self.changes,
            "summary": self.summary,
            "seconds": round(self.seconds, 3),
        }
        differing = [row for row in self.rows if not row.same]
        if differing:
            event["differences"] = [
                {"object": row.thing, "property": row.property, "now": row.shown_now, "wanted": row.shown_wanted}
                for row in differing
            ]
        if self.findings:
            event["findings"] = [
                {"result": f.result, "text": f.text} | ({"next": f.next} if f.next else {}) for f in self.findings
            ]
        if self.error is not None:
            event["error"] = self.error.as_dict()
        return event

    def __str__(self) -> str:
        lines = [f"{self.step} {self.title}: {WORDS[self.result] if self.called else 'not called for here'}"]
        for row in self.rows:
            mark = "=" if row.same else "✎" if row.changed else "≠"
            number = f"{row.number}. " if row.number else ""
            shown = row.shown_now if row.same else f"{row.shown_now} → {row.shown_wanted}"
            lines.append(
                f"  {mark} {number}{row.thing}: {row.property}: {shown}" + (f" ({row.note})" if row.note else "")
            )
        lines += [f"  {finding.result}: {finding.text}" for finding in self.findings]
        lines += [f"  {note}" for note in self.notes]
        lines += [f"  sent{command.place}: {command}" for command in self.commands]
        lines += [f"  would send{command.place}: {command}" for command in self.would]
        if self.error is not None:
            lines.append(str(self.error))
        return "\n".join(lines)

    __repr__ = __str__


def _differing(rows: Iterable[Row], say: Say, most: int = 4) -> list[str]:
    """What differs, an object at a time: the first few properties, or that the object is not there."""
    by_thing: dict[str, list[Row]] = {}
    for row in rows:
        if not row.same:
            by_thing.setdefault(row.thing, []).append(row)
    told = []
    for thing, own in by_thing.items():
        if not any(row.exists for row in own):
            told.append(say.text("{thing} is not there yet").replace("{thing}", say.thing(thing)))
            continue
        names = ", ".join(row.property for row in own[:most])
        rest = say.text(" and {number} more").replace("{number}", str(len(own) - most)) if len(own) > most else ""
        told.append(f"{say.thing(thing)}: {names}{rest}")
    return told
