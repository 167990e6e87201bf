"""One runspace pool's side of PSRP, over psrpcore.

psrpcore defragments, negotiates, exchanges keys and answers for the pool.
Pipelines are read and answered by the lab itself. The defects worked around
here are numbered as in reference/wire.md §6; the module leans on private
names of psrpcore 0.3.1, which pyproject.toml pins.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

from psrpcore import (
    GetAvailableRunspacesEvent,
    PSRPPayload,
    ResetRunspaceStateEvent,
    ServerRunspacePool,
    SetMaxRunspacesEvent,
    SetMinRunspacesEvent,
    StreamType,
)
from psrpcore._payload import PSRPMessage, create_message
from psrpcore.types import PSRPMessageType, PSVersion

from umkit.lab.model import Invocation
from umkit.lab.wire.clixml import BadClixml, Element, Reader, parse

BOM = b"\xef\xbb\xbf"
#: Fragment header: object id, fragment id, flags, length.
FRAGMENT = struct.Struct(">QQBI")
#: A message may be this long before its last fragment must have come.
MAX_MESSAGE = 64 * 1024 * 1024
_MESSAGE_HEADER = 40

#: What a Windows Server 2019 says of itself.
_VERSIONS = {"PSVersion": "5.1.17763.1", "WSManStackVersion": "3.0"}

_POOL_MESSAGES = frozenset(
    {
        PSRPMessageType.SessionCapability,
        PSRPMessageType.InitRunspacePool,
        PSRPMessageType.PublicKey,
        PSRPMessageType.SetMaxRunspaces,
        PSRPMessageType.SetMinRunspaces,
        PSRPMessageType.GetAvailableRunspaces,
        PSRPMessageType.ResetRunspaceState,
    }
)


class BadMessage(Exception):
    """The client sent something that is not PSRP; answered as a fault (defect 6)."""


@dataclass
class PipelineArrived:
    """CREATE_PIPELINE is complete.

    Arguments:
        id: the pipeline.
        statements: the commands of each statement, in order.
        no_input: whether no input follows.
        options: RemoteStreamOptions: which records carry InvocationInfo.
        metadata: whether it is a GET_COMMAND_METADATA instead, which the lab refuses.
    """

    id: UUID
    statements: list[list[Invocation]] = field(default_factory=list)
    no_input: bool = True
    options: int = 0
    metadata: bool = False


@dataclass
class InputArrived:
    """One pipeline input object."""

    id: UUID
    value: Any


@dataclass
class InputEnded:
    """END_OF_PIPELINE_INPUT."""

    id: UUID


@dataclass
class Other:
    """A message about the pool that psrpcore has dealt with."""


Event = PipelineArrived | InputArrived | InputEnded | Other


@dataclass
class Outgoing:
    """A whole message waiting to be cut into fragments."""

    number: int
    data: bytes
    sent: int = 0
    fragments: int = 0

    def fragment(self, room: int) -> bytes:
        """The next fragment with at most this many bytes of the message, at least one."""
        piece = self.data[self.sent : self.sent + max(room, 1)]
        self.sent += len(piece)
        flags = (1 if self.fragments == 0 else 0) | (2 if self.done else 0)
        header = FRAGMENT.pack(self.number, self.fragments, flags, len(piece))
        self.fragments += 1
        return header + piece

    @property
    def done(self) -> bool:
        """Whether the whole message has been cut."""
        return self.sent >= len(self.data)


class Pool(ServerRunspacePool):
    """A server's runspace pool.

    Not for two threads at once: hold ``lock`` around every call (defect 8).

    Arguments:
        outbox: called with each message about the pool itself.
        busy: the number of pipelines now running.
    """

    def __init__(self, outbox: Callable[[Outgoing], None], busy: Callable[[], int]) -> None:
        versions = {name: PSVersion(value) for name, value in _VERSIONS.items()}
        super().__init__(application_private_data={"PSVersionTable": versions})
        self.lock = threading.RLock()
        self._outbox = outbox
        self._busy = busy
        self._pending = 0

    def feed(self, data: bytes) -> list[Event]:
        """Take fragments from the client; messages about the pool are answered at once.

        Raises:
            BadMessage: not PSRP; what was fed so far of unfinished messages is forgotten.
        """
        try:
            self._check(data)
            self.receive_data(PSRPPayload(data, StreamType.default, None))
            events: list[Event] = []
            while (event := cast("Event | None", self.next_event())) is not None:
                events.append(event)
            if not self._incoming_fragments:
                self._pending = 0
        except BadMessage:
            self._forget()
            raise
        except Exception as error:
            # psrpcore raises whatever its parsers raise.
            self._forget()
            raise BadMessage(f"{type(error).__name__}: {error}") from error
        for message in self._send_buffer:
            # Defect 7: Windows begins every message with a byte order mark.
            data = bytes(message.data)
            whole = data[:_MESSAGE_HEADER] + BOM + data[_MESSAGE_HEADER:]
            self._outbox(Outgoing(message.object_id, whole))
        self._send_buffer.clear()
        return events

    def messages(self, pipeline: UUID, bodies: Iterable[tuple[PSRPMessageType, str]]) -> list[Outgoing]:
        """Messages for a pipeline, from the text of their bodies (defect 9)."""
        outgoing = []
        for kind, body in bodies:
            content = BOM + body.encode() if body else b""
            data = create_message(False, kind, content, self.runspace_pool_id, pipeline)
            outgoing.append(Outgoing(self._fragment_counter, data))
        return outgoing

    def _forget(self) -> None:
        self._receive_buffer.clear()
        self._incoming_fragments.clear()
        self._incoming_messages.clear()
        self._pending = 0

    def _check(self, data: bytes) -> None:
        """Refuse fragments cut short, which psrpcore takes for whole ones."""
        at = 0
        while at < len(data):
            if len(data) - at < FRAGMENT.size:
                raise BadMessage("a fragment's header is cut short")
            length = FRAGMENT.unpack_from(data, at)[3]
            at += FRAGMENT.size + length
        if at != len(data):
            raise BadMessage("a fragment is cut short")
        self._pending += len(data)
        if self._pending > MAX_MESSAGE:
            raise BadMessage(f"a message longer than {MAX_MESSAGE} bytes")

    def _process_message(self, message: PSRPMessage) -> Any:
        kind, pipeline = message.message_type, message.pipeline_id
        if kind in _POOL_MESSAGES:
            if b"<!DOCTYPE" in message.data:
                raise BadMessage("a document type is not allowed")
            if kind in (PSRPMessageType.SetMaxRunspaces, PSRPMessageType.SetMinRunspaces):
                # Defect 1: clients name the call id CI, psrpcore looks for ci.
                message._data = message._data.replace(b'N="CI"', b'N="ci"')
            self._answer(super()._process_message(message))
            return Other()
        if pipeline is None:
            raise BadMessage(f"{kind.name} names no pipeline")
        if kind == PSRPMessageType.CreatePipeline:
            return self._create(pipeline, message.data)
        if kind == PSRPMessageType.GetCommandMetadata:
            return PipelineArrived(pipeline, metadata=True)
        if kind == PSRPMessageType.PipelineInput:
            root = parse(message.data)
            return InputArrived(pipeline, self._reader(root).value(root))
        if kind == PSRPMessageType.EndOfPipelineInput:
            return InputEnded(pipeline)
        raise BadMessage(f"{kind.name} is not for a server")

    def _answer(self, event: Any) -> None:
        if isinstance(event, (SetMaxRunspacesEvent, SetMinRunspacesEvent, ResetRunspaceStateEvent)):
            self.runspace_availability_response(event.ci, True)
        elif isinstance(event, GetAvailableRunspacesEvent):
            self.runspace_availability_response(event.ci, max(self.max_runspaces - self._busy(), 0))

    def _reader(self, root: Element) -> Reader:
        return Reader(root, self._cipher.decrypt)

    def _create(self, pipeline: UUID, data: bytes) -> PipelineArrived:
        root = parse(data)
        reader = self._reader(root)
        create = reader.members(root)
        shell = reader.members(create.get("PowerShell"))
        extra = [reader.members(statement).get("Cmds") for statement in reader.items(shell.get("ExtraCmds"))]
        statements = [[_command(reader, item) for item in reader.items(one)] for one in extra or [shell.get("Cmds")]]
        statements = [statement for statement in statements if statement]
        if not statements:
            raise BadMessage("a pipeline without commands")
        options = next((c for c in create.get("RemoteStreamOptions", ()) if c.tag == "I32"), None)
        no_input = create.get("NoInput")
        return PipelineArrived(
            pipeline,
            statements,
            no_input=no_input is None or reader.value(no_input) is True,
            options=reader.value(options) if options is not None else 0,
        )


def _command(reader: Reader, element: Element) -> Invocation:
    parts = reader.members(element)
    if "Cmd" not in parts or "IsScript" not in parts:
        raise BadClixml("a command without Cmd or IsScript")
    arguments = []
    for item in reader.items(parts.get("Args")):
        argument = reader.members(item)
        name = reader.value(argument["N"]) if "N" in argument else None
        arguments.append((name or None, reader.value(argument["V"]) if "V" in argument else None))
    return Invocation(str(reader.value(parts["Cmd"])), arguments, is_script=reader.value(parts["IsScript"]) is True)
