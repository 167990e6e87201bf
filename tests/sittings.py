"""A person's work on a chapter without a browser: cells run as in JupyterLab, against a lab that is spoken to."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from umkit import runbook
from umkit.customer import SECTIONS
from umkit.lab import Lab
from umkit.panels.end import EndPanel
from umkit.panels.step import StepPanel
from umkit.record import verify
from umkit.runbook import Chapter
from umkit.sitting import Sitting

ROOT = Path(__file__).resolve().parents[1]


class Desk:
    """A lab, a folder of records, and a chapter's notebook open at a person's.

    Arguments:
        lab: the lab.
        folder: for the records.
        patch: sets what JupyterLab would.
    """

    def __init__(self, lab: Lab, folder: Path, patch: pytest.MonkeyPatch, trace: Path) -> None:
        self.lab, self.records, self.trace = lab, folder / "records", trace
        patch.setattr(runbook, "attended", lambda: True)
        for name in ("_sat", "_open"):  # a kernel of its own
            patch.setattr(runbook, name, [])
        patch.setenv("UMKIT_LAB", json.dumps(lab.describe()))
        patch.setenv("UMKIT_RECORDS", str(self.records))
        for name in ("UMKIT_HEADLESS", "UMKIT_RECORD"):
            patch.delenv(name, raising=False)
        self.names: dict[str, Any] = {}
        self._cells: dict[str, str] = {}

    def open(self, chapter: str, **sections: Any) -> Chapter:
        """Run a chapter's cells up to the one that makes it, with some sections of the customer file replaced."""
        notebook = json.loads((ROOT / "runbooks" / f"{chapter}.ipynb").read_text("utf-8"))
        self._cells = {c["id"]: "".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"}
        self.names = {}
        self.run("inputs")
        for name, change in sections.items():
            assert name in SECTIONS
            now = self.names.get(name)
            self.names[name] = now | change if isinstance(now, dict) and isinstance(change, dict) else change
        made = self.run("chapter")
        assert isinstance(made, Chapter)
        return made

    def run(self, cell: str) -> Any:
        """Run one cell; gives the value of its last line, as Jupyter shows it."""
        tree = ast.parse(self._cells[cell])
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, cell, "exec"), self.names)
        if last is None:
            return None
        assert isinstance(last, ast.Expr)
        return eval(compile(ast.Expression(last.value), cell, "eval"), self.names)

    def step(self, step: str) -> StepPanel:
        """Run a step's cell; its panel."""
        panel = self.run(step)
        assert isinstance(panel, StepPanel)
        return panel

    def end(self) -> EndPanel:
        """Run the last cell; its panel."""
        panel = self.run("end")
        assert isinstance(panel, EndPanel)
        return panel

    @property
    def sitting(self) -> Sitting:
        """The sitting of the chapter that is open."""
        sitting = self.names["chapter"].sitting
        assert isinstance(sitting, Sitting)
        return sitting

    def settle(self) -> None:
        """Wait until all that was begun has ended."""
        self.sitting.run(lambda: None).result(60)

    def press(self, panel: StepPanel | EndPanel, name: str) -> None:
        """Press a button that is shown, by its words, and wait for what it begins."""
        shown = panel.offered if isinstance(panel, StepPanel) else panel.buttons.children
        buttons = {each.description: each for each in shown if hasattr(each, "click")}
        assert name in buttons, f"there is no button {name}, only {', '.join(buttons)}"
        buttons[name].click()
        self.settle()

    def mutating(self) -> list[str]:
        """Names of the changing commands that the lab received so far."""
        if not self.trace.exists():
            return []
        lines = [json.loads(line) for line in self.trace.read_text("utf-8").splitlines()]
        return [one["name"] for line in lines if line["mutating"] for one in line["commands"]]

    def folders(self) -> list[Path]:
        """The records so far, oldest first."""
        return sorted(path.parent for path in self.records.glob("*/*/journal.jsonl"))

    def sound(self, folder: Path) -> bool:
        """Whether a record is sealed and as it was written."""
        return not verify(folder)


def offered(panel: StepPanel) -> Sequence[str]:
    """The words of the buttons that are shown; the one that copies is left aside."""
    return [each.description for each in panel.offered if hasattr(each, "click")]
