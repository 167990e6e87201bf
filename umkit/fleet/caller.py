"""The caller of a fleet: hands jobs to the scheduler, hears how they go on, and brings their records home."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import queue
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umkit.batch import Job, JobEnd, Stop
from umkit.batch.batch import Start
from umkit.batch.job import State, Tell
from umkit.customer import load
from umkit.errors import ConnectionFailed, RecordError, UmkitError
from umkit.fleet.access import Access
from umkit.fleet.home import bring_home, fetch

if TYPE_CHECKING:
    import distributed

#: Seconds between two looks at the workers and at what was asked for.
_LOOK = 1.0
_TICK = 0.2
_CONNECT = 15
#: Seconds that runs get to end after a second Ctrl-C; a worker kills them within some of these.
_HURRIED = 20.0
#: Seconds without a piece of a record until it is given up.
_PATIENCE = 60.0
_RESUME = "then take the batch up again: umkit batch --resume"


@contextlib.contextmanager
def joined(address: str, access: Access) -> Iterator[Start]:
    """What carries out jobs on the workers of a scheduler; in a ``with`` block.

    Arguments:
        address: the scheduler's: ``tls://HOST:PORT``.
        access: how to speak to it.

    Raises ``UsageError`` when the extra is not installed, the address may not be spoken to or there are no
    certificates, ``ConnectionFailed`` when no scheduler answers.
    """
    security = access.to(address, "client")
    from distributed import Client

    for name in [each for each in logging.root.manager.loggerDict if each.partition(".")[0] == "distributed"]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what matters is said as the end of a job
    try:
        client = Client(address, security=security, timeout=_CONNECT, set_as_default=False, name="umkit")
    except (OSError, TimeoutError) as error:
        raise ConnectionFailed(
            f"no scheduler answers at {address}",
            seen=str(error.__cause__ or error),
            next="check that it runs (umkit fleet scheduler), its address, the firewall, and the certificates",
        ) from error
    with client:
        fleet = _Fleet(client)
        try:
            yield fleet.start
        finally:
            fleet.close()


@dataclass
class _Sent:
    """A job on its way."""

    job: Job
    stop: Stop
    tell: Tell
    records: Path
    there: Sequence[str]
    ticket: str = field(default_factory=lambda: uuid.uuid4().hex)
    future: Future[JobEnd] = field(default_factory=Future)
    task: Any = None  # Dask's future
    tickets: Any = None  # Dask's queues: the one ticket, and what comes of the records
    pieces: Any = None
    heard: dict[str, Any] = field(default_factory=dict)
    over: bool = False  # how it ended was told; its record may be on its way

    def ended(self, state: State, what: str, next: str) -> JobEnd:
        """How a job ended that did not say so itself."""
        worker, kept = self.heard.get("at", ""), self.heard.get("record", "")
        where = {"worker": worker} | ({"record": kept} if kept else {}) if worker else {}
        lies = f"its record lies at {worker} in {kept}; " if kept else ""
        error = {"error": "Fleet", "what": what, "where": where, "next": f"{lies}{next}"}
        result = "unknown" if state == "died" else ""
        run = str(self.heard.get("run", ""))
        return JobEnd(self.job.customer, self.job.verb, state, result=result, run=run, worker=worker, error=error)


class _Fleet:
    """The jobs that a caller has with a scheduler. One thread decides; the others only tell it."""

    def __init__(self, client: distributed.Client) -> None:
        from umkit.fleet import worker

        self._on_workers = worker
        self._client = client
        self._id = uuid.uuid4().hex
        self._sent: dict[str, _Sent] = {}
        self._inbox: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._offers: list[Mapping[str, float]] = []
        self._stopped = self._hurried = 0.0
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="records")
        self._look()
        client.subscribe_topic(worker.TOPIC, lambda event: self._inbox.put(("told", event[1])))
        self._thread = threading.Thread(target=self._go_on, name="fleet", daemon=True)
        self._thread.start()

    def start(self, job: Job, stop: Stop, tell: Tell) -> Future[JobEnd]:
        """Have one job carried out; see :data:`umkit.batch.batch.Start`."""
        try:
            text = job.text or Path(job.file).read_text("utf-8-sig")
            records = Path(job.records or load(job.file).run.records)
        except (OSError, ValueError, UmkitError) as error:
            failed: Future[JobEnd] = Future()
            told = {"what": f"the customer file cannot be read: {error}"}
            failed.set_result(JobEnd(job.customer, job.verb, "invalid", 2, "failed", error=told))
            return failed
        home = records / job.customer
        there = [path.name for path in home.iterdir()] if home.is_dir() else []
        sent = _Sent(dataclasses.replace(job, text=text), stop, tell, records, there)
        self._inbox.put(("send", sent))
        return sent.future

    def close(self) -> None:
        """End the threads; no job is under way any more."""
        from distributed import Event

        self._inbox.put(("close", None))
        self._thread.join()
        self._pool.shutdown()
        with contextlib.suppress(Exception):  # the scheduler is gone
            for what in ("stop", "hurry") if self._stopped else ():
                Event(self._on_workers.event(self._id, what), self._client).clear()

    def _go_on(self) -> None:
        looked = time.monotonic()
        while True:
            try:
                what, about = self._inbox.get(timeout=_TICK)
            except queue.Empty:
                what, about = "", None
            if what == "close":
                return
            try:
                match what:
                    case "send":
                        self._send(about)
                    case "told":
                        self._hear(about)
                    case "done":
                        self._done(about)
                    case "home":
                        self._finish(*about)
                self._obey()
                if time.monotonic() >= looked + _LOOK:
                    self._look()
                    self._leave_nobody_waiting()
                    looked = time.monotonic()
            except Exception as error:  # the scheduler does not answer, in one of Dask's many words for it
                self._lose(error)

    def _send(self, sent: _Sent) -> None:
        self._sent[sent.ticket] = sent
        if end := _stopped(sent) if sent.stop.asked.is_set() else self._missing(sent.job):
            self._finish(sent, end)
            return
        from distributed import Queue

        on_workers = self._on_workers
        sent.tickets = Queue(on_workers.queue(sent.ticket, "ticket"), self._client)
        sent.tickets.put(1)
        # held from now on: the scheduler forgets a queue, with all that is in it, which nobody holds
        sent.pieces = Queue(on_workers.queue(sent.ticket, "record"), self._client, maxsize=on_workers.PIECES)
        sent.task = self._client.submit(
            on_workers.carry,
            sent.job.as_json(),
            sent.ticket,
            self._id,
            sent.there,
            key=sent.ticket,
            pure=False,
            retries=0,
            resources=on_workers.resources([sent.job.site] if sent.job.site else [], 1),
        )
        ticket = sent.ticket
        sent.task.add_done_callback(lambda task: self._inbox.put(("done", (ticket, task))))

    def _hear(self, told: Mapping[str, Any]) -> None:
        """An event of a worker; other callers' are none of ours."""
        sent = self._sent.get(str(told.get("ticket")))
        if sent is None or sent.over:
            return
        sent.heard |= {name: told[name] for name in ("at", "run", "record") if name in told}
        if told["event"] != "over":
            with contextlib.suppress(Exception):  # what cannot be shown is no reason to lose a job
                sent.tell({**told, "worker": told["at"]})
            return
        end = dataclasses.replace(JobEnd.of_dict(told["end"]), worker=str(told["at"]))
        sent.over = True
        self._pool.submit(self._bring, sent, end, told["records"], str(told["wrong"]))

    def _bring(self, sent: _Sent, end: JobEnd, records: Sequence[Mapping[str, Any]], wrong: str) -> None:
        """Bring the records of a job home; runs beside."""
        kept: dict[str, str] = {}
        pieces = self._pieces(sent)
        try:
            with tempfile.TemporaryDirectory(prefix="umkit-fetched-", ignore_cleanup_errors=True) as scratch:
                for told in records:
                    run, export = str(told["run"]), Path(scratch) / "export.zip"
                    fetch(pieces, export, size=int(told["size"]), sha256=str(told["sha256"]))
                    kept[run] = str(bring_home(export, sent.records, sent.job, run))
            if end.record and end.run not in kept:
                raise RecordError("it is not sealed, or not whole", seen=wrong)
            end = dataclasses.replace(end, record=kept.get(end.run, ""))
        except Exception as error:  # whatever it is: the run is over, and its record is not here
            seen = f"{error.what} ({error.seen})" if isinstance(error, UmkitError) else repr(error)
            what = str(end.error.get("what") or f"the record did not come: {seen}")
            next = "umkit records export RUN there, or have the customer done again: umkit batch --only failed"
            lost = sent.ended(end.state, what, str(end.error.get("next") or next)).error
            end = dataclasses.replace(end, record="", exit_code=end.exit_code or 1, error={**end.error, **lost})
        self._inbox.put(("home", (sent, end)))

    def _pieces(self, sent: _Sent) -> Iterator[bytes]:
        """The pieces of the records that a worker sends, as they come."""
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until and sent.task.status not in ("error", "cancelled"):
            for piece in sent.pieces.get(batch=True):
                yield piece
                until = time.monotonic() + _PATIENCE
            time.sleep(0.02)

    def _done(self, about: tuple[str, Any]) -> None:
        """Dask says that a task is over. What it was to tell came before; else it did not come to its end."""
        sent = self._sent.get(about[0])
        if sent is None or sent.over or sent.task is not about[1]:
            return
        if self._client.status != "running" or sent.task.status == "cancelled":
            raise ConnectionError("the connection to the scheduler broke")
        from distributed import KilledWorker

        error = sent.task.exception() if sent.task.status == "error" else None
        gone = error is None or isinstance(error, KilledWorker)
        if gone and self._call_back(sent):  # it had not begun
            self._send_again(sent)
        elif gone:
            worker = sent.heard.get("at") or "the worker that began it"
            what = f"{worker} is gone, and nobody knows how the run ended; it was not begun a second time"
            next = f"a worker that is gone stops its runs in order, so look at the record there; {_RESUME}"
            self._finish(sent, sent.ended("died", what, next))
        else:
            next = f"see the worker's own words; {_RESUME}"
            self._finish(sent, sent.ended("died", f"the worker could not carry it out: {error}", next))

    def _send_again(self, sent: _Sent) -> None:
        del self._sent[sent.ticket]
        self._give_back(sent)
        sent.ticket = uuid.uuid4().hex
        self._send(sent)

    def _call_back(self, sent: _Sent) -> bool:
        """Take a job's ticket back; whether nobody had begun the job."""
        return bool(sent.tickets.get(batch=True))

    def _obey(self) -> None:
        """Do what was asked by Ctrl-C: call back what waits, and let the workers stop what runs."""
        from distributed import Event

        asked = [sent.stop for sent in self._sent.values()]
        now = time.monotonic()
        if not self._stopped and any(stop.asked.is_set() for stop in asked):
            self._stopped = now
            Event(self._on_workers.event(self._id, "stop"), self._client).set()
            for sent in list(self._sent.values()):
                if not sent.over and self._call_back(sent):
                    self._finish(sent, _stopped(sent))
        if not self._hurried and any(stop.hurried.is_set() for stop in asked):
            self._hurried = now
            Event(self._on_workers.event(self._id, "hurry"), self._client).set()
        if self._hurried and now >= self._hurried + _HURRIED:
            for sent in [each for each in self._sent.values() if not each.over]:
                what = "the worker was told to stop at once and did not say that it has"
                self._finish(sent, sent.ended("stopped", what, f"look there; {_RESUME}"))

    def _look(self) -> None:
        """See what the workers offer now."""
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        self._offers = [each["resources"] for each in workers]

    def _leave_nobody_waiting(self) -> None:
        for sent in [each for each in self._sent.values() if not each.heard and not each.over]:
            if (missing := self._missing(sent.job)) and self._call_back(sent):
                self._finish(sent, missing)

    def _missing(self, job: Job) -> JobEnd | None:
        """How a job ends that no worker there can carry out."""
        asked = self._on_workers.resources([job.site] if job.site else [], 1)
        if any(all(offer.get(name, 0) >= 1 for name in asked) for offer in self._offers):
            return None
        names = sorted({name for offer in self._offers for name, amount in offer.items() if amount})
        site = f" --site {job.site}" if job.site else ""
        error = {
            "error": "NoWorker",
            "what": f"no worker reaches the site {job.site}" if job.site else "there is no worker",
            "seen": ", ".join(names) or "no worker at all",
            "expected": " and ".join(asked),
            "next": f"start one there: umkit fleet worker{site}; {_RESUME}",
        }
        return JobEnd(job.customer, job.verb, "not run", error=error)

    def _lose(self, error: Exception) -> None:
        """Nothing more is heard of any job."""
        for sent in [each for each in self._sent.values() if not each.over]:
            what = f"the scheduler is gone ({type(error).__name__}: {error})"
            if sent.heard:
                what += "; the worker stops the run in order and keeps its record"
                self._finish(sent, sent.ended("died", what, _RESUME))
            else:
                self._finish(sent, sent.ended("not run", f"{what}; as far as is known it had not begun", _RESUME))

    def _finish(self, sent: _Sent, end: JobEnd) -> None:
        if self._sent.pop(sent.ticket, None) is None:
            return
        self._give_back(sent)
        sent.future.set_result(end)

    def _give_back(self, sent: _Sent) -> None:
        """Let the scheduler forget what belongs to a job; where it is still under way, its worker stops it."""
        with contextlib.suppress(Exception):  # the scheduler is gone, and all of that with it
            if sent.task is not None:
                sent.task.release()
                sent.tickets.close()
                sent.pieces.close()
        sent.task = sent.tickets = sent.pieces = None


def _stopped(sent: _Sent) -> JobEnd:
    return JobEnd(sent.job.customer, sent.job.verb, "not run", error={"what": "the batch was stopped before"})
