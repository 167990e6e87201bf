"""Groups of the directory: Get-Group.

The domain's own groups are there under the names of its language; Exchange's
security groups keep their English names everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from umkit.lab import filters, records
from umkit.lab.cmdlets.exchange.user import PRESENTATION, placed
from umkit.lab.shapes import Shape, flag, many, number, text

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.organisation import Organisation

#: In an organisation's file they are said under this key.
DESCRIBED_IN = "groups"
_MANAGEMENT = "Microsoft.Exchange.Data.Directory.Management."
#: The unit of Exchange's own groups.
SECURITY_GROUPS = "OU=Microsoft Exchange Security Groups"

SHAPE = Shape(
    noun="Group",
    types=(_MANAGEMENT + "WindowsGroup", *PRESENTATION),
    properties=(
        text("DisplayName", ""),
        text("GroupType", "Global, SecurityEnabled"),
        many("ManagedBy", "Directory.ADObjectId"),
        text("SamAccountName"),
        text("Sid"),
        many("SidHistory", "Directory.SecurityIdentifier"),
        text("SimpleDisplayName", ""),
        text("RecipientType", "Group"),
        text("RecipientTypeDetails", "NonUniversalGroup"),
        text("WindowsEmailAddress", ""),
        text("Notes", ""),
        many("Members", "Directory.ADObjectId"),
        flag("IsDirSynced"),
        text("OrganizationalUnit"),
        number("SeniorityIndex"),
        flag("IsHierarchicalGroup"),
    ),
    container="{Parent}",
    category="Group",
    classes=("top", "group"),
    version="0.20 (15.0.0.0)",
    identity="{OrganizationalUnit}/{Name}",
    presentation=True,
    keys=("SamAccountName", "Sid", "Login", "DisplayName"),
    rank=3,
)

#: Built-in groups: English name, relative identifier (or whole SID), container, scope.
_DOMAIN_GROUPS = (
    ("Domain Admins", "512", "CN=Users", "Global"),
    ("Domain Users", "513", "CN=Users", "Global"),
    ("Schema Admins", "518", "CN=Users", "Universal"),
    ("Enterprise Admins", "519", "CN=Users", "Universal"),
    ("Administrators", "S-1-5-32-544", "CN=Builtin", "DomainLocal"),
)
#: Exchange's role groups and other security groups, in the order of their identifiers in a real organisation.
ROLE_GROUPS = (
    *("Organization Management", "Recipient Management", "View-Only Organization Management"),
    *("Public Folder Management", "UM Management", "Help Desk", "Records Management", "Discovery Management"),
    *("Server Management", "Delegated Setup", "Hygiene Management", "Compliance Management"),
)
_OTHER_GROUPS = (
    *("Security Reader", "Security Administrator", "Exchange Servers", "Exchange Trusted Subsystem"),
    *("Managed Availability Servers", "Exchange Windows Permissions", "ExchangeLegacyInterop"),
)


def kind(scope: str) -> dict[str, Any]:
    """What follows from a group's scope."""
    details = "UniversalSecurityGroup" if scope == "Universal" else "NonUniversalGroup"
    return {"GroupType": f"{scope}, SecurityEnabled", "RecipientTypeDetails": details}


def _standard(organisation: Organisation) -> dict[str, dict[str, Any]]:
    """The built-in groups by English name, with their usual members."""
    found = {}
    for name, number_, parent, scope in _DOMAIN_GROUPS:
        sid = number_ if number_.startswith("S-") else f"{organisation.sid}-{number_}"
        found[name] = placed(organisation, name, name, sid, parent) | kind(scope)
    for at, name in enumerate((*ROLE_GROUPS, *_OTHER_GROUPS)):
        found[name] = placed(organisation, name, name, f"{organisation.sid}-{1105 + at}", SECURITY_GROUPS)
        found[name] |= kind("Universal") | {"RoleGroup": name in ROLE_GROUPS, "DisplayName": ""}
    administrator = f"{organisation.domain}/Users/Administrator"
    for name in ("Domain Admins", "Schema Admins", "Enterprise Admins", "Organization Management", "Administrators"):
        found[name]["Members"] = [administrator]
    machines = [f"{organisation.domain}/Computers/{each.name}" for each in organisation.exchange_servers]
    for name in ("Exchange Servers", "Exchange Trusted Subsystem", "Managed Availability Servers"):
        found[name]["Members"] = list(machines)
    return found


def built_in(organisation: Organisation) -> Iterable[dict[str, Any]]:
    """The built-in groups, under local names where the file gives them, and the file's own."""
    standard = _standard(organisation)
    tables = dict(standard)
    at = 1301
    for section in organisation.groups:
        begin = standard.get(section.well_known or "")
        if section.well_known and begin is None:
            raise records.not_found(section.well_known, "this organisation")
        number_ = section.rid or at
        at += 1
        parent = section.parent or (SECURITY_GROUPS if section.roles else "CN=Users")
        sid = f"{organisation.sid}-{number_}"
        if begin is not None:
            sid = begin["Sid"]
            parent = section.parent or begin["Parent"].removesuffix("," + organisation.names["domain"])
        values = placed(organisation, section.name, section.sam or section.name, sid, parent)
        scope = "Universal" if section.roles else section.scope
        tables[section.well_known or section.name] = (begin or kind(scope)) | values
    identities = _identities(organisation, tables)
    # Enterprise and Domain Admins are members of the domain's own Administrators.
    nested = ["Domain Admins", "Enterprise Admins"]
    tables["Administrators"]["Members"] = [
        *tables["Administrators"].get("Members", []),
        *(f"{tables[each]['OrganizationalUnit']}/{tables[each]['Name']}" for each in nested),
    ]
    for section in organisation.groups:
        values = tables[section.well_known or section.name]
        added = [_identity(identities, section.name, each) for each in section.members]
        values["Members"] = list(dict.fromkeys([*values.get("Members", []), *added]))
        values["RoleGroup"] = bool(values.get("RoleGroup") or section.roles)
    return tables.values()


def _identity(identities: dict[str, str], group: str, member: str) -> str:
    """The canonical name of a member that the file names."""
    found = identities.get(member.lower())
    if found is None:
        raise records.not_found(f"{member} (a member of {group})", "this organisation")
    return found


def _identities(organisation: Organisation, tables: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Every name by which a member may be said → its canonical name."""
    found = {f"{each.name}$".lower(): f"{organisation.domain}/Computers/{each.name}" for each in organisation.hosts}
    people = [entry.values for entry in organisation.directory.latest("User")]
    for values in (*people, *tables.values()):
        identity = f"{values['OrganizationalUnit']}/{values['Name']}"
        for key in ("Name", "SamAccountName", "UserPrincipalName", "Sid"):
            if values.get(key):
                found[str(values[key]).lower()] = identity
    return found


def get_group(call: Call) -> None:
    """List the groups."""
    call.simulates("Identity", "Filter", "RecipientTypeDetails", "ResultSize", "ReadFromDomainController", "Anr")
    if call.get("Anr") is not None:
        raise records.not_simulated("parameter Anr of Get-Group")
    entries = filters.chosen(call, call.wanted())
    kinds = call.get("RecipientTypeDetails")
    if kinds:
        entries = [each for each in entries if each.values["RecipientTypeDetails"] in kinds]
    call.emit_all(entries)
