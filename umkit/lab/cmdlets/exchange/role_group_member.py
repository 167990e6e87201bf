"""Members of role groups: Get-, Add- and Update-RoleGroupMember.

Add- adds one member; Update- replaces the whole list and removes everyone who
is not named (reference/exchange.md §3 e).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from umkit.lab import records
from umkit.lab.cmdlets.exchange.role_group import member
from umkit.lab.objects import Complex, Scalar

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.store import Entry

_TYPES = (
    "Microsoft.Exchange.Data.Directory.Management.ReducedRecipient",
    "Microsoft.Exchange.Data.Directory.ADObject",
    "Microsoft.Exchange.Data.Directory.ADRawEntry",
    "Microsoft.Exchange.Data.ConfigurableObject",
    "System.Object",
)
#: Which properties of a recipient are shown of a member is (?).
_SHOWN = ("Name", "SamAccountName", "DisplayName", "RecipientType", "RecipientTypeDetails", "OrganizationalUnit")


def get_role_group_member(call: Call) -> None:
    """List the direct members of a role group."""
    call.simulates("Identity", "ResultSize", "ReadFromDomainController")
    group = call.find(call.get("Identity"), "RoleGroup")
    wanted = [each.lower() for each in group.values["Members"]]
    for noun in ("User", "Group"):
        shape = call.shape(noun)
        for entry in call.all(noun):
            identity = shape.identity_of(entry.values)
            if identity.lower() not in wanted:
                continue
            nodes = shape.nodes(call.organisation, entry, call.controller)
            kept = {name: nodes[name] for name in _SHOWN if name in nodes}
            kept["PrimarySmtpAddress"] = Scalar("S", entry.values.get("PrimarySmtpAddress") or "")
            kept |= {name: nodes[name] for name in ("Identity", "Id", "Guid", "DistinguishedName", "IsValid")}
            call.output(Complex(_TYPES, entry.name, kept))


def _write(call: Call, group: Entry, members: list[str]) -> None:
    if call.should_process() and members != group.values["Members"]:
        call.store.update(call.controller, group, {"Members": members}, call.organisation.now())


def add_role_group_member(call: Call) -> None:
    """Add a member; one that is there already is refused (exception and wording (?))."""
    call.simulates("Identity", "Member", "BypassSecurityGroupManagerCheck")
    group = call.find(call.get("Identity"), "RoleGroup")
    added = member(call, call.get("Member"))
    if added.lower() in [each.lower() for each in group.values["Members"]]:
        raise records.TaskRefusal(
            "Microsoft.Exchange.Management.Tasks.MemberAlreadyExistsException",
            f'The recipient "{added}" is already a member of the group '
            f'"{call.shape("RoleGroup").identity_of(group.values)}".',
        )
    _write(call, group, [*group.values["Members"], added])


def update_role_group_member(call: Call) -> None:
    """Replace the members: who is not named is none any more."""
    call.simulates("Identity", "Members", "BypassSecurityGroupManagerCheck")
    group = call.find(call.get("Identity"), "RoleGroup")
    _write(call, group, list(dict.fromkeys(member(call, each) for each in call.get("Members") or [])))
