"""A small EndpointService, and pypsrp aimed at a Site; for the tests of the lab's wire."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from umkit.lab.model import Control, ErrorRecord, Invocation, Reply, Stopped
from umkit.lab.wire.clixml import text
from umkit.lab.wire.site import Site

#: Seconds after which a test that waits gives up.
DEADLINE = 10.0
USER = "ALLEO\\umadmin"
PASSWORD = "pä:ss \U0001f511"

NOT_FOUND = ErrorRecord(
    message="The operation couldn't be performed because object 'x & <y>\x01' couldn't be found.",
    error_id="[Server=EX01] [FailureCategory=Cmdlet-ManagementObjectNotFoundException] 7A3C,Get-Missing",
    category=13,
    category_name="ObjectNotFound",
    reason="ManagementObjectNotFoundException",
    exception_type="Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException",
    target="x & <y>\x01",
    activity="Get-Missing",
)


class Accounts:
    """One account, ALLEO\\umadmin."""

    def __init__(self, password: str = PASSWORD) -> None:
        self.password = password

    def password_of(self, username: str) -> str | None:
        known = ("alleo\\umadmin", "umadmin", "umadmin@alleo.example")
        return self.password if username.lower() in known else None

    def check_password(self, username: str, password: str) -> bool:
        return self.password_of(username) == password


class FakeService:
    """Answers a handful of cmdlets and remembers what came."""

    max_shells = 3

    def __init__(self, name: str = "EX01", configuration: str = "Microsoft.Exchange", path: str = "/PowerShell/"):
        self.name = name
        self.configuration = configuration
        self.path = path
        self.pipelines: list[list[Invocation]] = []
        self.users: list[str] = []
        self.started = threading.Event()
        self.release = threading.Event()
        self.busy = 0
        self.most_busy = 0
        self._lock = threading.Lock()

    def is_mutating(self, name: str) -> bool:
        return not name.startswith(("Get-", "Wait-", "Out-"))

    def execute(self, user: str, pipeline: list[Invocation], control: Control) -> Reply:
        with self._lock:
            self.pipelines.append(pipeline)
            self.users.append(user)
        handler: Callable[[dict[Any, Any], Control], Reply] = getattr(self, pipeline[0].name.replace("-", "_").lower())
        return handler(dict(pipeline[0].arguments), control)

    def get_value(self, arguments: dict[Any, Any], control: Control) -> Reply:
        return Reply(outputs=[f"<S>{text(arguments['Value'])}</S>"])

    def get_raw(self, arguments: dict[Any, Any], control: Control) -> Reply:
        return Reply(outputs=arguments["Xml"])

    def get_unescaped(self, arguments: dict[Any, Any], control: Control) -> Reply:
        return Reply(outputs=[f"<S>{arguments['Value']}</S>"])

    def get_input(self, arguments: dict[Any, Any], control: Control) -> Reply:
        self.started.set()
        return Reply(outputs=[f"<S>{text(str(one))}</S>" for one in control.input])

    def get_missing(self, arguments: dict[Any, Any], control: Control) -> Reply:
        return Reply(errors=[NOT_FOUND], warnings=["Grüße & <so> \U0001f600"])

    def get_failure(self, arguments: dict[Any, Any], control: Control) -> Reply:
        return Reply(outputs=["<S>before</S>"], failed=NOT_FOUND)

    def get_bug(self, arguments: dict[Any, Any], control: Control) -> Reply:
        raise ZeroDivisionError("ouch")

    def get_nonsense(self, arguments: dict[Any, Any], control: Control) -> Reply:
        return Reply(outputs=[None])  # type: ignore[list-item]

    def set_value(self, arguments: dict[Any, Any], control: Control) -> Reply:
        return Reply(outputs=["<S>done</S>"])

    def wait_stop(self, arguments: dict[Any, Any], control: Control) -> Reply:
        self.started.set()
        if control.stopped.wait(DEADLINE):
            raise Stopped
        return Reply()

    def wait_release(self, arguments: dict[Any, Any], control: Control) -> Reply:
        with self._lock:
            self.busy += 1
            self.most_busy = max(self.most_busy, self.busy)
            if self.busy == arguments.get("Together", 0):
                self.started.set()
        self.release.wait(DEADLINE)
        with self._lock:
            self.busy -= 1
        return Reply(outputs=["<S>released</S>"])


@contextmanager
def site(
    *services: FakeService, accounts: Accounts | None = None, trace: Path | None = None, **options: Any
) -> Iterator[Site]:
    """A running Site of fake services."""
    running = Site(
        services or [FakeService()], accounts or Accounts(), lambda: {"domains": ["ä"]}, trace=trace, **options
    )
    running.start()
    try:
        yield running
    finally:
        running.stop()


def wsman(url: str, *, auth: str = "basic", username: str = USER, password: str = PASSWORD, **options: Any) -> WSMan:
    """A stock pypsrp connection."""
    parts = urlsplit(url)
    basic = auth == "basic"
    return WSMan(
        parts.hostname,
        port=parts.port,
        ssl=False,
        path=parts.path.lstrip("/"),
        auth=auth,
        # requests encodes text as Latin-1
        username=username.encode() if basic else username,
        password=password.encode() if basic else password,
        encryption="never" if basic else "auto",
        no_proxy=True,
        **options,
    )


@contextmanager
def pool(url: str, *, configuration: str = "Microsoft.Exchange", **options: Any) -> Iterator[RunspacePool]:
    """An open runspace pool of stock pypsrp."""
    runspaces = options.pop("max_runspaces", 1)
    with (
        wsman(url, **options) as connection,
        RunspacePool(connection, configuration_name=configuration, max_runspaces=runspaces) as opened,
    ):
        yield opened


def command(opened: RunspacePool, name: str, **parameters: Any) -> PowerShell:
    """A pipeline of one cmdlet, not yet invoked."""
    return PowerShell(opened).add_cmdlet(name).add_parameters(parameters)
