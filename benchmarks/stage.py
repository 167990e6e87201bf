"""What the benchmarks share: a lab in a process of its own, customers for it, and how noise is dealt with.

Noise: what is compared alternates within each round, on the same machine and the same lab; a ratio is taken within a
round, and the median of the rounds' ratios is shown, with the least and the most beside it. Absolute times are the
machine's and mean nothing elsewhere.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import yaml

ROOT = Path(__file__).resolve().parents[1]
RUNBOOKS = ROOT / "runbooks"
#: Lab organisations: a small clean one, and one that years of migrations left behind; each with a customer file.
ORGANISATIONS = {
    "clean-2019-dag": ROOT / "parameters" / "lab.yaml",
    "migrated-mess": ROOT / "tests" / "parameters" / "mess.yaml",
}


@contextmanager
def lab(organisation: str, trace: Path | None = None) -> Iterator[dict[str, Any]]:
    """A lab in a process of its own, so that its work is not counted as ours: what it says of itself."""
    command = [sys.executable, "-m", "umkit", "lab", "--json", "--organisation", organisation]
    command += ["--trace", str(trace)] if trace else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def requests_of(described: Mapping[str, Any]) -> int:
    """HTTP requests that a lab has answered."""
    with urllib.request.urlopen(described["control"] + "requests", timeout=30) as answer:
        return int(json.load(answer)["requests"])


def customers(organisation: str, number: int, folder: Path) -> list[Path]:
    """So many customer files for one organisation, each with a name of its own."""
    text = ORGANISATIONS[organisation].read_text("utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for count in range(number):
        values = yaml.safe_load(text)
        name = f"customer{count + 1:03}"
        values["customer"]["name"] = name
        if values.get("consent"):
            values["consent"]["customer"] = name
        paths.append(folder / f"{name}.yaml")
        paths[-1].write_text(yaml.safe_dump(values, sort_keys=False), "utf-8")
    return paths


def environment(described: Mapping[str, Any]) -> dict[str, str]:
    """The environment of a process that is to speak to this lab; byte code is kept, as an installation keeps it."""
    env = {**os.environ, "UMKIT_LAB": json.dumps(dict(described))}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return env


def timed(command: Sequence[str], folder: Path, env: Mapping[str, str], good: Collection[int] = (0,)) -> float:
    """Seconds that a command takes; what it prints is left aside.

    Arguments:
        command: program and arguments.
        folder: where it runs.
        env: its environment.
        good: exit statuses that it may end with.
    """
    begun = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=dict(env), capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode not in good:
        raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr[-2000:]}")
    return seconds


class Memory:
    """The most memory that a process and its largest descendant took, in MiB, looked at ten times a second."""

    def __init__(self, pid: int) -> None:
        self.parent = self.child = 0.0
        self._process = psutil.Process(pid)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Look no longer."""
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.1):
            try:
                self.parent = max(self.parent, self._process.memory_info().rss / 2**20)
                children = self._process.children(recursive=True)
            except psutil.Error:
                return
            for child in children:
                try:
                    self.child = max(self.child, child.memory_info().rss / 2**20)
                except psutil.Error:
                    continue


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and most."""
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def ratio(rounds: Sequence[Mapping[str, float]], part: str, whole: str) -> dict[str, float]:
    """The ratio of two figures, taken within each round."""
    return spread([row[part] / row[whole] for row in rounds])


def line(label: str, value: Mapping[str, float], bound: str = "") -> str:
    """One line of a table."""
    return f"{label:<66}{value['median']:>9.3f}{value['least']:>9.3f}{value['most']:>9.3f}  {bound}"


def head(title: str) -> str:
    """The head of a table."""
    return f"\n{title:<66}{'median':>9}{'least':>9}{'most':>9}"


def machine() -> dict[str, Any]:
    """When and where it was measured."""
    return {
        "when": datetime.now().astimezone().isoformat(timespec="seconds"),
        "processors": os.cpu_count(),
        "load before": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def repeated(rounds: int, measure: Callable[[], dict[str, float]], what: str) -> list[dict[str, float]]:
    """Measure so often; each round is told on standard error as it ends."""
    rows = []
    for number in range(rounds):
        rows.append(measure())
        figures = ", ".join(f"{name} {value:.2f}" for name, value in rows[-1].items())
        print(f"{what}, round {number + 1} of {rounds}: {figures}", file=sys.stderr, flush=True)
    return rows
