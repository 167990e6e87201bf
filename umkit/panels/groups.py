"""Controls with parts: the keys of a section, what may be left out as a whole, lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import ipywidgets as widgets

from umkit.customer.documents import node_at, resolved
from umkit.customer.file import DECIDED
from umkit.customer.yaml_text import same
from umkit.errors import Problem
from umkit.panels.controls import (
    ABSENT,
    Context,
    Control,
    Note,
    Place,
    Problems,
    dropdown,
    help_of,
    label_of,
    labelled,
    leaf,
)
from umkit.view import render

_FRAME: Final = {
    "border": "1px solid var(--jp-border-color1, #888)",
    "padding": ".4em .8em",
    "margin": ".3em 0",
    "width": "min(64em, 98%)",
}
#: A section's button, with its text at the left.
_BAR: Final = {
    "width": "min(64em, 98%)",
    "height": "auto",
    "display": "flex",
    "flex_flow": "row wrap",
    "justify_content": "flex-start",
}


class Group(Control):
    """Keys that belong together. A default is only written where its key stands in the file already."""

    def __init__(self, place: Place, context: Context) -> None:
        super().__init__(place, context)
        self.parts = {name: control((*place, name), context) for name in self.inner["properties"]}
        self._original: Any = {}
        self.widget = widgets.VBox([part.widget for part in self.parts.values()])

    @property
    def value(self) -> Any:
        """What the control holds; ``ABSENT`` where nothing was given."""
        if not isinstance(self._original, dict):
            return self._original  # no keys at all: the models say what is wrong with it
        values = {name: self._given(name, part) for name, part in self.parts.items()}
        known = {name: value for name, value in values.items() if value is not ABSENT}
        return known | {name: value for name, value in self._original.items() if name not in self.parts}

    def show(self, value: Any) -> None:
        """Show a value, or ``ABSENT``."""
        self._original = {} if value is ABSENT or value is None else value
        held = self._original if isinstance(self._original, dict) else {}
        for name, part in self.parts.items():
            part.show(held.get(name, ABSENT))

    def tell(self, problems: Problems) -> None:
        """Show what is wrong here, and take that out of the problems."""
        for part in self.parts.values():
            part.tell(problems)

    def focus(self) -> None:
        """Put the keyboard's focus here."""
        next(iter(self.parts.values())).focus()

    def _given(self, name: str, part: Control) -> Any:
        node, value = node_at(part.place), part.value
        if value is ABSENT and name in self._original:
            return node.get("default", ABSENT)
        if name not in self._original and "default" in node and same(value, node["default"]):
            return ABSENT
        return value


class Optional(Control):
    """Keys that may be left out as a whole: not given, or not wanted by the customer."""

    def __init__(self, place: Place, context: Context) -> None:
        super().__init__(place, context)
        text = self.words.text
        self._decided = place[0] in DECIDED and len(place) == 1
        options = [(text("not given"), "no"), (text("given"), "yes")]
        if self._decided:
            options = [
                (text("not decided yet"), "open"),
                (text("the customer does not want it"), "no"),
                (text("wanted"), "yes"),
            ]
        self.choice = dropdown(
            options=options,
            **labelled(self.label, f"{self.key}: {help_of(self.node, self.words)}"),
        )
        self.note = Note(self.words, help_of(self.node, self.words))
        self.group: Group | None = None
        self._body = widgets.VBox([], layout={"padding": "0 0 0 1.2em"})
        self.choice.observe(self._chosen, "value")
        self.widget = widgets.VBox([self.choice, self.note.widget, self._body])

    @property
    def value(self) -> Any:
        """What the control holds; ``ABSENT`` where nothing was given."""
        if self.choice.value == "yes" and self.group is not None:
            return self.group.value
        return ABSENT if self.choice.value == "open" else None

    def show(self, value: Any) -> None:
        """Show a value, or ``ABSENT``."""
        absent = "open" if self._decided else "no"
        with self.context.quietly():
            self.choice.value = absent if value is ABSENT else "no" if value is None else "yes"
        self._fill()
        if self.group is not None:
            self.group.show({} if value is None else value)

    def tell(self, problems: Problems) -> None:
        """Show what is wrong here, and take that out of the problems."""
        if self.group is not None and self.choice.value == "yes":
            self.group.tell(problems)
        self.note.tell(problems.pop(self.key, []))

    def focus(self) -> None:
        """Put the keyboard's focus here."""
        self.choice.focus()

    def _chosen(self, change: Any) -> None:
        if self.context._quiet:
            return
        self._fill()
        self.context.tell_change(change)

    def _fill(self) -> None:
        if self.choice.value == "yes" and self.group is None:
            self.group = Group(self.place, self.context)
            self.group.show(ABSENT)
        self._body.children = [self.group.widget] if self.choice.value == "yes" and self.group is not None else []


