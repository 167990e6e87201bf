"""The connection breaks at a request, or the run is killed: nothing is repeated blindly, and the next apply mends it.

A sample; ``python tests/tools/crash.py --all`` does the whole.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import crash
import killing
import pytest

KILLS = 4
#: Of the requests that carry nothing changing, every so many-th.
STRIDE = 40


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[crash.Stage]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UMKIT_CRASH_INITIAL", "Anfang-4711-geheim")
        yield crash.Stage(tmp_path_factory.mktemp("crash"))


@pytest.fixture(scope="module")
def scenes(stage: crash.Stage) -> dict[str, crash.Scene]:
    """Every chapter, from where the ones before it end; its undisturbed runs."""
    return {scene.chapter: scene for scene in stage.scenes(steps=True)}


@pytest.mark.parametrize("chapter", crash.CHAPTERS)
def test_a_connection_that_breaks(stage: crash.Stage, scenes: dict[str, crash.Scene], chapter: str) -> None:
    whole, problems = scenes[chapter], list[str]()
    cases = 0
    for number, at in enumerate(range(STRIDE // 2, whole.requests, STRIDE)):
        fault = crash.FAULTS[number % len(crash.FAULTS)]
        problems += [f"{fault} at {at}: {problem}" for problem in stage.play(whole, fault, at).problems]
        cases += 1
    seen: set[str] = set()
    for scene in whole.alone(stage, without=seen):
        for at, name in scene.carrying:
            if name in seen:
                continue  # of each cmdlet of a chapter, the first one
            for fault in crash.FAULTS:
                found = stage.play(scene, fault, at).problems
                problems += [f"{scene.step} {name}, {fault} at {at}: {problem}" for problem in found]
                cases += 1
        seen |= {name for _, name in scene.changing}
    assert problems == []
    assert cases
    print(f"{chapter}: {whole.requests} requests, {len(whole.changing)} of them changing; {cases} cases")


@pytest.mark.parametrize("number", range(KILLS))
def test_a_run_that_is_killed(stage: crash.Stage, scenes: dict[str, crash.Scene], number: int) -> None:
    choice = random.Random(number)
    scene, at, _ = killing.moment(choice, list(scenes.values()))
    victim = killing.VICTIMS[number % len(killing.VICTIMS)]
    assert killing.play(stage, scene, at, victim).problems == [], (scene.chapter, at, victim)
