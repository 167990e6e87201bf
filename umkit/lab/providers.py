"""Paths of the item cmdlets: which provider, which key or file, which errors.

Error ids, categories and texts as reference/windows.md §a, §d and §i have
them; whatever rests on the reference's PowerShell 7 source alone is (?).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from umkit.lab.objects import Complex, Many, Node, Scalar
from umkit.lab.records import Refusal, not_simulated

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.registry import Key

REGISTRY = "Registry"
FILES = "FileSystem"
_CORE = "Microsoft.PowerShell.Core\\"
_PREFIX = re.compile(r"^(?:Microsoft\.PowerShell\.Core\\)?(?P<provider>Registry|FileSystem)::", re.IGNORECASE)
_DRIVE = re.compile(r"^(?P<drive>[A-Za-z]\w*):(?P<rest>.*)$", re.DOTALL)
STRINGS = ("System.String[]", "System.Array", "System.Object")


@dataclass(frozen=True)
class Place:
    """Where a path leads.

    Arguments:
        provider: Registry or FileSystem.
        given: the path as it was given, for error messages.
        path: full path: ``HKEY_LOCAL_MACHINE\\SOFTWARE`` or ``C:\\Temp``.
        parts: the registry path by key names; empty for a file.
        drive: the drive by which it was named, or empty for ``Registry::``.
    """

    provider: str
    given: str
    path: str
    parts: tuple[str, ...] = ()
    drive: str = ""

    def below(self, name: str) -> Place:
        """The place of a child."""
        given = f"{self.given.rstrip(chr(92))}\\{name}"
        parts = (*self.parts, name) if self.provider == REGISTRY else ()
        return Place(self.provider, given, f"{self.path}\\{name}", parts, self.drive)

    @property
    def ps_path(self) -> str:
        """The value of PSPath."""
        return f"{_CORE}{self.provider}::{self.path}"

    def notes(self) -> dict[str, Node]:
        """The note properties that the engine gives each item.

        PSDrive and PSProvider are nested objects in truth; clients drop them, so their names stand here (?).
        """
        parent, _, child = self.path.rpartition("\\")
        notes: dict[str, Node] = {
            "PSPath": Scalar("S", self.ps_path),
            "PSParentPath": Scalar("S", f"{_CORE}{self.provider}::{parent}"),
            "PSChildName": Scalar("S", child),
        }
        if self.drive:
            notes["PSDrive"] = Scalar("S", self.drive)
        return notes | {"PSProvider": Scalar("S", _CORE + self.provider)}


def refusal(
    call: Call,
    message: str,
    prefix: str,
    category: str,
    exception: str,
    target: str | None = None,
    *,
    ends: bool = False,
) -> Refusal:
    """An error record of the running cmdlet.

    Arguments:
        call: the call.
        message: its text.
        prefix: the part of the error id before the comma.
        category: the ErrorCategory.
        exception: the exception's full type.
        target: the target object's text.
        ends: whether it ends the pipeline whatever ErrorAction says.
    """
    return Refusal(
        message,
        error_id=f"{prefix},{call.cmdlet.type_name}",
        category=category,
        exception_type=exception,
        target=target,
        terminating=ends,
    )


def path_not_found(call: Call, place: Place) -> Refusal:
    """A key, file or folder that is not there."""
    return refusal(
        call,
        f"Cannot find path '{place.given}' because it does not exist.",
        "PathNotFound",
        "ObjectNotFound",
        "System.Management.Automation.ItemNotFoundException",
        place.given,
    )


def registry_denied(call: Call, place: Place) -> Refusal:
    """Registry access that only administrators have."""
    return refusal(
        call,
        "Requested registry access is not allowed.",
        "System.Security.SecurityException",
        "PermissionDenied",
        "System.Security.SecurityException",
        place.path,
    )


def file_denied(call: Call, place: Place, prefix: str) -> Refusal:
    """File access that only administrators have; the id says which operation."""
    return refusal(
        call,
        f"Access to the path '{place.path}' is denied.",
        prefix,
        "NotSpecified" if prefix.startswith("System.") else "PermissionDenied",
        "System.UnauthorizedAccessException",
        place.path,
    )


def administrates(call: Call) -> bool:
    """Whether the caller is an administrator of the host."""
    return call.account.role == "administrator"


def locate(call: Call, path: str) -> Place:
    """Where a path leads; raises Refusal when it names no drive or holds what no path may."""
    host = call.service.host
    named = _PREFIX.match(path)
    rest = path[named.end() :] if named else path
    if named and named["provider"].lower() == "registry":
        return _key_place(call, path, rest, "")
    drive = _DRIVE.match(rest)
    if drive and drive["drive"].upper() in ("HKLM", "HKCU") and not named:
        return _key_place(call, path, f"{drive['drive']}\\{drive['rest']}", drive["drive"].upper())
    if not drive:
        raise not_simulated(f"the relative path {path!r}")
    try:
        normal = host.files.normal(rest)
    except ValueError as error:
        if len(drive["drive"]) == 1:
            raise refusal(
                call, str(error), "ItemExistsArgumentError", "InvalidArgument", "System.ArgumentException", path
            ) from None
        normal = ""
    if not normal or not host.files.has_drive(normal):
        raise refusal(
            call,
            f"Cannot find drive. A drive with the name '{drive['drive']}' does not exist.",
            "DriveNotFound",
            "ObjectNotFound",
            "System.Management.Automation.DriveNotFoundException",
            drive["drive"],
        )
    return Place(FILES, path, normal, (), normal[0])


def _key_place(call: Call, given: str, path: str, drive: str) -> Place:
    try:
        parts = call.service.host.registry.split(path, account_sid(call))
    except KeyError:
        parts = ("", path)
    if drive == "HKCU":
        return Place(REGISTRY, given, "\\".join(("HKEY_CURRENT_USER", *parts[2:])), parts, drive)
    return Place(REGISTRY, given, "\\".join(parts), parts, drive)


def account_sid(call: Call) -> str:
    """The SID of the calling account, whose hive HKCU is."""
    entries = call.organisation.directory.latest("User")
    login = call.account.login.lower()
    found = (str(each.values["Sid"]) for each in entries if str(each.values["Login"]).lower() == login)
    return next(found, "S-1-5-18")


def key_of(call: Call, place: Place) -> Key | None:
    """The registry key of a place; raises Refusal where the caller may not look."""
    registry = call.service.host.registry
    if place.parts[:1] == ("HKEY_USERS",) and len(place.parts) > 1:
        own = place.parts[1].lower() == account_sid(call).lower()
        if own and registry.find(place.parts[:2]) is None:
            # The profile of whoever logs on is loaded for the time of the session.
            registry.load(place.parts[1])
        if not own and not administrates(call) and place.parts[1].upper().startswith("S-1-5-21-"):
            raise registry_denied(call, place)
    return registry.find(place.parts)


def need_key(call: Call, place: Place) -> Key:
    """The registry key of a place; raises Refusal when it is not there."""
    key = key_of(call, place)
    if key is None:
        raise path_not_found(call, place)
    return key


def writable_key(call: Call, place: Place) -> Key:
    """The registry key of a place for writing; only administrators may, but for their own hive."""
    check_registry_write(call, place)
    return need_key(call, place)


def check_registry_write(call: Call, place: Place) -> None:
    """Refuse a change of the registry outside the caller's own hive."""
    own = place.parts[:2] == ("HKEY_USERS", account_sid(call))
    if not own and not administrates(call):
        raise registry_denied(call, place)


