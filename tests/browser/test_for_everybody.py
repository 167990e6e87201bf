"""For everybody: without a mouse, in the dark, at 200 %, in German; and the inputs as a form."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from card_page import CHANGING
from playwright.sync_api import Locator, Page, expect

from umkit.chapters import chapters
from umkit.panels.words import Words

if TYPE_CHECKING:
    from card_page import Card
    from cockpit_page import ChapterPage, Cockpit

    OpenChapter = Callable[[Cockpit, str], ChapterPage]

#: What of an element shows that it has the focus: an outline, or else a shadow that it had not before.
_OUTLINE = (
    "element => getComputedStyle(element).outlineStyle !== 'none' && getComputedStyle(element).outlineWidth !== '0px'"
)
#: So many keys a person may need to a button that stands beside.
_FAR = 20
_SHADOW = "element => getComputedStyle(element).boxShadow"
#: What a reader of cards and panels would not see: an output that has to be scrolled sideways as a whole (a card may be
#: scrolled in itself), and whatever is cut off where nothing can be scrolled.
_CUT_OFF = """panel => [...panel.querySelectorAll('.jp-OutputArea-output, .jp-OutputArea-output *')]
    .filter(part => part.clientWidth && part.scrollWidth > part.clientWidth + 1)
    .filter(part => part.matches('.jp-OutputArea-output')
        || ['hidden', 'clip'].includes(getComputedStyle(part).overflowX))
    .map(part => part.textContent.trim().slice(0, 60) || part.outerHTML.slice(0, 120))"""


class Keyboard:
    """A person who has no mouse.

    Arguments:
        page: the page; JupyterLab has given the notebook the focus.
    """

    def __init__(self, page: Page) -> None:
        self.page = page

    def to(self, target: Locator) -> None:
        """Go to a place by Tab, or by Shift+Tab where it lies behind, and see that one is there."""
        cell = target.locator("xpath=ancestor::*[contains(@class, 'jp-Notebook-cell')][1]")
        key = "Tab" if cell.evaluate("cell => cell.contains(document.activeElement)") else "Shift+Tab"
        idle = target.evaluate(_SHADOW)
        for _ in range(_FAR):
            if target.evaluate("element => element === document.activeElement"):
                assert target.evaluate(_OUTLINE) or target.evaluate(_SHADOW) != idle, "the focus cannot be seen"
                return
            self.page.keyboard.press(key)
        focused = self.page.evaluate("() => document.activeElement.outerHTML.slice(0, 300)")
        raise AssertionError(f"{_FAR} times {key} do not lead there, but to {focused}")

    def press(self, card: Card, name: str, key: str = "Space") -> None:
        """Go to a card's button and press it, and wait for what it begins."""
        with card.cockpit.asked_for() if name in CHANGING else contextlib.nullcontext():
            button = card.button(name)
            self.to(button)
            card.watch(name)
            self.page.keyboard.press(key)
            card.wait()
        holds = card.cell.evaluate("cell => cell.contains(document.activeElement)")
        assert holds, f"after {name} the keyboard is nowhere: a person would have to begin at the top of the page"

    def run(self, chapter: ChapterPage, id: str) -> None:
        """Run the cells from the chosen one to one of them by Shift+Enter alone."""
        prompt = chapter.cell(id).locator(".jp-InputArea-prompt")
        for _ in range(10):
            self.page.keyboard.press("Shift+Enter")
            expect(chapter.panel.locator(".jp-InputArea-prompt", has_text="*")).to_have_count(0)
            if re.search(r"\d", prompt.inner_text()):
                return
        raise AssertionError(f"Shift+Enter does not come to {id}")


