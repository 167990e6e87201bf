"""Shells, the pipelines in them, and what waits to be received.

A shell is one runspace pool. Three kinds of lock, never nested: the pool's
(``Pool.lock``), a queue's own, and the shell's for its tables.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from umkit.lab.model import Invocation
from umkit.lab.wire.envelope import Fault, aborted, timed_out, too_many_commands, unknown_shell
from umkit.lab.wire.listener import Threads
from umkit.lab.wire.psrp import FRAGMENT, Outgoing, PipelineArrived, Pool

#: What the envelope of a ReceiveResponse needs besides its streams, and one stream besides its base64.
_ENVELOPE_OVERHEAD = 2_048
_STREAM_OVERHEAD = 192

#: Seconds; longer waits are more than some systems can count.
_LONGEST_WAIT = 86_400.0

#: WinRM's IdleTimeout where the client states none: two hours.
IDLE_TIMEOUT = timedelta(hours=2)
#: WinRM's MaxConcurrentCommandsPerShell; a finished command counts until it is terminated.
MAX_COMMANDS = 1_000


class Queue:
    """Messages waiting for the Receive of one pool or one pipeline."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._messages: deque[Outgoing] = deque()
        self._finished = False
        self._gone = False
        self._taker = 0

    def put(self, messages: Sequence[Outgoing], *, finished: bool = False) -> None:
        """Add messages; after ``finished`` no more will come."""
        with self._changed:
            if not self._finished:
                self._messages.extend(messages)
                self._finished = finished
            self._changed.notify_all()

    def discard(self) -> None:
        """The shell or the command is gone: wake whoever waits."""
        with self._changed:
            self._gone = True
            self._messages.clear()
            self._changed.notify_all()

    def take(self, max_envelope: int, timeout: float) -> tuple[list[bytes], bool]:
        """The fragments one answer can hold, waiting for the first; and whether they were the last.

        A second taker ends the first's waiting (?), so that a client that went away takes nothing with it.

        Arguments:
            max_envelope: bytes the whole answer may have.
            timeout: seconds to wait.

        Raises:
            Fault: nothing came in time, or the shell went away.
        """
        deadline = time.monotonic() + min(timeout, _LONGEST_WAIT)
        with self._changed:
            self._taker += 1
            me = self._taker
            self._changed.notify_all()
            while not self._messages and not self._gone and self._taker == me:
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    raise timed_out()
            if self._gone or self._taker != me:
                raise aborted()
            fragments: list[bytes] = []
            room = max_envelope - _ENVELOPE_OVERHEAD
            while self._messages:
                raw = (room - _STREAM_OVERHEAD) // 4 * 3 - FRAGMENT.size
                if raw < 1 and fragments:
                    break
                message = self._messages[0]
                fragment = message.fragment(raw)
                room -= _STREAM_OVERHEAD + (len(fragment) + 2) // 3 * 4
                fragments.append(fragment)
                if message.done:
                    self._messages.popleft()
            return fragments, self._finished and not self._messages


class Pipeline:
    """One command of a shell; also the Control its handlers see.

    Arguments:
        id: the CommandId, as the client wrote it.
    """

    def __init__(self, id: str) -> None:
        self.id = id
        self.uuid = UUID(id)
        self.queue = Queue()
        self.stopped = threading.Event()
        self.finished = threading.Event()
        self.arrived: PipelineArrived | None = None
        self.input: list[Any] = []
        self.input_ended = False
        self._lock = threading.Lock()
        self._queued = False
        self._begun = False

    def ready(self) -> bool:
        """Whether everything has come that it needs to run; true once."""
        with self._lock:
            complete = self.arrived is not None and (self.arrived.no_input or self.input_ended)
            if not complete or self._queued or self.stopped.is_set():
                return False
            self._queued = True
            return True

    def begin(self) -> bool:
        """Whether it may run now; false once it was stopped."""
        with self._lock:
            self._begun = not self.stopped.is_set()
            return self._begun

    def stop(self) -> bool:
        """Ask it to stop; whether it will never begin, so that nobody else ends it."""
        with self._lock:
            first = not self.stopped.is_set()
            self.stopped.set()
            return first and not self._begun

    def discard(self) -> None:
        """Stop it for good; nobody will receive from it any more."""
        if self.stop():
            self.finished.set()
        self.queue.discard()

    @property
    def invocations(self) -> list[Invocation]:
        """All commands of all statements."""
        return [one for statement in (self.arrived.statements if self.arrived else []) for one in statement]


