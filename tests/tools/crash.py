"""Break every request of a full apply in every way, and kill runs: prints the counts (issue "Crash at every request").

python tests/tools/crash.py --all                  every request, each fault, 50 kills; hours of one core
python tests/tools/crash.py --every 10 --jobs 2    every tenth, and all that carry a changing command or its answer
python tests/tools/crash.py --by-step --every 1    every request of each step that is run alone: much faster
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

import crash  # noqa: E402  # it stands in the folder above
import killing  # noqa: E402

KILLS = 50


def main() -> int:
    """Play the chosen cases; the exit status is 1 where a problem was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="every request, and 50 kills")
    parser.add_argument("--every", type=int, default=0, help="every n-th request; 0: only those of changing commands")
    parser.add_argument("--kills", type=int, default=0, help="how many runs are killed")
    parser.add_argument("--by-step", action="store_true", help="play steps alone that change something, not chapters")
    parser.add_argument("--chapter", default="", help="only chapters whose names begin so, with commas between them")
    parser.add_argument("--jobs", type=int, default=1, help="processes that share the cases")
    parser.add_argument("--job", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--part", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    every, kills = (1, KILLS) if given.all else (given.every, given.kills)
    if given.jobs > 1 and not given.part:
        command = [sys.executable, __file__, *sys.argv[1:], "--part"]
        parts = [
            subprocess.Popen([*command, "--job", str(number)], stdout=subprocess.PIPE, text=True)
            for number in range(given.jobs)
        ]
        counts: Counter[tuple[str, str]] = Counter()
        for part in parts:
            for chapter, what, number in json.loads(part.communicate()[0].splitlines()[-1]):
                counts[chapter, what] = counts[chapter, what] + number
        for chapter, what in counts:
            if what in ("requests", "changing"):  # every process counted all of them
                counts[chapter, what] //= given.jobs
    else:
        counts = play(every, kills, given)
    if given.part:
        print(json.dumps([[*key, number] for key, number in counts.items()]))
    else:
        table(counts)
    return 1 if any(what == "bad" and number for (_, what), number in counts.items()) else 0


def play(every: int, kills: int, given: argparse.Namespace) -> Counter[tuple[str, str]]:
    """Play one process's share of the cases; Ctrl-C ends that, and what was counted until then is told."""
    counts: Counter[tuple[str, str]] = Counter()
    folder = Path(tempfile.mkdtemp(prefix="umkit-crash-"))
    with contextlib.suppress(KeyboardInterrupt):
        cases(every, kills, given, folder, counts)
    if not any(what == "bad" and number for (_, what), number in counts.items()):
        shutil.rmtree(folder, ignore_errors=True)
    return counts


def cases(every: int, kills: int, given: argparse.Namespace, folder: Path, counts: Counter[tuple[str, str]]) -> None:
    """Play the cases, and count them."""
    number = 0
    os.environ["UMKIT_KEYS"] = str(folder / "keys")  # nobody's own key signs these records
    stage = crash.Stage(folder)
    chapters = []
    for chapter in stage.scenes(steps=given.by_step):
        chapters.append(chapter)
        counts[chapter.chapter, "requests"] += chapter.requests
        counts[chapter.chapter, "changing"] += len(chapter.changing)
        if not chapter.chapter.startswith(tuple(given.chapter.split(","))):
            continue
        for scene in chapter.alone(stage) if given.by_step else [chapter]:
            carrying = {at for at, _ in scene.carrying}
            chosen = carrying | set(range(1, scene.requests + 1, every) if every else ())
            for at in sorted(chosen):
                for fault in crash.FAULTS:
                    number += 1
                    if number % given.jobs == given.job:
                        tell(counts, scene, f"{fault} at {at}", stage.play(scene, fault, at))
    moments = random.Random(4711)
    for each in range(kills):
        scene, at, victim = killing.moment(moments, chapters)
        if each % given.jobs == given.job:
            tell(counts, scene, f"kill {victim} at {at}", killing.play(stage, scene, at, victim), "SIGKILL")


def tell(
    counts: Counter[tuple[str, str]], scene: crash.Scene, what: str, verdict: crash.Verdict, row: str = ""
) -> None:
    """Count one case, and say at once what is wrong."""
    row = row or scene.chapter
    counts[row, "cases"] += 1
    counts[row, "error" if verdict.error else "went on"] += 1
    counts[row, "repeated"] += verdict.repeated
    counts[row, "bad" if verdict.problems else "recovered"] += 1
    for problem in verdict.problems:
        print(f"{scene.chapter} {scene.step} {what}: {problem}", file=sys.stderr, flush=True)


def table(counts: Counter[tuple[str, str]]) -> None:
    """Print the counts, one line a chapter."""
    columns = ("requests", "changing", "cases", "error", "went on", "recovered", "repeated", "bad")
    rows = list(dict.fromkeys(row for row, _ in counts))
    print(f"{'chapter':28}" + "".join(f"{column:>11}" for column in columns))
    for row in rows:
        print(f"{row:28}" + "".join(f"{counts[row, column]:>11}" for column in columns))
    print(f"{'all':28}" + "".join(f"{sum(counts[row, column] for row in rows):>11}" for column in columns))


if __name__ == "__main__":
    begun = time.monotonic()
    status = main()
    if "--part" not in sys.argv:
        print(f"{time.monotonic() - begun:.0f} s")
    sys.exit(status)
