"""The plan file: exactly that plan is applied, or nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from in_process import without_kernels
from taking_back import ROOT, Place, inputs

from umkit import __version__, cli, planfile, record
from umkit.errors import Blocked, StepError, UsageError
from umkit.headless import RunSummary
from umkit.headless.planned import apply, keep
from umkit.headless.progress import Silence
from umkit.lab import Lab


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Lab(trace=tmp_path / "trace.jsonl") as lab:
        yield Place(lab, tmp_path / "records", tmp_path / "trace.jsonl")


def planned(place: Place, *chapters: str) -> Path:
    path = place.records.parent / "plan.json"
    keep(place.go("plan", *chapters), path)
    return path


def applied(place: Place, path: Path) -> RunSummary:
    with without_kernels():
        return apply(place.inputs, path, records=place.records, runbooks=ROOT / "runbooks", lab=place.lab.describe())


def test_a_plan_of_every_chapter_is_applied(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMKIT_TEST_INITIAL", "Neu#und-lang-1")
    account = {"account": "ALLEO\\umsync", "create_user": True, "user_principal_name": "umsync@alleo.intern"}
    place.inputs = inputs(ews=account | {"initial_password": "env:UMKIT_TEST_INITIAL"})
    path = planned(place)
    done = applied(place, path)
    found = {step["id"]: step["result"] for chapter in done.chapters for step in chapter.steps}
    assert {name for name, result in found.items() if result in ("blocked", "unknown")} == set()
    assert {chapter.chapter: chapter.error for chapter in done.chapters if chapter.error} == {}
    assert found["EWS-5"] == found["FMT-8"] == found["IMAP-4"] == "changed"
    assert (done.record / planfile.FILE).read_bytes() == path.read_bytes()
    assert record.verify(done.record) == []
    told = path.read_text("utf-8")
    assert place.lab.password not in told
    assert "Neu#und-lang-1" not in told
    commands = {command["name"] for one in planfile.load(path).steps for command in one["commands"]}
    assert commands - set(place.mutating()) == {"Enable-Mailbox"}  # New-Mailbox makes both, so it was not needed


def test_a_state_that_moved_is_refused_before_anything_is_sent(place: Place) -> None:
    place.somebody("New-RemoteDomain", Name="sms", DomainName="sms.alleo.intern")
    path = planned(place, "01", "02")
    place.somebody("Set-RemoteDomain", Identity="sms", ContentType="MimeHtml")
    since = len(place.mutating())
    with pytest.raises(Blocked) as refused:
        applied(place, path)
    assert "FMT-7 remote domain sms, ContentType: then MimeHtmlText, now MimeHtml" in refused.value.seen
    assert place.mutating()[since:] == []
    assert not any(run.mode == "apply" for run in record.listing(place.records))


def test_an_object_that_went_or_came_is_a_movement(place: Place) -> None:
    place.somebody("New-RemoteDomain", Name="sms", DomainName="sms.alleo.intern")
    path = planned(place, "02")
    place.somebody("Remove-RemoteDomain", Identity="sms", Confirm=False)
    with pytest.raises(Blocked) as refused:
        applied(place, path)
    assert "FMT-0 remote domain sms, Name: then sms, now (not there)" in refused.value.seen


def test_a_chapter_compares_once_more(place: Place) -> None:
    """Between the comparison beforehand and a step, somebody may still change something."""
    place.somebody("New-RemoteDomain", Name="sms", DomainName="sms.alleo.intern")
    path = planned(place, "02")
    place.somebody("Set-RemoteDomain", Identity="sms", NDREnabled=False, TNEFEnabled=True)
    from umkit.headless import run

    since = len(place.mutating())
    done = run(
        place.inputs,
        "apply",
        chapters=["02"],
        records=place.records,
        runbooks=ROOT / "runbooks",
        lab=place.lab.describe(),
        plan=path,
    )
    [chapter] = done.chapters
    # What the run itself made or set before is no movement: FMT-0 to FMT-5 were done.
    assert place.mutating()[since:].count("New-RemoteDomain") == 1
    assert place.one("RemoteDomain", "sms")["AutoReplyEnabled"] is False
    assert place.one("RemoteDomain", "sms")["ContentType"] == "MimeHtmlText"
    assert chapter.steps[-1]["id"] == "FMT-6"
    assert chapter.steps[-1]["result"] == "blocked"
    assert chapter.error is not None
    assert "FMT-6 remote domain sms, NDREnabled: then True, now False" in chapter.error["seen"]


def test_another_customers_plan_or_other_values_are_refused(place: Place) -> None:
    path = planned(place, "01")
    other = place.inputs
    place.inputs = inputs(customer={"name": "other"}, consent={"customer": "other"})
    with pytest.raises(UsageError, match="not other's"):
        applied(place, path)
    place.inputs = inputs(xphone={"address": "10.9.9.9"})
    with pytest.raises(UsageError, match="customer file was changed"):
        applied(place, path)
    place.inputs = other
    with pytest.raises(UsageError, match="as a whole"):
        apply(other, path, chapters=["02"], records=place.records, lab=place.lab.describe())


def from_kit(path: Path, version: Any) -> None:
    """Let a plan file say that another version of the kit wrote it."""
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"kit": version}), "utf-8")


MENDED = __version__.rpartition(".")[0] + ".99"


@pytest.mark.parametrize("version", ["0.99.0", "99.1.0", "0", "unknown", ""])
def test_a_plan_of_another_version_is_refused_before_anything_is_asked(place: Place, version: str) -> None:
    path = planned(place, "02")
    from_kit(path, version)
    since = len(place.trace.read_bytes())
    with pytest.raises(UsageError, match="made by another version of the kit") as refused:
        applied(place, path)
    assert refused.value.seen == f"umkit {version}"
    assert len(place.trace.read_bytes()) == since
    from_kit(path, None)
    with pytest.raises(UsageError, match="is no plan file"):
        applied(place, path)


def test_a_plan_of_a_version_that_mends_only_is_applied_and_that_is_said(place: Place) -> None:
    class Listening(Silence):
        def __init__(self) -> None:
            self.said: list[str] = []

        def remark(self, text: str) -> None:
            self.said.append(text)

    path = planned(place, "02")
    from_kit(path, MENDED)
    listening = Listening()
    options = {"records": place.records, "runbooks": ROOT / "runbooks", "lab": place.lab.describe()}
    place.somebody("New-RemoteDomain", Name="fax", DomainName="fax.alleo.intern")
    with without_kernels(), pytest.raises(Blocked) as refused:
        apply(place.inputs, path, progress=listening, **options)
    assert f"(the plan was made by umkit {MENDED}, this is umkit {__version__})" in refused.value.next
    place.somebody("Remove-RemoteDomain", Identity="fax", Confirm=False)
    with without_kernels():
        done = apply(place.inputs, path, progress=listening, **options)
    assert done.result == "changed"
    assert listening.said == [f"the plan was made by umkit {MENDED}, this is umkit {__version__}"] * 2
    assert json.loads((done.record / planfile.FILE).read_bytes())["kit"] == MENDED, "the record tells it"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"customer": 1}', "null", "\0"])
def test_what_is_no_plan_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError, match="no plan file"):
        planfile.load(path)
    with pytest.raises(UsageError, match="cannot be read"):
        planfile.load(tmp_path / "nothing.json")


def test_a_plan_that_broke_off_is_no_plan(place: Place, tmp_path: Path) -> None:
    with Lab("outdated-server") as lab, pytest.raises(StepError, match="not whole"):
        planned(Place(lab, tmp_path / "outdated", place.trace), "00", "01")
    assert not (tmp_path / "plan.json").exists()
    whole = planned(place, "01")
    broken = json.loads(whole.read_text("utf-8")) | {"broken": ["01-forwarding-emails"]}
    whole.write_text(json.dumps(broken), "utf-8")
    with pytest.raises(UsageError, match="not whole"):
        applied(place, whole)


def test_the_command_line(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMKIT_LAB", json.dumps(place.lab.describe()))
    path = str(place.records.parent / "my plan.json")
    options = ["--chapter", "02", "--records", str(place.records), "--parameters", str(ROOT / "parameters"), "--json"]
    shown = CliRunner().invoke(cli.main, ["plan", "lab", "-o", path, *options])
    assert shown.exit_code == 3, shown.stderr
    place.somebody("New-RemoteDomain", Name="fax", DomainName="fax.alleo.intern")
    refused = CliRunner().invoke(cli.main, ["apply", "lab", "--plan", path, *options])
    assert refused.exit_code == 1
    assert "the state has moved since the plan" in refused.stderr
    place.somebody("Remove-RemoteDomain", Identity="fax", Confirm=False)
    done = CliRunner().invoke(cli.main, ["apply", "lab", "--plan", path, *options])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["result"] == "changed"
    assert CliRunner().invoke(cli.main, ["verify", "lab", *options]).exit_code == 0


@pytest.mark.parametrize("change", [{"chapters": [1]}, {"steps": [{"object": ["a"]}]}, {"kit": 1}])
def test_names_that_are_none_are_no_plan(tmp_path: Path, change: dict[str, Any]) -> None:
    step = {"chapter": "c", "step": "s", "object": "o", "verb": "", "needs": "", "why": "", "rows": [], "commands": []}
    plan: dict[str, Any] = {
        "kit": __version__,
        "customer": "c",
        "run": "r",
        "mode": "plan",
        "inputs": "",
        "chapters": ["c"],
        "broken": [],
    }
    plan |= change | {"steps": [step | each for each in change.get("steps", [{}])]}
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan), "utf-8")
    with pytest.raises(UsageError, match="is no plan file"):
        planfile.load(path)
