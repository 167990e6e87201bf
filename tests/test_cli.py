"""The command line: what it prints, where, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from umkit.cli import main

ROOT = Path(__file__).resolve().parents[1]
PARAMETERS = str(ROOT / "parameters")


def umkit(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to send to a child")
def test_the_lab_says_one_line_and_ends_when_told(tmp_path: Path) -> None:
    trace = tmp_path / "trace.jsonl"
    command = [sys.executable, "-m", "umkit", "lab", "--json", "--trace", str(trace)]
    env = {**os.environ, "UMKIT_LAB_PASSWORD": "given from outside"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=env) as process:
        assert process.stdout
        described: dict[str, Any] = json.loads(process.stdout.readline())
        assert set(described) == {"exchange", "hosts", "control", "username", "password", "auth"}
        assert described["password"] == "given from outside"
        assert described["exchange"].endswith("/PowerShell/")
        assert all(url.endswith("/wsman") for url in described["hosts"].values())
        with urllib.request.urlopen(described["control"] + "state") as answer:
            assert {entry["Name"] for entry in json.load(answer)["objects"]["RemoteDomain"]} == {"Default"}
        with urllib.request.urlopen(described["control"] + "requests") as answer:
            assert json.load(answer)["requests"] == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stdout.read() == ""


def test_check_says_what_it_looked_at() -> None:
    done = umkit("check", "lab", "--parameters", PARAMETERS, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {"customer": "lab", "valid": True, "problems": []}


def test_check_names_a_secret_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UMKIT_NO_SUCH", raising=False)
    text = """
customer: {name: acme}
exchange: {endpoint: "http://ex01.acme.example/PowerShell/", username: a@acme.example, password: "env:UMKIT_NO_SUCH"}
xphone: {address: 10.1.1.1}
um_services: []
imap4: null
relay: null
mapi: null
ews: null
"""
    (tmp_path / "acme.yaml").write_text(text, "utf-8")
    done = umkit("check", "acme", "--parameters", str(tmp_path))
    assert done.exit_code == 2
    assert "exchange.password" in done.stderr
    assert "UMKIT_NO_SUCH" in done.stderr


@pytest.mark.parametrize("verb", ["plan", "apply", "verify"])
def test_an_unknown_customer_or_chapter_is_wrong_usage(verb: str, tmp_path: Path) -> None:
    done = umkit(verb, "nobody", "--parameters", PARAMETERS, "--records", str(tmp_path))
    assert done.exit_code == 2
    assert "nobody" in done.stderr
    done = umkit(verb, "lab", "--chapter", "99", "--parameters", PARAMETERS, "--records", str(tmp_path))
    assert done.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_an_attestation_is_kept_and_only_for_manual_steps(tmp_path: Path) -> None:
    evidence = tmp_path / "Schirmbild ü.PNG"
    evidence.write_bytes(b"not really a picture")
    options = ["--parameters", PARAMETERS, "--records", str(tmp_path / "records")]
    done = umkit("attest", "lab", "OUT-10", "--who", "A. Muster", "--evidence", str(evidence), "--json", *options)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["who"] == "A. Muster"
    kept = list((tmp_path / "records" / "lab" / "evidence").iterdir())
    assert [path.suffix for path in kept] == [".png"]
    assert umkit("attest", "lab", "FMT-3", "--who", "x", *options).exit_code == 2
    assert umkit("attest", "lab", "OUT-99", "--who", "x", *options).exit_code == 2
    assert umkit("attest", "lab", "OUT-10", "--who", " ", *options).exit_code == 2


def test_every_command_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for name in main.commands:
        assert f"umkit {name}" in readme, f"README does not speak of umkit {name}"
