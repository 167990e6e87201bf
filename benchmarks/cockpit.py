"""How soon a chapter that is opened in JupyterLab shows its plan.

    python benchmarks/cockpit.py [--rounds 5] [--chapter 02-message-formats] [--json FILE]

One cockpit (`umkit open lab`, which brings its lab along) and one browser serve all rounds. Each round opens the
chapter in a browser that knows nothing yet, with a kernel of its own. Measured in seconds, medians are shown:

* page: from the address to the chapter being visible
* kernel: from there until its kernel answers and has nothing to do
* first card: from *Run All Cells* to the first step's card, that is the first plan once the kernel is up
* all cards: from *Run All Cells* to the end of the last cell

It needs what the browser tests need: the extra `browser` and a Chromium.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "browser"))

from cockpit_page import ChapterPage, Cockpit
from playwright.sync_api import Browser, expect, sync_playwright

from umkit.chapters import chapter as chapter_named

NAMES = ("chromium", "chromium-browser", "google-chrome", "msedge")


def measured(browser: Browser, cockpit: Cockpit, chapter: str) -> dict[str, float]:
    """One round: seconds for each part."""
    first = chapter_named(chapter).steps[0].id
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    opened = ChapterPage(context.new_page(), cockpit, chapter)
    marks = [time.perf_counter()]
    opened.page.goto(cockpit.url(chapter))
    expect(opened.panel.locator(".jp-Cell").first).to_be_visible()
    marks.append(time.perf_counter())
    opened.wait_for_kernel()
    marks.append(time.perf_counter())
    opened.start_all()
    opened.card(first)
    card = time.perf_counter()
    opened.wait_for_all()
    end = time.perf_counter()
    opened.shut_down()
    context.close()
    return {
        "page": marks[1] - marks[0],
        "kernel": marks[2] - marks[1],
        "first card": card - marks[2],
        "all cards": end - marks[2],
    }


def main() -> None:
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--chapter", default="02-message-formats")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    path = os.environ.get("UMKIT_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    rows = []
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        begun = time.perf_counter()
        cockpit = Cockpit(Path(temporary))
        start = time.perf_counter() - begun
        browser = playwright.chromium.launch(executable_path=path)
        try:
            for number in range(options.rounds):
                rows.append(measured(browser, cockpit, options.chapter))
                print(f"round {number + 1}: {rows[-1]}", file=sys.stderr)
        finally:
            browser.close()
            cockpit.stop()
    middle = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    print(f"{options.chapter + ', seconds':<40}{'median':>8}{'least':>8}{'most':>8}")
    for name, value in middle.items():
        print(f"{name:<40}{value:>8.2f}{min(r[name] for r in rows):>8.2f}{max(r[name] for r in rows):>8.2f}")
    print(f"{'umkit open, until it answers (once)':<40}{start:>8.2f}")
    if options.json:
        made = {
            "when": datetime.now().astimezone().isoformat(),
            "processors": os.cpu_count(),
            "chapter": options.chapter,
            "start": start,
            "rounds": rows,
            "median": middle,
        }
        options.json.write_text(json.dumps(made, indent=1), "utf-8")


if __name__ == "__main__":
    main()
