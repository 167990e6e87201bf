"""The journal: what happened, one JSON line an event, chained by hashes.

Each line is one JSON object in UTF-8, ended by ``\\n``, with these keys first:

``seq``    the line's number, from 1
``time``   UTC, ISO 8601 with milliseconds and ``Z``
``event``  what happened; :data:`EVENTS` lists the events and their fields
``prev``   SHA-256 of the line before, without its ``\\n``; 64 zeros in the first line

A line is on the disk before :meth:`Journal.append` returns. Several processes write
in turn: each append holds a lock file and reads what others wrote meanwhile. A line
that a crash cut off stays as it is; the next writer ends it and says so in an event
``torn``.

The chain shows every line that was changed, removed, inserted or moved, but for the
very end: a last line with another value, or lines cut off there, leave a whole chain.
That is what the record's manifest (umkit.record) is for.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from filelock import FileLock, Timeout

from umkit.durable import append_whole, cannot_write, sync_folder
from umkit.errors import RecordError
from umkit.secrets import redact

#: ``prev`` of the first line.
ZEROS = "0" * 64

#: The keys every line begins with.
HEAD = ("seq", "time", "event", "prev")

#: Each event's fields in the order in which they are written; further fields follow in the order given.
EVENTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "run-start": ("run", "customer", "mode", "kit", "chapters", "account", "workstation"),
        "bundle": ("sha256", "signer", "key", "packed", "earlier"),
        "chapter-start": ("chapter",),
        "session": ("chapter", "endpoint", "url", "account", "protocol"),
        "pinned": ("chapter", "domain_controller"),
        "intent": (
            "chapter",
            "step",
            "id",
            "endpoint",
            "domain_controller",
            "command",
            "powershell",
            "mutating",
            "changes",
            "resource",
        ),
        "outcome": ("chapter", "intent", "outcome", "seconds", "error"),
        "step": ("chapter", "step", "kind", "title", "result", "changes", "summary", "error"),
        "chapter-end": ("chapter", "result", "error"),
        "run-end": ("result",),
        "found": ("chapter", "step", "about", "found", "differences"),
        "planned": ("chapter", "step", "object", "verb", "needs", "why", "rows", "commands"),
        "left": ("chapter", "step", "object", "values", "besides"),
        "rollback": ("of", "sha256", "dry_run"),
        "resume": ("of",),
        "reconciled": ("commands", "unread"),
        "attestation": ("step", "who", "remark", "evidence", "sha256"),
        "torn": ("lines", "after"),
    }
)

#: Bytes that are read at once from a journal's end; no last line of ours is longer.
_BLOCK = 4096

#: Seconds to wait for another writer; an append takes milliseconds.
_LOCK_WAIT = 30.0


class Finding(str):
    """One thing that a verification found, as a sentence that names the place.

    ``explained`` is true where the file itself says how it came about, as after a crash: that is no tampering.
    """

    __slots__ = ("explained",)

    explained: bool

    def __new__(cls, text: str, *, explained: bool = False) -> Self:  # noqa: D102 (as any constructor)
        finding = super().__new__(cls, text)
        finding.explained = explained
        return finding


class Journal:
    """A journal that is written to.

    Arguments:
        path: the file; it is created, its folder exists.

    Raises ``RecordError`` when it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._mutex = threading.Lock()
        self._lock = FileLock(f"{self.path}.lock", timeout=_LOCK_WAIT, thread_local=False)
        self._closed = False
        self._size = -1  # length of the file after our own last line; -1: not known
        self._count = 0
        self._prev = ZEROS
        try:
            if not self.path.exists():
                self.path.touch()
                sync_folder(self.path.parent)
            with self.path.open("ab"):  # says now, and not at the first command, that it is read-only
                pass
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def append(self, event: str, /, **fields: Any) -> dict[str, Any]:
        """Write one event down; it is on the disk when this returns.

        Arguments:
            event: what happened, for example ``step``.
            fields: JSON-ready values; others are written as their text.

        Returns the line as it stands in the file.

        Raises ``RecordError`` when it cannot be written: nothing must be done that the event was to announce.
        """
        return self._append(event, fields, force=True)

    def jot(self, event: str, /, **fields: Any) -> dict[str, Any]:
        """Write down what was only looked at: it outlives this process, and the machine with the next appended event.

        Forcing each look at a server to the disk is what a verify would spend most of its time with.
        """
        return self._append(event, fields, force=False)

    def _append(self, event: str, fields: Mapping[str, Any], *, force: bool) -> dict[str, Any]:
        for name in HEAD:
            if name in fields:
                raise ValueError(f"the journal itself writes the field {name}")
        order = EVENTS.get(event, ())
        ordered = {name: plain(fields[name]) for name in order if name in fields}
        ordered |= {name: plain(value) for name, value in fields.items() if name not in ordered}
        with self._mutex:
            if self._closed:
                raise RecordError("the journal is closed", where={"file": str(self.path)}, seen=f"the event {event}")
            try:
                with self._lock:
                    self._catch_up()
                    return self._write(event, ordered, force=force)
            except Timeout:
                raise RecordError(
                    "the journal is held by another process",
                    where={"file": str(self.path)},
                    seen=f"no turn within {_LOCK_WAIT:.0f} s",
                    next="end the other process that writes to this record, then run again",
                ) from None
            except OSError as error:
                self._size = -1
                raise cannot_write(self.path, error) from error

    def close(self) -> None:
        """Take no further events."""
        with self._mutex:
            self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, event: str, fields: Mapping[str, Any], *, lead: bytes = b"", force: bool = True) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        entry = {"seq": self._count + 1, "time": now, "event": event, "prev": self._prev, **fields}
        line = _line(entry)
        size, self._size = self._size, -1
        append_whole(self.path, lead + line + b"\n", force=force)
        self._size = size + len(lead) + len(line) + 1
        self._count += 1
        self._prev = _hash(line)
        return entry

    def _catch_up(self) -> None:
        """Learn what others wrote since our last line, and explain a line that was cut off."""
        size = self.path.stat().st_size
        if size == self._size:
            return
        if size < self._size:
            raise RecordError(
                "the journal became shorter while it was in use",
                where={"file": str(self.path)},
                seen=f"{size} bytes",
                expected=f"{self._size} bytes or more",
                next="keep the record as it is; somebody or something changed it",
            )
        lines, ended = _lines(self.path.read_bytes())
        whole = len(lines)
        while whole and (_entry(lines[whole - 1]) is None or (whole == len(lines) and not ended)):
            whole -= 1
        self._size, self._count = size, len(lines)
        self._prev = _hash(lines[-1]) if lines else ZEROS
        if whole < len(lines):
            torn = {
                "lines": list(range(whole + 1, len(lines) + 1)),
                "after": _hash(lines[whole - 1]) if whole else ZEROS,
            }
            self._write("torn", torn, lead=b"" if ended else b"\n")


