"""The lab's wire seen by stock pypsrp: what goes in and what comes out."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from fake_endpoint import NOT_FOUND, USER, FakeService, command, pool, site
from pypsrp.complex_objects import PSCredential, PSInvocationState, RemoteStreamOptions
from pypsrp.exceptions import WinRMTransportError, WSManFaultError
from pypsrp.powershell import PowerShell
from pypsrp.serializer import TaggedValue

from umkit.lab.model import LabSecret

HOSTILE = [
    "",
    'O\'Brien "quoted" `tick` $var $(Get-Date) ; | & <b>&amp;</b>',
    "Grüße, Ähre, \u2018curly\u2019 \u2013 dash",
    "\U0001f600\U0001f468\u200d\U0001f469 emoji",
    "line\nline\r\nline\rtab\t",
    "\x00\x01\x07\x0b\x1f\x7f\x85\x9f",
    "]]> <![CDATA[x]]> <?pi?> <!-- c -->",
    "_x000D_ _x005F_ _X0041_ _x00_ _xZZZZ_ __x0041__",
    " leading and trailing \u00a0",
    "\ufeffbom \ufffe \uffff",
    "%00 %0d%0a ../..\\..",
]


def test_open_takes_two_requests_a_cmdlet_two_and_close_one() -> None:
    with site() as running:
        with pool(running.exchange) as opened:
            assert running.counts.as_dict()["requests"] == 2
            assert command(opened, "Get-Value", Value="x").invoke() == ["x"]
            assert running.counts.as_dict()["requests"] == 4
            shell = command(opened, "Get-Value", Value="y")
            shell.invoke()
            shell.close()
            assert running.counts.as_dict()["requests"] == 7
            assert opened.is_alive()
        assert running.counts.as_dict() == {
            "requests": 9,
            "by_action": {"Command": 2, "Create": 1, "Delete": 1, "Get": 1, "Receive": 3, "Signal": 1},
        }


def test_parameters_arrive_as_plain_values_in_order() -> None:
    service, guid, moment = FakeService(), uuid.uuid4(), ElementTree.Element("DT")
    moment.text = "2026-11-22T17:05:01.1234567Z"
    with site(service) as running, pool(running.exchange) as opened:
        shell = PowerShell(opened).add_cmdlet("Set-Value")
        sent: list[tuple[str, Any, Any]] = [
            ("Text", "x", "x"),
            ("Switch", True, True),
            ("No", False, False),
            ("Null", None, None),
            ("Int", 5, 5),
            ("Long", TaggedValue("I64", 2**40), 2**40),
            ("Float", TaggedValue("Db", 0.25), 0.25),
            ("List", ["a", 1, None], ["a", 1, None]),
            ("Table", {"Add": ["x", "y"], "Remove": "z"}, {"Add": ["x", "y"], "Remove": "z"}),
            ("Bytes", b"\x00\xff", b"\x00\xff"),
            ("Guid", guid, guid),
            ("Decimal", TaggedValue("D", "1.50"), Decimal("1.50")),
            ("Span", TaggedValue("TS", "P14DT1H2M3.5S"), timedelta(days=14, hours=1, minutes=2, seconds=3.5)),
            ("Moment", moment, datetime(2026, 11, 22, 17, 5, 1, 123456, tzinfo=UTC)),
            ("Enum", RemoteStreamOptions(value=15), "AddInvocationInfo"),
        ]
        for name, value, _ in sent:
            shell.add_parameter(name, value)
        shell.add_argument("first").add_argument("second")
        assert shell.invoke() == ["done"]
    (arrived,) = service.pipelines[0]
    assert not arrived.is_script
    assert arrived.arguments == [(name, value) for name, _, value in sent] + [(None, "first"), (None, "second")]
    assert [type(value) for _, value in arrived.arguments[:3]] == [str, bool, bool]
    assert service.users == [USER]


@pytest.mark.parametrize("auth", ["basic", "negotiate"])
def test_hostile_strings_come_and_go_byte_for_byte(auth: str) -> None:
    service = FakeService()
    with site(service) as running, pool(running.exchange, auth=auth) as opened:
        for value in HOSTILE:
            # pypsrp lets characters through that XML cannot carry; PowerShell escapes them
            sent = ElementTree.Element("S") if "\ufffe" in value else value
            if not isinstance(sent, str):
                sent.text = value.replace("\ufffe", "_xFFFE_").replace("\uffff", "_xFFFF_")
            assert command(opened, "Get-Value", Value=sent).invoke() == [value]
            assert service.pipelines[-1][0].arguments == [("Value", value)]


def test_lone_surrogates_survive_and_do_no_harm(tmp_path: Path) -> None:
    lone, service = ElementTree.Element("S"), FakeService()
    lone.text = "a_xD800_b_xD83D__xDE00_"
    with site(service, trace=tmp_path / "trace") as running, pool(running.exchange) as opened:
        # the service hands back text that UTF-8 cannot carry; what is right on the wire, pypsrp cannot decode
        with pytest.raises(UnicodeDecodeError):
            command(opened, "Get-Unescaped", Value=lone).invoke()
        assert command(opened, "Get-Unescaped", Value="\x01\r_").invoke() == ["\x01\r_"]
    assert service.pipelines[0][0].arguments == [("Value", "a\ud800b\U0001f600")]
    line, _ = (tmp_path / "trace").read_bytes().splitlines()
    assert json.loads(line)["commands"][0]["parameters"] == {"Value": "a\ud800b\U0001f600"}


def test_commands_of_a_pipeline_arrive_together_and_statements_apart() -> None:
    service = FakeService()
    with site(service) as running, pool(running.exchange) as opened:
        shell = command(opened, "Get-Value", Value="1").add_cmdlet("Out-Null").add_statement()
        shell.add_cmdlet("Get-Value").add_parameter("Value", "2").add_statement()
        shell.add_cmdlet("Get-Failure").add_statement().add_cmdlet("Get-Value").add_parameter("Value", "3")
        assert shell.invoke() == ["1", "2", "before"]
        assert shell.had_errors
    assert [[one.name for one in pipeline] for pipeline in service.pipelines] == [
        ["Get-Value", "Out-Null"],
        ["Get-Value"],
        ["Get-Failure"],
    ]


def test_scripts_are_marked_as_such() -> None:
    service = FakeService()
    with site(service) as running, pool(running.exchange) as opened:
        PowerShell(opened).add_script("Get-Value").add_parameter("Value", "x").invoke()
    assert service.pipelines[0][0].is_script


def test_objects_are_passed_through_as_written() -> None:
    xml = (
        '<Obj RefId="0"><TN RefId="0"><T>Deserialized.X</T><T>Deserialized.System.Object</T></TN>'
        '<ToString>shown</ToString><Props><S N="Name">n &amp; m</S>'
        '<Obj N="L" RefId="1"><TN RefId="1"><T>System.Object[]</T></TN>'
        '<LST><S>a</S></LST></Obj></Props><MS><S N="PSComputerName">ex01</S></MS></Obj>'
    )
    with site() as running, pool(running.exchange) as opened:
        (found, null) = command(opened, "Get-Raw", Xml=[xml, "<Nil/>"]).invoke()
    assert found.adapted_properties == {"Name": "n & m", "L": ["a"]}
    assert found.extended_properties == {"PSComputerName": "ex01"}
    assert (str(found), found.types, null) == ("shown", ["Deserialized.X", "Deserialized.System.Object"], "")


@pytest.mark.parametrize("options", [0, 15])
def test_error_records_and_warnings_are_complete(options: int) -> None:
    with site() as running, pool(running.exchange) as opened:
        shell = command(opened, "Get-Missing")
        shell.begin_invoke(remote_stream_options=options)
        assert shell.end_invoke() == []
        (error,), (warning,) = shell.streams.error, shell.streams.warning
    assert shell.state == PSInvocationState.COMPLETED
    assert str(error) == error.exception.adapted_properties["Message"] == NOT_FOUND.message
    assert (error.fq_error, error.category, error.reason) == (NOT_FOUND.error_id, 13, NOT_FOUND.reason)
    assert (error.activity, error.target_name, error.target_object) == ("Get-Missing", "x & <y>\x01", "x & <y>\x01")
    assert error.message == "ObjectNotFound: (x & <y>\x01:String) [Get-Missing], ManagementObjectNotFoundException"
    assert error.exception.types[0] == NOT_FOUND.exception_type
    assert (error.command_name, warning.command_name) == (("Get-Missing",) * 2 if options else (None, None))
    assert warning.message == str(warning) == "Grüße & <so> \U0001f600"


def test_a_terminating_error_fails_the_pipeline() -> None:
    with site() as running, pool(running.exchange) as opened:
        shell = command(opened, "Get-Failure")
        assert shell.invoke() == ["before"]
        assert (shell.state, shell.had_errors) == (PSInvocationState.FAILED, True)
        assert shell.streams.error[-1].fq_error == NOT_FOUND.error_id
        for name in ("Get-Bug", "Get-Nonsense"):
            bug = command(opened, name)
            bug.invoke()
            assert bug.streams.error[-1].fq_error == "LabError"
        with pytest.raises(IndexError):  # pypsrp expects a count and gets a failed pipeline
            opened.get_command_metadata("Get-*")
        assert command(opened, "Get-Value", Value="still here").invoke() == ["still here"]


@pytest.mark.parametrize("auth", ["basic", "negotiate"])
def test_long_messages_are_cut_to_the_clients_envelope_both_ways(auth: str) -> None:
    value, sizes = "ü\U0001f600x" * 20_000, []
    with site() as running, pool(running.exchange, auth=auth, max_envelope_size=20_000) as opened:
        opened.connection.transport.session.hooks["response"].append(lambda r, **_: sizes.append(len(r.content)))
        assert command(opened, "Get-Value", Value=value).invoke() == [value]
        many = command(opened, "Get-Raw", Xml=["<S>0123456789</S>"] * 500).invoke()
    assert many == ["0123456789"] * 500
    # a sealed body is a little longer than its envelope
    assert 10_000 < max(sizes) <= 20_000 + (400 if auth == "negotiate" else 0)


def test_secure_strings_are_decrypted_and_never_shown(tmp_path: Path) -> None:
    service, canary = FakeService(), "Kanarie-\U0001f426-7731"
    with site(service, trace=tmp_path / "trace") as running, pool(running.exchange) as opened:
        opened.exchange_keys()
        credential = PSCredential(username="ALLEO\\svc", password=canary)
        command(opened, "Set-Value", Password=TaggedValue("SS", canary), Credential=credential, Id="x").invoke()
    (arrived,) = service.pipelines[0]
    found = dict(arrived.arguments)
    assert found["Password"] == LabSecret(canary)
    assert found["Credential"] == {"UserName": "ALLEO\\svc", "Password": LabSecret(canary)}
    assert canary not in repr(arrived) + str(found["Password"]) + f"{found['Password']}"
    line = (tmp_path / "trace").read_text(encoding="utf-8")
    assert canary not in line
    assert json.loads(line)["commands"][0]["parameters"] == {
        "Password": "(secret)",
        "Credential": {"UserName": "ALLEO\\svc", "Password": "(secret)"},
        "Id": "x",
    }


def test_a_line_of_the_trace_is_as_agreed(tmp_path: Path) -> None:
    with site(trace=tmp_path / "trace") as running, pool(running.exchange) as opened:
        shell = PowerShell(opened).add_cmdlet("Get-Missing").add_argument("ä").add_argument(2)
        shell.add_parameter("Twice", 1).add_parameter("Twice", [b"x", 1.5])
        shell.invoke()
        command(opened, "Set-Value").invoke()
        first, second = map(json.loads, (tmp_path / "trace").read_text(encoding="utf-8").splitlines())
    parsed = datetime.fromisoformat(first.pop("time"))
    assert abs(datetime.now(UTC) - parsed) < timedelta(minutes=1)
    assert first == {
        "host": "EX01",
        "endpoint": "Microsoft.Exchange",
        "user": USER,
        "pipeline": shell.id.lower(),
        "commands": [
            {
                "name": "Get-Missing",
                "parameters": {"0": "ä", "1": 2, "Twice": 1, "Twice#2": ["eA==", 1.5]},
                "is_script": False,
            }
        ],
        "outcome": "errors",
        "error_id": NOT_FOUND.error_id,
        "mutating": False,
    }
    assert (second["outcome"], second["error_id"], second["mutating"]) == ("ok", None, True)


def test_wrong_resource_and_wrong_path() -> None:
    host = FakeService("EX01", "Microsoft.PowerShell", "/wsman")
    with site(FakeService(), host) as running:
        with pytest.raises(WSManFaultError) as wrong, pool(running.exchange, configuration="Microsoft.PowerShell"):
            pass
        assert wrong.value.code == 2150858811
        with pytest.raises(WinRMTransportError) as missing, pool(running.exchange.replace("/PowerShell/", "/wsman")):
            pass
        assert missing.value.code == 404
        with pool(running.hosts["EX01"], configuration="Microsoft.PowerShell") as opened:
            assert command(opened, "Get-Value", Value="x").invoke() == ["x"]
        with pool(running.hosts["EX01"].replace("wsman", "powershell")) as opened:
            assert command(opened, "Get-Value", Value="same server").invoke() == ["same server"]


def test_input_is_awaited_before_the_handler_starts() -> None:
    service = FakeService()

    def objects() -> Any:
        yield ["first", 2]
        assert not service.started.wait(0.05)
        yield {"third": None}

    with site(service) as running, pool(running.exchange) as opened:
        shell = command(opened, "Get-Input")
        shell.begin_invoke(input=objects())
        assert shell.end_invoke() == ["first", "2", "{'third': None}"]
