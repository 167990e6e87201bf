"""The end of a chapter: how each step stands, and *Seal*."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import ipywidgets as widgets

from umkit import executed
from umkit.outcome import WORDS
from umkit.panels.base import Waiting, beside, button, error_text, state, words_of
from umkit.sitting import Sealed, Sitting


class EndPanel:
    """How a chapter stands, and the button that makes the record of it.

    Arguments:
        sitting: the person's work on the chapter.
        summary: makes the table of the steps.
        head: what the chapter's first cell shows where nobody can press a button.
    """

    def __init__(self, sitting: Sitting, summary: Callable[[], Any], head: Any) -> None:
        self.sitting, self._summary, self._head = sitting, summary, head
        self.words = words_of(sitting)
        say = self.words.text
        self._waiting = Waiting()
        self._card: Any = None
        self.seal_button = button(
            say("Seal"), self._seal, style="primary", tooltip=say("Make the record of this chapter")
        )
        self.renew_button = button(say("Refresh"), self.refresh, tooltip=say("Show how the steps stand by now"))
        self.status = widgets.HTML()
        self.widget = widgets.VBox([widgets.HBox([self.seal_button, self.renew_button]), self.status])
        self.widget.add_class("umkit-end")

    def refresh(self) -> None:
        """Show how the steps stand by now."""
        end = self._summary()
        if self._card is not None:
            self._card.update({"text/html": end._repr_html_(), "text/plain": str(end)}, raw=True)

    def _ipython_display_(self) -> None:
        from IPython.display import DisplayHandle, display

        end = self._summary()
        self._card = DisplayHandle()  # type: ignore[no-untyped-call]
        self._card.display({"text/html": end._repr_html_(), "text/plain": str(end)}, raw=True)
        display(beside(self.widget, "<span></span>", ""), raw=True)  # type: ignore[no-untyped-call]

    def _seal(self) -> None:
        say = self.words.text
        self.seal_button.disabled = True
        self.status.value = state("busy", say("Sealing"))
        outcomes = self.sitting.chapter.outcomes
        outputs: dict[str, list[object]] = {step: [out] for step, out in outcomes.items()}
        outputs |= {"chapter": [self._head], "end": [self._summary()]}
        self._waiting.then(self.sitting.seal(executed.own_file(), outputs), self._sealed)

    def _sealed(self, future: Future[Sealed]) -> None:
        say = self.words.text
        self.seal_button.disabled = False
        self.refresh()
        if error := future.exception():
            self.status.value = state("failed", say("Not sealed"), error_text(error))
            return
        sealed = future.result()
        lines = [
            str(sealed.folder),
            sealed.signed,
            say("verify it: {command}", command=f"umkit records verify {sealed.folder.name}"),
        ]
        self.status.value = state("ok", say("Sealed"), self.words.text(WORDS[sealed.result]), lines)
