"""How fast it is, as ratios: ``python benchmarks [PART]… [--rounds 5] [--json FILE]``.

Parts: ``wire`` (requests and time of one run against a bare script), ``chapters`` (all chapters against plain
papermill) and ``batch`` (many customers against papermill in a loop); without any, all three. See each part's own text
for what it does, and stage.py for how noise is dealt with. ``benchmarks/cockpit.py`` needs a browser and stands alone.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import batch
import chapters
import stage
import wire

PARTS = ("wire", "chapters", "batch")


def main() -> None:
    """Measure, print tables, and write JSON where asked."""
    parser = argparse.ArgumentParser(
        prog="python benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="wire, chapters or batch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--customers", default="1,10,100", help="numbers of customers of the batches")
    parser.add_argument("--jobs", default="1,2,4", help="numbers of jobs of the batches")
    parser.add_argument("--large-rounds", type=int, default=5, help="rounds of batches of more than 10 customers")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    wanted = options.parts or PARTS
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    made: dict[str, Any] = {"machine": stage.machine()}
    if "wire" in wanted:
        made["wire"] = wire.part(options.rounds)
    if "chapters" in wanted:
        made["chapters"] = chapters.part(options.rounds)
    if "batch" in wanted:
        sizes, jobs = ([int(number) for number in text.split(",")] for text in (options.customers, options.jobs))
        made["batch"] = batch.part(options.rounds, sizes, jobs, options.large_rounds)
    if options.json:
        options.json.write_text(json.dumps(made, indent=1), "utf-8")


if __name__ == "__main__":
    main()
