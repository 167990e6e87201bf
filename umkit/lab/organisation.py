"""The simulated organisation: machines, accounts, directory, endpoints.

It is stateful, so a change is there when it is read back, and strict, so a
client that is wrong is told so the way the real thing would tell it.
"""

from __future__ import annotations

import hmac
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from umkit.lab import cmdlets, description, principals, tables
from umkit.lab.accounts import Account
from umkit.lab.description import Description, ExchangeServerSection, UserSection
from umkit.lab.hosts import Host
from umkit.lab.model import EndpointService
from umkit.lab.records import TaskRefusal, not_found, unknown_controller
from umkit.lab.service import EXCHANGE, WINDOWS, Command, Service
from umkit.lab.shapes import Shape, plain
from umkit.lab.store import Entry, Store

DEFAULT = "clean-2019-dag"
_SHIPPED = Path(__file__).parent / "organisations"
#: When the built-in objects were created; a fixed day, so that two labs are alike.
_FOUNDED = datetime(2023, 3, 14, 9, 26, 53, tzinfo=UTC)


class Organisation:
    """A simulated organisation; load() makes one.

    Arguments:
        described: the checked description.
        file: where it came from, for errors.
    """

    def __init__(self, described: Description, file: str) -> None:
        self._file = file
        self.founded = _FOUNDED
        self._password: str | None = None
        self.lock = threading.RLock()
        self.name = described.organisation
        self.domain = described.domain.fqdn
        self.netbios = described.domain.netbios
        self.site = f"{self.domain}/Configuration/Sites/{described.domain.site}"
        self.options = described.options
        self.network = described.network
        self.sid = principals.domain_sid(self.domain)
        self.users, self.groups, self.trustees = described.users, described.groups, described.trustees
        self.durations = {name.lower(): seconds for name, seconds in described.durations.items()}
        sign, hours, minutes = described.utc_offset[0], described.utc_offset[1:3], described.utc_offset[4:]
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        self.timezone = timezone(-offset if sign == "-" else offset)
        self.exchange_servers: list[ExchangeServerSection] = described.exchange_servers
        self.hosts = [
            *(Host(each, self.domain, "controller") for each in described.domain_controllers),
            *(Host(each, self.domain, "exchange") for each in described.exchange_servers),
            *(Host(each, self.domain, each.role) for each in described.hosts),
        ]
        self.controllers = [f"{each.name.lower()}.{self.domain}" for each in described.domain_controllers]
        self.accounts = [Account(each, self.domain, self.netbios) for each in described.accounts]
        self.names = self._distinguished_names()
        self.directory = Store(self.controllers, described.replication.delay_reads)
        self._modules = {module.SHAPE.noun: module for module in cmdlets.nouns("exchange") if hasattr(module, "SHAPE")}
        self.shapes: dict[str, Shape] = {noun: module.SHAPE for noun, module in self._modules.items()}
        self._check(described)
        self.administrator = next(each.login for each in self.accounts if each.name == described.administrator)
        self._found(described.objects)
        self._furnish()
        self.services = self._services()

    # -- setting up ----------------------------------------------------------------------------------------------

    def _distinguished_names(self) -> dict[str, str]:
        """The distinguished names in which the objects' containers are said."""
        domain = ",".join(f"DC={label}" for label in self.domain.split("."))
        organisation = f"CN={self.name},CN=Microsoft Exchange,CN=Services,CN=Configuration,{domain}"
        group = f"CN=Exchange Administrative Group (FYDIBOHF23SPDLT),CN=Administrative Groups,{organisation}"
        return {"domain": domain, "organisation": organisation, "group": group}

    def _check(self, described: Description) -> None:
        """Refuse what refers to something that is not there, or is there twice."""
        hosts = [each.name.lower() for each in self.hosts]
        for name in hosts:
            if hosts.count(name) > 1:
                raise description.bad(self._file, "hosts", f"{name} is there more than once")
        if described.administrator not in [each.name for each in self.accounts]:
            raise description.bad(self._file, "administrator", f"{described.administrator} is not among the accounts")
        for at, server in enumerate(described.exchange_servers):
            if server.domain_controller and self._controller_of(server.domain_controller) is None:
                key = f"exchange_servers[{at}].domain_controller"
                raise description.bad(self._file, key, f"{server.domain_controller} is not among domain_controllers")
        for at, listener in enumerate(described.network):
            for name in listener.only_from:
                if name.lower() not in hosts:
                    raise description.bad(self._file, f"network[{at}].only_from", f"{name} is no host")
        known = {**tables.cmdlets("exchange"), **tables.cmdlets("windows")}
        for at, account in enumerate(described.accounts):
            named = {"hidden_cmdlets": account.hidden_cmdlets, "hidden_parameters": account.hidden_parameters}
            for key, names in named.items():
                for name in names:
                    if name.lower() not in known:
                        raise description.bad(self._file, f"accounts[{at}].{key}", f"there is no cmdlet {name}")
        for name in described.durations:
            if name.lower() not in known:
                raise description.bad(self._file, "durations", f"there is no cmdlet {name}")

    def _found(self, objects: Mapping[str, list[dict[str, Any]]]) -> None:
        """Create the built-in objects and those that the file adds or changes."""
        for noun in objects:
            if noun not in self.shapes:
                known = ", ".join(sorted(self.shapes))
                raise description.bad(self._file, f"objects.{noun}", f"no such noun; there are {known}")
        # Servers first: other objects name them.
        for noun in sorted(self.shapes, key=lambda each: (each != "ExchangeServer", self.shapes[each].rank, each)):
            said = getattr(self._modules[self.shapes[noun].stored], "DESCRIBED_IN", "")
            if said and noun in objects:
                raise description.bad(self._file, f"objects.{noun}", f"these are said under {said}")
            if self.shapes[noun].stored_as:
                continue
            tables_of = {}
            try:
                for values in getattr(self._modules[noun], "built_in", lambda _: ())(self):
                    tables_of[self.shapes[noun].identity_of(values).lower()] = self.defaults(noun) | values
            except (KeyError, TaskRefusal) as error:
                raise description.bad(self._file, said or noun, str(error)) from error
            for at, given in enumerate(objects.get(noun, [])):
                self._overlay(tables_of, noun, given, f"objects.{noun}[{at}]")
            for identity, values in tables_of.items():
                self._create(noun, identity, values)

    def _overlay(self, tables_of: dict[str, dict[str, Any]], noun: str, given: dict[str, Any], key: str) -> None:
        """Lay what the file says of an object over the built-in one of that identity, or over the defaults."""
        shape = self.shapes[noun]
        if not given.get("Name"):
            raise description.bad(self._file, key, "an object needs a Name")
        fitting: dict[str, Any] = {}
        for name, value in given.items():
            try:
                fitting.update([shape.fitting(self, name, value)])
            except (ValueError, TaskRefusal) as error:
                raise description.bad(self._file, f"{key}.{name}", str(error)) from error
        identity = shape.identity_of(shape.defaults() | fitting).lower()
        merged = tables_of.get(identity, self.defaults(noun)) | fitting
        try:
            tables_of[identity] = self.complete(noun, merged)
        except (ValueError, TaskRefusal) as error:
            raise description.bad(self._file, key, str(error)) from error

    def fitting_user(self, section: UserSection) -> dict[str, Any]:
        """The further properties of a user in the file, each checked by the view that has it."""
        fitting: dict[str, Any] = {}
        views = [shape for shape in self.shapes.values() if shape.stored == "User"]
        for name, value in section.properties.items():
            shape = next((each for each in views if each.property(name)), self.shapes["User"])
            try:
                fitting.update([shape.fitting(self, name, value)])
            except (ValueError, TaskRefusal) as error:
                raise description.bad(self._file, f"users.{section.name}.{name}", str(error)) from error
        return fitting

    def _create(self, noun: str, identity: str, values: dict[str, Any]) -> None:
        # A name-based GUID: the same organisation has the same GUIDs in every run.
        entry = Entry(
            noun, uuid5(NAMESPACE_DNS, f"{identity}.{noun}.{self.domain}"), values, self.founded, self.founded
        )
        self.directory.found(entry)

    def _furnish(self) -> None:
        """Put into each host what its role and the file say; its rights and hives name the directory's users."""
        for host in self.hosts:
            try:
                host.furnish(self)
            except ValueError as error:
                key, _, message = str(error).partition(": ")
                raise description.bad(self._file, f"{host.name}.{key}", message) from error

    def _services(self) -> list[EndpointService]:
        """One Exchange endpoint a server and one Windows endpoint a host."""
        found: list[EndpointService] = []
        hosts = {each.name: each for each in self.hosts}
        for server in self.exchange_servers:
            controller = self._controller_of(server.domain_controller or "") or self.controllers[0]
            commands = cmdlets.commands("exchange")
            found.append(Service(self, server.name, EXCHANGE, commands, controller, hosts[server.name]))
        windows: Mapping[str, Command] = cmdlets.commands("windows")
        found += [Service(self, each.name, WINDOWS, windows, self.controllers[0], each) for each in self.hosts]
        return found

    def _controller_of(self, name: str) -> str | None:
        """The FQDN of a domain controller by name or FQDN."""
        lowered = name.lower()
        return next((each for each in self.controllers if lowered in (each, each.partition(".")[0])), None)

    # -- for handlers --------------------------------------------------------------------------------------------

    def controller(self, name: str) -> str:
        """The FQDN of a domain controller; raises TaskRefusal when there is none of that name."""
        found = self._controller_of(name)
        if found is None:
            raise unknown_controller(name)
        return found

    def complete(self, noun: str, values: dict[str, Any]) -> dict[str, Any]:
        """The values after the noun's rules; raises TaskRefusal when they don't go together."""
        module: ModuleType = self._modules[noun]
        rules = getattr(module, "complete", None)
        return rules(self, values) if rules else values

    def defaults(self, noun: str) -> dict[str, Any]:
        """The values of a new object with all views of it, without its name."""
        stored = self.shapes[noun].stored
        views = [shape for shape in self.shapes.values() if shape.stored == stored]
        return {name: value for shape in views for name, value in shape.defaults().items()}

    def find_latest(self, noun: str, identity: str) -> Entry:
        """The object of an identity once every write has replicated; raises TaskRefusal when there is none."""
        for entry in self.directory.latest(self.shapes[noun].stored):
            if self.shapes[noun].shows(entry) and self.shapes[noun].matches(self, entry, identity):
                return entry
        raise not_found(identity, self.controllers[0])

    def host(self, name: str) -> Host | None:
        """The host of a name, an FQDN or an address."""
        return next((each for each in self.hosts if each.answers_to(name)), None)

    def now(self) -> datetime:
        """The time (UTC), to the second, as the directory keeps it."""
        return datetime.now(UTC).replace(microsecond=0)

    @contextmanager
    def unlocked(self) -> Iterator[None]:
        """Let other calls run while this one waits; only for a handler, which holds the lock once."""
        self.lock.release()
        try:
            yield
        finally:
            self.lock.acquire()

    # -- accounts ------------------------------------------------------------------------------------------------

    def account(self, username: str) -> Account | None:
        """The account of ``DOMAIN\\user``, ``user@domain`` or a bare name, in any case; None when there is none."""
        domain, backslash, name = username.rpartition("\\")
        if not backslash:
            name, _, domain = username.partition("@")
        if domain and domain.lower() not in (self.domain.lower(), self.netbios.lower()):
            return None
        return next((each for each in self.accounts if each.name.lower() == name.lower()), None)

    def set_password(self, password: str) -> None:
        """Give every account this password; before that nobody may log on."""
        self._password = password

    def password_of(self, username: str) -> str | None:
        """The password of an account that may log on, or None."""
        account = self.account(username)
        return None if account is None or account.disabled else self._password

    def check_password(self, username: str, password: str) -> bool:
        """Whether this account may log on with this password."""
        right = self.password_of(username)
        return right is not None and hmac.compare_digest(right.encode(), password.encode())

    # -- for tests and people ------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """The whole organisation as JSON-ready values, as it is once every write has replicated.

        ``pending`` lists the writes that some domain controller has not seen.
        """
        with self.lock:
            return {
                "organisation": self.name,
                "domain": {"fqdn": self.domain, "netbios": self.netbios},
                "domain_controllers": list(self.controllers),
                "exchange_servers": [each.name for each in self.exchange_servers],
                "hosts": {each.name: each.state() for each in self.hosts},
                "accounts": {each.name: {"login": each.login, "role": each.role} for each in self.accounts},
                "objects": {noun: self._plain(noun) for noun in sorted(self.shapes)},
                "pending": self.directory.pending(),
            }

    def _plain(self, noun: str) -> list[dict[str, Any]]:
        shape, controller = self.shapes[noun], self.controllers[0]
        shown = getattr(self._modules[noun], "shown", lambda organisation, entry: entry)
        return [
            {name: plain(node) for name, node in shape.nodes(self, shown(self, entry), controller).items()}
            for entry in self.directory.latest(shape.stored)
            if shape.shows(entry)
        ]


def load(name_or_path: str | Path | None = None) -> Organisation:
    """Build an organisation from its file.

    Arguments:
        name_or_path: the name of a shipped organisation, or the path of a YAML file; ``clean-2019-dag`` by default.

    Raises umkit.errors.LabError naming file and key.
    """
    wanted = str(name_or_path or DEFAULT)
    # A dot in the name is a file beside an organisation, for example the list of its defects.
    shipped = {path.stem: path for path in sorted(_SHIPPED.glob("*.yaml")) if "." not in path.stem}
    path = shipped.get(wanted, Path(wanted))
    if not path.is_file():
        raise description.bad(wanted, "", f"there is no such file, and the shipped ones are {', '.join(shipped)}")
    return Organisation(description.read(path), str(path))


__all__ = ["DEFAULT", "Account", "Host", "Organisation", "load"]
