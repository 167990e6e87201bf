"""The lab binds parameters as PowerShell does, by its tables alone."""

from __future__ import annotations

import importlib.util
import json
import os
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umkit.lab import quantities, tables
from umkit.lab.binding import COMMON, Bound, bind
from umkit.lab.model import LabSecret
from umkit.lab.records import Refusal
from umkit.lab.values import Change

SHARED = Path(os.environ.get("UMKIT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
DATA = Path(__file__).resolve().parents[1] / "umkit" / "lab" / "data"
SET_REMOTE_DOMAIN = "Microsoft.Exchange.Management.SystemConfigurationTasks.SetRemoteDomain"


def known(name: str) -> tables.Cmdlet:
    every = {**tables.cmdlets("windows"), **tables.cmdlets("exchange")}
    return every[name.lower()]


def bound(name: str, *positional: Any, **named: Any) -> Bound:
    return bind(known(name), [*((None, each) for each in positional), *named.items()])


def refused(name: str, *positional: Any, **named: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        bound(name, *positional, **named)
    assert caught.value.terminating
    return caught.value


@pytest.mark.parametrize("table", ["exchange_cmdlets.json", "windows_cmdlets.json"])
def test_tables_are_those_of_the_reference(table: str) -> None:
    reference = SHARED / "reference" / table
    if not reference.exists():
        pytest.skip(f"the shared reference ({table}) is not beside the project")
    spec = importlib.util.spec_from_file_location("reduce", Path(__file__).parent / "tools" / "reduce_cmdlets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (DATA / table).read_text("utf-8") == module.reduce(json.loads(reference.read_text("utf-8")))


def test_all_cmdlets_are_there() -> None:
    assert len(tables.cmdlets("exchange")) == 54
    assert {"get-command", "test-netconnection", "get-ciminstance"} <= tables.cmdlets("windows").keys()
    for cmdlet in (*tables.cmdlets("exchange").values(), *tables.cmdlets("windows").values()):
        for each in cmdlet.sets:
            assert {*each.required, *each.positional} <= each.parameters <= cmdlet.parameters.keys(), cmdlet.name


# -- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["AllowedOOFType", "allowedooftype", "ALLOWED", "al"])
def test_names_in_any_case_and_shortened(name: str) -> None:
    assert bound("Set-RemoteDomain", "fax", **{name: "None"}).parameters["AllowedOOFType"] == "None"


@pytest.mark.parametrize(("name", "full"), [("cf", "Confirm"), ("wi", "WhatIf"), ("CONF", "Confirm")])
def test_aliases(name: str, full: str) -> None:
    assert bound("Set-RemoteDomain", "fax", **{name: False}).parameters[full] is False


@pytest.mark.parametrize("name", ["ea", "ErrorAction", "errora"])
def test_common_parameters(name: str) -> None:
    assert bound("Get-RemoteDomain", **{name: "stop"}).common == {"ErrorAction": "Stop"}
    assert bound("Get-RemoteDomain", **{name: 1}).common == {"ErrorAction": "Stop"}


def test_a_declared_parameter_wins_over_common_ones() -> None:
    assert bound("Set-SendConnector", "x", Err="Default").parameters["ErrorPolicies"] == "Default"


@pytest.mark.parametrize("name", ["Auto", "ND", "Err", "n"])
def test_ambiguous_name(name: str) -> None:
    refusal = refused("Set-RemoteDomain", "fax", **{name: True})
    assert refusal.error_id == f"AmbiguousParameter,{SET_REMOTE_DOMAIN}"
    assert refusal.category == "InvalidArgument"
    assert refusal.message.startswith(
        f"Parameter cannot be processed because the parameter name '{name}' is ambiguous."
    )


@pytest.mark.parametrize("name", ["Foo", "DomainName", "", "IdentityX"])
def test_unknown_name(name: str) -> None:
    refusal = refused("Set-RemoteDomain", "fax", **{name: "x"})
    assert refusal.error_id == f"NamedParameterNotFound,{SET_REMOTE_DOMAIN}"
    assert refusal.message == f"A parameter cannot be found that matches parameter name '{name}'."
    assert refusal.exception_type.endswith(".ParameterBindingException")


def test_a_hidden_parameter_looks_unknown() -> None:
    with pytest.raises(Refusal) as caught:
        bind(known("Set-RemoteDomain"), [("TNEFEnabled", False)], hidden=frozenset({"tnefenabled"}))
    assert caught.value.error_id == f"NamedParameterNotFound,{SET_REMOTE_DOMAIN}"


def test_what_is_not_listed_for_2016_and_2019_is_unknown() -> None:
    assert "NamedParameterNotFound" in refused("Set-RemoteDomain", "x", IsCoexistenceDomain=True).error_id
    assert "NamedParameterNotFound" in refused("New-SendConnector", Name="x", LinkedReceiveConnector="y").error_id
    assert "NamedParameterNotFound" in refused("Get-RemoteDomain", Confirm=False).error_id


def test_twice() -> None:
    with pytest.raises(Refusal) as caught:
        bind(known("Set-RemoteDomain"), [("Identity", "a"), ("ident", "b")])
    assert caught.value.error_id == f"ParameterAlreadyBound,{SET_REMOTE_DOMAIN}"


@given(st.text(max_size=20), st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.lists(st.text())))
def test_nothing_gets_past_the_binder(name: str, value: object) -> None:
    """Whatever is sent, it is bound to a known parameter or refused with an id of the engine."""
    cmdlet = known("Set-RemoteDomain")
    result: Bound | Refusal
    try:
        result = bind(cmdlet, [("Identity", "fax"), (name, value)])
    except Refusal as refusal:
        result = refusal
    if isinstance(result, Refusal):
        assert result.error_id.endswith(f",{SET_REMOTE_DOMAIN}")
    else:
        assert result.parameters.keys() <= cmdlet.parameters.keys()
        assert result.common.keys() <= COMMON.keys()


# -- positions and sets ----------------------------------------------------------------------------------------------


def test_positional() -> None:
    assert bound("Set-RemoteDomain", "fax").parameters == {"Identity": "fax"}
    assert bound("New-RemoteDomain", "fax", DomainName="fax.alleo.intern").parameters["Name"] == "fax"
    # By position number, so Name comes before ArgumentList although that is in the default set.
    assert bound("Get-Command", "Get-*").parameters == {"Name": ["Get-*"]}
    assert bound("Set-ItemProperty", "HKLM:\\X", "n", "v").parameters == {
        "Path": ["HKLM:\\X"],
        "Name": "n",
        "Value": "v",
    }


def test_too_many_positional() -> None:
    refusal = refused("Get-RemoteDomain", "fax", "sms")
    assert refusal.error_id.startswith("PositionalParameterNotFound,")
    assert refusal.message == "A positional parameter cannot be found that accepts argument 'sms'."


def test_name_of_a_send_connector_is_not_positional() -> None:
    assert refused("New-SendConnector", "Fax", AddressSpaces="x.y").error_id.startswith("PositionalParameterNotFound,")


def test_mixed_sets() -> None:
    refusal = refused("Get-ReceiveConnector", Identity="EX01\\x", Server="EX01")
    assert refusal.error_id.startswith("AmbiguousParameterSet,")
    assert refused("Get-CimInstance", CimSession="EX01").error_id.startswith("AmbiguousParameterSet,")
    assert refused("Get-Command", Name="x", Verb="Get").error_id.startswith("AmbiguousParameterSet,")


def test_chosen_set() -> None:
    assert bound("Get-ReceiveConnector").parameter_set == "Identity"
    assert bound("Get-ReceiveConnector", Server="EX01").parameter_set == "Server"
    assert bound("Test-NetConnection", ComputerName="x").parameter_set == "ICMP"
    assert bound("Test-NetConnection", ComputerName="x", Port=25).parameter_set == "RemotePort"
    assert bound("Get-CimInstance", "Win32_Service").parameter_set == "ClassNameComputerSet"


@pytest.mark.parametrize(
    ("name", "given_parameters", "missing"),
    [
        ("New-RemoteDomain", {}, "Name DomainName"),
        ("New-RemoteDomain", {"Name": "fax"}, "DomainName"),
        ("Set-RemoteDomain", {"NDREnabled": False}, "Identity"),
        ("New-SendConnector", {"Name": "fax"}, "AddressSpaces"),
        ("Get-CimInstance", {}, "ClassName"),
    ],
)
def test_missing(name: str, given_parameters: dict[str, Any], missing: str) -> None:
    refusal = refused(name, **given_parameters)
    assert refusal.error_id == f"MissingMandatoryParameter,{known(name).type_name}"
    assert refusal.message == f"Cannot process command because of one or more missing mandatory parameters: {missing}."


@pytest.mark.parametrize(
    ("value", "suffix"), [(None, "NullNotAllowed"), ("", "EmptyStringNotAllowed"), ([], "EmptyArrayNotAllowed")]
)
def test_nothing_for_a_mandatory_parameter(value: object, suffix: str) -> None:
    refusal = refused("New-SendConnector", Name="x", AddressSpaces=value)
    assert refusal.error_id.startswith(f"ParameterArgumentValidationError{suffix},")
    assert refusal.category == "InvalidData"


def test_dynamic_parameters_need_their_provider() -> None:
    arguments: list[tuple[str | None, Any]] = [("LiteralPath", "C:\\f"), ("Encoding", "byte"), ("Raw", True)]
    result = bind(known("Get-Content"), arguments, provider="FileSystem")
    assert result.parameters["Encoding"] == "Byte"
    with pytest.raises(Refusal, match="parameter name 'Encoding'"):
        bind(known("Get-Content"), arguments, provider="Registry")
    typed: list[tuple[str | None, Any]] = [("LiteralPath", "HKLM:\\X"), ("Name", "n"), ("Value", 1), ("Type", "dword")]
    assert bind(known("Set-ItemProperty"), typed, provider="Registry").parameters["Type"] == "DWord"


# -- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "given_value", "want"),
    [
        ("NDREnabled", True, True),
        ("NDREnabled", 0, False),
        ("TNEFEnabled", None, None),
        ("AllowedOOFType", "externallegacy", "ExternalLegacy"),
        ("CharacterSet", "ISO-8859-1", "iso-8859-1"),
        ("CharacterSet", None, None),
        ("LineWrapSize", "unlimited", "Unlimited"),
        ("LineWrapSize", 72, "72"),
        ("MessageCountThreshold", "12", 12),
        ("MessageCountThreshold", 2.5, 2),
        ("MessageCountThreshold", None, 0),
        ("Identity", UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        ("DomainController", "dc01.alleo.intern", "dc01.alleo.intern"),
        ("Name", 5, "5"),
    ],
)
def test_converted(name: str, given_value: object, want: object) -> None:
    result = bound("Set-RemoteDomain", **{"Identity": "fax", name: given_value})
    assert result.parameters[name] == want


@pytest.mark.parametrize(
    ("name", "given_value", "want"),
    [
        ("MaxMessageSize", "36 MB", "36 MB (37,748,736 bytes)"),
        ("MaxMessageSize", "36 MB (37,748,736 bytes)", "36 MB (37,748,736 bytes)"),
        ("MaxMessageSize", 1000, "1000 B (1,000 bytes)"),
        ("MaxMessageSize", "UNLIMITED", "Unlimited"),
        ("ConnectionInactivityTimeOut", "0:15", "00:15:00"),
        ("ConnectionInactivityTimeOut", "1", "1.00:00:00"),
        ("ConnectionInactivityTimeOut", timedelta(minutes=10), "00:10:00"),
        ("Port", 2533, 2533),
        ("SmartHosts", "10.1.1.1", ["10.1.1.1"]),
        ("SmartHosts", ["10.1.1.1", "b.c"], ["10.1.1.1", "b.c"]),
        ("SmartHosts", None, []),
        ("SmartHosts", {"Add": "a.b", "remove": ["c.d", "e.f"]}, Change(["a.b"], ["c.d", "e.f"])),
        ("ErrorPolicies", ["DowngradeDnsFailures", "default"], "Default, DowngradeDnsFailures"),
        ("SourceIPAddress", "10.1.1.21", "10.1.1.21"),
        ("Force", None, True),
    ],
)
def test_converted_for_send_connectors(name: str, given_value: object, want: object) -> None:
    assert bound("Set-SendConnector", "fax", **{name: given_value}).parameters[name] == want


@pytest.mark.parametrize(
    ("name", "given_value", "error_id", "category"),
    [
        ("NDREnabled", "false", "CannotConvertArgument", "InvalidArgument"),
        ("NDREnabled", None, "CannotConvertArgument", "InvalidArgument"),
        ("NDREnabled", [True], "CannotConvertArgument", "InvalidArgument"),
        ("Confirm", "False", "CannotConvertArgument", "InvalidArgument"),
        ("Name", ["a", "b"], "CannotConvertArgument", "InvalidArgument"),
        ("Name", {"a": 1}, "CannotConvertArgument", "InvalidArgument"),
        ("Identity", {"Name": "fax"}, "CannotConvertArgument", "InvalidArgument"),
        ("Name", LabSecret("geheim"), "CannotConvertArgument", "InvalidArgument"),
        ("MessageCountThreshold", b"1", "CannotConvertArgument", "InvalidArgument"),
        ("AllowedOOFType", "Nobody", "CannotConvertArgumentNoMessage", "InvalidArgument"),
        ("AllowedOOFType", "External, None", "CannotConvertArgumentNoMessage", "InvalidArgument"),
        ("AllowedOOFType", None, "CannotConvertArgumentNoMessage", "InvalidArgument"),
        ("MessageCountThreshold", "many", "CannotConvertArgumentNoMessage", "InvalidArgument"),
        ("MessageCountThreshold", 2**31, "CannotConvertArgumentNoMessage", "InvalidArgument"),
        ("LineWrapSize", "wide", "CannotConvertArgumentNoMessage", "InvalidArgument"),
        ("LineWrapSize", -1, "CannotConvertArgumentNoMessage", "InvalidArgument"),
        ("DomainController", "no such name", "CannotConvertArgumentNoMessage", "InvalidArgument"),
        ("Identity", "", "CannotConvertArgumentNoMessage", "InvalidArgument"),
        ("LineWrapSize", 133, "ParameterBindingFailed", "WriteError"),
        ("CharacterSet", "iso-8859-99", "ParameterBindingFailed", "WriteError"),
        ("Verbose", "yes", "CannotConvertArgument", "InvalidArgument"),
        ("ErrorAction", "Never", "CannotConvertArgumentNoMessage", "InvalidArgument"),
    ],
)
def test_bad_values(name: str, given_value: object, error_id: str, category: str) -> None:
    refusal = refused("Set-RemoteDomain", **{"Identity": "fax", name: given_value})
    assert refusal.error_id == f"{error_id},{SET_REMOTE_DOMAIN}"
    assert refusal.category == category
    assert f"'{name}'" in refusal.message
    assert "geheim" not in refusal.message


@pytest.mark.parametrize(
    ("cmdlet", "name", "given_value", "error_id"),
    [
        ("Set-SendConnector", "Port", 65536, "ParameterBindingFailed"),
        ("Set-SendConnector", "ConnectionInactivityTimeOut", "2.00:00:00", "ParameterBindingFailed"),
        ("Set-SendConnector", "ConnectionInactivityTimeOut", "25:00:00", "CannotConvertArgumentNoMessage"),
        ("Set-SendConnector", "MaxMessageSize", "big", "CannotConvertArgumentNoMessage"),
        ("Set-SendConnector", "MaxMessageSize", "4GB", "ParameterBindingFailed"),
        ("Set-SendConnector", "AddressSpaces", {"Add": "x.y"}, "CannotConvertArgument"),
        ("Set-SendConnector", "SmartHosts", {"Replace": "x.y"}, "CannotConvertArgument"),
        ("Set-SendConnector", "SmartHosts", {}, "CannotConvertArgument"),
        ("Set-SendConnector", "AuthenticationCredential", "user", "CannotConvertArgument"),
        ("Set-SendConnector", "TlsDomain", "a.*.b", "CannotConvertArgumentNoMessage"),
        ("Set-SendConnector", "SourceIPAddress", "10.1.1", "CannotConvertArgumentNoMessage"),
        ("Test-NetConnection", "CommonTCPPort", "SMTP", "ParameterArgumentValidationError"),
        ("Test-NetConnection", "Port", "smtp", "CannotConvertArgumentNoMessage"),
        ("Get-Date", "Date", "yesterday", "CannotConvertArgumentNoMessage"),
        ("Set-Service", "InputObject", "Spooler", "CannotConvertArgument"),
        ("Where-Object", "FilterScript", "$true", "CannotConvertArgument"),
    ],
)
def test_bad_values_elsewhere(cmdlet: str, name: str, given_value: object, error_id: str) -> None:
    identity = {"Identity": "fax"} if "Identity" in known(cmdlet).parameters else {}
    refusal = refused(cmdlet, **identity, **{name: given_value})
    assert refusal.error_id == f"{error_id},{known(cmdlet).type_name}"


def test_other_types() -> None:
    secret = LabSecret("x")
    credential = bound("Set-SendConnector", "x", AuthenticationCredential={"username": "u", "Password": secret})
    assert credential.parameters["AuthenticationCredential"] == {"UserName": "u", "Password": secret}
    moment = datetime(2026, 11, 22, 17)
    assert bound("Get-Date", Date=moment).parameters["Date"] == bound("Get-Date", "2026-11-22T17:00").parameters["Date"]
    assert bound("Set-Content", LiteralPath="C:\\f", Value=b"ab").parameters["Value"] == b"ab"
    assert bound("New-Mailbox", Name="x", Password=secret, UserPrincipalName="x@y").parameters["Password"] is secret


def test_throttling_limits_are_integer_or_unlimited() -> None:
    """The pages say UInt32, which was true in 2010 only (reference/exchange.md §1)."""
    values = bound("New-ThrottlingPolicy", "p", RCAMaxConcurrency="unlimited", EWSMaxSubscriptions=5000).parameters
    assert values == {"Name": "p", "RCAMaxConcurrency": "Unlimited", "EWSMaxSubscriptions": "5000"}


# -- quantities ------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**40))
def test_sizes_survive_their_print(count: int) -> None:
    assert quantities.size(quantities.show_size(count)) == count


@given(st.timedeltas(timedelta(0), timedelta(days=9999)))
def test_spans_survive_their_print(duration: timedelta) -> None:
    assert quantities.span(quantities.show_span(duration)) == duration


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("contoso.com", "SMTP:contoso.com;1"),
        ("contoso.com;7", "SMTP:contoso.com;7"),
        ("smtp:*", "smtp:*;1"),
        ("SMTP:*.contoso.com;100", "SMTP:*.contoso.com;100"),
        ("FAX:*;1", "FAX:*;1"),
        ("X400:c=us;a=adatum;p=org;1", "X400:c=us;a=adatum;p=org;1"),
    ],
)
def test_address_spaces(text: str, want: str) -> None:
    assert quantities.address_space(text) == want


@pytest.mark.parametrize(
    "text", ["", "*contoso.com", "a.*.b", "x.y;0", "x.y;101", "x.y;one", "x y", "SMTP:", ":x.y", "X400:c=us;a=adatum"]
)
def test_no_address_space(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        quantities.address_space(text)


def test_decimals_are_numbers() -> None:
    assert bound("Set-SendConnector", "x", Port=Decimal(25)).parameters["Port"] == 25
    assert "CannotConvertArgumentNoMessage" in refused("Set-SendConnector", "x", Port=Decimal("NaN")).error_id
