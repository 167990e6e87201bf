"""Drift: a later verify names what was changed since the last record, then and now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from taking_back import Place, inputs, texts

from umkit.headless import RunSummary
from umkit.lab import Lab


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Lab(trace=tmp_path / "trace.jsonl") as lab:
        yield Place(lab, tmp_path / "records", tmp_path / "trace.jsonl")


def found(summary: RunSummary) -> dict[str, Any]:
    return {step["id"]: dict(step) for chapter in summary.chapters for step in chapter.steps}


def test_what_was_changed_since_the_record_is_named(place: Place) -> None:
    applied = place.go("apply", "01", "02")
    assert place.go("verify", "01", "02").result == "ok"
    place.somebody("Set-RemoteDomain", Identity="sms", ContentType="MimeHtml")
    place.somebody("Set-SendConnector", Identity="XPhone Connect fax", Port=26)
    place.somebody("Remove-SendConnector", Identity="XPhone Connect sms", Confirm=False)
    done = place.go("verify", "01", "02")
    steps = found(done)
    since = f"changed since the record of {applied.run}: "
    told = texts(steps["FMT-7"])
    assert told.startswith(since + "remote domain sms, ContentType: then MimeText, now MimeHtml (the object was last")
    assert "Search-AdminAuditLog" in steps["FMT-7"]["findings"][0]["next"]
    assert since + "send connector XPhone Connect fax, Port: then 2533, now 26" in texts(steps["FWD-1"])
    assert since + "send connector XPhone Connect sms: then there, now gone" in texts(steps["FWD-1"])
    assert "changed since the record of" in steps["FMT-7"]["summary"]
    assert {name for name, step in steps.items() if "changed since" in texts(step)} == {"FMT-7", "FWD-1"}
    assert done.exit_code == 3


def test_a_later_record_counts_and_a_partial_one_does_not_hide_an_earlier(place: Place) -> None:
    first = place.go("apply", "01", "02")
    place.somebody("Set-RemoteDomain", Identity="fax", NDREnabled=True)
    second = place.go("apply", "02")
    place.somebody("Set-RemoteDomain", Identity="fax", NDREnabled=True)
    place.somebody("Set-SendConnector", Identity="XPhone Connect fax", Port=26)
    steps = found(place.go("verify", "01", "02"))
    assert f"record of {second.run}: remote domain fax, NDREnabled: then False, now True" in texts(steps["FMT-6"])
    assert f"record of {first.run}: send connector" in texts(steps["FWD-1"])


def test_without_a_record_nothing_is_said_to_have_changed(place: Place) -> None:
    place.somebody("New-RemoteDomain", Name="fax", DomainName="fax.alleo.intern")
    done = place.go("verify", "02")
    assert done.result == "differs"
    assert not any("changed since" in texts(step) for step in found(done).values())


def test_what_a_rollback_took_back_is_no_drift(place: Place) -> None:
    place.go("apply", "02")
    place.back()
    assert not any("changed since" in texts(step) for step in found(place.go("verify", "02")).values())
    place.somebody("New-RemoteDomain", Name="fax", DomainName="fax.alleo.intern")
    assert "NDREnabled: then (empty), now True" in texts(found(place.go("verify", "02"))["FMT-6"])


def test_another_wanted_value_is_no_drift(place: Place) -> None:
    place.go("apply", "01")
    services = [{"name": "fax", "domain": "fax.alleo.intern", "port": 2599}]
    place.inputs = inputs(um_services=services)
    step = found(place.go("verify", "01"))["FWD-1"]
    assert step["result"] == "differs"
    assert "changed since" not in texts(step)


def test_a_record_that_was_changed_or_never_sealed_is_not_believed(place: Place) -> None:
    first = place.go("apply", "02")
    place.somebody("Set-RemoteDomain", Identity="fax", NDREnabled=True)
    (first.record / "manifest.json").unlink()
    assert "changed since" not in texts(found(place.go("verify", "02"))["FMT-6"])


def test_a_step_that_was_not_done_leaves_nothing_to_compare_with(place: Place) -> None:
    place.inputs = inputs(consent={"restarts": None, "information_store": None})
    place.go("apply", "03")
    steps = found(place.go("verify", "03"))
    assert steps["IMAP-4"]["result"] == "blocked"
    assert "changed since" not in texts(steps["IMAP-4"])
