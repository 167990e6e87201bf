"""The card of a manual step: what a machine can see of it, and a person's word with a picture."""

from __future__ import annotations

import tempfile
from concurrent.futures import Future
from pathlib import Path

import ipywidgets as widgets

from umkit.outcome import StepOutcome
from umkit.panels.base import button
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
        self.by = widgets.Text(description=say("Done by"), style=wide)
        self.remark = widgets.Text(description=say("Remark"), style=wide)
        self.evidence = widgets.FileUpload(description=say("Screenshot"), accept="image/*,.pdf", multiple=False)
        self.done_button = button(say("Done"), self._attest, style="primary", tooltip=say("Write your word down"))
        self.form = widgets.VBox([self.by, self.remark, self.evidence])
        self.widget.children = [self.form, *self.widget.children]
        self.refresh()

    def _actions(self, out: StepOutcome) -> list[widgets.Widget]:
        if not out.called or not hasattr(self, "done_button"):
            return []
        return [self.done_button, self.verify_button]

    def _attest(self) -> None:
        self._go(self.words.text("Writing down"), self._start)

    def _start(self) -> Future[StepOutcome]:
        files = self.evidence.value
        if not files:
            return self.sitting.attest(self.step, who=self.by.value, remark=self.remark.value)
        folder = Path(tempfile.mkdtemp(prefix="umkit-"))
        path = folder / Path(str(files[0]["name"])).name
        path.write_bytes(bytes(files[0]["content"]))
        return self.sitting.attest(self.step, who=self.by.value, remark=self.remark.value, evidence=path)
