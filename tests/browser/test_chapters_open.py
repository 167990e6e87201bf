"""Each chapter in JupyterLab: opened, run, saved; it says what a run without a person says, and changes nothing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from executed_cards import cards

from umkit.chapters import chapters
from umkit.customer import load
from umkit.headless import run
from umkit.lab import Lab

if TYPE_CHECKING:
    from cockpit_page import ChapterPage, Cockpit
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[2]
#: Steps whose findings are of the time before, which the two did not share.
LOOKS_BACK = ("START-6",)
#: Compared with a plan; all of them are stepped through, and compared with an apply, in another module.
CHAPTERS = ("00-start", "05-mapi-account")


def _parameters(nb: Any) -> dict[str, Any]:
    """The injected values, but those that may differ: the mode."""
    [source] = [c.source for c in nb.cells if "injected-parameters" in c.metadata.get("tags", ())]
    values: dict[str, Any] = {}
    exec(source, {}, values)
    values.pop("mode")
    return values


def _hashes(folder: Path) -> Mapping[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.glob("*.ipynb"))}


@pytest.fixture(scope="module")
def planned(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[dict[str, Any]]]:
    """The notebooks of a plan without a person, in a lab like the cockpit's; made meanwhile."""

    def plan() -> dict[str, Any]:
        with Lab() as lab:
            summary = run(
                load(ROOT / "parameters" / "lab.yaml"),
                "plan",
                chapters=list(CHAPTERS),
                records=tmp_path_factory.mktemp("records"),
                runbooks=ROOT / "runbooks",
                lab=lab.describe(),
            )
        return {path.stem: nbformat.read(path, 4) for path in summary.record.glob("notebooks/*.ipynb")}

    with ThreadPoolExecutor(1) as beside:
        yield beside.submit(plan)


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_says_what_a_plan_says_and_changes_nothing(
    name: str,
    cockpit: Cockpit,
    open_chapter: Callable[..., ChapterPage],
    planned: Future[dict[str, Any]],
    artefacts: Path,
) -> None:
    before = _hashes(ROOT / "runbooks")
    chapter = open_chapter(cockpit, name)
    chapter.run_all()
    for step in chapters()[name].steps:
        card = chapter.card(step.id)
        assert card.state
        assert step.id in card.text
    saved = chapter.save()
    chapter.screenshot(artefacts / f"{name}.png")

    plan = planned.result(timeout=600)[name]
    here, there = cards(saved), cards(plan)
    assert list(here) == [step.id for step in chapters()[name].steps] == list(there)
    assert {step: said for step, said in here.items() if step not in LOOKS_BACK} == {
        step: said for step, said in there.items() if step not in LOOKS_BACK
    }
    assert _parameters(saved) == _parameters(plan)
    assert [cell["id"] for cell in saved.cells if cell["id"] != "injected-parameters"] == [
        cell["id"] for cell in plan.cells if "injected-parameters" not in cell.metadata.get("tags", ())
    ]
    assert cockpit.mutating() == []
    assert cockpit.commands(), "the trace is not this lab's"
    assert _hashes(ROOT / "runbooks") == before
    chapter.shut_down()


def test_a_kernel_restart_in_the_middle_is_harmless(cockpit: Cockpit, open_chapter: Callable[..., ChapterPage]) -> None:
    chapter = open_chapter(cockpit, "02-message-formats")
    chapter.run_head()
    for id in ("FMT-0", "FMT-1"):
        chapter.run_cell(id)
    first = chapter.card("FMT-1").rows
    assert first
    chapter.restart_kernel()
    chapter.run_cell("FMT-2")  # out of order, in a kernel that knows nothing yet
    assert "NameError" in chapter.cell("FMT-2").inner_text()
    chapter.run_all()
    assert chapter.card("FMT-1").rows == first
    assert re.search(r"FMT-9", chapter.cell("end").inner_text())
    assert cockpit.mutating() == []


PANEL = """
import ipywidgets
button, text = ipywidgets.Button(description="Apply"), ipywidgets.HTML("nothing was done")
button.on_click(lambda _: setattr(text, "value", "it was done"))
box = ipywidgets.VBox([text, button])
class Panel:
    def _repr_mimebundle_(self, **_):
        return box._repr_mimebundle_() | {"text/html": "<p>the card without buttons</p>"}
Panel()
"""


def test_a_widget_lives_in_the_page_and_leaves_its_html_in_the_file(
    cockpit: Cockpit, open_chapter: Callable[..., ChapterPage]
) -> None:
    """What every panel relies on, whatever it shows."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "umkit", "language": "python"}}
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(PANEL, id="panel")], metadata=kernel)
    nbformat.write(made, cockpit.work / "30-panel.ipynb")
    chapter = open_chapter(cockpit, "30-panel")
    chapter.run_all()
    chapter.page.get_by_role("button", name="Apply", exact=True).click()
    chapter.page.get_by_text("it was done", exact=True).wait_for()
    [output] = chapter.save().cells[0].outputs
    assert sorted(output.data) == ["text/html", "text/plain"]
    assert chapter.page.get_by_text("it was done", exact=True).is_visible(), (
        "saving must not take the widget out of the page"
    )
    chapter.shut_down()
    chapter.page.goto("about:blank")
    chapter.open()
    chapter.page.get_by_text("the card without buttons", exact=True).wait_for()
