"""Registry value: a value of a key in the local machine's hive, with its type.

``New-Item -Force`` on an existing key deletes it with all that is below and makes it anew; so a key is only made
after it was seen to be missing, and without ``-Force``. ``Set-ItemProperty`` makes or overwrites a value, and gets the
type always: without it an existing value would keep its own.
Source: vendor's chapters "MAPI" and "Exchange Mailbox Store Limits"; Microsoft's pages of the cmdlets.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

from umkit.channel import Channel
from umkit.command import Command
from umkit.errors import RemoteError
from umkit.kinds import ENUM, INTEGER, NAME, Kind
from umkit.resource import Absent, Done, HostResource, Missed, Present, Property, State, Verb
from umkit.site import Site
from umkit.windows import registry, xphone_host

#: Objects allowed by each session of one account; Exchange's own limit is 32.
SESSIONS = "Maximum Allowed Sessions Per User"
#: A limit that must not be lower; a higher one is somebody else's wish, and stays.
AT_LEAST = Kind(
    "least number", INTEGER.normalise, alike=lambda have, want: have is not None and want is not None and have >= want
)


class RegistryValue(HostResource):
    """A value of a registry key; the first property is the value, ``Type`` its type.

    Arguments:
        name: the key, for example ``HKLM:\\SOFTWARE\\Clients\\Mail``.
        host: the host whose registry it is.
        values: property name → wanted value, over the class's own.
    """

    noun = "ItemProperty"
    title = "registry key"

    def __init__(self, name: str, host: str, **values: Any) -> None:
        super().__init__(name, host, {})
        self.wanted |= {prop.name: prop.wanted for prop in self.properties} | values

    def read(self, channel: Channel, *, fresh: bool = False) -> State:
        """The key's value, if key and value are there; never from what was kept."""
        try:
            found = registry.values(channel, self.name, self.key)
        except RemoteError as error:
            return Missed(error)
        return self.state_of([] if found is None else [found])

    def state_of(self, objects: Sequence[Any]) -> State:
        """The state that the key's values show: no object where the key is missing."""
        if not objects:
            return Absent()
        value = objects[0].get(self.key)
        return Present({self.key: value, "Type": registry.type_of(value)})

    def commands(self, verb: Verb, asked: Sequence[Property], state: State) -> tuple[Command, ...]:
        """The value with its type; before it the key, where it is missing."""
        set_value = Command(
            "Set-ItemProperty",
            {"LiteralPath": self.name, "Name": self.key, "Value": self.wanted[self.key], "Type": self.wanted["Type"]},
        )
        return (Command("New-Item", {"Path": self.name}), set_value) if verb == "create" else (set_value,)

    def undo(self, done: Done, state: State, channel: Channel) -> tuple[Command, ...] | str:
        """The value as it was, or gone; the key too where the run made it and nothing else is in it.

        Value and type are one: where somebody changed either of them since, both are left alone.
        """
        own = {change["property"] for change in done.changes if change["object"] == self.label} - {"*"}
        if done.verb == "update" and own - done.after.keys():
            return "its value or its type was changed since, and one goes with the other"
        now = state.values if isinstance(state, Present) else {}
        before = done.before.get(self.key)
        if done.verb == "update" and self.key not in done.before:
            before = now.get(self.key)  # the run changed its type alone
        if done.verb != "create" and before is not None:
            given = {"Value": before, "Type": done.before.get("Type") or now.get("Type")}
            put = Command("Set-ItemProperty", {"LiteralPath": self.name, "Name": self.key, **given})
            return (put,) if isinstance(state, Present) else (Command("New-Item", {"Path": self.name}), put)
        if done.verb == "create":
            names = [name for name in registry.value_names(channel, self.name) or () if not NAME.same(name, self.key)]
            if not names and not registry.subkeys(channel, self.name):
                return (Command("Remove-Item", {"LiteralPath": self.name, "Confirm": False}),)
        if self.key == registry.DEFAULT:  # its raw name is empty, so no structured cmdlet finds it
            return "no cmdlet removes the default value of a key; it is removed by hand in the registry editor"
        return (Command("Remove-ItemProperty", {"LiteralPath": self.name, "Name": self.key, "Confirm": False}),)

    def carries(self, command: Command) -> Collection[str]:
        """A new key carries nothing yet."""
        return () if command.name == "New-Item" else {self.key, "Type"}


class DefaultMailClient(RegistryValue):
    """The machine's default mail client is Microsoft Outlook, in both registry views."""

    key = registry.DEFAULT
    properties: ClassVar[tuple[Property, ...]] = (
        Property(registry.DEFAULT, NAME, step="OUT-7", wanted="Microsoft Outlook"),
        # An expandable string arrives expanded and counts as a string (?).
        Property("Type", ENUM, step="OUT-7", wanted="String"),
    )

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """The key of the 64-bit and of the 32-bit view on the XPhone server."""
        host = xphone_host(site)
        return [cls(f"HKLM:\\SOFTWARE\\{view}Clients\\Mail", host) for view in ("", "Wow6432Node\\")]


class SessionsPerUser(RegistryValue):
    """The sessions that the Information Store allows an account: on every mailbox server at least the number needed."""

    key = SESSIONS
    properties: ClassVar[tuple[Property, ...]] = (
        Property(SESSIONS, AT_LEAST, step="LIM-7"),
        # A QWord cannot be told from a DWord by what arrives.
        Property("Type", ENUM, step="LIM-7", wanted="DWord"),
    )

    def __init__(self, host: str, sessions: int) -> None:
        path = "HKLM:\\SYSTEM\\CurrentControlSet\\Services\\MSExchangeIS\\ParametersSystem"
        super().__init__(path, host, **{SESSIONS: sessions})

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """Every mailbox server, with the customer file's number or what the sources need; none unless opted in."""
        asked = site.inputs.sessions
        if not asked.registry_limit:
            return []
        return [cls(server, max(asked.registry_sessions, asked.needed)) for server in site.mailbox_servers()]

    def remark(self, prop: Property, values: Mapping[str, Any]) -> str:
        """That a higher limit stays."""
        have = _number(values.get(SESSIONS)) if prop.name == SESSIONS else None
        return f"higher than the {self.wanted[SESSIONS]} that are needed: it stays" if self._higher(have) else ""

    def commands(self, verb: Verb, asked: Sequence[Property], state: State) -> tuple[Command, ...]:
        """The value with its type; a higher one, of the wrong type, is not lowered."""
        sent = super().commands(verb, asked, state)
        have = _number(state.values.get(SESSIONS)) if isinstance(state, Present) else None
        if not self._higher(have):
            return sent
        return tuple(Command(each.name, {**each.parameters, "Value": have}) for each in sent)

    def _higher(self, have: int | None) -> bool:
        return have is not None and have > self.wanted[SESSIONS]


def _number(value: Any) -> int | None:
    try:
        return int(INTEGER.normalise(value))
    except (ValueError, TypeError):
        return None


class SessionsPerUserForEws(SessionsPerUser):
    """The same limit, where the chapter on EWS asks for it."""

    properties = tuple(replace(prop, step="EWS-4") for prop in SessionsPerUser.properties)
