"""The organisations that the lab ships, and the list of defects beside one of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from lab_calls import Session

from umkit.chapters import chapters
from umkit.customer import load as load_customer
from umkit.lab.organisation import load

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / "umkit" / "lab" / "organisations"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml") if "." not in path.stem)
DEFECTS = yaml.safe_load((FOLDER / "migrated-mess.defects.yaml").read_text("utf-8"))
#: Organisation → customer file for it.
CUSTOMERS = {
    "clean-2019-dag": HERE.parent / "parameters" / "lab.yaml",
    "migrated-mess": HERE / "parameters" / "mess.yaml",
    "single-2016-german": HERE / "parameters" / "german.yaml",
}


def test_what_is_shipped() -> None:
    assert NAMES == ["clean-2019-dag", "migrated-mess", "outdated-server", "single-2016-german"]


@pytest.mark.parametrize("name", NAMES)
def test_an_organisation_is_the_same_every_time(name: str) -> None:
    states = [load(name).state()["objects"] for _ in range(2)]
    assert states[0] == states[1]


@pytest.mark.parametrize(("organisation", "file"), CUSTOMERS.items())
def test_a_customer_file_names_what_its_organisation_has(organisation: str, file: Path) -> None:
    customer, built = load_customer(file), load(organisation)
    assert {host.name for host in customer.hosts.exchange} == {each.name for each in built.exchange_servers}
    assert built.host(customer.hosts.xphone.name) is not None
    assert built.find_latest("Mailbox", customer.mapi.account)
    assert built.find_latest("Mailbox", customer.mapi.test_mailbox)
    assert built.host(str(customer.xphone.address)) is built.host(customer.hosts.xphone.name)


def test_the_list_of_defects_is_well_formed() -> None:
    steps = {step.id for chapter in chapters().values() for step in chapter.steps}
    names = [each["id"] for each in DEFECTS]
    assert len(set(names)) == len(names)
    for each in DEFECTS:
        assert each["step"] in steps, each["id"]
        assert each["says"].strip(), each["id"]
        assert isinstance(each["mended_by_apply"], bool), each["id"]
        assert each.keys() <= {"id", "step", "says", "mode", "mended_by_apply"}, each["id"]
        assert each.get("mode", "plan") in ("plan", "apply"), each["id"]


def test_the_clean_organisation_grants_nothing_yet() -> None:
    objects = load("clean-2019-dag").state()["objects"]
    assert objects["ADPermission"] == []
    assert len(objects["ReceiveConnector"]) == 10
    assert [each["ThrottlingPolicyScope"] for each in objects["ThrottlingPolicy"]] == ["Global"]
    assert {each["LoginType"] for each in objects["ImapSettings"]} == {"SecureLogin"}


def test_the_german_organisation_speaks_german() -> None:
    call = Session(load("single-2016-german"), "EXCH1", user="MUSTERFIRMA\\umadmin")
    answer = call("Get-RemoteDomain", "fax")
    assert answer.error.message == (
        "Der Vorgang konnte nicht ausgeführt werden, da das Objekt 'fax' auf 'dc1.musterfirma.intern' nicht gefunden "
        "wurde."
    )
    assert "FailureCategory=Cmdlet-ManagementObjectNotFoundException" in answer.error.error_id
    assert call("Get-Nothing").failed.message.startswith('Die Benennung "Get-Nothing"')
    assert call.good("Set-RemoteDomain", "Default", NDREnabled=True).warnings[0].startswith("Der Befehl wurde")
    groups = {each["Sid"].rpartition("-")[2]: each["Name"] for each in call.good("Get-Group").outputs}
    assert (groups["512"], groups["519"], groups["518"]) == ("Domänen-Admins", "Organisations-Admins", "Schema-Admins")
    assert "Organization Management" in call.good("Get-Group").names
    assert call.good("Get-ExchangeServer").one["AdminDisplayVersion"] == "Version 15.1 (Build 2507.6)"
    users = {each["User"] for each in call.good("Get-MailboxPermission", "Jörg Müller").outputs}
    assert {"NT-AUTORITÄT\\SELBST", "MUSTERFIRMA\\Organisations-Admins", "MUSTERFIRMA\\Exchange Servers"} <= users


def test_the_mess_is_a_mess() -> None:
    call = Session(load("migrated-mess"))
    name = call.good("Get-ReceiveConnector", "EX01\\Scanner Relay").one
    assert name["PermissionGroups"] == "AnonymousUsers, Custom"
    rows = call.good("Get-ADPermission", "DB02", User="MAPIAccount").outputs
    assert sorted((each["ExtendedRights"][0], each["Deny"]) for each in rows) == [
        ("Receive-As", False),
        ("Receive-As", True),
        ("Send-As", False),
    ]
    group = call.good("Get-RoleGroup", "EwsImpersonationRoleGroup").one
    assert (group["Roles"], group["Members"]) == (["ApplicationImpersonation"], ["alleo.intern/Users/Anna Berger"])
    assert call.good("Get-Mailbox", "MAPIAccount").one["ThrottlingPolicy"] == "Old Policy"
    policy = call.good("Get-ThrottlingPolicy", "NoThrottlingPolicy").one
    assert (policy["EwsMaxConcurrency"], policy["RcaMaxConcurrency"]) == ("10", "Unlimited")


def test_the_outdated_server() -> None:
    versions = {
        each["Name"]: each["AdminDisplayVersion"]
        for each in Session(load("outdated-server")).good("Get-ExchangeServer").outputs
    }
    assert versions["EX13"].startswith("Version 15.0 ")
