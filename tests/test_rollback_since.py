"""Rollback: what somebody added to an object since, what later runs used of it, and what cannot come back in full."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from in_process import Clock
from taking_back import ROOT, Place, inputs, steps, texts

from umkit import cli, record, since
from umkit.errors import RecordError, UsageError
from umkit.headless import RunSummary
from umkit.journal import HEAD, Journal, read
from umkit.lab import Lab
from umkit.secrets import Secret

FAX = "send connector XPhone Connect fax"
RELAY = "receive connector EX01\\XPhone Connect relay"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Lab(trace=tmp_path / "trace.jsonl") as lab:
        yield Place(lab, tmp_path / "records", tmp_path / "trace.jsonl")


def planned(done: RunSummary) -> dict[str, dict[str, Any]]:
    """What a rollback's record says beforehand, by object."""
    return {event["object"]: event for event in read(done.record / record.JOURNAL) if event["event"] == "planned"}


def test_what_somebody_added_to_an_object_is_not_removed_with_it(place: Place) -> None:
    place.go("apply", "01", "04")
    place.somebody("Set-ReceiveConnector", Identity="EX01\\XPhone Connect relay", MaxMessageSize="99MB")
    place.somebody("Set-SendConnector", Identity="XPhone Connect fax", Comment="by A. Muster, do not remove")
    since = len(place.mutating())
    said: list[str] = []
    shown = place.back(dry_run=True, say=said.append)
    told = "\n".join(said)
    assert "Comment: then (empty), now by A. Muster, do not remove" in told
    assert "MaxMessageSize: then 36 MB (37,748,736 bytes), now 99 MB (103,809,024 bytes)" in told
    assert planned(shown)[FAX]["commands"] == []
    done = place.back()
    found = steps(done)
    assert found[FAX]["result"] == found[RELAY]["result"] == "differs"
    assert "changed since, so left alone: Comment" in texts(found[FAX])
    assert "Comment" in planned(done)[FAX]["why"]
    assert "XPhone Connect fax" in place.names("SendConnector")
    assert "XPhone Connect sms" not in place.names("SendConnector")  # nobody has touched that one
    relays = [each["Server"] for each in place.objects("ReceiveConnector") if each["Name"] == "XPhone Connect relay"]
    assert relays == ["EX01"]
    assert all("EX01\\XPhone" not in name for name in place.mutating()[since:])


