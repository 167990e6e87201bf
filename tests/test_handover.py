"""The handover: everything in it, in both languages, as a page and as a PDF, whatever a name holds."""

from __future__ import annotations

import ast
import base64
import json
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from babel.messages.extract import extract
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from umkit import handover
from umkit.attestation import attest
from umkit.chapters import chapters
from umkit.cli import main
from umkit.errors import RecordError, UsageError
from umkit.handover.compose import compose
from umkit.handover.gather import gather
from umkit.handover.pdf import as_pdf
from umkit.handover.words import LANGUAGES, Words, catalog
from umkit.journal import Journal
from umkit.keys import SigningKey
from umkit.outcome import WORDS
from umkit.record import seal
from umkit.sealing import sign

HOSTILE = """</script><script>alert(1)</script>'"#image("/etc/passwd") $x$ \\ {{7*7}} *b* @x [y] {thing}: ü\u202e"""
PACKAGE = Path(handover.__file__).parent


def png(colour: bytes = b"\x20\x60\xa0") -> bytes:
    """A small picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\x00" + colour * 8 for _ in range(8))
    head = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Run:
    """A record that is written event by event, as the kit does."""

    def __init__(self, records: Path, mode: str = "apply", title: str = "Acme", **inputs: Any) -> None:
        self.folder = records / "acme" / f"20261122-170501-{mode}"
        (self.folder / "notebooks").mkdir(parents=True)
        used = {"customer": {"name": "acme", "title": title}, "run": {"language": "en"}, **inputs}
        (self.folder / "inputs.yaml").write_text(json.dumps({"used": used}), "utf-8")
        self.journal = Journal(self.folder / "journal.jsonl")
        self.numbers = 0
        self.journal.append(
            "run-start",
            run=self.folder.name,
            customer="acme",
            mode=mode,
            kit="0.1.0",
            chapters=["02-message-formats"],
            account="jo",
            workstation="WS1",
        )

    def sent(self, step: str, *changes: tuple[str, str, Any, Any], outcome: str = "done", text: str = "Set-X") -> None:
        self.numbers += 1
        listed = [dict(zip(("object", "property", "before", "after"), change, strict=True)) for change in changes]
        fields = {"chapter": "02-message-formats", "step": step, "id": f"n:{self.numbers}", "endpoint": "exchange"}
        command = {"name": text.split()[0], "parameters": {}}
        self.journal.append("intent", **fields, command=command, powershell=text, mutating=True, changes=listed)
        if outcome:
            self.journal.append(
                "outcome", chapter="02-message-formats", intent=f"n:{self.numbers}", outcome=outcome, seconds=0.1
            )

    def step(self, step: str, result: str, kind: str = "configure", **fields: Any) -> None:
        title = fields.pop("title", "No automatic replies")
        self.journal.append(
            "step", chapter="02-message-formats", step=step, kind=kind, title=title, result=result, **fields
        )

    def end(self, result: str = "changed") -> Path:
        self.journal.append("chapter-end", chapter="02-message-formats", result=result)
        self.journal.close()
        return self.folder


class Page(HTMLParser):
    """What a browser would make of a page: its tags, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    run = Run(tmp_path)
    run.sent("FMT-4", ("remote domain fax", "AutoReplyEnabled", True, False), text="Set-RemoteDomain -Identity 'fax'")
    run.step("FMT-4", "changed", changes=1)
    return run.end()


def test_a_change_is_told_with_before_after_command_and_undo(changed: Path) -> None:
    page = Page(handover.made(changed)).text
    for text in ("remote domain fax", "AutoReplyEnabled", "True", "False", "Set-RemoteDomain -Identity 'fax'"):
        assert text in page
    assert "These are set back to the value they had before" in page
    assert "umkit rollback acme --run 20261122-170501-apply --dry-run" in page
    assert "Nothing that was changed in this run is of that kind." in page
    assert "1 property of 1 object" in page
    assert "Nothing is left to do." in page
    assert "umkit records verify 20261122-170501-apply" in page


def test_it_needs_neither_network_nor_script(changed: Path) -> None:
    text = handover.made(changed)
    page = Page(text)
    assert not {"script", "link", "iframe", "object", "embed"} & {tag for tag, _ in page.tags}
    links = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")]
    assert all(link is not None and link.startswith(("#", "data:")) for link in links)
    assert "url(" not in text
    assert "default-src 'none'" in text


