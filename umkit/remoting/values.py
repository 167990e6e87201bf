"""Parameter values: from what Python has to what the wire can carry.

pypsrp knows only a few Python types, tags every int as 32 bits and every float as 32 bits, and fails on the others in
the middle of sending. Everything is therefore brought into one of its forms, or refused, before anything is sent.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Protocol, runtime_checkable
from uuid import UUID

from pypsrp.complex_objects import PSCredential
from pypsrp.serializer import TaggedValue

from umkit.errors import ValueNotSendable
from umkit.remoting.clixml import Record

_ALLOWED = (
    "None, bool, int, float, str, bytes, list, tuple, set, dict, datetime, timedelta, Decimal, UUID, Enum or Secret"
)
_DEEPEST = 32
_LARGEST_DECIMAL = Decimal(2**96 - 1)


@runtime_checkable
class SupportsReveal(Protocol):
    """A secret, told by the only way to its text (umkit.secrets lies above this package)."""

    def reveal(self) -> str:
        """The clear text."""


@dataclass(frozen=True)
class Prepared:
    """A command in the form in which it can be sent.

    Arguments:
        name: the cmdlet.
        parameters: parameter names and wire-ready values, in order.
        secret: whether a SecureString is among them, for which keys have to be exchanged first.
        arguments: a program's arguments, each one token.
    """

    name: str
    parameters: tuple[tuple[str, Any], ...]
    secret: bool
    arguments: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Prepared {self.name} -{' -'.join(name for name, _ in self.parameters)}>"


class _Unsendable(Exception):
    """Why a value cannot be sent; never the value itself."""


def prepare(name: str, parameters: Mapping[str, Any], arguments: tuple[str, ...] = ()) -> Prepared:
    """Bring a cmdlet's values into a form that the wire can carry.

    A ``dict`` becomes a hashtable, but one with exactly ``UserName`` and ``Password`` (a Secret) a PSCredential; a set
    a list, sorted so that it is always sent alike; a member of an Enum its value; a Secret a SecureString.

    Raises ``ValueNotSendable`` for a value that has no form there; nothing was sent.
    """
    converter = _Converter()
    ready = []
    for parameter, value in parameters.items():
        try:
            ready.append((parameter, converter.convert(value)))
        except _Unsendable as exc:
            raise ValueNotSendable(
                f"{name} -{parameter} has a value that cannot be sent",
                where={"command": name, "parameter": parameter},
                seen=str(exc),
                expected=_ALLOWED,
                next="give the parameter another value; nothing was sent",
            ) from None
    return Prepared(name, tuple(ready), converter.secret, arguments)


class _Converter:
    def __init__(self) -> None:
        self.secret = False

    def convert(self, value: Any, depth: int = 0) -> Any:
        if depth > _DEEPEST:
            raise _Unsendable(f"values nested more than {_DEEPEST} deep")
        if value is None or isinstance(value, bool | UUID):
            return value
        if isinstance(value, Enum):
            return self.convert(value.value, depth + 1)
        if isinstance(value, int):
            return _integer(int(value))
        if isinstance(value, str):
            return _text(str(value))
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value)
        if isinstance(value, float):
            return TaggedValue("Db", _floating(value))
        if isinstance(value, Decimal):
            return _element("D", _decimal(value))
        if isinstance(value, datetime):
            return _element("DT", _moment(value))
        if isinstance(value, timedelta):
            return _element("TS", _duration(value))
        return self._compound(value, depth)

    def _compound(self, value: Any, depth: int) -> Any:
        if isinstance(value, SupportsReveal):
            self.secret = True
            return TaggedValue("SS", _text(value.reveal()))
        if isinstance(value, Record):
            raise _Unsendable("an object that came from a server; send its Identity or DistinguishedName")
        if isinstance(value, list | tuple):
            return [self.convert(item, depth + 1) for item in value]
        if isinstance(value, set | frozenset):
            return [self.convert(item, depth + 1) for item in sorted(value, key=str)]
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        raise _Unsendable(f"a value of the type {type(value).__name__}")

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> Any:
        if set(value) == {"UserName", "Password"} and isinstance(value["Password"], SupportsReveal):
            self.secret = True
            parts = {"username": _text(str(value["UserName"])), "password": _text(value["Password"].reveal())}
            return PSCredential(**parts)  # type: ignore[no-untyped-call]
        for key in value:
            if not isinstance(key, str):
                raise _Unsendable(f"a hashtable with a key of the type {type(key).__name__}")
        return {_text(str(key)): self.convert(item, depth + 1) for key, item in value.items()}


def _element(tag: str, text: str) -> ET.Element:
    element = ET.Element(tag)
    element.text = text
    return element


def _text(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise _Unsendable("text with half a surrogate pair") from None
    return text


def _integer(value: int) -> Any:
    if -(2**31) <= value < 2**31:
        return value
    if -(2**63) <= value < 2**63:
        return TaggedValue("I64", value)
    if 0 <= value < 2**64:
        return TaggedValue("U64", value)
    raise _Unsendable("an integer of more than 64 bits")


def _floating(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "INF" if value > 0 else "-INF"
    return repr(float(value))


def _decimal(value: Decimal) -> str:
    if not value.is_finite() or abs(value) > _LARGEST_DECIMAL:
        raise _Unsendable("a decimal beyond 96 bits")
    return format(value, "f")


def _moment(value: datetime) -> str:
    if value.utcoffset() == timedelta(0):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    return value.isoformat()  # without an offset the server reads it as its own local time


def _duration(value: timedelta) -> str:
    span = abs(value)
    minutes, seconds = divmod(span.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{span.microseconds:06}" if span.microseconds else ""
    return f"{'-' if value < timedelta(0) else ''}P{span.days}DT{hours}H{minutes}M{seconds}{fraction}S"
