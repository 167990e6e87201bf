"""The chapters' text in a person's language: what stands between the steps of a prepared copy."""

from __future__ import annotations

import copy
import hashlib
from importlib.resources import files
from typing import Any

import yaml

#: The key of a translation that says of which text it is one.
OF = "translation of"


def in_language(nb: Any, chapter: str, language: str) -> Any:
    """A notebook with its text in a language; as it is where there is no translation.

    Arguments:
        nb: the chapter's notebook.
        chapter: its name.
        language: ``en``, in which the chapters are written, or ``de``.
    """
    texts = translation(chapter, language)
    if not texts:
        return nb
    made = copy.deepcopy(nb)
    for cell in made.cells:
        if cell.cell_type == "markdown":
            cell["source"] = str(texts.get(cell.id, cell.source)).rstrip("\n")
    return made


def translation(chapter: str, language: str) -> dict[str, str]:
    """The text of each markdown cell by the cell's id; none where there is no translation."""
    file = files("umkit.cockpit").joinpath("locale", language, f"{chapter}.yaml")
    return dict(yaml.safe_load(file.read_text("utf-8"))) if file.is_file() else {}


def digest(texts: dict[str, str]) -> str:
    """A number for the text of a chapter's cells, by their ids: a translation names the one that it was made from."""
    whole = "\n".join(f"{id}\n{texts[id].strip()}" for id in sorted(texts))
    return hashlib.sha256(whole.encode()).hexdigest()[:16]
