"""The AD cmdlets of the lab's domain controllers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from lab_calls import SHIPPED, Session, described
from lab_windows import on, read

from umkit.lab import ldap_filter
from umkit.lab.directory_objects import DirectoryObjects
from umkit.lab.model import LabSecret
from umkit.lab.organisation import load

IN_CHAIN = ldap_filter.IN_CHAIN


@pytest.fixture
def call(tmp_path: Path) -> Session:
    values = yaml.safe_load(SHIPPED.read_text("utf-8"))
    groups = [
        *values["groups"],
        {"name": "Outer (a*b)", "members": ["UM Service Accounts"]},
        {"name": "Domänen-Admins", "well_known": "Domain Admins", "members": ["Outer (a*b)"]},
        {"name": "Loop", "members": ["Ring"]},
        {"name": "Ring", "members": ["Loop", "testuser"]},
    ]
    return on(described(tmp_path, groups=groups), "DC01")


def names(found: list[Any]) -> list[str]:
    return sorted(each["Name"] for each in found)


def escaped(dn: str) -> str:
    return "".join(f"\\{ord(c):02x}" if c in "\\()*" else c for c in dn)


def test_a_user_by_every_identity(call: Session) -> None:
    [user] = read(call.good("Get-ADUser", Identity="mapiaccount"))
    assert (user["SamAccountName"], user["Enabled"], user["ObjectClass"]) == ("MAPIAccount", True, "user")
    for identity in (str(user["SID"]), user["DistinguishedName"], str(user["ObjectGUID"])):
        assert read(call.good("Get-ADUser", Identity=identity)) == [user]
    record = call("Get-ADUser", Identity="nobody", ErrorAction="SilentlyContinue").failed
    assert record.error_id == (
        "ActiveDirectoryCmdlet:Microsoft.ActiveDirectory.Management.ADIdentityNotFoundException,"
        "Microsoft.ActiveDirectory.Management.Commands.GetADUser"
    )
    assert call.good("Get-ADUser", Filter="SamAccountName -eq 'nobody'").outputs == []
    assert names(read(call.good("Get-ADUser", Filter="Name -like 'Test*'"))) == ["Test User"]


def test_groups_through_groups_in_a_localised_domain(call: Session) -> None:
    [user] = read(call.good("Get-ADUser", Identity="MAPIAccount"))
    assert names(read(call.good("Get-ADPrincipalGroupMembership", Identity="MAPIAccount"))) == [
        "Domain Users",
        "UM Service Accounts",
    ]
    query = f"(member:{IN_CHAIN}:={escaped(user['DistinguishedName'])})"
    found = read(call.good("Get-ADGroup", LDAPFilter=query))
    assert names(found) == ["Administrators", "Domänen-Admins", "Outer (a*b)", "UM Service Accounts"]
    [admins] = [each for each in found if str(each["SID"]).endswith("-512")]
    within = f"(memberOf:{IN_CHAIN}:={escaped(admins['DistinguishedName'])})"
    base = {"SearchBase": user["DistinguishedName"], "SearchScope": "Base"}
    assert names(read(call.good("Get-ADUser", LDAPFilter=within, **base))) == ["MAPIAccount"]
    assert call.good("Get-ADUser", LDAPFilter="(memberOf=CN=nothing)", **base).outputs == []
    members = read(call.good("Get-ADGroupMember", Identity=str(admins["SID"]), Recursive=True))
    assert "MAPIAccount" in names(members)
    assert "Outer (a*b)" not in names(members)
    direct = names(read(call.good("Get-ADGroupMember", Identity=str(admins["SID"]))))
    assert direct == ["Administrator", "Outer (a*b)"]


def test_a_ring_of_groups_ends(call: Session) -> None:
    found = names(read(call.good("Get-ADGroupMember", Identity="Loop", Recursive=True)))
    assert found == ["Test User"]


def test_the_token_has_the_primary_group_too(call: Session) -> None:
    [user] = read(
        call.good("Get-ADUser", Identity="MAPIAccount", Properties=["tokenGroups", "memberOf", "displayName"])
    )
    sids = {str(each).rpartition("-")[2] for each in user["tokenGroups"]}
    assert {"512", "513", "544"} <= sids
    assert len(user["memberOf"]) == 1
    whole = names(read(call.good("Get-ADAccountAuthorizationGroup", Identity="MAPIAccount")))
    assert {"Domain Users", "Everyone", "Domänen-Admins"} <= set(whole)


def test_what_exchange_changes_is_seen(call: Session) -> None:
    rich = Session(call.organisation)
    rich.good("Add-RoleGroupMember", "Organization Management", Member="MAPIAccount", Confirm=False)
    found = read(call.good("Get-ADPrincipalGroupMembership", Identity="MAPIAccount"))
    assert "Organization Management" in names(found)
    # The other domain controller lags behind by one read.
    other = on(call.organisation, "DC02")
    seen = [read(other.good("Get-ADPrincipalGroupMembership", Identity="MAPIAccount")) for _ in range(2)]
    assert ["Organization Management" in names(each) for each in seen] == [False, True]


def test_second_hop(call: Session) -> None:
    member = on(call.organisation, "EX01")
    for cmdlet, more in (("Get-ADUser", {"Identity": "testuser"}), ("Get-ADDomain", {})):
        record = member(cmdlet, **more).failed
        noun = cmdlet.replace("-", "")
        assert record.error_id == f"ActiveDirectoryServer:0,Microsoft.ActiveDirectory.Management.Commands.{noun}"
        assert (record.category_name, record.reason) == ("ResourceUnavailable", "ADServerDownException")
    call.organisation.set_password("right")
    for password, works in (("right", True), ("wrong", False)):
        credential = {"UserName": "ALLEO\\umadmin", "Password": LabSecret(password)}
        answer = member("Get-ADUser", Identity="testuser", Server="DC01", Credential=credential)
        assert (answer.reply.failed is None) is works


def test_domain_and_other_objects(call: Session) -> None:
    [domain] = read(call.good("Get-ADDomain"))
    assert (domain["DNSRoot"], domain["NetBIOSName"]) == ("alleo.intern", "ALLEO")
    [admins] = read(call.good("Get-ADGroup", Identity=f"{domain['DomainSID']}-512"))
    assert admins["GroupScope"] == "Global"
    [found] = read(call.good("Get-ADObject", LDAPFilter="(&(objectClass=group)(cn=Telephony))"))
    assert found["ObjectClass"] == "group"
    computers = names(read(call.good("Get-ADComputer", Filter="*")))
    assert computers == ["DC01", "DC02", "EX01", "EX02", "XPHONE01"]


@pytest.mark.parametrize("text", ["", "cn=x", "(cn=x", "(&)", "(!(a=b)(c=d))", "(cn=x))", "(cn>=1)", "(cn:1.2.3:=x)"])
def test_a_bad_filter_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        ldap_filter.parse(text)


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("(cn=telephony)", True),
        ("(cn=Tele*)", True),
        ("(cn=*)", True),
        ("(cn=T\\2a)", False),
        ("(!(cn=x))", True),
        ("(|(cn=x)(sAMAccountName=Telephony))", True),
        ("(&(objectClass=group)(objectClass=user))", False),
        ("(userAccountControl:1.2.840.113556.1.4.803:=2)", False),
    ],
)
def test_filters(text: str, fits: bool) -> None:
    directory = DirectoryObjects(load())
    group = directory.find("Telephony")
    assert group is not None
    assert ldap_filter.parse(text)(directory, group) is fits
