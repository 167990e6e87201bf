"""A full disk and a read-only folder: nothing is changed that cannot be written down, and one clear error says so."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from umkit import durable, record, runbook
from umkit.customer import load, parse
from umkit.errors import OutcomeNotWritten, RecordError, UmkitError
from umkit.journal import Finding, read, verify
from umkit.lab import Lab

ROOT = Path(__file__).resolve().parents[1]
CHAPTER = "02-message-formats"
NO_ROOM = OSError(errno.ENOSPC, "No space left on device")


@dataclass
class Went:
    """A chapter that was executed in this process: how it ended, what the lab received, what is in the journal."""

    error: BaseException | None
    received: list[dict[str, Any]]
    journal: Path
    findings: list[Finding]
    writes: int

    @property
    def sent(self) -> list[str]:
        """The changing commands that the lab received."""
        return [line["commands"][0]["name"] for line in self.received if line["mutating"]]

    @property
    def announced(self) -> list[str]:
        """The changing commands whose intents are on the disk."""
        intents = (event for event in read(self.journal) if event["event"] == "intent" and event["mutating"])
        return [event["command"]["name"] for event in intents]


@dataclass
class Disk:
    """The journal's disk: from one of its writes on it is full.

    Arguments:
        full_at: the number of the write that fails, from 1; 0 for none.
        room: bytes of that write that still fit.
        for_good: whether it stays full.
    """

    full_at: int = 0
    room: int = 0
    for_good: bool = True
    writes: int = 0
    _real: Callable[[int, Any], int] = field(default=os.write)

    def write(self, number: int, data: Any) -> int:
        """What ``os.write`` is while a chapter runs; sockets and pipes need no disk."""
        if not stat.S_ISREG(os.fstat(number).st_mode):
            return self._real(number, data)
        self.writes += 1
        if self.full_at and self.writes == self.full_at and self.room:
            room, self.room, self.full_at = self.room, 0, self.full_at + 1
            return self._real(number, bytes(data)[:room])
        if self.full_at and (self.writes == self.full_at or (self.for_good and self.writes > self.full_at)):
            raise NO_ROOM
        return self._real(number, data)


class Bench:
    """A lab and a folder of records; one chapter is executed without a kernel, as headless runs do it."""

    def __init__(self, folder: Path, lab: Lab, trace: Path, patch: pytest.MonkeyPatch) -> None:
        self.records, self.lab, self.trace, self.patch = folder / "records", lab, trace, patch
        cells = json.loads((ROOT / "runbooks" / f"{CHAPTER}.ipynb").read_text("utf-8"))["cells"]
        code = [cell for cell in cells if cell["cell_type"] == "code"]
        self.cells = ["".join(c["source"]) for c in code if "parameters" not in c["metadata"].get("tags", ())]

    def _received(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.trace.read_text("utf-8").splitlines()]

    def apply(self, disk: Disk) -> Went:
        """Execute the chapter with this disk; the record is left as a run would leave it."""
        values = load(ROOT / "parameters" / "lab.yaml").dump()
        inputs = parse({**values, "um_services": values["um_services"][:1]}, source="a test")
        since = len(self._received())
        error: BaseException | None = None
        with (
            record.create(self.records, inputs, mode="apply", chapters=[CHAPTER]) as kept,
            self.patch.context() as patch,
        ):
            patch.setenv("UMKIT_RECORD", str(kept.folder))
            patch.setenv("UMKIT_HEADLESS", "1")
            patch.setenv("UMKIT_LAB", json.dumps(self.lab.describe()))
            patch.setattr(durable.os, "write", disk.write)
            names: dict[str, Any] = {"mode": "apply", **inputs.dump()}
            try:
                for cell in self.cells:
                    exec(compile(cell, CHAPTER, "exec"), names)
            except UmkitError as raised:
                error = raised
            finally:
                runbook.close()
        path = kept.folder / "journal.jsonl"
        return Went(error, self._received()[since:], path, verify(path), disk.writes)


@contextmanager
def bench(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[Bench]:
    folder.mkdir(parents=True, exist_ok=True)
    with Lab(trace=folder / "trace.jsonl") as lab:
        yield Bench(folder, lab, folder / "trace.jsonl", patch)


def _state(lab: Lab) -> Any:
    return [
        {name: value for name, value in entry.items() if "Guid" not in name and "When" not in name}
        for entry in lab.state()["objects"]["RemoteDomain"]
    ]


def _reads_before_it_sends(went: Went) -> bool:
    """Whether each changed noun was read, in the same run, before anything of it was changed."""
    read_already: set[str] = set()
    for line in went.received:
        verb, _, noun = line["commands"][0]["name"].partition("-")
        if line["mutating"] and noun not in read_already:
            return False
        if verb == "Get":
            read_already.add(noun)
    return True


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Went, Any]:
    with (
        pytest.MonkeyPatch.context() as patch,
        bench(tmp_path_factory.mktemp("undisturbed"), patch) as made,
    ):
        went = made.apply(Disk())
        assert went.error is None
        assert len(went.sent) >= 9
        assert went.sent == went.announced
        return went, _state(made.lab)


@pytest.mark.parametrize("part", range(3))
def test_the_disk_fills_at_any_write(
    undisturbed: tuple[Went, Any], part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At write k nothing more is sent; a following apply, with room again, reads first and reaches the same state."""
    whole, state = undisturbed
    lost = 0
    for number in range(1 + part, whole.writes + 1, 6):  # every second write of a chapter, in three parts
        with bench(tmp_path / str(number), monkeypatch) as fresh:
            went = fresh.apply(Disk(number, room=25 if number % 2 else 0))
            assert isinstance(went.error, RecordError), number
            assert "No space left" in went.error.seen
            assert "make room" in went.error.next
            # every command that was received had its intent on the disk; at most one intent was not sent any more
            assert went.sent == went.announced, number
            assert went.findings == []
            outcomes = [event for event in read(went.journal) if event["event"] == "outcome"]
            intents = [event for event in read(went.journal) if event["event"] == "intent"]
            is_lost = bool(intents) and intents[-1]["mutating"] and intents[-1]["id"] != outcomes[-1]["intent"]
            assert isinstance(went.error, OutcomeNotWritten) == is_lost, number
            lost += is_lost
            again = fresh.apply(Disk())
            assert again.error is None
            assert _reads_before_it_sends(again)
            assert went.sent + again.sent == whole.sent, "nothing is sent twice, and nothing is left out"
            assert _state(fresh.lab) == state
    assert lost >= 1


