"""What a worker of the fleet does with a job: it takes the job's ticket, carries the job out, and sends its record."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from distributed import Event, Lock, Queue, get_client, get_worker
from distributed.diagnostics.plugin import WorkerPlugin
from distributed.worker import Worker

from umkit import __version__, proof, record
from umkit.batch.job import Job, JobEnd
from umkit.batch.worker import GRACE, Stop, carry_out
from umkit.errors import UmkitError
from umkit.secrets import redact

#: The scheduler passes on under this name what the workers tell.
TOPIC = "umkit"
#: A record travels in pieces, some at a time: the scheduler, which they go through, never holds more of it.
PIECE = 1024 * 1024
PIECES = 4
#: Seconds until a piece that nobody takes is given up.
_PATIENCE = 120.0
#: Seconds that a former run of the customer gets to come to its end; it is stopped when its caller is gone.
_FORMER = 2 * GRACE
_LOOK = 5.0


def resources(sites: Sequence[str], jobs: int) -> dict[str, float]:
    """What a worker offers, or a job asks for: a place, for this version of the kit, and each site.

    Arguments:
        sites: the networks from which customers are reached.
        jobs: how many at once.
    """
    return {name: float(jobs) for name in (f"umkit-{__version__}", *(f"site-{site}" for site in sites))}


def queue(ticket: str, what: str) -> str:
    """The name of a job's queue at the scheduler: of its ``ticket``, or of the pieces of its ``record``."""
    return f"umkit-{ticket}-{what}"


def event(caller: str, what: str) -> str:
    """The name of what a caller asks of its jobs: ``stop`` or ``hurry``."""
    return f"umkit-{caller}-{what}"


def carry(job: str, ticket: str, caller: str, there: Sequence[str]) -> None:
    """Carry out a job on this worker, unless its ticket is gone; runs as a task.

    Arguments:
        job: the job, as :meth:`umkit.batch.Job.as_json` wrote it.
        ticket: the id of its ticket; the task is called the same.
        caller: who asks its jobs to stop.
        there: the customer's runs whose records the caller has.
    """
    get_worker().plugins[Hands.name].carry(Job.of_json(job), ticket, caller, there)