def test_a_chapter_without_a_mouse(stage: Cockpit, open_chapter: OpenChapter, artefacts: Path) -> None:
    chapter = open_chapter(stage, "20-password-change")
    hand = Keyboard(chapter.page)
    hand.run(chapter, "chapter")
    for step in chapters()[chapter.chapter].steps:
        hand.run(chapter, step.id)
        card = chapter.card(step.id)
        if step.kind == "manual":
            hand.to(card.cell.get_by_role("textbox", name="Done by"))
            hand.page.keyboard.type("A. Consultant")
            hand.press(card, "Done")
            expect(card.root).to_contain_text("attested by A. Consultant")
        else:
            hand.press(card, "Apply", "Enter")
            chapter.screenshot(artefacts / f"{step.id}-keyboard.png")
            hand.press(card, "Yes, do it now", "Enter")
            card.wait_for("changed")
    hand.run(chapter, "end")
    hand.page.keyboard.press("Escape")  # JupyterLab has made a new cell below the last one, and is in it
    with chapter.saved():
        hand.page.keyboard.press("Control+s")
    hand.to(chapter.cell("end").get_by_role("button", name="Seal", exact=True))
    hand.page.keyboard.press("Enter")
    expect(chapter.cell("end").locator(".umkit-end > [role=status]").last).to_contain_text("Sealed:")
    chapter.screenshot(artefacts / "20-password-change-keyboard.png")


@pytest.mark.parametrize("name", ["02-message-formats", pytest.param("06-mapi-outlook", marks=pytest.mark.long)])
def test_nothing_is_cut_off_in_the_dark_or_at_200_percent(
    name: str, stage: Cockpit, open_chapter: OpenChapter, artefacts: Path
) -> None:
    chapter = open_chapter(stage, name)
    chapter.run_all()
    for view in chapter.views():
        for step in ("chapter", "FMT-0", "FMT-9", "OUT-7", "OUT-10", "end"):
            if step in chapter.ids:
                chapter.cell(step).locator(".jp-OutputArea").scroll_into_view_if_needed()
                chapter.screenshot(artefacts / f"{name}-{step}-{view}.png")
        assert chapter.panel.evaluate(_CUT_OFF) == [], view


def test_in_german(stage: Cockpit, open_chapter: OpenChapter, artefacts: Path, file: Path) -> None:
    say = Words("de").text
    file.write_text(file.read_text("utf-8").replace("language: en", "language: de"), "utf-8")
    chapter = open_chapter(stage, "02-message-formats")
    chapter.run_head()
    card = chapter.run_step("FMT-0")
    chapter.screenshot(artefacts / "german-step.png")
    assert card.offers == [say(word) for word in ("Apply", "Verify", "Skip …", "Copy")]
    assert not {"Apply", "Verify", "Skip …", "Copy"} & set(card.offers)
    assert say("differs") in card.state
    card.button(say("Skip …")).click()
    expect(card.button(say("Skip this step"))).to_be_visible()
    with chapter.enlarged():  # its words are longer
        assert chapter.panel.evaluate(_CUT_OFF) == []
    chapter.cell("chapter").locator(".jp-OutputArea").scroll_into_view_if_needed()
    chapter.screenshot(artefacts / "german-head.png")


def test_the_inputs_are_edited_and_saved(
    stage: Cockpit, open_chapter: OpenChapter, artefacts: Path, file: Path
) -> None:
    before = file.read_text("utf-8")
    chapter = open_chapter(stage, "07-mapi-session-limits")
    chapter.run_head()
    head = chapter.cell("chapter")
    head.get_by_role("button", name=re.compile("Inputs of lab")).click()
    form = head.locator(".umkit-panel")
    form.get_by_role("button", name=re.compile("Sessions")).click()
    field = form.get_by_role("textbox", name=re.compile("^Public sources"))
    beside = field.locator("xpath=ancestor::*[contains(@class, 'widget-vbox')][1]")

    field.fill("many")
    expect(beside).to_contain_text("has to be a whole number")
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("status").last).to_contain_text("Not saved")
    chapter.screenshot(artefacts / "form-refused.png")
    assert file.read_text("utf-8") == before

    field.fill("4")
    expect(beside).not_to_contain_text("has to be")
    form.get_by_role("button", name="Save").click()
    expect(form.get_by_role("status").last).to_contain_text("Saved")
    chapter.screenshot(artefacts / "form-saved.png")
    assert file.read_text("utf-8") == before.replace("public_sources: 6", "public_sources: 4")
    assert "# The page's own example" in before
    assert "(4 + 1) = 25" in chapter.run_step("LIM-2").text, "the saved value is used"
    with chapter.enlarged():
        assert chapter.panel.evaluate(_CUT_OFF) == []
        form.get_by_role("checkbox").first.scroll_into_view_if_needed()
        chapter.screenshot(artefacts / "form-200-percent.png")
