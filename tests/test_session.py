"""The session over real HTTP: against the lab's wire with cmdlets of our own, and against the lab itself."""

from __future__ import annotations

import importlib.metadata
import logging
import math
import socket
import ssl
import threading
import time
import uuid
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pypsrp.wsman
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pypsrp._pool_manager import DisableNewConnectionsContext, NewConnectionDisabled
from pypsrp.exceptions import WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from umkit import errors
from umkit.command import Command
from umkit.lab import Lab
from umkit.lab.model import Control, ErrorRecord, Invocation, Reply, Stopped
from umkit.lab.wire.faults import Order
from umkit.lab.wire.site import Site
from umkit.remoting import Endpoint, Record, Result, Session, connection, transport
from umkit.remoting.decoder import Decoder
from umkit.remoting.values import prepare
from umkit.secrets import Secret

PASSWORD = "pÄss–w0rd"
NOT_FOUND = ErrorRecord(
    "couldn't be found",
    "[Server=EX01,RequestId=1,TimeStamp=now] [FailureCategory=Cmdlet-ManagementObjectNotFoundException] 1082ECE3,X",
    reason="ManagementObjectNotFoundException",
    exception_type="Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException",
)
HIDDEN = ErrorRecord(
    "is not recognized",
    "CommandNotFoundException",
    13,
    "ObjectNotFound",
    "CommandNotFoundException",
    "System.Management.Automation.CommandNotFoundException",
)
CONNECTOR = """<Obj RefId="0"><TN RefId="0"><T>Microsoft.Exchange.X.ReceiveConnector</T><T>System.Object</T></TN>
  <ToString>EX01\\Relay</ToString><Props><S N="Name">Relay</S><Obj N="Bindings" RefId="1"><TN RefId="1">
  <T>Microsoft.Exchange.Data.MultiValuedProperty`1[[IPBinding]]</T></TN><LST><S>0.0.0.0:25</S></LST></Obj>
  <DT N="WhenChangedUTC">2026-03-01T10:00:00Z</DT><Ref N="Id" RefId="0"/></Props></Obj>"""


class Accounts:
    def check_password(self, username: str, password: str) -> bool:
        return username.endswith("alice") and password == PASSWORD

    def password_of(self, username: str) -> str | None:
        return PASSWORD if username.endswith("alice") else None


class Cmdlets:
    """A few cmdlets that answer, refuse, write warnings, or take their time."""

    name = "EX01"
    configuration = "Microsoft.Exchange"
    path = "/PowerShell/"
    max_shells = 3

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()
        self.started = threading.Event()
        self.halted = threading.Event()

    def is_mutating(self, name: str) -> bool:
        return not name.startswith("Get-")

    def execute(self, user: str, pipeline: list[Invocation], control: Control) -> Reply:
        (invocation,) = pipeline
        self.ran[invocation.name] += 1
        assert not invocation.is_script
        if invocation.name.endswith("-Slow"):
            self.started.set()
            control.stopped.wait(20)
            self.halted.set()
            raise Stopped
        arguments = {name: value for name, value in invocation.arguments if name is not None}
        answer: Callable[[dict[str, Any]], Reply] = getattr(self, invocation.name.replace("-", "_"))
        return answer(arguments)

    def Get_Echo(self, arguments: dict[str, Any]) -> Reply:
        values = [ET.tostring(_element(value), encoding="unicode") for value in arguments.values()]
        return Reply(outputs=values)

    def Get_Connector(self, arguments: dict[str, Any]) -> Reply:
        return Reply(outputs=[" ".join(CONNECTOR.split()), "<Nil />"], warnings=["a", "–"])

    def Get_Number(self, arguments: dict[str, Any]) -> Reply:
        return Reply(outputs=[f"<I32>{arguments['N']}</I32>"])

    def Get_Hidden(self, arguments: dict[str, Any]) -> Reply:
        return Reply(failed=HIDDEN)

    def Get_Partly(self, arguments: dict[str, Any]) -> Reply:
        return Reply(outputs=["<S>found</S>"], errors=[NOT_FOUND, NOT_FOUND])

    def Get_Novelty(self, arguments: dict[str, Any]) -> Reply:
        return Reply(outputs=["<S>known</S>", "<Novelty />"])

    def Set_Thing(self, arguments: dict[str, Any]) -> Reply:
        secret = arguments.get("Password")
        return Reply(outputs=[f"<I32>{len(secret.reveal())}</I32>"] if secret is not None else [])


