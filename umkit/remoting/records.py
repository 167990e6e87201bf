"""From a PowerShell error record to the tree of umkit.errors.

Told apart by what does not change with the server's language: the record's id, category, reason and exception type; for
Exchange the ``FailureCategory`` in the id, whose other parts are server, request, time and a hash. Sources:
reference/exchange.md §3 g, reference/windows.md §i.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from umkit.errors import AccessDenied, CommandHidden, ObjectExists, ObjectNotFound, ParameterRefused, Refused
from umkit.remoting.clixml import Record

#: Names of System.Management.Automation.ErrorCategory, in the order of their numbers.
CATEGORIES = (
    *("NotSpecified", "OpenError", "CloseError", "DeviceError", "DeadlockDetected", "InvalidArgument", "InvalidData"),
    *("InvalidOperation", "InvalidResult", "InvalidType", "MetadataError", "NotImplemented", "NotInstalled"),
    *("ObjectNotFound", "OperationStopped", "OperationTimeout", "SyntaxError", "ParserError", "PermissionDenied"),
    *("ResourceBusy", "ResourceExists", "ResourceUnavailable", "ReadError", "WriteError", "FromStdErr"),
    *("SecurityError", "ProtocolError", "ConnectionError", "AuthenticationError", "LimitsExceeded", "QuotaExceeded"),
    "NotEnabled",
)

_PREFIX = re.compile(r"(?:\[[^\]]*\]\s*)*([^,]*)")
_FAILURE = re.compile(r"FailureCategory=(?:[A-Za-z]+-)?([A-Za-z0-9_]+)")
_DENIED_NAMES = frozenset(
    {"SecurityException", "UnauthorizedAccessException", "HRESULT 0x80041003", "HRESULT 0x80070005"}
)
_BINDING_IDS = re.compile(
    r"(NamedParameterNotFound|MissingMandatoryParameter|MissingArgument|ParameterBindingFailed|AmbiguousParameter"
    r"|PositionalParameterNotFound|ParameterAlreadyBound|CannotConvertArgument|ParameterArgument)"
)
_BINDING_NAMES = re.compile(r"(ParameterBinding\w*|CmdletInvalidationException|ValidationMetadataException)")
_MISSING_NAMES = re.compile(
    r"(\w*(Object|Identity|Item|Path|Drive)NotFoundException|HRESULT 0x80041002"
    r"|NoServiceFoundForGivenName|PathNotFound|DriveNotFound)"
)
_EXISTS_NAMES = re.compile(r"\w*AlreadyExists(Exception)?")


def from_record(record: Record, where: Mapping[str, str]) -> Refused:
    """The error that an error record stands for.

    Arguments:
        record: the ErrorRecord as it came.
        where: host, endpoint and command.
    """
    error_id = _text(record, "FullyQualifiedErrorId")
    reason = _text(record, "ErrorCategory_Reason")
    activity = _text(record, "ErrorCategory_Activity")
    number = record.get("ErrorCategory_Category")
    category = CATEGORIES[number] if isinstance(number, int) and 0 <= number < len(CATEGORIES) else ""
    exception = record.get("Exception")
    message = (
        _text(record, "ErrorDetails_Message")
        or (_text(exception, "Message") if isinstance(exception, Record) else "")
        or str(exception or record.text or "")
    )
    kind = _kind(error_id, category, reason, activity, exception, message)
    return kind(
        " ".join(message.split()) or f"{activity or 'the command'} failed and the server does not say why",
        where=where,
        seen=", ".join(part for part in (error_id, category, reason) if part),
        next="the cmdlet asks a question; give it Confirm=False, or Force" if "HostException" in reason else "",
        error_id=error_id,
        category=category,
        reason=reason,
    )


def _text(record: Mapping[str, Any], name: str) -> str:
    value = record.get(name)
    return "" if value is None else str(value)


def _kind(error_id: str, category: str, reason: str, activity: str, exception: Any, message: str) -> type[Refused]:
    failure = _FAILURE.search(error_id)
    found = _PREFIX.match(error_id)
    prefix = (found[1] if found else "").strip()
    names = {prefix.rpartition(":")[2].rpartition(".")[2], prefix, reason, failure[1] if failure else ""}
    if isinstance(exception, Record):
        names.update(name.rpartition(".")[2] for name in exception.types)
    if "CommandNotFoundException" in names:
        return CommandHidden
    if (
        category == "PermissionDenied"
        or names & _DENIED_NAMES
        or "INSUFF_ACCESS_RIGHTS" in message  # the directory's own name of its code, the same in every language
        or (reason == "InvalidOperationException" and error_id.endswith(".GetServiceCommand"))  # no right to the SCM
    ):
        return AccessDenied
    if "PSArgumentException" in names and "ItemProperty" in error_id:
        return ObjectNotFound  # a registry value that is not there; Windows PowerShell has no id of its own for it
    if _BINDING_IDS.match(prefix) or any(_BINDING_NAMES.fullmatch(name) for name in names):
        return ParameterRefused
    if category == "ObjectNotFound" or any(_MISSING_NAMES.fullmatch(name) for name in names):
        return ObjectNotFound
    if category == "ResourceExists" or any(_EXISTS_NAMES.fullmatch(name) for name in names):
        return ObjectExists
    return Refused
