"""The Windows hosts of an organisation."""

from __future__ import annotations

from umkit.lab.description import HostSection, OperatingSystem
from umkit.lab.store import Store


class Host:
    """A Windows host.

    Arguments:
        section: what the organisation's file says of it.
        domain: the domain's DNS name.
    """

    def __init__(self, section: HostSection, domain: str) -> None:
        self.name = section.name
        self.fqdn = f"{section.name.lower()}.{domain}"
        self.address = section.address
        self.operating_system: OperatingSystem = section.operating_system
        self.store = Store((self.name,))

    def answers_to(self, name: str) -> bool:
        """Whether this is the host's name, FQDN or address."""
        return name.lower() in (self.name.lower(), self.fqdn, self.address)
