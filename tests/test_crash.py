"""The connection breaks at a request, or the run is killed: nothing is repeated blindly, and the next apply mends it.

A sample; ``python tests/tools/crash.py --all`` does the whole.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import crash
import killing
import pytest

KILLS = 4


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
    """One request of the whole chapter; of each cmdlet that no earlier chapter sends, the command and its answer.

    The faults take turns, but where the answer to the command itself is lost, the danger is greatest: always that.
    """
    turn = crash.CHAPTERS.index(chapter)
    whole = scenes[chapter]
    yield whole, crash.FAULTS[turn % 3], 1 + turn * 37 % whole.requests
    seen = {name for each in crash.CHAPTERS[:turn] for _, name in scenes[each].changing}
    for scene in whole.alone(stage, without=seen):
        for at, name in scene.changing:
            if name in seen:
                continue
            seen.add(name)
            turn += 1
            yield scene, "drop-after", at
            yield scene, ("drop-before", "lose-shell")[turn % 2], at
            yield scene, crash.FAULTS[turn % 3], at + 1


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


@pytest.mark.parametrize("number", range(KILLS))
def test_a_run_that_is_killed(stage: crash.Stage, scenes: dict[str, crash.Scene], number: int) -> None:
    choice = random.Random(number)
    scene, at, _ = killing.moment(choice, list(scenes.values()))
    victim = killing.VICTIMS[number % len(killing.VICTIMS)]
    assert killing.play(stage, scene, at, victim).problems == [], (scene.chapter, at, victim)
