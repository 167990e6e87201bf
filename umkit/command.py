"""A command: one cmdlet with typed parameters, and its text for people.

A command is data from the moment it is planned to the moment it is sent; :meth:`Command.powershell` is only for
people to read and copy. Because people do copy it, the text is kept to a form with one reading: ASCII outside quotes,
every string in single quotes, every value that is no string as a literal or a cast of a quoted string.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from umkit.errors import RecordError, ValueNotSendable
from umkit.kinds import TIMESPAN, timespan_text

#: What a parameter may be. ``bool`` serves Boolean and switch parameters alike; a ``dict`` becomes a hashtable;
#: a ``Secret`` (umkit.secrets) becomes a SecureString.
Value = Any

#: What stands for a secret wherever a command is written down.
MASKED: Final = "(secret)"

_READING_VERBS = frozenset({"Get", "Test", "Select", "Measure"})
_CMDLET = re.compile(r"[A-Z][A-Za-z]+-[A-Z][A-Za-z0-9]+")
_PARAMETER = re.compile(r"[A-Za-z][A-Za-z0-9]*")
#: The programs that may be called: what no cmdlet does. A shell among them would let script text in.
PROGRAMS: Final = frozenset({"C:\\Windows\\System32\\SecEdit.exe"})

# PowerShell takes each of these for a single quote, wherever it stands; doubled inside quotes it means itself.
_DOUBLED = str.maketrans({quote: quote * 2 for quote in "'\u2018\u2019\u201a\u201b"})
_LONGEST_TIMESPAN = timedelta(microseconds=(2**63 - 1) // 10)  # .NET counts 100 ns in 64 bits


class FileContent(bytes):
    """The bytes of a customer's file: sent like any bytes, but never written down.

    A configuration file may hold passwords of the customer's own; so where a command is shown or recorded, only the
    length and the SHA-256 stand for the content.
    """

    @property
    def sha256(self) -> str:
        """The SHA-256 as ``Get-FileHash`` writes it."""
        return hashlib.sha256(self).hexdigest().upper()

    def __repr__(self) -> str:
        return _file_text(len(self), self.sha256)

    __str__ = __repr__


@dataclass(frozen=True, eq=False)
class Command:
    """One cmdlet with typed parameters, or one of a few programs with its arguments.

    Two commands are equal if they name the same cmdlet and give the same parameters values of the same types
    (``True`` is not ``1``), in whatever order. Values are copied, so later changes to what was passed do not show.

    Arguments:
        name: the cmdlet, for example ``Set-RemoteDomain``.
        parameters: parameter name without dash → value: ``None``, ``bool``, ``int`` (64 bits), ``float`` (finite),
            ``str``, ``bytes``, :class:`FileContent`, ``datetime``, ``timedelta``, ``Decimal``, ``UUID``, ``Secret``
            (anything with ``reveal()``, which is never called here), a ``list`` of these, or a ``dict`` of these with
            text keys.
        arguments: a program's arguments, each one token; a program is one of :data:`PROGRAMS` and has no parameters.
        host: the Windows host that it is for, so that a reader can tell alike commands apart; empty for Exchange. It
            is no part of what is sent, compared or written down: the session leads to the host.

    Raises:
        ValueNotSendable: the name, a parameter's name or a value cannot be sent, or cannot be written as PowerShell
            that reads back the same: text with NUL or a lone surrogate, a number or time that .NET cannot hold, two
            names that differ only in case.
    """

    name: str
    parameters: Mapping[str, Value] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    host: str = ""

    def __post_init__(self) -> None:
        if self.name in PROGRAMS and not self.parameters:
            self._accept_arguments()
        elif self.arguments or not _CMDLET.fullmatch(self.name):
            raise ValueNotSendable(
                "a command must name a cmdlet, or a program without parameters",
                seen=repr(self.name),
                expected="Verb-Noun in ASCII letters and digits, or one of " + ", ".join(sorted(PROGRAMS)),
            )
        accepted: dict[str, Value] = {}
        for name, value in self.parameters.items():
            if not (isinstance(name, str) and _PARAMETER.fullmatch(name)):
                raise ValueNotSendable(
                    f"{self.name} is given a parameter with an impossible name",
                    seen=repr(name),
                    expected="ASCII letters and digits, without the dash",
                )
            try:
                accepted[name] = _accepted(value)
            except (ValueError, OverflowError) as error:
                raise ValueNotSendable(
                    f"the value of -{name} cannot be sent: {error}",
                    where={"command": self.name, "parameter": name},
                    next="give the parameter a value of a type that the cmdlet takes",
                ) from error
        if (twice := _twice(accepted)) is not None:
            raise ValueNotSendable(f"{self.name} is given the parameter -{twice} more than once", seen=repr(twice))
        object.__setattr__(self, "parameters", MappingProxyType(accepted))

    def _accept_arguments(self) -> None:
        try:
            accepted = tuple(_accepted_text(argument) for argument in self.arguments)
        except (TypeError, ValueError) as error:
            raise ValueNotSendable(f"an argument of {self.name} cannot be sent: {error}") from error
        # A quote inside an argument reaches a program of Windows PowerShell 5.1 in another form.
        if any('"' in argument or not argument for argument in accepted):
            raise ValueNotSendable(
                f"an argument of {self.name} cannot be sent", expected="text that is not empty, without double quotes"
            )
        object.__setattr__(self, "arguments", accepted)

    @property
    def mutating(self) -> bool:
        """Whether the cmdlet can change something, told by its verb; a program always can."""
        return self.name.partition("-")[0] not in _READING_VERBS

    def powershell(self) -> str:
        """The command as PowerShell text that reads back the same.

        A line break or control character inside a string stands there as it is, so the text may span lines. A time
        with an offset is written in UTC: the cast gives the same moment, in the reader's time zone. A secret becomes
        a ``Read-Host`` that asks for it by the parameter's name. A file's content becomes a text in angle brackets
        that PowerShell refuses: such a command is not for copying.
        """
        if self.name in PROGRAMS:
            return " ".join(["&", _quoted(self.name), *map(_quoted, self.arguments)])
        return " ".join([self.name, *(_argument(name, value) for name, value in self.parameters.items())])

    def script(self) -> str:
        """The PowerShell text to read and copy: for a Windows host with a comment before it that names the host."""
        return f"# {self.host}\n{self.powershell()}" if self.host else self.powershell()

    @property
    def place(self) -> str:
        """Where it is for, behind a word: `` on EX01``; empty for Exchange."""
        return f" on {self.host}" if self.host else ""

    def as_json(self) -> dict[str, Any]:
        """The command as JSON-ready values that keep their types.

        ``null``, Booleans, numbers, text and lists are themselves. Every JSON object has one key, which names the
        type: ``datetime``, ``timespan``, ``decimal``, ``guid``, ``bytes`` (base64), ``hashtable`` or ``file`` (length
        and SHA-256 of a file's content). A secret is the text ``(secret)``.
        """
        encoded = {"name": self.name, "parameters": {name: _encoded(value) for name, value in self.parameters.items()}}
        return encoded | ({"arguments": list(self.arguments)} if self.arguments else {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Command:
        """The command that :meth:`as_json` wrote; its secrets and files are gone.

        A secret comes back as the plain text ``(secret)``, a file as the text that stands for it: good for showing and
        comparing what was done, and not to be sent again.

        Raises:
            RecordError: the data is no command that as_json wrote.
        """
        try:
            parameters = {name: _decoded(value) for name, value in data["parameters"].items()}
            return cls(data["name"], parameters, tuple(data.get("arguments", ())))
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, ValueNotSendable) as error:
            raise RecordError(
                "a recorded command cannot be read",
                seen=f"{type(error).__name__}: {error}",
                expected='{"name": "Verb-Noun", "parameters": {…}} as Command.as_json() writes it',
            ) from error

    def __str__(self) -> str:
        return self.powershell()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Command):
            return NotImplemented
        if (self.name, self.arguments) != (other.name, other.arguments):
            return False
        return bool(_typed(dict(self.parameters)) == _typed(dict(other.parameters)))

    def __hash__(self) -> int:
        return hash((self.name, frozenset(self.parameters), self.arguments))

    def __reduce__(self) -> tuple[type[Command], tuple[str, dict[str, Value], tuple[str, ...], str]]:
        # A mapping proxy can be neither pickled nor deep-copied.
        return Command, (self.name, dict(self.parameters), self.arguments, self.host)


def _accepted(value: Value) -> Value:
    """A copy of the value in plain types; ValueError or OverflowError where it has no form."""
    if _is_secret(value):
        return value
    match value:
        case None | bool() | UUID():
            return value
        case int():
            if not -(2**63) <= value < 2**63:
                raise ValueError("the integer does not fit into 64 bits")
            return int(value)
        case float():
            if not math.isfinite(value):
                raise ValueError("the number is not finite")
            return float(value)
        case str():
            return _accepted_text(value)
        case FileContent():
            return value
        case bytes() | bytearray():
            return bytes(value)
        case datetime():
            _moment(value)
            return value
        case timedelta():
            if abs(value) > _LONGEST_TIMESPAN:
                raise ValueError("the time span is longer than .NET can hold")
            return value
        case Decimal():
            return _accepted_decimal(value)
        case list() | tuple():
            return [_accepted(item) for item in value]
        case Mapping():
            if not all(isinstance(key, str) for key in value):
                raise ValueError("a hashtable must have text keys")
            if (twice := _twice(value)) is not None:
                raise ValueError(f"a hashtable has the key {twice!r} more than once")
            return {_accepted_text(key): _accepted(item) for key, item in value.items()}
        case _:
            raise ValueError(f"a {type(value).__name__} has no form in PowerShell")


def _accepted_text(text: str) -> str:
    # NUL ends text in consoles and clipboards and no setting holds one; a lone surrogate has no UTF-8 form.
    if "\0" in text:
        raise ValueError("the text has a NUL character")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("the text has a lone surrogate")
    return str.__str__(text)


def _accepted_decimal(number: Decimal) -> Decimal:
    # .NET: 96 bits and up to 28 places behind the point.
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError("the number is not finite")
    if not -28 <= exponent <= 28 or int("".join(map(str, digits))) * 10 ** max(exponent, 0) >= 2**96:
        raise ValueError("the number has more digits than .NET can hold")
    return number


def _twice(names: Mapping[str, Any]) -> str | None:
    """The first name that PowerShell, blind to case, would see a second time."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            return name
        seen.add(name.lower())
    return None


def _is_secret(value: Value) -> bool:
    return callable(getattr(type(value), "reveal", None))


def _argument(name: str, value: Value) -> str:
    text = _literal(value, name)
    if isinstance(value, bool):
        return f"-{name}:{text}"  # right for a switch as well: "-Force $false" would set it and pass $false on
    if text.startswith("-"):
        return f"-{name} ({text})"
    return f"-{name} {text}"


def _literal(value: Value, parameter: str) -> str:
    match value:
        case None:
            return "$null"
        case bool():
            return "$true" if value else "$false"
        case int() | float():
            return repr(value)
        case str():
            return _quoted(value)
        case FileContent():
            return str(value)
        case bytes():
            return f"([byte[]]@({','.join(map(str, value))}))"
        case datetime():
            return f"([datetime]{_quoted(_moment(value))})"
        case timedelta():
            return f"([timespan]{_quoted(timespan_text(value))})"
        case Decimal():
            return f"([decimal]{_quoted(format(value, 'f'))})"
        case UUID():
            return f"([guid]{_quoted(str(value))})"
        case list():
            # @( ) unrolls a lone array inside it; the comma keeps that one together.
            lone = "," if len(value) == 1 and isinstance(value[0], list | bytes) else ""
            return f"@({lone}{','.join(_literal(item, parameter) for item in value)})"
        case dict():
            entries = (f"{_quoted(key)} = {_literal(item, parameter)}" for key, item in value.items())
            return f"@{{{'; '.join(entries)}}}"
        case _:
            return f"(Read-Host -AsSecureString -Prompt {_quoted(parameter)})"


def _quoted(text: str) -> str:
    return f"'{text.translate(_DOUBLED)}'"


def _moment(value: datetime) -> str:
    if value.utcoffset() is None:
        return value.replace(tzinfo=None).isoformat()
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _file_text(length: int, sha256: str) -> str:
    # "<" is reserved in PowerShell, so a copied command fails before it can write anything.
    return f"<content of {length} bytes, SHA-256 {sha256}>"


def _encoded(value: Value) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list():
            return [_encoded(item) for item in value]
        case dict():
            return {"hashtable": {key: _encoded(item) for key, item in value.items()}}
        case datetime():
            return {"datetime": _moment(value)}
        case timedelta():
            return {"timespan": timespan_text(value)}
        case Decimal():
            return {"decimal": format(value, "f")}
        case UUID():
            return {"guid": str(value)}
        case FileContent():
            return {"file": {"sha256": value.sha256, "length": len(value)}}
        case bytes():
            return {"bytes": base64.b64encode(value).decode("ascii")}
        case _:
            return MASKED


_DECODERS: Final[Mapping[str, Callable[[Any], Value]]] = {
    "hashtable": lambda entries: {key: _decoded(item) for key, item in entries.items()},
    "datetime": datetime.fromisoformat,
    "timespan": TIMESPAN.normalise,
    "decimal": Decimal,
    "guid": UUID,
    "bytes": lambda text: base64.b64decode(text, validate=True),
    "file": lambda told: _file_text(int(told["length"]), str(told["sha256"])),
}


def _decoded(value: Any) -> Value:
    match value:
        case list():
            return [_decoded(item) for item in value]
        case dict():
            [(kind, text)] = value.items()
            return _DECODERS[kind](text)
        case _:
            return value


def _typed(value: Value) -> Any:
    """The value with its types told, for comparing: True is not 1, and 1 is not 1.0."""
    match value:
        case list():
            return [_typed(item) for item in value]
        case dict():
            return {key: _typed(item) for key, item in value.items()}
        case _:
            return type(value), value