def _children(call: Call, place: Place) -> list[Place]:
    if place.provider == REGISTRY:
        key = key_of(call, place)
        return [place.below(each.name) for each in key.subkeys.values()] if key else []
    folders, files = call.service.host.files.children(place.path)
    return [place.below(each.rpartition("\\")[2]) for each in (*folders, *(file.path for file in files))]


def exists(call: Call, place: Place) -> bool:
    """Whether there is a key, file or folder."""
    if place.provider == REGISTRY:
        return key_of(call, place) is not None
    files = call.service.host.files
    return files.file(place.path) is not None or files.folder(place.path) is not None


def places(call: Call) -> Iterator[Place | Refusal]:
    """The places of ``-LiteralPath``, or of ``-Path`` with its wildcards, which may fit nothing.

    For a path that leads nowhere at all, the error stands in its place.
    """
    for path in call.get("LiteralPath") or ():
        yield from _expanded(call, path, wild=False)
    for path in call.get("Path") or ():
        yield from _expanded(call, path, wild=any(character in path for character in "*?["))


def _expanded(call: Call, path: str, *, wild: bool) -> Iterable[Place | Refusal]:
    parts = [part for part in re.split(r"[\\/]", path) if part]
    first = next((at for at, part in enumerate(parts) if any(character in part for character in "*?[")), len(parts))
    if wild and first == 0:
        raise not_simulated(f"the wildcard path {path!r}")
    try:
        found = [locate(call, "\\".join(parts[:first]) if wild else path)]
        for part in parts[first:] if wild else ():
            pattern = re.compile(fnmatch.translate(part), re.IGNORECASE)
            found = [
                child
                for place in found
                for child in _children(call, place)
                if pattern.match(child.path.rpartition("\\")[2])
            ]
    except Refusal as error:
        return [error]
    return found


def each(call: Call, items: Iterable[Any], act: Callable[[Any], None]) -> None:
    """Do something with each item; an error of one does not keep the others from their turn unless it must.

    Arguments:
        call: the call.
        items: the items; an error among them is written.
        act: what to do with one.
    """
    for item in items:
        if call.reply.failed is not None:
            return
        try:
            if isinstance(item, Refusal):
                raise item
            act(item)
        except Refusal as found:
            call.refuse(found)


def custom_object(types: tuple[str, ...], properties: Mapping[str, Node]) -> Complex:
    """An object whose properties are notes, as PowerShell's own custom objects are sent."""
    base = ("System.Management.Automation.PSCustomObject", "System.Object")
    return Complex((*types, *base), None, {}, dict(properties))


def strings(values: Iterable[str]) -> Many:
    """A String[]."""
    return Many(STRINGS, tuple(Scalar("S", value) for value in values))
