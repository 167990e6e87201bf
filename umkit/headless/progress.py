"""Progress of a run on standard error: a bar for a person, lines for a log."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar

    from umkit.headless.results import ChapterSummary, RunSummary

_STYLES = {
    "ok": "green",
    "changed": "blue",
    "differs": "yellow",
    "open": "magenta",
    "blocked": "yellow",
    "failed": "bold red",
    "unknown": "bold red",
}
#: Results that are worth no line while all goes well.
_QUIET = ("ok", "changed")


class Silence:
    """Is told how a run goes on, and says nothing; :class:`Progress` says it."""

    def run_begins(self, run: str, customer: str, mode: str, chapters: int) -> None:
        """A run begins; ``chapters`` of them are to come."""

    def chapter_begins(self, chapter: str, steps: int) -> None:
        """A chapter begins; it has so many steps, 0 where that is not known."""

    def step(self, event: Mapping[str, Any]) -> None:
        """A step ended: its event in the journal."""

    def chapter_ends(self, summary: ChapterSummary) -> None:
        """A chapter ended."""

    def remark(self, text: str) -> None:
        """Something that a reader must know besides."""

    def run_ends(self, summary: RunSummary) -> None:
        """The run ended."""


class Progress(Silence):
    """Shows chapter, step n of m and result; standard output stays clean.

    Arguments:
        verbose: show each step and what it found, also where all is as wanted.
        console: where to; standard error.
    """

    def __init__(self, *, verbose: bool = False, console: Console | None = None) -> None:
        from rich.console import Console

        self._console = console or Console(file=sys.stderr, soft_wrap=True, highlight=False)
        self._verbose = verbose
        self._bar: Bar | None = None
        self._task: Any = None
        self._steps = self._done = 0
        self._begun = 0.0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
            from rich.progress import TimeElapsedColumn as Elapsed

            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Elapsed())
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.stop()

    def run_begins(self, run: str, customer: str, mode: str, chapters: int) -> None:
        """Head line of a run."""
        self._say(f"{customer}: {mode}, {chapters} {'chapter' if chapters == 1 else 'chapters'}, run {run}", "bold")

    def chapter_begins(self, chapter: str, steps: int) -> None:
        """A new bar, or a line."""
        self._steps, self._done, self._begun = steps, 0, time.monotonic()
        if self._bar is None:
            self._say(chapter)
        else:
            self._task = self._bar.add_task(chapter, total=steps or None)

    def step(self, event: Mapping[str, Any]) -> None:
        """The bar goes on; a line where there is something to say."""
        self._done += 1
        result = str(event.get("result"))
        place = f"{self._done}/{self._steps}" if self._steps >= self._done else str(self._done)
        line = f"  {place} {event.get('step')} {event.get('title') or ''}: {result}"
        if event.get("summary") and (self._verbose or result not in _QUIET):
            line += f"; {event['summary']}"
        if self._bar is None or self._verbose or result not in _QUIET:
            self._say(line, _STYLES.get(result, ""))
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done)

    def chapter_ends(self, summary: ChapterSummary) -> None:
        """The chapter's result in one line, with why where it did not reach its end."""
        if self._bar is not None and self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None
        seconds = f" ({time.monotonic() - self._begun:.1f} s)" if self._begun else ""
        self._begun = 0.0
        why = f": {summary.error['what']}" if summary.error and summary.error.get("what") else ""
        self._say(f"{summary.chapter}: {summary.result}{why}{seconds}", _STYLES.get(summary.result, ""))

    def remark(self, text: str) -> None:
        """A line of its own."""
        self._say(text, "yellow")

    def run_ends(self, summary: RunSummary) -> None:
        """The run's result in one line."""
        self._say(f"{summary.customer}: {summary.mode}: {summary.result}", _STYLES.get(summary.result, ""))

    def _say(self, line: str, style: str = "") -> None:
        with contextlib.suppress(OSError):  # nobody reads any more; that is no reason to stop a run
            self._console.print(line, style=style, markup=False)
