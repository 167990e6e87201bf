"""The list of the runs: cheap, and the same as if every journal were read whole, also where somebody changed one."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from taking_back import Place, inputs

from umkit import cli, history, journal, proof, record
from umkit.errors import RecordError, UsageError
from umkit.journal import read, select
from umkit.lab import Lab

RUN = "20260101-120000-apply"
KINDS = ("run-start", "run-end", "chapter-start", "chapter-end", "session")
#: Pieces of journals, whole and hostile, of which others are put together.
PIECES = [
    b'{"seq": 1, "time": "2026-01-01T12:00:00.000Z", "event": "run-start", "prev": "0", "mode": "apply"}',
    b'{"seq": 1, "time": "odd", "event": "run-start", "prev": "0", "mode": ["plan"]}',
    b'{"seq":2,"time":"2026-01-01T12:00:01.000Z","event":"run\\u002dstart","prev":"0","mode":"verify"}',
    b'{"seq": 3, "time": "2026-01-01T13:00:00.000Z", "event": "run-end", "prev": "0", "result": "ok"}',
    b'{"seq": 4, "time": "2026-01-01T14:00:00.000Z", "\\u0065vent": "run-end", "prev": "0", "result": "changed"}',
    b'{"seq": 5, "time": "t", "event": "run-end", "prev": "0", "event": "step"}',
    b'{"seq": 6, "time": "t", "event": "chapter-start", "prev": "0", "chapter": "00-start"}',
    b'{"seq": 6, "time": "t", "event": "chapter-start", "prev": "0"}',
    b'{"seq": 7, "time": "t", "event": "chapter-end", "prev": "0", "chapter": "00-start", "result": "ok"}',
    b'{"seq": 7, "time": "t", "event": "chapter\\u002Dend", "prev": "0", "chapter": ["00-start"]}',
    b'{"seq": 8, "time": "t", "event": "step", "prev": "0", "title": "run-start, run-end and chapter-end"}',
    b'{"seq": "8", "time": "t", "event": "run-end", "prev": "0", "result": "not a whole event"}',
    '{"seq": 9, "time": "t", "event": "run-end", "prev": "0", "result": "wide"}'.encode("utf-16-le"),
    b'\xef\xbb\xbf{"seq": 9, "time": "t", "event": "run-end", "prev": "0", "result": "with a mark"}',
    b'{"seq": 9, "time": "t", "event": "run-e',
    b"",
    b"\r",
    b"\xff\x00{",
    b"[]",
]


def whole(folder: Path) -> dict[str, Any]:
    """What a listing says of a run whose journal is read to the last line, as it was done before it was made cheap."""
    problem, events = "", []
    try:
        events = read(folder / record.JOURNAL)
    except RecordError as error:
        problem = error.seen
    if not problem and not any(event["event"] == "run-start" for event in events):
        problem = "its journal does not say how the run began"
    start = next((event for event in events if event["event"] == "run-start"), {})
    end = next((event for event in reversed(events) if event["event"] == "run-end"), {})
    chapters = {
        str(each["chapter"]): "unknown" for each in events if each["event"] == "chapter-start" and "chapter" in each
    }
    chapters |= {str(each.get("chapter")): str(each.get("result")) for each in events if each["event"] == "chapter-end"}
    return {
        "mode": str(start.get("mode", "")),
        "result": str(end.get("result", "unknown")),
        "started": time_of(start) or datetime.strptime(folder.name[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC),
        "ended": time_of(end),
        "problem": problem,
        "chapters": chapters,
    }


def time_of(event: dict[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(event["time"])
    except (KeyError, ValueError):
        return None


def is_true(folder: Path) -> None:
    """Compare the cheap listing with the whole reading."""
    [told] = [run for run in record.listing(folder.parent.parent) if run.folder == folder]
    full = whole(folder)
    assert {name: getattr(told, name) for name in full} == full
    events = read(folder / record.JOURNAL)
    for kind in KINDS:
        assert select(folder / record.JOURNAL, (kind,)) == [event for event in events if event["event"] == kind]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The record of a run in the lab."""
    folder = tmp_path_factory.mktemp("listing")
    with Lab() as lab:
        yield Place(lab, folder / "records", folder / "trace.jsonl").go("apply", "01", "02").record


def copy(done: Path, folder: Path) -> Path:
    made = folder / done.parent.name / done.name
    shutil.copytree(done, made)
    return made


