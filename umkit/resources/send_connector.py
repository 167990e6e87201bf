"""Send connector: the way of one UM service's mail to the XPhone server.

Smart hosts need DNS routing off on the same command line; usage is given at
creation and is a label only. The wizard leaves port 25, the vendor's services
listen on other ports by default, so the port is an input.
Source: vendor's chapter "Forwarding e-mails"; Microsoft's pages of New- and Set-SendConnector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from umkit.kinds import ADDRESS_SPACE, BOOL, ENUM, IDENTITY, INTEGER, NAME, SMART_HOST, listof
from umkit.resource import Property, Resource
from umkit.site import Site


class SendConnector(Resource):
    """A custom SMTP send connector through one smart host.

    Arguments:
        name: the connector's name, at most 64 characters.
        domain: the address space's domain.
        smart_host: IP address or FQDN of the XPhone server.
        servers: names of the source servers; of an FQDN the host part, for Exchange shows servers by name alone.
        port: TCP port of the smart host, 1 to 65535.
        cost: the address space's cost, 1 to 100.
    """

    noun = "SendConnector"
    title = "send connector"
    creation: ClassVar[Mapping[str, Any]] = {"Usage": "Custom"}
    properties: ClassVar[tuple[Property, ...]] = (
        Property("Name", NAME, step="FWD-1"),
        Property("Enabled", BOOL, step="FWD-1", wanted=True),
        Property("DNSRoutingEnabled", BOOL, step="FWD-1", wanted=False, along=("SmartHosts",)),
        Property("SmartHosts", listof(SMART_HOST), step="FWD-1", along=("DNSRoutingEnabled",)),
        Property("SmartHostAuthMechanism", ENUM, step="FWD-1", wanted="None"),
        Property("Port", INTEGER, step="FWD-1"),
        Property("AddressSpaces", listof(ADDRESS_SPACE), step="FWD-1"),
        Property("SourceTransportServers", listof(IDENTITY), step="FWD-1"),
    )

    def __init__(
        self, name: str, domain: str, smart_host: str, servers: Sequence[str], *, port: int = 25, cost: int = 1
    ) -> None:
        super().__init__(
            name,
            {
                "SmartHosts": [smart_host],
                "Port": port,
                "AddressSpaces": [f"SMTP:{domain};{cost}"],
                "SourceTransportServers": [server.partition(".")[0] for server in servers],
            },
        )

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """One send connector for each UM service, from the chosen servers or from every mailbox server."""
        return [
            cls(
                service.connector_name,
                service.domain,
                site.inputs.smart_host(service),
                service.source_servers or site.mailbox_servers(),
                port=service.port,
                cost=service.cost,
            )
            for service in site.inputs.um_services
        ]
