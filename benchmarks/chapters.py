"""All chapters of one customer, against plain papermill on the same notebooks with the same parameters.

Compared within each round, verifying against one lab that was applied to before:

* ours: ``umkit verify``, the whole command
* command line: ``papermill`` once for each chapter, one after the other, as a shell loop does
* one process: papermill's Python interface and its default engine, all chapters in one process

``cold`` is one round without any byte code, as right after an installation: every module is compiled anew. The disk's
own cache stays, since only an administrator can drop it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import stage

from umkit.headless.run import ON_DEMAND

_ONE_PROCESS = """
import pathlib, sys, papermill
from papermill.iorw import read_yaml_file
out, parameters, *notebooks = sys.argv[1:]
values = {**read_yaml_file(parameters), "mode": "verify"}
for notebook in notebooks:
    papermill.execute_notebook(notebook, f"{out}/{pathlib.Path(notebook).name}", values, progress_bar=False)
"""


def notebooks() -> list[Path]:
    """The chapters that a run without names carries out."""
    there = sorted(stage.RUNBOOKS.glob("*.ipynb"))
    return [path for path in there if int(path.name.partition("-")[0]) < ON_DEMAND]


def loop(folder: Path, customer: Path, env: Mapping[str, str]) -> float:
    """Seconds of plain papermill, chapter by chapter."""
    program = str(Path(sys.executable).with_name("papermill"))
    out = folder / "papermill"
    out.mkdir(exist_ok=True)
    seconds = 0.0
    for path in notebooks():
        command = [program, str(path), str(out / path.name), "-f", str(customer), "-p", "mode", "verify"]
        seconds += stage.timed([*command, "--no-progress-bar"], folder, env)
    return seconds


def measured(folder: Path, customer: Path, env: Mapping[str, str]) -> dict[str, float]:
    """One round."""
    umkit = [sys.executable, "-m", "umkit", "verify", str(customer), "--records", str(folder / "records")]
    one = [sys.executable, "-c", _ONE_PROCESS, str(folder), str(customer), *map(str, notebooks())]
    # a verify that tells differences, open steps, or what only a person can mend has done its work
    ours = stage.timed(umkit, stage.ROOT, env, good=(0, 1, 3, 4))
    newest = max(path for path in (folder / "records" / customer.stem).iterdir() if not path.name.startswith("."))
    if (done := len([*newest.glob("notebooks/*.ipynb")])) != len(notebooks()):
        raise RuntimeError(f"{newest.name} has {done} notebooks")
    return {
        "ours": ours,
        "command line": loop(folder, customer, env),
        "one process": stage.timed(one, folder, env),
    }


def part(rounds: int) -> dict[str, Any]:
    """Measure, print a table, and give the figures."""
    made = {}
    for organisation in stage.ORGANISATIONS:
        with tempfile.TemporaryDirectory() as temporary, stage.lab(organisation) as described:
            folder, env = Path(temporary), stage.environment(described)
            (customer,) = stage.customers(organisation, 1, folder)
            apply = [sys.executable, "-m", "umkit", "apply", str(customer), "--records", str(folder / "records")]
            subprocess.run(apply, cwd=stage.ROOT, env=env, capture_output=True, check=False)
            cold_env = {**env, "PYTHONPYCACHEPREFIX": str(folder / "cache")}
            cold = measured(folder, customer, cold_env | {"PYTHONDONTWRITEBYTECODE": "1"})
            rows = stage.repeated(rounds, lambda: measured(folder, customer, env), f"chapters, {organisation}")  # noqa: B023
        print(stage.head(f"All {len(notebooks())} chapters of {organisation}, verify"))
        for label, value, bound in (
            ("seconds of umkit verify", stage.spread([row["ours"] for row in rows]), ""),
            ("seconds of plain papermill, chapter by chapter", stage.spread([r["command line"] for r in rows]), ""),
            (
                "seconds of papermill's default engine in one process",
                stage.spread([r["one process"] for r in rows]),
                "",
            ),
            ("  ratio to the command line", stage.ratio(rows, "ours", "command line"), "≤ 0.15"),
            ("  ratio to one process", stage.ratio(rows, "ours", "one process"), "≤ 0.5"),
            ("  ratio to the command line, cold (once)", stage.ratio([cold], "ours", "command line"), ""),
            ("  ratio to one process, cold (once)", stage.ratio([cold], "ours", "one process"), ""),
        ):
            print(stage.line(label, value, bound))
        made[organisation] = {"cold": cold, "warm": rows}
    return made