def test_parts_with_nothing_to_say_are_left_out(changed: Path) -> None:
    headings = re.findall(r"<h3>(.*?)</h3>", handover.made(changed))
    assert headings == ["What was changed", "How to undo it", "Commands that were sent"]
    assert "left to do</h2>" not in handover.made(changed)


def test_what_was_created_removed_and_restarted(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.sent("FMT-0", ("remote domain new", "Name", None, "new"), text="New-RemoteDomain")
    run.sent("FMT-0", ("configuration file a.xml", "Advise", None, "Stream"), text="Set-Content")
    run.sent("FMT-0", ("a.xml.bak", "SHA-256", None, "0f"), text="Copy-Item")
    run.sent("FMT-0", ("mailbox of A", "Name", None, "A"), text="New-Mailbox")
    run.sent("FMT-0", ("remote domain old", "*", {"DomainName": "old.example", "Guid": "1"}, None))
    run.sent("FMT-0", ("service X on EX01", "Started", "2023", "after 2026"))
    run.sent("FMT-0", ("C:\\t.inf on EX01", "*", None, "export"))
    run.sent("FMT-0", ("C:\\t.inf on EX01", "*", "export", None))
    run.step(
        "FMT-0",
        "changed",
        differences=[
            {"object": thing, "property": prop, "now": "(not there yet)", "wanted": "x"}
            for thing, prop in (("remote domain new", "Name"), ("configuration file a.xml", "Advise"))
        ],
    )
    page = Page(handover.made(run.end())).text
    undo = page[page.index("How to undo it") : page.index("Commands that were sent")]
    made = r"remove them:\s+StepObject\s+FMT-0a\.xml\.bak\s+FMT-0remote domain new\s+These"
    assert re.search(made, undo)  # newest first
    assert re.search(r"a\.xml\s*Advise\s*\(to be removed: it was not there\)", undo)  # the value, never its file
    assert "DomainName = old.example" in undo
    assert "Guid" not in undo
    assert re.search(r"cannot be undone.*\s+mailbox of A\s+service X on EX01", undo)
    assert "t.inf" not in undo
    assert "removed again: C:\\t.inf on EX01" in page


def test_what_came_of_each_command(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.sent("FMT-4", ("remote domain a", "X", 1, 2), outcome="refused")
    run.sent("FMT-4", ("remote domain b", "X", 1, 2), outcome="", text="Set-Lost")
    run.sent("FMT-5", ("remote domain c", "X", 1, 2), outcome="unknown")
    run.journal.append("found", chapter="02-message-formats", step="FMT-5", about="lost", found="as wanted")
    run.step("FMT-4", "unknown", error={"what": "the answer was lost", "where": {"host": "EX01"}, "next": "read"})
    run.step("FMT-5", "changed")
    page = Page(handover.made(run.end("unknown"))).text
    table = page[page.index("What was changed") : page.index("How to undo it")]
    assert "remote domain c" in table
    assert "remote domain a" not in table
    assert "refused by the server" in page
    assert "read afterwards: it took effect" in page
    assert re.search(r"not known whether they took effect.*\s+Set-Lost", page)
    assert "the answer was lost" in page
    assert "host EX01" in page


def test_attested_with_evidence(tmp_path: Path) -> None:
    picture = tmp_path / "picture.PNG"
    picture.write_bytes(png())
    said = attest(tmp_path, "acme", "FMT-4", who="Änne", remark="seen", evidence=picture)
    run = Run(tmp_path)
    run.step("FMT-4", "ok", "manual", findings=[{"result": "ok", "text": f"attested by {said}"}])
    folder = run.end("ok")
    page = Page(handover.made(folder))
    assert f"data:image/png;base64,{base64.b64encode(png()).decode()}" in [
        a.get("src") for t, a in page.tags if t == "img"
    ]
    assert said.sha256 in page.text
    assert page.text.count("Änne") == 1
    assert b"/Subtype /Image" in handover.made_pdf(folder) or b"/Subtype/Image" in handover.made_pdf(folder)
    (tmp_path / "acme" / "evidence" / said.evidence).write_bytes(png(b"\x00\x00\x00"))
    page = Page(handover.made(folder))
    assert "was changed after it was given" in page.text
    assert "img" not in [tag for tag, _ in page.tags]


def test_evidence_that_no_one_can_draw(tmp_path: Path) -> None:
    for number, data in enumerate((png()[:60], b"%PDF-1.7 and so on", b"<svg onload='alert(1)'/>")):
        file = tmp_path / f"{number}.png"
        file.write_bytes(data)
        attest(tmp_path, "acme", f"FMT-{number}", who="A", evidence=file)
    run = Run(tmp_path)
    for number in range(3):
        run.step(f"FMT-{number}", "ok", "manual")
    folder = run.end("ok")
    assert "<svg" not in handover.made(folder)
    assert handover.made(folder).count("The evidence is no picture") == 2
    assert handover.made_pdf(folder).startswith(b"%PDF")


def test_a_word_given_after_the_run_closes_the_step(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.step("FMT-4", "open", "manual", findings=[{"result": "open", "text": "nobody has attested this step yet"}])
    folder = run.end("open")
    assert "1 step is open" in handover.made(folder)
    attest(tmp_path, "acme", "FMT-4", who="A")
    page = handover.made(folder)
    assert "1 step is open" not in page
    assert "after this run; the run itself found the step open" in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_hostile_names_stay_text(tmp_path: Path, language: str) -> None:
    attest(tmp_path, "acme", "FMT-5", who=HOSTILE, remark=HOSTILE)
    run = Run(tmp_path, title=HOSTILE)
    run.sent("FMT-4", (HOSTILE, HOSTILE, HOSTILE, [HOSTILE]), text=HOSTILE)
    run.step("FMT-4", "failed", title=HOSTILE, findings=[{"result": "failed", "text": HOSTILE, "next": HOSTILE}])
    run.step("FMT-5", "failed", "manual", error={"what": HOSTILE, "where": {HOSTILE: HOSTILE}, "seen": HOSTILE})
    folder = run.end("failed")
    page = Page(handover.made(folder, language))
    assert "script" not in [tag for tag, _ in page.tags]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert "alert(1)</script>" in page.text
    assert handover.made_pdf(folder, language).startswith(b"%PDF")


def test_a_plan_tells_what_would_be_changed(tmp_path: Path) -> None:
    run = Run(tmp_path, mode="plan")
    difference = {"object": "remote domain fax", "property": "X", "now": "1", "wanted": "2"}
    run.step("FMT-4", "differs", differences=[difference])
    page = Page(handover.made(run.end("differs"))).text
    assert "In this run nothing was changed." in page
    assert "What differs from what is wanted" in page
    assert "umkit rollback" not in page


def test_risks_and_consents(tmp_path: Path) -> None:
    run = Run(
        tmp_path,
        imap4={"login_type": "PlainTextLogin", "port": 143, "plain_text_accepted_by": "Ms Admin"},
        consent={"restarts": {"allowed_by": "Mr Boss", "until": "2026-12-01"}},
    )
    page = Page(handover.made(run.end("ok"))).text
    assert re.search(r"in clear on port 143\.\s*Ms Admin", page)
    assert re.search(r"services may be restarted\s*Mr Boss\s*until 1\u00a0December\u00a02026", page)


def test_write_puts_it_into_the_record_before_the_seal(changed: Path) -> None:
    path = handover.write(changed, "de")
    assert path == changed / "handover.html"
    text = path.read_text("utf-8")
    assert '<html lang="de">' in text
    assert "kann den Hash des Manifests darum nicht nennen" in text
    seal(changed)
    assert "handover.html" in json.loads((changed / "manifest.json").read_text("utf-8"))["files"]
    assert "Der Nachweis ist versiegelt" in handover.made(changed, "de")


def test_the_same_record_gives_the_same_pdf(changed: Path) -> None:
    assert handover.made_pdf(changed, "de") == handover.made_pdf(changed, "de")


def test_the_first_page_tells_what_was_changed_checked_left_and_accepted(tmp_path: Path) -> None:
    run = Run(tmp_path, imap4={"login_type": "PlainTextLogin", "port": 143})
    run.sent("FMT-1", ("remote domain fax", "CharacterSet", "", "iso-8859-1"))
    run.step("FMT-1", "changed")
    run.step("FMT-2", "failed", error={"what": "no connection to the server", "where": {"host": "EX01"}})
    run.journal.append("chapter-end", chapter="02-message-formats", result="failed", error={"what": "it broke"})
    run.journal.close()
    facts = gather(run.folder)
    for language, told in (
        ("en", ("1 step failed.", "8 steps were not reached.", "Nobody has accepted it yet.", "EX01")),
        (
            "de",
            ("1 Schritt ist fehlgeschlagen.", "8 Schritte wurden nicht erreicht.", "Noch hat es niemand akzeptiert."),
        ),
    ):
        document = compose(facts, language)
        cover = json.dumps([asdict(block) for block in document.cover], ensure_ascii=False)
        assert all(text in cover for text in told[:3])
    page = Page(handover.made(run.folder, "de")).text
    assert "FMT-0, FMT-3, FMT-4, FMT-5, FMT-6, FMT-7, FMT-8, FMT-9" in page
    assert "keine Verbindung zum Server" in page
    assert "wo: Host EX01" in page


def test_a_chapter_that_ended_well_missed_no_step(changed: Path) -> None:
    assert gather(changed).missed == []


def test_the_page_can_be_read_aloud(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for step in ("FMT-4", "FMT-5"):
        run.sent(step, ("remote domain fax", "X", 1, 2), ("remote domain fax", "Y", 1, 2))
        run.step(step, "changed")
    page = Page(handover.made(run.end(), "de"))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    scopes = {attributes.get("scope") for tag, attributes in page.tags if tag == "th"}
    assert scopes == {"col", "row", "rowgroup"}
    assert page.text.count("Remotedomäne fax") == 6  # no line has to be read together with the one above it
    assert all(attributes.get("lang") == "de" for tag, attributes in page.tags if tag == "html")


def test_every_colour_is_dark_enough_on_white() -> None:
    css = (PACKAGE.parent / "templates" / "handover" / "handover.css").read_text("utf-8")
    colours = set(re.findall(r"(?:(?<![-\w])color|--ink|--dim|--accent): (#[0-9a-f]{6})", css))
    assert len(colours) >= 7
    for colour in colours:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        assert 0.91 / (light + 0.05) >= 4.5, colour  # on the soft grey behind a group's head, at its lightest 0.91


def test_letters_that_no_own_font_has(tmp_path: Path) -> None:
    run = Run(tmp_path, title="Müller \u05d0")
    run.sent("FMT-4", ("\ud83d\ude42 \u5f20 \u0645\u0631", "X", "\ud83d", "a\u202eb\x00"), text="Set-X \u202egr")
    run.step("FMT-4", "changed")
    folder = run.end()
    page = handover.made(folder)
    assert "\U0001f642 \u5f20" in page
    assert "a‹U+202E›b‹U+0000›" in page
    assert not set("\u202e\ud83d\x00") & set(page)
    assert "Müller \u05d0\u200e · " in page
    page.encode("utf-8")
    assert handover.made_pdf(folder).startswith(b"%PDF")


def test_the_pdf_says_its_language_and_title(changed: Path) -> None:
    data = handover.made_pdf(changed, "de")
    assert re.search(rb"/Lang ?\(de\)", data)
    assert b"/Outlines" in data
    assert b"/MarkInfo" in data


def test_an_acceptance_is_shown_with_the_command_that_checks_it(changed: Path) -> None:
    seal(changed)
    sign(changed, SigningKey(Ed25519PrivateKey.generate(), "Dr. Admin"), role="acceptance")
    page = Page(handover.made(changed, "de")).text
    assert re.search(r"Abnahme durch den Kunden\s*Dr\. Admin\s*\d+\.\u00a0\w+\u00a02\d{3}, [\d:]{8}\u00a0UTC", page)
    assert "-s signature-acceptance.sshsig < manifest.json" in page
    assert "-s signature.sshsig" not in page


def test_what_the_connection_says_is_said_in_german() -> None:
    words = Words("de")
    texts = error_texts(PACKAGE.parent / "remoting" / "faults.py")
    assert len(texts) > 30
    for text in texts:
        words.recorded("finding", text)
    assert words.untranslated == set()


def error_texts(path: Path) -> set[str]:
    """What errors raised in a module say and advise; a value in them is written X."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and any(word.arg == "where" for word in node.keywords):
            said = [*node.args[:1], *(word.value for word in node.keywords if word.arg == "next")]
            found |= {text for part in said for text in texts_of(part)}
    return {text for text in found if text}


def texts_of(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        return ["".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values)]
    return [*texts_of(node.body), *texts_of(node.orelse)] if isinstance(node, ast.IfExp) else []


@pytest.mark.parametrize("said", WORDS.values())
def test_what_became_of_an_earlier_run_is_said_in_german(said: str) -> None:
    text = f"02-message-formats (Message formats): apply on 2026-11-22: {said} (record 20261122-200408-apply)"
    assert Words("de").recorded("value", said) != said
    german = Words("de").recorded("finding", text)
    assert "apply am 22.\u00a0November\u00a02026: " in german
    assert said not in german


def test_half_a_translation_is_none() -> None:
    words = Words("de")
    text = "remote domain fax: something that nobody knows"
    assert words.recorded("finding", text) == text
    assert text in words.untranslated
    assert words.recorded("finding", "remote domain fax: everything that the page asks for is as wanted").startswith(
        "Remotedomäne fax: alles"
    )


def test_a_record_that_says_nothing(tmp_path: Path) -> None:
    with pytest.raises(RecordError):
        handover.made(tmp_path)
    (tmp_path / "journal.jsonl").write_text("", "utf-8")
    with pytest.raises(RecordError, match="how its run began"):
        handover.made(tmp_path)


def test_a_damaged_record_is_told(changed: Path) -> None:
    journal = changed / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"before": true', b'"before": null'))
    (changed / "inputs.yaml").write_text("{broken", "utf-8")
    page = Page(handover.made(changed)).text
    assert "The journal is not as it was written" in page
    assert "line" in page


def own_words() -> Iterator[str | tuple[str, ...]]:
    """Everything that the handover itself says."""
    for path in sorted(PACKAGE.glob("*.py")):
        with path.open("rb") as file:
            for _, message, _, _ in extract("python", file, keywords={"_": None, "text": None, "count": (1, 2)}):
                yield message
    for chapter in chapters().values():
        yield from (chapter.title, *(step.title for step in chapter.steps))


def test_german_is_complete_and_holds_nothing_else() -> None:
    german = catalog("de")
    words = {message for message in own_words() if message}
    own = {message.id for message in german if message.id and message.context is None}
    assert words - own == set()
    assert own - words == set()
    for message in german:
        forms = message.string if isinstance(message.string, tuple) else (message.string,)
        assert all(forms), f"no translation: {message.id}"
        assert not message.fuzzy
        holes = [set(re.findall(r"\{(\w+)\}", str(text))) for text in (*forms, *_ids(message.id))]
        assert all(hole == holes[0] for hole in holes), message.id


def _ids(id: Any) -> tuple[str, ...]:
    return id if isinstance(id, tuple) else (id,)


@pytest.mark.parametrize(
    ("context", "text", "german"),
    [
        ("finding", "EX01 reaches 10.1.2.31:2533", "EX01 erreicht 10.1.2.31:2533"),
        ("finding", "EX01 is Exchange 2019", "EX01 ist Exchange 2019"),
        ("object", "service MSExchangeIS on EX01", "Dienst MSExchangeIS auf EX01"),
        ("value", "(not there yet)", "(noch nicht vorhanden)"),
        (
            "value",
            "after 2026-11-22 18:35:41 UTC: policy assigned",
            "nach 22.\u00a0November\u00a02026, 18:35:41\u00a0UTC: Richtlinie zugewiesen",
        ),
        (
            "finding",
            "rights of A@b on mailbox database DB02: there is no mailbox database DB02",
            "Rechte von A@b auf Postfachdatenbank DB02: es gibt keine Postfachdatenbank DB02",
        ),
        ("finding", "nothing that anybody knows", None),
        ("finding", "x " * 5000, None),
    ],
)
def test_recorded_text_in_german(context: str, text: str, german: str | None) -> None:
    words = Words("de")
    assert words.recorded(context, text) == (german or text)
    assert (text in words.untranslated) == (german is None)
    assert Words("en").recorded(context, text) == Words("en").stamped(text)


def test_another_language() -> None:
    with pytest.raises(UsageError, match="fr"):
        Words("fr")


def test_command(changed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seal(changed)
    before = sorted(path.name for path in changed.rglob("*"))
    asked = ["handover", changed.name, "--records", str(tmp_path)]
    run = CliRunner().invoke
    assert run(main, [*asked, "--language", "de"]).exit_code == 0
    assert 'lang="de"' in (tmp_path / f"handover-{changed.name}.html").read_text("utf-8")
    assert run(main, [*asked, "--pdf", "-o", str(tmp_path / "h.pdf")]).exit_code == 0
    assert (tmp_path / "h.pdf").read_bytes().startswith(b"%PDF")
    assert run(main, [*asked, "-o", str(changed / "x.html")]).exit_code == 2
    assert sorted(path.name for path in changed.rglob("*")) == before


def test_the_pdf_takes_text_as_data(changed: Path) -> None:
    template = (PACKAGE.parent / "templates" / "handover" / "handover.typ").read_text("utf-8")
    assert "eval(" not in template
    facts = gather(changed)
    assert as_pdf(compose(facts, "de"), facts.ended).startswith(b"%PDF")
