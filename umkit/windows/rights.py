"""User rights of a host: who has them, as SecEdit exports them.

No cmdlet reads them; SecEdit writes them to a file, which is read and removed. So this changes the host for a moment:
it goes through the journal, and only a run that may change things does it.
"""

from __future__ import annotations

import codecs
import contextlib
import re
from collections.abc import Mapping

from umkit.channel import Channel
from umkit.command import Command
from umkit.errors import OutcomeUnknown, RemoteError, Unreadable
from umkit.windows import files

PROGRAM = "C:\\Windows\\System32\\SecEdit.exe"
#: Always the same, so that the next run finds what a killed one left.
_FILE = "C:\\Windows\\Temp\\umkit-user-rights.inf"
_LINE = re.compile(r"\s*(Se[A-Za-z]+)\s*=\s*(.*?)\s*", re.IGNORECASE)


def export(channel: Channel) -> dict[str, list[str]]:
    """Every right that somebody has, in lower case: ``S-1-…`` or names.

    Raises ``RecordError`` where there is no journal, ``Unreadable`` when no file was written.
    """
    file = f"{_FILE} on {channel.endpoint.name}"
    tokens = ("/export", "/cfg", _FILE, "/areas", "USER_RIGHTS", "/quiet")
    change = {"object": file, "property": "*", "before": None, "after": "export of the user rights, removed again"}
    _remove(channel, file)  # a run that was killed may have left one, and SecEdit would write into that
    try:
        try:
            channel.change(Command(PROGRAM, arguments=tokens), [change])
        except OutcomeUnknown as lost:
            _look(channel, lost, wanted=True)
            raise
        content = files.content(channel, _FILE)
    finally:
        with contextlib.suppress(RemoteError):
            _remove(channel, file)
    if not content:
        raise Unreadable(
            "SecEdit exported no user rights",
            where={"host": channel.endpoint.name},
            expected=f"a file {_FILE}",
            next="check that the account is an administrator of the host",
        )
    return parse(content)


def _remove(channel: Channel, file: str) -> None:
    """Remove the export where there is one; where the answer is lost, look, and once more if it is still there."""
    for _ in range(2):
        if not files.exists(channel, _FILE):
            return
        gone = {"object": file, "property": "*", "before": "export of the user rights", "after": None}
        try:
            channel.change(Command("Remove-Item", {"LiteralPath": _FILE, "Confirm": False}), [gone])
        except OutcomeUnknown as lost:
            _look(channel, lost, wanted=False)
        else:
            return


def _look(channel: Channel, lost: OutcomeUnknown, *, wanted: bool) -> None:
    """Write down whether the export is there, after a command whose answer was lost."""
    try:
        found = "as wanted" if files.exists(channel, _FILE) == wanted else "not as wanted"
    except RemoteError as error:
        channel.note("found", about=lost.what, found="unreadable", error=error.as_dict())
    else:
        channel.note("found", about=lost.what, found=found)


def parse(content: bytes) -> dict[str, list[str]]:
    """The rights in SecEdit's file: UTF-16 with a byte order mark, or ANSI where such a file was there before."""
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16" if wide else "cp1252", "replace")
    found: dict[str, list[str]] = {}
    section = ""
    for line in text.splitlines():
        if line.strip().startswith("["):
            section = line.strip().strip("[]").casefold()
        elif section == "privilege rights" and (match := _LINE.fullmatch(line)):
            entries = [entry.strip().removeprefix("*") for entry in match[2].split(",")]
            found[match[1].casefold()] = [entry for entry in entries if entry]
    return found


def members(channel: Channel, group: str) -> Mapping[str, str] | None:
    """SID → name of a local group's members; nothing where there is no such group.

    Arguments:
        channel: the host.
        group: the group's SID or name.
    """
    which = "SID" if group.startswith("S-1-") else "Name"
    result = channel.read(Command("Get-LocalGroupMember", {which: group}), pin=False, errors="collect")
    for error in result.errors:
        if error.error_id.startswith("GroupNotFound"):
            return None
        raise error
    return {str(member["SID"]): str(member.get("Name")) for member in result.outputs}
