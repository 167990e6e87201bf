from __future__ import annotations

import http.client
import socket
import ssl
from typing import Any
from xml.sax.saxutils import escape

import pytest
import requests
from pypsrp.exceptions import (
    AuthenticationError,
    InvalidPSRPOperation,
    WinRMError,
    WinRMTransportError,
    WSManFaultError,
)
from pypsrp.wsman import WSMan
from spnego.exceptions import BadNameError, NoCredentialError
from urllib3.connection import HTTPConnection
from urllib3.exceptions import MaxRetryError, NameResolutionError, NewConnectionError, ProtocolError
from urllib3.exceptions import SSLError as UrllibSSLError

from umkit import errors
from umkit.remoting import faults, records
from umkit.remoting.clixml import ClixmlError, Record, read
from umkit.remoting.transport import TIMED_OUT, NeverLeft, unreachable

WHERE = {"host": "exchange", "endpoint": "http://ex01/PowerShell/", "command": "Get-Thing"}


def error_record(
    error_id: str,
    category: int = 0,
    reason: str = "",
    message: str = "Der Vorgang ist fehlgeschlagen.",  # localised on purpose: nothing may depend on it
    exception_type: str = "System.Exception",
    activity: str = "Get-Thing",
) -> Record:
    xml = f"""<Obj RefId="0"><TN RefId="0"><T>System.Management.Automation.ErrorRecord</T><T>System.Object</T></TN>
      <ToString>{escape(message)}</ToString><MS>
      <Obj N="Exception" RefId="1"><TN RefId="1"><T>Deserialized.{exception_type}</T></TN>
      <ToString>{exception_type}: {escape(message)}</ToString>
      <Props><S N="Message">{escape(message)}</S></Props></Obj>
      <S N="FullyQualifiedErrorId">{escape(error_id)}</S><I32 N="ErrorCategory_Category">{category}</I32>
      <S N="ErrorCategory_Activity">{activity}</S><S N="ErrorCategory_Reason">{reason}</S>
      <B N="SerializeExtendedInfo">false</B></MS></Obj>"""
    (record,) = read(xml)
    assert isinstance(record, Record)
    return record


def exchange(name: str) -> str:
    return (
        f"[Server=EX01,RequestId=7d2b9d1c-0000-4000-8000-000000000000,TimeStamp=3/1/2026 10:00:00 AM] "
        f"[FailureCategory=Cmdlet-{name}] 1082ECE3,Microsoft.Exchange.Management.RecipientTasks.GetThing"
    )


