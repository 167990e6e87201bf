"""The inputs at a chapter's head: the customer file's form, folded away while it is valid, and what is in use of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from umkit.customer import CustomerFile, load, parse
from umkit.customer.explain import differing
from umkit.errors import UmkitError
from umkit.panels.base import error_text, state
from umkit.panels.form import InputsForm, tables
from umkit.panels.words import Words

#: The forms of this kernel by file, so that running the chapter's cell again loses no change that was not saved.
_forms: dict[Path, InputsForm] = {}
#: How many keys are named before the rest is only counted.
_MOST = 4


def customer_file() -> Path | None:
    """The customer file that the notebook was opened with; none where it was not opened by ``umkit open``."""
    named = os.environ.get("UMKIT_CUSTOMER_FILE", "")
    return Path(named) if named and Path(named).is_file() else None


def present(given: CustomerFile, sections: Sequence[str]) -> CustomerFile:
    """The inputs that a chapter uses when its cell is run: the form's, else the file's, else those given.

    Arguments:
        given: the notebook's parameters.
        sections: the sections that the chapter needs.
    """
    path = customer_file()
    if path is None:
        return given
    held = _forms.get(path.resolve())
    try:
        return _restricted(held.inputs if held is not None and held.changed else load(path), sections)
    except UmkitError:
        return given


def _restricted(file: CustomerFile, sections: Sequence[str]) -> CustomerFile:
    """The sections that the chapter was given; more of them could make it do more."""
    values = file.dump()
    return parse({name: values.get(name) for name in sections}, source=file.source)


class Inputs:
    """The inputs of one chapter: what the customer file says, what a person makes of it, what is in use.

    The customer file is the truth: where it differs from the notebook's parameters, which were written when the chapter
    was opened, the file's values are used. What is changed in the form is used as soon as it is valid, saved or not.

    Arguments:
        given: the notebook's parameters.
        sections: the sections that the chapter needs.
        words: the language.
        use: goes on with other inputs.
    """

    def __init__(
        self, given: CustomerFile, sections: Sequence[str], words: Words, use: Callable[[CustomerFile], None]
    ) -> None:
        self.used, self.sections, self.words, self._use = given, tuple(sections), words, use
        self.path = customer_file()
        self.form: InputsForm | None = None
        say = words.text
        self.told = widgets.HTML()
        self.button = widgets.ToggleButton(value=False, layout=widgets.Layout(width="max-content", height="auto"))
        self.body = widgets.VBox([], layout=widgets.Layout(padding="0 0 .4em 1em"))
        self.widget = widgets.VBox([self.told, self.button, self.body])
        self.button.observe(self._toggled, "value")
        if self.path is None:
            self._tell(
                "ask", say("Inputs"), say("those of the cell above; open it with umkit open to change them here")
            )
        else:
            self._begin(self.path)

    def on_use(self, use: Callable[[CustomerFile], None]) -> None:
        """Go on with other inputs in this way from now on."""
        self._use = use

    def close(self) -> None:
        """Take no more notice of the form; another one has its place."""
        self._use = lambda _: None
        if self.form is not None:
            self.form.remove(self._changed)

    def static(self) -> str:
        """What is in use, as plain tables."""
        return tables(self.used.dump(), self.sections, self.words)

    def _begin(self, path: Path) -> None:
        say = self.words.text
        held = _forms.get(path.resolve())
        if held is not None and held.changed:
            self._hold(held)
            self._changed(held)
            self.button.value = True
            return
        try:
            file = _restricted(load(path), self.sections)
        except UmkitError as error:
            self._tell("failed", say("The customer file is not valid"), error_text(error, self.words))
            self.button.value = True  # the form says what is wrong, beside each field
            return
        moved = [key for key, *_ in differing(self.used.dump(), file.dump())]
        if not moved:
            self._tell("ok", say("Inputs valid"), say("as in {file}", file=path.name))
            return
        self._take(file)
        text = say(
            "changed since this notebook was prepared; the file's values are used: {keys}", keys=self._some(moved)
        )
        self._tell("ask", path.name, text)

    def _toggled(self, _: Any) -> None:
        if self.button.value and self.form is None and self.path is not None:
            try:
                parameters, name = self.path.parent, self.path.stem
                self._hold(InputsForm(parameters, customer=name, sections=self.sections, language=self.words.language))
            except UmkitError as error:  # gone, or a name that no form shows
                self.told.value = state(
                    "failed", self.words.text("The customer file is not valid"), error_text(error, self.words)
                )
        if not self.button.value:
            self.body.children = []
        elif self.form is not None:
            other = self.words.text("another customer's chapters: umkit open OTHER")
            told = widgets.HTML(f"<small>{escape(str(self.path))} · {escape(other)}</small>")
            self.body.children = [told, self.form.widget]
        else:
            self.body.children = [widgets.HTML(self.static())]
        self._name_button()

    def _hold(self, form: InputsForm) -> None:
        form.chooser.layout.display = "none"  # this copy belongs to one customer
        form.speak(self.words.language)
        form.on_change(self._changed)
        self.form = _forms[form.path.resolve()] = form

    def _changed(self, form: InputsForm) -> None:
        say = self.words.text
        try:
            file = _restricted(form.inputs, self.sections)
        except UmkitError:
            self._tell("failed", say("Inputs not valid"), say("the last valid ones stay in use"))
            return
        if not differing(self.used.dump(), file.dump()):
            unsaved = say("in use, not saved yet")
            self._tell("ok", say("Inputs valid"), unsaved if form.changed else say("as in {file}", file=form.path.name))
            return
        self._take(file)
        saved = say("used from now on; not saved yet") if form.changed else say("used from now on")
        self._tell("ok", say("Inputs valid"), saved)

    def _take(self, file: CustomerFile) -> None:
        self.used = file
        self._use(file)

    def _tell(self, kind: str, word: str, text: str) -> None:
        self.told.value = state(kind, word, text)
        self._name_button()

    def _name_button(self) -> None:
        say = self.words.text
        sign = "▾" if self.button.value else "▸"
        word = say("Inputs of {customer}", customer=self.used.customer.name)
        self.button.description = f"{sign} {word}"
        self.button.tooltip = f"{word}, {say('open') if self.button.value else say('closed')}"

    def _some(self, keys: Sequence[str]) -> str:
        rest = len(keys) - _MOST
        return ", ".join(keys[:_MOST]) + (self.words.text(" and {number} more", number=rest) if rest > 0 else "")
