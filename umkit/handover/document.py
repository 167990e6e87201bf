"""The handover as a list of blocks, the same for every form in which it is written.

A block holds plain text only, already in the reader's language. The HTML page and the PDF both draw these blocks;
neither builds markup out of what a server or a person said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

#: How a text looks: ``code`` in a fixed-width face, ``dim`` beside the point, or a result with its sign and colour.
Look = Literal["", "strong", "dim", "code", "ok", "changed", "differs", "open", "blocked", "failed", "unknown"]


#: Controls, and the signs that change a text's direction.
_HIDDEN = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069]")


@dataclass(frozen=True)
class Span:
    """A piece of text in one look."""

    text: str
    look: Look = ""


@dataclass(frozen=True)
class Heading:
    """A heading: level 2 begins a section, level 3 and 4 are within it."""

    text: str
    level: int = 2
    anchor: str = ""
    result: Span | None = None
    kind: str = field(default="heading", init=False)


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: str
    look: Look = ""
    kind: str = field(default="paragraph", init=False)


@dataclass(frozen=True)
class Listing:
    """Sentences one below the other."""

    items: Sequence[str]
    kind: str = field(default="listing", init=False)


@dataclass(frozen=True)
class Row:
    """One line of a table; a ``group`` heads the lines that follow and spans all columns."""

    cells: Sequence[Span]
    group: bool = False


@dataclass(frozen=True)
class Table:
    """A table whose head is repeated on every page.

    Arguments:
        heads: the columns' heads; none for a table of labels and values.
        rows: its lines.
        widths: the columns' shares of the width, whole numbers.
    """

    heads: Sequence[str]
    rows: Sequence[Row]
    widths: Sequence[int]
    kind: str = field(default="table", init=False)


@dataclass(frozen=True)
class Code:
    """A command as one would type it."""

    text: str
    note: str = ""
    kind: str = field(default="code", init=False)


@dataclass(frozen=True)
class Picture:
    """A picture that somebody gave as evidence.

    Arguments:
        path: the file.
        media: its type: ``image/png``, ``image/jpeg``, ``image/gif`` or ``image/webp``.
        caption: what it is, and its SHA-256.
    """

    path: Path
    media: str
    caption: str
    kind: str = field(default="picture", init=False)


Block = Heading | Paragraph | Listing | Table | Code | Picture


@dataclass(frozen=True)
class Document:
    """The whole handover.

    Arguments:
        language: ``en`` or ``de``.
        title: what it is, for example ``Handover``.
        subject: whose it is: the customer's title.
        running: one line for the head of each page.
        page: ``page {number} of {count}`` in the language.
        contents: the heading of the table of contents.
        cover: the blocks of the first page.
        body: all other blocks.
    """

    language: str
    title: str
    subject: str
    running: str
    page: str
    contents: str
    cover: Sequence[Block]
    body: Sequence[Block]

    @property
    def pictures(self) -> list[Picture]:
        """Every picture in it, in order."""
        return [block for block in (*self.cover, *self.body) if isinstance(block, Picture)]


def whole(text: str) -> str:
    """A text that can be written as UTF-8 and shows what it holds.

    Halves of a sign are joined, and a half alone becomes a replacement sign. What would turn the text around it (a
    command would be read otherwise than it was sent), and other control characters, are told by their number.
    """
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _HIDDEN.sub(lambda found: f"‹U+{ord(found[0]):04X}›", joined)
