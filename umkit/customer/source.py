"""A customer file's text as values, each with its line and with what was written there.

YAML is read as papermill reads it (YAML 1.1, dates stay text), so that ``-f`` means the same; what could surprise is
refused: duplicate keys, tags, anchors and aliases, several documents, endless nesting.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from umkit.errors import Problem

LARGEST: Final = 256 * 1024
DEEPEST: Final = 20

#: The key of a problem that concerns the file as a whole.
WHOLE: Final = "(file)"

_CORE = ("null", "bool", "int", "float", "str")
_ADVICE: Mapping[str, str] = {
    "'\\t'": "a tab cannot indent; use blanks",
    "escape": "put Windows paths in single quotes, or write \\\\ for each backslash",
    "mapping values are not allowed": "a value that holds a colon and a blank has to stand in quotes;"
    " else check the indentation",
    "cannot start any token": "a value that begins with this character has to stand in quotes",
    "expected <block end>": "check the indentation and the quotes",
    "could not find expected ':'": "a key needs a colon and a blank behind it",
    "unexpected end of stream": "a quote is not closed",
    "another document": "--- begins a second file inside this one",
}


class Loader(yaml.SafeLoader):
    """SafeLoader without dates: papermill leaves them text, and so do we."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True)
class Written:
    """A scalar as it stands in the file.

    Arguments:
        text: its characters, without quotes.
        quoted: whether it stands in quotes or as a block.
    """

    text: str
    quoted: bool


@dataclass
class Source:
    """What a customer file says.

    Arguments:
        values: its values; empty where it cannot be read.
        lines: dotted key → line, from 1.
        written: dotted key → the scalar as it was written.
        problems: what makes it unreadable or ambiguous.
    """

    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    written: dict[str, Written] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def wrong(self, message: str, *, line: int = 0, key: str = WHOLE, allowed: str = "") -> None:
        """Note one problem."""
        self.problems.append(Problem(key, message, line=line, allowed=allowed))


def read(path: Path) -> Source:
    """Read a customer file; never raises, what is wrong is among the problems."""
    source = Source()
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        source.wrong(f"cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}")
        return source
    return read_bytes(raw)


def read_bytes(raw: bytes, *, largest: int = LARGEST) -> Source:
    """As :func:`read`, from what stands in the file, or is to stand there.

    Arguments:
        raw: the bytes.
        largest: how many there may be.
    """
    source = Source()
    if len(raw) > largest:
        source.wrong("is too large for a customer file", allowed=f"at most {largest // 1024} KiB")
        return source
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        source.wrong("is not written in UTF-8", line=line, allowed="UTF-8; choose it where your editor saves the file")
        return source
    _parse(text, source)
    return source


def _parse(text: str, source: Source) -> None:
    try:
        if _too_wild(text, source):
            return
        node = yaml.compose(text, Loader=Loader)
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        source.wrong(f"holds the character U+{_code(error.character):04X}, which a text file cannot hold", line=line)
        return
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        source.wrong(f"line {line}, column {column} is no YAML: {_said(error)}", line=line)
        return
    if node is None or (isinstance(node, yaml.ScalarNode) and node.tag.endswith(":null")):
        source.wrong("is empty", allowed="the sections of a customer file; parameters/example.yaml shows them all")
    elif not isinstance(node, yaml.MappingNode):
        found = "a list" if isinstance(node, yaml.SequenceNode) else "a single value"
        source.wrong(
            f"holds {found}, not sections", line=node.start_mark.line + 1, allowed="sections: a name, a colon, its keys"
        )
    else:
        source.values = _value(node, "", source)


def _too_wild(text: str, source: Source) -> bool:
    """Look at the events, which need no recursion, before anything is built from them."""
    depth = 0
    for event in yaml.parse(text, Loader=Loader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            source.wrong(
                "anchors and aliases (& and *) have no place here",
                line=line,
                allowed="each value where it belongs, or in quotes",
            )
            return True
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            source.wrong("is nested too deeply", line=line, allowed=f"at most {DEEPEST} levels")
            return True
    return False


def _value(node: yaml.Node, key: str, source: Source) -> Any:
    if key:
        source.lines.setdefault(key, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode) and node.tag.endswith(":map"):
        return _mapping(node, key, source)
    if isinstance(node, yaml.SequenceNode) and node.tag.endswith(":seq"):
        return [_value(item, f"{key}[{index}]", source) for index, item in enumerate(node.value)]
    if (
        isinstance(node, yaml.ScalarNode)
        and node.tag.rpartition(":")[2] in _CORE
        and node.tag.startswith("tag:yaml.org,2002:")
    ):
        return _scalar(node, key, source)
    source.wrong("carries a YAML tag (!), which has no place here", line=node.start_mark.line + 1, key=key or WHOLE)
    return None


def _mapping(node: yaml.MappingNode, key: str, source: Source) -> dict[str, Any]:
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for name_node, value_node in node.value:
        line = name_node.start_mark.line + 1
        if not isinstance(name_node, yaml.ScalarNode):
            source.wrong("has a key that is no single word", line=line, key=key or WHOLE)
            continue
        name = name_node.value  # as written: a key that YAML would read as a number or as yes is a word here
        inner = f"{key}.{name}" if key else name
        if name in values:
            source.wrong(f"is given twice, first in line {lines[name]}", line=line, key=inner)
            continue
        lines[name] = source.lines[inner] = line
        values[name] = _value(value_node, inner, source)
    return values


def _scalar(node: yaml.ScalarNode, key: str, source: Source) -> Any:
    source.written[key] = Written(node.value, node.style is not None)
    try:
        value = yaml.constructor.SafeConstructor().construct_object(node)
        str(value)  # a number of thousands of digits can be read, but not written
    except (yaml.YAMLError, ValueError, KeyError, OverflowError):
        source.wrong(
            "cannot be read as what YAML takes it for", line=node.start_mark.line + 1, key=key, allowed="text in quotes"
        )
        return None
    return value


def _said(error: yaml.MarkedYAMLError) -> str:
    """What the YAML reader says, without any text of the file, which may be a secret."""
    said = re.sub(r"(['\"])(?!<)[^'\"]{3,}\1", "(hidden)", str(error.problem or error.context or "cannot be read"))
    advice = next((advice for part, advice in _ADVICE.items() if part in str(error.problem)), "")
    return f"{said}; {advice}" if advice else said


def _code(character: Any) -> int:
    return character if isinstance(character, int) else ord(character)
