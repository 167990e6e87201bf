"""Reading CLIXML, the form in which PowerShell sends objects.

One reader reads one message, so nothing is shared between messages or threads. Its rules lose nothing:

- a collection (LST, IE, STK, QUE) is a ``list`` and a DCT a ``dict``, whatever its type names say;
- an enumeration is an :class:`EnumText`; a primitive with note properties is the primitive;
- an object with properties is a :class:`Record`, one of which only its text is left is a ``str``;
- a reference is the very object it points to: graphs may be shared and cyclic;
- a SecureString is ``None``: a secret that the server sends back is not decrypted.
"""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

_ESCAPE = re.compile("_[xX]([0-9a-fA-F]{4})_")
_SURROGATE = re.compile("[\ud800-\udfff]")
_DURATION = re.compile(
    r"(?P<sign>-)?P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)
_INTEGERS = frozenset({"By", "SB", "I16", "U16", "I32", "U32", "I64", "U64"})
_LISTS = frozenset({"LST", "IE", "STK", "QUE"})


class ClixmlError(ValueError):
    """The text is no CLIXML, or holds something that this reader does not know."""


class EnumText(str):
    """The name of an enumeration's value, as a string that also knows its number.

    Arguments:
        text: the name, or names joined by ``, `` for flags.
        number: the number behind it.
    """

    __slots__ = ("number",)
    number: int

    def __new__(cls, text: str, number: int) -> EnumText:  # noqa: D102  # the class says it
        made = super().__new__(cls, text)
        made.number = number
        return made

    def __getnewargs__(self) -> tuple[str, int]:  # type: ignore[override]  # copying and pickling need both
        return str(self), self.number


class Record(Mapping[str, Any]):
    """An object that came over the wire: its properties by name, in any case.

    ``str()`` gives the object's ToString. Records may refer to each other in circles: ``repr()`` shows one level, and
    whatever walks into nested records has to remember where it has been.

    Arguments:
        properties: names and values, in the server's order; the later of two equal names wins.
        types: the type names, nearest first, without a leading ``Deserialized.``.
        text: the object's ToString, or None where the server gave none.
    """

    __slots__ = ("_properties", "text", "types")

    def __init__(
        self,
        properties: Mapping[str, Any] | Iterable[tuple[str, Any]] = (),
        *,
        types: Iterable[str] = (),
        text: str | None = None,
    ) -> None:
        self.types = tuple(types)
        self.text = text
        self._properties: dict[str, tuple[str, Any]] = {}
        self._add(properties.items() if isinstance(properties, Mapping) else properties)

    def _add(self, properties: Iterable[tuple[str, Any]]) -> None:
        for name, value in properties:
            self._properties[name.casefold()] = (name, value)

    def __getitem__(self, name: str) -> Any:
        if not isinstance(name, str):
            raise KeyError(name)
        try:
            return self._properties[name.casefold()][1]
        except KeyError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._properties.values())

    def __len__(self) -> int:
        return len(self._properties)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Mapping) or len(self) != len(other):
            return False
        theirs = {name.casefold(): value for name, value in other.items() if isinstance(name, str)}
        return {key: value for key, (_, value) in self._properties.items()} == theirs

    __hash__ = None  # type: ignore[assignment]  # compared by its properties, which may be lists

    def __str__(self) -> str:
        return repr(self) if self.text is None else self.text

    def __repr__(self) -> str:
        properties = ", ".join(f"{name}={_brief(value)}" for name, value in self._properties.values())
        return f"<{_title(self)}{': ' if properties else ''}{properties}>"


def _title(record: Record) -> str:
    kind = record.types[0].rpartition(".")[2] if record.types else "Record"
    return kind if record.text is None else f"{kind} {record.text!r}"


def _brief(value: Any, depth: int = 1) -> str:
    """A value in one line that never follows a reference."""
    if isinstance(value, Record):
        return f"<{_title(value)}>"
    if isinstance(value, list):
        return f"[{', '.join(_brief(item, depth - 1) for item in value) if depth else '…'}]"
    if isinstance(value, dict):
        return "{" + (", ".join(f"{k!r}: {_brief(v, depth - 1)}" for k, v in value.items()) if depth else "…") + "}"
    return repr(value)


def read(xml: str | bytes) -> list[Any]:
    """Read CLIXML: every child of ``<Objs>``, or the one element that is not wrapped.

    Arguments:
        xml: the text, with or without byte order mark and namespace; bytes may be UTF-8 or UTF-16.

    Raises ``ClixmlError`` when it cannot be read.
    """
    if isinstance(xml, str):
        xml = xml.lstrip("\ufeff")
    if not xml.strip():
        return []
    try:
        root = ET.fromstring(xml)  # noqa: S314  # expat limits entity expansion since 2.4.1, and the peer is authenticated
        reader = _Reader()
        return [reader.value(element) for element in (root if _tag(root) == "Objs" else [root])]
    except ClixmlError:
        raise
    except (ET.ParseError, ValueError, ArithmeticError, LookupError, RecursionError) as exc:
        raise ClixmlError(f"not readable as CLIXML: {type(exc).__name__}: {exc}") from exc


