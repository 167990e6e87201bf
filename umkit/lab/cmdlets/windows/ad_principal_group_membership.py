"""Get-ADPrincipalGroupMembership: the groups that hold a principal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from umkit.lab.active_directory import by_identity, directory, node

if TYPE_CHECKING:
    from umkit.lab.call import Call


def get_ad_principal_group_membership(call: Call) -> None:
    """List the groups that hold a principal directly, and its primary group."""
    call.simulates("Identity", "Server", "Credential")
    found = directory(call)
    principal = by_identity(call, found)
    primary = found.by_sid(principal.primary_group)
    for each in ([primary] if primary else []) + found.groups_of(principal):
        call.output(node(call, found, each))
