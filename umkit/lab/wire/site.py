"""Listeners, endpoints, control address and faults together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from umkit.errors import LabError
from umkit.lab.model import EndpointService
from umkit.lab.wire.auth import Accounts
from umkit.lab.wire.control import Control
from umkit.lab.wire.endpoint import Endpoint
from umkit.lab.wire.faults import Faults, Order
from umkit.lab.wire.http import Counts, Front
from umkit.lab.wire.listener import Listener, Threads
from umkit.lab.wire.trace import Trace

EXCHANGE = "Microsoft.Exchange"
POWERSHELL = "Microsoft.PowerShell"
#: Seconds that stop() waits for threads to end.
_STOP_SECONDS = 2.0


class Site:
    """Serves a set of EndpointServices on loopback.

    The first Microsoft.Exchange service has a port of its own. Every server has one more, where all services of its
    name answer, each under its path: a second Exchange server is reached there.

    Arguments:
        services: what is served; of one name and path only one.
        accounts: who may come in.
        state: the organisation as JSON-ready values, for GET /state.
        port: of the first Exchange server; 0 for any free one.
        trace: file for a line per pipeline, or None.
        faults: what is to break.
        kill: what a ``kill`` fault does; by default the site stops abruptly.
        clock: seconds, monotonic; shells' idle timeouts go by it.

    Raises:
        LabError: no Exchange service, the trace cannot be opened, or the port is taken.
    """

    def __init__(
        self,
        services: Sequence[EndpointService],
        accounts: Accounts,
        state: Callable[[], dict[str, Any]],
        *,
        port: int = 0,
        trace: Path | None = None,
        faults: Sequence[Order] = (),
        kill: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        first = next((one for one in services if one.configuration == EXCHANGE), None)
        if first is None:
            raise LabError("the organisation has no Exchange server")
        self.faults = Faults(faults)
        self.counts = Counts()
        self._threads = Threads()
        self._trace = Trace(trace)
        self._listener = Listener(self._threads)
        self._endpoints = [Endpoint(one, self._trace, self.faults, clock, self._threads) for one in services]
        self._kill = kill or self.abort
        self._accounts = accounts
        try:
            main = [one for one in self._endpoints if one.service is first]
            self.exchange = f"{self._address(port, main)}{first.path}"
            #: Windows host → its WSMan address.
            self.hosts: dict[str, str] = {}
            #: Exchange server → the address of its Exchange endpoint.
            self.exchange_servers: dict[str, str] = {}
            for name in dict.fromkeys(one.name for one in services):
                mine = [one for one in self._endpoints if one.service.name == name]
                address = self._address(0, mine)
                for one in mine:
                    table = self.exchange_servers if one.service.configuration == EXCHANGE else self.hosts
                    table[name] = f"{address}{one.service.path}"
            self.exchange_servers[first.name] = self.exchange
            control = self._listener.add(0, Control(state, self.counts, self.faults).serve)
            self.control = f"http://127.0.0.1:{control}/"
        except LabError:
            self.stop()
            raise

    def start(self) -> None:
        """Begin to answer."""
        self._listener.start()

    def abort(self) -> None:
        """Close every socket and every shell, waiting for nothing."""
        self._listener.stop()
        for endpoint in self._endpoints:
            endpoint.close()

    def stop(self) -> None:
        """Stop, and wait a moment for the threads to end."""
        self.abort()
        self._threads.join(_STOP_SECONDS)
        self._trace.close()

    def _address(self, port: int, endpoints: Sequence[Endpoint]) -> str:
        by_path = {one.service.path: one for one in endpoints}
        front = Front(by_path, self._accounts, self.faults, self.counts, self._kill)
        return f"http://127.0.0.1:{self._listener.add(port, front.serve)}"
