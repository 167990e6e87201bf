"""Get-FileHash: a file's hash; a script function in 5.1."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from umkit.lab.objects import Scalar
from umkit.lab.providers import FILES, Place, administrates, custom_object, each, path_not_found, places, refusal
from umkit.lab.records import Refusal, not_simulated

if TYPE_CHECKING:
    from umkit.lab.call import Call


def get_file_hash(call: Call) -> None:
    """Hash files with SHA-256 or the algorithm that is named; the hash is in capitals."""
    call.simulates("Path", "LiteralPath", "Algorithm")
    algorithm = call.get("Algorithm", "SHA256")
    if algorithm in ("MACTripleDES", "RIPEMD160"):
        raise not_simulated(f"the algorithm {algorithm}")

    def show(place: Place) -> None:
        if place.provider != FILES:
            raise not_simulated("Get-FileHash of a registry key")
        file = call.service.host.files.file(place.path)
        if file is None:
            if call.service.host.files.folder(place.path) is None:
                raise _unresolved(call, place)
            return
        if not administrates(call):
            text = f"The file '{place.path}' cannot be read: Access to the path '{place.path}' is denied."
            raise refusal(call, text, "FileReadError", "ReadError", "System.UnauthorizedAccessException", place.path)
        digest = hashlib.new(algorithm.lower(), file.content).hexdigest().upper()
        table = {"Algorithm": Scalar("S", algorithm), "Hash": Scalar("S", digest), "Path": Scalar("S", file.path)}
        call.output(custom_object(("Microsoft.Powershell.Utility.FileHash",), table))

    each(call, places(call), show)


def _unresolved(call: Call, place: Place) -> Refusal:
    """The function resolves its paths first, and that fails (?)."""
    found = path_not_found(call, place)
    found.error_id = "PathNotFound,Microsoft.PowerShell.Commands.ResolvePathCommand"
    return found
