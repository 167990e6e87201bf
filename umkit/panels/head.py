"""The head of a chapter: what it does, how far it is, the inputs, the connection."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import ipywidgets as widgets

from umkit.customer import CustomerFile
from umkit.panels.base import CardWords, Waiting, beside, spoken, state, words_of
from umkit.panels.connection import ConnectionPanel
from umkit.panels.inputs import Inputs, present
from umkit.panels.live import Live
from umkit.panels.overview import Overview, counted
from umkit.sitting import Sitting
from umkit.view import render

#: Results of a step with which nothing is left to be done.
DONE: Final = ("ok", "changed")
#: The chapter that shows the overview of all.
_START = "00-start"
#: What is said in two languages where one was chosen that the head does not speak.
_CHANGED = "Language changed"
_AGAIN = "run this cell again, and all that stands here follows; the chapter's own text stays as it was prepared"
#: The head of this kernel: a chapter's cell that is run again replaces it.
_heads: list[Head] = []


class Head:
    """What stands above a chapter's steps.

    Arguments:
        sitting: the person's work on the chapter.
        sections: the customer file's sections that the chapter needs.
        use: goes on with other inputs; called in the sitting's thread.
        former: the steps whose cells were run with other inputs than the present ones; kept by the chapter.
        html: gives what the chapter is where nobody can press a button.
    """

    def __init__(
        self,
        sitting: Sitting,
        sections: Sequence[str],
        use: Callable[[CustomerFile], None],
        former: Collection[str],
        html: Callable[[], str],
    ) -> None:
        for earlier in _heads:
            earlier.close()
        _heads[:] = [self]
        self.sitting, self._use, self._former, self._html = sitting, use, former, html
        info, inputs = sitting.chapter.info, sitting.chapter.site.inputs
        self.words = spoken(present(inputs, sections))  # one language for all of the head, until it is made anew
        self._waiting = Waiting()
        say, card = self.words.text, CardWords(self.words)
        title = render(
            "panels/head.html",
            title=card.title(info.title),
            customer=inputs.customer.title or inputs.customer.name,
            does=say("Running a cell changes nothing; only Apply and Undo do."),
            page=say("In the vendor's documentation: {page}", page=info.page) if info.page else "",
            steps=say("The {number} steps of this chapter", number=len(info.steps)),
            rows=[(step.id, card.title(step.title), say(step.kind)) for step in info.steps],
        )
        self.progress = widgets.HTML()
        self.notice = Live()
        self.inputs = Inputs(inputs, sections, self.words, self._begin_with)
        self.connection = ConnectionPanel(sitting, self.words)
        self.inputs.on_use(self._go_on_with)
        parts = [widgets.HTML(title), self.progress, self.inputs.widget, self.notice, self.connection.widget]
        self.overview = Overview(sitting, self.words) if info.name == _START else None
        if self.overview is not None:
            parts.append(self.overview.widget)
        self.widget = widgets.VBox(parts)
        self.widget.add_class("umkit-head")
        sitting.listeners.append(self._step_ended)
        self.refresh()

    def close(self) -> None:
        """Another head has taken its place."""
        self.inputs.close()
        if self.overview is not None:
            self.overview.close()
        self.widget.close()

    def refresh(self) -> None:
        """How many steps are done, how those stand that were looked at, and which show what is no more in use."""
        say, outcomes = self.words.text, dict(self.sitting.chapter.outcomes)
        total = len(self.sitting.chapter.info.steps)
        results = [str(out.result) for out in outcomes.values()]
        done = sum(result in DONE for result in results)
        seen = say("{seen} looked at", seen=len(outcomes))
        told = say("{done} of {total} steps done", done=done, total=total)
        told += "; " + ": ".join(filter(None, (seen, counted(results, self.words))))
        self.progress.value = render("panels/progress.html", label=say("Progress"), now=done, most=total, told=told)
        self.notice.value = self._former_steps() + self._other_language()

    def _former_steps(self) -> str:
        """Which steps show inputs that are no more in use."""
        say = self.words.text
        former = [step.id for step in self.sitting.chapter.info.steps if step.id in self._former]
        text = say("these steps show the former ones until their cells are run again: {steps}", steps=", ".join(former))
        return state("ask", say("Inputs changed"), text) if former else ""

    def _other_language(self) -> str:
        """That the head does not speak the language that was chosen since; said in both."""
        chosen = words_of(self.sitting)
        if chosen.language == self.words.language:
            return ""
        lines = [f"{chosen.text(_CHANGED)}: {chosen.text(_AGAIN)}"]
        return state("ask", self.words.text(_CHANGED), self.words.text(_AGAIN), lines)

    def mimebundle(self) -> dict[str, Any]:
        """The widget, and its HTML for a saved notebook."""
        html = self._html() + self.inputs.static()
        return beside(self.widget, html, self.sitting.chapter.info.title)

    def _begin_with(self, inputs: CustomerFile) -> None:
        """Use the file's values from the first step on; no session is open yet, so nothing is waited for."""
        self.sitting.run(lambda: self._use(inputs)).result()

    def _go_on_with(self, inputs: CustomerFile) -> None:
        """Use what a person changed, after what is being done now."""
        before = self.sitting.chapter.site
        self._waiting.then(self.sitting.run(lambda: self._use(inputs)), lambda _: self._went_on(before))

    def _went_on(self, before: object) -> None:
        self.refresh()
        if self.sitting.chapter.site is not before:
            self.connection.begin_anew()

    def _step_ended(self, step: str) -> None:
        self._waiting.soon(self.refresh)
