"""Cards with buttons, without a browser: what is offered, what is asked, what a press sends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sittings import Desk, offered
from test_sitting import announced, held, slow_lab, somebody, wait_for

from umkit.attestation import LARGEST
from umkit.command import Command
from umkit.lab import Lab
from umkit.panels import base
from umkit.panels.live import EvidencePlace
from umkit.panels.manual import ManualPanel
from umkit.panels.words import Words

FMT, LIM, OUT = "02-message-formats", "07-mapi-session-limits", "06-mapi-outlook"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
GONE = {"allowed_by": "the head of IT", "until": "2020-01-01"}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(base, "_who", [""])
    with Lab(trace=tmp_path / "trace.jsonl") as lab:
        desk = Desk(lab, tmp_path, monkeypatch, tmp_path / "trace.jsonl")
        yield desk
        desk.sitting.close()


def test_buttons_follow_what_is_known(desk: Desk) -> None:
    desk.open(FMT)
    panel = desk.step("FMT-0")
    assert offered(panel) == ["Apply", "Verify", "Skip …"]
    assert panel.copy_button.text == "\n".join(command.powershell() for command in panel.outcome.would)
    desk.press(panel, "Apply")
    assert "Applied" in panel.status.value
    assert offered(panel) == ["Verify", "Undo …"]
    assert offered(desk.step("FMT-9")) == ["Look again"], "a check has nothing to apply"


def test_a_declined_question_sends_nothing(desk: Desk) -> None:
    desk.open(LIM)
    desk.press(desk.step("LIM-3"), "Apply")
    sent = desk.mutating()
    panel = desk.step("LIM-5")
    desk.press(panel, "Apply")
    for told in ("interrupts", "MSExchangeIS on EX01", "minutes are waited", "Mailboxes", "allowed by the lab until"):
        assert told in panel.asked.value
    assert offered(panel) == ["Yes, do it now", "No, leave it"]
    desk.press(panel, "No, leave it")
    assert "Nothing was changed" in panel.status.value
    assert desk.mutating() == sent
    assert "Apply" in offered(panel)


@pytest.mark.parametrize("consent", [None, GONE])
def test_without_a_consent_that_holds_apply_is_not_offered(desk: Desk, consent: Any) -> None:
    desk.open(LIM, consent={"information_store": consent})
    desk.press(desk.step("LIM-3"), "Apply")
    panel = desk.step("LIM-5")
    assert "Apply" not in offered(panel)
    assert "consent" in str(panel.outcome)
    assert "Restart-Service" not in desk.mutating()


def test_removing_asks_too(desk: Desk) -> None:
    desk.open(FMT)
    somebody(desk, Command("New-RemoteDomain", {"Name": "fax", "DomainName": "other.example.org"}))
    panel = desk.step("FMT-0")
    sent = desk.mutating()
    desk.press(panel, "Apply")
    assert "This takes something away" in panel.asked.value
    assert "Remove-RemoteDomain" in panel.asked.value
    assert desk.mutating() == sent
    desk.press(panel, "Yes, do it now")
    assert panel.outcome.result == "changed"


def test_what_moved_is_shown_and_asked_again(desk: Desk) -> None:
    desk.open(FMT)
    panel = desk.step("FMT-0")
    somebody(desk, Command("New-RemoteDomain", {"Name": "sms", "DomainName": "sms.alleo.intern"}))
    sent = desk.mutating()
    desk.press(panel, "Apply")
    assert "no longer as it was shown" in panel.status.value
    assert desk.mutating() == sent
    desk.press(panel, "Apply")
    assert [command.parameters["Name"] for command in panel.outcome.commands] == ["fax"]


def test_a_check_that_writes_asks_first(desk: Desk) -> None:
    desk.open(OUT)
    panel = desk.step("OUT-8")
    assert desk.mutating() == []
    desk.press(panel, "Apply")
    assert "SecEdit" in panel.asked.value
    assert desk.mutating() == []
    desk.press(panel, "Yes, do it now")
    assert panel.outcome.result == "ok"
    assert [name.rpartition("\\")[2] for name in desk.mutating()] == ["SecEdit.exe", "Remove-Item"]


def test_after_a_stop_reading_is_offered_first(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.open(FMT)
    with slow_lab(tmp_path, "New-RemoteDomain") as lab:
        other = Desk(lab, tmp_path / "slow", monkeypatch, tmp_path / "slow.jsonl")
        other.open(FMT)
        panel = other.step("FMT-0")
        panel.apply_button.click()
        wait_for((tmp_path / "reached").exists)
        assert offered(panel) == ["Stop"]
        panel.stop_button.click()
        assert "Stopping" in panel.status.value
        other.settle()
        assert "Not known how it ended" in panel.status.value
        assert offered(panel)[0] == "Look again"
        assert "Apply" not in offered(panel)
        other.press(panel, "Look again")
        assert "Apply" in offered(panel)
        assert announced(other) == ["New-RemoteDomain"]
        other.sitting.close()


def test_what_waits_for_another_step_can_be_called_off(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.open(FMT)
    with slow_lab(tmp_path, "New-RemoteDomain") as lab:
        other = Desk(lab, tmp_path / "slow", monkeypatch, tmp_path / "slow.jsonl")
        other.open(FMT)
        first, second = other.step("FMT-0"), other.step("FMT-1")
        first.apply_button.click()
        wait_for((tmp_path / "reached").exists)
        second.apply_button.click()
        assert "waits for FMT-0" in second.status.value
        assert (second.bar.layout.display, first.bar.layout.display) == ("none", None), "what waits is not at work"
        second.stop_button.click()
        assert "Not begun" in second.status.value
        assert offered(first) == ["Stop"], "the first goes on"
        first.stop_button.click()
        other.settle()
        assert announced(other) == ["New-RemoteDomain"]
        other.sitting.close()


def test_undo_shows_what_it_will_send(desk: Desk) -> None:
    desk.open(FMT)
    panel = desk.step("FMT-0")
    desk.press(panel, "Apply")
    desk.press(panel, "Undo …")
    assert panel.asked.value.count("Remove-RemoteDomain") == 2
    assert desk.mutating() == ["New-RemoteDomain"] * 2
    desk.press(panel, "Take it back")
    assert "Taken back" in panel.status.value
    assert desk.mutating() == ["New-RemoteDomain"] * 2 + ["Remove-RemoteDomain"] * 2
    assert "Undo …" not in offered(panel)


def test_who_skips_is_remembered_and_nothing_typed_is_lost(desk: Desk) -> None:
    desk.open(FMT)
    panel = desk.step("FMT-0")
    desk.press(panel, "Skip …")
    panel.who.value = "A. Example"
    desk.press(panel, "Skip this step")
    assert "without a name and a reason" in panel.status.value
    assert offered(panel) == ["Skip this step", "No, leave it"]
    panel.reason.value = "not ordered"
    desk.press(panel, "Skip this step")
    assert panel.outcome.summary == "skipped by A. Example: not ordered"
    other = desk.step("FMT-1")
    desk.press(other, "Skip …")
    assert other.who.value == "A. Example"


def test_where_no_record_can_begin_the_card_says_so(desk: Desk) -> None:
    desk.open(FMT)
    panel = desk.step("FMT-0")
    home = desk.records / "lab"
    home.mkdir(parents=True)
    with held(home):
        desk.press(panel, "Apply")
    assert "no record can be begun, so nothing was done" in panel.status.value
    assert desk.mutating() == []
    assert offered(panel) == ["Apply", "Verify", "Skip …"]


def test_a_cell_run_twice_shows_the_truth_in_a_new_panel(desk: Desk) -> None:
    desk.open(FMT)
    first = desk.step("FMT-0")
    desk.press(first, "Apply")
    second = desk.step("FMT-0")
    assert second.outcome.result == "ok"
    assert "Undo …" in offered(second)
    assert first.widget.comm is None, "the buttons of the first one are gone"


def test_cards_of_a_chapters_cell_run_again_say_what_to_do(desk: Desk) -> None:
    desk.open(FMT)
    panel, end = desk.step("FMT-0"), desk.end()
    desk.run("chapter")
    assert offered(panel) == []
    assert "Run this cell again" in panel.status.value
    assert "Run this cell again" in end.status.value


def test_a_manual_step_takes_a_word_and_a_picture(desk: Desk) -> None:
    desk.open("05-mapi-account")
    panel = desk.step("MAPI-7")
    assert isinstance(panel, ManualPanel)
    desk.press(panel, "Done")
    assert "nobody is named" in panel.status.value
    give(panel.evidence, "services.png", PNG)
    panel.by.value, panel.remark.value = "A. Example", "all four"
    desk.press(panel, "Done")
    assert "attested by A. Example" in str(panel.outcome)
    assert (panel.remark.value, panel.evidence.given) == ("", None)
    assert str(PNG) not in str(panel.evidence.get_state())
    other = desk.step("MAPI-7")
    assert isinstance(other, ManualPanel)
    assert other.by.value == "A. Example"


@pytest.mark.parametrize(
    ("name", "data", "kept"),
    [
        ("shot.png", PNG, "shot.png"),
        ("../../etc/passwd", PNG, "screenshot.png"),
        ("C:\\Users\\x\\a<b>|\u202egnp.exe", PNG, "a_b__gnp.png"),
        ("", b"%PDF-1.7", "screenshot.pdf"),
        ("x.png", b"MZ\x90", ""),
        ("x.svg", b"<svg onload=alert(1)>", ""),
        ("x.png", b"", ""),
    ],
)
def test_only_pictures_and_pdfs_under_harmless_names(name: str, data: bytes, kept: str) -> None:
    place = EvidencePlace(Words())
    give(place, name, data)
    assert (place.given.name if place.given else "") == kept
    assert bool(place.problem) is not bool(kept)


def test_evidence_that_is_too_large_or_not_whole_is_refused() -> None:
    place = EvidencePlace(Words())
    place.receive({"do": "begin", "name": "x.png", "size": LARGEST + 1}, [])
    place.receive({"do": "piece"}, [memoryview(bytes(LARGEST + 1))])
    assert "20 MiB" in place.problem
    assert not place.on_its_way
    place.receive({"do": "begin", "name": "x.png", "size": len(PNG) + 1}, [])
    place.receive({"do": "piece"}, [memoryview(PNG)])
    assert place.on_its_way
    place.receive({"do": "end"}, [])
    assert "not arrive whole" in place.problem
    give(place, "x.png", PNG)
    place.receive({"do": "remove"}, [])
    assert (place.given, place.told, place.problem) == (None, "", "")


def test_sealing_says_what_is_missing_and_seals_once(desk: Desk) -> None:
    desk.open("05-mapi-account")
    desk.step("MAPI-7")
    end = desk.end()
    assert "MAPI-7: a person must do it" in end.missing.value
    assert "MAPI-1, MAPI-2, MAPI-3" in end.missing.value
    desk.press(end, "Seal")
    [folder] = desk.folders()
    assert folder.name in end.status.value
    assert desk.sound(folder)
    desk.press(end, "Seal")
    assert "Sealed already" in end.status.value
    assert desk.folders() == [folder]


def test_cards_and_questions_in_german(desk: Desk) -> None:
    desk.open(LIM, run={"language": "de"})
    panel = desk.step("LIM-3")
    assert offered(panel) == ["Anwenden", "Prüfen", "Auslassen …"]
    html = base.shown(panel.outcome, panel.words)["text/html"]
    assert "weicht ab" in html
    assert "Würde gesendet" in html
    assert "(noch nicht vorhanden)" in html
    desk.press(panel, "Anwenden")
    other = desk.step("LIM-5")
    desk.press(other, "Anwenden")
    assert "Zustimmung: der Information Store darf" in other.asked.value


def give(place: EvidencePlace, name: str, data: bytes) -> None:
    """What the browser sends when a file is given."""
    place.receive({"do": "begin", "name": name, "size": len(data)}, [])
    for at in range(0, len(data), 16):
        place.receive({"do": "piece"}, [memoryview(data[at : at + 16])])
    place.receive({"do": "end"}, [])
