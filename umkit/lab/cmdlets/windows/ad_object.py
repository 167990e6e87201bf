"""Get-ADObject: users, computers and groups alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from umkit.lab.active_directory import node, search

if TYPE_CHECKING:
    from umkit.lab.call import Call


def get_ad_object(call: Call) -> None:
    """List objects by identity or filter; containers are not among them."""
    found, items = search(call, ("user", "computer", "group"))
    for each in items:
        call.output(node(call, found, each, "object"))
