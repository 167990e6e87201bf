"""One connection: a runspace pool that is opened, used for commands and given up.

No command is repeated here. Whatever goes wrong with the connection itself gives it up and is raised as
:class:`Broken`, with the error that it means for the command at hand.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import requests
from pypsrp.complex_objects import PSInvocationState
from pypsrp.exceptions import WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool

from umkit.errors import (
    AnswerUnreadable,
    AuthenticationFailed,
    Cancelled,
    ConnectionLost,
    DeadlineExceeded,
    OutcomeUnknown,
    Refused,
    RemoteError,
)
from umkit.remoting import faults, records, transport
from umkit.remoting.decoder import Received, Unreadable
from umkit.remoting.endpoint import Endpoint
from umkit.remoting.result import Result
from umkit.remoting.values import Prepared

#: Seconds in which a command is stopped or a shell closed; after that the server is left to itself.
CLEANUP = 2.0
#: Seconds between two looks at the cancel event while a command runs; without one, until an interrupt is seen where
#: it does not break into a waiting socket (Windows).
LOOK = 1.0
LOOK_UNCANCELLED = 5.0
#: The shortest time to wait that a server takes, in seconds: WinRM's MaxTimeoutms is at least 500.
SHORTEST_WAIT = 0.5


class Over(Exception):
    """The deadline passed while a command was under way."""


class Stop(Exception):
    """The cancel event was set while a command was under way."""


class Broken(Exception):
    """The connection was given up.

    Arguments:
        error: what that means for the command at hand.
        again: whether a reading command may be asked once more, on a new connection.
    """

    def __init__(self, error: RemoteError, *, again: bool) -> None:
        super().__init__(error)
        self.error = error
        self.again = again


@dataclass
class Running:
    """A command that was sent.

    Arguments:
        prepared: the command.
        ps: its pipeline.
        begun: when it was sent, on the monotonic clock.
    """

    prepared: Prepared
    ps: PowerShell
    begun: float


class Connection:
    """A runspace pool at an endpoint, not open at first.

    Arguments:
        endpoint: where it leads.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        #: The negotiated protocol; empty until it was open once.
        self.protocol = ""
        self._pool: RunspacePool | None = None
        self._guard: transport.Guard | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a pool; the server may have closed it since."""
        return self._pool is not None

    def where(self, prepared: Prepared) -> dict[str, str]:
        """The place of a command, as errors say it."""
        return {**self.endpoint.where, "command": prepared.name}

    def open(self, end: float) -> None:
        """Open the pool until ``end`` on the monotonic clock, trying once more where the connection breaks.

        Raises a ``NotSent``: an opened pool changes nothing.
        """
        self.endpoint.check()
        try:
            self._open(end)
        except Broken as broken:
            if not broken.again or time.monotonic() >= end:
                raise broken.error from broken.__cause__
            try:
                self._open(end)
            except Broken as again:
                raise again.error from again.__cause__

    def _open(self, end: float) -> None:
        self._pool, self._guard = transport.build(self.endpoint)
        self._guard.end = end
        try:
            transport.open_pool(self._pool)
            self.protocol = transport.protocol(self._pool)
            if self.endpoint.auth == "kerberos" and self.protocol != "kerberos":
                raise AuthenticationFailed(
                    f"the server took {self.protocol} where Kerberos was asked for; the session was closed",
                    where=self.endpoint.where,
                )
        except Exception as exc:
            error = faults.not_sent(exc, self.endpoint.where, self.endpoint.auth)
            again = faults.worth_repeating(exc)
            if not faults.not_executed(exc):
                transport.presume_open(self._pool)
            self.give_up()
            raise Broken(error, again=again) from exc
        except BaseException:
            transport.presume_open(self._pool)
            self.give_up()
            raise

    def send(self, prepared: Prepared, end: float) -> Running:
        """Send one command; raises :class:`Broken`."""
        pool, guard = self._opened(prepared)
        guard.end = end
        running = Running(prepared, PowerShell(pool), time.monotonic())
        running.ps.add_cmdlet(prepared.name)
        for name, value in prepared.parameters:
            running.ps.add_parameter(name, value)
        for argument in prepared.arguments:
            running.ps.add_argument(argument)
        sending = False
        try:
            if prepared.secret:
                pool.exchange_keys()
            sending = True
            running.ps.begin_invoke(remote_stream_options=0)  # records need no invocation info: it repeats parameters
        except Exception as exc:
            unsent = not sending or faults.not_executed(exc)
            raise self._broken(exc, running, end, unsent=unsent) from exc
        except BaseException:
            self.give_up()  # whether it runs is not known, but with its shell it is stopped
            raise
        return running

    def answer(self, running: Running, end: float, cancel: threading.Event | None) -> Result:
        """Wait for a command's end, and bring back what it answered, with all its errors.

        Raises :class:`Over`, :class:`Stop`, :class:`Broken`, ``Cancelled`` or ``AnswerUnreadable``.
        """
        pool, guard = self._opened(running.prepared)
        ps = running.ps
        if ps.runspace_pool is not pool:
            raise self._gone(running.prepared)
        guard.end = end
        while ps.state == PSInvocationState.RUNNING:
            if cancel is not None and cancel.is_set():
                raise Stop
            left = guard.left()
            if left <= 0:
                raise Over
            wait = min(LOOK_UNCANCELLED if cancel is None else LOOK, max(left, SHORTEST_WAIT))
            try:
                ps.poll_invoke(timeout=round(wait, 3))  # type: ignore[arg-type]  # fractions are valid in the header
            except Exception as exc:
                if _too_late(exc, end):
                    raise Over from exc
                raise self._broken(exc, running, end, unsent=False) from exc
        seconds = time.monotonic() - running.begun
        self._finish(ps)
        return self._result(running, seconds)

    def halt(self, running: Sequence[Running]) -> bool:
        """Stop commands on the server, several of them with their shell; says whether the server confirmed that."""
        if not running:
            return True
        if self._guard is None or len(running) > 1:
            return self.give_up()
        self._guard.end = time.monotonic() + CLEANUP
        ps = running[0].ps
        try:
            if ps.state == PSInvocationState.RUNNING:
                ps.stop()
            ps.close()
        except Exception as exc:
            silent = isinstance(exc, requests.Timeout | transport.NeverLeft)
            return self.give_up(delete=not silent)
        return True

    def stopped(self, why: Over | Stop, prepared: Prepared, *, confirmed: bool) -> OutcomeUnknown:
        """The error for a command that was stopped."""
        where = self.where(prepared)
        seen = "the server confirmed the stop" if confirmed else "the server did not confirm the stop: it may still run"
        if isinstance(why, Stop):
            return Cancelled(f"{prepared.name} was stopped before it had answered", where=where, seen=seen)
        return DeadlineExceeded(
            f"{prepared.name} did not answer within the deadline and was stopped", where=where, seen=seen
        )

    def give_up(self, *, delete: bool = True) -> bool:
        """Close the pool; says whether the server confirmed that.

        The shell is deleted where the server still answers, which also stops what runs in it.
        """
        pool, guard = self._pool, self._guard
        self._pool = self._guard = None
        if pool is None or guard is None:
            return False
        guard.end = time.monotonic() + CLEANUP
        guard.pauses = ()
        try:
            if not delete:
                return False
            gone = _deleted(pool)
            return bool(_deleted(pool) if gone is None else gone)
        finally:
            guard.reset()

    def _opened(self, prepared: Prepared) -> tuple[RunspacePool, transport.Guard]:
        if self._pool is None or self._guard is None:
            raise self._gone(prepared)
        return self._pool, self._guard

    def _gone(self, prepared: Prepared) -> Broken:
        """For a command whose pool was given up because of another one's trouble."""
        error = ConnectionLost("the connection broke while the command was under way", where=self.where(prepared))
        return Broken(error, again=True)

    def _broken(self, exc: Exception, running: Running, end: float, *, unsent: bool) -> Broken:
        where = self.where(running.prepared)
        confirmed = self.give_up()
        error: RemoteError
        if unsent:
            error = faults.not_sent(exc, where, self.endpoint.auth)
        elif _too_late(exc, end):
            error = self.stopped(Over(), running.prepared, confirmed=confirmed)
        else:
            error = faults.lost(exc, where)
        return Broken(error, again=faults.worth_repeating(exc))

    def _finish(self, ps: PowerShell) -> None:
        """Let the server forget a command that has ended; its result stands whatever comes of that."""
        if self._guard is not None:
            self._guard.end = max(self._guard.end, time.monotonic() + CLEANUP)
        try:
            ps.close()
        except Exception as exc:
            if not isinstance(exc, WSManFaultError) or exc.code == faults.UNKNOWN_SHELL:
                self.give_up()

    def _result(self, running: Running, seconds: float) -> Result:
        prepared, ps = running.prepared, running.ps
        where = self.where(prepared)
        errors = [records.from_record(one.record, where) for one in cast("list[Received]", ps.streams.error)]
        if ps.state == PSInvocationState.STOPPED:
            raise Cancelled(f"{prepared.name} was stopped on the server", where=where)
        if ps.state == PSInvocationState.FAILED and not errors:
            errors.append(Refused(f"{prepared.name} failed and the server does not say why", where=where))
        unreadable = [output.error for output in ps.output if isinstance(output, Unreadable)]
        if unreadable and not errors:
            raise AnswerUnreadable(
                f"{prepared.name} gave an object that cannot be decoded", where=where, seen=str(unreadable[0])
            )
        warnings = [
            str(one.record.get("InformationalRecord_Message") or one)
            for one in cast("list[Received]", ps.streams.warning)
        ]
        return Result(
            outputs=[output for output in ps.output if not isinstance(output, Unreadable)],
            errors=list(errors),
            warnings=warnings,
            seconds=seconds,
            command=prepared.name,
        )


def _deleted(pool: RunspacePool) -> bool | None:
    """Whether a pool's shell is gone; None where that may be tried once more."""
    try:
        pool.shell.close()
    except Exception as exc:
        if isinstance(exc, WSManFaultError):
            return bool(exc.code == faults.UNKNOWN_SHELL)
        return None if faults.worth_repeating(exc) else False
    return True


def _too_late(exc: Exception, end: float) -> bool:
    """Whether a request failed because the deadline cut it off."""
    return time.monotonic() >= end and isinstance(exc, requests.RequestException | transport.NeverLeft)
