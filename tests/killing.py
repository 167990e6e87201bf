"""Runs that are killed from one moment to the next: the process, its kernel, or both."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence

import crash
import psutil

from umkit import record
from umkit.journal import read
from umkit.lock import CustomerLock

VICTIMS = ("all", "kernel", "parent")
#: Seconds for one run of the command line.
_LONGEST = 180


def moment(choice: random.Random, scenes: Sequence[crash.Scene]) -> tuple[crash.Scene, int, str]:
    """A chapter that changes something, a request of it, and who is killed when it arrives."""
    scene = choice.choice([each for each in scenes if each.changing])
    at = choice.choice([choice.randint(1, scene.requests), choice.choice(scene.carrying)[0]])
    return scene, at, choice.choice(VICTIMS)


def play(stage: crash.Stage, scene: crash.Scene, at: int, victim: str) -> crash.Verdict:
    """Kill an apply when its n-th request arrives, apply again, and judge both."""
    with stage.case() as folder, crash.laid_out(scene.begin, folder) as place:
        records = folder / "records"
        stage.attest(scene, records)

        folders = ["--parameters", str(crash.CUSTOMER.parent), "--records", str(records)]

        def apply() -> subprocess.Popen[str]:
            return subprocess.Popen(
                [sys.executable, "-m", "umkit", "apply", "crash", "--chapter", scene.chapter, "--json", *folders],
                cwd=crash.ROOT,
                env={**os.environ, "UMKIT_LAB": json.dumps(place.lab.describe()), "PYTHONPATH": str(crash.ROOT)},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
            )

        begun: list[subprocess.Popen[str]] = []
        place.faults.calls[at] = lambda: _kill(begun[0], victim)
        begun.append(apply())
        _, said = _end(begun[0])
        died = place.faults.calls.pop(at, None) is None  # else it ended before
        problems = []
        if "Traceback" in said:
            problems.append(f"it ended with a traceback: {said[-500:]}")
        if CustomerLock(records / "crash").is_held():
            problems.append("the lock of a killed run is held")
        second = apply()
        out, said = _end(second)
        first, *_, last = sorted((records / "crash").glob("*-apply*"))
        try:
            calm = crash.calm(json.loads(out)["chapters"])
        except ValueError:
            calm = {}
        if calm != scene.settled:
            problems.append(f"the following apply ended as {calm}, not as {scene.settled}: {said[-700:]}")
        problems += crash.differences(crash.flat(place.lab.state()), scene.end)
        problems += [f"{last.name}: {finding}" for finding in record.verify(last)]
        findings = record.verify(first)
        if died and victim != "kernel":
            unsealed = [finding for finding in findings if "not sealed" in finding]
            if not unsealed:
                problems.append("the record of a killed run does not say so")
            findings = [finding for finding in findings if finding not in unsealed]
        else:
            problems += crash.unexplained(read(first / "journal.jsonl")) if not died else []
        problems += [f"{first.name}: {finding}" for finding in findings if not finding.explained]
        again = crash.repeated(place.received())
        problems += [f"sent twice without a read between: {each}" for each in again]
        return crash.Verdict(died, len(again), problems)


def _end(run: subprocess.Popen[str]) -> tuple[str, str]:
    """What a run said; one that does not end is ended."""
    try:
        return run.communicate(timeout=_LONGEST)
    finally:
        run.kill()


def _kill(run: subprocess.Popen[str], victim: str) -> None:
    """Kill, in one breath, what is to die; the kernel that works is the oldest one."""
    parent = psutil.Process(run.pid)
    kernels = sorted(
        (each for each in parent.children() if "ipykernel_launcher" in " ".join(each.cmdline())),
        key=lambda each: each.create_time(),
    )
    doomed = {"all": [parent, *kernels], "kernel": kernels[:1], "parent": [parent]}[victim]
    for each in doomed:
        each.kill()
