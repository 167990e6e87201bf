"""From what WSMan, the network and the authentication say to the tree of umkit.errors.

Told apart by a fault's code, an HTTP status and an exception's class, never by a text in the server's language; and
first of all by whether the command can have been run. Error records are in :mod:`umkit.remoting.records`.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import requests
from pypsrp.exceptions import AuthenticationError, InvalidPSRPOperation, WinRMTransportError, WSManFaultError

from umkit.errors import (
    AnswerUnreadable,
    AuthenticationFailed,
    ConnectionFailed,
    ConnectionLost,
    NotSent,
    OutcomeUnknown,
    TooManyShells,
    WrongEndpoint,
)
from umkit.remoting.clixml import ClixmlError
from umkit.remoting.transport import TIMED_OUT, NeverLeft, causes, name_unknown, speaks_something_else, unreachable

UNKNOWN_RESOURCE = 2150858811
UNKNOWN_SHELL = 2150858843
#: Shells a user, operations a user (both from public logs), and the name of that fault where it comes without a number.
QUOTAS = (2150859173, 2150859174, "QuotaLimit")
#: ERROR_ACCESS_DENIED, the same as an HRESULT, and as the name of a fault.
DENIED = (5, 2147942405, "AccessDenied")


def not_executed(exc: Exception) -> bool:
    """Whether a failed Command was certainly not run: it never left, or the server itself refused to take it.

    A fault is WSMan's own answer to the request. So are 4xx and 503 of the web server before it; any other status may
    come from a machine in between, after the command was passed on.
    """
    if isinstance(exc, WSManFaultError) and not _page(exc):
        return bool(exc.code != TIMED_OUT)
    page = _page(exc)
    if page is not None:
        return bool(400 <= page.code < 500 or page.code == 503)
    return isinstance(exc, NeverLeft | AuthenticationError) or _account(exc)


def not_sent(exc: Exception, where: Mapping[str, str], protocol: str) -> NotSent:
    """The error for a session that cannot be opened, or a request that was certainly not carried out.

    Arguments:
        exc: what was raised.
        where: host and endpoint.
        protocol: the protocol that was asked for.
    """
    if isinstance(exc, NeverLeft) and isinstance(exc.__cause__, Exception):
        exc = exc.__cause__
    if isinstance(exc, NotSent):
        return exc
    if isinstance(exc, AuthenticationError) or _account(exc):
        return _authentication(exc, where, protocol)
    page = _page(exc)
    if page is not None:
        return _status(page.code, where, protocol)
    if isinstance(exc, WSManFaultError):
        return _fault(exc, where)
    if isinstance(exc, InvalidPSRPOperation):
        return _broken(exc, where)
    if isinstance(exc, requests.RequestException | TimeoutError):
        return _network(exc, where)
    return WrongEndpoint(
        "what answers there does not speak WSMan", where=where, seen=f"{type(exc).__name__}: {_short(exc)}"
    )


def lost(exc: Exception, where: Mapping[str, str]) -> OutcomeUnknown:
    """The error for a command that may have been run although its answer is missing.

    Arguments:
        exc: what was raised.
        where: host, endpoint and command.
    """
    if isinstance(exc, NeverLeft) and isinstance(exc.__cause__, Exception):
        exc = exc.__cause__
    if isinstance(exc, OutcomeUnknown):
        return exc
    page = _page(exc)
    if page is not None:
        return ConnectionLost("the answer was lost on its way", where=where, seen=f"HTTP status {page.code}")
    if isinstance(exc, WSManFaultError):
        gone = exc.code == UNKNOWN_SHELL
        what = "the shell is gone while the command was under way" if gone else "the server broke the command off"
        return ConnectionLost(what, where=where, seen=_fault_text(exc))
    if isinstance(exc, requests.Timeout | TimeoutError):
        return ConnectionLost("the server fell silent while the command was under way", where=where, seen=_short(exc))
    if isinstance(exc, requests.RequestException | AuthenticationError | InvalidPSRPOperation) or _account(exc):
        return ConnectionLost("the connection broke while the command was under way", where=where, seen=_short(exc))
    seen = _short(exc) if isinstance(exc, ClixmlError) else f"{type(exc).__name__}: {_short(exc)}"
    return AnswerUnreadable("the answer cannot be decoded", where=where, seen=seen)


def worth_repeating(exc: Exception) -> bool:
    """Whether opening or a reading command may be tried once more.

    That is where the connection or the shell was there and is gone, or the server was out for a moment; never where it
    refused the account, which repeated trials would lock.
    """
    if isinstance(exc, NeverLeft) and isinstance(exc.__cause__, Exception):
        exc = exc.__cause__
    page = _page(exc)
    if page is not None:
        return page.code in (500, 502, 503, 504)
    if isinstance(exc, WSManFaultError):
        return bool(exc.code == UNKNOWN_SHELL)
    if isinstance(exc, requests.exceptions.SSLError) or unreachable(exc) or speaks_something_else(exc):
        return False
    return isinstance(exc, requests.ConnectionError | requests.ReadTimeout)


def _page(exc: BaseException) -> WinRMTransportError | None:
    """The HTTP error behind an exception, where its body was no fault; pypsrp takes any XML page for one."""
    if isinstance(exc, WSManFaultError) and not exc.code and isinstance(exc.__context__, WinRMTransportError):
        return exc.__context__
    return exc if isinstance(exc, WinRMTransportError) else None


def _account(exc: Exception) -> bool:
    """Whether it came from the libraries that authenticate (krb5 and gssapi are not always installed)."""
    package = type(exc).__module__.partition(".")[0]
    missing = isinstance(exc, ImportError) and any(word in str(exc) for word in ("gssapi", "krb5", "sspi"))
    foreign = isinstance(exc, ValueError) and "auth_provider" in str(exc)  # pypsrp's word for a scheme it cannot take
    return package in ("spnego", "krb5", "gssapi", "sspilib") or missing or foreign


def _authentication(exc: Exception, where: Mapping[str, str], protocol: str) -> AuthenticationFailed:
    kerberos = (
        "check: a ticket (kinit, klist) or user@domain and password; the server's own full name in the address, for "
        "which HTTP/NAME is registered (setspn -Q HTTP/NAME), or spn_host; and that the clocks agree"
    )
    if isinstance(exc, ImportError):
        return AuthenticationFailed(
            "Kerberos cannot be used on this machine",
            where=where,
            seen=_short(exc),
            next="pip install pypsrp[kerberos]",
        )
    if not isinstance(exc, AuthenticationError):
        what = "Kerberos did not work" if protocol == "kerberos" else f"authentication by {protocol} did not work"
        return AuthenticationFailed(
            what, where=where, seen=f"{type(exc).__name__}: {_short(exc)}", next="" if protocol == "basic" else kerberos
        )
    return AuthenticationFailed(
        "the server does not accept the account",
        where=where,
        seen=_short(exc),
        next=kerberos if protocol == "kerberos" else "",
    )


def _status(code: int, where: Mapping[str, str], protocol: str) -> NotSent:
    seen = f"HTTP status {code}"
    if code in (401, 403):
        return AuthenticationFailed(
            "the server knows the account but does not let it in here"
            if code == 403
            else "the account is not accepted",
            where=where,
            seen=seen,
            next="check that the account may use remote PowerShell (Get-User: RemotePowerShellEnabled), that the "
            f"virtual directory allows {protocol}, and whether it wants https",
        )
    if code in (502, 503, 504):
        return ConnectionFailed(
            f"the server answers, but its service does not (HTTP {code})",
            where=where,
            seen=seen,
            next="start the web site's application pool, or wait until the server is up, then run the step again",
        )
    if code == 407:
        return ConnectionFailed("a proxy stands in the way", where=where, seen=seen, next="set NO_PROXY for this host")
    return WrongEndpoint("a web server answers there, but not this endpoint", where=where, seen=seen)


def _fault(exc: WSManFaultError, where: Mapping[str, str]) -> NotSent:
    code = exc.code.rpartition(":")[2] if isinstance(exc.code, str) else exc.code
    seen = _fault_text(exc)
    if code == UNKNOWN_RESOURCE:
        return WrongEndpoint("the server does not have this session configuration there", where=where, seen=seen)
    if (
        code in QUOTAS or "concurrent shells" in seen
    ):  # what Exchange's own quota has for a code is (?); we ask for en-US
        return TooManyShells("the account has too many open shells", where=where, seen=seen)
    if code in DENIED or "FailureCategory=AuthZ" in seen:
        return AuthenticationFailed("the server does not let the account in", where=where, seen=seen)
    if code == UNKNOWN_SHELL:
        return ConnectionFailed(
            "the shell is gone; the command was not run",
            where=where,
            seen=seen,
            next="run the step again: a new shell is opened",
        )
    if code == TIMED_OUT:
        return ConnectionFailed("the server did not get ready in time", where=where, seen=seen)
    return ConnectionFailed("the server refused the request", where=where, seen=seen)


def _broken(exc: InvalidPSRPOperation, where: Mapping[str, str]) -> NotSent:
    seen = _short(exc)
    if "FailureCategory=AuthZ" in seen or "CmdletAccessDenied" in seen:
        return AuthenticationFailed("the account has no role on this server", where=where, seen=seen)
    return ConnectionFailed("the server could not set up the session", where=where, seen=seen)


def _network(exc: Exception, where: Mapping[str, str]) -> NotSent:
    seen = _short(exc)
    parts = causes(exc)
    if any(isinstance(part, ssl.SSLCertVerificationError) for part in parts):
        return ConnectionFailed(
            "the server's certificate is not trusted",
            where=where,
            seen=seen,
            next="give the issuing authority's certificate as a file, or use the name that stands in the certificate",
        )
    if isinstance(exc, requests.exceptions.SSLError):
        return ConnectionFailed(
            "no encrypted connection came about", where=where, seen=seen, next="check whether this port speaks https"
        )
    if isinstance(exc, requests.Timeout | TimeoutError):
        return ConnectionFailed("the server did not answer in time", where=where, seen=seen)
    if isinstance(exc, requests.exceptions.InvalidURL | requests.exceptions.InvalidSchema):
        return WrongEndpoint("this is no usable address", where=where, seen=seen)
    if speaks_something_else(exc):
        return WrongEndpoint("something answers on this port, but not in HTTP", where=where, seen=seen)
    if name_unknown(exc):
        return ConnectionFailed("the host's name has no address", where=where, seen=seen)
    if any(isinstance(part, ConnectionRefusedError) for part in parts):
        return ConnectionFailed("nothing answers on this port", where=where, seen=seen)
    return ConnectionFailed("no connection to the server", where=where, seen=seen)


def _fault_text(exc: WSManFaultError) -> str:
    parts = (f"fault {exc.code}" if exc.code else "", exc.reason, exc.provider_fault)
    return ": ".join(" ".join(str(part).split()) for part in parts if part)


def _short(exc: BaseException) -> str:
    """The innermost reason in one line: the outer ones only repeat it with object addresses."""
    inner = [part for part in causes(exc) if str(part)]
    text = " ".join(str(inner[-1] if inner else exc).split()) or type(exc).__name__
    return text if len(text) <= 300 else text[:299] + "…"
