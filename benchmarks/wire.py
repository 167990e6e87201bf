"""Requests and time of a run, against a bare pypsrp script with the same cmdlets.

    python benchmarks/wire.py [--rounds 5] [--json FILE]

Each round starts two fresh labs in processes of their own. In the first, the first three chapters are applied headless,
and the lab notes every command it receives. In the second, a bare script (stock pypsrp, one pool an endpoint, nothing
written down, nothing compared) sends the same commands in the same order. Requests are counted by the labs, opening and
closing included; time is the seconds spent on the wire: for the run the sum of its journal's command times, for the
script its loop. The two alternate, medians are shown, and what counts is the ratio: absolute times are the machine's.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from umkit.customer import find, load
from umkit.headless import folder, run
from umkit.journal import read

#: Chapters that send Exchange cmdlets only: a bare script can send the same.
CHAPTERS = ("00-start", "01-forwarding-emails", "02-message-formats")


@contextmanager
def lab(trace: Path) -> Iterator[dict[str, Any]]:
    """A lab in a process of its own, so that its work is not counted as ours."""
    command = [sys.executable, "-m", "umkit", "lab", "--json", "--trace", str(trace)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


def requests_of(described: dict[str, Any]) -> int:
    """HTTP requests that a lab received so far."""
    with urllib.request.urlopen(described["control"] + "requests") as answer:
        return int(json.load(answer)["requests"])


def our_run(described: dict[str, Any], records: Path) -> tuple[int, float, float]:
    """Apply the chapters: requests, seconds on the wire, seconds in all."""
    begun = time.perf_counter()
    customer = load(find("lab", folder("parameters")))
    summary = run(customer, "apply", chapters=CHAPTERS, records=records, lab=described)
    whole = time.perf_counter() - begun
    assert summary.exit_code == 0, summary
    wire = sum(
        event["seconds"] for event in read(Path(summary.record) / "journal.jsonl") if event["event"] == "outcome"
    )
    return requests_of(described), wire, whole


def bare_script(described: dict[str, Any], trace: Path) -> tuple[int, float]:
    """Send the commands of a trace with stock pypsrp: requests and seconds."""
    lines = [json.loads(line) for line in trace.read_text("utf-8").splitlines()]
    endpoints = {"Microsoft.Exchange": described["exchange"]}
    pools: dict[str, RunspacePool] = {}
    begun = time.perf_counter()
    for line in lines:
        url = endpoints.get(line["endpoint"]) or described["hosts"][line["host"]]
        if url not in pools:
            address, path = url.removeprefix("http://").split("/", 1)
            host, port = address.rsplit(":", 1)
            wsman = WSMan(host, port=int(port), path=path, ssl=False, auth="basic", encryption="never",
                          username=described["username"], password=described["password"], no_proxy=True)  # fmt: skip
            pools[url] = RunspacePool(wsman, configuration_name=line["endpoint"])
            pools[url].open()
        with PowerShell(pools[url]) as ps:
            for command in line["commands"]:
                ps.add_cmdlet(command["name"])
                for name, value in command["parameters"].items():
                    ps.add_parameter(name, value)
            ps.invoke()
    for pool in pools.values():
        pool.close()
    return requests_of(described), time.perf_counter() - begun


def main() -> None:
    """Measure, print a table, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory() as temporary:
            trace = Path(temporary) / "trace.jsonl"
            with lab(trace) as described:
                ours, wire, whole = our_run(described, Path(temporary) / "records")
            with lab(Path(temporary) / "other.jsonl") as described:
                bare, seconds = bare_script(described, trace)
            commands = len(trace.read_text("utf-8").splitlines())
        rows.append(
            {
                "commands": commands,
                "run requests": ours,
                "bare requests": bare,
                "run wire s": wire,
                "bare wire s": seconds,
                "run whole s": whole,
            }
        )
        print(f"round {number + 1}: {rows[-1]}", file=sys.stderr)
    middle = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    print(f"{'':<34}{'run':>10}{'bare':>10}{'ratio':>8}")
    print(f"{'commands':<34}{middle['commands']:>10.0f}{middle['commands']:>10.0f}{1:>8.2f}")
    for label, run_key, bare_key in (
        ("HTTP requests", "run requests", "bare requests"),
        ("seconds on the wire", "run wire s", "bare wire s"),
    ):
        ratio = statistics.median(row[run_key] / row[bare_key] for row in rows)
        print(f"{label:<34}{middle[run_key]:>10.2f}{middle[bare_key]:>10.2f}{ratio:>8.2f}")
    print(f"{'seconds in all, kernels included':<34}{middle['run whole s']:>10.2f}")
    if options.json:
        made = {
            "when": datetime.now().astimezone().isoformat(),
            "processors": os.cpu_count(),
            "rounds": rows,
            "median": middle,
        }
        options.json.write_text(json.dumps(made, indent=1), "utf-8")


if __name__ == "__main__":
    main()
