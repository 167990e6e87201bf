"""Attestations: kept, shown, and found out when somebody changes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

import pytest

from umkit.attestation import attest, attested
from umkit.errors import UsageError
from umkit.outcome import Finding, Report
from umkit.runbook import Chapter
from umkit.site import Site


def test_the_newest_counts(tmp_path: Path) -> None:
    assert attested(tmp_path, "acme", "OUT-10") == (None, [])
    attest(tmp_path, "acme", "OUT-10", who="A", remark="first")
    attest(tmp_path, "acme", "OUT-13", who="C")
    attest(tmp_path, "acme", "OUT-10", who="B\n<script>", remark="second")
    said, problems = attested(tmp_path, "acme", "OUT-10")
    assert said is not None
    assert (said.who, said.remark, problems) == ("B\n<script>", "second", [])
    assert attested(tmp_path, "other", "OUT-10") == (None, [])


def test_evidence_cannot_be_exchanged_unnoticed(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(b"one")
    said = attest(tmp_path / "records", "acme", "OUT-9", who="A", evidence=picture)
    kept = tmp_path / "records" / "acme" / "evidence" / said.evidence
    kept.write_bytes(b"two")
    _, problems = attested(tmp_path / "records", "acme", "OUT-9")
    assert problems == [f"evidence {said.evidence} was changed after it was given"]
    kept.unlink()
    assert attested(tmp_path / "records", "acme", "OUT-9")[1] == [f"evidence {said.evidence} is missing"]


def test_a_changed_line_is_found(tmp_path: Path) -> None:
    attest(tmp_path, "acme", "OUT-10", who="A")
    attest(tmp_path, "acme", "OUT-10", who="B")
    path = tmp_path / "acme" / "attestations.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"who": "A"', b'"who": "X"'))
    said, problems = attested(tmp_path, "acme", "OUT-10")
    assert said is not None
    assert any("line" in problem for problem in problems)


def test_unusable_evidence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        attest(tmp_path, "acme", "OUT-10", who="A", evidence=tmp_path / "none.png")
    assert not (tmp_path / "acme" / "attestations.jsonl").exists()


class Sees:
    """A check that finds what it is told to."""

    def __init__(self, *findings: Finding) -> None:
        self.findings = findings

    def run(self, site: Site) -> Report:
        return Report(list(self.findings))


@pytest.fixture
def chapter(tmp_path: Path) -> Chapter:
    customer = {"name": "acme"}
    return Chapter("20", mode="plan", customer=customer, exchange={"endpoint": "lab"}, run={"records": str(tmp_path)})


def test_a_word_does_not_outweigh_what_the_machine_sees(chapter: Chapter) -> None:
    done = Sees(Finding("ok", "all run as the account"))
    other = Sees(Finding("open", "one runs as LocalSystem"))
    blind = Sees(Finding("open", "not looked at", unseen=True))
    assert [chapter.manual("PWD-4", check).result for check in (done, other, blind)] == ["open"] * 3
    chapter.attest("PWD-4", who="A")
    assert [chapter.manual("PWD-4", check).result for check in (done, other, blind)] == ["ok", "differs", "ok"]


def test_a_word_for_one_occasion_does_not_count_for_the_next(chapter: Chapter, monkeypatch: pytest.MonkeyPatch) -> None:
    chapter.attest("PWD-5", who="A")
    assert chapter.manual("PWD-5").result == "ok"
    later = datetime.now(UTC) + timedelta(hours=25)

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return later

    monkeypatch.setattr("umkit.steps.datetime", Later)
    assert chapter.manual("PWD-5").result == "open"
