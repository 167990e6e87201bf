"""One endpoint of the lab: what it refuses, and which handler it calls.

Commands are data: script text is refused on every endpoint. Exchange does so
itself (NoLanguage); Windows' own endpoint would run it, and the lab refuses
it there as well, because nothing of this project ever sends any.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from umkit.lab import german, records, tables
from umkit.lab.binding import Bound, bind
from umkit.lab.call import Call
from umkit.lab.model import Control, Invocation, Reply, Stopped
from umkit.lab.records import Refusal, TaskRefusal
from umkit.lab.store import Store

if TYPE_CHECKING:
    from umkit.lab.organisation import Account, Host, Organisation

_log = logging.getLogger(__name__)

EXCHANGE = "Microsoft.Exchange"
WINDOWS = "Microsoft.PowerShell"
_SYSTEM_FOLDER = "c:\\windows\\system32\\"
#: PowerShellMaxConcurrency of the default throttling policy, for each user (a real organisation's object).
_EXCHANGE_SHELLS = 18
#: MaxShellsPerUser of WinRM on Windows Server 2016 and 2019; 25 on 2012 (?).
_WINDOWS_SHELLS = 30

Handler = Callable[[Call], None]


@dataclass(frozen=True)
class Command:
    """A cmdlet and what answers for it.

    Arguments:
        cmdlet: the cmdlet.
        handler: what runs it.
        native: whether it is a program, whose arguments reach it as they are.
    """

    cmdlet: tables.Cmdlet
    handler: Handler = field(compare=False)
    native: bool = False


def _provider(arguments: list[tuple[str | None, Any]]) -> str:
    """The provider of the first path among the arguments; its dynamic parameters are bound."""
    for name, value in arguments:
        path = value[0] if isinstance(value, list) and value else value
        if isinstance(path, str) and (name or "path").lower() in ("path", "literalpath", "pspath"):
            lowered = path.lower()
            if lowered.startswith(("hklm:", "hkcu:", "registry::", "microsoft.powershell.core\\registry::")):
                return "Registry"
            return "Certificate" if lowered.startswith("cert:") else "FileSystem"
    return ""


def _plain_name(name: str) -> str:
    """A command's name in lower case; a program in Windows' own folder without its path."""
    lowered = name.lower().replace("/", "\\")
    return lowered.removeprefix(_SYSTEM_FOLDER) if lowered.startswith(_SYSTEM_FOLDER) else lowered


def _tokens(arguments: list[tuple[str | None, Any]]) -> list[str]:
    """A program's arguments: a parameter reaches it as two of them."""
    return [str(each) for name, value in arguments for each in ((f"-{name}", value) if name else (value,))]


class Service:
    """What one server answers under one path.

    Arguments:
        organisation: the organisation it belongs to.
        name: the server's name.
        configuration: ``Microsoft.Exchange`` or ``Microsoft.PowerShell``.
        known: its commands by lower-case name.
        controller: FQDN of the domain controller that is asked when a cmdlet names none.
        host: the Windows host it runs on.
    """

    def __init__(
        self,
        organisation: Organisation,
        name: str,
        configuration: str,
        known: Mapping[str, Command],
        controller: str,
        host: Host,
    ) -> None:
        self.organisation = organisation
        self.name = name
        self.configuration = configuration
        self.controller = controller
        self.host = host
        self._known = known

    @property
    def path(self) -> str:
        """The path of its address."""
        return "/PowerShell/" if self.configuration == EXCHANGE else "/wsman"

    @property
    def max_shells(self) -> int:
        """Shells one user may have open at once."""
        return _EXCHANGE_SHELLS if self.configuration == EXCHANGE else _WINDOWS_SHELLS

    @cached_property
    def store(self) -> Store:
        """The objects its cmdlets work on: the directory's, or the host's own."""
        return self.organisation.directory if self.configuration == EXCHANGE else self.host.store

    def is_mutating(self, name: str) -> bool:
        """Whether the cmdlet of this name can change something, told by its verb."""
        return name.partition("-")[0].lower() not in tables.READING_VERBS

    def commands(self, account: Account) -> list[Command]:
        """The commands that exist for an account, by name."""
        visible = [each for each in self._known.values() if self._sees(account, each) and not each.native]
        return sorted(visible, key=lambda each: each.cmdlet.name)

    def execute(self, user: str, pipeline: list[Invocation], control: Control) -> Reply:
        """Run one pipeline of one command; raises nothing but Stopped."""
        try:
            invocation = self._only(pipeline)
            if control.input:
                raise records.not_simulated("input from the pipeline; give the values as parameters")
            account = self.organisation.account(user)
            command = self._known.get(_plain_name(invocation.name))
            if account is None or command is None or not self._sees(account, command):
                raise records.command_not_found(invocation.name)
            if control.stopped.is_set():
                raise Stopped
            with self.organisation.lock:
                return self._said(self._run(account, command, invocation, control))
        except Stopped:
            raise
        except Refusal as refusal:
            return self._said(Reply(failed=refusal.record("")))
        except Exception as defect:
            _log.exception("the lab failed in %s", [each.name for each in pipeline])
            failure = Refusal(
                f"The lab itself failed: {type(defect).__name__}: {defect}",
                error_id="LabDefect",
                category="InvalidOperation",
                exception_type=records.INVALID_OPERATION,
            )
            return Reply(failed=failure.record(""))

    def _said(self, reply: Reply) -> Reply:
        """The reply with its texts in the language of the organisation's sessions; outputs and ids stay."""
        if self.organisation.options.messages == "de":
            for record in (*reply.errors, *([reply.failed] if reply.failed else [])):
                record.message = german.said(record.message)
            reply.warnings = [german.said(each) for each in reply.warnings]
        return reply

    def _sees(self, account: Account, command: Command) -> bool:
        return account.sees(command.cmdlet.name, windows=self.configuration == WINDOWS)

    def _only(self, pipeline: list[Invocation]) -> Invocation:
        """The pipeline's one command.

        Which helper cmdlets Exchange's endpoint shows is not established (reference/exchange.md §3 g), so a
        pipeline of several commands is not simulated.
        """
        for each in pipeline:
            if each.is_script:
                restricted = self.configuration == EXCHANGE and self.organisation.options.language_mode == "restricted"
                raise records.restricted_language(each.name) if restricted else records.scripts_not_allowed(each.name)
        if len(pipeline) != 1:
            raise records.not_simulated(f"a pipeline of {len(pipeline)} commands")
        return pipeline[0]

    def _run(self, account: Account, command: Command, invocation: Invocation, control: Control) -> Reply:
        cmdlet = command.cmdlet
        hidden = account.hidden_parameters_of(cmdlet.name)
        try:
            if command.native:
                bound = Bound({"Arguments": _tokens(invocation.arguments)}, {}, "")
            else:
                bound = bind(cmdlet, invocation.arguments, hidden=hidden, provider=_provider(invocation.arguments))
        except Refusal as refusal:
            return Reply(failed=refusal.record(cmdlet.name))
        exchange = self.configuration == EXCHANGE
        call = Call(self, account, cmdlet, bound, control, self.controller if exchange else self.host.name)
        try:
            if exchange and call.get("DomainController"):
                call.controller = self.organisation.controller(call.get("DomainController"))
            call.wait(self.organisation.durations.get(cmdlet.name.lower(), 0.0))
            command.handler(call)
        except (Refusal, TaskRefusal) as refusal:
            call.refuse(refusal)
        finally:
            # A write is in its own domain controller at once; this read brings another's nearer by one.
            self.store.settle(call.controller, call.read_nouns)
        return call.reply
