"""Keys, files and folders: Get-, New-, Remove-, Set-, Copy- and Move-Item."""

from __future__ import annotations

from typing import TYPE_CHECKING

from umkit.lab import registry_nodes
from umkit.lab.host_files import File
from umkit.lab.objects import Complex, Enumeration, Scalar
from umkit.lab.providers import (
    FILES,
    REGISTRY,
    Place,
    administrates,
    check_registry_write,
    each,
    file_denied,
    key_of,
    locate,
    need_key,
    path_not_found,
    places,
    refusal,
    writable_key,
)
from umkit.lab.records import not_simulated, prompt_failed

if TYPE_CHECKING:
    from umkit.lab.call import Call

_IO = "System.IO.IOException"
_FOLDER_GONE = "System.IO.DirectoryNotFoundException"


def get_item(call: Call) -> None:
    """Show keys, files and folders."""
    call.simulates("Path", "LiteralPath", "Force")

    def show(place: Place) -> None:
        if place.provider == REGISTRY:
            call.output(registry_nodes.key_node(need_key(call, place), place))
        else:
            call.output(file_node(call, place))

    each(call, places(call), show)


def new_item(call: Call) -> None:
    """Make a key, a file or a folder.

    ``-Force`` on a key that is there removes it with all that is below it and makes it again.
    """
    call.simulates("Path", "Name", "ItemType", "Value", "Force")
    name = call.get("Name")
    for path in call.get("Path") or ():
        place = locate(call, path)
        if name is not None:
            place = place.below(name)
        if place.provider == REGISTRY:
            _new_key(call, place)
        else:
            _new_file(call, place)


def _new_key(call: Call, place: Place) -> None:
    check_registry_write(call, place)
    registry = call.service.host.registry
    if key_of(call, place) is not None and not call.get("Force"):
        text = "A key in this path already exists."
        raise refusal(call, text, _IO, "ResourceExists", _IO, place.path)
    parent = registry.find(place.parts[:-1])
    if len(place.parts) < 2 or (parent is None and not call.get("Force")) or registry.find(place.parts[:1]) is None:
        # Wording and id are (?).
        text = "The registry key at the specified path does not exist."
        raise refusal(call, text, "System.ArgumentException", "InvalidArgument", "System.ArgumentException", place.path)
    if not call.should_process():
        return
    registry.remove(place.parts)
    key = registry.create(place.parts)
    if call.get("Value") is not None:
        key.put("", "String", registry_nodes.converted("String", call.get("Value")))
    call.output(registry_nodes.key_node(key, place))


def _new_file(call: Call, place: Place) -> None:
    files, force = call.service.host.files, call.get("Force")
    kind = str(call.get("ItemType") or "File").lower()
    if kind not in ("file", "directory"):
        raise not_simulated(f"item type {call.get('ItemType')}")
    if not administrates(call):
        raise file_denied(call, place, "NewItemUnauthorizedAccessError")
    there = files.file(place.path) is not None or files.folder(place.path) is not None
    if kind == "directory":
        if there and not (force and files.folder(place.path)):
            text = f"An item with the specified name {place.path} already exists."
            raise refusal(call, text, "DirectoryExist", "ResourceExists", _IO, place.path)
        if call.should_process():
            files.make_folder(place.path)
            call.output(file_node(call, place))
        return
    if there and not force:
        text = f"The file '{place.path}' already exists."
        raise refusal(call, text, "NewItemIOError", "WriteError", _IO, place.path)
    folder = place.path.rpartition("\\")[0]
    if files.folder(folder) is None and not force:
        text = f"Could not find a part of the path '{place.path}'."
        raise refusal(call, text, "NewItemIOError", "WriteError", _FOLDER_GONE, place.path)
    if call.should_process():
        files.make_folder(folder)
        value = call.get("Value")
        files.write(place.path, b"" if value is None else str(value).encode("utf-8"))
        call.output(file_node(call, place))


def remove_item(call: Call) -> None:
    """Remove keys, files and folders; one that holds others asks, and so fails, without ``-Recurse``."""
    call.simulates("Path", "LiteralPath", "Recurse", "Force")

    def remove(place: Place) -> None:
        if place.provider == REGISTRY:
            key = writable_key(call, place)
            _check_children(call, place, bool(key.subkeys))
            if call.should_process():
                call.service.host.registry.remove(place.parts)
            return
        files = call.service.host.files
        file, folder = files.file(place.path), files.folder(place.path)
        if file is None and folder is None:
            raise path_not_found(call, place)
        if not administrates(call) or (file is not None and file.read_only and not call.get("Force")):
            text = (
                f"Cannot remove item {place.path}: You do not have sufficient access rights to perform this operation."
            )
            raise refusal(call, text, "RemoveFileSystemItemUnAuthorizedAccess", "PermissionDenied", _IO, place.path)
        _check_children(call, place, any(files.children(place.path)))
        if call.should_process():
            files.remove(place.path)

    each(call, places(call), remove)


def _check_children(call: Call, place: Place, has_children: bool) -> None:
    if has_children and not call.get("Recurse"):
        text = (
            f"The item at {place.ps_path} has children and the Recurse parameter was not specified. If you continue, "
            "all children will be removed with the item. Are you sure you want to continue?"
        )
        raise prompt_failed(call.cmdlet.type_name, text)


