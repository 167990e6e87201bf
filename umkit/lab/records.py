"""PowerShell error records as the real endpoints write them.

Two exceptions carry them out of a handler: :class:`Refusal` has the whole
record but the cmdlet's name; :class:`TaskRefusal` is an Exchange task's
error, whose id gets server, request id, time and a hash from the service
(reference/exchange.md §3 g, reference/windows.md §i).
"""

from __future__ import annotations

import zlib
from datetime import datetime
from uuid import UUID

from umkit.lab.model import ErrorRecord

#: The names of PowerShell's ErrorCategory, in the order of their numbers.
CATEGORIES = (
    *("NotSpecified", "OpenError", "CloseError", "DeviceError", "DeadlockDetected", "InvalidArgument", "InvalidData"),
    *("InvalidOperation", "InvalidResult", "InvalidType", "MetadataError", "NotImplemented", "NotInstalled"),
    *("ObjectNotFound", "OperationStopped", "OperationTimeout", "SyntaxError", "ParserError", "PermissionDenied"),
    *("ResourceBusy", "ResourceExists", "ResourceUnavailable", "ReadError", "WriteError", "FromStdErr"),
    *("SecurityError", "ProtocolError", "ConnectionError", "AuthenticationError", "LimitsExceeded", "QuotaExceeded"),
    "NotEnabled",
)
_AUTOMATION = "System.Management.Automation."
BINDING = _AUTOMATION + "ParameterBindingException"
#: Exchange's exceptions that more than one noun needs.
NOT_FOUND = "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException"
EXISTS = "Microsoft.Exchange.Data.Directory.ADObjectAlreadyExistsException"
INVALID_OPERATION = "System.InvalidOperationException"


