"""What all panels share: outputs that can be saved, work that is waited for, and words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

import ipywidgets as widgets

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
    """The words of the language that the customer file asks for."""
    inputs = sitting.chapter.site.inputs
    wanted = inputs.run.language if inputs.has("run") else LANGUAGES[0]
    return Words(wanted if wanted in LANGUAGES else LANGUAGES[0])


class CardWords:
    """A card's words in the reader's language; what was found is said as in the handover.

    Arguments:
        words: the panels' words of that language.
    """

    def __init__(self, words: Words) -> None:
        self._panel, self._record = words, RecordWords(words.language)

    def text(self, message: str) -> str:
        """A label or a state."""
        return self._panel.text(message)

    def title(self, text: str) -> str:
        """A step's title."""
        return self._record.text(text)

    def thing(self, text: str) -> str:
        """The name of an object."""
        return self._record.recorded("object", text)

    def value(self, text: str) -> str:
        """A value as the table shows it."""
        return self._record.recorded("value", text)

    def finding(self, text: str) -> str:
        """A sentence about what was found."""
        said = self._panel.problem(text)
        return said if said != text else self._record.recorded("finding", text)


def shown(out: StepOutcome, words: Words) -> dict[str, str]:
    """A step's card as HTML and as text, in the reader's language."""
    say = None if words.language == LANGUAGES[0] else CardWords(words)
    return {"text/html": card(out, say), "text/plain": str(out)}


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


def error_text(error: BaseException) -> str:
    """What an error says in one line, with what to do next."""
    if not isinstance(error, UmkitError):
        return f"{type(error).__name__}: {error}"
    parts = (error.what, error.seen, error.next)
    return "; ".join(part for part in parts if part)


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
