"""What passes between the lab's wire and its organisation.

The wire turns a PSRP pipeline into :class:`Invocation` values, hands them to
an :class:`EndpointService` on a worker thread and turns its :class:`Reply`
back into PSRP messages. Neither side knows more of the other than this.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


class LabSecret:
    """A decrypted SecureString; its text is only had by reveal().

    Arguments:
        text: the clear text.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The clear text."""
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LabSecret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "(secret)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format("(secret)", spec)

    def __reduce__(self) -> str:
        raise TypeError("a secret cannot be pickled")


@dataclass
class Invocation:
    """One command of a pipeline as it arrived.

    Arguments:
        name: the cmdlet's name, or the script's text.
        arguments: (parameter name without dash, value) in the order sent; the name is None for a positional argument.
            Values are str, bool, int, float, None, list, dict, bytes, datetime, timedelta, Decimal, UUID or
            LabSecret; a PSCredential is a dict with UserName (str) and Password (LabSecret).
        is_script: whether the client sent script text instead of a command name.
    """

    name: str
    arguments: list[tuple[str | None, Any]] = field(default_factory=list)
    is_script: bool = False


@dataclass
class ErrorRecord:
    """A PowerShell error record.

    Arguments:
        message: the exception's message.
        error_id: the FullyQualifiedErrorId.
        category: the number of the ErrorCategory.
        category_name: its name, for example ``ObjectNotFound``.
        reason: the exception's short type, for example ``ManagementObjectNotFoundException``.
        exception_type: the exception's full type.
        target: the target object's text, or None.
        activity: the cmdlet's name.
    """

    message: str
    error_id: str
    category: int = 0
    category_name: str = "NotSpecified"
    reason: str = "Exception"
    exception_type: str = "System.Exception"
    target: str | None = None
    activity: str = ""


@dataclass
class Reply:
    """What a pipeline answered.

    Arguments:
        outputs: one CLIXML element a value, without namespace and without ``<Objs>``.
        errors: the non-terminating errors.
        warnings: the warnings' texts.
        failed: the terminating error, or None.
    """

    outputs: list[str] = field(default_factory=list)
    errors: list[ErrorRecord] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    failed: ErrorRecord | None = None


class Stopped(Exception):
    """The client stopped the pipeline; raised inside a handler."""


class Control(Protocol):
    """What a running handler can ask the wire."""

    @property
    def stopped(self) -> threading.Event:
        """Set when the client stops the pipeline; a handler that takes time waits on it."""

    @property
    def input(self) -> Sequence[Any]:
        """The pipeline's input objects, all of them: a handler starts when the last has come."""


class EndpointService(Protocol):
    """What the wire serves under one path."""

    @property
    def name(self) -> str:
        """The server's name, for example ``EX01``."""

    @property
    def configuration(self) -> str:
        """``Microsoft.Exchange`` or ``Microsoft.PowerShell``."""

    @property
    def path(self) -> str:
        """The path of its address, ``/PowerShell/`` or ``/wsman``."""

    @property
    def max_shells(self) -> int:
        """Shells one user may have open at once."""

    def execute(self, user: str, pipeline: list[Invocation], control: Control) -> Reply:
        """Run one pipeline; raises nothing but Stopped and refuses scripts itself."""

    def is_mutating(self, name: str) -> bool:
        """Whether the cmdlet of this name can change something."""
