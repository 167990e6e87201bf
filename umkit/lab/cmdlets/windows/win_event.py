"""Get-WinEvent: the host's event logs, newest entry first."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from umkit.lab import event_query
from umkit.lab.objects import Complex, Node, Scalar
from umkit.lab.providers import administrates, refusal
from umkit.lab.records import not_simulated
from umkit.lab.sections import EventSection

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.records import Refusal

_LOGS = ("Application", "System", "Security", "Setup", "Windows PowerShell", "MSExchange Management")
_LEVELS = {0: "Information", 1: "Critical", 2: "Error", 3: "Warning", 4: "Information", 5: "Verbose"}
_RECORD = "System.Diagnostics.Eventing.Reader.Event"
_KEYS = {"logname", "providername", "id", "level", "starttime", "endtime"}


def get_win_event(call: Call) -> None:
    """List entries of logs or providers; nothing that fits is an error of its own.

    A list inside ``-FilterHashtable`` reaches the cmdlet as one text and so finds nothing (reference/windows.md §g).
    """
    call.simulates("LogName", "ProviderName", "FilterXPath", "FilterHashtable", "MaxEvents", "Oldest", "Force")
    host = call.service.host
    logs = {each.lower(): each for each in (*(event.log for event in reversed(host.events)), *_LOGS)}
    for name in call.get("LogName") or ():
        if name.lower() not in logs:
            raise _unknown(call, "Log", "event log", name)
    # A service registers its own name as a provider, whether it has written anything or not.
    own = {service.name.lower() for service in host.services.all()} | {"service control manager"}
    providers = own | {event.provider.lower() for event in host.events}
    for name in call.get("ProviderName") or ():
        if name.lower() not in providers:
            raise _unknown(call, "Provider", "event provider", name)
    if not administrates(call):
        text, denied = "Attempted to perform an unauthorized operation.", "System.UnauthorizedAccessException"
        raise refusal(call, text, denied, "NotSpecified", denied)
    found = [(number, event) for number, event in enumerate(host.events, 1) if _wanted(call, event)]
    found.sort(key=lambda each: (each[1].time, each[0]), reverse=not call.get("Oldest"))
    found = found[: call.get("MaxEvents")] if "MaxEvents" in call else found
    if not found:
        text = "No events were found that match the specified selection criteria."
        raise refusal(call, text, "NoMatchingEventsFound", "ObjectNotFound", "System.Exception")
    for number, event in found:
        call.output(_node(call, number, event))


def _unknown(call: Call, kind: str, what: str, name: str) -> Refusal:
    text = f'There is not an {what} on the localhost computer that matches "{name}".'
    return refusal(call, text, f"NoMatching{kind}sFound", "ObjectNotFound", "System.Exception", name)


def _wanted(call: Call, event: EventSection) -> bool:
    logs, providers = call.get("LogName"), call.get("ProviderName")
    if logs is not None and event.log.lower() not in [each.lower() for each in logs]:
        return False
    if providers is not None and event.provider.lower() not in [each.lower() for each in providers]:
        return False
    if call.get("FilterXPath") is not None:
        try:
            return event_query.xpath(call.get("FilterXPath"))(event)
        except ValueError as error:
            raise not_simulated(f"this FilterXPath: {error}") from None
    tables = call.get("FilterHashtable")
    return tables is None or any(_fits(call, table, event) for table in tables)


def _fits(call: Call, table: Mapping[str, Any], event: EventSection) -> bool:
    """Whether an event fits every key of a hashtable."""
    given = {name.lower(): value for name, value in table.items()}
    if not given.keys() <= _KEYS:
        raise not_simulated(f"these keys of -FilterHashtable: {', '.join(sorted(given.keys() - _KEYS))}")
    have = {"logname": event.log.lower(), "providername": event.provider.lower(), "id": event.id, "level": event.level}
    for name, value in given.items():
        if isinstance(value, list):
            return False
        if name in ("starttime", "endtime"):
            # Its text is read again as local time: an offset is lost, and so are fractions of a second.
            if not isinstance(value, datetime):
                raise not_simulated(f"{name} as anything but a time")
            moment = value.replace(microsecond=0, tzinfo=call.organisation.timezone)
            if (event.time < moment) if name == "starttime" else (event.time > moment):
                return False
        elif str(have[name]) != str(value).lower():
            return False
    return True


def _node(call: Call, number: int, event: EventSection) -> Complex:
    host = call.service.host
    table: dict[str, Node] = {
        "Id": Scalar("I32", event.id),
        "Version": Scalar("By", 0),
        "Qualifiers": Scalar("I32", 0),
        "Level": Scalar("By", event.level),
        "Task": Scalar("I32", 0),
        "Opcode": Scalar("I16", 0),
        "Keywords": Scalar("I64", 36028797018963968),
        "RecordId": Scalar("I64", number),
        "ProviderName": Scalar("S", event.provider),
        "ProviderId": Scalar("S", None),
        "LogName": Scalar("S", event.log),
        "ProcessId": Scalar("I32", 0),
        "ThreadId": Scalar("I32", 0),
        "MachineName": Scalar("S", host.fqdn),
        "UserId": Scalar("S", None),
        "TimeCreated": Scalar("DT", event.time.astimezone(call.organisation.timezone)),
        "LevelDisplayName": Scalar("S", _LEVELS[event.level]),
    }
    return Complex(
        (f"{_RECORD}LogRecord", f"{_RECORD}Record", "System.Object"),
        f"{_RECORD}LogRecord",
        table,
        {"Message": Scalar("S", event.message)},
    )