AUTOMATION = "System.Management.Automation."
COMMANDS = "Microsoft.PowerShell.Commands."
RECORDS = [
    # Exchange (reference/exchange.md §3 g): the category says nothing
    (exchange("ManagementObjectNotFoundException"), 0, "ManagementObjectNotFoundException", errors.ObjectNotFound),
    (exchange("ManagementObjectNotFoundException"), 0, "", errors.ObjectNotFound),
    (exchange("ADObjectAlreadyExistsException"), 0, "ADObjectAlreadyExistsException", errors.ObjectExists),
    (exchange("ADOperationException"), 0, "ADOperationException", errors.Refused),
    (exchange("UnauthorizedAccessException"), 0, "", errors.AccessDenied),
    (exchange("ParameterBindingException"), 0, "", errors.ParameterRefused),
    (exchange("SuitabilityDirectoryException"), 0, "SuitabilityDirectoryException", errors.Refused),
    # the engine (reference/windows.md §i)
    ("CommandNotFoundException", 13, "CommandNotFoundException", errors.CommandHidden),
    (f"CommandNotFoundException,{COMMANDS}GetCommandCommand", 13, "CommandNotFoundException", errors.CommandHidden),
    (f"NamedParameterNotFound,{COMMANDS}GetThing", 5, "ParameterBindingException", errors.ParameterRefused),
    (f"MissingMandatoryParameter,{COMMANDS}X", 5, "ParameterBindingException", errors.ParameterRefused),
    ("ParameterBindingFailed,Microsoft.Exchange.X", 5, "ParameterBindingException", errors.ParameterRefused),
    ("CannotConvertArgumentNoMessage,X", 5, "ParameterBindingException", errors.ParameterRefused),
    (
        "ParameterArgumentTransformationError,X",
        6,
        "ParameterBindingArgumentTransformationException",
        errors.ParameterRefused,
    ),
    (
        "ParameterArgumentValidationErrorNullNotAllowed,X",
        6,
        "ParameterBindingValidationException",
        errors.ParameterRefused,
    ),
    ("AmbiguousParameterSet,X", 5, "ParameterBindingException", errors.ParameterRefused),
    ("ScriptsNotAllowed", 17, "ParseException", errors.Refused),
    ("HostFunctionNotImplemented,X", 11, "HostException", errors.Refused),
    # registry, services, files, CIM, directory (reference/windows.md §a–§h)
    (f"PathNotFound,{COMMANDS}GetItemPropertyCommand", 13, "ItemNotFoundException", errors.ObjectNotFound),
    (f"DriveNotFound,{COMMANDS}GetItemCommand", 13, "DriveNotFoundException", errors.ObjectNotFound),
    (
        f"{AUTOMATION}PSArgumentException,{COMMANDS}GetItemPropertyCommand",
        5,
        "PSArgumentException",
        errors.ObjectNotFound,
    ),
    (f"Argument,{COMMANDS}GetItemPropertyValueCommand", 5, "PSArgumentException", errors.ObjectNotFound),
    (f"{AUTOMATION}PSArgumentException,{COMMANDS}GetEventLogCommand", 5, "PSArgumentException", errors.Refused),
    (f"System.IO.IOException,{COMMANDS}NewItemPropertyCommand", 20, "IOException", errors.ObjectExists),
    (
        f"System.Security.SecurityException,{COMMANDS}SetItemPropertyCommand",
        18,
        "SecurityException",
        errors.AccessDenied,
    ),
    (
        f"System.UnauthorizedAccessException,{COMMANDS}SetContentCommand",
        0,
        "UnauthorizedAccessException",
        errors.AccessDenied,
    ),
    (f"GetContentReaderUnauthorizedAccessError,{COMMANDS}GetContentCommand", 18, "", errors.AccessDenied),
    (
        f"System.InvalidOperationException,{COMMANDS}GetServiceCommand",
        0,
        "InvalidOperationException",
        errors.AccessDenied,
    ),
    (f"InvalidOperationException,{COMMANDS}SetServiceCommand", 13, "InvalidOperationException", errors.ObjectNotFound),
    (f"NoServiceFoundForGivenName,{COMMANDS}GetServiceCommand", 13, "ServiceCommandException", errors.ObjectNotFound),
    (f"ServiceHasDependentServices,{COMMANDS}StopServiceCommand", 7, "ServiceCommandException", errors.Refused),
    (f"CouldNotSetService,{COMMANDS}SetServiceCommand", 18, "ServiceCommandException", errors.AccessDenied),
    ("HRESULT 0x80041003,Microsoft.Management.X.GetCimInstanceCommand", 18, "CimException", errors.AccessDenied),
    ("HRESULT 0x80041003,Microsoft.Management.X.GetCimInstanceCommand", 0, "CimException", errors.AccessDenied),
    ("HRESULT 0x80041010,Microsoft.Management.X.GetCimInstanceCommand", 10, "CimException", errors.Refused),
    (
        "ActiveDirectoryCmdlet:Microsoft.ActiveDirectory.Management.ADIdentityNotFoundException,Microsoft.X.GetADUser",
        13,
        "ADIdentityNotFoundException",
        errors.ObjectNotFound,
    ),
    ("ActiveDirectoryServer:0,Microsoft.X.GetADUser", 21, "ADServerDownException", errors.Refused),
    (f"NoMatchingEventsFound,{COMMANDS}GetWinEventCommand", 13, "Exception", errors.ObjectNotFound),
    ("", 99, "", errors.Refused),
]


@pytest.mark.parametrize(
    ("error_id", "category", "reason", "kind"), RECORDS, ids=lambda value: getattr(value, "__name__", None)
)
def test_error_records(error_id: str, category: int, reason: str, kind: type[errors.Refused]) -> None:
    error = records.from_record(error_record(error_id, category, reason), WHERE)
    assert type(error) is kind
    assert error.what == "Der Vorgang ist fehlgeschlagen."
    assert error.where == WHERE
    assert (error.error_id, error.reason, error.outcome) == (error_id, reason, "refused")
    assert error.category == (records.CATEGORIES[category] if category < 32 else "")
    assert all(part in error.seen for part in (error_id, reason))


def test_the_exception_type_alone_is_enough() -> None:
    record = error_record("Unspecified", 0, "RemoteException", exception_type="System.UnauthorizedAccessException")
    assert type(records.from_record(record, WHERE)) is errors.AccessDenied


def test_the_directory_s_own_code_is_a_denial() -> None:
    message = "Active Directory-Antwort: 00002098: SecErr: DSID-03150F93, problem 4003 (INSUFF_ACCESS_RIGHTS), data 0"
    record = error_record(exchange("ADOperationException"), 0, "ADOperationException", message)
    assert type(records.from_record(record, WHERE)) is errors.AccessDenied


def test_an_asking_cmdlet_says_what_to_do() -> None:
    error = records.from_record(error_record("HostFunctionNotImplemented,X", 11, "HostException"), WHERE)
    assert "Confirm" in error.next


