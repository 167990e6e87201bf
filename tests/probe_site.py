"""A site whose Exchange lists the servers that a test names, for the probes from the workstation."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from customer_files import accepted

from umkit.site import Site

#: How long a test's own server waits for its client, in seconds.
DEADLINE = 10.0


class Organisation:
    """The organisation's channel, as far as the probes ask: the list of servers."""

    def __init__(self, servers: list[dict[str, Any]]) -> None:
        self.servers = servers

    def list(self, noun: str) -> list[dict[str, Any]]:
        assert noun == "ExchangeServer"
        return self.servers


class ProbedSite(Site):
    """A site that opens no session.

    Arguments:
        text: the customer file's keys that differ from the least.
        servers: FQDN of each mailbox server, by name.
    """

    def __init__(self, text: str = "", servers: dict[str, str] | None = None) -> None:
        super().__init__(accepted(text))
        found = {"EX01": "127.0.0.1"} if servers is None else servers
        self.servers = [{"Name": name, "Fqdn": fqdn, "IsMailboxServer": True} for name, fqdn in found.items()]

    def organisation(self) -> Any:
        return Organisation(self.servers)


class NoSite(ProbedSite):
    """A site that must not be asked for anything but its customer file."""

    def organisation(self) -> Any:
        raise AssertionError("the organisation was asked")


@contextlib.contextmanager
def served(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server on loopback that hands its first connection to a function; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE)

        def once() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                connection.settimeout(DEADLINE)
                with connection:
                    serve(connection)

        thread = threading.Thread(target=once, daemon=True)
        thread.start()
        yield int(listener.getsockname()[1])
        listener.close()
        thread.join(DEADLINE)
    assert not thread.is_alive()


def closed_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def hang(connection: socket.socket) -> None:
    """Say nothing until the client leaves."""
    while connection.recv(4096):
        pass


def drip(line: bytes) -> Callable[[socket.socket], None]:
    """Say a line again and again, each in good time, until the client leaves."""

    def serve(connection: socket.socket) -> None:
        ends = time.monotonic() + DEADLINE
        while time.monotonic() < ends:
            readable, _, _ = select.select([connection], [], [], 0.02)
            if readable and not connection.recv(4096):
                return
            connection.sendall(line)

    return serve
