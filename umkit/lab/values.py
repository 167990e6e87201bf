"""Parameter values converted as PowerShell's binder converts them.

A value that has the wrong shape (a list for one value, text for a Boolean)
raises :class:`WrongType`; one that its type cannot be made from raises
:class:`umkit.lab.records.Unfit`; one that the cmdlet's own setter refuses
raises :class:`Rejected`. Each gives another error id (umkit.lab.binding).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from umkit.lab import quantities
from umkit.lab.model import LabSecret
from umkit.lab.records import Unfit
from umkit.lab.tables import Parameter

#: Enumerations of Exchange whose values may be combined.
_FLAGS = frozenset({"PermissionGroups", "AuthMechanisms", "ErrorPolicies", "TransportModerationNotificationFlags"})
#: What each integer type can hold.
_INTEGERS = {
    "Int16": (-(2**15), 2**15 - 1),
    "Int32": (-(2**31), 2**31 - 1),
    "Int64": (-(2**63), 2**63 - 1),
    "UInt32": (0, 2**32 - 1),
}
_SYSTEM = frozenset({*_INTEGERS, "Boolean", "String", "DateTime", "Guid", "Uri", "Version", "Object", "TimeSpan"})
#: Types whose values are live objects; nothing sent over the wire becomes one again.
_LIVE = re.compile(
    r"ScriptBlock|Cim(Session|Instance|Class)|ServiceController|Stream|PSSession|Process|X509|Presentation"
)


def live(type_name: str) -> bool:
    """Whether a parameter's type is one of live objects, which nothing over the wire can be."""
    return bool(_LIVE.search(type_name))


class WrongType(ValueError):
    """A value whose .NET type cannot become the parameter's type."""

    def __init__(self, given: str, wanted: str, hint: str = "") -> None:
        super().__init__(f"Cannot convert '{given}' to the type '{wanted}'")
        self.given = given
        self.wanted = wanted
        self.hint = hint


class Rejected(ValueError):
    """A value that the cmdlet's own setter refuses, and why."""


@dataclass(frozen=True)
class Change:
    """Values to add to and to remove from a multivalued property."""

    add: list[Any] = field(default_factory=list)
    remove: list[Any] = field(default_factory=list)


def clr_name(parameter: Parameter) -> str:
    """The full name of a parameter's type, as messages say it; Exchange's namespaces are (?)."""
    if parameter.clr_type:
        return parameter.clr_type
    if parameter.type.removesuffix("[]") in _SYSTEM:
        return f"System.{parameter.type}"
    if parameter.type in ("SwitchParameter", "PSCredential"):
        return f"System.Management.Automation.{parameter.type}"
    if parameter.type == "SecureString":
        return "System.Security.SecureString"
    area = "Configuration.Tasks" if "IdParameter" in parameter.type else "Data"
    return f"Microsoft.Exchange.{area}.{parameter.type}"


def given_name(value: Any) -> str:
    """The .NET name of the type in which a value arrived."""
    for python, name in (
        (bool, "System.Boolean"),
        (int, "System.Int32"),
        (float, "System.Double"),
        (str, "System.String"),
        (list, "System.Object[]"),
        (bytes, "System.Byte[]"),
        (dict, "System.Collections.Hashtable"),
        (datetime, "System.DateTime"),
        (timedelta, "System.TimeSpan"),
        (Decimal, "System.Decimal"),
        (UUID, "System.Guid"),
        (LabSecret, "System.Security.SecureString"),
    ):
        if isinstance(value, python):
            return name
    return "null" if value is None else "System.Object"


