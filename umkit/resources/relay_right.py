"""Relay right: that anonymous senders may reach any recipient through one connector.

The permission group AnonymousUsers lets a host submit mail to the organisation's own domains; the right
Ms-Exch-SMTP-Accept-Any-Recipient is what makes a relay of it. The anonymous principal's name is localised.
Source: Microsoft's page "Allow anonymous relay on Exchange servers".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from umkit.channel import Asked, Channel
from umkit.command import Command
from umkit.errors import AccessDenied, CommandHidden, ObjectNotFound, ParameterRefused, Refused, RemoteError
from umkit.kinds import NAME, listof
from umkit.permissions import ANY_RECIPIENT, anonymous, entries, listed, of
from umkit.resource import Absent, Done, Missed, Present, Property, Resource, State, Verb
from umkit.resources.receive_connector import ReceiveConnector
from umkit.site import Site

#: The anonymous principal in English; its SID is the same in every language, but whether -User takes it is (?).
ANONYMOUS, ANONYMOUS_SID = "NT AUTHORITY\\ANONYMOUS LOGON", "S-1-5-7"


class RelayRight(Resource):
    """The right to any recipient, for anonymous senders on one connector.

    Arguments:
        name: the connector's ``SERVER\\Name``.
        connector: its distinguished name; empty where it is not there yet.
    """

    noun = "ReceiveConnector"
    title = "relay right on receive connector"
    way_out = "find out who denied it and why, then remove that entry by hand"
    properties: ClassVar[tuple[Property, ...]] = (
        Property("Name", NAME, step="REL-2"),
        Property("ExtendedRights", listof(NAME, "at least"), step="REL-3", wanted=(ANY_RECIPIENT,), create=False),
    )

    def __init__(self, name: str, connector: str = "") -> None:
        super().__init__(name, {})
        self.connector = connector

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """One for each relay connector, where anonymous senders are wanted at all."""
        if site.inputs.relay.permission != "anonymous":
            return []
        present = site.organisation().list("ReceiveConnector")
        pairs = [(wanted, wanted.find(present)) for wanted in ReceiveConnector.wanted_by(site)]
        return [cls(wanted.identity, str(found["DistinguishedName"]) if found else "") for wanted, found in pairs]

    def lists(self) -> Sequence[Asked]:
        """Everybody's entries on the connector, where there is one."""
        return (("ADPermission", {"Identity": self.connector}),) if self.connector else ()

    def read(self, channel: Channel, *, fresh: bool = False) -> State:
        """The entries of the connector; never asked for without one, for that would list everything."""
        if not self.connector:
            return Absent()
        try:
            return self.state_of(channel.list("ADPermission", fresh=fresh, Identity=self.connector))
        except RemoteError as error:
            return Missed(error)

    def state_of(self, objects: Sequence[Any]) -> State:
        """What the connector's entries say of anonymous senders."""
        if not self.connector:
            return Absent()
        trustee = anonymous(objects)
        held = entries(of(objects, trustee), [ANY_RECIPIENT])
        others = [row for row in objects if not NAME.same(row.get("User"), trustee) and not row.get("IsInherited")]
        others = [row for row in others if not row.get("Deny") and ANY_RECIPIENT.casefold() in _names(row)]
        also = ", ".join(dict.fromkeys(str(row.get("User")) for row in others))
        why = f"an entry of {self.name} itself denies {trustee} the right {ANY_RECIPIENT}" if held.denied else ""
        values = {"Name": self.name, "ExtendedRights": list(held.allowed), "Trustee": trustee, "Also": also}
        return Present(values, blocked=why)

    def remark(self, prop: Property, values: Mapping[str, Any]) -> str:
        """Who else holds the right."""
        return f"held by {values['Also']} too" if prop.name == "ExtendedRights" and values.get("Also") else ""

    def commands(self, verb: Verb, asked: Sequence[Property], state: State) -> tuple[Command, ...]:
        """The right is added and nothing else is touched."""
        trustee = state.values["Trustee"] if isinstance(state, Present) else ""
        given = {
            "Identity": self.connector or self.name,
            "User": trustee or ANONYMOUS,
            "ExtendedRights": [ANY_RECIPIENT],
        }
        return (Command("Add-ADPermission", given),)

    def undo(self, done: Done, state: State, channel: Channel) -> tuple[Command, ...] | str:
        """The entry is removed as it was added, for the same trustee."""
        added = done.commands[-1].parameters
        given = {name: added[name] for name in ("Identity", "User", "ExtendedRights")}
        return (Command("Remove-ADPermission", given | {"Confirm": False}),)

    def send(self, command: Command, changes: Sequence[Mapping[str, Any]], channel: Channel) -> None:
        """Send it; where the organisation knows the anonymous principal by another name, by its SID.

        Only where that name is what was refused, and the right is read to be missing, is anything sent again.
        """
        try:
            channel.change(command, changes)
        except Refused as error:
            if command.parameters["User"] != ANONYMOUS or not self._unknown(error):
                raise
            now = self.read(channel, fresh=True)
            if not isinstance(now, Present) or now.blocked:
                raise
            if not listof(NAME).missing(now.values["ExtendedRights"], command.parameters["ExtendedRights"]):
                return
            channel.change(Command(command.name, {**command.parameters, "User": ANONYMOUS_SID}), changes)

    def _unknown(self, error: Refused) -> bool:
        """Whether an error says that there is no such trustee; a connector's absence is another thing."""
        if isinstance(error, AccessDenied | CommandHidden | ParameterRefused):
            return False
        said = f"{error.what} {error.seen}".casefold()
        if ANONYMOUS.partition("\\")[2].casefold() in said:
            return True
        return isinstance(error, ObjectNotFound) and self.connector.casefold() not in said


def _names(row: Mapping[str, Any]) -> set[str]:
    return {name.casefold() for name in listed(row.get("ExtendedRights"))}
