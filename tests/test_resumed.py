"""A run that broke off: what became of its unanswered commands is read, never guessed, and the rest is done."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from taking_back import ROOT, Place, broken_off, inputs

from umkit import cli, record
from umkit.command import Command
from umkit.errors import UsageError
from umkit.headless.resumed import left_of
from umkit.journal import read
from umkit.lab import Lab
from umkit.unanswered import reconcile, unanswered


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Lab(trace=tmp_path / "trace.jsonl") as lab:
        yield Place(lab, tmp_path / "records", tmp_path / "trace.jsonl")


def found(folder: Path) -> list[dict[str, Any]]:
    return [event for event in read(folder / record.JOURNAL) if event["event"] == "found" and "of" in event]


def looked_up(place: Place) -> list[str]:
    """Begin a run as an apply does, and say what it found of the commands before."""
    with record.create(place.records, place.inputs, mode="apply", chapters=[]) as kept:
        return [
            answer.found for answer in reconcile(place.inputs, kept.journal, place.records, lab=place.lab.describe())
        ]


def test_a_command_that_took_effect_is_told_and_not_sent_again(place: Place) -> None:
    first = place.go("apply", "02", kernels=True)
    broken_off(first.record, after_mutations=2)  # both New-RemoteDomain were answered, but for the last line
    since = len(place.mutating())
    second = place.go("apply", "02")
    [told] = found(second.record)
    assert (told["found"], told["of"], told["step"]) == ("it took effect", first.run, "FMT-0")
    assert told["about"].startswith("New-RemoteDomain")
    assert second.result == "ok"
    assert place.mutating()[since:] == []
    assert (first.record / "notebooks" / "02-message-formats.ipynb").is_file()
    assert record.verify(second.record) == []


def test_a_command_that_did_not_take_effect_is_told_and_done(place: Place) -> None:
    first = place.go("apply", "02")
    broken_off(first.record, after_mutations=2)
    place.somebody("Remove-RemoteDomain", Identity="sms", Confirm=False)
    second = place.go("apply", "02")
    assert [event["found"] for event in found(second.record)] == ["it did not take effect"]
    assert second.result == "changed"
    assert place.names("RemoteDomain") == {"Default", "fax", "sms"}


def test_what_is_neither_is_told_with_its_value(place: Place) -> None:
    place.somebody("New-RemoteDomain", Name="fax", DomainName="fax.alleo.intern")
    place.somebody("New-RemoteDomain", Name="sms", DomainName="sms.alleo.intern")
    first = place.go("apply", "02")
    broken_off(first.record, after_mutations=1)
    [one] = unanswered(first.record.parent)
    name = one.intent["changes"][0]["object"].removeprefix("remote domain ")
    assert one.intent["changes"][0]["property"] == "CharacterSet"
    place.somebody("Set-RemoteDomain", Identity=name, CharacterSet="utf-8")
    with record.create(place.records, place.inputs, mode="apply", chapters=[]) as kept:
        [answer] = reconcile(place.inputs, kept.journal, place.records, lab=place.lab.describe())
    assert answer.found == "neither as before nor as wanted"
    assert "CharacterSet = utf-8" in answer.seen
    assert looked_up(place) == []  # once it is told, it is told


def test_what_cannot_be_read_is_looked_up_again_by_the_next_run(place: Place) -> None:
    first = place.go("apply", "02")
    broken_off(first.record, after_mutations=1)
    place.lab.set_faults([{"at_request": n, "do": "http-503"} for n in range(1, 60)])
    assert looked_up(place) == ["unread"]
    place.lab.set_faults([])
    assert looked_up(place) == ["it took effect"]
    assert looked_up(place) == []


def test_an_answer_that_the_run_itself_looked_up_is_not_asked_again(place: Place) -> None:
    place.lab.set_faults([{"at_mutation": 1, "do": "drop-after"}])
    first = place.go("apply", "02")
    assert any(event["event"] == "found" for event in read(first.record / record.JOURNAL))
    assert unanswered(first.record.parent) == []


def test_a_removal_a_restart_and_a_command_of_no_resource(place: Place) -> None:
    place.somebody("New-RemoteDomain", Name="sms", DomainName="old.alleo.intern")
    first = place.go("apply", "02")  # removes sms and makes it again
    removal = next(
        number
        for number, event in enumerate(
            (event for event in read(first.record / record.JOURNAL) if event.get("mutating")), 1
        )
        if event["command"]["name"] == "Remove-RemoteDomain"
    )
    broken_off(first.record, after_mutations=removal)
    place.somebody("Remove-RemoteDomain", Identity="sms", Confirm=False)
    assert looked_up(place) == ["it took effect"]
    home = place.records / "lab"
    with record.create(place.records, place.inputs, mode="apply", chapters=["x"]) as kept:
        intent = {"chapter": "x", "step": "OUT-8", "endpoint": "EX01", "mutating": True, "powershell": "secedit"}
        kept.journal.append("intent", **intent, id="x:1", command=Command("Get-Item").as_json(), changes=[])
        after = {
            "class": "service_restart.ImapRestart",
            "given": {"name": "x", "host": "EX01", "changed": None, "what": ""},
        }
        kept.journal.append("intent", **intent, id="x:2", command={}, changes=[], resource=after)
    assert [one.intent["id"] for one in unanswered(home)] == ["x:1", "x:2"]
    assert looked_up(place) == ["no state tells; the step itself looks"] * 2


@pytest.mark.parametrize("odd", [{"resource": "x"}, {"changes": [{"object": "remote domain a"}]}, {"command": 5}])
def test_an_odd_record_does_not_stop_every_run_after_it(place: Place, odd: dict[str, Any]) -> None:
    told = {"class": "remote_domain.RemoteDomain", "given": {"name": "a", "domain": "b"}}
    with record.create(place.records, place.inputs, mode="apply", chapters=["x"]) as kept:
        intent = {"chapter": "x", "step": "FMT-0", "mutating": True, "changes": [], "resource": told, "id": "x:1"}
        kept.journal.append("intent", **(intent | odd))
    assert looked_up(place) == ["no state tells; the step itself looks"]
    assert looked_up(place) == []


def test_resume_does_what_was_left(place: Place) -> None:
    first = place.go("apply", "00", "01", "02")
    journal = first.record / record.JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    begun = next(n for n, line in enumerate(lines) if b'"chapter-start", ' in line and b"02-message" in line)
    journal.write_bytes(b"".join(lines[: begun + 1]))
    (first.record / record.MANIFEST).unlink()
    assert left_of(place.inputs, first.run, (), place.records) == ["00-start", "02-message-formats"]
    assert left_of(place.inputs, first.run, ["01"], place.records) == ["01"]


def test_what_cannot_be_resumed(place: Place) -> None:
    done = place.go("apply", "01")
    with pytest.raises(UsageError, match="came to its end"):
        left_of(place.inputs, done.run, (), place.records)
    planned = place.go("plan", "01")
    with pytest.raises(UsageError, match="was no apply"):
        left_of(place.inputs, planned.run, (), place.records)
    with pytest.raises(UsageError, match="not of other"):
        left_of(inputs(customer={"name": "other"}, consent={"customer": "other"}), f"lab/{done.run}", (), place.records)


def test_the_command_line_resumes(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMKIT_LAB", json.dumps(place.lab.describe()))
    first = place.go("apply", "02")
    broken_off(first.record, after_mutations=1)
    options = ["--records", str(place.records), "--parameters", str(ROOT / "parameters"), "--json"]
    done = CliRunner().invoke(cli.main, ["apply", "lab", "--resume", first.run, *options])
    assert done.exit_code == 0, done.stderr
    summary = json.loads(done.stdout)
    assert [chapter["chapter"] for chapter in summary["chapters"]] == ["02-message-formats"]
    assert "unanswered before: FMT-0 New-RemoteDomain" in done.stderr
    assert "it took effect" in done.stderr
    events = read(Path(summary["record"]) / record.JOURNAL)
    assert [event["of"] for event in events if event["event"] == "resume"] == [first.run]
    both = CliRunner().invoke(cli.main, ["apply", "lab", "--resume", "x", "--plan", "y", *options])
    assert both.exit_code == 2
