"""A Windows host's services and their processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

STATUS = ("", "Stopped", "StartPending", "StopPending", "Running", "ContinuePending", "PausePending", "Paused")
START_TYPES = ("Boot", "System", "Automatic", "Manual", "Disabled")
#: Win32_Service's words for the start types.
START_MODES = {"Boot": "Boot", "System": "System", "Automatic": "Auto", "Manual": "Manual", "Disabled": "Disabled"}


@dataclass
class WindowsService:
    """A service as its host has it.

    Arguments:
        name, display_name, description: how it is called.
        start_type: Boot, System, Automatic, Manual or Disabled.
        status: Stopped, StartPending, StopPending, Running or Paused.
        account: the account it runs as, as Win32_Service says it.
        path: its command line.
        depends_on: names of services that it needs.
        delayed: whether an automatic start is delayed.
        starts: False refuses to start, ``dies`` starts and ends at once.
        stops: False refuses to stop.
        hangs: ``start``, ``stop`` or True for both: stays pending for ever.
        pid: its process, 0 when there is none.
        started: when the process started (UTC).
        start_count, stop_count: how often it was started and stopped since the lab began.
        effective: the settings that it read when it started; None where it reads none.
    """

    name: str
    display_name: str
    description: str = ""
    start_type: str = "Manual"
    status: str = "Stopped"
    account: str = "LocalSystem"
    path: str = ""
    depends_on: tuple[str, ...] = ()
    delayed: bool = False
    starts: bool | str = True
    stops: bool = True
    hangs: bool | str = False
    pid: int = 0
    started: datetime | None = None
    start_count: int = 0
    stop_count: int = 0
    effective: dict[str, Any] | None = None

    @property
    def title(self) -> str:
        """How error messages call it: ``Display (name)``."""
        return f"{self.display_name} ({self.name})"

    def hangs_at(self, what: str) -> bool:
        """Whether it stays pending at ``start`` or ``stop``."""
        return self.hangs is True or self.hangs == what


class Services:
    """The service control manager of one host.

    Arguments:
        now: tells the time (UTC).
        settings: gives the settings that a service reads when it starts, or None.
        changed: is told each service that has changed, and whether it was started or stopped.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        settings: Callable[[WindowsService], dict[str, Any] | None],
        changed: Callable[[WindowsService, bool], None],
    ) -> None:
        self._now = now
        self._settings = settings
        self._changed = changed
        self._services: dict[str, WindowsService] = {}
        self._next_pid = 1000

    def add(self, service: WindowsService) -> None:
        """Add a service that was there before the lab began; a running one has a process."""
        self._services[service.name.lower()] = service
        if service.status != "Stopped":
            service.pid = self._new_pid()

    def found(self, service: WindowsService) -> None:
        """Write down a service that was there before the lab began."""
        self._changed(service, False)

    def all(self) -> list[WindowsService]:
        """Every service by name."""
        return sorted(self._services.values(), key=lambda each: each.name.lower())

    def find(self, name: str) -> WindowsService | None:
        """The service of a name, without case; a display name does not count."""
        return self._services.get(name.lower())

    def dependents(self, service: WindowsService) -> list[WindowsService]:
        """The services that directly need this one."""
        return [each for each in self.all() if service.name.lower() in (name.lower() for name in each.depends_on)]

    def needed(self, service: WindowsService) -> list[WindowsService]:
        """The services that this one directly needs."""
        return [found for name in service.depends_on if (found := self.find(name))]

    def running_dependents(self, service: WindowsService) -> list[WindowsService]:
        """The services that need this one, directly or through others, and run; outermost first."""
        found: list[WindowsService] = []
        for each in self.dependents(service):
            found += [one for one in (*self.running_dependents(each), each) if one not in found]
        return [each for each in found if each.status != "Stopped"]

    def start(self, service: WindowsService) -> None:
        """Let a service run: a new process that reads its settings."""
        service.status = "Running"
        service.pid = self._new_pid()
        service.started = self._now()
        service.start_count += 1
        service.effective = self._settings(service)
        self._changed(service, True)

    def stop(self, service: WindowsService) -> None:
        """End a service's process."""
        service.status = "Stopped"
        service.pid, service.started, service.effective = 0, None, None
        service.stop_count += 1
        self._changed(service, True)

    def configure(self, service: WindowsService, **values: Any) -> None:
        """Change a service's configuration."""
        for name, value in values.items():
            setattr(service, name, value)
        self._changed(service, False)

    def begin(self) -> None:
        """Let every running service read its settings, once the organisation is complete."""
        for each in self.all():
            if each.status != "Stopped":
                each.effective = self._settings(each)

    def state(self) -> dict[str, dict[str, Any]]:
        """Every service by name, JSON-ready."""
        return {
            each.name: {
                "display_name": each.display_name,
                "start_type": each.start_type,
                "status": each.status,
                "account": each.account,
                "pid": each.pid,
                "started": each.started.isoformat() if each.started else None,
                "start_count": each.start_count,
                "stop_count": each.stop_count,
                **({"effective": each.effective} if each.effective is not None else {}),
            }
            for each in self.all()
        }

    def _new_pid(self) -> int:
        self._next_pid += 4
        return self._next_pid
