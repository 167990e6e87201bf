"""The lab's registry: keys, values, kinds, views, hives, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lab_calls import Session
from lab_windows import on, read, state, with_host

from umkit.lab.organisation import load

KEY = "HKLM:\\SOFTWARE\\Test"
MAIL = "HKLM:\\SOFTWARE\\Clients\\Mail"


@pytest.fixture
def call() -> Session:
    found = on(load())
    found.good("New-Item", Path=KEY)
    return found


def values(call: Session, key: str = KEY) -> dict[str, Any]:
    found = state(call, "registry")[key.replace(":", "")]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("path", [MAIL, MAIL.lower(), "HKLM:/SOFTWARE/Clients/Mail", f"Registry::{MAIL[:4]}{MAIL[5:]}"])
def test_default_value(call: Session, path: str) -> None:
    [found] = read(call.good("Get-ItemProperty", LiteralPath=path, Name=["(default)"]))
    assert found["(default)"] == "Microsoft Outlook"
    assert found["PSPath"].lower().endswith("::hkey_local_machine\\software\\clients\\mail")
    other = path.replace("SOFTWARE", "SOFTWARE\\Wow6432Node").replace("software\\", "software\\wow6432node\\")
    [wow] = read(call.good("Get-ItemProperty", LiteralPath=other, Name=["(Default)"]))
    assert wow["(default)"] == "Windows Mail"
    call.good("Set-ItemProperty", LiteralPath=other, Name="(Default)", Value="Microsoft Outlook", Type="String")
    assert values(call, "HKLM\\SOFTWARE\\Wow6432Node\\Clients\\Mail")["(default)"]["data"] == "Microsoft Outlook"


def test_a_default_value_cannot_be_removed(call: Session) -> None:
    record = call("Remove-ItemProperty", LiteralPath=MAIL, Name=["(default)"]).error
    assert record.error_id.startswith("System.Management.Automation.PSArgumentException,")


@pytest.mark.parametrize(
    ("kind", "given", "back", "wire"),
    [
        ("DWord", 1, 1, "I32"),
        ("dword", "0x80", 128, "I32"),
        ("DWord", 2**32 - 1, 2**32 - 1, "U32"),
        ("DWord", -1, 2**32 - 1, "U32"),
        ("QWord", 2**63, 2**63, "U64"),
        ("String", "Grüße %SystemRoot%", "Grüße %SystemRoot%", "S"),
        ("ExpandString", "%SystemRoot%\\x", "C:\\Windows\\x", "S"),
        ("Binary", b"\x00\xff", b"\x00\xff", "BA"),
        ("MultiString", ["a", "b"], ["a", "b"], "Obj"),
        ("String", ["a", "b"], "a b", "S"),
        ("String", "", "", "S"),
    ],
)
def test_kinds(call: Session, kind: str, given: Any, back: Any, wire: str) -> None:
    call.good("Set-ItemProperty", LiteralPath=KEY, Name="v", Value=given, Type=kind)
    answer = call.good("Get-ItemProperty", LiteralPath=KEY, Name="v")
    assert read(answer)[0]["v"] == back
    assert f"<{wire} " in answer.reply.outputs[0]
    assert values(call)["v"]["kind"].lower() == kind.lower()


@pytest.mark.parametrize(("given", "kind"), [(1, "DWord"), (2**40, "QWord"), ("x", "String"), (b"x", "Binary")])
def test_a_new_value_takes_its_kind_from_what_is_given(call: Session, given: Any, kind: str) -> None:
    call.good("Set-ItemProperty", LiteralPath=KEY, Name="v", Value=given)
    assert values(call)["v"]["kind"] == kind


def test_an_existing_value_keeps_its_kind(call: Session) -> None:
    call.good("New-ItemProperty", LiteralPath=KEY, Name="V", PropertyType="ExpandString", Value="a")
    call.good("Set-ItemProperty", LiteralPath=KEY, Name="v", Value="%windir%")
    assert values(call) == {"V": {"kind": "ExpandString", "data": "%windir%"}}


@pytest.mark.parametrize(
    ("kind", "given"), [("DWord", "abc"), ("DWord", 2**32), ("QWord", 2**64), ("Binary", "text"), (None, ["a", "b"])]
)
def test_values_that_do_not_fit(call: Session, kind: str | None, given: Any) -> None:
    more = {} if kind is None else {"Type": kind}
    assert call("Set-ItemProperty", LiteralPath=KEY, Name="v", Value=given, **more).error.category_name == "WriteError"
    assert values(call) == {}


def test_new_set_and_remove_values(call: Session) -> None:
    call.good("New-ItemProperty", LiteralPath=KEY, Name="v", Type="DWord", Value=1)
    record = call("New-ItemProperty", LiteralPath=KEY, Name="V", Value=2).error
    assert record.error_id == "System.IO.IOException,Microsoft.PowerShell.Commands.NewItemPropertyCommand"
    assert (record.category_name, record.reason) == ("ResourceExists", "IOException")
    call.good("Remove-ItemProperty", LiteralPath=KEY, Name="V")
    record = call("Remove-ItemProperty", LiteralPath=KEY, Name="V").error
    assert (record.category_name, record.reason, record.target) == ("InvalidArgument", "PSArgumentException", "V")


def test_missing_values_and_keys(call: Session) -> None:
    record = call("Get-ItemProperty", LiteralPath=KEY, Name="v").error
    full = "System.Management.Automation.PSArgumentException,Microsoft.PowerShell.Commands.GetItemPropertyCommand"
    assert (record.error_id, record.category_name) == (full, "InvalidArgument")
    ended = call("Get-ItemPropertyValue", LiteralPath=KEY, Name="v", ErrorAction="SilentlyContinue").failed
    assert ended.error_id == "Argument,Microsoft.PowerShell.Commands.GetItemPropertyValueCommand"
    assert call.good("Get-ItemProperty", LiteralPath=KEY).outputs == []
    gone = f"{KEY}\\Gone"
    for cmdlet, more in (
        ("Get-ItemProperty", {}),
        ("Get-Item", {}),
        ("Get-ChildItem", {}),
        ("Remove-Item", {}),
        ("Set-ItemProperty", {"Name": "v", "Value": 1}),
        ("New-ItemProperty", {"Name": "v", "Value": 1}),
        ("Remove-ItemProperty", {"Name": "v"}),
    ):
        record = call(cmdlet, LiteralPath=gone, **more).error
        noun = cmdlet.replace("-", "")
        assert record.error_id == f"PathNotFound,Microsoft.PowerShell.Commands.{noun}Command"
        assert record.message == f"Cannot find path '{gone}' because it does not exist."
    assert [call.good("Test-Path", LiteralPath=each).one for each in (KEY, gone, "HKU:\\X")] == [True, False, False]
    assert call("Get-Item", LiteralPath="HKU:\\X").error.error_id.startswith("DriveNotFound,")


def test_keys(call: Session) -> None:
    child = f"{KEY}\\a\\b"
    assert call("New-Item", Path=child).error.category_name == "InvalidArgument"
    call.good("New-Item", Path=child, Force=True)
    call.good("New-Item", Path=KEY, Name="c", Value="text")
    record = call("New-Item", Path=KEY).error
    assert record.error_id == "System.IO.IOException,Microsoft.PowerShell.Commands.NewItemCommand"
    assert [str(each) for each in read(call.good("Get-ChildItem", LiteralPath=KEY, Name=True))] == ["a", "c"]
    assert read(call.good("Get-ChildItem", LiteralPath=KEY, Name=True, Recurse=True)) == ["a", "a\\b", "c"]
    [item] = read(call.good("Get-Item", LiteralPath=f"{KEY}\\c"))
    assert (item["Property"], item["ValueCount"], item["SubKeyCount"]) == (["(default)"], 1, 0)
    prompt = call("Remove-Item", LiteralPath=KEY, Confirm=False).failed
    assert prompt.error_id.startswith("HostFunctionNotImplemented,")
    call.good("New-Item", Path=KEY, Force=True)
    assert call.good("Get-ChildItem", LiteralPath=KEY).outputs == []
    call.good("Remove-Item", LiteralPath=KEY, Confirm=False)
    assert call.good("Test-Path", LiteralPath=KEY).one is False


def test_one_path_that_is_wrong_does_not_keep_the_others(call: Session) -> None:
    answer = call("Get-Item", LiteralPath=["HKU:\\X", f"{KEY}\\Gone", KEY])
    assert [each.error_id.partition(",")[0] for each in answer.reply.errors] == ["DriveNotFound", "PathNotFound"]
    assert len(read(answer)) == 1
    stopped = call("Remove-Item", LiteralPath=[f"{KEY}\\Gone", KEY], ErrorAction="Stop").failed
    assert stopped.error_id.startswith("PathNotFound,")
    assert call.good("Test-Path", LiteralPath=KEY).one is True


def test_set_item_writes_the_default_value(call: Session) -> None:
    call.good("Set-Item", LiteralPath=KEY, Value="x")
    assert values(call)["(default)"] == {"kind": "String", "data": "x"}


def test_hives(tmp_path: Path) -> None:
    path = "HKU\\<MAPIAccount>\\Software\\A"
    call = on(with_host(tmp_path, registry={path: {"v": 1}}))
    [account] = [each for each in call.organisation.state()["objects"]["User"] if each["Name"] == "MAPIAccount"]
    hive = f"Registry::HKEY_USERS\\{account['Sid']}"
    assert read(call.good("Get-ItemProperty", LiteralPath=f"{hive}\\Software\\A"))[0]["v"] == 1
    assert call.good("Test-Path", LiteralPath=f"Registry::HKU\\{account['Sid']}").one is True
    assert call.good("Test-Path", LiteralPath="HKCU:\\Software").one is False
    away = on(with_host(tmp_path, registry={path: {"v": 1}}, hives_not_loaded=["MAPIAccount"]))
    assert away.good("Test-Path", LiteralPath=hive).one is False
    assert f"HKU (not loaded)\\{account['Sid']}\\Software\\A" in state(away, "registry")


def test_programs_by_wildcard_and_a_malformed_value(tmp_path: Path) -> None:
    uninstall = "HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall"
    programs = [{"name": "One", "version": "1.0"}, {"name": "Two", "view": 32, "values": {"EstimatedSize": 5}}]
    call = on(with_host(tmp_path, programs=programs, registry={f"{uninstall}\\Empty": {}}))
    path = uninstall.replace("HKLM", "HKLM:")
    [one] = read(call.good("Get-ItemProperty", Path=f"{path}\\*"))
    assert (one["DisplayName"], one["DisplayVersion"], one["PSChildName"]) == ("One", "1.0", "One")
    other = path.replace("SOFTWARE", "SOFTWARE\\Wow6432Node")
    [two] = read(call.good("Get-ItemProperty", Path=f"{other}\\T*"))
    assert two["EstimatedSize"] == 5
    assert call.good("Get-ItemProperty", Path=f"{path}\\Nothing*").outputs == []
    roots = read(call.good("Get-Item", Path="HKLM:\\S*"))
    assert [each["Name"].rpartition("\\")[2] for each in roots] == ["SOFTWARE", "SYSTEM"]
    bad = {f"{uninstall}\\Bad": {"EstimatedSize": {"kind": "DWord", "value": "0102"}}}
    record = on(with_host(tmp_path, registry=bad))("Get-ItemProperty", LiteralPath=f"{path}\\Bad").error
    assert record.error_id.startswith("System.InvalidCastException,")


def test_a_dynamic_parameter_belongs_to_its_provider(call: Session) -> None:
    for cmdlet, more in (("Get-Content", {"Encoding": "Byte"}), ("Get-ChildItem", {"File": True})):
        assert call(cmdlet, LiteralPath=KEY, **more).failed.error_id.startswith("NamedParameterNotFound,")


def test_whoever_is_no_administrator_may_look_and_not_touch() -> None:
    call = on(load(), user="ALLEO\\umreader")
    assert read(call.good("Get-ItemProperty", LiteralPath=MAIL))
    for cmdlet, more in (("Set-ItemProperty", {"Name": "v", "Value": 1}), ("Remove-Item", {"Recurse": True})):
        record = call(cmdlet, LiteralPath=MAIL, **more).error
        assert record.error_id.startswith("System.Security.SecurityException,")
        assert (record.category_name, record.reason) == ("PermissionDenied", "SecurityException")
    assert call("New-Item", Path=f"{MAIL}\\x").error.reason == "SecurityException"
    call.good("New-Item", Path="HKCU:\\Software\\x", Force=True)
    users = state(call, "registry")
    [mapi] = {each.split("\\")[1] for each in users if each.startswith("HKU\\") and "Outlook" in each}
    denied = call("Get-Item", LiteralPath=f"Registry::HKEY_USERS\\{mapi}").error
    assert denied.reason == "SecurityException"
