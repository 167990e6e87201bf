"""The end of a chapter: one line a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from umkit.chapters import ChapterInfo
from umkit.outcome import WORDS, Result, StepOutcome, worst
from umkit.view import chip, table


class ChapterEnd:
    """How a chapter ended: one line a step.

    Arguments:
        info: the chapter.
        outcomes: how the steps stand whose cells were run, by their ids.
    """

    def __init__(self, info: ChapterInfo, outcomes: Mapping[str, StepOutcome]) -> None:
        self.name = info.name
        self.missing = [step.id for step in info.steps if step.id not in outcomes]
        self.rows: Sequence[tuple[str, str, str, str]] = [
            (out.step, out.title, out.result, out.summary) for out in outcomes.values()
        ]
        self.result: Result = worst(["open" if self.missing else "ok", *(out.result for out in outcomes.values())])

    def _repr_html_(self) -> str:
        rows = [(step, title, chip(result), summary) for step, title, result, summary in self.rows]
        rows += [(step, "", "○ not run", "run its cell") for step in self.missing]
        return table(["Step", "", "Result", ""], rows, f"{self.name}: {WORDS[self.result]}")

    def __repr__(self) -> str:
        lines = [f"{self.name}: {WORDS[self.result]}"]
        lines += [f"  {step} {title}: {summary}" for step, title, _, summary in self.rows]
        lines += [f"  {step}: not run" for step in self.missing]
        return "\n".join(lines)
