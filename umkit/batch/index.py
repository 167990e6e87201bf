"""The index of a batch: a page for a person and a JSON summary for a program, each customer linked to its record."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from umkit import handover
from umkit.batch.job import JobEnd
from umkit.durable import write_atomic
from umkit.secrets import redact
from umkit.view import SIGNS, render

if TYPE_CHECKING:
    from umkit.batch.batch import BatchSummary

PAGE = "index.html"
SUMMARY = "summary.json"

#: Worst first: what somebody has to look at stands on top.
_ORDER = (1, 2, 3, 4, 0)


def write(summary: BatchSummary) -> None:
    """Write ``summary.json`` and ``index.html`` into the batch's folder, each whole or not at all."""
    text = json.dumps(summary.as_dict(), indent=1, ensure_ascii=False)
    write_atomic(summary.folder / SUMMARY, redact(text) + "\n")
    write_atomic(summary.folder / PAGE, redact(page(summary)))


def page(summary: BatchSummary) -> str:
    """The index page: self-contained, no JavaScript, worst customers first."""
    ends = sorted(summary.ends, key=lambda end: _ORDER.index(end.exit_code) if end.exit_code in _ORDER else 0)
    return render(
        "batch/index.html",
        batch=summary.batch,
        verb=summary.verb,
        stopped=summary.stopped,
        when=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        counted=summary.counts,
        rows=[_row(summary.folder, end) for end in ends],
        heads=["Customer", "Result", "Chapters", "Changes", "Took", "Record", "What is the matter"],
    )


def _row(folder: Path, end: JobEnd) -> dict[str, Any]:
    record = Path(end.record) if end.record else None
    return {
        "customer": end.customer,
        "worker": end.worker,
        "result": _chip(end.word),
        "chapters": [(name.partition("-")[0], name, result, _chip(result)) for name, result in end.chapters.items()],
        "changes": end.changes or "",
        "took": f"{end.seconds:.0f} s" if end.seconds else "",
        "run": end.run,
        "record": _link(folder, record) if record else "",
        "handover": _link(folder, record / handover.FILE) if record and (record / handover.FILE).is_file() else "",
        "unsealed": record is not None and not end.sealed,
        "what": str(end.error.get("what", "")),
        "problems": [f"{one.get('key')}: {one.get('message')}" for one in end.error.get("problems", ())],
        "next": str(end.error.get("next", "")),
    }


def _chip(result: str) -> str:
    """A sign and a word, never colour alone; short, since nine chapters stand in a row."""
    return f"{SIGNS[result][0] if result in SIGNS else '✗'} {result}"


def _link(folder: Path, path: Path) -> str:
    """A path as a link from the index page, so that the whole folder of records can be moved."""
    try:
        return quote(Path(os.path.relpath(path, folder)).as_posix())
    except ValueError:  # another drive on Windows
        return path.as_uri()