def test_a_record_with_next_to_nothing() -> None:
    error = records.from_record(Record({"FullyQualifiedErrorId": None}), WHERE)
    assert type(error) is errors.Refused
    assert "does not say why" in error.what
    assert records.from_record(Record({"Exception": "text"}, text="x"), WHERE).what == "text"
    assert records.from_record(Record({"ErrorDetails_Message": "a\r\n b"}, text="x"), WHERE).what == "a b"


def refused(reason: BaseException) -> requests.ConnectionError:
    """A connection that did not come about, as requests raises it."""
    new = NewConnectionError(HTTPConnection("ex01"), f"Failed to establish a new connection: {reason}")
    new.__cause__ = reason
    return requests.ConnectionError(MaxRetryError(None, "/PowerShell/", new))  # type: ignore[arg-type]


def aborted(reason: Exception) -> requests.ConnectionError:
    return requests.ConnectionError(ProtocolError("Connection aborted.", reason))


def certificate() -> requests.exceptions.SSLError:
    inner = UrllibSSLError(ssl.SSLCertVerificationError(1, "certificate verify failed: self-signed certificate"))
    return requests.exceptions.SSLError(MaxRetryError(None, "/", inner))  # type: ignore[arg-type]


def unresolved() -> requests.ConnectionError:
    name = NameResolutionError("ex01", HTTPConnection("ex01"), socket.gaierror(-2, "Name or service not known"))
    return requests.ConnectionError(MaxRetryError(None, "/", name))  # type: ignore[arg-type]


def fault(code: Any, reason: str = "Fehler") -> WSManFaultError:
    return WSManFaultError(code, "EX01", reason, None, None, None)


def page(status: int, text: str = "<!DOCTYPE html><p>no") -> Exception:
    return WinRMTransportError("http", status, text)


def xml_page(status: int) -> Exception:
    """An error page that is XML: pypsrp makes an empty fault of it."""
    try:
        try:
            raise page(status, "<html/>")
        except WinRMTransportError as exc:
            raise WSMan._parse_wsman_fault(exc.response_text)  # noqa: B904  # as pypsrp does it
    except WSManFaultError as exc:
        return exc


def named(module: str, name: str) -> Exception:
    """An exception of a library that need not be installed."""
    made = type(name, (Exception,), {"__module__": module})("Cannot find KDC for realm")
    assert isinstance(made, Exception)
    return made


OPENING = [
    (AuthenticationError("Failed to authenticate the user alice with basic"), errors.AuthenticationFailed, "alice"),
    (named("krb5._exceptions", "Krb5Error"), errors.AuthenticationFailed, "kinit"),
    (NoCredentialError(context_msg="no ticket"), errors.AuthenticationFailed, "kinit"),
    (BadNameError(context_msg="SPN"), errors.AuthenticationFailed, "spn_host"),
    (ImportError("GSSAPIProxy requires the Python gssapi library"), errors.AuthenticationFailed, "pypsrp[kerberos]"),
    (
        ValueError("'ntlm' is incompatible with the specified auth_provider 'kerberos'"),
        errors.AuthenticationFailed,
        "ntlm",
    ),
    (
        refused(ConnectionRefusedError(111, "Connection refused")),
        errors.ConnectionFailed,
        "nothing answers on this port",
    ),
    (refused(OSError(113, "No route to host")), errors.ConnectionFailed, "No route to host"),
    (unresolved(), errors.ConnectionFailed, "no address"),
    (certificate(), errors.ConnectionFailed, "certificate"),
    (requests.exceptions.SSLError(ssl.SSLError(1, "wrong version number")), errors.ConnectionFailed, "https"),
    (requests.ReadTimeout("Read timed out."), errors.ConnectionFailed, "in time"),
    (requests.ConnectTimeout("timed out"), errors.ConnectionFailed, "in time"),
    (TimeoutError("the deadline had passed"), errors.ConnectionFailed, "in time"),
    (aborted(http.client.RemoteDisconnected("closed")), errors.ConnectionFailed, "no connection"),
    (aborted(http.client.BadStatusLine("SSH-2.0-OpenSSH_9.2")), errors.WrongEndpoint, "SSH-2.0"),
    (requests.exceptions.InvalidURL("No host"), errors.WrongEndpoint, "address"),
    (page(404), errors.WrongEndpoint, "404"),
    (page(501), errors.WrongEndpoint, "501"),
    (xml_page(404), errors.WrongEndpoint, "404"),
    (page(403), errors.AuthenticationFailed, "RemotePowerShellEnabled"),
    (page(503), errors.ConnectionFailed, "503"),
    (page(407), errors.ConnectionFailed, "NO_PROXY"),
    (fault(2150858811), errors.WrongEndpoint, "session configuration"),
    (fault(2150859173), errors.TooManyShells, "fault 2150859173"),
    (fault("w:QuotaLimit"), errors.TooManyShells, "QuotaLimit"),
    (fault(None, "This user is allowed a maximum number of 18 concurrent shells"), errors.TooManyShells, "18"),
    (fault(5), errors.AuthenticationFailed, "fault 5"),
    (fault("wsman:AccessDenied"), errors.AuthenticationFailed, "AccessDenied"),
    (fault(0, "[FailureCategory=AuthZ-CmdletAccessDeniedException] no role"), errors.AuthenticationFailed, "no role"),
    (fault(TIMED_OUT), errors.ConnectionFailed, "ready in time"),
    (fault(2150858843), errors.ConnectionFailed, "not run"),
    (fault(1234, "Nanu"), errors.ConnectionFailed, "Nanu"),
    (
        InvalidPSRPOperation("broken: [FailureCategory=AuthZ-CmdletAccessDeniedException]"),
        errors.AuthenticationFailed,
        "role",
    ),
    (InvalidPSRPOperation("Received a broken RunspacePoolState"), errors.ConnectionFailed, "broken"),
    (WinRMError("Received related id does not match"), errors.WrongEndpoint, "WSMan"),
    (KeyError("ex01"), errors.WrongEndpoint, "WSMan"),
]


