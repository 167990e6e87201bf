"""Who comes in by the lab's wire, and how its messages are sealed."""

from __future__ import annotations

import uuid

import pytest
from fake_endpoint import USER, Accounts, FakeService, command, pool, site
from pypsrp.exceptions import AuthenticationError, WinRMTransportError, WSManFaultError

HOSTILE = [
    "",
    'O\'Brien "quoted" `tick` $var $(Get-Date) ; | & <b>&amp;</b>',
    "Grüße, Ähre, \u2018curly\u2019 \u2013 dash",
    "\U0001f600\U0001f468\u200d\U0001f469 emoji",
    "line\nline\r\nline\rtab\t",
    "\x00\x01\x07\x0b\x1f\x7f\x85\x9f",
    "]]> <![CDATA[x]]> <?pi?> <!-- c -->",
    "_x000D_ _x005F_ _X0041_ _x00_ _xZZZZ_ __x0041__",
    " leading and trailing \u00a0",
    "\ufeffbom \ufffe \uffff",
    "%00 %0d%0a ../..\\..",
]


@pytest.mark.parametrize("auth", ["basic", "negotiate", "ntlm"])
@pytest.mark.parametrize("name", [USER, "umadmin", "umadmin@alleo.example"])
def test_an_account_comes_in_by_each_of_its_names(auth: str, name: str) -> None:
    service = FakeService()
    with site(service) as running, pool(running.exchange, auth=auth, username=name) as opened:
        assert command(opened, "Get-Value", Value="x").invoke() == ["x"]
    assert service.users == [name]


@pytest.mark.parametrize("auth", ["basic", "negotiate", "ntlm"])
def test_a_wrong_password_and_an_unknown_account_stay_out(auth: str) -> None:
    with site() as running:
        for name, password in ((USER, "wrong"), ("ALLEO\\nobody", "x"), (USER, "")):
            with (
                pytest.raises(AuthenticationError),
                pool(running.exchange, auth=auth, username=name, password=password),
            ):
                pass
        assert "Create" not in running.counts.as_dict()["by_action"]


def test_negotiate_seals_every_message_on_one_connection() -> None:
    with site() as running, pool(running.exchange, auth="negotiate") as opened:
        bodies: list[bytes] = []
        opened.connection.transport.session.hooks["response"].append(
            lambda r, **_: bodies.extend((r.request.body, r.content))
        )
        for number in range(5):
            assert command(opened, "Get-Value", Value=f"canary {number}").invoke() == [f"canary {number}"]
        with pytest.raises(WSManFaultError):
            opened.shell.receive("stdout", command_id=str(uuid.uuid4()))
        assert all(b"Encrypted Boundary" in body and b"Envelope" not in body for body in bodies)
        # as Exchange's IIS writes it, with a blank the standard does not know
        assert bodies[1].startswith(b"-- Encrypted Boundary\r\n")
        counts = running.counts.as_dict()
        assert counts["by_action"]["Authentication"] == 3
        opened.connection.transport.session.close()
        # stock pypsrp seals for the connection that is gone (reference/wire.md §3.5)
        with pytest.raises(WinRMTransportError) as stale:
            command(opened, "Get-Value", Value="x").invoke()
        assert stale.value.code == 400
        opened.connection.transport.encryption = None
        assert command(opened, "Get-Value", Value="y").invoke() == ["y"]


def test_windows_hosts_write_the_boundary_without_the_blank() -> None:
    host = FakeService("EX01", "Microsoft.PowerShell", "/wsman")
    with (
        site(FakeService(), host) as running,
        pool(running.hosts["EX01"], configuration="Microsoft.PowerShell", auth="negotiate") as opened,
    ):
        bodies: list[bytes] = []
        opened.connection.transport.session.hooks["response"].append(lambda r, **_: bodies.append(r.content))
        command(opened, "Get-Value", Value="x").invoke()
    assert bodies[0].startswith(b"--Encrypted Boundary\r\n")


def test_two_labs_in_one_process_keep_apart() -> None:
    first, second = FakeService(), FakeService()
    with (
        site(first, accounts=Accounts("one")) as one,
        site(second, accounts=Accounts("two")) as two,
        pool(one.exchange, auth="ntlm", password="one") as opened,
        pool(two.exchange, auth="ntlm", password="two") as other,
    ):
        with pytest.raises(AuthenticationError), pool(two.exchange, auth="ntlm", password="one"):
            pass
        assert command(opened, "Get-Value", Value="1").invoke() == ["1"]
        assert command(other, "Get-Value", Value="2").invoke() == ["2"]
        assert len(first.pipelines) == len(second.pipelines) == 1
