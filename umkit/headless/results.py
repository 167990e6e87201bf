"""Results: what the journal says of a run's chapters, and the summary of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from umkit.errors import UmkitError
from umkit.outcome import RESULTS, Result, worst

#: Modes that change something; a guard that stood in the way there is a failure, elsewhere a difference.
_CHANGING = ("apply", "rollback")

_STEP_HEAD = ("seq", "time", "event", "prev", "chapter", "step")


@dataclass(frozen=True)
class ChapterSummary:
    """How one chapter ended.

    Arguments:
        chapter: its name.
        result: the worst of its steps and its end.
        steps: its ``step`` events in order, as the journal has them, each with its ``id``.
        error: why it ended before its end; ``None`` where it did not.
    """

    chapter: str
    result: Result
    steps: Sequence[Mapping[str, Any]] = ()
    error: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The chapter as JSON-ready values; ``error`` only where there is one."""
        summary = {"chapter": self.chapter, "result": self.result, "steps": [dict(step) for step in self.steps]}
        return summary | ({"error": dict(self.error)} if self.error else {})


@dataclass(frozen=True)
class RunSummary:
    """How one run ended (design §4.2).

    Arguments:
        run: its id.
        customer: the customer's name.
        mode: the mode it ran in.
        result: the worst of its chapters.
        record: the record's folder.
        chapters: its chapters in order.
        signed: who signed the record, or why it is not signed.
        stopped: whether a person or the system stopped it; who called for it should stop too.
    """

    run: str
    customer: str
    mode: str
    result: Result
    record: Path
    chapters: Sequence[ChapterSummary]
    stopped: bool = False
    signed: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The summary object of the command line."""
        return {
            "run": self.run,
            "customer": self.customer,
            "mode": self.mode,
            "result": self.result,
            "record": str(self.record),
            "chapters": [chapter.as_dict() for chapter in self.chapters],
        }

    @property
    def exit_code(self) -> int:
        """0 all as wanted, 1 something failed, 3 differences found, 4 only manual steps are open.

        A difference counts before an open step, though ``open`` is the worse result: 4 means that nothing but manual
        steps is left. What is blocked counts as failed where a change was asked for, else as a difference.
        """
        found = {self.result, *(chapter.result for chapter in self.chapters)}
        found |= {_result(step.get("result")) for chapter in self.chapters for step in chapter.steps}
        if self.stopped or found & {"failed", "unknown"} or ("blocked" in found and self.mode in _CHANGING):
            return 1
        would_change = self.mode not in _CHANGING and "changed" in found
        if found & {"differs", "blocked"} or would_change:
            return 3
        return 4 if "open" in found else 0


def judge(events: Iterable[Mapping[str, Any]], chapter: str, *, broke_off: bool = False) -> ChapterSummary:
    """What the journal says of one chapter.

    Arguments:
        events: the journal's events.
        chapter: the chapter's name.
        broke_off: whether its notebook is known not to have reached its end.

    The result is the worst of its steps and its own end. Without an end it is ``failed``; where a changing command was
    sent and nobody found out what came of it, ``unknown``.
    """
    steps: list[dict[str, Any]] = []
    results: list[Result] = []
    newest: dict[tuple[Any, Any], Result] = {}  # a person may do a step again: what counts is how it ended
    pending: dict[str, str] = {}  # changing commands without an outcome, each with its step
    ended, error = False, None
    for event in events:
        if event.get("chapter") != chapter and event["event"] != "outcome":
            continue
        match event["event"]:
            case "chapter-start":  # begun anew in the same run: what counts is what follows
                ended = False
            case "intent" if event.get("mutating", True):
                pending[str(event.get("id"))] = str(event.get("step"))
            case "outcome" if event.get("outcome") != "unknown":
                pending.pop(str(event.get("intent")), None)
            case "step":
                newest[event.get("step"), event.get("title")] = _result(event.get("result"))
                steps.append(
                    {"id": event.get("step")} | {name: event[name] for name in event if name not in _STEP_HEAD}
                )
                pending = {intent: step for intent, step in pending.items() if step != event.get("step")}
            case "chapter-end":
                ended = True
                results.append(_result(event.get("result")))
                error = event.get("error") or error
    if not ended or broke_off:
        results.append("failed")
    if pending:
        results.append("unknown")
    return ChapterSummary(chapter, worst([*results, *newest.values()]), steps, error)


def explain(error: BaseException) -> dict[str, Any]:
    """An error as JSON-ready values, for the journal and the summary."""
    if isinstance(error, UmkitError):
        return error.as_dict()
    name = str(getattr(error, "ename", "")) or type(error).__name__
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return {"error": name, "what": "stopped by a person or the system"}
    what = str(getattr(error, "evalue", "")) or str(error).strip().partition("\n")[0]
    return {"error": name, "what": what}


def _result(value: Any) -> Result:
    return cast(Result, value) if value in RESULTS else "unknown"
