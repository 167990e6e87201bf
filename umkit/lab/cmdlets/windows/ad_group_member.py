"""Get-ADGroupMember: who is in a group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from umkit.lab.active_directory import by_identity, directory, node

if TYPE_CHECKING:
    from umkit.lab.call import Call


def get_ad_group_member(call: Call) -> None:
    """List a group's direct members; ``-Recursive`` only users and computers, through the groups in it.

    Members by primary group are shown too, as the cmdlet is known to do (?).
    """
    call.simulates("Identity", "Recursive", "Server", "Credential")
    found = directory(call)
    group = by_identity(call, found, ("group",))
    members = found.members(group, recursive=bool(call.get("Recursive")))
    primary = [each for each in found.objects if each.primary_group == group.sid and each not in members]
    for each in (*members, *primary):
        call.output(node(call, found, each, "principal"))