def set_item(call: Call) -> None:
    """Write the default value of keys."""
    call.simulates("Path", "LiteralPath", "Value", "Type", "Force", "PassThru")

    def put(place: Place) -> None:
        if place.provider != REGISTRY:
            raise refusal(
                call,
                "Provider operation stopped because the provider does not support this operation.",
                "NotSupported",
                "NotImplemented",
                "System.Management.Automation.PSNotSupportedException",
            )
        key = writable_key(call, place)
        if call.should_process():
            key.put("", call.get("Type", "String"), registry_nodes.converted("String", call.get("Value")))
            if call.get("PassThru"):
                call.output(registry_nodes.key_node(key, place))

    each(call, places(call), put)


def copy_item(call: Call) -> None:
    """Copy files; an existing target is overwritten and takes the source's time of writing."""
    call.simulates("Path", "LiteralPath", "Destination", "Force", "PassThru", "Container")
    _transfer(call, move=False)


def move_item(call: Call) -> None:
    """Move or rename files; an existing target is only replaced with ``-Force``, by removing it first."""
    call.simulates("Path", "LiteralPath", "Destination", "Force", "PassThru")
    _transfer(call, move=True)


def _transfer(call: Call, *, move: bool) -> None:
    files = call.service.host.files
    if call.get("Destination") is None:
        raise not_simulated(f"{call.cmdlet.name} to the current location; give a Destination")
    denied = "MoveFileInfoItemUnauthorizedAccessError" if move else "CopyFileInfoItemUnauthorizedAccessError"

    def transfer(place: Place) -> None:
        target = locate(call, call.get("Destination"))
        if {place.provider, target.provider} != {FILES}:
            raise not_simulated(f"{call.cmdlet.name} of registry keys")
        if files.folder(place.path) is not None:
            raise not_simulated(f"{call.cmdlet.name} of a folder")
        source = files.file(place.path)
        if source is None:
            raise path_not_found(call, place)
        if files.folder(target.path) is not None:
            target = target.below(source.path.rpartition("\\")[2])
        old = files.file(target.path)
        if not administrates(call) or (old is not None and old.read_only and not call.get("Force")):
            raise file_denied(call, target, denied)
        _check_target(call, target, old, move=move)
        if not call.should_process():
            return
        if move:
            files.remove(place.path)
            files.remove(target.path)
        made = files.write(target.path, source.content)
        made.written = source.written
        if call.get("PassThru"):
            call.output(file_node(call, target))

    each(call, places(call), transfer)


def _check_target(call: Call, target: Place, old: File | None, *, move: bool) -> None:
    prefix = "MoveFileInfoItemIOError" if move else "CopyFileInfoItemIOError"
    if call.service.host.files.folder(target.path.rpartition("\\")[0]) is None:
        text = f"Could not find a part of the path '{target.path}'."
        if move:
            raise refusal(call, text, prefix, "WriteError", _FOLDER_GONE, target.path)
        raise refusal(call, text, _FOLDER_GONE, "NotSpecified", _FOLDER_GONE)
    if old is not None and move and not call.get("Force"):
        text = "Cannot create a file when that file already exists."
        raise refusal(call, text, prefix, "WriteError", _IO, target.path)
    if old is not None and old.locked:
        text = f"The process cannot access the file '{target.path}' because it is being used by another process."
        raise refusal(call, text, prefix, "WriteError", _IO, target.path)


def file_node(call: Call, place: Place) -> Complex:
    """A FileInfo or DirectoryInfo; raises Refusal when there is neither."""
    files, zone = call.service.host.files, call.organisation.timezone
    file, folder = files.file(place.path), files.folder(place.path)
    base = ("System.IO.FileSystemInfo", "System.MarshalByRefObject", "System.Object")
    if file is None:
        if folder is None:
            raise path_not_found(call, place)
        name = folder.rpartition("\\")[2]
        attributes = Enumeration("System.IO.FileAttributes", "Directory", 16)
        table = {"Name": Scalar("S", name), "FullName": Scalar("S", folder), "Exists": Scalar("B", True)}
        notes = place.notes() | {"PSIsContainer": Scalar("B", True)}
        return Complex(("System.IO.DirectoryInfo", *base), name, {**table, "Attributes": attributes}, notes)
    parent, _, name = file.path.rpartition("\\")
    text, number = ("ReadOnly, Archive", 33) if file.read_only else ("Archive", 32)
    return Complex(
        ("System.IO.FileInfo", *base),
        file.path,
        {
            "Name": Scalar("S", name),
            "Length": Scalar("I64", len(file.content)),
            "DirectoryName": Scalar("S", parent),
            "Directory": Scalar("S", parent),
            "IsReadOnly": Scalar("B", file.read_only),
            "Exists": Scalar("B", True),
            "FullName": Scalar("S", file.path),
            "Extension": Scalar("S", "." + name.rpartition(".")[2] if "." in name else ""),
            "CreationTime": Scalar("DT", file.created.astimezone(zone)),
            "CreationTimeUtc": Scalar("DT", file.created),
            "LastWriteTime": Scalar("DT", file.written.astimezone(zone)),
            "LastWriteTimeUtc": Scalar("DT", file.written),
            "Attributes": Enumeration("System.IO.FileAttributes", text, number),
        },
        place.notes() | {"PSIsContainer": Scalar("B", False)},
    )
