"""A small writer of CLIXML, the text in which PowerShell sends objects.

Exchange sends a plain PSRP client a flat form: enumerations, sizes, time
spans and identities are ``<S>``, a multivalued property is an ``<Obj>`` with
a type list and ``<LST>``, a missing value is ``<Nil>`` (reference/exchange.md
§2.2, form 3). Values of System types keep PowerShell's own form.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID
from xml.sax.saxutils import escape as escape_markup

#: PowerShell's escape of what XML cannot hold, of either half of a surrogate pair, and of text that looks like it.
_ENCODED = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]|_(?=[xX])")


@dataclass(frozen=True)
class Scalar:
    """A primitive value.

    Arguments:
        kind: the element: S, B, I16, I32, I64, U16, U32, U64, By, Db, G, DT, URI, Version or BA.
        value: its Python value; None is written as ``<Nil />``.
    """

    kind: str
    value: Any


@dataclass(frozen=True)
class Many:
    """A list of values with the type names of its collection."""

    types: tuple[str, ...]
    items: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Enumeration:
    """A value of an enumeration that keeps its number on the wire."""

    type: str
    name: str
    number: int


@dataclass(frozen=True)
class Noted:
    """A primitive value that carries note properties."""

    scalar: Scalar
    notes: Mapping[str, Node]


@dataclass(frozen=True)
class Complex:
    """An object with properties; notes are those that PowerShell added."""

    types: tuple[str, ...]
    text: str | None = None
    properties: Mapping[str, Node] = field(default_factory=dict)
    notes: Mapping[str, Node] = field(default_factory=dict)


Node: TypeAlias = Scalar | Many | Enumeration | Noted | Complex


def escape(text: str) -> str:
    """Text as it stands inside an element: ``_xHHHH_`` escapes, then markup."""
    if _ENCODED.search(text) or not text.isascii():
        units = text.encode("utf-16-be", "surrogatepass")
        # Through UTF-16 code units: PowerShell writes each half of a pair by itself, never the character.
        text = "".join(chr(int.from_bytes(units[at : at + 2], "big")) for at in range(0, len(units), 2))
        text = _ENCODED.sub(lambda found: f"_x{ord(found.group()):04X}_", text)
    return escape_markup(text)


def timestamp(value: datetime) -> str:
    """A date and time as ``<DT>`` holds it: with offset, ``Z``, or neither."""
    return value.isoformat().replace("+00:00", "Z")


def _text(kind: str, value: Any) -> str:
    """A primitive's text by its kind."""
    if kind == "B":
        return "true" if value else "false"
    if kind == "DT" and isinstance(value, datetime):
        return timestamp(value)
    if kind == "BA":
        return base64.b64encode(value).decode("ascii")
    if kind == "G" and isinstance(value, UUID):
        return str(value)
    if kind in ("S", "URI"):
        return escape(str(value))
    return escape_markup(str(value))


class _Writer:
    """One output: it gives out reference numbers and says a type list once."""

    def __init__(self) -> None:
        self.objects = 0
        self.types: dict[tuple[str, ...], int] = {}

    def write(self, node: Node, name: str | None = None) -> str:
        attribute = "" if name is None else f" N={_quoted(name)}"
        if isinstance(node, Scalar):
            return self.scalar(node, attribute)
        reference = self.objects
        self.objects += 1
        return f'<Obj RefId="{reference}"{attribute}>{self.content(node)}</Obj>'

    def scalar(self, node: Scalar, attribute: str = "") -> str:
        if node.value is None:
            return f"<Nil{attribute} />"
        text = _text(node.kind, node.value)
        return f"<{node.kind}{attribute}>{text}</{node.kind}>" if text else f"<{node.kind}{attribute} />"

    def content(self, node: Many | Enumeration | Noted | Complex) -> str:
        if isinstance(node, Many):
            items = "".join(self.write(item) for item in node.items)
            return self.type_list(node.types) + (f"<LST>{items}</LST>" if items else "<LST />")
        if isinstance(node, Enumeration):
            types = (node.type, "System.Enum", "System.ValueType", "System.Object")
            return f"{self.type_list(types)}<ToString>{escape(node.name)}</ToString><I32>{node.number}</I32>"
        if isinstance(node, Noted):
            return self.scalar(node.scalar) + self.members("MS", node.notes)
        text = "" if node.text is None else f"<ToString>{escape(node.text)}</ToString>"
        return (
            self.type_list(node.types) + text + self.members("Props", node.properties) + self.members("MS", node.notes)
        )

    def members(self, element: str, properties: Mapping[str, Node]) -> str:
        if not properties:
            return ""
        return f"<{element}>{''.join(self.write(node, name) for name, node in properties.items())}</{element}>"

    def type_list(self, types: tuple[str, ...]) -> str:
        known = self.types.get(types)
        if known is not None:
            return f'<TNRef RefId="{known}" />'
        number = self.types[types] = len(self.types)
        return f'<TN RefId="{number}">{"".join(f"<T>{escape(name)}</T>" for name in types)}</TN>'


def _quoted(name: str) -> str:
    return '"' + escape(name).replace('"', "&quot;") + '"'


def render(node: Node) -> str:
    """One output of a pipeline as CLIXML, without namespace and ``<Objs>``."""
    return _Writer().write(node)


def text(value: str | None) -> Scalar:
    """A string, or null."""
    return Scalar("S", value)


def texts(values: Sequence[str], types: tuple[str, ...]) -> Many:
    """A list of strings with the type names of its collection."""
    return Many(types, tuple(Scalar("S", value) for value in values))
