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

from umkit.attestation import attested
from umkit.channel import Asked, Channel
from umkit.command import Command
from umkit.errors import RemoteError, Unreadable
from umkit.kinds import ENUM, Kind
from umkit.resource import Done, HostResource, Missed, Present, Property, State, Verb
from umkit.site import Site
from umkit.windows import services, xphone_host
from umkit.windows.accounts import account_kind, same_account
from umkit.windows.programs import is_messaging_api, is_old_office
from umkit.windows.registry import programs

IMAP_SERVICES = ("MSExchangeImap4", "MSExchangeIMAP4BE")
#: ``Auto`` of Win32_Service is ``Automatic`` of Set-Service.
START_MODE = Kind("start mode", lambda value: {"automatic": "auto"}.get(str(value).casefold(), str(value).casefold()))


class Service(HostResource):
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
    #: What happens to the running services that depend on this one, when it is stopped or restarted.
    along: ClassVar[str] = "these depend on it and stop as well"

    def __init__(self, name: str, host: str, **values: Any) -> None:
        super().__init__(name, host, values)

    def lists(self) -> Sequence[Asked]:
        """The service by its name."""
        return (("CimInstance", services.by_key("Name", self.name)),)

    def read(self, channel: Channel, *, fresh: bool = False) -> State:
        """The service's Win32_Service, with what depends on it where it may have to be stopped."""
        try:
            found = services.service(channel, self.name, fresh=fresh)
            return self.state_of([] if found is None else [self.complete(found, channel, fresh=fresh)])
        except (RemoteError, Unreadable) as error:
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

    def remark(self, prop: Property, values: Mapping[str, Any]) -> str:
        """Which running services stop along with this one."""
        along = ", ".join(map(str, values.get("RunningDependents") or ()))
        return f"{self.along}: {along}" if along and prop.name in ("State", "Started") else ""

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

    def undo(self, done: Done, state: State, channel: Channel) -> tuple[Command, ...] | str:
        """Start mode and state as they were; a service that stopped along with this one is started again."""
        before = dict(done.before)
        if START_MODE.same(before.get("StartMode", ""), "Automatic"):
            before["StartMode"] = "Automatic"  # as Set-Service calls it
        if ENUM.same(before.get("State"), "Stopped") and isinstance(state, Present):
            name = str(state.values.get("Name") or self.name)
            state = Present({**state.values, "DependentServices": services.dependents(channel, name)})
        commands = super().undo(replace(done, before=before), state, channel)
        if isinstance(commands, str) or not ENUM.same(before.get("State"), "Running"):
            return commands
        return (*commands, *(Command("Start-Service", {"Name": name}) for name in self._stopped_along(done, channel)))

    def _stopped_along(self, done: Done, channel: Channel) -> list[str]:
        first, last = "service ", f" on {self.host}"
        along = [
            str(change["object"]).removeprefix(first).removesuffix(last)
            for change in done.changes
            if change["object"] != self.label and change.get("after") == "Stopped"
        ]
        rows = {name: services.service(channel, name, fresh=True) or {} for name in dict.fromkeys(along)}
        return [name for name, row in rows.items() if ENUM.same(row.get("State"), "Stopped")]

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
    """The XPhone Connect Server service is stopped while there is something to be uninstalled.

    Arguments:
        name: its name or display name.
        host: the host that it runs on.
        idle: why it is left as it is; empty where it has to be stopped.
    """

    properties: ClassVar[tuple[Property, ...]] = (Property("State", ENUM, step="OUT-3", wanted="Stopped"),)

    def __init__(self, name: str, host: str, idle: str = "") -> None:
        super().__init__(name, host)
        self.idle = idle

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """The service on the XPhone server, where the customer migrates from an older Exchange."""
        if site.inputs.run.migrating_from is None:
            return []
        host = xphone_host(site)
        left = [each for each in programs(site.host(host)) if is_messaging_api(each) or is_old_office(each)]
        idle = "" if left else "nothing is left to be uninstalled (OUT-4, OUT-5): nothing is stopped"
        return [cls(site.inputs.xphone.server_service, host, idle)]

    def state_of(self, objects: Sequence[Any]) -> State:
        """The service; where nothing is to be stopped, its state is the wanted one, whatever it is."""
        if not self.idle:
            return super().state_of(objects)
        found = self.find(objects) or {"State": "not installed"}
        self.wanted["State"] = found.get("State")
        return Present(found)

    def complete(self, found: Mapping[str, Any], channel: Channel, *, fresh: bool) -> Mapping[str, Any]:
        """What depends on the service, where it has to be stopped."""
        if self.idle or ENUM.same(found.get("State"), "Stopped"):
            return found
        return services.with_dependents(channel, found)

    def remark(self, prop: Property, values: Mapping[str, Any]) -> str:
        """Why it is left as it is, or what stops along with it."""
        return self.idle or super().remark(prop, values)


