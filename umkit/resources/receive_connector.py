"""Receive connector: the UM server's own way in, for mail to any domain.

Usage is given at creation only. A connector of usage Custom accepts nothing until a permission group or a right is
given; that the page does not mention it is why REL-3 exists. ``Custom`` among the permission groups only tells that
rights were granted one by one (ExchangeDsc #39).
Source: vendor's chapter "Relay settings"; Microsoft's pages of New-ReceiveConnector and of anonymous relay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

from umkit.channel import Channel
from umkit.command import Command
from umkit.kinds import BINDING, BOOL, ENUM, FLAGS, IP_RANGE, NAME, Kind, listof
from umkit.ranges import ranges, same_place
from umkit.resource import Done, Property, Resource, State, Verb
from umkit.site import Site

_GROUPS = Kind("permission groups", lambda value: FLAGS.normalise(value) - {"custom"}, unset=frozenset())
#: Externally secured stands alone or with Tls (Microsoft's page), so Tls makes no difference.
_SECURED = Kind("authentication mechanisms", lambda value: FLAGS.normalise(value) - {"tls"}, unset=frozenset())
#: What each relay.permission asks for in REL-3.
_ASKED: Mapping[str, Mapping[str, str]] = {
    "anonymous": {"PermissionGroups": "AnonymousUsers"},
    # Both on one command line: Exchange refuses the one without the other.
    "externally-secured": {"AuthMechanism": "ExternalAuthoritative", "PermissionGroups": "ExchangeServers"},
    "as-page": {},
}


class ReceiveConnector(Resource):
    """A custom receive connector of one server for named hosts alone.

    Arguments:
        name: the connector's name, at most 64 characters.
        server: the server that it belongs to.
        addresses: the hosts that may send, one address each.
        port: TCP port on which it listens, on all IPv4 addresses.
        permission: ``anonymous``, ``externally-secured`` or ``as-page``.
    """

    noun = "ReceiveConnector"
    title = "receive connector"
    creation: ClassVar[Mapping[str, Any]] = {"Usage": "Custom"}
    properties: ClassVar[tuple[Property, ...]] = (
        Property("Name", NAME, step="REL-2"),
        Property("Enabled", BOOL, step="REL-2", wanted=True),
        Property("TransportRole", ENUM, step="REL-2", wanted="HubTransport"),
        Property("Bindings", listof(BINDING), step="REL-2"),
        Property("RemoteIPRanges", listof(IP_RANGE), step="REL-2"),
        Property("AuthMechanism", _SECURED, step="REL-3"),
        Property("PermissionGroups", _GROUPS, step="REL-3"),
    )

    def __init__(
        self, name: str, server: str, addresses: Sequence[str], *, port: int = 2500, permission: str = "anonymous"
    ) -> None:
        self.server = server
        self.granted = _ASKED[permission]
        own = {"Bindings": [f"0.0.0.0:{port}"], "RemoteIPRanges": list(addresses)}
        super().__init__(name, own | dict(self.granted))

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """One on each chosen server, or on every mailbox server."""
        asked, addresses = site.inputs.relay, site.inputs.relay_addresses()
        return [
            cls(asked.connector, server, addresses, port=asked.port, permission=asked.permission)
            for server in asked.servers or site.mailbox_servers()
        ]

    @property
    def label(self) -> str:
        """The connector with its server, as Exchange names it."""
        return f"{self.title} {self.identity}"

    @property
    def identity(self) -> str:
        """``SERVER\\Name``, Exchange's own form."""
        return f"{self.server.partition('.')[0]}\\{self.name}"

    def of_step(self, step: str | None) -> list[Property]:
        """The properties that one step asks for; those of REL-3 hang on the permission that is wanted."""
        hanging = {"AuthMechanism", "PermissionGroups"} - set(self.granted)
        return [prop for prop in super().of_step(step) if prop.name not in hanging]

    def find(self, objects: Sequence[Any]) -> Any | None:
        """The connector of this name on this server."""
        return next((each for each in objects if self.beside(each) and NAME.same(each.get("Name"), self.name)), None)

    def rival(self, objects: Sequence[Any]) -> str:
        """A connector of this server that Exchange would not let stand beside this one."""
        for other in objects:
            if not self.beside(other) or not same_place(other.get("Bindings"), self.wanted["Bindings"]):
                continue
            if not ENUM.same(other.get("TransportRole"), self.wanted["TransportRole"]):
                return f"{other.get('Identity')} listens there too, for another transport role"
            if set(ranges(other.get("RemoteIPRanges"))) == set(ranges(self.wanted["RemoteIPRanges"])):
                return f"{other.get('Identity')} listens there too, for the same hosts"
        return ""

    def commands(self, verb: Verb, asked: Sequence[Property], state: State) -> tuple[Command, ...]:
        """What has to be sent; for externally secured both properties together."""
        if verb != "update":
            [new, *rest] = super().commands(verb, asked, state)
            return (Command(new.name, {**new.parameters, "Server": self.server}), *rest)
        if not asked:
            return ()
        names = {prop.name for prop in asked}
        if names & set(self.granted):
            names |= set(self.granted)
        chosen = [prop for prop in self.properties if prop.name in names]
        return (Command("Set-ReceiveConnector", {"Identity": self.identity} | self._parameters(chosen)),)

    def undo(self, done: Done, state: State, channel: Channel) -> tuple[Command, ...] | str:
        """As any resource; ``Custom`` only tells of rights given one by one, and is not given back."""
        before = dict(done.before)
        if before.get("PermissionGroups") is not None:
            groups = [each.strip() for each in str(before["PermissionGroups"]).split(",")]
            before["PermissionGroups"] = ", ".join(each for each in groups if not ENUM.same(each, "Custom")) or "None"
        return super().undo(replace(done, before=before), state, channel)

    def beside(self, other: Mapping[str, Any]) -> bool:
        """Whether a connector belongs to the same server."""
        return NAME.same(str(other.get("Server") or "").partition(".")[0], self.server.partition(".")[0])
