"""What a person agrees to when they press Apply: the commands that were shown, and what the harsh ones meet."""

from __future__ import annotations

from typing import Any

from umkit.command import Command
from umkit.errors import RecordError, UmkitError
from umkit.outcome import StepOutcome

#: Commands with these verbs interrupt somebody, or take something away.
HARSH = ("Restart-", "Stop-", "Remove-", "Disable-", "Clear-")

#: A note on a plan that is not what a person agreed to.
MOVED = "this is not what was shown before, so nothing was sent"
#: The beginning of a note on what was taken back.
TAKEN_BACK = "taken back: "


def harsh(out: StepOutcome) -> list[Command]:
    """The commands of a plan that interrupt somebody, or take something away."""
    return [command for command in out.would if command.name.startswith(HARSH)]


def agreement(out: StepOutcome) -> list[Any]:
    """What a person agrees to with a plan: its commands; where one of them is harsh, also what it meets."""
    agreed: list[Any] = [command.as_json() for command in out.would]
    if harsh(out):
        agreed += [(row.thing, row.property, row.shown_now, row.note) for row in out.rows if not row.same]
        agreed += [note for note in out.notes if note != MOVED and not note.startswith(TAKEN_BACK)]
    return agreed


def not_begun(error: UmkitError) -> RecordError:
    """The error that says that nothing was done, because it could not have been written down."""
    return RecordError(
        "no record can be begun, so nothing was done",
        where=error.where,
        seen=f"{error.what}: {error.seen}" if error.seen else error.what,
        expected=error.expected,
        next=error.next or "mend that, then do it again",
    )
