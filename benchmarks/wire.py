"""Requests and time of one run, against a bare pypsrp script that sends the same cmdlets.

Two fresh labs, in processes of their own. In the first all chapters are applied headless, and the lab notes every
command it receives; then they are applied once more, when there is nothing to do. In the second a bare script (stock
pypsrp, one pool an endpoint, nothing written down, nothing compared) sends the same commands in the same order, and
closes each pipeline as PowerShell does. The labs count the requests, opening and closing included.

A second apply only looks. One look needs a file on the server for a moment: SecEdit writes what a user right is to a
file, which is read and removed; the journal calls these two commands changing, as they are.

``left open`` is what the script would send if it did not close its pipelines; they would stay on the server then.
Time on the wire is the sum of the journal's command times for the run (once for what was asked together), and its loop
for the script.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import stage
from pypsrp.exceptions import WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from umkit.customer import load
from umkit.headless import run
from umkit.journal import read


def our_run(organisation: str, described: dict[str, Any], records: Path) -> dict[str, float]:
    """Apply all chapters, then once more: requests, seconds on the wire, and what the second one changed."""
    customer = load(stage.ORGANISATIONS[organisation])
    counts = [0]
    journals = []
    for _ in range(2):
        summary = run(customer, "apply", records=records, runbooks=stage.RUNBOOKS, lab=described)
        counts.append(stage.requests_of(described))
        journals.append(read(summary.record / "journal.jsonl"))
    behind = {event["id"] for event in journals[0] if event.get("together") not in (None, event.get("id"))}
    wire = sum(
        event["seconds"] for event in journals[0] if event["event"] == "outcome" and event["intent"] not in behind
    )
    again = [event for event in journals[1] if event["event"] == "intent" and event["mutating"]]
    return {"ours": counts[1], "second": counts[2] - counts[1], "changing again": len(again), "our wire": wire}


def bare_script(described: dict[str, Any], lines: list[dict[str, Any]]) -> dict[str, float]:
    """Send the commands of a trace with stock pypsrp: requests and seconds; what a server refuses, it refuses."""
    pools: dict[str, RunspacePool] = {}
    begun = time.perf_counter()
    for line in lines:
        url = described["exchange"] if line["endpoint"] == "Microsoft.Exchange" else described["hosts"][line["host"]]
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
            try:
                ps.invoke()
            except WSManFaultError:
                raise
            except Exception:
                pass
    for pool in pools.values():
        pool.close()
    seconds = time.perf_counter() - begun
    return {"bare": stage.requests_of(described), "bare wire": seconds, "bare left open": len(lines)}


def measured(organisation: str) -> dict[str, float]:
    """One round."""
    with tempfile.TemporaryDirectory() as temporary:
        trace = Path(temporary) / "trace.jsonl"
        with stage.lab(organisation, trace) as described:
            ours = our_run(organisation, described, Path(temporary) / "records")
        lines = [json.loads(line) for line in trace.read_text("utf-8").splitlines()]
        with stage.lab(organisation) as described:
            bare = bare_script(described, lines[: _commands_of_first(lines, temporary)])
    bare["bare left open"] = bare["bare"] - bare["bare left open"]
    return ours | bare


def _commands_of_first(lines: list[dict[str, Any]], temporary: str) -> int:
    """How many of the trace's commands the first run sent: as many as its journal says."""
    first = min(Path(temporary).glob("records/*/*-apply*/journal.jsonl"), key=lambda path: (len(str(path)), path))
    return sum(1 for event in read(first) if event["event"] == "intent")


def _again(rows: list[dict[str, float]]) -> dict[str, float]:
    return stage.spread([row["changing again"] for row in rows])


def part(rounds: int) -> dict[str, Any]:
    """Measure, print a table, and give the figures."""
    made = {}
    for organisation in stage.ORGANISATIONS:
        rows = stage.repeated(rounds, lambda: measured(organisation), f"wire, {organisation}")  # noqa: B023
        print(stage.head(f"One full apply of {organisation}, all chapters"))
        for label, value, bound in (
            ("HTTP requests of the run", stage.spread([row["ours"] for row in rows]), ""),
            ("… of a bare script that closes its pipelines", stage.spread([row["bare"] for row in rows]), ""),
            ("  ratio", stage.ratio(rows, "ours", "bare"), "≤ 1.15"),
            ("  ratio to a script that leaves its pipelines open", stage.ratio(rows, "ours", "bare left open"), ""),
            ("seconds on the wire, ratio to the bare script", stage.ratio(rows, "our wire", "bare wire"), ""),
            ("HTTP requests of a second apply", stage.spread([row["second"] for row in rows]), ""),
            ("… changing ones: SecEdit's export of a user right, and its removal", _again(rows), "2"),
        ):
            print(stage.line(label, value, bound))
        made[organisation] = rows
    return made
