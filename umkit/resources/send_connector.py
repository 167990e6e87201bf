"""Send connector: the way of one UM service's mail to the XPhone server.

Smart hosts need DNS routing off on the same command line; usage is given at
creation and is a label only. The wizard leaves port 25, the vendor's services
listen on other ports by default, so the port is an input.
What a connector had before for a smart host that asks for a name and a password, no record can hold: the password.
Whether Exchange keeps it where the mechanism is set to None is (?), so a rollback looks whether it still shows one.
Source: vendor's chapter "Forwarding e-mails"; Microsoft's pages of New- and Set-SendConnector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from umkit.kinds import ADDRESS_SPACE, BOOL, ENUM, IDENTITY, INTEGER, NAME, SMART_HOST, listof
from umkit.resource import Done, Present, Property, Resource, State
from umkit.site import Site

_MECHANISM = "SmartHostAuthMechanism"
_CREDENTIAL = "AuthenticationCredential"
_BY_HAND = "Set-SendConnector with -SmartHostAuthMechanism {} and -AuthenticationCredential (Get-Credential)"


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
        Property(_MECHANISM, ENUM, step="FWD-1", wanted="None"),
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

    def remark(self, prop: Property, values: Mapping[str, Any]) -> str:
        """That what is changed here cannot be taken back in full."""
        if prop.name != _MECHANISM or not _signs_in(values) or _signs_in(self.wanted):
            return ""
        return "its password is in no record: a rollback cannot give it back"

    def held_back(self, done: Done, state: State) -> Mapping[str, str]:
        """The mechanism that needs a credential, where Exchange shows none any more."""
        if not _signs_in(done.before) or _credential(done, state):
            return {}
        return {_MECHANISM: f"{_lost(done)}; by hand: {_BY_HAND.format(done.before[_MECHANISM])}"}

    def shortfall(self, done: Done, state: State) -> str:
        """That nobody knows whether the credential that Exchange still shows is whole."""
        if not _signs_in(done.before) or not (user := _credential(done, state)):
            return ""
        told = f"Exchange still shows one ({user}), and whether its password is whole nothing tells"
        return f"{_lost(done)}; {told}: look whether mail flows, else {_BY_HAND.format(done.before[_MECHANISM])}"


def _signs_in(values: Mapping[str, Any]) -> bool:
    return str(values.get(_MECHANISM) or "").casefold().startswith("basicauth")


def _credential(done: Done, state: State) -> str:
    """Whose credential the connector that is put back shows; empty where none, as on one that is made again."""
    found = state.values.get(_CREDENTIAL) if isinstance(state, Present) and done.verb == "update" else None
    return str(found.get("UserName") or "(no name)") if isinstance(found, Mapping) else str(found or "")


def _lost(done: Done) -> str:
    return f"it was {done.before[_MECHANISM]}, and the credential for that is in no record"
