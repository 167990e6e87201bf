"""Text file: a small XML file on a Windows host, of which one value is wanted.

A file that is there keeps every byte but those of the value, and a backup stands beside it; where the page says how a
missing one looks, it is made.
Source: vendor's chapter "EWS", part 7.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Self

from umkit.channel import Channel
from umkit.command import Command, FileContent
from umkit.errors import RemoteError, Unreadable
from umkit.kinds import ENUM
from umkit.resource import Absent, Done, HostResource, Missed, Present, Property, State, Verb
from umkit.site import Site
from umkit.windows import files, xphone_host
from umkit.xml_bytes import Place, XmlError, value_of, with_value


class TextFile(HostResource):
    """One value in a file on a Windows host; its class's only property is the value.

    Arguments:
        path: the file's full path.
        host: the host that it is on.
        value: the wanted value.
    """

    noun = "Content"
    title = "file"
    #: Where the value stands.
    place: ClassVar[Place]
    #: What a missing file is made with, before the value is put in; nothing where it cannot be made.
    initial: ClassVar[bytes] = b""
    way_out = "look at the file, then run the step again"

    def __init__(self, path: str, host: str, value: str) -> None:
        super().__init__(path, host, {})
        self.wanted[self.properties[0].name] = value
        self._before = ""

    def read(self, channel: Channel, *, fresh: bool = False) -> State:
        """The value, with the whole content that it was read from; never from what was kept."""
        try:
            content = files.content(channel, self.name)
            folder = self.name.rpartition("\\")[0]
            if content is None and self.initial and not files.exists(channel, folder, "Container"):
                return Absent(f"the folder {folder} is missing on {self.host}")
        except (RemoteError, Unreadable) as error:
            return Missed(error)
        return self.state_of([] if content is None else [content])

    def state_of(self, objects: Sequence[Any]) -> State:
        """The state that the file's content shows: none where it is missing."""
        if not objects:
            return Absent("" if self.initial else f"{self.name} is missing on {self.host}")
        content = objects[0].encode("utf-8") if isinstance(objects[0], str) else bytes(objects[0])
        try:
            found = value_of(content, self.place)
            if found is None and (lacking := self.lacking(content)):
                return Absent(lacking)
        except XmlError as error:
            return Missed(Unreadable(f"{error}: {self.name}", where={"host": self.host}, next="mend the file by hand"))
        return Present({self.properties[0].name: found, "Content": content})

    def lacking(self, content: bytes) -> str:
        """Why a file without the value cannot be given it; empty where it can."""
        return f"{self.name} on {self.host} has no {self.place}"

    def changed(self, content: bytes) -> bytes:
        """The content with the wanted value."""
        return with_value(content, self.place, str(self.wanted[self.properties[0].name]))

    def commands(self, verb: Verb, asked: Sequence[Property], state: State) -> tuple[Command, ...]:
        """The command that writes the file; before it the one that makes a backup of what is there."""
        before = state.values["Content"] if isinstance(state, Present) else b""
        self._before = files.digest(before) if before else ""
        try:
            content = self.changed(before or self.initial)
        except XmlError as error:
            raise Unreadable(
                f"{self.label}: {error}", next="change the value by hand, then run the step again"
            ) from error
        if len(content) > files.LARGEST:
            raise Unreadable(f"{self.label} is too large to be written in one command", next="change the value by hand")
        # FileContent: whatever else stands in the customer's file is neither shown nor recorded.
        value = FileContent(content)
        write = Command("Set-Content", {"LiteralPath": self.name, "Encoding": "Byte", "Value": value})
        if not self._before:
            return (write,)
        backup = files.backup_of(self.name, self._before)
        return Command("Copy-Item", {"LiteralPath": self.name, "Destination": backup}), write

    def carries(self, command: Command) -> Collection[str]:
        """A backup changes nothing yet."""
        return {self.properties[0].name} if command.name == "Set-Content" else ()

    def undo(self, done: Done, state: State, channel: Channel) -> tuple[Command, ...] | str:
        """The backup copied back, or the file removed that the run made; only while it is as the run wrote it."""
        writes = [each for each in done.commands if each.name == "Set-Content"]
        if not writes:  # a rollback put the backup back, or removed the file: a record keeps no content
            return "what the file held before is in no record; umkit apply writes the value again"
        written = writes[-1].parameters["Value"]
        now = state.values["Content"] if isinstance(state, Present) else b""
        if str(FileContent(now)) != written:  # a record keeps only its length and hash
            return "the file was changed since, elsewhere than in this value"
        copies = [change for change in done.changes if change["object"] != self.label and change["before"] is None]
        if not copies:
            return (Command("Remove-Item", {"LiteralPath": self.name, "Confirm": False}),)
        backup = str(copies[0]["object"]).removesuffix(f" on {channel.endpoint.name}")
        self._before = str(copies[0]["after"])
        if files.file_hash(channel, backup) != self._before:
            return f"the backup {backup} is missing, or no longer what was copied"
        return (Command("Copy-Item", {"LiteralPath": backup, "Destination": self.name, "Force": True}),)

    def send(self, command: Command, changes: Sequence[Mapping[str, Any]], channel: Channel) -> None:
        """Make or put back the backup, or write the file: with hashes before and after, put back where they differ."""
        if command.name == "Copy-Item" and command.parameters["Destination"] == self.name:
            files.put_back(channel, command, self._before, changes)
        elif command.name == "Copy-Item":
            files.back_up(channel, self.name, self._before, command)
        elif command.name == "Remove-Item":
            channel.change(command, changes)
        elif self._before:
            files.replace(channel, self.name, self._before, command, changes)
        else:
            files.create(channel, self.name, command, changes)


class CalendarSyncFile(TextFile):
    """CalendarSyncExchange.config.xml: how the server hears of changed calendars."""

    title = "calendar synchronisation file"
    key = "advise Object"
    place = Place(("exchange", "events", "advise"), "Object")
    properties: ClassVar[tuple[Property, ...]] = (Property("advise Object", ENUM, step="EWS-8"),)
    initial = (
        b'<?xml version="1.0" encoding="utf-8"?>\r\n<configuration>\r\n  <calendar_sync>\r\n    <exchange>\r\n'
        b'      <events>\r\n        <advise Object="EwsStream"></advise>\r\n      </events>\r\n    </exchange>\r\n'
        b"  </calendar_sync>\r\n</configuration>\r\n"
    )

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """The file in the XPhone installation folder."""
        path = site.inputs.xphone.install_path.rstrip("\\") + "\\CalendarSyncExchange.config.xml"
        return [cls(path, xphone_host(site), site.inputs.ews.advise)]
