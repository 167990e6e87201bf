"""A YAML text with some of its values changed, and every other character as it was.

A YAML library that writes a document anew (ruamel.yaml was tried) puts its own indentation and spacing in, writes
``null`` as nothing, and loses the comment below a key that is taken out. So the reader's own marks say where each value
stands, and only those places are cut out and filled.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from umkit.customer.source import Loader
from umkit.customer.yaml_text import STEP, entry, flow_text, inline, item, literal, same, scalar

_BREAK: Final = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True)
class _Edit:
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class _Chunk:
    """One entry of a block list: the comments right above it, and its lines."""

    start: int
    end: int


class Unspliceable(Exception):
    """The text is written in a way in which this change cannot be made in place."""


def spliced(text: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The text with new values.

    Arguments:
        text: YAML whose document is a mapping; without a byte order mark.
        old: what the text says.
        new: what it has to say.

    Raises ``Unspliceable``. Whether the result says ``new`` is for the caller to see: it has to be read back.
    """
    found = _BREAK.search(text)
    splice = _Splice(text, found[0] if found else "\n")
    node = yaml.compose(text, Loader=Loader)
    if node is None:
        raise Unspliceable
    return splice.applied(list(splice.change(node, old, new)), 0, len(text))


class _Splice:
    def __init__(self, text: str, newline: str) -> None:
        self.text, self.newline = text, newline

    def applied(self, edits: Sequence[_Edit], start: int, end: int) -> str:
        """A part of the text with the edits that lie in it."""
        parts: list[str] = []
        at = start
        for edit in sorted((edit for edit in edits if start <= edit.start <= end), key=lambda e: (e.start, e.end)):
            if edit.start < at or edit.end > end:
                raise Unspliceable
            parts += [self.text[at : edit.start], edit.text]
            at = edit.end
        return "".join([*parts, self.text[at:end]])

    def change(self, node: yaml.Node, old: Any, new: Any, *, flow: bool = False) -> Iterator[_Edit]:
        """The edits that make one value another."""
        if same(old, new):
            return
        if isinstance(node, yaml.MappingNode) and isinstance(old, dict) and isinstance(new, dict):
            yield from (self._flow_mapping if node.flow_style else self._block_mapping)(node, old, new)
        elif isinstance(node, yaml.SequenceNode) and isinstance(old, list) and isinstance(new, list) and old and new:
            yield from (self._flow_list if node.flow_style else self._block_list)(node, old, new)
        elif isinstance(node, yaml.ScalarNode) and not isinstance(new, dict | list):
            yield self._scalar(node, new, flow=flow)
        else:
            raise _Anew

    # Mappings

    def _block_mapping(self, node: yaml.MappingNode, old: dict[str, Any], new: dict[str, Any]) -> Iterator[_Edit]:
        indent = node.start_mark.column
        nodes = {key.value: (key, value) for key, value in node.value}
        if not new or not set(nodes) & set(new):
            raise _Anew
        for name, (key, value) in nodes.items():
            if name not in new:
                yield self._without_entry(key, value)
                continue
            try:
                yield from list(self.change(value, old[name], new[name]))
            except _Anew:
                yield from self._entry_anew(key, value, new[name], indent)
        yield from self._added(node, new, indent)

    def _added(self, node: yaml.MappingNode, new: dict[str, Any], indent: int) -> Iterator[_Edit]:
        """New keys, each after the key that stands before it in the new order."""
        nodes = {key.value: (key, value) for key, value in node.value}
        before: list[str] = []
        waiting: dict[str, list[str]] = {}
        first = next(name for name in new if name in nodes)
        for name in new:
            if name in nodes:
                before.append(name)
            else:
                waiting.setdefault(before[-1] if before else first, []).append(name)
        for name, names in waiting.items():
            _, value = nodes[name]
            where = self._after_line(self._end(value))
            lines = [line for key in names for line in entry(key, new[key])]
            yield self._insertion(where, lines, indent)

    def _entry_anew(self, key: yaml.Node, value: yaml.Node, new: Any, indent: int) -> Iterator[_Edit]:
        """A value whose kind changes: its key, and the comment on the key's line, stay."""
        colon = self._colon(key)
        one_line = inline(new)
        on_key_line = value.start_mark.line == key.end_mark.line
        if on_key_line:
            start, end = value.start_mark.index, self._end(value)
            if one_line is not None:
                yield _Edit(start, end, self._set_off(colon, start) + one_line)
                return
            head, *lines = entry("", new)
            yield _Edit(self._before_blanks(colon, start), end, head[1:])
            yield self._insertion(self._after_line(end), lines, indent)
            return
        start, end = self._after_line(colon), self._after_line(self._end(value))
        head, *lines = entry("", new)
        yield _Edit(colon, colon, head[1:])
        yield _Edit(start, end, "")
        if lines:
            yield self._insertion(start, lines, indent)

    def _without_entry(self, key: yaml.Node, value: yaml.Node) -> _Edit:
        start = self._line_start(key.start_mark.index)
        if self.text[start : key.start_mark.index].strip():
            raise _Anew  # the first key of a list's entry stands behind its dash
        return _Edit(start, self._after_line(self._end(value)), "")

    def _flow_mapping(self, node: yaml.MappingNode, old: dict[str, Any], new: dict[str, Any]) -> Iterator[_Edit]:
        kept = [(key, value) for key, value in node.value if key.value in new]
        if not kept:
            raise _Anew
        spans = [(key.start_mark.index, self._end(value)) for key, value in node.value]
        yield from self._cut([key.value in new for key, _ in node.value], spans)
        for key, value in kept:
            try:
                yield from list(self.change(value, old[key.value], new[key.value], flow=True))
            except _Anew:
                start, end = value.start_mark.index, self._end(value)
                yield _Edit(start, end, self._set_off(self._colon(key), start) + flow_text(new[key.value]))
        added = [name for name in new if name not in old]
        if added:
            text = "".join(f", {flow_text(name)}: {flow_text(new[name])}" for name in added)
            end = self._end(kept[-1][1])
            yield _Edit(end, end, text)

    # Lists

    def _flow_list(self, node: yaml.SequenceNode, old: list[Any], new: list[Any]) -> Iterator[_Edit]:
        spans = [(item.start_mark.index, self._end(item)) for item in node.value]
        both = min(len(old), len(new))
        yield from self._cut([index < both for index in range(len(old))], spans)
        for index in range(both):
            try:
                yield from list(self.change(node.value[index], old[index], new[index], flow=True))
            except _Anew:
                yield _Edit(*spans[index], flow_text(new[index]))
        if new[both:]:
            yield _Edit(spans[-1][1], spans[-1][1], "".join(f", {flow_text(value)}" for value in new[both:]))

    def _cut(self, keep: Sequence[bool], spans: Sequence[tuple[int, int]]) -> Iterator[_Edit]:
        """Take entries out of a flow collection, each with the comma to the one that stays; one has to stay."""
        first = keep.index(True)
        if first:
            yield _Edit(spans[0][0], spans[first][0], "")
        for index in range(first + 1, len(keep)):
            if not keep[index]:
                yield _Edit(spans[index - 1][1], spans[index][1], "")

    def _block_list(self, node: yaml.SequenceNode, old: list[Any], new: list[Any]) -> Iterator[_Edit]:
        indent = node.start_mark.column
        chunks = self._chunks(node, indent)
        partner = _paired(old, new)
        edits: list[_Edit] = []
        texts: list[str] = []
        for index, value in enumerate(new):
            at = partner[index]
            if at is None:
                texts.append(self._lines(item(value), indent))
                continue
            try:
                edits = list(self.change(node.value[at], old[at], value))
                texts.append(self._ended(self.applied(edits, chunks[at].start, chunks[at].end)))
            except _Anew:
                texts.append(self._lines(item(value), indent))
        between = [self.text[one.end : two.start] for one, two in itertools.pairwise(chunks)]
        whole = "".join(_joined(texts, partner, between))
        last = chunks[-1].end
        if last == len(self.text) and not _BREAK.search(self.text[max(last - 1, 0) : last]):
            whole = whole.removesuffix(self.newline)
        yield _Edit(chunks[0].start, last, whole)

    def _chunks(self, node: yaml.SequenceNode, indent: int) -> list[_Chunk]:
        dashes = [self._dash_line(item, indent) for item in node.value]
        ends = [self._after_line(max(self._end(item), dash)) for item, dash in zip(node.value, dashes, strict=True)]
        starts = [self._with_comments(dash, after) for dash, after in zip(dashes, [0, *ends], strict=False)]
        # A comment above the first entry is about the list, unless the other entries have comments too.
        if starts[1:] == dashes[1:]:
            starts[0] = dashes[0]
        return [_Chunk(start, end) for start, end in zip(starts, ends, strict=True)]

    def _dash_line(self, item: yaml.Node, indent: int) -> int:
        """The start of the line with an entry's dash."""
        at = self._line_start(item.start_mark.index)
        while True:
            if self.text[at : at + indent].strip() == "" and re.match(r"-(\s|$)", self.text[at + indent :][:2]):
                return at
            if at == 0:
                raise Unspliceable
            at = self._line_start(at - 1)

    def _with_comments(self, line: int, after: int) -> int:
        """Where the comment lines right above a line begin."""
        while line > after:
            above = self._line_start(line - 1)
            if above < after or not self.text[above:line].lstrip(" \t").startswith("#"):
                return line
            line = above
        return line

    # Scalars and places

    def _scalar(self, node: yaml.ScalarNode, new: Any, *, flow: bool) -> _Edit:
        start, end = node.start_mark.index, self._end(node)
        text = scalar(new, style=node.style)
        set_off = " " if self._touches_colon(start) else ""
        is_block = node.style in ("|", ">")
        several = isinstance(new, str) and "\n" in new and not flow
        if several and (is_block or not self.text[end : self._line_end(end)].strip()) and (block := literal(new)):
            lines = self._lines(block, self._column_of(start) + STEP, first=False)
            return _Edit(start, end, set_off + lines.removesuffix(self.newline))
        return _Edit(start, end, set_off + text)

    def _touches_colon(self, at: int) -> bool:
        return at > 0 and self.text[at - 1] in ":-"

    def _column_of(self, at: int) -> int:
        """The indentation of the key on this line, past dashes."""
        start = self._line_start(at)
        return len((re.match(r"[ -]*", self.text[start:at]) or [""])[0])

    def _colon(self, key: yaml.Node) -> int:
        """Just behind a key's colon."""
        found = re.compile(r"\s*:").match(self.text, key.end_mark.index)
        if not found:
            raise Unspliceable
        return found.end()

    def _set_off(self, colon: int, start: int) -> str:
        return " " if colon == start else ""

    def _before_blanks(self, colon: int, start: int) -> int:
        return colon if not self.text[colon:start].strip() else start

    def _end(self, node: yaml.Node) -> int:
        """Where a value's last character stands; the reader's mark of a block lies behind the comments after it."""
        start, end = int(node.start_mark.index), int(node.end_mark.index)
        if isinstance(node, yaml.ScalarNode):
            if node.style in ("|", ">") and "+" not in self.text[start : self._line_end(start)]:
                return start + len(self.text[start:end].rstrip())
            return end
        if not isinstance(node, yaml.CollectionNode) or node.flow_style:
            return end
        last = node.value[-1]
        return self._end(last[1] if isinstance(last, tuple) else last)

    def _line_start(self, at: int) -> int:
        while at > 0 and self.text[at - 1] not in "\r\n":
            at -= 1
        return at

    def _line_end(self, at: int) -> int:
        found = _BREAK.search(self.text, at)
        return found.start() if found else len(self.text)

    def _after_line(self, at: int) -> int:
        """The start of the line after the one of this place; with a value that ends with its line, that is there."""
        if at > 0 and self.text[at - 1] in "\r\n" and self.text[at - 1 : at + 1] != "\r\n":
            return at
        found = _BREAK.search(self.text, at)
        return found.end() if found else len(self.text)

    def _insertion(self, where: int, lines: Sequence[str], indent: int) -> _Edit:
        text = self._lines(lines, indent)
        if where > 0 and self.text[where - 1] not in "\r\n":  # the file ends without a line break
            text = self.newline + text.removesuffix(self.newline)
        return _Edit(where, where, text)

    def _lines(self, lines: Sequence[str], indent: int, *, first: bool = True) -> str:
        blanks = " " * indent
        made = [(blanks if number or first else "") + line if line else "" for number, line in enumerate(lines)]
        return "".join(line + self.newline for line in made)

    def _ended(self, text: str) -> str:
        return text if text.endswith(("\r", "\n")) else text + self.newline


