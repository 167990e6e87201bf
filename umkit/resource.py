"""A resource: the wanted state of one object, as a table of properties.

A resource of Exchange is a noun, a key and a table; ``Get-``, ``New-``, ``Set-`` and ``Remove-`` are made of the noun.
One that is reached in another way says how it is read and what commands change it; the engine does the rest.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from umkit.channel import Asked, Channel
from umkit.command import Command
from umkit.errors import RemoteError, UmkitError
from umkit.kinds import NAME, TEXT, Kind
from umkit.site import Site

Verb = Literal["nothing", "create", "update", "replace", "remove", "cannot be foreseen"]

#: What differs without anybody's doing: times, and what hangs on the session or the domain controller.
_VARYING = frozenset(
    (
        *("whenchanged", "whenchangedutc", "whencreated", "whencreatedutc"),
        *("objectstate", "originatingserver", "runspaceid", "pscomputername", "psshowcomputername"),
    )
)


@dataclass(frozen=True)
class Property:
    """One property of a resource: its kind, who asks for it, how it can be set.

    Arguments:
        name: the property's name, in the object that ``Get-`` returns.
        kind: how two of its values are compared.
        step: the documented step that asks for it.
        number: its number in the vendor's page, where it has one.
        wanted: the page's value, where the page fixes it; else the resource's own values say it.
        create: whether ``New-`` takes it.
        update: whether ``Set-`` takes it; where not, a difference means *replace*.
        along: properties that ``Set-`` and ``New-`` want on the same command line.
    """

    name: str
    kind: Kind = TEXT
    step: str = ""
    number: int | None = None
    wanted: Any = None
    create: bool = True
    update: bool = True
    along: tuple[str, ...] = ()


@dataclass(frozen=True)
class Present:
    """The object is there, with these values.

    Arguments:
        values: property name → value.
        blocked: why it must not be changed as it stands; empty where it may be.
        rival: what would stand in the way of making it anew; empty where nothing would.
    """

    values: Mapping[str, Any]
    blocked: str = ""
    rival: str = ""


@dataclass(frozen=True)
class Absent:
    """The object was looked for and is not there.

    Arguments:
        rival: what stands in the way of making it; empty where nothing does.
    """

    rival: str = ""


@dataclass(frozen=True)
class Missed:
    """The object could not be read; nothing is known about it."""

    error: UmkitError


State = Present | Absent | Missed


@dataclass(frozen=True)
class Done:
    """What one run did to an object, as its journal tells it.

    Arguments:
        verb: ``create`` where the object was not there before, ``replace`` where it was removed meanwhile, ``update``.
        before: property → value before the run; for ``replace`` every value that the object had.
        after: property → value that the run left.
        commands: the changing commands that it sent, oldest first, without the domain controller.
        changes: everything that the journal says of them, also of other objects: ``object, property, before, after``.
    """

    verb: Verb
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    commands: Sequence[Command] = ()
    changes: Sequence[Mapping[str, Any]] = ()


class Resource:
    """The wanted state of one object.

    Arguments:
        name: the value of the key property.
        values: property name → wanted value, over the values that the page fixes.
    """

    noun: ClassVar[str]
    title: ClassVar[str]
    key: ClassVar[str] = "Name"
    properties: ClassVar[tuple[Property, ...]]
    #: What to do when something stands in the way of making one.
    way_out: ClassVar[str] = "remove or rename what stands in the way, or change the customer file"
    #: What a new object has of itself; a value that differs from it is lost when the object is replaced.
    new_values: ClassVar[Mapping[str, Any]] = {}
    #: The customer's consent that must hold before this is changed, where the step itself asks for none.
    guard: ClassVar[str] = ""
    #: Parameters of ``New-`` that are no properties.
    creation: ClassVar[Mapping[str, Any]] = {}
    #: Property → why a rollback leaves it as it is; ``*`` stands for an object that a run made.
    stays: ClassVar[Mapping[str, str]] = {}
    #: What a reader must know before a rollback sets its properties back.
    undo_remark: ClassVar[str] = ""
    #: Whether what it wants hangs on what earlier steps do, so that a plan can only tell that it will be due.
    follows: ClassVar[bool] = False

    _given: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *values: Any, **named: Any) -> Self:
        """Keep what the constructor is given: :meth:`reference` tells it."""
        made = super().__new__(cls)
        made._given = (values, named)
        return made

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        known = {prop.name for prop in self.properties}
        if unknown := set(values) - known:
            raise ValueError(f"{self.noun} has no property {', '.join(sorted(unknown))}")
        self.name = name
        self.wanted: dict[str, Any] = {prop.name: prop.wanted for prop in self.properties} | dict(values)
        if self.key in known:
            self.wanted[self.key] = name

    @property
    def label(self) -> str:
        """The object as a person would name it."""
        return f"{self.title} {self.name}"

    def __repr__(self) -> str:
        return f"<{self.label}>"

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """The resources of this kind that a customer's inputs ask for."""
        raise NotImplementedError(f"{cls.__name__} does not say which resources a customer's inputs ask for")

    def channel(self, site: Site) -> Channel:
        """Where the object is read and changed: the organisation, unless the resource says otherwise."""
        return site.organisation()

    def of_step(self, step: str | None) -> list[Property]:
        """The properties that one step asks for; all of them without a step."""
        return [prop for prop in self.properties if step is None or prop.step == step]

    def find(self, objects: Sequence[Any]) -> Any | None:
        """This resource's object among those of its noun, or nothing."""
        return next((found for found in objects if NAME.same(found.get(self.key), self.name)), None)

    def rival(self, objects: Sequence[Any]) -> str:
        """What stands in the way of making this object, in one sentence; empty where nothing does."""
        return ""

    def lists(self) -> Sequence[Asked]:
        """The lists that :meth:`read` begins with, so that those of several resources are asked together."""
        return ((self.noun, {}),)

    def read(self, channel: Channel, *, fresh: bool = False) -> State:
        """The present state, by listing and filtering here."""
        try:
            return self.state_of(channel.list(self.noun, fresh=fresh))
        except RemoteError as error:
            return Missed(error)

    def state_of(self, objects: Sequence[Any]) -> State:
        """The state that the objects of its noun show."""
        found = self.find(objects)
        if found is None:
            return Absent(self.rival(objects))
        return Present(found, rival=self.rival([each for each in objects if each is not found]))

    def commands(self, verb: Verb, asked: Sequence[Property], state: State) -> tuple[Command, ...]:
        """What has to be sent.

        Arguments:
            verb: ``create``, ``update`` or ``replace``.
            asked: for ``update`` the properties to set, else all that the step asks for.
            state: what was read.
        """
        if verb == "update":
            values = state.values if isinstance(state, Present) else {}
            identity = str(values.get("Identity") or self.name)
            return (Command(f"Set-{self.noun}", {"Identity": identity} | self._parameters(asked)),)
        new = Command(
            f"New-{self.noun}",
            {self.key: self.name, **self.creation} | self._parameters([prop for prop in asked if prop.create]),
        )
        rest = [prop for prop in asked if not prop.create]
        after = self.commands("update", rest, Absent()) if rest else ()
        if verb == "create":
            return (new, *after)
        values = state.values if isinstance(state, Present) else {}
        identity = str(values.get("Identity") or self.name)
        return (Command(f"Remove-{self.noun}", {"Identity": identity, "Confirm": False}), new, *after)

    def remark(self, prop: Property, values: Mapping[str, Any]) -> str:
        """What a reader must know of one property as it was read; empty where nothing."""
        return ""

    def besides(self, state: State) -> dict[str, Any]:
        """Everything that an object of the directory shows, for a rollback to see what somebody changed of it since.

        Left out is what differs without anybody's doing. Nothing for what is not shown whole.
        """
        if not isinstance(state, Present) or "WhenChangedUTC" not in state.values:
            return {}
        return {
            name: value
            for name, value in state.values.items()
            if name.casefold() not in _VARYING and not isinstance(value, bytes)
        }

    def carries(self, command: Command) -> Collection[str]:
        """Names of the properties that one of several commands sets; those of its parameters, unless overridden."""
        return command.parameters

    def send(self, command: Command, changes: Sequence[Mapping[str, Any]], channel: Channel) -> None:
        """Send one of the commands; a resource that must look before or after it overrides this.

        Arguments:
            command: the command.
            changes: ``object, property, before, after`` of each property that it changes, for the journal.
            channel: where to.
        """
        channel.change(command, changes)

    def reference(self) -> dict[str, Any]:
        """Class and constructor arguments, JSON-ready: what the journal keeps, so that a rollback can make it again."""
        kind = type(self)
        values, named = self._given
        parameters = inspect.signature(kind).parameters
        given = dict(zip(parameters, values, strict=False)) | named
        name = f"{kind.__module__.removeprefix('umkit.resources.')}.{kind.__qualname__}"
        return {"class": name, "given": {key: _written(value) for key, value in given.items()}}

    def undo(self, done: Done, state: State, channel: Channel) -> tuple[Command, ...] | str:
        """Commands that take back what a run did to the object, or why nothing can.

        Arguments:
            done: what the run did; what was changed by somebody else since is not in it.
            state: as it was just read.
            channel: where more can be read.
        """
        now = state.values if isinstance(state, Present) else {}
        if done.verb == "update":
            asked = [prop for prop in self.properties if prop.name in done.before and prop.update]
            return self.wanting({**now, **done.before}).commands("update", asked, state)
        identity = str(now.get("Identity") or self.name)
        remove = Command(f"Remove-{self.noun}", {"Identity": identity, "Confirm": False})
        removed = (remove,) if isinstance(state, Present) else ()
        if done.verb == "create":
            return removed
        known = [prop for prop in self.properties if done.before.get(prop.name) is not None]
        return (*removed, *self.wanting(done.before).commands("create", known, Absent()))

    def held_back(self, done: Done, state: State) -> Mapping[str, str]:
        """Properties that a rollback leaves as they are, seen from the state, each with why; besides :attr:`stays`."""
        return {}

    def shortfall(self, done: Done, state: State) -> str:
        """What a rollback does not give back though it sets the properties; empty where nothing."""
        return ""

    def wanting(self, values: Mapping[str, Any]) -> Self:
        """The same resource with other wanted values."""
        other = copy.copy(self)
        other.wanted = {prop.name: values.get(prop.name) for prop in self.properties}
        return other

    def _parameters(self, props: Sequence[Property]) -> dict[str, Any]:
        names = {name for prop in props for name in (prop.name, *prop.along)} - {self.key}
        return {prop.name: self.wanted[prop.name] for prop in self.properties if prop.name in names}


class HostResource(Resource):
    """The wanted state of something on one Windows host, read and changed on the host's own endpoint.

    Arguments:
        name: the value of the key property.
        host: the host that it is on.
        values: property name → wanted value, over the values that the page fixes.
    """

    def __init__(self, name: str, host: str, values: Mapping[str, Any]) -> None:
        super().__init__(name, values)
        self.host = host

    @property
    def label(self) -> str:
        """The thing and its host, as a person would name them."""
        return f"{super().label} on {self.host}"

    def channel(self, site: Site) -> Channel:
        """The host's own endpoint."""
        return site.host(self.host)

    def lists(self) -> Sequence[Asked]:
        """None, unless the resource says otherwise."""
        return ()


def _written(value: Any) -> Any:
    """A constructor's argument as JSON can hold it."""
    if isinstance(value, Mapping):
        return {str(key): _written(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_written(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
