"""The journal: on the disk before it returns, and nothing in it can be changed unseen."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from umkit import durable, journal
from umkit.errors import RecordError
from umkit.journal import ZEROS, Journal, read, verify

LINES = 6


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


@pytest.fixture
def written(path: Path) -> Path:
    with Journal(path) as open_journal:
        for number in range(LINES):
            open_journal.append("step", chapter="02", step=f"FMT-{number}", result="ok", title="Schriftsatz ä")
    return path


def test_lines_are_chained_and_begin_with_the_same_keys(written: Path) -> None:
    lines = written.read_bytes().split(b"\n")
    assert lines.pop() == b""
    previous = ZEROS
    for number, line in enumerate(lines, 1):
        entry = json.loads(line)
        assert list(entry)[:4] == ["seq", "time", "event", "prev"]
        assert (entry["seq"], entry["event"], entry["prev"]) == (number, "step", previous)
        assert entry["time"].endswith("Z")
        assert len(entry["time"]) == len("2026-11-22T17:05:01.123Z")
        previous = hashlib.sha256(line).hexdigest()
    assert "ä".encode() in lines[0]
    assert verify(written) == []


def test_an_events_fields_have_one_order(path: Path) -> None:
    with Journal(path) as open_journal:
        entry = open_journal.append("step", extra=1, result="ok", step="FMT-1", chapter="02")
    assert list(entry)[4:] == ["chapter", "step", "result", "extra"]
    assert read(path) == [entry]


def test_the_journal_goes_on_where_it_ended(written: Path) -> None:
    with Journal(written) as again:
        assert again.append("run-end", result="ok")["seq"] == LINES + 1
    assert verify(written) == []


def test_a_line_is_synced_before_append_returns(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(durable.os, "fsync", lambda number: synced.append(os.fstat(number).st_size))
    with Journal(path) as open_journal:
        synced.clear()
        open_journal.append("run-end", result="ok")
    assert synced == [path.stat().st_size]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ({"b": (1, None), "a": {2}}, {"b": [1, None], "a": [2]}),
        ("line\nbreak\u2028 \x00 \N{GRINNING FACE}", "line\nbreak\u2028 \x00 \N{GRINNING FACE}"),
        ("half \ud83d", "half \ud83d"),
        (Path("a"), "a"),
        (1.5, 1.5),
        (True, True),
    ],
)
def test_any_value_is_kept_on_one_line(path: Path, value: object, kept: object) -> None:
    with Journal(path) as open_journal:
        open_journal.append("step", value=value)
        open_journal.append("step", value=value)
    assert path.read_bytes().count(b"\n") == 2
    assert [entry["value"] for entry in read(path)] == [kept, kept]
    assert verify(path) == []


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_does_not_have_is_refused(written: Path, number: float) -> None:
    before = written.read_bytes()
    with Journal(written) as open_journal, pytest.raises(RecordError, match="cannot be written as JSON"):
        open_journal.append("step", value=number)
    assert written.read_bytes() == before


def test_the_head_belongs_to_the_journal(path: Path) -> None:
    with Journal(path) as open_journal, pytest.raises(ValueError, match="prev"):
        open_journal.append("step", prev="x")


def test_a_closed_journal_takes_nothing(path: Path) -> None:
    open_journal = Journal(path)
    open_journal.close()
    with pytest.raises(RecordError, match="closed"):
        open_journal.append("step")
    assert path.read_bytes() == b""


# What can happen to a file


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write to a read-only file")
def test_a_read_only_journal_is_refused_at_once(written: Path) -> None:
    written.chmod(0o444)
    with pytest.raises(RecordError, match="cannot be written"):
        Journal(written)


def test_a_folder_that_is_missing_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="cannot be written"):
        Journal(tmp_path / "missing" / "journal.jsonl")


def test_a_full_disk_is_an_error_and_leaves_a_whole_journal(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, room = os.write, 40
    before = written.read_bytes()

    def write(number: int, data: bytes) -> int:
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = real(number, bytes(data)[:room])
        room -= done
        return done

    with Journal(written) as open_journal:
        with monkeypatch.context() as patch:
            patch.setattr(durable.os, "write", write)
            with pytest.raises(RecordError, match="cannot be written") as caught:
                open_journal.append("intent", step="FMT-1")
            assert caught.value.seen == "No space left on device"
            assert written.read_bytes() == before
        open_journal.append("run-end", result="failed")  # room again
    assert [entry["event"] for entry in read(written)][-1] == "run-end"
    assert verify(written) == []


def test_a_full_disk_that_cannot_even_shorten_a_file_leaves_a_torn_line(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, written_to = os.write, list[int]()

    def write(number: int, data: bytes) -> int:
        if written_to:
            raise OSError(errno.ENOSPC, "No space left on device")
        written_to.append(number)
        return real(number, bytes(data)[:40])

    def refused(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with Journal(written) as open_journal:
        with monkeypatch.context() as patch:
            patch.setattr(durable.os, "write", write)
            patch.setattr(durable.os, "ftruncate", refused)
            with pytest.raises(RecordError, match="cannot be written"):
                open_journal.append("intent", step="FMT-1")
        open_journal.append("run-end", result="failed")
    assert [entry["event"] for entry in read(written)][-2:] == ["torn", "run-end"]
    assert [(str(finding), finding.explained) for finding in verify(written)] == [
        ("journal.jsonl line 7: torn, cut off by a crash; line 8 explains it", True)
    ]


@pytest.mark.parametrize("cut", [1, 2, 30, 150])
def test_a_torn_last_line_is_kept_and_explained(written: Path, cut: int) -> None:
    whole = written.read_bytes()
    torn = whole[:-cut]
    written.write_bytes(torn)
    assert [finding.explained for finding in verify(written)] in ([False], [False, False])
    with Journal(written) as open_journal:
        open_journal.append("run-end", result="failed")
    assert written.read_bytes().startswith(torn + b"\n")
    event = read(written)[-2]
    assert (event["event"], event["seq"], event["lines"]) == ("torn", LINES + 1, [LINES])
    assert [finding.explained for finding in verify(written)] == [True]
    assert str(verify(written)[0]).startswith("journal.jsonl line 6: torn")


def test_a_crash_while_explaining_a_torn_line_is_explained_too(written: Path) -> None:
    written.write_bytes(written.read_bytes()[:-20] + b'\n{"seq": 7, "ti')
    with Journal(written) as open_journal:
        assert open_journal.append("run-end", result="failed")["seq"] == LINES + 3
    assert [finding.explained for finding in verify(written)] == [True, True]


def test_a_torn_line_cannot_be_explained_away_elsewhere(written: Path) -> None:
    written.write_bytes(written.read_bytes()[:-20])
    with Journal(written) as open_journal:
        open_journal.append("run-end", result="failed")
    lines = written.read_bytes().split(b"\n")
    written.write_bytes(b"\n".join([*lines[:4], lines[5], *lines[6:]]))  # a whole line before the torn one is gone
    assert not all(finding.explained for finding in verify(written))


def test_a_journal_that_was_cut_while_in_use_takes_nothing_more(written: Path) -> None:
    with Journal(written) as open_journal:
        open_journal.append("step")
        written.write_bytes(written.read_bytes()[:-30])
        with pytest.raises(RecordError, match="became shorter"):
            open_journal.append("step")


def test_an_empty_or_missing_journal_is_found(path: Path) -> None:
    assert "cannot be read" in verify(path)[0]
    path.touch()
    assert verify(path) == ["journal.jsonl line 1: missing, the journal is empty"]
    with pytest.raises(RecordError, match="cannot be read"):
        read(path.with_name("other"))


# Tampering


def _tampered(written: Path, lines: list[bytes]) -> str:
    written.write_bytes(b"".join(line + b"\n" for line in lines))
    found = verify(written)
    assert found
    assert not any(finding.explained for finding in found)
    return "\n".join(found)


def test_tampering_is_found_and_located(written: Path) -> None:
    lines = written.read_bytes().splitlines()
    assert "line 3 or this one was changed" in _tampered(
        written, [*lines[:2], lines[2].replace(b'"ok"', b'"no"'), *lines[3:]]
    )
    assert "line 3: does not follow line 2: lines between them were removed" in _tampered(
        written, [*lines[:2], *lines[3:]]
    )
    assert "line 4: does not follow line 3: lines were inserted or moved" in _tampered(
        written, [*lines[:3], lines[1], *lines[3:]]
    )
    assert "line 3: does not follow" in _tampered(written, [*lines[:2], lines[3], lines[2], *lines[4:]])
    assert "line 1: does not follow line 0: lines before it were removed" in _tampered(written, lines[1:])
    assert "line 3: cannot be read" in _tampered(written, [*lines[:2], b"", *lines[2:]])
    assert "line 6: not as the journal writes a line" in _tampered(written, [*lines[:5], lines[5] + b" "])


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_before_the_last_line_is_found(written: Path, data: st.DataObject) -> None:
    whole = written.read_bytes()
    last_line = whole.rindex(b"\n", 0, -1) + 1
    position = data.draw(st.integers(0, last_line - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[position]))
    try:
        written.write_bytes(whole[:position] + bytes([byte]) + whole[position + 1 :])
        found = verify(written)
        assert found
        assert not any(finding.explained for finding in found)
        line = whole.count(b"\n", 0, position) + 1
        assert any(f"line {near}:" in finding for finding in found for near in (line, line + 1))
    finally:
        written.write_bytes(whole)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_other_order_of_the_lines_is_found(written: Path, data: st.DataObject) -> None:
    whole = written.read_bytes()
    lines = whole.splitlines(keepends=True)
    order = data.draw(st.lists(st.integers(0, LINES - 1), max_size=LINES + 2))
    try:
        written.write_bytes(b"".join(lines[number] for number in order))
        is_beginning = order == list(range(len(order))) and order
        assert bool(verify(written)) != bool(is_beginning)  # only a cut at the very end leaves a whole chain
    finally:
        written.write_bytes(whole)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=80), position=st.integers(0, 2000))
def test_verify_and_read_take_any_bytes(written: Path, noise: bytes, position: int) -> None:
    whole = written.read_bytes()
    try:
        written.write_bytes(whole[:position] + noise + whole[position:])
        last = whole.rindex(b"\n", 0, len(whole) - 1) + 1
        if not noise:
            assert verify(written) == []
        elif position < last or position >= len(whole):
            assert verify(written)  # inside the last line only the manifest tells: nothing follows that holds its hash
        read(written)
    finally:
        written.write_bytes(whole)


# Several writers

WRITER = """
import sys
from pathlib import Path
from umkit.journal import Journal
with Journal(Path(sys.argv[1])) as journal:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(40):
        journal.append("step", writer=sys.argv[2], number=number)
