"""The relay probe against scripted SMTP servers: what it asks, what it never sends, what it says."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from probe_site import NoSite, ProbedSite, closed_port, drip, hang, served

from umkit.outcome import Finding
from umkit.probes.relay_refusal import RECIPIENT, Answer, RelayRefusal

EXCHANGE = {
    "": "220 EX01.acme.example Microsoft ESMTP MAIL Service ready",
    "EHLO": "250-EX01.acme.example Hello [127.0.0.1]\r\n250-SIZE\r\n250 8BITMIME",
    "MAIL": "250 2.1.0 Sender OK",
    "RCPT": "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
    "QUIT": "221 2.0.0 Service closing transmission channel",
}


class Script:
    """Answers each command with its line; remembers what came. ``None`` closes the connection."""

    def __init__(self, **changed: str | None) -> None:
        self.lines: dict[str, str | None] = {**EXCHANGE, **{key.strip("_"): line for key, line in changed.items()}}
        self.asked: list[str] = []

    def __call__(self, connection: socket.socket) -> None:
        with connection.makefile("rwb") as stream:
            command = ""
            while (line := self.lines.get(command.upper(), "500 5.3.3 Unrecognized command")) is not None:
                stream.write(line.encode() + b"\r\n")
                stream.flush()
                if command == "QUIT" or not (read := stream.readline()):
                    return
                self.asked.append(read.decode().rstrip())
                command = self.asked[-1].partition(" ")[0].upper()


def probed(serve: Callable[[socket.socket], None], *, answer: float = 5, limit: float = 10, text: str = "") -> Finding:
    with served(serve) as port:
        site = ProbedSite(text or f"relay: {{port: {port}}}")
        [finding] = RelayRefusal(answer=answer, limit=limit).run(site).findings
    return finding


def test_a_refused_recipient_is_what_is_wanted() -> None:
    script = Script()
    finding = probed(script)
    assert finding.result == "ok"
    assert "EX01 (127.0.0.1:" in finding.text
    assert "refuses to relay for 127.0.0.1 (RCPT TO: 550 5.7.54 SMTP; Unable to relay" in finding.text
    assert script.asked == ["ehlo [127.0.0.1]", "mail FROM:<>", f"rcpt TO:<{RECIPIENT}>", "quit"]


@pytest.mark.parametrize("line", ["250 2.1.5 Recipient OK", "251 User not local; will forward"])
def test_an_accepted_recipient_fails_loudly_and_no_message_follows(line: str) -> None:
    script = Script(RCPT=line)
    finding = probed(script)
    assert finding.result == "failed"
    assert "OPEN RELAY" in finding.text
    assert "no message was sent" in finding.text
    assert finding.next
    assert not [asked for asked in script.asked if asked.upper().startswith(("DATA", "BDAT"))]
    assert script.asked[-1] == "quit"


def test_a_host_that_gets_no_greeting_is_refused() -> None:
    finding = probed(Script(_=None))
    assert (finding.result, "connection closed at greeting" in finding.text) == ("ok", True)


def test_whoever_breaks_off_later_has_said_nothing() -> None:
    finding = probed(Script(MAIL=None))
    assert (finding.result, "connection closed at MAIL FROM" in finding.text) == ("open", True)


@pytest.mark.parametrize(
    ("stage", "code", "text", "verdict"),
    [
        ("greeting", 554, "5.7.1 no service for you", "ok"),
        ("greeting", 421, "4.3.2 Service not available", "open"),
        ("greeting", -1, "2.0-OpenSSH_9.2", "open"),
        ("EHLO", 550, "5.7.1 Access denied", "ok"),
        ("EHLO", 502, "5.3.3 Command not implemented", "open"),
        ("MAIL FROM", 530, "5.7.57 SMTP; Client was not authenticated to send anonymous mail", "ok"),
        ("MAIL FROM", 530, "Authentication required", "ok"),
        ("MAIL FROM", 501, "5.1.7 Invalid address", "open"),
        ("RCPT TO", 550, "5.7.1 Unable to relay", "ok"),
        ("RCPT TO", 554, "Access denied", "ok"),
        ("RCPT TO", 550, "5.4.1 Relay Access Denied", "ok"),
        ("RCPT TO", 550, "5.1.2 Host unknown", "open"),
        ("RCPT TO", 556, "5.1.10 Recipient address has null MX", "open"),
        ("RCPT TO", 501, "Bad address syntax", "open"),
        ("RCPT TO", 451, "4.7.1 Greylisted", "open"),
        ("RCPT TO", 354, "go on", "open"),
        ("RCPT TO", 0, "", "open"),
        ("RCPT TO", 250, "2.1.5 Recipient OK", "failed"),
    ],
)
def test_only_a_refusal_to_relay_counts_as_one(stage: str, code: int, text: str, verdict: str) -> None:
    assert Answer(stage, code, text).verdict == verdict


def test_a_workstation_that_may_relay_says_nothing() -> None:
    script = Script()
    with served(script) as port:
        site = ProbedSite(f"relay: {{port: {port}, remote_addresses: [192.0.2.10, 127.0.0.1]}}")
        [finding] = RelayRefusal().run(site).findings
    assert finding.result == "open"
    assert "this workstation is 127.0.0.1, one of the hosts that may relay" in finding.text
    assert script.asked == []


def test_a_closed_port_is_never_a_refusal() -> None:
    site = ProbedSite(f"relay: {{port: {closed_port()}}}")
    [finding] = RelayRefusal(answer=5).run(site).findings
    assert (finding.result, "could not be tried" in finding.text) == ("open", True)


def test_a_silent_server_ends_in_time() -> None:
    finding = probed(hang, answer=0.2)
    assert (finding.result, "no answer within 0.2 s" in finding.text) == ("open", True)


def test_a_server_that_never_comes_to_an_end_is_left() -> None:
    finding = probed(drip(b"220-still greeting\r\n"), limit=0.3)
    assert (finding.result, "no end within 0.3 s" in finding.text) == ("open", True)


def test_garbage_is_no_answer() -> None:
    finding = probed(Script(_="\x16\x03\x01 \x07 garbage " + "x" * 500))
    assert finding.result == "open"
    assert "no SMTP reply" in finding.text
    assert finding.text.isprintable()
    assert len(finding.text) < 300


def test_a_server_that_exchange_does_not_know_is_not_tried() -> None:
    [finding] = RelayRefusal().run(ProbedSite("relay: {servers: [EX09]}")).findings
    assert (finding.result, "EX09 was not tried" in finding.text) == ("open", True)
    [finding] = RelayRefusal().run(ProbedSite(servers={})).findings
    assert finding.result == "open"


def test_a_server_is_found_by_its_fqdn_too() -> None:
    with served(Script()) as port:
        site = ProbedSite(
            f"relay: {{port: {port}, servers: [LOCALHOST]}}", servers={"EX01": "localhost", "EX02": "ex02.acme.example"}
        )
        [finding] = RelayRefusal(answer=5).run(site).findings
    assert finding.text.startswith("EX01 (localhost:")


def test_nothing_is_tried_in_the_lab() -> None:
    lab = "exchange: {endpoint: lab, auth: basic, username: null, password: null}"
    [finding] = RelayRefusal().run(NoSite(lab)).findings
    assert (finding.result, "not tried" in finding.text) == ("open", True)
