"""Get-ADGroup: groups of the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from umkit.lab.active_directory import node, search

if TYPE_CHECKING:
    from umkit.lab.call import Call


def get_ad_group(call: Call) -> None:
    """List groups by identity or filter."""
    found, items = search(call, ("group",))
    for each in items:
        call.output(node(call, found, each))
