"""What is told from a host's answers: accounts, programs, times, texts for WQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

import pytest

from umkit.channel import Channel
from umkit.resources.service_restart import InformationStoreRestart
from umkit.windows import services
from umkit.windows.accounts import account_kind, is_local_system, same_account
from umkit.windows.programs import is_messaging_api, is_old_office
from umkit.windows.registry import Program, type_of
from umkit.windows.services import moment, quoted


@pytest.mark.parametrize(
    ("seen", "wanted", "same"),
    [
        ("ALLEO\\mapiaccount", "MAPIAccount@alleo.intern", True),
        ("mapiaccount@ALLEO.intern", "MAPIAccount@alleo.intern", True),
        ("ALLEO\\MAPIAccount", "alleo\\mapiaccount", True),
        ("ALLEO\\MAPIAccount", "MAPIAccount", True),
        ("OTHER\\MAPIAccount", "ALLEO\\MAPIAccount", False),
        ("mapiaccount@other.intern", "MAPIAccount@alleo.intern", False),
        ("ALLEO\\MAPIAccount2", "MAPIAccount@alleo.intern", False),
        (".\\MAPIAccount", "MAPIAccount@alleo.intern", False),
        ("XPHONE01\\MAPIAccount", "MAPIAccount@alleo.intern", False),
        ("LocalSystem", "LocalSystem@alleo.intern", False),
        ("NT AUTHORITY\\NetworkService", "NetworkService", False),
        ("", "MAPIAccount@alleo.intern", False),
    ],
)
def test_whether_a_service_runs_as_the_account(seen: str, wanted: str, same: bool) -> None:
    assert same_account(seen, wanted, "xphone01.alleo.intern") is same
    assert account_kind("XPHONE01").same(seen, wanted) is same


@pytest.mark.parametrize("name", ["LocalSystem", ".\\LocalSystem", "NT AUTHORITY\\SYSTEM", None])
def test_the_machine_s_own_account(name: str | None) -> None:
    assert is_local_system(name)
    assert not is_local_system("ALLEO\\LocalSystem")


@pytest.mark.parametrize(
    ("name", "version", "old"),
    [
        ("Microsoft Office Professional Plus 2010", "14.0.7015.1000", True),
        ("Microsoft Outlook 2013", "15.0.4420.1017", True),
        ("Microsoft Office Standard 2007", "", True),
        ("Microsoft Office Professional Plus 2019 - de-de", "16.0.10396.20017", False),
        ("Microsoft Office Standard 2019", "", False),
        ("Microsoft Visual Studio 2010 Tools for Office Runtime", "10.0.60724", False),
        ("Microsoft Office 2003 Web Components", "12.0.6213.1000", False),
        ("LibreOffice 7", "7.6.4.1", False),
    ],
)
def test_what_counts_as_an_old_office(name: str, version: str, old: bool) -> None:
    assert is_old_office(Program(name, version, "key", 32)) is old


def test_the_messaging_api_by_either_name() -> None:
    for name in ("Messaging API and Collaboration Data Objects 1.2.1", "Microsoft Collaboration Data Objects"):
        assert is_messaging_api(Program(name, "", "key", 32))
    assert not is_messaging_api(Program("XPhone Connect Server", "", "key", 64))


def test_times_without_an_offset_are_no_times() -> None:
    assert moment("2026-11-22T11:00:00+01:00") == datetime(2026, 11, 22, 10, tzinfo=UTC)
    for value in (None, "", "yesterday", datetime(2026, 11, 22), "2026-11-22T11:00:00", 5):
        assert moment(value) is None


def test_only_a_running_service_counts_as_started(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    monkeypatch.setattr(services, "started", lambda channel, process, fresh: now)
    monkeypatch.setattr(services, "with_dependents", lambda channel, found: found)
    restart = InformationStoreRestart("MSExchangeIS", "EX01", datetime(2026, 11, 22, 11, tzinfo=UTC), "policy assigned")
    for state, begun in (("Running", now), ("Start Pending", None), ("Stopped", None)):
        found = restart.complete(
            {"Name": "MSExchangeIS", "State": state, "ProcessId": 5}, cast(Channel, None), fresh=True
        )
        assert found["Started"] == begun


def test_text_cannot_leave_a_wql_string() -> None:
    assert quoted("O'Brien\\' OR 1=1") == "'O\\'Brien\\\\\\' OR 1=1'"


def test_registry_types_by_what_arrived() -> None:
    values = [None, 128, b"\x01", ["a"], "x"]
    assert [type_of(value) for value in values] == ["", "DWord", "Binary", "MultiString", "String"]
