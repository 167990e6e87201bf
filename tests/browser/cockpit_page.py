"""What the browser tests act with: a running cockpit, a page of it, a chapter in that page.

Nothing here sleeps: every wait is for a condition in the page, on the disk or at the server.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import nbformat
from card_page import LOOK, PATIENCE, Card
from playwright.sync_api import Locator, Page, expect

from umkit.lab import Lab

ROOT = Path(__file__).resolve().parents[2]
PARAMETERS = ROOT / "parameters"
expect.set_options(timeout=PATIENCE)

#: The number before a cell; a cell that is folded away shows none.
_PROMPT = ".jp-CodeCell .jp-InputArea-prompt"
_ALL_RAN = f"""panel => [...panel.querySelectorAll('{_PROMPT}')].every(one => /\\[[ 0-9]+\\]/.test(one.textContent))"""


class Cockpit:
    """``umkit open`` in a process of its own, against a lab of its own.

    Arguments:
        folder: where it is called: ``work/``, ``records/``, the lab's trace and its log come to lie there.
        customer: the customer's name or file.
        parameters: the folder of the customer files.
        lab: a lab that runs already and writes ``trace.jsonl`` in the folder; else the command starts one.
    """

    def __init__(
        self, folder: Path, customer: str = "lab", *, parameters: Path = PARAMETERS, lab: Lab | None = None
    ) -> None:
        self.folder = folder
        self.trace = folder / "trace.jsonl"
        self.log = folder / "open.log"
        self.records = folder / "records"
        self.customer_file = parameters / f"{customer}.yaml"
        self._asked_for = 0
        command = [sys.executable, "-m", "umkit", "open", customer, "--no-browser", "--json"]
        command += ["--trace", str(self.trace), "--parameters", str(parameters)]
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        environment = {name: value for name, value in os.environ.items() if name != "UMKIT_LAB"}
        if lab is not None:
            environment["UMKIT_LAB"] = json.dumps(lab.describe())
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment | {"PYTHONPATH": path},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert '"token"' in line, f"umkit open did not begin to serve: {line}\n{self.log.read_text('utf-8')}"
        self.described: dict[str, Any] = json.loads(line)
        self.token = str(self.described["token"])
        self.address = str(self.described["url"]).partition("/lab/")[0]
        self.work = Path(self.described["folder"])

    def url(self, chapter: str) -> str:
        """The address of a chapter, with the token; without the tabs that were open before, and their kernels."""
        return f"{self.address}/lab/tree/{chapter}.ipynb?token={self.token}&reset"

    def notebook(self, chapter: str) -> Any:
        """A chapter's notebook as it lies on the disk now."""
        return nbformat.read(self.work / f"{chapter}.ipynb", as_version=4)

    def commands(self) -> list[dict[str, Any]]:
        """Every line that the lab wrote down so far: what was sent, in order."""
        if not self.trace.exists():
            return []
        return [json.loads(line) for line in self.trace.read_text("utf-8").splitlines()]

    def mutating(self) -> list[str]:
        """The names of the commands that change something, in the order the lab received them."""
        return [one["name"] for line in self.commands() if line["mutating"] for one in line["commands"]]

    @contextlib.contextmanager
    def asked_for(self) -> Iterator[None]:
        """A person presses a button that may change something; what is sent before the end of it is meant to be."""
        self.nothing_unasked()
        yield
        self._asked_for = len(self.mutating())

    def nothing_unasked(self) -> None:
        """Hold that nothing was changed since the last button that may change something."""
        assert self.mutating()[self._asked_for :] == [], "sent though nobody pressed a button that changes anything"

    def end_kernels(self) -> None:
        """End every kernel, and with it what it has begun."""
        for session in self._api("sessions"):
            self._api(f"sessions/{session['id']}", "DELETE")

    def _api(self, path: str, method: str = "GET") -> Any:
        request = Request(f"{self.address}/api/{path}", method=method)
        request.add_header("Authorization", f"token {self.token}")
        with urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or "null")

    def stop(self) -> int:
        """End it as the system would; its exit status."""
        self.process.terminate()
        status = self.process.wait(timeout=60)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status


