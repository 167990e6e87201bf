"""Plain values as YAML text that is read back as the same values."""

from __future__ import annotations

from typing import Any, Final

import yaml

from umkit.customer.source import Loader

#: How far a level is indented, in blanks.
STEP: Final = 2


def same(one: Any, other: Any) -> bool:
    """Whether two plain values are the same; ``1`` is not ``true``, and 1.0 not 1."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def entry(name: str, value: Any) -> list[str]:
    """The lines of a key with its value."""
    key = flow_text(name) if name else ""
    text = inline(value)
    if text is not None:
        return [f"{key}: {text}"]
    if isinstance(value, str):
        lines = literal(value) or []
        return [f"{key}: {lines[0]}", *(" " * STEP + line if line else "" for line in lines[1:])]
    return [f"{key}:", *(" " * STEP + line if line else "" for line in _block(value))]


def _block(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [line for name, inner in value.items() for line in entry(name, inner)]
    return [line for inner in value for line in item(inner)]


def item(value: Any) -> list[str]:
    """The lines of a list's entry."""
    if isinstance(value, dict) and value:
        lines = _block(value)
        return [f"- {lines[0]}", *(" " * STEP + line if line else "" for line in lines[1:])]
    return [f"- {flow_text(value)}"]


def inline(value: Any) -> str | None:
    """A value on its key's line; ``None`` where it needs lines of its own."""
    if isinstance(value, str) and "\n" in value and literal(value):
        return None
    nested = isinstance(value, dict) or (isinstance(value, list) and any(isinstance(v, dict | list) for v in value))
    return None if nested and value else flow_text(value)


def flow_text(value: Any) -> str:
    """A value on one line: collections in brackets, each scalar in the plainest form that holds it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow_text(name)}: {flow_text(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow_text, value)) + "]"
    return scalar(value, style=None)


def scalar(value: Any, *, style: str | None) -> str:
    """A scalar in the quotes it had, where it can stand in them; else in the plainest that hold it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, str):
        return _dumped(value, None)
    doubled = "'" + value.replace("'", "''") + "'"
    candidates = {"'": [doubled], '"': []}.get(style or "", [value, doubled])
    for text in candidates:
        if _says(text, value):
            return text
    return _dumped(value, '"')


def _says(text: str, value: str) -> bool:
    """Whether a scalar's text, on one line with a comment behind it or in brackets, is read as this value."""
    if not text.isprintable():  # what cannot be seen is written as an escape
        return False
    try:
        read = yaml.load(f"- {text} # c\n- k: {text}\n- [{text}, {{k: {text}}}]", Loader=Loader)  # noqa: S506
    except (yaml.YAMLError, ValueError):
        return False
    return same(read, [value, {"k": value}, [value, {"k": value}]])


def literal(value: str) -> list[str] | None:
    """Text of several lines as a literal block; ``None`` where that would not give it back."""
    lines = value.split("\n")
    end = "-" if lines[-1] else ""
    if not value.strip() or value.endswith("\n\n") or value != value.lstrip(" \n\t"):
        return None
    block = [f"|{end}", *(lines if end else lines[:-1])]
    text = "\n".join(["k: " + block[0], *("  " + line if line else "" for line in block[1:])]) + "\n\nz: 1\n"
    try:
        read = yaml.load(text, Loader=Loader)  # noqa: S506
    except yaml.YAMLError:
        return None
    return block if same(read, {"k": value, "z": 1}) else None


def _dumped(value: Any, style: str | None) -> str:
    text: str = yaml.safe_dump(value, default_style=style, allow_unicode=True, width=10**9)
    return text.removesuffix("\n").removesuffix("\n...")
