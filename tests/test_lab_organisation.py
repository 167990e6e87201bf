"""The lab's organisation: its file, accounts, endpoints, replication and state."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from lab_calls import ADMIN, SHIPPED, Running, Session, described, kinds, service, unescape

from umkit.errors import LabError
from umkit.lab import objects
from umkit.lab.model import Invocation, Stopped
from umkit.lab.organisation import Organisation, load

SHARED = Path(os.environ.get("UMKIT_SHARED", Path(__file__).resolve().parents[2] / "shared"))


@pytest.fixture
def organisation() -> Organisation:
    return load()


@pytest.fixture
def call(organisation: Organisation) -> Session:
    return Session(organisation)


# -- the file --------------------------------------------------------------------------------------------------------


def test_load_by_name_and_path() -> None:
    assert load("clean-2019-dag").name == load(SHIPPED).name == load(None).name == "Alleo"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"colour": "red"}, "colour"),
        ({"administrator": "nobody"}, "administrator"),
        ({"domain": {"fqdn": "a.b"}}, "domain.netbios"),
        ({"exchange_servers": []}, "exchange_servers"),
        (
            {"exchange_servers": [{"name": "EX01", "address": "10.1.1.1", "version": "15.2"}]},
            "exchange_servers[0].version",
        ),
        (
            {"exchange_servers": [{"name": "EX01", "address": "10.1.1.1", "domain_controller": "DC9"}]},
            "exchange_servers[0].domain_controller",
        ),
        ({"exchange_servers": [{"name": "DC01", "address": "10.1.1.1"}]}, "hosts"),
        ({"accounts": [{"name": "umadmin", "hidden_cmdlets": ["Get-Foo"]}]}, "accounts[0].hidden_cmdlets"),
        ({"accounts": [{"name": "umadmin", "hidden_parameters": {"Get-Foo": []}}]}, "accounts[0].hidden_parameters"),
        ({"network": [{"to": "EX01"}]}, "network[0].to"),
        ({"network": [{"to": "EX01:25", "only_from": ["NIX"]}]}, "network[0].only_from"),
        ({"replication": {"delay_reads": -1}}, "replication.delay_reads"),
        ({"replication": {"delay_reads": "2"}}, "replication.delay_reads"),
        ({"options": {"language_mode": "full"}}, "options.language_mode"),
        ({"durations": {"Get-Foo": 1}}, "durations"),
        ({"objects": {"Foo": []}}, "objects.Foo"),
        ({"objects": {"RemoteDomain": [{"DomainName": "x.y"}]}}, "objects.RemoteDomain[0]"),
        ({"objects": {"RemoteDomain": [{"Name": "x", "Colour": 1}]}}, "objects.RemoteDomain[0].Colour"),
        ({"objects": {"RemoteDomain": [{"Name": "x", "NDREnabled": "no"}]}}, "objects.RemoteDomain[0].NDREnabled"),
        ({"objects": {"SendConnector": [{"Name": "x", "Port": True}]}}, "objects.SendConnector[0].Port"),
        ({"objects": {"SendConnector": [{"Name": "x", "SmartHosts": [1]}]}}, "objects.SendConnector[0].SmartHosts"),
        (
            {"objects": {"SendConnector": [{"Name": "x", "AddressSpaces": ["a b"]}]}},
            "objects.SendConnector[0].AddressSpaces",
        ),
        (
            {"objects": {"SendConnector": [{"Name": "x", "SourceTransportServers": ["EX09"]}]}},
            "objects.SendConnector[0].SourceTransportServers",
        ),
        (
            {"objects": {"SendConnector": [{"Name": "x", "AddressSpaces": ["a.b"], "SmartHosts": ["10.1.1.1"]}]}},
            "objects.SendConnector[0]",
        ),
    ],
)
def test_a_bad_file_is_refused_by_key(tmp_path: Path, changes: dict[str, Any], key: str) -> None:
    with pytest.raises(LabError) as caught:
        described(tmp_path, **changes)
    assert caught.value.where["key"] == key
    assert caught.value.where["file"].endswith("organisation.yaml")
    assert key in str(caught.value)


@pytest.mark.parametrize("content", ["- a\n- b\n", "a: [", "", "\x00"])
def test_a_file_that_is_no_mapping(tmp_path: Path, content: str) -> None:
    file = tmp_path / "organisation.yaml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(LabError) as caught:
        load(file)
    assert caught.value.where["file"] == str(file)


def test_no_such_organisation() -> None:
    with pytest.raises(LabError, match="clean-2019-dag"):
        load("no-such-organisation")


def test_a_file_may_change_what_is_built_in(tmp_path: Path) -> None:
    changed = {"RemoteDomain": [{"Name": "Default", "NDREnabled": False}]}
    changed["ReceiveConnector"] = [{"Name": "Default EX01", "Server": "EX01", "MaxHopCount": 9}]
    organisation = described(tmp_path, objects=changed)
    [default] = organisation.state()["objects"]["RemoteDomain"]
    assert (default["NDREnabled"], default["CharacterSet"]) == (False, "iso-8859-1")
    connectors = organisation.state()["objects"]["ReceiveConnector"]
    assert [each["Name"] for each in connectors if each["MaxHopCount"] == 9] == ["Default EX01"]
    assert len(connectors) == 10


# -- endpoints and accounts ------------------------------------------------------------------------------------------


def test_endpoints(organisation: Organisation) -> None:
    found = [(each.name, each.configuration, each.path, each.max_shells) for each in organisation.services]
    assert found[:2] == [
        ("EX01", "Microsoft.Exchange", "/PowerShell/", 18),
        ("EX02", "Microsoft.Exchange", "/PowerShell/", 18),
    ]
    windows = [each for each in organisation.services if each.configuration == "Microsoft.PowerShell"]
    assert sorted(each.name for each in windows) == ["DC01", "DC02", "EX01", "EX02", "XPHONE01"]
    assert {each.path for each in windows} == {"/wsman"}


@pytest.mark.parametrize(
    ("username", "known"),
    [
        ("ALLEO\\umadmin", True),
        ("alleo\\UMADMIN", True),
        ("umadmin@alleo.intern", True),
        ("UmAdmin@ALLEO.intern", True),
        ("umadmin", True),
        ("alleo.intern\\umadmin", True),
        ("OTHER\\umadmin", False),
        ("umadmin@other.intern", False),
        ("umadmi", False),
        ("", False),
    ],
)
def test_usernames(organisation: Organisation, username: str, known: bool) -> None:
    assert organisation.password_of(username) is None
    assert not organisation.check_password(username, "geheim ü")
    organisation.set_password("geheim ü")
    assert organisation.password_of(username) == ("geheim ü" if known else None)
    assert organisation.check_password(username, "geheim ü") is known
    assert not organisation.check_password(username, "GEHEIM ü")
    assert not organisation.check_password(username, "")


def test_a_disabled_account_may_not_log_on(tmp_path: Path) -> None:
    accounts = [{"name": "umadmin", "role": "administrator"}, {"name": "gone", "disabled": True}]
    organisation = described(tmp_path, accounts=accounts)
    organisation.set_password("x")
    assert organisation.administrator == ADMIN
    assert organisation.password_of("umadmin") == "x"
    assert organisation.password_of("gone") is None
    assert not organisation.check_password("gone", "x")


@pytest.mark.parametrize(("user", "cmdlet"), [("umlimited", "New-SendConnector"), ("umreader", "Get-RemoteDomain")])
def test_a_hidden_cmdlet_looks_unknown(organisation: Organisation, user: str, cmdlet: str) -> None:
    record = Session(organisation, user=user)(cmdlet).failed
    assert record.error_id == "CommandNotFoundException"
    assert (record.category_name, record.category, record.target) == ("ObjectNotFound", 13, cmdlet)
    assert record.exception_type == "System.Management.Automation.CommandNotFoundException"
    assert record.message.startswith(f"The term '{cmdlet}' is not recognized as the name of a cmdlet, function")
    unknown = Session(organisation)("Get-Nothing").failed
    assert (unknown.error_id, unknown.target) == ("CommandNotFoundException", "Get-Nothing")


def test_a_hidden_parameter_looks_unknown(organisation: Organisation) -> None:
    limited = Session(organisation, user="umlimited")
    assert limited("Set-RemoteDomain", "Default", TNEFEnabled=False).failed.error_id.startswith(
        "NamedParameterNotFound,"
    )
    limited.good("Set-RemoteDomain", "Default", NDREnabled=False)


def test_cmdlets_in_any_case_and_on_their_endpoint_only(call: Session) -> None:
    assert call.good("get-REMOTEdomain").names == ["Default"]
    assert call("Get-CimInstance", ClassName="Win32_OperatingSystem").failed.error_id == "CommandNotFoundException"
    assert Session(call.organisation, path="/wsman")("Get-RemoteDomain").failed.error_id == "CommandNotFoundException"


@pytest.mark.parametrize("path", ["/PowerShell/", "/wsman"])
def test_scripts_are_refused(organisation: Organisation, path: str) -> None:
    invocation = Invocation("Get-RemoteDomain | Out-String", is_script=True)
    record = service(organisation, path=path).execute(ADMIN, [invocation], Running()).failed
    assert record is not None
    assert (record.error_id, record.category_name, record.reason) == (
        "ScriptsNotAllowed",
        "ParserError",
        "ParseException",
    )
    assert record.target == "Get-RemoteDomain | Out-String"
    assert "no-language mode" in record.message


def test_restricted_language_refuses_them_in_its_own_words(tmp_path: Path) -> None:
    organisation = described(tmp_path, options={"language_mode": "restricted"})
    record = service(organisation).execute(ADMIN, [Invocation("$x.y", is_script=True)], Running()).failed
    assert record is not None
    assert record.message == "Property references are not allowed in restricted language mode or a Data section."
    assert (record.category_name, record.reason) == ("ParserError", "ParseException")
    assert Session(organisation).good("Get-RemoteDomain").names == ["Default"]


def test_pipelines_of_several_commands_are_said_to_be_beyond_the_lab(organisation: Organisation) -> None:
    pipeline = [Invocation("Get-RemoteDomain"), Invocation("Get-RemoteDomain")]
    record = service(organisation).execute(ADMIN, pipeline, Running()).failed
    assert record is not None
    assert record.error_id == "NotSimulatedByLab"
    assert service(organisation).execute(ADMIN, [], Running()).failed is not None


def test_so_is_input_from_the_pipeline(organisation: Organisation) -> None:
    record = service(organisation).execute(ADMIN, [Invocation("Get-RemoteDomain")], Running("Default")).failed
    assert record is not None
    assert record.error_id == "NotSimulatedByLab"


@pytest.mark.parametrize(
    ("name", "mutating"),
    [
        ("Get-RemoteDomain", False),
        ("get-remotedomain", False),
        ("Test-NetConnection", False),
        ("Set-RemoteDomain", True),
        ("New-SendConnector", True),
        ("Remove-SendConnector", True),
        ("Restart-Service", True),
        ("rm -rf /", True),
    ],
)
def test_mutating_by_verb(organisation: Organisation, name: str, mutating: bool) -> None:
    assert service(organisation).is_mutating(name) is mutating


def test_a_defect_of_a_handler_is_an_error_record(organisation: Organisation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(organisation.directory, "read", lambda *_: 1 / 0)
    record = Session(organisation)("Get-RemoteDomain").failed
    assert record.error_id == "LabDefect"
    assert "ZeroDivisionError" in record.message


# -- time, threads ---------------------------------------------------------------------------------------------------


def test_a_slow_cmdlet_can_be_stopped(tmp_path: Path) -> None:
    organisation = described(tmp_path, durations={"Get-RemoteDomain": 600})
    control = Running()
    threading.Timer(0.05, control.stopped.set).start()
    began = time.monotonic()
    with pytest.raises(Stopped):
        service(organisation).execute(ADMIN, [Invocation("Get-RemoteDomain")], control)
    assert time.monotonic() - began < 60


def test_a_stopped_pipeline_does_nothing(organisation: Organisation) -> None:
    control = Running()
    control.stopped.set()
    invocation = Invocation("New-RemoteDomain", [("Name", "x"), ("DomainName", "x.y")])
    with pytest.raises(Stopped):
        service(organisation).execute(ADMIN, [invocation], control)
    assert len(organisation.state()["objects"]["RemoteDomain"]) == 1


def test_a_slow_cmdlet_holds_nobody_up(tmp_path: Path) -> None:
    organisation = described(tmp_path, durations={"Get-AcceptedDomain": 600})
    control = Running()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(service(organisation).execute, ADMIN, [Invocation("Get-AcceptedDomain")], control)
        assert Session(organisation).good("Get-RemoteDomain").names == ["Default"]
        assert not slow.done()
        control.stopped.set()
        assert isinstance(slow.exception(60), Stopped)
    assert Session(organisation).good("Get-RemoteDomain").names == ["Default"]


def test_many_threads_at_once(call: Session) -> None:
    def work(number: int) -> str | None:
        answer = call("New-RemoteDomain", Name=f"d{number % 20}", DomainName=f"d{number % 20}.intern")
        return answer.reply.errors[0].reason if answer.reply.errors else None

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(work, range(40)))
    assert outcomes.count(None) == 20
    assert outcomes.count("ADObjectAlreadyExistsException") == 20
    assert len(call.good("Get-RemoteDomain").outputs) == 21


# -- replication -----------------------------------------------------------------------------------------------------


def test_another_controller_lags_by_its_own_reads(tmp_path: Path) -> None:
    organisation = described(tmp_path, replication={"delay_reads": 2})
    call = Session(organisation)
    call.good("New-RemoteDomain", Name="fax", DomainName="fax.intern")
    assert [each["noun"] for each in organisation.state()["pending"]] == ["RemoteDomain"]
    # Reading where it was written, or another class, brings it no nearer.
    for _ in range(3):
        assert call.good("Get-RemoteDomain").names == ["Default", "fax"]
        call.good("Get-AcceptedDomain", DomainController="dc02.alleo.intern")
    seen = [call("Get-RemoteDomain", DomainController="DC02").names for _ in range(4)]
    assert seen == [["Default"], ["Default"], ["Default", "fax"], ["Default", "fax"]]
    assert organisation.state()["pending"] == []


def test_changes_and_removals_lag_too(tmp_path: Path) -> None:
    organisation = described(tmp_path, replication={"delay_reads": 1})
    call = Session(organisation)
    other = Session(organisation, "EX02")
    call.good("Set-RemoteDomain", "Default", NDREnabled=False)
    assert other.good("Get-RemoteDomain").one["NDREnabled"] is True
    assert other.good("Get-RemoteDomain").one["NDREnabled"] is False
    other.good("New-RemoteDomain", Name="x", DomainName="x.y", DomainController="dc01.alleo.intern")
    call.good("Remove-RemoteDomain", "x", Confirm=False)
    assert organisation.state()["objects"]["RemoteDomain"][-1]["Name"] == "Default"


def test_an_object_that_is_not_there_yet_is_not_found(tmp_path: Path) -> None:
    organisation = described(tmp_path, replication={"delay_reads": 1})
    call = Session(organisation)
    call.good("New-RemoteDomain", Name="fax", DomainName="fax.intern")
    record = call("Set-RemoteDomain", "fax", NDREnabled=False, DomainController="DC02.alleo.intern").error
    assert record.message.endswith("object 'fax' couldn't be found on 'dc02.alleo.intern'.")
    call.good("Set-RemoteDomain", "fax", NDREnabled=False, DomainController="DC02.alleo.intern")


def test_without_delay_all_see_it_at_once(tmp_path: Path) -> None:
    organisation = described(tmp_path, replication={"delay_reads": 0})
    Session(organisation).good("New-RemoteDomain", Name="fax", DomainName="fax.intern")
    assert Session(organisation, "EX02").good("Get-RemoteDomain").names == ["Default", "fax"]


def test_the_domain_controller_asked_is_the_originating_server(call: Session) -> None:
    assert call.good("Get-RemoteDomain").one["OriginatingServer"] == "dc01.alleo.intern"
    asked = call.good("Get-RemoteDomain", DomainController="DC02.ALLEO.INTERN").one
    assert asked["OriginatingServer"] == "dc02.alleo.intern"
    assert Session(call.organisation, "EX02").good("Get-RemoteDomain").one["OriginatingServer"] == "dc02.alleo.intern"


def test_an_unknown_domain_controller(call: Session) -> None:
    record = call("Get-RemoteDomain", DomainController="dc09.alleo.intern").error
    assert record.reason == "SuitabilityDirectoryException"
    assert "[FailureCategory=Cmdlet-SuitabilityDirectoryException]" in record.error_id
    assert "'dc09.alleo.intern'" in record.message


# -- state, shapes, writer -------------------------------------------------------------------------------------------


def test_state_is_json_and_says_every_property(call: Session) -> None:
    call.good("New-RemoteDomain", Name="fäx", DomainName="fax.intern")
    state = json.loads(json.dumps(call.organisation.state()))
    assert state["domain_controllers"] == ["dc01.alleo.intern", "dc02.alleo.intern"]
    assert state["hosts"]["XPHONE01"]["address"] == "10.1.2.31"
    [written] = [each for each in state["objects"]["RemoteDomain"] if each["Name"] == "fäx"]
    read = call.good("Get-RemoteDomain", "fäx")
    assert written.keys() == read.one.keys()
    same = {key for key in written if not key.startswith("When")}
    assert {key: written[key] for key in same} == {key: read.one[key] for key in same}


def test_two_labs_begin_alike() -> None:
    assert load().state() == load().state()


@pytest.mark.parametrize(
    ("cmdlet", "fixture"),
    [
        ("Get-AcceptedDomain", "E19_GetAcceptedDomain"),
        ("Get-ExchangeServer", "E19_GetExchangeServer"),
        ("Get-ReceiveConnector", "E19_GetReceiveConnector"),
        ("Get-SendConnector", "E19_GetSendConnector"),
    ],
)
def test_shapes_are_those_of_real_objects(call: Session, cmdlet: str, fixture: str) -> None:
    file = SHARED / "fixtures" / "wire" / f"{fixture}.wire.xml"
    if not file.exists():
        pytest.skip(f"the shared fixture {file.name} is not beside the project")
    text = re.sub(r' xmlns="[^"]+"', "", file.read_text("utf-8-sig"))
    real = [ElementTree.tostring(each, "unicode") for each in ElementTree.fromstring(text)]
    for output in call.good(cmdlet).reply.outputs:
        assert list(kinds(output)) == list(kinds(real[0]))
        for name, kind in kinds(output).items():
            allowed = {kinds(each)[name] for each in real}
            assert kind in allowed or "Nil" in (kind, *allowed), f"{cmdlet}: {name} is sent as {kind}"
        types = [ElementTree.fromstring(each).findall("TN/T") for each in (output, real[0])]
        assert [each.text for each in types[0]] == [each.text for each in types[1]]
    lists = [each for each in ElementTree.fromstring(real[0]).iterfind("Props/Obj") if each.find("TN") is not None]
    ours = {
        each.get("N"): each for each in ElementTree.fromstring(call.good(cmdlet).reply.outputs[0]).iterfind("Props/Obj")
    }
    for each in lists:
        own = ours[each.get("N")].findall("TN/T")
        assert not own or [t.text for t in own] == [t.text for t in each.iterfind("TN/T")], each.get("N")


def test_remote_domain_has_the_known_properties(call: Session) -> None:
    file = SHARED / "fixtures" / "objects" / "get_remotedomain_default_exo.json"
    if not file.exists():
        pytest.skip(f"the shared fixture {file.name} is not beside the project")
    assert sorted(call.good("Get-RemoteDomain").one) == sorted(json.loads(file.read_text("utf-8"))["properties"])


def test_organization_config_has_the_known_properties(call: Session) -> None:
    file = SHARED / "fixtures" / "clixml" / "E19_GetOrganizationConfig.xml"
    if not file.exists():
        pytest.skip(f"the shared fixture {file.name} is not beside the project")
    text = re.sub(r' xmlns="[^"]+"', "", file.read_text("utf-8-sig"))
    names = [each.get("N") for each in ElementTree.fromstring(text).iterfind("Obj/Props/*")]
    assert sorted(call.good("Get-OrganizationConfig").one) == sorted(str(each) for each in names)


@given(st.text(st.characters(exclude_categories=()), max_size=60))
def test_text_survives_the_writer(text: str) -> None:
    element = ElementTree.fromstring(objects.render(objects.text(text)))
    normalised = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    assert unescape(element.text) == normalised


def test_nodes_of_every_kind() -> None:
    enumeration = objects.Enumeration("System.DayOfWeek", "Monday", 1)
    node = objects.Complex(
        ("A.B", "System.Object"),
        "x & y",
        {"None": objects.Scalar("S", None), "Empty": objects.Scalar("S", ""), 'a"b': objects.Scalar("BA", b"ab")},
        {"Day": enumeration, "Again": enumeration, "List": objects.texts(["a"], ("T",))},
    )
    assert objects.render(node) == (
        '<Obj RefId="0"><TN RefId="0"><T>A.B</T><T>System.Object</T></TN><ToString>x &amp; y</ToString>'
        '<Props><Nil N="None" /><S N="Empty" /><BA N="a&quot;b">YWI=</BA></Props>'
        '<MS><Obj RefId="1" N="Day"><TN RefId="1"><T>System.DayOfWeek</T><T>System.Enum</T><T>System.ValueType</T>'
        "<T>System.Object</T></TN><ToString>Monday</ToString><I32>1</I32></Obj>"
        '<Obj RefId="2" N="Again"><TNRef RefId="1" /><ToString>Monday</ToString><I32>1</I32></Obj>'
        '<Obj RefId="3" N="List"><TN RefId="2"><T>T</T></TN><LST><S>a</S></LST></Obj></MS></Obj>'
    )


def test_the_shipped_file_is_plain_yaml() -> None:
    assert yaml.safe_load(SHIPPED.read_text("utf-8"))["administrator"] == "umadmin"
