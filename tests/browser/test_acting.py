"""The buttons, one by one, and what may happen meanwhile: a stop, a restart, a reload, cells out of order."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from crash import flat
from executed_cards import cards, dead_parts
from playwright.sync_api import expect
from test_handover import png

from umkit.attestation import attested
from umkit.journal import read
from umkit.lab import Lab
from umkit.proof import examine

if TYPE_CHECKING:
    from cockpit_page import ChapterPage, Cockpit
    from playwright.sync_api import Browser

    OpenChapter = Callable[[Cockpit, str], ChapterPage]

ORGANISATION = Path(__file__).resolve().parents[2] / "umkit" / "lab" / "organisations" / "clean-2019-dag.yaml"


@pytest.fixture(scope="module")
def lab(browser: Browser, place: Path) -> Iterator[Lab]:
    """A lab in which a send connector takes ten minutes to be made."""
    described = yaml.safe_load(ORGANISATION.read_text("utf-8")) | {"durations": {"New-SendConnector": 600}}
    (place / "organisation.yaml").write_text(yaml.safe_dump(described), "utf-8")
    with Lab(place / "organisation.yaml", trace=place / "trace.jsonl") as lab:
        yield lab


def _journal(record: Path) -> list[dict[str, Any]]:
    return read(record / "journal.jsonl")


def _records(stage: Cockpit) -> set[Path]:
    return set((stage.records / "lab").glob("*-interactive*"))


def test_apply_verify_undo_skip_again_and_reopened(
    stage: Cockpit, lab: Lab, open_chapter: OpenChapter, artefacts: Path
) -> None:
    before = flat(lab.state())
    chapter = open_chapter(stage, "02-message-formats")
    chapter.run_head()
    domains = chapter.run_step("FMT-0")
    domains.press("Apply")
    domains.wait_for("changed")
    assert flat(lab.state()) != before
    sent = stage.mutating()
    domains.press("Verify")
    domains.wait_for("ok")
    chapter.run_step("FMT-0")  # the same cell once more
    domains.wait_for("ok")
    assert "Apply" not in domains.offers
    assert stage.mutating() == sent

    later, earlier = chapter.run_step("FMT-4"), chapter.run_step("FMT-1")  # out of order
    for card in (later, earlier):
        card.wait_for("differs")
        assert "Would be sent" in card.text
    earlier.press("Apply")
    earlier.wait_for("changed")
    later.press("Verify")
    later.wait_for("differs")
    later.press("Skip …")
    later.press("Skip this step")  # without a name
    assert "without a name" in later.told
    later.cell.get_by_role("textbox", name="Who decides").fill("A. Consultant")
    later.cell.get_by_role("textbox", name="Reason").fill("they want automatic replies")
    later.press("Skip this step")
    expect(later.root).to_contain_text("skipped by A. Consultant: they want automatic replies")

    for card in (earlier, domains):  # the newest first
        card.press("Undo …")
        assert re.search("Set-RemoteDomain|Remove-RemoteDomain", card.told)
        card.press("No, leave it")
        card.press("Undo …")
        card.press("Take it back")
        card.wait_for("differs")
        assert "taken back" in card.text
    assert flat(lab.state()) == before

    for step in ("FMT-2", "FMT-3", "FMT-5", "FMT-6", "FMT-7", "FMT-8", "FMT-9"):
        chapter.run_step(step)
    chapter.run_cell("end")
    record = chapter.seal()
    events = _journal(record)
    assert [event["mutating"] for event in events if event["event"] == "intent"].count(True) == len(stage.mutating())
    assert "they want automatic replies" in json.dumps(events)
    saved = chapter.save()
    assert dead_parts(saved) == []
    said = cards(saved)

    chapter.shut_down()
    chapter.reload()  # the saved file, with a new kernel
    for step, (state, *_) in said.items():
        expect(chapter.card(step).root).to_have_attribute("aria-label", f"{step}: {state}")
    text = chapter.panel.inner_text()
    assert not re.search("(?i)model not found|error displaying widget|traceback|Loading widget", text)
    assert chapter.panel.locator(".jp-OutputArea .jupyter-widgets").count() == 0
    chapter.screenshot(artefacts / "02-message-formats-reopened.png")


def test_a_guard_declined_then_a_restart_and_a_reload_in_the_middle(
    stage: Cockpit, open_chapter: OpenChapter, artefacts: Path
) -> None:
    earlier = _records(stage)
    chapter = open_chapter(stage, "03-imap4-access")
    chapter.run_head()
    for step in ("IMAP-1", "IMAP-2"):
        chapter.run_step(step).apply()
        chapter.card(step).wait_for("changed")
    chapter.run_step("IMAP-3")
    restart = chapter.run_step("IMAP-4")
    sent = stage.mutating()
    restart.press("Apply")
    assert "services may be restarted" in restart.told
    assert restart.offers == ["Yes, do it now", "No, leave it"]
    chapter.screenshot(artefacts / "03-imap4-access-guard.png")
    restart.press("No, leave it")
    assert "Nothing was changed" in restart.told
    assert "Apply" in restart.offers
    assert stage.mutating() == sent

    chapter.save()
    chapter.reload()
    chapter.card("IMAP-4").wait_for("differs")
    again = chapter.run_step("IMAP-4")  # its kernel has lived on
    assert "Apply" in again.offers

    chapter.restart_kernel()
    chapter.run_cell("IMAP-2")  # a kernel that knows nothing yet
    assert "NameError" in chapter.cell("IMAP-2").inner_text()
    chapter.run_all()
    chapter.card("IMAP-1").wait_for("ok")
    chapter.card("IMAP-2").wait_for("ok")
    assert stage.mutating() == sent
    restart = chapter.card("IMAP-4")
    restart.apply()
    restart.wait_for("changed")
    assert set(stage.mutating()[len(sent) :]) == {"Restart-Service"}
    record = chapter.seal()
    [former] = _records(stage) - earlier - {record}  # what the kernel did that was ended
    events = _journal(former)
    assert "Set-ImapSettings" in {event["command"]["name"] for event in events if event["event"] == "intent"}
    [end] = [event for event in events if event["event"] == "chapter-end"]
    assert "ended before it was sealed" in end["error"]["what"]
    assert examine(former).problems == []


def test_a_guard_without_consent_offers_no_apply_and_with_it_asks(
    stage: Cockpit, open_chapter: OpenChapter, artefacts: Path, file: Path
) -> None:
    allowed = file.read_text("utf-8")
    values = yaml.safe_load(allowed)
    values["consent"]["information_store"] = None
    file.write_text(yaml.safe_dump(values), "utf-8")
    sent = stage.mutating()
    chapter = open_chapter(stage, "07-mapi-session-limits")
    chapter.run_head()
    card = chapter.run_step("LIM-5")
    card.wait_for("blocked")
    assert card.offers == ["Verify", "Skip …", "Copy"]
    assert "the customer file gives no consent" in card.text
    chapter.screenshot(artefacts / "07-mapi-session-limits-no-consent.png")

    file.write_text(allowed, "utf-8")  # agreed meanwhile
    chapter.run_head()
    card = chapter.run_step("LIM-5")
    card.wait_for("differs")
    card.press("Apply")
    for word in ("interrupts people", "Mailboxes on these servers", "allowed by the lab until 2099-12-31"):
        assert word in card.told
    assert card.offers == ["Yes, do it now", "No, leave it"]
    chapter.page.keyboard.press("Escape")
    assert card.offers == ["Yes, do it now", "No, leave it"]
    card.press("No, leave it")
    card.says("Nothing was changed")
    assert stage.mutating() == sent


def test_copy_puts_the_powershell_text_into_the_clipboard(stage: Cockpit, open_chapter: OpenChapter) -> None:
    chapter = open_chapter(stage, "05-mapi-account")
    page = chapter.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    chapter.run_head()
    for refused in (False, True):  # as in a page that is not of this machine and came over plain HTTP
        card = chapter.run_step("MAPI-5")
        shown = card.root.locator("pre").all_inner_texts()
        assert len(shown) > 1
        page.evaluate("() => navigator.clipboard.writeText('something else')")
        if refused:
            page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('refused')) }")
        card.button("Copy").click()
        expect(card.cell.get_by_role("status").filter(has_text="copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == "\n".join(shown)


def test_stop_ends_the_command_at_the_server(
    stage: Cockpit, lab: Lab, open_chapter: OpenChapter, artefacts: Path
) -> None:
    before = flat(lab.state())
    chapter = open_chapter(stage, "01-forwarding-emails")
    chapter.run_head()
    card = chapter.run_step("FWD-1")
    with stage.asked_for():
        card.start("Apply")
        expect(card.button("Stop")).to_be_visible()
        card.says(r"Applying: [1-9]\d* s")
        chapter.screenshot(artefacts / "01-forwarding-emails-busy.png")
        card.start("Stop")
        card.wait()
    [line] = [line for line in stage.commands() if line["commands"][0]["name"] == "New-SendConnector"]
    assert line["outcome"] == "stopped"
    assert flat(lab.state()) == before
    assert "Apply" not in card.offers, "nobody knows how it ended: it is read first"
    card.press("Look again")
    card.wait_for("differs")
    assert "Apply" in card.offers
    chapter.screenshot(artefacts / "01-forwarding-emails-stopped.png")


@pytest.mark.long
def test_stop_where_the_server_does_not_answer_any_more(stage: Cockpit, lab: Lab, open_chapter: OpenChapter) -> None:
    chapter = open_chapter(stage, "04-relay-settings")
    chapter.run_head()
    card = chapter.run_step("REL-2")
    lab.set_faults([{"at_mutation": 1, "do": "hang"}])
    with stage.asked_for():
        card.start("Apply")
        card.says(r"Applying: [1-9]\d* s")
        card.start("Stop")
        card.wait()
    lab.set_faults([])
    sent = stage.mutating()
    assert sent[-1:] == ["New-ReceiveConnector"]
    chapter.run_step("REL-2")  # the truth, read from the server: at the first one it took effect, the second is left
    card.wait_for("differs")
    assert [row[0] for row in card.rows if "same" not in row[-1]] == [
        r"receive connector EX02\XPhone Connect relay"
    ] * 5
    card.press("Apply")
    card.wait_for("changed")
    assert stage.mutating() == [*sent, "New-ReceiveConnector"]


def test_a_manual_step_attested_with_a_picture(
    stage: Cockpit, open_chapter: OpenChapter, artefacts: Path, tmp_path: Path
) -> None:
    chapter = open_chapter(stage, "06-mapi-outlook")
    chapter.run_head()
    card = chapter.run_step("OUT-10")
    card.wait_for("open")
    card.press("Done")  # nobody is named
    assert "nobody is named" in card.told
    picture = tmp_path / "folders.png"
    picture.write_bytes(png())
    card.attest("A. Consultant", remark="both open", picture=picture)
    card.wait_for("ok")
    assert "attested by A. Consultant" in card.text
    other = chapter.run_step("OUT-13")
    other.paste(picture)
    other.attest("A. Consultant")
    other.wait_for("ok")
    for step in ("OUT-10", "OUT-13"):
        said, problems = attested(stage.records, "lab", step)
        assert said is not None
        assert not problems
        assert (stage.records / "lab" / "evidence" / said.evidence).read_bytes() == png()
    chapter.run_cell("end")
    record = chapter.seal()
    assert "data:image/png;base64," in (record / "handover.html").read_text("utf-8")
    chapter.screenshot(artefacts / "06-mapi-outlook-attested.png")
