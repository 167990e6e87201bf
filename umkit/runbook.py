"""What a notebook talks to: its inputs, its steps, its mode, its end.

A chapter's notebook makes one :class:`Chapter` and calls one of its methods for
each documented step. The mode decides what that does: ``apply`` changes and reads
back, ``verify`` only reads, ``plan`` and ``interactive`` show what would be sent.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from umkit import customer, record
from umkit.chapters import ChapterInfo
from umkit.chapters import chapter as chapter_info
from umkit.engine import apply, plan
from umkit.errors import Blocked, OutcomeUnknown, StepError, UmkitError, UsageError
from umkit.journal import Journal, read
from umkit.outcome import WORDS, Report, Result, StepOutcome, worst
from umkit.resource import Resource
from umkit.site import Site
from umkit.view import card, chip, table

Mode = Literal["interactive", "plan", "apply", "verify"]
MODES: tuple[str, ...] = get_args(Mode)


class Examination(Protocol):
    """A check or a probe."""

    def run(self, site: Site) -> Report:
        """Look, and bring back what was found."""


class Chapter:
    """One chapter of the runbook, with one customer's inputs.

    Arguments:
        name: the chapter's name or number, for example ``02-message-formats``.
        mode: ``interactive`` and ``plan`` change nothing, ``apply`` changes and reads back, ``verify`` only reads.
        sections: the customer file's sections that this chapter needs, as plain values.

    Raises ``CustomerFileError`` when a section is not valid, ``UsageError`` for an unknown mode or chapter: both before
    anything is contacted.
    """

    def __init__(self, name: str, *, mode: str = "interactive", **sections: Any) -> None:
        dress_notebook()
        self.info: ChapterInfo = chapter_info(name)
        if mode not in MODES:
            raise UsageError(f"there is no mode {mode}", expected="one of " + ", ".join(MODES))
        self.mode = mode
        self.inputs = customer.parse(sections, source=f"the parameters of {self.info.name}")
        self.headless = os.environ.get("UMKIT_HEADLESS") == "1"
        self.outcomes: dict[str, StepOutcome] = {}
        self._own_record: record.Record | None = None
        journal, records = self._journal()
        self.site = Site(
            self.inputs,
            chapter=self.info.name,
            journal=journal,
            records=records,
            interactive=not self.headless and _stdin_allowed(),
        )
        if journal is not None:
            journal.append("chapter-start", chapter=self.info.name)

    def configure(self, step: str, kind: type[Resource]) -> StepOutcome:
        """Bring what one step asks of each resource to its wanted state, or show what would be done.

        Arguments:
            step: the step's id.
            kind: the resource; ``kind.wanted_by`` says which ones the inputs ask for.
        """
        with self._step(step) as out:
            fresh = not self.headless  # a person may run cells out of order, and hours apart
            for resource in kind.wanted_by(self.site):
                channel = resource.channel(self.site)
                planned = plan(resource, resource.read(channel, fresh=fresh), step)
                out.rows += planned.rows
                out.verbs.append(planned.verb)
                if planned.why:
                    out.notes.append(planned.why)
                commands = [channel.pinned(command) for command in planned.commands]
                if self.mode == "apply":
                    out.commands += commands
                    try:
                        apply(planned, channel, wait=self.inputs.run.replication_wait)
                    finally:
                        channel.cancel.clear()
                    out.changes += len(planned.differing)
                elif self.mode != "verify":
                    out.commands += commands
            if out.changes:
                out.result = "changed"
            elif self.mode != "apply" and any(not row.same for row in out.rows):
                out.result = "differs"
        return out

    def check(self, step: str, examination: Examination, *, stop: bool = False) -> StepOutcome:
        """Look at something that the kit never changes.

        Arguments:
            step: the step's id.
            examination: the check.
            stop: whether the chapter must not go on when the check fails.
        """
        with self._step(step) as out:
            report = examination.run(self.site)
            out.findings, out.rows, out.notes = report.findings, report.rows, report.notes
            out.result = worst(finding.result for finding in report.findings)
            if stop and out.result in ("failed", "unknown"):
                bad = [finding for finding in report.findings if finding.result == out.result]
                raise StepError(
                    f"{out.title}: not so",
                    seen="; ".join(finding.text for finding in bad),
                    next="; ".join(dict.fromkeys(finding.next for finding in bad if finding.next)),
                )
        return out

    #: A probe looks too, only harder: it tries the behaviour itself.
    probe = check
    #: Text or a calculation that depends on the customer's values.
    inform = check

    def finish(self) -> ChapterEnd:
        """Close the sessions and say how the chapter ended."""
        self.site.close()
        end = ChapterEnd(self)
        self._end(end.result)
        return end

    @property
    def chosen(self) -> list[str]:
        """The chapters of this run, or all of them where the notebook runs by itself."""
        journal = self.site.journal
        starts = [event for event in read(journal.path) if event["event"] == "run-start"] if journal else []
        return list(starts[0]["chapters"]) if starts else []

    @property
    def result(self) -> Result:
        """The worst result of the steps so far."""
        return worst(outcome.result for outcome in self.outcomes.values())

    @contextmanager
    def _step(self, step: str) -> Iterator[StepOutcome]:
        info = self.info.step(step)
        out = StepOutcome(info.id, info.title, info.kind, self.mode)
        self.site.step = step
        begun = time.monotonic()
        try:
            yield out
        except UmkitError as error:
            error.at(customer=self.inputs.customer.name, step=step)
            out.error, out.result = error, _result_of(error, out)
            out.commands = out.commands if self.mode != "apply" else []
            raise
        except KeyboardInterrupt:
            out.error, out.result = StepError("stopped by a person", where={"step": step}), "unknown"
            raise
        finally:
            out.seconds = time.monotonic() - begun
            self.outcomes[step] = out
            if self.site.journal is not None:
                self.site.journal.append("step", chapter=self.info.name, **out.as_event())
            if out.error is not None:
                _display(out)
                if self.headless:
                    self.site.close()
                    self._end(self.result, out.error)

    def _end(self, result: Result, error: UmkitError | None = None) -> None:
        journal = self.site.journal
        if journal is None:
            return
        journal.append(
            "chapter-end", chapter=self.info.name, result=result, **({"error": error.as_dict()} if error else {})
        )
        if self._own_record is not None:
            self._own_record.close(result)

    def _journal(self) -> tuple[Journal | None, Path]:
        folder = os.environ.get("UMKIT_RECORD")
        if folder:
            return Journal(Path(folder) / "journal.jsonl"), Path(folder).parent.parent
        records = Path(self.inputs.run.records)
        if self.mode != "apply":
            return None, records
        self._own_record = record.create(records, self.inputs, mode=self.mode, chapters=[self.info.name])
        return self._own_record.journal, records

    def _repr_html_(self) -> str:
        rows = [[step.id, step.title, step.kind] for step in self.info.steps]
        say = {
            "apply": "each step changes what differs and reads it back.",
            "verify": "each step only reads and compares.",
            "plan": "nothing is changed; each step shows what would be sent.",
            "interactive": "running a cell changes nothing; each step shows what would be sent.",
        }[self.mode]
        return f"<p>Mode <strong>{self.mode}</strong>: {say}</p>" + table(
            ["Step", "What it does", "Kind"], rows, f"{self.info.title}: {self.inputs.customer.name}"
        )

    def __repr__(self) -> str:
        return f"{self.info.name} for {self.inputs.customer.name}, mode {self.mode}"


class ChapterEnd:
    """How a chapter ended: one line a step."""

    def __init__(self, chapter: Chapter) -> None:
        self.name = chapter.info.name
        missing = [step.id for step in chapter.info.steps if step.id not in chapter.outcomes]
        self.rows: Sequence[tuple[str, str, str, str]] = [
            (out.step, out.title, out.result, out.summary) for out in chapter.outcomes.values()
        ]
        self.missing = missing
        self.result: Result = worst([chapter.result, "open"]) if missing else chapter.result

    def _repr_html_(self) -> str:
        rows = [(step, title, chip(result), summary) for step, title, result, summary in self.rows]
        rows += [(step, "", "○ not run", "run its cell") for step in self.missing]
        return table(["Step", "", "Result", ""], rows, f"{self.name}: {WORDS[self.result]}")

    def __repr__(self) -> str:
        lines = [f"{self.name}: {WORDS[self.result]}"]
        lines += [f"  {step} {title}: {summary}" for step, title, _, summary in self.rows]
        lines += [f"  {step}: not run" for step in self.missing]
        return "\n".join(lines)


def _result_of(error: UmkitError, out: StepOutcome) -> Result:
    if isinstance(error, OutcomeUnknown) and out.kind == "configure" and out.sent:
        return "unknown"  # a lost reading command changed nothing, so its step simply failed
    return "blocked" if isinstance(error, Blocked) else "failed"


def _stdin_allowed() -> bool:
    return "ipykernel" in sys.modules or sys.stdin.isatty()


def _display(thing: object) -> None:
    if "IPython" in sys.modules:
        from IPython.display import display

        display(thing)  # type: ignore[no-untyped-call]
    else:
        print(thing)


def dress_notebook() -> None:
    """In a notebook, draw outcomes as cards, and show our own errors as what they say, without a traceback."""
    if "IPython" not in sys.modules:
        return
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None or getattr(shell, "_umkit_dressed", False):
        return

    def brief(
        shell: Any, kind: type[BaseException], error: UmkitError, trace: Any, tb_offset: int | None = None
    ) -> list[str]:
        lines = str(error).splitlines()
        shell._showtraceback(kind, error, lines)
        return lines

    shell.set_custom_exc((UmkitError,), brief)
    shell.display_formatter.formatters["text/html"].for_type(StepOutcome, card)
    shell._umkit_dressed = True


__all__ = ["MODES", "Chapter", "ChapterEnd", "Mode", "dress_notebook"]
