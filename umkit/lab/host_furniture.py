"""A host's services, registry, files and rights, put in from role and file."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from umkit.lab.directory_objects import DirectoryObjects
from umkit.lab.host_files import File
from umkit.lab.host_roles import Role
from umkit.lab.host_services import WindowsService
from umkit.lab.sections import EventSection, FileSection, ProgramSection, ServiceSection, ValueSection

if TYPE_CHECKING:
    from umkit.lab.hosts import Host
    from umkit.lab.organisation import Organisation

_UNINSTALL = "Microsoft\\Windows\\CurrentVersion\\Uninstall"
_OWNER = re.compile(r"^(?P<root>HKU|HKEY_USERS)\\<(?P<name>[^>]+)>", re.IGNORECASE)


def furnish(host: Host, organisation: Organisation, roles: Sequence[Role]) -> None:
    """Put in what the roles and the host's section say; raises ValueError, which begins with the key."""
    directory = DirectoryObjects(organisation)
    section = host.section
    for role in roles:
        for folder in role.folders:
            host.files.make_folder(folder)
        for path, file in role.files.items():
            _file(host, organisation, path, file)
        for key, values in role.registry.items():
            _key(host, directory, key, values)
    for folder in section.folders:
        host.files.make_folder(host.files.normal(folder))
    for path, given in section.files.items():
        _file(host, organisation, path, FileSection(text=given) if isinstance(given, str) else given)
    for program in section.programs:
        _program(host, directory, program)
    for key, table in section.registry.items():
        _key(host, directory, key, table)
    for name in section.hives_not_loaded:
        host.registry.unload(_sid(directory, name, "hives_not_loaded"))
    _services(host, organisation, roles)
    _rights(host, directory, roles)
    _groups(host, directory, roles)


def _sid(directory: DirectoryObjects, name: str, key: str) -> str:
    if name.startswith("-"):
        return directory.sid + name
    found = directory.sid_of(name)
    if found is None:
        raise ValueError(f"{key}: nobody is called {name}")
    return found


def _file(host: Host, organisation: Organisation, path: str, section: FileSection) -> None:
    try:
        normal = host.files.normal(path)
        if section.base64 is not None:
            content = base64.b64decode(section.base64, validate=True)
        else:
            text = (section.text or "").replace("\r\n", "\n")
            content = text.replace("\n", "\r\n" if section.newline == "crlf" else "\n").encode(section.encoding)
    except (ValueError, LookupError) as error:
        raise ValueError(f"files.{path}: {error}") from error
    when = organisation.founded
    host.files.found(File(normal, content, when, when, section.read_only, section.locked, section.torn_writes))


def _key(host: Host, directory: DirectoryObjects, key: str, values: Mapping[str, Any]) -> None:
    where = f"registry.{key}"
    path = _OWNER.sub(lambda found: f"{found['root']}\\{_sid(directory, found['name'], where)}", key)
    try:
        made = host.registry.create(host.registry.split(path.replace(":", "", 1)))
    except KeyError as error:
        raise ValueError(f"{where}: there is no hive {error}; it begins with HKLM or HKU") from None
    for name, value in values.items():
        kind, data = _value(value, f"{where}.{name}")
        made.put(name, kind, data)


def _value(value: Any, where: str) -> tuple[str, Any]:
    if not isinstance(value, ValueSection):
        kind = "DWord" if isinstance(value, int) else "MultiString" if isinstance(value, list) else "String"
        return kind, value
    wanted: type = {"DWord": int, "QWord": int, "MultiString": list}.get(value.kind, str)
    if value.kind == "Binary" or (value.kind in ("DWord", "QWord") and isinstance(value.value, str)):
        try:
            return value.kind, bytes.fromhex(str(value.value))
        except ValueError:
            raise ValueError(f"{where}: {value.value!r} are no hexadecimal digits") from None
    if not isinstance(value.value, wanted):
        raise ValueError(f"{where}: {value.kind} takes {wanted.__name__}, not {value.value!r}")
    return value.kind, value.value


