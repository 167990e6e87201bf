"""The engine when an answer is lost, a replacement stops half way, or nothing can be read back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import pytest

from umkit.channel import Channel
from umkit.command import Command
from umkit.engine import apply, plan
from umkit.errors import ConnectionLost, ObjectExists, OutcomeUnknown, RemoteError, VerifyFailed
from umkit.resources.remote_domain import RemoteDomain

FAX = RemoteDomain("fax", "fax.example.org")


class Wire:
    """A channel to a list of remote domains that can lose answers and refuse."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        self.objects = list(objects)
        self.sent: list[str] = []
        self.taken: list[tuple[Command, int]] = []
        self.notes: list[dict[str, Any]] = []
        self.faults: dict[str, Callable[[], RemoteError]] = {}
        self.late: dict[str, Callable[[], RemoteError]] = {}
        self.unreadable_after: str = ""

        class Cancel:
            def is_set(self) -> bool:
                return False

        self.cancel = Cancel()

    def list(self, noun: str, *, fresh: bool = False) -> list[dict[str, Any]]:
        if self.unreadable_after and self.unreadable_after in self.sent:
            raise ConnectionLost("the connection broke")
        return self.objects

    def change(self, command: Command, changes: Sequence[Mapping[str, Any]], **_: Any) -> None:
        self.sent.append(command.name)
        if command.name in self.faults:
            raise self.faults[command.name]()
        values = dict(command.parameters)
        if command.name == "Remove-RemoteDomain":
            self.objects = [each for each in self.objects if each["Name"] != values["Identity"]]
        elif command.name == "New-RemoteDomain":
            self.objects.append({"Identity": values["Name"], **values})
        else:
            next(each for each in self.objects if each["Name"] == values["Identity"]).update(values)
        if command.name in self.late:
            raise self.late[command.name]()
        self.took(command, changes)

    def serving(self, resource: Mapping[str, Any]) -> AbstractContextManager[None]:
        return nullcontext()

    def took(self, command: Command, changes: Sequence[Mapping[str, Any]]) -> None:
        self.taken.append((command, len(changes)))

    def note(self, event: str, **fields: Any) -> None:
        self.notes.append({"event": event} | fields)


def go(wire: Wire, step: str) -> list[str]:
    channel = cast(Channel, wire)
    return apply(plan(FAX, FAX.read(channel), step), channel, wait=0)


def test_a_lost_answer_is_read_and_not_sent_again() -> None:
    wire = Wire()
    wire.late["New-RemoteDomain"] = lambda: ConnectionLost("the answer was lost")
    notes = go(wire, "FMT-0")
    assert wire.sent == ["New-RemoteDomain"]
    assert [command.name for command, _ in wire.taken] == ["New-RemoteDomain"]
    assert "was lost" in notes[0]
    assert wire.notes[0]["found"] == "as wanted"


def test_a_lost_answer_without_effect_is_unknown() -> None:
    wire = Wire()
    wire.faults["New-RemoteDomain"] = lambda: ConnectionLost("the answer was lost")
    with pytest.raises(ConnectionLost):
        go(wire, "FMT-0")
    assert wire.sent == ["New-RemoteDomain"]
    assert wire.taken == []
    assert wire.notes[0]["found"] == "not as wanted"


def test_a_replacement_that_stops_half_way_says_what_is_gone() -> None:
    wire = Wire({"Name": "fax", "Identity": "fax", "DomainName": "old.example.org"})
    wire.faults["New-RemoteDomain"] = lambda: ObjectExists("taken")
    with pytest.raises(ObjectExists) as caught:
        go(wire, "FMT-0")
    assert "removed before, and its former values are in the journal" in str(caught.value)
    assert [command.name for command, _ in wire.taken] == ["Remove-RemoteDomain"]


def test_what_cannot_be_read_back_is_unknown_and_not_failed() -> None:
    wire = Wire()
    wire.unreadable_after = "New-RemoteDomain"
    with pytest.raises(OutcomeUnknown, match="was changed, but could not be read back"):
        go(wire, "FMT-0")
    assert [command.name for command, _ in wire.taken] == ["New-RemoteDomain"]


def test_what_reads_back_otherwise_is_named() -> None:
    wire = Wire({"Name": "fax", "Identity": "fax", "DomainName": "fax.example.org", "NDREnabled": True})
    wire.change = lambda command, changes, **_: wire.took(command, changes)  # type: ignore[method-assign]
    with pytest.raises(VerifyFailed, match="reads back otherwise") as caught:
        go(wire, "FMT-6")
    assert "NDREnabled = True" in caught.value.seen
