"""The lab's Windows services, their processes and what CIM tells of them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from lab_calls import Session
from lab_windows import on, with_host

from umkit.errors import LabError
from umkit.lab.model import Invocation, Stopped
from umkit.lab.organisation import load

EXCEPTION = "ServiceCommandException"


@pytest.fixture
def exchange() -> Session:
    return on(load(), "EX01")


def states(call: Session) -> dict[str, Any]:
    found = call.organisation.state()["hosts"][call.service.name]["services"]
    assert isinstance(found, dict)
    return found


def test_get_service_as_remoting_sends_it(exchange: Session) -> None:
    found = exchange.good("Get-Service", "msexchangeimap4").one
    assert (found["ServiceName"], found["DisplayName"]) == ("MSExchangeImap4", "Microsoft Exchange IMAP4")
    assert (found["Status"], found["StartType"]) == ("Stopped", "Manual")
    assert found["ServicesDependedOn"] == ["MSExchangeADTopology"]
    assert (
        "<ToString>Stopped</ToString><I32>1</I32>" in exchange.good("Get-Service", "MSExchangeImap4").reply.outputs[0]
    )
    needing = exchange.good("Get-Service", "MSExchangeADTopology").one["DependentServices"]
    assert {"MSExchangeIS", "MSExchangeImap4"} <= set(needing)


def test_get_service_by_wildcard_and_several_names(exchange: Session) -> None:
    names = [each["ServiceName"] for each in exchange.good("Get-Service", Name=["MSExchangeIMAP*"]).outputs]
    assert names == ["MSExchangeImap4", "MSExchangeIMAP4BE"]
    assert exchange.good("Get-Service", Name=["Nothing*"]).outputs == []
    answer = exchange("Get-Service", Name=["Nothing", "W3SVC"])
    assert [each["ServiceName"] for each in answer.outputs] == ["W3SVC"]
    record = answer.error
    assert record.error_id == "NoServiceFoundForGivenName,Microsoft.PowerShell.Commands.GetServiceCommand"
    assert (record.category_name, record.reason, record.target) == ("ObjectNotFound", EXCEPTION, "Nothing")
    assert record.message == "Cannot find any service with service name 'Nothing'."


def test_set_start_and_restart(exchange: Session) -> None:
    exchange.good("Set-Service", Name="MSExchangeImap4", StartupType="Automatic")
    assert exchange.good("Start-Service", Name=["MSExchangeImap4"]).outputs == []
    first = states(exchange)["MSExchangeImap4"]
    assert (first["start_type"], first["status"], first["start_count"]) == ("Automatic", "Running", 1)
    exchange.good("Start-Service", Name="MSExchangeImap4")
    assert states(exchange)["MSExchangeImap4"] == first
    exchange.good("Restart-Service", Name="MSExchangeImap4", Force=True)
    again = states(exchange)["MSExchangeImap4"]
    assert (again["start_count"], again["stop_count"]) == (2, 1)
    assert again["pid"] != first["pid"]
    assert again["started"] > first["started"]
    key = "HKLM\\SYSTEM\\CurrentControlSet\\Services\\MSExchangeImap4"
    assert exchange.organisation.state()["hosts"]["EX01"]["registry"][key]["Start"] == {"kind": "DWord", "data": 2}
    entries = exchange.good("Get-WinEvent", LogName="System", FilterXPath="*[System[(EventID=7036)]]").outputs
    assert len(entries) == 3


def test_restart_starts_what_is_stopped_and_passthru_shows_it(exchange: Session) -> None:
    assert exchange.good("Restart-Service", "MSExchangeIMAP4BE", PassThru=True).one["Status"] == "Running"
    assert states(exchange)["MSExchangeIMAP4BE"]["stop_count"] == 0


def test_an_error_that_stops_keeps_the_rest_as_it_is(exchange: Session) -> None:
    before = states(exchange)
    assert exchange("Stop-Service", Name=["Nothing", "W3SVC"], ErrorAction="Stop").reply.failed is not None
    assert states(exchange) == before
    assert len(exchange("Stop-Service", Name=["Nothing", "W3SVC"]).reply.errors) == 1
    assert states(exchange)["W3SVC"]["status"] == "Stopped"


def test_whatif_and_confirm(exchange: Session) -> None:
    before = states(exchange)
    exchange.good("Stop-Service", "W3SVC", WhatIf=True)
    prompt = exchange("Stop-Service", "W3SVC", Confirm=True).failed
    assert prompt.error_id.startswith("HostFunctionNotImplemented,")
    assert states(exchange) == before


def test_dependents_need_force(exchange: Session) -> None:
    for cmdlet in ("Stop", "Restart"):
        record = exchange(f"{cmdlet}-Service", "MSExchangeADTopology").error
        expected = f"ServiceHasDependentServices,Microsoft.PowerShell.Commands.{cmdlet}ServiceCommand"
        assert (record.error_id, record.category_name) == (expected, "InvalidOperation")
    record = exchange("Set-Service", "MSExchangeADTopology", Status="Stopped").error
    assert record.error_id.startswith("ServiceHasDependentServicesNoForce,")
    before = states(exchange)
    exchange.good("Restart-Service", "MSExchangeADTopology", Force=True)
    after = states(exchange)
    assert after["MSExchangeIS"]["status"] == "Running"
    assert after["MSExchangeIS"]["pid"] != before["MSExchangeIS"]["pid"]
    assert after["MSExchangeImap4"]["status"] == "Stopped"


def test_settings_take_effect_with_the_next_start(exchange: Session) -> None:
    rich = Session(exchange.organisation)
    exchange.good("Start-Service", "MSExchangeImap4")
    rich.good("Set-ImapSettings", LoginType="PlainTextLogin")
    assert states(exchange)["MSExchangeImap4"]["effective"]["LoginType"] == "SecureLogin"
    exchange.good("Restart-Service", "MSExchangeImap4")
    effective = states(exchange)["MSExchangeImap4"]["effective"]
    assert (effective["LoginType"], effective["ProtocolLog"]) == ("PlainTextLogin", "false")
    assert "effective" not in states(exchange)["MSExchangeIMAP4BE"]


@pytest.mark.parametrize(
    ("section", "cmdlet", "prefix", "category"),
    [
        ({"starts": False, "status": "Stopped"}, "Start", "CouldNotStartService", "OpenError"),
        ({"starts": "dies", "status": "Stopped"}, "Start", "StartServiceFailed", "OpenError"),
        ({"start_type": "Disabled", "status": "Stopped"}, "Start", "CouldNotStartService", "OpenError"),
        ({"stops": False}, "Stop", "CouldNotStopService", "CloseError"),
        ({"starts": "dies"}, "Restart", "StartServiceFailed", "OpenError"),
    ],
)
def test_services_that_refuse(tmp_path: Path, section: dict[str, Any], cmdlet: str, prefix: str, category: str) -> None:
    call = on(with_host(tmp_path, services={"XPhoneConnectServer": section}), "XPHONE01")
    record = call(f"{cmdlet}-Service", "XPhoneConnectServer").error
    assert record.error_id == f"{prefix},Microsoft.PowerShell.Commands.{cmdlet}ServiceCommand"
    assert (record.category_name, record.reason) == (category, EXCEPTION)
    assert "XPhone Connect Server (XPhoneConnectServer)" in record.message


def test_a_hanging_service_waits_until_the_pipeline_is_stopped(tmp_path: Path) -> None:
    call = on(with_host(tmp_path, services={"XPhoneConnectServer": {"hangs": "stop"}}), "XPHONE01")

    class Control:
        stopped = threading.Event()
        input = ()

    timer = threading.Timer(0.05, Control.stopped.set)
    timer.start()
    with pytest.raises(Stopped):
        call.service.execute("umadmin", [Invocation("Stop-Service", [("Name", "XPhoneConnectServer")])], Control())
    timer.join()
    assert states(call)["XPhoneConnectServer"]["status"] == "StopPending"


def test_cim_tells_account_process_and_its_start(exchange: Session) -> None:
    filtered = {"ClassName": "Win32_Service", "Filter": "Name='MSExchangeIS'"}
    service = exchange.good("Get-CimInstance", **filtered).one
    assert (service["StartMode"], service["State"], service["StartName"]) == ("Auto", "Running", "LocalSystem")
    narrow = exchange.good("Get-CimInstance", **filtered, Property=["Name", "ProcessId"]).one
    assert (narrow["ProcessId"], narrow["State"]) == (service["ProcessId"], None)
    wanted = f"ProcessId={service['ProcessId']}"
    process = exchange.good("Get-CimInstance", ClassName="Win32_Process", Filter=wanted).one
    assert process["Name"] == "Microsoft.Exchange.Store.Service.exe"
    assert process["CreationDate"].startswith("2023-03-14T10:26:53")
    exchange.good("Restart-Service", "MSExchangeIS")
    assert exchange.good("Get-CimInstance", ClassName="Win32_Process", Filter=wanted).outputs == []
    query = "SELECT * FROM Win32_Service WHERE Name LIKE 'MSExchangeIMAP%' OR Name = 'W3SVC'"
    assert len(exchange.good("Get-CimInstance", Query=query).outputs) == 3
    assert exchange.good("Get-CimInstance", "Win32_ComputerSystem").one["DomainRole"] == 3


@pytest.mark.parametrize("given", ["Name='x' AND", "Name", "Nonsense='x'", "Name='it's'"])
def test_a_bad_query_is_refused(exchange: Session, given: str) -> None:
    assert exchange("Get-CimInstance", "Win32_Service", Filter=given).error.error_id.startswith("HRESULT 0x80041017,")


def test_quotes_in_a_query_are_escaped(tmp_path: Path) -> None:
    call = on(with_host(tmp_path, services={"it's a \\ service": {"status": "Running"}}), "XPHONE01")
    found = call.good("Get-CimInstance", "Win32_Service", Filter="Name='it\\'s a \\\\ service'").one
    assert found["Name"] == "it's a \\ service"


def test_without_rights_each_family_refuses_in_its_own_way() -> None:
    call = on(load(), "EX01", "ALLEO\\umreader")
    denied = call("Get-Service", "W3SVC").failed
    assert denied.error_id == "System.InvalidOperationException,Microsoft.PowerShell.Commands.GetServiceCommand"
    assert call("Get-CimInstance", "Win32_Service").error.error_id.startswith("HRESULT 0x80041003,")
    assert call("Stop-Service", "W3SVC").error.error_id.startswith("CouldNotStopService,")
    configured = call("Set-Service", "W3SVC", StartupType="Manual").error
    assert (configured.error_id.partition(",")[0], configured.category_name) == (
        "CouldNotSetService",
        "PermissionDenied",
    )


def test_service_account_of_the_xphone_server() -> None:
    services = states(on(load(), "XPHONE01"))
    assert services["XPhoneConnectServer"]["account"] == "ALLEO\\MAPIAccount"


@pytest.mark.parametrize(
    ("sections", "key"),
    [
        ({"services": {"A": {"depends_on": ["Nothing"]}}}, "XPHONE01.services.A.depends_on"),
        ({"registry": {"HKXX\\A": {}}}, "XPHONE01.registry.HKXX\\A"),
        ({"registry": {"HKU\\<Nobody>\\A": {}}}, "XPHONE01.registry.HKU\\<Nobody>\\A"),
        ({"registry": {"HKLM\\A": {"x": {"kind": "DWord", "value": [1]}}}}, None),
        ({"files": {"C:\\a": {"base64": "?"}}}, "XPHONE01.files.C:\\a"),
        ({"files": {"C:\\a": {}}}, None),
        ({"user_rights": {"SeX": ["Nobody"]}}, "XPHONE01.user_rights.SeX"),
        ({"local_groups": {"Own": {}}}, "XPHONE01.local_groups.Own"),
        ({"events": [{"provider": "x", "id": 1, "time": "2026"}]}, None),
    ],
)
def test_a_bad_section_is_refused_by_key(tmp_path: Path, sections: dict[str, Any], key: str | None) -> None:
    with pytest.raises(LabError) as caught:
        with_host(tmp_path, **sections)
    if key is not None:
        assert caught.value.where["key"] == key
