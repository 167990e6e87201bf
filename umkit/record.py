"""The record of one run: a folder that is filled, then sealed.

``records/<customer>/<run>/`` holds ``inputs.yaml``, ``journal.jsonl``,
``notebooks/*.ipynb`` and, written last, ``manifest.json`` with every file's SHA-256.
One run at a time works on a customer: a lock stands beside the customer's records.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from umkit import __version__
from umkit.durable import make_folder, new_folder, write_atomic
from umkit.errors import RecordError, UsageError
from umkit.inputs_file import as_text
from umkit.journal import Finding, Journal, ends, select
from umkit.journal import verify as verify_journal
from umkit.lock import CustomerLock, account
from umkit.secrets import redact

if TYPE_CHECKING:
    from umkit.customer import CustomerFile

JOURNAL = "journal.jsonl"
INPUTS = "inputs.yaml"
NOTEBOOKS = "notebooks"
MANIFEST = "manifest.json"
#: Signatures are made over the manifest, so it cannot list them.
SIGNATURES = "signature*"

_RUN = re.compile(r"(\d{8}-\d{6})-[a-z]+(-\d+)?")


def is_run(name: str) -> bool:
    """Whether a name is one that a run's folder can have."""
    return bool(_RUN.fullmatch(name))


class Record:
    """The record of a run under way; made by :func:`create`.

    Leaving it as a context manager without :meth:`close` seals nothing, but gives the customer's lock back.
    """

    def __init__(self, folder: Path, *, mode: str, journal: Journal, lock: CustomerLock) -> None:
        self.folder = folder
        self.run = folder.name
        self.customer = folder.parent.name
        self.mode = mode
        self.journal = journal
        self._lock: CustomerLock | None = lock

    @property
    def notebooks(self) -> Path:
        """Where the executed chapters are kept."""
        return self.folder / NOTEBOOKS

    def close(self, result: str) -> str:
        """Write down how the run ended, seal the record, sign it where there is a key, and give the lock back.

        Arguments:
            result: ``ok``, ``changed``, ``differs``, ``open``, ``blocked``, ``failed`` or ``unknown``.

        Returns who signed it, or why it is not signed.
        """
        from umkit.sealing import sign_if_key  # cryptography is needed at the end only

        try:
            self.journal.append("run-end", result=result)
            self.journal.close()
            seal(self.folder)
            return sign_if_key(self.folder)
        finally:
            self.release()

    def release(self) -> None:
        """Give the customer's lock back; the record stays as it is."""
        self.journal.close()
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def create(
    records: Path,
    inputs: CustomerFile,
    *,
    mode: str,
    chapters: Sequence[str],
    given: str = "",
    now: datetime | None = None,
) -> Record:
    """Begin the record of a run: its folder, its inputs, the first line of its journal.

    Arguments:
        records: the folder of all records; made where it is missing.
        inputs: the customer file; its ``customer.name`` names the customer's folder.
        mode: ``plan``, ``apply``, ``verify``, ``rollback`` or ``interactive``.
        chapters: the chapters that will run.
        given: the customer file's text as it was given; empty where there was none.
        now: when the run begins; now.

    Raises ``RecordError`` when another run works on the customer, or nothing can be written there.
    """
    begun = now or _now()
    customer = inputs.customer.name
    home = Path(records).resolve() / customer
    lock = CustomerLock(home)
    make_folder(home)
    lock.acquire()
    try:
        folder = new_folder(home, f"{begun:%Y%m%d-%H%M%S}-{mode}")
        make_folder(folder / NOTEBOOKS)
        lock.name(folder.name)
        values = {"run": folder.name, "customer": customer, "mode": mode, "chapters": list(chapters)}
        write_atomic(folder / INPUTS, redact(as_text(values | {"used": inputs.dump()}, given)))
        journal = Journal(folder / JOURNAL)
        journal.append(
            "run-start",
            run=folder.name,
            customer=customer,
            mode=mode,
            kit=__version__,
            chapters=list(chapters),
            account=account(),
            workstation=platform.node(),
            **({"batch": batch} if (batch := os.environ.get("UMKIT_BATCH")) else {}),
        )
    except BaseException:
        lock.release()
        raise
    return Record(folder, mode=mode, journal=journal, lock=lock)


