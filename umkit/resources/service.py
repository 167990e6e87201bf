"""Windows service: how it starts and whether it runs.

``Win32_Service`` is read, because it has account and process; its StartMode ``Auto`` is ``Automatic`` to
``Set-Service``. ``Stop-Service`` and ``Restart-Service`` wait without an end of their own, so they get a deadline, and
``-Force`` exactly where other services depend on this one: Windows PowerShell 5.1 may refuse without it even where
those are stopped (?).
Source: vendor's chapters "IMAP4 access" and "MAPI"; Microsoft's pages of the cmdlets.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

from umkit.channel import Channel
from umkit.command import Command
from umkit.errors import RemoteError
from umkit.kinds import ENUM, Kind
from umkit.resource import Absent, Missed, Present, Property, Resource, State, Verb
from umkit.site import Site
from umkit.windows import services, xphone_host
from umkit.windows.accounts import account_kind, same_account

IMAP_SERVICES = ("MSExchangeImap4", "MSExchangeIMAP4BE")
#: ``Auto`` of Win32_Service is ``Automatic`` of Set-Service.
START_MODE = Kind("start mode", lambda value: {"automatic": "auto"}.get(str(value).casefold(), str(value).casefold()))


class Service(Resource):
    """A Windows service on one host.

    Arguments:
        name: its name or display name.
        host: the host that it runs on.
        values: property name → wanted value, over the class's own.
    """

    noun = "Service"
    title = "service"
    way_out = "install what brings the service, or name the right service in the customer file"
    #: Seconds that one command may take at least: a service takes longer to stop than a setting to be set.
    patience: ClassVar[float] = 300.0

    def __init__(self, name: str, host: str, **values: Any) -> None:
        super().__init__(name, values)
        self.host = host

    @property
    def label(self) -> str:
        """The service as a person would name it."""
        return f"service {self.name} on {self.host}"

    def channel(self, site: Site) -> Channel:
        """The host's own endpoint."""
        return site.host(self.host)

    def read(self, channel: Channel, *, fresh: bool = False) -> State:
        """The service's Win32_Service, with what depends on it where it may have to be stopped."""
        try:
            found = services.service(channel, self.name, fresh=fresh)
            return self.state_of([] if found is None else [self.complete(found, channel, fresh=fresh)])
        except RemoteError as error:
            return Missed(error)

    def complete(self, found: Mapping[str, Any], channel: Channel, *, fresh: bool) -> Mapping[str, Any]:
        """What else has to be known of a service that was found."""
        return found

    def find(self, objects: Sequence[Any]) -> Any | None:
        """The service among those of its host."""
        names = self.name.casefold()
        keys = ("Name", "DisplayName")
        return next((row for row in objects if names in {str(row.get(key)).casefold() for key in keys}), None)

    def rival(self, objects: Sequence[Any]) -> str:
        """A service comes with its program, so one that is missing cannot be made."""
        return f"service {self.name} is not installed on {self.host}"

    def commands(self, verb: Verb, asked: Sequence[Property], state: State) -> tuple[Command, ...]:
        """One command for the start mode, one for the state."""
        values = state.values if isinstance(state, Present) else {}
        name = str(values.get("Name") or self.name)
        names = {prop.name for prop in asked}
        commands = []
        if "StartMode" in names:
            commands.append(Command("Set-Service", {"Name": name, "StartupType": self.wanted["StartMode"]}))
        if "State" in names and self.wanted["State"] == "Running":
            commands.append(Command("Start-Service", {"Name": name}))
        elif "State" in names:
            commands.append(Command("Stop-Service", {"Name": name, **force(values), "Confirm": False}))
        return tuple(commands)

    def carries(self, command: Command) -> Collection[str]:
        """The property that each of two commands sets."""
        return {"StartMode"} if command.name == "Set-Service" else {"State"}

    def send(self, command: Command, changes: Sequence[Mapping[str, Any]], channel: Channel) -> None:
        """Send the command; what stops along with the service is written down too."""
        along: list[Mapping[str, Any]] = []
        if command.parameters.get("Force"):
            after = "Stopped" if command.name == "Stop-Service" else "restarted"
            for name in services.dependents(channel, command.parameters["Name"]):
                row = services.service(channel, name, fresh=True) or {}
                if ENUM.same(row.get("State"), "Running"):
                    thing = f"service {name} on {self.host}"
                    along.append({"object": thing, "property": "State", "before": "Running", "after": after})
        channel.change(command, [*changes, *along], deadline=max(self.patience, channel.endpoint.deadline))


def force(values: Mapping[str, Any]) -> dict[str, Any]:
    """The parameter that lets a service be stopped along with what depends on it, where anything does."""
    return {"Force": True} if values.get("DependentServices") else {}


class ImapServices(Service):
    """An IMAP4 service of an Exchange server: it starts automatically and runs."""

    properties: ClassVar[tuple[Property, ...]] = (
        Property("StartMode", START_MODE, step="IMAP-1", wanted="Automatic"),
        Property("State", ENUM, step="IMAP-1", wanted="Running"),
    )

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """The IMAP4 service and its backend on each chosen server."""
        servers = site.inputs.imap4.servers or site.mailbox_servers()
        return [cls(name, server) for server in servers for name in IMAP_SERVICES]


class XPhoneStopped(Service):
    """The XPhone Connect Server service is stopped, for what is uninstalled next."""

    properties: ClassVar[tuple[Property, ...]] = (Property("State", ENUM, step="OUT-3", wanted="Stopped"),)

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """The service on the XPhone server, where the customer migrates from an older Exchange."""
        if site.inputs.run.migrating_from is None:
            return []
        return [cls(site.inputs.xphone.server_service, xphone_host(site))]

    def complete(self, found: Mapping[str, Any], channel: Channel, *, fresh: bool) -> Mapping[str, Any]:
        """What depends on the service, where it has to be stopped."""
        if ENUM.same(found.get("State"), "Stopped"):
            return found
        return {**found, "DependentServices": services.dependents(channel, str(found["Name"]))}


class XPhoneStoppedForPassword(XPhoneStopped):
    """The XPhone Connect Server service is stopped, for the account's new password."""

    properties = tuple(replace(prop, step="PWD-2") for prop in XPhoneStopped.properties)

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """The service on the XPhone server."""
        return [cls(site.inputs.xphone.server_service, xphone_host(site))]


class XPhoneStarted(Service):
    """The XPhone Connect Server service runs as the MAPI account.

    Arguments:
        name: its name or display name.
        host: the host that it runs on.
        account: the MAPI account.
    """

    properties: ClassVar[tuple[Property, ...]] = (
        Property("State", ENUM, step="PWD-6", wanted="Running"),
        Property("StartName", account_kind(), step="PWD-6"),
    )
    way_out = "set the account in the XPhone Connect Server Manager (PWD-4), then run the step again"

    def __init__(self, name: str, host: str, account: str) -> None:
        super().__init__(name, host, StartName=account)

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """The service on the XPhone server."""
        return [cls(site.inputs.xphone.server_service, xphone_host(site), site.inputs.mapi.account)]

    def state_of(self, objects: Sequence[Any]) -> State:
        """The service; under another account it is not started, for only a person knows the password."""
        state = super().state_of(objects)
        if isinstance(state, Present):
            account, wanted = str(state.values.get("StartName") or ""), self.wanted["StartName"]
            if not same_account(account, wanted, self.host):
                return Absent(f"service {self.name} runs as {account}, not as {wanted}")
        return state
