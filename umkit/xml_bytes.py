"""One value of an XML file, changed in its bytes: every other byte stays as it is.

An XML library would write the file anew and with it quotes, spaces, line ends, comments and entities. Here the parser
only says where the value stands, and afterwards that nothing but the value has changed.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DECLARED = re.compile(rb"""<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]*)["']""")
_NAME = re.compile(r"<[^\s/>]+")
_ATTRIBUTE = re.compile(r"""\s+([^\s=/>]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_TAG_END = re.compile(r"\s*(/?)>")
_PIECE = re.compile(r"<!--.*?-->|<\?.*?\?>|<!\[CDATA\[(.*?)\]\]>|([^<]+)", re.DOTALL)
_REFERENCES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;"}


class XmlError(ValueError):
    """The bytes are no XML, or the value cannot be changed without touching anything else."""


@dataclass(frozen=True)
class Place:
    """Where in a document a value stands.

    Arguments:
        path: names of the elements on the way, the value's own element last; the way may begin anywhere.
        attribute: the attribute that is the value; empty: the element's text.
        where: attributes that tell the element from its neighbours, compared without regard to case.
    """

    path: tuple[str, ...]
    attribute: str = ""
    where: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        marks = "".join(f"[{name}={value}]" for name, value in self.where.items())
        return "/".join(self.path) + marks + (f" {self.attribute}" if self.attribute else "")

    def fits(self, path: list[str], attributes: Mapping[str, str]) -> bool:
        """Whether an element is the one that is meant."""
        return tuple(path[-len(self.path) :]) == self.path and all(
            attributes.get(name, "").casefold() == value.casefold() for name, value in self.where.items()
        )


@dataclass
class _Element:
    """An element as the parser found it: its attributes, its text, and where its tags begin in the text."""

    attributes: dict[str, str]
    start: int
    end: int = 0
    text: str = ""
    children: int = 0


def value_of(data: bytes, place: Place) -> str | None:
    """The value at a place; nothing where there is no such element or attribute.

    Raises ``XmlError`` when the bytes are no XML of a known encoding, have a document type, or hold the place twice.
    """
    element = _element(_decoded(data)[0], place)
    if element is None:
        return None
    if place.attribute:
        found = element.attributes.get(place.attribute)
        return None if found is None else found.strip()
    if element.children:
        raise XmlError(f"{place} holds further elements where a value is expected")
    return element.text.strip()


def has_element(data: bytes, place: Place) -> bool:
    """Whether there is an element at a place; raises ``XmlError`` as :func:`value_of`."""
    return _element(_decoded(data)[0], place) is not None


def with_value(data: bytes, place: Place, value: str) -> bytes:
    """The bytes with another value at a place, and every other byte kept.

    Raises ``XmlError`` as :func:`value_of`, and when the place is not there or its value is mixed with other things.
    """
    text, encoding, bom = _decoded(data)
    element = _element(text, place)
    if element is None:
        raise XmlError(f"there is no {place}")
    begin, end, quote = _attribute(text, element, place) if place.attribute else _text(text, element, place)
    changed = bom + (text[:begin] + _escaped(value, quote, encoding) + text[end:]).encode(encoding)
    if _events(text, place) != _events(_decoded(changed)[0], place):
        raise XmlError(f"more than {place} would change")
    return _checked(changed, place, value)


def with_element(data: bytes, parent: Place, name: str, value: str) -> bytes:
    """The bytes with one element more, the first of its parent, and every other byte kept.

    Raises ``XmlError`` as :func:`value_of`, and when there is no such parent, or when it has text of its own.
    """
    text, encoding, bom = _decoded(data)
    element = _element(text, parent)
    if element is None:
        raise XmlError(f"there is no {parent}")
    if element.text.strip():
        raise XmlError(f"{parent} has text of its own")
    added = f"<{name}>{_escaped(value, '', encoding)}</{name}>"
    after, empty = _tag_end(text, element)
    place = Place((*parent.path, name))
    if empty:
        tag = _NAME.match(text, element.start)
        slash = text.rindex("/", element.start, after)
        closing = f"</{tag[0][1:]}>" if tag else ""
        text = text[:slash] + ">" + added + closing + text[after:]
        return _checked(bom + text.encode(encoding), place, value)
    blank = re.compile(r"\s*").match(text, after)  # what stands before the next sibling also stands before this one
    lead = blank[0] if blank and element.children else ""
    return _checked(bom + (text[:after] + lead + added + text[after:]).encode(encoding), place, value)


def _checked(changed: bytes, place: Place, value: str) -> bytes:
    if value_of(changed, place) != value.strip():
        raise XmlError(f"{place} would not read back as {value!r}")
    return changed


def _decoded(data: bytes) -> tuple[str, str, bytes]:
    """Text without its byte order mark, encoding, byte order mark."""
    bom, encoding = next(((mark, name) for mark, name in _BOMS if data.startswith(mark)), (b"", ""))
    if not encoding:
        if data[:2] in (b"<\0", b"\0<"):
            encoding = "utf-16-le" if data[:2] == b"<\0" else "utf-16-be"
        else:
            declared = _DECLARED.match(data)
            encoding = declared[1].decode("ascii") if declared else "utf-8"
    try:
        text = data[len(bom) :].decode(encoding)
        if bom + text.encode(encoding) != data:
            raise XmlError(f"the file does not survive being read and written as {encoding}")
    except (UnicodeError, LookupError) as error:
        raise XmlError(f"the file is not of the encoding {encoding}") from error
    return text, encoding, bom


def _parser() -> Any:
    # The text is handed over as UTF-8 whatever it was: so the parser's offsets are those of one known encoding.
    parser = expat.ParserCreate(encoding="utf-8")
    parser.buffer_text = True

    def refuse(*_: Any) -> None:
        raise XmlError("the file has a document type declaration, which is refused: it may define entities")

    parser.StartDoctypeDeclHandler = refuse
    return parser


def _parse(parser: Any, raw: bytes) -> None:
    try:
        parser.Parse(raw, True)
    except expat.ExpatError as error:
        raise XmlError(f"the file is no XML: {error}") from error


def _element(text: str, place: Place) -> _Element | None:
    """The one element at a place."""
    parser, raw = _parser(), text.encode("utf-8")
    path: list[str] = []
    opened: list[_Element] = []
    found: list[_Element] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if opened:
            opened[-1].children += 1
        path.append(name)
        opened.append(_Element(attributes, parser.CurrentByteIndex))
        if place.fits(path, attributes):
            found.append(opened[-1])

    def end(name: str) -> None:
        path.pop()
        opened.pop().end = parser.CurrentByteIndex

    def characters(data: str) -> None:
        opened[-1].text += data

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    _parse(parser, raw)
    if len(found) > 1:
        raise XmlError(f"{place} is there {len(found)} times")
    for element in found:
        element.start = len(raw[: element.start].decode("utf-8"))
        element.end = len(raw[: element.end].decode("utf-8"))
    return found[0] if found else None


def _attribute(text: str, element: _Element, place: Place) -> tuple[int, int, str]:
    for match in _attributes(text, element):
        if match[1] == place.attribute:
            group = 2 if match[2] is not None else 3
            return match.start(group), match.end(group), text[match.end(group)]
    raise XmlError(f"there is no {place}")


def _attributes(text: str, element: _Element) -> list[re.Match[str]]:
    name = _NAME.match(text, element.start)
    at = name.end() if name else element.start
    found = []
    while match := _ATTRIBUTE.match(text, at):
        found.append(match)
        at = match.end()
    return found


def _tag_end(text: str, element: _Element) -> tuple[int, bool]:
    """Where an element's start tag ends, and whether it is an empty-element tag."""
    attributes = _attributes(text, element)
    name = _NAME.match(text, element.start)
    at = attributes[-1].end() if attributes else (name.end() if name else element.start)
    match = _TAG_END.match(text, at)
    if match is None:
        raise XmlError("a tag cannot be read")
    return match.end(), bool(match[1])


def _text(text: str, element: _Element, place: Place) -> tuple[int, int, str]:
    """Where an element's text stands, without the blanks around it."""
    after, empty = _tag_end(text, element)
    if empty or element.children:
        raise XmlError(f"{place} has no text to be changed")
    pieces = []
    for piece in _PIECE.finditer(text, after, element.end):
        group = 1 if piece[1] is not None else 2
        if piece[group] and piece[group].strip():
            pieces.append((piece, group))
    if len(pieces) > 1:
        raise XmlError(f"{place} has its value in several pieces")
    if not pieces:
        return after, after, ""
    piece, group = pieces[0]
    core = piece[group]
    begin = piece.start(group) + len(core) - len(core.lstrip())
    return begin, begin + len(core.strip()), "]]>" if group == 1 else ""


def _escaped(value: str, quote: str, encoding: str) -> str:
    """A value as it stands between quotes, in CDATA or as text."""
    if quote == "]]>":
        if quote in value:
            raise XmlError("the value cannot stand in CDATA")
        return value
    special = f"&<>{quote}"
    written = "".join(_REFERENCES[character] if character in special else character for character in value)
    return written.encode(encoding, "xmlcharrefreplace").decode(encoding)


def _events(text: str, place: Place) -> list[tuple[Any, ...]]:
    """Everything that a document says, but for the value at a place."""
    parser = _parser()
    path: list[str] = []
    found: list[tuple[Any, ...]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        path.append(name)
        shown = dict(attributes)
        if place.attribute and place.fits(path, attributes):
            shown[place.attribute] = ""
        found.append(("start", name, tuple(shown.items()), place.fits(path, attributes)))

    def end(name: str) -> None:
        path.pop()
        found.append(("end", name))

    def characters(data: str) -> None:
        inside = not place.attribute and next((event[3] for event in reversed(found) if event[0] == "start"), False)
        if not (inside and path and found[-1][0] != "end"):
            found.append(("text", data))

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    parser.CommentHandler = lambda data: found.append(("comment", data))
    parser.ProcessingInstructionHandler = lambda target, data: found.append(("instruction", target, data))
    _parse(parser, text.encode("utf-8"))
    return found
