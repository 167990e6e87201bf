"""Reads that are asked together: what is sent, what is written down, what is kept, and for how long."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from umkit import steps
from umkit.channel import Channel
from umkit.command import Command
from umkit.customer import load
from umkit.errors import ConnectionFailed, HostNotNamed, NotSent, ObjectNotFound, RecordError, RemoteError, SecretError
from umkit.journal import Journal, read
from umkit.lab import Lab
from umkit.outcome import StepOutcome
from umkit.remoting.session import FAN_OUT
from umkit.resource import Present, Resource
from umkit.resources.database_rights import DatabaseRights, EwsDatabaseRights
from umkit.resources.imap_settings import ImapSettings
from umkit.resources.mailbox import AccountUser
from umkit.resources.policy_assignment import PolicyAssignment
from umkit.resources.registry_value import DefaultMailClient
from umkit.resources.relay_right import RelayRight
from umkit.resources.remote_domain import RemoteDomain
from umkit.resources.send_connector import SendConnector
from umkit.resources.service import ImapServices
from umkit.site import Site
from umkit.steps import asked_together
from umkit.windows import registry

ROOT = Path(__file__).resolve().parents[1]
OFFICE = "HKLM:\\SOFTWARE\\Microsoft\\Office"
QUICK = f"{OFFICE}\\ClickToRun\\Configuration"
TWO = [("SendConnector", {}), ("AcceptedDomain", {})]


@dataclass
class Asked:
    """A site at a lab, and what it asks."""

    lab: Lab
    site: Site
    trace: Path

    @property
    def events(self) -> list[dict[str, Any]]:
        assert self.site.journal is not None
        return [event for event in read(self.site.journal.path) if event["event"] in ("intent", "outcome")]

    @property
    def sent(self) -> list[str]:
        """The commands that the lab received."""
        lines = [json.loads(line) for line in self.trace.read_text("utf-8").splitlines()]
        return [command["name"] for line in lines for command in line["commands"]]


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    trace = tmp_path / "trace.jsonl"
    with Lab(trace=trace) as lab:
        inputs = load(ROOT / "parameters" / "lab.yaml")
        site = Site(inputs, chapter="test", journal=Journal(tmp_path / "journal.jsonl"), described=lab.describe())
        site.organisation()
        yield Asked(lab, site, trace)
        site.close()


def test_all_intents_come_before_the_first_outcome(asked: Asked) -> None:
    channel, before = asked.site.organisation(), len(asked.events)
    commands = [Command("Get-SendConnector"), Command("Get-RemoteDomain", {"Identity": "no such"})]
    found, missing = channel.read_many([*commands, Command("Get-AcceptedDomain")])[:2]
    assert not isinstance(found, RemoteError)
    assert isinstance(missing, ObjectNotFound)
    intents, outcomes = asked.events[before : before + 3], asked.events[before + 3 :]
    assert [event["event"] for event in (*intents, *outcomes)] == ["intent"] * 3 + ["outcome"] * 3
    assert [event["intent"] for event in outcomes] == [event["id"] for event in intents]
    assert {event["together"] for event in intents} == {intents[0]["id"]}
    assert [event["outcome"] for event in outcomes] == ["done", "refused", "done"]
    assert all(event["command"]["parameters"]["DomainController"] for event in intents)


def test_what_would_change_something_is_not_asked_together(asked: Asked) -> None:
    before = len(asked.sent)
    with pytest.raises(ValueError, match="Set-RemoteDomain can change"):
        asked.site.organisation().read_many([Command("Get-RemoteDomain"), Command("Set-RemoteDomain")])
    assert asked.site.organisation().read_many([]) == []
    assert len(asked.sent) == before


def test_a_list_that_was_asked_ahead_is_not_asked_again(asked: Asked) -> None:
    channel, before = asked.site.organisation(), len(asked.sent)
    with channel.asked_ahead(TWO):
        assert len(asked.sent) == before + 2
        channel.list("SendConnector", fresh=True)
        channel.list("AcceptedDomain")
        channel.list("AcceptedDomain")
        assert len(asked.sent) == before + 2
        channel.list("SendConnector", fresh=True)  # fresh once more is asked once more
    assert asked.sent[before:] == ["Get-SendConnector", "Get-AcceptedDomain", "Get-SendConnector"]
    with channel.asked_ahead(TWO):
        assert len(asked.sent) == before + 3  # both are kept
    with channel.asked_ahead(TWO, fresh=True):
        assert len(asked.sent) == before + 5
    channel.list("SendConnector", fresh=True)  # what was not fetched in time does not count later
    assert len(asked.sent) == before + 6


def test_a_change_makes_forget_what_was_asked_ahead(asked: Asked) -> None:
    channel = asked.site.organisation()
    with channel.asked_ahead(TWO):
        channel.change(Command("New-RemoteDomain", {"Name": "fax", "DomainName": "fax.example"}), [])
        before = len(asked.sent)
        channel.list("SendConnector")
    assert asked.sent[before:] == ["Get-SendConnector"]


def test_an_error_comes_to_whoever_asks_for_the_list(asked: Asked) -> None:
    channel, before = asked.site.organisation(), len(asked.sent)
    with channel.asked_ahead([("RemoteDomain", {"Identity": "no such"}), ("AcceptedDomain", {})]):
        assert channel.list("AcceptedDomain")
        with pytest.raises(ObjectNotFound):
            channel.list("RemoteDomain", Identity="no such")
        assert len(asked.sent) == before + 2


def test_a_server_that_cannot_be_reached_is_tried_once(asked: Asked) -> None:
    channel: Channel = asked.site.host("EX01")
    asked.lab.stop()
    with channel.asked_ahead([("Service", {"Name": "a"}), ("Service", {"Name": "b"})]):
        for name in "ab":
            with pytest.raises(ConnectionFailed) as caught:
                channel.list("Service", Name=name)
            assert isinstance(caught.value, NotSent)


@pytest.mark.parametrize(
    "kind",
    [
        RemoteDomain,
        SendConnector,
        ImapSettings,
        RelayRight,
        DatabaseRights,
        EwsDatabaseRights,
        PolicyAssignment,
        AccountUser,
        ImapServices,
        DefaultMailClient,
    ],
)
def test_a_resource_reads_what_it_asks_ahead_and_finds_the_same(kind: type[Resource], asked: Asked) -> None:
    resources = kind.wanted_by(asked.site)
    assert resources
    alone = [resource.read(resource.channel(asked.site), fresh=True) for resource in resources]
    with asked_together(resources, asked.site, fresh=True):
        together = [resource.read(resource.channel(asked.site), fresh=True) for resource in resources]
        assert not any(resource.channel(asked.site)._ahead for resource in resources)

    def shown(states: list[Any]) -> list[Any]:
        return [dict(state.values) if isinstance(state, Present) else state for state in states]

    assert shown(together) == shown(alone)


def test_a_host_that_is_not_named_is_told_by_its_resource(asked: Asked) -> None:
    wanted = ImapServices("MSExchangeImap4", "NOWHERE")
    with asked_together([wanted], asked.site, fresh=False), pytest.raises(HostNotNamed):
        wanted.channel(asked.site)


def test_values_of_several_keys_take_three_rounds(asked: Asked) -> None:
    channel, before = asked.site.host("XPHONE01"), len(asked.events)
    wanted = {
        QUICK: ["platform", "nothing"],
        f"{OFFICE}\\no such": ["a"],
        "HKLM:\\SOFTWARE\\Clients\\Mail": ["(default)"],
    }
    found = registry.values_of(channel, wanted)
    assert found == {QUICK: {"platform": "x86"}, "HKLM:\\SOFTWARE\\Clients\\Mail": {"(default)": "Microsoft Outlook"}}
    intents = [event for event in asked.events[before:] if event["event"] == "intent"]
    assert [event["command"]["name"] for event in intents] == ["Test-Path"] * 3 + ["Get-Item"] * 2 + [
        "Get-ItemProperty"
    ] * 2
    assert len({event["together"] for event in intents}) == 3
    assert registry.values(channel, f"{OFFICE}\\no such", "a") is None
    assert registry.values(channel, QUICK, "nothing") == {}


def test_subkeys_of_several_keys(asked: Asked) -> None:
    there, none = registry.subkeys_of(asked.site.host("XPHONE01"), [OFFICE, f"{OFFICE}\\no such"])
    assert "16.0" in there
    assert none == []


def test_a_session_that_cannot_be_opened_anew_has_sent_nothing(asked: Asked) -> None:
    channel = asked.site.host("EX01")
    channel.read(Command("Get-Service", {"Name": "MSExchangeIS"}), pin=False)
    asked.lab.stop()
    channel.session._connection.give_up()  # as after a connection that broke
    before = len(asked.events)
    with pytest.raises(ConnectionFailed):
        channel.read_many([Command("Get-Service", {"Name": "a"}), Command("Get-Service", {"Name": "b"})], pin=False)
    outcomes = [event for event in asked.events[before:] if event["event"] == "outcome"]
    assert [event["outcome"] for event in outcomes] == ["not sent"] * 2
    assert all(event["error"]["where"]["host"] == "EX01" and event["error"]["next"] for event in outcomes)


def test_whoever_stops_is_not_kept_by_further_hosts(asked: Asked) -> None:
    channel = asked.site.host("EX01")
    channel.cancel.set()
    with channel.asked_ahead([("Service", {"Name": "a"}), ("Service", {"Name": "b"})]):
        assert not channel.protocol, "a session was opened"


def test_a_change_elsewhere_makes_forget_too(asked: Asked) -> None:
    channel = asked.site.organisation()
    with channel.asked_ahead(TWO):
        asked.site.host("EX02").change(Command("Restart-Service", {"Name": "MSExchangeImap4", "Confirm": False}), [])
        before = len(asked.sent)
        channel.list("AcceptedDomain")
    assert asked.sent[before:] == ["Get-AcceptedDomain"]


def test_a_password_that_is_missing_stops_only_its_own_host(asked: Asked) -> None:
    def refused(site: Site) -> Channel:
        raise SecretError("there is no such password", next="set it")

    first, second = ImapSettings("EX01"), ImapSettings("EX02")
    with mock.patch.object(second, "channel", refused), asked_together([first, second], asked.site, fresh=True):
        assert isinstance(first.read(first.channel(asked.site)), Present)


def test_what_was_announced_and_not_sent_is_told(asked: Asked) -> None:
    channel, before = asked.site.organisation(), len(asked.events)
    sent, write = len(asked.sent), Journal.jot

    def full(journal: Journal, event: str, /, **fields: Any) -> Any:
        if event == "intent" and fields["command"]["name"] == "Get-AcceptedDomain":
            raise RecordError("no room")
        return write(journal, event, **fields)

    with mock.patch.object(Journal, "jot", full), pytest.raises(RecordError, match="no room"):
        channel.read_many([Command("Get-SendConnector"), Command("Get-AcceptedDomain")])
    intent, outcome = asked.events[before:]
    assert (outcome["intent"], outcome["outcome"]) == (intent["id"], "not sent")
    assert len(asked.sent) == sent


def test_no_more_is_asked_ahead_than_goes_at_once_and_nothing_after_a_change(asked: Asked) -> None:
    wanted: list[Resource] = [ImapSettings("EX01") for _ in range(FAN_OUT + 3)]
    out = StepOutcome("IMAP-2", "settings", "configure", "plan")
    ahead: list[int] = []

    def noted(resources: list[Resource], site: Site, *, fresh: bool) -> Any:
        ahead.append(len(resources))
        return contextlib.nullcontext()

    with mock.patch.object(steps, "asked_together", noted):
        steps.bring_all(out, wanted, asked.site, guard="", fresh=False)
        assert ahead == [FAN_OUT, 3]
        out.commands.append(Command("Set-ImapSettings"))
        steps.bring_all(out, wanted, asked.site, guard="", fresh=False)
    assert ahead == [FAN_OUT, 3]
