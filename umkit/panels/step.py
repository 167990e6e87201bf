"""The step card: what is, what would be, and the buttons that do something about it.

The card itself is HTML, the same as without a person, and is saved with the notebook; the buttons are beside it and
are not. Only Apply and Undo change anything, and both say first what they will do where that interrupts or removes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from typing import Any

import ipywidgets as widgets

from umkit.agreement import MOVED
from umkit.errors import OutcomeUnknown, UmkitError
from umkit.outcome import WORDS, StepOutcome
from umkit.panels.base import (
    CardWords,
    Waiting,
    beside,
    button,
    error_text,
    remembered,
    shown,
    state,
    told,
    visible,
    words_of,
)
from umkit.panels.live import CopyButton, Live
from umkit.panels.question import Asked, before_applying, consent_missing
from umkit.sitting import Sitting
from umkit.undoing import Undoing
from umkit.view import render

#: The panels of this kernel by step: a cell that is run again replaces its panel.
_panels: dict[str, StepPanel] = {}
#: Results after which nobody knows enough to send anything: it is read first.
_READ_FIRST = ("failed", "unknown")


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

    #: The panel in which the person acted last: only there the focus is moved.
    _acted: StepPanel | None = None

    def __init__(self, sitting: Sitting, step: str) -> None:
        self.sitting, self.step = sitting, step
        self.info = sitting.chapter.info.step(step)
        self.words = words_of(sitting)
        say = self.words.text
        self._waiting = Waiting()
        self._begun = 0.0
        self._card: Any = None
        self._under_way: Future[Any] | None = None
        self._stopped = False
        self._yes: Callable[[], None] = lambda: None
        self.apply_button = button(say("Apply"), self._ask_apply, style="primary", tooltip=say("Send what is shown"))
        self.verify_button = button(say("Verify"), self._verify, tooltip=say("Read it again; changes nothing"))
        self.look_button = button(say("Look again"), self._look, tooltip=say("Read it again; changes nothing"))
        self.skip_button = button(say("Skip …"), self._ask_skip, tooltip=say("Leave it undone, and say why"))
        self.undo_button = button(say("Undo …"), self._ask_undo, tooltip=say("Take back what was applied here"))
        self.copy_button = CopyButton(self.words)
        self.stop_button = button(say("Stop"), self._stop, style="danger", tooltip=say("Stop it on the server too"))
        self.bar = widgets.HTML(render("panels/busy.html", label=say("At work")))
        wide = {"description_width": "max-content"}
        self.who = widgets.Text(description=say("Who decides"), style=wide)
        self.reason = widgets.Text(description=say("Reason"), style=wide)
        self.asked = Live()
        self.yes_button = button(say("Yes"), self._agreed, style="danger")
        self.no_button = button(say("No, leave it"), self._decline)
        self.status = Live()
        # All of them stay in the page, shown or not: one that was just made could not take the focus.
        self.buttons = widgets.HBox(self._all_buttons())
        answers = widgets.HBox([self.yes_button, self.no_button])
        self.question = widgets.VBox([self.asked, self.who, self.reason, answers])
        self.widget = widgets.VBox([self.buttons, self.question, self.status])
        self.widget.add_class("umkit-step")
        sitting.listeners.append(self._heard)
        self._show_question(False)
        self.refresh()

    @property
    def outcome(self) -> StepOutcome:
        """What was found, or done, last."""
        return self.sitting.chapter.outcomes[self.step]

    @property
    def offered(self) -> list[widgets.Widget]:
        """The buttons that can be pressed now, in their order."""
        places = [self.buttons] if self.question.layout.display == "none" else [self.question.children[-1]]
        return [each for place in places for each in place.children if each.layout.display != "none"]

    def refresh(self) -> None:
        """Show the newest outcome, and the buttons that make sense for it."""
        out = self.outcome
        if self._card is not None:
            self._card.update(shown(out, self.words), raw=True)
        self.copy_button.text = "\n".join(command.script() for command in out.would or out.commands)
        self._show_buttons(self._actions(out))

    def close(self) -> None:
        """Take the widgets away; the card stays as it is."""
        self._card = None
        if self._heard in self.sitting.listeners:
            self.sitting.listeners.remove(self._heard)
        self.widget.close()

    def _ipython_display_(self) -> None:
        from IPython.display import DisplayHandle, display

        self._card = DisplayHandle()  # type: ignore[no-untyped-call]
        self._card.display(shown(self.outcome, self.words), raw=True)
        display(beside(self.widget, "<span></span>", ""), raw=True)  # type: ignore[no-untyped-call]

    def _all_buttons(self) -> list[widgets.Widget]:
        order = (self.apply_button, self.look_button, self.verify_button, self.skip_button, self.undo_button)
        return [*order, self.copy_button, self.bar, self.stop_button]

    def _actions(self, out: StepOutcome) -> list[widgets.Widget]:
        """Buttons for an outcome, the most likely one first."""
        if not out.called:
            return []
        if self.info.kind != "configure":
            acts = out.acts and any(finding.unseen or finding.result == "open" for finding in out.findings)
            return [self.apply_button, self.look_button] if acts else [self.look_button]
        if out.error is not None or out.result in _READ_FIRST:
            actions = [self.look_button]
        elif out.would and not consent_missing(self.sitting.chapter.site, self.info, out):
            actions = [self.apply_button, self.verify_button]
        else:
            actions = [self.verify_button]
        if out.result not in ("ok", "changed"):
            actions.append(self.skip_button)
        if self.sitting.changed(self.step):
            actions.append(self.undo_button)
        return [*actions, *([self.copy_button] if out.would or out.commands else [])]

    def _ask_apply(self) -> None:
        """Begin at once, unless what is to be done interrupts people or removes something: then ask first."""
        out = self.outcome
        asked = before_applying(self.sitting.chapter.site, self.info, out, self.words)
        say = self.words.text
        start = partial(self._go, say("Applying"), lambda: self.sitting.apply(self.step, out), say("Applied"), out)
        if asked is None:
            start()
        else:
            self._ask(asked, start)

    def _look(self) -> None:
        say = self.words.text
        self._go(say("Reading"), lambda: self.sitting.look_again(self.step), say("Read again"))

    def _verify(self) -> None:
        say = self.words.text
        self._go(say("Reading"), lambda: self.sitting.verify(self.step), say("Read again"))

    def _ask_skip(self) -> None:
        say = self.words.text
        self.who.value = self.who.value or remembered()
        text = say("It stays undone; the record will say who decided that, and why.")
        self._ask(Asked(text, [], say("Skip this step"), "warning"), self._skip, forms=True)

    def _skip(self) -> None:
        say, who, reason = self.words.text, remembered(self.who.value), self.reason.value
        self._go(say("Skipping"), lambda: self.sitting.skip(self.step, who, reason), say("Skipped"))

    def _ask_undo(self) -> None:
        self._run(self.words.text("Reading"), lambda: self.sitting.undoable(self.step), self._show_undoing)

    def _show_undoing(self, planned: list[Undoing]) -> None:
        say, card = self.words.text, CardWords(self.words)
        commands = [told(command) for undoing in planned for command in undoing.commands]
        found = [*(f.text for u in planned for f in u.out.findings), *(n for u in planned for n in u.out.notes)]
        besides = [card.finding(text) for text in found]
        besides += [error_text(undoing.out.error, self.words) for undoing in planned if undoing.out.error]
        self.refresh()
        if not commands:
            self.status.value = state("ask", say("Nothing to take back"), lines=besides)
            self._focus()
            return
        start = partial(self.sitting.undo, self.step, planned)
        take = partial(self._go, say("Taking back"), start, say("Taken back"))
        text = say("This takes back what was applied here:")
        self._ask(Asked(text, [*commands, *besides], say("Take it back"), "danger"), take)

    def _ask(self, asked: Asked, yes: Callable[[], None], *, forms: bool = False) -> None:
        """Show what would happen, and two buttons; nothing happens before one is pressed."""
        StepPanel._acted = self
        self._yes = yes
        self.asked.value = state("ask", self.words.text("Please confirm"), asked.text, asked.lines)
        self.yes_button.description, self.yes_button.button_style = asked.yes, asked.style
        self.status.value = ""
        self._show_buttons([])
        self._show_question(True, forms=forms)
        (self.who if forms and not self.who.value else self.reason if forms else self.yes_button).focus()

    def _agreed(self) -> None:
        self._yes()

    def _decline(self) -> None:
        self._show_question(False)
        self.status.value = state("ok", self.words.text("Nothing was changed"))
        self.refresh()
        self._focus()

    def _show_question(self, on: bool, *, forms: bool = False) -> None:
        visible(self.question, on)
        visible(self.who, forms)
        visible(self.reason, forms)

    def _show_buttons(self, those: Iterable[widgets.Widget]) -> None:
        listed = list(those)
        for each in self.buttons.children:
            visible(each, each in listed)
        first = [self.look_button if self.look_button in listed else self.verify_button, self.look_button]
        for each in first:
            each.button_style = "primary" if listed[:1] == [each] and self.info.kind == "configure" else ""

    def _focus(self) -> None:
        """Put the focus on the first button, where the person acted here last: else it is somewhere else by now."""
        first = next((each for each in self.offered if isinstance(each, widgets.Button)), None)
        if StepPanel._acted is self and first is not None:
            first.focus()

    def _go(
        self, word: str, start: Callable[[], Future[StepOutcome]], did: str, seen: StepOutcome | None = None
    ) -> None:
        """Begin something that ends in a new outcome.

        Arguments:
            word: what is being done.
            start: begins it.
            did: that it was done.
            seen: the plan that the person agreed to, where something is to be sent.
        """
        self._run(word, start, lambda out: self._done(out, did, seen))

    def _done(self, out: StepOutcome, did: str, seen: StepOutcome | None) -> None:
        say = self.words.text
        self.refresh()
        if seen is not None and MOVED in out.notes:
            text = say("The card shows what would be sent now. Read it, then press Apply again.")
            if not out.would:
                text = say("The card shows how it is now; there is nothing left to be sent.")
            self.status.value = state("ask", say("Not sent: it is no longer as it was shown"), text)
        elif isinstance(out.error, OutcomeUnknown) or out.result == "unknown":
            text = say("It may have taken effect or not. Look again reads it; nothing is sent again by itself.")
            self.status.value = state("failed", say("Not known how it ended"), text)
        else:
            kind = "failed" if out.result in _READ_FIRST else "ask" if out.result == "blocked" else "ok"
            word = say("Not done") if kind == "failed" and seen is not None else did
            if self._stopped and out.error is not None:
                kind, word = "ask", say("Stopped, and nothing more was sent")
            self.status.value = state(kind, word, say(WORDS[out.result] if out.called else "not called for here"))
        self._focus()

    def _run(self, word: str, start: Callable[[], Future[Any]], done: Callable[[Any], None]) -> None:
        StepPanel._acted = self
        try:
            future = start()
        except UmkitError as error:  # the question stays: what was typed is not lost
            self.status.value = state("failed", error_text(error, self.words))
            return
        self._show_question(False)
        self._under_way, self._stopped = future, False
        self._begun = time.monotonic()
        self._show_buttons([self.bar, self.stop_button])
        if not future.done():
            self.stop_button.focus()
        self._tick(word, future)
        self._waiting.then(future, lambda ended: self._ended(ended, done))

    def _tick(self, word: str, future: Future[Any]) -> None:
        """Say every second how long it takes; a person must see that it lives."""
        if future.done() or self._stopped:
            return
        seconds = f"{time.monotonic() - self._begun:.0f} s"
        waits = not future.running() and self.sitting.busy not in ("", self.step)
        queued = self.words.text("waits for {step}", step=self.sitting.busy) if waits else ""
        visible(self.bar, not waits)  # what only waits is not at work
        self.status.value = state("busy", word, queued or seconds)
        self._waiting.soon(lambda: self._tick(word, future), after=1.0)

    def _ended(self, future: Future[Any], done: Callable[[Any], None]) -> None:
        self._under_way = None
        say = self.words.text
        if future.cancelled():
            self.refresh()
            self.status.value = state("ok", say("Not begun, and nothing was changed"))
            self._focus()
            return
        error = future.exception()
        if error is not None:
            self.refresh()
            self.status.value = state("failed", error_text(error, self.words))
            self._focus()
            return
        done(future.result())

    def _stop(self) -> None:
        """Stop what runs for this step; what only waits for another one's end is not begun."""
        under_way = self._under_way
        if under_way is None or under_way.cancel():
            return
        self._stopped = True
        text = self.words.text("a server that has fallen silent is waited for half a minute")
        self.status.value = state("busy", self.words.text("Stopping"), text)
        self.sitting.stop()

    def _heard(self, step: str) -> None:
        """Another step's work has ended, in the thread of the work."""
        self._waiting.soon(lambda: self._told(step))

    def _told(self, step: str) -> None:
        say = self.words.text
        if self.sitting.over:
            self._show_question(False)
            self._show_buttons([])
            self.status.value = state("ask", say("The chapter's cell was run again"), say("Run this cell again, too."))
            self.close()
            return
        other = self.sitting.chapter.outcomes.get(step)
        if step == self.step or other is None or not other.commands or self._under_way is not None:
            return
        if self.outcome.would:
            self.status.value = state("ask", say("Read before {step} was changed", step=step))
