"""The card of a manual step: what a machine can see of it, and a person's word with a picture."""

from __future__ import annotations

from concurrent.futures import Future

import ipywidgets as widgets

from umkit.errors import UsageError
from umkit.outcome import StepOutcome
from umkit.panels.base import button, remembered, visible
from umkit.panels.live import EvidencePlace
from umkit.panels.step import StepPanel
from umkit.sitting import Sitting


class ManualPanel(StepPanel):
    """One manual step: who did it, a remark, a screenshot, and *Done*.

    Arguments:
        sitting: the person's work on the chapter.
        step: the step's id.
    """

    def __init__(self, sitting: Sitting, step: str) -> None:
        super().__init__(sitting, step)
        say = self.words.text
        wide = {"description_width": "max-content"}
        self.by = widgets.Text(description=say("Done by"), style=wide, value=remembered())
        self.remark = widgets.Text(description=say("Remark"), style=wide)
        self.evidence = EvidencePlace(self.words)
        self.done_button = button(say("Done"), self._attest, style="primary", tooltip=say("Write your word down"))
        self.form = widgets.VBox([self.by, self.remark, self.evidence])
        self.buttons.children = [self.done_button, *self.buttons.children]
        self.widget.children = [self.form, *self.widget.children]
        self.refresh()

    def refresh(self) -> None:
        """Show the newest outcome; the form only where the step is called for."""
        super().refresh()
        if hasattr(self, "form"):
            visible(self.form, self.outcome.called)

    def _actions(self, out: StepOutcome) -> list[widgets.Widget]:
        if not out.called or not hasattr(self, "done_button"):
            return []
        return [self.done_button, self.look_button]

    def _attest(self) -> None:
        self._go(self.words.text("Writing down"), self._start, self.words.text("Written down"))

    def _start(self) -> Future[StepOutcome]:
        if self.evidence.on_its_way:
            raise UsageError("the screenshot is still on its way", next="wait until its name is shown")
        self.by.value = who = remembered(self.by.value)
        return self.sitting.attest(self.step, who=who, remark=self.remark.value, evidence=self.evidence.given)

    def _done(self, out: StepOutcome, did: str, seen: StepOutcome | None) -> None:
        if out.mode == "apply":  # the word is written down: the next one begins with an empty form
            self.remark.value = ""
            self.evidence.clear()
        super()._done(out, did, seen)
