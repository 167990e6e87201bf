"""Bringing a record home: what a worker sent is checked aside, and then there as a whole or not at all."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from umkit import archive, proof, record
from umkit.batch.job import Job
from umkit.durable import cannot_write, sync_folder, write_folder
from umkit.errors import RecordError
from umkit.journal import read

_ELSEWHERE = "nothing was kept of what came; fetch it there by hand: umkit records export RUN"


def fetch(pieces: Iterator[bytes], export: Path, *, size: int, sha256: str) -> None:
    """Write the pieces of one export to a file.

    Arguments:
        pieces: what comes; of several exports, one after the other.
        export: the file.
        size: its size in bytes.
        sha256: its hash.

    Raises ``RecordError`` when it is too large, when not all of it comes, or when it came otherwise than it was sent.
    """
    if size > archive.LARGEST:
        raise RecordError(
            "it is too large to be fetched", seen=f"{size >> 20} MiB", expected=f"{archive.LARGEST >> 20} MiB"
        )
    digest, left = hashlib.sha256(), size
    with export.open("wb") as file:
        while left > 0:
            if not (piece := next(pieces, b"")):
                raise RecordError("the worker did not send all of it", seen=f"{left} of {size} bytes are missing")
            left -= file.write(piece)
            digest.update(piece)
    if left or digest.hexdigest() != sha256:
        raise RecordError("it came otherwise than it was sent", seen=digest.hexdigest(), expected=sha256)


def bring_home(export: Path, records: Path, job: Job, run: str) -> Path:
    """Put an exported record among the records of this machine.

    Arguments:
        export: the zip file that :func:`umkit.proof.export` made.
        records: the folder of all records.
        job: the job that the record has to be of.
        run: the run's id.

    Returns the record's folder. A record that is there already stays.

    Raises ``RecordError`` when it is not as it was sealed, not that of the job, or cannot be written.
    """
    home = records.resolve() / job.customer
    kept = home / run
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetched-", dir=home, ignore_cleanup_errors=True) as aside:
            folder = Path(aside) / run
            write_folder(folder, _files(export, run, f"{job.customer}/{run}/"))
            if wrong := proof.examine(folder).problems or _strange(folder, job):
                raise _refusal(run, "; ".join(wrong[:3]))
            if kept.exists():
                if (kept / record.MANIFEST).read_bytes() == (folder / record.MANIFEST).read_bytes():
                    return kept
                raise _refusal(run, "another run of that name is here already")
            folder.rename(kept)
            sync_folder(home)
    except OSError as error:
        raise cannot_write(kept, error) from error
    return kept


def _files(export: Path, run: str, prefix: str) -> dict[str, bytes]:
    """The files of one record in an export."""
    try:
        contents = archive.read_zip(export.read_bytes())
    except ValueError as error:
        raise _refusal(run, str(error)) from error
    files = {name.removeprefix(prefix): data for name, data in contents.items() if name.startswith(prefix)}
    if not files:
        raise _refusal(run, "it holds no file of that record, which is not sealed then")
    if odd := next((name for name in files if archive.fault_of([name])), None):
        raise _refusal(run, f"it holds {odd!r}")
    return files


def _strange(folder: Path, job: Job) -> list[str]:
    """What in a whole record is not that of the job."""
    start = next(iter(read(folder / record.JOURNAL)), {})
    said = {name: start.get(name) for name in ("run", "customer", "mode", "batch")}
    wanted = {"run": folder.name, "customer": job.customer, "mode": job.verb, "batch": job.batch}
    return [f"its {name} is {said[name]}, not {wanted[name]}" for name in wanted if said[name] != wanted[name]]


def _refusal(run: str, seen: str) -> RecordError:
    return RecordError(f"the record of {run} was not brought home", seen=seen, next=_ELSEWHERE)
