"""One run of a customer's chapters: what the journal says is the result, and the record is always closed."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat.v4
import pytest
from made_up_chapters import Bench, acme

from umkit import record
from umkit.customer import CustomerFile
from umkit.errors import RecordError, UsageError
from umkit.headless import ChapterSummary, Progress, RunSummary
from umkit.headless.progress import Silence
from umkit.headless.results import judge
from umkit.journal import read
from umkit.lock import CustomerLock
from umkit.outcome import RESULTS

SLEEP = "import time; time.sleep(60)"


@pytest.fixture
def inputs() -> CustomerFile:
    return acme()


@pytest.fixture
def bench(tmp_path: Path, inputs: CustomerFile) -> Bench:
    return Bench(tmp_path, inputs)


def _events(summary: RunSummary, name: str) -> list[dict[str, Any]]:
    return [event for event in read(summary.record / "journal.jsonl") if event["event"] == name]


def test_a_run_of_many_fates(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_PW", "canary-4711-run")
    before = dict(os.environ)
    show = (
        "print(mode, customer['name'], relay, os.environ['UMKIT_HEADLESS'])\n"
        "print(os.environ['UMKIT_LAB'], os.environ['ACME_PW'])"
    )
    bench.chapter("00-start", show, "step('A-1'); step('A-2', 'changed')", "end('changed')")
    bench.chapter("01-raises", "step('B-1', 'open')", "1 / 0", "step('B-2')")
    intent = "journal.append('intent', chapter=chapter, step='C-1', id='c:1', mutating=True)"
    bench.chapter("02-dies", intent, "os._exit(0)")
    bench.chapter("03-forgets-to-end", "step('D-1')")
    bench.chapter("20-on-demand", "step('E-1', 'failed')")
    lab = {"exchange": "http://127.0.0.1:1/PowerShell/", "password": "labpass-4711"}
    summary = bench.run(lab=lab)

    assert [(chapter.chapter, chapter.result) for chapter in summary.chapters] == [
        ("00-start", "changed"),
        ("01-raises", "failed"),
        ("02-dies", "unknown"),
        ("03-forgets-to-end", "failed"),
    ]
    assert (summary.customer, summary.mode, summary.result, summary.exit_code) == ("acme", "apply", "unknown", 1)
    whole = summary.as_dict()
    assert list(whole) == ["run", "customer", "mode", "result", "record", "chapters"]
    assert whole["chapters"][0] == {
        "chapter": "00-start",
        "result": "changed",
        "steps": [
            {"id": "A-1", "title": "a step", "result": "ok", "changes": 0, "summary": "seen"},
            {"id": "A-2", "title": "a step", "result": "changed", "changes": 0, "summary": "seen"},
        ],
    }
    assert whole["chapters"][1]["error"] == {"error": "ZeroDivisionError", "what": "division by zero"}
    assert "The kernel died" in whole["chapters"][2]["error"]["what"]
    assert whole["chapters"][3]["error"]["what"] == "the notebook did not say how it ended"
    json.dumps(whole)

    # the journal says the same, the record is sealed and nobody holds it
    assert [(event["chapter"], event["result"]) for event in _events(summary, "chapter-end")] == [
        (chapter.chapter, chapter.result) for chapter in summary.chapters
    ]
    assert [event["result"] for event in _events(summary, "run-end")] == ["unknown"]
    assert record.verify(summary.record) == []
    assert record.listing(bench.records)[0].result == "unknown"
    assert not CustomerLock(bench.records / "acme").is_held()
    assert dict(os.environ) == before

    # the notebook shows what it ran with; what was not given is None, not the example's; no secret anywhere
    kept = {path.stem: nbformat.read(path, 4) for path in sorted(summary.record.glob("notebooks/*.ipynb"))}
    assert list(kept) == [chapter.chapter for chapter in summary.chapters]
    injected = kept["00-start"].cells[1]
    assert injected.metadata.tags == ["injected-parameters"]
    assert 'mode = "apply"' in injected.source
    assert '"password": "env:ACME_PW"' in injected.source
    assert "relay = None" in injected.source
    shown = kept["00-start"].cells[3].outputs[0].text
    assert shown.startswith("apply acme None 1\n")
    assert shown.count("(secret)") == 2
    written = [path.read_bytes() for path in summary.record.rglob("*") if path.is_file()]
    # whole words, never a few digits: a checksum or a time holds those by chance
    assert not [1 for raw in written for secret in (b"canary-4711", b"labpass-4711") if secret in raw]


def test_when_the_first_chapter_fails_no_other_one_runs(bench: Bench) -> None:
    bench.chapter("00-start", "step('A-1', 'failed')", "end('failed')")
    bench.chapter("01-next", "step('B-1')", "end()")
    summary = bench.run("plan")
    assert [(chapter.chapter, chapter.result) for chapter in summary.chapters] == [
        ("00-start", "failed"),
        ("01-next", "blocked"),
    ]
    assert summary.chapters[1].error == {"error": "Blocked", "what": "not run: 00-start failed"}
    assert not (summary.record / "notebooks" / "01-next.ipynb").exists()
    assert record.listing(bench.records)[0].chapters == {"00-start": "failed", "01-next": "blocked"}
    assert record.verify(summary.record) == []


class Interrupting(Silence):
    """Stops the run as soon as a step is seen: from the hook, or as Ctrl-C would."""

    def __init__(self, number: int | None) -> None:
        self.number = number
        self.seen = False
        self.ended: list[str] = []

    def step(self, event: Mapping[str, Any]) -> None:
        if self.seen:
            return
        self.seen = True
        if self.number is None:
            raise KeyboardInterrupt
        os.kill(os.getpid(), self.number)

    def chapter_ends(self, summary: ChapterSummary) -> None:
        self.ended.append(summary.result)


@pytest.mark.parametrize(
    "number",
    [
        None,
        pytest.param(signal.SIGINT, marks=pytest.mark.skipif(os.name != "posix", reason="Windows cannot send it")),
    ],
)
def test_an_interrupted_run_is_closed(bench: Bench, number: int | None) -> None:
    handler = signal.getsignal(signal.SIGINT)
    bench.chapter("01-slow", f"step('A-1')\ntry:\n    {SLEEP}\nfinally:\n    step('A-1', 'unknown')")
    bench.chapter("02-next", "end()")
    watching = Interrupting(number)
    summary = bench.run(progress=watching)
    assert [chapter.result for chapter in summary.chapters] == ["unknown", "blocked"] == watching.ended
    assert summary.chapters[0].error == {"error": "KeyboardInterrupt", "what": "stopped by a person or the system"}
    assert summary.chapters[1].error == {"error": "Blocked", "what": "not run: the run was stopped"}
    assert (summary.result, summary.exit_code, summary.stopped) == ("unknown", 1, True)
    assert record.verify(summary.record) == []
    assert signal.getsignal(signal.SIGINT) is handler
    kept = nbformat.read(summary.record / "notebooks" / "01-slow.ipynb", 4)
    assert kept.metadata.umkit.ended == "interrupted"


def test_a_cell_over_the_deadline_fails_its_chapter_and_the_next_one_runs(bench: Bench) -> None:
    bench.chapter("01-slow", SLEEP)
    bench.chapter("02-next", "step('B-1')", "end()")
    summary = bench.run("verify", deadline=1)
    assert [chapter.result for chapter in summary.chapters] == ["failed", "ok"]
    assert summary.chapters[0].error
    assert summary.chapters[0].error["error"] == "CellTimeoutError"


def test_progress_is_lines_for_a_log(bench: Bench) -> None:
    from rich.console import Console

    bench.chapter("01-one", "step('A-1', 'differs')", "end('differs')")
    shown = io.StringIO()
    with Progress(verbose=True, console=Console(file=shown, soft_wrap=True, highlight=False)) as progress:
        summary = bench.run("plan", progress=progress)
    lines = shown.getvalue().splitlines()
    assert lines[0] == f"acme: plan, 1 chapter, run {summary.run}"
    assert lines[1:3] == ["01-one", "  1/1 A-1 a step: differs; seen"]
    assert lines[3].startswith("01-one: differs (")
    assert lines[4] == "acme: plan: differs"
    assert summary.exit_code == 3


# What runs


def _chosen(bench: Bench, *names: str) -> list[str]:
    from umkit.headless.run import _chosen

    return [chapter.name for chapter in _chosen(bench.runbooks, names, bench.inputs)]


def test_chapters_are_chosen_by_name_or_number(bench: Bench) -> None:
    for name in ("02-two", "00-start", "20-on-demand"):
        bench.chapter(name)
    bench.chapter("03-imap", parameters="imap4 = {}")
    assert _chosen(bench) == ["00-start", "02-two"]  # no imap4 wanted; 20 is for an occasion
    assert _chosen(bench, "20", "02-two.ipynb") == ["02-two", "20-on-demand"]
    assert _chosen(bench, "03-imap") == ["03-imap"]
    with pytest.raises(UsageError, match="there is no chapter 2"):
        _chosen(bench, "2")


@pytest.mark.parametrize("content", ["", "{}", '{"cells": [{"metadata": {"tags": ["parameters"]}, "source": "a ="}]}'])
def test_a_file_that_is_no_notebook_is_refused_before_anything_begins(bench: Bench, content: str) -> None:
    (bench.runbooks / "01-broken.ipynb").write_text(content)
    with pytest.raises(UsageError, match=r"01-broken\.ipynb is no notebook of the runbook"):
        bench.run()
    assert not bench.records.exists()


def test_wrong_usage_begins_nothing(bench: Bench) -> None:
    with pytest.raises(UsageError, match="no mode"):
        bench.run("destroy")
    with pytest.raises(UsageError, match="no chapter to run"):
        bench.run()
    assert not bench.records.exists()


def test_a_customer_that_is_worked_on_is_refused(bench: Bench) -> None:
    import threading

    bench.chapter("01-one")
    refused: list[RecordError] = []

    def elsewhere() -> None:
        try:
            bench.run()
        except RecordError as error:
            refused.append(error)

    with record.create(bench.records, bench.inputs, mode="apply", chapters=[]) as kept:
        other = threading.Thread(target=elsewhere)
        other.start()
        other.join(60)
    assert refused
    assert kept.run in refused[0].seen


# What the journal means


def _judged(*events: tuple[str, dict[str, Any]], broke_off: bool = False) -> str:
    return judge([{"event": name, "chapter": "c"} | fields for name, fields in events], "c", broke_off=broke_off).result


INTENT = ("intent", {"step": "A", "id": "c:1", "mutating": True})
LOST = ("outcome", {"intent": "c:1", "outcome": "unknown"})
END = ("chapter-end", {"result": "ok"})


@pytest.mark.parametrize(
    ("events", "result"),
    [
        ([], "failed"),
        ([END], "ok"),
        ([("step", {"step": "A", "result": "changed"}), ("step", {"step": "B", "result": "open"}), END], "open"),
        ([("step", {"step": "A", "result": "differs"}), ("step", {"step": "B", "result": "blocked"}), END], "blocked"),
        ([("step", {"step": "A", "result": "nonsense"}), END], "unknown"),
        ([("step", {"step": "A", "result": "ok"})], "failed"),
        ([INTENT], "unknown"),
        ([("intent", {"step": "A", "id": "c:1", "mutating": False})], "failed"),
        ([INTENT, ("outcome", {"intent": "c:1", "outcome": "done"})], "failed"),
        ([INTENT, LOST], "unknown"),
        ([INTENT, LOST, ("step", {"step": "A", "result": "ok"}), END], "ok"),
        ([INTENT, ("outcome", {"intent": "other", "outcome": "done"}), END], "unknown"),
        ([END, ("chapter-start", {})], "failed"),
        ([("chapter-end", {"chapter": "other", "result": "ok"})], "failed"),
    ],
)  # fmt: skip
def test_a_chapter_is_judged_by_its_journal(events: list[tuple[str, dict[str, Any]]], result: str) -> None:
    assert _judged(*events) == result


def test_a_notebook_that_broke_off_is_never_fine() -> None:
    assert _judged(END, broke_off=True) == "failed"
    assert _judged(INTENT, broke_off=True) == "unknown"


@pytest.mark.parametrize(
    ("mode", "results", "code"),
    [
        ("apply", ["ok", "changed"], 0),
        ("apply", ["changed", "open"], 4),
        ("apply", ["open", "differs"], 3),
        ("apply", ["open", "blocked"], 1),
        ("apply", ["failed", "open"], 1),
        ("rollback", ["blocked"], 1),
        ("plan", ["blocked"], 3),
        ("plan", ["ok", "changed"], 3),
        ("verify", ["differs", "open"], 3),
        ("verify", ["open"], 4),
        ("verify", ["unknown"], 1),
        ("verify", ["ok"], 0),
    ],
)
def test_the_exit_code_follows_every_step(mode: str, results: list[Any], code: int) -> None:
    chapters = [ChapterSummary("c", max(results, key=RESULTS.index), [{"id": "A", "result": r} for r in results])]
    assert RunSummary("r", "c", mode, chapters[0].result, Path(), chapters).exit_code == code