class Hands(WorkerPlugin):  # type: ignore[misc]  # without the extra, mypy knows nothing of it
    """What makes a Dask worker one of the fleet: its folder of records, and the runs under way.

    Arguments:
        records: the folder of the records that are made here.
    """

    name = "umkit"

    def __init__(self, records: Path) -> None:
        self._records = records.resolve()
        self._under_way: dict[str, Stop] = {}
        self._ending = False
        self._worker: Worker

    def setup(self, worker: Worker) -> None:
        """Dask has started the worker."""
        self._worker = worker

    def teardown(self, worker: Worker) -> None:
        """Dask ends the worker, perhaps because the scheduler is gone: every run is stopped, its record closed."""
        self.stop()

    def transition(self, key: str, start: str, finish: str, **_: Any) -> None:
        """A task is in another state; where nobody wants it any more, its caller is gone and its run is stopped."""
        if finish in ("released", "forgotten") and (stop := self._under_way.get(key)) is not None:
            stop.asked.set()

    def stop(self, *, hurry: bool = False) -> None:
        """Begin none any more, and stop all runs: in order, or in a moment."""
        self._ending = True
        for stop in list(self._under_way.values()):
            stop.asked.set()
            if hurry:
                stop.hurried.set()

    @property
    def busy(self) -> bool:
        """Whether a run is under way, or its record on its way."""
        return bool(self._under_way)

    def carry(self, job: Job, ticket: str, caller: str, there: Sequence[str]) -> None:
        """See :func:`carry`."""
        stop, over = Stop(), threading.Event()
        if self._under_way.setdefault(ticket, stop) is not stop:
            return
        try:
            if self._ending or not _took(ticket):  # who leaves the ticket leaves the job to others
                return
            if self._ending:
                stop.asked.set()
            self._tell(ticket, {"event": "begins", "customer": job.customer})
            threading.Thread(target=_obey, args=(get_client(), caller, stop, over), name="orders", daemon=True).start()
            here = dataclasses.replace(job, records=str(self._records))
            with self._alone(job.customer, stop) as alone:
                fine = alone or stop.asked.is_set()
                end = carry_out(here, partial(self._tell, ticket), stop) if fine else _refused(job)
            self._end(end, here, ticket, there)
        finally:
            over.set()
            del self._under_way[ticket]

    def _tell(self, ticket: str, told: Mapping[str, Any]) -> None:
        if told["event"] == "end":  # the child's; how a job ended is told with its records
            return
        with contextlib.suppress(Exception):  # the way to the scheduler is gone: then the run is stopped anyway
            # Dask itself adds "worker", with an address that nobody knows the machine by
            self._worker.log_event(TOPIC, {**told, "ticket": ticket, "at": str(self._worker.name)})

    @contextlib.contextmanager
    def _alone(self, customer: str, stop: Stop) -> Iterator[bool]:
        """The right to work on a customer, among all workers and callers of the scheduler; whether it was given."""
        lock = Lock(f"umkit-{customer}")
        until = time.monotonic() + _FORMER
        while not (given := lock.acquire(timeout=1)) and time.monotonic() < until and not stop.asked.is_set():
            pass
        try:
            yield given
        finally:
            with contextlib.suppress(Exception):  # the scheduler is gone, and the lock with it
                self._worker.loop.add_callback(lock.refresh_callback.stop)  # else it would go on for ever
                if given:
                    lock.release()

    def _end(self, end: JobEnd, job: Job, ticket: str, there: Sequence[str]) -> None:
        """Tell how a job ended, and send the records of this batch that the caller has not."""
        with tempfile.TemporaryDirectory(prefix="umkit-record-", ignore_cleanup_errors=True) as scratch:
            files, wrong = [], ""
            for folder in _sealed(self._records / job.customer, job, there):
                file = Path(scratch) / f"{folder.name}.zip"
                try:
                    proof.export(folder, file)
                except UmkitError as error:
                    wrong = redact(f"{error.what}: {error.seen}")
                else:
                    files.append(file)
            told = [{"run": file.stem, "size": file.stat().st_size, "sha256": _sha256(file)} for file in files]
            self._tell(ticket, {"event": "over", "end": end.as_dict(), "records": told, "wrong": wrong})
            if files:
                _send(files, ticket)


def _took(ticket: str) -> bool:
    """Take the ticket of a job; whether it was there."""
    tickets = Queue(queue(ticket, "ticket"))
    try:
        return bool(tickets.get(batch=True))
    finally:
        tickets.close()


def _obey(client: Any, caller: str, stop: Stop, over: threading.Event) -> None:
    """Stop a run, and hurry, when its caller asks for it."""
    with contextlib.suppress(Exception):  # the scheduler is gone: Dask ends this worker, which stops its runs
        for what in ("stop", "hurry"):
            asked = Event(event(caller, what), client)
            while not asked.wait(timeout=_LOOK):
                if over.is_set():
                    return
            stop.ask()


def _refused(job: Job) -> JobEnd:
    return JobEnd(
        job.customer,
        job.verb,
        "not run",
        error={
            "error": "Occupied",
            "what": f"another run of this fleet works on {job.customer}",
            "next": "wait until it has ended, or end it; then umkit batch --resume",
        },
    )


def _sealed(home: Path, job: Job, there: Sequence[str]) -> list[Path]:
    """The sealed records that a batch left with a customer, but for those that are there already; oldest first."""
    found = []
    for folder in record.folders(home, (job.verb,)):
        with (folder / record.JOURNAL).open("rb") as file:
            batch = json.loads(file.readline()).get("batch")
        if batch == job.batch and folder.name not in there and (folder / record.MANIFEST).is_file():
            found.append(folder)
    return found[::-1]


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _send(files: Sequence[Path], ticket: str) -> None:
    """Send files in pieces, as fast as the caller takes them; one who does not is told where they lie."""
    pieces = Queue(queue(ticket, "record"), maxsize=PIECES)
    try:
        with contextlib.suppress(TimeoutError):
            for path in files:
                with path.open("rb") as file:
                    while piece := file.read(PIECE):
                        pieces.put(piece, timeout=_PATIENCE)
    finally:
        pieces.close()
