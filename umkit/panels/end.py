"""The end of a chapter: how each step stands, what is missing, and *Seal*."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import ipywidgets as widgets

from umkit import executed
from umkit.ending import ChapterEnd
from umkit.errors import UsageError
from umkit.outcome import WORDS, StepOutcome
from umkit.panels.base import CardWords, Waiting, beside, button, error_text, state, words_of
from umkit.panels.live import Live
from umkit.sitting import Sealed, Sitting
from umkit.steps import OTHERWISE


class EndPanel:
    """How a chapter stands, and the button that makes the record of it.

    Arguments:
        sitting: the person's work on the chapter.
        summary: makes the table of the steps.
        head: what the chapter's first cell shows where nobody can press a button.
    """

    def __init__(self, sitting: Sitting, summary: Callable[[], ChapterEnd], head: Any) -> None:
        self.sitting, self._summary, self._head = sitting, summary, head
        self.words = words_of(sitting)
        say = self.words.text
        self._waiting = Waiting()
        self._card: Any = None
        self.seal_button = button(
            say("Seal"), self._seal, style="primary", tooltip=say("Make the record of this chapter")
        )
        self.renew_button = button(say("Refresh"), self.refresh, tooltip=say("Show how the steps stand by now"))
        self.missing = Live()
        self.status = Live()
        self.buttons = widgets.HBox([self.seal_button, self.renew_button])
        self.widget = widgets.VBox([self.missing, self.buttons, self.status])
        self.widget.add_class("umkit-end")
        sitting.listeners.append(self._heard)
        self.refresh()

    def refresh(self) -> None:
        """Show how the steps stand by now, and what is missing before the chapter is sealed."""
        end = self._summary()
        if self._card is not None:
            self._card.update(self._bundle(end), raw=True)
        missing = self._missing()
        text = self.words.text("It can be sealed all the same; the record then says so.")
        self.missing.value = state("ask", self.words.text("Not done yet"), text, missing) if missing else ""

    def _bundle(self, end: ChapterEnd) -> dict[str, str]:
        return {"text/html": end.html(CardWords(self.words)), "text/plain": str(end)}

    def _missing(self) -> list[str]:
        say, outcomes = self.words.text, self.sitting.chapter.outcomes
        found: dict[str, list[str]] = {}
        for step in self.sitting.chapter.info.steps:
            out = outcomes.get(step.id)
            if out is None:
                why = say("not looked at: run their cells")
            elif not out.called or out.result in ("ok", "changed"):
                continue
            elif any(finding.text.startswith("skipped by ") for finding in out.findings):
                why = say("skipped, with a name and a reason")
            elif out.kind == "manual" and out.error is None:
                why = self._of_a_person(out)
            else:
                why = say(WORDS[out.result])
            found.setdefault(why, []).append(step.id)
        return [f"{', '.join(steps)}: {why}" for why, steps in found.items()]

    def _of_a_person(self, out: StepOutcome) -> str:
        """Why a manual step is not done: nobody has said so, or not all bears out who has."""
        say = self.words.text
        if out.result == "open":
            return say("a person must do it, or say that it is done")
        if OTHERWISE in out.notes:
            return say("a person said that it is done, but what can be seen of it says otherwise")
        return say("a person said that it is done, but what was written down then was changed since")

    def _ipython_display_(self) -> None:
        from IPython.display import DisplayHandle, display

        end = self._summary()
        self._card = DisplayHandle()  # type: ignore[no-untyped-call]
        self._card.display(self._bundle(end), raw=True)
        display(beside(self.widget, "<span></span>", ""), raw=True)  # type: ignore[no-untyped-call]

    def _heard(self, step: str) -> None:
        self._waiting.soon(self._told)

    def _told(self) -> None:
        if not self.sitting.over:
            self.refresh()
            return
        say = self.words.text
        self.status.value = state("ask", say("The chapter's cell was run again"), say("Run this cell again, too."))
        self.widget.close()

    def _outputs(self) -> Mapping[str, Sequence[object]]:
        """What each cell shows: called when the last step was looked at."""
        outcomes = self.sitting.chapter.outcomes
        steps: dict[str, Sequence[object]] = {step: [out] for step, out in outcomes.items()}
        return steps | {"chapter": [self._head], "end": [self._summary()]}

    def _seal(self) -> None:
        self.seal_button.disabled = True
        waits = self.words.text("waits for {step}", step=self.sitting.busy) if self.sitting.busy else ""
        self.status.value = state("busy", self.words.text("Sealing"), waits)
        self._waiting.then(self.sitting.seal(executed.own_file(), self._outputs), self._sealed)

    def _sealed(self, future: Future[Sealed]) -> None:
        say = self.words.text
        self.seal_button.disabled = False
        self.refresh()
        self.seal_button.focus()
        error = future.exception()
        if isinstance(error, UsageError):
            self.status.value = state("ok", say("Sealed already"), error_text(error, self.words))
            return
        if error:
            text = say("What was done is in the journal; nothing is lost.")
            self.status.value = state("failed", say("Not sealed"), f"{error_text(error, self.words)}. {text}")
            return
        sealed = future.result()
        lines = [
            str(sealed.folder),
            self.words.problem(sealed.signed),
            say("verify it: {command}", command=f"umkit records verify {sealed.folder.name}"),
        ]
        if not sealed.notebook:
            lines.append(say("without the notebook: this front end does not say which file it is"))
        self.status.value = state("ok", say("Sealed"), say(WORDS[sealed.result]), lines)
