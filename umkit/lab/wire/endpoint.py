"""One EndpointService behind WSMan: its shells, quota and replayed answers."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4
from xml.sax.saxutils import escape

from umkit.lab.model import EndpointService
from umkit.lab.wire import envelope
from umkit.lab.wire.clixml import duration
from umkit.lab.wire.envelope import SHELL, Fault, Request
from umkit.lab.wire.faults import LOSE_SHELL, Faults, Interference
from umkit.lab.wire.listener import Threads
from umkit.lab.wire.pipelines import Effect, Pipelines
from umkit.lab.wire.psrp import BadMessage
from umkit.lab.wire.shells import IDLE_TIMEOUT, Shell
from umkit.lab.wire.trace import Trace

_log = logging.getLogger("umkit.lab")

#: A client repeats a request at most a few times and soon: these many answers, this many bytes are kept.
_KEPT_ANSWERS = 64
_KEPT_BYTES = 16 * 1024 * 1024


@dataclass
class Answer:
    """What goes back.

    Arguments:
        status: the HTTP status.
        body: the envelope.
        action: short name of the action, for the counts.
        effect: what the request did besides.
    """

    status: int
    body: bytes
    action: str = "Other"
    effect: Effect = field(default_factory=Effect)


@dataclass
class _Replay:
    """One request by MessageID: under way until ``done``, then its answer."""

    done: threading.Event = field(default_factory=threading.Event)
    answer: Answer | None = None

    @property
    def size(self) -> int:
        """Bytes it keeps."""
        return len(self.answer.body) if self.answer is not None else 0


def account(user: str) -> str:
    """One spelling for ``DOMAIN\\user``, ``user@domain`` and ``user``."""
    return user.rpartition("\\")[2].partition("@")[0].casefold()


class Endpoint:
    """Serves one EndpointService.

    Arguments:
        service: what answers the pipelines.
        trace: where each pipeline is written.
        faults: what is to break.
        clock: seconds, monotonic; for the idle timeout.
        threads: where pipelines run.
    """

    def __init__(
        self, service: EndpointService, trace: Trace, faults: Faults, clock: Callable[[], float], threads: Threads
    ) -> None:
        self.service = service
        self.resource_uri = f"{envelope.POWERSHELL}/{service.configuration}"
        self._pipelines = Pipelines(service, trace, faults)
        self._clock = clock
        self._threads = threads
        self._lock = threading.Lock()
        self._shells: dict[str, Shell] = {}
        self._replays: OrderedDict[tuple[str, str], _Replay] = OrderedDict()
        self._kept = 0
        self._actions: dict[str, Callable[[Request, Shell], tuple[str, Effect]]] = {
            "Get": self._get,
            "Command": self._command,
            "Send": self._send,
            "Receive": self._receive,
            "Signal": self._signal,
            "Delete": self._delete,
        }

    def answer(self, data: bytes, user: str, *, lose_shell: bool = False) -> Answer:
        """Answer one envelope; whatever it holds, it is answered.

        Arguments:
            data: the decrypted body.
            user: who was authenticated.
            lose_shell: the shell the request names vanishes first; where it names none, all of them do.

        Raises:
            Interference: a fault ordered for a mutation strikes before it is run.
        """
        try:
            root = envelope.decode(data)
        except Fault as fault:
            return Answer(500, envelope.fault(fault, "", self.service.name))
        identity = envelope.message_id(root)
        if not identity:
            return self._answer(root, identity, user, lose_shell)
        replay, mine = self._claim(account(user), identity)
        if not mine:
            replay.done.wait()
            if replay.answer is not None:
                return Answer(replay.answer.status, replay.answer.body, replay.answer.action)
            # The first try was broken before it was handled, so this one is the first.
            return self.answer(data, user, lose_shell=lose_shell)
        answer: Answer | None = None
        try:
            answer = self._answer(root, identity, user, lose_shell)
            return answer
        finally:
            with self._lock:
                replay.answer = answer
                self._kept += replay.size
                if answer is None:
                    self._replays.pop((account(user), identity), None)
            replay.done.set()

    def close(self) -> None:
        """Close every shell."""
        with self._lock:
            shells = list(self._shells.values())
            self._shells.clear()
        for shell in shells:
            shell.close()

    def _claim(self, user: str, identity: str) -> tuple[_Replay, bool]:
        with self._lock:
            found = self._replays.get((user, identity))
            if found is not None:
                return found, False
            for key in list(self._replays):
                if len(self._replays) < _KEPT_ANSWERS and self._kept < _KEPT_BYTES:
                    break
                if self._replays[key].done.is_set():
                    self._kept -= self._replays.pop(key).size
            replay = self._replays[user, identity] = _Replay()
            return replay, True

    def _answer(self, root: envelope.Element, identity: str, user: str, lose_shell: bool) -> Answer:
        action = "Other"
        try:
            request = envelope.parse(root)
            action = request.action
            self._reap(request.shell if lose_shell else None, everything=lose_shell and request.shell is None)
            body, effect = self._dispatch(request, user)
            return Answer(200, envelope.response(request, body), action, effect)
        except Fault as fault:
            return Answer(500, envelope.fault(fault, identity, self.service.name), action)
        except BadMessage as error:
            return Answer(500, envelope.fault(envelope.bad_message(str(error)), identity, self.service.name), action)
        except Interference:
            raise
        except Exception as error:
            _log.exception("the lab failed at %s", action)
            return Answer(500, envelope.fault(envelope.failed(repr(error)), identity, self.service.name), action)

    def _dispatch(self, request: Request, user: str) -> tuple[str, Effect]:
        if request.resource_uri != self.resource_uri and not (
            request.action == "Get" and request.resource_uri == SHELL
        ):
            raise envelope.unknown_resource()
        if request.action == "Create":
            return self._create(request, user), Effect()
        with self._lock:
            shell = self._shells.get(request.shell or "")
        if shell is None or account(shell.user) != account(user):
            raise envelope.unknown_shell()
        with shell:
            try:
                return self._actions[request.action](request, shell)
            except Interference as struck:
                if struck.action != LOSE_SHELL:
                    raise
                self._reap(shell.id, everything=False)
                raise envelope.unknown_shell() from None

    def _reap(self, lost: str | None, *, everything: bool) -> None:
        """Close shells whose idle timeout has passed, and those that a fault takes."""
        with self._lock:
            gone = [one for one in self._shells.values() if everything or one.id == lost or one.idle]
            for shell in gone:
                del self._shells[shell.id]
        for shell in gone:
            shell.close()

    def _create(self, request: Request, user: str) -> str:
        body = request.body
        if body is None or body.tag != f"{{{SHELL}}}Shell":
            raise envelope.bad_message("the body is no Shell")
        idle, stated = IDLE_TIMEOUT, body.findtext(f"{{{SHELL}}}IdleTimeOut")
        if stated is not None:
            try:
                idle = duration(stated.strip())
            except (ValueError, OverflowError):
                raise envelope.bad_message("IdleTimeOut is no duration") from None
        shell = Shell((body.get("ShellId") or str(uuid4())).upper(), user, idle, self._clock, self._threads)
        opening = envelope.bytes_of(body.find(f"{{{envelope.POWERSHELL}}}creationXml"), "creationXml")
        with shell.pool.lock:
            shell.pool.feed(opening)
        with self._lock:
            if shell.id in self._shells:
                raise Fault(2150858803, "w:AlreadyExists", "A shell of this ShellId exists already.")
            open_now = sum(account(one.user) == account(user) for one in self._shells.values())
            if open_now >= self.service.max_shells:
                raise envelope.too_many_shells(self.service.max_shells)
            self._shells[shell.id] = shell
        selectors = f'<w:SelectorSet><w:Selector Name="ShellId">{escape(shell.id)}</w:Selector></w:SelectorSet>'
        return (
            f"<x:ResourceCreated><a:Address>{envelope.ANONYMOUS}</a:Address><a:ReferenceParameters>"
            f"<w:ResourceURI>{self.resource_uri}</w:ResourceURI>{selectors}</a:ReferenceParameters>"
            f"</x:ResourceCreated>{self._described(shell)}"
        )

    def _described(self, shell: Shell) -> str:
        return (
            f"<rsp:Shell><rsp:ShellId>{escape(shell.id)}</rsp:ShellId>"
            f"<rsp:ResourceUri>{self.resource_uri}</rsp:ResourceUri><rsp:Owner>{escape(shell.user)}</rsp:Owner>"
            f"<rsp:ClientIP>127.0.0.1</rsp:ClientIP><rsp:IdleTimeOut>PT{shell.idle_timeout.total_seconds():.3f}S"
            "</rsp:IdleTimeOut><rsp:InputStreams>stdin pr</rsp:InputStreams>"
            "<rsp:OutputStreams>stdout</rsp:OutputStreams><rsp:State>Connected</rsp:State></rsp:Shell>"
        )

    def _get(self, request: Request, shell: Shell) -> tuple[str, Effect]:
        return self._described(shell), Effect()

    def _delete(self, request: Request, shell: Shell) -> tuple[str, Effect]:
        with self._lock:
            self._shells.pop(shell.id, None)
        shell.close()
        return "", Effect()

    def _command(self, request: Request, shell: Shell) -> tuple[str, Effect]:
        body = request.body
        if body is None or body.tag != f"{{{SHELL}}}CommandLine":
            raise envelope.bad_message("the body is no CommandLine")
        data = envelope.bytes_of(body.find(f"{{{SHELL}}}Arguments"), "Arguments")
        pipeline = shell.add(body.get("CommandId") or str(uuid4()))
        try:
            effect = self._pipelines.feed(shell, data)
        except (Fault, BadMessage, Interference):
            shell.remove(pipeline)
            raise
        return f"<rsp:CommandResponse><rsp:CommandId>{pipeline.id}</rsp:CommandId></rsp:CommandResponse>", effect

    def _send(self, request: Request, shell: Shell) -> tuple[str, Effect]:
        streams = request.body.findall(f"{{{SHELL}}}Stream") if request.body is not None else []
        if not streams:
            raise envelope.bad_message("the body holds no Stream")
        effect = Effect()
        for stream in streams:
            if stream.get("CommandId") is not None:
                shell.pipeline(stream.get("CommandId"))
            one = self._pipelines.feed(shell, envelope.bytes_of(stream, "Stream"))
            effect = Effect(one.then or effect.then, effect.started + one.started)
        return "<rsp:SendResponse/>", effect

    def _receive(self, request: Request, shell: Shell) -> tuple[str, Effect]:
        body = request.body
        desired = body.find(f"{{{SHELL}}}DesiredStream") if body is not None else None
        if desired is None:
            raise envelope.bad_message("the body holds no DesiredStream")
        command = desired.get("CommandId")
        queue = shell.queue if command is None else shell.pipeline(command).queue
        fragments, done = queue.take(request.max_envelope, request.timeout.total_seconds())
        return envelope.receive_body(fragments, command, done=done), Effect()

    def _signal(self, request: Request, shell: Shell) -> tuple[str, Effect]:
        body = request.body
        if body is None or body.tag != f"{{{SHELL}}}Signal":
            raise envelope.bad_message("the body is no Signal")
        code = (body.findtext(f"{{{SHELL}}}Code") or "").strip().lower()
        pipeline = shell.pipeline(body.get("CommandId"))
        if code.endswith("/terminate"):
            shell.remove(pipeline)
        elif code.endswith(("/ctrl_c", "/ctrl_break")):
            self._pipelines.stop(shell, pipeline)
        else:
            raise envelope.bad_message("unknown signal code")
        return "<rsp:SignalResponse/>", Effect()
