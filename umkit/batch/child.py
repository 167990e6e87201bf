"""The process of one job: ``python -m umkit.batch.child``.

It reads the job as one line from standard input, tells on standard output how it goes on, a JSON object a line, and
ends with one of ``{"event": "end", …}``. When standard input ends before that, whoever wanted the run is gone or wants
it stopped: it stops as by Ctrl-C, with its record closed and sealed.
"""

from __future__ import annotations

import _thread
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from umkit.batch.job import Job, JobEnd, State
from umkit.headless.quick import skip_slow_imports


def main() -> int:
    """Carry out the job; the exit status is the run's."""
    skip_slow_imports()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored, it would be inherited from a shell's &
    tell = _outlet()
    job = Job.of_json(_first_line())
    _stop_when_input_ends()
    begun = time.monotonic()
    end = _carried_out(job, tell)
    end = JobEnd.of_dict({**end.as_dict(), "seconds": round(time.monotonic() - begun, 3)})
    tell({"event": "end", **end.as_dict()})
    return end.exit_code


def _carried_out(job: Job, tell: Callable[[Mapping[str, Any]], None]) -> JobEnd:
    from umkit.errors import UmkitError, UsageError
    from umkit.secrets import redact

    state: State
    try:
        return _run(job, tell)
    except UmkitError as error:
        invalid = isinstance(error, UsageError)
        state, code, told = "invalid" if invalid else "done", error.exit_code, error.as_dict()
        return JobEnd(job.customer, job.verb, state, code, "failed", error=json.loads(redact(json.dumps(told))))
    except KeyboardInterrupt:
        return JobEnd(job.customer, job.verb, "stopped", error={"what": "stopped before its run began"})
    except Exception as error:  # a fault of ours: told, not lost with this process
        what = redact(f"{type(error).__name__}: {error}")
        return JobEnd(job.customer, job.verb, "done", 1, "failed", error={"error": type(error).__name__, "what": what})


def _run(job: Job, tell: Callable[[Mapping[str, Any]], None]) -> JobEnd:
    from umkit.customer import load
    from umkit.headless.run import run

    os.environ["UMKIT_BATCH"] = job.batch  # for the run's journal
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(job.file)
        if job.text:
            path = Path(temporary) / f"{job.customer}.yaml"
            path.write_text(job.text, "utf-8")
        customer = load(path)
        records = Path(job.records or customer.run.records)
        progress = _teller(job, records, tell)
        summary = run(customer, job.verb, chapters=job.chapters, records=records, progress=progress, lab=job.lab)
    steps = [step for chapter in summary.chapters for step in chapter.steps]
    return JobEnd(
        job.customer,
        job.verb,
        "stopped" if summary.stopped else "done",
        summary.exit_code,
        summary.result,
        summary.run,
        str(summary.record),
        {chapter.chapter: chapter.result for chapter in summary.chapters},
        sum(int(step.get("changes") or 0) for step in steps),
        dict(Counter(str(step.get("result")) for step in steps)),
        error=next((dict(chapter.error) for chapter in summary.chapters if chapter.error), {}),
    )


def _teller(job: Job, records: Path, tell: Callable[[Mapping[str, Any]], None]) -> Any:
    from umkit.headless.progress import Silence

    class Teller(Silence):
        """Tells the parent how the run goes on."""

        def run_begins(self, run: str, customer: str, mode: str, chapters: int) -> None:
            tell({"event": "run", "run": run, "record": str(records.resolve() / customer / run), "chapters": chapters})

        def chapter_begins(self, chapter: str, steps: int) -> None:
            tell({"event": "chapter", "chapter": chapter, "steps": steps})

        def step(self, event: Mapping[str, Any]) -> None:
            tell({"event": "step", "chapter": event["chapter"], "step": event["step"], "result": event["result"]})

    return Teller()


def _outlet() -> Callable[[Mapping[str, Any]], None]:
    """What writes events to standard output; whatever else this process prints goes to standard error."""
    sys.stdout.flush()
    own = os.dup(1)  # not inherited by the kernel
    os.dup2(2, 1)
    lock = threading.Lock()

    def tell(event: Mapping[str, Any]) -> None:
        line = memoryview(json.dumps(event, ensure_ascii=True).encode() + b"\n")
        with lock:
            while line:
                try:
                    line = line[os.write(own, line) :]
                except OSError:  # nobody reads any more; standard input has ended too, which stops the run
                    return

    return tell


def _first_line() -> str:
    line = b""
    while not line.endswith(b"\n"):
        if not (read := os.read(0, 65536)):
            raise SystemExit("no job came")
        line += read
    return line.decode()


def _stop_when_input_ends() -> None:
    def wait() -> None:
        while os.read(0, 4096):
            pass
        _thread.interrupt_main()

    threading.Thread(target=wait, name="parent", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
