"""Service restart: a service restarted when, and only when, its settings changed since it started.

The start of the service's process is compared with when the settings were changed, and both times are shown. The
times are those of the machines that wrote them; they are of one domain, so their clocks agree.
Source: vendor's chapters "IMAP4 access" and "Exchange Mailbox Store Limits".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from umkit import record
from umkit.channel import Channel
from umkit.command import Command
from umkit.engine import plan
from umkit.errors import Blocked, RecordError, Unreadable
from umkit.history import CHANGING, elsewhere
from umkit.journal import read
from umkit.kinds import ENUM, NAME, Kind
from umkit.resource import Present, Property, Resource, State, Verb
from umkit.resources.imap_settings import ImapSettings
from umkit.resources.policy_assignment import PolicyAssignment
from umkit.resources.service import IMAP_SERVICES, Service, force
from umkit.resources.throttling_policy import ThrottlingPolicy
from umkit.resources.xml_setting import ImapProtocolLog, protocol_log_file
from umkit.site import Site
from umkit.windows import files, services

INFORMATION_STORE = "MSExchangeIS"
#: The directory keeps a time of change in whole seconds: what started within that second may have started before it.
DIRECTORY_TICK = timedelta(seconds=1)


@dataclass(frozen=True)
class After:
    """What a service must have started after.

    Arguments:
        moment: when the latest of its settings changed, in UTC; nothing where a change is still to be made.
        what: what changed, or will.
    """

    moment: datetime | None
    what: str

    def __str__(self) -> str:
        when = f"{self.moment:%Y-%m-%d %H:%M:%S} UTC: " if self.moment else ""
        return f"after {when}{self.what}"


def _since(started: Any, after: Any) -> bool:
    if not isinstance(started, datetime) or after.moment is None:
        return False
    changed: datetime = after.moment.replace(microsecond=0)
    return started >= changed + DIRECTORY_TICK


#: When a service started, against what it must have started after.
START_TIME = Kind("start time", lambda value: value, alike=_since)


class ServiceRestart(Service):
    """A service that must have started after its settings changed; a stopped one is started.

    Arguments:
        name: its name.
        host: the host that it runs on.
        changed: when the latest of its settings changed, in UTC; nothing where a change is still to be made.
        what: what changed, or will.
    """

    patience = 900.0
    #: Restart-Service -Force starts again what it stopped (?).
    along = "these depend on it and are restarted as well"
    follows = True
    stays: ClassVar[Mapping[str, str]] = {
        "Started": "a restart is not undone; settings that are taken back hold from the next restart on"
    }

    def __init__(self, name: str, host: str, changed: datetime | None, what: str) -> None:
        super().__init__(name, host, Started=After(changed, what))

    def complete(self, found: Mapping[str, Any], channel: Channel, *, fresh: bool) -> Mapping[str, Any]:
        """When the service's process started, and what depends on it where it has to be restarted.

        Only a running service counts as started, so that the next server's waits for this one.
        """
        running = ENUM.same(found.get("State"), "Running")
        begun = services.started(channel, found.get("ProcessId"), fresh=fresh) if running else None
        if START_TIME.same(begun, self.wanted["Started"]):
            return {**found, "Started": begun}
        return services.with_dependents(channel, {**found, "Started": begun})

    def send(self, command: Command, changes: Sequence[Mapping[str, Any]], channel: Channel) -> None:
        """Let the second of the change pass first; otherwise the new start could not be told from an older one.

        Raises ``Blocked`` where the change is still to be made: a restart now would interrupt, and be of no use.
        """
        after = self.wanted["Started"]
        if after.moment is None:
            raise Blocked(
                f"{self.name} on {self.host} was not restarted, for {after.what} is still to be made",
                where={"host": self.host},
                next="do the step that makes the change first, then this one",
            )
        channel.cancel.wait(1.1 * DIRECTORY_TICK.total_seconds())
        super().send(command, changes, channel)

    def commands(self, verb: Verb, asked: Sequence[Property], state: State) -> tuple[Command, ...]:
        """The restart, if one is due."""
        values = state.values if isinstance(state, Present) else {}
        name = str(values.get("Name") or self.name)
        return (Command("Restart-Service", {"Name": name, **force(values), "Confirm": False}),) if asked else ()


class ImapRestart(ServiceRestart):
    """An IMAP4 service restarted when, and only when, a setting changed since it started.

    A configuration file that IMAP-5 is still to write is no matter of this step: :class:`ImapRestartForLog` follows it.
    """

    properties: ClassVar[tuple[Property, ...]] = (Property("Started", START_TIME, step="IMAP-4"),)

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """The IMAP4 service and its backend on each chosen server, against the settings' and the file's last change.

        Raises ``Unreadable`` when the settings do not say when they changed.
        """
        wanted = []
        for server in site.inputs.imap4.servers or site.mailbox_servers():
            changed, what = cls._changed(site, server)
            wanted += [cls(name, server, changed, what) for name in IMAP_SERVICES]
        return wanted

    @classmethod
    def _changed(cls, site: Site, server: str) -> tuple[datetime | None, str]:
        settings = [each for each in ImapSettings.wanted_by(site) if NAME.same(each.name, server)]
        if _to_be_changed(site, settings):
            return None, "the change of IMAP-2"
        times = [
            (_when_changed(found, f"the IMAP settings of {server}"), "IMAP settings changed")
            for found in site.organisation().list("ImapSettings", fresh=True, Server=server)
        ]
        written = files.changed(site.host(server), protocol_log_file(site))
        times += [(written, "configuration file written")] if written else []
        if not times:
            raise Unreadable(f"{server} shows no IMAP settings", next="check imap4.servers in the customer file")
        return max(times)


class ImapRestartForLog(ImapRestart):
    """An IMAP4 service restarted after its protocol log was switched on or off.

    Arguments:
        name: its name.
        host: the host that it runs on.
        log: the configuration file with the switch.
    """

    guard = "restarts"
    properties = tuple(replace(prop, step="IMAP-5") for prop in ImapRestart.properties)

    def __init__(self, name: str, host: str, log: ImapProtocolLog) -> None:
        super().__init__(name, host, None, "the change of IMAP-5")
        self.log = log
        self._hold = ""

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """The IMAP4 service and its backend where the protocol log is the customer file's matter."""
        return [cls(name, log.host, log) for log in ImapProtocolLog.wanted_by(site) for name in IMAP_SERVICES]

    def complete(self, found: Mapping[str, Any], channel: Channel, *, fresh: bool) -> Mapping[str, Any]:
        """The start against the file as it is by now: written just before, or still to be written."""
        planned = plan(self.log, self.log.read(channel, fresh=fresh))
        self._hold = planned.why if planned.verb == "cannot be foreseen" else ""
        pending = planned.verb != "nothing"
        written = None if pending else files.changed(channel, self.log.name)
        what = "the change of IMAP-5" if pending else "configuration file written"
        self.wanted["Started"] = After(written, what)
        return super().complete(found, channel, fresh=fresh)

    def state_of(self, objects: Sequence[Any]) -> State:
        """The service; not to be restarted for a file that cannot be changed."""
        state = super().state_of(objects)
        return Present(state.values, blocked=self._hold) if self._hold and isinstance(state, Present) else state


