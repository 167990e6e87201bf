"""The inputs of one customer as a form, and as a table where nobody is there to fill one in."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import ipywidgets as widgets

from umkit.customer import SECTIONS, CustomerFile
from umkit.customer.documents import node_at, resolved
from umkit.customer.editing import Document
from umkit.customer.explain import dotted, printable
from umkit.customer.loading import examine
from umkit.customer.yaml_text import same
from umkit.errors import CustomerFileError, Problem, UmkitError, UsageError
from umkit.panels.controls import ABSENT, Context, dropdown, is_reference, label_of, labelled, problem_text
from umkit.panels.groups import Section
from umkit.panels.live import Live
from umkit.panels.words import LANGUAGES, Words
from umkit.view import render, table

_COLOURS: Final = {
    "✓": "var(--jp-success-color1, #2e7d32)",
    "✎": "var(--jp-info-color1, #1565c0)",
    "✗": "var(--jp-error-color1, #c62828)",
}


class InputsForm:
    """A customer file as a form: every change is checked by the models at once, and nothing is written but by Save.

    Arguments:
        parameters: the folder of the customer files.
        customer: the customer to begin with; the first file unless given.
        sections: the sections that a chapter needs; all unless given. The others can be shown too.
        language: ``en`` or ``de``; what the file says under run.language unless given.

    Raises ``UsageError`` when the folder has no customer file, or not this one.
    """

    def __init__(
        self,
        parameters: Path | str = "parameters",
        *,
        customer: str | None = None,
        sections: Sequence[str] | None = None,
        language: str | None = None,
    ) -> None:
        self.folder = Path(parameters)
        names = self._names()
        if not names or (customer is not None and customer not in names):
            raise UsageError(
                f"there is no customer file{f' {printable(customer)}.yaml' if customer else ''} to show",
                where={"folder": str(self.folder)},
                seen=", ".join(names) or "no customer file in this folder",
                next="make one: umkit new CUSTOMER",
            )
        self.needed = tuple(name for name in SECTIONS if sections is None or name in sections)
        self._language = language
        self._callbacks: list[Callable[[InputsForm], None]] = []
        self.problems: list[Problem] = []
        self._document: Document | None = None
        self._file: CustomerFile | None = None
        self._held: str | None = None
        self.chooser = dropdown(options=names, value=customer or names[0], **labelled("", ""))
        self.everything = widgets.Checkbox(value=False, indent=False, layout={"width": "auto"})
        self.save_button, self.revert_button = widgets.Button(), widgets.Button()
        for button in (self.save_button, self.revert_button):
            button.layout.width = "max-content"
        self.status = Live()
        self._body = widgets.VBox([])
        self.widget = widgets.VBox(
            [
                self.chooser,
                self.everything,
                self._body,
                self.status,
                widgets.HBox([self.save_button, self.revert_button], layout={"flex_flow": "row wrap"}),
            ]
        )
        self.widget.add_class("umkit-panel")
        self._open(self.chooser.value)
        self.chooser.observe(self._chosen, "value")
        self.everything.observe(lambda _: self._lay_out(), "value")
        self.save_button.on_click(lambda _: self.save())
        self.revert_button.on_click(lambda _: self.revert())

    @property
    def customer(self) -> str:
        """The customer's short name."""
        return str(self.chooser.value)

    @property
    def path(self) -> Path:
        """The customer's file."""
        return next(p for p in (self.folder / f"{self.customer}{end}" for end in (".yaml", ".yml")) if p.is_file())

    @property
    def values(self) -> dict[str, Any]:
        """The whole file's plain values as they stand in the form, right or wrong."""
        if self._document is None:
            return {}
        given = {section.name: section.value for section in self.sections.values()}
        unknown = {name: value for name, value in self._document.values.items() if name not in given}
        return {name: value for name, value in given.items() if value is not ABSENT} | unknown

    @property
    def changed(self) -> bool:
        """Whether the form holds what the file does not."""
        return self._document is not None and not same(self.values, self._document.values)

    @property
    def inputs(self) -> CustomerFile:
        """What the form holds now, saved or not; raises ``CustomerFileError`` with every problem where it is wrong."""
        if self.problems or self._file is None:
            raise CustomerFileError(printable(str(self.path)), self.problems)
        return self._file

    def on_change(self, callback: Callable[[InputsForm], None]) -> None:
        """Have something called with the form after each change, right or wrong, and after Save."""
        self._callbacks.append(callback)

    def remove(self, callback: Callable[[InputsForm], None]) -> None:
        """Call this no more."""
        self._callbacks = [each for each in self._callbacks if each != callback]

    def save(self) -> bool:
        """Write what was changed into the customer's file; says beside the button why not, where it does not."""
        text = self.words.text
        if self._document is None:
            return False
        try:
            self._document, self._file = self._document.save(self.values)
        except CustomerFileError as error:
            self._say("✗", text("Not saved"), text("the file would not be valid"), self._lines(error.problems))
            return False
        except UmkitError as error:
            self._say("✗", text("Not saved"), self.words.problem(error.what), [self.words.problem(error.next)])
            return False
        for section in self.sections.values():
            section.show(self._document.values.get(section.name, ABSENT))
        self._check()
        self._say("✓", text("Saved"), str(self.path))
        self._notify()
        return True

    def revert(self) -> None:
        """Read the file anew; what was changed in the form and not saved is gone."""
        self._open(self.customer)
        self._notify()

    def speak(self, language: str) -> None:
        """Say everything in this language from now on; what was typed stays.

        Arguments:
            language: ``en`` or ``de``.
        """
        self._language = language
        if self._document is not None and language != self.words.language:
            self._make(self.values, language)
            self._check()

    def static(self) -> str:
        """The inputs as plain tables: what a record shows, without any script."""
        return tables(self.values, self.needed, self.words)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        bundle = {"text/plain": repr(self), "text/html": self.static()}
        if os.environ.get("UMKIT_HEADLESS") == "1":
            return bundle
        return {**self.widget._repr_mimebundle_(), **bundle}

    def __repr__(self) -> str:
        state = f"{len(self.problems)} problems" if self.problems else "valid"
        return f"inputs of {self.customer}: {state}{', not saved' if self.changed else ''}"

    def _names(self) -> list[str]:
        try:
            files = [path for path in self.folder.iterdir() if path.suffix in (".yaml", ".yml") and path.is_file()]
        except OSError:
            return []
        return sorted({path.stem for path in files} - {"example"})

    def _open(self, name: str) -> None:
        """Read a customer's file and make the form for it."""
        self._document = self._file = None
        problems: list[Problem] = []
        try:
            self._document = Document.open(self.path)
        except CustomerFileError as error:
            problems = error.problems
        values = self._document.values if self._document else {}
        run = values.get("run")
        spoken = run.get("language") if isinstance(run, dict) else None
        self._make(values, self._language or (spoken if spoken in LANGUAGES else LANGUAGES[0]))
        self.problems = problems
        if self._document is None:
            self._body.children = []
            text = self.words.text("this file has to be mended in an editor first")
            self._say("✗", self.words.text("Error"), text, self._lines(problems))
        else:
            self._check()

    def _make(self, values: Mapping[str, Any], language: str) -> None:
        """Make every control anew, with these values and in this language; what was open stays open."""
        self.words = Words(language)
        self._context = Context(self.words, self._changed)
        opened = {name for name, section in getattr(self, "sections", {}).items() if section.button.value}
        self.sections = {section: Section(section, self._context) for section in SECTIONS}
        for section in self.sections.values():
            section.show(values.get(section.name, ABSENT))
            section.button.value = section.name in opened
        self._label()
        self._lay_out()

    def _label(self) -> None:
        text = self.words.text
        self.chooser.description = text("Customer")
        self.chooser.tooltip = text("The customer whose file is shown")
        self.everything.description = text("Show the sections that this chapter does not need, too")
        self.everything.layout.display = "none" if len(self.needed) == len(SECTIONS) else ""
        self.save_button.description = "✓ " + text("Save")
        self.save_button.tooltip = text("Write the changes into the customer's file; its comments stay")
        self.revert_button.description = "↺ " + text("Revert")
        self.revert_button.tooltip = text("Read the file anew; changes that were not saved are lost")

    def _lay_out(self) -> None:
        shown = SECTIONS if self.everything.value else self.needed
        self._body.children = [self.sections[name].widget for name in shown] if self._document else []

    def _chosen(self, change: Any) -> None:
        if change["new"] == self._held:
            self._held = None
            return
        if self.changed:
            self._held = change["old"]
            self.chooser.value = change["old"]
            text = self.words.text("save or revert the changes first, then choose another customer")
            self._say("✗", self.words.text("Not saved"), text)
            return
        self._open(change["new"])
        self._notify()

    def _changed(self) -> None:
        self._check()
        self._notify()

    def _notify(self) -> None:
        for callback in self._callbacks:
            callback(self)

    def _check(self) -> None:
        """Have the models look at everything, and put what they say where it belongs."""
        self._file, self.problems = examine(copy.deepcopy(self.values), self.path)
        places: dict[str, list[Problem]] = {}
        for problem in self.problems:
            places.setdefault(problem.key, []).append(problem)
        for section in self.sections.values():
            section.tell(places)
        text = self.words.text
        if self.problems:
            self._say(
                "✗", text("Error"), text("Problems: {number}", number=len(self.problems)), self._lines(self.problems)
            )
        elif self.changed:
            self._say("✎", text("Changed"), text("valid, not saved yet"))
        else:
            self._say("✓", text("Valid"), text("as it is in the file"))

    def _lines(self, problems: Sequence[Problem]) -> list[str]:
        return [f"{problem.key}: {problem_text(problem, self.words)}" for problem in problems[:10]]

    def _say(self, sign: str, word: str, text: str, lines: Sequence[str] = ()) -> None:
        self.status.value = render(
            "panels/status.html", sign=sign, word=word, text=text, lines=list(lines), colour=_COLOURS[sign]
        )


