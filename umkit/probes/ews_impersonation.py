"""EWS impersonation: the account reads a test user's calendar, as XPhone will.

exchangelib (the extra ``umkit[ews]``) speaks EWS; it only reads the ids of one day's items. Its errors of EWS carry
EWS's own response codes as class names; the others come from HTTP, and it never retries here.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_address
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from umkit.errors import SecretError
from umkit.outcome import Report
from umkit.probes.connection import in_lab, quoted
from umkit.secrets import Secret
from umkit.site import Site

_ROLE = "put the account into the role group with the role ApplicationImpersonation, and the test user into its scope"
_MAILBOX = "check ews.test_user: it has to be the primary address of a mailbox"
#: What to do about EWS's response codes (Microsoft's page of the element ResponseCode) and a refused login.
NEXT = {
    "ErrorImpersonateUserDenied": _ROLE,
    "ErrorImpersonationDenied": _ROLE,
    "ErrorImpersonationFailed": "check that the test user's account is enabled and has a mailbox",
    "ErrorNonExistentMailbox": _MAILBOX,
    "ErrorMissingEmailAddress": _MAILBOX,
    "ErrorAccountDisabled": "enable the account, or name another",
    "ErrorAccessDenied": "check the account's role, and that EWS is enabled for the account and the test user",
    "ErrorMailboxMoveInProgress": "wait until the test user's mailbox is moved, then run the step again",
    "ErrorMailboxStoreUnavailable": "check that the test user's mailbox database is mounted",
    "UnauthorizedError": "check ews.account and its password, that it is not locked, and ews.url",
}
#: exchangelib raises these too when HTTP did not work out, before EWS said anything.
_TRANSPORT = ("ErrorInternalServerTransientError", "ErrorServerBusy", "ErrorTimeoutExpired")
_NOT_REACHED = (
    "check ews.url, name resolution, the firewall and the server's certificate; exchange.certificate may name a CA file"
)


class EwsImpersonation:
    """The account reads a test user's calendar by impersonation over EWS.

    Arguments:
        answer: how long one answer may take, in seconds.
    """

    def __init__(self, *, answer: float = 30) -> None:
        self.answer = answer

    def run(self, site: Site) -> Report:
        """One finding: *ok* with the number of items, *failed* with EWS's reason, or *open* with why not tried."""
        report = Report()
        ews = site.inputs.ews
        if in_lab(site):
            report.add("open", "the lab simulates no EWS; not tried", "run it against the customer's servers")
        elif ews.test_user is None or ews.password is None:
            lacking = " and ".join(f"ews.{key}" for key in ("test_user", "password") if getattr(ews, key) is None)
            report.add("open", f"not tried: no {lacking} is given", f"give {lacking} in the customer file")
        elif "@" not in ews.test_user:
            report.add("open", f"not tried: {ews.test_user} is no address", "give ews.test_user as its primary address")
        else:
            try:
                library = importlib.import_module("exchangelib")
            except ImportError:
                report.add("open", "not tried: exchangelib is not installed", "install it with: pip install umkit[ews]")
                return report
            try:
                password = ews.password.resolve(interactive=site.interactive)
            except SecretError as error:
                report.add("open", f"not tried: {error.what}", error.next)
                return report
            self._try(report, site, library, ews.test_user, password)
        return report

    def _try(self, report: Report, site: Site, library: ModuleType, user: str, password: Secret) -> None:
        exchange, account = site.inputs.exchange, site.inputs.ews_account()
        server = urlsplit(exchange.endpoint).hostname or ""
        url = site.inputs.ews.url or f"https://{f'[{server}]' if ':' in server else server}/EWS/Exchange.asmx"
        there = urlsplit(url).hostname or ""
        # an unchecked certificate was agreed to for the endpoint's server, for no other
        certificate = True if exchange.certificate is False and there != server else exchange.certificate
        if urlsplit(url).scheme != "https" and not _loopback(there):
            report.add("open", f"not tried: {url} would send the password in clear", "give an https:// URL as ews.url")
            return
        try:
            with _settings(library, self.answer, certificate):
                mailbox = library.Account(
                    primary_smtp_address=user,
                    access_type=library.IMPERSONATION,
                    autodiscover=False,
                    default_timezone=library.UTC,
                    config=library.Configuration(
                        service_endpoint=url, credentials=library.Credentials(account, password.reveal())
                    ),
                )
                method = mailbox.protocol.auth_type  # asked of the server, without the account
                if why := _unfit(library, method, there, certificate):
                    report.add("open", f"not tried: {url} {why}", "check ews.url and what the EWS directory offers")
                    return
                begin = library.EWSDateTime.now(library.UTC)
                count = mailbox.calendar.view(start=begin, end=begin + timedelta(days=1)).count()
        except Exception as error:  # exchangelib lets errors of requests, lxml and its own through
            self._failed(report, error, account=account, user=user, url=url)
        else:
            items = "1 item" if count == 1 else f"{count} items"
            report.add("ok", f"{account} reads the calendar of {user} by impersonation: {items} in the next 24 hours")

    def _failed(self, report: Report, error: Exception, *, account: str, user: str, url: str) -> None:
        code, why = type(error).__name__, quoted(str(error))
        text = f"{account} cannot read the calendar of {user} at {url}: {code}: {why}"
        if code.startswith("Error") and code not in _TRANSPORT:
            report.add("failed", text, NEXT.get(code, f"look up {code} in Microsoft's list of EWS response codes"))
        elif code in NEXT:
            report.add("failed", text, NEXT[code])
        else:
            report.add("open", f"could not be tried: {text}", _NOT_REACHED)


@contextlib.contextmanager
def _settings(library: ModuleType, answer: float, certificate: bool | str) -> Iterator[None]:
    """exchangelib's settings for this probe, which it keeps on a class; its cached sessions hold the password."""
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        """Checks the server's certificate as the customer file says."""

        def send(  # the parameters of HTTPAdapter.send
            self,
            request: Any,
            stream: bool = False,
            timeout: Any = None,
            verify: Any = True,
            cert: Any = None,
            proxies: Any = None,
        ) -> Any:
            checked = verify if certificate is True else certificate
            return super().send(request, stream=stream, timeout=timeout, verify=checked, cert=cert, proxies=proxies)

    protocol = importlib.import_module(f"{library.__name__}.protocol").BaseProtocol
    before = protocol.TIMEOUT, protocol.HTTP_ADAPTER_CLS
    protocol.TIMEOUT, protocol.HTTP_ADAPTER_CLS = answer, Adapter
    try:
        yield
    finally:
        protocol.TIMEOUT, protocol.HTTP_ADAPTER_CLS = before
        library.close_connections()


def _unfit(library: ModuleType, method: str, server: str, certificate: bool | str) -> str:
    """Why the account's password is not given to this server; empty where it may be."""
    if method == library.BASIC and certificate is False and not _loopback(server):
        return "offers only Basic, and its certificate is not checked: whoever answers would get the password"
    if method not in (library.NTLM, library.BASIC):
        return f"asks for {method}, where the probe gives NTLM or Basic"
    return ""


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
