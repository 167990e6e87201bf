"""The IMAP probe against a real Dovecot, and against servers that misbehave."""

from __future__ import annotations

import re
import socket
import ssl

import dovecot
import pytest
from probe_site import DEADLINE, NoSite, ProbedSite, closed_port, drip, hang, served

from umkit.outcome import Finding, Report
from umkit.probes.imap_login import ImapLogin, content_type

ACCOUNT = "ACME\\um tester"  # has to be quoted: a backslash and a blank are no part of an IMAP atom
PASSWORD = 'wei"rd \\pass(word)'

TEXT = "From: a@acme.example\nSubject: text\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\nHello\n"
HTML = "From: a@acme.example\nSubject: html\nMIME-Version: 1.0\nContent-Type: text/html\n\n<p>Hello</p>\n"

needs_dovecot = pytest.mark.skipif(
    dovecot.program() is None, reason=f"Dovecot is not installed (Debian's package {dovecot.PACKAGE})"
)


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMKIT_TEST_IMAP", PASSWORD)


def site(
    port: int, extra: str = "", *, account: str | None = ACCOUNT, known: str = "UMKIT_TEST_IMAP", at: str = "127.0.0.1"
) -> ProbedSite:
    login = f", test_account: '{account}', test_password: 'env:{known}'" if account else ""
    return ProbedSite(f"imap4: {{port: {port}{login}{extra}}}", servers={"EX01": at})


def to_dovecot(port: int, extra: str = "", *, account: str | None = ACCOUNT) -> ProbedSite:
    return site(port, extra, account=account, at=dovecot.ADDRESS)


def results(report: Report) -> list[tuple[str, str]]:
    """Each finding's result and text, without the server's name and port."""
    assert PASSWORD not in repr(report)
    assert all(finding.result == "ok" or finding.next for finding in report.findings)
    return [(finding.result, re.sub(r"^EX01 \(127\.0\.0\.2:\d+\):? ", "", finding.text)) for finding in report.findings]


@needs_dovecot
def test_a_message_that_comes_as_text() -> None:
    with dovecot.running({ACCOUNT: PASSWORD}, [HTML, TEXT], plain_text=True) as port:
        report = ImapLogin().run(to_dovecot(port))
    assert results(report) == [
        ("ok", "offers plain-text login"),
        ("ok", f"lets {ACCOUNT} log in"),
        ("ok", "delivers the newest message as text/plain"),
    ]
    assert "HTML mail" in report.notes[0]


@needs_dovecot
def test_a_message_that_comes_as_html() -> None:
    with dovecot.running({ACCOUNT: PASSWORD}, [TEXT, HTML], plain_text=True) as port:
        wanted = ImapLogin().run(to_dovecot(port))
        otherwise = ImapLogin().run(to_dovecot(port, ", mime_format: HtmlOnly"))
    assert results(wanted)[2] == ("failed", "delivers the newest message as text/html, not as text/plain")
    assert results(otherwise)[2] == ("open", "delivers the newest message as text/html; imap4.mime_format is HtmlOnly")


@needs_dovecot
def test_login_is_never_tried_where_it_is_disabled() -> None:
    with dovecot.running({ACCOUNT: PASSWORD}, [TEXT], plain_text=False) as port:
        wanted = ImapLogin().run(to_dovecot(port))
        otherwise = ImapLogin().run(to_dovecot(port, ", login_type: SecureLogin"))
    assert results(wanted) == [("failed", "offers no plain-text login (LOGINDISABLED)")]
    assert results(otherwise) == [("open", "offers no plain-text login, as imap4.login_type SecureLogin asks")]


@needs_dovecot
def test_what_the_customer_file_does_not_want_and_is_offered() -> None:
    with dovecot.running({ACCOUNT: PASSWORD}, [], plain_text=True) as port:
        report = ImapLogin().run(to_dovecot(port, ", login_type: SecureLogin", account=None))
    assert results(report)[-1] == ("failed", "offers plain-text login, though imap4.login_type is SecureLogin")


@needs_dovecot
def test_a_wrong_password_and_an_empty_inbox(monkeypatch: pytest.MonkeyPatch) -> None:
    with dovecot.running({ACCOUNT: PASSWORD}, [], plain_text=True) as port:
        empty = ImapLogin().run(to_dovecot(port))
        monkeypatch.setenv("UMKIT_TEST_IMAP", "another one")
        refused = ImapLogin().run(to_dovecot(port))
    assert results(empty)[2] == ("open", f"the inbox of {ACCOUNT} is empty, so no message was fetched")
    [_, (result, text)] = results(refused)
    assert (result, text.startswith(f"refuses the login of {ACCOUNT}: [AUTHENTICATIONFAILED]")) == ("failed", True)
    assert "another one" not in repr(refused)


@needs_dovecot
def test_without_a_test_account_the_offer_alone_is_looked_at() -> None:
    with dovecot.running({}, [], plain_text=True) as port:
        report = ImapLogin().run(to_dovecot(port, account=None))
    assert results(report) == [
        ("open", "no test account is named, so neither a login nor a message is tried"),
        ("ok", "offers plain-text login"),
    ]


class Talker:
    """Greets, then answers each command with its lines, ``%`` standing for the command's tag."""

    def __init__(self, **lines: str) -> None:
        self.lines = {"CAPABILITY": "* CAPABILITY IMAP4rev1\r\n% OK done", "LOGOUT": "* BYE\r\n% OK done", **lines}
        self.asked: list[str] = []

    def __call__(self, connection: socket.socket) -> None:
        with connection.makefile("rwb") as stream:
            stream.write(b"* OK ready\r\n")
            stream.flush()
            while line := stream.readline():
                tag, command, *_ = line.decode().split()
                self.asked.append(command)
                stream.write(self.lines.get(command, "% BAD unknown").replace("%", tag).encode() + b"\r\n")
                stream.flush()


