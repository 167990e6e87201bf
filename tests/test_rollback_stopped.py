"""A rollback that is stopped, or that follows a run which broke off: nothing is guessed, and its record is whole."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from taking_back import ROOT, Place, broken_off, steps, texts

from umkit import record, rollback
from umkit.headless import RunSummary
from umkit.journal import read
from umkit.lab import Lab
from umkit.lock import CustomerLock
from umkit.unanswered import unanswered
from umkit.undoing import plan

POSIX = pytest.mark.skipif(os.name != "posix", reason="Windows cannot send another process this signal")
SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    handlers = [signal.getsignal(number) for number in SIGNALS]
    with Lab(trace=tmp_path / "trace.jsonl") as lab:
        yield Place(lab, tmp_path / "records", tmp_path / "trace.jsonl")
    assert [signal.getsignal(number) for number in SIGNALS] == handlers


def ended(folder: Path) -> list[str]:
    return [str(event["result"]) for event in read(folder / record.JOURNAL) if event["event"] == "run-end"]


def is_whole(done: RunSummary) -> None:
    """What holds for every rollback that was stopped."""
    assert (done.result, done.stopped, done.exit_code) == ("failed", True, 1)
    assert ended(done.record) == ["failed"]
    assert record.verify(done.record) == []
    assert (done.record / "handover.html").is_file()
    assert not CustomerLock(done.record.parent).is_held()


@pytest.mark.parametrize("number", SIGNALS)
def test_what_is_under_way_comes_to_its_end_and_the_rest_is_left(place: Place, number: signal.Signals) -> None:
    place.go("apply", "01")
    since = len(place.mutating())

    def say(text: str) -> None:
        if "changed and read back" in text:
            signal.raise_signal(number)

    done = place.back(say=say)
    is_whole(done)
    assert place.mutating()[since:] == ["Remove-SendConnector"]
    told = {step["result"]: step for step in steps(done).values()}
    assert set(told) == {"changed", "blocked"}
    assert "not taken back: the rollback was stopped" in texts(told["blocked"])
    assert place.back().result == "changed", "the next one takes back what is left"
    assert not any(name.startswith("XPhone Connect") for name in place.names("SendConnector"))


@pytest.mark.parametrize("number", SIGNALS)
def test_a_stop_while_it_is_planned_sends_nothing(
    place: Place, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.go("apply", "01")
    since = len(place.mutating())
    planned: list[str] = []

    def interrupted(deed: Any, site: Any) -> Any:
        planned.append(deed.label)
        signal.raise_signal(number)
        return plan(deed, site)

    monkeypatch.setattr(rollback, "plan", interrupted)
    is_whole(place.back())
    assert len(planned) == 1
    assert place.mutating()[since:] == []


@pytest.mark.parametrize("number", SIGNALS)
def test_a_stop_at_the_question_counts_at_once(place: Place, number: signal.Signals) -> None:
    place.go("apply", "01")
    since = len(place.mutating())

    def agree() -> bool:
        signal.raise_signal(number)
        raise AssertionError("the question goes on")

    is_whole(place.back(agree=agree))
    assert place.mutating()[since:] == []


def wait_for(condition: Callable[[], object]) -> None:
    end, pause = time.monotonic() + 60, threading.Event()
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        pause.wait(0.02)


@POSIX
def test_a_second_signal_does_not_wait_for_a_server_that_hangs(place: Place) -> None:
    place.go("apply", "01")
    place.lab.set_faults([{"at_mutation": 1, "do": "hang"}])
    options = ["--parameters", str(ROOT / "parameters"), "--records", str(place.records), "--yes", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "umkit", "rollback", "lab", *options],
        env={**os.environ, "UMKIT_LAB": json.dumps(place.lab.describe()), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )

    def events() -> list[dict[str, Any]]:
        return [event for path in place.records.glob("lab/*-rollback/journal.jsonl") for event in read(path)]

    try:
        wait_for(lambda: any(event.get("mutating") for event in events()))
        for number in SIGNALS:  # two of one kind that come at once are one
            process.send_signal(number)
        out, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1, said
    assert "Traceback" not in said
    assert "stopped; what was done is in the record" in said
    summary = json.loads(out)
    assert summary["result"] == "unknown", "nobody knows what became of the command"
    assert ended(Path(summary["record"])) == ["unknown"]
    assert record.verify(Path(summary["record"])) == []


def test_unanswered_commands_of_earlier_runs_are_looked_up_first(place: Place) -> None:
    first = place.go("apply", "01")
    broken_off(first.record, after_mutations=2)
    assert len(unanswered(first.record.parent)) == 1
    said: list[str] = []
    done = place.back(say=said.append)
    told = [event for event in read(done.record / record.JOURNAL) if event["event"] == "found" and "of" in event]
    assert [(event["found"], event["of"]) for event in told] == [("it took effect", first.run)]
    assert any(text.startswith("unanswered before: FWD-1 New-SendConnector") for text in said)
    assert unanswered(first.record.parent) == []
    assert done.result == "changed"
    assert not any(name.startswith("XPhone Connect") for name in place.names("SendConnector"))
