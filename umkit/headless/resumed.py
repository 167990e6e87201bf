"""What is left of a run that broke off."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from umkit.errors import UsageError
from umkit.headless.results import judge
from umkit.headless.run import FIRST

if TYPE_CHECKING:
    from umkit.customer import CustomerFile

#: Results of chapters that need no second time.
_DONE = ("ok", "changed")


def left_of(inputs: CustomerFile, run: str, chapters: Sequence[str] = (), records: Path | None = None) -> Sequence[str]:
    """The chapters that an apply has to run to go on with an earlier one.

    Arguments:
        inputs: the customer file.
        run: the earlier run: its id, the beginning of one, or its record's path.
        chapters: only these, by name or number; without any all that the run did not bring to their end. The first
            chapter, which looks whether everything is there, goes before them.
        records: the folder of all records; the customer file's ``run.records``.

    Raises ``UsageError`` when there is no such run, when it was no apply, or when it left nothing to do;
    ``RecordError`` when its record was changed after it was written.
    """
    from umkit.history import events_of, find

    folder = find(records or Path(inputs.run.records), inputs, run)
    events = events_of(folder)
    start = next((event for event in events if event["event"] == "run-start"), {})
    if start.get("mode") != "apply":
        raise UsageError(
            f"{folder.name} was no apply, so there is nothing to go on with",
            seen=f"mode {start.get('mode')}",
            next="see the runs: umkit records list",
        )
    if chapters:
        return chapters
    left = [name for name in start["chapters"] if judge(events, name).result not in _DONE]
    if not left:
        raise UsageError(
            f"{folder.name} came to its end, so there is nothing to go on with", next="umkit apply looks at everything"
        )
    return left if FIRST in left or FIRST not in start["chapters"] else [FIRST, *left]
