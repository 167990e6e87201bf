"""What a command answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from umkit.errors import AnswerUnreadable, ObjectNotFound, RemoteError


@dataclass(frozen=True)
class Result:
    """What a command answered, as plain Python values.

    Arguments:
        outputs: the objects it wrote: str, int, bool, float, None, datetime, timedelta, Decimal, UUID, bytes, list,
            dict, EnumText or Record.
        errors: the error records it wrote, mapped, in order; empty unless they were asked to be collected.
        warnings: the warnings' texts.
        seconds: how long it took, from the first byte sent to the last received.
        retried: whether a lost connection or shell made it be asked a second time; only ever so for a reading command.
        command: the cmdlet's name.
    """

    outputs: list[Any]
    errors: list[RemoteError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    retried: bool = False
    command: str = ""

    def one(self) -> Any:
        """The only object.

        Raises the first collected error, ``ObjectNotFound`` when there is no object, ``AnswerUnreadable`` when there
        are several.
        """
        if self.errors:
            raise self.errors[0]
        where = {"command": self.command} if self.command else {}
        if not self.outputs:
            raise ObjectNotFound(f"{self.command or 'the command'} gave no object", where=where, expected="one object")
        if len(self.outputs) > 1:
            raise AnswerUnreadable(
                f"{self.command or 'the command'} gave {len(self.outputs)} objects",
                where=where,
                expected="one object",
                next="ask for one object by its identity",
            )
        return self.outputs[0]
