"""What a notebook talks to: its inputs, its steps, its mode, its end.

A chapter's notebook makes one :class:`Chapter` and calls one of its methods for
each documented step. The mode decides what that does: ``apply`` changes and reads
back, ``verify`` only reads, ``plan`` and ``interactive`` show what would be sent.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from umkit import customer, handover, record
from umkit.attestation import Attestation, attest
from umkit.chapters import ChapterInfo
from umkit.chapters import chapter as chapter_info
from umkit.customer import CustomerFile
from umkit.customer.explain import differing
from umkit.ending import ChapterEnd
from umkit.errors import (
    Blocked,
    HostNotNamed,
    OutcomeNotWritten,
    OutcomeUnknown,
    RecordError,
    StepError,
    UmkitError,
    UsageError,
)
from umkit.journal import Journal, read
from umkit.lock import ChapterLock
from umkit.notebook import attended, can_ask, dress, show
from umkit.outcome import Finding, Result, StepOutcome, worst
from umkit.resource import Resource
from umkit.site import Site
from umkit.sitting import Sitting
from umkit.steps import Examination, bring_all, look, take_word
from umkit.unanswered import reconcile
from umkit.view import table

if TYPE_CHECKING:
    from umkit.panels.end import EndPanel
    from umkit.panels.head import Head
    from umkit.panels.step import StepPanel

    Shown = StepOutcome | StepPanel

Mode = Literal["interactive", "plan", "apply", "verify"]
#: What closes the sessions of the chapter that was begun last in this process.
_open: list[Callable[[], None]] = []
#: The sitting of the chapter whose cell was run last in this process.
_sat: list[Sitting] = []


@atexit.register
def close() -> None:
    """Close the sessions of the chapter that was begun last in this process, and give its lock back."""
    while _open:
        _open.pop()()


MODES: tuple[str, ...] = get_args(Mode)


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
        dress()
        self.info: ChapterInfo = chapter_info(name)
        if mode not in MODES:
            raise UsageError(f"there is no mode {mode}", expected="one of " + ", ".join(MODES))
        self.mode = mode
        self.inputs = customer.parse(sections, source=f"the parameters of {self.info.name}")
        self.headless = os.environ.get("UMKIT_HEADLESS") == "1"
        self.outcomes: dict[str, StepOutcome] = {}
        self._work: dict[str, Callable[[StepOutcome], None]] = {}
        self._own_record: record.Record | None = None
        #: The sections that the chapter was given, and what they were.
        self._sections, self.given = tuple(sections), self.inputs
        #: Steps whose cells were run with other inputs than the present ones.
        self.former: set[str] = set()
        self._untold = False
        self._head: Head | None = None
        by_person = mode == "interactive" and not os.environ.get("UMKIT_RECORD") and not self.headless and attended()
        earlier = _sat.pop() if _sat else None
        if earlier is not None and by_person and earlier.continues(self.info.name, self.inputs):
            _open.clear()  # the person sits on, with the record, the sessions, and the inputs as they changed them
            self.inputs = earlier.chapter.site.inputs
        else:
            earlier = None
            close()  # a chapter's cell that is run again must not leave its shells behind: there are 18
        journal, records = self._journal()
        self.site = Site(
            self.inputs,
            chapter=self.info.name,
            journal=journal,
            records=records,
            interactive=not self.headless and not by_person and can_ask(),  # by_person: the connection panel asks
        )
        #: The person's work on it, where one sits at JupyterLab; else nothing.
        self.sitting = Sitting(self, records, earlier) if by_person else None
        _sat.extend([self.sitting] if self.sitting else [])
        if self._own_record is not None and journal is not None:  # else whoever began the run has looked
            reconcile(self.inputs, journal, records)
        if journal is not None:
            journal.append("chapter-start", chapter=self.info.name)
        _open.append(self.sitting.close if self.sitting else self.site.close)

    def configure(self, step: str, *kinds: type[Resource], then: Sequence[Examination] = ()) -> Shown:
        """Bring what one step asks of each resource to its wanted state, or show what would be done.

        Arguments:
            step: the step's id.
            kinds: the resources; ``kind.wanted_by`` says which ones the inputs ask for.
            then: checks that belong to the step, made afterwards.
        """

        def work(out: StepOutcome) -> None:
            guard = self.info.step(step).guard
            fresh = not self.headless
            resources: list[Resource] = []
            for kind in kinds:
                try:
                    resources += kind.wanted_by(self.site)
                except HostNotNamed as error:
                    out.findings.append(Finding("open", error.what, error.next))
            bring_all(out, resources, self.site, guard=guard, fresh=fresh)
            if not resources and not out.findings:
                out.called = False
                out.notes.append("nothing is asked for by the customer's inputs")
            differs = out.mode != "apply" and any(not row.same for row in out.rows)
            for examination in then:
                look(out, examination, self.site)
            result: Result = "differs" if differs else "changed" if out.changes else "ok"
            out.result = worst([result, *(finding.result for finding in out.findings)])

        return self._carry_out(step, work)

    def manual(self, step: str, *examinations: Examination, when: bool = True, why: str = "") -> Shown:
        """A step that a person does: what a machine can see is looked at, the rest is attested.

        Arguments:
            step: the step's id.
            examinations: what a machine can see of it.
            when: whether the step is called for at this customer.
            why: why it is not, where it is not.
        """

        def work(out: StepOutcome) -> None:
            if when:
                take_word(out, examinations, self.site, lasts=self.info.step(step).lasts)
            else:
                out.called = False
                out.notes.append(f"not called for here: {why}")

        return self._carry_out(step, work)

    def attest(self, step: str, *, who: str, remark: str = "", evidence: str | Path | None = None) -> Attestation:
        """Write down that a manual step was done: who says so, a remark, a file that shows it."""
        self.info.step(step)
        records = self.site.records or Path(self.inputs.run.records)
        path = Path(evidence) if evidence else None
        return attest(records, self.inputs.customer.name, step, who=who, remark=remark, evidence=path)

    def check(self, step: str, examination: Examination, *, stop: bool = False) -> Shown:
        """Look at something that the kit never changes.

        Arguments:
            step: the step's id.
            examination: the check.
            stop: whether the chapter must not go on when the check fails.
        """

        def work(out: StepOutcome) -> None:
            look(out, examination, self.site)
            out.result = worst(finding.result for finding in out.findings)
            if stop and out.result in ("failed", "unknown"):
                bad = [finding for finding in out.findings if finding.result == out.result]
                raise StepError(
                    f"{out.title}: not so",
                    seen="; ".join(finding.text for finding in bad),
                    next="; ".join(dict.fromkeys(finding.next for finding in bad if finding.next)),
                )

        return self._carry_out(step, work)

    #: A probe looks too, only harder: it tries the behaviour itself.
    probe = check
    #: Text or a calculation that depends on the customer's values.
    inform = check

    def finish(self) -> ChapterEnd | EndPanel:
        """Close the sessions and say how the chapter ended; a person seals it then."""
        if self.sitting is not None:
            from umkit.panels.end import EndPanel

            return EndPanel(self.sitting, lambda: ChapterEnd(self.info, self.outcomes), self)
        self.site.close()
        end = ChapterEnd(self.info, self.outcomes)
        self._end(end.result)
        return end

    def perform(self, step: str, mode: str) -> StepOutcome:
        """Carry out a step whose cell was run, in a mode of its own; an error is told in the outcome.

        Arguments:
            step: the step's id.
            mode: ``interactive`` looks, ``apply`` changes and reads back, ``verify`` compares, also with the record.
        """
        if self._untold and self.site.journal is not None:
            self.site.journal.append("inputs", chapter=self.info.name, used=self.inputs.dump())
            self._untold = False
        try:
            with self._step(step, mode) as out:
                if mode == "interactive":
                    self.former.discard(step)
                self._work[step](out)
        except UmkitError as error:
            told = self.outcomes[step]
            if told.error is None:  # the step ended well, and that could not be written down
                told.error, told.result = error, _result_of(error, told)
        return self.outcomes[step]

    def _carry_out(self, step: str, work: Callable[[StepOutcome], None]) -> Shown:
        """Do a step's work in the chapter's mode; where a person is there, they say when."""
        self._work[self.info.step(step).id] = work
        if self.sitting is not None:
            from umkit.panels.step import panel_of

            self.sitting.look(step)
            return panel_of(self.sitting, step)
        with self._step(step, self.mode) as out:
            work(out)
        return out

    @property
    def chosen(self) -> list[str]:
        """The chapters of this run, or all of them where the notebook runs by itself."""
        journal = self.site.journal
        starts = [event for event in read(journal.path) if event["event"] == "run-start"] if journal else []
        return list(starts[0]["chapters"]) if starts else []

    @property
    def migrating(self) -> bool:
        """Whether an Exchange 2013 or older is left behind."""
        return self.inputs.run.migrating_from is not None

    @property
    def result(self) -> Result:
        """The worst result of the steps so far."""
        return worst(outcome.result for outcome in self.outcomes.values())

    @contextmanager
    def _step(self, step: str, mode: str) -> Iterator[StepOutcome]:
        info = self.info.step(step)
        out = StepOutcome(info.id, info.title, info.kind, mode)
        self.site.step = step
        if not self.headless:
            self.site.forget()  # a person may run cells out of order, and hours apart
        begun = time.monotonic()
        try:
            yield out
        except UmkitError as error:
            error.at(customer=self.inputs.customer.name, step=step)
            out.error, out.result = error, _result_of(error, out)
            raise
        except KeyboardInterrupt as error:
            next = "run umkit plan: it reads what the server has now; nothing is sent again blindly"
            seen = "; ".join(getattr(error, "__notes__", ()))
            out.error = StepError("stopped by a person", where={"step": step}, seen=seen, next=next)
            out.result = "unknown"
            raise
        except Exception as error:  # a fault of ours, or of the notebook: the record must not call that step fine
            out.error, out.result = StepError(f"{type(error).__name__}: {error}", where={"step": step}), "failed"
            raise
        finally:
            out.seconds = time.monotonic() - begun
            self.outcomes[step] = out
            # a disk that took no outcome takes no step either: the first error says what was sent, so it stays
            again = contextlib.suppress(RecordError) if isinstance(out.error, RecordError) else contextlib.nullcontext()
            with again:
                if self.site.journal is not None:
                    self.site.journal.append("step", chapter=self.info.name, **out.as_event())
            if out.error is not None and self.sitting is None:
                show(out)
                if self.headless:
                    self.site.close()
                    with again:
                        self._end(self.result, out.error)

    def _end(self, result: Result, error: UmkitError | None = None) -> None:
        journal = self.site.journal
        if journal is None:
            return
        journal.append(
            "chapter-end", chapter=self.info.name, result=result, **({"error": error.as_dict()} if error else {})
        )
        own, self._own_record = self._own_record, None
        if own is not None:
            handover.put_into(own)
            own.close(result)

    def _break_off(self) -> None:
        """Close the record of a chapter that runs by itself and did not come to its end."""
        if self._own_record is not None:
            self.site.close()
            self._end(worst([self.result, "failed"]))

    def _journal(self) -> tuple[Journal | None, Path]:
        folder = os.environ.get("UMKIT_RECORD")
        if folder:
            lock = ChapterLock(Path(folder).parent)
            lock.acquire()
            _open.append(lock.release)
            return Journal(Path(folder) / "journal.jsonl"), Path(folder).parent.parent
        records = Path(os.environ.get("UMKIT_RECORDS") or self.inputs.run.records)
        if self.mode != "apply":
            return None, records
        self._own_record = record.create(records, self.inputs, mode=self.mode, chapters=[self.info.name])
        atexit.register(self._break_off)
        return self._own_record.journal, records

    def use(self, inputs: CustomerFile) -> None:
        """Go on with other inputs, as a person changed them; the steps' cells are to be run again.

        To be called where the sessions are: in the sitting's own thread.
        """
        moved = any(inputs.dump().get(name) != self.inputs.dump().get(name) for name in ("exchange", "hosts"))
        self.inputs = self.site.inputs = inputs
        self.former |= set(self.outcomes)
        self._untold = self.site.journal is not None  # a record that begins later has them among its inputs
        if moved:
            self.site.close()
            self.site = Site(inputs, chapter=self.info.name, journal=self.site.journal, records=self.site.records)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        if self.sitting is None:
            return {}  # then what the chapter is as text and HTML
        from umkit.panels.head import Head

        if self._head is None:
            self._head = Head(self.sitting, self._sections, self.use, self.former, self._repr_html_)
        return self._head.mimebundle()

    def _repr_html_(self) -> str:
        rows = [[step.id, step.title, step.kind] for step in self.info.steps]
        say = {
            "apply": "each step changes what differs and reads it back.",
            "verify": "each step only reads and compares.",
            "plan": "nothing is changed; each step shows what would be sent.",
            "interactive": "running a cell changes nothing; each step shows what would be sent.",
        }[self.mode]
        html = f"<p>Mode <strong>{self.mode}</strong>: {say}</p>" + table(
            ["Step", "What it does", "Kind"], rows, f"{self.info.title}: {self.inputs.customer.name}"
        )
        changed = [[key, was, now] for key, was, now in differing(self.given.dump(), self.inputs.dump())]
        if changed:
            html += table(["Input", "In the parameters", "Used"], changed, "Inputs that differ from the parameters")
        return html

    def __repr__(self) -> str:
        return f"{self.info.name} for {self.inputs.customer.name}, mode {self.mode}"


def _result_of(error: UmkitError, out: StepOutcome) -> Result:
    if isinstance(error, OutcomeUnknown | OutcomeNotWritten) and out.kind == "configure" and out.mode == "apply":
        return "unknown"  # a lost reading command changed nothing, so its step simply failed
    return "blocked" if isinstance(error, Blocked) else "failed"


__all__ = ["MODES", "Chapter", "ChapterEnd", "Mode", "close"]
