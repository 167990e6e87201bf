"""The tree of errors; every error the package raises is one of these.

UmkitError
├── UsageError                    a call that cannot be understood
│   ├── BundleError               a job bundle is not what it has to be; nothing was contacted
│   ├── CustomerFileError         the customer file is not valid; lists every problem
│   ├── HostNotNamed              a step's Windows host is not in the customer file
│   └── SecretError               a secret's reference cannot be resolved
├── RemoteError                   a command to a server did not come back well
│   ├── NotSent                   nothing reached the server: safe to repeat
│   │   ├── ConnectionFailed      closed port, unknown name, refused certificate
│   │   ├── AuthenticationFailed  the server does not accept the account
│   │   ├── WrongEndpoint         something answers there, but not this endpoint
│   │   ├── TooManyShells         the account's quota of open shells is used up
│   │   └── ValueNotSendable      a parameter value has no form on the wire
│   ├── Refused                   the server answered with an error
│   │   ├── ObjectNotFound        the object does not exist there
│   │   ├── ObjectExists          an object of that name is there already
│   │   ├── AccessDenied          the account may not do that
│   │   ├── CommandHidden         the cmdlet does not exist for this account
│   │   └── ParameterRefused      a parameter is unknown, missing or has a bad value
│   └── OutcomeUnknown            sent, and no answer: read before anything else
│       ├── DeadlineExceeded      the answer did not come within the deadline
│       ├── Cancelled             a person stopped it
│       ├── ConnectionLost        the connection or the shell broke in the middle
│       └── AnswerUnreadable      an answer came and could not be decoded
├── StepError                     a step of a chapter did not reach its end
│   ├── Unreadable                the present state cannot be read
│   ├── VerifyFailed              read back, and not as wanted
│   └── Blocked                   a guard stands and nothing was changed
├── RecordError                   what was done cannot be written down or read
│   └── OutcomeNotWritten         a changing command was sent, and what came of it is not written down
└── LabError                      the simulated organisation cannot be set up
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class UmkitError(Exception):
    """An error that says what, where, what was seen, and what to do next.

    Arguments:
        what: one sentence: what went wrong.
        where: parts of the place, outermost first, for example ``{"customer": "acme", "step": "FMT-3"}``.
        seen: what was found; never a secret.
        expected: what would have been right.
        next: what to do next.
    """

    exit_code: ClassVar[int] = 1
    default_next: ClassVar[str] = ""

    def __init__(
        self,
        what: str,
        *,
        where: Mapping[str, str] | None = None,
        seen: str = "",
        expected: str = "",
        next: str = "",
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where: dict[str, str] = dict(where or {})
        self.seen = seen
        self.expected = expected
        self.next = next or self.default_next

    def at(self, **where: str | None) -> UmkitError:
        """Add parts of the place that only the caller knows; the known ones stay."""
        for key, value in where.items():
            if value is not None:
                self.where.setdefault(key, value)
        return self

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append("  where:    " + ", ".join(f"{key} {value}" for key, value in self.where.items()))
        for label, text in (("seen", self.seen), ("expected", self.expected), ("next", self.next)):
            if text:
                lines.append(f"  {label + ':':<9} {text}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """The error as JSON-ready values, for the journal and the summary."""
        return {
            "error": type(self).__name__,
            "what": self.what,
            "where": dict(self.where),
            "seen": self.seen,
            "expected": self.expected,
            "next": self.next,
        }


class UsageError(UmkitError):
    """A call that cannot be understood."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a customer file.

    Arguments:
        key: dotted path of the key, for example ``um_services[0].domain``.
        line: line in the file, from 1; 0 where no line can be named.
        found: what stands there, shortened; never a secret.
        allowed: what may stand there.
        nearest: the nearest known key or value, or empty.
        message: one sentence.
    """

    key: str
    message: str
    line: int = 0
    found: str = ""
    allowed: str = ""
    nearest: str = ""

    def __str__(self) -> str:
        parts = [f"{self.key}: {self.message}"]
        if self.found:
            parts.append(f"found {self.found}")
        if self.allowed:
            parts.append(f"allowed: {self.allowed}")
        if self.nearest:
            parts.append(f"did you mean {self.nearest}?")
        return "; ".join(parts)


class CustomerFileError(UsageError):
    """The customer file is not valid; nothing was contacted.

    Arguments:
        file: the file's path, or a word for where the values came from.
        problems: every problem found, in the order of the file.
    """

    default_next = "mend the file; parameters/example.yaml explains every key; nothing was contacted"

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        count = len(problems)
        super().__init__(f"{file} is not a valid customer file: {count} problem{'s' if count != 1 else ''}")
        self.file = file
        self.problems = list(problems)

    def __str__(self) -> str:
        lines = [self.what]
        lines += [f"  {self.file}:{p.line or '-'}: {p}" for p in self.problems]
        lines.append(f"  next:     {self.next}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """The error with every problem, as JSON-ready values."""
        return super().as_dict() | {"file": self.file, "problems": [vars(p) for p in self.problems]}


class BundleError(UsageError):
    """A job bundle is not what it has to be; nothing was contacted."""


class HostNotNamed(UsageError):
    """A step's Windows host is not in the customer file, so the step stays open."""


