"""The lab: a simulated organisation behind its wire."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from umkit.errors import LabError
from umkit.lab.organisation import DEFAULT, Organisation, load
from umkit.lab.wire import faults as _faults
from umkit.lab.wire.auth import AUTH
from umkit.lab.wire.site import Site

_PASSWORD = "UMKIT_LAB_PASSWORD"  # noqa: S105 - the name of a variable
_KILLED = 137


class Lab:
    """A running lab, as a context manager or by start() and stop().

    Several may run in one process. Everything listens on 127.0.0.1.

    Arguments:
        organisation: name of a shipped organisation, or the path of a file.
        port: of the first Exchange server; 0 for any free one.
        password: of every account; by default UMKIT_LAB_PASSWORD, else random.
        trace: file for one JSON line per pipeline.
        faults: file with the faults to begin with.
        own_process: whether the lab is all its process does, so that a ``kill`` fault ends the process; otherwise
            the lab only stops abruptly.
    """

    def __init__(
        self,
        organisation: str | Path | None = None,
        *,
        port: int = 0,
        password: str | None = None,
        trace: Path | None = None,
        faults: Path | None = None,
        own_process: bool = False,
    ) -> None:
        self._source = organisation if organisation is not None else DEFAULT
        self._port = port
        self._trace = trace
        self._faults = faults
        self._own_process = own_process
        self._organisation: Organisation | None = None
        self._site: Site | None = None
        self.password = password or os.environ.get(_PASSWORD) or secrets.token_urlsafe(18)
        self.username = ""
        self.auth = list(AUTH)
        self.exchange = ""
        self.hosts: dict[str, str] = {}
        self.exchange_servers: dict[str, str] = {}
        self.control = ""

    def start(self) -> Self:
        """Load the organisation and begin to answer.

        Raises:
            LabError: the organisation, the faults or the trace cannot be had, the port is taken, or it runs already.
        """
        if self._site is not None:
            raise LabError("the lab runs already")
        orders = _faults.load(self._faults) if self._faults is not None else []
        organisation = load(self._source)
        organisation.set_password(self.password)
        site = Site(
            organisation.services,
            organisation,
            organisation.state,
            port=self._port,
            trace=self._trace,
            faults=orders,
            kill=(lambda: os._exit(_KILLED)) if self._own_process else None,
        )
        self.username = organisation.administrator
        self.exchange, self.hosts, self.control = site.exchange, site.hosts, site.control
        self.exchange_servers = site.exchange_servers
        self._organisation, self._site = organisation, site
        site.start()
        return self

    def stop(self) -> None:
        """Close every socket and end every thread; the organisation's state can still be read."""
        if self._site is not None:
            self._site.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def describe(self) -> dict[str, Any]:
        """What a client needs to reach it, as ``umkit lab --json`` prints it (design §4.3)."""
        return {
            "exchange": self.exchange,
            "hosts": dict(self.hosts),
            "control": self.control,
            "username": self.username,
            "password": self.password,
            "auth": list(self.auth),
        }

    def state(self) -> dict[str, Any]:
        """The organisation as JSON-ready values."""
        if self._organisation is None:
            raise LabError("the lab was not started")
        return self._organisation.state()

    def requests(self) -> int:
        """HTTP requests to the Exchange and host endpoints so far."""
        return int(self._running_site().counts.as_dict()["requests"])

    def set_faults(self, faults: list[dict[str, Any]]) -> None:
        """Order faults in place of those before; as POST /faults.

        Arguments:
            faults: for example ``[{"at_mutation": 1, "do": "drop-after"}]``.

        Raises:
            LabError: one is not understood.
        """
        self._running_site().faults.set(_faults.parse(faults))

    def _running_site(self) -> Site:
        if self._site is None:
            raise LabError("the lab was not started")
        return self._site
