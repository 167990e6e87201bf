"""Checks of single values in a customer file: each returns the value in its final form or says why it may not stand."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from umkit.errors import SecretError
from umkit.secrets import SecretReference

#: The word that stands for the simulated organisation in place of an endpoint's URL.
LAB = "lab"

# Broken halves and what XML cannot hold; what turns the reading direction; what cannot be seen and comes along when a
# name is copied from a web page. The joiners U+200C and U+200D stay allowed: emoji and some scripts need them.
_FORBIDDEN = re.compile("[\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069\u00ad\u200b\u200e\u200f\u2060\ufeff]")
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)")
_SLUG = re.compile(r"[a-z0-9]([a-z0-9_-]{0,62}[a-z0-9])?")
_HOST_LABEL = re.compile(r"(?i)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_MAIL_LABEL = re.compile(r"(?i)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_UPN = re.compile(r"[^@\s\\/]{1,256}@[^@\s\\/]{1,255}")
_WINDOWS_PATH = re.compile(r"[A-Za-z]:(\\[^\\/:*?\"<>|]+)*\\?")


class Wrong(ValueError):
    """Why a value may not stand where it stands.

    Arguments:
        reason: half a sentence that goes on from the key's name.
        nearest: what was probably meant.
        hide: whether the value may hold a secret and must not be shown.
    """

    def __init__(self, reason: str, *, nearest: str = "", hide: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.nearest, self.hide = reason, nearest, hide


def _clean(value: str, keep: str = "") -> str:
    if found := _FORBIDDEN.search(value):
        raise Wrong(f"holds the character U+{ord(found[0]):04X}, which cannot be written or seen")
    for character in value:
        if unicodedata.category(character) in ("Cc", "Zl", "Zp") and character not in keep:
            line_break = character in "\n\r\x85\u2028\u2029"
            raise Wrong(f"holds {'a line break' if line_break else f'the control character U+{ord(character):04X}'}")
    return value


def _longest(value: str, most: int) -> str:
    length = len(value.encode("utf-16-le")) // 2  # Windows counts UTF-16 units: an emoji counts as two
    if length > most:
        raise Wrong(f"is {length} characters long; at most {most} are possible")
    return value


def line(value: str) -> str:
    """One line of text, perhaps empty."""
    return _longest(_clean(value), 200)


def notes(value: str) -> str:
    """Text of several lines, perhaps empty."""
    return _longest(_clean(value, keep="\n\t"), 4000)


def _given(value: str) -> str:
    if not _clean(value).strip():
        raise Wrong("is empty")
    if value != value.strip():
        raise Wrong("begins or ends with a blank", nearest=value.strip())
    return value


def name(value: str) -> str:
    """The name of an object in the directory."""
    return _longest(_given(value), 64)  # the directory's limit for a common name


def identity(value: str) -> str:
    """What names one object that exists already."""
    if found := re.search(r"[*?]", _given(value)):
        raise Wrong(f"holds {found[0]}, but has to name one object")
    return _longest(value, 256)


def upn(value: str) -> str:
    """A user principal name."""
    if not _UPN.fullmatch(_given(value)):
        raise Wrong("is no user principal name")
    return value


def slug(value: str) -> str:
    """A name that is safe as a file's and a folder's, on Windows too."""
    if _RESERVED.fullmatch(_clean(value)):
        raise Wrong("is a name that Windows keeps for a device; no folder can have it")
    if not _SLUG.fullmatch(value):
        plain = unicodedata.normalize("NFKD", value.casefold()).encode("ascii", "ignore").decode()
        nearest = re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")[:64].rstrip("-_")
        raise Wrong("becomes part of file names and cannot be one everywhere", nearest=nearest)
    return value


def _is_host(value: str) -> bool:
    return len(value) <= 253 and all(_HOST_LABEL.fullmatch(label) for label in value.split("."))


def _address_or_none(value: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(value)
    except ValueError:
        return None


def host(value: str) -> str:
    """A server's name, short or full."""
    if _address_or_none(_given(value)):
        raise Wrong("is an address; a server's name is wanted")
    if not _is_host(value):
        raise Wrong("is no host name")
    return value


def address(value: str) -> str:
    """The IP address of one host; a range of one is that one."""
    low, dash, high = _given(value).partition("-")
    low, _, prefix = low.partition("/")
    first = _address_or_none(low)
    if first is None or "%" in value:
        raise Wrong("is no IP address")
    last = _address_or_none(high) if dash else first
    if last != first or prefix not in ("", str(first.max_prefixlen)):
        raise Wrong("is more than one address; name each host's address by itself")
    if first.is_unspecified or first.is_multicast or str(first) == "255.255.255.255":
        raise Wrong("is not the address of one host")
    return str(first)


def smart_host(value: str) -> str:
    """An IP address or a host name."""
    bare = _given(value).removeprefix("[").removesuffix("]")
    return address(bare) if _address_or_none(bare) else host(value)


