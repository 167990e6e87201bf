"""The end of a chapter: one line a step."""

from __future__ import annotations

from collections.abc import Mapping

from umkit.chapters import ChapterInfo
from umkit.outcome import WORDS, AsItIs, Result, Say, StepOutcome, worst
from umkit.view import chip, table, unbroken


class ChapterEnd:
    """How a chapter ended: one line a step, in the chapter's order.

    Arguments:
        info: the chapter.
        outcomes: how the steps stand whose cells were run, by their ids.
    """

    def __init__(self, info: ChapterInfo, outcomes: Mapping[str, StepOutcome]) -> None:
        self.name = info.name
        #: Each step's id and title, and how it stands; nothing where its cell was not run.
        self.steps = [(step.id, step.title, outcomes.get(step.id)) for step in info.steps]
        results: list[Result] = [out.result if out is not None else "open" for *_, out in self.steps]
        self.result: Result = worst(results)

    def html(self, say: Say | None = None) -> str:
        """The table as HTML.

        Arguments:
            say: says it in another language than English.
        """
        say = say or AsItIs()
        rows = []
        for step, title, out in self.steps:
            how = unbroken(f"○ {say.text('not run')}") if out is None else chip(out.result, say)
            told = say.text("run its cell") if out is None else out.said(say)
            rows.append((step, say.title(title), how, told))
        heads = [say.text("Step"), "", say.text("Result"), ""]
        return table(heads, rows, f"{self.name}: {say.text(WORDS[self.result])}")

    def _repr_html_(self) -> str:
        return self.html()

    def __repr__(self) -> str:
        lines = [f"{self.name}: {WORDS[self.result]}"]
        lines += [f"  {step} {title}: {out.summary if out else 'not run'}" for step, title, out in self.steps]
        return "\n".join(lines)
