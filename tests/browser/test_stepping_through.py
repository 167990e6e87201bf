"""Each chapter gone through by a person, Apply where it is offered, sealed: as if it had run without one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from crash import flat
from executed_cards import cards, dead_parts
from playwright.sync_api import expect

from umkit.attestation import attest
from umkit.chapters import chapters
from umkit.customer import load
from umkit.headless import RunSummary, run
from umkit.lab import Lab
from umkit.outcome import WORDS

if TYPE_CHECKING:
    from cockpit_page import ChapterPage, Cockpit
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[2]
WHO = "A. Consultant"
DONE = re.compile(f": ({WORDS['ok']}|{WORDS['changed']})$")
#: What START-6 shows are the records so far, and the two have each their own.
LOOKS_BACK = ("START-6",)


@dataclass
class Pair:
    """A cockpit with its lab, and another lab in which the same is done without a person.

    Arguments:
        cockpit: the cockpit.
        lab: its lab.
        other: the lab without a person.
        records: the records without a person.
        alike: whether the two labs are still alike; a test that failed leaves them apart.
    """

    cockpit: Cockpit
    lab: Lab
    other: Lab
    records: Path
    alike: bool = field(default=True)

    def headless(self, chapter: str) -> RunSummary:
        """Apply a chapter without a person, after the same words for its manual steps."""
        for step in chapters()[chapter].steps:
            if step.kind == "manual":
                attest(self.records, "lab", step.id, who=WHO)
        return run(
            load(ROOT / "parameters" / "lab.yaml"),
            "apply",
            chapters=[chapter],
            records=self.records,
            runbooks=ROOT / "runbooks",
            lab=self.other.describe(),
        )


@pytest.fixture(scope="module")
def _pairs(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Pair]]:
    from cockpit_page import Cockpit

    pairs: list[Pair] = []

    def end() -> None:
        for pair in pairs:
            pair.cockpit.stop()
            pair.lab.stop()
            pair.other.stop()
        pairs.clear()

    def get() -> Pair:
        if not pairs or not pairs[-1].alike:
            end()
            folder = tmp_path_factory.mktemp("pair")
            lab, other = Lab(trace=folder / "trace.jsonl").start(), Lab().start()
            pairs.append(Pair(Cockpit(folder, lab=lab), lab, other, folder / "headless"))
        return pairs[-1]

    yield get
    end()


@pytest.fixture
def pair(_pairs: Callable[[], Pair]) -> Iterator[Pair]:
    """Two labs that are alike, whatever chapters were applied in both."""
    pair = _pairs()
    pair.alike = False
    yield pair
    pair.cockpit.nothing_unasked()


def _verified(record: Path) -> dict[str, Any]:
    """What the shell says of a record."""
    command = [sys.executable, "-m", "umkit", "records", "verify", str(record), "--json"]
    done = subprocess.run(
        command, cwd=record, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("name", chapters())
def test_a_chapter_stepped_through_is_what_an_apply_is(
    name: str, pair: Pair, open_chapter: Callable[..., ChapterPage], artefacts: Path
) -> None:
    info = chapters()[name]
    with ThreadPoolExecutor(1) as beside:
        without = beside.submit(pair.headless, name)
        chapter = open_chapter(pair.cockpit, name)
        chapter.run_all()  # which changes nothing, whatever it shows
        pair.cockpit.nothing_unasked()
        for step in info.steps:
            card = chapter.run_step(step.id)
            if "Apply" in card.offers:
                card.apply()
                expect(card.root).to_have_attribute("aria-label", DONE)
            elif "Done" in card.offers:
                card.attest(WHO)
            assert "Traceback" not in card.cell.inner_text()
        chapter.run_cell("end")
        record = chapter.seal()
        chapter.screenshot(artefacts / f"{name}-sealed.png")
        saved = chapter.save()
        chapter.shut_down()
        summary = without.result(timeout=600)

    sealed = nbformat.read(record / "notebooks" / f"{name}.ipynb", 4)
    plain = nbformat.read(summary.record / "notebooks" / f"{name}.ipynb", 4)
    said = {what: cards(nb) for what, nb in (("saved", saved), ("sealed", sealed), ("plain", plain))}
    assert list(said["plain"]) == [step.id for step in info.steps]
    for what in ("saved", "sealed"):
        assert list(said[what]) == list(said["plain"]), what
        for step, shown in said[what].items():
            assert step in LOOKS_BACK or shown == said["plain"][step], (what, step)
    for nb in (saved, sealed):
        assert dead_parts(nb) == []

    assert flat(pair.lab.state()) == flat(pair.other.state())
    assert _verified(record)["whole"] is True
    assert (record / "handover.html").stat().st_size > 0
    pair.alike = True
