"""Bringing a record home: what a worker sent is checked aside, and then there as a whole or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from umkit import proof, record
from umkit.batch.job import Job
from umkit.durable import cannot_write, sync_folder
from umkit.errors import RecordError
from umkit.journal import read

#: The largest record that is fetched; a large one has some ten MiB.
LARGEST = 256 * 1024 * 1024
#: A file of a record, wherever it is unpacked: nothing leads out of the folder, or means something else on Windows.
_NAME = re.compile(r"\w[\w .-]*(?<![ .])(/\w[\w .-]*(?<![ .]))*")
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
    if size > LARGEST:
        raise RecordError("it is too large to be fetched", seen=f"{size >> 20} MiB", expected=f"{LARGEST >> 20} MiB")
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
            _unpack(export, f"{job.customer}/{run}/", folder)
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


def _unpack(export: Path, prefix: str, folder: Path) -> None:
    """Write the files of one record, each on the disk before this returns."""
    try:
        with zipfile.ZipFile(export) as file:
            entries = [entry for entry in file.infolist() if entry.filename.startswith(prefix)]
            names = [entry.filename.removeprefix(prefix) for entry in entries]
            if odd := next((name for name in names if not _NAME.fullmatch(name)), ""):
                raise _refusal(folder.name, f"it holds {odd!r}")
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise _refusal(folder.name, "it is compressed")  # so nothing grows larger than what came
            for name, entry in zip(names, entries, strict=True):
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as written:
                    written.write(file.read(entry))
                    written.flush()
                    os.fsync(written.fileno())
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise _refusal(folder.name, f"{type(error).__name__}: {error}") from error


def _strange(folder: Path, job: Job) -> list[str]:
    """What in a whole record is not that of the job."""
    start = next(iter(read(folder / record.JOURNAL)), {})
    said = {name: start.get(name) for name in ("run", "customer", "mode", "batch")}
    wanted = {"run": folder.name, "customer": job.customer, "mode": job.verb, "batch": job.batch}
    return [f"its {name} is {said[name]}, not {wanted[name]}" for name in wanted if said[name] != wanted[name]]


def _refusal(run: str, seen: str) -> RecordError:
    return RecordError(f"the record of {run} was not brought home", seen=seen, next=_ELSEWHERE)
