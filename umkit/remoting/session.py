"""A session: one connection, one runspace pool, one thread that owns it.

What a session guarantees for every command:

- only a cmdlet with parameters is sent, never script text; a value that has no form on the wire is refused beforehand;
- it ends: at the deadline or when cancelled it is stopped on the server, even where the server no longer answers;
- its end is one of *answered*, *refused*, *not sent* and *outcome unknown*. A reading command whose connection or shell
  broke is asked once more on a new one; a changing command never is.

A cmdlet that would ask a person fails, since no host is offered to the server: whoever plans a command gives it
``Confirm=False`` where the real cmdlet asks.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from umkit.command import Command
from umkit.errors import NotSent, RemoteError, UsageError
from umkit.remoting.connection import Broken, Connection, Over, Running, Stop
from umkit.remoting.endpoint import Endpoint
from umkit.remoting.result import Result
from umkit.remoting.transport import RUNSPACES
from umkit.remoting.values import Prepared, prepare

__all__ = ["Endpoint", "Result", "Session"]

#: Commands of run_many() that are under way at once: as many again as run wait at the server.
FAN_OUT = 2 * RUNSPACES

Entry = Result | RemoteError


class Session:
    """An open runspace pool to one endpoint, used by one thread: the one that opened it.

    Arguments:
        endpoint: where it leads.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._connection = Connection(endpoint)
        self._owner: int | None = None
        self._closed = False

    @property
    def protocol(self) -> str:
        """The negotiated protocol: ``basic``, ``ntlm`` or ``kerberos``; empty until it was open once."""
        return self._connection.protocol

    @property
    def is_open(self) -> bool:
        """Whether there is a runspace pool; the server may have closed it since."""
        return self._connection.is_open

    def __repr__(self) -> str:
        state = self.protocol if self._connection.is_open else "not open"
        return f"<Session {self.endpoint.name} {self.endpoint.url} {state}>"

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Open the runspace pool, within the endpoint's deadline; an open session is left alone.

        Raises ``ConnectionFailed``, ``AuthenticationFailed``, ``WrongEndpoint`` or ``TooManyShells``.
        """
        self._claim()
        self._closed = False
        if not self._connection.is_open:
            self._connection.open(time.monotonic() + self.endpoint.deadline)

    def close(self) -> None:
        """Close the runspace pool; a server that does not answer any more is left to itself."""
        self._claim()
        self._connection.give_up()
        self._closed = True
        self._owner = None

    def run(
        self,
        command: Command,
        *,
        deadline: float | None = None,
        cancel: threading.Event | None = None,
        errors: str = "raise",
    ) -> Result:
        """Run one command and bring back what it answered.

        Arguments:
            command: the command.
            deadline: seconds until it must be done, with opening the session where that is due; the endpoint's unless
                given.
            cancel: stops the command when it is set, by any thread.
            errors: ``raise`` raises the first error record, ``collect`` leaves them all in the result.

        Raises a ``NotSent``, a ``Refused`` or an ``OutcomeUnknown``; KeyboardInterrupt after the command was stopped.
        """
        end = self._begin(deadline, errors)
        entry = self._ask({0: self._prepare(command)}, end, cancel, errors, repeat=not command.mutating)[0]
        if isinstance(entry, RemoteError):
            raise entry
        return entry

    def run_many(
        self,
        commands: Sequence[Command],
        *,
        deadline: float | None = None,
        cancel: threading.Event | None = None,
        errors: str = "raise",
    ) -> list[Entry]:
        """Run reading commands together on the one connection; one entry a command, in their order.

        Answers are collected in that order too: at the deadline, what stands behind a slow command ends with it.

        Arguments:
            commands: reading commands only.
            deadline: seconds until all must be done; the endpoint's unless given.
            cancel: stops all of them when it is set, by any thread.
            errors: ``raise`` makes a command's first error its entry, ``collect`` leaves them all in its result.

        Raises ``ValueError`` for a changing command, and what :meth:`open` raises.
        """
        changing = sorted({command.name for command in commands if command.mutating})
        if changing:
            raise ValueError(f"{', '.join(changing)} can change something; only reading commands are asked together")
        end = self._begin(deadline, errors)
        entries: dict[int, Entry] = {}
        prepared: dict[int, Prepared] = {}
        for number, command in enumerate(commands):
            try:
                prepared[number] = self._prepare(command)
            except RemoteError as error:
                entries[number] = error
        entries |= self._ask(prepared, end, cancel, errors, repeat=True)
        return [entries[number] for number in range(len(commands))]

    def _begin(self, deadline: float | None, errors: str) -> float:
        """Check a call and give its end on the monotonic clock."""
        if errors not in ("raise", "collect"):
            raise ValueError(f"errors is {errors!r}; allowed: raise, collect")
        self._claim()
        if self._closed:
            raise UsageError(f"the session to {self.endpoint.name} is closed", next="open() it again")
        return time.monotonic() + (self.endpoint.deadline if deadline is None else deadline)

    def _claim(self) -> None:
        """Refuse a second thread: messages of one connection are numbered and encrypted in one sequence."""
        me = threading.get_ident()
        if self._owner is None:
            self._owner = me
        elif self._owner != me:
            raise UsageError(
                f"the session to {self.endpoint.name} belongs to another thread",
                where=self.endpoint.where,
                expected="one session for one thread",
                next="open a session of its own in this thread, or use run_many() to ask several things at once",
            )

    def _prepare(self, command: Command) -> Prepared:
        try:
            return prepare(command.name, command.parameters, command.arguments)
        except RemoteError as error:
            error.at(**self.endpoint.where)
            raise

    def _ask(
        self,
        prepared: Mapping[int, Prepared],
        end: float,
        cancel: threading.Event | None,
        errors: str,
        *,
        repeat: bool,
    ) -> dict[int, Entry]:
        """Run commands, and those without an answer once more where they may be; one entry each."""
        entries: dict[int, Entry] = {}
        retried = False
        while todo := {number: one for number, one in prepared.items() if number not in entries}:
            try:
                if not self._connection.is_open and not (cancel is not None and cancel.is_set()):
                    self._connection.open(end)
                self._round(todo, entries, end, cancel, errors, retried)
            except NotSent as error:  # opening; the second time others have their answers already
                if not retried:
                    raise
                self._fail(todo, entries, error)
            except Broken as broken:
                if not repeat or retried or not broken.again or time.monotonic() >= end:
                    self._fail(todo, entries, broken.error, broken.__cause__)
                retried = True
        return entries

    def _round(
        self,
        todo: Mapping[int, Prepared],
        entries: dict[int, Entry],
        end: float,
        cancel: threading.Event | None,
        errors: str,
        retried: bool,
    ) -> None:
        """Keep several commands under way and collect their answers in order; raises ``Broken``."""
        waiting = deque(todo)
        running: deque[tuple[int, Running]] = deque()
        try:
            while waiting or running:
                while waiting and len(running) < FAN_OUT:
                    if cancel is not None and cancel.is_set():
                        raise Stop
                    if time.monotonic() >= end:
                        raise Over
                    running.append((waiting[0], self._connection.send(todo[waiting[0]], end)))
                    waiting.popleft()
                number, one = running[0]
                entries[number] = self._entry(one, end, cancel, errors, retried)
                running.popleft()
        except (Over, Stop) as why:
            confirmed = self._connection.halt([one for _, one in running])
            for number, one in running:
                entries[number] = self._connection.stopped(why, one.prepared, confirmed=confirmed)
            word = "cancelled" if isinstance(why, Stop) else "the deadline passed"
            for number in waiting:
                what = f"{word} before {todo[number].name} was sent"
                entries[number] = NotSent(what, where=self._connection.where(todo[number]))
        except Broken:
            raise
        except BaseException:  # KeyboardInterrupt: nothing is left running behind the person's back
            self._connection.halt([one for _, one in running])
            raise

    def _entry(self, running: Running, end: float, cancel: threading.Event | None, errors: str, retried: bool) -> Entry:
        try:
            result = self._connection.answer(running, end, cancel)
        except RemoteError as error:
            return error
        if result.errors and errors == "raise":
            return result.errors[0]
        return dataclasses.replace(result, retried=retried)

    def _fail(
        self,
        todo: Mapping[int, Prepared],
        entries: dict[int, Entry],
        error: RemoteError,
        cause: BaseException | None = None,
    ) -> None:
        """Give every command that has no entry yet this error, each with its own place."""
        for number, one in todo.items():
            if number not in entries:
                where = {**error.where, **self._connection.where(one)}
                own = type(error)(error.what, where=where, seen=error.seen, expected=error.expected, next=error.next)
                own.__cause__ = cause or error.__cause__
                entries[number] = own
