"""One value of an XML file changes, every other byte stays: in the bytes, and on a host that may fail half way."""

from __future__ import annotations

import codecs
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umkit.channel import Channel
from umkit.command import Command, FileContent
from umkit.engine import apply, plan
from umkit.errors import Blocked, Cancelled, ConnectionLost, Refused, Unreadable, VerifyFailed
from umkit.remoting import Result
from umkit.resource import Present
from umkit.resources.text_file import CalendarSyncFile, TextFile
from umkit.resources.xml_setting import ImapProtocolLog
from umkit.windows.files import digest
from umkit.xml_bytes import Place, XmlError, value_of, with_element, with_value

LOG = Place(("configuration", "appSettings", "add"), "value", {"key": "ProtocolLog"})
TEXT = Place(("Exchange", "mapi", "RoHFlagsUseRoH"))
PAGE = """<?xml version="1.0" encoding="{encoding}"?>
<!-- <add key="ProtocolLog" value="false" /> Größe -->
<configuration>
  <note><![CDATA[<add key="ProtocolLog" value="false" />]]></note>
  <appSettings>
    <add key="Other"   value='false'/><add key="LogPath" value="C:\\x &amp; y" />
\t<add
      value = 'false'
      key="ProtocolLog"   />
  </appSettings>
</configuration>
"""
FORMS: dict[str, Callable[[str], bytes]] = {
    "UTF-8, CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "UTF-8 with BOM, LF": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16 LE, CRLF": lambda text: codecs.BOM_UTF16_LE + text.replace("\n", "\r\n").encode("utf-16-le"),
    "UTF-16 BE, LF": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "UTF-8, mixed line ends, none at the end": lambda text: text.replace("\n", "\r\n", 4).rstrip().encode(),
    "UTF-16 LE without BOM": lambda text: text.encode("utf-16-le"),
    "Windows-1252": lambda text: text.encode("cp1252"),
}
DECLARED = {"Windows-1252": "Windows-1252"}


@pytest.mark.parametrize("form", FORMS)
def test_only_the_value_changes(form: str) -> None:
    encoding = DECLARED.get(form, "utf-16" if "16" in form else "utf-8")
    data = FORMS[form](PAGE.format(encoding=encoding))
    assert value_of(data, LOG) == "false"
    changed = with_value(data, LOG, "TRUE")
    assert value_of(changed, LOG) == "TRUE"
    assert changed == FORMS[form](PAGE.replace("value = 'false'", "value = 'TRUE'").format(encoding=encoding))
    assert with_value(changed, LOG, "false") == data  # and back, byte for byte


@given(
    spaces=st.lists(st.sampled_from(["", " ", "\t", "\r\n", " \n "]), min_size=6, max_size=6),
    quote=st.sampled_from("\"'"),
    old=st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="<&\"'\ufffe\uffff")),
    new=st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff")),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16-le", "utf-16-be"]),
    first=st.booleans(),
)
def test_however_the_tag_is_written(
    spaces: list[str], quote: str, old: str, new: str, encoding: str, first: bool
) -> None:
    before, a, b, c, d, end = spaces
    key, value = f"key{a}={b}{quote}ProtocolLog{quote}", (f"value{c}={d}{quote}", f"{quote}")
    head, tail = f"{before}<configuration><appSettings><add ", f"{end}/></appSettings></configuration>"
    left, right = (f"{head}{value[0]}", f"{value[1]} {key}{tail}") if first else (
        f"{head}{key} {value[0]}", f"{value[1]}{tail}"
    )  # fmt: skip
    bom = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    data = bom + f"{left}{old}{right}".encode(encoding)
    changed = with_value(data, LOG, new.strip())
    assert value_of(changed, LOG) == new.strip()
    plain = encoding.removesuffix("-sig")
    assert changed.startswith(data[: len(data) - len(f"{old}{right}".encode(plain))])
    assert changed.endswith(right.encode(plain))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<RoHFlagsUseRoH>on</RoHFlagsUseRoH>", "<RoHFlagsUseRoH>off</RoHFlagsUseRoH>"),
        ("<RoHFlagsUseRoH a='>'>\r\n on\t</RoHFlagsUseRoH >", "<RoHFlagsUseRoH a='>'>\r\n off\t</RoHFlagsUseRoH >"),
        ("<RoHFlagsUseRoH><!-- on -->on</RoHFlagsUseRoH>", "<RoHFlagsUseRoH><!-- on -->off</RoHFlagsUseRoH>"),
        ("<RoHFlagsUseRoH><![CDATA[on]]></RoHFlagsUseRoH>", "<RoHFlagsUseRoH><![CDATA[off]]></RoHFlagsUseRoH>"),
        ("<RoHFlagsUseRoH>&#111;n</RoHFlagsUseRoH>", "<RoHFlagsUseRoH>off</RoHFlagsUseRoH>"),
        ("<RoHFlagsUseRoH></RoHFlagsUseRoH>", "<RoHFlagsUseRoH>off</RoHFlagsUseRoH>"),
    ],
)
def test_an_element_s_text(before: str, after: str) -> None:
    page = "<!--ä--><x><Exchange><mapi>{}</mapi></Exchange></x>"
    assert with_value(page.format(before).encode(), TEXT, "off") == page.format(after).encode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<mapi/>", "<mapi><RoHFlagsUseRoH>off</RoHFlagsUseRoH></mapi>"),
        ("<mapi a='/' />", "<mapi a='/' ><RoHFlagsUseRoH>off</RoHFlagsUseRoH></mapi>"),
        ("<mapi>\n  <x/>\n</mapi>", "<mapi>\n  <RoHFlagsUseRoH>off</RoHFlagsUseRoH>\n  <x/>\n</mapi>"),
        ("<mapi><!--y--></mapi>", "<mapi><RoHFlagsUseRoH>off</RoHFlagsUseRoH><!--y--></mapi>"),
    ],
)
def test_an_element_is_added_and_nothing_else(before: str, after: str) -> None:
    page = "<Exchange>{}</Exchange>"
    added = with_element(page.format(before).encode(), Place(("Exchange", "mapi")), "RoHFlagsUseRoH", "off")
    assert added == page.format(after).encode()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no XML"),
        (b"<configuration><appSettings>", "no XML"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "document type"),
        (b'<?xml version="1.0" encoding="ebcdic-x"?><x/>', "not of the encoding"),
        (b"<x>\xff</x>", "not of the encoding"),
        (codecs.BOM_UTF16_LE + "<x/>".encode("utf-16-le") + b"x", "not of the encoding"),
        (
            b"<configuration><appSettings><add key='ProtocolLog' value='a'/>"
            b"<add key='protocollog' value='b'/></appSettings></configuration>",
            "2 times",
        ),
    ],
)
def test_what_cannot_be_changed_safely_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(XmlError, match=why):
        with_value(data, LOG, "true")


