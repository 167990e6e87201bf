"""Value kinds: how two values of one kind are compared and shown.

A setting is read as the server prints it and wanted as the customer file says it; whether the two are the same is a
question of their kind, not of their text: ``36 MB (37,748,736 bytes)`` is ``36MB``. A kind knows that and nothing
else. What is not set (``None``) and empty text are the same in every kind.
"""

from __future__ import annotations

import contextlib
import operator
import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

#: What a declared list says: it is the whole list, a part of it, or what must not be in it.
How: TypeAlias = Literal["exactly", "at least", "without"]


@dataclass(frozen=True)
class Kind:
    """How values of one kind are normalised, compared and shown.

    Arguments:
        name: the kind's name, for messages; no two kinds share one.
        read: gives a value's one form; raises ValueError or OverflowError on nonsense.
        alike: compares two such forms.
        unset: the form of ``None`` and empty text.
        unlimited: whether ``Unlimited`` (in any case) is a value too.
    """

    name: str
    read: Callable[[Any], Hashable] = field(repr=False, compare=False)
    alike: Callable[[Any, Any], bool] = field(default=operator.eq, repr=False, compare=False)
    unset: Hashable = field(default=None, repr=False, compare=False)
    unlimited: bool = field(default=False, repr=False, compare=False)

    def normalise(self, value: Any) -> Any:
        """The value in the one form that all spellings of it share.

        The form is hashable, and normalising it again gives itself.

        Raises:
            ValueError: the value is none of this kind.
        """
        if value is None or value == "":
            return self.unset
        if self.unlimited and isinstance(value, str) and value.strip().casefold() == "unlimited":
            return "Unlimited"
        try:
            return self.read(value)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{value!r} is no {self.name}: {error}") from error

    def same(self, a: Any, b: Any) -> bool:
        """Whether the two mean the same, or are the same text where either is no value of this kind; never raises."""
        try:
            return self.alike(self.normalise(a), self.normalise(b))
        except ValueError:
            return str("" if a is None else a).strip() == str("" if b is None else b).strip()

    def unmoved(self, a: Any, b: Any) -> bool:
        """Whether two values that were read are one: each the same as the other, whatever else would do as well."""
        with contextlib.suppress(ValueError):
            if self.normalise(a) == self.normalise(b):
                return True
        return self.same(a, b) and self.same(b, a)

    def show(self, value: Any) -> str:
        """The value for a table: as it was given, lists joined by commas."""
        match value:
            case None | "":
                return "(empty)"
            case set() | frozenset():
                return ", ".join(sorted(map(self.show, value))) or "(empty)"
            case list() | tuple():
                return ", ".join(map(self.show, value)) or "(empty)"
            case timedelta():
                return timespan_text(value)
            case _:
                return str(value)


@dataclass(frozen=True)
class ListKind(Kind):
    """A list without order: what is there against what is declared; made by :func:`listof`.

    Everywhere the first argument is what is there and the second what is declared. A single value is a list of one;
    entries are compared by their own kind, and an entry that stands there twice counts once.
    """

    item: Kind = field(kw_only=True)
    how: How = field(kw_only=True)

    def same(self, a: Any, b: Any) -> bool:
        """Whether what is there (a) is as declared (b); never raises."""
        try:
            return not self.missing(a, b) and (self.how == "at least" or not self.surplus(a, b))
        except ValueError:
            return super().same(a, b)

    def unmoved(self, a: Any, b: Any) -> bool:
        """Whether two lists that were read hold the same entries."""
        try:
            return not self._select(a, b, held=False) and not self._select(b, a, held=False)
        except ValueError:
            return super().same(a, b)

    def missing(self, have: Any, want: Any) -> list[Any]:
        """What is declared and not there; nothing for ``without``."""
        return [] if self.how == "without" else self._select(want, have, held=False)

    def surplus(self, have: Any, want: Any) -> list[Any]:
        """What is there and not declared; for ``without``, what is there and should not be.

        For ``at least`` it is only to be shown, never to be removed.
        """
        return self._select(have, want, held=self.how == "without")

    def _select(self, these: Any, those: Any, *, held: bool) -> list[Any]:
        found: list[Any] = []
        for entry in _entries(these):
            if self._holds(_entries(those), entry) is held and not self._holds(found, entry):
                found.append(entry)
        return found

    def _holds(self, entries: list[Any], entry: Any) -> bool:
        # One by one, for being the same identity is not transitive and so has no set.
        return any(self.item.same(other, entry) for other in entries)


