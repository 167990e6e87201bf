"""Get-ADComputer: computers of the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from umkit.lab.active_directory import node, search

if TYPE_CHECKING:
    from umkit.lab.call import Call


def get_ad_computer(call: Call) -> None:
    """List computers by identity or filter."""
    found, items = search(call, ("computer",))
    for each in items:
        call.output(node(call, found, each))
