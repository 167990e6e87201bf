"""A Windows host's files and folders."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_ILLEGAL = re.compile(r'[<>:"|?*\x00-\x1f]')


@dataclass
class File:
    """A file.

    Arguments:
        path: its whole path.
        content: its bytes.
        created, written: when (UTC).
        read_only: whether it has the attribute ReadOnly.
        locked: whether another process holds it.
        torn_writes: how many of the next writes leave only half of the bytes.
    """

    path: str
    content: bytes
    created: datetime
    written: datetime
    read_only: bool = False
    locked: bool = False
    torn_writes: int = 0


class Files:
    """The files of one host; paths are found without case.

    Arguments:
        now: tells the time (UTC).
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._files: dict[str, File] = {}
        self._folders: dict[str, str] = {"c:": "C:"}

    def normal(self, path: str) -> str:
        """A path with backslashes, without ``.``, ``..`` and a trailing separator; raises ValueError when illegal."""
        drive, colon, rest = path.replace("/", "\\").partition(":")
        if not colon or len(drive) != 1:
            raise ValueError("the path has no drive")
        parts: list[str] = []
        for part in rest.split("\\"):
            if _ILLEGAL.search(part):
                raise ValueError("Illegal characters in path.")
            if part == "..":
                parts = parts[:-1]
            elif part not in ("", "."):
                parts.append(part)
        return "\\".join([f"{drive.upper()}:", *parts])

    def file(self, path: str) -> File | None:
        """The file of a normal path."""
        return self._files.get(path.lower())

    def folder(self, path: str) -> str | None:
        """A folder's path in its own spelling, or None."""
        return self._folders.get(path.lower())

    def has_drive(self, path: str) -> bool:
        """Whether the path's drive is there."""
        return path[:2].lower() in self._folders

    def children(self, path: str) -> tuple[list[str], list[File]]:
        """Folders (their paths) and files directly in a folder, by name."""
        parent = path.lower()
        folders = [each for key, each in self._folders.items() if key.rpartition("\\")[0] == parent and key != parent]
        files = [each for key, each in self._files.items() if key.rpartition("\\")[0] == parent]
        return sorted(folders, key=str.lower), sorted(files, key=lambda each: each.path.lower())

    def make_folder(self, path: str) -> None:
        """Make a folder and its parents."""
        parts = path.split("\\")
        for number in range(1, len(parts) + 1):
            whole = "\\".join(parts[:number])
            self._folders.setdefault(whole.lower(), whole)

    def write(self, path: str, content: bytes) -> File:
        """Write a file; an existing one keeps its spelling, attributes and creation time."""
        now, old = self._now(), self._files.get(path.lower())
        if old is None:
            old = self._files[path.lower()] = File(path, b"", now, now)
        if old.torn_writes:
            old.torn_writes -= 1
            content = content[: len(content) // 2]
        old.content, old.written = content, now
        return old

    def found(self, file: File) -> None:
        """Add a file that was there before the lab began."""
        self.make_folder(file.path.rpartition("\\")[0])
        self._files[file.path.lower()] = file

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all in it."""
        lowered = path.lower()
        for table in (self._files, self._folders):
            for key in [each for each in table if each == lowered or each.startswith(lowered + "\\")]:
                del table[key]

    def state(self) -> dict[str, dict[str, Any]]:
        """Path → SHA-256, size, and the text, or base64 where it is no UTF-8 text."""
        return {each.path: _plain(each) for each in self._files.values()}


def _plain(file: File) -> dict[str, Any]:
    told: dict[str, Any] = {"sha256": hashlib.sha256(file.content).hexdigest(), "size": len(file.content)}
    try:
        text = file.content.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        return told | {"base64": base64.b64encode(file.content).decode("ascii")}
    return told | {"text": text}