def listof(kind: Kind, how: How = "exactly") -> ListKind:
    """A list of values of one kind, in no order.

    Arguments:
        kind: the kind of the entries.
        how: ``exactly``: the declared list is all there is; ``at least``: the declared entries are among those
            there; ``without``: none of the declared entries is there.
    """
    if how not in get_args(How):
        raise ValueError(f"a list is declared one of {', '.join(get_args(How))}; not {how!r}")

    def read(value: Any) -> frozenset[Any]:
        return frozenset(kind.normalise(entry) for entry in _entries(value))

    return ListKind(f"list of {kind.name}", read, unset=frozenset(), item=kind, how=how)


def timespan_text(span: timedelta) -> str:
    """A time span as .NET prints it, for example ``14.00:00:00``."""
    rest = abs(span)
    minutes, seconds = divmod(rest.seconds, 60)
    text = f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
    if rest.days:
        text = f"{rest.days}.{text}"
    if rest.microseconds:
        text = f"{text}.{rest.microseconds:06}"
    return text if rest == span else "-" + text


def _entries(value: Any) -> list[Any]:
    if type(value) is dict:
        raise ValueError("a dictionary is no list")
    if isinstance(value, list | tuple | set | frozenset) and not isinstance(value, Identity):
        return list(value)
    return [] if value is None or value == "" else [value]


# How the values are written. Sizes: "36 MB (37,748,736 bytes)", where the first number is rounded and the second is
# exact, with the thousands separator of the session. Time spans: the 7th decimal (100 ns) is cut, for Python's
# timedelta ends at microseconds. SMTP domains: "*.contoso.com" is one, "*contoso.com" is none.
_DIGITS = re.compile(r"[+-]?[0-9]{1,40}")
_SIZE = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,9})?)\s*(|B|KB|MB|GB|TB)", re.IGNORECASE)
_PRINTED_SIZE = re.compile(r".*\(([0-9][0-9.,'’\s]*) bytes?\)", re.IGNORECASE)
_TIMESPAN = re.compile(
    r"-?(?:(?P<days>[0-9]{1,8})\.)?(?P<hours>[01]?[0-9]|2[0-3]):(?P<minutes>[0-5]?[0-9])"
    r"(?::(?P<seconds>[0-5]?[0-9])(?:\.(?P<microseconds>[0-9]{1,6})[0-9]?)?)?"
)
_ADDRESS_SPACE = re.compile(r"(?:([A-Za-z][A-Za-z0-9_-]*):)?(.*?)(?:;([0-9]{1,3}))?")
_SMTP_SPACE = re.compile(r"\*|--|(?:\*\.)?[^\s.*;:@,]+(?:\.[^\s.*;:@,]+)*")
_HOST = re.compile(r"[^\s,;\[\]]+")
_BINDING = re.compile(r"(\[[^\[\]]+\]|[^\[\]]+):([0-9]{1,5})")
_RDN = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+)\s*=\s*((?:\\.|[^\\])*?)\s*", re.DOTALL)
_BETWEEN_COMMAS = re.compile(r"(?:\\.|[^\\,])+", re.DOTALL)
_BETWEEN_SLASHES = re.compile(r"(?:\\.|[^\\/])+", re.DOTALL)
_CANONICAL = re.compile(r"[^\s/\\@]+\.[^\s/\\@]+/.*[^/]", re.DOTALL)
_ACCOUNT = re.compile(r"([^\\/@]+)\\(.+)", re.DOTALL)
_MAIL = re.compile(r"([^\s@\\/]+)@([^\s@\\/]+)")
_ESC = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\(.)", re.DOTALL)