class Shell:
    """One open shell.

    Arguments:
        id: the ShellId, upper case.
        user: the account that opened it.
        idle_timeout: it is reaped after this long without a request.
        clock: seconds, monotonic.
        threads: where pipelines run.
    """

    def __init__(
        self, id: str, user: str, idle_timeout: timedelta, clock: Callable[[], float], threads: Threads
    ) -> None:
        self.id = id
        self.user = user
        self.idle_timeout = idle_timeout
        self.queue = Queue()
        self.pool = Pool(lambda message: self.queue.put([message]), lambda: self._running)
        self._clock = clock
        self._threads = threads
        self._lock = threading.Lock()
        self._pipelines: dict[UUID, Pipeline] = {}
        self._backlog: deque[Callable[[], None]] = deque()
        self._running = 0
        self._requests = 0
        self._used = clock()
        self._closed = False

    def __enter__(self) -> Shell:
        with self._lock:
            self._requests += 1
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._requests -= 1
            self._used = self._clock()

    @property
    def idle(self) -> bool:
        """Whether its idle timeout has passed; a waiting Receive counts as use."""
        with self._lock:
            return not self._requests and self._clock() - self._used > self.idle_timeout.total_seconds()

    def add(self, id: str) -> Pipeline:
        """A new pipeline under this CommandId.

        Raises:
            Fault: the id is not a UUID or taken, or the shell is gone.
        """
        try:
            pipeline = Pipeline(id)
        except ValueError:
            raise Fault(2150858810, "w:InvalidParameter", "The CommandId is not a UUID.") from None
        with self._lock:
            if self._closed:
                raise unknown_shell()
            if pipeline.uuid in self._pipelines:
                raise Fault(2150858803, "w:AlreadyExists", "A command of this CommandId exists already.")
            if len(self._pipelines) >= MAX_COMMANDS:
                raise too_many_commands()
            self._pipelines[pipeline.uuid] = pipeline
        return pipeline

    def pipeline(self, id: str | UUID | None) -> Pipeline:
        """The pipeline of this CommandId.

        Raises:
            Fault: there is none.
        """
        try:
            key = id if isinstance(id, UUID) else UUID(id or "")
        except ValueError:
            raise unknown_shell() from None
        with self._lock:
            found = self._pipelines.get(key)
        if found is None:
            raise unknown_shell()
        return found

    def run(self, work: Callable[[], None], name: str) -> None:
        """Run a pipeline's work on a thread of its own, when a runspace is free.

        Arguments:
            work: called once.
            name: the thread's name.
        """

        def until_idle() -> None:
            job: Callable[[], None] | None = work
            while job is not None:
                job()
                with self._lock:
                    job = self._backlog.popleft() if self._backlog else None
                    if job is None:
                        self._running -= 1

        with self._lock:
            if self._running >= max(self.pool.max_runspaces, 1):
                self._backlog.append(work)
                return
            self._running += 1
        self._threads.start(until_idle, name)

    def remove(self, pipeline: Pipeline) -> None:
        """Forget a pipeline, stopping it if it runs."""
        with self._lock:
            self._pipelines.pop(pipeline.uuid, None)
        pipeline.discard()

    def close(self) -> None:
        """Stop everything in it and wake every waiting Receive."""
        with self._lock:
            self._closed = True
            pipelines = list(self._pipelines.values())
            self._pipelines.clear()
        for pipeline in pipelines:
            pipeline.discard()
        self.queue.discard()
