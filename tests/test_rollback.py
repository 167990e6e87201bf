"""Rollback: apply, then take it back, and the organisation is as it was, but for what was announced."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from taking_back import ROOT, Place, changed, inputs, steps, texts

from umkit import cli, record
from umkit.errors import RecordError, UsageError
from umkit.headless import RunSummary
from umkit.history import deeds, recall
from umkit.journal import read
from umkit.lab import Lab
from umkit.site import Site
from umkit.unanswered import unanswered
from umkit.undoing import plan

ACCOUNT = {"account": "ALLEO\\umsync", "create_user": True, "user_principal_name": "umsync@alleo.intern"}


@dataclass
class Whole:
    """Every chapter applied and taken back: the states in between, and the runs."""

    place: Place
    states: list[dict[str, Any]]
    rights_applied: RunSummary
    rights_back: RunSummary
    all_applied: RunSummary
    all_back: RunSummary
    sent_by_dry_run: list[str]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch, Lab(trace=folder / "trace.jsonl") as lab:
        patch.setenv("UMKIT_TEST_INITIAL", "Neu#und-lang-1")
        file = inputs(sessions={"registry_limit": True}, ews=ACCOUNT | {"initial_password": "env:UMKIT_TEST_INITIAL"})
        place = Place(lab, folder / "records", folder / "trace.jsonl", file)
        states = [place.state()]
        everything = place.go("apply")
        states.append(place.state())
        rights = place.go("apply", "20", "21")
        rights_back = place.back()
        states.append(place.state())
        since = len(place.mutating())
        place.back(run=everything.run, dry_run=True)
        by_dry_run = place.mutating()[since:]
        back = place.back(run=everything.run)
        states.append(place.state())
        yield Whole(place, states, rights, rights_back, everything, back, by_dry_run)


def test_every_chapter_is_taken_back(whole: Whole) -> None:
    before, _, _, after = whole.states
    left = set(changed(before, after))
    announced = {path for path in left if "umsync" in path.casefold()}
    assert left == announced
    nouns = {path.split("/")[1] for path in announced}
    assert nouns <= {"User", "Mailbox", "CASMailbox", "ThrottlingPolicyAssociation", "MailboxPermission"}
    assert changed(before, whole.states[1])  # it was really done before


def test_the_rights_come_back_that_chapter_21_took_away(whole: Whole) -> None:
    assert changed(whole.states[1], whole.states[2]) == {}
    assert whole.rights_applied.chapters
    assert {chapter.chapter for chapter in whole.rights_back.chapters} == {"21-remove-permissions"} | {
        chapter.chapter for chapter in whole.rights_back.chapters if chapter.chapter == "20-password-change"
    }


def test_what_is_not_taken_back_is_said(whole: Whole) -> None:
    found = steps(whole.all_back)
    bad = {title: step for title, step in found.items() if step["result"] not in ("ok", "changed", "open")}
    assert bad == {}
    left = {title for title, step in found.items() if step["result"] == "open"}
    assert left == {"user ALLEO\\umsync", "service MSExchangeIS on EX01", "service MSExchangeIS on EX02"}
    assert "never removed" in texts(found["user ALLEO\\umsync"])
    assert "a restart is not undone" in texts(found["service MSExchangeIS on EX01"])
    assert whole.all_back.exit_code == 4


def test_a_dry_run_sends_nothing(whole: Whole) -> None:
    assert whole.sent_by_dry_run == []


def test_the_rollback_has_a_record_of_its_own(whole: Whole) -> None:
    folder = whole.all_back.record
    assert folder.name.endswith("-rollback")
    assert record.verify(folder) == []
    events = read(folder / "journal.jsonl")
    [told] = [event for event in events if event["event"] == "rollback"]
    assert told["of"] == whole.all_applied.run
    intents = [event for event in events if event["event"] == "intent" and event["mutating"]]
    outcomes = {event["intent"]: event["outcome"] for event in events if event["event"] == "outcome"}
    assert intents
    assert {outcomes[intent["id"]] for intent in intents} == {"done"}
    assert all(intent["changes"] and intent["resource"]["class"] for intent in intents)


def test_the_newest_change_goes_first(whole: Whole) -> None:
    chapters = [chapter.chapter for chapter in whole.all_back.chapters]
    assert chapters == sorted(chapters, reverse=True)


def test_what_each_intent_was_made_for_can_be_made_again(whole: Whole) -> None:
    for event in read(whole.all_applied.record / "journal.jsonl"):
        if event["event"] == "intent" and event.get("resource"):
            resource = recall(event["resource"])
            own = {change["object"] for change in event["changes"]}
            assert not own or resource.label in own or event["command"]["name"] == "Copy-Item"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Lab(trace=tmp_path / "trace.jsonl") as lab:
        yield Place(lab, tmp_path / "records", tmp_path / "trace.jsonl")


def test_what_was_changed_since_is_named_and_left_alone(place: Place) -> None:
    place.go("apply", "01", "02")
    place.somebody("Set-RemoteDomain", Identity="fax", NDREnabled=True)
    place.somebody("Set-SendConnector", Identity="XPhone Connect sms", Port=26)
    done = place.back()
    found = steps(done)
    assert "NDREnabled: then False, now True" in texts(found["remote domain fax"])
    assert "Port: then 2544, now 26" in texts(found["send connector XPhone Connect sms"])
    assert place.names("RemoteDomain") == {"Default", "fax"}
    assert place.one("RemoteDomain", "fax")["NDREnabled"] is True
    assert place.one("SendConnector", "XPhone Connect sms")["Port"] == 26
    assert "XPhone Connect fax" not in place.names("SendConnector")
    assert done.result == "differs"
    assert done.exit_code == 3


def test_only_the_property_that_somebody_changed_is_left(place: Place) -> None:
    place.somebody("New-RemoteDomain", Name="fax", DomainName="fax.alleo.intern")
    before = place.one("RemoteDomain", "fax")
    place.go("apply", "02")
    place.somebody("Set-RemoteDomain", Identity="fax", ContentType="MimeHtml")
    step = steps(place.back())["remote domain fax"]
    after = place.one("RemoteDomain", "fax")
    assert "ContentType: then MimeText, now MimeHtml" in texts(step)
    differing = {name for name in before if before[name] != after[name] and not name.startswith("When")}
    assert differing == {"ContentType"}


def test_a_replaced_object_is_made_again_as_it_was(place: Place) -> None:
    place.somebody("New-RemoteDomain", Name="sms", DomainName="old.alleo.intern")
    place.somebody(
        "Set-RemoteDomain", Identity="sms", NDREnabled=False, ContentType="MimeHtml", TargetDeliveryDomain=True
    )
    before = place.one("RemoteDomain", "sms")
    place.go("apply", "02")
    assert place.one("RemoteDomain", "sms")["DomainName"] == "sms.alleo.intern"
    said: list[str] = []
    place.back(say=said.append)
    after = place.one("RemoteDomain", "sms")
    differing = {name for name in before if before[name] != after[name] and not name.startswith("When")}
    assert differing == {"Guid", "TargetDeliveryDomain"}
    assert "cannot be restored: TargetDeliveryDomain (was True)" in "\n".join(said)


def test_a_file_that_was_changed_since_is_left_alone(tmp_path: Path) -> None:
    path = "C:\\Program Files\\C4B\\XPhone Connect\\atlas.xml"
    with Lab("migrated-mess", trace=tmp_path / "trace.jsonl") as lab:
        place = Place(lab, tmp_path / "records", tmp_path / "trace.jsonl")
        place.inputs = inputs(ROOT / "tests" / "parameters" / "mess.yaml")
        before = place.state()
        place.go("apply", "06")
        written = lab.state()["hosts"]["XPHONE01"]["files"][path]
        assert steps(place.back(dry_run=True))[f"configuration file {path} on XPHONE01"]["result"] == "differs"
        mine = written["text"].encode() + b"<!-- mine -->"
        place.somebody("Set-Content", host="XPHONE01", LiteralPath=path, Encoding="Byte", Value=mine)
        step = steps(place.back())[f"configuration file {path} on XPHONE01"]
        assert step["result"] == "open"
        assert "changed since" in texts(step)
        assert lab.state()["hosts"]["XPHONE01"]["files"][path] != written
        left = [name for name in changed(before, place.state()) if "atlas.xml" not in name]
        # No cmdlet removes a key's default value: announced.
        assert all("Wow6432Node\\Clients\\Mail" in name for name in left)


def test_an_answer_that_was_lost_is_looked_up_and_not_sent_again(place: Place) -> None:
    place.go("apply", "01")
    since = len(place.mutating())
    place.lab.set_faults([{"at_mutation": 1, "do": "drop-after"}])
    done = place.back()
    assert done.result == "changed"
    assert place.mutating()[since:] == ["Remove-SendConnector", "Remove-SendConnector"]
    assert [event["found"] for event in read(done.record / "journal.jsonl") if event["event"] == "found"] == [
        "as wanted"
    ]
    assert not any(name.startswith("XPhone Connect") for name in place.names("SendConnector"))


def test_an_apply_whose_answer_was_lost_is_taken_back_by_what_is_there(place: Place) -> None:
    place.lab.set_faults([{"at_mutation": 2, "do": "drop-after"}])
    place.go("apply", "01")
    place.lab.set_faults([])
    place.back()
    assert not any(name.startswith("XPhone Connect") for name in place.names("SendConnector"))


@pytest.mark.parametrize("names", [["a'; Remove-Mailbox *", "$(x) `n {0}"], ['’–"<b>&', "[red]*?\\x"]])
def test_hostile_names(place: Place, names: list[str]) -> None:
    services = [{"name": name, "domain": f"h{n}.alleo.intern", "port": 2533} for n, name in enumerate(names)]
    place.inputs = inputs(um_services=services)
    before = place.state()
    done = place.go("apply", "02")
    assert done.result == "changed"
    assert place.back().result == "changed"
    assert changed(before, place.state()) == {}


def test_a_rollback_can_be_taken_back_too(place: Place) -> None:
    place.go("apply", "02")
    applied = place.state()
    done = place.back()
    again = place.back(run=done.run)
    assert again.result == "changed"
    assert {path for path in changed(applied, place.state()) if not path.endswith("/Guid")} == set()
    assert place.back(run=done.run).result == "ok"  # nothing is left to do
    since = len(place.mutating())
    assert place.back(run=again.run).result == "changed"
    assert place.mutating()[since:] == ["Remove-RemoteDomain"] * 2, "what was made again is removed again"


@pytest.mark.long
def test_every_chapters_rollback_can_be_taken_back_or_says_what_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UMKIT_TEST_INITIAL", "Neu#und-lang-1")
    with Lab(trace=tmp_path / "trace.jsonl") as lab:
        file = inputs(sessions={"registry_limit": True}, ews=ACCOUNT | {"initial_password": "env:UMKIT_TEST_INITIAL"})
        place = Place(lab, tmp_path / "records", tmp_path / "trace.jsonl", file)
        place.somebody("New-RoleGroup", Name="EwsImpersonationRoleGroup", Roles=["ApplicationImpersonation"])
        place.go("apply", "01", "04", "05", "07", "08")
        applied = place.state()
        done = place.back()
        found = steps(place.back(run=done.run))
        left = {path: was for path, (was, _) in changed(applied, place.state()).items() if not path.endswith("/Guid")}
        said = "; ".join(f"{title}: {texts(step)}" for title, step in found.items())
        failed = {title: step["summary"] for title, step in found.items() if step["result"] == "failed"}
        assert failed == {}
        assert "ExtendedRights: Receive-As, Send-As is added by umkit apply" in said
        assert "XPhone Connect relay: left alone: The operation couldn't be performed" in said
        assert "Members: alleo.intern/Users/umsync is added by umkit apply" in said
        assert "what the file held before is in no record" in said
        assert not any("ParametersSystem" in path for path in left)
        named = ("Permission", "RoleGroup", "CalendarSyncExchange", "SMTP Receive Connectors")
        assert [path for path in left if not any(each in path for each in named)] == []


SESSIONS = "HKLM:\\SYSTEM\\CurrentControlSet\\Services\\MSExchangeIS\\ParametersSystem"


@pytest.mark.parametrize(("begun", "since", "left"), [("256", None, "256"), (None, 512, 512)])
def test_a_registry_value_that_is_not_the_runs_stays(place: Place, begun: Any, since: Any, left: Any) -> None:
    where = {"LiteralPath": SESSIONS, "Name": "Maximum Allowed Sessions Per User"}
    place.inputs = inputs(sessions={"registry_limit": True})
    if begun:  # of the wrong type: the run mends that alone
        place.somebody("Set-ItemProperty", host="EX01", **where, Value=begun, Type="String")
    place.go("apply", "07")
    if since:
        place.somebody("Set-ItemProperty", host="EX01", **where, Value=since, Type="DWord")
    done = place.back()
    path = "hosts/EX01/registry/HKLM\\SYSTEM\\CurrentControlSet\\Services\\MSExchangeIS\\ParametersSystem"
    state = place.state()
    found = {name.rpartition("/")[2]: value for name, value in state.items() if name.startswith(path)}
    assert found == {"kind": "String" if begun else "DWord", "data": left}
    step = steps(done)[f"registry key {SESSIONS} on EX01"]
    assert ("changed since" in texts(step)) is bool(since)


def test_a_rehearsal_in_the_lab_is_no_run_at_the_customers_servers(place: Place) -> None:
    url = "http://host.alleo.intern:5985/wsman"
    hosts = {
        "directory": None,
        "exchange": [{"name": "EX01", "endpoint": url}],
        "xphone": {"name": "XPHONE01", "endpoint": url},
    }
    exchange = {"endpoint": "http://ex01.alleo.intern/PowerShell/", "auth": "kerberos"}
    real = inputs(customer={"name": "acme"}, consent={"customer": "acme"}, exchange=exchange, hosts=hosts)
    place.inputs = real.against_lab()
    done = place.go("apply", "01")
    home = done.record.parent
    journal = done.record / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    last = max(n for n, line in enumerate(lines) if json.loads(line).get("mutating"))
    journal.write_bytes(b"".join(lines[: last + 1]))  # it was killed, and nobody answered
    (done.record / "manifest.json").unlink()
    place.inputs = real
    with pytest.raises(UsageError, match="no record of an apply"):
        place.back()
    with pytest.raises(UsageError, match="one is the lab"):
        place.back(run=done.run)
    assert len(unanswered(home, inputs=real.against_lab())) == 1
    assert unanswered(home, inputs=real) == []


def test_what_is_gone_is_said_and_so_is_the_run(place: Place) -> None:
    done = place.go("apply", "01")
    place.somebody("Set-SendConnector", Identity="XPhone Connect fax", Name="Renamed")
    said: list[str] = []
    found = steps(place.back(say=said.append))
    assert "not there any more" in texts(found["send connector XPhone Connect fax"])
    assert said[0] == f"run {done.run}: 2 objects"
    said.clear()
    place.back(run=place.go("apply", "00").run, say=said.append)
    assert "it changed nothing" in said[0]


def test_a_moved_start_mode_is_named_though_the_service_is_stopped(place: Place) -> None:
    place.go("apply", "03")
    place.somebody("Set-Service", host="EX01", Name="MSExchangeImap4", StartupType="Disabled")
    step = steps(place.back())["service MSExchangeImap4 on EX01"]
    assert "StartMode: then Automatic, now Disabled" in texts(step)


def test_only_the_chapters_that_are_named(place: Place) -> None:
    place.go("apply", "01", "02")
    done = place.back(chapters=["02"])
    assert [chapter.chapter for chapter in done.chapters] == ["02-message-formats"]
    assert place.names("RemoteDomain") == {"Default"}
    assert "XPhone Connect fax" in place.names("SendConnector")


def test_a_record_that_was_changed_takes_nothing_back(place: Place) -> None:
    done = place.go("apply", "01")
    journal = done.record / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b"XPhone Connect fax", b"Default Frontend x", 1))
    since = len(place.mutating())
    with pytest.raises(RecordError, match="was changed after it was written"):
        place.back()
    assert place.mutating()[since:] == []


def test_a_run_that_was_killed_is_taken_back(place: Place) -> None:
    done = place.go("apply", "01")
    journal = done.record / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    last = max(n for n, line in enumerate(lines) if json.loads(line).get("mutating"))
    journal.write_bytes(b"".join(lines[: last + 1]) + lines[last + 1][:20])  # the last command has no outcome
    (done.record / "manifest.json").unlink()
    assert place.back().result == "changed"
    assert not any(name.startswith("XPhone Connect") for name in place.names("SendConnector"))


def test_without_a_run_there_is_nothing_to_take_back(place: Place) -> None:
    with pytest.raises(UsageError, match="no record of an apply"):
        place.back()
    with pytest.raises(UsageError, match="there is no run"):
        place.back(run="../../elsewhere")


def test_a_resource_that_is_none_of_ours_is_not_made() -> None:
    for name in ("os.system", "mailbox.SecretReference", "..x.Y", "mailbox.annotations", ""):
        with pytest.raises(RecordError):
            recall({"class": name, "given": {}})


def test_a_change_that_names_no_resource_is_for_a_person() -> None:
    intent = {
        "event": "intent", "chapter": "01-forwarding-emails", "step": "FWD-1", "id": "1", "endpoint": "exchange",
        "mutating": True, "command": {"name": "Set-X", "parameters": {}}, "powershell": "Set-X",
        "changes": [{"object": "x", "property": "p", "before": 1, "after": 2}],
    }  # fmt: skip
    [deed] = deeds([intent, {"event": "outcome", "intent": "1", "outcome": "done"}])
    undoing = plan(deed, Site(inputs()))
    assert "does not say" in str(undoing)
    assert undoing.out.result == "open"
    assert undoing.commands == []
    assert deeds([intent, {"event": "outcome", "intent": "1", "outcome": "refused"}]) == []


def test_the_command_line(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMKIT_LAB", json.dumps(place.lab.describe()))
    place.go("apply", "02")
    options = ["--records", str(place.records), "--parameters", str(ROOT / "parameters"), "--json"]
    shown = CliRunner().invoke(cli.main, ["rollback", "lab", "--dry-run", *options])
    assert shown.exit_code == 3
    assert "would send: Remove-RemoteDomain -Identity 'fax'" in shown.stderr
    assert place.names("RemoteDomain") == {"Default", "fax", "sms"}
    done = CliRunner().invoke(cli.main, ["rollback", "lab", "--chapter", "02", "--yes", *options])
    assert done.exit_code == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["mode"], summary["result"]) == ("rollback", "changed")
    assert place.names("RemoteDomain") == {"Default"}
