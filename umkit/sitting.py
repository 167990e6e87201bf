"""A sitting: a person's work on one chapter in JupyterLab, with its record.

Looking changes nothing and is not recorded. With the first thing that is done, a record in mode ``interactive`` begins
and the customer is locked; sealing ends it like that of a run without a person. All that is remote happens in one
thread of its own, so that buttons answer while it waits, and a stop reaches the server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from umkit import executed, handover, record
from umkit.attestation import Attestation, attest
from umkit.chapters import ChapterInfo
from umkit.errors import StepError, UmkitError, UsageError
from umkit.history import deeds
from umkit.journal import read
from umkit.outcome import Finding, Result, StepOutcome, worst
from umkit.site import Site
from umkit.takeback import take_back
from umkit.unanswered import reconcile
from umkit.undoing import Undoing
from umkit.undoing import plan as plan_undoing
from umkit.worker import Worker

T = TypeVar("T")


class Worked(Protocol):
    """What a sitting needs of its chapter."""

    info: ChapterInfo
    site: Site
    outcomes: dict[str, StepOutcome]

    def perform(self, step: str, mode: str) -> StepOutcome:
        """Carry out one step in a mode; an error is told in the outcome."""


@dataclass(frozen=True)
class Sealed:
    """The record that a sitting left.

    Arguments:
        folder: its folder.
        result: how the chapter ended.
        signed: who signed it, or why it is not signed.
    """

    folder: Path
    result: Result
    signed: str


class Sitting:
    """A person's work on one chapter.

    Arguments:
        chapter: the chapter; its steps are known once their cells were run.
        records: the folder of all records.
    """

    def __init__(self, chapter: Worked, records: Path) -> None:
        self.chapter = chapter
        self.records = records
        self.record: record.Record | None = None
        #: The step that is worked on; empty while nothing is.
        self.busy = ""
        #: Called with a step's id, in the thread of the work, when its outcome is another one.
        self.listeners: list[Callable[[str], None]] = []
        self._worker = Worker("umkit-sitting")
        self._written: dict[str, StepOutcome] = {}
        self._changed: set[str] = set()

    def look(self, step: str) -> StepOutcome:
        """Read what a step is about and say what would be sent; for a notebook's cell, which waits for it."""
        return self._wait(self._start(step, lambda: self._looked_at(step)))

    def apply(self, step: str) -> Future[StepOutcome]:
        """Do what a step asks for, read it back, write it down."""
        return self._start(step, lambda: self._recorded(step, "apply"))

    def verify(self, step: str) -> Future[StepOutcome]:
        """Read a step's properties anew, also against the last record, and write down what was found."""
        return self._start(step, lambda: self._recorded(step, "verify"))

    def skip(self, step: str, who: str, reason: str) -> Future[StepOutcome]:
        """Leave a step undone, and write down who decided that and why.

        Raises ``UsageError`` where either is empty.
        """
        if not who.strip() or not reason.strip():
            raise UsageError(f"{step} is not skipped without a name and a reason", next="say who decides it, and why")

        def leave() -> StepOutcome:
            self._begin()
            out = self.chapter.perform(step, "interactive")
            out.findings.append(Finding("open", f"skipped by {who.strip()}: {reason.strip()}"))
            out.result = worst(["open", *(each.result for each in out.findings)])
            self._write(out)
            return out

        return self._start(step, leave)

    def undoable(self, step: str) -> Future[list[Undoing]]:
        """What taking back this sitting's changes of a step would do, newest first; changes nothing."""
        return self._start(step, lambda: self._undoings(step))

    def undo(self, step: str, planned: Sequence[Undoing]) -> Future[StepOutcome]:
        """Take back what was shown; what is no more as it was shown is left alone.

        Arguments:
            step: the step.
            planned: what :meth:`undoable` gave.
        """

        def take() -> StepOutcome:
            told = [take_back(undoing, self.chapter.site) for undoing in planned if undoing.commands]
            for out in told:
                self._write(out)
            if all(out.result in ("ok", "changed") for out in told):
                self._changed.discard(step)
            out = self._looked_at(step)
            out.notes += [f"taken back: {each.title}: {each.summary}" for each in told]
            out.commands += [command for each in told for command in each.commands]
            return out

        return self._start(step, take)

    def attest(self, step: str, *, who: str, remark: str = "", evidence: Path | None = None) -> Future[StepOutcome]:
        """Take a person's word for a manual step, then look at it anew.

        Arguments:
            step: the step.
            who: the person.
            remark: what a reader should know.
            evidence: a file that shows it; it is copied.
        """

        def take() -> StepOutcome:
            self._begin()
            self._attest(step, who=who, remark=remark, evidence=evidence)
            return self._recorded(step, "apply")

        return self._start(step, take)

    def changed(self, step: str) -> bool:
        """Whether this sitting changed something for a step that it has not taken back."""
        return step in self._changed

    def stop(self) -> None:
        """Stop the command that is under way, on the server too."""
        for channel in self.chapter.site.channels():
            channel.cancel.set()

    def run(self, work: Callable[[], T]) -> Future[T]:
        """Do something else that is remote, in the thread that owns the sessions."""
        return self._worker.submit(work)

    def seal(self, notebook: Path | None, outputs: Mapping[str, Sequence[object]]) -> Future[Sealed]:
        """End the sitting: journal, notebook, handover, manifest and signature, as of a run without a person.

        Arguments:
            notebook: the chapter's notebook as it lies in the work folder; none where nobody knows it.
            outputs: what each cell shows, by the cell's id.
        """
        return self._worker.submit(lambda: self._seal(notebook, outputs))

    def close(self) -> None:
        """Close the sessions; a record that was not sealed is closed as one that broke off."""
        self._worker.submit(self._break_off).result()

    def _start(self, step: str, work: Callable[[], T]) -> Future[T]:
        def go() -> T:
            self.busy = step
            try:
                return work()
            finally:
                self.busy = ""
                for channel in self.chapter.site.channels():
                    channel.cancel.clear()
                for listener in self.listeners:
                    listener(step)

        return self._worker.submit(go)

    def _wait(self, future: Future[T]) -> T:
        try:
            return future.result()
        except KeyboardInterrupt:  # the kernel's own stop button
            self.stop()
            raise

    def _looked_at(self, step: str) -> StepOutcome:
        out = self.chapter.perform(step, "interactive")
        if self.record is not None:  # the chapter has written it down
            self._written[step] = out
        return out

    def _recorded(self, step: str, mode: str) -> StepOutcome:
        self._begin()
        out = self.chapter.perform(step, mode)
        self._written[step] = out
        if out.commands or out.result == "unknown":
            self._changed.add(step)
        return out

    def _begin(self) -> None:
        """Begin the record, unless it has begun."""
        if self.record is not None:
            return
        site, name = self.chapter.site, self.chapter.info.name
        begun = record.create(self.records, site.inputs, mode="interactive", chapters=[name])
        begun.journal.append("chapter-start", chapter=name)
        self.record = begun
        reconcile(site.inputs, begun.journal, self.records)
        site.write_to(begun.journal)

    def _write(self, out: StepOutcome) -> None:
        self._written[out.step] = out
        if self.record is not None:
            self.record.journal.append("step", chapter=self.chapter.info.name, **out.as_event())

    def _attest(self, step: str, *, who: str, remark: str, evidence: Path | None) -> Attestation:
        customer = self.chapter.site.inputs.customer.name
        return attest(self.records, customer, step, who=who, remark=remark, evidence=evidence)

    def _undoings(self, step: str) -> list[Undoing]:
        if self.record is None:
            return []
        events = read(self.record.journal.path)
        own = [event for event in events if event["event"] == "outcome" or event.get("step") == step]
        return [plan_undoing(deed, self.chapter.site) for deed in deeds(own)]

    def _seal(self, notebook: Path | None, outputs: Mapping[str, Sequence[object]]) -> Sealed:
        self._begin()
        assert self.record is not None
        kept, name = self.record, self.chapter.info.name
        for step, out in self.chapter.outcomes.items():
            if self._written.get(step) is not out:
                self._write(out)
        missing = any(step.id not in self.chapter.outcomes for step in self.chapter.info.steps)
        result = worst(["open" if missing else "ok", *(out.result for out in self.chapter.outcomes.values())])
        kept.journal.append("chapter-end", chapter=name, result=result)
        if notebook is not None:
            executed.write(notebook, kept.notebooks / f"{name}.ipynb", outputs)
        self._leave()
        handover.put_into(kept)
        signed = kept.close(result)
        return Sealed(kept.folder, result, signed)

    def _leave(self) -> None:
        self.record = None
        self._written.clear()
        self._changed.clear()
        self.chapter.site.write_to(None)
        self.chapter.site.close()

    def _break_off(self) -> None:
        """Close what is open when the kernel ends; nothing is lost, and the record says that it was not sealed."""
        kept = self.record
        if kept is None:
            self.chapter.site.close()
            return
        error: UmkitError = StepError("the kernel ended before the chapter was sealed", next="open the chapter again")
        results = (out.result for out in self.chapter.outcomes.values())
        result = worst(["failed", *results])
        kept.journal.append("chapter-end", chapter=self.chapter.info.name, result=result, error=error.as_dict())
        self._leave()
        handover.put_into(kept)
        kept.close(result)
