"""Get-ChildItem: the keys below a key, the files and folders in a folder."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from umkit.lab import registry_nodes
from umkit.lab.cmdlets.windows.item import file_node
from umkit.lab.objects import Scalar
from umkit.lab.providers import REGISTRY, Place, each, need_key, path_not_found, places

if TYPE_CHECKING:
    from umkit.lab.call import Call


def get_child_item(call: Call) -> None:
    """List what is directly below a path, or with ``-Recurse`` everything; ``-Name`` gives names alone."""
    call.simulates("Path", "LiteralPath", "Name", "Recurse", "File", "Directory", "Filter", "Force")

    def show(place: Place) -> None:
        for child, below in _children(call, place, ""):
            if call.get("Name"):
                call.output(Scalar("S", below))
            elif place.provider == REGISTRY:
                call.output(registry_nodes.key_node(need_key(call, child), child))
            else:
                call.output(file_node(call, child))

    each(call, places(call), show)


def _children(call: Call, place: Place, before: str) -> Iterator[tuple[Place, str]]:
    """Children with their path below the listed item."""
    if place.provider == REGISTRY:
        for key in need_key(call, place).subkeys.values():
            child, below = place.below(key.name), f"{before}{key.name}"
            yield child, below
            if call.get("Recurse"):
                yield from _children(call, child, f"{below}\\")
        return
    files = call.service.host.files
    if files.folder(place.path) is None:
        if files.file(place.path) is None:
            raise path_not_found(call, place)
        yield place, place.path.rpartition("\\")[2]
        return
    folders, inside = files.children(place.path)
    pattern = re.compile(fnmatch.translate(call.get("Filter") or "*"), re.IGNORECASE)
    for path in folders:
        name = path.rpartition("\\")[2]
        if pattern.match(name) and not call.get("File"):
            yield place.below(name), f"{before}{name}"
    for file in inside:
        name = file.path.rpartition("\\")[2]
        if pattern.match(name) and not call.get("Directory"):
            yield place.below(name), f"{before}{name}"
    if call.get("Recurse"):
        for path in folders:
            name = path.rpartition("\\")[2]
            yield from _children(call, place.below(name), f"{before}{name}\\")
