"""What the tests of rollback, plan file and drift share: runs in the lab, and somebody else who changes things."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from in_process import without_kernels

from umkit import customer, record
from umkit.command import Command
from umkit.customer import CustomerFile
from umkit.headless import RunSummary, run
from umkit.lab import Lab
from umkit.remoting import Endpoint, Session
from umkit.rollback import rollback
from umkit.secrets import Secret

ROOT = Path(__file__).resolve().parents[1]
LAB = ROOT / "parameters" / "lab.yaml"
#: What no rollback brings back: times, counters, process numbers; and a new object's identity.
_NEVER = re.compile(r"When(Changed|Created)(UTC)?|start_count|stop_count|started|pid")


def inputs(path: Path = LAB, **sections: Any) -> CustomerFile:
    """The lab's customer file, or another one, with other values in some sections."""
    values = yaml.safe_load(path.read_text("utf-8"))
    for name, change in sections.items():
        values[name] = values.get(name, {}) | change if isinstance(change, dict) else change
    return customer.parse(values, source=str(path))


@dataclass
class Place:
    """A lab, a folder of records and one customer."""

    lab: Lab
    records: Path
    trace: Path
    inputs: CustomerFile = field(default_factory=inputs)

    def go(self, mode: str, *chapters: str, kernels: bool = False) -> RunSummary:
        """Run chapters; in this process, unless the executed notebooks are needed."""
        with nullcontext() if kernels else without_kernels():
            return run(
                self.inputs,
                mode,
                chapters=chapters,
                records=self.records,
                runbooks=ROOT / "runbooks",
                lab=self.lab.describe(),
            )

    def back(self, **options: Any) -> RunSummary:
        return rollback(self.inputs, records=self.records, lab=self.lab.describe(), **options)

    def somebody(self, cmdlet: str, *, host: str = "", **parameters: Any) -> None:
        """Somebody else changes something, at the organisation or at one host."""
        url = self.lab.hosts[host] if host else self.lab.exchange
        endpoint = Endpoint(
            name=host or "exchange",
            url=url,
            configuration="Microsoft.PowerShell" if host else "Microsoft.Exchange",
            auth="basic",
            username=self.lab.username,
            password=Secret(self.lab.password),
        )
        with Session(endpoint) as session:
            session.run(Command(cmdlet, parameters))

    def objects(self, noun: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.lab.state()["objects"][noun]
        return found

    def one(self, noun: str, name: str) -> dict[str, Any]:
        return next(each for each in self.objects(noun) if each["Name"] == name)

    def names(self, noun: str) -> set[str]:
        return {str(each["Name"]) for each in self.objects(noun)}

    def mutating(self) -> list[str]:
        """Names of the changing commands that the lab received so far, those of the user rights' report aside."""
        lines = [json.loads(line) for line in self.trace.read_text("utf-8").splitlines()]
        commands = [line["commands"][0] for line in lines if line["mutating"]]
        return [str(each["name"]) for each in commands if "umkit-" not in json.dumps(each)]

    def state(self) -> dict[str, Any]:
        """Objects and hosts as flat paths, without what no rollback brings back."""
        whole = json.loads(json.dumps(self.lab.state()))
        flat: dict[str, Any] = {}
        for part in ("objects", "hosts"):
            _flatten(whole[part], part, flat)
        return flat


def changed(before: dict[str, Any], after: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Paths whose values differ."""
    paths = sorted(before.keys() | after.keys())
    return {path: (before.get(path), after.get(path)) for path in paths if before.get(path) != after.get(path)}


def steps(summary: RunSummary) -> dict[str, dict[str, Any]]:
    """The steps of a summary by object; for a rollback the title is the object."""
    return {step["title"]: dict(step) for chapter in summary.chapters for step in chapter.steps}


def texts(step: dict[str, Any]) -> str:
    """Everything that a step's findings say."""
    return "; ".join(finding["text"] for finding in step.get("findings", ()))


def broken_off(folder: Path, *, after_mutations: int) -> None:
    """Let a record look as if its run was killed right after a changing command was announced."""
    journal = folder / record.JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    announced = [number for number, line in enumerate(lines) if json.loads(line).get("mutating")]
    journal.write_bytes(b"".join(lines[: announced[after_mutations - 1] + 1]))
    (folder / record.MANIFEST).unlink()


def _flatten(value: Any, path: str, into: dict[str, Any]) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            if not _NEVER.fullmatch(name):
                _flatten(item, f"{path}/{name}", into)
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for number, item in enumerate(value):
            name = item.get("Identity") or item.get("Name") or number
            rights = [item.get("User"), item.get("Deny"), item.get("ExtendedRights"), item.get("AccessRights")]
            suffix = f" {rights}" if "AccessRights" in item else ""
            _flatten(item, f"{path}/{name}{suffix}", into)
    else:
        into[path] = value


__all__: Sequence[str] = ("LAB", "ROOT", "Place", "broken_off", "changed", "inputs", "steps", "texts")
