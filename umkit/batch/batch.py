"""A batch: one run for each of many customers, some of them at once, written down so that it can be taken up again.

``<records>/batch-<time>-<verb>/`` holds ``journal.jsonl`` (which job began and how it ended, each line on the disk
before the next job begins), ``summary.json`` and ``index.html``. The runs' own records lie with their customers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import platform
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, Self

from filelock import FileLock, Timeout

from umkit import __version__
from umkit.batch import index
from umkit.batch.job import BROKEN, Job, JobEnd, worst_exit
from umkit.batch.worker import Stop, carry_out
from umkit.durable import cannot_write, make_folder, new_folder
from umkit.errors import RecordError, UsageError
from umkit.journal import Journal, read
from umkit.lock import account

JOURNAL = "journal.jsonl"
#: Seconds between two writings of the index page while jobs end.
_PAUSE = 5.0
_LOOK = 0.25

#: Carries out one job and says how it ended; :func:`umkit.batch.worker.carry_out` or a fleet's.
Start = Callable[[Job, Stop, Callable[[Mapping[str, Any]], None]], "Future[JobEnd]"]


class Shown(Protocol):
    """What is told how a batch goes on; calls come from several threads."""

    def tell(self, event: Mapping[str, Any]) -> None:
        """An event of a job: ``begins``, ``run``, ``chapter``, ``step``."""

    def ended(self, end: JobEnd) -> None:
        """A job ended."""


@dataclass(frozen=True)
class BatchSummary:
    """How a batch ended.

    Arguments:
        batch: its id.
        folder: where its journal, summary and index page are.
        verb: the verb.
        ends: how each job ended, in the order of the customers given.
        stopped: whether it was stopped before all jobs were carried out.
    """

    batch: str
    folder: Path
    verb: str
    ends: Sequence[JobEnd]
    stopped: bool = False

    @property
    def exit_code(self) -> int:
        """That of the worst job: 1 failed, 2 invalid, 3 differences, 4 open steps, 0 all as wanted."""
        return worst_exit([*self.ends])

    @property
    def counts(self) -> list[tuple[str, int]]:
        """How many jobs ended how, the most first."""
        return Counter(end.word for end in self.ends).most_common()

    def as_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return {
            "batch": self.batch,
            "verb": self.verb,
            "folder": str(self.folder),
            "index": str(self.folder / index.PAGE),
            "stopped": self.stopped,
            "exit_code": self.exit_code,
            "customers": [end.as_dict() for end in self.ends],
        }


class Batch:
    """A batch whose folder is there; made by :meth:`begin` or :meth:`take_up`, and held until it is left.

    Arguments:
        folder: the batch's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.id = folder.name
        self.ends: dict[str, JobEnd] = {}
        self.customers: list[str] = []
        self.verb = ""
        self._lock = FileLock(folder / ".lock", timeout=0)
        try:
            self._lock.acquire()
        except Timeout:
            raise RecordError(
                f"another process works on {folder.name}", next="wait until it has ended, or end it"
            ) from None
        except OSError as error:
            raise cannot_write(folder, error) from error
        self._journal = Journal(folder / JOURNAL)
        self._written = 0.0

    @classmethod
    def begin(cls, records: Path, verb: str, jobs: Mapping[str, str], options: Mapping[str, Any]) -> Self:
        """Begin a batch.

        Arguments:
            records: the folder in which its own folder is made.
            verb: ``plan``, ``apply`` or ``verify``.
            jobs: customer names, each with its file.
            options: what it was called with, for the journal and for taking it up again.

        Raises ``RecordError`` when nothing can be written there.
        """
        home = Path(records).resolve()
        make_folder(home)
        batch = cls(new_folder(home, f"batch-{datetime.now(UTC):%Y%m%d-%H%M%S}-{verb}"))
        batch._journal.append(
            "batch-start",
            batch=batch.id,
            verb=verb,
            kit=__version__,
            account=account(),
            workstation=platform.node(),
            options=dict(options),
            customers=[{"customer": name, "file": file} for name, file in jobs.items()],
        )
        batch._read()
        return batch

    @classmethod
    def take_up(cls, folder: Path) -> Self:
        """Take up a batch that broke off, or whose failed jobs are to be done again.

        Raises ``UsageError`` when the folder is none of a batch, ``RecordError`` when another process works on it.
        """
        if not (folder / JOURNAL).is_file():
            raise UsageError(f"{folder} is no batch", expected="the id or the folder of a batch")
        batch = cls(folder)
        batch._read()
        batch._journal.append("batch-resume", account=account(), workstation=platform.node(), kit=__version__)
        return batch

    @property
    def options(self) -> dict[str, Any]:
        """What the batch was called with."""
        return dict(self._start["options"])

    @property
    def files(self) -> dict[str, str]:
        """The customers with their files."""
        return {str(entry["customer"]): str(entry["file"]) for entry in self._start["customers"]}

    def left(self, *, only_failed: bool = False) -> list[str]:
        """The customers whose jobs are to be carried out now.

        Arguments:
            only_failed: those that went wrong, whether their run came to its end or not; else those whose run never
                came to its end.
        """
        if only_failed:
            return [name for name in self.customers if name not in self.ends or self.ends[name].went_wrong]
        return [name for name in self.customers if name not in self.ends or self.ends[name].state in BROKEN]

    def refuse(self, end: JobEnd) -> None:
        """Write down a job that cannot even begin."""
        self._keep(end)

    def carry_out(self, jobs: Sequence[Job], start: Start, stop: Stop, shown: Shown) -> BatchSummary:
        """Carry out jobs and write down how each ended.

        Arguments:
            jobs: the jobs.
            start: starts one; see :func:`on_this_machine`.
            stop: stops what runs and leaves out what does not run yet.
            shown: is told how it goes on.

        A job whose executor breaks is written down as ``died``. Raises ``RecordError`` when how it goes cannot be
        written down: then the other jobs are stopped.
        """
        lock = threading.Lock()

        def tell(event: Mapping[str, Any]) -> None:
            if event["event"] == "run":  # else a record that a killed batch leaves would not be found by name
                with lock, contextlib.suppress(RecordError):
                    names = ("customer", "run", "record", "worker")
                    self._journal.append("run", **{name: event[name] for name in names if name in event})
            shown.tell(event)

        waiting: dict[Future[JobEnd], Job] = {}
        try:
            for job in jobs:
                waiting[start(job, stop, tell)] = job
            while waiting:
                done, _ = wait(waiting, timeout=_LOOK, return_when=FIRST_COMPLETED)
                for future in done:
                    end = _end_of(future, waiting.pop(future))
                    with lock:
                        self._keep(end)
                    shown.ended(end)
        except BaseException:
            stop.ask()
            wait(waiting)
            raise
        return self.finish(stopped=stop.asked.is_set())

    def finish(self, *, stopped: bool) -> BatchSummary:
        """Write down how the batch ended, with its index page."""
        summary = self._summary(stopped=stopped)
        self._journal.append("batch-end", exit_code=summary.exit_code, stopped=stopped)
        index.write(summary)
        return summary

    def close(self) -> None:
        """Give the batch's lock back."""
        self._journal.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        events = read(self._journal.path)
        try:
            self._start = next(event for event in events if event["event"] == "batch-start")
            self.verb = str(self._start["verb"])
            self.customers = list(self.files)
            records: dict[str, dict[str, Any]] = {}
            for event in events:
                if event["event"] == "run":
                    records[str(event["customer"])] = event
                elif event["event"] == "job-end":
                    end = JobEnd.of_dict(event)
                    self.ends[end.customer] = end
                    records.pop(end.customer, None)
        except (StopIteration, KeyError, TypeError) as error:
            raise UsageError(f"{self.id} does not say what it was to do", seen=repr(error)) from error
        for name, event in records.items():  # begun, and nobody wrote down how it ended
            worker, kept = str(event.get("worker", "")), str(event["record"])
            told = {"what": f"nobody wrote down how it ended; its record lies at {worker} in {kept}"} if worker else {}
            self.ends[name] = JobEnd(
                name,
                self.verb,
                "died",
                result="unknown",
                run=str(event["run"]),
                record="" if worker else kept,
                error=told,
                worker=worker,
            )

    def _keep(self, end: JobEnd) -> None:
        self.ends[end.customer] = end
        self._journal.append("job-end", **end.as_dict())
        now = time.monotonic()
        if now >= self._written + _PAUSE:
            index.write(self._summary(stopped=False, under_way=True))
            self._written = now

    def _summary(self, *, stopped: bool, under_way: bool = False) -> BatchSummary:
        what = {"what": "under way, or not begun yet" if under_way else "not run"}
        ends = [self.ends.get(name) or JobEnd(name, self.verb, "not run", error=what) for name in self.customers]
        return BatchSummary(self.id, self.folder, self.verb, ends, stopped)


