"""Role assignments: Get- and New-ManagementRoleAssignment.

ApplicationImpersonation is assigned to Hygiene Management, and to
Organization Management for delegating only (reference/exchange.md §3 e). No
dump of a real object was found: the property list is (?).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from umkit.lab import principals, records
from umkit.lab.shapes import CONFIGURATION_OBJECT, Shape, flag, text

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.organisation import Organisation
    from umkit.lab.store import Entry

IMPERSONATION = "ApplicationImpersonation"
SHAPE = Shape(
    noun="ManagementRoleAssignment",
    types=(
        "Microsoft.Exchange.Data.Directory.SystemConfiguration.ExchangeRoleAssignmentPresentation",
        *CONFIGURATION_OBJECT,
    ),
    properties=(
        text("DataObject"),
        text("User"),
        text("AssignmentMethod", "Direct"),
        text("EffectiveUserName", ""),
        text("AssignmentChain", ""),
        text("RoleAssigneeType", "RoleGroup"),
        text("RoleAssignee"),
        text("Role"),
        text("RoleAssignmentDelegationType", "Regular"),
        text("CustomRecipientWriteScope"),
        text("CustomConfigWriteScope"),
        text("RecipientReadScope", "Organization"),
        text("ConfigReadScope", "None"),
        text("RecipientWriteScope", "Organization"),
        text("ConfigWriteScope", "None"),
        flag("Enabled", True),
        text("RoleAssigneeName"),
        flag("IsValid", True),
    ),
    container="CN=Role Assignments,CN=RBAC,{organisation}",
    category="ms-Exch-Role-Assignment",
    classes=("top", "msExchRoleAssignment"),
    version="0.11 (14.0.550.0)",
    rank=5,
)


def assignment(role: str, assignee: Entry, *, delegating: bool = False, name: str = "") -> dict[str, Any]:
    """The values of an assignment of a role to a user or a group."""
    kind = "User" if assignee.noun == "User" else "RoleGroup" if assignee.values.get("RoleGroup") else "SecurityGroup"
    made = f"{role}-{assignee.name}" + ("-Delegating" if delegating else "")
    return {
        "Name": (name or made)[:64],
        "User": f"{assignee.values['OrganizationalUnit']}/{assignee.name}",
        "RoleAssigneeType": kind,
        "RoleAssignee": f"{assignee.values['OrganizationalUnit']}/{assignee.name}",
        "RoleAssigneeName": assignee.name,
        "AssigneeSid": assignee.values["Sid"],
        "Role": role,
        "RoleAssignmentDelegationType": "DelegatingOrgWide" if delegating else "Regular",
    }


def built_in(organisation: Organisation) -> Iterable[dict[str, Any]]:
    """The assignments of ApplicationImpersonation that setup makes, without other roles', and those of the file."""
    groups = {each.name: each for each in organisation.directory.latest("Group")}
    yield assignment(IMPERSONATION, groups["Hygiene Management"])
    yield assignment(IMPERSONATION, groups["Organization Management"], delegating=True)
    for section in organisation.groups:
        for role in section.roles:
            yield assignment(organisation.find_latest("ManagementRole", role).name, groups[section.name])


def complete(organisation: Organisation, values: dict[str, Any]) -> dict[str, Any]:
    """An assignment in the file names its role and its assignee; the rest follows."""
    if values.get("AssigneeSid"):
        return values
    wanted = str(values["RoleAssignee"] or "")
    for noun in ("User", "Group"):
        for entry in organisation.directory.latest(noun):
            if organisation.shapes[noun].matches(organisation, entry, wanted):
                delegating = values["RoleAssignmentDelegationType"] != "Regular"
                return values | assignment(values["Role"], entry, delegating=delegating, name=values["Name"])
    raise records.not_found(wanted, organisation.controllers[0])


def roles_of(assignments: Sequence[Entry], group: Entry) -> Entry:
    """A role group with its regular and delegating assignments."""
    own = [each for each in assignments if each.values["AssigneeSid"] == group.values["Sid"]]
    roles = list(dict.fromkeys(each.values["Role"] for each in own))
    return replace(group, values={**group.values, "RoleAssignments": [each.name for each in own], "Roles": roles})


def get_management_role_assignment(call: Call) -> None:
    """List the assignments: of a role, to an assignee, of a kind.

    Those of groups that the assignee is in count as well, as the page of the cmdlet has it.
    """
    call.simulates(
        *("Identity", "Role", "RoleAssignee", "RoleAssigneeType", "Delegating", "Enabled"), "GetEffectiveUsers"
    )
    if call.get("GetEffectiveUsers"):
        raise records.not_simulated("parameter GetEffectiveUsers of Get-ManagementRoleAssignment")
    entries = call.wanted()
    if call.get("Role") is not None:
        role = call.find(call.get("Role"), "ManagementRole").name
        entries = [each for each in entries if each.values["Role"] == role]
    if call.get("RoleAssignee") is not None:
        found = principals.find(call, call.get("RoleAssignee"))
        sids = principals.sids_of(found, call.all("Group"))
        entries = [each for each in entries if each.values["AssigneeSid"] in sids]
    if call.get("RoleAssigneeType") is not None:
        entries = [each for each in entries if each.values["RoleAssigneeType"] == call.get("RoleAssigneeType")]
    if call.get("Delegating") is not None:
        wanted = "DelegatingOrgWide" if call.get("Delegating") else "Regular"
        entries = [each for each in entries if each.values["RoleAssignmentDelegationType"] == wanted]
    if call.get("Enabled") is not None:
        entries = [each for each in entries if each.values["Enabled"] == call.get("Enabled")]
    for entry in entries:
        call.emit(entry)


def new_management_role_assignment(call: Call) -> None:
    """Assign a role to a user or a security group."""
    call.simulates("Name", "Role", "User", "SecurityGroup", "Delegating")
    role = call.find(call.get("Role"), "ManagementRole").name
    noun = "User" if "User" in call else "Group"
    assignee = call.find(call.get("User") or call.get("SecurityGroup"), noun)
    values = assignment(role, assignee, delegating=bool(call.get("Delegating")), name=call.get("Name") or "")
    call.emit(call.create(values))
