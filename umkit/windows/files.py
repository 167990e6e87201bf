"""Files of a Windows host: read and written byte for byte, never half.

No structured cmdlet replaces a file in one go: ``Set-Content`` empties it and writes it again. So a backup is made,
hashes are compared before and after, and the backup is put back where they differ, also after the step was stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from umkit.channel import Channel
from umkit.command import Command
from umkit.errors import Blocked, UmkitError, Unreadable, VerifyFailed
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


def backup_of(path: str, before: str) -> str:
    """Where the backup of a file stands: beside it, named by the content, so that it never replaces another one."""
    return f"{path}.{before[:16]}.bak"


def create(channel: Channel, path: str, write: Command, changes: Changes) -> None:
    """Write a file that is not there yet; what was left half is removed again, also after Ctrl-C.

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
        found = file_hash(channel, path)
    except BaseException as error:
        channel.cancel.clear()  # otherwise nothing more could be sent
        _say(error, _removed(channel, path, expected), f"{path} was left half written: remove it by hand")
        raise
    if found != expected:
        gone = _removed(channel, path, expected)
        raise VerifyFailed(
            f"{path} was written, but has other content; "
            + ("it was removed" if gone else "AND IT COULD NOT BE REMOVED"),
            seen=found,
            expected=expected,
            next="" if gone else f"remove {path} by hand",
        )


def back_up(channel: Channel, path: str, before: str, copy: Command) -> None:
    """Copy a file beside itself, before it is written anew.

    Arguments:
        channel: the host.
        path: the file.
        before: SHA-256 of the content that the change was planned from.
        copy: the ``Copy-Item`` to the place that :func:`backup_of` gives.

    Raises ``Blocked`` when the file is another one by now, ``VerifyFailed`` when the copy differs: the file was left
    alone then.
    """
    _unchanged(channel, path, before)
    backup = copy.parameters["Destination"]
    made = [{"object": f"{backup} on {channel.endpoint.name}", "property": "SHA-256", "before": None, "after": before}]
    channel.change(copy, made)
    if (copied := file_hash(channel, backup)) != before:
        raise VerifyFailed(
            f"the backup {backup} differs from the file; {path} was left alone", seen=copied, expected=before
        )


def replace(channel: Channel, path: str, before: str, write: Command, changes: Changes) -> None:
    """Write a file anew, of which a backup was made; the backup is put back where the file is wrong afterwards.

    Arguments:
        channel: the host.
        path: the file.
        before: SHA-256 of the content that the change was planned from.
        write: the ``Set-Content`` with the new bytes.
        changes: for the journal.

    Raises ``Blocked`` when the file is another one by now: nothing was changed. ``VerifyFailed`` when it does not have
    the bytes it should. Each error, also KeyboardInterrupt, names the backup where it was not seen to be put back.
    """
    _unchanged(channel, path, before)
    backup, expected = backup_of(path, before), digest(write.parameters["Value"])
    by_hand = f"{path} may be damaged, and its backup was not seen to be put back: copy {backup} over it by hand"
    try:
        channel.change(write, changes)
        after = file_hash(channel, path)
    except BaseException as error:
        # Refused, stopped or lost in the middle, the file may be empty by now.
        channel.cancel.clear()  # otherwise nothing more could be sent
        _say(error, _put_back(channel, path, backup, before, expected), by_hand)
        raise
    if after != expected:
        restored = _put_back(channel, path, backup, before, expected)
        raise VerifyFailed(
            f"{path} was written, but has other content; "
            + ("the backup was put back" if restored else "AND THE BACKUP WAS NOT SEEN TO BE PUT BACK"),
            where={"host": channel.endpoint.name},
            seen=after,
            expected=expected,
            next=f"compare it with {backup}" if restored else by_hand,
        )


def put_back(channel: Channel, copy: Command, expected: str, changes: Changes) -> None:
    """Copy a backup over its file, and compare the hash.

    Raises ``VerifyFailed`` when the file does not have the backup's bytes afterwards.
    """
    channel.change(copy, changes)
    path = copy.parameters["Destination"]
    if (found := file_hash(channel, path)) != expected:
        raise VerifyFailed(f"{path} was put back, but has other content", seen=found, expected=expected)


def _unchanged(channel: Channel, path: str, before: str) -> None:
    now = file_hash(channel, path)
    if now != before:
        raise Blocked(f"{path} has changed since it was planned", seen=now, expected=before, next="run the step again")


def _put_back(channel: Channel, path: str, backup: str, before: str, expected: str) -> bool:
    """Put the backup back, unless the file has the old or the new content whole; whether it has one of them now."""
    try:
        left = file_hash(channel, path)
        if left in (before, expected):
            return True
        thing = f"{path} on {channel.endpoint.name}"
        changes = [{"object": thing, "property": "SHA-256", "before": left, "after": before}]
        channel.change(Command("Copy-Item", {"LiteralPath": backup, "Destination": path, "Force": True}), changes)
        return file_hash(channel, path) == before
    except (UmkitError, KeyboardInterrupt):
        return False


def _removed(channel: Channel, path: str, expected: str) -> bool:
    """Remove a new file, unless it is whole; whether no half of it is there now."""
    try:
        if file_hash(channel, path) in ("", expected):
            return True
        thing = f"{path} on {channel.endpoint.name}"
        changes = [{"object": thing, "property": "*", "before": "half", "after": None}]
        channel.change(Command("Remove-Item", {"LiteralPath": path, "Confirm": False}), changes)
        return not exists(channel, path)
    except (UmkitError, KeyboardInterrupt):
        return False


def _say(error: BaseException, mended: bool, by_hand: str) -> None:
    """Let an error tell what a person has to do, where the damage was not seen to be mended."""
    if mended:
        return
    if isinstance(error, UmkitError):
        error.next = f"{by_hand}; {error.next}" if error.next else by_hand
    else:
        error.add_note(by_hand)
