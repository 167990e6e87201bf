"""One control for one key of a customer file: label, input, help, what is wrong with it.

Kind, help, unit, allowed values and default are the schema's, which the models make. A control holds no rules of its
own: what was typed goes to the models as it is, and what they say stands beside it, as text, never as a colour alone.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import ipywidgets as widgets

from umkit.customer.documents import allowed, node_at, resolved
from umkit.customer.explain import dotted
from umkit.errors import Problem
from umkit.panels.words import Words
from umkit.view import render

#: What a control has where nothing was given: the default holds.
ABSENT: Final = object()

Place = tuple[str | int, ...]
Problems = dict[str, list[Problem]]

#: The label above its input: so both keep their width in a narrow window, and at 200 %.
_ABOVE: Final = {"width": "min(48em, 98%)", "flex_flow": "column", "align_items": "stretch", "height": "auto"}
_STYLE: Final = {"description_width": "max-content"}
_ACRONYMS: Final = frozenset({"um", "ews", "mapi", "imap4", "url", "spn"})


@dataclass
class Context:
    """What all controls of a form share.

    Arguments:
        words: the form's language.
        changed: called after each change that a person made.
    """

    words: Words
    changed: Callable[[], None]
    _quiet: int = field(default=0, init=False)

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Change controls without its being taken for a person's change."""
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1

    def tell_change(self, _: Any = None) -> None:
        """A control was changed."""
        if not self._quiet:
            self.changed()


class Control(ABC):
    """A part of the form that shows and gives one value, simple or with keys of its own."""

    widget: widgets.DOMWidget

    def __init__(self, place: Place, context: Context) -> None:
        self.place, self.context, self.words = place, context, context.words
        self.key = dotted(place)
        self.node = node_at(place)
        self.inner = resolved(self.node)

    @property
    @abstractmethod
    def value(self) -> Any:
        """The value as it would stand in the file; ``ABSENT`` where nothing was given."""

    @abstractmethod
    def show(self, value: Any) -> None:
        """Show a value, or ``ABSENT``."""

    @abstractmethod
    def tell(self, problems: Problems) -> None:
        """Show what is wrong here, and take that out of the problems."""

    @abstractmethod
    def focus(self) -> None:
        """Put the keyboard's focus here."""

    @property
    def label(self) -> str:
        """The key's name for people, with its unit."""
        name = next((str(step) for step in reversed(self.place) if isinstance(step, str)), "")
        text = label_of(name, self.words)
        if isinstance(self.place[-1], int):
            return f"{text} {self.place[-1] + 1}"
        unit = self.inner.get("x-unit")
        return f"{text} ({self.words.text(unit)})" if unit else text


class Note:
    """Help, and below it what is wrong; everything in it is escaped."""

    def __init__(self, words: Words, help: str) -> None:
        self.words, self.help = words, help
        self.widget = widgets.HTML(layout={"margin": "0 0 .4em 0"})
        self.errors: list[str] = []
        self.tell([])

    def tell(self, problems: list[Problem]) -> None:
        """Show these problems and no others."""
        self.errors = [problem_text(problem, self.words) for problem in problems]
        text = render("panels/note.html", help=self.help, errors=self.errors, word=self.words.text("Error"))
        if text != self.widget.value:
            self.widget.value = text


class Leaf(Control):
    """A control with one input: text, a number, a choice, a check box, a reference to a secret."""

    def __init__(self, place: Place, context: Context) -> None:
        super().__init__(place, context)
        self.note = Note(self.words, "" if isinstance(place[-1], int) else help_of(self.node, self.words))
        self.input = self._input()
        self.input.observe(self._changed, "value")
        self.widget = widgets.VBox([self.input, self.note.widget])

    def tell(self, problems: Problems) -> None:
        """Show what is wrong here, and take that out of the problems."""
        self.note.tell([*problems.pop(self.key, []), *self._own()])

    def focus(self) -> None:
        """Put the keyboard's focus here."""
        self.input.focus()

    @abstractmethod
    def _input(self) -> Any: ...

    def _own(self) -> list[Problem]:
        return []

    def _changed(self, change: Any) -> None:
        self.context.tell_change(change)

    def _common(self) -> dict[str, Any]:
        """What every input has; the label belongs to it in the page, the tooltip is its longer name."""
        return labelled(self.label, f"{self.key}: {help_of(self.node, self.words)}")

    @property
    def _default(self) -> str:
        default = self.node.get("default")
        if default in (None, "", []):
            return ""
        return self.words.text("default: {value}", value=str(default).lower() if default is True else default)


