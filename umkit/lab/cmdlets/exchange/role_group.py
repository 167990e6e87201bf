"""Role groups: Get-, New-, Set- and Remove-RoleGroup.

A role group is a security group with roles assigned to it; its members are
the group's own. No dump of a real one was found: the property list is (?).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from umkit.lab import filters, principals, records
from umkit.lab.cmdlets.exchange.group import ROLE_GROUPS, SECURITY_GROUPS, kind
from umkit.lab.cmdlets.exchange.management_role_assignment import assignment, roles_of
from umkit.lab.cmdlets.exchange.user import PRESENTATION, next_sid, placed
from umkit.lab.shapes import Shape, many, text
from umkit.lab.store import Entry

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.organisation import Organisation

SHAPE = Shape(
    noun="RoleGroup",
    types=("Microsoft.Exchange.Data.Directory.Management.RoleGroup", *PRESENTATION),
    properties=(
        many("ManagedBy", "Directory.ADObjectId"),
        many("RoleAssignments", "Directory.ADObjectId"),
        many("Roles", "Directory.ADObjectId"),
        text("DisplayName", ""),
        text("ExternalDirectoryObjectId", ""),
        many("Members", "Directory.ADObjectId"),
        text("SamAccountName"),
        text("Description", ""),
        text("RoleGroupType", "Standard"),
        text("LinkedGroup", ""),
        many("Capabilities"),
        text("LinkedPartnerGroupId", ""),
        text("LinkedPartnerOrganizationId", ""),
    ),
    container="{Parent}",
    category="Group",
    classes=("top", "group"),
    version="0.20 (15.0.0.0)",
    # Real role groups show their name here, users and groups the canonical name (?).
    identity="{OrganizationalUnit}/{Name}",
    presentation=True,
    keys=("SamAccountName", "Sid", "Login"),
    stored_as="Group",
    marker="RoleGroup",
)


def shown(organisation: Organisation, entry: Entry) -> Entry:
    """A role group with the roles that are assigned to it once every write has replicated."""
    return roles_of(organisation.directory.latest("ManagementRoleAssignment"), entry)


def _shown(call: Call, entry: Entry) -> Entry:
    """A role group with the roles that are assigned to it."""
    return roles_of(call.all("ManagementRoleAssignment"), entry)


def member(call: Call, text_: str) -> str:
    """The canonical name of a user or group that becomes a member."""
    found = principals.find(call, text_)
    if found.entry is None:
        raise records.not_found(text_, call.controller)
    return found.identity


def get_role_group(call: Call) -> None:
    """List the role groups with their roles and members."""
    call.simulates("Identity", "Filter", "ResultSize", "ReadFromDomainController")
    call.emit_all(filters.chosen(call, [_shown(call, each) for each in call.wanted()]), "RoleGroup")


def new_role_group(call: Call) -> None:
    """Create a role group and assign it its roles."""
    call.simulates("Name", "Roles", "Members", "ManagedBy", "Description", "DisplayName", "SamAccountName")
    name = call.get("Name")
    sam = call.get("SamAccountName") or name
    roles = [call.find(each, "ManagementRole").name for each in call.get("Roles") or []]
    unit = call.organisation
    # Without ManagedBy: Organization Management and who creates it (?).
    managers = call.get("ManagedBy") or ["Organization Management", call.account.login]
    for other in (*call.all("Group"), *call.all("User")):
        if other.values["SamAccountName"].lower() == sam.lower():
            known = call.shape(other.noun).distinguished_name(unit, other.values)
            raise records.already_exists(known, call.controller)
    values: dict[str, Any] = {
        **placed(unit, name, sam, next_sid(unit), SECURITY_GROUPS),
        **kind("Universal"),
        "RoleGroup": True,
        "Members": list(dict.fromkeys(member(call, each) for each in call.get("Members") or [])),
        "ManagedBy": list(dict.fromkeys(member(call, each) for each in managers)),
        "Description": call.get("Description") or "",
        "DisplayName": call.get("DisplayName") or "",
    }
    made = call.create(values)
    if made is None:
        return
    for role in roles:
        now = unit.now()
        given = unit.defaults("ManagementRoleAssignment") | assignment(role, made)
        call.store.create(call.controller, Entry("ManagementRoleAssignment", uuid4(), given, now, now))
    call.emit(_shown(call, made), "RoleGroup")


def set_role_group(call: Call) -> None:
    """Change a role group's name, description or managers."""
    call.simulates("Identity", "Name", "Description", "DisplayName", "ManagedBy", "BypassSecurityGroupManagerCheck")
    entry = call.find(call.get("Identity"))
    changes = {name: call.get(name) for name in ("Name", "Description", "DisplayName") if name in call}
    if "Name" in changes and entry.name in ROLE_GROUPS:
        raise records.TaskRefusal(
            records.INVALID_OPERATION, f"The built-in role group '{entry.name}' can't be renamed."
        )
    if "Name" in changes and changes["Name"] != entry.name:
        raise records.not_simulated("renaming a role group")
    if "ManagedBy" in call:
        changes["ManagedBy"] = list(dict.fromkeys(member(call, each) for each in call.get("ManagedBy") or []))
    call.update(entry, changes)


def remove_role_group(call: Call) -> None:
    """Remove a role group and its assignments; a built-in one stays, which is documented, its wording is (?)."""
    entry = call.find(call.get("Identity"))
    if entry.name in ROLE_GROUPS:
        raise records.TaskRefusal(
            records.INVALID_OPERATION, f"The built-in role group '{entry.name}' can't be removed."
        )
    if not call.should_process():
        return
    for each in call.all("ManagementRoleAssignment"):
        if each.values["AssigneeSid"] == entry.values["Sid"]:
            call.store.remove(call.controller, each)
    call.store.remove(call.controller, entry)
