"""The Windows hosts of an organisation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from umkit.lab import host_furniture, host_roles
from umkit.lab.directory_objects import LOCAL_GROUPS
from umkit.lab.host_files import Files
from umkit.lab.host_services import START_TYPES, Services, WindowsService
from umkit.lab.registry import Registry
from umkit.lab.store import Store

if TYPE_CHECKING:
    from umkit.lab.description import HostSection, OperatingSystem
    from umkit.lab.organisation import Organisation
    from umkit.lab.sections import EventSection

_SERVICES_KEY = ("HKEY_LOCAL_MACHINE", "SYSTEM", "CurrentControlSet", "Services")
_IMAP_SERVICES = ("msexchangeimap4", "msexchangeimap4be")
_PROTOCOL_LOG = re.compile(rb'<add\s+key="ProtocolLog"\s+value="([^"]*)"')


class Host:
    """A Windows host.

    Arguments:
        section: what the organisation's file says of it.
        domain: the domain's DNS name.
        role: ``controller``, ``exchange``, ``xphone`` or ``server``.
    """

    def __init__(self, section: HostSection, domain: str, role: str = "server") -> None:
        self.name = section.name
        self.role = role
        self.fqdn = f"{section.name.lower()}.{domain}"
        self.address = section.address
        self.operating_system: OperatingSystem = section.operating_system
        self.section = section
        self.store = Store((self.name,))
        self.registry = Registry()
        self.files = Files(self.now)
        self.services = Services(self.now, self._settings, self._changed)
        self.events: list[EventSection] = list(section.events)
        #: Right → SIDs, or names that nobody knows.
        self.rights: dict[str, list[str]] = {}
        #: SID of a local group → its name and members (SIDs).
        self.local_groups: dict[str, tuple[str, list[str]]] = {sid: (name, []) for sid, name in LOCAL_GROUPS.items()}
        #: Account → exit code of the last native program it ran; a runspace's variable in truth.
        self.exit_codes: dict[str, int] = {}
        self._organisation: Organisation | None = None

    def answers_to(self, name: str) -> bool:
        """Whether this is the host's name, FQDN or address."""
        return name.lower() in (self.name.lower(), self.fqdn, self.address)

    def now(self) -> datetime:
        """The host's clock (UTC)."""
        return datetime.now(UTC)

    def furnish(self, organisation: Organisation) -> None:
        """Put in what role and file say, once the organisation's users and settings are there.

        Raises ValueError, which begins with the key, when they don't fit.
        """
        section = self.section
        roles = host_roles.roles(self.role, section.install_path, section.service_account)
        host_furniture.furnish(self, organisation, roles)
        self._organisation = organisation
        self.services.begin()

    def log(self, event: EventSection) -> None:
        """Write an entry to an event log."""
        self.events.append(event)

    def _changed(self, service: WindowsService, moved: bool) -> None:
        """Keep a service's registry key and the System log as the service control manager keeps them."""
        key = self.registry.create((*_SERVICES_KEY, service.name))
        key.put("DisplayName", "String", service.display_name)
        key.put("ImagePath", "ExpandString", service.path)
        key.put("ObjectName", "String", service.account)
        key.put("Start", "DWord", START_TYPES.index(service.start_type))
        key.put("Type", "DWord", 16)
        if service.delayed:
            key.put("DelayedAutostart", "DWord", 1)
        if moved:
            host_furniture.log_service_state(self, service)

    def _settings(self, service: WindowsService) -> dict[str, Any] | None:
        """What an IMAP4 service reads when it starts: this server's ImapSettings and its configuration file."""
        if self._organisation is None or service.name.lower() not in _IMAP_SERVICES:
            return None
        entries = self._organisation.directory.latest("ImapSettings")
        mine = (each.values for each in entries if str(each.values.get("Server")).lower() == self.name.lower())
        found: Mapping[str, Any] = next(mine, {})
        file = self.files.file(host_roles.IMAP_CONFIGURATION)
        logging = _PROTOCOL_LOG.search(file.content) if file else None
        return {**found, "ProtocolLog": logging[1].decode("ascii", "replace") if logging else None}

    def state(self) -> dict[str, Any]:
        """The host as JSON-ready values."""
        return {
            "fqdn": self.fqdn,
            "address": self.address,
            "services": self.services.state(),
            "registry": self.registry.state(),
            "files": self.files.state(),
            "user_rights": {right: list(sids) for right, sids in self.rights.items()},
            "local_groups": {sid: {"name": name, "members": of} for sid, (name, of) in self.local_groups.items()},
        }
