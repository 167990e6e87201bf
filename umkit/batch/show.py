"""A batch on the terminal: a live table for a person, lines for a log."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from umkit.batch.job import JobEnd
from umkit.secrets import redact

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.live import Live

#: Customers that went wrong and stay in sight; the index page has all.
_IN_SIGHT = 12


@dataclass
class _Running:
    """A job under way."""

    customer: str
    chapter: str = ""
    step: str = ""
    result: str = ""
    chapters: int = 0
    begun: int = 0
    since: float = field(default_factory=time.monotonic)


class Show:
    """Shows what runs (customer, chapter, step, state, since) and what ended; standard output stays clean.

    Arguments:
        total: how many jobs there are.
        console: where to; standard error.
    """

    def __init__(self, total: int, console: Console | None = None) -> None:
        from rich.console import Console

        self._console = console or Console(file=sys.stderr, soft_wrap=True, highlight=False)
        self._total = total
        self._running: dict[str, _Running] = {}
        self._counts: Counter[str] = Counter()
        self._wrong: list[str] = []
        self._lock = threading.Lock()
        self._live: Live | None = None

    def tell(self, event: Mapping[str, Any]) -> None:
        """An event of a job."""
        name = str(event["customer"])
        with self._lock:
            job = self._running.setdefault(name, _Running(name))
            match event["event"]:
                case "begins" if self._live is None:
                    self._say(f"{name}: begins")
                case "run":
                    job.chapters = int(event["chapters"])
                case "chapter":
                    job.chapter, job.step, job.result = str(event["chapter"]), "", ""
                    job.begun, job.since = job.begun + 1, time.monotonic()
                case "step":
                    job.step, job.result, job.since = str(event["step"]), str(event["result"]), time.monotonic()

    def ended(self, end: JobEnd) -> None:
        """A job ended; one line, with the way on where it went wrong."""
        with self._lock:
            self._running.pop(end.customer, None)
            self._counts[end.word] += 1
            line = f"{end.customer}: {end.word}"
            if end.seconds:
                line += f" ({end.seconds:.0f} s)"
            if end.went_wrong and end.error:
                line += f": {end.error.get('what', '')}"
            if self._live is None:
                self._say(f"[{sum(self._counts.values())} of {self._total}] {line}", "red" if end.went_wrong else "")
            elif end.went_wrong:
                self._wrong.append(redact(line))

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            from rich.live import Live

            self._live = Live(get_renderable=self._table, console=self._console, refresh_per_second=2, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()
            for line in self._wrong:
                self._say(line, "red")

    def _table(self) -> Group:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        with self._lock:
            table = Table("Customer", "Chapter", "Step", "State", "Since")
            for job in self._running.values():
                chapter = f"{job.chapter} ({job.begun} of {job.chapters})" if job.chapter else "begins"
                since = f"{time.monotonic() - job.since:.0f} s"
                table.add_row(Text(job.customer), chapter, job.step, job.result or "…", since)
            done = sum(self._counts.values())
            counts = ", ".join(f"{number} {name}" for name, number in self._counts.most_common())
            wrong = [Text(line, style="red", overflow="ellipsis", no_wrap=True) for line in self._wrong[-_IN_SIGHT:]]
            return Group(table, *wrong, Text(f"{done} of {self._total} done" + (f": {counts}" if counts else "")))

    def _say(self, text: str, style: str = "") -> None:
        from rich.text import Text

        self._console.print(Text(redact(text), style=style))