def _program(host: Host, directory: DirectoryObjects, program: ProgramSection) -> None:
    software = "HKLM\\SOFTWARE" + ("\\Wow6432Node" if program.view == 32 else "")
    told: dict[str, str | int] = {
        "DisplayName": program.name,
        "DisplayVersion": program.version,
        "Publisher": program.publisher,
    }
    values = {name: text for name, text in told.items() if text} | program.values
    _key(host, directory, f"{software}\\{_UNINSTALL}\\{program.key or program.name}", values)
    office = program.version.partition(".")[0] + ".0"
    if program.outlook is not None:
        # 32-bit Office on 64-bit Windows writes its own view; Bitness is looked for in both (exchange.md §3 i).
        base = "HKLM\\SOFTWARE" + ("\\Wow6432Node" if program.outlook == "x86" else "")
        folder = "C:\\Program Files" + (" (x86)" if program.outlook == "x86" else "") + "\\Microsoft Office\\"
        folder += ("root\\" if program.click_to_run else "") + f"Office{office.partition('.')[0]}\\"
        for each in dict.fromkeys(("HKLM\\SOFTWARE", base)):
            _key(host, directory, f"{each}\\Microsoft\\Office\\{office}\\Outlook", {"Bitness": program.outlook})
        _key(host, directory, f"{base}\\Microsoft\\Office\\{office}\\Outlook\\InstallRoot", {"Path": folder})
        for each in ("HKLM\\SOFTWARE", "HKLM\\SOFTWARE\\Wow6432Node"):
            client = {"(default)": "Microsoft Outlook"}
            _key(host, directory, f"{each}\\Clients\\Mail\\Microsoft Outlook", client)
    if program.click_to_run is not None:
        table = {
            "Platform": program.outlook or "x86",
            "VersionToReport": program.version,
            "ProductReleaseIds": program.click_to_run,
        }
        _key(host, directory, "HKLM\\SOFTWARE\\Microsoft\\Office\\ClickToRun\\Configuration", table)


def _services(host: Host, organisation: Organisation, roles: Sequence[Role]) -> None:
    sections: dict[str, list[ServiceSection]] = {}
    spelt: dict[str, str] = {}
    for services in (*(role.services for role in roles), host.section.services):
        for name, section in services.items():
            spelt.setdefault(name.lower(), name)
            sections.setdefault(name.lower(), []).append(section)
    for lowered, layers in sections.items():
        values: dict[str, Any] = {}
        for layer in layers:
            values |= {key: value for key, value in layer.model_dump().items() if value is not None}
        name = spelt[lowered]
        values["depends_on"] = tuple(values.get("depends_on", ()))
        values.setdefault("display_name", name)
        service = WindowsService(name, **values)
        if service.status == "Stopped":
            service.started = None
        else:
            service.started = service.started or organisation.founded
        host.services.add(service)
        for needed in service.depends_on:
            if needed.lower() not in sections:
                raise ValueError(f"services.{name}.depends_on: there is no service {needed}")
        host.services.found(service)


def _rights(host: Host, directory: DirectoryObjects, roles: Sequence[Role]) -> None:
    for role in roles:
        for right, names in role.rights.items():
            host.rights[right] = [_sid(directory, each, "user_rights") for each in names]
    for right, given in host.section.user_rights.items():
        host.rights[right] = [_sid(directory, each, f"user_rights.{right}") for each in given]
    host.rights = {right: sids for right, sids in host.rights.items() if sids}


def _groups(host: Host, directory: DirectoryObjects, roles: Sequence[Role]) -> None:
    for role in roles:
        for sid, names in role.groups.items():
            host.local_groups[sid][1].extend(_sid(directory, each, "local_groups") for each in names)
    for name, group in host.section.local_groups.items():
        known = {text.lower(): sid for sid, (text, _) in host.local_groups.items()}
        wanted = group.sid or known.get(name.lower())
        if wanted is None:
            raise ValueError(f"local_groups.{name}: it needs a sid")
        members = host.local_groups.get(wanted, ("", []))[1]
        members += [_sid(directory, each, f"local_groups.{name}") for each in group.members]
        host.local_groups[wanted] = (name, members)


def log_service_state(host: Host, service: WindowsService) -> None:
    """Event 7036 of the service control manager: a service entered a state."""
    event = EventSection(
        log="System",
        provider="Service Control Manager",
        id=7036,
        level=4,
        time=host.now(),
        message=f"The {service.display_name} service entered the {service.status.lower()} state.",
    )
    host.log(event)