@pytest.mark.parametrize(("raised", "kind", "text"), OPENING, ids=lambda value: getattr(value, "__name__", None))
@pytest.mark.parametrize("wrapped", [False, True])
def test_opening(raised: Exception, kind: type[errors.NotSent], text: str, wrapped: bool) -> None:
    if wrapped:
        never = NeverLeft()
        never.__cause__, raised = raised, never
    error = faults.not_sent(raised, WHERE, "kerberos")
    assert type(error) is kind
    assert error.outcome == "not sent"
    assert error.where == WHERE
    assert text in str(error)
    assert error.next


LOST = [
    (aborted(http.client.RemoteDisconnected("closed")), errors.ConnectionLost, "closed"),
    (requests.ReadTimeout("Read timed out."), errors.ConnectionLost, "silent"),
    (fault(2150858843), errors.ConnectionLost, "shell is gone"),
    (fault(1234, "Nanu"), errors.ConnectionLost, "Nanu"),
    (fault(TIMED_OUT), errors.ConnectionLost, str(TIMED_OUT)),
    (page(502), errors.ConnectionLost, "502"),
    (AuthenticationError("again"), errors.ConnectionLost, "again"),
    (InvalidPSRPOperation("broken pool"), errors.ConnectionLost, "broken pool"),
    (ClixmlError("the element X is not known"), errors.AnswerUnreadable, "element X"),
    (KeyError("RefId"), errors.AnswerUnreadable, "KeyError"),
    (errors.AnswerUnreadable("as it is"), errors.AnswerUnreadable, "as it is"),
]


@pytest.mark.parametrize(("raised", "kind", "text"), LOST, ids=lambda value: getattr(value, "__name__", None))
def test_lost(raised: Exception, kind: type[errors.OutcomeUnknown], text: str) -> None:
    error = faults.lost(raised, WHERE)
    assert type(error) is kind
    assert error.outcome == "unknown"
    assert text in str(error)
    assert "read" in error.next


def never(cause: Exception) -> NeverLeft:
    exc = NeverLeft()
    exc.__cause__ = cause
    return exc


@pytest.mark.parametrize(
    ("raised", "certain", "again"),
    [
        (never(refused(ConnectionRefusedError())), True, False),
        (never(TimeoutError()), True, False),
        (never(aborted(http.client.RemoteDisconnected("closed"))), True, True),  # while authenticating
        (AuthenticationError(), True, False),
        (BadNameError(), True, False),
        (fault(2150858843), True, True),
        (fault(2150859174), True, False),
        (page(503), True, True),
        (page(400), True, False),
        (xml_page(503), True, True),
        (fault(TIMED_OUT), False, False),
        (page(501), False, False),
        (certificate(), False, False),
        (page(500), False, True),
        (page(502), False, True),
        (aborted(http.client.RemoteDisconnected("closed")), False, True),
        (requests.ReadTimeout(), False, True),
        (KeyError(), False, False),
    ],
)
def test_what_a_failed_request_means(raised: Exception, certain: bool, again: bool) -> None:
    """Certainly not executed is only what never left or what the server itself refused."""
    assert faults.not_executed(raised) is certain
    assert faults.worth_repeating(raised) is again


def test_an_earlier_failure_does_not_make_a_lost_command_unsent() -> None:
    exc = aborted(http.client.RemoteDisconnected("closed"))
    exc.__context__ = refused(ConnectionRefusedError())  # as where the caller handles an earlier error
    assert not unreachable(exc)
