"""The handover: everything in it, in both languages, as a page and as a PDF, whatever a name holds."""

from __future__ import annotations

import base64
import json
import re
import struct
import zlib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from babel.messages.extract import extract
from click.testing import CliRunner

from umkit import handover
from umkit.attestation import attest
from umkit.chapters import chapters
from umkit.cli import main
from umkit.errors import RecordError, UsageError
from umkit.handover.pdf import as_pdf
from umkit.handover.words import Words, catalog
from umkit.journal import Journal
from umkit.record import seal

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
    assert headings == ["In short", "What was changed", "How to undo it", "Commands that were sent"]
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
    assert re.search(r"remove them:\s+a\.xml\.bak\s+remote domain new\s+These", undo)  # newest first
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


@pytest.mark.parametrize("language", handover.LANGUAGES)
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
    assert re.search(r"services may be restarted\s*Mr Boss\s*until 2026-12-01", page)


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
            "nach 2026-11-22 18:35:41 UTC: Richtlinie zugewiesen",
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
    assert Words("en").recorded(context, text) == text


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
    facts = handover.gather(changed)
    assert as_pdf(handover.compose(facts, "de"), facts.ended).startswith(b"%PDF")