def test_only_the_outcome_cannot_be_written(
    undisturbed: tuple[Went, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There was no room for one line: the step is unknown, and says that its command was sent."""
    events = read(undisturbed[0].journal)
    intent = next(event for event in events if event["event"] == "intent" and event["mutating"])
    with bench(tmp_path, monkeypatch) as made:
        went = made.apply(Disk(intent["seq"], for_good=False))
    assert isinstance(went.error, OutcomeNotWritten)
    assert "New-RemoteDomain was sent" in went.error.what
    assert "umkit plan" in went.error.next
    assert went.sent == ["New-RemoteDomain"] == went.announced
    assert went.findings == []
    [step] = [event for event in read(went.journal) if event["event"] == "step" and event["result"] != "ok"]
    assert (step["step"], step["result"], step["error"]["error"]) == ("FMT-0", "unknown", "OutcomeNotWritten")


# The command line


def _umkit(folder: Path, lab: Lab, *arguments: str, room: int = 0) -> subprocess.CompletedProcess[str]:
    """``umkit apply lab`` with its records in a folder; no file may become larger than ``room`` bytes, unless 0."""
    begin = "import sys; from umkit.cli import main; "
    if room:
        begin += (
            "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
            f"resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room})); "
        )
    command = ["apply", "lab", "--json", "--chapter", "00", "--chapter", "02", "--records", str(folder), *arguments]
    return subprocess.run(
        [sys.executable, "-c", f"{begin}main({command!r})"],
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        timeout=180,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "UMKIT_LAB": json.dumps(lab.describe()),
            "PYTHONIOENCODING": "utf-8",
        },
    )


def _is_one_clear_error(done: subprocess.CompletedProcess[str]) -> None:
    """Of the whole run, or of the chapter whose notebook could not be kept while the journal still could."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    said = json.loads(done.stdout)
    errors = [said] if "error" in said else [c["error"] for c in said["chapters"] if c["error"]["error"] != "Blocked"]
    assert "result" not in said or said["result"] in ("failed", "unknown")
    [error] = errors
    assert error["error"] in ("RecordError", "OutcomeNotWritten")
    assert "cannot be written" in error["what"]
    assert "make room or give write access there" in error["next"]
    assert "cannot be written" in done.stderr


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Lab, Path]]:
    with Lab(trace=tmp_path / "trace.jsonl") as lab:
        yield lab, tmp_path / "trace.jsonl"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows limits no file's size")
@pytest.mark.parametrize("room", [9_000, 24_000])
def test_the_command_line_on_a_full_disk(running: tuple[Lab, Path], room: int, tmp_path: Path) -> None:
    """The kernels inherit the limit, so the journal or a notebook is cut wherever it happens to be."""
    lab, trace = running
    done = _umkit(tmp_path / "records", lab, room=room)
    _is_one_clear_error(done)
    [journal] = (tmp_path / "records").glob("*/*/journal.jsonl")
    received = [json.loads(line) for line in trace.read_text("utf-8").splitlines()]
    sent = [line["commands"][0]["name"] for line in received if line["mutating"]]
    announced = [e["command"]["name"] for e in read(journal) if e["event"] == "intent" and e["mutating"]]
    assert sent == announced
    assert verify(journal) == []
    again = _umkit(tmp_path / "records", lab)
    assert again.returncode == 0, again.stderr


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    """A folder that nobody may write to, not even root: a file system of its own."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here, and root may write everywhere")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def _forbidden(folder: Path) -> Iterator[None]:
    """A folder without the right to write."""
    folder.mkdir()
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(0o755)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a file system, or takes a right away")
def test_the_command_line_and_a_read_only_folder(running: tuple[Lab, Path], tmp_path: Path) -> None:
    lab, trace = running
    with (_read_only if os.geteuid() == 0 else _forbidden)(tmp_path / "records"):
        done = _umkit(tmp_path / "records", lab)
    _is_one_clear_error(done)
    assert trace.read_text("utf-8") == "", "nothing was contacted"


@pytest.mark.parametrize("refusal", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_a_record_that_cannot_be_begun(tmp_path: Path, refusal: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever in its beginning the folder refuses: one error, and the customer's lock is free again."""
    inputs = load(ROOT / "parameters" / "lab.yaml")

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(refusal, os.strerror(refusal))

    for place in ("os.fsync", "os.write", "pathlib.Path.mkdir", "pathlib.Path.replace", "pathlib.Path.touch"):
        with monkeypatch.context() as patch:
            patch.setattr(place, refuse)
            with pytest.raises(RecordError, match=r"cannot be written|cannot be made") as caught:
                record.create(tmp_path / "records", inputs, mode="apply", chapters=[CHAPTER])
            assert caught.value.seen == os.strerror(refusal), place
        with record.create(tmp_path / "records", inputs, mode="apply", chapters=[CHAPTER]):
            pass
