"""Chapters that are made up, with what a test wants to happen in their cells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat.v4

from umkit.customer import CustomerFile, parse
from umkit.headless import RunSummary, run

PARAMETERS = """\
mode = "interactive"
customer = {"name": "lab"}  # an example's = sign
exchange = {"endpoint": "lab"}
relay = {"port": 1}
"""
BEGIN = """\
import os
from pathlib import Path
from umkit.journal import Journal
chapter = {name!r}
journal = Journal(Path(os.environ["UMKIT_RECORD"]) / "journal.jsonl")
def step(id, result="ok", **more):
    journal.append("step", chapter=chapter, step=id, title="a step", result=result, changes=0, summary="seen", **more)
def end(result="ok"):
    journal.append("chapter-end", chapter=chapter, result=result)
journal.append("chapter-start", chapter=chapter)
"""


def acme() -> CustomerFile:
    """A customer whose chapters contact nobody."""
    exchange = {
        "endpoint": "http://ex01.acme.example/PowerShell/",
        "username": "a@b.example",
        "password": "env:ACME_PW",
    }
    return parse({"customer": {"name": "acme"}, "exchange": exchange, "imap4": None}, source="a test")


class Bench:
    """A folder of notebooks and one of records."""

    def __init__(self, folder: Path, inputs: CustomerFile, runbooks: Path | None = None) -> None:
        self.runbooks = runbooks or folder / "run{books}"
        self.records = folder / "records"
        self.inputs = inputs
        self.runbooks.mkdir()

    def chapter(self, name: str, *cells: str, parameters: str = PARAMETERS) -> None:
        tagged = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
        begin = nbformat.v4.new_code_cell(BEGIN.format(name=name))
        steps = [nbformat.v4.new_code_cell(cell, metadata={"tags": ["step:A-1"]}) for cell in cells]
        nbformat.write(nbformat.v4.new_notebook(cells=[tagged, begin, *steps]), self.runbooks / f"{name}.ipynb")

    def run(self, mode: str = "apply", **options: Any) -> RunSummary:
        return run(self.inputs, mode, records=self.records, runbooks=self.runbooks, **options)
