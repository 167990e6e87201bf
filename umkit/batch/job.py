"""A job of a batch: one customer, one verb; and how it ended. Both are plain data that travels between processes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

Verb = Literal["plan", "apply", "verify"]

#: What became of a job: ``done`` (its run came to its end, whatever that was), ``invalid`` (the run was refused before
#: it began), ``died`` (its process ended without a word), ``deadline``, ``stopped`` and ``not run``.
State = Literal["done", "invalid", "died", "deadline", "stopped", "not run"]
#: States of jobs that a batch which is taken up again carries out once more.
BROKEN: tuple[State, ...] = ("died", "deadline", "stopped", "not run")

#: Is told how a job goes on: a JSON-ready event with ``event`` and ``customer``.
Tell = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Job:
    """One customer's run.

    Arguments:
        customer: the customer's name.
        file: path of the customer file.
        verb: ``plan``, ``apply`` or ``verify``.
        batch: id of the batch, for the record.
        chapters: only these, by name or number.
        records: folder of all records; empty takes the customer file's.
        deadline: seconds that the run may take.
        site: the network that the customer is reached from; empty: any.
        text: the customer file's text, where the worker cannot read it at ``file``.
        lab: what ``Lab.describe()`` says, where a lab stands for every endpoint named ``lab``.
    """

    customer: str
    file: str
    verb: Verb
    batch: str
    chapters: tuple[str, ...] = ()
    records: str = ""
    deadline: float = 4 * 3600.0
    site: str = ""
    text: str = ""
    lab: Mapping[str, Any] | None = field(default=None, repr=False)

    def as_json(self) -> str:
        """One line of JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def of_json(cls, text: str) -> Self:
        """A job as :meth:`as_json` wrote it."""
        values = json.loads(text)
        return cls(**{**values, "chapters": tuple(values["chapters"])})


@dataclass(frozen=True)
class JobEnd:
    """How a job ended.

    Arguments:
        customer: the customer's name.
        verb: the verb.
        state: what became of it.
        exit_code: the exit status that the run alone would have had.
        result: the run's result; empty where there was no run.
        run: the run's id; empty where none began.
        record: the record's folder; empty where there is none.
        chapters: each chapter's result.
        changes: how many properties it changed, or would change.
        steps: how many steps ended with each result.
        seconds: how long it took.
        error: what went wrong, as errors say it: ``what``, ``next``, …
        worker: who carried it out, where that was another machine.
    """

    customer: str
    verb: str
    state: State
    exit_code: int = 1
    result: str = ""
    run: str = ""
    record: str = ""
    chapters: Mapping[str, str] = field(default_factory=dict)
    changes: int = 0
    steps: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    error: Mapping[str, Any] = field(default_factory=dict)
    worker: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return dataclasses.asdict(self)

    @classmethod
    def of_dict(cls, values: Mapping[str, Any]) -> Self:
        """From JSON-ready values; keys that it does not know are left out."""
        return cls(**{name.name: values[name.name] for name in dataclasses.fields(cls) if name.name in values})

    @property
    def sealed(self) -> bool:
        """Whether there is a record and it was brought to its end."""
        return bool(self.record) and (Path(self.record) / "manifest.json").is_file()

    @property
    def word(self) -> str:
        """How it ended, in a word: its result, or that it did not come to one."""
        return self.result if self.state == "done" and self.result else self.state

    @property
    def went_wrong(self) -> bool:
        """Whether somebody has to look: it failed, or it did not come to its end."""
        return self.exit_code not in (0, 3, 4)


def worst_exit(ends: list[JobEnd]) -> int:
    """The exit status of a batch: of the worst of its jobs. Failed, then invalid, differences, open steps."""
    codes = {end.exit_code for end in ends}
    return next((code for code in (1, 2, 3, 4) if code in codes), max(codes, default=0))
