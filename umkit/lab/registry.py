"""A Windows host's registry: keys, values with kinds, loaded and unloaded hives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

#: Name of a key's default value as the cmdlets say it.
DEFAULT = "(default)"
_ROOTS = {"HKLM": "HKEY_LOCAL_MACHINE", "HKU": "HKEY_USERS", "HKCR": "HKEY_CLASSES_ROOT", "HKCU": "HKEY_CURRENT_USER"}
_CLASSES = ("HKEY_LOCAL_MACHINE", "SOFTWARE", "Classes")
_ENVIRONMENT = {
    "systemroot": "C:\\Windows",
    "windir": "C:\\Windows",
    "systemdrive": "C:",
    "programfiles": "C:\\Program Files",
    "programfiles(x86)": "C:\\Program Files (x86)",
    "programdata": "C:\\ProgramData",
    "commonprogramfiles": "C:\\Program Files\\Common Files",
}


@dataclass
class Value:
    """A registry value.

    Arguments:
        name: its name; empty for the default value.
        kind: String, ExpandString, Binary, DWord, MultiString or QWord.
        data: text, bytes, a number, or a list of text; bytes in a DWord are malformed data.
    """

    name: str
    kind: str
    data: Any

    @property
    def shown(self) -> str:
        """The name as the cmdlets say it."""
        return self.name or DEFAULT


@dataclass
class Key:
    """A registry key; values and subkeys are found without case."""

    name: str
    values: dict[str, Value] = field(default_factory=dict)
    subkeys: dict[str, Key] = field(default_factory=dict)

    def value(self, name: str) -> Value | None:
        """The value of a name; ``(default)`` is the default value."""
        return self.values.get("" if name.lower() == DEFAULT else name.lower())

    def put(self, name: str, kind: str, data: Any) -> None:
        """Create or overwrite a value; an existing one keeps the spelling of its name."""
        name = "" if name.lower() == DEFAULT else name
        old = self.values.get(name.lower())
        self.values[name.lower()] = Value(old.name if old else name, kind, data)


class Registry:
    """The registry of one host.

    Paths are tuples of key names that begin with the long name of the hive.
    """

    def __init__(self) -> None:
        self._hives = {name: Key(name) for name in ("HKEY_LOCAL_MACHINE", "HKEY_USERS")}
        self._unloaded: dict[str, Key] = {}
        self.create((*_CLASSES,))

    def split(self, path: str, sid: str = "") -> tuple[str, ...]:
        """The parts of ``HKLM\\SOFTWARE\\…``; raises KeyError when there is no such hive.

        Arguments:
            path: the path without drive colon; either slash separates.
            sid: SID of the account whose hive HKEY_CURRENT_USER is.
        """
        parts = [part for part in re.split(r"[\\/]", path) if part]
        if not parts:
            return ()
        long = next((each for short, each in _ROOTS.items() if parts[0].upper() in (short, each)), None)
        if long is None:
            raise KeyError(parts[0])
        if long == "HKEY_CURRENT_USER":
            return ("HKEY_USERS", sid, *parts[1:])
        return (*_CLASSES, *parts[1:]) if long == "HKEY_CLASSES_ROOT" else (long, *parts[1:])

    def find(self, path: tuple[str, ...]) -> Key | None:
        """The key of a path, or None."""
        key = self._hives.get(path[0]) if path else None
        for part in path[1:]:
            if key is None:
                return None
            key = key.subkeys.get(part.lower())
        return key

    def create(self, path: tuple[str, ...]) -> Key:
        """The key of a path; it and its parents are made where they are missing."""
        key = self._hives[path[0]]
        for part in path[1:]:
            key = key.subkeys.setdefault(part.lower(), Key(part))
        return key

    def remove(self, path: tuple[str, ...]) -> None:
        """Remove a key with what is below it; nothing when it is not there."""
        parent = self.find(path[:-1])
        if parent is not None:
            parent.subkeys.pop(path[-1].lower(), None)

    def unload(self, sid: str) -> None:
        """Take a user's hive away, as when the user logs off; its content stays."""
        hive = self._hives["HKEY_USERS"].subkeys.pop(sid.lower(), None)
        if hive is not None:
            self._unloaded[sid] = hive

    def load(self, sid: str) -> None:
        """Bring a user's hive back, as when the user logs on."""
        self._hives["HKEY_USERS"].subkeys[sid.lower()] = self._unloaded.pop(sid, Key(sid))

    def state(self) -> dict[str, dict[str, Any]]:
        """Every key with a value as ``HKLM\\…`` → value name → kind and data, JSON-ready; unloaded hives too."""
        found: dict[str, dict[str, Any]] = {}
        roots = [("HKLM", self._hives["HKEY_LOCAL_MACHINE"]), ("HKU", self._hives["HKEY_USERS"])]
        unloaded = [(f"HKU (not loaded)\\{sid}", key) for sid, key in self._unloaded.items()]
        for root, hive in [*roots, *unloaded]:
            for path, key in _walk(hive, root):
                if key.values or not key.subkeys:
                    found[path] = {each.shown: _plain(each) for each in key.values.values()}
        return found


def _walk(key: Key, path: str) -> Iterator[tuple[str, Key]]:
    yield path, key
    for each in key.subkeys.values():
        yield from _walk(each, f"{path}\\{each.name}")


def _plain(value: Value) -> dict[str, Any]:
    return {"kind": value.kind, "data": value.data.hex() if isinstance(value.data, bytes) else value.data}


def expand(text: str) -> str:
    """A REG_EXPAND_SZ as Get-ItemProperty shows it: the host's own variables in place of ``%name%``."""
    return re.sub(r"%([^%]+)%", lambda found: _ENVIRONMENT.get(found[1].lower(), found[0]), text)
