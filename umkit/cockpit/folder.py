"""The folder in which a person works: prepared copies of the chapters, kept from one session to the next."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from umkit.cockpit.prose import in_language
from umkit.durable import cannot_write, write_atomic
from umkit.errors import UsageError
from umkit.executed import written
from umkit.headless import values_for

if TYPE_CHECKING:
    from umkit.customer import CustomerFile

#: What became of a chapter's copy. ``changed``: it is no longer the runbook's chapter, and was kept as it is.
Fate = Literal["made", "kept", "changed", "renewed", "set aside"]

INJECTED = "injected-parameters"
#: The cells with the inputs; the chapter's head shows them as a form, so their sources are folded away.
_INPUTS = {"parameters", INJECTED}
#: The names of a work folder's own things; Jupyter neither shows nor serves what begins with a dot.
OWN = ".umkit"
EARLIER = "earlier"


@dataclass(frozen=True)
class Copy:
    """One chapter in the work folder.

    Arguments:
        path: the notebook.
        fate: ``made`` new; ``kept`` from an earlier session, its parameters refreshed; ``changed``: kept, though its
            cells are not the runbook's (somebody edited them, or the kit is another version); ``renewed``: never run
            nor edited, so the runbook's present chapter took its place; ``set aside``: the earlier one was moved away.
        earlier: where the earlier one is now, if it was set aside.
    """

    path: Path
    fate: Fate
    earlier: Path | None = None


class WorkFolder:
    """``work/<customer>/``: the chapters of one customer, as a person left them.

    It lies beside ``records/``, because both hold a customer's data and belong to the place the kit is used in; the
    records are sealed, and what is worked on is not.

    Arguments:
        work: the folder of all customers' work folders.
        customer: the customer's short name.
    """

    def __init__(self, work: Path, customer: str) -> None:
        self.path = (work / customer).absolute()
        self.own = self.path / OWN
        #: Jupyter's data folder: which notebooks were signed as trusted, so that their outputs are shown again.
        self.data = self.own / "data"
        #: A person's own settings (theme, font sizes), common to all customers.
        self.settings = work.absolute() / OWN / "settings"
        self.workspaces = self.own / "workspaces"
        try:
            for folder in (self.data, self.settings, self.workspaces):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def prepare(self, runbooks: Path, inputs: CustomerFile, *, fresh: Collection[str] | None = ()) -> list[Copy]:
        """Make or refresh the copy of each chapter: the customer's values and language, mode interactive.

        What an earlier session left is kept, but for its injected parameters. Nothing is ever deleted.

        Arguments:
            runbooks: the folder of the notebooks; it is only read.
            inputs: the customer file.
            fresh: names of chapters to begin anew, their copies moved to ``earlier/<time>/``; ``None`` for all.

        Raises ``UsageError`` when a notebook is not one of the runbook, ``RecordError`` when one cannot be written.
        """
        sources = sorted(runbooks.glob("*.ipynb"))
        if not sources:
            raise UsageError("there is no chapter to open", where={"folder": str(runbooks)})
        aside = self.path / EARLIER / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        language = inputs.run.language if inputs.has("run") else "en"
        copies = []
        for source in sources:
            chapter = in_language(_read(source), source.stem, language)
            values = values_for(source, inputs, "interactive")
            copies.append(self._copy(source, chapter, values, fresh is None or source.stem in fresh, aside))
        return copies

    def _copy(self, source: Path, chapter: Any, values: dict[str, Any], fresh: bool, aside: Path) -> Copy:
        target = self.path / source.name
        new = _parameterised(chapter, values)
        new.metadata["umkit"] = {"chapter": _digest(new)}
        fate, old = _fate(target, new, fresh)
        if old is not None:
            self._refresh(target, old, values)
            return Copy(target, fate)
        earlier = _moved(target, aside) if fate == "set aside" else None
        self._write(target, new, trusted=True)
        return Copy(target, fate, earlier)

    def _refresh(self, target: Path, old: Any, values: dict[str, Any]) -> None:
        refreshed = _parameterised(old, values)
        if refreshed != old:
            with self._notary() as notary:
                trusted = notary.check_signature(old)
            self._write(target, refreshed, trusted=trusted)

    def _write(self, path: Path, nb: Any, *, trusted: bool) -> None:
        import nbformat

        if trusted:  # else JupyterLab would not show the outputs that a person has seen
            with self._notary() as notary:
                notary.sign(nb)
        write_atomic(path, nbformat.writes(nb) + "\n")  # type: ignore[no-untyped-call]

    @contextmanager
    def _notary(self) -> Iterator[Any]:
        from nbformat.sign import NotebookNotary

        notary: Any = NotebookNotary(data_dir=str(self.data))  # type: ignore[no-untyped-call]
        try:
            yield notary
        finally:
            notary.store.close()


def _fate(target: Path, new: Any, fresh: bool) -> tuple[Fate, Any]:
    """What is to become of the copy, and the copy itself where it is to be kept."""
    if not target.exists():
        return "made", None
    try:
        old = _read(target)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "set aside", None  # what cannot be read may still be of use to somebody
    if fresh:
        return "set aside", None
    digest = _digest(old)
    if digest == _digest(new):
        return "kept", old
    untouched = digest == old.metadata.get("umkit", {}).get("chapter")
    if untouched and not any(cell.get("outputs") or cell.get("execution_count") for cell in old.cells):
        return "renewed", None
    return "changed", old


def _read(path: Path) -> Any:
    import nbformat

    return nbformat.reads(path.read_text("utf-8"), as_version=4)  # type: ignore[no-untyped-call]


def _parameterised(nb: Any, values: dict[str, Any]) -> Any:
    """A copy with the values injected as papermill does it, in a cell whose id stays the same."""
    from papermill.parameterize import parameterize_notebook
    from papermill.utils import find_first_tagged_cell_index

    made = copy.deepcopy(nb)  # papermill changes what it is given
    made.metadata.setdefault("papermill", {})
    for cell in made.cells:
        cell.metadata.setdefault("tags", [])
    made = parameterize_notebook(made, values, kernel_name="python3", language="python")
    made.cells[find_first_tagged_cell_index(made, INJECTED)]["id"] = INJECTED
    for cell in made.cells:
        if _INPUTS & set(cell.metadata.tags):
            cell.metadata.setdefault("jupyter", {})["source_hidden"] = True
    return made


def _digest(nb: Any) -> str:
    """The cells' sources as one number, without what is not the chapter's: the parameters, empty cells at the end."""
    own = (cell for cell in written(nb.cells) if INJECTED not in cell.metadata.get("tags", ()))
    cells = [(cell.cell_type, cell.source) for cell in own]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def _moved(target: Path, aside: Path) -> Path:
    try:
        aside.mkdir(parents=True, exist_ok=True)
        return target.rename(aside / target.name)
    except OSError as error:
        raise cannot_write(aside / target.name, error) from error
