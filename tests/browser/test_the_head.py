"""What stands above a chapter's steps: the overview of all chapters, and the connection with its passwords."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest
import yaml
from cockpit_page import ChapterPage
from customer_files import PARAMETERS
from executed_cards import dead_parts
from playwright.sync_api import Locator, Page, WebSocket, expect

from umkit.chapters import chapters
from umkit.journal import read
from umkit.lab import Lab

if TYPE_CHECKING:
    from cockpit_page import Cockpit

    OpenChapter = Callable[[Cockpit, str], ChapterPage]

VARIABLE = "UMKIT_TEST_PASSWORD"
#: What the customer does not want, so that a plan of all, which takes longest of what is tested here, has few chapters.
NOT_WANTED = ("imap4", "relay", "mapi", "sessions", "ews")
PLANNED = ("00-start", "01-forwarding-emails", "02-message-formats")
#: So many requests are lost that neither a session is left nor a new one comes to be.
ASLEEP = [{"at_request": number, "do": "lose-shell"} for number in range(1, 9)]


@pytest.fixture(scope="module")
def customer(place: Path, lab: Lab) -> Iterator[str]:
    """A customer with addresses and an account as a real one has; the password is in the environment."""
    described = lab.describe()
    values = yaml.safe_load((PARAMETERS / "lab.yaml").read_text("utf-8")) | dict.fromkeys(NOT_WANTED)
    values["customer"]["name"] = values["consent"]["customer"] = "acme"
    values["exchange"] = {
        "endpoint": described["exchange"],
        "auth": "basic",
        "username": described["username"],
        "password": f"env:{VARIABLE}",
    }
    values["hosts"] = {"xphone": {"name": "XPHONE01", "endpoint": described["hosts"]["XPHONE01"]}}
    (place / "parameters" / "acme.yaml").write_text(yaml.safe_dump(values), "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, described["password"])
        yield "acme"


def _told(head: Locator, text: str) -> Locator:
    """A line of the head that says something; waited for."""
    told = head.get_by_role("status").filter(has_text=text)
    expect(told).to_be_visible()
    return told


def _inside(frame: Locator) -> str:
    """The text in a frame in which nothing may run: a locator would have Playwright's trace try to, and be refused."""
    expect(frame).to_be_visible()
    handle = frame.element_handle()
    inner = handle.content_frame() if handle is not None else None
    assert inner is not None
    inner.wait_for_load_state()
    return str(inner.evaluate("document.body.innerText"))


class Wire:
    """What goes between a page and its kernels.

    Arguments:
        page: a page that has not been anywhere yet.
    """

    def __init__(self, page: Page) -> None:
        self.sent: list[bytes] = []
        self.received: list[bytes] = []
        page.on("websocket", self._listen)

    def _listen(self, socket: WebSocket) -> None:
        socket.on("framesent", lambda data: self.sent.append(_bytes(data)))
        socket.on("framereceived", lambda data: self.received.append(_bytes(data)))