def _element(value: Any) -> ET.Element:
    element = Decoder().serialize(prepare("Get-Echo", {"Value": value}).parameters[0][1])
    assert element is not None
    return element


class Relay:
    """A wire between client and server that can be cut, as a server does with an idle connection."""

    def __init__(self, url: str, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        self._target = parts.port
        self._tls = tls
        #: The first message after this is set does not get through.
        self.trap: threading.Event | None = None
        self._pairs: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", port))
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._listening.getsockname()[1]}{parts.path}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                try:
                    client = self._tls.wrap_socket(client, server_side=True) if self._tls else client
                except OSError:
                    continue
                server = socket.create_connection(("127.0.0.1", self._target))
                self._pairs += [client, server]
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self.trap is not None and self.trap.is_set():
                    self.trap = None
                    break
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        for end in self._pairs:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()

    def close(self) -> None:
        self._listening.close()
        self.cut()


class Bench:
    """The lab's wire with our cmdlets, and sessions to it."""

    def __init__(self) -> None:
        self.cmdlets = Cmdlets()
        self.site = Site([self.cmdlets], Accounts(), dict)
        self.site.start()

    def endpoint(self, auth: str = "basic", **parts: Any) -> Endpoint:
        given = {"url": self.site.exchange, "username": "LAB\\alice", "password": Secret(PASSWORD), "deadline": 10.0}
        return Endpoint("exchange", auth=auth, **{**given, **parts})

    def session(self, auth: str = "basic", **parts: Any) -> Session:
        return Session(self.endpoint(auth, **parts))

    def faults(self, *orders: Order) -> None:
        self.site.faults.set(orders)

    @property
    def actions(self) -> dict[str, int]:
        by_action: dict[str, int] = self.site.counts.as_dict()["by_action"]
        return by_action

    @property
    def shells(self) -> int:
        return self.actions.get("Create", 0) - self.actions.get("Delete", 0)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.site.stop()


@pytest.fixture
def relay(bench: Bench) -> Iterator[Relay]:
    relay = Relay(bench.site.exchange)
    yield relay
    relay.close()


@pytest.fixture(params=["basic", "negotiate"])
def session(bench: Bench, request: pytest.FixtureRequest) -> Iterator[Session]:
    with bench.session(request.param) as session:
        yield session


# --- what comes back -------------------------------------------------------------------------------------------------


def test_open_run_close(bench: Bench, session: Session) -> None:
    assert session.protocol == {"basic": "basic", "negotiate": "ntlm"}[session.endpoint.auth]
    result = session.run(Command("Get-Connector"))
    connector, null = result.outputs
    assert isinstance(connector, Record)
    assert null is None
    assert (str(connector), connector["bindings"]) == ("EX01\\Relay", ["0.0.0.0:25"])
    assert connector["WhenChangedUtc"] == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert connector["Id"] is connector
    assert result.warnings == ["a", "–"]
    assert (result.errors, result.retried, result.command) == ([], False, "Get-Connector")
    assert 0 < result.seconds < 5
    session.close()
    assert bench.shells == 0
    assert "not open" in repr(session)
    with pytest.raises(errors.UsageError, match="closed"):
        session.run(Command("Get-Connector"))
    session.open()
    assert session.run(Command("Get-Connector")).outputs


def test_three_requests_for_a_command(bench: Bench) -> None:
    with bench.session() as session:
        before = bench.site.counts.as_dict()["requests"]
        session.run(Command("Get-Connector"))
        assert bench.site.counts.as_dict()["requests"] - before == 3
        assert bench.actions == {"Create": 1, "Receive": 2, "Command": 1, "Signal": 1}


