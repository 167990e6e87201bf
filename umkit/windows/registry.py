"""The registry: what stands in a key, and the programs that the Uninstall keys name.

``Get-ItemProperty`` fails for a missing value and ``Get-ItemPropertyValue`` even ends the pipeline, so the key's list
of names is read first. No structured cmdlet tells a value's type; it is told from what arrived, as far as it can be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from umkit.channel import Channel
from umkit.command import Command
from umkit.errors import ObjectNotFound, Refused

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
    return bool(channel.read(Command("Test-Path", {"LiteralPath": key}), pin=False).one())


def value_names(channel: Channel, key: str) -> list[str] | None:
    """Names of a key's values, ``(default)`` among them where it is set; nothing where the key is missing."""
    if not key_exists(channel, key):
        return None
    found = channel.read(Command("Get-Item", {"LiteralPath": key}), pin=False).one().get("Property")
    return [found] if isinstance(found, str) else [str(name) for name in found or ()]


def value(channel: Channel, key: str, name: str) -> Any:
    """One value of a key; nothing where key or value is missing. An expandable string comes expanded."""
    return (values(channel, key, name) or {}).get(name)


def values(channel: Channel, key: str, *names: str) -> dict[str, Any] | None:
    """Those of the named values that a key has, under the names as given; nothing where the key is missing."""
    present = value_names(channel, key)
    if present is None:
        return None
    there = {name.casefold() for name in present}
    asked = [name for name in names if name.casefold() in there]
    found: dict[str, Any] = {}
    for name in asked:
        read = channel.read(Command("Get-ItemProperty", {"LiteralPath": key, "Name": name}), pin=False).one()
        found[name] = read.get(name)
    return found


def subkeys(channel: Channel, key: str) -> list[str]:
    """Names of a key's subkeys; none where the key is missing."""
    try:
        return [str(name) for name in channel.list("ChildItem", LiteralPath=key, Name=True)]
    except ObjectNotFound:
        return []


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
    for root, bits in zip(UNINSTALL, (64, 32), strict=True):
        for name in subkeys(channel, root):
            key = f"{root}\\{name}"
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
