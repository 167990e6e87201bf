"""What a kernel leaves behind that ends before its chapter was sealed: shut down, and killed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

from umkit import customer, record
from umkit.journal import read
from umkit.lab import Lab
from umkit.unanswered import reconcile

ROOT = Path(__file__).resolve().parents[1]
FMT = "02-message-formats"


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[tuple[KernelManager, Any]]:
    """A kernel with a person before it, in which FMT-0 was applied."""
    cells = json.loads((ROOT / "runbooks" / f"{FMT}.ipynb").read_text("utf-8"))["cells"]
    source = {cell["id"]: "".join(cell["source"]) for cell in cells}
    with Lab() as lab:
        manager = KernelManager(kernel_name="python3")
        changes = {"UMKIT_LAB": json.dumps(lab.describe()), "UMKIT_RECORDS": str(tmp_path)}
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        there = {n: v for n, v in os.environ.items() if n not in ("UMKIT_HEADLESS", "UMKIT_RECORD")}
        manager.start_kernel(env=there | changes | {"PYTHONPATH": path})
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=60)

        def run(code: str) -> Any:
            reply = client.execute_interactive(
                code, allow_stdin=True, timeout=60, output_hook=lambda _: None, stdin_hook=lambda _: None
            )
            assert reply["content"]["status"] == "ok", reply["content"]
            return reply

        for cell in ("inputs", "chapter", "FMT-0"):
            run(source[cell])
        run("chapter.sitting.apply('FMT-0').result()")
        yield manager, run
        client.stop_channels()
        if manager.is_alive():
            manager.shutdown_kernel(now=True)


def test_a_kernel_that_is_shut_down_seals_its_record(kernel: tuple[KernelManager, Any], tmp_path: Path) -> None:
    manager, _ = kernel
    manager.shutdown_kernel()
    [folder] = [path.parent for path in tmp_path.glob("lab/*/journal.jsonl")]
    assert record.verify(folder) == []
    [end] = [event for event in read(folder / "journal.jsonl") if event["event"] == "chapter-end"]
    assert "before it was sealed" in end["error"]["what"]
    assert end["result"] == "failed"
    [summary] = record.listing(tmp_path)
    assert (summary.mode, summary.under_way, summary.sealed) == ("interactive", False, True)


def test_after_a_kernel_was_killed_the_next_run_looks(kernel: tuple[KernelManager, Any], tmp_path: Path) -> None:
    manager, _ = kernel
    manager.shutdown_kernel(now=True)
    [folder] = [path.parent for path in tmp_path.glob("lab/*/journal.jsonl")]
    lines = (folder / "journal.jsonl").read_text("utf-8").splitlines(keepends=True)
    last = max(at for at, line in enumerate(lines) if json.loads(line).get("mutating"))
    (folder / "journal.jsonl").write_text("".join(lines[: last + 1]), "utf-8")  # killed while it was under way
    [summary] = record.listing(tmp_path)
    assert not summary.under_way, "the customer is free"
    inputs = customer.load(ROOT / "parameters" / "lab.yaml")
    with Lab() as lab, record.create(tmp_path, inputs, mode="apply", chapters=[FMT]) as begun:
        answers = reconcile(inputs, begun.journal, tmp_path, lab=lab.describe())
    assert [answer.about.intent["command"]["name"] for answer in answers] == ["New-RemoteDomain"]
    assert answers[0].found == "it did not take effect", "in this other lab it did not"
