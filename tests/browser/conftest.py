"""The browser, the cockpits and their artefacts.

Set ``UMKIT_CHROMIUM`` to a Chromium's path where it is not on the PATH. Without a browser, or without Playwright, the
tests are skipped; with ``UMKIT_BROWSER=required`` (as in .ci/run) they fail. ``UMKIT_ARTEFACTS`` names the folder for
screenshots and, of a test that fails, the console and the cockpit's log: ``artefacts/browser`` by default, not in git.
With ``UMKIT_TRACE=1`` a failing test leaves Playwright's trace there as well; that takes a quarter more time.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from customer_files import PARAMETERS

from umkit.lab import Lab

if TYPE_CHECKING:
    from cockpit_page import ChapterPage, Cockpit
    from playwright.sync_api import Browser, Page

    OpenChapter = Callable[..., ChapterPage]

if importlib.util.find_spec("playwright") is None:
    if os.environ.get("UMKIT_BROWSER") == "required":
        raise pytest.UsageError("Playwright is not installed: pip install umkit[browser]")
    collect_ignore_glob = ["test_*.py"]  # they need it from their first line on

_NAMES = ("chromium", "chromium-browser", "google-chrome", "msedge")
_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[None]:  # the fixtures have to know whether their test failed
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """The folder in which a run's pictures and logs are left."""
    folder = Path(os.environ.get("UMKIT_ARTEFACTS") or Path(__file__).parents[2] / "artefacts" / "browser")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    path = os.environ.get("UMKIT_CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    missing = "" if path else "there is no Chromium: install one, or name it in UMKIT_CHROMIUM"
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing = "Playwright is not installed: pip install umkit[browser]"
    if missing:
        if os.environ.get("UMKIT_BROWSER") == "required":
            pytest.fail(missing)
        pytest.skip(missing)
    root = hasattr(os, "geteuid") and os.geteuid() == 0  # Chromium's sandbox refuses to run as root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, chromium_sandbox=not root)
        yield browser
        browser.close()


def _name(request: pytest.FixtureRequest) -> str:
    return re.sub(r"[^\w.-]+", "-", request.node.name)


@pytest.fixture
def page(browser: Browser, artefacts: Path, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of a browser that nobody used before; a test fails on any error in its console."""
    from console import Console

    context = browser.new_context(viewport={"width": 1400, "height": 1000}, locale="en-GB")
    traced = os.environ.get("UMKIT_TRACE") == "1"
    if traced:
        context.tracing.start(screenshots=False, snapshots=True)
    page = context.new_page()
    console = Console()
    console.listen(page)
    yield page
    failed = request.node.stash.get(_FAILED, False) or bool(console.errors)
    name = _name(request)
    if failed:
        page.screenshot(path=artefacts / f"{name}.failed.png")
        (artefacts / f"{name}.console.txt").write_text("\n".join(console.lines), "utf-8")
    if traced:
        context.tracing.stop(path=artefacts / f"{name}.trace.zip" if failed else None)
    context.close()
    assert not console.errors, "the browser's console has errors:\n" + "\n".join(console.errors)


@pytest.fixture(scope="session")
def _shared(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cockpit]:
    from cockpit_page import Cockpit

    cockpit = Cockpit(tmp_path_factory.mktemp("cockpit"))
    yield cockpit
    cockpit.stop()


@pytest.fixture
def keep_log(artefacts: Path, request: pytest.FixtureRequest) -> Callable[[Cockpit], None]:
    """Leaves a cockpit's log among the artefacts if the test failed."""

    def keep(cockpit: Cockpit) -> None:
        if request.node.stash.get(_FAILED, False):
            shutil.copy(cockpit.log, artefacts / f"{_name(request)}.open.log")

    return keep


@pytest.fixture
def cockpit(_shared: Cockpit, keep_log: Callable[[Cockpit], None]) -> Iterator[Cockpit]:
    """The cockpit that tests share: for those that change nothing in its lab."""
    yield _shared
    keep_log(_shared)
    _shared.end_kernels()
    _shared.nothing_unasked()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a module's own cockpit; its customer files may be changed."""
    folder = tmp_path_factory.mktemp("stage")
    (folder / "parameters").mkdir()
    return folder


@pytest.fixture(scope="module")
def lab(browser: Browser, place: Path) -> Iterator[Lab]:
    """The lab of a module's own cockpit."""
    with Lab(trace=place / "trace.jsonl") as lab:
        yield lab


@pytest.fixture(scope="module")
def customer(place: Path) -> str:
    """The customer of a module's own cockpit."""
    shutil.copy(PARAMETERS / "lab.yaml", place / "parameters")
    return "lab"


@pytest.fixture(scope="module")
def _stage(place: Path, lab: Lab, customer: str) -> Iterator[Cockpit]:
    from cockpit_page import Cockpit

    cockpit = Cockpit(place, customer, parameters=place / "parameters", lab=lab)
    yield cockpit
    cockpit.stop()


@pytest.fixture
def stage(_stage: Cockpit, keep_log: Callable[[Cockpit], None]) -> Iterator[Cockpit]:
    """The cockpit that a module's tests share, with a lab of their own: each changes things in another chapter."""
    yield _stage
    keep_log(_stage)
    _stage.end_kernels()
    _stage.nothing_unasked()


@pytest.fixture
def file(stage: Cockpit) -> Iterator[Path]:
    """The customer's file, for a test that changes it: the next one finds it as it was."""
    before = stage.customer_file.read_bytes()
    yield stage.customer_file
    stage.customer_file.write_bytes(before)


@pytest.fixture
def open_chapter(page: Page) -> OpenChapter:
    """Opens a chapter of a cockpit in the test's page: ``open_chapter(cockpit, "02-message-formats")``."""
    from cockpit_page import ChapterPage

    def open_(cockpit: Cockpit, chapter: str) -> ChapterPage:
        return ChapterPage(page, cockpit, chapter).open()

    return open_
