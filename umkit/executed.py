"""The executed notebook of a sitting: what its cells show, as if it had run without a person."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from umkit.durable import write_atomic
from umkit.errors import RecordError
from umkit.outcome import StepOutcome
from umkit.secrets import redact
from umkit.view import card


@dataclass(frozen=True)
class Plain:
    """What something looks like where nobody can press a button.

    Arguments:
        html: as HTML.
        text: as text.
    """

    html: str
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __str__(self) -> str:
        return self.text


def own_file() -> Path | None:
    """The file of the notebook that runs in this kernel, as the server last saved it; none where nobody says."""
    named = os.environ.get("JPY_SESSION_NAME", "")
    for path in (Path(named), Path(os.environ.get("UMKIT_WORK", "")) / named):
        if named and path.suffix == ".ipynb" and path.is_file():
            return path
    return None


def written(cells: Sequence[Any]) -> list[Any]:
    """A notebook's cells without the empty ones at its end: JupyterLab adds one when the last is run by Shift+Enter."""
    kept = list(cells)
    while kept and not kept[-1].source.strip() and not kept[-1].get("outputs"):
        kept.pop()
    return kept


def write(source: Path, target: Path, outputs: Mapping[str, Sequence[object]]) -> None:
    """Write a notebook as it would be without a person: its cells, and what each of them shows.

    Arguments:
        source: the notebook as it was saved; its cells are taken, but for empty ones at its end, and the text that
            cells of the person's own printed.
        target: where to.
        outputs: what a cell shows, by the cell's id.

    Raises ``RecordError`` when the one cannot be read or the other not be written.
    """
    import nbformat

    try:
        notebook = nbformat.read(source, as_version=4)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, nbformat.ValidationError) as error:
        raise RecordError(
            "the chapter's notebook cannot be read, so it is not in the record",
            where={"file": str(source)},
            seen=f"{type(error).__name__}",
            next="save it in JupyterLab, then seal again",
        ) from error
    notebook.metadata.pop("widgets", None)
    notebook.cells = written(notebook.cells)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(code, 1):
        cell.execution_count = number
        if "jupyter" in cell.metadata:
            cell.metadata.jupyter.pop("source_hidden", None)  # the inputs are to be read in the record
        own = outputs.get(cell.get("id", ""))
        kept = [each for each in cell.outputs if each.output_type == "stream"]
        cell.outputs = kept if own is None else [_output(shown) for shown in own]
    write_atomic(target, redact(nbformat.writes(notebook)) + "\n")  # type: ignore[no-untyped-call]


def _output(shown: Any) -> Any:
    """What a thing looks like where nobody can press a button: HTML and text."""
    from nbformat.v4 import new_output

    html = card(shown) if isinstance(shown, StepOutcome) else getattr(shown, "_repr_html_", str)()
    data = ({"text/html": html} if html else {}) | {"text/plain": str(shown)}
    return new_output("display_data", data=data)  # type: ignore[no-untyped-call]