class ChapterPage:
    """One chapter, open in JupyterLab.

    Arguments:
        page: the browser's page; JupyterLab may be in it already.
        cockpit: the cockpit that serves it.
        chapter: the chapter's name.
    """

    def __init__(self, page: Page, cockpit: Cockpit, chapter: str) -> None:
        self.page = page
        self.cockpit = cockpit
        self.chapter = chapter
        self.panel = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        #: The ids of the cells in their order; read while nobody writes the file, for Jupyter does that in place.
        self.ids = [cell["id"] for cell in cockpit.notebook(chapter).cells]

    def open(self) -> ChapterPage:
        """Show the chapter and wait for its kernel: by its address, or in the file browser where JupyterLab is up."""
        if self.page.url.startswith(self.cockpit.address):
            item = self.page.locator(f".jp-DirListing-item[title*='{self.chapter}.ipynb']")
            item.dblclick()
        else:
            self.page.goto(self.cockpit.url(self.chapter))
        return self.opened()

    def opened(self) -> ChapterPage:
        """Wait until the chapter is the one that is shown, with its kernel."""
        tab = self.page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab.lm-mod-current", has_text=f"{self.chapter}.ipynb")
        expect(tab).to_be_visible()
        expect(self.panel.locator(".jp-Cell").first).to_be_visible()
        self.wait_for_kernel()
        return self

    def wait_for_kernel(self) -> None:
        """Wait until the kernel answers and has nothing to do.

        The indicator in the toolbar says idle before there is a kernel, and Run would then ask for one; the words in
        the status bar are to be believed.
        """
        expect(self.page.locator(".jp-StatusBar-Widget").get_by_text(re.compile(r"\| Idle$"))).to_be_visible()

    def shut_down(self) -> None:
        """End the chapter's kernel; the page stays."""
        self.cockpit.end_kernels()

    def run_all(self) -> None:
        """Run › Run All Cells, and wait until each cell has ended."""
        self.start_all()
        self.wait_for_all()

    def start_all(self) -> None:
        """Run › Run All Cells, without waiting."""
        self._blank_prompts()
        self._menu("Run", "Run All Cells")

    def run_step(self, step: str) -> Card:
        """Run a step's cell and wait for its card."""
        self.run_cell(step)
        return self.card(step)

    def run_head(self) -> None:
        """Run what stands before the first step, from the first cell on by Shift+Enter: some of it is folded away."""
        self._blank_prompts("chapter")
        self.panel.locator(".jp-Notebook-cell").first.click()
        for _ in range(self.ids.index("chapter") + 1):
            self.page.keyboard.press("Shift+Enter")
        self._wait_for_cell("chapter")

    def run_cell(self, id: str) -> Locator:
        """Run one cell by its id as a person does, chosen and then Shift+Enter; wait until it has ended."""
        self.start_cell(id)
        self._wait_for_cell(id)
        return self.cell(id)

    def start_cell(self, id: str) -> None:
        """Run one cell by its id without waiting."""
        self._blank_prompts(id)
        self.cell(id).locator(".jp-InputArea-prompt").click()
        self.page.keyboard.press("Shift+Enter")

    def cell(self, id: str) -> Locator:
        """A cell by its id; JupyterLab's page does not carry ids, so its place is that of the notebook."""
        return self.panel.locator(".jp-Notebook-cell").nth(self.ids.index(id))

    def card(self, step: str) -> Card:
        """A step's card; it is waited for."""
        card = Card(self.cell(step), step, self.cockpit)
        expect(card.root).to_be_visible()
        return card

    def seal(self) -> Path:
        """Save, press Seal, wait; the sealed record."""
        self.save()
        end = self.cell("end")
        end.get_by_role("button", name="Seal", exact=True).click()
        told = end.locator(".umkit-end > [role=status]").last
        expect(told).to_contain_text(re.compile("Sealed:|Not sealed"))
        assert "Not sealed" not in told.inner_text(), told.inner_text()
        return self.cockpit.folder / told.get_by_role("listitem").first.inner_text()

    def reload(self) -> None:
        """Load the page anew; the kernel goes on."""
        self.page.reload()
        expect(self.panel.locator(".jp-Cell").first).to_be_visible()
        self.wait_for_kernel()

    def restart_kernel(self) -> None:
        """Kernel › Restart Kernel…, confirmed; waits until the new one answers."""
        self._menu("Kernel", "Restart Kernel…")
        self.page.locator(".jp-Dialog").get_by_role("button", name="Confirm Kernel Restart").click()
        expect(self.page.locator(".jp-Dialog")).to_have_count(0)
        status = self.page.locator(".jp-StatusBar-Widget").get_by_text(re.compile(r"\| (?!Idle)"))
        with contextlib.suppress(AssertionError):  # it may be up again already
            expect(status).to_be_visible(timeout=2000)
        self.wait_for_kernel()

    def save(self) -> Any:
        """Ctrl+S; the notebook as it was saved."""
        self.panel.locator(".jp-Notebook-cell").first.click()
        with self.saved():
            self.page.keyboard.press("Control+s")
        return self.cockpit.notebook(self.chapter)

    @contextlib.contextmanager
    def saved(self) -> Iterator[None]:
        """What is done within saves the notebook; it is waited for."""
        with self.page.expect_response(lambda r: r.request.method == "PUT" and "/api/contents/" in r.url) as saved:
            yield
        assert saved.value.ok, saved.value.status

    def theme(self, name: str) -> None:
        """Choose a theme by its name, for example ``JupyterLab Dark``."""
        self.page.get_by_role("menuitem", name="Settings", exact=True).click()
        self.page.locator(".lm-Menu-item", has_text=re.compile("^Theme$")).hover()
        self.page.locator(".lm-Menu-item", has_text=re.compile(f"^{name}$")).click()
        expect(self.page.locator("body")).to_have_attribute("data-jp-theme-name", name)

    def screenshot(self, path: Path) -> None:
        """A picture of the page as it stands."""
        self.page.screenshot(path=path)

    def views(self) -> Iterator[str]:
        """The chapter as it stands: light, dark, and at 200 %."""
        yield "light"
        self.theme("JupyterLab Dark")
        yield "dark"
        self.theme("JupyterLab Light")
        with self.enlarged():
            yield "200-percent"

    @contextlib.contextmanager
    def enlarged(self) -> Iterator[None]:
        """The page at 200 %: as in a window of half the size."""
        usual = self.page.viewport_size or {"width": 1400, "height": 1000}
        self.page.set_viewport_size({"width": usual["width"] // 2, "height": usual["height"] // 2})
        yield
        self.page.set_viewport_size(usual)

    def _menu(self, menu: str, item: str) -> None:
        self.page.get_by_role("menuitem", name=menu, exact=True).click()
        self.page.locator(".lm-Menu-item:visible", has_text=re.compile(f"^{re.escape(item)}")).first.click()

    def _blank_prompts(self, id: str = "") -> None:
        """Empty the numbers before the cells, so that those to come are not taken for those that were there."""
        place = self.cell(id) if id else self.panel
        place.locator(f"{_PROMPT}, :scope.jp-CodeCell .jp-InputArea-prompt").evaluate_all(
            "prompts => prompts.forEach(prompt => { prompt.textContent = '' })"
        )

    def _wait_for_cell(self, id: str) -> None:
        expect(self.cell(id).locator(".jp-InputArea-prompt")).to_have_text(re.compile(r"\[\d+\]"))

    def wait_for_all(self) -> None:
        """Wait until every cell has ended, or was not reached because one before it failed."""
        handle = self.panel.element_handle()
        self.page.wait_for_function(_ALL_RAN, arg=handle, timeout=PATIENCE, polling=LOOK)
        self.wait_for_kernel()
