"""Organisations that are not clean: what plan names, what apply mends, what it leaves alone."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from umkit.customer import load
from umkit.headless import RunSummary, run
from umkit.lab import Lab

ROOT = Path(__file__).resolve().parents[1]
ORGANISATIONS = files("umkit.lab") / "organisations"
DEFECTS = yaml.safe_load((ORGANISATIONS / "migrated-mess.defects.yaml").read_text("utf-8"))


@dataclass
class Runs:
    """Plan, apply and a second plan of one organisation, and the lab's state before and after the first plan."""

    plan: RunSummary
    apply: RunSummary
    after: RunSummary
    untouched: bool
    mutating_after: list[str]


def go_through(organisation: str, customer: Path, folder: Path) -> Runs:
    trace = folder / "trace.jsonl"
    with Lab(organisation, trace=trace) as lab:
        file = load(customer)

        def go(mode: str) -> RunSummary:
            return run(file, mode, records=folder / "records", runbooks=ROOT / "runbooks", lab=lab.describe())

        before = lab.state()["objects"]
        planned = go("plan")
        untouched = lab.state()["objects"] == before and not sent(trace)
        applied = go("apply")
        since = len(trace.read_text("utf-8").splitlines())
        return Runs(planned, applied, go("plan"), untouched, sent(trace, since))


def sent(trace: Path, since: int = 0) -> list[str]:
    lines = [json.loads(line) for line in trace.read_text("utf-8").splitlines()[since:]]
    return [line["commands"][0]["name"] for line in lines if line["mutating"]]


def shown(summary: RunSummary) -> dict[str, str]:
    """What each step's cell shows in the executed notebook, as a person reads it."""
    texts: dict[str, str] = {}
    for path in sorted((Path(summary.record) / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            parts = []
            for output in cell.get("outputs", ()):
                parts += ["".join(part) for part in output.get("data", {}).values()]
                parts += output.get("traceback", [])
            texts[cell["id"]] = html.unescape("\n".join(parts))
    return texts


@pytest.fixture(scope="module")
def mess(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("mess")
    return go_through("migrated-mess", ROOT / "tests" / "parameters" / "mess.yaml", folder)


@pytest.fixture(scope="module")
def german(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("german")
    return go_through("single-2016-german", ROOT / "tests" / "parameters" / "german.yaml", folder)


def results(summary: RunSummary) -> dict[str, dict[str, Any]]:
    return {step["id"]: step for chapter in summary.as_dict()["chapters"] for step in chapter["steps"]}


def test_planning_changes_nothing(mess: Runs, german: Runs) -> None:
    assert mess.untouched
    assert german.untouched
    assert mess.mutating_after == []


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect["id"])
def test_each_planted_defect_is_named(mess: Runs, defect: dict[str, Any]) -> None:
    where = mess.apply if defect.get("mode") == "apply" else mess.plan
    assert defect["says"] in shown(where)[defect["step"]]
    assert results(where)[defect["step"]]["result"] != "ok"


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect["id"])
def test_apply_mends_what_it_may_and_leaves_the_rest(mess: Runs, defect: dict[str, Any]) -> None:
    if defect.get("mode") == "apply":
        return  # it shows in an apply only; the plan afterwards cannot see it
    differences = {
        (difference["object"], difference["property"])
        for difference in results(mess.plan)[defect["step"]].get("differences", ())
    }
    left = {
        (difference["object"], difference["property"])
        for difference in results(mess.after)[defect["step"]].get("differences", ())
    }
    if defect["mended_by_apply"]:
        assert differences
        assert left < differences or not left
        assert results(mess.apply)[defect["step"]]["changes"] > 0
    else:
        assert defect["says"] in shown(mess.after)[defect["step"]]  # still there, and still named


def test_apply_blocks_where_consent_or_safety_is_missing(mess: Runs) -> None:
    found = results(mess.apply)
    assert found["LIM-5"]["result"] == "blocked"
    assert found["MAPI-5"]["result"] == "blocked"
    rights = shown(mess.apply)["MAPI-5"]
    assert "≠ rights of MAPIAccount@alleo.intern on mailbox database DB02" in rights
    assert "✎ rights of MAPIAccount@alleo.intern on mailbox database DB03" in rights
    assert mess.apply.exit_code == 1


def test_no_chapter_breaks_off(mess: Runs, german: Runs) -> None:
    for summary in (mess.plan, mess.apply, mess.after, german.plan, german.apply, german.after):
        broken = {
            chapter["chapter"]: chapter["error"] for chapter in summary.as_dict()["chapters"] if "error" in chapter
        }
        assert not broken


def test_a_german_directory_is_configured_like_any_other(german: Runs) -> None:
    bad = {
        name: step for name, step in results(german.apply).items() if step["result"] not in ("ok", "changed", "open")
    }
    assert not bad
    assert {name: step for name, step in results(german.after).items() if step["result"] in ("differs", "failed")} == {}


def test_an_outdated_server_stops_the_run(tmp_path: Path) -> None:
    with Lab("outdated-server") as lab:
        summary = run(
            load(ROOT / "parameters" / "lab.yaml").against_lab(),
            "plan",
            records=tmp_path,
            runbooks=ROOT / "runbooks",
            lab=lab.describe(),
        )
        before = lab.state()["objects"]
        alone = run(
            load(ROOT / "parameters" / "lab.yaml").against_lab(),
            "apply",
            chapters=["01"],
            records=tmp_path,
            runbooks=ROOT / "runbooks",
            lab=lab.describe(),
        )
        assert lab.state()["objects"] == before  # a chapter that is named alone does not pass the check by
    assert results(alone)["FWD-1"]["result"] == "blocked"
    assert alone.exit_code == 1
    step = results(summary)["START-3"]
    assert step["result"] == "failed"
    assert "15.0" in json.dumps(step)
    assert {chapter["result"] for chapter in summary.as_dict()["chapters"][1:]} == {"blocked"}
