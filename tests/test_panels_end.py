"""The end of a chapter in JupyterLab, and what is said where a button does what the command line says."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sittings import Desk

from umkit import errors
from umkit.attestation import EVIDENCE, Evidence
from umkit.chapters import chapters
from umkit.ending import ChapterEnd
from umkit.errors import OutcomeUnknown, StepError
from umkit.lab import Lab
from umkit.outcome import Row, StepOutcome
from umkit.panels import base
from umkit.panels.end import EndPanel
from umkit.panels.words import LANGUAGES, Words
from umkit.view import card

FMT, LIM, OUT = "02-message-formats", "07-mapi-session-limits", "06-mapi-outlook"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
#: How a program is called, which is of no use to somebody who sits before its buttons.
COMMAND_LINE = re.compile(r"umkit (attest|apply|check|plan|verify|rollback)|run plan|(plan|apply) ausführen")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(base, "_who", [""])
    with Lab(trace=tmp_path / "trace.jsonl") as lab:
        desk = Desk(lab, tmp_path, monkeypatch, tmp_path / "trace.jsonl")
        yield desk
        desk.sitting.close()


def html(end: EndPanel) -> str:
    """The table of the steps as the page shows it."""
    return end._bundle(end._summary())["text/html"]


def test_of_a_manual_step_the_end_says_what_is_the_matter(desk: Desk) -> None:
    """Nobody said it was done; somebody did, and it is not to be seen; or what they gave was changed since."""
    desk.open(OUT, mapi={"outlook_profile": "Nobody made it"})
    for step in ("OUT-6", "OUT-9", "OUT-10"):
        desk.step(step)
    end = desk.end()
    for step in ("OUT-9", "OUT-10"):
        desk.sitting.attest(step, who="A. Example", evidence=Evidence("shot.png", PNG)).result()
    end.refresh()
    assert "OUT-6: a person must do it, or say that it is done" in end.missing.value
    assert "OUT-9: a person said that it is done, but what can be seen of it says otherwise" in end.missing.value
    assert "OUT-10" not in end.missing.value

    shutil.rmtree(desk.records / "lab" / EVIDENCE)
    desk.sitting.look("OUT-10")
    end.refresh()
    assert "OUT-10: a person said that it is done, but what was written down then was changed" in end.missing.value


def test_a_manual_step_that_could_not_be_looked_at_failed(desk: Desk) -> None:
    desk.open(OUT)
    out = desk.step("OUT-9").outcome
    out.error, out.result = StepError("the server says nothing"), "failed"
    assert "OUT-9: failed" in desk.end().missing.value


def test_every_step_has_its_title_also_one_that_was_not_run(desk: Desk) -> None:
    desk.open(FMT)
    desk.step("FMT-3")
    shown = html(desk.end())
    places = [shown.index(f"{step.id}<") for step in chapters()[FMT].steps]
    assert places == sorted(places), "in the chapter's order"
    for step in chapters()[FMT].steps:
        assert step.title in shown
    assert shown.count("○ not run") == len(chapters()[FMT].steps) - 1


def test_the_end_speaks_german(desk: Desk) -> None:
    desk.open(FMT, run={"language": "de"})
    desk.press(desk.step("FMT-0"), "Anwenden")
    desk.step("FMT-1")
    end = desk.end()
    shown = html(end)
    for said in ("Schritt", "Ergebnis", "○ nicht ausgeführt", "≠ weicht ab", "Keine Abwesenheitsnachrichten"):
        assert said in shown
    assert "4 Eigenschaften geändert und zurückgelesen" in shown
    assert "Remotedomäne fax: CharacterSet" in shown
    assert "remote domain" not in shown
    assert "not run" in end._summary()._repr_html_(), "the record stays English"


def test_a_state_stays_on_one_line() -> None:
    out = StepOutcome("FMT-0", "x", "configure", "plan", result="differs", rows=[Row("a", "b", 1, 2, same=False)])
    end = ChapterEnd(chapters()[FMT], {"FMT-0": out})
    for made, signs in ((card(out), ["≠ differs"]), (end.html(), ["≠ differs", "○ not run"])):
        for sign in signs:
            assert f'<span style="white-space:nowrap">{sign}</span>' in made


def test_alike_commands_for_two_hosts_are_told_apart(desk: Desk) -> None:
    desk.open(LIM)
    for step in ("LIM-3", "LIM-4"):
        panel = desk.step(step)
        assert "#" not in panel.copy_button.text, "what is for Exchange names no host"
        desk.press(panel, "Apply")
    panel = desk.step("LIM-5")
    restart = "Restart-Service -Name 'MSExchangeIS' -Confirm:$false"
    assert panel.copy_button.text == f"# EX01\n{restart}\n# EX02\n{restart}"
    assert f"# EX01\n{restart}".replace("'", "&#39;") in base.shown(panel.outcome, panel.words)["text/html"]
    assert f"would send on EX02: {restart}" in str(panel.outcome)
    desk.press(panel, "Apply")
    for host in ("EX01", "EX02"):
        assert f"{host}: {restart}".replace("'", "&#39;") in panel.asked.value
    desk.press(panel, "Yes, do it now")
    assert [command.host for command in panel.outcome.commands] == ["EX01", "EX02"]


def test_what_is_taken_back_names_its_host(desk: Desk) -> None:
    desk.open("03-imap4-access")
    panel = desk.step("IMAP-1")
    desk.press(panel, "Apply")
    desk.press(panel, "Undo …")
    assert "EX01: Stop-Service" in panel.asked.value
    assert "EX02: Stop-Service" in panel.asked.value


@pytest.mark.parametrize("language", LANGUAGES)
def test_where_a_button_does_it_no_command_line_is_named(language: str, desk: Desk) -> None:
    words = Words(language)
    desk.open(OUT, run={"language": language})
    panel = desk.step("OUT-10")
    shown = base.shown(panel.outcome, panel.words)["text/html"]
    assert words.text("Done") in shown
    assert not COMMAND_LINE.search(shown)

    lost = StepOutcome("FMT-1", "", "configure", "apply", result="unknown", error=OutcomeUnknown("the answer was lost"))
    for shown in (base.shown(lost, words)["text/html"], base.error_text(lost.error or Exception(), words)):
        assert words.text("Look again") in shown
        assert not COMMAND_LINE.search(shown)
    assert "run plan" in card(lost), "without a person there is no button"


#: What errors say is to be done next, where they do not say it by themselves.
NEXT = {getattr(kind, "default_next", "") for kind in vars(errors).values()}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "text",
    [
        *sorted(text for text in NEXT if COMMAND_LINE.search(text)),
        'when it is done: umkit attest acme OUT-9 --who "your name"',
        "run plan again: replication may be late, or something else sets this property",
        "run umkit plan: it reads what the server has now; nothing is sent again blindly",
        "make room or give write access there, then run umkit plan: it reads what the server has now",
        "ask whoever looks after EX01 who changed it, and why; umkit apply makes it again",
        "AccessRights: SendAs is added by umkit apply, not by a rollback",
        "what the file held before is in no record; umkit apply writes the value again",
    ],
)
def test_no_sentence_that_a_card_can_have_names_one(text: str, language: str) -> None:
    said = base.CardWords(Words(language)).finding(text)
    assert said != text
    assert not COMMAND_LINE.search(said)
