"""Sizes, time spans, domains and addresses as Exchange reads and prints them.

Every function raises ValueError with the reason when the text is not one.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta

UNLIMITED = "Unlimited"
_UNITS = ("B", "KB", "MB", "GB", "TB")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|TB)?(?:\s*\(([\d,]+) bytes\))?", re.IGNORECASE)
_SPAN = re.compile(r"(-)?(?:(\d+)\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
#: Longest domain name that the cmdlets take, from the page of New-RemoteDomain.
_LONGEST_DOMAIN = 256


def size(value: str | int) -> int:
    """Bytes of ``25MB``, ``36 MB (37,748,736 bytes)`` or a bare number."""
    if isinstance(value, int):
        return value
    found = _SIZE.fullmatch(value.strip())
    if not found:
        raise ValueError(f"'{value}' isn't a size; qualify a number with B, KB, MB, GB or TB.")
    number, unit, exact = found.groups()
    if exact:
        return int(exact.replace(",", ""))
    return round(float(number) * 1024.0 ** _UNITS.index((unit or "B").upper()))


def show_size(count: int) -> str:
    """A number of bytes as Exchange prints it: ``36 MB (37,748,736 bytes)``."""
    power = 0
    while power < len(_UNITS) - 1 and count >= 1024 ** (power + 1):
        power += 1
    return f"{count / 1024**power:.4g} {_UNITS[power]} ({count:,} bytes)"


def span(value: str | timedelta) -> timedelta:
    """The time span of ``dd.hh:mm:ss``, or of a bare number of days."""
    if isinstance(value, timedelta):
        return value
    text = value.strip()
    if text.isdecimal():
        return timedelta(days=int(text))
    found = _SPAN.fullmatch(text)
    if not found:
        raise ValueError("String was not recognized as a valid TimeSpan.")
    sign, days, hours, minutes, seconds, fraction = found.groups()
    if int(hours) > 23 or int(minutes) > 59 or int(seconds or 0) > 59:
        raise ValueError("The TimeSpan could not be parsed because a component is out of range or has too many digits.")
    result = timedelta(
        days=int(days or 0),
        hours=int(hours),
        minutes=int(minutes),
        seconds=int(seconds or 0),
        microseconds=int((fraction or "0").ljust(7, "0")[:6]),
    )
    return -result if sign else result


def show_span(value: timedelta) -> str:
    """A time span as Exchange prints it: ``00:10:00``, ``14.00:00:00``."""
    positive = abs(value)
    text = f"{positive.seconds // 3600:02d}:{positive.seconds // 60 % 60:02d}:{positive.seconds % 60:02d}"
    if positive.days:
        text = f"{positive.days}.{text}"
    if positive.microseconds:
        text += f".{positive.microseconds:06d}0"
    return "-" + text if value < timedelta() else text


def host(text: str) -> str:
    """A host name, of one label or more."""
    if len(text) > _LONGEST_DOMAIN or not all(_LABEL.fullmatch(label) for label in text.split(".")):
        raise ValueError(f"'{text}' isn't a valid domain name.")
    return text


def domain(text: str, *, subdomains: bool = False) -> str:
    """An SMTP domain; with subdomains also ``*`` and ``*.example.org``."""
    if subdomains and text == "*":
        return text
    host(text.removeprefix("*.") if subdomains else text)
    return text


def smtp_address(text: str) -> str:
    """An SMTP address: a local part and a domain."""
    local, at, right = text.rpartition("@")
    if not at or not local or local != local.strip():
        raise ValueError(f"'{text}' isn't a valid SMTP address.")
    host(right)
    return text


def address_space(text: str) -> str:
    """An address space with its type and cost: ``SMTP:fax.example.org;1``.

    The type may be missing (SMTP), the cost too (1); the type is printed as it was typed, so ``smtp:*;1`` stays so.
    A type other than SMTP takes any text, and then a semicolon in it needs a cost behind.
    """
    kind, colon, rest = text.partition(":")
    if not colon:
        kind, rest = "SMTP", text
    space, semicolon, cost = rest.rpartition(";")
    if not semicolon:
        space, cost = rest, "1"
    smtp = kind.upper() == "SMTP"
    if not kind.strip() or kind != kind.strip() or not space:
        raise ValueError(f"'{text}' isn't a valid address space; enter it as Type:Space;Cost.")
    if not (cost.isascii() and cost.isdecimal()) or not 1 <= int(cost) <= 100:
        raise ValueError(f"The cost of address space '{text}' must be a number from 1 through 100.")
    if smtp:
        domain(space, subdomains=True)
    return f"{kind}:{space};{int(cost)}"


def address_space_type(text: str) -> str:
    """The upper-case type of a complete address space, for example ``SMTP``."""
    return text.partition(":")[0].upper()


def smart_host(text: str, *, brackets: bool) -> str:
    """A smart host as Exchange prints it: an FQDN, or an IP address.

    Arguments:
        text: FQDN or address literal; brackets around the literal are taken as well.
        brackets: whether a literal is printed as ``[10.1.1.1]`` or plainly: which one Exchange does is (?).
    """
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        literal = str(ipaddress.ip_address(bare))
    except ValueError:
        if bare != text or re.fullmatch(r"[\d.]+", bare):
            raise ValueError(f"'{text}' isn't a valid smart host; enter an FQDN or an IP address.") from None
        return host(text)
    return f"[{literal}]" if brackets else literal


def ip_address(text: str) -> str:
    """An IP address in its usual text form."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise ValueError("An invalid IP address was specified.") from None