def seal(folder: Path) -> Path:
    """Write the manifest: every file of the record with its size and SHA-256, sorted by path.

    Returns the manifest's path. Raises ``RecordError`` when a file cannot be read or the manifest not be written.
    """
    with contextlib.suppress(OSError):  # on Windows it stays while a kernel still has it open; it is never listed
        (folder / f"{JOURNAL}.lock").unlink(missing_ok=True)
    manifest = {"customer": folder.parent.name, "run": folder.name, "files": _files(folder)}
    path = folder / MANIFEST
    write_atomic(path, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    return path


def verify(folder: Path) -> list[Finding]:
    """Everything in a record that is not as it was when it was sealed.

    Changed, missing and added files, and what the journal's chain shows; one sentence each, naming the place. None when
    all is well. See :class:`umkit.journal.Finding` for what ``explained`` means.
    """
    folder = Path(folder)
    journal = [*_odd(folder), *(verify_journal(folder / JOURNAL) if _can_be_read(folder / JOURNAL) else [])]
    try:
        if not _can_be_read(folder / MANIFEST):
            raise ValueError("no file")
        listed = json.loads((folder / MANIFEST).read_bytes())["files"]
        files = {str(path): (entry["sha256"], entry["size"]) for path, entry in listed.items()}
    except FileNotFoundError:
        return [Finding(f"{MANIFEST}: missing: the record is not sealed"), *journal]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return [Finding(f"{MANIFEST}: cannot be read ({type(error).__name__}): changed"), *journal]
    try:
        present = {path: (entry["sha256"], entry["size"]) for path, entry in _files(folder).items()}
    except RecordError as error:
        return [Finding(f"{error.where.get('file', folder)}: cannot be read: {error.seen}"), *journal]
    found = [Finding(f"{path}: missing") for path in sorted(files.keys() - present.keys())]
    found += [Finding(f"{path}: added after the record was sealed") for path in sorted(present.keys() - files.keys())]
    for path in sorted(files.keys() & present.keys()):
        if files[path] != present[path]:
            at_the_end = path == JOURNAL and not any(
                finding.startswith(JOURNAL) and not finding.explained for finding in journal
            )
            found.append(Finding(f"{path}: changed" + (", in its last line or after it" if at_the_end else "")))
    return found + journal


@dataclass(frozen=True)
class RecordSummary:
    """One run, as its journal tells it.

    Arguments:
        folder: the record's folder.
        run: the run's id.
        customer: the customer's name.
        mode: the mode it ran in; empty where the journal does not say.
        result: how it ended; ``unknown`` where it did not come to its end.
        started: when it began, UTC.
        ended: when it ended, UTC; ``None`` where it did not.
        sealed: whether there is a manifest.
        under_way: whether the run works on the customer right now.
        problem: why the journal says nothing; empty where it does.
    """

    folder: Path
    run: str
    customer: str
    mode: str
    result: str
    started: datetime
    ended: datetime | None = None
    sealed: bool = False
    under_way: bool = False
    problem: str = ""

    @cached_property
    def chapters(self) -> Mapping[str, str]:
        """The chapters that were begun, each with its result; the journal is read for them when they are asked for."""
        events: list[dict[str, Any]] = []
        with contextlib.suppress(RecordError):
            events = select(self.folder / JOURNAL, ("chapter-start", "chapter-end"))
        begun = (event for event in events if event["event"] == "chapter-start" and not self.under_way)
        ended = (event for event in events if event["event"] == "chapter-end")
        chapters = {str(event["chapter"]): "unknown" for event in begun if "chapter" in event}
        return chapters | {str(event.get("chapter")): str(event.get("result")) for event in ended}


def folders(home: Path, modes: Collection[str]) -> list[Path]:
    """Records of one customer's runs in some modes, newest first; only their journals' first lines are read.

    Arguments:
        home: the customer's folder of records.
        modes: the modes.
    """
    found = []
    for folder in Path(home).glob("*"):
        if is_run(folder.name) and (folder / JOURNAL).is_file():
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                with (folder / JOURNAL).open("rb") as file:
                    start = json.loads(file.readline())
                if start["event"] == "run-start" and start["mode"] in modes:
                    found.append((str(start["time"]), folder.name, folder))
    return [folder for _, _, folder in sorted(found, reverse=True)]


def runs(records: Path, customer: str = "*") -> list[Path]:
    """The folders of every run, by their names alone, newest first.

    Arguments:
        records: the folder of all records.
        customer: only the runs of this customer.
    """
    if not Path(records).is_dir():
        return []
    found = [folder for folder in Path(records).glob(f"{customer}/*") if is_run(folder.name)]
    return sorted((each for each in found if each.is_dir()), key=lambda each: (each.name, each.parent), reverse=True)


def listing(records: Path, customer: str = "*") -> list[RecordSummary]:
    """Every run in a folder of records, newest first; a broken record is listed with its problem.

    Arguments:
        records: the folder of all records.
        customer: only the runs of this customer.
    """
    found = [summary(folder) for folder in runs(records, customer)]
    return sorted(found, key=lambda run: (run.started, run.run, run.customer), reverse=True)


def summary(folder: Path) -> RecordSummary:
    """What a run's journal says of it, in its first and last line where they are what a run begins and ends with.

    Raises ``UsageError`` when the folder is not called as a run is.
    """
    if not is_run(folder.name):
        raise UsageError(
            f"{folder.name} is not called as a run is", expected="a folder CUSTOMER/RUN, as the run was recorded"
        )
    home, problem, events = folder.parent, "", list[dict[str, Any]]()
    try:
        events = [event for event in ends(folder / JOURNAL) if event is not None]
        if [event["event"] for event in events] != ["run-start", "run-end"]:  # under way, killed, or changed since
            events = select(folder / JOURNAL, ("run-start", "run-end"))
    except RecordError as error:
        problem = error.seen
    start: Mapping[str, Any] = next((event for event in events if event["event"] == "run-start"), {})
    end: Mapping[str, Any] = next((event for event in reversed(events) if event["event"] == "run-end"), {})
    if not problem and not start:
        problem = "its journal does not say how the run began"
    return RecordSummary(
        folder=folder,
        run=folder.name,
        customer=home.name,
        mode=str(start.get("mode", "")),
        result=str(end.get("result", "unknown")),
        started=_time(start) or datetime.strptime(folder.name[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC),
        ended=_time(end),
        sealed=(folder / MANIFEST).is_file(),
        under_way=not end and _works(folder),
        problem=problem,
    )


def _works(folder: Path) -> bool:
    """Whether the run works on its customer right now."""
    lock = CustomerLock(folder.parent)
    return lock.holder().get("run") == folder.name and lock.is_held()


def _time(event: Mapping[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(event["time"])
    except (KeyError, ValueError):
        return None


def _odd(folder: Path) -> list[Finding]:
    """What no record has: links, whose target can be changed unseen, folders without a file, pipes, a lock with words.

    A manifest lists files by their content, so none of these would differ from it.
    """
    found = []
    try:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_symlink() or getattr(path, "is_junction", bool)():
                found.append(Finding(f"{name}: a link, and no file of the record: exchanged or added"))
            elif path.is_dir():
                if name != NOTEBOOKS and not any(path.iterdir()):
                    found.append(Finding(f"{name}: a folder without a file: exchanged or added"))
            elif not path.is_file():
                found.append(Finding(f"{name}: no file: exchanged or added"))
            elif name == f"{JOURNAL}.lock" and path.stat().st_size:
                found.append(Finding(f"{name}: holds something, and a lock holds nothing: changed"))
    except OSError as error:
        found.append(Finding(f"{error.filename or folder}: cannot be read: {error.strerror or error}"))
    return found


def _can_be_read(path: Path) -> bool:
    """Whether reading comes to an end: a pipe in the place of a file would be waited for."""
    return path.is_file() or path.is_dir() or not path.exists()


def _files(folder: Path) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file that a manifest lists, sorted by path."""
    files = {}
    try:
        for path in folder.rglob("*"):
            top_level = path.parent == folder
            if (
                not path.is_file()
                or path.is_symlink()
                or (top_level and (path.name in (MANIFEST, f"{JOURNAL}.lock") or path.match(SIGNATURES)))
            ):
                continue
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            files[path.relative_to(folder).as_posix()] = {"sha256": digest, "size": path.stat().st_size}
    except OSError as error:
        raise RecordError(
            "a file of the record cannot be read",
            where={"file": str(error.filename or folder)},
            seen=error.strerror or str(error),
        ) from error
    return dict(sorted(files.items()))


def _now() -> datetime:
    return datetime.now(UTC)
