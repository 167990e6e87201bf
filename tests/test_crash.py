"""The connection breaks at a request, or the run is killed: nothing is repeated blindly, and the next apply mends it.

A sample, for a minute or two; ``python tests/tools/crash.py --all`` does the whole.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import crash
import killing
import pytest

KILLS = len(killing.VICTIMS)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[crash.Stage]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UMKIT_CRASH_INITIAL", "Anfang-4711-geheim")
        yield crash.Stage(tmp_path_factory.mktemp("crash"))


@pytest.fixture(scope="module")
def scenes(stage: crash.Stage) -> dict[str, crash.Scene]:
    """Every chapter, from where the ones before it end; its undisturbed runs."""
    return {scene.chapter: scene for scene in stage.scenes(steps=True)}


def sample(scenes: dict[str, crash.Scene], stage: crash.Stage, chapter: str) -> Iterator[tuple[crash.Scene, str, int]]:
    """One request of every third chapter as a whole, and two moments of each cmdlet that no earlier chapter sends.

    One of these is the most dangerous there is: it was done and nobody said so. The other ways take turns.
    """
    turn = crash.CHAPTERS.index(chapter)
    whole = scenes[chapter]
    if turn % 3 == 0:
        yield whole, crash.FAULTS[turn // 3 % 3], 1 + turn * 37 % whole.requests
    seen = {name for each in crash.CHAPTERS[:turn] for _, name in scenes[each].changing}
    others = [("drop-before", 0), ("drop-before", 1), ("lose-shell", 0), ("drop-after", 1), ("lose-shell", 1)]
    for scene in whole.alone(stage, without=seen):
        for at, name in scene.changing:
            if name in seen:
                continue
            seen.add(name)
            turn += 1
            yield scene, "drop-after", at
            fault, later = others[turn % len(others)]
            yield scene, fault, at + later


@pytest.mark.parametrize("chapter", crash.CHAPTERS)
def test_a_connection_that_breaks(stage: crash.Stage, scenes: dict[str, crash.Scene], chapter: str) -> None:
    problems = []
    for scene, fault, at in sample(scenes, stage, chapter):
        found = stage.play(scene, fault, at).problems
        problems += [f"{scene.step or 'whole chapter'}, {fault} at {at}: {problem}" for problem in found]
    assert problems == []


def test_what_is_sent_is_much(scenes: dict[str, crash.Scene]) -> None:
    """The customer asks for everything: a sample of little would show little."""
    sent = {name for scene in scenes.values() for _, name in scene.changing}
    print(f"{sum(scene.requests for scene in scenes.values())} requests, {len(sent)} changing cmdlets")
    assert {"Remove-RemoteDomain", "New-Mailbox", "Restart-Service", "Set-Content", "Add-ADPermission"} <= sent
    assert sum(len(scene.changing) for scene in scenes.values()) >= 70


@pytest.mark.parametrize("number", [0, *(pytest.param(each, marks=pytest.mark.long) for each in range(1, KILLS))])
def test_a_run_that_is_killed(stage: crash.Stage, scenes: dict[str, crash.Scene], number: int) -> None:
    choice = random.Random(number)
    scene, at, _ = killing.moment(choice, list(scenes.values()))
    victim = killing.VICTIMS[number]
    assert killing.play(stage, scene, at, victim).problems == [], (scene.chapter, at, victim)
