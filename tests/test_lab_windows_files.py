"""The lab's files, event logs and user rights."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from lab_calls import Session
from lab_windows import on, read, state, with_host

from umkit.lab import host_roles
from umkit.lab.organisation import load

CONFIGURATION = host_roles.IMAP_CONFIGURATION
FILE = "C:\\Temp\\f.txt"
SECEDIT = "C:\\Windows\\System32\\SecEdit.exe"
EXPORT = ("/export", "/cfg", "C:\\Temp\\rights.inf", "/areas", "USER_RIGHTS", "/quiet")


@pytest.fixture
def call() -> Session:
    return on(load())


def content(call: Session, path: str = FILE) -> bytes:
    found = state(call, "files")[path]
    return base64.b64decode(found["base64"]) if "base64" in found else found["text"].encode()


def test_the_imap_configuration_is_there_byte_for_byte() -> None:
    call = on(load(), "EX01")
    answer = call.good("Get-Content", LiteralPath=CONFIGURATION, Encoding="Byte", Raw=True)
    [data] = read(answer)
    assert bytes(data).startswith(b"\xef\xbb\xbf<?xml")
    assert b'<add key="ProtocolLog" value="false" />\r\n' in bytes(data)
    assert ElementTree.fromstring(bytes(data)).tag == "configuration"
    # A byte array with note properties: <Obj><BA>…</BA><MS>…</MS></Obj>.
    element = ElementTree.fromstring(answer.reply.outputs[0])
    assert [each.tag for each in element] == ["BA", "MS"]
    changed = bytes(data).replace(b'"ProtocolLog" value="false"', b'"ProtocolLog" value="true"')
    call.good("Set-Content", LiteralPath=CONFIGURATION, Encoding="Byte", Value=changed)
    assert state(call, "files")[CONFIGURATION]["sha256"] == hashlib.sha256(changed).hexdigest()
    call.good("Restart-Service", Name="MSExchangeImap4")
    assert state(call, "services")["MSExchangeImap4"]["effective"]["ProtocolLog"] == "true"


@pytest.mark.parametrize("data", [b"\x00", b"\xff\xfe\r\n", bytes(range(256)) * 16, "Grüße\n".encode("utf-16")])
def test_bytes_come_back_as_they_were_sent(call: Session, data: bytes) -> None:
    call.good("Set-Content", LiteralPath=FILE, Encoding="Byte", Value=data)
    [back] = read(call.good("Get-Content", LiteralPath=FILE, Encoding="Byte", Raw=True))
    assert bytes(back) == data
    found = call.good("Get-FileHash", LiteralPath=FILE, Algorithm="SHA256")
    assert read(found)[0]["Hash"] == hashlib.sha256(data).hexdigest().upper()
    assert len(call.good("Get-Content", LiteralPath=FILE, Encoding="Byte").reply.outputs) == len(data)
    [many] = read(call.good("Get-Content", LiteralPath=FILE, Encoding="Byte", ReadCount=0))
    assert bytes(many) == data


def test_an_empty_file_gives_nothing(call: Session) -> None:
    call.good("Set-Content", LiteralPath=FILE, Encoding="Byte", Value=b"")
    assert call.good("Get-Content", LiteralPath=FILE, Encoding="Byte", Raw=True).outputs == []
    assert read(call.good("Get-Item", LiteralPath=FILE))[0]["Length"] == 0


@pytest.mark.parametrize("value", [[1, 2], "text", [b"x"]])
def test_a_list_of_numbers_is_no_byte_array(call: Session, value: Any) -> None:
    record = call("Set-Content", LiteralPath=FILE, Encoding="Byte", Value=value).error
    assert record.message.startswith("Cannot proceed with byte encoding.")
    assert content(call) == b""


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        (None, b"Gr\xfc\xdfe\r\n"),
        ("UTF8", b"\xef\xbb\xbfGr\xc3\xbc\xc3\x9fe\r\n"),
        ("Unicode", b"\xff\xfe" + "Grüße\r\n".encode("utf-16-le")),
        ("ASCII", b"Gr??e\r\n"),
    ],
)
def test_text_encodings(call: Session, encoding: str | None, written: bytes) -> None:
    more = {} if encoding is None else {"Encoding": encoding}
    call.good("Set-Content", LiteralPath=FILE, Value="Grüße", **more)
    assert content(call) == written
    expected = "Gr??e" if encoding == "ASCII" else "Grüße"
    assert [str(each) for each in read(call.good("Get-Content", LiteralPath=FILE))] == [expected]
    call.good("Set-Content", LiteralPath=FILE, Value=["a", "b"], NoNewline=True)
    assert content(call) == b"ab"


def test_copy_move_and_remove(call: Session) -> None:
    call.good("New-Item", Path=FILE, ItemType="File", Value="one")
    call.good("Copy-Item", LiteralPath=FILE, Destination=f"{FILE}.bak")
    call.good("Set-Content", LiteralPath=FILE, Value="two", NoNewline=True)
    record = call("Move-Item", LiteralPath=f"{FILE}.bak", Destination=FILE).error
    assert record.error_id == "MoveFileInfoItemIOError,Microsoft.PowerShell.Commands.MoveItemCommand"
    assert content(call) == b"two"
    call.good("Move-Item", LiteralPath=f"{FILE}.bak", Destination=FILE, Force=True)
    assert content(call) == b"one"
    assert call.good("Test-Path", LiteralPath=f"{FILE}.bak").one is False
    names = read(call.good("Get-ChildItem", LiteralPath="C:\\Temp", Name=True, File=True))
    assert names == ["f.txt"]
    assert call("Remove-Item", LiteralPath="C:\\Temp", Confirm=False).failed.error_id.startswith("HostFunction")
    call.good("Remove-Item", LiteralPath="c:/temp/F.TXT", Confirm=False)
    for cmdlet in ("Get-Content", "Copy-Item", "Get-Item", "Remove-Item"):
        more = {"Destination": "C:\\Temp\\x"} if cmdlet == "Copy-Item" else {}
        assert call(cmdlet, LiteralPath=FILE, **more).error.error_id.startswith("PathNotFound,")
    assert call("Get-FileHash", LiteralPath=FILE).error.error_id.startswith("PathNotFound,")


def test_files_that_resist(tmp_path: Path) -> None:
    files = {
        "C:\\d\\only.xml": {"text": "a", "read_only": True},
        "C:\\d\\held.xml": {"text": "a", "locked": True},
        "C:\\d\\torn.xml": {"text": "a", "torn_writes": 1},
        "C:\\d\\wide.xml": {"text": "<a>\n", "encoding": "utf-16", "newline": "crlf"},
        "C:\\d\\plain.txt": "x\ny",
    }
    call = on(with_host(tmp_path, files=files))
    write = {"Encoding": "Byte", "Value": b"1234"}
    record = call("Set-Content", LiteralPath="C:\\d\\only.xml", **write).error
    assert record.error_id == "System.UnauthorizedAccessException,Microsoft.PowerShell.Commands.SetContentCommand"
    assert record.category_name == "NotSpecified"
    assert call("Remove-Item", LiteralPath="C:\\d\\only.xml").error.error_id.startswith("RemoveFileSystemItemUnAuth")
    call.good("Set-Content", LiteralPath="C:\\d\\only.xml", **write, Force=True)
    held = call("Set-Content", LiteralPath="C:\\d\\held.xml", **write).error
    assert held.error_id.startswith("GetContentWriterArgumentError,")
    call.good("Set-Content", LiteralPath="C:\\d\\torn.xml", **write)
    assert content(call, "C:\\d\\torn.xml") == b"12"
    assert content(call, "C:\\d\\wide.xml") == "<a>\r\n".encode("utf-16")
    assert content(call, "C:\\d\\plain.txt") == b"x\r\ny"
    assert call("Set-Content", LiteralPath="C:\\gone\\a", **write).error.category_name == "ObjectNotFound"
    assert call("Get-Content", LiteralPath="C:\\d").error.error_id.startswith("GetContentReaderUnauthorizedAccess")


def test_denied_files() -> None:
    call = on(load(), "EX01", "umreader")
    record = call("Get-Content", LiteralPath=CONFIGURATION, Encoding="Byte", Raw=True).error
    assert record.error_id.startswith("GetContentReaderUnauthorizedAccessError,")
    assert record.category_name == "PermissionDenied"
    for cmdlet, prefix in (("Copy-Item", "CopyFileInfoItemUnauth"), ("Move-Item", "MoveFileInfoItemUnauth")):
        assert call(cmdlet, LiteralPath=CONFIGURATION, Destination="C:\\Temp\\x").error.error_id.startswith(prefix)
    assert call("New-Item", Path="C:\\Temp\\x", ItemType="File").error.error_id.startswith("NewItemUnauthorized")


# -- event logs --------------------------------------------------------------------------------------------------------


EVENTS = [
    {"provider": "MSExchangeIS", "id": 9646, "level": 2, "time": "2026-11-20T10:00:00Z", "message": "32 sessions"},
    {"provider": "MSExchangeIS", "id": 9646, "level": 2, "time": "2026-11-21T10:00:00Z", "message": "again"},
    {"provider": "Other", "id": 1, "level": 4, "time": "2026-11-21T11:00:00Z"},
]


@pytest.fixture
def logged(tmp_path: Path) -> Session:
    events = [each | {"time": datetime.fromisoformat(str(each["time"]))} for each in EVENTS]
    return on(with_host(tmp_path, "EX01", events=events), "EX01")


def test_events_by_xpath(logged: Session) -> None:
    query = (
        "*[System[Provider[@Name='MSExchangeIS'] and (EventID=9646 or EventID=2) and TimeCreated[@SystemTime>='{}']]]"
    )
    since = query.format("2026-11-19T00:00:00.000Z")
    found = read(logged.good("Get-WinEvent", LogName="Application", FilterXPath=since))
    assert [each["Message"] for each in found] == ["again", "32 sessions"]
    assert (found[0]["Id"], found[0]["ProviderName"], found[0]["LevelDisplayName"]) == (9646, "MSExchangeIS", "Error")
    assert len(logged.good("Get-WinEvent", LogName="Application", FilterXPath=since, MaxEvents=1).outputs) == 1
    none = logged("Get-WinEvent", LogName="Application", FilterXPath=query.format("2026-11-22T00:00:00.000Z")).error
    assert none.error_id == "NoMatchingEventsFound,Microsoft.PowerShell.Commands.GetWinEventCommand"
    assert none.category_name == "ObjectNotFound"
    assert logged("Get-WinEvent", LogName="Nothing").error.error_id.startswith("NoMatchingLogsFound,")
    assert logged("Get-WinEvent", ProviderName="MSExchangeTransport").error.error_id.startswith("NoMatchingEvents")
    assert logged("Get-WinEvent", ProviderName="Nothing").error.error_id.startswith("NoMatchingProvidersFound,")
    unknown = logged("Get-WinEvent", LogName="Application", FilterXPath="*[EventData[Data='x']]").failed
    assert unknown.error_id == "NotSimulatedByLab"


def test_events_by_hashtable(logged: Session) -> None:
    table: dict[str, Any] = {"LogName": "Application", "ID": 9646}
    assert len(logged.good("Get-WinEvent", FilterHashtable=table).outputs) == 2
    lost = logged("Get-WinEvent", FilterHashtable=table | {"ID": [9646, 1]}).error
    assert lost.error_id.startswith("NoMatchingEventsFound,")
    assert len(logged.good("Get-WinEvent", FilterHashtable=[table, {"ID": 1, "LogName": "Application"}]).outputs) == 3


def test_events_are_denied(logged: Session) -> None:
    record = on(logged.organisation, "EX01", "umreader")("Get-WinEvent", LogName="Application").error
    assert record.error_id.startswith("System.UnauthorizedAccessException,")


# -- rights and local groups -------------------------------------------------------------------------------------------


def export(call: Session, *tokens: str) -> list[Any]:
    return call.raw(SECEDIT, [(None, each) for each in tokens]).outputs


def test_rights_are_exported_to_a_file(call: Session) -> None:
    assert call("Get-Variable", Name="LASTEXITCODE", ValueOnly=True).error.error_id.startswith("VariableNotFound,")
    assert export(call, *EXPORT) == []
    assert call.good("Get-Variable", Name="LASTEXITCODE", ValueOnly=True).one == 0
    raw = content(call, "C:\\Temp\\rights.inf")
    assert raw.startswith(b"\xff\xfe")
    lines = raw.decode("utf-16").splitlines()
    [interactive] = [each for each in lines if each.startswith("SeInteractiveLogonRight = ")]
    assert interactive.partition(" = ")[2].split(",")[:3] == ["*S-1-5-32-544", "*S-1-5-32-545", "*S-1-5-32-551"]
    assert not any(each.startswith("SeDenyInteractiveLogonRight") for each in lines)
    call.good("Set-Content", LiteralPath="C:\\Temp\\rights.inf", Value="x")
    export(call, *EXPORT)
    assert content(call, "C:\\Temp\\rights.inf").startswith(b"[Unicode]\r\n")
    assert "SecEdit" not in str(call.good("Get-Command").names)


@pytest.mark.parametrize(
    "tokens",
    [
        ("/export", "/cfg C:\\Temp\\r.inf", "/areas", "USER_RIGHTS"),
        ("/?",),
        (),
        (*EXPORT[:2], "C:\\no\\r", *EXPORT[3:]),
    ],
)
def test_a_program_that_fails_tells_it_by_its_exit_code(call: Session, tokens: tuple[str, ...]) -> None:
    assert export(call, *tokens)
    assert call.good("Get-Variable", Name="LASTEXITCODE", ValueOnly=True).one == 1


def test_names_instead_of_sids(tmp_path: Path) -> None:
    rights = {"SeDenyInteractiveLogonRight": ["MAPIAccount"], "SeBatchLogonRight": []}
    call = on(with_host(tmp_path, user_rights=rights, rights_as_names=True))
    export(call, *EXPORT)
    text = content(call, "C:\\Temp\\rights.inf").decode("utf-16")
    assert "SeDenyInteractiveLogonRight = MAPIAccount\r\n" in text
    assert "SeBatchLogonRight" not in text


def test_local_groups(tmp_path: Path) -> None:
    groups = {
        "Administratoren": {"sid": "S-1-5-32-544", "members": ["Telephony"]},
        "Own": {"sid": "S-1-5-21-1-2-3-1001"},
    }
    call = on(with_host(tmp_path, local_groups=groups))
    found = read(call.good("Get-LocalGroupMember", SID="S-1-5-32-544"))
    assert [each["Name"] for each in found] == ["ALLEO\\Domain Admins", "ALLEO\\Telephony"]
    assert str(found[0]["SID"]).endswith("-512")
    assert read(call.good("Get-LocalGroup", SID="S-1-5-32-544"))[0]["Name"] == "Administratoren"
    assert call.good("Get-LocalGroupMember", Name="own").outputs == []
    assert call("Get-LocalGroupMember", SID="S-1-5-32-999").error.error_id.startswith("GroupNotFound,")
    lost = on(with_host(tmp_path, local_groups={"Users": {"members": ["S-1-5-21-9-9-9-1234"]}}))
    assert lost("Get-LocalGroupMember", SID="S-1-5-32-545").error.reason == "InvalidOperationException"