def on_this_machine(executor: Executor) -> Start:
    """Jobs as child processes of this one, as many at once as the executor has threads."""

    def start(job: Job, stop: Stop, tell: Callable[[Mapping[str, Any]], None]) -> Future[JobEnd]:
        def work() -> JobEnd:
            if not stop.asked.is_set():
                tell({"event": "begins", "customer": job.customer})
            return carry_out(job, tell, stop)

        return executor.submit(work)

    return start


def find(records: Path, name: str) -> Path:
    """The folder of a batch: by its path, its id or the beginning of one; the newest where the name is empty.

    Raises ``UsageError`` when there is none, or several.
    """
    if name and (Path(name) / JOURNAL).is_file():
        return Path(name).resolve()
    there = sorted((path.parent for path in Path(records).resolve().glob(f"batch-*/{JOURNAL}")), reverse=True)
    found = [path for path in there if path.name.startswith((name, f"batch-{name}"))] if name else there[:1]
    exact = [path for path in found if path.name == name]
    if len(exact or found) != 1:
        raise UsageError(
            f"there {'are several batches' if found else 'is no batch'} {name}".rstrip(),
            where={"folder": str(records)},
            seen=", ".join(path.name for path in there[:5]) or "no batch at all",
        )
    return (exact or found)[0]


def _end_of(future: Future[JobEnd], job: Job) -> JobEnd:
    try:
        end = future.result()
    except Exception as error:  # the executor broke: a worker or the scheduler is gone
        told = {"error": type(error).__name__, "what": f"nobody knows how it ended: {error}"}
        told["next"] = "see the customer's newest record; then take the batch up again with --resume"
        return JobEnd(job.customer, job.verb, "died", result="unknown", error=told)
    return dataclasses.replace(end, customer=job.customer, verb=job.verb)
