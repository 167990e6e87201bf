"""The registry: what stands in a key, and the programs that the Uninstall keys name.

``Get-ItemProperty`` fails for a missing value and ``Get-ItemPropertyValue`` even ends the pipeline, so the key's list
of names is read first. No structured cmdlet tells a value's type; it is told from what arrived, as far as it can be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from umkit.channel import Channel
from umkit.command import Command
from umkit.errors import ObjectNotFound, Refused, RemoteError

#: The token of a key's default value.
DEFAULT = "(default)"
#: The keys of the installed programs, in the 64-bit and the 32-bit view. The endpoint is a 64-bit process.
UNINSTALL = (
    "HKLM:\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall",
    "HKLM:\\SOFTWARE\\Wow6432Node\\Microsoft\\Windows\\CurrentVersion\\Uninstall",
)


@dataclass(frozen=True)
class Program:
    """An entry of the installed programs.

    Arguments:
        name: its display name; the key's name where it has none.
        version: its version; empty where it has none.
        key: the key that says so.
        bits: 64 or 32: the registry view that the key is in.
        publisher: who made it.
        problem: why the key could not be read; empty where it could.
    """

    name: str
    version: str
    key: str
    bits: int
    publisher: str = ""
    problem: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}".strip()


def key_exists(channel: Channel, key: str) -> bool:
    """Whether a registry key, a folder or a file exists."""
    return bool(channel.read(_test(key), pin=False).one())


def value_names(channel: Channel, key: str) -> list[str] | None:
    """Names of a key's values, ``(default)`` among them where it is set; nothing where the key is missing."""
    return _names(channel.read(_item(key), pin=False).one()) if key_exists(channel, key) else None


def values(channel: Channel, key: str, *names: str) -> dict[str, Any] | None:
    """Those of the named values that a key has, under the names as given; nothing where the key is missing.

    An expandable string comes expanded.
    """
    return values_of(channel, {key: names}).get(key)


def values_of(channel: Channel, wanted: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """Named values of several keys, asked together; see :func:`values`. A missing key is left out.

    Arguments:
        channel: the host.
        wanted: key → names of values.
    """
    exist = _all(channel, [_test(key) for key in wanted])
    there = [key for key, found in zip(wanted, exist, strict=True) if found]
    asked: dict[str, list[str]] = {}
    for key, item in zip(there, _all(channel, [_item(key) for key in there]), strict=True):
        present = {name.casefold() for name in _names(item)}
        asked[key] = [name for name in wanted[key] if name.casefold() in present]
    some = {key: names for key, names in asked.items() if names}
    reads = [Command("Get-ItemProperty", {"LiteralPath": key, "Name": names}) for key, names in some.items()]
    found = dict(zip(some, _all(channel, reads), strict=True))
    return {key: {name: found[key].get(name) for name in names} for key, names in asked.items()}


def _test(key: str) -> Command:
    return Command("Test-Path", {"LiteralPath": key})


def _item(key: str) -> Command:
    return Command("Get-Item", {"LiteralPath": key})


def _names(item: Any) -> list[str]:
    found = item.get("Property")
    return [found] if isinstance(found, str) else [str(name) for name in found or ()]


def _all(channel: Channel, commands: Sequence[Command]) -> list[Any]:
    """The one object that each command gives; raises the first error."""
    found = []
    for entry in channel.read_many(commands, pin=False):
        if isinstance(entry, RemoteError):
            raise entry
        found.append(entry.one())
    return found


def subkeys(channel: Channel, key: str) -> list[str]:
    """Names of a key's subkeys; none where the key is missing."""
    try:
        return [str(name) for name in channel.list("ChildItem", LiteralPath=key, Name=True)]
    except ObjectNotFound:
        return []


def subkeys_of(channel: Channel, keys: Sequence[str]) -> list[list[str]]:
    """Names of the subkeys of several keys, asked together."""
    with channel.asked_ahead([("ChildItem", {"LiteralPath": key, "Name": True}) for key in keys]):
        return [subkeys(channel, key) for key in keys]


def type_of(value: Any) -> str:
    """The type that a value arrived with; DWord also stands for a QWord, String also for an ExpandString."""
    match value:
        case None:
            return ""
        case bool() | int():
            return "DWord"
        case bytes():
            return "Binary"
        case list():
            return "MultiString"
        case _:
            return "String"


def programs(channel: Channel) -> list[Program]:
    """Every installed program, of both registry views.

    Key by key: one value of a broken form makes a read of all keys at once fail (?: or lose the rest). Such a key is
    listed with its problem.
    """
    found = []
    named = zip((64, 32), UNINSTALL, subkeys_of(channel, UNINSTALL), strict=True)
    places = [(bits, root, name) for bits, root, names in named for name in names]
    keys = [f"{root}\\{name}" for _, root, name in places]
    with channel.asked_ahead([("ItemProperty", {"LiteralPath": key}) for key in keys]):
        for (bits, _, name), key in zip(places, keys, strict=True):
            try:
                rows = channel.list("ItemProperty", LiteralPath=key)
            except Refused as error:
                found.append(Program(name, "", key, bits, problem=error.what))
                continue
            for row in rows:  # a key without any value gives nothing
                display, version = row.get("DisplayName"), row.get("DisplayVersion")
                publisher = str(row.get("Publisher") or "")
                found.append(Program(str(display or name), str(version or ""), key, bits, publisher))
    return found