class TextControl(Leaf):
    """Text of one line or several, also a number, a date or a path; empty is the default, which stands there greyed."""

    def _input(self) -> Any:
        self._shown: tuple[str, Any] = ("", ABSENT)
        if self.inner.get("x-lines"):
            return widgets.Textarea(**self._common(), rows=4, placeholder=self._default)
        return widgets.Text(**self._common(), placeholder=self._default)

    @property
    def value(self) -> Any:
        """What the control holds; ``ABSENT`` where nothing was given."""
        text: str = self.input.value
        if text == self._shown[0]:
            return self._shown[1]  # what stands in the file, of whatever kind, does not change by being looked at
        if not text:
            return ABSENT
        kind = self.inner.get("type")
        if kind == "integer" and re.fullmatch(r"\s*-?[0-9]{1,9}\s*", text):
            return int(text)
        if isinstance(kind, list) and text.strip().casefold() in ("true", "false"):
            return text.strip().casefold() == "true"
        return text

    def show(self, value: Any) -> None:
        """Show a value, or ``ABSENT``."""
        with self.context.quietly():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            self.input.value = "" if value is ABSENT or value is None else text
        self._shown = (self.input.value, value)


class ChoiceControl(Leaf):
    """One of the known values; where nothing need be chosen, that is a choice too."""

    def _input(self) -> Any:
        choices = [True, False] if self.inner.get("type") == "boolean" else list(self.inner.get("enum", ()))
        names = {True: self.words.text("yes"), False: self.words.text("no")}
        options = [(names[c] if isinstance(c, bool) else str(c), c) for c in choices]
        if {"type": "null"} in self.node.get("anyOf", ()) or "default" not in self.node:
            options.insert(0, (self.words.text("(nothing chosen)"), ABSENT))
        self._choices = choices
        return dropdown(**self._common(), options=options, value=options[0][1])

    @property
    def value(self) -> Any:
        """What the control holds; ``ABSENT`` where nothing was given."""
        return self.input.value

    def show(self, value: Any) -> None:
        """Show a value, or ``ABSENT``."""
        if value is ABSENT or value is None:
            value = ABSENT if self.node.get("default") is None else self.node["default"]
        with self.context.quietly():
            options = [(label, each) for label, each in self.input.options if each is ABSENT or each in self._choices]
            values = [each for _, each in options]
            if not any(each is value or (type(each) is type(value) and each == value) for each in values):
                # What stands in the file and is no known value must not change by being looked at.
                options.append((str(value)[:60], value))
            self.input.options = options
            self.input.value = value


class CheckControl(Leaf):
    """Yes or no."""

    def _input(self) -> Any:
        self._strange: Any = ABSENT
        return widgets.Checkbox(description=self.label, tooltip=self.key, indent=False)

    @property
    def value(self) -> Any:
        """What the control holds; ``ABSENT`` where nothing was given."""
        return self.input.value if self._strange is ABSENT else self._strange

    def show(self, value: Any) -> None:
        """Show a value, or ``ABSENT``."""
        value = self.node.get("default", False) if value is ABSENT else value
        self._strange = ABSENT if isinstance(value, bool) else value
        with self.context.quietly():
            self.input.value = value is True

    def _changed(self, change: Any) -> None:
        if not self.context._quiet:
            self._strange = ABSENT
        super()._changed(change)