def test_a_whole_record_and_one_that_was_cut_off_at_any_line(done: Path, tmp_path: Path) -> None:
    made = copy(done, tmp_path)
    path = made / record.JOURNAL
    lines = path.read_bytes().splitlines(keepends=True)
    is_true(made)
    for number in range(len(lines)):
        for half in (0, 1, len(lines[number]) // 2, len(lines[number]) - 1):
            path.write_bytes(b"".join(lines[:number]) + lines[number][:half])
            is_true(made)


def test_a_record_that_somebody_changed(done: Path, tmp_path: Path) -> None:
    made, choice = copy(done, tmp_path), random.Random(4711)
    path = made / record.JOURNAL
    lines = path.read_bytes().splitlines(keepends=True)
    first, last = lines[0], lines[-1]
    ways: list[Callable[[], list[bytes]]] = [
        lambda: lines[1:],
        lambda: lines[:-1],
        lambda: [last, *lines[1:-1], first],
        lambda: [first, first.replace(b'"apply"', b'"plan"'), *lines[1:]],
        lambda: [*lines, last.replace(b'"changed"', b'"ok"')],
        lambda: [*lines, b"\n"],
        lambda: [*lines, b"\n\n"],
        lambda: [first.replace(b"run-start", b"run\\u002dstart"), *lines[1:]],
        lambda: [*lines[:-1], last.replace(b"run-end", b"run\\u002Dend"), lines[3]],
        lambda: [b"\n", *lines],
        lambda: [line.replace(b'"event": ', b'"event":') for line in lines],
        lambda: [line.replace(b"\n", b"\r\n") for line in lines],
        lambda: choice.sample(lines, len(lines)),
    ]
    for way in ways:
        path.write_bytes(b"".join(way()))
        is_true(made)
    for _ in range(200):
        data = bytearray(b"".join(lines))
        for _ in range(choice.randint(1, 3)):
            data[
                choice.choice([choice.randrange(len(data)), choice.randrange(len(first)), -choice.randint(1, 200)])
            ] = choice.randrange(256)
        path.write_bytes(bytes(data))
        is_true(made)


@given(st.lists(st.sampled_from(PIECES), max_size=8), st.booleans())
def test_what_is_no_journal_of_ours(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], ended: bool) -> None:
    made = tmp_path_factory.mktemp("odd") / "acme" / RUN
    made.mkdir(parents=True)
    (made / record.JOURNAL).write_bytes(b"\n".join(pieces) + b"\n" * ended)
    is_true(made)


@pytest.mark.parametrize("length", [1, 4095, 4096, 4097, 20000])
def test_a_last_line_of_any_length(tmp_path: Path, length: int) -> None:
    made = tmp_path / "acme" / RUN
    made.mkdir(parents=True)
    end = PIECES[3].replace(b'"ok"', b'"%s"' % (b"x" * length))
    for last in (end, end + b"\n", end + b"\n\n"):
        (made / record.JOURNAL).write_bytes(PIECES[0] + b"\n" + last)
        is_true(made)
        first, second = read(made / record.JOURNAL)
        assert journal.ends(made / record.JOURNAL) == (first, None if last.endswith(b"\n\n") else second)
    (made / record.JOURNAL).unlink()
    assert record.summary(made).problem == "No such file or directory"


def test_two_lines_of_a_whole_journal_are_read_and_none_to_find_a_run(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[bytes] = []
    entry = journal._entry

    def counted(line: bytes) -> dict[str, Any] | None:
        parsed.append(line)
        return entry(line)

    monkeypatch.setattr(journal, "_entry", counted)
    home = copy(done, tmp_path).parent
    for number in range(30):
        shutil.copytree(done, home / f"20260101-1200{number:02}-apply")
    listed = CliRunner().invoke(cli.main, ["records", "list", "--records", str(tmp_path)])
    assert len(listed.stdout.splitlines()) == 31
    assert len(parsed) == 2 * 31
    parsed.clear()
    assert proof.find("lab/20260101-120007", tmp_path).name == "20260101-120007-apply"
    with pytest.raises(UsageError, match="is not one run"):
        proof.find("20260101-12", tmp_path)
    assert parsed == []
    assert proof.find("latest", tmp_path).name
    parsed.clear()
    assert history.find(tmp_path, inputs(), "20260101-120007").name == "20260101-120007-apply"
    assert len(parsed) < len(read(done / record.JOURNAL)) / 10
    shown = CliRunner().invoke(cli.main, ["records", "list", "--json", "--records", str(tmp_path)])
    assert json.loads(shown.stdout)["records"][0]["chapters"] == {
        "01-forwarding-emails": record.summary(done).chapters["01-forwarding-emails"],
        "02-message-formats": "changed",
    }