def _bytes(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data


def _holding(folder: Path, *texts: str) -> list[Path]:
    """The files below a folder in which one of these texts stands."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if any(text.encode() in path.read_bytes() for text in texts)]


def _order(lab: Lab, faults: list[dict[str, Any]]) -> None:
    """Have the lab break something, over its control address."""
    with urlopen(Request(f"{lab.control}faults", json.dumps(faults).encode(), method="POST"), timeout=60) as answer:
        assert json.loads(answer.read()) == {"faults": len(faults)}


@pytest.mark.long
def test_the_overview_plans_all_chapters_and_opens_a_record(
    stage: Cockpit, open_chapter: OpenChapter, artefacts: Path
) -> None:
    chapter = open_chapter(stage, "00-start")
    chapter.run_head()
    head = chapter.cell("chapter")
    rows = head.get_by_role("table", name="The chapters of acme").get_by_role("row")
    for name in chapters():
        expect(rows.filter(has=chapter.page.get_by_role("link", name=name))).to_contain_text("not run yet")
    expect(head.get_by_role("button", name="Open record")).to_be_disabled()

    head.get_by_role("button", name="Plan all chapters").click()
    bar = head.get_by_role("progressbar", name="Planning")
    expect(bar).to_have_attribute("aria-valuemax", str(len(PLANNED)))
    assert not head.get_by_role("button", name="Plan all chapters").is_visible()
    chapter.screenshot(artefacts / "overview-planning.png")
    told = _told(head, "Planned; nothing was changed")
    record = Path(told.get_by_role("listitem").inner_text())
    found = head.get_by_role("table", name=f"Plan {record.name}").get_by_role("row")
    for name in chapters():
        row = rows.filter(has=chapter.page.get_by_role("link", name=name))
        if name in PLANNED:
            expect(row).to_contain_text(record.name)
            expect(found.filter(has_text=name)).to_have_count(1)
        else:
            expect(row).to_contain_text("not run yet")
    expect(found.filter(has_text="02-message-formats")).to_contain_text("10 differing")
    assert (record / "manifest.json").is_file()
    assert stage.mutating() == []

    head.get_by_role("button", name="Open record").click()
    _told(head, f"umkit records verify {record.name}")
    assert "Message formats" in _inside(head.locator(f"iframe[title='Handover of {record.name}']"))
    chapter.screenshot(artefacts / "overview-record.png")

    rows.get_by_role("link", name="02-message-formats").click()  # in JupyterLab, beside this one
    other = ChapterPage(chapter.page, stage, "02-message-formats").opened()
    expect(other.panel.get_by_role("heading", name="Message formats")).to_be_visible()


def test_a_missing_password_is_asked_for_and_a_dead_session_made_anew(
    stage: Cockpit, lab: Lab, page: Page, open_chapter: OpenChapter, file: Path, artefacts: Path
) -> None:
    file.write_text(file.read_text("utf-8").replace(f"env:{VARIABLE}", "prompt:password of the admin"), "utf-8")
    secret = lab.describe()["password"]
    wire = Wire(page)
    chapter = open_chapter(stage, "02-message-formats")
    chapter.run_head()
    head = chapter.cell("chapter")
    card = chapter.run_step("FMT-0")
    card.wait_for("failed")
    assert "in the connection panel at the head of this chapter" in card.text

    field = head.get_by_label("Password of the admin")
    expect(field).to_have_attribute("type", "password")
    field.fill(secret)
    chapter.screenshot(artefacts / "connection-password.png")
    head.get_by_role("button", name="Use for this session").click()
    expect(field).to_have_count(0)
    head.get_by_role("button", name="Connect", exact=True).click()
    _told(head, "Connected")
    expect(head.get_by_role("row", name="Exchange servers")).to_contain_text("EX02: Exchange 2019")
    chapter.screenshot(artefacts / "connection.png")
    card = chapter.run_step("FMT-0")
    card.press("Apply")
    card.wait_for("changed")
    _told(head, "1 of 10 steps done; 1 looked at: 1 changed")

    _order(lab, ASLEEP)
    head.get_by_role("button", name="Reconnect").click()
    _told(head, "Not connected")
    chapter.screenshot(artefacts / "connection-lost.png")
    _order(lab, [])
    head.get_by_role("button", name="Connect", exact=True).click()
    _told(head, "Connected")
    card.press("Verify")
    card.wait_for("ok")

    chapter.run_cell("end")
    record = chapter.seal()
    sessions = [event for event in read(record / "journal.jsonl") if event["event"] == "session"]
    assert [event["endpoint"] for event in sessions].count("exchange") == 2, "one before it was lost, one after"
    assert dead_parts(chapter.save()) == []
    assert any(secret.encode() in data for data in wire.sent), "it was not this that was typed in"
    assert not any(secret.encode() in data for data in wire.received), "the kernel has sent it back"
    spelled = base64.b64encode(f"{lab.username}:{secret}".encode()).decode()
    assert _holding(stage.folder, "acme"), "nothing is looked at"
    assert _holding(stage.folder, secret, spelled) == []