class Several(Control):
    """A list whose entries can be added, changed, moved and removed with the keyboard.

    The controls stay where they are and the values move between them, so that the keyboard's focus is never lost.
    """

    def __init__(self, place: Place, context: Context) -> None:
        super().__init__(place, context)
        self.rows: list[_Row] = []
        self._spare: list[_Row] = []
        self._strange: Any = ABSENT
        heading = render("panels/heading.html", text=self.label, level=5)
        self.note = Note(self.words, help_of(self.node, self.words))
        self.add = widgets.Button(
            description="+ " + self.words.text("Add"),
            tooltip=self.words.text("Add an entry to {what}", what=self.label),
            layout={"width": "max-content"},
        )
        self.add.on_click(self._added)
        self._body = widgets.VBox([])
        self.widget = widgets.VBox([widgets.HTML(heading), self.note.widget, self._body, self.add], layout=dict(_FRAME))

    @property
    def value(self) -> Any:
        """What the control holds; ``ABSENT`` where nothing was given."""
        if self._strange is not ABSENT:
            return self._strange
        return [row.value for row in self.rows] or (ABSENT if "default" in self.node else [])

    def show(self, value: Any) -> None:
        """Show a value, or ``ABSENT``."""
        value = [] if value is ABSENT or value is None else value
        self._strange = ABSENT if isinstance(value, list) else value
        self._fill(value if isinstance(value, list) else [])

    def tell(self, problems: Problems) -> None:
        """Show what is wrong here, and take that out of the problems."""
        for row in self.rows:
            row.tell(problems)
        self.note.tell(problems.pop(self.key, []))

    def focus(self) -> None:
        """Put the keyboard's focus here."""
        self.add.focus()

    def _fill(self, values: list[Any]) -> None:
        while len(self.rows) < len(values):
            self.rows.append(self._spare.pop() if self._spare else self._row(len(self.rows)))
        while len(self.rows) > len(values):
            self._spare.append(self.rows.pop())
        for index, (row, value) in enumerate(zip(self.rows, values, strict=True)):
            row.show(value)
            row.up.disabled, row.down.disabled = index == 0, index == len(values) - 1
        self._body.children = [row.widget for row in self.rows]

    def _row(self, index: int) -> _Row:
        return _Row(
            control((*self.place, index), self.context),
            self.context,
            lambda step: self._moved(index, step),
            lambda: self._removed(index),
        )

    def _added(self, _: Any) -> None:
        self._strange = ABSENT
        values = [row.value for row in self.rows]
        self._fill([*values, {} if "properties" in resolved(self.inner["items"]) else ""])
        self.rows[-1].control.focus()
        self.context.tell_change()

    def _moved(self, index: int, step: int) -> None:
        values = [row.value for row in self.rows]
        values[index], values[index + step] = values[index + step], values[index]
        self._fill(values)
        row = self.rows[index + step]
        button = row.up if (step < 0 and not row.up.disabled) or row.down.disabled else row.down
        button.focus()
        self.context.tell_change()

    def _removed(self, index: int) -> None:
        values = [row.value for row in self.rows]
        del values[index]
        self._fill(values)
        (self.rows[min(index, len(values) - 1)].remove if values else self.add).focus()
        self.context.tell_change()


class _Row:
    """One entry of a list with its buttons."""

    def __init__(
        self, held: Control, context: Context, moved: Callable[[int], None], removed: Callable[[], None]
    ) -> None:
        text, self.control = context.words.text, held
        small = {"width": "max-content"}

        def button(sign: str, word: str, tooltip: str) -> widgets.Button:
            return widgets.Button(
                description=f"{sign} {text(word)}", tooltip=text(tooltip, what=held.label), layout=small
            )

        self.up = button("↑", "Up", "Move {what} up")
        self.down = button("↓", "Down", "Move {what} down")
        self.remove = button("✕", "Remove", "Remove {what}")
        self.up.on_click(lambda _: moved(-1))
        self.down.on_click(lambda _: moved(1))
        self.remove.on_click(lambda _: removed())
        buttons = widgets.HBox([self.up, self.down, self.remove], layout={"flex_flow": "row wrap"})
        parts: list[widgets.Widget] = [held.widget, buttons]
        if isinstance(held, Group):
            heading = render("panels/heading.html", text=held.label, level=6)
            parts = [widgets.HTML(heading), *parts]
        self.widget = widgets.VBox(parts, layout=dict(_FRAME) if isinstance(held, Group) else {})

    @property
    def value(self) -> Any:
        """What the control holds; ``ABSENT`` where nothing was given."""
        return "" if self.control.value is ABSENT else self.control.value

    def show(self, value: Any) -> None:
        """Show a value, or ``ABSENT``."""
        self.control.show(value)

    def tell(self, problems: Problems) -> None:
        """Show what is wrong here, and take that out of the problems."""
        self.control.tell(problems)


