"""One kernel carries out a run's chapters: each finds it fresh, and the sessions are handed on."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path
from typing import Any

import nbformat
import pytest
from made_up_chapters import Bench, acme

from umkit.headless import RunSummary, folder, run
from umkit.journal import read
from umkit.lab import Lab

SEEN = """\
import sys, ipywidgets, threading
print(json.dumps({
    "pid": os.getpid(),
    "cwd": os.getcwd(),
    "left": [name for name in ("mine", "SHELL") if name in globals() or name in os.environ],
    "path": "/nowhere" in sys.path,
    "widgets": len(ipywidgets.Widget.widgets),
    "out": len(Out),
    "number": get_ipython().execution_count,
}))
"""
LITTER = """\
mine = ipywidgets.Text(value="mine")
display(mine)
os.environ["SHELL"] = "mine"
os.chdir("/")
sys.path.append("/nowhere")
mine
"""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.delenv("SHELL", raising=False)
    return Bench(tmp_path, acme())


def _seen(summary: RunSummary) -> dict[str, dict[str, Any]]:
    """What each chapter printed of its surroundings."""
    found = {}
    for path in sorted(summary.record.glob("notebooks/*.ipynb")):
        for cell in nbformat.read(path, 4).cells:
            for output in cell.get("outputs", ()):
                if output.get("name") == "stdout":
                    found[path.stem] = json.loads(output.text)
    return found


def _actions(lab: Lab) -> dict[str, int]:
    with urllib.request.urlopen(f"{lab.control}requests", timeout=10) as answer:
        counted: dict[str, int] = json.load(answer)["by_action"]
    return counted


@pytest.mark.skipif(os.name != "posix", reason="the folder / is Unix's")
def test_the_next_chapter_finds_the_kernel_as_if_it_had_just_been_started(bench: Bench) -> None:
    bench.chapter("00-start", "import json\n" + SEEN, LITTER, "step('A-1'); end()")
    bench.chapter("01-next", "import json\n" + SEEN, "step('B-1'); end()")
    summary = bench.run()
    assert summary.result == "ok"
    seen = _seen(summary)
    assert seen["01-next"] == seen["00-start"]
    assert (seen["00-start"]["left"], seen["00-start"]["widgets"], seen["00-start"]["path"]) == ([], 0, False)
    states = [
        nbformat.read(path, 4).metadata.get("widgets", {}) for path in sorted(summary.record.glob("notebooks/*.ipynb"))
    ]
    assert states[0]
    assert not states[1]


@pytest.mark.parametrize(
    "left",
    [
        "1 / 0",
        "import threading; threading.Thread(target=threading.Event().wait, args=(30,)).start(); step('A-1'); end()",
        "step('A-1'); end(); __import__('threading').Timer(0.0, os._exit, [0]).start()",
    ],
)
def test_a_kernel_that_cannot_be_made_fresh_is_not_used_again(bench: Bench, left: str) -> None:
    bench.chapter("01-first", "import json\n" + SEEN, left)
    bench.chapter("02-next", "import json\n" + SEEN, "step('B-1'); end()")
    summary = bench.run(chapters=["01", "02"])
    seen = _seen(summary)
    assert summary.chapters[1].result == "ok"
    assert seen["02-next"].pop("pid") != seen["01-first"].pop("pid")
    assert seen["02-next"] == seen["01-first"]


def test_a_session_is_opened_once_and_serves_all_chapters(tmp_path: Path) -> None:
    chapters = ["00-start", "01-forwarding-emails", "02-message-formats"]
    with Lab() as lab:
        summary = run(
            folder("parameters") / "lab.yaml", "apply", chapters=chapters, records=tmp_path, lab=lab.describe()
        )
        actions = _actions(lab)
    assert [chapter.chapter for chapter in summary.chapters] == chapters
    assert {chapter.error is None for chapter in summary.chapters} == {True}
    events = read(summary.record / "journal.jsonl")
    told = [event for event in events if event["event"] == "session"]
    endpoints = {event["endpoint"] for event in told}
    assert {event["chapter"] for event in told if event["endpoint"] == "exchange"} == set(chapters)
    assert (actions["Create"], actions["Delete"]) == (len(endpoints), len(endpoints))
    assert actions["Command"] == len([event for event in events if event["event"] == "intent"])


def test_without_a_run_a_chapter_closes_its_own_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    from umkit.remoting import Endpoint, kept
    from umkit.secrets import Secret

    with Lab() as lab:
        described = lab.describe()
        account = {"auth": "basic", "username": described["username"]}
        endpoint = Endpoint("exchange", described["exchange"], **account, password=Secret(described["password"]))
        monkeypatch.delenv(kept.VARIABLE, raising=False)
        for _ in range(2):
            session = kept.take(endpoint)
            session.open()
            kept.leave(session)
        assert (_actions(lab)["Create"], _actions(lab)["Delete"]) == (2, 2)

        monkeypatch.setenv(kept.VARIABLE, "1")
        first = kept.take(endpoint)
        first.open()
        kept.leave(first)
        assert kept.take(endpoint) is first
        other = Secret("another")
        assert (
            kept.take(Endpoint("exchange", endpoint.url, auth="basic", username=endpoint.username, password=other))
            is not first
        )
        kept.leave(first)
        kept.close()
        assert _actions(lab)["Delete"] == 3
