"""Batches of 1, 10 and 100 customers with 1, 2 and 4 jobs, against plain papermill in a shell loop.

A loop's time is the sum of its customers' times, so it is measured for one customer in each round and multiplied.
Memory is that of the batch's own process and of the largest process below it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import chapters
import stage

ORGANISATION = "clean-2019-dag"


def measured(
    folder: Path, files: Sequence[Path], jobs: int, env: Mapping[str, str], *, with_loop: bool = True
) -> dict[str, float]:
    """One batch, and the loop for one customer."""
    loop = chapters.loop(folder, files[0], env) if with_loop else 0.0
    command = [sys.executable, "-m", "umkit", "batch", *map(str, files), "--jobs", str(jobs)]
    command += ["--records", str(folder / "records")]
    begun = time.perf_counter()
    with subprocess.Popen(command, cwd=stage.ROOT, env=dict(env), stderr=subprocess.PIPE, text=True) as process:
        memory = stage.Memory(process.pid)
        _, said = process.communicate()
        seconds = time.perf_counter() - begun
        memory.end()
    if process.returncode not in (0, 3, 4):
        raise RuntimeError(said[-2000:])
    number = len(files)
    return {
        "seconds": seconds,
        "each": seconds / number,
        "loop": loop * number,
        "parent MiB": memory.parent,
        "child MiB": memory.child,
    }


def part(rounds: int, sizes: Sequence[int], jobs: Sequence[int], large: int) -> dict[str, Any]:
    """Measure, print a table, and give the figures.

    Arguments:
        rounds: rounds of each combination.
        sizes: numbers of customers.
        jobs: numbers of jobs.
        large: rounds where there are more than 10 customers.
    """
    made: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary, stage.lab(ORGANISATION) as described:
        folder, env = Path(temporary), stage.environment(described)
        files = stage.customers(ORGANISATION, max(sizes), folder / "parameters")
        apply = [sys.executable, "-m", "umkit", "apply", str(files[0]), "--records", str(folder / "records")]
        subprocess.run(apply, cwd=stage.ROOT, env=env, capture_output=True, check=False)
        print(stage.head(f"Batches of {ORGANISATION}, verify of all chapters"))
        for number in sizes:
            for at_once in jobs:
                rows = stage.repeated(
                    large if number > 10 else rounds,
                    lambda: measured(folder, files[:number], at_once, env),  # noqa: B023
                    f"batch of {number}, {at_once} at once",
                )
                made[f"{number} customers, {at_once} jobs"] = rows
                bound = "≤ 0.12" if (number, at_once) == (max(sizes), 2) else ""
                label = f"{number} customers, {at_once} jobs"
                print(stage.line(f"{label}: ratio to a loop of papermill", stage.ratio(rows, "seconds", "loop"), bound))
                for name in ("each", "parent MiB", "child MiB"):
                    unit = "seconds each" if name == "each" else name
                    print(stage.line(f"{label}: {unit}", stage.spread([row[name] for row in rows])))
    for at_once in jobs if len(sizes) > 1 else ():
        ten, hundred = (made[f"{number} customers, {at_once} jobs"] for number in sizes[-2:])
        growth = _against(hundred, ten, "each", lambda now, then: now / then - 1)
        memory = _against(hundred, ten, "parent MiB", lambda now, then: now - then)
        label = f"from {sizes[-2]} to {sizes[-1]} customers, {at_once} jobs"
        print(stage.line(f"{label}: growth of the time each", growth, "< 0.10"))
        print(stage.line(f"{label}: growth of the parent, MiB", memory, "< 30"))
    return made


def _against(
    rows: Sequence[Mapping[str, float]],
    earlier: Sequence[Mapping[str, float]],
    name: str,
    compared: Callable[[float, float], float],
) -> dict[str, float]:
    """One figure of some rounds against the median of other rounds."""
    then = stage.spread([row[name] for row in earlier])["median"]
    return {key: compared(now, then) for key, now in stage.spread([row[name] for row in rows]).items()}
