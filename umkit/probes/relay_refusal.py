"""Relay refusal: the relay port sends nothing outside for this workstation.

The receive connector is bound to the sending server's address, so any other host has to be refused. The probe stops
after RCPT TO: no message is ever sent. Exchange refuses with 550 5.7.54 (unable to relay) or 530 5.7.57 (anonymous
mail not allowed); whether it greets a host that no connector takes, or drops the connection, is left open here (?).
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from umkit.outcome import Report, Result
from umkit.probes.connection import TimeLimit, in_lab, quoted, reachable
from umkit.site import Site

#: Reserved for examples (RFC 2606). It exists in DNS, so a server that looks domains up takes it for one.
RECIPIENT = "relay-probe@example.com"

_ENHANCED = re.compile(r"5\.(\d{1,3})\.\d{1,3}(?!\d)")
_NO_SERVICE = (530, 550, 551, 553, 554)  # by the code alone; 500 to 504 only say that a command was not understood


@dataclass(frozen=True)
class Answer:
    """The last answer of a dialogue.

    Arguments:
        stage: ``greeting``, ``EHLO``, ``MAIL FROM`` or ``RCPT TO``.
        code: the reply's code; -1 where it is no SMTP reply, 0 where the server closed the connection instead.
        text: the reply's text.
    """

    stage: str
    code: int
    text: str = ""

    def __str__(self) -> str:
        if self.code == 0:
            return f"connection closed at {self.stage}"
        return f"{self.stage}: {self.code if self.code > 0 else 'no SMTP reply:'} {quoted(self.text)}".rstrip()

    @property
    def verdict(self) -> Result:
        """``ok`` for a refusal to relay, ``failed`` for an accepted recipient, ``open`` where neither was said."""
        if self.stage == "RCPT TO" and 200 <= self.code < 300:
            return "failed"
        if self.stage == "greeting":  # closed or refused before anything was asked: no service for this host at all
            return "ok" if self.code == 0 or 500 <= self.code < 600 else "open"
        if not 500 <= self.code < 600:
            return "open"
        enhanced = _ENHANCED.match(self.text)
        if enhanced and enhanced[1] == "7":  # security or policy (RFC 3463), not an address that does not please
            return "ok"
        if self.stage != "RCPT TO":
            return "ok" if self.code == 530 and not enhanced else "open"
        return "ok" if "relay" in self.text.casefold() or (not enhanced and self.code in _NO_SERVICE) else "open"


class RelayRefusal:
    """From this workstation, which is none of the allowed hosts, the relay port refuses to relay.

    Arguments:
        answer: how long one answer may take, in seconds; Exchange delays refusals by 5 s on purpose.
        limit: how long all of one server's answers may take, in seconds.
    """

    def __init__(self, *, answer: float = 30, limit: float = 90) -> None:
        self.answer, self.limit = answer, limit

    def run(self, site: Site) -> Report:
        """One finding for each server; *open* where nothing could be tried, *failed* where it would relay."""
        report = Report()
        if in_lab(site):
            report.add("open", "the lab simulates no SMTP server; not tried", "run it against the customer's servers")
            return report
        relay = site.inputs.relay
        allowed = {ip_address(address) for address in site.inputs.relay_addresses()}
        for name, address in reachable(site, report, relay.servers):
            where = f"{name} ({address}:{relay.port})"
            try:
                connected = socket.create_connection((address, relay.port), self.answer)
            except OSError as error:
                report.add(
                    "open",
                    f"{where} could not be tried: it does not take the connection ({quoted(str(error))})",
                    "check that the connector exists and the transport service runs; a firewall that keeps this"
                    " workstation away is well, but proves nothing about the connector",
                )
                continue
            with connected:
                own = _own_address(connected)
                if ip_address(own) in allowed:
                    report.add(
                        "open",
                        f"{where} was not tried: this workstation is {own}, one of the hosts that may relay",
                        "run the step on another workstation",
                    )
                    continue
                self._try(report, where, own, connected)
        return report

    def _try(self, report: Report, where: str, own: str, connected: socket.socket) -> None:
        with TimeLimit(self.limit) as limit:
            limit.watch(connected)
            # a name given here keeps smtplib from asking DNS for this workstation's
            smtp = smtplib.SMTP(local_hostname=f"[IPv6:{own}]" if ":" in own else f"[{own}]", timeout=self.answer)
            smtp.sock = connected
            try:
                answer = _dialogue(smtp)
            except TimeoutError:
                report.add(
                    "open",
                    f"{where} could not be tried: no answer within {self.answer:g} s",
                    "check what listens on this port, and the server's load",
                )
                return
            finally:
                with contextlib.suppress(smtplib.SMTPException, OSError, ValueError):
                    smtp.quit()
                smtp.close()
        if limit.expired:
            report.add(
                "open",
                f"{where} could not be tried: no end within {self.limit:g} s",
                "check what listens on this port, and the server's load",
            )
        elif answer.verdict == "ok":
            report.add("ok", f"{where} refuses to relay for {own} ({answer})")
        elif answer.verdict == "failed":
            report.add(
                "failed",
                f"{where} is an OPEN RELAY for {own}: it accepts {RECIPIENT} ({answer}); no message was sent",
                "take every host but the sending server out of the connector's remote IP ranges, and look for another"
                " connector on this port; until then anyone at this address can send mail in the customer's name",
            )
        else:
            report.add(
                "open",
                f"{where} neither accepts nor refuses to relay ({answer})",
                "look into the connector's protocol log, then run the step again",
            )


def _dialogue(smtp: smtplib.SMTP) -> Answer:
    """The answer that ends the dialogue: the first that is not positive, or the one to RCPT TO.

    Raises ``TimeoutError`` when the server says nothing for too long.
    """
    asked: tuple[tuple[str, Callable[[], tuple[int, bytes]]], ...] = (
        ("greeting", smtp.getreply),
        ("EHLO", smtp.ehlo),
        ("MAIL FROM", lambda: smtp.mail("")),  # the empty sender: no domain whose policy could be the reason
        ("RCPT TO", lambda: smtp.rcpt(RECIPIENT)),
    )
    answer = Answer("greeting", 0)
    for stage, ask in asked:
        try:
            code, text = ask()
        except smtplib.SMTPServerDisconnected as error:
            if isinstance(error.__context__, TimeoutError):
                raise TimeoutError from None
            return Answer(stage, 0)
        except smtplib.SMTPResponseException as error:  # a line that is too long
            return Answer(stage, -1, str(error.smtp_error))
        answer = Answer(stage, code, text.decode("utf-8", "replace"))
        if not 200 <= code < 300:
            break
    return answer


def _own_address(connected: socket.socket) -> str:
    own = ip_address(str(connected.getsockname()[0]).partition("%")[0])
    if isinstance(own, IPv6Address) and own.ipv4_mapped:
        own = own.ipv4_mapped
    return str(own)
