"""The step card: what is, what would be, and the buttons that do something about it.

The card itself is HTML, the same as without a person, and is saved with the notebook; the buttons are beside it and
are not. Only Apply and Undo change anything, and both say first what they will do where that interrupts or removes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

import ipywidgets as widgets

from umkit.errors import UmkitError
from umkit.outcome import StepOutcome
from umkit.panels.base import Waiting, beside, button, error_text, state, words_of
from umkit.sitting import Sitting
from umkit.steps import GUARDS
from umkit.undoing import Undoing
from umkit.view import card

#: The panels of this kernel by step: a cell that is run again replaces its panel.
_panels: dict[str, StepPanel] = {}


def panel_of(sitting: Sitting, step: str) -> StepPanel:
    """The panel of a step that was just looked at."""
    from umkit.panels.manual import ManualPanel

    if (earlier := _panels.pop(step, None)) is not None:
        earlier.close()
    kind = ManualPanel if sitting.chapter.info.step(step).kind == "manual" else StepPanel
    _panels[step] = made = kind(sitting, step)
    return made


class StepPanel:
    """One step: its card, and what can be done.

    Arguments:
        sitting: the person's work on the chapter.
        step: the step's id.
    """

    def __init__(self, sitting: Sitting, step: str) -> None:
        self.sitting, self.step = sitting, step
        self.info = sitting.chapter.info.step(step)
        self.words = words_of(sitting)
        say = self.words.text
        self._waiting = Waiting()
        self._begun = 0.0
        self._card: Any = None
        self.apply_button = button(say("Apply"), self._ask_apply, style="primary", tooltip=say("Send what is shown"))
        self.verify_button = button(say("Verify"), self._verify, tooltip=say("Read it again; changes nothing"))
        self.skip_button = button(say("Skip …"), self._ask_skip, tooltip=say("Leave it undone, and say why"))
        self.undo_button = button(say("Undo …"), self._ask_undo, tooltip=say("Take back what was applied here"))
        self.stop_button = button(say("Stop"), self._stop, style="danger", tooltip=say("Stop it on the server too"))
        self.who = widgets.Text(description=say("Who decides"), style={"description_width": "max-content"})
        self.reason = widgets.Text(description=say("Reason"), style={"description_width": "max-content"})
        self.status = widgets.HTML()
        self.question = widgets.VBox([])
        self.buttons = widgets.HBox([], layout=widgets.Layout(flex_flow="row wrap"))
        self.widget = widgets.VBox([self.buttons, self.question, self.status])
        self.widget.add_class("umkit-step")
        self.refresh()

    @property
    def outcome(self) -> StepOutcome:
        """What was found, or done, last."""
        return self.sitting.chapter.outcomes[self.step]

    def refresh(self) -> None:
        """Show the newest outcome, and the buttons that make sense for it."""
        out = self.outcome
        if self._card is not None:
            self._card.update({"text/html": card(out), "text/plain": str(out)}, raw=True)
        self.buttons.children = self._actions(out)

    def close(self) -> None:
        """Take the widgets away; the card stays as it is."""
        self._card = None
        self.widget.close()

    def _ipython_display_(self) -> None:
        from IPython.display import DisplayHandle, display

        self._card = DisplayHandle()  # type: ignore[no-untyped-call]
        out = self.outcome
        self._card.display({"text/html": card(out), "text/plain": str(out)}, raw=True)
        display(beside(self.widget, "<span></span>", f"({self.step})"), raw=True)  # type: ignore[no-untyped-call]

    def _actions(self, out: StepOutcome) -> list[widgets.Widget]:
        """Buttons for an outcome, the most likely one first."""
        shown = []
        if self.info.kind == "configure" and out.called:
            if out.would or out.result in ("failed", "unknown", "blocked"):
                shown += [self.apply_button]
            shown += [self.verify_button]
            if out.would or out.result in ("differs", "failed", "blocked"):
                shown += [self.skip_button]
            if self.sitting.changed(self.step):
                shown += [self.undo_button]
            return shown
        return [self.verify_button] if out.called else []

    def _ask_apply(self) -> None:
        """Begin at once, unless what is to be done interrupts people or removes something: then ask first."""
        say, out = self.words.text, self.outcome
        interrupts = [str(each) for each in out.would if each.name.startswith(("Restart-", "Stop-", "Remove-"))]
        guards = [GUARDS[name] for name in (self.info.guard,) if name] if out.would else []
        if not interrupts and not guards:
            self._apply()
            return
        notes = [row.note for row in out.rows if row.note and not row.same]
        self._question(
            say("This interrupts or removes something. Do it now?"),
            [*map(self.words.problem, guards), *interrupts, *dict.fromkeys(notes)],
            button(say("Yes, do it now"), self._apply, style="danger"),
        )

    def _apply(self) -> None:
        self._go(self.words.text("Applying"), lambda: self.sitting.apply(self.step))

    def _verify(self) -> None:
        self._go(self.words.text("Reading"), lambda: self.sitting.verify(self.step))

    def _ask_skip(self) -> None:
        say = self.words.text
        skip = button(say("Skip this step"), self._skip, style="warning")
        self._question(say("It stays undone; the record will say who decided that, and why."), [], skip)
        self.question.children = [self.question.children[0], self.who, self.reason, *self.question.children[1:]]

    def _skip(self) -> None:
        self._go(self.words.text("Skipping"), lambda: self.sitting.skip(self.step, self.who.value, self.reason.value))

    def _ask_undo(self) -> None:
        self._run(self.words.text("Reading"), lambda: self.sitting.undoable(self.step), self._show_undoing)

    def _show_undoing(self, planned: list[Undoing]) -> None:
        say = self.words.text
        commands = [str(command) for undoing in planned for command in undoing.commands]
        findings = [finding.text for undoing in planned for finding in undoing.out.findings]
        self.status.value = ""
        if not commands:
            self.status.value = state("ask", say("Nothing to take back"), lines=findings)
            return
        take = partial(self._go, say("Taking back"), lambda: self.sitting.undo(self.step, planned))
        self._question(
            say("This takes back what was applied here:"), [*commands, *findings], button(say("Take it back"), take)
        )

    def _question(self, text: str, lines: list[str], yes: widgets.Button) -> None:
        """Show what would happen, and two buttons; nothing happens before one is pressed."""
        no = button(self.words.text("No, leave it"), self._decline)
        self.buttons.children = []
        told = widgets.HTML(state("ask", self.words.text("Please confirm"), text, lines))
        self.question.children = [told, widgets.HBox([yes, no])]
        self.status.value = ""
        yes.focus()

    def _decline(self) -> None:
        self.question.children = []
        self.status.value = state("ok", self.words.text("Nothing was changed"))
        self.refresh()

    def _go(self, word: str, start: Callable[[], Future[StepOutcome]]) -> None:
        """Begin something that ends in a new outcome."""
        self._run(word, start, lambda _: self._done())

    def _done(self) -> None:
        out = self.outcome
        kind = "failed" if out.result in ("failed", "unknown", "blocked") else "ok"
        self.status.value = state(kind, self.words.problem(out.summary))
        self.refresh()

    def _run(self, word: str, start: Callable[[], Future[Any]], done: Callable[[Any], None]) -> None:
        self.question.children = []
        try:
            future = start()
        except UmkitError as error:
            self.status.value = state("failed", error_text(error))
            self.refresh()
            return
        self._begun = time.monotonic()
        bar = widgets.IntProgress(value=1, max=1, bar_style="info", layout=widgets.Layout(width="12em"))
        bar.add_class("umkit-busy")
        self.buttons.children = [bar, self.stop_button]
        self._tick(word, future)
        self._waiting.then(future, lambda ended: self._ended(ended, done))

    def _tick(self, word: str, future: Future[Any]) -> None:
        """Say every second how long it takes; a person must see that it lives."""
        if future.done():
            return
        seconds = f"{time.monotonic() - self._begun:.0f} s"
        queued = self.words.text("waits for {step}", step=self.sitting.busy) if not future.running() else ""
        self.status.value = state("busy", word, queued or seconds)
        self._waiting.soon(lambda: self._tick(word, future), after=1.0)

    def _ended(self, future: Future[Any], done: Callable[[Any], None]) -> None:
        error = future.exception()
        if error is not None:
            self.status.value = state("failed", error_text(error))
            self.refresh()
            return
        done(future.result())

    def _stop(self) -> None:
        self.status.value = state("busy", self.words.text("Stopping"))
        self.sitting.stop()
