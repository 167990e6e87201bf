"""Faults to order, and the control address."""

from __future__ import annotations

import http.client
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from fake_endpoint import DEADLINE, FakeService, command, pool, site, wsman
from pypsrp.exceptions import WinRMTransportError, WSManFaultError
from pypsrp.powershell import RunspacePool

from umkit.errors import LabError
from umkit.lab.wire import faults
from umkit.lab.wire.site import Site


def order(running: Site, *orders: dict[str, Any]) -> None:
    running.faults.set(faults.parse(list(orders)))


@pytest.fixture
def service() -> FakeService:
    return FakeService()


@pytest.fixture
def running(service: FakeService) -> Iterator[Site]:
    with site(service) as one:
        yield one


@pytest.fixture
def opened(running: Site) -> Iterator[RunspacePool]:
    connection = wsman(running.exchange)
    shell = RunspacePool(connection, configuration_name="Microsoft.Exchange")
    shell.open()
    yield shell
    connection.close()


@pytest.mark.parametrize(
    ("do", "error", "ran"),
    [
        ("drop-before", requests.ConnectionError, False),
        ("drop-after", requests.ConnectionError, True),
        ("http-503", WinRMTransportError, False),
        ("hang", requests.ReadTimeout, True),
        ("lose-shell", WSManFaultError, False),
    ],
)
@pytest.mark.parametrize("at", ["at_request", "at_mutation"])
def test_each_fault(
    running: Site, opened: RunspacePool, service: FakeService, at: str, do: str, error: type[Exception], ran: bool
) -> None:
    order(running, {at: 2, "do": do})
    if at == "at_request":
        assert opened.is_alive()
    else:
        # the reads between do not count
        assert command(opened, "Set-Value").invoke() == ["done"]
        assert command(opened, "Get-Value", Value="x").invoke() == ["x"]
    service.pipelines.clear()
    transport = opened.connection.transport
    patience, transport.read_timeout = transport.read_timeout, 0.3 if do == "hang" else DEADLINE
    with pytest.raises(error) as struck:
        command(opened, "Set-Value").invoke()
    transport.read_timeout = patience
    if do == "hang":
        _wait_for(service)  # the client gave up first
    assert [pipeline[0].name for pipeline in service.pipelines] == (["Set-Value"] if ran else [])
    if do == "http-503":
        assert struck.value.code == 503
    if do == "lose-shell":
        assert struck.value.code == 2150858843
    else:
        # once, and then all is well again
        assert command(opened, "Get-Value", Value="y").invoke() == ["y"]


def _wait_for(service: FakeService) -> None:
    """Wait until a pipeline has begun."""
    never = threading.Event()
    for _ in range(int(DEADLINE * 200)):
        if service.pipelines:
            return
        never.wait(0.005)


def test_a_lost_receive_is_answered_again_to_the_same_message(running: Site, service: FakeService) -> None:
    with pool(running.exchange, read_timeout=0.3, reconnection_backoff=0.01) as opened:
        shell = command(opened, "Get-Value", Value="kept")
        shell.begin_invoke()
        order(running, {"at_request": 1, "do": "hang"})
        # pypsrp repeats a Receive that stayed silent, with its MessageID
        assert shell.end_invoke() == ["kept"]


def test_a_fault_at_a_handshake_loses_every_shell(running: Site, opened: RunspacePool) -> None:
    order(running, {"at_request": 1, "do": "lose-shell"})
    with pool(running.exchange, auth="negotiate"), pytest.raises(WSManFaultError) as gone:
        command(opened, "Get-Value", Value="x").invoke()
    assert gone.value.code == 2150858843


def test_hang_ends_when_the_lab_stops(service: FakeService) -> None:
    with site(service) as running, wsman(running.exchange, read_timeout=DEADLINE) as connection:
        shell = RunspacePool(connection, configuration_name="Microsoft.Exchange")
        shell.open()
        order(running, {"at_mutation": 1, "do": "hang"})
        with ThreadPoolExecutor() as executor:
            waiting = executor.submit(command(shell, "Set-Value").invoke)
            _wait_for(service)
            running.stop()
            assert isinstance(waiting.exception(DEADLINE), requests.ConnectionError)