def read(path: Path) -> list[dict[str, Any]]:
    """The events of a journal in order; a line that cannot be read is left out.

    Raises ``RecordError`` when there is no such file. Whether it is whole, :func:`verify` tells.
    """
    lines, _ = _lines(_data(path))
    return [entry for entry in map(_entry, lines) if entry is not None]


def select(path: Path, kinds: Collection[str]) -> list[dict[str, Any]]:
    """The events of some kinds, as :func:`read` gives them, also where lines were changed; only they are parsed.

    Arguments:
        path: the journal.
        kinds: names of events, in letters and hyphens.
    """
    data = _data(path)
    if b"\0" in data:  # no journal of ours; JSON may be UTF-16 too, where no name stands as it is
        return [entry for entry in read(path) if entry["event"] in kinds]
    starts: set[int] = set()
    for word in [*(kind.encode("ascii") for kind in kinds), b"\\u"]:  # JSON can spell a letter by its number
        place = data.find(word)
        while place >= 0:
            starts.add(data.rfind(b"\n", 0, place) + 1)
            end = data.find(b"\n", place)
            place = data.find(word, end) if end >= 0 else -1
    stops = ((start, data.find(b"\n", start)) for start in sorted(starts))
    found = (_entry(data[start : stop if stop >= 0 else None]) for start, stop in stops)
    return [entry for entry in found if entry is not None and entry["event"] in kinds]


def ends(path: Path) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """The events in the first and in the last line, ``None`` where one cannot be read; no other line is looked at.

    Raises ``RecordError`` when there is no such file.
    """
    try:
        with Path(path).open("rb") as file:
            first = file.readline().removesuffix(b"\n")
            at, tail = file.seek(0, os.SEEK_END), b""
            while at > 0 and b"\n" not in tail[:-1]:
                size = min(at, _BLOCK)
                at = file.seek(at - size)
                tail = file.read(size) + tail
    except OSError as error:
        raise _unreadable(path, error) from error
    return _entry(first), _entry(tail.removesuffix(b"\n").rpartition(b"\n")[2])