def domain(value: str) -> str:
    """A mail domain, perhaps with ``*.`` for all below it; an international one in its ASCII form."""
    if "@" in _given(value):
        raise Wrong("is an address; only the domain is wanted", nearest=value.rpartition("@")[2])
    if value == "*":
        raise Wrong("is every domain: all mail of the organisation would go to the UM server")
    star = "*." if value.startswith("*.") else ""
    ascii_form = value[len(star) :]
    if "*" in ascii_form:
        raise Wrong("has a * elsewhere than as the first label")
    if not ascii_form.isascii():
        import idna  # few customers have such a domain

        try:
            # Exchange and SMTP speak the ASCII form; so it is what is compared and sent
            ascii_form = idna.encode(ascii_form, uts46=True, std3_rules=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise Wrong("is no mail domain") from None
    labels = ascii_form.split(".")
    if len(ascii_form) > 253 or not all(map(_MAIL_LABEL.fullmatch, labels)) or labels[-1].isdecimal():
        trimmed = ascii_form.strip(".")
        raise Wrong("is no mail domain", nearest=star + trimmed if trimmed != ascii_form else "")
    return star + ascii_form


def secret(value: Any) -> SecretReference:
    """A reference to a secret; anything else might be the secret and is hidden."""
    if isinstance(value, SecretReference):
        return value
    try:
        return SecretReference.parse(value if isinstance(value, str) else "")
    except SecretError as error:
        fault = error.what
    raise Wrong(fault, hide=True)


def _split(value: str) -> SplitResult:
    hide = "@" in value
    try:
        _given(value)
        parts = urlsplit(value)
        _ = parts.port
    except Wrong as error:
        raise Wrong(error.reason, hide=hide) from None
    except ValueError:
        raise Wrong("is no URL: its host or port cannot be read", hide=hide) from None
    if hide:
        raise Wrong("names an account inside the URL; username and password are keys of their own", hide=True)
    server = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not (_is_host(server) or _address_or_none(server)) or parts.port == 0:
        raise Wrong("is no URL that begins with http:// or https:// and a server's name")
    if parts.query or parts.fragment:
        raise Wrong("has a part after ? or #, which an endpoint does not have")
    return parts


def endpoint(path: str, port: str = "") -> Callable[[str], str]:
    """A check for ``lab`` or the URL of an endpoint that answers under a path."""

    def check(value: str) -> str:
        if value == LAB:
            return value
        if value.casefold() == LAB:
            raise Wrong("is no URL", nearest=LAB)
        if _is_host(value) and "." in value:
            raise Wrong("is a server's name, not a URL", nearest=f"http://{value}{port}{path}")
        parts = _split(value)
        # None, or that of the other kind of endpoint; any other path is the server's to refuse: there may be a proxy.
        given = parts.path.rstrip("/").casefold()
        if given != path.rstrip("/").casefold() and given in ("", "/wsman", "/powershell"):
            nearest = f"{parts.scheme}://{parts.netloc}{path}"
            raise Wrong(f"does not end with the path {path} where the endpoint answers", nearest=nearest)
        return value

    return check


def web(value: str) -> str:
    """The URL of a web page or service."""
    _split(value)
    return value


def certificate(value: Any) -> bool | str:
    """How a certificate is checked: ``True``, ``False``, or against a CA file."""
    if isinstance(value, bool):
        return value
    if not isinstance(value, str):
        raise Wrong("is neither true, false nor a path")
    return line(_given(value))


def windows_path(value: str) -> str:
    """A full path on a Windows host."""
    try:
        _clean(value)
    except Wrong as error:
        raise Wrong(
            f"{error.reason}; \\ begins an escape in double quotes, so put Windows paths in single ones"
        ) from None
    _longest(_given(value), 240)
    if not _WINDOWS_PATH.fullmatch(value) or ".." in value.split("\\"):
        nearest = value.replace("/", "\\") if _WINDOWS_PATH.fullmatch(value.replace("/", "\\")) else ""
        raise Wrong("is no full path of Windows", nearest=nearest)
    return value


def moment(value: Any) -> date:
    """A date, or a date with time and zone."""
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value) if len(value) == len("2026-12-31") else datetime.fromisoformat(value)
        except ValueError:
            raise Wrong("is no date, and no date with a time") from None
    if not isinstance(value, date):
        raise Wrong("is no date, and no date with a time")
    if isinstance(value, datetime) and value.tzinfo is None:
        raise Wrong("names a time without its zone", nearest=f"{value.isoformat()}+01:00")
    if not 2000 <= value.year < 2100:
        raise Wrong("is not in this century")
    return value


def no_doubles(values: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """A list in which nothing stands twice, told apart without upper and lower case."""
    seen: dict[str, str] = {}
    for value in values:
        if value.casefold() in seen:
            raise Wrong(f"names {value} twice")
        seen[value.casefold()] = value
    return tuple(values)
