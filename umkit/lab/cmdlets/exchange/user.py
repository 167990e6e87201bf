"""Users of the directory: Get-User.

One directory object is a user, its mailbox and its protocol settings; each
noun shows its own view. The property list follows real objects where the
reference has any (Get-Mailbox); here it is (?).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_DNS, uuid5

from umkit.lab import filters, principals, records
from umkit.lab.shapes import Shape, flag, many, number, text

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.organisation import Organisation

#: In an organisation's file they are said under this key.
DESCRIBED_IN = "users"
_MANAGEMENT = "Microsoft.Exchange.Data.Directory.Management."
PRESENTATION = (
    _MANAGEMENT + "ADPresentationObject",
    "Microsoft.Exchange.Data.Directory.ADObject",
    "Microsoft.Exchange.Data.Directory.ADRawEntry",
    "Microsoft.Exchange.Data.ConfigurableObject",
    "System.Object",
)
#: By what an identity finds a person beside name, GUID, distinguished and canonical name.
KEYS = ("SamAccountName", "UserPrincipalName", "Sid", "Login", "PrimarySmtpAddress", "Alias", "DisplayName")

SHAPE = Shape(
    noun="User",
    types=(_MANAGEMENT + "User", _MANAGEMENT + "OrgPersonPresentationObject", *PRESENTATION),
    properties=(
        flag("IsSecurityPrincipal", True),
        text("SamAccountName"),
        text("Sid"),
        many("SidHistory", "Directory.SecurityIdentifier"),
        text("UserPrincipalName"),
        flag("ResetPasswordOnNextLogon"),
        many("CertificateSubject"),
        flag("RemotePowerShellEnabled", True),
        text("UserAccountControl", "NormalAccount"),
        text("OrganizationalUnit"),
        flag("IsLinked"),
        text("LinkedMasterAccount", ""),
        flag("AccountDisabled"),
        text("AssistantName", ""),
        text("City", ""),
        text("Company", ""),
        text("CountryOrRegion"),
        text("Department", ""),
        many("DirectReports", "Directory.ADObjectId"),
        text("DisplayName", ""),
        text("Fax", ""),
        text("FirstName", ""),
        text("HomePhone", ""),
        text("Initials", ""),
        text("LastName", ""),
        text("Manager"),
        text("MobilePhone", ""),
        text("Notes", ""),
        text("Office", ""),
        text("Phone", ""),
        text("PostalCode", ""),
        text("RecipientType", "User"),
        text("RecipientTypeDetails", "User"),
        text("SimpleDisplayName", ""),
        text("StateOrProvince", ""),
        text("StreetAddress", ""),
        text("Title", ""),
        text("WebPage", ""),
        text("WindowsEmailAddress", ""),
        number("SeniorityIndex"),
    ),
    container="{Parent}",
    category="Person",
    classes=("top", "person", "organizationalPerson", "user"),
    version="0.20 (15.0.0.0)",
    identity="{OrganizationalUnit}/{Name}",
    presentation=True,
    keys=KEYS,
    rank=2,
)


def default_domain(organisation: Organisation) -> str:
    """The domain of new addresses: the default accepted domain."""
    for entry in organisation.directory.latest("AcceptedDomain"):
        if entry.values["Default"]:
            return str(entry.values["DomainName"])
    return organisation.domain


def placed(organisation: Organisation, name: str, sam: str, sid: str, parent: str) -> dict[str, Any]:
    """What says where a user or a group is and how it is called."""
    return {
        "Name": name,
        "SamAccountName": sam,
        "Sid": sid,
        "Login": f"{organisation.netbios}\\{sam}",
        "Parent": f"{parent},{organisation.names['domain']}",
        "OrganizationalUnit": principals.canonical_parent(parent, organisation.domain),
    }


def mailbox(organisation: Organisation, values: dict[str, Any], database: str, alias: str = "") -> dict[str, Any]:
    """What a user has once it has a mailbox.

    Arguments:
        organisation: the organisation.
        values: the user's values.
        database: the mailbox database.
        alias: the alias; the sAMAccountName by default.
    """
    home = organisation.find_latest("MailboxDatabase", database)
    alias = alias or values["SamAccountName"]
    address = f"{alias}@{default_domain(organisation)}"
    group = "Exchange Administrative Group (FYDIBOHF23SPDLT)"
    server = home.values["Server"]
    return {
        "MailboxEnabled": True,
        "RecipientType": "UserMailbox",
        "RecipientTypeDetails": "UserMailbox",
        "Database": home.name,
        "ServerName": server.lower(),
        "ServerLegacyDN": f"/o={organisation.name}/ou={group}/cn=Configuration/cn=Servers/cn={server}",
        "AdminDisplayVersion": home.values["AdminDisplayVersion"],
        "Alias": alias,
        "PrimarySmtpAddress": address,
        "WindowsEmailAddress": address,
        "EmailAddresses": [f"SMTP:{address}"],
        "LegacyExchangeDN": f"/o={organisation.name}/ou={group}/cn=Recipients/cn={values['Name']}",
        "ExchangeGuid": str(uuid5(NAMESPACE_DNS, f"{values['Sid']}.mailbox.{organisation.domain}")),
    }


def _disabled(enabled: bool) -> dict[str, Any]:
    if enabled:
        return {}
    return {"UserAccountControl": "AccountDisabled, NormalAccount", "AccountDisabled": True}


def built_in(organisation: Organisation) -> Iterable[dict[str, Any]]:
    """The users of the file, its accounts, and the domain's Administrator."""
    described = {(each.sam or each.name).lower(): each for each in organisation.users}
    names = ["Administrator", *(each.name for each in organisation.accounts)]
    spelt = {name.lower(): name for name in names} | {key: each.sam or each.name for key, each in described.items()}
    for at, (key, sam) in enumerate(spelt.items()):
        section = described.get(key)
        number = 500 if key == "administrator" else 1201 + at
        if section is None:
            values = placed(organisation, sam, sam, f"{organisation.sid}-{number}", "CN=Users")
            yield values | {"UserPrincipalName": f"{sam}@{organisation.domain}", "DisplayName": sam}
            continue
        number = section.rid or number
        values = placed(organisation, section.name, sam, f"{organisation.sid}-{number}", section.parent)
        values["UserPrincipalName"] = section.upn or f"{sam}@{organisation.domain}"
        values["DisplayName"] = section.name
        values |= _disabled(section.enabled)
        if section.mailbox:
            values |= mailbox(organisation, values, section.mailbox)
        yield values | organisation.fitting_user(section)


def next_sid(organisation: Organisation) -> str:
    """The SID of a new user or group: relative identifiers only grow."""
    entries = [*organisation.directory.latest("User"), *organisation.directory.latest("Group")]
    used = [int(each.values["Sid"].rpartition("-")[2]) for each in entries]
    return f"{organisation.sid}-{max([*used, 2000]) + 1}"


def get_user(call: Call) -> None:
    """List the users."""
    call.simulates("Identity", "Filter", "RecipientTypeDetails", "ResultSize", "ReadFromDomainController", "Anr")
    if call.get("Anr") is not None:
        raise records.not_simulated("parameter Anr of Get-User")
    entries = filters.chosen(call, call.wanted())
    kinds = call.get("RecipientTypeDetails")
    if kinds:
        entries = [each for each in entries if each.values["RecipientTypeDetails"] in kinds]
    call.emit_all(entries)