def only(report: Report) -> Finding:
    return report.findings[-1]


def test_a_server_that_echoes_the_password_is_not_quoted() -> None:
    with served(Talker(LOGIN=f"% NO {PASSWORD} is wrong\x07")) as port:
        finding = only(ImapLogin(answer=5).run(site(port)))
    assert finding.result == "failed"
    assert "(secret) is wrong" in finding.text
    assert finding.text.isprintable()


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ({"LOGIN": "% OK done", "EXAMINE": "% NO no mailbox"}, "does not open the inbox"),
        (
            {"LOGIN": "% OK done", "EXAMINE": "* 3 EXISTS\r\n% OK done", "FETCH": "% OK nothing"},
            "does not hand out the newest",
        ),
        ({"LOGIN": "% BAD what"}, "refuses the login"),
        ({"LOGIN": "junk"}, "does not answer as an IMAP server does"),
        ({"CAPABILITY": "* CAPABILITY POP3\r\n% OK done"}, "does not answer as an IMAP server does"),
    ],
)
def test_odd_answers_fail(lines: dict[str, str], text: str) -> None:
    with served(Talker(**lines)) as port:
        finding = only(ImapLogin(answer=5).run(site(port)))
    assert (finding.result, text in finding.text) == ("failed", True)


def test_garbage_instead_of_a_greeting() -> None:
    with served(lambda connection: connection.sendall(b"\x00\xffSSH-2.0 " + b"x" * 5000 + b"\r\n")) as port:
        finding = only(ImapLogin(answer=5).run(site(port)))
    assert (finding.result, "does not answer as an IMAP server does" in finding.text) == ("failed", True)
    assert finding.text.isprintable()
    assert len(finding.text) < 300


def test_a_connection_that_is_dropped() -> None:
    with served(lambda connection: None) as port:
        finding = only(ImapLogin(answer=5).run(site(port)))
    assert (finding.result, "does not answer as an IMAP server does" in finding.text) == ("failed", True)


def test_a_silent_server() -> None:
    with served(hang) as port:
        finding = only(ImapLogin(answer=0.2).run(site(port)))
    assert (finding.result, "then says nothing for 0.2 s" in finding.text) == ("failed", True)


def test_a_port_that_expects_tls_at_once() -> None:
    def tls(connection: socket.socket) -> None:
        with ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).wrap_socket(connection, server_side=True):
            raise AssertionError("the probe spoke TLS")

    with served(tls) as port:
        finding = only(ImapLogin(answer=0.2).run(site(port)))
    assert (finding.result, "one that expects TLS at once" in finding.next) == ("failed", True)


def test_a_server_that_never_comes_to_an_end() -> None:
    with served(drip(b"* OK still here\r\n")) as port:
        finding = only(ImapLogin(answer=5, limit=0.3).run(site(port)))
    assert (finding.result, "did not come to an end within 0.3 s" in finding.text) == ("failed", True)


def test_nobody_listens() -> None:
    finding = only(ImapLogin(answer=5).run(site(closed_port())))
    assert (finding.result, "refuses connections" in finding.text) == ("failed", True)


def test_a_server_that_cannot_be_reached_was_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", unknown)
    finding = only(ImapLogin(answer=5).run(site(143)))
    assert (finding.result, "was not tried" in finding.text) == ("open", True)


@pytest.mark.parametrize(
    ("password", "why"), [("pässword", "LOGIN cannot carry"), ("two\nlines", "LOGIN cannot carry")]
)
def test_a_password_that_login_cannot_carry_is_not_sent(
    password: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UMKIT_TEST_IMAP", password)
    talker = Talker()
    with served(talker) as port:
        report = ImapLogin(answer=5).run(site(port))
    assert why in report.findings[0].text
    assert password not in repr(report)
    assert talker.asked == ["CAPABILITY", "LOGOUT"]


def test_a_password_that_cannot_be_had_leaves_the_login_open() -> None:
    with served(Talker()) as port:
        report = ImapLogin(answer=5).run(site(port, known="UMKIT_TEST_NOT_SET"))
    assert [finding.result for finding in report.findings] == ["open", "ok"]
    assert "UMKIT_TEST_NOT_SET" in report.findings[0].text


def test_each_chosen_server_is_tried() -> None:
    chosen = ProbedSite(
        f"imap4: {{port: {closed_port()}, servers: [ex02, EX09]}}", servers={"EX01": "unused", "EX02": "127.0.0.1"}
    )
    _, tried, unknown = ImapLogin(answer=5).run(chosen).findings
    assert tried.text.startswith("EX02 (127.0.0.1:")
    assert (unknown.result, "EX09 was not tried" in unknown.text) == ("open", True)


def test_nothing_is_tried_in_the_lab() -> None:
    lab = "exchange: {endpoint: lab, auth: basic, username: null, password: null}"
    assert [finding.result for finding in ImapLogin(answer=DEADLINE).run(NoSite(lab)).findings] == ["open"]


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (b"Content-Type: TEXT/Plain; charset=utf-8\r\n\r\nx", "text/plain"),
        (b"Subject: none\r\n\r\nx", "text/plain"),
        (b"Content-Type: nonsense\r\n\r\nx", "nonsense"),
        (b'Content-Type: multipart/alternative; boundary="b"\r\n\r\n--b\r\n\r\nx\r\n', "multipart/alternative"),
        (b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nx\r\n--b--', "text/plain"),
        (b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\nx', "text/html"),
        (b"Content-Type: multipart/mixed\r\n\r\nno boundary", "multipart/mixed"),
    ],
)
def test_what_a_message_is(header: bytes, found: str) -> None:
    assert content_type(header) == found
