"""Receive connectors, IMAP settings and the rights on directory objects, as the lab's Exchange endpoint has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lab_calls import Answer, Session, described

from umkit.lab import listening
from umkit.lab.organisation import load

RELAY: dict[str, Any] = {
    "Name": "Relay",
    "Server": "EX01",
    "TransportRole": "HubTransport",
    "Custom": True,
    "Bindings": ["0.0.0.0:2500"],
    "RemoteIPRanges": ["10.1.2.31"],
}
ANY_RECIPIENT = "ms-Exch-SMTP-Accept-Any-Recipient"
ANONYMOUS = "NT AUTHORITY\\ANONYMOUS LOGON"
NOT_FOUND = "ManagementObjectNotFoundException"


@pytest.fixture
def call() -> Session:
    return Session(load())


def refused(answer: Answer, reason: str = "InvalidOperationException") -> str:
    record = answer.error
    assert record.reason == reason, record.message
    assert f"[FailureCategory=Cmdlet-{reason}]" in record.error_id
    return record.message


def rows(answer: Answer) -> list[tuple[str, list[str], bool, bool]]:
    return [(each["User"], each["ExtendedRights"], each["Deny"], each["IsInherited"]) for each in answer.outputs]


# -- receive connectors ----------------------------------------------------------------------------------------------


def test_a_custom_connector_accepts_nothing_yet(call: Session) -> None:
    made = call.good("New-ReceiveConnector", **RELAY).one
    assert (made["Identity"], made["Name"], made["Server"]) == ("EX01\\Relay", "Relay", "EX01")
    assert (made["PermissionGroups"], made["AuthMechanism"]) == ("None", "Tls")
    assert (made["Bindings"], made["RemoteIPRanges"]) == (["0.0.0.0:2500"], ["10.1.2.31"])
    assert (made["TransportRole"], made["Fqdn"], made["Enabled"]) == ("HubTransport", "ex01.alleo.intern", True)
    assert "Usage" not in made
    assert call.good("Get-ReceiveConnector", "EX01\\Relay").one == made
    assert call.good("Get-ReceiveConnector", "Relay").one == made
    assert call.good("Get-ReceiveConnector", made["DistinguishedName"]).one == made


@pytest.mark.parametrize(
    ("usage", "given", "groups", "mechanism", "bindings"),
    [
        ("Custom", {"Bindings": "0.0.0.0:2500", "RemoteIPRanges": "10.0.0.1"}, "None", "Tls", ["0.0.0.0:2500"]),
        (
            "Internal",
            {"RemoteIPRanges": "10.0.0.1"},
            "ExchangeServers, ExchangeLegacyServers",
            "Tls, ExchangeServer",
            ["0.0.0.0:25"],
        ),
        ("Internet", {"Bindings": "10.1.1.21:26"}, "AnonymousUsers", "Tls", ["10.1.1.21:26"]),
        ("Partner", {"Bindings": "0.0.0.0:26", "RemoteIPRanges": "10.0.0.1"}, "Partners", "Tls", ["0.0.0.0:26"]),
        (
            "Client",
            {"RemoteIPRanges": "10.0.0.1"},
            "ExchangeUsers",
            "Tls, Integrated, BasicAuth, BasicAuthRequireTLS",
            ["0.0.0.0:587"],
        ),
    ],
)
def test_what_a_usage_sets(
    call: Session, usage: str, given: dict[str, Any], groups: str, mechanism: str, bindings: list[str]
) -> None:
    for number, way in enumerate(({"Usage": usage}, {usage: True})):
        values = given | {"Bindings": bindings} if usage not in ("Internal", "Client") else given
        name = f"{usage} {number}"
        made = call.good("New-ReceiveConnector", Name=name, TransportRole="FrontendTransport", **way, **values).one
        assert (made["PermissionGroups"], made["AuthMechanism"], made["Bindings"]) == (groups, mechanism, bindings)
        call.good("Remove-ReceiveConnector", f"EX01\\{name}", Confirm=False)


@pytest.mark.parametrize(
    "given",
    [
        {"Usage": "Custom", "Bindings": "0.0.0.0:26"},
        {"Usage": "Custom", "RemoteIPRanges": "10.0.0.1"},
        {"Usage": "Client", "Bindings": "0.0.0.0:588", "RemoteIPRanges": "10.0.0.1"},
        {"Usage": "Internet", "Bindings": "0.0.0.0:26", "RemoteIPRanges": "10.0.0.1"},
        {"Usage": "Internet"},
    ],
)
def test_usages_that_are_refused(call: Session, given: dict[str, Any]) -> None:
    refused(call("New-ReceiveConnector", Name="x", **given))
    assert "x" not in call.good("Get-ReceiveConnector").names


@pytest.mark.parametrize("two", [{"Usage": "Custom", "Custom": True}, {"Internal": True, "Custom": True}])
def test_only_one_usage(call: Session, two: dict[str, Any]) -> None:
    answer = call("New-ReceiveConnector", Name="x", Bindings="0.0.0.0:26", RemoteIPRanges="10.0.0.1", **two)
    assert answer.failed.error_id.startswith("AmbiguousParameterSet,")


def test_another_transport_role_needs_another_binding(call: Session) -> None:
    message = refused(
        call("New-ReceiveConnector", **{**RELAY, "Bindings": "0.0.0.0:25"}), "ConnectorMappingConflictException"
    )
    assert message == (
        "The values that you specified for the Bindings and RemoteIPRanges parameters conflict with the settings on "
        'Receive connector "EX01\\Default Frontend EX01". Receive connectors assigned to different Transport roles on '
        "a single server must listen on unique local IP address & port bindings."
    )
    frontend = {**RELAY, "Bindings": "0.0.0.0:25", "TransportRole": "FrontendTransport"}
    assert call.good("New-ReceiveConnector", **frontend).one["Bindings"] == ["0.0.0.0:25"]


@pytest.mark.parametrize(
    ("ranges", "good"),
    [
        (["10.1.2.31"], False),
        (["10.1.2.31-10.1.2.31"], False),
        (["10.1.2.0/24"], True),
        (["10.1.2.0-10.1.2.255"], True),
        (["10.1.2.32"], True),
        (["10.1.2.32", "10.1.2.31/32"], False),
        (["::1"], True),
    ],
)
def test_ranges_overlap_by_containment_only(call: Session, ranges: list[str], good: bool) -> None:
    call.good("New-ReceiveConnector", **RELAY)
    other = {**RELAY, "Name": "Other", "RemoteIPRanges": ranges}
    if good:
        assert call.good("New-ReceiveConnector", **other).one["RemoteIPRanges"] == ranges
    else:
        assert '"EX01\\Relay"' in refused(call("New-ReceiveConnector", **other), "ConnectorMappingConflictException")
    call.good("New-ReceiveConnector", **{**other, "Server": "EX02"})


def test_partly_overlapping_ranges_conflict_on_a_change_too(call: Session) -> None:
    call.good("New-ReceiveConnector", **{**RELAY, "RemoteIPRanges": "10.0.0.10-10.0.0.20"})
    call.good("New-ReceiveConnector", **{**RELAY, "Name": "Other", "RemoteIPRanges": "10.0.0.30"})
    refused(
        call("Set-ReceiveConnector", "EX01\\Other", RemoteIPRanges="10.0.0.15-10.0.0.25"),
        "ConnectorMappingConflictException",
    )
    call.good("Set-ReceiveConnector", "EX01\\Other", RemoteIPRanges="10.0.0.12-10.0.0.15")
    call.good("Set-ReceiveConnector", "EX01\\Other", Comment="own ranges don't conflict with themselves")


@pytest.mark.parametrize(
    "given",
    [
        {"AuthMechanism": "None, Tls"},
        {"AuthMechanism": "BasicAuthRequireTLS"},
        {"AuthMechanism": "ExternalAuthoritative"},
        {"AuthMechanism": "ExternalAuthoritative, Integrated", "PermissionGroups": "ExchangeServers"},
        {"AuthMechanism": "None", "RequireTLS": True},
        {"PermissionGroups": "None, AnonymousUsers"},
        {"PermissionGroups": "AnonymousUsers, Custom"},
        {"Bindings": []},
    ],
)
def test_combinations_that_are_refused(call: Session, given: dict[str, Any]) -> None:
    before = call.good("New-ReceiveConnector", **RELAY).one
    refused(call("Set-ReceiveConnector", "EX01\\Relay", **given))
    assert call.good("Get-ReceiveConnector", "EX01\\Relay").one == before


@pytest.mark.parametrize(
    "given",
    [
        {"AuthMechanism": "ExternalAuthoritative", "PermissionGroups": "ExchangeServers"},
        {"AuthMechanism": ["Tls", "ExternalAuthoritative"], "PermissionGroups": ["ExchangeServers"]},
        {"AuthMechanism": "Tls, BasicAuth, BasicAuthRequireTLS"},
        {"AuthMechanism": "None"},
    ],
)
def test_combinations_that_are_taken(call: Session, given: dict[str, Any]) -> None:
    call.good("New-ReceiveConnector", **RELAY)
    call.good("Set-ReceiveConnector", "EX01\\Relay", **given)


@pytest.mark.parametrize("role", ["FrontendTransport", "HubTransport"])
def test_the_role_of_a_connector_that_names_none(tmp_path: Path, role: str) -> None:
    call = Session(described(tmp_path, options={"connector_role": role}))
    given = {name: value for name, value in RELAY.items() if name != "TransportRole"}
    assert call.good("New-ReceiveConnector", **given).one["TransportRole"] == role
    assert call("New-ReceiveConnector", **{**RELAY, "TransportRole": "Frontend"}).failed.error_id.startswith(
        "CannotConvertArgumentNoMessage,"
    )


@pytest.mark.parametrize("text", ["0.0.0.0", "0.0.0.0:0", "0.0.0.0:65536", "a:25", "::1:25", "[1.2.3.4]:25", ":25"])
def test_bad_bindings(call: Session, text: str) -> None:
    with pytest.raises(ValueError, match="IP address"):
        listening.binding(text)
    record = call("New-ReceiveConnector", **{**RELAY, "Bindings": text}).failed
    assert record.error_id.startswith("CannotConvertArgumentNoMessage,")


@pytest.mark.parametrize("text", ["", "10.0.0", "10.0.0.2-10.0.0.1", "10.0.0.1-::1", "10.0.0.1/33", "*", "host.a"])
def test_bad_ranges(text: str) -> None:
    with pytest.raises(ValueError, match="range"):
        listening.ip_range(text)


def test_removing_a_connector_takes_its_rights_along(call: Session) -> None:
    made = call.good("New-ReceiveConnector", **RELAY).one
    call.good("Add-ADPermission", made["DistinguishedName"], User=ANONYMOUS, ExtendedRights=ANY_RECIPIENT)
    assert call("Remove-ReceiveConnector", "EX01\\Relay").failed.error_id.startswith("HostFunctionNotImplemented,")
    call.good("Remove-ReceiveConnector", "EX01\\Relay", Confirm=False)
    refused(call("Get-ReceiveConnector", "EX01\\Relay"), NOT_FOUND)
    made = call.good("New-ReceiveConnector", **RELAY).one
    assert ANONYMOUS not in [each[0] for each in rows(call.good("Get-ADPermission", made["DistinguishedName"]))]


# -- the relay right -------------------------------------------------------------------------------------------------


def test_the_documented_way_to_anonymous_relay(call: Session) -> None:
    name = call.good("New-ReceiveConnector", **RELAY).one["DistinguishedName"]
    call.good("Set-ReceiveConnector", "EX01\\Relay", PermissionGroups="AnonymousUsers")
    granted = [each[1] for each in rows(call.good("Get-ADPermission", name, User=ANONYMOUS))]
    assert sorted(granted) == [
        ["ms-Exch-Accept-Headers-Routing"],
        ["ms-Exch-SMTP-Accept-Any-Sender"],
        ["ms-Exch-SMTP-Accept-Authoritative-Domain-Sender"],
        ["ms-Exch-SMTP-Submit"],
    ]
    assert call.good("Get-ReceiveConnector", "EX01\\Relay").one["PermissionGroups"] == "AnonymousUsers"
    added = call.good("Add-ADPermission", name, User=ANONYMOUS, ExtendedRights="Ms-Exch-SMTP-Accept-Any-Recipient")
    assert rows(added) == [(ANONYMOUS, [ANY_RECIPIENT], False, False)]
    assert added.one["AccessRights"] == ["ExtendedRight"]
    assert added.one["Identity"] == "EX01\\Relay"
    assert call.good("Get-ReceiveConnector", "EX01\\Relay").one["PermissionGroups"] == "AnonymousUsers, Custom"
    assert len(rows(call.good("Get-ADPermission", name, User="S-1-5-7"))) == 5
    again = call.good("Add-ADPermission", name, User="ANONYMOUS LOGON", ExtendedRights=ANY_RECIPIENT)
    assert "already present" in again.warnings[0]
    call.good("Remove-ADPermission", name, User=ANONYMOUS, ExtendedRights=ANY_RECIPIENT, Confirm=False)
    assert call.good("Get-ReceiveConnector", "EX01\\Relay").one["PermissionGroups"] == "AnonymousUsers"


def test_a_connector_is_named_by_its_distinguished_name(call: Session) -> None:
    call.good("New-ReceiveConnector", **RELAY)
    refused(call("Get-ADPermission", "EX01\\Relay"), NOT_FOUND)
    assert rows(call.good("Get-ADPermission", "Relay"))
    call.good("New-ReceiveConnector", **{**RELAY, "Server": "EX02"})
    refused(call("Get-ADPermission", "Relay"), "ManagementObjectAmbiguousException")


def test_a_sid_may_be_refused_as_trustee(tmp_path: Path) -> None:
    call = Session(described(tmp_path, options={"sid_trustees": False}))
    name = call.good("New-ReceiveConnector", **RELAY).one["DistinguishedName"]
    refused(call("Add-ADPermission", name, User="S-1-5-7", ExtendedRights=ANY_RECIPIENT), NOT_FOUND)
    call.good("Add-ADPermission", name, User=ANONYMOUS, ExtendedRights=ANY_RECIPIENT)


# -- rights on databases ---------------------------------------------------------------------------------------------


def test_the_rights_of_the_page(call: Session) -> None:
    given = {"AccessRights": "ExtendedRight", "ExtendedRights": ["Receive-As", "Send-As"], "User": "MAPIAccount"}
    before = call.good("Get-ADPermission", "DB01").outputs
    assert {(each["Deny"], each["IsInherited"]) for each in before} == {(True, True)}
    assert {each["User"] for each in before} == {
        "ALLEO\\Administrator",
        "ALLEO\\Domain Admins",
        "ALLEO\\Enterprise Admins",
        "ALLEO\\Organization Management",
    }
    added = call.good("Add-ADPermission", "DB01", **given)
    wanted = [("ALLEO\\MAPIAccount", [right], False, False) for right in ("Receive-As", "Send-As")]
    assert rows(added) == wanted
    assert [each["Identity"] for each in added.outputs] == ["DB01", "DB01"]
    for user in ("ALLEO\\mapiaccount", "MAPIAccount@alleo.intern", "alleo.intern/Users/MAPIAccount"):
        assert rows(call.good("Get-ADPermission", "db01", User=user)) == wanted
    assert rows(call.good("Get-ADPermission", "DB02", User="MAPIAccount")) == []
    prompted = call("Remove-ADPermission", "DB01", **given)
    assert prompted.failed.error_id.startswith("HostFunctionNotImplemented,")
    call.good("Remove-ADPermission", "DB01", **{**given, "ExtendedRights": "Send-As"}, Confirm=False)
    assert rows(call.good("Get-ADPermission", "DB01", User="MAPIAccount")) == wanted[:1]
    gone = call.good("Remove-ADPermission", "DB01", **given, Confirm=False)
    assert len(gone.warnings) == 1
    assert call.good("Get-ADPermission", "DB01").outputs == before


def test_a_deny_is_an_entry_of_its_own(call: Session) -> None:
    given = {"User": "MAPIAccount", "ExtendedRights": "Receive-As"}
    call.good("Add-ADPermission", "DB01", **given)
    call.good("Add-ADPermission", "DB01", **given, Deny=True)
    found = rows(call.good("Get-ADPermission", "DB01", User="MAPIAccount"))
    assert [each[2] for each in found] == [False, True]
    call.good("Remove-ADPermission", "DB01", **given, Deny=True, Confirm=False)
    assert [each[2] for each in rows(call.good("Get-ADPermission", "DB01", User="MAPIAccount"))] == [False]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"Identity": "DB09", "User": "MAPIAccount", "ExtendedRights": "Send-As"}, NOT_FOUND),
        ({"Identity": "DB01", "User": "nobody", "ExtendedRights": "Send-As"}, NOT_FOUND),
        ({"Identity": "DB01", "User": "MAPIAccount", "ExtendedRights": "Fly"}, NOT_FOUND),
        ({"Identity": "DB01", "User": "MAPIAccount"}, "InvalidOperationException"),
    ],
)
def test_rights_that_cannot_be_given(call: Session, given: dict[str, Any], reason: str) -> None:
    refused(call("Add-ADPermission", **given), reason)


def test_whatif_grants_nothing(call: Session) -> None:
    given = {"User": "MAPIAccount", "ExtendedRights": "Send-As", "WhatIf": True}
    assert call.good("Add-ADPermission", "DB01", **given).outputs == []
    assert call.good("Get-ADPermission", "DB01", User="MAPIAccount").outputs == []


def test_a_right_reaches_the_other_domain_controller_later(call: Session) -> None:
    call.good("Add-ADPermission", "DB01", User="MAPIAccount", ExtendedRights="Send-As", DomainController="dc01")
    other = {"User": "MAPIAccount", "DomainController": "dc02.alleo.intern"}
    assert rows(call.good("Get-ADPermission", "DB01", **other)) == []
    assert len(rows(call.good("Get-ADPermission", "DB01", **other))) == 1


def test_access_to_a_mailbox_follows_from_the_database(call: Session) -> None:
    def full() -> list[tuple[list[str], bool, bool]]:
        found = call.good("Get-MailboxPermission", "testuser@alleo.intern", User="MAPIAccount").outputs
        return [(each["AccessRights"], each["Deny"], each["IsInherited"]) for each in found]

    assert full() == []
    call.good("Add-ADPermission", "DB01", User="MAPIAccount", ExtendedRights="Receive-As")
    assert full() == []
    call.good("Add-ADPermission", "DB02", User="MAPIAccount", ExtendedRights=["Receive-As", "Send-As"])
    assert full() == [(["FullAccess"], False, True)]
    call.good("Add-ADPermission", "DB02", User="MAPIAccount", ExtendedRights="Receive-As", Deny=True)
    assert full() == [(["FullAccess"], False, True), (["FullAccess"], True, True)]


def test_the_rows_that_every_mailbox_shows(call: Session) -> None:
    found = call.good("Get-MailboxPermission", "testuser").outputs
    denied = {each["User"] for each in found if each["Deny"]}
    assert denied == {f"ALLEO\\{name}" for name in ("Administrator", "Domain Admins", "Enterprise Admins")} | {
        "ALLEO\\Organization Management"
    }
    assert [each["User"] for each in found if not each["IsInherited"]] == ["NT AUTHORITY\\SELF"]
    full = {each["User"] for each in found if not each["Deny"] and "FullAccess" in each["AccessRights"]}
    assert {"NT AUTHORITY\\SYSTEM", "ALLEO\\Exchange Servers"} <= full
    assert {each["Identity"] for each in found} == {"alleo.intern/Users/Test User"}


# -- IMAP settings ---------------------------------------------------------------------------------------------------


def test_imap_settings_are_per_server(call: Session) -> None:
    found = call.good("Get-ImapSettings").one
    assert (found["Server"], found["LoginType"]) == ("EX01", "SecureLogin")
    assert found["MessageRetrievalMimeFormat"] == "BestBodyFormat"
    assert (found["MaxConnectionsPerUser"], found["ProxyTargetPort"]) == (16, 1993)
    assert found["UnencryptedOrTLSBindings"] == ["[::]:143", "0.0.0.0:143"]
    assert found["ExternalConnectionSettings"] == []
    wanted = {"LoginType": "PlainTextLogin", "MessageRetrievalMimeFormat": "TextOnly"}
    answer = call.good("Set-ImapSettings", Server="EX02", **wanted)
    assert answer.outputs == []
    assert "restarted on server EX02" in answer.warnings[0]
    assert call.good("Get-ImapSettings").one == found
    other = call.good("Get-ImapSettings", Server="ex02.alleo.intern", DomainController="dc01").one
    assert {name: other[name] for name in wanted} == wanted
    assert other["Identity"] == "EX02\\1"


def test_imap_settings_that_are_refused(call: Session) -> None:
    assert call("Set-ImapSettings", LoginType="Plain").failed.error_id.startswith("CannotConvertArgumentNoMessage,")
    assert call("Set-ImapSettings", MaxCommandSize=100).failed.error_id.startswith("ParameterBindingFailed,")
    bad = call("Set-ImapSettings", ExternalConnectionSettings="host:993:STARTTLS").failed
    assert bad.error_id.startswith("CannotConvertArgumentNoMessage,")
    refused(call("Get-ImapSettings", Server="EX09"), NOT_FOUND)
    same = call.good("Set-ImapSettings", LoginType=3)
    assert same.warnings == [
        "The command completed successfully but no settings of 'EX01\\1' have been modified.",
    ]
