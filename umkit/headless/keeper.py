"""The executed notebook: true statuses, and whole on the disk while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import html
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

import nbformat
import nbformat.v4
from papermill.iorw import LocalHandler, papermill_io, write_ipynb

from umkit import errors
from umkit.durable import write_atomic
from umkit.errors import RecordError
from umkit.secrets import redact

Ended = Literal["ok", "error", "timeout", "kernel died", "interrupted"]

#: What papermill's metadata says of the cell in which a chapter ended; a cell that never ran is ``not_run``.
STATUS: dict[Ended, str] = {
    "ok": "completed",
    "error": "failed",
    "timeout": "timeout",
    "kernel died": "kernel died",
    "interrupted": "interrupted",
}

#: Seconds between two saves at least; a notebook that takes long to write is written less often.
_PAUSE = 1.0
_SHARE = 0.1

_WIDGETS = "application/vnd.jupyter.widget-state+json"
_NOTE = "border:1px solid rgba(128,128,128,.45);border-left:5px solid #c62828;padding:.4em .9em;max-width:62em"
_PRE = "white-space:pre-wrap;overflow-wrap:anywhere;margin:.3em 0"
_DIM = "opacity:.6;font-style:italic"


@dataclass
class Ending:
    """How the notebook ended.

    Arguments:
        ended: ``ok``, ``error``, ``timeout``, ``kernel died`` or ``interrupted``.
        cell: index of the cell in which it ended; ``None`` where it ended between two.
        what: one sentence for a reader.
        details: further lines, shown as they are.
        error: what to raise.
    """

    ended: Ended
    cell: int | None = None
    what: str = ""
    details: str = ""
    error: BaseException | None = None


class Keeper:
    """Keeps a notebook's statuses true and its file whole while it runs.

    It stands where papermill's client expects a ``NotebookExecutionManager``.

    Arguments:
        nb: the notebook.
        path: where it is kept; ``None`` where it is not kept before its end.
    """

    def __init__(self, nb: Any, path: str | None) -> None:
        self.nb = nb
        self._write = _writer(path) if path is not None else None
        self._begun = datetime.now(UTC)
        self._next_save = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._trouble: RecordError | None = None

    def begin(self) -> None:
        """Clear what an earlier run left, and keep the notebook for the first time.

        Raises ``RecordError`` when it cannot be kept: nothing has run then.
        """
        self.nb.metadata.papermill.update(start_time=_iso(self._begun), end_time=None, duration=None, exception=None)
        self.nb.metadata["umkit"] = {"result": "unknown", "ended": None, "cell": None}
        for cell in self.nb.cells:
            cell.metadata["papermill"] = {
                "start_time": None,
                "end_time": None,
                "duration": None,
                "exception": None,
                "status": "pending",
            }
            if cell.cell_type == "code":
                cell.execution_count = None
                cell.outputs = []
        self._save()
        self._check()

    def cell_begins(self, index: int) -> None:
        """Mark a cell as running.

        Raises ``RecordError`` when an earlier state could not be kept: the cell must not run.
        """
        self._check()
        self.nb.metadata["umkit"]["cell"] = index
        self._cell(index).update(start_time=_iso(datetime.now(UTC)), status="running", exception=False)
        self.autosave_cell()

    def cell_ends(self, index: int, ended: Ended) -> None:
        """Mark a cell as what became of it."""
        now, state = datetime.now(UTC), self._cell(index)
        begun = datetime.fromisoformat(state["start_time"]) if state["start_time"] else now
        state.update(
            start_time=_iso(begun),
            end_time=_iso(now),
            duration=(now - begun).total_seconds(),
            status=STATUS[ended],
            exception=ended != "ok",
        )
        self.autosave_cell()

    def autosave_cell(self) -> None:
        """Keep the notebook now, or as soon as it is due; papermill's client calls it for each message."""
        if self._write is None:
            return
        wait = self._next_save - time.monotonic()
        if wait <= 0:
            self._save()
        elif self._timer is None:
            with contextlib.suppress(RuntimeError):  # outside of the loop the next call or the end makes up for it
                self._timer = asyncio.get_running_loop().call_later(wait, self._save)

    def end(self, ending: Ending) -> None:
        """Say in the notebook how it ended, and keep it for good.

        Raises ``RecordError`` when it cannot be kept; the last state that could be is still there.
        """
        good = ending.ended == "ok"
        now = datetime.now(UTC)
        self.nb.metadata.papermill.update(
            end_time=_iso(now), duration=(now - self._begun).total_seconds(), exception=None if good else True
        )
        self.nb.metadata["umkit"] = {
            "result": "ok" if good else "failed",
            "ended": ending.ended,
            "cell": ending.cell,
        }
        _forget_passwords(self.nb)
        if not good:
            self._explain(ending)
            late = self.nb.metadata.papermill.get("output_path")
            if self._write is None and late:  # papermill would keep it only after a good end
                self._write = _writer(late)
        self.nb.update(_masked(self.nb))  # papermill may write it once more by itself
        self._save()
        self._check()

    def _explain(self, ending: Ending) -> None:
        place = ""
        if ending.cell is not None:
            culprit = self.nb.cells[ending.cell]
            culprit.outputs = _without_noise(culprit.outputs, ending)
            place = f" in cell [{culprit.execution_count}]" if culprit.execution_count else " in a cell above"
        for cell in self.nb.cells:
            if cell.metadata["papermill"]["status"] in ("pending", "running"):
                cell.metadata["papermill"]["status"] = "not_run"
                if cell.cell_type == "code" and cell.source.strip():
                    cell.outputs = [_dim(f"not run: the chapter ended{place} ({ending.ended})")]
        if ending.cell is None:
            first = next(
                (c for c in self.nb.cells if c.metadata["papermill"]["status"] == "not_run" and "outputs" in c), None
            )
            if first is not None:
                first.outputs = [_note(ending.what, ending.details), *first.outputs]

    def _cell(self, index: int) -> dict[str, Any]:
        state: dict[str, Any] = self.nb.cells[index].metadata["papermill"]
        return state

    def _save(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._write is None:
            return
        begun = time.monotonic()
        try:
            self._write(self.nb)
            self._trouble = None
        except RecordError as error:
            self._trouble = error
        now = time.monotonic()
        self._next_save = now + max(_PAUSE, (now - begun) / _SHARE)

    def _check(self) -> None:
        if self._trouble is not None:
            raise self._trouble


class WholeFiles(LocalHandler):  # type: ignore[misc]
    """papermill's handler for files, but what it writes is whole at any moment."""

    def write(self, buf: str, path: str) -> None:
        """Write a notebook, unless it stands there already."""
        target = _absolute(path)
        with contextlib.suppress(OSError):
            if target.read_text("utf-8") == buf:
                return
        write_atomic(target, redact(buf))


def _writer(path: str) -> Callable[[Any], None]:
    """What keeps a notebook at a path of papermill's, be it a file or an address."""
    if not isinstance(papermill_io.get_handler(path), LocalHandler):
        return lambda nb: write_ipynb(_masked(nb), path)
    target = _absolute(path)
    if not isinstance(papermill_io.get_handler(path), WholeFiles):
        papermill_io.register(path, WholeFiles())  # papermill writes it once more when all went well
    return lambda nb: write_atomic(target, nbformat.v4.writes_json(_masked(nb)))  # type: ignore[no-untyped-call]


def _masked(part: Any) -> Any:
    """A part of a notebook with every known secret taken out of its texts."""
    if isinstance(part, str):
        return redact(part)
    if isinstance(part, Mapping):
        return nbformat.NotebookNode({key: _masked(value) for key, value in part.items()})  # type: ignore[no-untyped-call]
    return [_masked(value) for value in part] if isinstance(part, list) else part


def _absolute(path: str) -> Path:
    """A path seen from the folder that papermill was started in."""
    local = papermill_io.get_handler("local")
    base = local.cwd(None)
    local.cwd(base)
    return Path(base or ".") / path


def _without_noise(outputs: list[Any], ending: Ending) -> list[Any]:
    """A cell's outputs with our own errors as a note in place of a traceback, and the ending's note."""
    kept: list[Any] = []
    details = ending.details
    for output in outputs:
        if output.output_type != "error":
            kept.append(output)
        elif output.ename in own_errors():
            first = output.evalue.partition("\n")[0]
            details = "" if _says(kept, first) else output.evalue  # the step's card may have said it all
        elif output.ename != "KeyboardInterrupt" or ending.ended == "error":
            kept.append(output)
    return [*kept, _note(ending.what, details)]


def _says(outputs: list[Any], text: str) -> bool:
    shown = (output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in outputs)
    return any(text in "".join(part) for part in shown)


def _note(what: str, details: str) -> Any:
    shown = f'<div style="{_NOTE}" role="note"><strong>{html.escape(redact(what))}</strong>'
    if details:
        shown += f'<pre style="{_PRE}">{html.escape(redact(details))}</pre>'
    return _output(shown + "</div>", redact(f"{what}\n{details}".rstrip()))


def _dim(text: str) -> Any:
    return _output(f'<div style="{_DIM}">{html.escape(text)}</div>', text)


def _output(shown: str, plain: str) -> Any:
    data = {"text/html": shown, "text/plain": plain}
    return nbformat.v4.new_output("display_data", data)  # type: ignore[no-untyped-call]


def _forget_passwords(nb: Any) -> None:
    """Empty every password field: a widget's state holds it in clear."""
    for widget in nb.metadata.get("widgets", {}).get(_WIDGETS, {}).get("state", {}).values():
        if widget.get("model_name") == "PasswordModel":
            widget["state"]["value"] = ""


@cache
def own_errors() -> frozenset[str]:
    """Names of the errors that say themselves what is the matter; a traceback adds nothing."""
    return frozenset(
        name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.UmkitError)
    )


def _iso(moment: datetime) -> str:
    return moment.isoformat()
