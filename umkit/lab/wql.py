"""Conditions of WQL: comparisons of a property with a value, joined by AND and OR.

In text ``\\'`` stands for a quote and ``\\\\`` for a backslash. Anything else
is no query, or none that the lab knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Test = Callable[[Mapping[str, Any]], bool]

_QUERY = re.compile(
    r"\s*SELECT\s+(?P<what>\*|[\w\s,]+?)\s+FROM\s+(?P<name>\w+)(?:\s+WHERE\s+(?P<rest>.+))?\s*", re.I | re.S
)
_TERM = re.compile(
    r"\s*(?P<name>\w+)\s*(?P<operator>=|<>|!=|<=|>=|<|>|\bLIKE\b)\s*"
    r"(?:'(?P<single>(?:[^'\\]|\\.)*)'|\"(?P<double>(?:[^\"\\]|\\.)*)\"|(?P<bare>-?\d+|TRUE|FALSE|NULL)\b)\s*",
    re.IGNORECASE,
)
_JOIN = re.compile(r"(AND|OR)\b", re.IGNORECASE)


def query(text: str) -> tuple[str, list[str], str | None]:
    """Class, properties (empty for all) and condition of a SELECT; raises ValueError when it is none."""
    found = _QUERY.fullmatch(text)
    if not found:
        raise ValueError(text)
    what = [] if found["what"] == "*" else [each.strip() for each in found["what"].split(",")]
    return found["name"], what, found["rest"]


def condition(text: str) -> Test:
    """The test that a condition is, on property values by lower-case name; raises ValueError when it is none."""
    either: list[list[Test]] = [[]]
    at = 0
    while True:
        found = _TERM.match(text, at)
        if not found:
            raise ValueError(text)
        either[-1].append(_term(found))
        at = found.end()
        if at == len(text):
            return lambda values: any(all(test(values) for test in tests) for tests in either)
        joined = _JOIN.match(text, at)
        if not joined:
            raise ValueError(text)
        at = joined.end()
        if joined[1].upper() == "OR":
            either.append([])


def _term(found: re.Match[str]) -> Test:
    name, operator = found["name"].lower(), found["operator"].upper()
    quoted = found["single"] if found["single"] is not None else found["double"]
    wanted: Any = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else _bare(found["bare"])

    def test(values: Mapping[str, Any]) -> bool:
        if name not in values:
            raise ValueError(name)
        have = values[name]
        if operator == "LIKE":
            pattern = re.escape(str(wanted)).replace("%", ".*").replace("_", ".")
            return re.fullmatch(pattern, str(have), re.IGNORECASE | re.DOTALL) is not None
        left, right = _comparable(have, wanted)
        if operator in ("=", "<>", "!="):
            return bool((left == right) is (operator == "="))
        if type(left) is not type(right) or left is None:
            return False
        return bool({"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[operator])

    return test


def _bare(text: str) -> Any:
    known = {"TRUE": True, "FALSE": False, "NULL": None}
    return known[text.upper()] if text.upper() in known else int(text)


def _comparable(have: Any, wanted: Any) -> tuple[Any, Any]:
    """Both in one form: WQL compares text without case and reads a number from text."""
    if isinstance(have, str) and isinstance(wanted, str):
        return have.lower(), wanted.lower()
    if isinstance(have, int) and isinstance(wanted, str) and re.fullmatch(r"-?\d+", wanted):
        return have, int(wanted)
    return have, wanted
