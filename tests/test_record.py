"""The record: made once, sealed last, and every later change is found and named."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from umkit import durable, record
from umkit.customer import CustomerFile, parse
from umkit.durable import write_atomic
from umkit.errors import RecordError
from umkit.journal import Journal, read
from umkit.lock import CustomerLock

NOW = datetime(2026, 11, 22, 17, 5, 1, tzinfo=UTC)


@pytest.fixture
def inputs() -> CustomerFile:
    sections = {
        "customer": {"name": "acme", "title": "Ünicode & Sons"},
        "exchange": {
            "endpoint": "http://ex01.acme.example/PowerShell/",
            "username": "umadmin@acme.example",
            "password": "env:ACME_PASSWORD",
        },
    }
    return parse(sections, source="a test")


@pytest.fixture
def records(tmp_path: Path) -> Path:
    return tmp_path / "records"


@pytest.fixture
def sealed(records: Path, inputs: CustomerFile) -> Path:
    with record.create(records, inputs, mode="apply", chapters=["00-start"], given="# as given\n", now=NOW) as kept:
        kept.journal.append("chapter-start", chapter="00-start")
        kept.journal.append("chapter-end", chapter="00-start", result="changed")
        write_atomic(kept.notebooks / "00-start.ipynb", "{}")
        kept.close("changed")
    return kept.folder


def test_a_record_begins_with_its_inputs_and_its_journal(records: Path, inputs: CustomerFile) -> None:
    with record.create(records, inputs, mode="apply", chapters=["00-start"], given="# mine\nx: 1\n", now=NOW) as kept:
        assert kept.folder == records / "acme" / "20261122-170501-apply"
        assert (kept.customer, kept.run, kept.mode) == ("acme", "20261122-170501-apply", "apply")
        text = (kept.folder / "inputs.yaml").read_text("utf-8")
        values = yaml.safe_load(text)
        assert values["given"] == "# mine\nx: 1\n"
        assert values["used"]["exchange"]["password"] == "env:ACME_PASSWORD"
        assert values["used"]["exchange"]["deadline"] == 120
        assert "Ünicode & Sons" in text
        start = read(kept.journal.path)[0]
        assert {key: start[key] for key in ("event", "run", "customer", "mode", "chapters")} == {
            "event": "run-start",
            "run": kept.run,
            "customer": "acme",
            "mode": "apply",
            "chapters": ["00-start"],
        }


def test_a_run_id_is_taken_once(sealed: Path, records: Path, inputs: CustomerFile) -> None:
    names = []
    for _ in range(2):
        with record.create(records, inputs, mode="apply", chapters=[], now=NOW) as kept:
            names.append(kept.run)
    assert names == ["20261122-170501-apply-2", "20261122-170501-apply-3"]


def test_a_sealed_record_is_whole(sealed: Path) -> None:
    assert record.verify(sealed) == []
    manifest = json.loads((sealed / "manifest.json").read_text())
    assert list(manifest["files"]) == ["inputs.yaml", "journal.jsonl", "notebooks/00-start.ipynb"]
    assert manifest["files"]["notebooks/00-start.ipynb"]["size"] == 2
    assert sorted(path.name for path in sealed.iterdir()) == [
        "inputs.yaml",
        "journal.jsonl",
        "manifest.json",
        "notebooks",
    ]


def test_a_signature_over_the_manifest_is_no_added_file(sealed: Path) -> None:
    (sealed / "signature.dsse.json").write_text("{}")
    assert record.verify(sealed) == []


def test_changed_missing_and_added_files_are_named(sealed: Path) -> None:
    (sealed / "inputs.yaml").write_text("other")
    (sealed / "notebooks" / "00-start.ipynb").unlink()
    (sealed / "notebooks" / "09-more.ipynb").write_text("{}")
    assert record.verify(sealed) == [
        "notebooks/00-start.ipynb: missing",
        "notebooks/09-more.ipynb: added after the record was sealed",
        "inputs.yaml: changed",
    ]


def test_a_change_in_the_journal_is_located(sealed: Path) -> None:
    journal = sealed / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole.replace(b"00-start", b"00-START", 1))
    assert record.verify(sealed) == [
        "journal.jsonl: changed",
        "journal.jsonl line 2: does not follow line 1: line 1 or this one was changed",
    ]
    journal.write_bytes(whole.replace(b'"event": "run-end"', b'"event": "run-End"'))
    assert record.verify(sealed) == ["journal.jsonl: changed, in its last line or after it"]


@pytest.mark.parametrize("manifest", [b"", b"[]", b'{"files": {"a": 1}}', b"\xff"])
def test_a_broken_manifest_is_a_finding(sealed: Path, manifest: bytes) -> None:
    (sealed / "manifest.json").write_bytes(manifest)
    assert record.verify(sealed)[0].startswith("manifest.json: cannot be read")


def test_a_record_that_was_never_sealed_says_so(records: Path, inputs: CustomerFile) -> None:
    with record.create(records, inputs, mode="plan", chapters=[]) as kept:
        pass
    assert record.verify(kept.folder) == ["manifest.json: missing: the record is not sealed"]


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_of_the_journal_is_found(sealed: Path, data: st.DataObject) -> None:
    journal = sealed / "journal.jsonl"
    whole = journal.read_bytes()
    position = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[position]))
    try:
        journal.write_bytes(whole[:position] + bytes([byte]) + whole[position + 1 :])
        assert record.verify(sealed)[0].startswith("journal.jsonl: changed")
    finally:
        journal.write_bytes(whole)


# Writing whole files


@pytest.mark.parametrize("broken", ["replace", "fsync"])
def test_a_file_that_cannot_be_written_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    path = tmp_path / "file.json"
    write_atomic(path, "old")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((Path, "replace", fail) if broken == "replace" else (durable.os, "fsync", fail)))
    with pytest.raises(RecordError, match=r"file\.json cannot be written") as caught:
        write_atomic(path, "new")
    assert caught.value.seen == "No space left on device"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]
    assert path.read_text() == "old"


def test_a_record_where_nothing_can_be_written_is_refused(tmp_path: Path, inputs: CustomerFile) -> None:
    (tmp_path / "records").write_text("a file where the folder should be")
    with pytest.raises(RecordError, match="cannot be written"):
        record.create(tmp_path / "records", inputs, mode="apply", chapters=[])


def test_a_disk_that_fills_while_a_record_begins_gives_the_lock_back(
    records: Path, inputs: CustomerFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        def full(*_: object) -> None:
            raise RecordError("inputs.yaml cannot be written")

        patch.setattr(record, "write_atomic", full)
        with pytest.raises(RecordError):
            record.create(records, inputs, mode="apply", chapters=[])
    assert not CustomerLock(records / "acme").is_held()


# One run at a time

OTHER = """
import sys
from pathlib import Path
from umkit.errors import RecordError
from umkit.lock import CustomerLock
lock = CustomerLock(Path(sys.argv[1]))
try:
    lock.acquire()