def _tag(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _decode(text: str | None) -> str:
    """Decode ``_xHHHH_``, one UTF-16 code unit each."""
    if not text:
        return ""
    return _whole(_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)) if "_" in text else text


def _whole(text: str) -> str:
    """Join surrogate pairs; half a pair, which no UTF-8 file could hold, becomes U+FFFD."""
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _boolean(text: str | None) -> bool:
    if text in ("true", "false"):
        return text == "true"
    raise ClixmlError(f"{text!r} is no boolean")


def _duration(text: str | None) -> timedelta:
    found = _DURATION.fullmatch(text or "")
    if found is None:
        raise ClixmlError(f"{text!r} is no duration")
    parts = {unit: Decimal(found[unit] or 0) for unit in ("days", "hours", "minutes", "seconds")}
    seconds, fraction = divmod(parts["seconds"], 1)  # .NET counts in tenths of a microsecond: the last digit is cut
    span = timedelta(
        days=int(parts["days"]),
        hours=int(parts["hours"]),
        minutes=int(parts["minutes"]),
        seconds=int(seconds),
        microseconds=int(fraction * 1_000_000),
    )
    return -span if found["sign"] else span


_PRIMITIVES: Mapping[str, Callable[[str | None], Any]] = {
    "Nil": lambda text: None,
    "S": _decode,
    "ToString": _decode,
    "URI": _decode,
    "XD": _decode,
    "SBK": _decode,
    "Version": lambda text: text or "",
    "C": lambda text: _whole(chr(int(text or ""))),
    "B": _boolean,
    **{tag: lambda text: int(text or "") for tag in _INTEGERS},
    "Sg": lambda text: float(text or ""),
    "Db": lambda text: float(text or ""),
    "D": lambda text: Decimal(text or ""),
    "DT": lambda text: datetime.fromisoformat(text or ""),  # aware where the text has an offset; the 7th digit is cut
    "TS": _duration,
    "G": lambda text: UUID(text or ""),
    "BA": lambda text: base64.b64decode(text or ""),
    "SS": lambda text: None,
}


class _Reader:
    """Reads the elements of one message; type names and references span the message."""

    def __init__(self) -> None:
        self._types: dict[str, tuple[str, ...]] = {}
        self._objects: dict[str, Any] = {}

    def value(self, element: ET.Element) -> Any:
        tag = _tag(element)
        primitive = _PRIMITIVES.get(tag)
        if primitive is not None:
            return primitive(element.text)
        if tag == "Obj":
            return self._object(element)
        if tag == "Ref":
            number = element.get("RefId", "")
            if number not in self._objects:
                raise ClixmlError(f"a reference to the object {number}, which is not there")
            return self._objects[number]
        raise ClixmlError(f"the element {tag} is not known")

    def _object(self, element: ET.Element) -> Any:
        number = element.get("RefId")
        tags = {_tag(child) for child in element}
        base: Any = [] if tags & _LISTS else {} if "DCT" in tags else Record()
        self._keep(number, base)  # before descending: what is inside may point back here
        text: str | None = None
        types: tuple[str, ...] = ()
        adapted: list[tuple[str, Any]] = []
        notes: list[tuple[str, Any]] = []
        for child in element:
            tag = _tag(child)
            if tag in ("TN", "TNRef"):
                types = self._type_names(child, tag)
            elif tag == "ToString":
                text = _decode(child.text)
            elif tag == "Props":
                adapted = self._properties(child)
            elif tag == "MS":
                notes = [item for item in self._properties(child) if item[0] != "SerializationData"]
            elif tag in _LISTS:
                base.extend(self.value(item) for item in child)
            elif tag == "DCT":
                base.update(self._entry(entry) for entry in child)
            else:
                base = self._wrapped(base, self.value(child))
        if tags & _INTEGERS and "System.Enum" in types:
            base = EnumText(str(base) if text is None else text, base)
        elif isinstance(base, Record):
            base._add(adapted)
            base._add(notes)  # a note wins over a property of the same name
            if text is not None and not base:
                base = text
            else:
                base.types = types or base.types
                base.text = base.text if text is None else text
        self._keep(number, base)
        return base

    @staticmethod
    def _wrapped(outer: Any, inner: Any) -> Any:
        """What an object is that wraps another value: a primitive stays one, a record goes into the outer record."""
        if not isinstance(inner, Record):
            return inner
        outer._add(inner.items())
        outer.types, outer.text = inner.types, inner.text
        return outer

    def _keep(self, number: str | None, value: Any) -> None:
        if number is not None:
            self._objects[number] = value

    def _type_names(self, element: ET.Element, tag: str) -> tuple[str, ...]:
        number = element.get("RefId", "")
        if tag == "TN":
            self._types[number] = tuple((name.text or "").removeprefix("Deserialized.") for name in element)
        return self._types.get(number, ())

    def _properties(self, element: ET.Element) -> list[tuple[str, Any]]:
        return [(_decode(child.get("N")), self.value(child)) for child in element]

    def _entry(self, element: ET.Element) -> tuple[Any, Any]:
        parts = {child.get("N"): self.value(child) for child in element}
        key = parts["Key"]
        return (key if isinstance(key, str | int | float | bytes | UUID) else str(key)), parts["Value"]
