"""Listening sockets, their connections and the threads that serve them.

One thread accepts for all ports and sleeps until something happens, so that
several labs cost nothing while idle and stop at once.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable

from umkit.errors import LabError

_log = logging.getLogger("umkit.lab")
_HOST = "127.0.0.1"

#: Serves one connection and returns when it is done with it.
Serve = Callable[[socket.socket, tuple[str, int]], object]


class Threads:
    """The threads of one lab."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[threading.Thread] = set()

    def start(self, work: Callable[[], None], name: str) -> None:
        """Run work on a thread of its own; what it raises is logged."""

        def run() -> None:
            try:
                work()
            except Exception:
                _log.exception("a thread of the lab failed: %s", name)
            finally:
                with self._lock:
                    self._running.discard(threading.current_thread())

        thread = threading.Thread(target=run, name=name, daemon=True)
        with self._lock:
            self._running.add(thread)
        thread.start()

    def join(self, seconds: float) -> bool:
        """Wait for all but the calling thread; whether all ended in time."""
        deadline = time.monotonic() + seconds
        with self._lock:
            threads = [one for one in self._running if one is not threading.current_thread()]
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))
        return not any(thread.is_alive() for thread in threads)


class Listener:
    """Accepts on loopback ports.

    Arguments:
        threads: where connections are served.
    """

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._connections: set[socket.socket] = set()
        self._started = False
        self._stopped = False

    def add(self, port: int, serve: Serve) -> int:
        """Listen on a port of 127.0.0.1, 0 for any free one; the port.

        Raises:
            LabError: the port is taken.
        """
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if os.name == "posix":
                # Only there does it mean "reuse after TIME_WAIT"; on Windows it would share a live port.
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((_HOST, port))
            listening.listen(128)
            listening.setblocking(False)
        except (OSError, OverflowError) as error:
            listening.close()
            raise LabError("the lab cannot listen", where={"port": str(port)}, seen=str(error)) from error
        self._sockets.append(listening)
        self._selector.register(listening, selectors.EVENT_READ, serve)
        return int(listening.getsockname()[1])

    def start(self) -> None:
        """Begin to accept."""
        self._started = True
        self._threads.start(self._accept, "lab listener")

    def stop(self) -> None:
        """Close every listening socket and every connection; may be called twice and from any thread."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
            connections = list(self._connections)
        for connection in connections:
            # The thread that serves it closes it; this wakes that thread.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        if self._started:
            # A connection that came in between may have woken the thread, which is then done already.
            with contextlib.suppress(OSError):
                self._wake.send(b"x")
        else:
            self._close()

    def _accept(self) -> None:
        try:
            while not self._stopped:
                for key, _ in self._selector.select():
                    if key.data is not None and not self._stopped:
                        self._accept_one(key.fileobj, key.data)
        finally:
            self._close()

    def _close(self) -> None:
        self._selector.close()
        for one in (self._wake, self._woken, *self._sockets):
            one.close()

    def _accept_one(self, listening: object, serve: Serve) -> None:
        assert isinstance(listening, socket.socket)
        try:
            connection, address = listening.accept()
        except OSError:
            return  # the client went away again, or the lab is stopping
        connection.setblocking(True)
        with self._lock:
            if self._stopped:
                connection.close()
                return
            self._connections.add(connection)
        self._threads.start(lambda: self._serve(connection, address, serve), f"lab connection {address[1]}")

    def _serve(self, connection: socket.socket, address: tuple[str, int], serve: Serve) -> None:
        try:
            serve(connection, address)
        except OSError:
            pass  # the client, or the lab, closed it in the middle
        finally:
            with self._lock:
                self._connections.discard(connection)
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
