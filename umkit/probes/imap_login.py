"""IMAP: whether the port offers plain-text login, and messages come as text.

The UM server logs in with ``LOGIN`` on an unencrypted connection and reads ``text/plain`` only.
imaplib, not imapclient (3.1.0 of 2026, kept well): six commands need no dependency, and imapclient sends them through
imaplib's own methods, so it would not mend the one flaw that matters here, a user name that is not quoted.
"""

from __future__ import annotations

import contextlib
import imaplib
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message

from umkit.customer import Imap4
from umkit.errors import SecretError
from umkit.outcome import Report
from umkit.probes.connection import TimeLimit, in_lab, quoted, reachable
from umkit.secrets import Secret
from umkit.site import Site

#: How much of the message is fetched, in bytes: its header and a beginning.
_BEGINNING = 65536
_RESTARTED = "restart both IMAP4 services of the server, as settings take effect only then"


class ImapLogin:
    """Each chosen server offers plain-text login; a test account reads a message as text.

    Arguments:
        answer: how long one answer may take, in seconds.
        limit: how long all of one server's answers may take, in seconds.
    """

    def __init__(self, *, answer: float = 15, limit: float = 60) -> None:
        self.answer, self.limit = answer, limit

    def run(self, site: Site) -> Report:
        """Findings for each server: what the port offers and, with a test account, what a message comes as."""
        report = Report()
        if in_lab(site):
            report.add("open", "the lab simulates no IMAP server; not tried", "run it against the customer's servers")
            return report
        asked = site.inputs.imap4
        password = self._password(asked, report, interactive=site.interactive)
        for name, address in reachable(site, report, asked.servers):
            where = f"{name} ({address}:{asked.port})"
            with TimeLimit(self.limit) as limit:
                try:
                    with self._connected(address, asked.port, limit) as imap:
                        offered = self._offer(report, where, imap, asked)
                        if offered and asked.test_account and password:
                            self._log_in(report, where, imap, asked, password)
                except (imaplib.IMAP4.error, OSError) as error:
                    self._broken(report, where, error, limit)
        return report

    def _password(self, asked: Imap4, report: Report, *, interactive: bool) -> Secret | None:
        if asked.test_account is None or asked.test_password is None:
            report.add(
                "open",
                "no test account is named, so neither a login nor a message is tried",
                "name imap4.test_account and imap4.test_password in the customer file",
            )
            return None
        try:
            password = asked.test_password.resolve(interactive=interactive)
        except SecretError as error:
            report.add("open", f"no login is tried: {error.what}", error.next)
            return None
        both = asked.test_account + password.reveal()
        if not (both.isascii() and both.isprintable()):
            report.add(
                "open",
                "no login is tried: the test account's name or password holds a character that LOGIN cannot carry",
                "take a test account with letters, digits and signs of ASCII only",
            )
            return None
        return password

    @contextlib.contextmanager
    def _connected(self, address: str, port: int, limit: TimeLimit) -> Iterator[imaplib.IMAP4]:
        imap = _Connection(address, port, self.answer, limit)  # reads the greeting and CAPABILITY
        try:
            yield imap
        finally:
            with contextlib.suppress(imaplib.IMAP4.error, OSError):
                imap.logout()
            with contextlib.suppress(OSError):
                imap.shutdown()

    def _offer(self, report: Report, where: str, imap: imaplib.IMAP4, asked: Imap4) -> bool:
        offered = "LOGINDISABLED" not in imap.capabilities
        wanted = asked.login_type == "PlainTextLogin"
        if offered and wanted:
            report.add("ok", f"{where} offers plain-text login")
        elif offered:
            report.add(
                "failed",
                f"{where} offers plain-text login, though imap4.login_type is {asked.login_type}",
                f"set the login type, then {_RESTARTED}",
            )
        elif wanted:
            report.add(
                "failed",
                f"{where} offers no plain-text login (LOGINDISABLED)",
                f"set the login type PlainTextLogin, then {_RESTARTED}",
            )
        else:
            report.add(
                "open",
                f"{where} offers no plain-text login, as imap4.login_type {asked.login_type} asks",
                "set imap4.login_type to PlainTextLogin: the UM server cannot log in otherwise",
            )
        return offered

    def _log_in(self, report: Report, where: str, imap: imaplib.IMAP4, asked: Imap4, password: Secret) -> None:
        account = asked.test_account or ""
        # not imap.login(): whether it quotes the user name depends on Python's version, and DOMAIN\name needs it
        try:
            status, answer = imap.xatom("LOGIN", _string(account), _string(password.reveal()))
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error as error:  # the answer BAD
            status, answer = "BAD", [str(error).encode()]
        if status != "OK":
            report.add(
                "failed",
                f"{where} refuses the login of {account}: {quoted(_last(answer))}",
                "check imap4.test_account and its password, and that IMAP is enabled for the mailbox; the mailbox of"
                " Administrator cannot be opened by IMAP",
            )
            return
        imap.state = "AUTH"  # as imap.login() would
        report.add("ok", f"{where} lets {account} log in")
        status, answer = imap.select("INBOX", readonly=True)
        if status != "OK":
            report.add("failed", f"{where} does not open the inbox of {account}: {quoted(_last(answer))}")
            return
        count = _last(answer)
        if not count.isdigit() or int(count) == 0:
            report.add(
                "open",
                f"{where}: the inbox of {account} is empty, so no message was fetched",
                f"send an HTML mail to {account}, then run the step again",
            )
            return
        status, parts = imap.fetch(count.decode(), f"(BODY.PEEK[]<0.{_BEGINNING}>)")
        message = next((part[1] for part in parts if isinstance(part, tuple)), None)
        if status != "OK" or message is None:
            report.add(
                "failed", f"{where} does not hand out the newest message of {account}", "look into its event log"
            )
            return
        self._judge(report, where, content_type(message), asked)

    def _judge(self, report: Report, where: str, found: str, asked: Imap4) -> None:
        if found == "text/plain":
            report.add("ok", f"{where} delivers the newest message as text/plain")
            note = "A mail that was sent as plain text proves little here; an HTML mail that comes as text/plain does."
            if note not in report.notes:
                report.notes.append(note)
        elif asked.mime_format == "TextOnly":
            report.add(
                "failed",
                f"{where} delivers the newest message as {quoted(found)}, not as text/plain",
                f"set the message format TextOnly, then {_RESTARTED}; a mailbox with"
                " ImapUseProtocolDefaults off has a format of its own",
            )
        else:
            report.add(
                "open",
                f"{where} delivers the newest message as {quoted(found)}; imap4.mime_format is {asked.mime_format}",
                "set imap4.mime_format to TextOnly: the UM server reads text/plain only",
            )

    def _broken(self, report: Report, where: str, error: Exception, limit: TimeLimit) -> None:
        if limit.expired:
            report.add(
                "failed",
                f"{where} did not come to an end within {self.limit:g} s",
                "check what listens on this port, and the server's load",
            )
        elif not limit.connected and isinstance(error, ConnectionRefusedError):
            report.add(
                "failed",
                f"{where} refuses connections: nothing listens on this port",
                "start both IMAP4 services of the server, and check imap4.port",
            )
        elif not limit.connected:
            report.add(
                "open",
                f"{where} was not tried: it cannot be reached from this workstation ({quoted(str(error))})",
                "check the name resolution and the firewall between this workstation and the server",
            )
        elif isinstance(error, TimeoutError):
            report.add(
                "failed",
                f"{where} takes the connection and then says nothing for {self.answer:g} s",
                "check imap4.port (one that expects TLS at once, as 993, is silent too), or restart the IMAP4 services",
            )
        else:
            report.add(
                "failed",
                f"{where} does not answer as an IMAP server does: {quoted(str(error)) or type(error).__name__}",
                "check imap4.port, and that both IMAP4 services run (the front end drops the connection without the"
                " back end)",
            )


class _Connection(imaplib.IMAP4):
    """A connection whose socket is watched from its beginning."""

    def __init__(self, address: str, port: int, timeout: float, limit: TimeLimit) -> None:
        self._limit = limit
        super().__init__(address, port, timeout)

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        super().open(host, port, timeout)
        self._limit.watch(self.socket())


def content_type(message: bytes) -> str:
    """What a message is: its content type, or that of its text where files are attached.

    Arguments:
        message: the message or its beginning, header first.
    """
    part: Message = message_from_bytes(message)
    while _type(part) == "multipart/mixed" and part.is_multipart() and part.get_payload():
        first = part.get_payload(0)
        if not isinstance(first, Message):
            break
        part = first
    return _type(part)


def _type(part: Message) -> str:
    # not get_content_type(): it takes whatever it cannot read for text/plain
    return str(part.get("Content-Type", "text/plain")).partition(";")[0].strip().lower()


def _string(text: str) -> str:
    """The text as an IMAP quoted string (RFC 3501)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _last(answer: list[bytes | None] | list[bytes] | object) -> bytes:
    last = answer[-1] if isinstance(answer, list) and answer else b""
    return last if isinstance(last, bytes) else b""
