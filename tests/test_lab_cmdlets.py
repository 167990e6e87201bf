"""What the lab's cmdlets do, noun by noun."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from lab_calls import Answer, Session, described

from umkit.lab import cmdlets
from umkit.lab.model import LabSecret
from umkit.lab.organisation import load

#: Text that has broken tools before; each must come back byte for byte.
VERBATIM = [
    'it\'s "quoted"',
    "‘typographic’ “quotes” ‚low‛",
    "$(Get-Process) `backtick` $null",
    "two\nlines\r\nand\ttab",
    "<script>alert(1)</script> & ]]>",
    "Grüße aus Köln – ÄÖÜß",
    "fax \U0001f4e0 \U0001f600",
    "_x0041_ and _X000a_",
    "x" * 64,
    "-Confirm",
    "*",
    "CN=a,CN=b+c=\\d;e",
    "%s {0} {Name}",
]
FAX = {
    "Name": "fax",
    "AddressSpaces": ["SMTP:fax.alleo.intern;1"],
    "SmartHosts": ["10.1.2.31"],
    "DNSRoutingEnabled": False,
    "SourceTransportServers": ["EX01"],
}


@pytest.fixture
def call() -> Session:
    return Session(load())


@pytest.fixture
def windows() -> Session:
    return Session(load(), "EX01", "/wsman")


def refused(answer: Answer, reason: str) -> str:
    """The message of the one non-terminating error of an Exchange task."""
    record = answer.error
    assert record.reason == reason
    assert record.exception_type.endswith("." + reason)
    assert (record.category, record.category_name, record.target) == (0, "NotSpecified", None)
    pattern = (
        rf"\[Server=EX01,RequestId=(?P<id>[0-9a-f-]{{36}}),TimeStamp=\d+/\d+/\d{{4}} \d+:\d\d:\d\d [AP]M\] "
        rf"\[FailureCategory=Cmdlet-{reason}\] [0-9A-F]{{8}},Microsoft\.Exchange\.Management\.\w+\.\w+"
    )
    found = re.fullmatch(pattern, record.error_id)
    assert found, record.error_id
    assert UUID(found["id"])
    return record.message


def test_a_cmdlet_is_there_when_its_file_is() -> None:
    assert {"get-remotedomain", "set-sendconnector", "get-command"} <= cmdlets.commands("exchange").keys()
    assert {"get-ciminstance", "get-command", "get-date", "test-netconnection"} <= cmdlets.commands("windows").keys()
    for package in ("exchange", "windows"):
        for command in cmdlets.commands(package).values():
            assert command.handler.__doc__, command.cmdlet.name


# -- every noun ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cmdlet", "name", "identity"),
    [
        ("Get-RemoteDomain", "Default", "Default"),
        ("Get-SendConnector", "To Internet", "To Internet"),
        ("Get-AcceptedDomain", "alleo.intern", "alleo.intern"),
        ("Get-ExchangeServer", "EX01", "EX01"),
        ("Get-ReceiveConnector", "Default EX01", "EX01\\Default EX01"),
        ("Get-MailboxDatabase", "DB02", "DB02"),
        ("Get-DatabaseAvailabilityGroup", "DAG01", "DAG01"),
    ],
)
def test_identities(call: Session, cmdlet: str, name: str, identity: str) -> None:
    [found] = [each for each in call.good(cmdlet).outputs if each["Name"] == name]
    assert found["Identity"] == found["Id"] == identity
    for way in (identity, found["DistinguishedName"], found["Guid"], "{" + found["Guid"] + "}"):
        for text in (way, way.upper(), way.lower()):
            assert call.good(cmdlet, text).one == found
    assert call.good(cmdlet, Identity=UUID(found["Guid"])).one == found
    assert call.good(cmdlet, Identity=None).names == call.good(cmdlet).names
    assert "'nix'" in refused(call(cmdlet, "EX01\\nix" if "Receive" in cmdlet else "nix"), NOT_FOUND).replace(
        "EX01\\", ""
    )


NOT_FOUND = "ManagementObjectNotFoundException"


def test_not_found_says_it_as_exchange_does(call: Session) -> None:
    answer = call("Get-RemoteDomain", "fax")
    message = refused(answer, NOT_FOUND)
    assert (
        message == "The operation couldn't be performed because object 'fax' couldn't be found on 'dc01.alleo.intern'."
    )
    assert answer.error.exception_type == "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException"
    assert answer.error.activity == "Get-RemoteDomain"
    assert answer.outputs == []
    again = call("Get-RemoteDomain", "fax").error.error_id
    assert again != answer.error.error_id
    assert again.split()[-1] == answer.error.error_id.split()[-1]


@pytest.mark.parametrize(
    ("action", "errors", "failed"), [("Stop", 0, True), ("SilentlyContinue", 0, False), ("Ignore", 0, False)]
)
def test_error_action(call: Session, action: str, errors: int, failed: bool) -> None:
    reply = call("Get-RemoteDomain", "fax", ErrorAction=action).reply
    assert (len(reply.errors), reply.failed is not None) == (errors, failed)
    if reply.failed:
        assert "FailureCategory=Cmdlet-ManagementObjectNotFoundException" in reply.failed.error_id


@pytest.mark.parametrize("name", ["ErrorAction", "WarningAction"])
def test_inquire_needs_a_person(call: Session, name: str) -> None:
    cmdlet = ("Get-RemoteDomain", "fax") if name == "ErrorAction" else ("Set-RemoteDomain", "Default")
    assert call(*cmdlet, **{name: "Inquire"}).failed.error_id.startswith("HostFunctionNotImplemented,")


@pytest.mark.parametrize("cmdlet", ["Remove-RemoteDomain", "Remove-SendConnector"])
def test_removing_prompts_and_so_fails(call: Session, cmdlet: str) -> None:
    call.good("New-RemoteDomain", Name="fax", DomainName="fax.intern")
    call.good("New-SendConnector", **FAX)
    for more in ({}, {"Confirm": True}):
        record = call(cmdlet, "fax", **more).failed
        assert record.error_id.startswith("HostFunctionNotImplemented,Microsoft.Exchange.Management.")
        assert record.exception_type == "System.Management.Automation.Host.HostException"
        assert record.message.startswith("A command that prompts the user failed because the host program")
    call.good(cmdlet, "fax", WhatIf=True)
    reader = cmdlet.replace("Remove", "Get")
    assert call.good(reader, "fax").one["Name"] == "fax"
    assert call.good(cmdlet, "fax", Confirm=False).outputs == []
    refused(call(reader, "fax"), NOT_FOUND)
    refused(call(cmdlet, "fax"), NOT_FOUND)


def test_other_cmdlets_prompt_when_told_to(call: Session) -> None:
    answer = call("New-RemoteDomain", Name="fax", DomainName="fax.intern", Confirm=True)
    assert answer.failed.error_id.startswith("HostFunctionNotImplemented,")
    assert call.good("Get-RemoteDomain").names == ["Default"]


def test_whatif_changes_nothing(call: Session) -> None:
    before = call.organisation.state()
    assert call.good("New-RemoteDomain", Name="fax", DomainName="fax.intern", WhatIf=True).outputs == []
    call.good("Set-RemoteDomain", "Default", NDREnabled=False, WhatIf=True)
    call.good("New-SendConnector", **FAX, WhatIf=True)
    assert call.organisation.state() == before


def test_nothing_to_change_is_a_warning(call: Session) -> None:
    text = "The command completed successfully but no settings of 'Default' have been modified."
    assert call.good("Set-RemoteDomain", "Default", NDREnabled=True).warnings == [text]
    assert call.good("Set-RemoteDomain", "Default", NDREnabled=True, WarningAction="SilentlyContinue").warnings == []
    stopped = call("Set-RemoteDomain", "Default", NDREnabled=True, WarningAction="Stop").failed
    assert stopped.error_id.startswith("ActionPreferenceStop,")
    assert call.good("Set-RemoteDomain", "Default", NDREnabled=False).warnings == []


@pytest.mark.parametrize("name", VERBATIM)
def test_names_are_kept_byte_for_byte(call: Session, name: str) -> None:
    assert call.good("New-RemoteDomain", Name=name, DomainName="fax.intern").one["Name"] == name
    found = call.good("Get-RemoteDomain", name).one
    assert (found["Name"], found["Identity"], found["Id"]) == (name, name, name)
    assert call.good("Get-RemoteDomain", found["DistinguishedName"]).one == found
    call.good("Set-RemoteDomain", name, NDREnabled=False)
    call.good("New-SendConnector", **{**FAX, "Name": name, "Comment": name * 3})
    connector = call.good("Get-SendConnector", name).one
    assert (connector["Name"], connector["Comment"]) == (name, name * 3)
    call.good("Remove-RemoteDomain", name, Confirm=False)
    assert call.good("Get-RemoteDomain").names == ["Default"]


@pytest.mark.parametrize("name", ["x" * 65, "\U0001f600" * 33, "   "])
def test_names_that_are_refused(call: Session, name: str) -> None:
    call.good("New-RemoteDomain", Name="\U0001f600" * 32, DomainName="x.y")
    for answer in (
        call("New-RemoteDomain", Name=name, DomainName="fax.intern"),
        call("Set-RemoteDomain", "\U0001f600" * 32, Name=name),
        call("New-SendConnector", **{**FAX, "Name": name}),
    ):
        record = answer.failed
        assert record.error_id.startswith("ParameterBindingFailed,Microsoft.Exchange.Management.")
        assert record.reason == "ParameterBindingException"


# -- remote domains --------------------------------------------------------------------------------------------------


def test_new_remote_domain_has_the_documented_defaults(call: Session) -> None:
    made = call.good("New-RemoteDomain", Name="fax", DomainName="fax.alleo.intern").one
    assert made == call.good("Get-RemoteDomain", "FAX").one
    want: dict[str, Any] = {
        **dict.fromkeys(("CharacterSet", "NonMimeCharacterSet", "TNEFEnabled", "RequiredCharsetCoverage"), None),
        **dict.fromkeys(("AutoReplyEnabled", "AutoForwardEnabled", "DeliveryReportEnabled", "NDREnabled"), True),
        **dict.fromkeys(("NDRDiagnosticInfoEnabled", "DisplaySenderName", "MeetingForwardNotificationEnabled"), True),
        **dict.fromkeys(("IsInternal", "TargetDeliveryDomain", "UseSimpleDisplayName"), False),
        "AllowedOOFType": "External",
        "ContentType": "MimeHtmlText",
        "LineWrapSize": "Unlimited",
        "MessageCountThreshold": 2147483647,
        "DomainName": "fax.alleo.intern",
    }
    assert {name: made[name] for name in want} == want


def test_the_built_in_remote_domain(call: Session) -> None:
    default = call.good("Get-RemoteDomain").one
    assert (default["DomainName"], default["CharacterSet"], default["NonMimeCharacterSet"]) == ("*",) + (
        "iso-8859-1",
    ) * 2
    assert (default["AutoReplyEnabled"], default["AutoForwardEnabled"]) == (False, False)
    refused(call("Remove-RemoteDomain", "Default", Confirm=False), "InvalidOperationException")
    assert call.good("Get-RemoteDomain").names == ["Default"]


def test_the_eight_settings_of_the_page(call: Session) -> None:
    call.good("New-RemoteDomain", Name="fax", DomainName="fax.alleo.intern")
    wanted: dict[str, Any] = {
        "CharacterSet": "iso-8859-1",
        "NonMimeCharacterSet": "iso-8859-1",
        "AllowedOOFType": "None",
        "AutoReplyEnabled": False,
        "DeliveryReportEnabled": False,
        "NDREnabled": False,
        "ContentType": "MimeText",
        "TNEFEnabled": False,
    }
    for name, value in wanted.items():
        assert call.good("Set-RemoteDomain", "fax", **{name: value}).outputs == []
    found = call.good("Get-RemoteDomain", "fax").one
    assert {name: found[name] for name in wanted} == wanted
    assert found["AutoForwardEnabled"] is True
    call.good("Set-RemoteDomain", "fax", CharacterSet=None, TNEFEnabled=None)
    found = call.good("Get-RemoteDomain", "fax").one
    assert (found["CharacterSet"], found["TNEFEnabled"]) == (None, None)


def test_new_remote_domain_takes_name_and_domain_only(call: Session) -> None:
    answer = call("New-RemoteDomain", Name="fax", DomainName="fax.intern", CharacterSet="iso-8859-1")
    assert answer.failed.error_id.startswith("NamedParameterNotFound,")
    assert call("Set-RemoteDomain", "Default", DomainName="x.y").failed.error_id.startswith("NamedParameterNotFound,")


@pytest.mark.parametrize("domain", ["a.*.com", "*a.com", "a b.com", "a..b", "*.", "-a.com", "ä.com"])
def test_bad_domain_names(call: Session, domain: str) -> None:
    record = call("New-RemoteDomain", Name="fax", DomainName=domain).failed
    assert record.error_id.startswith("CannotConvertArgumentNoMessage,")


@pytest.mark.parametrize("domain", ["contoso.com", "*.contoso.com", "intern", "FAX.alleo.intern"])
def test_good_domain_names(call: Session, domain: str) -> None:
    assert call.good("New-RemoteDomain", Name="x", DomainName=domain).one["DomainName"] == domain


def test_name_and_domain_are_unique(call: Session) -> None:
    call.good("New-RemoteDomain", Name="fax", DomainName="fax.intern")
    reason = "ADObjectAlreadyExistsException"
    message = refused(call("New-RemoteDomain", Name="FAX", DomainName="other.intern"), reason)
    assert "The object 'CN=fax,CN=Internet Message Formats," in message
    refused(call("New-RemoteDomain", Name="other", DomainName="FAX.intern"), reason)
    refused(call("New-RemoteDomain", Name="all", DomainName="*"), reason)
    call.good("New-RemoteDomain", Name="sms", DomainName="sms.intern")
    refused(call("Set-RemoteDomain", "sms", Name="fax"), reason)
    call.good("Set-RemoteDomain", "sms", Name="SMS")
    assert call.good("Get-RemoteDomain", "sms").one["Identity"] == "SMS"


@pytest.mark.parametrize(
    ("given", "kind", "internal"),
    [
        ({"AllowedOOFType": "InternalLegacy"}, "InternalLegacy", True),
        ({"IsInternal": False}, "ExternalLegacy", False),
        ({"IsInternal": False, "AllowedOOFType": "None"}, "None", False),
        ({"IsInternal": True}, "External", True),
        ({"AllowedOOFType": "None"}, "None", False),
    ],
)
def test_out_of_office_type_and_internal_are_coupled(
    call: Session, given: dict[str, Any], kind: str, internal: bool
) -> None:
    call.good("New-RemoteDomain", Name="fax", DomainName="fax.intern")
    call.good("Set-RemoteDomain", "fax", **given)
    found = call.good("Get-RemoteDomain", "fax").one
    assert (found["AllowedOOFType"], found["IsInternal"]) == (kind, internal)


# -- send connectors -------------------------------------------------------------------------------------------------


def test_new_send_connector(call: Session) -> None:
    made = call.good("New-SendConnector", **FAX, Usage="Custom", Port=2533, SmartHostAuthMechanism="None").one
    assert made == call.good("Get-SendConnector", "fax").one
    assert made["AddressSpaces"] == ["SMTP:fax.alleo.intern;1"]
    assert (made["SmartHosts"], made["SmartHostsString"]) == (["[10.1.2.31]"], "[10.1.2.31]")
    assert (made["DNSRoutingEnabled"], made["Port"], made["SourceTransportServers"]) == (False, 2533, ["EX01"])
    assert (made["MaxMessageSize"], made["ConnectionInactivityTimeOut"]) == ("35 MB (36,700,160 bytes)", "00:10:00")
    assert (made["Enabled"], made["SmartHostAuthMechanism"]) == (True, "None")
    assert "Usage" not in made
    assert "CN=Connections,CN=Exchange Routing Group" in made["DistinguishedName"]


def test_smart_host_literals_may_be_printed_plainly(tmp_path: Path) -> None:
    call = Session(described(tmp_path, options={"smart_host_literals": "plain"}))
    for given in ("10.1.2.31", "[10.1.2.31]"):
        assert call.good("New-SendConnector", **{**FAX, "Name": given, "SmartHosts": given}).one["SmartHosts"] == [
            "10.1.2.31"
        ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"DNSRoutingEnabled": True}, "DNSRoutingEnabled must be $false"),
        ({"SmartHosts": None}, "you must specify SmartHosts"),
        ({"SmartHosts": None, "DNSRoutingEnabled": True, "AddressSpaces": "FAX:*;1"}, "isn't SMTP"),
        ({"SmartHosts": None, "DNSRoutingEnabled": True, "SmartHostAuthMechanism": "ExchangeServer"}, "smart hosts"),
        ({"SmartHostAuthMechanism": "BasicAuth"}, "requires AuthenticationCredential"),
        ({"SmartHostAuthMechanism": "BasicAuth, ExchangeServer"}, "mutually exclusive"),
        ({"RequireTLS": True, "IgnoreSTARTTLS": True}, "IgnoreSTARTTLS"),
        ({"TlsAuthLevel": "EncryptionOnly"}, "RequireTLS"),
        ({"SourceTransportServers": None}, "source transport server"),
        ({"Custom": True, "Usage": "Custom"}, "can't be used together"),
        ({"Custom": True, "Internet": True}, "can't be used together"),
    ],
)
def test_send_connector_rules(call: Session, change: dict[str, Any], words: str) -> None:
    assert words in refused(call("New-SendConnector", **{**FAX, **change}), "InvalidOperationException")
    assert call.good("Get-SendConnector").names == ["To Internet"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AddressSpaces", "*contoso.com"),
        ("AddressSpaces", "SMTP:a.b;0"),
        ("AddressSpaces", "SMTP:a.b;101"),
        ("AddressSpaces", ["a.b", "c d"]),
        ("SmartHosts", "10.1.1"),
        ("SmartHosts", "[a.b]"),
        ("SmartHosts", "a b"),
    ],
)
def test_bad_elements(call: Session, name: str, value: object) -> None:
    record = call("New-SendConnector", **{**FAX, name: value}).failed
    assert record.error_id.startswith("CannotConvertArgumentNoMessage,")
    assert "Microsoft.Exchange.Data." in record.message


def test_other_address_spaces_and_hosts(call: Session) -> None:
    spaces = ["a.b", "SMTP:a.b;1", "*.c;7", "FAX:any thing;2"]
    made = call.good("New-SendConnector", **{**FAX, "AddressSpaces": spaces, "SmartHosts": ["h.a.b", "fe80::1"]}).one
    assert made["AddressSpaces"] == ["SMTP:a.b;1", "SMTP:*.c;7", "FAX:any thing;2"]
    assert (made["SmartHosts"], made["SmartHostsString"]) == (["h.a.b", "[fe80::1]"], "h.a.b,[fe80::1]")


def test_source_servers_must_exist(call: Session) -> None:
    refused(call("New-SendConnector", **{**FAX, "SourceTransportServers": ["EX01", "EX09"]}), NOT_FOUND)
    servers = ["ex02.alleo.intern", call.good("Get-ExchangeServer", "EX01").one["DistinguishedName"]]
    made = call.good("New-SendConnector", **{**FAX, "SourceTransportServers": servers}).one
    assert (made["SourceTransportServers"], made["HomeMtaServerId"]) == (["EX02", "EX01"], "EX02")
    own = call.good("New-SendConnector", Name="own", AddressSpaces="a.b").one
    assert own["SourceTransportServers"] == ["EX01"]


def test_send_connector_names_are_unique(call: Session) -> None:
    call.good("New-SendConnector", **FAX)
    refused(call("New-SendConnector", **{**FAX, "Name": "FAX"}), "ADObjectAlreadyExistsException")


def test_set_send_connector(call: Session) -> None:
    call.good("New-SendConnector", **FAX)
    call.good("Set-SendConnector", "FAX", Port="2544", Enabled=False, MaxMessageSize="10MB", Comment=None)
    found = call.good("Get-SendConnector", "fax").one
    assert (found["Port"], found["Enabled"], found["Comment"]) == (2544, False, "")
    assert found["MaxMessageSize"] == "10 MB (10,485,760 bytes)"
    call.good("Set-SendConnector", "fax", SmartHosts={"Add": ["xphone01.alleo.intern", "10.1.2.31"]})
    assert call.good("Get-SendConnector", "fax").one["SmartHosts"] == ["[10.1.2.31]", "xphone01.alleo.intern"]
    call.good("Set-SendConnector", "fax", SmartHosts={"Remove": "10.1.2.31", "Add": []})
    assert call.good("Get-SendConnector", "fax").one["SmartHosts"] == ["xphone01.alleo.intern"]
    call.good("Set-SendConnector", "fax", SourceTransportServers={"Add": "EX02"}, AddressSpaces=["b.c;2"])
    found = call.good("Get-SendConnector", "fax").one
    assert (found["SourceTransportServers"], found["AddressSpaces"]) == (["EX01", "EX02"], ["SMTP:b.c;2"])
    assert call.good("Set-SendConnector", "fax", AddressSpaces="b.c;2").warnings
    refused(call("Set-SendConnector", "fax", AddressSpaces=None), "InvalidOperationException")
    call.good("Set-SendConnector", "fax", SmartHosts=None, DNSRoutingEnabled=True)
    assert call.good("Get-SendConnector", "fax").one["SmartHosts"] == []


def test_smart_hosts_are_on_the_same_command_line(call: Session) -> None:
    answer = call("Set-SendConnector", "To Internet", DNSRoutingEnabled=False)
    assert "same command line" in refused(answer, "InvalidOperationException")
    refused(call("Set-SendConnector", "To Internet", SmartHosts="10.1.2.31"), "InvalidOperationException")
    call.good("Set-SendConnector", "To Internet", DNSRoutingEnabled=False, SmartHosts="10.1.2.31")
    call.good("Set-SendConnector", "To Internet", SmartHosts="10.1.2.32")
    refused(call("Set-SendConnector", "To Internet", SmartHosts={"Remove": "10.1.2.32"}), "InvalidOperationException")


def test_a_password_is_nowhere(call: Session) -> None:
    credential = {"UserName": "relay", "Password": LabSecret("geheim-7")}
    made = call.good(
        "New-SendConnector", **FAX, SmartHostAuthMechanism="BasicAuth", AuthenticationCredential=credential
    )
    assert made.one["AuthenticationCredential"] == "relay"
    assert "geheim-7" not in str(call.organisation.state()) + str(made.reply)


# -- what is only read -----------------------------------------------------------------------------------------------


def test_exchange_servers(call: Session) -> None:
    first, second = call.good("Get-ExchangeServer").outputs
    assert (first["Name"], first["Fqdn"], second["Name"]) == ("EX01", "ex01.alleo.intern", "EX02")
    assert (first["AdminDisplayVersion"], first["ServerRole"]) == ("Version 15.2 (Build 1544.4)", "Mailbox")
    assert first["CurrentDomainControllers"] == []
    status = call.good("Get-ExchangeServer", "ex01.alleo.intern", Status=True).one
    assert status["CurrentConfigDomainController"] == "dc01.alleo.intern"
    assert call.good("Get-ExchangeServer", Domain="ALLEO.intern").names == ["EX01", "EX02"]
    assert call.good("Get-ExchangeServer", Domain="other.intern").outputs == []


def test_receive_connectors(call: Session) -> None:
    everything = call.good("Get-ReceiveConnector").outputs
    assert len(everything) == 10
    of_one = call.good("Get-ReceiveConnector", Server="ex02.alleo.intern").outputs
    assert [each["Bindings"][0] for each in of_one] == ["[::]:2525", "[::]:465", "[::]:25", "[::]:717", "[::]:587"]
    assert call.good("Get-ReceiveConnector", "Client Frontend EX01").one["Identity"] == "EX01\\Client Frontend EX01"
    refused(call("Get-ReceiveConnector", "Client Frontend EX02"), NOT_FOUND)
    refused(call("Get-ReceiveConnector", Server="EX09"), NOT_FOUND)


def test_databases_and_group(call: Session) -> None:
    group = call.good("Get-DatabaseAvailabilityGroup").one
    assert (group["Servers"], group["ReplicationPort"]) == (["EX01", "EX02"], 0)
    assert call.good("Get-DatabaseAvailabilityGroup", "DAG01", Status=True).one["PrimaryActiveManager"] == "EX01"
    assert call.good("Get-MailboxDatabase").names == ["DB01", "DB02", "DB03"]
    assert call.good("Get-MailboxDatabase", Server="EX02").names == ["DB01", "DB02", "DB03"]
    database = call.good("Get-MailboxDatabase", "DB02").one
    assert (database["Server"], database["DatabaseCopies"]) == ("EX02", ["DB02\\EX02", "DB02\\EX01"])
    assert (database["Mounted"], call.good("Get-MailboxDatabase", "DB02", Status=True).one["Mounted"]) == (None, True)
    assert call("Get-MailboxDatabase", "DB02", DumpsterStatistics=True).failed.error_id == "NotSimulatedByLab"


def test_organisation_and_domains(call: Session) -> None:
    config = call.good("Get-OrganizationConfig").one
    assert (config["Name"], config["RBACConfigurationVersion"]) == ("Alleo", "0.1 (15.2.1544.4)")
    assert [each["Default"] for each in call.good("Get-AcceptedDomain").outputs] == [True, False]


def test_a_database_without_group(tmp_path: Path) -> None:
    organisation = described(tmp_path, objects={"MailboxDatabase": [{"Name": "DB09", "Server": "EX02"}]})
    found = Session(organisation).good("Get-MailboxDatabase").one
    assert (found["MasterType"], found["MasterServerOrAvailabilityGroup"], found["Servers"]) == (
        "Server",
        "EX02",
        ["EX02"],
    )


# -- Get-Command -----------------------------------------------------------------------------------------------------


def test_get_command_lists_what_the_account_may_run(call: Session) -> None:
    names = call.good("Get-Command").names
    assert names == sorted(names)
    assert {"Get-RemoteDomain", "New-SendConnector", "Get-Command"} <= set(names)
    assert "Get-CimInstance" not in names
    limited = Session(call.organisation, user="umlimited").good("Get-Command").names
    assert set(names) - set(limited) == {"New-SendConnector", "Remove-RemoteDomain", "Remove-SendConnector"}


def test_get_command_filters(call: Session) -> None:
    assert call.good("Get-Command", "get-*connector").names == ["Get-ReceiveConnector", "Get-SendConnector"]
    nouns = ["ReceiveConnector", "SendConnector"]
    assert call.good("Get-Command", Noun=nouns, Verb="Set").names == [f"Set-{noun}" for noun in nouns]
    assert call.good("Get-Command", Noun=["RemoteDomain"], Verb=["Get", "New"]).names == [
        "Get-RemoteDomain",
        "New-RemoteDomain",
    ]
    assert call.good("Get-Command", "Nothing-*").outputs == []
    assert call.good("Get-Command", CommandType="Function").outputs == []
    assert call.good("Get-Command", ParameterName="TNEF*").names == ["Set-RemoteDomain"]
    assert len(call.good("Get-Command", TotalCount=3).outputs) == 3
    assert call("Get-Command", Syntax=True).failed.error_id == "NotSimulatedByLab"


def test_get_command_names_what_is_missing_one_by_one(call: Session) -> None:
    answer = call("Get-Command", Name=["Get-RemoteDomain", "Get-Foo", "Set-SendConnector", "Get-Bar"])
    assert answer.names == ["Get-RemoteDomain", "Set-SendConnector"]
    assert answer.reply.failed is None
    assert [each.target for each in answer.reply.errors] == ["Get-Foo", "Get-Bar"]
    for record in answer.reply.errors:
        assert record.error_id == "CommandNotFoundException,Microsoft.PowerShell.Commands.GetCommandCommand"
        assert record.category_name == "ObjectNotFound"
    stopped = call("Get-Command", Name="Get-Foo", ErrorAction="Stop")
    assert stopped.failed.error_id.startswith("CommandNotFoundException,")


# -- Windows ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["XPHONE01", "xphone01.alleo.intern", "10.1.2.31"])
@pytest.mark.parametrize(("port", "answers"), [(2533, True), (25, False)])
def test_net_connection(windows: Session, target: str, port: int, answers: bool) -> None:
    answer = windows.good("Test-NetConnection", ComputerName=target, Port=port)
    assert (answer.one["ComputerName"], answer.one["RemoteAddress"]) == (target, "10.1.2.31")
    assert (answer.one["RemotePort"], answer.one["TcpTestSucceeded"]) == (port, answers)
    assert answer.one["SourceAddress"] == "10.1.1.21"
    assert answer.warnings == ([] if answers else [f"TCP connect to (10.1.2.31 : {port}) failed"])
    assert windows.good("Test-NetConnection", target, Port=port, InformationLevel="Quiet").outputs == [answers]


def test_net_connection_to_nobody(windows: Session) -> None:
    answer = windows.good("Test-NetConnection", ComputerName="nix.alleo.intern", Port=25)
    assert (answer.one["RemoteAddress"], answer.one["TcpTestSucceeded"]) == (None, False)
    assert answer.warnings == ["Name resolution of nix.alleo.intern failed"]
    away = windows.good("Test-NetConnection", ComputerName="10.9.9.9", Port=25)
    assert away.warnings == ["TCP connect to (10.9.9.9 : 25) failed", "Ping to 10.9.9.9 failed with status: TimedOut"]
    silent = windows.good("Test-NetConnection", ComputerName="10.9.9.9", Port=25, WarningAction="SilentlyContinue")
    assert silent.warnings == []


def test_net_connection_by_name_of_port_and_by_ping(windows: Session) -> None:
    assert windows.good("Test-NetConnection", "EX02", CommonTCPPort="http").one["TcpTestSucceeded"] is True
    assert windows.good("Test-NetConnection", "EX02").one["PingSucceeded"] is True
    assert windows("Test-NetConnection", "EX02", TraceRoute=True).failed.error_id == "NotSimulatedByLab"
    assert windows("Test-NetConnection").failed.error_id == "NotSimulatedByLab"


def test_a_port_may_be_closed_to_some(tmp_path: Path) -> None:
    organisation = described(tmp_path, network=[{"to": "10.1.2.31:2533", "only_from": ["EX02"]}])
    reached = {
        name: Session(organisation, name, "/wsman")
        .good("Test-NetConnection", "XPHONE01", Port=2533)
        .one["TcpTestSucceeded"]
        for name in ("EX01", "EX02")
    }
    assert reached == {"EX01": False, "EX02": True}


def test_operating_system(windows: Session) -> None:
    found = windows.good("Get-CimInstance", ClassName="win32_operatingsystem").one
    assert (found["CSName"], found["Version"], found["BuildNumber"]) == ("EX01", "10.0.17763", "17763")
    assert (found["Caption"], found["ProductType"]) == ("Microsoft Windows Server 2019 Standard", 3)
    narrowed = windows.good("Get-CimInstance", "Win32_OperatingSystem", Property=["caption"]).one
    assert {name for name, value in narrowed.items() if value is not None} == {"Caption"}
    controller = Session(windows.organisation, "DC01", "/wsman").good("Get-CimInstance", "Win32_OperatingSystem").one
    assert (controller["CSName"], controller["ProductType"]) == ("DC01", 2)
    record = windows("Get-CimInstance", "Win32_Nothing").error
    assert record.error_id == "HRESULT 0x80041010,Microsoft.Management.Infrastructure.CimCmdlets.GetCimInstanceCommand"
    assert record.category_name == "MetadataError"
    assert (
        windows("Get-CimInstance", "Win32_OperatingSystem", Namespace="root/other").failed.error_id
        == "NotSimulatedByLab"
    )


def test_date(windows: Session) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+01:00", windows.good("Get-Date").one)
    given = {"Date": "2026-11-22T17:00:00", "Hour": 5}
    assert windows.good("Get-Date", **given).one == "2026-11-22T05:00:00"
    assert windows.good("Get-Date", **given, Format="s").one == "2026-11-22T05:00:00"
    assert windows("Get-Date", Month=13).failed.reason == "ArgumentOutOfRangeException"
    assert windows("Get-Date", Format="dddd").failed.error_id == "NotSimulatedByLab"


def test_windows_commands(windows: Session) -> None:
    names = windows.good("Get-Command").names
    assert {"Get-CimInstance", "Get-Command", "Get-Date", "Test-NetConnection"} <= set(names)
    assert names == sorted(names)
    assert windows.good("Get-Command", CommandType="Function").names == ["Get-FileHash", "Test-NetConnection"]
