"""Session events: whether a mailbox server told of too many MAPI sessions lately.

The page quotes the message: Mapi session "…/cn=<account>" exceeded the maximum of 32 objects of type "session". Its
number, 9646, is that of earlier Exchange versions (?), so where no event has it the messages are looked through.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from umkit.command import Command
from umkit.errors import HostNotNamed, RemoteError
from umkit.outcome import Report
from umkit.site import Site
from umkit.windows.services import moment

_NUMBER = 9646
_MESSAGE = re.compile(r"maximum of (\d+) objects of type \W?session", re.IGNORECASE)
_WHO = re.compile(r"/cn=([^/\"]+)\"?\s", re.IGNORECASE)
_MOST = 500


class SessionEvents:
    """Events of MSExchangeIS about the limit of sessions, on each mailbox server, in the last days."""

    def run(self, site: Site) -> Report:
        """One finding a server: how many, the last one, and whose; *open* where there are some or none can be read."""
        report = Report()
        days = site.inputs.sessions.event_days
        since = datetime.now(UTC) - timedelta(days=days)
        for server in site.mailbox_servers():
            try:
                found = self._events(site, server, since, f" and EventID={_NUMBER}")
                events = [] if found else self._events(site, server, since)
            except (HostNotNamed, RemoteError) as error:
                report.add("open", f"the event log of {server} was not read: {error.what}", error.next)
                continue
            found = found or [event for event in events if _MESSAGE.search(str(event.get("Message") or ""))]
            if not found and len(events) >= _MOST:
                report.add(
                    "open",
                    f"{server}: no event {_NUMBER} in the last {days} days; only the newest {len(events)} others of "
                    "MSExchangeIS were looked at, and none of them tells of too many sessions",
                    "look for older ones in the Event Viewer, Application, source MSExchangeIS",
                )
                continue
            if not found:
                report.add("ok", f"{server}: no event about too many sessions in the last {days} days")
                continue
            # A time that cannot be read sorts first, so the last one is a real one where there is any.
            last = max(found, key=lambda event: moment(event.get("TimeCreated")) or datetime.min.replace(tzinfo=UTC))
            when = moment(last.get("TimeCreated"))
            who = sorted({match[1].strip() for event in found if (match := _WHO.search(f"{event.get('Message')} "))})
            report.add(
                "open",
                f"{server}: events about too many sessions in the last {days} days"
                + (f", by {', '.join(who)}" if who else "")
                + f": {'at least ' if len(found) >= _MOST else ''}{len(found)}"
                + (f", the last at {when:%Y-%m-%d %H:%M} UTC" if when else ""),
                "compare with LIM-2 and apply LIM-3 to LIM-5; if they come back, set sessions.registry_limit",
            )
        if not report.findings:
            report.add("open", "the organisation shows no mailbox server", "check what the account may see")
        return report

    def _events(self, site: Site, server: str, since: datetime, more: str = "") -> list[Mapping[str, Any]]:
        # One text, in UTC: a hashtable's lists do not arrive as lists, and its times are read as the server's local.
        time = f"TimeCreated[@SystemTime>='{since:%Y-%m-%dT%H:%M:%S}.000Z']"
        query = f"*[System[Provider[@Name='MSExchangeIS']{more} and {time}]]"
        command = Command("Get-WinEvent", {"LogName": "Application", "FilterXPath": query, "MaxEvents": _MOST})
        result = site.host(server).read(command, pin=False, errors="collect")
        for error in result.errors:
            # Nothing found is an error record; so is each message that cannot be formatted, with its event.
            if not result.outputs and not error.error_id.startswith("NoMatchingEventsFound"):
                raise error
        return list(result.outputs)
