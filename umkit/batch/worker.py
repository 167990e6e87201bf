"""A job carried out in a child process of its own, with a deadline; here or on a fleet's worker."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from typing import IO, Any

from umkit.batch.job import Job, JobEnd, State, Tell

#: Seconds that a run gets to end by itself when it is stopped: a command under way may take its time to be stopped,
#: and the record is closed and sealed. Then it is terminated, and after the same time again killed.
GRACE = 60.0
_LAST = 2000  # characters of what a process said before it died


class Stop:
    """What stops jobs: once, they end in order; twice, they are killed after a moment."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.hurried = threading.Event()

    def ask(self) -> None:
        """Stop; asked again, hurry."""
        (self.hurried if self.asked.is_set() else self.asked).set()


def carry_out(job: Job, tell: Tell | None = None, stop: Stop | None = None) -> JobEnd:
    """Run a job in a child process and say how it ended; raises nothing.

    Arguments:
        job: the job.
        tell: is told how it goes on, from this thread.
        stop: stops it.
    """
    stop = stop or Stop()
    if stop.asked.is_set():
        return JobEnd(job.customer, job.verb, "not run", error={"what": "the batch was stopped before"})
    begun = time.monotonic()
    with tempfile.TemporaryFile() as said:
        try:
            process = _started(said)
        except OSError as failure:
            what = f"no process could be started: {failure.strerror or failure}"
            return JobEnd(job.customer, job.verb, "not run", error={"what": what})
        overseer = _Overseer(process, job.deadline, stop)
        known: dict[str, Any] = {}
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with contextlib.suppress(OSError):  # it died already: there is nothing to read either
                process.stdin.write(job.as_json().encode() + b"\n")
                process.stdin.flush()
            for line in process.stdout:
                with contextlib.suppress(ValueError, TypeError):
                    event = json.loads(line)
                    known |= event if event["event"] in ("run", "end") else {}
                    if tell is not None:
                        tell({**event, "customer": job.customer})
            process.wait()
        finally:
            overseer.finish()
            process.stdout.close()
        state: State | None = "deadline" if overseer.late else None
        if known.get("event") == "end":
            end = JobEnd.of_dict(known)
            if state is not None and end.state == "stopped":
                return JobEnd.of_dict({**known, "state": state, "error": overseer.why()})
            return end
        words = _last_words(said)
    status = process.returncode
    how = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
    error = overseer.why() or {
        "error": "Died",
        "what": f"the process of the run ended without a word ({how})",
        "seen": words,
        "next": "its record says how far it came; the next apply looks up what became of unanswered commands",
    }
    return JobEnd(
        job.customer,
        job.verb,
        state or ("stopped" if stop.asked.is_set() else "died"),
        result="unknown",
        run=str(known.get("run", "")),
        record=str(known.get("record", "")),
        seconds=round(time.monotonic() - begun, 3),
        error=error,
    )


class _Overseer:
    """Ends a process at its deadline, or when it is stopped: by ending its input first, then harder."""

    def __init__(self, process: subprocess.Popen[bytes], deadline: float, stop: Stop) -> None:
        self.late = False
        self._process = process
        self._deadline = deadline
        self._stop = stop
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._oversee, name="overseer", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """The process has ended; wait for the thread."""
        self._ended.set()
        self._thread.join()
        self._close_input()

    def why(self) -> dict[str, Any]:
        """The error of a run that took too long; empty where it did not."""
        if not self.late:
            return {}
        return {
            "error": "DeadlineExceeded",
            "what": f"the run did not end within {self._deadline:g} s and was stopped",
            "next": "see its record; then umkit batch --resume, with a longer --deadline where it needs one",
        }

    def _oversee(self) -> None:
        until = time.monotonic() + self._deadline
        while not self._ended.wait(0.2):
            self.late = self.late or time.monotonic() >= until
            if self.late or self._stop.asked.is_set():
                break
        else:
            return
        self._close_input()
        for harder in (self._process.terminate, self._process.kill):
            if self._ends_within(GRACE):
                return
            with contextlib.suppress(OSError):
                harder()

    def _ends_within(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self._stop.hurried.is_set():
            if self._ended.wait(0.2):
                return True
        return self._ended.wait(2.0)  # hurried: a moment, no more

    def _close_input(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            assert self._process.stdin is not None
            self._process.stdin.close()


def _started(said: IO[bytes]) -> subprocess.Popen[bytes]:
    """The child's process, in a group of its own: Ctrl-C at the terminal is for the batch, which passes it on."""
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return subprocess.Popen(
        [sys.executable, "-m", "umkit.batch.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        env={**os.environ, "PYTHONUTF8": "1"},
        **apart,
    )


def _last_words(said: IO[bytes]) -> str:
    """The end of what the process wrote to standard error."""
    size = said.seek(0, os.SEEK_END)
    said.seek(max(0, size - _LAST))
    return said.read().decode("utf-8", "replace").strip()
