"""XPath filters of event logs, as far as reference/windows.md §g uses them.

``*`` alone, or ``*[System[…]]`` with conditions on Provider, EventID, Level,
EventRecordID and TimeCreated, joined by ``and``, ``or`` and parentheses.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from umkit.lab.sections import EventSection

Test = Callable[[EventSection], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<provider>Provider\s*\[)|(?P<time>TimeCreated\s*\[)|(?P<name>EventID|Level|EventRecordID)"
    r"|(?P<age>timediff\(\s*@SystemTime\s*\))|(?P<attribute>@\w+)|(?P<word>and|or)\b|(?P<sign><=|>=|!=|=|<|>)"
    r"|'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\"|(?P<number>\d+)|(?P<mark>[()\]]))"
)
_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if not found:
                raise ValueError(f"the filter is not understood at: {text[at:]}")
            kind = str(found.lastgroup)
            self.tokens.append((kind, str(found[kind])))
            at = found.end()

    def take(self, *kinds: str) -> str:
        kind, text = self.tokens.pop(0) if self.tokens else ("", "the end")
        if kind not in kinds and text not in kinds:
            raise ValueError(f"the filter is not understood at: {text}")
        return text

    def next(self, text: str) -> bool:
        return bool(self.tokens) and self.tokens[0][1] == text

    def either(self) -> Test:
        tests = [self.every()]
        while self.next("or"):
            self.take("or")
            tests.append(self.every())
        return lambda event: any(test(event) for test in tests)

    def every(self) -> Test:
        tests = [self.one()]
        while self.next("and"):
            self.take("and")
            tests.append(self.one())
        return lambda event: all(test(event) for test in tests)

    def one(self) -> Test:
        if self.next("("):
            self.take("(")
            test = self.either()
            self.take(")")
            return test
        kind = self.tokens[0][0] if self.tokens else ""
        if kind in ("provider", "time"):
            self.take(kind)
            test = self.either()
            self.take("]")
            return test
        if kind == "age":
            self.take("age")
            compare, span = _SIGNS[self.take("sign")], timedelta(milliseconds=int(self.take("number")))
            return lambda event: compare(datetime.now(UTC) - event.time, span)
        name = self.take("name", "attribute")
        compare, value = _SIGNS[self.take("sign")], self.take("single", "double", "number")
        return _compared(name, compare, value)


def _compared(name: str, compare: Callable[[Any, Any], bool], value: str) -> Test:
    if name == "EventID":
        return lambda event: compare(event.id, int(value))
    if name == "Level":
        return lambda event: compare(event.level, int(value))
    if name == "@Name":
        return lambda event: compare(event.provider.lower(), value.lower())
    if name == "@SystemTime":
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return lambda event: compare(event.time, moment)
    raise ValueError(f"the filter's {name} is not simulated")


def xpath(text: str) -> Test:
    """The test that a filter is; raises ValueError when it is none that the lab knows."""
    if text.strip() == "*":
        return lambda event: True
    found = re.fullmatch(r"\s*(?:\*|Event)\s*\[\s*System\s*\[(.*)\]\s*\]\s*", text, re.DOTALL)
    if not found:
        raise ValueError("only *[System[…]] is simulated")
    parser = _Parser(found[1])
    test = parser.either()
    if parser.tokens:
        raise ValueError(f"the filter is not understood at: {parser.tokens[0][1]}")
    return test