class XPhoneStoppedForPassword(XPhoneStopped):
    """The XPhone Connect Server service is stopped while the account's password is being changed.

    That begins with the person's word for PWD-1; a service that started after it has the change behind it. The word has
    the time of this workstation and the start that of the host: as with tickets, their clocks must agree.
    """

    properties = tuple(replace(prop, step="PWD-2") for prop in XPhoneStopped.properties)

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """The service on the XPhone server, left as it is where nobody has attested PWD-1 since it started."""
        host, name = xphone_host(site), site.inputs.xphone.server_service
        channel = site.host(host)
        said, _ = attested(site.records, site.inputs.customer.name, "PWD-1")
        found = services.service(channel, name, fresh=True) if said else None
        begun = services.started(channel, found.get("ProcessId"), fresh=True) if found else None
        stopped = said is not None and (found is None or ENUM.same(found.get("State"), "Stopped"))
        under_way = stopped or (said is not None and begun is not None and said.when > begun)
        idle = "" if under_way else "PWD-1 has not been attested since the service started: nothing is stopped"
        return [cls(name, host, idle)]


class XPhoneStarted(Service):
    """The XPhone Connect Server service, or one that depends on it, runs as the MAPI account.

    Arguments:
        name: its name or display name.
        host: the host that it runs on.
        account: the MAPI account; empty where the account is no matter of this step.
        hold: why it must not be started yet; empty where it may be.
    """

    properties: ClassVar[tuple[Property, ...]] = (
        Property("State", ENUM, step="PWD-6", wanted="Running"),
        Property("StartName", account_kind(), step="PWD-6"),
    )
    way_out = "set the account in the XPhone Connect Server Manager and attest it (PWD-4), then run the step again"

    def __init__(self, name: str, host: str, account: str, hold: str = "") -> None:
        super().__init__(name, host, StartName=account)
        self.hold = hold

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """The service on the XPhone server, and what depends on it and starts automatically.

        Nothing of it is started between the person's words for PWD-1 and PWD-4: the old password would be used. Nor is
        a dependent one started while the service has another account, for Windows would start the service with it.
        """
        host, name, account = xphone_host(site), site.inputs.xphone.server_service, site.inputs.mapi.account
        begun, done = (attested(site.records, site.inputs.customer.name, step)[0] for step in ("PWD-1", "PWD-4"))
        waits = begun is not None and (done is None or done.when < begun.when)
        hold = "PWD-4 has not been attested since PWD-1, so it would start with the old password" if waits else ""
        wanted = [cls(name, host, account, hold)]
        channel = site.host(host)
        found = services.service(channel, name, fresh=True)
        if found is None or not same_account(str(found.get("StartName") or ""), account, host):
            return wanted
        for dependent in services.dependents(channel, str(found["Name"])):
            row = services.service(channel, dependent, fresh=True)
            if row is not None and START_MODE.same(row.get("StartMode"), "Auto"):
                wanted.append(cls(str(row["Name"]), host, "", hold))
        return wanted

    def of_step(self, step: str | None) -> list[Property]:
        """The properties, with the host's own accounts told apart; without an account only whether it runs."""
        kind = account_kind(self.host)
        asked = [replace(prop, kind=kind) if prop.name == "StartName" else prop for prop in super().of_step(step)]
        return [prop for prop in asked if prop.name != "StartName" or self.wanted["StartName"]]

    def state_of(self, objects: Sequence[Any]) -> State:
        """The service; under another account it is not started, for only a person knows the password."""
        state = super().state_of(objects)
        if not isinstance(state, Present):
            return state
        account, wanted = str(state.values.get("StartName") or ""), self.wanted["StartName"]
        if wanted and not same_account(account, wanted, self.host):
            return Present(state.values, blocked=f"service {self.name} runs as {account}, not as {wanted}")
        if self.hold and not ENUM.same(state.values.get("State"), "Running"):
            return Present(state.values, blocked=f"service {self.name}: {self.hold}")
        return state