class InformationStoreRestart(ServiceRestart):
    """The Information Store restarted when the throttling policy or its assignment changed since it started.

    When an assignment was made is told from this customer's records: the mailbox's own time of change moves with
    every other change of it, and mailboxes are away during a restart. An assignment by hand is therefore not seen.
    """

    properties: ClassVar[tuple[Property, ...]] = (Property("Started", START_TIME, step="LIM-5"),)

    def __init__(self, name: str, host: str, changed: datetime | None, what: str, unknown: str = "") -> None:
        super().__init__(name, host, changed, what)
        self.unknown = unknown

    def remark(self, prop: Property, values: Mapping[str, Any]) -> str:
        """What is not known about the assignment, and what is restarted along."""
        return "; ".join(filter(None, (self.unknown, super().remark(prop, values))))

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """The Information Store of each mailbox server; none where there is no policy and none will be made."""
        name = site.inputs.sessions.policy
        servers = site.mailbox_servers()
        for step, earlier in (("LIM-3", ThrottlingPolicy), ("LIM-4", PolicyAssignment)):
            if _to_be_changed(site, earlier.wanted_by(site)):
                return [cls(INFORMATION_STORE, server, None, f"the change of {step}") for server in servers]
        policies = [each for each in site.organisation().list("ThrottlingPolicy") if NAME.same(each.get("Name"), name)]
        changes = [(_when_changed(policy, f"throttling policy {name}"), "policy changed") for policy in policies]
        assigned, restarted = _assigned(site)
        wanted = []
        for server in servers:
            since = assigned if server.casefold() not in restarted else None
            times = changes + ([(since, "policy assigned")] if since else [])
            unknown = "" if assigned else "no record on this workstation tells when the policy was assigned"
            wanted += [cls(INFORMATION_STORE, server, *max(times), unknown)] if times else []
        return wanted


def _when_changed(found: Mapping[str, Any], what: str) -> datetime:
    changed = services.moment(found.get("WhenChangedUTC"))
    if changed is None:
        raise Unreadable(
            f"when {what} changed cannot be told",
            seen=f"WhenChangedUTC {found.get('WhenChangedUTC')}",
            next="restart the service by hand if a setting was changed",
        )
    return changed


def _to_be_changed(site: Site, resources: Sequence[Resource]) -> bool:
    """Whether an earlier step still has something to do, so that a restart has to follow it."""
    return any(plan(each, each.read(each.channel(site))).verb != "nothing" for each in resources)


def _assigned(site: Site) -> tuple[datetime | None, set[str]]:
    """When a policy was last assigned by the records, and where the Information Store was restarted after that."""
    folder = site.records / site.inputs.customer.name if site.records else None
    when: datetime | None = None
    restarted: set[str] = set()
    for run in reversed(record.folders(folder, CHANGING)) if folder else ():
        try:
            events = read(run / record.JOURNAL)
        except RecordError:
            continue  # a broken record is seen by those who list records
        if elsewhere(events, site.inputs):
            continue
        intents = {event.get("id"): event for event in events if event["event"] == "intent" and event["mutating"]}
        for event in events:
            intent = intents.get(event.get("intent")) if event["event"] == "outcome" else None
            if intent is None or event["outcome"] not in ("done", "unknown"):
                continue
            name, parameters = intent["command"]["name"], intent["command"]["parameters"]
            if name == "Set-ThrottlingPolicyAssociation" or (
                name == "Set-Mailbox" and "ThrottlingPolicy" in parameters
            ):
                when, restarted = datetime.fromisoformat(event["time"]), set()
            elif (
                name == "Restart-Service" and parameters.get("Name") == INFORMATION_STORE and event["outcome"] == "done"
            ):
                restarted.add(str(intent["endpoint"]).casefold())
    return when, restarted
