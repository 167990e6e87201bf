"""An apply that is held to a plan file: that plan, or nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umkit import planfile
from umkit.errors import StepError, UsageError
from umkit.headless.progress import Silence
from umkit.headless.results import RunSummary
from umkit.headless.run import run

if TYPE_CHECKING:
    from umkit.customer import CustomerFile
    from umkit.record import Record


def keep(summary: RunSummary, path: Path) -> None:
    """Copy a plan run's plan to where a person wants it.

    Raises ``StepError`` when the plan is not whole, ``UsageError`` when the file cannot be written.
    """
    source = summary.record / planfile.FILE
    plan = planfile.load(source)
    if plan.broken:
        raise StepError(
            "no plan file was written, for the plan is not whole",
            seen="these chapters did not come to their end: " + ", ".join(plan.broken),
            next="mend what stopped them, and plan again",
        )
    try:
        shutil.copyfile(source, path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written", seen=error.strerror or type(error).__name__) from error


def usable(path: Path, inputs: CustomerFile, chapters: Sequence[str] = ()) -> planfile.PlanFile:
    """A plan file that may be applied to a customer, as a whole.

    Arguments:
        path: the plan file.
        inputs: the customer file, with the values that the plan was made with.
        chapters: must be those of the plan, or none.

    Raises ``UsageError`` when the plan is not for this.
    """
    plan = planfile.usable(path, inputs.customer.name, inputs.dump())
    numbers = {name.partition("-")[0] for name in plan.chapters}
    if chapters and {name.partition("-")[0] for name in chapters} != numbers:
        raise UsageError(
            "a plan is applied as a whole",
            seen=", ".join(chapters),
            expected=", ".join(plan.chapters),
            next="plan these chapters alone, and apply that plan",
        )
    return plan


def apply(
    inputs: CustomerFile,
    path: Path,
    *,
    chapters: Sequence[str] = (),
    records: Path | None = None,
    runbooks: Path | None = None,
    progress: Silence | None = None,
    lab: Mapping[str, Any] | None = None,
    begun: Callable[[Record], None] | None = None,
) -> RunSummary:
    """Apply what a plan file says.

    All its chapters are planned anew first, in a record of their own; where anything differs from the file, nothing is
    sent. During the apply each chapter compares once more, before each step sends anything.

    Arguments:
        inputs: the customer file, with the values that the plan was made with.
        path: the plan file.
        chapters: must be those of the plan, or none.
        records, runbooks, progress, lab, begun: as :func:`umkit.headless.run`.

    Raises ``UsageError`` when the plan is not for this, ``Blocked`` naming every property that has moved since.
    """
    plan = usable(path, inputs, chapters)
    if plan.other_kit and progress is not None:
        progress.remark(plan.other_kit)

    def go(mode: str, held: Path | None = None) -> RunSummary:
        return run(
            inputs,
            mode,
            chapters=plan.chapters,
            records=records,
            runbooks=runbooks,
            progress=progress,
            lab=lab,
            plan=held,
            begun=begun,
        )

    again = go("plan")
    fresh = planfile.load(again.record / planfile.FILE)
    if again.stopped:
        return again
    if fresh.broken:
        raise StepError(
            "the state could not be read, so nothing was sent",
            seen="these chapters did not come to their end: " + ", ".join(fresh.broken),
            next=f"see the record {again.record}",
        )
    if moved := plan.moved(fresh):
        raise planfile.refuse(plan, moved)
    return go("apply", path)