def _text(parameter: Parameter, value: Any) -> str:
    """Any single value as a string, the way [string] takes it."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float | Decimal | UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return quantities.show_span(value)
    raise WrongType(given_name(value), clr_name(parameter))


def _boolean(parameter: Parameter, value: Any) -> bool | None:
    if isinstance(value, bool | int | float | Decimal):
        return bool(value)
    if value is None and (parameter.type == "SwitchParameter" or "$null" in parameter.values):
        return True if parameter.type == "SwitchParameter" else None
    hint = " Boolean parameters accept only Boolean values and numbers, such as $True, $False, 1 or 0."
    raise WrongType(given_name(value), clr_name(parameter), hint)


def _integer(parameter: Parameter, value: Any) -> int:
    low, high = _INTEGERS[parameter.type]
    if value is None:
        number = 0
    elif isinstance(value, bool | int) or (isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d+\s*", value)):
        number = int(value)
    elif isinstance(value, float | Decimal) and math.isfinite(value):
        number = round(value)
    elif isinstance(value, str | float | Decimal):
        raise Unfit(parameter.name, value, clr_name(parameter), "Input string was not in a correct format.")
    else:
        raise WrongType(given_name(value), clr_name(parameter))
    if not low <= number <= high:
        short = parameter.type
        raise Unfit(
            parameter.name, value, clr_name(parameter), f"Value was either too large or too small for an {short}."
        )
    _within(parameter, number, lambda bound: int(bound))
    return number


def _within(parameter: Parameter, value: Any, read: Callable[[Any], Any]) -> None:
    """Refuse what lies outside the documented range; the wording is (?)."""
    if parameter.range and not read(parameter.range[0]) <= value <= read(parameter.range[1]):
        low, high = parameter.range
        raise Rejected(f"The property value is invalid. The value must be from {low} through {high}.")


def _quantity(parameter: Parameter, value: Any) -> str:
    """An Unlimited, a size or a time span as Exchange prints it."""
    text = _text(parameter, value)
    if parameter.unlimited and text.lower() == "unlimited":
        return quantities.UNLIMITED
    try:
        if parameter.type == "EnhancedTimeSpan":
            duration = quantities.span(value if isinstance(value, timedelta) else text)
            _within(parameter, duration, quantities.span)
            return quantities.show_span(duration)
        if parameter.bytes or parameter.type == "ByteQuantifiedSize":
            count = quantities.size(text)
            _within(parameter, count, int)
            return quantities.show_size(count)
        if not re.fullmatch(r"\d{1,10}", text):
            raise ValueError("Input string was not in a correct format.")
    except Rejected:
        raise
    except ValueError as error:
        raise Unfit(parameter.name, text, clr_name(parameter), str(error)) from None
    _within(parameter, int(text), int)
    return str(int(text))


def _enumeration(parameter: Parameter, value: Any) -> str | None:
    """The canonical name, or names joined by ``, `` where they may be combined."""
    if value is None and "$null" in parameter.values:
        return None
    known = {name.lower(): name for name in parameter.values if name != "$null"}
    numbers = {number: name for name, number in parameter.numbers}
    flags = parameter.type in _FLAGS
    wanted = value if flags and isinstance(value, list) else [value]
    names: list[str] = []
    for each in wanted:
        if isinstance(each, int) and not isinstance(each, bool) and each in numbers:
            names.append(numbers[each])
            continue
        text = _text(parameter, each)
        for part in text.split(",") if flags else [text]:
            if part.strip().lower() not in known:
                listed = ", ".join(known.values())
                reason = (
                    f"Unable to match the identifier name {part.strip()} to a valid enumerator name. "
                    f"Specify one of the following enumerator names and try again: {listed}"
                )
                raise Unfit(parameter.name, text, clr_name(parameter), reason)
            names.append(known[part.strip().lower()])
    return ", ".join(sorted(set(names), key=list(known.values()).index))


def _parsed(parse: Callable[[str], str]) -> Callable[[Parameter, Any], Any]:
    """A type made from text by a function that raises ValueError; null stays null."""

    def convert(parameter: Parameter, value: Any) -> Any:
        if value is None:
            return None
        text = _text(parameter, value)
        try:
            return parse(text)
        except ValueError as error:
            raise Unfit(parameter.name, text, clr_name(parameter), str(error)) from None

    return convert


def _date(parameter: Parameter, value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    text = _text(parameter, value)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        reason = "String was not recognized as a valid DateTime."
        raise Unfit(parameter.name, text, clr_name(parameter), reason) from None


def _guid(text: str) -> str:
    return str(UUID(text))


def _identity(parameter: Parameter, value: Any) -> str | None:
    """An identity as text. A deserialised object does not bind (reference/exchange.md §3 b)."""
    if value is None:
        return None
    text = _text(parameter, value)
    if not text:
        # The sentence is (?); that an empty identity is refused rather than taken for "all" is (?) too.
        reason = f"Parameter values of type {clr_name(parameter)} can't be empty. Specify a value, and try again."
        raise Unfit(parameter.name, text, clr_name(parameter), reason)
    return text


def _secret(parameter: Parameter, value: Any) -> LabSecret:
    if isinstance(value, LabSecret):
        return value
    raise WrongType(given_name(value), clr_name(parameter))


def _credential(parameter: Parameter, value: Any) -> dict[str, Any]:
    named = {str(key).lower(): each for key, each in value.items()} if isinstance(value, dict) else {}
    if isinstance(named.get("username"), str) and isinstance(named.get("password"), LabSecret):
        return {"UserName": named["username"], "Password": named["password"]}
    raise WrongType(given_name(value), clr_name(parameter))


def _hashtable(parameter: Parameter, value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {str(key): each for key, each in value.items()}
    raise WrongType(given_name(value), clr_name(parameter))


def _any(parameter: Parameter, value: Any) -> Any:
    return value


_CONVERSIONS: dict[str, Callable[[Parameter, Any], Any]] = {
    **dict.fromkeys(("Boolean", "SwitchParameter"), _boolean),
    **dict.fromkeys(_INTEGERS, _integer),
    **dict.fromkeys(("Unlimited", "ByteQuantifiedSize", "EnhancedTimeSpan"), _quantity),
    **dict.fromkeys(("DateTime", "Nullable[DateTime]"), _date),
    **dict.fromkeys(("Hashtable", "IDictionary"), _hashtable),
    **dict.fromkeys(("Object", "PSObject"), _any),
    "Fqdn": _parsed(quantities.host),
    "SmtpDomain": _parsed(quantities.domain),
    "SmtpDomainWithSubdomains": _parsed(lambda text: quantities.domain(text, subdomains=True)),
    "SmtpAddress": _parsed(quantities.smtp_address),
    "IPAddress": _parsed(quantities.ip_address),
    "Guid": _parsed(_guid),
    "SecureString": _secret,
    "PSCredential": _credential,
}


def _single(parameter: Parameter, element: str, value: Any) -> Any:
    """One value of a type that is not a collection."""
    if element in _CONVERSIONS:
        return _CONVERSIONS[element](parameter, value)
    if element.endswith("IdParameter"):
        return _identity(parameter, value)
    if _LIVE.search(element):
        raise WrongType(given_name(value), clr_name(parameter))
    if parameter.values and element != "String":
        return _enumeration(parameter, value)
    if element == "String" and parameter.values:
        return _listed(parameter, value)
    return _text(parameter, value)


def _listed(parameter: Parameter, value: Any) -> str | None:
    """Text out of a documented list."""
    if value is None and "$null" in parameter.values:
        return None
    text = _text(parameter, value)
    for known in parameter.values:
        if known.lower() == text.lower():
            return known
    raise Rejected(f"The value '{text}' isn't one of {', '.join(parameter.values)}.")


def _many(parameter: Parameter, element: str, value: Any) -> list[Any]:
    values = value if isinstance(value, list) else [] if value is None else [value]
    return [_single(parameter, element, each) for each in values]


def convert(parameter: Parameter, value: Any) -> Any:
    """A value as its parameter's type holds it.

    Arguments:
        parameter: the parameter.
        value: what arrived.
    """
    if parameter.type in ("MultiValuedProperty", "ProxyAddressCollection"):
        if not isinstance(value, dict):
            return _many(parameter, "String", value)
        keys = {str(key).lower(): each for key, each in value.items()}
        if not parameter.add_remove or not keys or not keys.keys() <= {"add", "remove"}:
            raise WrongType(given_name(value), clr_name(parameter))
        return Change(*(_many(parameter, "String", keys.get(key)) for key in ("add", "remove")))
    if parameter.type == "Object[]" and isinstance(value, bytes):
        # Bound byte by byte; a list with one array in it stays a list of an array (reference/windows.md §d).
        return value
    if parameter.type.endswith("[]"):
        return _many(parameter, parameter.type.removesuffix("[]"), value)
    if isinstance(value, list) and parameter.type not in ("Object", "PSObject", *_FLAGS):
        # Not even a list of one: the binder refuses any list for a single value.
        raise WrongType(given_name(value), clr_name(parameter))
    return _single(parameter, parameter.type, value)
