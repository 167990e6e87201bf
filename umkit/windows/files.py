"""Files of a Windows host: read and written byte for byte, never half.

No structured cmdlet replaces a file in one go: ``Set-Content`` empties it and writes it again. So a backup is made,
hashes are compared before and after, and the backup is put back where they differ.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from umkit.channel import Channel
from umkit.command import Command
from umkit.errors import Blocked, RemoteError, Unreadable, VerifyFailed
from umkit.windows.services import moment

#: What one ``Set-Content`` can carry: 10 MB an object by default, in base64.
LARGEST = 7_000_000

Changes = Sequence[Mapping[str, Any]]


def digest(content: bytes) -> str:
    """The SHA-256 as ``Get-FileHash`` writes it."""
    return hashlib.sha256(content).hexdigest().upper()


def exists(channel: Channel, path: str, kind: str = "Leaf") -> bool:
    """Whether a file (``Leaf``) or folder (``Container``) exists."""
    return bool(channel.read(Command("Test-Path", {"LiteralPath": path, "PathType": kind}), pin=False).one())


def content(channel: Channel, path: str) -> bytes | None:
    """A file's bytes; nothing where there is no such file."""
    if not exists(channel, path):
        return None
    # -Raw gives one byte array; -ReadCount 0, which the page advises, one object a byte. An empty file gives nothing.
    command = Command("Get-Content", {"LiteralPath": path, "Encoding": "Byte", "Raw": True})
    outputs = channel.read(command, pin=False).outputs
    if not outputs:
        return b""
    if len(outputs) != 1 or not isinstance(outputs[0], bytes):
        raise Unreadable(
            f"{path} did not arrive as bytes",
            where={"host": channel.endpoint.name},
            seen=f"{len(outputs)} objects, the first a {type(outputs[0]).__name__}",
            expected="one array of bytes",
        )
    return outputs[0]


def changed(channel: Channel, path: str) -> datetime | None:
    """When a file was last written, in UTC; nothing where there is no such file."""
    if not exists(channel, path):
        return None
    item = channel.read(Command("Get-Item", {"LiteralPath": path}), pin=False).one()
    return moment(item.get("LastWriteTimeUtc")) or moment(item.get("LastWriteTime"))


def file_hash(channel: Channel, path: str) -> str:
    """The SHA-256 of a file as the host computes it; empty where there is no such file."""
    if not exists(channel, path):
        return ""
    command = Command("Get-FileHash", {"LiteralPath": path, "Algorithm": "SHA256"})
    return str(channel.read(command, pin=False).one().get("Hash") or "").upper()


def create(channel: Channel, path: str, write: Command, changes: Changes) -> None:
    """Write a file that is not there yet; what was left half is removed again.

    Arguments:
        channel: the host.
        path: the file.
        write: the ``Set-Content`` with the bytes.
        changes: for the journal.

    Raises ``Blocked`` when it is there by now, ``VerifyFailed`` when it does not have the bytes afterwards.
    """
    if exists(channel, path):
        raise Blocked(f"{path} has come into being since it was planned", next="run the step again")
    expected = digest(write.parameters["Value"])
    try:
        channel.change(write, changes)
    except RemoteError:
        with contextlib.suppress(RemoteError):
            if file_hash(channel, path) not in ("", expected):
                _remove(channel, path)
        raise
    found = file_hash(channel, path)
    if found != expected:
        _remove(channel, path)
        raise VerifyFailed(f"{path} was written, but has other content; it was removed", seen=found, expected=expected)


def replace(channel: Channel, path: str, before: str, write: Command, changes: Changes) -> str:
    """Write a file anew, with a backup beside it; returns the backup's path.

    Arguments:
        channel: the host.
        path: the file.
        before: SHA-256 of the content that the change was planned from.
        write: the ``Set-Content`` with the new bytes.
        changes: for the journal.

    Raises ``Blocked`` when the file is another one by now: nothing was changed. ``VerifyFailed`` when backup or file do
    not have the bytes they should; the file was put back then.
    """
    now = file_hash(channel, path)
    if now != before:
        raise Blocked(f"{path} has changed since it was planned", seen=now, expected=before, next="run the step again")
    backup = f"{path}.{datetime.now(UTC):%Y%m%d-%H%M%S-%f}.bak"
    made = [{"object": f"{backup} on {channel.endpoint.name}", "property": "SHA-256", "before": None, "after": before}]
    channel.change(Command("Copy-Item", {"LiteralPath": path, "Destination": backup}), made)
    if (copied := file_hash(channel, backup)) != before:
        raise VerifyFailed(
            f"the backup {backup} differs from the file; {path} was left alone", seen=copied, expected=before
        )
    expected = digest(write.parameters["Value"])
    try:
        channel.change(write, changes)
        after = file_hash(channel, path)
    except RemoteError:
        # Refused or lost in the middle, the file may be empty by now; if so it is put back, if that can be told.
        with contextlib.suppress(RemoteError):
            if (left := file_hash(channel, path)) not in (before, expected):
                _put_back(channel, path, backup, left, before)
        raise
    if after != expected:
        restored = _put_back(channel, path, backup, after, before)
        raise VerifyFailed(
            f"{path} was written, but has other content; "
            + ("the backup was put back" if restored else "AND THE BACKUP COULD NOT BE PUT BACK"),
            where={"host": channel.endpoint.name},
            seen=after,
            expected=expected,
            next=f"compare it with {backup}" if restored else f"copy {backup} over it by hand",
        )
    return backup


def _put_back(channel: Channel, path: str, backup: str, now: str, before: str) -> bool:
    changes = [{"object": f"{path} on {channel.endpoint.name}", "property": "SHA-256", "before": now, "after": before}]
    channel.change(Command("Copy-Item", {"LiteralPath": backup, "Destination": path, "Force": True}), changes)
    return file_hash(channel, path) == before


def _remove(channel: Channel, path: str) -> None:
    changes = [{"object": f"{path} on {channel.endpoint.name}", "property": "*", "before": "half", "after": None}]
    channel.change(Command("Remove-Item", {"LiteralPath": path, "Confirm": False}), changes)
