"""A channel: a session whose commands are written down, and the site of all channels.

A channel adds three things to a session: every command's intent is in the
journal before it is sent and its outcome after; the run's one domain controller
goes with every Exchange command; and a list that was read is kept until
something is changed.
"""

from __future__ import annotations

import builtins
import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from umkit.command import Command
from umkit.errors import NotSent, OutcomeNotWritten, RecordError, RemoteError, UmkitError
from umkit.journal import Journal
from umkit.remoting import Endpoint, Result, Session, kept
from umkit.remoting.endpoint import EXCHANGE
from umkit.remoting.session import FAN_OUT, Entry

#: A list to ask for: the noun, and the parameters of its ``Get-``.
Asked = tuple[str, Mapping[str, Any]]

_numbers = itertools.count(1)


class Channel:
    """A session to one endpoint whose commands are written down.

    Arguments:
        endpoint: where it leads; the session is opened with the first command.
        journal: where intents and outcomes go; without one, a changing command is refused.
        chapter: the chapter that speaks, for the journal.
        domain_controller: gives the run's domain controller, or nothing where the endpoint takes none.
    """

    #: Changing commands that were sent in this process, wherever to: what was asked ahead is older than the next one.
    _sent: ClassVar[int] = 0

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        journal: Journal | None = None,
        chapter: str = "",
        domain_controller: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.endpoint = endpoint
        self.journal = journal
        self.chapter = chapter
        self.step = ""
        self.cancel = threading.Event()
        #: Changing commands that the server took, oldest first, each with how many properties it changed.
        self.taken: builtins.list[tuple[Command, int]] = []
        self._served: Mapping[str, Any] = {}
        self._domain_controller = domain_controller
        self._session: Session | None = None
        self._lists: dict[str, builtins.list[Any]] = {}
        self._ahead: dict[str, Entry] = {}
        self._sent_before = 0  # how many were sent when it was asked ahead

    @property
    def session(self) -> Session:
        """The open session; opened and written down when first asked for."""
        if self._session is None:
            session = kept.take(self.endpoint)
            session.open()
            self._session = session
            self._tell_session(session)
        return self._session

    @property
    def protocol(self) -> str:
        """The protocol of the open session; empty while there is none."""
        return self._session.protocol if self._session is not None else ""

    def close(self) -> None:
        """Close the session, or leave it to the run's next chapter; an error while closing is of no use to anyone."""
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(UmkitError):
                kept.leave(session)

    def write_to(self, journal: Journal | None) -> None:
        """Write down in this journal from now on, an open session first; without one nothing can be changed."""
        self.journal = journal
        if self._session is not None:
            self._tell_session(self._session)

    def placed(self, command: Command) -> Command:
        """The command with the name of the Windows host that the channel leads to, for whoever reads it."""
        return command if self.endpoint.configuration == EXCHANGE else replace(command, host=self.endpoint.name)

    def pinned(self, command: Command) -> Command:
        """The command with the run's domain controller, where the endpoint takes one; else with its host's name."""
        controller = self._domain_controller()
        if controller is None or "DomainController" in command.parameters:
            return self.placed(command)
        return Command(command.name, {**command.parameters, "DomainController": controller})

    def read(self, command: Command, *, pin: bool = True, errors: str = "raise") -> Result:
        """Send a reading command; raises the mapped error unless ``errors="collect"``."""
        if command.mutating:
            raise ValueError(f"{command.name} can change something; it goes through change()")
        return self._send(self.pinned(command) if pin else command, changes=(), errors=errors)

    def read_many(self, commands: Sequence[Command], *, pin: bool = True) -> builtins.list[Entry]:
        """Ask several reading commands together, so that none waits for another's answer.

        Gives for each command its result, or the mapped error, in their order. Each has its own intent and outcome in
        the journal; ``together`` names the first one's intent, and the seconds are those of the whole.

        Raises what opening the session raises, and ``ValueError`` for a changing command.
        """
        if changing := [command.name for command in commands if command.mutating]:
            raise ValueError(f"{', '.join(changing)} can change something; it goes through change()")
        if not commands:
            return []
        session = self.session
        numbered = {self._number(): self.pinned(command) if pin else command for command in commands}
        together = next(iter(numbered)) if len(numbered) > 1 else ""
        told: builtins.list[str] = []
        begun, outcome = time.monotonic(), NotSent.outcome
        try:
            for number, command in numbered.items():
                self._write_intent(number, command, together=together)
                told.append(number)
            outcome = "unknown"
            turns = -(-len(commands) // FAN_OUT)  # so many are under way at once: each of these gets its time
            deadline = turns * self.endpoint.deadline
            entries = session.run_many([*numbered.values()], deadline=deadline, cancel=self.cancel)
        except RemoteError as error:  # the session had to be opened anew, and could not be
            for number, command in numbered.items():
                self._write_end(number, command, begun, error)
            raise
        except BaseException as error:
            for number in told:
                self._write_stopped(number, begun, error, outcome)
            raise
        for (number, command), entry in zip(numbered.items(), entries, strict=True):
            self._write_end(number, command, begun, entry)
        return entries

    @contextlib.contextmanager
    def asked_ahead(self, asked: Iterable[Asked], *, fresh: bool = False) -> Iterator[None]:
        """Ask for several lists together; within, the next :meth:`list` of each gets what came, be it an error.

        What was not fetched is forgotten at the end, and with the next change, wherever that is made.

        Arguments:
            asked: the lists.
            fresh: also those that are kept.
        """
        lists = {_key(noun, parameters): Command(f"Get-{noun}", parameters) for noun, parameters in asked}
        lists = {key: command for key, command in lists.items() if fresh or key not in self._lists}
        if len(lists) > 1 and not self.cancel.is_set():  # else whoever needs it asks for it
            try:
                entries = self.read_many([*lists.values()])
            except RemoteError as error:  # the session could not be opened; trying that again takes as long again
                entries = [error for _ in lists]
            self._ahead, self._sent_before = dict(zip(lists, entries, strict=True)), Channel._sent
        try:
            yield
        finally:
            self._ahead.clear()

    def list(self, noun: str, *, fresh: bool = False, **parameters: Any) -> builtins.list[Any]:
        """Every object of one noun, as ``Get-<noun>`` lists them.

        Listing and filtering here, never asking for an absent object by name: that would write an error event on the
        server each time. The list is kept until something is changed, or until ``fresh`` is asked for.
        """
        key = _key(noun, parameters)
        if fresh or key not in self._lists:
            self._lists.pop(key, None)
            if self._sent_before != Channel._sent:
                self._ahead.clear()
            entry = self._ahead.pop(key, None) or self.read(Command(f"Get-{noun}", parameters))
            if isinstance(entry, RemoteError):
                raise entry
            self._lists[key] = entry.outputs
        return self._lists[key]

    def forget(self) -> None:
        """Keep no list any longer: time has passed, and somebody may have changed something."""
        self._lists.clear()

    def keep(self, noun: str, objects: Sequence[Any]) -> None:
        """Keep a list that was read in another way."""
        self._lists[noun + "[]"] = [*objects]

    @contextlib.contextmanager
    def serving(self, resource: Mapping[str, Any]) -> Iterator[None]:
        """Write down with each changing command which resource it is sent for, so that a rollback can make it again.

        Arguments:
            resource: its class and constructor arguments, and the verb, JSON-ready.
        """
        self._served = resource
        try:
            yield
        finally:
            self._served = {}

    def change(
        self, command: Command, changes: Sequence[Mapping[str, Any]], *, deadline: float | None = None
    ) -> Result:
        """Send a changing command, with its before and after in the journal first.

        Arguments:
            command: the command.
            changes: ``object, property, before, after`` of each property that it changes.
            deadline: seconds that it may take; the endpoint's unless given.

        Raises ``RecordError`` when it cannot be written down: then nothing was sent.
        """
        if self.journal is None:
            raise RecordError(
                f"{command.name} was not sent: there is no journal to write it down in",
                next="run with mode apply, through umkit or papermill",
            )
        self._lists.clear()
        pinned = self.pinned(command)
        Channel._sent += 1
        result = self._send(pinned, changes=changes, errors="raise", deadline=deadline)
        self.took(pinned, changes)
        return result

    def took(self, command: Command, changes: Sequence[Mapping[str, Any]]) -> None:
        """Count a changing command as taken: it was answered, or its effect was read."""
        self.taken.append((self.pinned(command), len(changes)))

    def _send(
        self,
        command: Command,
        *,
        changes: Sequence[Mapping[str, Any]],
        errors: str,
        deadline: float | None = None,
    ) -> Result:
        session, number = self.session, self._number()
        self._write_intent(number, command, changes)
        begun = time.monotonic()
        try:
            result = session.run(command, deadline=deadline, cancel=self.cancel, errors=errors)
        except RemoteError as error:
            self._write_end(number, command, begun, error)
            raise
        except BaseException as error:
            self._write_stopped(number, begun, error)
            raise
        self._write_end(number, command, begun, result)
        return result

    def _number(self) -> str:
        return f"{self.chapter or 'notebook'}:{next(_numbers)}"

    def _write_intent(
        self, number: str, command: Command, changes: Sequence[Mapping[str, Any]] = (), *, together: str = ""
    ) -> None:
        self._write(
            "intent",
            looking=not command.mutating,
            step=self.step,
            id=number,
            endpoint=self.endpoint.name,
            domain_controller=command.parameters.get("DomainController"),
            command=command.as_json(),
            powershell=command.powershell(),
            mutating=command.mutating,
            changes=list(changes),
            **({"resource": dict(self._served)} if command.mutating and self._served else {}),
            **({"together": together} if together else {}),
        )

    def _write_end(self, number: str, command: Command, begun: float, entry: Entry) -> None:
        """Write down what came of a command that was answered, refused or lost."""
        if isinstance(entry, RemoteError):
            entry.at(host=self.endpoint.name, step=self.step or None)
            fields: dict[str, Any] = {"outcome": entry.outcome, "error": entry.as_dict()}
        else:
            fields = {"outcome": "done", "outputs": len(entry.outputs)}
            if entry.warnings:
                fields["warnings"] = entry.warnings
            if entry.errors:
                fields["errors"] = [error.as_dict() for error in entry.errors]
        self._write_outcome(command, intent=number, seconds=_since(begun), **fields)

    def _write_stopped(self, number: str, begun: float, error: BaseException, outcome: str = "unknown") -> None:
        when = "before the command was sent" if outcome == NotSent.outcome else "while the command was under way"
        what = {"error": type(error).__name__, "what": f"stopped {when}"}
        with contextlib.suppress(RecordError):
            self._write("outcome", intent=number, outcome=outcome, seconds=_since(begun), error=what)

    def note(self, event: str, **fields: Any) -> None:
        """Write down something that was found, not sent."""
        self._write(event, step=self.step, **fields)

    def _write_outcome(self, command: Command, **fields: Any) -> None:
        try:
            self._write("outcome", looking=not command.mutating, **fields)
        except RecordError as error:
            if not command.mutating:
                raise
            raise OutcomeNotWritten(
                f"{command.name} was sent, and what came of it cannot be written down: {error.what}",
                where={**error.where, "host": self.endpoint.name, "outcome": str(fields["outcome"])},
                seen=error.seen,
                next="make room or give write access there, then run umkit plan: it reads what the server has now",
            ) from error

    def _tell_session(self, session: Session) -> None:
        self._write(
            "session",
            endpoint=self.endpoint.name,
            url=self.endpoint.url,
            account=self.endpoint.username or "",
            protocol=session.protocol,
        )

    def _write(self, event: str, *, looking: bool = False, **fields: Any) -> None:
        if self.journal is not None:
            write = self.journal.jot if looking else self.journal.append
            write(event, chapter=self.chapter, **fields)


def _key(noun: str, parameters: Mapping[str, Any]) -> str:
    return noun + repr(sorted(parameters.items()))


def _since(begun: float) -> float:
    return round(time.monotonic() - begun, 3)
