"""``umkit batch``: many customers at once (design §4.2, §7)."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from umkit.cli_options import ACCESS, CHAPTERS, JSON, PARAMETERS, RECORDS, command
from umkit.errors import UmkitError, UsageError

if TYPE_CHECKING:
    from umkit.batch import Batch, BatchSummary, Job, Stop
    from umkit.fleet import Access

_MINUTES = 240.0
_CERTIFICATES = ("ca", "certificate", "key")


def add(main: click.Group) -> None:
    """Add the command to the command line."""

    @main.command()
    @click.argument("files", metavar="[CUSTOMER]...", nargs=-1)
    @click.option(
        "--verb", type=click.Choice(["plan", "apply", "verify"]), help="What to do with each.  [default: verify]"
    )
    @click.option("--jobs", type=click.IntRange(1, 64), help="How many customers at once here.  [default: 2]")
    @click.option(
        "--scheduler", metavar="ADDRESS", help="Let the workers of a fleet do it: tls://HOST:PORT (umkit fleet)."
    )
    @ACCESS
    @click.option(
        "--deadline", type=click.FloatRange(min=0.01), metavar="MINUTES", help="What one run may take.  [default: 240]"
    )
    @click.option("--resume", metavar="BATCH", help="Take up a batch that broke off: the runs that did not end.")
    @click.option("--only", type=click.Choice(["failed"]), help="With --resume or the newest batch: what went wrong.")
    @CHAPTERS
    @PARAMETERS
    @RECORDS
    @JSON
    @command
    def batch(files: tuple[str, ...], as_json: bool, **given: Any) -> int:
        """Plan, apply or verify many customers, some at once; one record each, and an index page over all.

        CUSTOMER is a name or a customer file. One run at a time works on a customer. Ctrl-C ends what runs in order,
        with every record closed; --resume takes the batch up again. The exit status is that of the worst run.
        """
        summary = _batch(files, given)
        if summary is None:
            click.secho("nothing is left to do", fg="green", err=True)
            return 0
        click.secho(", ".join(f"{number} {name}" for name, number in summary.counts), bold=True, err=True)
        click.secho(f"index: {summary.folder / 'index.html'}", bold=True, err=True)
        if summary.stopped:
            click.secho(f"stopped; take it up again: umkit batch --resume {summary.batch}", fg="yellow", err=True)
        if as_json:
            click.echo(json.dumps(summary.as_dict(), ensure_ascii=False))
        return summary.exit_code


def _batch(names: tuple[str, ...], given: dict[str, Any]) -> BatchSummary | None:
    from umkit.batch import Batch, Stop, find
    from umkit.batch.show import Show
    from umkit.headless import folder

    home = Path(given["records"] or "records")
    again = given["resume"] is not None or given["only"] is not None
    if again and (names or given["verb"]):
        raise UsageError("a batch that is taken up again knows its customers and its verb", next="leave them out")
    if not again and not names:
        raise UsageError("which customers?", expected="names or files of customers", next="umkit batch A B C")
    if again:
        taken = Batch.take_up(find(home, given["resume"] or ""))
        now = {key: value for key, value in given.items() if value and key in taken.options}
        options = taken.options | {
            key: str(value.resolve()) if isinstance(value, Path) else value for key, value in now.items()
        }
        files, left = taken.files, taken.left(only_failed=given["only"] == "failed")
    else:
        options = {key: given[key] or None for key in ("deadline", "jobs", "scheduler", "insecure")}
        options |= {key: str(given[key]) if given[key] else None for key in _CERTIFICATES}
        options |= {"chapters": list(given["chapters"]), "records": str(home.resolve()) if given["records"] else ""}
        if options["scheduler"]:
            _access(options)  # before anything is begun
        files = _files(names, given["parameters"] or folder("parameters"))
        taken = Batch.begin(home, given["verb"] or "verify", files, options)
        left = list(files)
    with taken as batch:
        if not left:
            return None
        if again:
            _wait_for_former(batch, left)
        jobs = _jobs(batch, {name: files[name] for name in left}, options)
        with Show(len(jobs)) as shown, _stopped_by_signals(Stop()) as stop, _start(options) as start:
            return batch.carry_out(jobs, start, stop, shown)


def _files(names: tuple[str, ...], parameters: Path) -> dict[str, str]:
    """Customer names with their files; each customer once, since one run at a time works on a customer."""
    from umkit.customer import find

    files: dict[str, str] = {}
    for name in names:
        path = find(name, parameters).resolve()
        if path.stem in files:
            raise UsageError(f"{path.stem} was given twice", seen=f"{files[path.stem]}, {path}", next="name it once")
        files[path.stem] = str(path)
    return files


def _jobs(batch: Batch, files: dict[str, str], options: dict[str, Any]) -> list[Job]:
    """The jobs; a customer file that is not valid is written down and left out."""
    from umkit.batch import Job, JobEnd
    from umkit.customer import load

    jobs = []
    for name, file in files.items():
        try:
            customer = load(file)
        except UmkitError as error:
            click.secho(f"{name}: {error}", fg="red", err=True)
            batch.refuse(JobEnd(name, batch.verb, "invalid", error.exit_code, "failed", error=error.as_dict()))
            continue
        jobs.append(
            Job(
                name,
                file,
                batch.verb,  # type: ignore[arg-type]  # the command line takes no other
                batch.id,
                tuple(options["chapters"]),
                options["records"],
                60 * float(options["deadline"] or _MINUTES),
                customer.run.site or "",
            )
        )
    return jobs


def _wait_for_former(batch: Batch, names: list[str]) -> None:
    """Let runs of a batch that was killed come to their end: they stop by themselves when it is gone."""
    from umkit.lock import CustomerLock

    until = time.monotonic() + 2 * 60
    for name in names:
        end = batch.ends.get(name)
        while end is not None and end.record and CustomerLock(Path(end.record).parent).is_held():
            if time.monotonic() >= until:  # its run will be refused, and say who holds the lock
                return
            time.sleep(0.2)


@contextmanager
def _start(options: dict[str, Any]) -> Iterator[Any]:
    """What starts jobs: threads of this process, or a fleet."""
    from concurrent.futures import ThreadPoolExecutor

    from umkit.batch import on_this_machine

    if options["scheduler"]:
        from umkit.fleet import joined

        with joined(options["scheduler"], _access(options)) as start:
            yield start
        return
    with ThreadPoolExecutor(options["jobs"] or 2, thread_name_prefix="job") as executor:
        yield on_this_machine(executor)


def _access(options: dict[str, Any]) -> Access:
    """How to speak to a fleet's scheduler; whether that can be is looked at now."""
    from umkit.fleet import Access

    files = {key: Path(options[key]) for key in _CERTIFICATES if options.get(key)}
    access = Access(**files, insecure=bool(options.get("insecure")))
    access.to(options["scheduler"], "client")
    return access


@contextmanager
def _stopped_by_signals(stop: Stop) -> Iterator[Stop]:
    """Ctrl-C or termination asks the jobs to stop; the second time they are hurried."""
    names = ("SIGINT", "SIGTERM", "SIGBREAK", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {
        number: signal.signal(number, lambda *_: stop.ask())
        for number in numbers
        if signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