class SecretError(UsageError):
    """A secret's reference cannot be resolved; the secret itself is never named."""


class RemoteError(UmkitError):
    """A command to a server did not come back well.

    ``outcome`` tells what that means for the server: ``not sent``, ``refused`` or ``unknown``.
    ``error_id``, ``category``, ``reason`` are the error record's, where there is one.
    """

    outcome: ClassVar[str] = "unknown"

    def __init__(self, what: str, *, error_id: str = "", category: str = "", reason: str = "", **parts: Any) -> None:
        super().__init__(what, **parts)
        self.error_id = error_id
        self.category = category
        self.reason = reason

    def as_dict(self) -> dict[str, Any]:
        """The error with what the server said of it, as JSON-ready values."""
        return super().as_dict() | {
            "outcome": self.outcome,
            "error_id": self.error_id,
            "category": self.category,
            "reason": self.reason,
        }


class NotSent(RemoteError):
    """Nothing reached the server: safe to repeat."""

    outcome = "not sent"


class ConnectionFailed(NotSent):
    """Closed port, unknown name, refused certificate."""

    default_next = "check the endpoint's address and port, name resolution, the firewall and the certificate"


class AuthenticationFailed(NotSent):
    """The server does not accept the account."""

    default_next = "check the account and its password (umkit check CUSTOMER), and that the server offers this protocol"


class WrongEndpoint(NotSent):
    """Something answers there, but not this endpoint."""

    default_next = "check the endpoint's path: Exchange answers under https://SERVER/PowerShell/, Windows under /wsman"


class TooManyShells(NotSent):
    """The account's quota of open shells is used up."""

    default_next = "close other sessions of this account, or wait until abandoned ones expire"


class ValueNotSendable(NotSent):
    """A parameter value has no form on the wire."""


class Refused(RemoteError):
    """The server answered with an error."""

    outcome = "refused"
    default_next = "the server's own words say why; mend what they name, then run the step again"


class ObjectNotFound(Refused):
    """The object does not exist there."""

    default_next = "run plan: it reads anew; the object may have been renamed or removed meanwhile"


class ObjectExists(Refused):
    """An object of that name is there already."""

    default_next = "run plan: it reads anew; somebody may have made the object meanwhile"


class AccessDenied(Refused):
    """The account may not do that."""

    default_next = "give the account the missing right or role, then run the step again"


class CommandHidden(Refused):
    """The cmdlet does not exist for this account."""

    default_next = "add the account to a role group that carries this cmdlet, then run the step again"


class ParameterRefused(Refused):
    """A parameter is unknown, missing or has a bad value."""

    default_next = "compare the value in the customer file with what the server's words allow, then run the step again"


class OutcomeUnknown(RemoteError):
    """Sent, and no answer: read before anything else."""

    outcome = "unknown"
    default_next = "run plan: it reads what the server has now; nothing is sent again blindly"


class DeadlineExceeded(OutcomeUnknown):
    """The answer did not come within the deadline."""


class Cancelled(OutcomeUnknown):
    """A person stopped it."""


class ConnectionLost(OutcomeUnknown):
    """The connection or the shell broke in the middle."""


class AnswerUnreadable(OutcomeUnknown):
    """An answer came and could not be decoded."""


class StepError(UmkitError):
    """A step of a chapter did not reach its end."""


class Unreadable(StepError):
    """The present state cannot be read; it is never taken for absent."""

    default_next = "mend what keeps it from being read, then run the step again; nothing was changed"


class VerifyFailed(StepError):
    """Read back, and not as wanted."""

    default_next = "run plan: it reads what is there now; replication may be late, or something else sets this"


class Blocked(StepError):
    """A guard stands and nothing was changed."""


class RecordError(UmkitError):
    """What was done cannot be written down or read."""


class OutcomeNotWritten(RecordError):
    """A changing command was sent, and what came of it cannot be written down: read before anything else."""


class LabError(UmkitError):
    """The simulated organisation cannot be set up."""
