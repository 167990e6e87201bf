"""What an executed notebook says of each step, whoever ran it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

#: What must not be in a saved notebook: a widget that lives in a kernel's memory, and the noise of an exception.
_DEAD = ("application/vnd.jupyter.widget-view+json", "model not found", "Traceback (most recent call last)")

#: A card's state, its table's rows, its commands.
Shown = tuple[str, list[list[str]], list[str]]
#: When something was done is another moment each time.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d:\d\d|Z| UTC)?")


class _Reader(HTMLParser):
    """Finds the cards: the state, the table's rows and the commands of each."""

    def __init__(self) -> None:
        super().__init__()
        self.cards: dict[str, Shown] = {}
        self._rows: list[list[str]] = []
        self._commands: list[str] = []
        self._into: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        step, colon, state = (given.get("aria-label") or "").partition(": ")
        if given.get("role") == "group" and colon:
            self._rows, self._commands = [], []
            self.cards[step] = (state, self._rows, self._commands)
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "pre"):
            self._into = self._rows[-1] if tag == "td" else self._commands
            self._into.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "pre"):
            self._into = None

    def handle_data(self, data: str) -> None:
        if self._into is not None:
            self._into[-1] += _MOMENT.sub("(a moment)", data)


def cards(nb: Any) -> dict[str, Shown]:
    """Steps in order, each with what its card in the notebook says."""
    reader = _Reader()
    for cell in nb.cells:
        for output in cell.get("outputs", ()):
            reader.feed(output.get("data", {}).get("text/html", ""))
    return reader.cards


def dead_parts(nb: Any) -> list[str]:
    """What in a saved notebook's outputs is of no use to a reader."""
    outputs = json.dumps([cell.get("outputs", []) for cell in nb.cells])
    found = [part for part in _DEAD if part in outputs]
    found += ["error" for cell in nb.cells for output in cell.get("outputs", ()) if output["output_type"] == "error"]
    return found + (["widget state"] if "widgets" in nb.metadata else [])
