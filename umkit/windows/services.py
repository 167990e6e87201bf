"""Windows services: state, account, start time and dependents.

``Get-CimInstance Win32_Service`` has the account and the process, which ``Get-Service`` has not; no match is no output
and no error. The start time is that of the service's process: right for a service in a process of its own, which all
services of this runbook are.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from umkit.channel import Channel
from umkit.kinds import NAME

_PROPERTIES = ["Name", "DisplayName", "State", "StartMode", "StartName", "ProcessId"]


def quoted(text: str) -> str:
    """Text as a WQL string."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def by_key(key: str, name: str) -> dict[str, Any]:
    """What a service is listed by: its ``Name`` or ``DisplayName``."""
    return {"ClassName": "Win32_Service", "Filter": f"{key}={quoted(name)}", "Property": _PROPERTIES}


def service(channel: Channel, name: str, *, fresh: bool = False) -> Mapping[str, Any] | None:
    """A service's Win32_Service by name or display name, or nothing."""
    for key in ("Name", "DisplayName"):
        found = channel.list("CimInstance", fresh=fresh, **by_key(key, name))
        match = next((row for row in found if NAME.same(row.get(key), name)), None)
        if match is not None:
            return dict(match)
    return None


def services(channel: Channel, *, fresh: bool = False) -> list[Mapping[str, Any]]:
    """Every service's Win32_Service."""
    found = channel.list("CimInstance", fresh=fresh, ClassName="Win32_Service", Property=_PROPERTIES)
    return [dict(row) for row in found]


def started(channel: Channel, process: Any, *, fresh: bool = False) -> datetime | None:
    """When a process was created, in UTC; nothing for process 0, which is none, or one that is gone."""
    if not process:
        return None
    found = channel.list(
        "CimInstance",
        fresh=fresh,
        ClassName="Win32_Process",
        Filter=f"ProcessId={int(process)}",
        Property=["ProcessId", "CreationDate"],
    )
    moments = [moment(row.get("CreationDate")) for row in found if row.get("ProcessId") == int(process)]
    return moments[0] if moments else None


def dependents(channel: Channel, name: str) -> list[str]:
    """Names of the services that depend on one, running or not; directly or through others (?: one read gives both)."""
    names: list[str] = []
    asked = [name]
    while asked:
        found = channel.list("Service", fresh=True, Name=asked.pop(), DependentServices=True)
        more = [str(entry.get("Name") or entry.get("ServiceName")) for entry in found]
        new = [each for each in more if each not in names]
        names += new
        asked += new
    return names


def with_dependents(channel: Channel, found: Mapping[str, Any]) -> dict[str, Any]:
    """A service with the names of what depends on it, and of those the running ones: they stop along with it."""
    names = dependents(channel, str(found["Name"]))
    rows = [service(channel, name, fresh=True) or {} for name in names]
    running = [name for name, row in zip(names, rows, strict=True) if NAME.same(row.get("State"), "Running")]
    return {**found, "DependentServices": names, "RunningDependents": running}


def moment(value: Any) -> datetime | None:
    """A time from the wire in UTC; nothing where there is none, or where it does not say its offset."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime) or value.utcoffset() is None:
        return None
    return value.astimezone(UTC)
