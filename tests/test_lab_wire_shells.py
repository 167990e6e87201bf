"""Shells and pipelines of the lab's wire: stopping, waiting, quotas, repeats."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from fake_endpoint import DEADLINE, USER, FakeService, command, pool, site, wsman
from pypsrp.complex_objects import PSInvocationState
from pypsrp.exceptions import WSManFaultError
from pypsrp.powershell import RunspacePool
from pypsrp.shell import SignalCode, WinRS
from pypsrp.wsman import WSManAction

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


def test_stop_reaches_the_handler(tmp_path: Path) -> None:
    service = FakeService()
    with site(service, trace=tmp_path / "trace") as running, pool(running.exchange) as opened:
        shell = command(opened, "Wait-Stop")
        shell.begin_invoke()
        assert service.started.wait(DEADLINE)
        shell.stop()
        shell.close()
        assert shell.state == PSInvocationState.STOPPED
        with pytest.raises(WSManFaultError) as gone:
            opened.shell.receive("stdout", command_id=shell.id)
        assert gone.value.code == 2150858843
        assert command(opened, "Get-Value", Value="x").invoke() == ["x"]
    assert [json.loads(line)["outcome"] for line in (tmp_path / "trace").read_text().splitlines()] == ["stopped", "ok"]


def test_a_waiting_receive_learns_of_the_stop() -> None:
    service = FakeService()
    with site(service) as running, pool(running.exchange) as opened, wsman(running.exchange) as second:
        shell = command(opened, "Wait-Stop")
        shell.begin_invoke()
        assert service.started.wait(DEADLINE)
        with ThreadPoolExecutor() as executor:
            waiting = executor.submit(shell.end_invoke)
            other = WinRS(second, resource_uri=opened.shell.resource_uri, id=opened.shell.id)
            other._selector_set = opened.shell._selector_set
            other.signal(SignalCode.PS_CTRL_C, shell.id)
            waiting.result(DEADLINE)
    assert (shell.state, shell.streams.error[-1].fq_error) == (PSInvocationState.STOPPED, "PipelineStopped")


def test_receive_answers_the_operation_timeout() -> None:
    service = FakeService()
    with site(service) as running, pool(running.exchange) as opened:
        shell = command(opened, "Wait-Release")
        shell.begin_invoke()
        with pytest.raises(WSManFaultError) as late:
            opened.shell.receive("stdout", command_id=shell.id, timeout=0.05)
        assert late.value.code == 2150858793
        shell.poll_invoke(timeout=0.05)
        assert shell.state == PSInvocationState.RUNNING
        service.release.set()
        assert shell.end_invoke() == ["released"]


def test_a_second_receive_ends_the_first() -> None:
    service = FakeService()
    with (
        site(service) as running,
        pool(running.exchange) as opened,
        wsman(running.exchange) as second,
        ThreadPoolExecutor() as executor,
    ):
        shell = command(opened, "Wait-Release", Together=1)
        shell.begin_invoke()
        assert service.started.wait(DEADLINE)
        other = WinRS(second, resource_uri=opened.shell.resource_uri, id=opened.shell.id)
        other._selector_set = opened.shell._selector_set
        before = running.counts.as_dict()["requests"]
        stale = executor.submit(other.receive, "stdout", shell.id)
        _until(lambda: running.counts.as_dict()["requests"] == before + 1)
        fresh = executor.submit(shell.end_invoke)
        with pytest.raises(WSManFaultError):
            stale.result(DEADLINE)
        service.release.set()
        assert fresh.result(DEADLINE) == ["released"]


def test_a_shell_is_gone_after_close() -> None:
    with site() as running, pool(running.exchange) as opened:
        opened.connection.delete(opened.shell.resource_uri, selector_set=opened.shell._selector_set)
        with pytest.raises(WSManFaultError) as gone:
            command(opened, "Get-Value", Value="x").invoke()
        assert gone.value.code == 2150858843
        opened.shell.opened = False


def test_closing_a_shell_wakes_its_receive() -> None:
    service = FakeService()
    with site(service) as running, pool(running.exchange) as opened, wsman(running.exchange) as second:
        shell = command(opened, "Wait-Stop")
        shell.begin_invoke()
        assert service.started.wait(DEADLINE)
        with ThreadPoolExecutor() as executor:
            waiting = executor.submit(shell.end_invoke)
            second.delete(opened.shell.resource_uri, selector_set=opened.shell._selector_set)
            error = waiting.exception(DEADLINE)
        assert isinstance(error, WSManFaultError)
        assert error.code in (995, 2150858843)
        opened.shell.opened = False


def test_a_user_has_a_quota_of_shells() -> None:
    with site() as running, ExitStack() as stack:
        for name in (USER, "umadmin@alleo.example", "UMADMIN"):
            stack.enter_context(pool(running.exchange, username=name))
        with pytest.raises(WSManFaultError) as full, pool(running.exchange):
            pass
        assert full.value.code == 2150859173
        assert full.value.reason == (
            "The WS-Management service cannot process the request. This user is allowed a maximum number of 3 "
            "concurrent shells, which has been exceeded. Close existing shells or raise the quota for this user."
        )
        stack.close()
        with pool(running.exchange):
            pass


def test_idle_shells_are_reaped() -> None:
    seconds = [0.0]
    with site(clock=lambda: seconds[0]) as running, wsman(running.exchange) as connection:
        opened = RunspacePool(connection, configuration_name="Microsoft.Exchange", idle_timeout=60)
        opened.open()
        seconds[0] = 59.0
        assert command(opened, "Get-Value", Value="x").invoke() == ["x"]
        seconds[0] = 120.0
        with pytest.raises(WSManFaultError) as gone:
            command(opened, "Get-Value", Value="x").invoke()
        assert gone.value.code == 2150858843


def test_runspaces_are_counted_and_bound() -> None:
    service = FakeService()
    with site(service) as running, pool(running.exchange, max_runspaces=2) as opened:
        shells = [command(opened, "Wait-Release", Together=2) for _ in range(4)]
        for shell in shells:
            shell.begin_invoke()
        assert service.started.wait(DEADLINE)
        assert opened.get_available_runspaces() == 0
        shells[3].stop()  # it never began
        shells[3].close()
        service.release.set()
        assert [shell.end_invoke() for shell in shells[:3]] == [["released"]] * 3
        assert (service.most_busy, len(service.pipelines)) == (2, 3)
        opened._max_runspaces = 2  # pypsrp took the available for the maximum
        opened.max_runspaces = 3
        opened.min_runspaces = 2
        opened.reset_runspace_state()
        assert opened.get_available_runspaces() == 3


def test_a_repeated_message_is_answered_from_memory() -> None:
    service = FakeService()
    with site(service) as running, pool(running.exchange) as opened:
        sent: list[bytes] = []
        send = opened.connection.transport.send
        opened.connection.transport.send = lambda message, **options: sent.append(message) or send(message, **options)
        assert command(opened, "Set-Value").invoke() == ["done"]
        asked, received = sent
        answers = [send(message) for message in (asked, received, received)]
        assert answers[1] == answers[2]
        assert b"CommandResponse" in answers[0]
        assert len(service.pipelines) == 1


def test_a_message_repeated_while_under_way_gets_the_same_answer() -> None:
    service = FakeService()
    with (
        site(service) as running,
        pool(running.exchange) as opened,
        wsman(running.exchange) as second,
        ThreadPoolExecutor() as executor,
    ):
        shell = command(opened, "Wait-Release", Together=1)
        shell.begin_invoke()
        assert service.started.wait(DEADLINE)
        body = ElementTree.Element("{http://schemas.microsoft.com/wbem/wsman/1/windows/shell}Receive")
        stream = ElementTree.SubElement(body, body.tag.replace("Receive", "DesiredStream"), CommandId=shell.id)
        stream.text = "stdout"
        _, header = second._create_header(
            WSManAction.RECEIVE, opened.shell.resource_uri, None, opened.shell._selector_set, 20
        )
        envelope = ElementTree.Element("{http://www.w3.org/2003/05/soap-envelope}Envelope")
        envelope.append(header)
        ElementTree.SubElement(envelope, envelope.tag.replace("Envelope", "Body")).append(body)
        message = ElementTree.tostring(envelope)
        before = running.counts.as_dict()["requests"]
        tries = [executor.submit(wsman(running.exchange).transport.send, message) for _ in range(2)]
        _until(lambda: running.counts.as_dict()["requests"] == before + 2)
        service.release.set()
        first, again = (one.result(DEADLINE) for one in tries)
        assert first == again
        assert b"Stream" in first


def _until(condition: Any) -> None:
    """Wait for something that signals nobody."""
    never = threading.Event()
    for _ in range(int(DEADLINE * 200)):
        if condition():
            return
        never.wait(0.005)
    raise AssertionError("it never happened")


def test_many_clients_at_once() -> None:
    service = FakeService()
    service.max_shells = 8
    with site(service) as running, ThreadPoolExecutor(8) as executor:

        def session(number: int) -> list[str]:
            with pool(running.exchange, auth="negotiate" if number % 2 else "basic") as opened:
                return [command(opened, "Get-Value", Value=f"{number}.{i}").invoke()[0] for i in range(5)]

        results = list(executor.map(session, range(8)))
    assert results == [[f"{number}.{i}" for i in range(5)] for number in range(8)]


def test_stopping_ends_every_thread_and_socket() -> None:
    before = threading.active_count()
    service = FakeService()
    with site(service) as running, ThreadPoolExecutor() as executor, wsman(running.exchange) as connection:
        opened = RunspacePool(connection, configuration_name="Microsoft.Exchange")
        opened.open()
        shell = command(opened, "Wait-Stop")
        shell.begin_invoke()
        waiting = executor.submit(shell.end_invoke)
        assert service.started.wait(DEADLINE)
        running.stop()
        assert waiting.exception(DEADLINE) is not None
    assert threading.active_count() <= before
