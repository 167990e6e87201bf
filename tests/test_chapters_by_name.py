"""Chapters and steps that a customer must ask for: password change, removal, migration, protocol log, registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from in_process import without_kernels

from umkit.attestation import attest
from umkit.customer import load
from umkit.headless import run
from umkit.lab import Lab

ROOT = Path(__file__).resolve().parents[1]
LAB: dict[str, Any] = yaml.safe_load((ROOT / "parameters" / "lab.yaml").read_text("utf-8"))
SERVER = "XPhoneConnectServer"
LOG = r"C:\Program Files\Microsoft\Exchange Server\V15\ClientAccess\PopImap\Microsoft.Exchange.Imap4.exe.config"


@dataclass
class Place:
    """A lab, and one customer's files and records."""

    lab: Lab
    folder: Path

    def go(self, mode: str, *chapters: str, **changes: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
        """Run chapters with some sections changed; returns the steps by id."""
        values = {**LAB}
        for section, change in changes.items():
            values[section] = None if change is None else {**(values.get(section) or {}), **change}
        path = self.folder / "lab.yaml"
        path.write_text(yaml.safe_dump(values, allow_unicode=True), "utf-8")
        with without_kernels():
            summary = run(
                load(path),
                mode,
                chapters=chapters,
                records=self.folder / "records",
                runbooks=ROOT / "runbooks",
                lab=self.lab.describe(),
            )
        return {step["id"]: step for chapter in summary.as_dict()["chapters"] for step in chapter["steps"]}

    def sent(self) -> list[str]:
        lines = (self.folder / "trace.jsonl").read_text("utf-8").splitlines()
        return [json.loads(line)["commands"][0]["name"] for line in lines if json.loads(line)["mutating"]]

    def service(self, host: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.lab.state()["hosts"][host]["services"][name]
        return found


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Lab(trace=tmp_path / "trace.jsonl") as lab:
        yield Place(lab, tmp_path)


def test_a_password_change_waits_for_the_person(place: Place) -> None:
    running = place.service("XPHONE01", SERVER)
    first = place.go("apply", "20")
    assert place.service("XPHONE01", SERVER) == running  # nobody attested PWD-1, so nobody is interrupted
    assert {first[step]["result"] for step in ("PWD-1", "PWD-3", "PWD-4", "PWD-5")} == {"open"}
    attest(place.folder / "records", "lab", "PWD-1", who="A")
    stopped = place.go("apply", "20")
    assert stopped["PWD-2"]["result"] == "changed"
    assert place.service("XPHONE01", SERVER)["status"] == "Stopped"  # it is not started with the old password
    assert stopped["PWD-6"]["result"] == "blocked"
    for step in ("PWD-3", "PWD-4", "PWD-5"):
        attest(place.folder / "records", "lab", step, who="A")
    started = place.go("apply", "20")
    assert started["PWD-6"]["result"] == "changed"
    assert place.service("XPHONE01", SERVER)["status"] == "Running"
    assert place.service("XPHONE01", SERVER)["stop_count"] == 1
    again = place.go("apply", "20")
    assert place.service("XPHONE01", SERVER)["stop_count"] == 1
    assert again["PWD-2"]["changes"] == 0


def test_the_rights_are_taken_away_and_nothing_else(place: Place) -> None:
    place.go("apply", "05", "07", "08")
    before = place.lab.state()["objects"]
    without = place.go("apply", "21", consent={"removal": None, "further_removal": None})
    assert {without["REM-1"]["result"], without["REM-2"]["result"]} == {"blocked"}
    assert place.lab.state()["objects"] == before
    done = place.go("apply", "21")
    assert {done["REM-1"]["result"], done["REM-2"]["result"]} == {"changed"}
    after = place.lab.state()["objects"]
    assert "MAPIAccount" not in json.dumps(after["ADPermission"])
    [group] = [each for each in after["RoleGroup"] if each["Name"] == "EwsImpersonationRoleGroup"]
    assert group["Members"] == []
    assert "NoThrottlingPolicy" not in json.dumps([each["ThrottlingPolicy"] for each in after["Mailbox"]])
    assert [each["Name"] for each in after["ThrottlingPolicy"]] == [each["Name"] for each in before["ThrottlingPolicy"]]
    since = len(place.sent())
    assert place.go("apply", "21")["REM-1"]["changes"] == 0
    assert place.sent()[since:] == []


@pytest.mark.parametrize("wanted", [True, pytest.param(False, marks=pytest.mark.long)])
def test_the_protocol_log_is_switched_and_takes_effect(place: Place, wanted: bool) -> None:
    for value in (not wanted, wanted):
        done = place.go("apply", "03", imap4={"protocol_log": value})
        assert {done[f"IMAP-{n}"]["result"] for n in range(1, 6)} <= {"ok", "changed"}
    for server in ("EX01", "EX02"):
        text = place.lab.state()["hosts"][server]["files"][LOG]["text"]
        assert f'key="ProtocolLog" value="{str(wanted).lower()}"' in text
        effective = place.service(server, "MSExchangeImap4")["effective"]
        assert effective["ProtocolLog"] == str(wanted).lower()
        assert effective["LoginType"] == "PlainTextLogin"
    since = len(place.sent())
    place.go("apply", "03", imap4={"protocol_log": wanted})
    assert place.sent()[since:] == []


def test_without_consent_nothing_is_restarted(place: Place) -> None:
    found = place.go(
        "apply", "03", "07", imap4={"protocol_log": True}, consent={"restarts": None, "information_store": None}
    )
    assert {found[step]["result"] for step in ("IMAP-4", "LIM-5")} == {"blocked"}
    assert "Restart-Service" not in place.sent()


def test_a_migration_stops_the_server_only_while_something_is_to_be_removed(place: Place) -> None:
    done = place.go("apply", "06", run={"migrating_from": 2013})
    assert done["OUT-2"]["result"] == "changed"
    atlas = place.lab.state()["hosts"]["XPHONE01"]["files"][r"C:\Program Files\C4B\XPhone Connect\atlas.xml"]["text"]
    assert "<RoHFlagsUseRoH>off</RoHFlagsUseRoH>" in atlas
    assert done["OUT-3"]["changes"] == 0  # neither the old Messaging API nor an old Office is installed here
    assert place.service("XPHONE01", SERVER)["status"] == "Running"


def test_the_registry_limit_is_set_where_it_is_asked_for(place: Place) -> None:
    done = place.go("apply", "07", sessions={"registry_limit": True})
    assert done["LIM-7"]["result"] == "changed"
    for server in ("EX01", "EX02"):
        registry = place.lab.state()["hosts"][server]["registry"]
        values = next(each for key, each in registry.items() if key.lower().endswith(r"msexchangeis\parameterssystem"))
        assert values["Maximum Allowed Sessions Per User"] == {"kind": "DWord", "data": 128}


def test_a_user_is_made_with_a_password_that_nobody_sees(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    password = "Anfang-4711-geheim"
    monkeypatch.setenv("UMKIT_INITIAL", password)
    names = [each["Name"] for each in place.lab.state()["objects"]["User"]]
    assert "ewsaccount" not in names
    ews = {
        "account": "ewsaccount@alleo.intern",
        "create_user": True,
        "user_principal_name": "ewsaccount@alleo.intern",
        "initial_password": "env:UMKIT_INITIAL",
    }
    done = place.go("apply", "08", ews=ews)
    assert (done["EWS-1"]["result"], done["EWS-2"]["result"]) == ("changed", "ok")
    assert "ewsaccount" in [each["Name"] for each in place.lab.state()["objects"]["Mailbox"]]
    for path in place.folder.rglob("*"):
        assert not path.is_file() or password.encode() not in path.read_bytes(), path