class Ticks(Control):
    """A list of some of the known values, each a check box."""

    def __init__(self, place: Place, context: Context) -> None:
        super().__init__(place, context)
        self._original: list[Any] = []
        self.boxes = {
            choice: widgets.Checkbox(description=self.words.text(choice), indent=False, tooltip=f"{self.key}: {choice}")
            for choice in resolved(self.inner["items"])["enum"]
        }
        for box in self.boxes.values():
            box.observe(self.context.tell_change, "value")
        heading = render("panels/heading.html", text=self.label, level=5)
        self.note = Note(self.words, help_of(self.node, self.words))
        row = widgets.HBox(list(self.boxes.values()), layout={"flex_flow": "row wrap"})
        self.widget = widgets.VBox([widgets.HTML(heading), self.note.widget, row], layout=dict(_FRAME))

    @property
    def value(self) -> Any:
        """What the control holds; ``ABSENT`` where nothing was given."""
        kept = [each for each in self._original if each not in self.boxes or self.boxes[each].value]
        return kept + [choice for choice, box in self.boxes.items() if box.value and choice not in kept]

    def show(self, value: Any) -> None:
        """Show a value, or ``ABSENT``."""
        given = self.node.get("default", []) if value is ABSENT else value
        self._original = [each for each in given if isinstance(each, str)] if isinstance(given, list) else []
        with self.context.quietly():
            for choice, box in self.boxes.items():
                box.value = choice in self._original

    def tell(self, problems: Problems) -> None:
        """Show what is wrong here, and take that out of the problems."""
        own = [key for key in problems if key == self.key or key.startswith(self.key + "[")]
        self.note.tell([problem for key in own for problem in problems.pop(key)])

    def focus(self) -> None:
        """Put the keyboard's focus here."""
        next(iter(self.boxes.values())).focus()


class Section:
    """A section behind a button that opens and closes it; what is in it is made when it is first opened."""

    def __init__(self, name: str, context: Context) -> None:
        self.name, self.context = name, context
        self.control: Control | None = None
        self._value: Any = ABSENT
        self.button = widgets.ToggleButton(value=False, layout=dict(_BAR))
        self._body = widgets.VBox([], layout={"padding": "0 0 .6em 1em"})
        self._plain = name not in DECIDED  # such a section stands there, or all its defaults hold
        grouped = self._plain and "properties" in resolved(node_at((name,)))  # others say what they are by themselves
        self.note = Note(context.words, help_of(node_at((name,)), context.words) if grouped else "")
        self.button.observe(self._toggled, "value")
        self.widget = widgets.VBox([self.button, self._body])
        self._count = 0
        self._name_button()

    @property
    def value(self) -> Any:
        """The section's value, or ``ABSENT``; one that was never opened is as the file has it."""
        if self.control is None:
            return self._value
        value = self.control.value
        return self._value if self._plain and value == {} and self._value in (ABSENT, None) else value

    def show(self, value: Any) -> None:
        """Show a value from the file."""
        self._value = value
        if self.control is not None:
            self.control.show(value)

    def tell(self, problems: Problems) -> None:
        """Show what is wrong in this section, at its keys or, where no key is there for it, at its head."""
        own = {key: found for key, found in problems.items() if _section_of(key) == self.name}
        for key in own:
            del problems[key]
        self._count = sum(map(len, own.values()))
        if self.control is not None:
            self.control.tell(own)
        rest = [Problem(p.key, f"{p.key}: {p.message}", nearest=p.nearest) for found in own.values() for p in found]
        self.note.tell(rest if self.control is not None else [])
        self._name_button()

    def _toggled(self, _: Any) -> None:
        if self.button.value and self.control is None:
            held = Optional((self.name,), self.context) if self.name in DECIDED else control((self.name,), self.context)
            held.show(self._value)
            self.control = held
            self.context.tell_change()
        shown = [self.note.widget, self.control.widget] if self.button.value and self.control is not None else []
        self._body.children = shown
        self._name_button()

    def _name_button(self) -> None:
        text = self.context.words.text
        title = label_of(self.name, self.context.words)
        state = text("open") if self.button.value else text("closed")
        wrong = f" – ✗ {text('Error')}: {self._count}" if self._count else ""
        self.button.description = f"{'▾' if self.button.value else '▸'} {title}{wrong}"
        self.button.tooltip = f"{title}, {state}{wrong}"


def control(place: Place, context: Context) -> Control:
    """The control for a place in the customer file."""
    node = node_at(place)
    inner = resolved(node)
    if "properties" in inner:
        optional = {"type": "null"} in node.get("anyOf", ()) and len(place) > 1
        return Optional(place, context) if optional else Group(place, context)
    if inner.get("type") == "array":
        return Ticks(place, context) if "enum" in resolved(inner["items"]) else Several(place, context)
    return leaf(place, context)


def _section_of(key: str) -> str:
    return key.split(".")[0].split("[")[0]
