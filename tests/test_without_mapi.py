"""A customer who uses EWS and not MAPI: the chapter runs by itself, and its steps go by the account for EWS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from taking_back import Place, inputs, texts

from umkit.attestation import attest
from umkit.headless import RunSummary
from umkit.lab import Lab

EWS = "08-ews"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Lab(trace=tmp_path / "trace.jsonl") as lab:
        yield Place(lab, tmp_path / "records", tmp_path / "trace.jsonl")


def by_step(done: RunSummary) -> Mapping[str, dict[str, Any]]:
    [chapter] = [each for each in done.chapters if each.chapter == EWS]
    assert chapter.error is None
    return {step["id"]: dict(step) for step in chapter.steps}


def test_the_services_and_the_profile_are_those_of_the_account_for_ews(place: Place) -> None:
    place.inputs = inputs(mapi=None, ews={"account": "MAPIAccount@alleo.intern"})
    for step in ("EWS-6", "EWS-7"):
        attest(place.records, "lab", step, who="A. Muster")
    done = place.go("apply")
    assert [chapter.chapter for chapter in done.chapters] == [
        *("00-start", "01-forwarding-emails", "02-message-formats", "03-imap4-access", "04-relay-settings", EWS)
    ]
    found = by_step(done)
    assert "the profile Outlook is there and is the default" in texts(found["EWS-6"])
    assert "run as MAPIAccount@alleo.intern" in texts(found["EWS-7"])
    assert found["EWS-6"]["result"] == found["EWS-7"]["result"] == "ok"
    assert not any(step["result"] in ("failed", "blocked") for step in found.values())


def test_another_account_is_named_by_both_steps(place: Place) -> None:
    place.inputs = inputs(mapi=None, ews={"account": "testuser@alleo.intern"})
    found = by_step(place.go("plan", EWS))
    assert "testuser@alleo.intern is not logged on" in texts(found["EWS-6"])
    assert "runs as ALLEO\\MAPIAccount, not as testuser@alleo.intern" in texts(found["EWS-7"])
    place.inputs = inputs(mapi=None, ews={"account": "nobody@alleo.intern"})
    assert "see to EWS-1 first" in str(by_step(place.go("plan", EWS))["EWS-6"])


def test_a_customer_without_ews_has_no_such_chapter(place: Place) -> None:
    place.inputs = inputs(ews=None)
    assert EWS not in [chapter.chapter for chapter in place.go("plan").chapters]
