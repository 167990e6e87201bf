"""What an organisation's YAML may say of a Windows host.

The sections of umkit.lab.description that belong to the hosts: services,
registry, files, events, programs, rights, local groups.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Kind = Literal["String", "ExpandString", "Binary", "DWord", "MultiString", "QWord"]


def _moment(value: Any) -> Any:
    """A time said by days before now."""
    found = re.fullmatch(r"(\d{1,4}) days ago", value) if isinstance(value, str) else None
    return datetime.now(UTC) - timedelta(days=int(found[1])) if found else value


class Section(BaseModel):
    """A table of the file: unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ServiceSection(Section):
    """A Windows service; what is not given stays as the host's role has it.

    Arguments:
        display_name: its display name; the name by default.
        description: its description.
        start_type: how it starts.
        status: whether it runs.
        account: the account it runs as, as Win32_Service says it.
        path: its command line.
        depends_on: services that it needs.
        started: when its process started; when the organisation was founded by default.
        delayed: whether an automatic start is delayed.
        starts: False refuses to start, ``dies`` starts and ends at once.
        stops: False refuses to stop.
        hangs: ``start``, ``stop``, or True for both: stays pending for ever.
    """

    display_name: str | None = None
    description: str | None = None
    start_type: Literal["Boot", "System", "Automatic", "Manual", "Disabled"] | None = None
    status: Literal["Running", "Stopped", "Paused"] | None = None
    account: str | None = None
    path: str | None = None
    depends_on: list[str] | None = None
    started: AwareDatetime | None = None
    delayed: bool | None = None
    starts: bool | Literal["dies"] | None = None
    stops: bool | None = None
    hangs: bool | Literal["start", "stop"] | None = None


class ValueSection(Section):
    """A registry value with its kind.

    Arguments:
        kind: its kind.
        value: text, a number, a list of text, or hexadecimal digits for Binary. Hexadecimal digits of another length
            than four bytes make the malformed DWord of reference/windows.md §e.
    """

    kind: Kind
    value: str | int | list[str]


class FileSection(Section):
    """A file's content, as text or as base64.

    Arguments:
        text: its text; a line end is written as ``newline`` says.
        encoding: Python's name of the encoding; ``utf-8-sig`` and ``utf-16`` begin with a byte order mark.
        newline: the line end.
        base64: the bytes themselves.
        read_only: whether it has the attribute ReadOnly.
        locked: whether another process holds it, so that nothing can write it.
        torn_writes: how many of the next writes to it leave only half of the bytes.
    """

    text: str | None = None
    encoding: str = "utf-8"
    newline: Literal["crlf", "lf"] = "crlf"
    base64: str | None = None
    read_only: bool = False
    locked: bool = False
    torn_writes: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _one_content(self) -> FileSection:
        if (self.text is None) == (self.base64 is None):
            raise ValueError("give either text or base64")
        return self


class EventSection(Section):
    """An entry of an event log.

    Arguments:
        log: the log, for example Application.
        provider: its source.
        id: the event's number.
        level: 1 critical, 2 error, 3 warning, 4 information.
        time: when it was written, with an offset; or ``2 days ago``, so that it stays recent.
        message: its text.
    """

    log: str = "Application"
    provider: str
    id: Annotated[int, Field(ge=0, le=65535)]
    level: Annotated[int, Field(ge=0, le=5)] = 4
    time: Annotated[AwareDatetime, BeforeValidator(_moment)]
    message: str = ""


class ProgramSection(Section):
    """An installed program; fills the Uninstall key of its view.

    Arguments:
        name: DisplayName.
        version: DisplayVersion.
        publisher: Publisher.
        view: 64, or 32 for the key below Wow6432Node.
        key: name of the Uninstall key; the display name by default.
        outlook: bitness of the Outlook that comes with it, ``x86`` or ``x64``; fills the keys of Office's version.
        click_to_run: ProductReleaseIds of an Office installed by Click-to-Run.
        values: further values of the Uninstall key.
    """

    name: str
    version: str = ""
    publisher: str = ""
    view: Literal[32, 64] = 64
    key: str | None = None
    outlook: Literal["x86", "x64"] | None = None
    click_to_run: str | None = None
    values: dict[str, str | int] = {}


class LocalGroupSection(Section):
    """A local group.

    Arguments:
        sid: its SID; needed for a group that no Windows has built in.
        members: users and groups of the domain by name or SID, or local users by name.
    """

    sid: str | None = None
    members: list[str] = []


class WindowsSection(Section):
    """What a Windows host holds, over what its role brings.

    Arguments:
        services: service name → what differs from the role's, or a further service.
        registry: key → values. A key begins with HKLM or HKU; ``HKU\\<name>`` is the hive of the domain user of that
            name. The key's default value is called ``(default)``. A plain text is a String, a number a DWord.
        hives_not_loaded: users whose hive is there but not loaded, because nobody is logged on as them.
        files: path → content; plain text is a UTF-8 file with CRLF.
        folders: folders that are there without files.
        events: entries of the event logs.
        programs: installed programs.
        user_rights: right → who has it, by name or SID; replaces the role's list, an empty one takes it away.
        rights_as_names: whether secedit writes domain principals by name instead of ``*SID``.
        local_groups: name → group; lays over the built-in ones.
        service_account: account of the services that the role XPhone brings.
        install_path: the XPhone installation folder.
    """

    services: dict[str, ServiceSection] = {}
    registry: dict[str, dict[str, str | int | list[str] | ValueSection]] = {}
    hives_not_loaded: list[str] = []
    files: dict[str, str | FileSection] = {}
    folders: list[str] = []
    events: list[EventSection] = []
    programs: list[ProgramSection] = []
    user_rights: dict[str, list[str]] = {}
    rights_as_names: bool = False
    local_groups: dict[str, LocalGroupSection] = {}
    service_account: str = "LocalSystem"
    install_path: str = "C:\\Program Files\\C4B\\XPhone Connect"