_BOOLS: Final[Mapping[str, bool]] = {"true": True, "false": False, "$true": True, "$false": False}
_UNITS: Final[Mapping[str, int]] = {"": 1, "B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}


def _text(value: Any) -> str:
    # By exact type: subclasses (an enum's text, a record that prints as its name) bring a text of their own.
    if type(value) in (list, tuple, set, frozenset, dict, bytes, bytearray):
        raise ValueError(f"a {type(value).__name__} is no single value")
    return str(value)


def _word(value: Any) -> str:
    return _text(value).strip()


def _match(shape: re.Pattern[str], value: Any) -> re.Match[str]:
    if (match := shape.fullmatch(_word(value))) is None:
        raise ValueError("it is not written like one")
    return match


def _name(value: Any) -> str | None:
    return _word(value).casefold() or None


def _bool(value: Any) -> bool:
    if (word := _word(value).casefold()) not in _BOOLS:
        raise ValueError("neither true nor false")
    return _BOOLS[word]


def _integer(value: Any) -> int:
    if isinstance(value, bool):
        raise ValueError("a Boolean is no number")
    if not isinstance(value, int | float | Decimal):
        return int(_match(_DIGITS, value)[0])
    if int(value) != value:
        raise ValueError("not a whole number")
    return int(value)


def _size(value: Any) -> int:
    size: Fraction | int
    if not isinstance(value, str):
        size = _integer(value)
    elif printed := _PRINTED_SIZE.fullmatch(value.strip()):
        size = int(re.sub(r"[^0-9]", "", printed[1]))
    else:
        number, unit = _match(_SIZE, value).groups()
        size = Fraction(number) * _UNITS[unit.upper()]
    if size.denominator != 1 or size < 0:
        raise ValueError("not a whole number of bytes")
    return size.numerator


def _timespan(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    match = _match(_TIMESPAN, value)
    units = match.groupdict(default="0")
    units["microseconds"] = units["microseconds"].ljust(6, "0")
    span = timedelta(**{unit: int(count) for unit, count in units.items()})
    return -span if match[0].startswith("-") else span


def _flags(value: Any) -> frozenset[str]:
    flags = {flag.strip().casefold() for entry in _entries(value) for flag in _text(entry).split(",")}
    return frozenset(flags - {"", "none"})  # "None" is the name of no flag at all


def _address_space(value: Any) -> str:
    kind, space, cost = _match(_ADDRESS_SPACE, value).groups()
    kind, space, cost = (kind or "smtp").casefold(), space.strip().casefold(), int(cost or "1")
    if not space or (kind == "smtp" and not _SMTP_SPACE.fullmatch(space)):
        raise ValueError("the address space is not a domain, *.domain or *")
    if not 1 <= cost <= 100:
        raise ValueError("the cost is not 1 to 100")
    return f"{kind}:{space};{cost}"


def _smart_host(value: Any) -> str:
    host = _word(value)
    # How Exchange prints an address given as a smart host, with or without brackets, was not seen (?).
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        return str(ip_address(bare))
    except ValueError:
        return _match(_HOST, host)[0].casefold()


def _ip_range(value: Any) -> str:
    text = _word(value)
    if "/" in text:
        network = ip_network(text, strict=False)
        ends = [network[0], network[-1]]
    else:
        low, dash, high = text.partition("-")
        ends = [ip_address(low.strip()), ip_address((high if dash else low).strip())]
    # IPv4 written in IPv6 (::ffff:10.0.0.1) is taken for the same clients (?).
    mapped = [end.ipv4_mapped for end in ends if isinstance(end, IPv6Address) and end.ipv4_mapped]
    first, last = mapped if len(mapped) == 2 else ends
    if first.version != last.version or int(first) > int(last):
        raise ValueError("the range does not run upwards")
    return str(first) if first == last else f"{first}-{last}"


def _binding(value: Any) -> str:
    host, port = _match(_BINDING, value).groups()
    address = ip_address(host.strip("[]"))
    if not 1 <= int(port) <= 65535:
        raise ValueError("the port is not 1 to 65535")
    return f"[{address}]:{int(port)}" if address.version == 6 else f"{address}:{int(port)}"


class Identity(NamedTuple):
    """An identity in lower case: its form, the part that names the object itself, and all parts."""

    form: Literal["name", "dn", "canonical", "account", "address"]
    last: str
    whole: tuple[str | Any, ...]


def _identity(value: Any) -> Identity | None:
    if isinstance(value, Identity):
        return value
    text = _word(value).casefold()
    rdns = [_RDN.fullmatch(part) for part in _BETWEEN_COMMAS.findall(text)]
    if rdns and all(rdns):
        names = tuple(_unescaped(part) for rdn in rdns if rdn for part in rdn.groups())
        return Identity("dn", names[1], names)
    if _CANONICAL.fullmatch(text):
        path = tuple(map(_unescaped, _BETWEEN_SLASHES.findall(text)))
        return Identity("canonical", path[-1], path)
    if match := _MAIL.fullmatch(text):
        return Identity("address", match[1], match.groups())
    if match := _ACCOUNT.fullmatch(text):
        return Identity("account", match[2], match.groups())
    return Identity("name", text, (text,)) if text else None


def _unescaped(text: str) -> str:
    # A hex pair is one octet of UTF-8, so neighbours are decoded together.
    return _ESC.sub(lambda m: m[2] or bytes.fromhex(m[1].replace("\\", "")).decode(errors="replace").casefold(), text)


def _same_identity(a: Identity | None, b: Identity | None) -> bool:
    if a and b and a.form != b.form:
        paths = [_path(each) for each in (a, b)]
        return paths[0] == paths[1] if all(paths) else a.last == b.last
    return a == b


def _path(identity: Identity) -> tuple[str, ...]:
    """The path from the domain down to the object; nothing where the form does not tell it."""
    if identity.form == "canonical":
        return identity.whole
    if identity.form != "dn":
        return ()
    parts = list(zip(identity.whole[::2], identity.whole[1::2], strict=True))
    domain = ".".join(name for kind, name in parts if kind == "dc")
    return (domain, *(name for kind, name in reversed(parts) if kind != "dc")) if domain else ()


#: Free text, compared exactly.
TEXT: Final = Kind("text", _text)
#: A name, compared without regard to case and outer blanks.
NAME: Final = Kind("name", _name)
#: ``True``, ``False``, or not set (``None``, as of TNEFEnabled); the words in any case as well.
BOOL: Final = Kind("Boolean", _bool)
#: A whole number, or its digits as text.
INTEGER: Final = Kind("whole number", _integer)
#: A whole number or ``Unlimited`` in any case.
UNLIMITED: Final = Kind("whole number or Unlimited", _integer, unlimited=True)
#: A size in bytes, as a number, with B, KB, MB, GB or TB (of 1024), as Exchange prints it, or ``Unlimited``.
SIZE: Final = Kind("size", _size, unlimited=True)
#: A time span: ``timedelta``, ``[-][d.]hh:mm[:ss[.f]]``, or ``Unlimited``.
TIMESPAN: Final = Kind("time span", _timespan, unlimited=True)
#: One of a set of words, compared without regard to case.
ENUM: Final = Kind("enumeration value", _name)
#: Several such words, joined by commas or as a list, in any order; ``None`` as a word means no flag.
FLAGS: Final = Kind("set of flags", _flags, unset=frozenset())
#: A send connector's address space ``[Type:]Space[;Cost]``; the type defaults to SMTP, the cost (1 to 100) to 1.
ADDRESS_SPACE: Final = Kind("address space", _address_space)
#: A send connector's smart host: a host name, or an address with or without brackets.
SMART_HOST: Final = Kind("smart host", _smart_host)
#: An address, ``first-last``, or ``address/bits`` (the address need not be the network's first), IPv4 or IPv6.
IP_RANGE: Final = Kind("range of IP addresses", _ip_range)
#: An address and a port a server listens on: ``0.0.0.0:25``, ``[::]:25``.
BINDING: Final = Kind("binding", _binding)
#: An Active Directory identity by name, canonical name, DN, ``DOMAIN\account`` or address. Two of one form are
#: compared whole, and so are a canonical name and a DN with its domain; of other two forms only what names the object:
#: the last part, or what stands before an address's ``@``. So objects of one name in two places look the same where
#: one is told without its place, and an object is not recognised by a GUID, a SID, an FQDN, or an address that differs
#: from its name: a resource that has such looks the name up first.
IDENTITY: Final = Kind("identity", _identity, alike=_same_identity)
