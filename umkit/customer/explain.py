"""What pydantic found, in words for people: key, reason, what stands there, what may stand there, what was meant."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from umkit.customer.checks import Wrong
from umkit.customer.documents import allowed, node_at, resolved
from umkit.customer.source import Written
from umkit.errors import Problem

HIDDEN: Final = "(hidden)"
_LONGEST: Final = 60
_BOOLEANS: Final = ("true", "false", "yes", "no", "on", "off")

Place = tuple[str | int, ...]


def explained(place: Place, fault: Mapping[str, Any], written: Mapping[str, Written]) -> Problem:
    """One fault as a problem.

    Arguments:
        place: where it is, the section first.
        fault: an entry of ``ValidationError.errors()``.
        written: dotted key → the scalar as the file has it.
    """
    key, node, kind, value = dotted(place), node_at(place), fault["type"], fault["input"]
    scalar = written.get(key)
    if kind == "missing":
        return Problem(key, "has to be given", allowed=allowed(node))
    if kind in ("extra_forbidden", "invalid_key"):
        return unknown(place, list(resolved(node_at(place[:-1])).get("properties", ())))
    wrong = fault.get("ctx", {}).get("error")
    hide = bool(resolved(node).get("writeOnly")) or (isinstance(wrong, Wrong) and wrong.hide)
    if isinstance(wrong, Wrong):
        message, nearest = wrong.reason, wrong.nearest
    else:
        message, nearest = _reason(kind, value, scalar), _nearest(node, value, scalar)
    return Problem(
        key,
        message,
        found=HIDDEN if hide else shown(value, scalar),
        allowed=allowed(node),
        nearest="" if hide else printable(nearest),
    )


def unknown(place: Place, known: Sequence[str]) -> Problem:
    """A key that nobody knows; its value, which may be anything, is not named."""
    name = str(place[-1])
    return Problem(
        dotted(place), "is no known key", allowed="one of " + ", ".join(known), nearest=_closest(name, known)
    )


def dotted(place: Iterable[str | int]) -> str:
    """A place as errors name it: ``um_services[0].domain``."""
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def shown(value: Any, scalar: Written | None = None) -> str:
    """What stands there, as it was written where that is known, shortened to one readable line."""
    if scalar is not None:
        return shortened(json.dumps(scalar.text, ensure_ascii=False) if scalar.quoted else scalar.text or "nothing")
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str():
            return shortened(json.dumps(value, ensure_ascii=False))
        case int() if abs(value) >= 10**_LONGEST:
            return "a number of very many digits"
        case int() | float():
            return str(value)
        case list() | tuple():
            return f"a list of {len(value)}" if value else "an empty list"
        case dict():
            return "keys of its own"
    return f"a value of the type {type(value).__name__}"


def printable(text: str) -> str:
    """Text that any terminal and any file can take: what is not printable stands as its code point."""
    return "".join(c if c.isprintable() and not 0xD7FF < ord(c) < 0xE000 else f"\\u{ord(c):04x}" for c in text)


def shortened(text: str) -> str:
    """One readable line of at most 60 characters."""
    text = printable(text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _reason(kind: str, value: Any, scalar: Written | None) -> str:
    if value is None:
        return "is empty; leave the key out where the default is wanted"
    if kind == "string_type" and scalar is not None and not isinstance(value, list | dict):
        taken = "true or false" if isinstance(value, bool) else "a number"
        return f"has to be text, but YAML takes this for {taken}; put it in quotes"
    if kind in ("int_type", "bool_type") and isinstance(value, str) and scalar is not None and scalar.quoted:
        return "stands in quotes, and so is text; leave the quotes out"
    if kind == "tuple_type" and not isinstance(value, dict):
        return "has to be a list: put each entry on a line of its own after a dash, or all in [ ]"
    return {
        "string_type": "has to be text",
        "int_type": "has to be a whole number",
        "bool_type": "has to be true or false",
        "tuple_type": "has to be a list",
        "model_type": "has to have keys of its own: each on a line, indented",
        "literal_error": "is none of the known values",
        "greater_than_equal": "is too small",
        "less_than_equal": "is too large",
        "too_short": "has no entry",
    }.get(kind, "is not as it has to be")


def _nearest(node: dict[str, Any], value: Any, scalar: Written | None) -> str:
    inner = resolved(node)
    written = scalar.text if scalar is not None else str(value) if isinstance(value, str | bool) else ""
    if inner.get("type") == "boolean" and written.casefold() in _BOOLEANS:
        return "true" if written.casefold() in ("true", "yes", "on") else "false"
    if inner.get("type") == "integer" and re.fullmatch(r"\d{1,9}", written):
        number = int(written)
        return str(number) if inner.get("minimum", number) <= number <= inner.get("maximum", number) else ""
    return _closest(written, [str(choice) for choice in inner.get("enum", ())])


def _closest(word: str, known: Sequence[str]) -> str:
    if len(word) > _LONGEST:
        return ""
    lower = {name.casefold(): name for name in known}
    wanted = word.casefold().replace("-", "_")
    near = difflib.get_close_matches(wanted, lower, 1, 0.6)
    return lower.get(word.casefold()) or (lower[near[0]] if near else "")


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Every key whose value is another one, with both as text.

    Arguments:
        before: plain values, as ``CustomerFile.dump()`` gives them: a secret is its reference.
        after: the same later.
    """
    old, new = dict(_flat((), before)), dict(_flat((), after))
    keys = [*old, *(key for key in new if key not in old)]
    return [(key, old.get(key, "–"), new.get(key, "–")) for key in keys if old.get(key) != new.get(key)]


def _flat(place: Place, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _flat((*place, name), inner)
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for index, inner in enumerate(value):
            yield from _flat((*place, index), inner)
    else:
        yield dotted(place), json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
