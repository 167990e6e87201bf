"""What all panels share: outputs that can be saved, work that is waited for, and words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

import ipywidgets as widgets

from umkit.command import Command
from umkit.customer import CustomerFile
from umkit.errors import UmkitError
from umkit.handover.words import Words as RecordWords
from umkit.outcome import StepOutcome
from umkit.panels.words import LANGUAGES, Words
from umkit.sitting import Sitting
from umkit.view import card, render

T = TypeVar("T")

#: How a state line looks: sign, colour.
STATES: Final = {
    "ok": ("✓", "var(--jp-success-color1, #2e7d32)"),
    "busy": ("…", "var(--jp-info-color1, #1565c0)"),
    "ask": ("!", "var(--jp-warn-color1, #b26a00)"),
    "failed": ("✗", "var(--jp-error-color1, #c62828)"),
}
#: A button as wide as its words, also at 200 %.
WIDE: Final = {"width": "max-content", "height": "auto"}


def words_of(sitting: Sitting) -> Words:
    """The words of the language that the inputs in use ask for."""
    return spoken(sitting.chapter.site.inputs)


def spoken(inputs: CustomerFile) -> Words:
    """The words of the language that a customer's inputs ask for."""
    wanted = inputs.run.language if inputs.has("run") else LANGUAGES[0]
    return Words(wanted if wanted in LANGUAGES else LANGUAGES[0])


class CardWords:
    """A card's words in the reader's language; what was found is said as in the handover.

    Where a button does it, a sentence names that button and not the command line.

    Arguments:
        words: the panels' words of that language.
    """

    def __init__(self, words: Words) -> None:
        self._panel = words
        #: The handover's words; in English a value stays as the server has it.
        self._record = None if words.language == LANGUAGES[0] else RecordWords(words.language)

    def text(self, message: str) -> str:
        """A label or a state."""
        return self._panel.text(message)

    def title(self, text: str) -> str:
        """A step's title."""
        return self._record.text(text) if self._record else text

    def thing(self, text: str) -> str:
        """The name of an object."""
        return self._recorded("object", text)

    def value(self, text: str) -> str:
        """A value as the table shows it."""
        return self._recorded("value", text)

    def finding(self, text: str) -> str:
        """A sentence about what was found."""
        said = self._panel.problem(text)
        return said if said != text else self._recorded("finding", text)

    def error(self, error: BaseException) -> str:
        """What an error says in one line, with what to do next."""
        if not isinstance(error, UmkitError):
            return f"{type(error).__name__}: {error}"
        whole = "; ".join(part for part in (error.what, error.seen, error.next) if part)
        said = self._panel.problem(whole)
        if said != whole:
            return said
        parts = (self.finding(error.what), error.seen, self.finding(error.next))  # what was seen is the server's own
        return "; ".join(part for part in parts if part)

    def _recorded(self, context: str, text: str) -> str:
        return self._record.recorded(context, text) if self._record else text


def shown(out: StepOutcome, words: Words) -> dict[str, str]:
    """A step's card as HTML and as text, in the reader's language."""
    return {"text/html": card(out, CardWords(words)), "text/plain": str(out)}


def button(text: str, pressed: Callable[[], None], *, style: str = "", tooltip: str = "") -> widgets.Button:
    """A button that says what it does.

    Arguments:
        text: its words.
        pressed: what happens.
        style: ``primary``, ``warning`` or ``danger``, in addition to the words.
        tooltip: what it does, in a sentence.
    """
    made = widgets.Button(description=text, button_style=style, tooltip=tooltip, layout=widgets.Layout(**WIDE))
    made.on_click(lambda _: pressed())
    return made


def visible(widget: widgets.Widget, on: bool) -> None:
    """Show a widget or hide it; hidden it stays in the page, so that it can take the focus when it is shown."""
    widget.layout.display = None if on else "none"


#: Who was named last in this kernel.
_who: list[str] = [""]


def remembered(who: str = "") -> str:
    """The person who was named last, or the one who is named now."""
    _who[0] = who.strip() or _who[0]
    return who.strip() or _who[0]


def state(kind: str, word: str, text: str = "", lines: list[str] | None = None) -> str:
    """A line that says how it stands: a sign, a word and a text; announced by a screen reader.

    Arguments:
        kind: one of :data:`STATES`.
        word: the state in a word.
        text: a sentence; may be empty.
        lines: what there is to be listed.
    """
    sign, colour = STATES[kind]
    return render("panels/status.html", sign=sign, colour=colour, word=word, text=text, lines=lines or [])


def told(command: Command) -> str:
    """A command in a line of text, behind the name of the Windows host that it is for."""
    return f"{command.host}: {command}" if command.host else str(command)


def error_text(error: BaseException, words: Words) -> str:
    """What an error says in one line in the reader's language, with what to do next."""
    return CardWords(words).error(error)


def beside(widget: widgets.Widget, html: str, text: str) -> dict[str, Any]:
    """A widget with the HTML that stands in its place where nobody can press it: in a saved notebook."""
    bundle: dict[str, Any] = dict(widget._repr_mimebundle_())
    return bundle | {"text/html": html, "text/plain": text}


class Waiting:
    """Brings what a sitting's thread has done back into the thread that may touch widgets."""

    def __init__(self) -> None:
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:  # no kernel around it: in a test
            self._loop = None

    def then(self, future: Future[T], done: Callable[[Future[T]], None]) -> None:
        """Call ``done`` when the work has ended, in the thread of the kernel's messages."""
        future.add_done_callback(lambda ended: self.soon(lambda: done(ended)))

    def soon(self, call: Callable[[], None], after: float = 0.0) -> None:
        """Call something in the thread of the kernel's messages, after so many seconds."""
        if self._loop is None:
            if not after:
                call()
        elif after:
            self._loop.call_soon_threadsafe(self._loop.call_later, after, call)
        else:
            self._loop.call_soon_threadsafe(call)