"""


def test_two_processes_write_one_chain(path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in ("parent", "kernel")
    ]
    for writer in writers:
        assert writer.stdout
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.communicate("go\n", timeout=60)
        assert writer.returncode == 0
    assert verify(path) == []
    entries = read(path)
    assert len(entries) == 80
    for name in ("parent", "kernel"):
        assert [entry["number"] for entry in entries if entry["writer"] == name] == list(range(40))


def test_two_journals_of_one_process_take_turns(path: Path) -> None:
    with Journal(path) as one, Journal(path) as other:
        for number in range(5):
            one.append("step", number=number)
            other.append("step", number=number)
    assert verify(path) == []
    assert [entry["seq"] for entry in read(path)] == list(range(1, 11))


def test_who_holds_the_lock_too_long_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_LOCK_WAIT", 0.0)
    with Journal(path) as one, Journal(path) as other, one._lock, pytest.raises(RecordError, match="held by another"):
        other.append("step")


def test_secrets_are_masked_wherever_they_stand(path: Path) -> None:
    from umkit.secrets import Secret, remember

    remember(Secret("canary-4711-journal"))
    with Journal(path) as open_journal:
        open_journal.append(
            "outcome",
            error={"what": "wrong password canary-4711-journal"},
            command=Secret("x"),
            **{"list": ["canary-4711-journal"]},
        )
    assert b"canary-4711" not in path.read_bytes()
    assert path.read_bytes().count(b"(secret)") == 3
