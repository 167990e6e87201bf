"""Our reader in the place of pypsrp's own, for all that a pipeline answers.

pypsrp leaves collections of types that it does not know as raw XML, fails on references into them, and takes the other
messages of the same answer down with it.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Any

from pypsrp.complex_objects import ObjectMeta
from pypsrp.messages import (
    DebugRecord,
    ErrorRecordMessage,
    InformationRecord,
    PipelineState,
    ProgressRecord,
    RunspacePoolStateMessage,
    VerboseRecord,
    WarningRecord,
)
from pypsrp.serializer import Serializer

from umkit.remoting import clixml


class Unreadable:
    """Stands for an output that could not be decoded, so that the pipeline's end is still seen.

    Arguments:
        error: why not.
    """

    def __init__(self, error: clixml.ClixmlError) -> None:
        self.error = error


@dataclass(frozen=True)
class Received:
    """A message of the protocol as our reader decoded it, with the names by which pypsrp uses it.

    Arguments:
        MESSAGE_TYPE: pypsrp's number of the message.
        record: what is in it; empty for messages that are dropped.
    """

    MESSAGE_TYPE: int
    record: clixml.Record

    @property
    def state(self) -> Any:
        """The state of a pool or pipeline."""
        return self.record.get("PipelineState", self.record.get("RunspaceState"))

    @property
    def error_record(self) -> Any:
        """What brought a pipeline or pool down, in the same form as an error record of its own."""
        found = self.record.get("ExceptionAsErrorRecord")
        return None if found is None else Received(ErrorRecordMessage.MESSAGE_TYPE, found)

    def __str__(self) -> str:
        return str(self.record)


class Decoder(Serializer):
    """pypsrp's serializer with our reader in the place of its own for all that a pipeline answers.

    pypsrp leaves collections of unknown types as raw XML and fails on references into them.
    """

    _DROPPED = (DebugRecord, InformationRecord, ProgressRecord, VerboseRecord)
    _READ = (ErrorRecordMessage, PipelineState, RunspacePoolStateMessage, WarningRecord)

    def __init__(self) -> None:
        super().__init__()
        # U+FFFE and U+FFFF cannot stand in XML either; pypsrp would send them as they are
        self._serial_str = re.compile("[\u0000-\u001f\u007f-\u009f\ufffe\uffff\U00010000-\U0010ffff]")

    def deserialize(self, element: ET.Element | str, metadata: ObjectMeta | None = None, clear: bool = True) -> Any:
        """Decode one message, or for the messages of the protocol itself a part of one."""
        if not isinstance(element, str):
            return super().deserialize(element, metadata, clear)
        if metadata is None:
            return _output(element)
        if metadata.object in self._DROPPED:
            return Received(metadata.object.MESSAGE_TYPE, clixml.Record())
        if metadata.object in self._READ:
            return Received(metadata.object.MESSAGE_TYPE, _record(element))
        return super().deserialize(element, metadata, clear)


def _output(text: str) -> Any:
    try:
        values = clixml.read(text)
    except clixml.ClixmlError as exc:
        return Unreadable(exc)
    return values[0] if values else None  # a null is sent as an empty message


def _record(text: str) -> clixml.Record:
    values = clixml.read(text)
    if len(values) != 1 or not isinstance(values[0], clixml.Record):
        raise clixml.ClixmlError("a message without properties")
    return values[0]
