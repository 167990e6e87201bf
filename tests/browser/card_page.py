"""A step's card in the page, and its buttons pressed as a person does."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import Locator, expect

from umkit.outcome import WORDS, Result

if TYPE_CHECKING:
    from cockpit_page import Cockpit

#: Milliseconds for one condition; a busy machine is slow, and a condition that never comes true is told by name.
PATIENCE = 90_000
#: Milliseconds between two looks whether a condition has come true.
LOOK = 50
#: Buttons after which something may be changed at the server, with the answers to what they ask.
CHANGING = ("Apply", "Yes, do it now", "Take it back")
#: Begins to watch the line below the buttons, so that _THROUGH can tell what came of the button pressed next.
_WATCH = """(button) => {
    const cell = button.closest('.jp-Cell'), line = cell.querySelector('.umkit-step > [role=status]')
    const busy = text => text.trim().startsWith('…')
    const watched = cell.umkit = {button, line, busy, before: line.textContent.trim(), worked: false}
    new MutationObserver(changes => {
        for (const change of changes)
            for (const node of change.addedNodes) watched.worked ||= busy(node.textContent)
    }).observe(line, {childList: true, subtree: true, characterData: true})
}"""
#: Whether what the button began has ended, or a question is asked instead: never while Stop is offered.
_THROUGH = """cell => {
    const {button, line, busy, before, worked} = cell.umkit, now = line.textContent.trim()
    const offered = [...cell.querySelectorAll('.umkit-step button')]
        .filter(each => each.offsetParent !== null && !each.disabled).map(each => each.textContent.trim())
    if (!offered.length || offered.includes('Stop')) return false
    if (offered.includes('No, leave it') && button.offsetParent === null) return true
    return now !== '' && !busy(now) && (worked || now !== before)
}"""
_PASTE = """(place, bytes) => {
    const held = new DataTransfer()
    held.items.add(new File([new Uint8Array(bytes)], 'screenshot.png', {type: 'image/png'}))
    place.dispatchEvent(new ClipboardEvent('paste', {clipboardData: held, bubbles: true, cancelable: true}))
}"""


class Card:
    """A step's card, as the page shows it.

    Arguments:
        cell: the notebook's cell.
        step: the step's id.
        cockpit: the cockpit whose lab is watched.
    """

    def __init__(self, cell: Locator, step: str, cockpit: Cockpit) -> None:
        self.cell = cell
        self.step = step
        self.root = cell.locator(f"[role=group][aria-label^='{step}:']")
        self.cockpit = cockpit

    @property
    def state(self) -> str:
        """The step's state in words, as the card is labelled for a screen reader."""
        return (self.root.get_attribute("aria-label") or "").partition(": ")[2]

    @property
    def rows(self) -> list[list[str]]:
        """The table's rows, cell by cell."""
        found: list[list[str]] = self.root.locator("tbody tr").evaluate_all(
            "rows => rows.map(row => [...row.cells].map(cell => cell.textContent.trim()))"
        )
        return found

    @property
    def text(self) -> str:
        """All its text."""
        return self.root.inner_text()

    @property
    def told(self) -> str:
        """What is said below its buttons."""
        return " ".join(self.cell.get_by_role("status").all_inner_texts())

    def says(self, pattern: str) -> None:
        """Wait until the line below the buttons says something."""
        expect(self.cell.locator(".umkit-step > [role=status]")).to_contain_text(re.compile(pattern))

    @property
    def offers(self) -> list[str]:
        """The buttons that can be pressed now, by their words."""
        return [text.strip() for text in self.cell.locator(".jp-OutputArea button:enabled:visible").all_inner_texts()]

    def button(self, name: str) -> Locator:
        """A button by its words."""
        return self.cell.get_by_role("button", name=name, exact=True)

    def wait_for(self, result: Result) -> None:
        """Wait until the card says a result, in words."""
        expect(self.root).to_have_attribute("aria-label", f"{self.step}: {WORDS[result]}")

    def start(self, name: str) -> None:
        """Press a button without waiting for what it begins."""
        self.watch(name)
        self.button(name).click()

    def watch(self, name: str) -> None:
        """Begin to watch, as a button is about to be pressed, so that wait() knows what came of it."""
        self.button(name).evaluate(_WATCH)

    def press(self, name: str) -> None:
        """Press a button, and wait until what it began has ended or asks a question."""
        with self.cockpit.asked_for() if name in CHANGING else contextlib.nullcontext():
            self.start(name)
            self.wait()

    def wait(self) -> None:
        """Wait until what was begun has ended."""
        self.cell.page.wait_for_function(_THROUGH, arg=self.cell.element_handle(), timeout=PATIENCE, polling=LOOK)

    def apply(self) -> None:
        """Apply, with a yes to what it asks."""
        self.press("Apply")
        if "Yes, do it now" in self.offers:
            self.press("Yes, do it now")

    def attest(self, who: str, *, remark: str = "", picture: Path | None = None) -> None:
        """Give a person's word, with a picture where there is one."""
        self.cell.get_by_role("textbox", name="Done by").fill(who)
        if remark:
            self.cell.get_by_role("textbox", name="Remark").fill(remark)
        if picture is not None:
            with self.cell.page.expect_file_chooser() as chooser:
                self.button("Choose a file …").click()
            chooser.value.set_files(picture)
            self.shows(picture)
        self.press("Done")

    def paste(self, picture: Path) -> None:
        """Paste a picture, as it lies in the clipboard after a screenshot was taken."""
        self.cell.locator(".umkit-evidence").evaluate(_PASTE, [*picture.read_bytes()])
        self.shows(Path("screenshot.png"))

    def shows(self, picture: Path) -> None:
        """Wait until a picture has arrived, and is shown in small."""
        told = self.cell.locator(".umkit-evidence-told")
        expect(told).to_contain_text(picture.name)
        expect(told.get_by_role("img")).to_be_visible()
