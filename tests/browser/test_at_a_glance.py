"""What somebody has to see at a glance who opens a chapter for the first time: the notebook, and where the focus is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

if TYPE_CHECKING:
    from cockpit_page import Cockpit
    from playwright.sync_api import Browser

#: Controls of cards and panels whose ring, when they have the focus, is none, or is cut off by a box around them.
_RINGS = """panel => {
    const cut = [], controls = ':is(button, input, select, textarea, summary, a, [tabindex="0"])'
    for (const control of panel.querySelectorAll(`.jp-OutputArea ${controls}`)) {
        if (!control.offsetParent || control.disabled) continue
        control.scrollIntoView({block: 'center'})
        control.focus({focusVisible: true})
        if (document.activeElement !== control) continue
        const style = getComputedStyle(control), box = control.getBoundingClientRect()
        const width = style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth)
        const ring = width + parseFloat(style.outlineOffset), name = control.textContent.trim() || control.title
        if (width < 3) cut.push(`${control.tagName} ${name}: ring of ${width}`)
        for (let around = control.parentElement; around !== panel; around = around.parentElement) {
            const frame = around.getBoundingClientRect(), {overflowX, overflowY} = getComputedStyle(around)
            if (overflowX === 'visible' && overflowY === 'visible') continue
            if (box.left - ring < frame.left - 0.1 || box.right + ring > frame.right + 0.1
                || box.top - ring < frame.top - 0.1 || box.bottom + ring > frame.bottom + 0.1)
                cut.push(`${control.tagName} ${name}: cut off by ${around.className}`)
        }
    }
    return cut
}"""


@pytest.fixture
def fresh(browser: Browser, tmp_path: Path, keep_log: Callable[[Cockpit], None]) -> Iterator[Cockpit]:
    """A cockpit in which nobody was before."""
    from cockpit_page import Cockpit

    cockpit = Cockpit(tmp_path)
    yield cockpit
    keep_log(cockpit)
    cockpit.nothing_unasked()
    cockpit.stop()


def test_the_notebook_has_the_window_and_the_focus_is_seen_whole(fresh: Cockpit, page: Page, artefacts: Path) -> None:
    from cockpit_page import ChapterPage

    page.set_viewport_size({"width": 700, "height": 500})  # as at 200 %
    page.goto(fresh.url("06-mapi-outlook").removesuffix("&reset"))
    chapter = ChapterPage(page, fresh, "06-mapi-outlook")
    expect(chapter.panel.locator(".jp-Cell").first).to_be_visible()
    chapter.wait_for_kernel()
    chapter.screenshot(artefacts / "first-window-200-percent.png")
    assert chapter.panel.evaluate("panel => panel.clientWidth / innerWidth") > 0.8

    page.set_viewport_size({"width": 1400, "height": 1000})
    chapter.run_head()
    for step in ("OUT-7", "OUT-9"):  # one with Apply, one with a form
        chapter.run_step(step)
    chapter.run_cell("end")
    head = chapter.cell("chapter")
    head.get_by_role("button", name=re.compile("Inputs of lab")).click()
    head.get_by_role("button", name=re.compile("Run$")).click()
    expect(head.get_by_role("combobox", name=re.compile("^Language"))).to_be_visible()
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        chapter.theme(theme)
        cut = chapter.panel.evaluate(_RINGS)
        chapter.screenshot(artefacts / f"focus-{theme[11:].lower()}.png")
        assert cut == [], theme
