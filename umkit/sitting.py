"""A sitting: a person's work on one chapter in JupyterLab, with its record.

Looking changes nothing and is not recorded. With the first thing that is done, a record in mode ``interactive`` begins
and the customer is locked; sealing ends it like that of a run without a person. All that is remote happens in one
thread of its own, so that buttons answer while it waits, and a stop reaches the server.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from umkit import executed, handover, record
from umkit.agreement import MOVED, TAKEN_BACK, agreement
from umkit.attestation import Evidence, attest
from umkit.chapters import ChapterInfo
from umkit.customer import CustomerFile
from umkit.errors import RecordError, StepError, UmkitError, UsageError
from umkit.history import deeds
from umkit.journal import read
from umkit.outcome import Finding, Result, StepOutcome, worst
from umkit.since import note_uses
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
    #: The inputs that the notebook gave; those in use are the site's.
    given: CustomerFile
    site: Site
    outcomes: dict[str, StepOutcome]
    #: Steps whose cells were run with other inputs than those in use.
    former: set[str]

    def perform(self, step: str, mode: str) -> StepOutcome:
        """Carry out one step in a mode; an error is told in the outcome."""


@dataclass(frozen=True)
class Sealed:
    """The record that a sitting left.

    Arguments:
        folder: its folder.
        result: how the chapter ended.
        signed: who signed it, or why it is not signed.
        notebook: whether the chapter's notebook is in it.
    """

    folder: Path
    result: Result
    signed: str
    notebook: bool = True


class Sitting:
    """A person's work on one chapter.

    Arguments:
        chapter: the chapter; its steps are known once their cells were run.
        records: the folder of all records.
        earlier: the sitting that this one goes on with, where the chapter's cell was run again.
    """

    def __init__(self, chapter: Worked, records: Path, earlier: Sitting | None = None) -> None:
        self.chapter = chapter
        self.records = records
        self.record: record.Record | None = None
        #: The step that is worked on; empty while nothing is.
        self.busy = ""
        #: Whether another sitting goes on with this one's work, or its kernel ended.
        self.over = False
        #: The record that was sealed last.
        self.sealed: Sealed | None = None
        #: Called with a step's id, in the thread of the work, when its outcome is another one, or it is over.
        self.listeners: list[Callable[[str], None]] = []
        self._worker: Worker = earlier._worker if earlier is not None else Worker("umkit-sitting")
        self._written: dict[str, StepOutcome] = {}
        self._changed: set[str] = set()
        if earlier is not None:
            self._worker.submit(lambda: self._go_on_with(earlier)).result()

    def continues(self, chapter: str, given: CustomerFile) -> bool:
        """Whether a chapter whose cell is run again can go on with this sitting: the same one, given the same inputs.

        It goes on with those in use, which a person may have changed in the form.
        """
        return not self.over and (self.chapter.info.name, self.chapter.given.dump()) == (chapter, given.dump())

    def look(self, step: str) -> StepOutcome:
        """Read what a step is about and say what would be sent; for a notebook's cell, which waits for it."""
        return self._wait(self._start(step, lambda: self._looked_at(step)))

    def look_again(self, step: str) -> Future[StepOutcome]:
        """Do what :meth:`look` does, without waiting for it."""
        return self._start(step, lambda: self._looked_at(step))

    def apply(self, step: str, shown: StepOutcome | None = None) -> Future[StepOutcome]:
        """Do what a step asks for, read it back, write it down.

        Arguments:
            step: the step.
            shown: what the person was shown and agreed to; what the step showed last unless given.

        It is read anew before. What would be sent now is not sent where it is not what was shown; the outcome is then
        one of mode ``interactive``, with the new plan.
        """
        agreed = shown if shown is not None else self.chapter.outcomes[step]

        def bring() -> StepOutcome:
            self._begin()
            now = self._looked_at(step)
            if now.error is not None:
                return now
            if agreement(now) != agreement(agreed):
                now.notes.insert(0, MOVED)
                return now
            self.chapter.site.agreed = now.would
            try:
                return self._recorded(step, "apply")
            finally:
                self.chapter.site.agreed = None

        return self._start(step, bring)

    def verify(self, step: str) -> Future[StepOutcome]:
        """Read a step's properties anew, also against the last record, and write down what was found."""

        def compare() -> StepOutcome:
            found = self._recorded(step, "verify")
            if found.error is not None or all(row.same for row in found.rows):
                return found
            plan = self._looked_at(step)  # it differs: show what would be sent, too
            plan.findings += [finding for finding in found.findings if finding not in plan.findings]
            plan.result = worst([plan.result, *(finding.result for finding in plan.findings)])
            return plan

        return self._start(step, compare)

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
            self._begin()  # it has begun, unless it was sealed meanwhile
            told = [take_back(undoing, self.chapter.site) for undoing in planned if undoing.commands]
            for out in told:
                self._write(out)
            if all(out.result in ("ok", "changed") for out in told):
                self._changed.discard(step)
            out = self._looked_at(step)
            out.notes += [f"{TAKEN_BACK}{each.title}: {each.summary}" for each in told]
            out.commands += [command for each in told for command in each.commands]
            out.result = worst([out.result, *(each.result for each in told if each.result in ("failed", "unknown"))])
            return out

        return self._start(step, take)

    def attest(self, step: str, *, who: str, remark: str = "", evidence: Evidence | None = None) -> Future[StepOutcome]:
        """Take a person's word for a manual step, then look at it anew.

        Arguments:
            step: the step.
            who: the person.
            remark: what a reader should know.
            evidence: what shows it; it is kept with the customer's records.

        Raises ``UsageError`` where nobody is named.
        """
        if not who.strip():
            raise UsageError(f"nobody is named for {step}", expected="the person who did it or saw it done")

        def take() -> StepOutcome:
            self._begin()
            customer = self.chapter.site.inputs.customer.name
            with tempfile.TemporaryDirectory(prefix="umkit-", ignore_cleanup_errors=True) as folder:
                path = None
                if evidence is not None:
                    path = Path(folder) / (Path(evidence.name.replace("\\", "/")).name or "evidence")
                    path.write_bytes(evidence.data)
                attest(self.records, customer, step, who=who, remark=remark, evidence=path)
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

    def seal(self, notebook: Path | None, outputs: Callable[[], Mapping[str, Sequence[object]]]) -> Future[Sealed]:
        """End the sitting: journal, notebook, handover, manifest and signature, as of a run without a person.

        Arguments:
            notebook: the chapter's notebook as it lies in the work folder; none where nobody knows it.
            outputs: gives what each cell shows, by the cell's id.

        The future raises ``UsageError`` where nothing was done since the last seal.
        """
        return self._worker.submit(lambda: self._seal(notebook, outputs))

    def close(self) -> None:
        """Close the sessions; a record that was not sealed is closed as one that broke off."""
        if self.over:
            return
        if self.busy:
            self.stop()  # the kernel ends: what hangs on the server must not go on there, nor hold the record up
        self._worker.submit(lambda: self._break_off("the chapter ended before it was sealed")).result()

    def _start(self, step: str, work: Callable[[], T]) -> Future[T]:
        def go() -> T:
            self.busy = step
            try:
                return work()
            finally:
                self.busy = ""
                for channel in self.chapter.site.channels():
                    channel.cancel.clear()
                self._tell(step)

        return self._worker.submit(go)

    def _tell(self, step: str) -> None:
        for listener in list(self.listeners):
            listener(step)

    def _wait(self, future: Future[T]) -> T:
        try:
            return future.result()
        except KeyboardInterrupt:  # the kernel's own stop button
            if not future.cancel():
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
        if mode == "apply" and (out.commands or out.result == "unknown"):
            self._changed.add(step)
        return out

    def _begin(self) -> None:
        """Begin the record, unless it has begun.

        Raises ``RecordError`` where it cannot: then nothing was done.
        """
        if self.record is not None:
            return
        site, name = self.chapter.site, self.chapter.info.name
        try:
            begun = record.create(self.records, site.inputs, mode="interactive", chapters=[name])
        except RecordError as error:
            raise _not_begun(error) from error
        try:
            begun.journal.append("chapter-start", chapter=name)
            reconcile(site.inputs, begun.journal, self.records)
            site.write_to(begun.journal)
        except BaseException as error:
            site.write_to(None)
            begun.release()
            raise (_not_begun(error) if isinstance(error, UmkitError) else error) from error
        self.record = begun

    def _write(self, out: StepOutcome) -> None:
        self._written[out.step] = out
        if self.record is not None:
            self.record.journal.append("step", chapter=self.chapter.info.name, **out.as_event())

    def _undoings(self, step: str) -> list[Undoing]:
        if self.record is None:
            return []
        events = read(self.record.journal.path)
        found = deeds(events, step=step)
        note_uses(found, [event for event in events if event.get("step") != step])
        return [plan_undoing(deed, self.chapter.site) for deed in found]

    def _seal(self, notebook: Path | None, outputs: Callable[[], Mapping[str, Sequence[object]]]) -> Sealed:
        if self.record is None and self.sealed is not None:
            raise UsageError(
                "nothing was done since the chapter was sealed, so there is nothing to seal",
                seen=f"sealed as {self.sealed.folder.name}",
            )
        self._begin()
        assert self.record is not None
        kept, name = self.record, self.chapter.info.name
        for step, out in list(self.chapter.outcomes.items()):
            if self._written.get(step) is out:
                continue
            if self.sealed is not None:  # it stands in the earlier record; this one says how it is today
                self._looked_at(step)
            else:
                self._write(out)
        if notebook is not None:
            executed.write(notebook, kept.notebooks / f"{name}.ipynb", outputs())
        missing = any(step.id not in self.chapter.outcomes for step in self.chapter.info.steps)
        result = worst(["open" if missing else "ok", *(out.result for out in self.chapter.outcomes.values())])
        kept.journal.append("chapter-end", chapter=name, result=result)
        self._leave()
        handover.put_into(kept)
        signed = kept.close(result)
        self.sealed = Sealed(kept.folder, result, signed, notebook is not None)
        return self.sealed

    def _leave(self) -> None:
        self.record = None
        self._written.clear()
        self._changed.clear()
        self.chapter.site.write_to(None)
        self.chapter.site.close()

    def _go_on_with(self, earlier: Sitting) -> None:
        """Take over the record, and what was done, of the sitting before; its sessions end."""
        earlier.chapter.site.close()
        self.record, earlier.record = earlier.record, None
        self._written, self._changed, self.sealed = earlier._written, earlier._changed, earlier.sealed
        self.chapter.outcomes.update(earlier.chapter.outcomes)
        self.chapter.former.update(earlier.chapter.former)
        if self.record is not None:
            self.chapter.site.write_to(self.record.journal)
        earlier.over = True
        earlier._tell("")

    def _break_off(self, why: str) -> None:
        """Close what is open when the kernel ends; nothing is lost, and the record says that it was not sealed."""
        self.over = True
        self._tell("")
        kept = self.record
        if kept is None:
            self.chapter.site.close()
            return
        error: UmkitError = StepError(why, next="open the chapter again: each card shows what the server has now")
        result = worst(["failed", *(out.result for out in self.chapter.outcomes.values())])
        kept.journal.append("chapter-end", chapter=self.chapter.info.name, result=result, error=error.as_dict())
        self._leave()
        handover.put_into(kept)
        kept.close(result)


def _not_begun(error: UmkitError) -> RecordError:
    return RecordError(
        "no record can be begun, so nothing was done",
        where=error.where,
        seen=f"{error.what}: {error.seen}" if error.seen else error.what,
        expected=error.expected,
        next=error.next or "mend that, then do it again",
    )