def test_it_is_removed_where_a_person_says_so_by_name(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    done = place.go("apply", "01")
    for name in ("fax", "sms"):
        place.somebody("Set-SendConnector", Identity=f"XPhone Connect {name}", Comment="added")
    with pytest.raises(UsageError, match="the run touched no remote domain fax"):
        place.back(although_changed=["remote domain fax"])
    monkeypatch.setenv("UMKIT_LAB", json.dumps(place.lab.describe()))
    options = ["--records", str(place.records), "--parameters", str(ROOT / "parameters"), "--json", "--yes"]
    back = CliRunner().invoke(cli.main, ["rollback", "lab", "--although-changed", FAX.upper(), *options])
    assert back.exit_code == 3, back.stderr
    assert "taken back all the same, as was asked: Comment: then (empty), now added" in back.stderr
    assert place.names("SendConnector") & {"XPhone Connect fax", "XPhone Connect sms"} == {"XPhone Connect sms"}
    folder = Path(json.loads(back.stdout)["record"])
    events = read(folder / record.JOURNAL)
    [told] = [event for event in events if event["event"] == "step" and event["title"] == FAX]
    assert "as was asked: Comment" in told["findings"][0]["text"]
    assert done.run in {event["of"] for event in events if event["event"] == "rollback"}


def test_the_word_is_for_what_was_shown(place: Place) -> None:
    place.go("apply", "01")
    place.somebody("Set-SendConnector", Identity="XPhone Connect fax", Comment="added")

    def agree() -> bool:
        place.somebody("Set-SendConnector", Identity="XPhone Connect fax", MaxMessageSize="10MB")
        return True

    found = steps(place.back(although_changed=[FAX], agree=agree))
    assert "changed since the plan was shown" in texts(found[FAX])
    assert "XPhone Connect fax" in place.names("SendConnector")


def test_another_object_of_the_name_is_not_the_runs(place: Place) -> None:
    place.go("apply", "02")
    place.somebody("Remove-RemoteDomain", Identity="fax", Confirm=False)
    first = place.go("apply", "02")
    [older] = [each.name for each in record.folders(first.record.parent, ["apply"]) if each.name != first.run]
    found = steps(place.back(run=older))
    assert "it is another object of that name, made since" in texts(found["remote domain fax"])
    assert place.names("RemoteDomain") == {"Default", "fax"}


def test_an_object_that_the_run_made_anew_is_one_that_it_made(place: Place) -> None:
    place.somebody("New-RemoteDomain", Name="sms", DomainName="old.alleo.intern")
    place.go("apply", "02")  # which removes it and makes it again, for another domain
    place.somebody("Set-RemoteDomain", Identity="sms", LineWrapSize=77)
    found = steps(place.back())
    assert "LineWrapSize: then Unlimited, now 77" in texts(found["remote domain sms"])
    assert place.one("RemoteDomain", "sms")["DomainName"] == "sms.alleo.intern"


def rewritten(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """Let a journal be as another kit wrote it, or somebody who sealed it anew."""
    journal = folder / record.JOURNAL
    kept = read(journal)
    journal.unlink()
    with Journal(journal) as anew:
        for event in kept:
            edit(event)
            anew.append(event["event"], **{name: value for name, value in event.items() if name not in HEAD})
    record.seal(folder)


@pytest.mark.parametrize("later", [False, True])
def test_a_record_that_does_not_tell_it_goes_by_the_time(
    place: Place, later: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = place.go("apply", "02")
    rewritten(done.record, lambda event: event.pop("besides", None))
    if later:
        with Clock.at_work(), monkeypatch.context() as patch:
            patch.setattr(Clock, "ahead", timedelta(hours=1))
            place.somebody("Set-RemoteDomain", Identity="fax", DisplaySenderName=False)
    step = steps(place.back())["remote domain fax"]
    assert ("after the run; the record does not tell" in texts(step)) is later
    assert ("fax" in place.names("RemoteDomain")) is later


def test_what_is_not_shown_is_told_by_the_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.go("apply", "02")
    with Clock.at_work(), monkeypatch.context() as patch:
        patch.setattr(Clock, "ahead", timedelta(hours=1))
        for sender in (False, True):  # there and back: nothing shows it but the time
            place.somebody("Set-RemoteDomain", Identity="fax", DisplaySenderName=sender)
    step = steps(place.back())["remote domain fax"]
    assert "something of it that is not shown was changed" in texts(step)
    assert place.names("RemoteDomain") == {"Default"}


def with_password(place: Place) -> None:
    """The customer's own connector, which signs in to a relay of a provider's."""
    place.somebody(
        "New-SendConnector",
        Name="XPhone Connect fax",
        Usage="Custom",
        AddressSpaces=["SMTP:fax.alleo.intern;1"],
        SmartHosts=["smtp.provider.example"],
        DNSRoutingEnabled=False,
        SmartHostAuthMechanism="BasicAuth",
        AuthenticationCredential={"UserName": "alleo", "Password": Secret("Geheim#1")},
    )


def forget_credentials(lab: Lab) -> None:
    """Whether Exchange does so when the mechanism is set to None is not established (?)."""
    organisation = lab._organisation
    assert organisation is not None
    for entry in organisation.directory.latest("SendConnector"):
        nothing = {"AuthenticationCredential": None}
        organisation.directory.update(organisation.controllers[0], entry, nothing, entry.changed)


@pytest.mark.parametrize("kept", [True, False])
def test_a_connectors_credential_does_not_come_back_and_that_is_said(place: Place, kept: bool) -> None:
    with_password(place)
    shown = place.go("plan", "01", kernels=True)
    page = (shown.record / "notebooks" / "01-forwarding-emails.ipynb").read_text("utf-8")
    assert "its password is in no record: a rollback cannot give it back" in page
    place.go("apply", "01")
    if not kept:
        forget_credentials(place.lab)
    beforehand = planned(place.back(dry_run=True))[FAX]
    assert "it was BasicAuth, and the credential for that is in no record" in beforehand["why"]
    done = place.back()
    step, connector = steps(done)[FAX], place.one("SendConnector", "XPhone Connect fax")
    assert step["result"] == "open"
    assert step.get("error") is None
    assert "in no record" in texts(step)
    assert connector["SmartHosts"] == ["smtp.provider.example"]
    assert connector["SmartHostAuthMechanism"] == ("BasicAuth" if kept else "None")
    assert ("Exchange still shows one (alleo)" in texts(step)) is kept
    assert done.exit_code == 4


def test_a_connector_that_signs_in_is_made_again_without(place: Place) -> None:
    """A rollback that removed it, on a person's word, is taken back: what can be made is made."""
    place.go("apply", "01")
    credential = {"UserName": "alleo", "Password": Secret("Geheim#1")}
    name = "XPhone Connect fax"
    place.somebody(
        "Set-SendConnector", Identity=name, SmartHostAuthMechanism="BasicAuth", AuthenticationCredential=credential
    )
    removed = place.back(although_changed=[FAX])
    assert name not in place.names("SendConnector")
    step = steps(place.back(run=removed.run))[FAX]
    assert step["result"] == "open"
    assert "it was BasicAuth" in texts(step)
    assert place.one("SendConnector", name)["SmartHostAuthMechanism"] == "None"


def test_what_later_steps_and_runs_used_is_said(place: Place) -> None:
    first = place.go("apply", "01", "02")
    second = place.go("apply", "02")  # all is as wanted there, and meant to stay
    why = planned(place.back(run=first.run, dry_run=True))
    assert f"used since by run {second.run}, step FMT-0, FMT-1" in why["remote domain fax"]["why"]
    assert "used since" not in why[FAX]["why"]
    done = place.back(run=first.run)
    assert f"used since by run {second.run}" in texts(steps(done)["remote domain fax"])
    assert done.result == "changed"


def test_a_later_chapter_of_the_same_run_is_a_use(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMKIT_TEST_INITIAL", "Neu#und-lang-1")
    account = {"account": "ALLEO\\umsync", "create_user": True, "user_principal_name": "umsync@alleo.intern"}
    place.inputs = inputs(ews=account | {"initial_password": "env:UMKIT_TEST_INITIAL"})
    place.go("apply", "07", "08")
    policy = f"throttling policy {place.inputs.sessions.policy}"
    place.somebody("Set-RoleGroup", Identity=place.inputs.ews.role_group, Description="for the calendars")
    why = planned(place.back(dry_run=True))[f"role group {place.inputs.ews.role_group}"]["why"]
    assert "Description: then (empty), now for the calendars" in why
    assert "used since by this run, step EWS-4" in planned(place.back(chapters=["07"], dry_run=True))[policy]["why"]
    assert "used since" not in planned(place.back(dry_run=True))[policy]["why"]


def test_what_was_taken_back_is_no_use(place: Place) -> None:
    first = place.go("apply", "01")
    place.inputs = inputs(xphone={"address": "10.1.2.99"})
    second = place.go("apply", "01")
    assert second.run in planned(place.back(run=first.run, dry_run=True))[FAX]["why"]
    assert place.back(run=second.run).result == "changed"
    assert "used since" not in planned(place.back(run=first.run, dry_run=True))[FAX]["why"]


def test_a_later_run_that_cannot_be_read_is_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = place.go("apply", "01"), place.go("apply", "02")

    def read_but(path: Path) -> list[dict[str, Any]]:
        if path.parent.name == second.run:
            raise RecordError("the journal cannot be read")
        return read(path)

    monkeypatch.setattr(since, "read", read_but)
    said: list[str] = []
    place.back(run=first.run, dry_run=True, say=said.append)
    assert f"the journal of run {second.run} cannot be read, so nobody knows what it used of this" in said


RIGHT = f"relay right on {RELAY}"
ODD: dict[str, Callable[[dict[str, Any]], object]] = {
    "a parameter is missing": lambda intent: intent["command"]["parameters"].pop("User"),
    "no command": lambda intent: intent.update(command=["Add-ADPermission"]),
    "a change without a value": lambda intent: intent["changes"][0].pop("before"),
    "changes that are none": lambda intent: intent.update(changes=[RIGHT, None]),
    "a value of another kind": lambda intent: intent["changes"][0].update(after={"a": [{}]}, before=[[None]]),
    "another constructor": lambda intent: intent["resource"].update(given={"name": "x", "dn": "x"}),
    "a resource that is none": lambda intent: intent.update(resource="relay_right.RelayRight"),
    "no names": lambda intent: intent.update(chapter=None, step=["REL-3"], endpoint={}),
}


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_record_stops_nothing_but_its_own_step(place: Place, odd: str) -> None:
    done = place.go("apply", "01", "04")

    def edit(event: dict[str, Any]) -> None:
        if event["event"] == "intent" and any(change["object"] == RIGHT for change in event["changes"]):
            ODD[odd](event)

    rewritten(done.record, edit)
    said: list[str] = []
    back = place.back(say=said.append)
    named = {"XPhone Connect fax", "XPhone Connect sms", "XPhone Connect relay"}
    left = (place.names("SendConnector") | place.names("ReceiveConnector")) & named
    assert left == set(), "the other objects are taken back"
    assert "Traceback" not in "".join(said)
    told = [step for step in steps(back).values() if step["result"] not in ("changed", "ok")]
    assert len(told) == 1
    assert told[0]["result"] in ("failed", "open")
    assert "take it back by hand: Add-ADPermission" in json.dumps(told[0])
    assert record.verify(back.record) == []