def test_a_value_in_pieces_is_refused() -> None:
    for text in ("o<!-- -->n", "<b/>on", "o<![CDATA[n]]>"):
        with pytest.raises(XmlError):
            with_value(
                f"<Exchange><mapi><RoHFlagsUseRoH>{text}</RoHFlagsUseRoH></mapi></Exchange>".encode(), TEXT, "off"
            )


class Host:
    """A host's files, behind the two methods of a channel that a file resource uses.

    Arguments:
        files: path → content.
        fail: called before each changing command; may raise, or say how the next write is torn.
    """

    def __init__(self, files: dict[str, bytes], fail: Callable[[Command], Any] = lambda command: None) -> None:
        self.files, self.fail = files, fail
        self.endpoint = SimpleNamespace(name="EX01")
        self.cancel = threading.Event()
        self.changed: list[str] = []
        self.notes: list[str] = []

    def serving(self, resource: Mapping[str, Any]) -> AbstractContextManager[None]:
        return nullcontext()

    def took(self, command: Command, changes: Sequence[Mapping[str, Any]]) -> None:
        self.notes.append(f"took: {command.name}")

    def note(self, event: str, **fields: Any) -> None:
        self.notes.append(f"{event}: {fields['found']}")

    def read(self, command: Command, *, pin: bool = True) -> Result:
        assert not self.cancel.is_set()
        path = command.parameters["LiteralPath"]
        match command.name:
            case "Test-Path":
                return Result([path in self.files or command.parameters["PathType"] == "Container"])
            case "Get-FileHash":
                return Result([{"Hash": digest(self.files[path])}])
        return Result([self.files[path]] if self.files[path] else [])

    def change(self, command: Command, changes: Sequence[Mapping[str, Any]]) -> Result:
        assert all(set(change) == {"object", "property", "before", "after"} for change in changes)
        assert not self.cancel.is_set()
        path = command.parameters["LiteralPath"]
        self.changed.append(command.name)
        torn = self.fail(command)
        if command.name == "Copy-Item":
            self.files[command.parameters["Destination"]] = self.files[path]
        elif command.name == "Remove-Item":
            del self.files[path]
        else:
            self.files[path] = bytes(command.parameters["Value"][: 10 if torn else None])
            if isinstance(torn, BaseException):
                raise torn
        return Result([])


PATH = "C:\\x.config"
OLD = PAGE.format(encoding="utf-8").encode()


def applied(host: Host, resource: TextFile) -> None:
    channel = cast(Channel, host)
    apply(plan(resource, resource.read(channel)), channel, wait=0)


def test_a_file_is_backed_up_written_and_compared() -> None:
    host = Host({PATH: OLD})
    applied(host, ImapProtocolLog(PATH, "EX01", "true"))
    backup = next(path for path in host.files if path.endswith(".bak"))
    assert host.files[backup] == OLD
    assert host.files[PATH] == OLD.replace(b"value = 'false'", b"value = 'true'")
    assert host.changed == ["Copy-Item", "Set-Content"]
    applied(host, ImapProtocolLog(PATH, "EX01", "true"))
    assert host.changed == ["Copy-Item", "Set-Content"]


