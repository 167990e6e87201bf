"""What probes from the workstation share: whom to reach, time limits, quotes."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from umkit.customer import LAB
from umkit.outcome import Report
from umkit.secrets import redact
from umkit.site import Site

_LONGEST_QUOTE = 120


def in_lab(site: Site) -> bool:
    """Whether the organisation is the simulated one, which has Exchange's and Windows' endpoints only."""
    return site.inputs.exchange.endpoint == LAB


def reachable(site: Site, report: Report, chosen: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name and FQDN of each chosen Exchange server, or of every mailbox server.

    What Exchange's own list of servers does not tell becomes an *open* finding.

    Arguments:
        site: the customer's site.
        report: where those findings go.
        chosen: names or FQDNs of the customer file; empty: all mailbox servers.
    """
    known = {}
    for server in site.organisation().list("ExchangeServer"):
        name, fqdn = str(server["Name"]), str(server.get("Fqdn") or "")
        known[name.casefold()] = known[fqdn.casefold()] = (name, fqdn)
    wanted = list(chosen) or site.mailbox_servers()
    if not wanted:
        report.add("open", "no server is known, so nothing was tried", "name the servers in the customer file")
    for asked in wanted:
        name, fqdn = known.get(asked.casefold(), (asked, ""))
        if fqdn:
            yield name, fqdn
        else:
            report.add(
                "open",
                f"{name} was not tried: Exchange's list of servers has no address for it",
                "check the server's name in the customer file",
            )


def quoted(text: bytes | str) -> str:
    """What a server said, fit for a finding: one short line, without secrets or control characters."""
    plain = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    line = " ".join(redact(plain).split())
    line = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
    return line if len(line) <= _LONGEST_QUOTE else line[: _LONGEST_QUOTE - 1] + "…"


class TimeLimit:
    """A bound for a whole dialogue: a server that drips its answers outlives every socket's own timeout.

    At the end of the time the watched socket is shut down, which ends whatever reads from it.

    Arguments:
        seconds: how long the dialogue may take.
    """

    def __init__(self, seconds: float) -> None:
        self.expired = False
        self.connected = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def watch(self, connected: socket.socket) -> None:
        """Watch a socket from now on; it is shut down at once where the time is over already."""
        with self._lock:
            self._socket, self.connected = connected, True
        if self.expired:
            self._end()

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()

    def _end(self) -> None:
        with self._lock:
            self.expired = True
            if self._socket is not None:
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
