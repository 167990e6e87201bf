"""The chapters' German text: whole, of the present English text, and with every name that the code knows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from umkit.cockpit.prose import OF, digest, in_language, translation

RUNBOOKS = sorted((Path(__file__).resolve().parents[1] / "runbooks").glob("*.ipynb"))


def texts(path: Path) -> dict[str, str]:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return {cell["id"]: "".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"}


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_every_text_is_there_in_german(path: Path) -> None:
    english, german = texts(path), translation(path.stem, "de")
    assert german.pop(OF) == digest(english), "the English text was changed: translate anew, then name its digest"
    assert german.keys() == english.keys()
    for id, text in english.items():
        assert set(re.findall(r"`[^`]+`", text)) <= set(re.findall(r"`[^`]+`", german[id])), id
        assert german[id].lstrip("#").strip().split()[0] == text.lstrip("#").strip().split()[0] or id in (
            "title",
            "end-text",
        )


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_the_text_fits_a_person_before_buttons(path: Path) -> None:
    """The same text is read beside a form, and in the record of a run without anybody."""
    for text, done in ((texts(path), "*Done*"), (translation(path.stem, "de"), "*Erledigt*")):
        assert not [id for id, said in text.items() if "umkit attest" in said and done not in said]
    assert "sessions are closed when the chapter is finished" in texts(path)["end-text"]


def test_a_copy_speaks_german_and_does_the_same() -> None:
    nb: Any = nbformat.read(RUNBOOKS[2], as_version=4)  # type: ignore[no-untyped-call]
    made = in_language(nb, RUNBOOKS[2].stem, "de")
    assert [cell.id for cell in made.cells] == [cell.id for cell in nb.cells]
    assert [cell.source for cell in made.cells if cell.cell_type == "code"] == [
        cell.source for cell in nb.cells if cell.cell_type == "code"
    ]
    assert "Remotedomäne" in made.cells[0].source
    assert in_language(nb, RUNBOOKS[2].stem, "en") is nb