def verify(path: Path) -> list[Finding]:
    """Everything that is not as the journal's writer left it, line by line.

    Returns one sentence for each finding; none when all is well. A torn line that a later event explains is a finding
    with ``explained`` true.
    """
    name = Path(path).name
    try:
        lines, ended = _lines(Path(path).read_bytes())
    except OSError as error:
        return [Finding(f"{name}: cannot be read: {error.strerror or error}")]
    if not lines:
        return [Finding(f"{name} line 1: missing, the journal is empty")]
    entries = [_entry(line) for line in lines]
    hashes = [ZEROS, *map(_hash, lines)]
    torn = _explained(entries, hashes)
    found: list[Finding] = []
    for number, (line, entry) in enumerate(zip(lines, entries, strict=True), 1):
        place = f"{name} line {number}"
        if number in torn:
            found.append(Finding(f"{place}: torn, cut off by a crash; line {torn[number]} explains it", explained=True))
        elif entry is None:
            found.append(Finding(f"{place}: cannot be read: changed, or cut off by a crash"))
            continue
        if entry is None:
            continue
        if entry["seq"] != number:
            found.append(Finding(f"{place}: carries the number {entry['seq']}: lines were removed, inserted or moved"))
        if entry["prev"] != hashes[number - 1]:
            found.append(Finding(f"{place}: does not follow line {number - 1}: {_why(entries, number)}"))
        if not _is_as_written(line, entry):
            found.append(Finding(f"{place}: not as the journal writes a line: changed"))
    if not ended:
        found.append(Finding(f"{name} line {len(lines)}: not ended: cut off, by a crash or by somebody"))
    return found


def _explained(entries: list[dict[str, Any] | None], hashes: list[str]) -> dict[int, int]:
    """Torn lines, each with the line that explains it."""
    explained: dict[int, int] = {}
    for number, entry in enumerate(entries, 1):
        if entry is None or entry["event"] != "torn" or not isinstance(entry.get("lines"), list) or not entry["lines"]:
            continue
        first = entry["lines"][0]
        is_just_before = entry["lines"] == list(range(number - len(entry["lines"]), number))
        if is_just_before and entry.get("after") == hashes[first - 1] and entry["prev"] == hashes[number - 1]:
            explained |= dict.fromkeys(entry["lines"], number)
    return explained


def _why(entries: list[dict[str, Any] | None], number: int) -> str:
    """What most likely happened, told by the numbers that the lines carry."""
    entry = entries[number - 1]
    before = entries[number - 2] if number > 1 else None
    if number == 1:
        return "lines before it were removed, or it was changed"
    if entry is None or before is None or entry["seq"] == before["seq"] + 1:
        return f"line {number - 1} or this one was changed"
    if entry["seq"] > before["seq"] + 1:
        return "lines between them were removed"
    return "lines were inserted or moved"


def _data(path: Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> RecordError:
    return RecordError("the journal cannot be read", where={"file": str(path)}, seen=error.strerror or str(error))


def _lines(data: bytes) -> tuple[list[bytes], bool]:
    """The lines without their ends, and whether the last one is ended."""
    lines = data.split(b"\n")
    last = lines.pop()
    return ([*lines, last], False) if last else (lines, True)


def _hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _line(entry: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(entry, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise RecordError(
            f"the event {entry['event']} cannot be written as JSON", seen=str(error), next="report this as a fault"
        ) from error
    return text.encode("utf-8", "backslashreplace")  # half a surrogate pair becomes JSON's own escape of it


def _is_as_written(line: bytes, entry: Mapping[str, Any]) -> bool:
    try:
        return _line(entry) == line and tuple(entry)[: len(HEAD)] == HEAD
    except RecordError:  # a number that JSON does not have
        return False


def _entry(line: bytes) -> dict[str, Any] | None:
    """The event in a line, or ``None`` where there is no whole one."""
    try:
        entry = json.loads(line)
        if type(entry["seq"]) is int and all(isinstance(entry[name], str) for name in HEAD[1:]):
            return dict(entry)
    except (ValueError, RecursionError, TypeError, KeyError):
        pass
    return None


def plain(value: Any) -> Any:
    """A value as JSON can hold it, with known secrets taken out."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return redact(str(value))
    if isinstance(value, Mapping):
        return {redact(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return [plain(item) for item in sorted(value, key=str)]
    return redact(str(value))
