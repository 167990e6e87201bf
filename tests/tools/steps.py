"""Write docs/steps.md: every step, its chapter, cell, kind, guard, and the tests that speak of it.

    python tests/tools/steps.py

A test holds the committed file equal to what this makes.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from umkit.chapters import chapters

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "docs" / "steps.md"

HEAD = """\
# Every step

Made by `python tests/tools/steps.py` from `umkit/chapters.yaml`, the notebooks and the tests; do not edit by hand.
*Beyond* marks what the vendor's page does not have. A guard is the consent in the customer's file without which the
step changes nothing.

| Step | What it does | Chapter | Cell | Kind | Guard | Beyond | Tests |
|---|---|---|---|---|---|---|---|
"""


def made() -> str:
    """The table as it should be."""
    tests = {path: path.read_text("utf-8") for path in sorted((ROOT / "tests").rglob("test_*.py"))}
    tests |= {path: path.read_text("utf-8") for path in sorted((ROOT / "tests" / "resources").glob("*.yaml"))}
    lines = []
    for name, info in chapters().items():
        cells = json.loads((ROOT / "runbooks" / f"{name}.ipynb").read_text("utf-8"))["cells"]
        numbers = {cell["id"]: number for number, cell in enumerate(cells, 1)}
        for step in info.steps:
            word = re.compile(rf"\b{re.escape(step.id)}\b")
            speak = [path.relative_to(ROOT / "tests").as_posix() for path, text in tests.items() if word.search(text)]
            chapter = f"[{name}](../runbooks/{name}.ipynb)"
            fields = [step.id, step.title, chapter, str(numbers[step.id]), step.kind, step.guard]
            fields += ["yes" if step.beyond else "", ", ".join(f"`{path}`" for path in speak)]
            lines.append("| " + " | ".join(fields) + " |")
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(made(), "utf-8", newline="\n")