class ReferenceControl(Leaf):
    """Where a secret is kept. What is no reference may be the secret: it is thrown away at once, and never shown."""

    def _input(self) -> Any:
        self._refused = False
        self._shown: Any = ABSENT
        return widgets.Text(**self._common(), placeholder="keyring:SERVICE/USER", continuous_update=False)

    @property
    def value(self) -> Any:
        """What the control holds; ``ABSENT`` where nothing was given."""
        return self._shown

    def show(self, value: Any) -> None:
        """Show a value, or ``ABSENT``."""
        self._shown, self._refused = (value if is_reference(value) else ABSENT), False
        with self.context.quietly():
            self.input.value = self._shown if isinstance(self._shown, str) else ""
        if value is not ABSENT and value is not None and self._shown is ABSENT:
            self._shown, self._refused = "", True  # a password stands in the file itself: invalid until it is replaced

    def _own(self) -> list[Problem]:
        if not self._refused:
            return []
        message = "this was no reference and may have been a password; it was thrown away. Write down where it is kept"
        return [Problem(self.key, message)]

    def _changed(self, change: Any) -> None:
        if self.context._quiet:
            return
        text: str = change["new"]
        self._refused = bool(text) and not is_reference(text)
        if self._refused:
            with self.context.quietly():
                self.input.value = self._shown if isinstance(self._shown, str) and is_reference(self._shown) else ""
        else:
            self._shown = text or ABSENT
        super()._changed(change)


def labelled(label: str, tooltip: str) -> dict[str, Any]:
    """How an input is labelled: by text above it that belongs to it in the page too."""
    return {"description": label, "tooltip": tooltip, "style": dict(_STYLE), "layout": dict(_ABOVE)}


def dropdown(**traits: Any) -> widgets.Dropdown:
    """A choice labelled as the other inputs are; without a height, JupyterLab's style makes it very tall."""
    made = widgets.Dropdown(**traits)
    made.layout.height = "60px"
    return made


def label_of(name: str, words: Words) -> str:
    """A key's or a section's name for people."""
    text = " ".join(word.upper() if word in _ACRONYMS else word for word in name.split("_"))
    return words.text(text[:1].upper() + text[1:])


def is_reference(value: Any) -> bool:
    """Whether this is a reference to a secret, and so may be shown."""
    from umkit.errors import SecretError
    from umkit.secrets import SecretReference

    try:
        return isinstance(value, str) and bool(SecretReference.parse(value))
    except SecretError:
        return False


def leaf(place: Place, context: Context) -> Leaf:
    """The control for a key without keys of its own."""
    node = node_at(place)
    inner = resolved(node)
    if inner.get("writeOnly"):
        return ReferenceControl(place, context)
    if inner.get("type") == "boolean" and "anyOf" not in node:
        return CheckControl(place, context)
    if inner.get("type") == "boolean" or "enum" in inner:
        return ChoiceControl(place, context)
    return TextControl(place, context)


def help_of(node: dict[str, Any], words: Words) -> str:
    """What a key is for and what may stand there."""
    inner = resolved(node)
    about = words.text(node.get("description") or inner.get("description", ""))
    about = about.replace("null:", words.text("empty") + ":")  # nobody types null into a form
    if "properties" in inner or inner.get("type") == "boolean":
        return about
    may = words.text(_may(inner, words))
    return " ".join(part for part in (about, f"{words.text('Allowed')}: {may}." if may else "") if part)


def problem_text(problem: Problem, words: Words) -> str:
    """A problem beside its field: what is wrong and what was probably meant; what may stand there, the help says."""
    text = words.problem(problem.message)
    return text + (f" – {words.text('did you mean {nearest}?', nearest=problem.nearest)}" if problem.nearest else "")


def _may(inner: dict[str, Any], words: Words) -> str:
    if inner.get("type") == "integer" and "minimum" in inner:
        return words.text("an integer from {low} to {high}", low=inner["minimum"], high=inner["maximum"])
    return "" if "enum" in inner else allowed(inner)
