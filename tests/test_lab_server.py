"""The lab as a whole: organisation and wire together."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
from fake_endpoint import DEADLINE, command, pool
from pypsrp.exceptions import WinRMTransportError

from umkit.errors import LabError
from umkit.lab import Lab


@pytest.fixture(autouse=True)
def _no_password_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UMKIT_LAB_PASSWORD", raising=False)


def opened(lab: Lab, url: str = "", **options: Any) -> Any:
    return pool(url or lab.exchange, username=lab.username, password=lab.password, **options)


def test_it_describes_itself_as_agreed() -> None:
    with Lab() as lab:
        described = lab.describe()
        assert list(described) == ["exchange", "hosts", "control", "username", "password", "auth"]
        assert json.loads(json.dumps(described)) == described
        assert described["exchange"].startswith("http://127.0.0.1:")
        assert described["exchange"].endswith("/PowerShell/")
        assert len(set(described["hosts"].values())) == len(described["hosts"]) >= 3
        assert all(url.endswith("/wsman") for url in described["hosts"].values())
        assert described["auth"] == ["basic", "negotiate"]
        assert len(described["password"]) >= 20


def test_the_first_exchange_server_and_the_others_answer() -> None:
    with Lab() as lab:
        assert len(lab.exchange_servers) >= 2
        for auth in lab.auth:
            for url in lab.exchange_servers.values():
                with opened(lab, url, auth=auth) as session:
                    assert command(session, "Get-AcceptedDomain").invoke()
        for url in lab.hosts.values():
            with opened(lab, url, configuration="Microsoft.PowerShell") as session:
                unknown = command(session, "Get-Nonsense")
                unknown.invoke()
                assert unknown.streams.error[-1].fq_error == "CommandNotFoundException"
        assert lab.requests() > 0
        assert lab.state()["objects"]["AcceptedDomain"]


def test_the_password_is_given_or_the_environments_or_random(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Lab().password != Lab().password
    assert Lab(password="given").password == "given"
    monkeypatch.setenv("UMKIT_LAB_PASSWORD", "from the environment")
    assert Lab().password == "from the environment"
    assert Lab(password="given").password == "given"
    assert "given" not in repr(Lab(password="given"))


def test_faults_and_trace(tmp_path: Path) -> None:
    orders = tmp_path / "faults.json"
    orders.write_text('[{"at_mutation": 1, "do": "http-503"}]', encoding="utf-8")
    with Lab(trace=tmp_path / "trace", faults=orders) as lab, opened(lab) as session:
        create = {"Name": "Fax & Voice ä", "DomainName": "*.fax.example"}
        with pytest.raises(WinRMTransportError):
            command(session, "New-RemoteDomain", **create).invoke()
        lab.set_faults([{"at_mutation": 1, "do": "drop-after"}])
        with pytest.raises(requests.ConnectionError):
            command(session, "New-RemoteDomain", **create).invoke()
        names = [str(one.adapted_properties["Name"]) for one in command(session, "Get-RemoteDomain").invoke()]
        assert "Fax & Voice ä" in names
        with pytest.raises(LabError, match="fault 1"):
            lab.set_faults([{"do": "nothing"}])
    lines = [json.loads(line) for line in (tmp_path / "trace").read_text(encoding="utf-8").splitlines()]
    assert [(line["commands"][0]["name"], line["outcome"], line["mutating"]) for line in lines] == [
        ("New-RemoteDomain", "ok", True),
        ("Get-RemoteDomain", "ok", False),
    ]
    assert lab.state()["objects"]["RemoteDomain"]


def test_what_cannot_be_started_leaves_nothing_behind(tmp_path: Path) -> None:
    before = threading.active_count()
    with Lab() as lab:
        port = int(lab.exchange.split(":")[2].split("/")[0])
        with pytest.raises(LabError, match="runs already"):
            lab.start()
        with pytest.raises(LabError, match="cannot listen"):
            Lab(port=port).start()
    for bad in (
        Lab("no-such-organisation"),
        Lab(faults=tmp_path / "none"),
        Lab(trace=tmp_path / "none" / "trace"),
        Lab(port=99_999),
    ):
        with pytest.raises(LabError):
            bad.start()
        bad.stop()
    with pytest.raises(LabError, match="not started"):
        Lab().state()
    with pytest.raises(LabError, match="not started"):
        Lab().requests()
    assert threading.active_count() == before


def test_a_chosen_port_is_used_again_at_once() -> None:
    with Lab() as lab:
        port = int(lab.exchange.split(":")[2].split("/")[0])
        with opened(lab) as session:
            command(session, "Get-AcceptedDomain").invoke()
    with Lab(port=port) as again:
        assert again.exchange == lab.exchange


def test_kill_ends_a_process_of_its_own() -> None:
    program = (
        "import json, sys; from umkit.lab import Lab; lab = Lab(own_process=True).start(); "
        "print(json.dumps(lab.describe()), flush=True); lab.set_faults([{'at_mutation': 1, 'do': 'kill'}]); "
        "print('ready', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        described = json.loads(process.stdout.readline())
        assert process.stdout.readline() == "ready\n"
        with (
            pytest.raises(requests.ConnectionError),
            pool(described["exchange"], username=described["username"], password=described["password"]) as session,
        ):
            command(session, "New-RemoteDomain", Name="x", DomainName="x.example").invoke()
        assert process.wait(DEADLINE) == 137