@pytest.mark.parametrize("torn", [True, Refused("the disk is full")], ids=["silently", "refused"])
def test_a_half_written_file_is_put_back(torn: Any) -> None:
    host = Host({PATH: OLD}, lambda command: torn if command.name == "Set-Content" else None)
    with pytest.raises((VerifyFailed, Refused)):
        applied(host, ImapProtocolLog(PATH, "EX01", "true"))
    assert host.files[PATH] == OLD
    assert host.changed == ["Copy-Item", "Set-Content", "Copy-Item"]


@pytest.mark.parametrize("restored", [True, False], ids=["put back", "not put back"])
@pytest.mark.parametrize("kind", [Cancelled, KeyboardInterrupt])
def test_a_write_that_a_person_stops_is_put_back(kind: type[BaseException], restored: bool) -> None:
    def fail(command: Command) -> Any:
        if command.name == "Set-Content":
            host.cancel.set()
            return kind("stopped")
        if "Force" in command.parameters and not restored:
            raise ConnectionLost("the host is away")
        return None

    host = Host({PATH: OLD}, fail)
    with pytest.raises(kind) as caught:
        applied(host, ImapProtocolLog(PATH, "EX01", "true"))
    backup = next(path for path in host.files if path.endswith(".bak"))
    assert host.changed == ["Copy-Item", "Set-Content", "Copy-Item"]
    assert (host.files[PATH] == OLD) is restored
    told = f"{caught.value} {getattr(caught.value, '__notes__', '')}"
    assert (f"copy {backup}".replace("\\", "") in told.replace("\\", "")) is not restored


def test_a_new_file_that_a_person_stops_is_removed() -> None:
    host = Host({}, lambda command: KeyboardInterrupt() if command.name == "Set-Content" else None)
    with pytest.raises(KeyboardInterrupt):
        applied(host, CalendarSyncFile(PATH, "XPHONE01", "EwsPull"))
    assert host.files == {}


def test_the_backup_is_planned_and_the_file_s_content_not_shown() -> None:
    resource = ImapProtocolLog(PATH, "EX01", "true")
    planned = plan(resource, resource.read(cast(Channel, Host({PATH: OLD}))))
    copy, write = planned.commands
    assert copy.name == "Copy-Item"
    assert isinstance(write.parameters["Value"], FileContent)
    assert "appSettings" not in write.powershell()
    assert planned.changes() == [
        {"object": resource.label, "property": "ProtocolLog", "before": "false", "after": "true"}
    ]


def test_a_lost_answer_after_the_write_is_told_by_reading() -> None:
    def fail(command: Command) -> None:
        if command.name == "Set-Content":
            host.files[PATH] = command.parameters["Value"]
            raise ConnectionLost("the answer was lost")

    host = Host({PATH: OLD}, fail)
    applied(host, ImapProtocolLog(PATH, "EX01", "true"))
    assert host.notes == ["found: as wanted", "took: Set-Content"]
    assert host.changed == ["Copy-Item", "Set-Content"]


def test_a_file_that_changed_since_it_was_planned_is_left_alone() -> None:
    host, resource = Host({PATH: OLD}), ImapProtocolLog(PATH, "EX01", "true")
    channel = cast(Channel, host)
    planned = plan(resource, resource.read(channel))
    host.files[PATH] = OLD + b"\n"
    with pytest.raises(Blocked):
        apply(planned, channel, wait=0)
    assert host.files == {PATH: OLD + b"\n"}


def test_a_bad_backup_stops_before_the_file_is_touched() -> None:
    def fail(command: Command) -> None:
        if command.name == "Copy-Item":
            host.files[PATH], kept[0] = b"other", host.files[PATH]

    kept = [b""]
    host = Host({PATH: OLD}, fail)
    with pytest.raises(VerifyFailed, match="left alone"):
        applied(host, ImapProtocolLog(PATH, "EX01", "true"))
    assert host.changed == ["Copy-Item"]


def test_a_missing_file_is_made_and_a_half_made_one_removed() -> None:
    host = Host({})
    applied(host, CalendarSyncFile(PATH, "XPHONE01", "EwsPull"))
    assert host.changed == ["Set-Content"]
    assert b'"EwsPull"' in host.files[PATH]
    torn = Host({}, lambda command: command.name == "Set-Content")
    with pytest.raises(VerifyFailed, match="removed"):
        applied(torn, CalendarSyncFile(PATH, "XPHONE01", "EwsPull"))
    assert torn.files == {}


def test_a_file_that_is_no_xml_is_unreadable_and_an_empty_one_too() -> None:
    for content in (b"<x", b"", b"\xff\xfe<"):
        resource = ImapProtocolLog(PATH, "EX01", "true")
        with pytest.raises(Unreadable):
            plan(resource, resource.read(cast(Channel, Host({PATH: content}))))
    assert isinstance(ImapProtocolLog(PATH, "EX01", "true").state_of([OLD]), Present)
