"""Reduce the shared cmdlet reference to the tables that the lab ships.

Run it when the reference changed:

    python tests/tools/reduce_cmdlets.py SHARED/reference umkit/lab/data

What stays: parameter types, aliases, positions, value lists, ranges, which
values may be unlimited or hashtables, and the parameter sets that apply to
Exchange 2016 or 2019 with the parameters in them. Two things are put right on
the way: throttling limits documented as UInt32 are integer or Unlimited since
2013 (reference/exchange.md §1), and a parameter required in its only set is
required there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

_KEPT = (
    *("type", "aliases", "position", "values", "numeric_values", "range", "accepts_unlimited", "byte_units"),
    *("add_remove_hashtable", "provider", "clr_type"),
)


def _parameters(cmdlet: str, entries: dict[str, Any], sets: list[dict[str, Any]]) -> dict[str, Any]:
    reduced = {}
    in_a_set = {name for entry in sets for name in entry["parameters"]}
    for name, entry in entries.items():
        if name not in in_a_set:
            continue
        kept = {key: entry[key] for key in _KEPT if key in entry}
        if cmdlet.endswith("-ThrottlingPolicy") and kept["type"] == "UInt32":
            kept |= {"type": "Unlimited", "accepts_unlimited": True}
        reduced[name] = kept
    return reduced


def _sets(entries: list[dict[str, Any]], parameters: dict[str, Any]) -> list[dict[str, Any]]:
    reduced = []
    for entry in entries:
        if not (entry.get("exchange2016", True) or entry.get("exchange2019", True)):
            continue
        names = [name for name in entry["parameters"] if name in parameters]
        required = [name for name in entry.get("required", []) if name in parameters]
        alone = [
            name
            for name in names
            if parameters[name].get("required") and sum(name in other["parameters"] for other in entries) == 1
        ]
        kept = {
            "name": entry["name"],
            "parameters": names,
            "required": required + [name for name in alone if name not in required],
            "positional": [name for name in entry.get("positional", []) if name in parameters],
        }
        if entry.get("is_default") or entry.get("default"):
            kept["default"] = True
        if entry.get("provider"):
            kept["provider"] = entry["provider"]
        reduced.append(kept)
    return reduced


def reduce(reference: dict[str, Any]) -> str:
    """The reduced table's text: one line a cmdlet."""
    lines = []
    for name, entry in reference.items():
        kept = {"module": entry["module"]} if entry.get("module") else {}
        sets = _sets(entry["parameter_sets"], entry["parameters"])
        kept |= {"parameters": _parameters(name, entry["parameters"], sets), "sets": sets}
        lines.append(f"{json.dumps(name)}: {json.dumps(kept, separators=(',', ':'))}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main(source: Path, target: Path) -> None:
    """Write both tables."""
    for name in ("exchange_cmdlets.json", "windows_cmdlets.json"):
        reference = json.loads((source / name).read_text(encoding="utf-8"))
        (target / name).write_text(reduce(reference), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
