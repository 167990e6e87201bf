"""Registry keys and values as the item cmdlets send and take them."""

from __future__ import annotations

from typing import Any

from umkit.lab.objects import Complex, Node, Scalar
from umkit.lab.providers import Place, strings
from umkit.lab.registry import Key, Value, expand

_KEY_TYPES = ("Microsoft.Win32.RegistryKey", "System.MarshalByRefObject", "System.Object")
_WIDTH = {"DWord": 32, "QWord": 64}


class Malformed(ValueError):
    """A number whose data has another length than its kind."""


def key_node(key: Key, place: Place) -> Complex:
    """A RegistryKey; its values are only there by name."""
    return Complex(
        _KEY_TYPES,
        place.path,
        {
            "SubKeyCount": Scalar("I32", len(key.subkeys)),
            "View": Scalar("S", "Default"),
            "Handle": Scalar("S", "Microsoft.Win32.SafeHandles.SafeRegistryHandle"),
            "ValueCount": Scalar("I32", len(key.values)),
            "Name": Scalar("S", place.path),
        },
        {"Property": strings(each.shown for each in key.values.values()), **place.notes()},
    )


def value_node(value: Value) -> Node:
    """A value as Get-ItemProperty sends it: expanded text, and a number above 2^31 as an unsigned one."""
    if value.kind in _WIDTH:
        if isinstance(value.data, bytes):
            raise Malformed(value.name)
        width = _WIDTH[value.kind]
        return Scalar(f"{'U' if value.data >= 2 ** (width - 1) else 'I'}{width}", value.data)
    if value.kind == "Binary":
        return Scalar("BA", value.data)
    if value.kind == "MultiString":
        return strings(value.data)
    return Scalar("S", expand(value.data) if value.kind == "ExpandString" else value.data)


def kind_of(given: Any) -> str:
    """The kind that a new value gets from its .NET type; ValueError for one that the registry does not take.

    A list of text arrives as Object[], which is not String[] (reference/windows.md §a).
    """
    if isinstance(given, list):
        raise ValueError(
            "RegistryKey.SetValue does not support arrays of type 'Object[]'. Only Byte[] and String[] are supported."
        )
    if isinstance(given, bool):
        return "String"
    if isinstance(given, int):
        return "DWord" if -(2**31) <= given < 2**31 else "QWord"
    return "Binary" if isinstance(given, bytes) else "String"


def converted(kind: str, given: Any) -> Any:
    """A value as its kind holds it; raises ValueError when it does not fit."""
    if kind in _WIDTH:
        width = _WIDTH[kind]
        number = int(given.strip(), 0) if isinstance(given, str) else int(given or 0)
        if not -(2 ** (width - 1)) <= number < 2**width:
            raise ValueError(f"Value was either too large or too small for an Int{width}.")
        return number % 2**width
    if kind == "Binary":
        data = given if isinstance(given, bytes | list) else [given]
        return bytes(data)
    if kind == "MultiString":
        return [_text(each) for each in (given if isinstance(given, list) else [given])]
    if isinstance(given, list):
        return " ".join(_text(each) for each in given)
    return _text(given)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
