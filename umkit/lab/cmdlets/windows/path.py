"""Test-Path: whether a key, a file or a folder is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from umkit.lab.objects import Scalar
from umkit.lab.providers import FILES, Place, exists, locate
from umkit.lab.records import Refusal, not_simulated

if TYPE_CHECKING:
    from umkit.lab.call import Call


def test_path(call: Call) -> None:
    """Tell of each path whether it leads anywhere; a drive that is not there is False, not an error."""
    call.simulates("Path", "LiteralPath", "PathType")
    for path in (*(call.get("Path") or ()), *(call.get("LiteralPath") or ())):
        if call.get("LiteralPath") is None and any(character in path for character in "*?["):
            raise not_simulated("a wildcard in Test-Path; use -LiteralPath")
        try:
            place = locate(call, path)
        except Refusal as refusal:
            if not refusal.error_id.startswith("DriveNotFound"):
                raise
            call.output(Scalar("B", False))
            continue
        call.output(Scalar("B", exists(call, place) and _is_kind(call, place)))


def _is_kind(call: Call, place: Place) -> bool:
    """Whether the item is a leaf or a container as asked; every registry key is a container."""
    container = place.provider != FILES or call.service.host.files.folder(place.path) is not None
    return call.get("PathType", "Any") in ("Any", "Container" if container else "Leaf")
