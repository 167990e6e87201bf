"""The chapters and their steps, as data."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

import yaml

from umkit.errors import UsageError


@dataclass(frozen=True)
class Step:
    """One documented action.

    Arguments:
        id: stable id; the notebook cell that serves the step carries it.
        kind: ``configure``, ``check``, ``manual``, ``probe`` or ``info``.
        where: whose machine it concerns.
        title: the step in a few words.
        beyond: whether the vendor's page lacks it.
        lasts: hours for which an attestation of it counts; 0 for good.
        guard: the customer's consent that must hold before the step changes anything; empty where none must.
    """

    id: str
    kind: str
    where: str
    title: str
    beyond: bool = False
    guard: str = ""
    lasts: int = 0


@dataclass(frozen=True)
class ChapterInfo:
    """One chapter: a notebook and its steps.

    Arguments:
        name: the notebook's name, for example ``02-message-formats``.
        title: its heading.
        needs: Exchange cmdlets that it calls.
        page: what the vendor's documentation calls it, book and chapter; empty where the vendor has none.
        steps: its steps in order.
        without: sections of the customer file that it makes use of and can do without.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    steps: tuple[Step, ...]
    page: str = ""
    without: tuple[str, ...] = ()

    def step(self, id: str) -> Step:
        """One step by its id; raises ``UsageError`` where the chapter has no such step."""
        for step in self.steps:
            if step.id == id:
                return step
        raise UsageError(f"chapter {self.name} has no step {id}", expected=", ".join(step.id for step in self.steps))


@cache
def chapters() -> dict[str, ChapterInfo]:
    """Every chapter by name, in the order of the runbook."""
    entries = yaml.safe_load(files("umkit").joinpath("chapters.yaml").read_text("utf-8"))
    return {
        entry["chapter"]: ChapterInfo(
            entry["chapter"],
            entry["title"],
            tuple(entry["needs"]),
            tuple(Step(**step) for step in entry["steps"]),
            entry.get("page", ""),
            tuple(entry.get("without", ())),
        )
        for entry in entries
    }


def chapter(name: str) -> ChapterInfo:
    """One chapter by name or by its number; raises ``UsageError`` with the names there are."""
    known = chapters()
    for candidate in known:
        if name == candidate or name == candidate.partition("-")[0]:
            return known[candidate]
    raise UsageError(f"there is no chapter {name}", expected="one of " + ", ".join(known))


def step_named(id: str) -> Step:
    """One step of any chapter; raises ``UsageError`` with the nearest ids where there is none."""
    steps = {step.id: step for info in chapters().values() for step in info.steps}
    id = id.upper()
    if id not in steps:
        near = get_close_matches(id, steps)
        raise UsageError(f"there is no step {id}", expected=", ".join(near) if near else "an id such as OUT-10")
    return steps[id]
