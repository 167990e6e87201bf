"""Local groups: Get-LocalGroup and Get-LocalGroupMember.

On a domain controller these are the domain's own built-in groups.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from umkit.lab.active_directory import sid_node
from umkit.lab.directory_objects import DirectoryObjects
from umkit.lab.objects import Complex, Enumeration, Node, Scalar
from umkit.lab.providers import administrates, refusal

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.records import Refusal

_BASE = "Microsoft.PowerShell.Commands."


def _groups(call: Call) -> dict[str, tuple[str, list[str]]]:
    """SID → name and the members' SIDs of the host's local groups."""
    host = call.service.host
    if host.role != "controller":
        return host.local_groups
    directory = DirectoryObjects(call.organisation)
    found = dict(host.local_groups)
    for each in directory.objects:
        if each.sid in found:
            found[each.sid] = (each.name, [member.sid for member in directory.members(each)])
    return found


def get_local_group(call: Call) -> None:
    """List the local groups, or those of ``-Name`` or ``-SID``."""
    call.simulates("Name", "SID")
    wanted = [str(each).lower() for each in (*(call.get("Name") or ()), *(call.get("SID") or ()))]
    groups = _groups(call)
    for sid, (name, _) in groups.items():
        if not wanted or sid.lower() in wanted or name.lower() in wanted:
            table: dict[str, Node] = {
                "Description": Scalar("S", ""),
                "Name": Scalar("S", name),
                "SID": sid_node(sid),
                "PrincipalSource": _source("Local"),
                "ObjectClass": Scalar("S", "Group"),
            }
            call.output(Complex((f"{_BASE}LocalGroup", f"{_BASE}LocalPrincipal", "System.Object"), name, table))
    known = {text.lower() for sid, (name, _) in groups.items() for text in (sid, name)}
    for each in wanted:
        if each not in known:
            call.refuse(_not_found(call, each.upper() if each.startswith("s-1-") else each))


def get_local_group_member(call: Call) -> None:
    """List the direct members of one local group.

    A member that nobody can name any more makes it fail altogether, as 5.1 is known to do (?).
    """
    call.simulates("Name", "SID", "Member")
    wanted = str(call.get("SID") or call.get("Name"))
    groups = _groups(call)
    group = next((each for sid, each in groups.items() if wanted.lower() in (sid.lower(), each[0].lower())), None)
    if group is None:
        raise _not_found(call, wanted)
    if not administrates(call):
        text = "Access denied."
        raise refusal(call, text, "AccessDenied", "PermissionDenied", f"{_BASE}AccessDeniedException", wanted)
    directory = DirectoryObjects(call.organisation)
    found = []
    for sid in group[1]:
        name, member = directory.name_of(sid), directory.by_sid(sid)
        if name is None:
            text = "Failed to compare two elements in the array."
            raise refusal(
                call, text, "An unspecified error occurred.", "NotSpecified", "System.InvalidOperationException"
            )
        if call.get("Member") is None or call.get("Member").lower() in (name.lower(), sid.lower()):
            found.append((name, sid, "User" if member and member.kind != "group" else "Group"))
    for name, sid, kind in found:
        table: dict[str, Node] = {
            "Name": Scalar("S", name),
            "SID": sid_node(sid),
            "PrincipalSource": _source("ActiveDirectory" if sid.startswith("S-1-5-21-") else "Unknown"),
            "ObjectClass": Scalar("S", kind),
        }
        call.output(Complex((f"{_BASE}LocalPrincipal", "System.Object"), name, table))


def _source(name: str) -> Enumeration:
    numbers = {"Unknown": 0, "Local": 1, "ActiveDirectory": 2}
    return Enumeration(f"{_BASE}PrincipalSource", name, numbers[name])


def _not_found(call: Call, wanted: str) -> Refusal:
    text = f"Group {wanted} was not found."
    return refusal(call, text, "GroupNotFound", "ObjectNotFound", f"{_BASE}GroupNotFoundException", wanted)