@pytest.mark.parametrize("at", ["at_request", "at_mutation"])
def test_kill_stops_a_lab_in_process(running: Site, opened: RunspacePool, service: FakeService, at: str) -> None:
    order(running, {at: 1, "do": "kill"})
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            command(opened, "Set-Value").invoke()
    assert service.pipelines == []


def test_kill_is_left_to_the_process_that_says_so(service: FakeService) -> None:
    killed = threading.Event()
    with site(service, kill=killed.set, faults=faults.parse([{"at_request": 1, "do": "kill"}])) as running:
        with pytest.raises(requests.ConnectionError), pool(running.exchange):
            pass
        assert killed.is_set()


@pytest.mark.parametrize(
    "orders",
    [
        {"at_request": 1, "do": "hang"},
        [{"at_request": 0, "do": "hang"}],
        [{"at_request": True, "do": "hang"}],
        [{"at_request": "1", "do": "hang"}],
        [{"at_request": 1, "at_mutation": 1, "do": "hang"}],
        [{"at_request": 1, "do": "explode"}],
        [{"at_request": 1, "do": []}],
        [{"at_request": 1}],
        ["hang"],
    ],
)
def test_faults_that_are_not_understood(running: Site, orders: Any, tmp_path: Path) -> None:
    with pytest.raises(LabError):
        faults.parse(orders)
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(running, json.dumps(orders).encode())
    assert refused.value.code == 400
    assert "fault" in json.load(refused.value)["error"]


def test_a_faults_file(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    path.write_text('[{"at_mutation": 2, "do": "hang"}]', encoding="utf-8")
    assert faults.load(path) == [faults.Order("hang", at_mutation=2)]
    path.write_text("{", encoding="utf-8")
    for bad in (path, tmp_path / "none.json"):
        with pytest.raises(LabError, match="cannot be read"):
            faults.load(bad)


def post(running: Site, body: bytes, **headers: str) -> Any:
    request = urllib.request.Request(f"{running.control}faults", body, headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=DEADLINE) as answer:
        return json.load(answer)


def ask(running: Site, method: str, path: str, **headers: str) -> tuple[int, Any]:
    parts = urlsplit(running.control)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=DEADLINE)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, json.loads(body)


def test_the_control_address(running: Site, opened: RunspacePool) -> None:
    assert ask(running, "GET", "/state") == (200, {"domains": ["ä"]})
    assert ask(running, "GET", "/requests") == (200, {"requests": 2, "by_action": {"Create": 1, "Receive": 1}})
    assert ask(running, "GET", "/")[0] == 200
    assert ask(running, "GET", "/nothing")[0] == 404
    assert ask(running, "POST", "/state")[0] == 404
    assert post(running, b'[{"at_request": 1, "do": "http-503"}]') == {"faults": 1}
    with pytest.raises(WinRMTransportError):
        command(opened, "Get-Value", Value="x").invoke()
    post(running, b'[{"at_request": 1, "do": "http-503"}]')
    assert post(running, b"[]") == {"faults": 0}
    assert command(opened, "Get-Value", Value="x").invoke() == ["x"]
    for body in (b"\xff", b"{", b""):
        with pytest.raises(urllib.error.HTTPError):
            post(running, body)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "localhost:1"}, 200),
        ({"Host": "[::1]:1"}, 200),
        ({"Host": "LOCALHOST"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:1"}, 403),
        ({"Host": ""}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_a_page_in_a_browser_cannot_reach_the_control_address(
    running: Site, headers: dict[str, str], status: int
) -> None:
    assert ask(running, "GET", "/state", **headers)[0] == status
    assert ask(running, "POST", "/faults", **headers)[0] == (403 if status == 403 else 400)