class _Anew(Exception):
    """A value changes so much that its key's whole value is written anew."""


def _paired(old: Sequence[Any], new: Sequence[Any]) -> list[int | None]:
    """For each new entry the old one that it was: the same, else the one of the same name, else at the same place."""
    partner: list[int | None] = [None] * len(new)
    free = set(range(len(old)))

    def pair(index: int, candidates: list[int]) -> None:
        if partner[index] is None and candidates:
            at = min(candidates, key=lambda candidate: (candidate != index, candidate))
            partner[index] = at
            free.discard(at)

    for index, value in enumerate(new):
        pair(index, [at for at in free if same(old[at], value)])
    for index, value in enumerate(new):
        if isinstance(value, dict) and value.get("name") is not None:
            pair(index, [at for at in free if isinstance(old[at], dict) and old[at].get("name") == value["name"]])
    for index in range(len(new)):
        pair(index, [index] if index in free else [])
    return partner


def _joined(texts: Sequence[str], partner: Sequence[int | None], between: Sequence[str]) -> Iterator[str]:
    """The entries with what stands between them: blank lines, and comments that belong to no entry, which all stay.

    In a new order that keeps its place; where entries came or went, it stays behind the entry it followed.
    """
    usual = between[0] if between and not between[0].strip() else ""
    moved = len(texts) == len(between) + 1 and None not in partner
    left = dict(enumerate(between))
    for index, text in enumerate(texts):
        yield text
        if index < len(texts) - 1:
            at = index if moved else partner[index]
            yield left.pop(at, usual) if at is not None else usual
    yield from (gap for gap in left.values() if "#" in gap)
