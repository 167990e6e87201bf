"""What a notebook's outputs say of each step: the state and the table's rows."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any


class _Cards(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.cards: dict[str, tuple[str, list[list[str]]]] = {}
        self._rows: list[list[str]] = []
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        step, colon, state = (given.get("aria-label") or "").partition(": ")
        if given.get("role") == "group" and colon:
            self._rows = []
            self.cards[step] = (state, self._rows)
        elif tag == "tr":
            self._rows.append([])
        elif tag == "td":
            self._rows[-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "td":
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self._rows[-1][-1] += data


def cards(nb: Any) -> dict[str, tuple[str, list[list[str]]]]:
    """Steps in order, each with what its card in the notebook says: its state, and the cells of its table."""
    reader = _Cards()
    for cell in nb.cells:
        for output in cell.get("outputs", ()):
            reader.feed(output.get("data", {}).get("text/html", ""))
    return reader.cards