def test_hostile_values_come_back_unchanged(session: Session) -> None:
    values: list[Any] = [
        '\'; Remove-Mailbox *; "$(Get-Date)" `n ‘’‚‛ “”„ – — ― \\ % & | < > ]]>',
        "<S>x</S>&amp; _x0041_ _X000A_ \r\n\t\x01\x7f\x85\ufffe\uffff é 😀 \u202e",
        "",
        True,
        None,
        2**31,
        -(2**63),
        0.1,
        Decimal("1.50"),
        ["a", ["b", 1], []],
        {"Add": ["x"], "Remove": "y"},
        b"\x00\xff",
        datetime(2026, 3, 1, 10, tzinfo=UTC),
        timedelta(days=1, microseconds=5),
        uuid.UUID(int=7),
    ]
    parameters = {f"P{number}": value for number, value in enumerate(values)}
    assert session.run(Command("Get-Echo", parameters)).outputs == values


def test_large_values_go_both_ways(session: Session) -> None:
    text = "ä😀x" * 40_000
    assert session.run(Command("Get-Echo", {"Value": text}), deadline=30).one() == text


def test_a_secret_is_encrypted(bench: Bench, session: Session, caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret("tóp secret 😀")
    with caplog.at_level(logging.DEBUG):
        for name in ("pypsrp.wsman", "pypsrp.messages"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        transport.quiet()
        assert session.run(Command("Set-Thing", {"Password": secret})).one() == len("tóp secret 😀")
        assert session.run(Command("Set-Thing", {"Password": secret, "Name": "x"})).one() == len("tóp secret 😀")
    assert bench.actions["Send"] == 1  # keys are exchanged once
    assert "secret" not in caplog.text
    assert not [record for record in caplog.records if record.name.startswith("pypsrp")]


def test_run_many_keeps_the_order(bench: Bench, session: Session) -> None:
    commands = [Command("Get-Number", {"N": number}) for number in range(25)]
    commands[7] = Command("Get-Hidden")
    commands[9] = Command("Get-Partly")
    commands[11] = Command("Get-Novelty")
    entries = session.run_many(commands)
    assert isinstance(entries[7], errors.CommandHidden)
    assert isinstance(entries[9], errors.ObjectNotFound)
    assert isinstance(entries[11], errors.AnswerUnreadable)
    for number, entry in enumerate(entries):
        if number not in (7, 9, 11):
            assert isinstance(entry, Result)
            assert entry.outputs == [number]
    assert bench.actions["Create"] == 1
    assert session.run_many([]) == []
    (partly,) = session.run_many([Command("Get-Partly")], errors="collect")
    assert isinstance(partly, Result)
    assert len(partly.errors) == 2


def test_run_many_refuses_what_changes_something(bench: Bench, session: Session) -> None:
    with pytest.raises(ValueError, match="Set-Thing can change"):
        session.run_many([Command("Get-Number", {"N": 1}), Command("Set-Thing")])
    assert not bench.cmdlets.ran


def test_errors_raise_or_are_collected(session: Session) -> None:
    with pytest.raises(errors.ObjectNotFound, match="couldn't be found") as caught:
        session.run(Command("Get-Partly"))
    assert caught.value.where == {**session.endpoint.where, "command": "Get-Partly"}
    assert caught.value.reason == "ManagementObjectNotFoundException"
    result = session.run(Command("Get-Partly"), errors="collect")
    assert result.outputs == ["found"]
    assert [type(error) for error in result.errors] == [errors.ObjectNotFound, errors.ObjectNotFound]
    with pytest.raises(errors.ObjectNotFound):
        result.one()
    with pytest.raises(errors.CommandHidden):
        session.run(Command("Get-Hidden"))
    assert [type(error) for error in session.run(Command("Get-Hidden"), errors="collect").errors] == [
        errors.CommandHidden
    ]
    with pytest.raises(ValueError, match="allowed: raise, collect"):
        session.run(Command("Get-Partly"), errors="ignore")


def test_an_answer_that_cannot_be_decoded_leaves_the_session_whole(bench: Bench, session: Session) -> None:
    with pytest.raises(errors.AnswerUnreadable, match="cannot be decoded") as caught:
        session.run(Command("Get-Novelty"))
    assert "Novelty" in caught.value.seen
    assert session.run(Command("Get-Number", {"N": 1})).one() == 1
    assert bench.actions["Create"] == 1


def test_one() -> None:
    assert Result([None]).one() is None
    with pytest.raises(errors.ObjectNotFound, match="gave no object"):
        Result([], command="Get-Thing").one()
    with pytest.raises(errors.AnswerUnreadable, match="gave 2 objects"):
        Result([1, 2]).one()


def test_a_second_thread_is_refused(session: Session) -> None:
    caught: list[BaseException] = []

    def use() -> None:
        for call in (lambda: session.run(Command("Get-Connector")), session.open, session.close):
            try:
                call()
            except errors.UsageError as error:
                caught.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert len(caught) == 3
    assert "belongs to another thread" in str(caught[0])
    assert session.run(Command("Get-Connector")).outputs


def test_a_closed_session_may_go_to_another_thread(bench: Bench) -> None:
    session = bench.session()
    session.open()
    session.close()
    outputs: list[Any] = []

    def use() -> None:
        with session:
            outputs.extend(session.run(Command("Get-Number", {"N": 1})).outputs)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert outputs == [1]


# --- the end of a command --------------------------------------------------------------------------------------------


def test_a_deadline_stops_the_command(bench: Bench, session: Session) -> None:
    begun = time.monotonic()
    with pytest.raises(errors.DeadlineExceeded) as caught:
        session.run(Command("Set-Slow"), deadline=1.0)
    assert time.monotonic() - begun < 4
    assert caught.value.seen == "the server confirmed the stop"
    assert bench.cmdlets.halted.wait(5)
    assert session.run(Command("Get-Number", {"N": 1})).one() == 1
    assert bench.actions["Create"] == 1


def test_a_cancel_event_stops_the_command(bench: Bench, session: Session) -> None:
    cancel = threading.Event()

    def press() -> None:
        bench.cmdlets.started.wait(5)
        cancel.set()

    threading.Thread(target=press).start()
    with pytest.raises(errors.Cancelled):
        session.run(Command("Set-Slow"), cancel=cancel)
    assert bench.cmdlets.halted.wait(5)
    with pytest.raises(errors.NotSent, match="cancelled before Get-Number was sent"):
        session.run(Command("Get-Number", {"N": 1}), cancel=cancel)
    entries = session.run_many([Command("Get-Number", {"N": 1})] * 2, cancel=cancel)
    assert [type(entry) for entry in entries] == [errors.NotSent, errors.NotSent]
    assert session.run(Command("Get-Number", {"N": 1}), cancel=threading.Event()).one() == 1


def test_an_interrupt_stops_the_command_and_is_raised(
    bench: Bench, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(ps: PowerShell, timeout: float | None = None) -> None:
        assert bench.cmdlets.started.wait(5)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PowerShell, "poll_invoke", interrupted)
        with pytest.raises(KeyboardInterrupt):
            session.run(Command("Set-Slow"))
    assert bench.cmdlets.halted.wait(5)
    assert session.run(Command("Get-Number", {"N": 1})).one() == 1


def test_an_interrupt_while_sending_stops_what_may_have_begun(
    bench: Bench, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = WSMan.command

    def interrupted(wsman: WSMan, *parts: Any, **named: Any) -> Any:
        real(wsman, *parts, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(WSMan, "command", interrupted)
        with pytest.raises(KeyboardInterrupt):
            session.run(Command("Set-Slow"))
    assert bench.shells == 0
    assert session.run(Command("Get-Number", {"N": 1})).one() == 1


def test_run_many_stops_everything_at_the_deadline(bench: Bench, session: Session) -> None:
    commands = [Command("Get-Number", {"N": 1}), *[Command("Get-Slow", {"N": number}) for number in range(12)]]
    entries = session.run_many(commands, deadline=1.5)
    assert isinstance(entries[0], Result)
    kinds = Counter(type(entry) for entry in entries[1:])
    assert kinds == {errors.DeadlineExceeded: 10, errors.NotSent: 2}
    assert all(isinstance(entry, errors.RemoteError) and entry.where["command"] == "Get-Slow" for entry in entries[1:])
    assert session.run(Command("Get-Number", {"N": 1})).one() == 1


@pytest.mark.parametrize("at", [1, 2])
def test_a_server_that_hangs_ends_at_the_deadline_all_the_same(
    bench: Bench, session: Session, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "GRACE", 0.2)
    monkeypatch.setattr(connection, "CLEANUP", 0.4)
    bench.faults(*(Order("hang", at_request=number) for number in range(at, 12)))
    begun = time.monotonic()
    with pytest.raises(errors.DeadlineExceeded) as caught:
        session.run(Command("Set-Slow"), deadline=0.6)
    assert time.monotonic() - begun < 0.6 + 0.2 + 0.4 + 1
    assert "did not confirm" in caught.value.seen
    bench.faults()
    assert session.run(Command("Get-Number", {"N": 1})).one() == 1


# --- a connection that breaks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("do", ["drop-before", "drop-after", "http-503", "lose-shell"])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_reading_command_survives_any_one_fault(bench: Bench, session: Session, do: str, at: int) -> None:
    """Whichever of its requests (Command, Receive, Signal) it strikes."""
    bench.faults(Order(do, at_request=at))
    result = session.run(Command("Get-Number", {"N": 5}))
    assert result.one() == 5
    assert result.retried is (at < 3)
    bench.faults()
    assert session.run(Command("Get-Number", {"N": 6})).one() == 6


@pytest.mark.parametrize(
    ("do", "at", "kind", "ran"),
    [
        ("drop-before", 1, errors.ConnectionLost, 0),
        ("drop-after", 1, errors.ConnectionLost, 1),
        ("http-503", 1, errors.ConnectionFailed, 0),
        ("lose-shell", 1, errors.ConnectionFailed, 0),
        ("drop-before", 2, errors.ConnectionLost, 1),
        ("drop-after", 2, errors.ConnectionLost, 1),
        ("http-503", 2, errors.ConnectionLost, 1),
        ("lose-shell", 2, errors.ConnectionLost, 1),
        ("drop-before", 3, None, 1),
        ("drop-after", 3, None, 1),
        ("http-503", 3, None, 1),
        ("lose-shell", 3, None, 1),
    ],
)
def test_a_changing_command_is_never_sent_twice(
    bench: Bench, session: Session, do: str, at: int, kind: type[errors.RemoteError] | None, ran: int
) -> None:
    bench.faults(Order(do, at_request=at))
    if kind is None:
        assert session.run(Command("Set-Thing")).retried is False
    else:
        with pytest.raises(kind) as caught:
            session.run(Command("Set-Thing"))
        assert type(caught.value) is kind
        assert caught.value.where["command"] == "Set-Thing"
        assert (caught.value.outcome == "unknown") is (kind is errors.ConnectionLost)
    assert bench.cmdlets.ran["Set-Thing"] == ran
    bench.faults()
    assert session.run(Command("Set-Thing")).outputs == []
    assert bench.cmdlets.ran["Set-Thing"] == ran + 1


def test_a_command_that_cannot_be_cleaned_up_has_its_result(
    bench: Bench, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(ps: PowerShell) -> None:
        raise WSManFaultError(1234, None, "no", None, None, None)

    monkeypatch.setattr(PowerShell, "close", refused)
    for number in range(3):
        assert session.run(Command("Get-Number", {"N": number})).one() == number
    assert bench.actions["Create"] == 1


def test_run_many_asks_again_only_what_has_no_answer(bench: Bench, session: Session) -> None:
    bench.faults(Order("drop-after", at_request=9))
    commands = [Command("Get-Number", {"N": number}) for number in range(6)]
    entries = session.run_many(commands)
    results = [entry for entry in entries if isinstance(entry, Result)]
    assert [result.outputs for result in results] == [[number] for number in range(6)]
    retried = [result.retried for result in results]
    assert retried == sorted(retried)
    assert set(retried) == {False, True}


def test_run_many_says_what_was_lost(bench: Bench, session: Session) -> None:
    bench.faults(*(Order("drop-before", at_request=number) for number in range(5, 60)))
    entries = session.run_many([Command("Get-Number", {"N": number}) for number in range(3)], deadline=5)
    assert isinstance(entries[0], Result)
    assert all(isinstance(entry, errors.ConnectionLost | errors.NotSent) for entry in entries[1:])


@pytest.mark.parametrize("auth", ["basic", "negotiate"])
def test_a_lost_connection_gives_its_shell_back(bench: Bench, relay: Relay, auth: str) -> None:
    """What still runs in the shell is stopped with it, so that whoever reads next sees a settled state."""

    relay.trap = bench.cmdlets.started
    with bench.session(auth, url=relay.url) as session, pytest.raises(errors.ConnectionLost):
        session.run(Command("Set-Slow"), cancel=threading.Event())
    assert bench.cmdlets.halted.wait(5)
    assert bench.shells == 0


@pytest.mark.parametrize("auth", ["basic", "negotiate"])
def test_an_idle_connection_that_was_closed_is_not_missed(bench: Bench, relay: Relay, auth: str) -> None:
    """Stock pypsrp sends the old connection's ciphertext over the new one, and fails for good."""
    with bench.session(auth, url=relay.url) as session:
        for _ in range(3):
            assert session.run(Command("Set-Thing")).retried is False
            relay.cut()
    assert bench.cmdlets.ran["Set-Thing"] == 3
    assert bench.actions["Create"] == 1
    assert bench.shells == 0


# --- opening ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", ["basic", "negotiate"])
@pytest.mark.parametrize("wrong", [{"password": Secret("wröng–")}, {"username": "LAB\\mallory"}])
def test_a_wrong_account(bench: Bench, auth: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(errors.AuthenticationFailed) as caught:
        bench.session(auth, **wrong).open()
    assert "wröng" not in str(caught.value)
    assert caught.value.where == {"host": "exchange", "endpoint": bench.site.exchange}
    assert caught.value.next


@pytest.mark.parametrize("auth", ["basic", "negotiate"])
@pytest.mark.parametrize("wrong", [{"configuration": "Microsoft.PowerShell"}, {"url": "owa/"}])
def test_a_wrong_path_or_configuration(bench: Bench, auth: str, wrong: dict[str, Any]) -> None:
    if "url" in wrong:
        wrong = {"url": bench.site.exchange.replace("PowerShell/", wrong["url"])}
    with pytest.raises(errors.WrongEndpoint):
        bench.session(auth, **wrong).open()


def test_the_quota_of_shells(bench: Bench) -> None:
    sessions = [bench.session() for _ in range(4)]
    for session in sessions[:3]:
        session.open()
    with pytest.raises(errors.TooManyShells) as caught:
        sessions[3].open()
    assert "3 concurrent shells" in caught.value.seen
    for session in sessions:
        session.close()
    with sessions[3]:
        assert sessions[3].run(Command("Get-Number", {"N": 1})).one() == 1


@pytest.mark.parametrize("auth", ["basic", "negotiate"])
@pytest.mark.parametrize("do", ["drop-before", "drop-after", "http-503"])
@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
def test_opening_survives_any_one_fault_and_leaves_no_shell(bench: Bench, auth: str, do: str, at: int) -> None:
    bench.cmdlets.max_shells = 1
    bench.faults(Order(do, at_request=at))
    with bench.session(auth) as session:
        assert session.protocol
    bench.faults()
    with bench.session(auth) as session:
        assert session.run(Command("Get-Number", {"N": 1})).one() == 1


def test_a_closed_port(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(errors.ConnectionFailed, match="nothing answers on this port"):
        bench.session(url=f"http://127.0.0.1:{port}/PowerShell/", deadline=0.3).open()


def test_a_service_that_comes_back_is_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    relays: list[Relay] = []
    monkeypatch.setattr(
        "umkit.remoting.transport.time.sleep", lambda seconds: relays.append(Relay(bench.site.exchange, port))
    )
    with bench.session(url=f"http://127.0.0.1:{port}/PowerShell/") as session:
        assert session.run(Command("Get-Number", {"N": 1})).one() == 1
    assert len(relays) == 1
    relays[0].close()


class Page(BaseHTTPRequestHandler):
    """A web server that is no Exchange."""

    status = 200
    body = b"<!DOCTYPE html><p>It works!"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(self.status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.mark.parametrize("auth", ["basic", "negotiate"])
@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"<!DOCTYPE html><p>It works!", errors.WrongEndpoint),
        (200, b"<html/>", errors.WrongEndpoint),
        (200, b"", errors.WrongEndpoint),
        (404, b"<html/>", errors.WrongEndpoint),
        (501, b"no", errors.WrongEndpoint),
        (403, b"no", errors.AuthenticationFailed),
        (503, b"no", errors.ConnectionFailed),
    ],
)
def test_a_web_server_that_is_no_exchange(
    bench: Bench, auth: str, status: int, body: bytes, kind: type[errors.RemoteError]
) -> None:
    page = type("Page", (Page,), {"status": status, "body": body})
    server = HTTPServer(("127.0.0.1", 0), page)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        with pytest.raises(kind) as caught:
            bench.session(auth, url=f"http://127.0.0.1:{server.server_port}/PowerShell/").open()
        assert type(caught.value) is kind
        if status != 200:
            assert f"HTTP status {status}" in caught.value.seen
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, and its key behind it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ex01.lab.test")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "ex01.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(signed.public_bytes(Encoding.PEM) + private)
    return path


@pytest.fixture
def tls(bench: Bench, certificate: Path) -> Iterator[Relay]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    relay = Relay(bench.site.exchange, tls=context)
    yield relay
    relay.close()


@pytest.mark.parametrize("auth", ["basic", "negotiate"])
def test_https_with_a_trusted_certificate(bench: Bench, tls: Relay, certificate: Path, auth: str) -> None:
    for trusted in (str(certificate), False):
        with bench.session(auth, url=tls.url, certificate=trusted) as session:
            assert session.run(Command("Get-Number", {"N": 1})).one() == 1
            tls.cut()
            assert session.run(Command("Set-Thing")).outputs == []


@pytest.mark.parametrize("auth", ["basic", "negotiate"])
def test_https_with_a_certificate_that_nobody_vouches_for(bench: Bench, tls: Relay, auth: str) -> None:
    with pytest.raises(errors.ConnectionFailed, match="certificate is not trusted"):
        bench.session(auth, url=tls.url).open()
    assert not bench.actions


@pytest.mark.parametrize(
    ("scheme", "banner", "kind"),
    [
        ("http", b"SSH-2.0-OpenSSH_9.2\r\n", errors.WrongEndpoint),
        ("https", b"220 mail ESMTP\r\n", errors.ConnectionFailed),
        ("http", b"", errors.ConnectionFailed),
    ],
)
def test_a_port_that_speaks_something_else(
    bench: Bench, scheme: str, banner: bytes, kind: type[errors.RemoteError]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listening.accept()
                    with client:
                        client.recv(65536)
                        client.sendall(banner)

        threading.Thread(target=greet, daemon=True).start()
        url = f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/PowerShell/"
        with pytest.raises(kind) as caught:
            bench.session(url=url, deadline=2).open()
        assert type(caught.value) is kind
        listening.close()


def test_a_server_that_says_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CLEANUP", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/PowerShell/"
        begun = time.monotonic()
        with pytest.raises(errors.ConnectionFailed, match="did not answer in time"):
            bench.session(url=url, deadline=0.3).open()
        assert time.monotonic() - begun < 0.3 + 0.3 + 1


@pytest.mark.parametrize(
    ("parts", "kind", "text"),
    [
        ({"url": "http://ex01.example/PowerShell/", "auth": "basic"}, errors.ConnectionFailed, "readable"),
        ({"url": "ftp://ex01/", "auth": "basic"}, errors.WrongEndpoint, "no address"),
        ({"url": "http:///PowerShell/"}, errors.WrongEndpoint, "no address"),
        ({"url": "http://ex01:port/"}, errors.WrongEndpoint, "no address"),
        ({"auth": "digest"}, errors.AuthenticationFailed, "digest"),
        ({"auth": "basic", "password": None}, errors.AuthenticationFailed, "password"),
        ({"auth": "kerberos"}, errors.AuthenticationFailed, "user@domain"),
    ],
)
def test_what_is_refused_before_anything_is_contacted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, parts: dict[str, Any], kind: type[errors.NotSent], text: str
) -> None:
    monkeypatch.setattr(transport, "build", lambda endpoint: pytest.fail("something was built"))
    with pytest.raises(kind) as caught:
        bench.session(**parts).run(Command("Get-Number", {"N": 1}))
    assert text in str(caught.value)
    assert caught.value.where["host"] == "exchange"


@pytest.mark.parametrize(
    "parts",
    [{"url": "http://alice:geheim@ex01/PowerShell/"}, {"password": "geheim"}, {"deadline": 0}],
)
def test_an_endpoint_that_makes_no_sense(bench: Bench, parts: dict[str, Any]) -> None:
    with pytest.raises(errors.UsageError) as caught:
        bench.endpoint(**parts)
    assert "geheim" not in str(caught.value)


def test_an_endpoint_does_not_show_its_password(bench: Bench) -> None:
    assert PASSWORD not in repr(bench.endpoint())
    assert [
        bench.endpoint(url=f"http://{host}/x").loopback for host in ("localhost", "[::1]", "127.8.0.1", "ex01")
    ] == [
        True,
        True,
        True,
        False,
    ]


def test_kerberos_is_never_something_else(bench: Bench) -> None:
    with pytest.raises(errors.AuthenticationFailed) as caught:
        bench.session("kerberos", username="alice@LAB.TEST").open()
    assert "Kerberos" in str(caught.value)
    assert "Create" not in bench.actions


def test_kerberos_is_checked_after_opening(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = transport.build

    def negotiated(endpoint: Endpoint) -> Any:
        return real(bench.endpoint("negotiate"))

    monkeypatch.setattr(transport, "build", negotiated)
    with pytest.raises(errors.AuthenticationFailed, match="took ntlm"):
        bench.session("kerberos", username="alice@LAB.TEST").open()
    assert bench.shells == 0


# --- the names we lean on, and the lab -------------------------------------------------------------------------------


def test_the_private_names_of_pypsrp_are_there() -> None:
    assert importlib.metadata.version("pypsrp") == "0.9.1"
    assert importlib.metadata.version("psrpcore") == "0.3.1"
    wsman = WSMan("localhost", ssl=False, username="a", password="b", auth="negotiate")
    for name in ("session", "encryption", "wrap_required", "send", "auth"):
        assert hasattr(wsman.transport, name)
    pool = RunspacePool(wsman)
    assert pool._serializer is pool._fragmenter.serializer
    assert pool.shell._selector_set is None
    assert callable(pool._receive)
    assert issubclass(NewConnectionDisabled, Exception)
    with DisableNewConnectionsContext():
        assert DisableNewConnectionsContext.current() is not None
    assert issubclass(Decoder, pypsrp.serializer.Serializer)
    assert math.isinf(transport.Guard(wsman.transport).left())
    assert "send" in vars(wsman.transport)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        yield lab


@pytest.mark.parametrize("auth", ["basic", "negotiate"])
def test_the_lab_s_exchange(lab: Lab, auth: str) -> None:
    endpoint = Endpoint("exchange", lab.exchange, auth=auth, username=lab.username, password=Secret(lab.password))
    with Session(endpoint) as session:
        servers = session.run(Command("Get-ExchangeServer")).outputs
        assert len(servers) >= 2
        assert all(isinstance(server, Record) and server["Name"] for server in servers)
        domains, missing = session.run_many(
            [Command("Get-AcceptedDomain"), Command("Get-RemoteDomain", {"Identity": "no such domain"})]
        )
        assert isinstance(domains, Result)
        assert domains.outputs
        assert isinstance(missing, errors.ObjectNotFound)
        with pytest.raises(errors.CommandHidden):
            session.run(Command("Get-NoSuchCmdlet"))
        with pytest.raises(errors.ParameterRefused):
            session.run(Command("Get-RemoteDomain", {"NoSuchParameter": 1}))


def test_the_lab_s_hosts(lab: Lab) -> None:
    for name, url in lab.hosts.items():
        endpoint = Endpoint(
            name, url, "Microsoft.PowerShell", "negotiate", username=lab.username, password=Secret(lab.password)
        )
        with Session(endpoint) as session:
            assert session.protocol == "ntlm"
            assert isinstance(session.run(Command("Get-Date")).one(), datetime)
            with pytest.raises(errors.CommandHidden):
                session.run(Command("Get-NoSuchCmdlet"))