except RecordError as error:
    print(error.what, "|", error.seen)
else:
    lock.name("theirs")
    print("taken", flush=True)
    sys.stdin.readline()
"""


def _other(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", OTHER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_another_process_is_refused_and_told_who_works_there(records: Path, inputs: CustomerFile) -> None:
    with record.create(records, inputs, mode="apply", chapters=[], now=NOW):
        said, _ = _other(records / "acme").communicate(timeout=60)
    assert said.startswith("another run works on acme | run 20261122-170501-apply, user ")
    assert f", pid {os.getpid()}, host " in said


def test_the_lock_of_a_process_that_was_killed_is_free(records: Path, inputs: CustomerFile) -> None:
    folder = records / "acme"
    folder.mkdir(parents=True)
    other = _other(folder)
    assert other.stdout
    assert other.stdout.readline() == "taken\n"
    with pytest.raises(RecordError, match="another run works on acme") as caught:
        record.create(records, inputs, mode="apply", chapters=[])
    assert caught.value.seen.startswith("run theirs, user ")
    assert f", pid {other.pid}, " in caught.value.seen
    assert list(folder.glob("2*")) == []
    other.kill()
    other.communicate()
    with record.create(records, inputs, mode="apply", chapters=[]) as kept:
        assert CustomerLock(folder).holder()["run"] == kept.run


def test_a_cell_that_is_run_again_is_not_locked_out_by_itself(records: Path, inputs: CustomerFile) -> None:
    record.create(records, inputs, mode="apply", chapters=[])
    again = record.create(records, inputs, mode="apply", chapters=[])
    again.close("ok")
    assert not CustomerLock(records / "acme").is_held()


# Listing


def test_runs_are_listed_newest_first_with_their_chapters(sealed: Path, records: Path, inputs: CustomerFile) -> None:
    with record.create(records, inputs, mode="verify", chapters=["00-start"]) as kept:
        kept.journal.append("chapter-start", chapter="00-start")
        under_way, done = record.listing(records)
    assert (under_way.run, under_way.under_way, under_way.chapters) == (kept.run, True, {})
    assert (done.run, done.customer, done.mode, done.result) == ("20261122-170501-apply", "acme", "apply", "changed")
    assert (done.chapters, done.sealed, done.under_way, done.problem) == ({"00-start": "changed"}, True, False, "")
    assert done.ended is not None
    assert done.ended >= done.started
    crashed = record.listing(records)[0]
    assert (crashed.under_way, crashed.result, crashed.chapters) == (False, "unknown", {"00-start": "unknown"})


def test_broken_records_are_listed_with_their_problem(sealed: Path, records: Path) -> None:
    for run, journal in (("20260101-000000-plan", None), ("20260102-000000-plan", b"\xff{"), ("not-a-run", b"")):
        folder = records / "beta" / run
        folder.mkdir(parents=True)
        if journal is not None:
            (folder / "journal.jsonl").write_bytes(journal)
    listed = record.listing(records)
    assert [run.run for run in listed] == ["20261122-170501-apply", "20260102-000000-plan", "20260101-000000-plan"]
    assert [bool(run.problem) for run in listed] == [False, True, True]
    assert listed[-1].started == datetime(2026, 1, 1, tzinfo=UTC)
    assert record.listing(records / "nowhere") == []


def test_a_journal_with_strange_events_is_listed(records: Path) -> None:
    folder = records / "acme" / "20260101-000000-plan"
    folder.mkdir(parents=True)
    with Journal(folder / "journal.jsonl") as journal:
        journal.append("chapter-end")
        journal.append("chapter-start", chapter=["odd"])
    assert record.listing(records)[0].result == "unknown"


def test_no_secret_reaches_the_inputs(records: Path, inputs: CustomerFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_PASSWORD", "canary-4711-record")
    inputs.references()["exchange.password"].resolve(interactive=False)
    with record.create(records, inputs, mode="plan", chapters=[], given="# canary-4711-record") as kept:
        kept.close("ok")
    assert all(b"canary-4711" not in path.read_bytes() for path in kept.folder.rglob("*.*") if path.is_file())
