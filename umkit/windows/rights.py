"""User rights of a host: who has them, as SecEdit exports them.

No cmdlet reads them; SecEdit writes them to a file, which is read and removed. So this changes the host for a moment:
it goes through the journal, and only a run that may change things does it.
"""

from __future__ import annotations

import codecs
import contextlib
import re
import uuid
from collections.abc import Mapping

from umkit.channel import Channel
from umkit.command import Command
from umkit.errors import RemoteError, Unreadable
from umkit.windows import files

PROGRAM = "C:\\Windows\\System32\\SecEdit.exe"
_FOLDER = "C:\\Windows\\Temp"
_LINE = re.compile(r"\s*(Se[A-Za-z]+)\s*=\s*(.*?)\s*", re.IGNORECASE)


def export(channel: Channel) -> dict[str, list[str]]:
    """Every right that somebody has, in lower case: ``S-1-…`` or names.

    Raises ``RecordError`` where there is no journal, ``Unreadable`` when no file was written.
    """
    path = f"{_FOLDER}\\umkit-{uuid.uuid4().hex}.inf"
    file = f"{path} on {channel.endpoint.name}"
    tokens = ("/export", "/cfg", path, "/areas", "USER_RIGHTS", "/quiet")
    change = {"object": file, "property": "*", "before": None, "after": "export of the user rights, removed again"}
    try:
        channel.change(Command(PROGRAM, arguments=tokens), [change])
        content = files.content(channel, path)
    finally:
        with contextlib.suppress(RemoteError):
            if files.exists(channel, path):
                gone = {"object": file, "property": "*", "before": "export of the user rights", "after": None}
                channel.change(Command("Remove-Item", {"LiteralPath": path, "Confirm": False}), [gone])
    if not content:
        raise Unreadable(
            "SecEdit exported no user rights",
            where={"host": channel.endpoint.name},
            expected=f"a file {path}",
            next="check that the account is an administrator of the host",
        )
    return parse(content)


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
