"""IMAP4 settings: how one server's IMAP4 service lets clients in and gives messages out.

The UM server logs in with plain text and reads plain text only. The settings are a server's own, and the service
takes them up when it is restarted.
Source: vendor's chapter "IMAP4 access"; Microsoft's page of Set-ImapSettings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from umkit.channel import Asked, Channel
from umkit.command import Command
from umkit.errors import RemoteError
from umkit.kinds import ENUM
from umkit.resource import Absent, Missed, Present, Property, Resource, State, Verb
from umkit.site import Site


class ImapSettings(Resource):
    """The IMAP4 settings of one Exchange server.

    Arguments:
        name: the server's name.
        login_type: ``PlainTextLogin``, ``PlainTextAuthentication`` or ``SecureLogin``.
        mime_format: ``TextOnly``, ``HtmlOnly`` … ``BestBodyFormat``, ``Tnef``.
    """

    noun = "ImapSettings"
    title = "IMAP4 settings of"
    key = "Server"
    way_out = "check that the server is an Exchange mailbox server, and imap4.servers in the customer file"
    properties: ClassVar[tuple[Property, ...]] = (
        Property("LoginType", ENUM, step="IMAP-2"),
        Property("MessageRetrievalMimeFormat", ENUM, step="IMAP-2"),
    )

    def __init__(self, name: str, login_type: str = "PlainTextLogin", mime_format: str = "TextOnly") -> None:
        super().__init__(name, {"LoginType": login_type, "MessageRetrievalMimeFormat": mime_format})

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """One for each chosen server, or for every mailbox server."""
        asked = site.inputs.imap4
        return [cls(server, asked.login_type, asked.mime_format) for server in asked.servers or site.mailbox_servers()]

    def lists(self) -> Sequence[Asked]:
        """The settings of this server alone."""
        return ((self.noun, {"Server": self.name}),)

    def read(self, channel: Channel, *, fresh: bool = False) -> State:
        """The settings of this server alone: without a server, Exchange shows those of the server it runs on."""
        try:
            return self.state_of(channel.list(self.noun, fresh=fresh, Server=self.name))
        except RemoteError as error:
            return Missed(error)

    def state_of(self, objects: Sequence[Any]) -> State:
        """What the server answered for itself."""
        return Present(objects[0]) if objects else Absent(f"{self.name} shows no IMAP4 settings")

    def commands(self, verb: Verb, asked: Sequence[Property], state: State) -> tuple[Command, ...]:
        """Only the settings that differ, on this server."""
        return (Command("Set-ImapSettings", {"Server": self.name} | self._parameters(asked)),)