class Refusal(Exception):
    """An error record on its way out of a handler.

    Arguments:
        message: the exception's message.
        error_id: the FullyQualifiedErrorId.
        category: the name of the ErrorCategory.
        exception_type: the exception's full type.
        target: the target object's text, or None.
        terminating: whether the pipeline fails whatever ErrorAction says.
    """

    def __init__(
        self,
        message: str,
        *,
        error_id: str,
        category: str,
        exception_type: str,
        target: str | None = None,
        terminating: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.error_id = error_id
        self.category = category
        self.exception_type = exception_type
        self.target = target
        self.terminating = terminating

    def record(self, activity: str) -> ErrorRecord:
        """The record, said by the cmdlet of this name."""
        return ErrorRecord(
            message=self.message,
            error_id=self.error_id,
            category=CATEGORIES.index(self.category),
            category_name=self.category,
            reason=self.exception_type.rpartition(".")[2],
            exception_type=self.exception_type,
            target=self.target,
            activity=activity,
        )


class TaskRefusal(Exception):
    """An Exchange task's error; not terminating unless ErrorAction says so.

    Arguments:
        exception_type: the exception's full type.
        message: its message.
    """

    def __init__(self, exception_type: str, message: str) -> None:
        super().__init__(message)
        self.exception_type = exception_type
        self.message = message


class Unfit(ValueError):
    """A value that a parameter's or a property's type does not take.

    Arguments:
        name: the parameter or property.
        value: what was given.
        type_name: the type's full name.
        reason: the sentence behind ``Error:``.
    """

    def __init__(self, name: str, value: object, type_name: str, reason: str) -> None:
        super().__init__(f"{name}: {value!r} is not accepted: {reason}")
        self.name = name
        self.value = value
        self.type_name = type_name
        self.reason = reason


def task_refusal(
    refusal: TaskRefusal, *, server: str, request: UUID, time: datetime, implementing_type: str
) -> Refusal:
    """The record of an Exchange task's error.

    Arguments:
        refusal: the error.
        server: the server that ran the cmdlet.
        request: the id of this call.
        time: local time of the server.
        implementing_type: the cmdlet's .NET type.
    """
    short = refusal.exception_type.rpartition(".")[2]
    # The hash stands for the message's kind; CRC-32 has its eight digits and is the same for the same message.
    digest = f"{zlib.crc32(refusal.message.encode('utf-8', 'surrogatepass')):08X}"
    stamp = (
        f"{time.month}/{time.day}/{time.year} {time.hour % 12 or 12}:{time:%M:%S} {'PM' if time.hour > 11 else 'AM'}"
    )
    return Refusal(
        refusal.message,
        error_id=f"[Server={server},RequestId={request},TimeStamp={stamp}] "
        f"[FailureCategory=Cmdlet-{short}] {digest},{implementing_type}",
        category="NotSpecified",
        exception_type=refusal.exception_type,
    )


def not_found(identity: str, domain_controller: str) -> TaskRefusal:
    """The object of this identity does not exist on that domain controller."""
    return TaskRefusal(
        NOT_FOUND,
        f"The operation couldn't be performed because object '{identity}' couldn't be found on '{domain_controller}'.",
    )


def already_exists(distinguished_name: str, domain_controller: str) -> TaskRefusal:
    """An object of that name is there already; the wording on-premises is (?)."""
    return TaskRefusal(
        EXISTS,
        f"Active Directory operation failed on {domain_controller}. The object '{distinguished_name}' already exists.",
    )


def unknown_controller(name: str) -> TaskRefusal:
    """A domain controller that does not answer.

    Text and exception as Exchange setup logs them; that a cmdlet's -DomainController gives the same is (?).
    """
    return TaskRefusal(
        "Microsoft.Exchange.Data.Directory.SuitabilityDirectoryException",
        f"An Active Directory error 0x51 occurred when trying to check the suitability of server '{name}'. "
        "Error: 'Active directory response: The LDAP server is unavailable.'",
    )


def command_not_found(name: str, *, implementing_type: str = "", terminating: bool = True) -> Refusal:
    """No such cmdlet, or one that RBAC hides: PowerShell cannot tell them apart."""
    return Refusal(
        f"The term '{name}' is not recognized as the name of a cmdlet, function, script file, or operable program. "
        "Check the spelling of the name, or if a path was included, verify that the path is correct and try again.",
        error_id="CommandNotFoundException" + (f",{implementing_type}" if implementing_type else ""),
        category="ObjectNotFound",
        exception_type=_AUTOMATION + "CommandNotFoundException",
        target=name,
        terminating=terminating,
    )


def scripts_not_allowed(script: str) -> Refusal:
    """A script sent to a runspace in NoLanguage mode."""
    return Refusal(
        "The syntax is not supported by this runspace. This can occur if the runspace is in no-language mode.",
        error_id="ScriptsNotAllowed",
        category="ParserError",
        exception_type=_AUTOMATION + "ParseException",
        target=script,
        terminating=True,
    )


def restricted_language(script: str) -> Refusal:
    """A script with more than a command in RestrictedLanguage mode.

    So Exchange answered before KB5001779 (pypsrp issue 103); the error id is (?).
    """
    return Refusal(
        "Property references are not allowed in restricted language mode or a Data section.",
        error_id="PropertyReferenceNotSupportedInDataSection",
        category="ParserError",
        exception_type=_AUTOMATION + "ParseException",
        target=script,
        terminating=True,
    )


def prompt_failed(implementing_type: str, prompt: str) -> Refusal:
    """A prompt over a host without user interface."""
    return Refusal(
        "A command that prompts the user failed because the host program or the command type does not support user "
        "interaction. The host was attempting to request confirmation with the following message: " + prompt,
        error_id=f"HostFunctionNotImplemented,{implementing_type}",
        category="NotImplemented",
        exception_type=_AUTOMATION + "Host.HostException",
        terminating=True,
    )


def not_simulated(what: str) -> Refusal:
    """What a real endpoint can do and the lab cannot; never passed over in silence."""
    return Refusal(
        f"The lab does not simulate {what}.",
        error_id="NotSimulatedByLab",
        category="NotImplemented",
        exception_type="System.NotImplementedException",
        terminating=True,
    )


def binding_refusal(
    message: str,
    error_id: str,
    implementing_type: str,
    category: str = "InvalidArgument",
    exception_type: str = BINDING,
) -> Refusal:
    """An error of the parameter binder; it always terminates the pipeline."""
    return Refusal(
        message,
        error_id=f"{error_id},{implementing_type}",
        category=category,
        exception_type=exception_type,
        terminating=True,
    )


def unfit(error: Unfit, implementing_type: str) -> Refusal:
    """A value that cannot be converted to its parameter's type."""
    return binding_refusal(
        f"Cannot bind parameter '{error.name}'. Cannot convert value \"{error.value}\" to type "
        f'"{error.type_name}". Error: "{error.reason}"',
        "CannotConvertArgumentNoMessage",
        implementing_type,
    )
