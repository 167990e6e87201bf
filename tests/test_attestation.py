"""Attestations: kept, shown, and found out when somebody changes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from umkit.attestation import attest, attested
from umkit.errors import UsageError


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
