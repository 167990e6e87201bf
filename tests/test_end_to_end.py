"""The whole way: customer file → notebooks → Exchange endpoint → read back → record, through the command line."""

from __future__ import annotations

import base64
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from umkit.journal import read, verify
from umkit.lab import Lab

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("UMKIT_SHARED", ROOT.parent / "shared"))
PASSWORD = "Lab'Pässword & <42>"
CHAPTERS = ["00-start", "01-forwarding-emails", "02-message-formats"]


@dataclass
class Done:
    """What a command of the command line left."""

    status: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    def steps(self) -> dict[str, dict[str, Any]]:
        return {step["id"]: step for chapter in self.summary["chapters"] for step in chapter["steps"]}


@dataclass
class Workplace:
    """A folder with customer files and records, and one lab behind all of them."""

    folder: Path
    lab: Lab
    trace: Path

    def customer(self, name: str, **changes: Any) -> str:
        """Write a customer file that speaks to the lab as to any server; returns its name."""
        hosts = [{"name": name, "endpoint": url} for name, url in self.lab.hosts.items() if name.startswith("EX")]
        values: dict[str, Any] = {
            "customer": {"name": name},
            "exchange": {
                "endpoint": self.lab.exchange,
                "auth": "basic",
                "username": self.lab.username,
                "password": "env:UMKIT_TEST_PASSWORD",
                "deadline": 30,
            },
            "hosts": {"exchange": hosts},
            "xphone": {"address": "10.1.2.31"},
            "um_services": [
                {"name": "fax", "domain": "fax.alleo.intern", "port": 2533},
                {"name": "sms", "domain": "sms.alleo.intern", "port": 2544},
            ],
            "imap4": None,
            "relay": None,
            "mapi": None,
            "ews": None,
        }
        for section, change in changes.items():
            values[section] = values[section] | change if isinstance(change, dict) else change
        path = self.folder / "parameters" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump(values, allow_unicode=True), "utf-8")
        return name

    def umkit(self, *arguments: str, password: str = PASSWORD) -> Done:
        """Run the command line in a process of its own, as a user does."""
        done = subprocess.run(
            [sys.executable, "-m", "umkit", *arguments, "--json", "--parameters", str(self.folder / "parameters")]
            + ([] if arguments[0] == "check" else ["--records", str(self.folder / "records")]),
            capture_output=True,
            encoding="utf-8",
            cwd=ROOT,
            timeout=180,
            env={**os.environ, "UMKIT_TEST_PASSWORD": password, "PYTHONIOENCODING": "utf-8"},
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def received(self, since: int = 0) -> list[dict[str, Any]]:
        """The commands that the lab received, as its trace has them."""
        return [json.loads(line) for line in self.trace.read_text("utf-8").splitlines()][since:]

    def mutating(self, since: int = 0) -> list[dict[str, Any]]:
        return [line["commands"][0] for line in self.received(since) if line["mutating"]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    folder = tmp_path_factory.mktemp("workplace")
    trace = folder / "trace.jsonl"
    with Lab(password=PASSWORD, trace=trace) as lab:
        yield Workplace(folder, lab, trace)


@pytest.fixture(scope="module")
def applied(place: Workplace) -> Done:
    """The first full apply of this module's lab."""
    done = place.umkit("apply", place.customer("acme"))
    assert done.status == 0, done.err
    return done


def domain(place: Workplace, name: str) -> dict[str, Any]:
    """A remote domain, read from the lab's state and not through the client."""
    return next(entry for entry in objects(place, "RemoteDomain") if entry["Name"] == name)


def objects(place: Workplace, noun: str) -> list[dict[str, Any]]:
    """All objects of one noun in the lab's state."""
    found: list[dict[str, Any]] = place.lab.state()["objects"][noun]
    return found


def behind_its_back(place: Workplace, cmdlet: str, **parameters: Any) -> None:
    """Somebody else changes something, with plain pypsrp."""
    url = urllib.parse.urlsplit(place.lab.exchange)
    assert url.hostname
    wsman = WSMan(url.hostname, port=url.port, path=url.path.strip("/"), ssl=False, auth="basic", encryption="never",
                  username=place.lab.username, password=PASSWORD, no_proxy=True)  # fmt: skip
    with RunspacePool(wsman, configuration_name="Microsoft.Exchange") as pool, PowerShell(pool) as ps:
        ps.add_cmdlet(cmdlet)
        for name, value in parameters.items():
            ps.add_parameter(name, value)
        ps.invoke()
        assert not ps.streams.error
        assert not ps.had_errors


def test_apply_reaches_the_pages_values(place: Workplace, applied: Done) -> None:
    for name in ("fax", "sms"):
        found = domain(place, name)
        assert found["DomainName"] == f"{name}.alleo.intern"
        assert {
            key: found[key] for key in ("CharacterSet", "NonMimeCharacterSet", "AllowedOOFType", "ContentType")
        } == {
            "CharacterSet": "iso-8859-1",
            "NonMimeCharacterSet": "iso-8859-1",
            "AllowedOOFType": "None",
            "ContentType": "MimeText",
        }
        for key in ("AutoReplyEnabled", "DeliveryReportEnabled", "NDREnabled", "TNEFEnabled"):
            assert found[key] is False, key
    connector = next(entry for entry in objects(place, "SendConnector") if entry["Name"] == "XPhone Connect fax")
    assert connector["Port"] == 2533
    assert connector["DNSRoutingEnabled"] is False
    assert [str(space).casefold() for space in connector["AddressSpaces"]] == ["smtp:fax.alleo.intern;1"]


def test_the_record_is_whole(place: Workplace, applied: Done) -> None:
    record = Path(applied.summary["record"])
    assert sorted(path.stem for path in (record / "notebooks").glob("*.ipynb")) == CHAPTERS
    assert verify(record / "journal.jsonl") == []
    events = read(record / "journal.jsonl")
    intents = [event for event in events if event["event"] == "intent"]
    outcomes = {event["intent"]: event["seq"] for event in events if event["event"] == "outcome"}
    assert intents
    assert all(event["seq"] < outcomes[event["id"]] for event in intents)
    assert (record / "inputs.yaml").exists()
    assert (record / "manifest.json").exists()
    assert applied.summary["result"] == "changed"
    assert set(applied.steps()) == {f"START-{n}" for n in range(1, 7)} | {f"FWD-{n}" for n in range(1, 4)} | {
        f"FMT-{n}" for n in range(10)
    }


def test_no_secret_in_the_record(place: Workplace, applied: Done) -> None:
    raw = PASSWORD.encode()
    forms = {raw, json.dumps(PASSWORD).encode()[1:-1], base64.b64encode(raw), urllib.parse.quote(PASSWORD).encode()}
    forms.add(base64.b64encode(f"{place.lab.username}:{PASSWORD}".encode()))
    for path in (place.folder / "records").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not [form for form in forms if form in data], path
    assert PASSWORD not in applied.out + applied.err


def test_only_documented_cmdlets_no_script_one_controller(place: Workplace, applied: Done) -> None:
    if not (SHARED / "reference").exists():
        pytest.skip("the cmdlet reference (shared/reference) is not beside the project")
    tables = {
        "Microsoft.Exchange": json.loads((SHARED / "reference/exchange_cmdlets.json").read_text("utf-8")),
        "Microsoft.PowerShell": json.loads((SHARED / "reference/windows_cmdlets.json").read_text("utf-8")),
    }
    events = read(Path(applied.summary["record"]) / "journal.jsonl")
    [pinned] = [event["domain_controller"] for event in events if event["event"] == "pinned"]
    unpinned = []
    for line in place.received():
        for command in line["commands"]:
            assert command["is_script"] is False
            table = tables["Microsoft.Exchange"] | {"Get-Command": tables["Microsoft.PowerShell"]["Get-Command"]}
            known = (table if line["endpoint"] == "Microsoft.Exchange" else tables["Microsoft.PowerShell"])[
                command["name"]
            ]
            assert set(command["parameters"]) <= set(known["parameters"])
            if "DomainController" in known["parameters"]:
                if "DomainController" in command["parameters"]:
                    assert command["parameters"]["DomainController"] == pinned
                else:
                    unpinned.append(command["name"])
    # The very first read finds out which domain controller answers; nothing can be pinned before it.
    assert set(unpinned) <= {"Get-ExchangeServer"}
    first = next(line["commands"][0] for line in place.received() if line["endpoint"] == "Microsoft.Exchange")
    assert first == {"name": "Get-ExchangeServer", "parameters": {}, "is_script": False}


def test_one_property_changed_behind_its_back(place: Workplace, applied: Done) -> None:
    since = len(place.received())
    again = place.umkit("apply", "acme")
    assert (again.status, again.summary["result"]) == (0, "ok")
    assert place.mutating(since) == []

    behind_its_back(place, "Set-RemoteDomain", Identity="sms", NDREnabled=True, DomainController="dc01.alleo.intern")
    since = len(place.received())
    planned = place.umkit("plan", "acme")
    assert planned.status == 3
    assert {name for name, step in planned.steps().items() if step["result"] != "ok"} == {"FMT-6", "FMT-9"}
    assert planned.steps()["FMT-6"]["differences"] == [
        {"object": "remote domain sms", "property": "NDREnabled", "now": "True", "wanted": "False"}
    ]
    assert place.umkit("verify", "acme", "--chapter", "02").status == 3
    assert place.mutating(since) == []

    mended = place.umkit("apply", "acme", "--chapter", "02-message-formats")
    assert mended.status == 0
    [command] = place.mutating(since)
    assert command["name"] == "Set-RemoteDomain"
    assert command["parameters"] == {"Identity": "sms", "NDREnabled": False, "DomainController": "dc01.alleo.intern"}
    assert place.umkit("verify", "acme").status == 0


def test_another_domain_name_means_replace(place: Workplace, applied: Done) -> None:
    place.customer("moved", um_services=[{"name": "sms", "domain": "text.alleo.intern", "port": 2544}])
    since = len(place.received())
    done = place.umkit("apply", "moved", "--chapter", "02")
    assert done.status == 0, done.err
    assert [command["name"] for command in place.mutating(since)][:2] == ["Remove-RemoteDomain", "New-RemoteDomain"]
    assert domain(place, "sms")["DomainName"] == "text.alleo.intern"
    assert domain(place, "sms")["CharacterSet"] == "iso-8859-1"
    removed = next(
        event
        for event in read(Path(done.summary["record"]) / "journal.jsonl")
        if event["event"] == "intent" and event["command"]["name"] == "Remove-RemoteDomain"
    )
    assert removed["changes"][0]["before"]["DomainName"] == "sms.alleo.intern"


HOSTILE = [
    "O'Brien",
    "O’Brien ‘x’ ‚y‛",
    "$(Stop-Service x) `n $env:x",
    "<script>alert(1)</script>",
    "Fax für Müller & Söhne 🖨️ – —",
    'say "hi"; Remove-Item *',
]


def test_hostile_names_arrive_byte_for_byte(place: Workplace) -> None:
    services = [
        {"name": name, "domain": f"h{n}.alleo.intern", "connector": name, "port": 2533, "source_servers": ["EX01"]}
        for n, name in enumerate(HOSTILE)
    ]
    done = place.umkit("apply", place.customer("hostile", um_services=services))
    assert done.status == 0, done.err
    names = {entry["Name"] for entry in objects(place, "RemoteDomain")}
    connectors = {entry["Name"] for entry in objects(place, "SendConnector")}
    assert set(HOSTILE) <= names
    assert set(HOSTILE) <= connectors
    for path in (Path(done.summary["record"]) / "notebooks").glob("0[12]*.ipynb"):
        htmls = [
            "".join(output["data"]["text/html"])
            for cell in json.loads(path.read_text("utf-8"))["cells"]
            for output in cell.get("outputs", ())
            if "text/html" in output.get("data", {})
        ]
        assert any("&lt;script&gt;" in html for html in htmls)
        assert not any("<script" in html for html in htmls)


@pytest.mark.parametrize("name", ["two\nlines", "x" * 65, "nul\0", " ", "tab\there"])
def test_names_that_cannot_be_are_refused_with_a_reason(place: Workplace, name: str) -> None:
    since = len(place.received())
    services = [{"name": name, "domain": "x.alleo.intern", "port": 2533}]
    done = place.umkit("plan", place.customer("refused", um_services=services))
    assert done.status == 2
    assert "um_services[0].name" in done.err
    assert place.received(since) == []


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Page(http.server.BaseHTTPRequestHandler):
    """A web server that has nothing to do with Exchange."""

    def do_POST(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Welcome to nginx</html>")

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def web_server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/PowerShell/"
        server.shutdown()


def failed_step(done: Done) -> dict[str, Any]:
    """The one step that failed; every other one was never reached or is fine."""
    assert done.status == 1, done.err
    [step] = [step for step in done.steps().values() if step["result"] in ("failed", "unknown")]
    return step


def test_wrong_password(place: Workplace) -> None:
    done = place.umkit("plan", place.customer("wrong-password"), password="not the one")
    assert failed_step(done)["error"]["error"] == "AuthenticationFailed"
    assert "not the one" not in done.err + done.out


def test_closed_port(place: Workplace) -> None:
    endpoint = f"http://127.0.0.1:{closed_port()}/PowerShell/"
    done = place.umkit("plan", place.customer("closed-port", exchange={"endpoint": endpoint}))
    assert failed_step(done)["error"]["error"] == "ConnectionFailed"
    assert "blocked" in {chapter["result"] for chapter in done.summary["chapters"]}


def test_wrong_path(place: Workplace) -> None:
    endpoint = place.lab.exchange.replace("/PowerShell/", "/nothing/PowerShell/")
    done = place.umkit("plan", place.customer("wrong-path", exchange={"endpoint": endpoint}))
    assert failed_step(done)["error"]["error"] == "WrongEndpoint"


def test_an_endpoint_without_exchange(place: Workplace, web_server: str) -> None:
    done = place.umkit("plan", place.customer("web-server", exchange={"endpoint": web_server}))
    assert failed_step(done)["error"]["error"] == "WrongEndpoint"


def test_a_windows_endpoint_in_place_of_exchange(place: Workplace) -> None:
    endpoint = place.lab.hosts["XPHONE01"].replace("/wsman", "/PowerShell/")
    done = place.umkit("plan", place.customer("windows", exchange={"endpoint": endpoint}))
    assert failed_step(done)["error"]["error"] == "WrongEndpoint"


def test_a_hidden_cmdlet_is_named_with_its_role(place: Workplace) -> None:
    done = place.umkit("plan", place.customer("limited", exchange={"username": "ALLEO\\umlimited"}))
    step = failed_step(done)
    assert step["id"] == "START-2"
    assert "New-SendConnector" in step["error"]["seen"]
    assert "Send Connectors" in step["error"]["next"]


def test_a_hanging_server(place: Workplace) -> None:
    request = urllib.request.Request(
        place.lab.control + "faults", json.dumps([{"at_request": 4, "do": "hang"}]).encode(), method="POST"
    )
    urllib.request.urlopen(request).close()
    try:
        done = place.umkit("plan", place.customer("hanging", exchange={"deadline": 3}))
    finally:
        clear = urllib.request.Request(place.lab.control + "faults", b"[]", method="POST")
        urllib.request.urlopen(clear).close()
    assert failed_step(done)["error"]["error"] == "DeadlineExceeded"


def test_an_invalid_file_contacts_nothing(place: Workplace) -> None:
    since = len(place.received())
    place.customer("typo", exchange={"usrname": "x"})
    done = place.umkit("apply", "typo")
    assert done.status == 2
    assert "exchange.usrname" in done.err
    assert "did you mean username?" in done.err
    assert place.received(since) == []
    assert place.umkit("plan", "nobody").status == 2
