"""CLIXML: reading the values of a pipeline, writing text that survives.

psrpcore can read these messages too, at thirty times the cost and with its
own types; a lab needs plain Python values and a strict reader.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from umkit.lab.model import LabSecret

Element = ElementTree.Element

#: Deeper than any parameter PowerShell would serialise, shallower than Python's stack.
MAX_DEPTH = 64

_ESCAPED = re.compile(r"_[xX]([0-9A-Fa-f]{4})_")
_NEEDS_ESCAPE = re.compile("_(?=[xX])|[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\U00010000-\U0010ffff]")
_NOT_XML = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_DURATION = re.compile(
    r"(-)?P(?:(\d{1,8})D)?(?:T(?:(\d{1,8})H)?(?:(\d{1,8})M)?(?:(\d{1,8}(?:\.\d{1,7})?)S)?)?", re.ASCII
)
_LISTS = frozenset({"LST", "IE", "STK", "QUE"})
_INTEGERS = frozenset({"By", "SB", "I16", "U16", "I32", "U32", "I64", "U64"})


class BadClixml(ValueError):
    """A CLIXML text that cannot be read."""


def parse(data: bytes) -> Element:
    """Parse one PSRP message body; document types and other encodings than UTF-8 are refused.

    Raises:
        BadClixml: the text is not well-formed UTF-8 XML.
    """
    try:
        text = data.decode("utf-8-sig")
        if "<!DOCTYPE" in text:
            raise BadClixml("a document type is not allowed")
        return ElementTree.fromstring(text)  # noqa: S314 - document types are refused above
    except (UnicodeDecodeError, ElementTree.ParseError) as error:
        raise BadClixml(str(error)) from None


def unescape(text: str | None) -> str:
    """The string a CLIXML text stands for; surrogate pairs are joined, lone surrogates stay."""
    if not text:
        return ""
    plain, count = _ESCAPED.subn(lambda found: chr(int(found.group(1), 16)), text)
    if not count:
        return text
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _escape_one(found: re.Match[str]) -> str:
    units = found.group().encode("utf-16-be", "surrogatepass")
    return "".join(f"_x{units[i]:02X}{units[i + 1]:02X}_" for i in range(0, len(units), 2))


def text(value: str) -> str:
    """A string as the content of a CLIXML element, escaped as PowerShell does."""
    return escape(_NEEDS_ESCAPE.sub(_escape_one, value))


def sendable(xml: str) -> str:
    """CLIXML with every character that XML cannot carry in PowerShell's escape; for text written elsewhere."""
    return _NOT_XML.sub(_escape_one, xml)


def duration(text: str) -> timedelta:
    """An xs:duration of days, hours, minutes and seconds; a tenth of a microsecond is cut.

    Raises:
        ValueError: anything else.
    """
    found = _DURATION.fullmatch(text)
    if not found or text.endswith(("P", "T")):
        raise ValueError(f"not a duration: {text[:40]!r}")
    sign, days, hours, minutes, seconds = found.groups()
    whole, _, fraction = (seconds or "0").partition(".")
    value = timedelta(
        days=int(days or 0),
        hours=int(hours or 0),
        minutes=int(minutes or 0),
        seconds=int(whole),
        microseconds=int(f"{fraction:0<6}"[:6]),
    )
    return -value if sign else value


class Reader:
    """Turns the elements of one message into plain Python values.

    Arguments:
        root: the message; a Ref may point anywhere in it.
        decrypt: decrypts a SecureString's base64 text with the pool's session key.
    """

    def __init__(self, root: Element, decrypt: Callable[[str], str]) -> None:
        self._root = root
        self._decrypt = decrypt
        self._objects: dict[str, Element] | None = None

    def value(self, element: Element, depth: int = 0) -> Any:
        """The value of one element.

        Raises:
            BadClixml: the element is not CLIXML, too deep, or refers to nothing.
        """
        if depth > MAX_DEPTH:
            raise BadClixml(f"values nested deeper than {MAX_DEPTH}")
        try:
            if element.tag == "Obj":
                return self._object(element, depth)
            if element.tag == "Ref":
                return self.value(self._referred(element), depth + 1)
            return self._primitive(element)
        except BadClixml:
            raise
        except (ValueError, ArithmeticError, TypeError) as error:
            raise BadClixml(f"<{element.tag}>: {error}") from None

    def members(self, element: Element | None) -> dict[str, Element]:
        """The note properties of an object by name, unread; empty for None and Nil."""
        if element is not None and element.tag == "Ref":
            element = self._referred(element)
        notes = element.find("MS") if element is not None else None
        return {} if notes is None else {unescape(child.get("N")): child for child in notes}

    def items(self, element: Element | None) -> list[Element]:
        """The elements of a list object, unread; empty for None and Nil."""
        if element is not None and element.tag == "Ref":
            element = self._referred(element)
        if element is None:
            return []
        return next((list(child) for child in element if child.tag in _LISTS), [])

    def _referred(self, element: Element) -> Element:
        if self._objects is None:
            self._objects = {found.get("RefId", ""): found for found in self._root.iter("Obj")}
        try:
            return self._objects[element.get("RefId", "")]
        except KeyError:
            raise BadClixml(f"Ref to an unknown object {element.get('RefId')!r}") from None

    def _primitive(self, element: Element) -> Any:
        tag, content = element.tag, element.text or ""
        if tag in ("S", "ToString", "URI", "XD", "SBK"):
            return unescape(content)
        if tag == "Nil":
            return None
        if tag == "B":
            if content not in ("true", "false"):
                raise ValueError(f"not a boolean: {content[:20]!r}")
            return content == "true"
        if tag in _INTEGERS:
            return int(content)
        if tag in ("Sg", "Db"):
            return float(content)
        if tag == "SS":
            return LabSecret(self._decrypt(content))
        convert = _OTHERS.get(tag)
        if convert is None:
            raise BadClixml(f"unknown element <{tag[:40]}>")
        return convert(content)

    def _object(self, element: Element, depth: int) -> Any:
        properties: dict[str, Any] = {}
        to_string: str | None = None
        primitive: list[Any] = []
        for child in element:
            if child.tag in _LISTS:
                return [self.value(item, depth + 1) for item in child]
            if child.tag == "DCT":
                return dict(self._entry(entry, depth + 1) for entry in child)
            if child.tag in ("Props", "MS"):
                for item in child:
                    properties[unescape(item.get("N"))] = self.value(item, depth + 1)
            elif child.tag == "ToString":
                to_string = unescape(child.text)
            elif child.tag not in ("TN", "TNRef"):
                primitive.append(self.value(child, depth + 1))
        if primitive:
            # An enum is its name, as PowerShell would bind it; a primitive with notes is the primitive.
            return to_string if to_string is not None and isinstance(primitive[0], int) else primitive[0]
        return to_string if to_string is not None and not properties else properties

    def _entry(self, entry: Element, depth: int) -> tuple[Any, Any]:
        found = {child.get("N"): child for child in entry}
        if set(found) != {"Key", "Value"}:
            raise BadClixml("a dictionary entry without Key and Value")
        key = self.value(found["Key"], depth)
        if isinstance(key, (list, dict)):
            raise BadClixml("a dictionary key that is a collection")
        return key, self.value(found["Value"], depth)


def _moment(content: str) -> datetime:
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", content))


_OTHERS: dict[str, Callable[[str], Any]] = {
    "D": Decimal,
    "DT": _moment,
    "TS": duration,
    "G": UUID,
    "BA": lambda content: base64.b64decode(content, validate=True),
    "C": lambda content: chr(int(content)),
    "Version": str,
}
