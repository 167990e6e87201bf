"""Users, groups, mailboxes, throttling policies and roles, as the lab's Exchange endpoint has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lab_calls import Answer, Session, described, kinds

from umkit.errors import LabError
from umkit.lab.model import LabSecret
from umkit.lab.organisation import load

NOT_FOUND = "ManagementObjectNotFoundException"
SECRET = "Zq8!first-secret-4711"
NEW = {"Name": "UM Service", "UserPrincipalName": "umservice@alleo.intern", "Password": LabSecret(SECRET)}
UNLIMITED = (
    *("RCAMaxConcurrency", "EWSMaxConcurrency", "EWSMaxSubscriptions", "CPAMaxConcurrency", "EwsCutoffBalance"),
    *("EwsMaxBurst", "EwsRechargeRate"),
)


@pytest.fixture
def call() -> Session:
    return Session(load())


def refused(answer: Answer, reason: str) -> str:
    record = answer.error
    assert record.reason == reason, record.message
    return record.message


# -- users and groups ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "identity",
    [
        *("MAPIAccount", "ALLEO\\mapiaccount", "mapiaccount@ALLEO.intern", "alleo.intern/Users/MAPIAccount"),
        "CN=MAPIAccount,CN=Users,DC=alleo,DC=intern",
    ],
)
def test_a_user_by_any_name(call: Session, identity: str) -> None:
    user = call.good("Get-User", identity).one
    assert (user["Identity"], user["SamAccountName"]) == ("alleo.intern/Users/MAPIAccount", "MAPIAccount")
    assert (user["RecipientTypeDetails"], user["AccountDisabled"]) == ("UserMailbox", False)
    assert call.good("Get-User", user["Sid"]).one == user
    assert call.good("Get-User", user["Guid"]).one == user
    mailbox = call.good("Get-Mailbox", identity).one
    assert mailbox["Guid"] == user["Guid"]


def test_a_user_without_a_mailbox(call: Session) -> None:
    user = call.good("Get-User", "xphoneadmin").one
    assert user["RecipientType"] == "User"
    assert user["DistinguishedName"] == "CN=XPhone Installation,OU=Service Accounts,DC=alleo,DC=intern"
    assert user["OrganizationalUnit"] == "alleo.intern/Service Accounts"
    refused(call("Get-Mailbox", "xphoneadmin"), NOT_FOUND)


def test_accounts_are_users_too(call: Session) -> None:
    assert {"Administrator", "umadmin", "MAPIAccount", "Test User"} <= set(call.good("Get-User").names)


def test_direct_membership_by_filter(call: Session) -> None:
    name = call.good("Get-User", "MAPIAccount").one["DistinguishedName"]
    found = call.good("Get-Group", Filter=f"Members -eq '{name}'")
    assert found.names == ["UM Service Accounts"]
    assert call.good("Get-Group", Filter=f"Members -eq '{found.one['DistinguishedName']}'").outputs == []
    assert call.good("Get-Group", Filter="Name -like 'domain*' -and GroupType -eq 'Global, SecurityEnabled'").names == [
        "Domain Admins",
        "Domain Users",
    ]
    assert call("Get-Group", Filter="Members -gt 3").failed.error_id == "NotSimulatedByLab"
    refused(call("Get-Group", Filter="Nothing -eq 'x'"), "ArgumentException")


def test_built_in_groups(call: Session) -> None:
    groups = {each["Name"]: each for each in call.good("Get-Group").outputs}
    assert groups["Domain Admins"]["Sid"].endswith("-512")
    assert groups["Enterprise Admins"]["Sid"].endswith("-519")
    assert groups["Domain Admins"]["Members"] == ["alleo.intern/Users/Administrator"]
    assert groups["Exchange Servers"]["Members"] == ["alleo.intern/Computers/EX01", "alleo.intern/Computers/EX02"]
    assert groups["Organization Management"]["OrganizationalUnit"] == "alleo.intern/Microsoft Exchange Security Groups"


def test_localised_groups_and_trustees(tmp_path: Path) -> None:
    groups = [
        {"name": "Domänen-Admins", "well_known": "Domain Admins", "members": ["IT"]},
        {"name": "IT", "members": ["MAPIAccount"]},
    ]
    trustees = {"S-1-5-7": "NT-AUTORITÄT\\ANONYMOUS-ANMELDUNG"}
    call = Session(described(tmp_path, groups=groups, trustees=trustees))
    group = call.good("Get-Group", "Domänen-Admins").one
    assert group["Sid"].endswith("-512")
    assert group["Members"] == ["alleo.intern/Users/Administrator", "alleo.intern/Users/IT"]
    refused(call("Get-Group", "Domain Admins"), NOT_FOUND)
    denied = {each["User"] for each in call.good("Get-ADPermission", "DB01").outputs}
    assert "ALLEO\\Domänen-Admins" in denied
    given = {"ExtendedRights": "Send-As"}
    refused(call("Add-ADPermission", "DB01", User="NT AUTHORITY\\ANONYMOUS LOGON", **given), NOT_FOUND)
    added = call.good("Add-ADPermission", "DB01", User="NT-AUTORITÄT\\ANONYMOUS-ANMELDUNG", **given).one
    assert added["User"] == "NT-AUTORITÄT\\ANONYMOUS-ANMELDUNG"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"groups": [{"name": "G", "members": ["nobody"]}]}, "groups"),
        ({"groups": [{"name": "G", "well_known": "Nothing"}]}, "groups"),
        ({"groups": [], "users": [{"name": "U", "mailbox": "DB09"}]}, "users"),
        ({"groups": [], "users": [{"name": "U", "properties": {"Nothing": 1}}]}, "users.U.Nothing"),
        ({"objects": {"User": [{"Name": "U"}]}}, "objects.User"),
        ({"objects": {"Mailbox": [{"Name": "U"}]}}, "objects.Mailbox"),
    ],
)
def test_users_and_groups_that_do_not_fit(tmp_path: Path, changes: dict[str, Any], key: str) -> None:
    with pytest.raises(LabError) as caught:
        described(tmp_path, **changes)
    assert caught.value.where["key"] == key


# -- mailboxes -------------------------------------------------------------------------------------------------------


def test_a_mailbox_has_the_forms_of_the_wire(call: Session) -> None:
    answer = call.good("Get-Mailbox", "testuser")
    form = kinds(answer.reply.outputs[0])
    assert {form[name] for name in ("Database", "Identity", "RulesQuota", "RetainDeletedItemsFor")} == {"S"}
    assert (form["ThrottlingPolicy"], form["ExchangeGuid"], form["EmailAddresses"]) == ("Nil", "G", "Obj")
    mailbox = answer.one
    assert mailbox["EmailAddresses"] == ["SMTP:testuser@alleo.intern"]
    assert (mailbox["Database"], mailbox["ServerName"]) == ("DB02", "ex02")
    assert mailbox["PrimarySmtpAddress"] == "testuser@alleo.intern"


def test_mailboxes_of_a_database_or_server(call: Session) -> None:
    assert call.good("Get-Mailbox", Database="DB02").names == ["Test User"]
    assert call.good("Get-Mailbox", Server="EX01").names == ["MAPIAccount", "Anna Berger"]
    short = call.good("Get-Mailbox", ResultSize="2")
    assert len(short.outputs) == 2
    assert "ResultSize" in short.warnings[0]
    assert len(call.good("Get-Mailbox", ResultSize="Unlimited").outputs) == 3


def test_a_new_mailbox_and_its_password(call: Session) -> None:
    made = call.good("New-Mailbox", **NEW, Database="DB01", OrganizationalUnit="alleo.intern/Service Accounts").one
    assert made["Identity"] == "alleo.intern/Service Accounts/UM Service"
    assert (made["SamAccountName"], made["Alias"]) == ("umservice", "umservice")
    assert (made["PrimarySmtpAddress"], made["Database"]) == ("umservice@alleo.intern", "DB01")
    assert call.good("Get-Mailbox", "umservice").one == made
    assert call.good("Get-User", "umservice@alleo.intern").one["RecipientType"] == "UserMailbox"
    assert call.good("Get-CASMailbox", "umservice").one["ImapEnabled"] is True
    assert SECRET not in json.dumps(call.organisation.state(), default=str)
    assert SECRET not in repr(vars(call.organisation.directory))
    refused(call("New-Mailbox", **{**NEW, "Name": "Other"}), "ADObjectAlreadyExistsException")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"Password": LabSecret("short")}, "ADInvalidPasswordException"),
        ({"UserPrincipalName": "nothing"}, "InvalidOperationException"),
        ({"Database": "DB09"}, NOT_FOUND),
        ({"OrganizationalUnit": "Nowhere"}, NOT_FOUND),
        ({"UserPrincipalName": "testuser@alleo.intern"}, "ADObjectAlreadyExistsException"),
        ({"Name": "MAPIAccount"}, "ADObjectAlreadyExistsException"),
    ],
)
def test_mailboxes_that_cannot_be_made(call: Session, given: dict[str, Any], reason: str) -> None:
    refused(call("New-Mailbox", **{**NEW, **given}), reason)
    assert len(call.good("Get-Mailbox").outputs) == 3


def test_a_password_in_clear_does_not_bind(call: Session) -> None:
    assert call("New-Mailbox", **{**NEW, "Password": SECRET}).failed.error_id.startswith("CannotConvertArgument,")


def test_enabling_and_disabling_a_mailbox(call: Session) -> None:
    made = call.good("Enable-Mailbox", "xphoneadmin", Database="DB03").one
    assert (made["Database"], made["PrimarySmtpAddress"]) == ("DB03", "xphoneadmin@alleo.intern")
    refused(call("Enable-Mailbox", "xphoneadmin"), "RecipientTaskException")
    assert call("Disable-Mailbox", "xphoneadmin").failed.error_id.startswith("HostFunctionNotImplemented,")
    call.good("Disable-Mailbox", "xphoneadmin", Confirm=False)
    refused(call("Get-Mailbox", "xphoneadmin"), NOT_FOUND)
    user = call.good("Get-User", "xphoneadmin").one
    assert (user["RecipientType"], user["WindowsEmailAddress"]) == ("User", "")


def test_what_is_not_simulated_is_said(call: Session) -> None:
    assert call("Set-Mailbox", "testuser", LitigationHoldEnabled=True).failed.error_id == "NotSimulatedByLab"
    call.good("Set-Mailbox", "testuser", CustomAttribute1="x")
    assert call.good("Get-Mailbox", "testuser").one["CustomAttribute1"] == "x"


def test_the_message_format_of_one_mailbox_needs_its_own_settings(call: Session) -> None:
    given = {"ImapMessagesRetrievalMimeFormat": "TextOnly"}
    refused(call("Set-CASMailbox", "testuser", **given), "InvalidOperationException")
    call.good("Set-CASMailbox", "testuser", ImapUseProtocolDefaults=False, **given)
    assert call.good("Get-CASMailbox", "testuser").one["ImapMessagesRetrievalMimeFormat"] == "TextOnly"


# -- throttling ------------------------------------------------------------------------------------------------------


def test_the_policy_of_the_page(call: Session) -> None:
    made = call.good("New-ThrottlingPolicy", "NoThrottlingPolicy").one
    assert (made["ThrottlingPolicyScope"], made["RcaMaxConcurrency"], made["EwsMaxConcurrency"]) == (
        "Regular",
        "40",
        "27",
    )
    call.good("Set-ThrottlingPolicy", "NoThrottlingPolicy", **dict.fromkeys(UNLIMITED, "unlimited"))
    found = call.good("Get-ThrottlingPolicy", "NoThrottlingPolicy").one
    lowered = {name.lower(): value for name, value in found.items()}
    assert {lowered[name.lower()] for name in UNLIMITED} == {"Unlimited"}
    assert found["ImapMaxBurst"] == "3600000"
    assert call.good("Get-ThrottlingPolicy", "NoThrottlingPolicy", Explicit=True).one["ImapMaxBurst"] is None
    call.good("Set-ThrottlingPolicy", "NoThrottlingPolicy", EwsMaxBurst=500)
    assert call.good("Get-ThrottlingPolicy", "NoThrottlingPolicy").one["EwsMaxBurst"] == "500"


def test_the_global_policy_stays_as_it_is(call: Session) -> None:
    everyone = call.good("Get-ThrottlingPolicy", ThrottlingPolicyScope="Global").one
    assert everyone["Name"].startswith("GlobalThrottlingPolicy_")
    assert (everyone["PowerShellMaxConcurrency"], everyone["EwsMaxSubscriptions"]) == ("18", "5000")
    reason = "InvalidOperationException"
    refused(call("Set-ThrottlingPolicy", everyone["Name"], EwsMaxBurst=1), reason)
    refused(call("Remove-ThrottlingPolicy", everyone["Name"], Confirm=False), reason)
    refused(call("New-ThrottlingPolicy", "x", ThrottlingPolicyScope="Global"), reason)


def test_assigning_a_policy(call: Session) -> None:
    call.good("New-ThrottlingPolicy", "P")
    assert call.good("Get-Mailbox", "MAPIAccount").one["ThrottlingPolicy"] is None
    call.good("Set-Mailbox", "MAPIAccount", ThrottlingPolicy="p")
    assert call.good("Get-Mailbox", "MAPIAccount").one["ThrottlingPolicy"] == "P"
    [found] = call.good("Get-ThrottlingPolicyAssociation", ThrottlingPolicy="P").outputs
    assert (found["ThrottlingPolicyId"], found["ObjectId"]) == ("P", "alleo.intern/Users/MAPIAccount")
    refused(call("Set-Mailbox", "MAPIAccount", ThrottlingPolicy="Q"), NOT_FOUND)
    refused(call("Remove-ThrottlingPolicy", "P", Confirm=False), "InvalidOperationException")
    call.good("Set-ThrottlingPolicyAssociation", "MAPIAccount", ThrottlingPolicy=None)
    assert call.good("Get-ThrottlingPolicyAssociation", "MAPIAccount").one["ThrottlingPolicyId"] is None
    call.good("Remove-ThrottlingPolicy", "P", Confirm=False)


def test_a_null_policy_may_be_refused(tmp_path: Path) -> None:
    call = Session(described(tmp_path, options={"null_throttling_policy": "refused"}))
    refused(call("Set-Mailbox", "MAPIAccount", ThrottlingPolicy=None), "InvalidOperationException")


# -- roles -----------------------------------------------------------------------------------------------------------


def test_a_role_group_for_impersonation(call: Session) -> None:
    given = {"Roles": "ApplicationImpersonation", "Members": "MAPIAccount"}
    made = call.good("New-RoleGroup", "EwsImpersonationRoleGroup", **given).one
    assert made["Roles"] == ["ApplicationImpersonation"]
    assert made["RoleAssignments"] == ["ApplicationImpersonation-EwsImpersonationRoleGroup"]
    assert made["Members"] == ["alleo.intern/Users/MAPIAccount"]
    assert call.good("Get-RoleGroup", "EwsImpersonationRoleGroup").one == made
    [state] = [each for each in call.organisation.state()["objects"]["RoleGroup"] if each["Name"].startswith("Ews")]
    assert state["Roles"] == ["ApplicationImpersonation"]
    assert call.good("Get-Group", "EwsImpersonationRoleGroup").one["Members"] == made["Members"]
    found = call.good("Get-ManagementRoleAssignment", Role="ApplicationImpersonation", RoleAssignee="MAPIAccount")
    assert [each["RoleAssigneeName"] for each in found.outputs] == ["EwsImpersonationRoleGroup"]
    refused(call("New-RoleGroup", "EwsImpersonationRoleGroup"), "ADObjectAlreadyExistsException")
    refused(call("New-RoleGroup", "x", Roles="Nothing"), NOT_FOUND)
    call.good("Remove-RoleGroup", "EwsImpersonationRoleGroup", Confirm=False)
    refused(call("Get-RoleGroup", "EwsImpersonationRoleGroup"), NOT_FOUND)
    assert call.good("Get-ManagementRoleAssignment", RoleAssignee="MAPIAccount").outputs == []


def test_impersonation_belongs_to_two_groups_from_the_beginning(call: Session) -> None:
    found = call.good("Get-ManagementRoleAssignment", Role="ApplicationImpersonation").outputs
    assert {(each["RoleAssigneeName"], each["RoleAssignmentDelegationType"]) for each in found} == {
        ("Hygiene Management", "Regular"),
        ("Organization Management", "DelegatingOrgWide"),
    }
    regular = call.good("Get-ManagementRoleAssignment", Role="ApplicationImpersonation", Delegating=False)
    assert regular.one["RoleAssigneeName"] == "Hygiene Management"


def test_adding_a_member_and_replacing_the_list(call: Session) -> None:
    call.good("New-RoleGroup", "G", Members=["testuser", "aberger"])
    call.good("Add-RoleGroupMember", "G", Member="MAPIAccount")
    names = ["Test User", "Anna Berger", "MAPIAccount"]
    assert sorted(call.good("Get-RoleGroupMember", "G").names) == sorted(names)
    refused(call("Add-RoleGroupMember", "G", Member="testuser"), "MemberAlreadyExistsException")
    refused(call("Add-RoleGroupMember", "G", Member="nobody"), NOT_FOUND)
    assert call("Update-RoleGroupMember", "G", Members="testuser").failed.error_id.startswith(
        "HostFunctionNotImplemented,"
    )
    hashtable = call("Update-RoleGroupMember", "G", Members={"Remove": "aberger"}, Confirm=False)
    assert hashtable.failed.error_id.startswith("CannotConvertArgument,")
    call.good("Update-RoleGroupMember", "G", Members="testuser", Confirm=False)
    assert call.good("Get-RoleGroupMember", "G").names == ["Test User"]


def test_a_role_for_one_user(call: Session) -> None:
    made = call.good("New-ManagementRoleAssignment", Role="ApplicationImpersonation", User="MAPIAccount").one
    assert (made["Name"], made["RoleAssigneeType"]) == ("ApplicationImpersonation-MAPIAccount", "User")


def test_built_in_role_groups_stay(call: Session) -> None:
    refused(call("Remove-RoleGroup", "Hygiene Management", Confirm=False), "InvalidOperationException")
    call.good("Set-RoleGroup", "Hygiene Management", Description="x", ManagedBy=["testuser"])
    assert call.good("Get-RoleGroup", "Hygiene Management").one["Description"] == "x"


# -- servers ---------------------------------------------------------------------------------------------------------


def test_web_services_and_service_health(call: Session) -> None:
    found = call.good("Get-WebServicesVirtualDirectory", Server="EX02").one
    assert found["InternalUrl"] == "https://ex02.alleo.intern/EWS/Exchange.asmx"
    assert found["Identity"] == "EX02\\EWS (Default Web Site)"
    assert len(call.good("Get-WebServicesVirtualDirectory").outputs) == 2
    health = call.good("Test-ServiceHealth").outputs
    assert {each["RequiredServicesRunning"] for each in health} == {True}
    assert "MSExchangeIS" in health[0]["ServicesRunning"]