def tables(values: Mapping[str, Any], sections: Sequence[str], words: Words) -> str:
    """Inputs as plain tables, a section each; a secret only as its reference.

    Arguments:
        values: section name → its plain values.
        sections: the sections to be shown.
        words: the language.
    """
    made = []
    for name in sections:
        value = values.get(name)
        rows = list(_rows((name,), value, words)) if name in values else []
        if value is None:
            rows = [(name, words.text("not wanted" if name in values else "all defaults"), "")]
        heads = [words.text(word) for word in ("Key", "Value", "What it is for")]
        made.append(table(heads, rows, label_of(name, words)))
    return "".join(made)


def _rows(place: tuple[str | int, ...], value: Any, words: Words) -> Any:
    """The lines of the static table: every key with its value; a secret only as its reference."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _rows((*place, name), inner, words)
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for index, inner in enumerate(value):
            yield from _rows((*place, index), inner, words)
    else:
        node = node_at(place)
        hidden = resolved(node).get("writeOnly") and value is not None and not is_reference(value)
        yield dotted(place), "(hidden)" if hidden else _shown(value, words), words.text(node.get("description", ""))


def _shown(value: Any, words: Words) -> str:
    if isinstance(value, bool):
        return words.text("yes" if value else "no")
    if isinstance(value, list):
        return ", ".join(str(each) for each in value) or "–"
    return "–" if value in (None, "", {}) else str(value)
