"""Every word of the panels has a German form."""

from __future__ import annotations

import ast
from importlib.resources import files
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from umkit import panels
from umkit.chapters import chapters
from umkit.headless.run import MODES
from umkit.outcome import WORDS
from umkit.panels.overview import COUNTED

_SAYING = ("say", "text")


def literals() -> set[str]:
    """What the panels' code hands to say() or words.text() as a literal, a conditional's two sides included."""
    found = set()
    for path in Path(panels.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and node.args and _name(node.func) in _SAYING:
                for part in ast.walk(node.args[0]) if isinstance(node.args[0], ast.IfExp) else [node.args[0]]:
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        found.add(part.value)
    return found


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def spoken() -> set[str]:
    """What is looked up without being a literal."""
    kinds = {step.kind for info in chapters().values() for step in info.steps}
    return {*WORDS.values(), *COUNTED.values(), *kinds, *MODES}


@pytest.fixture(scope="module")
def german() -> dict[str, str]:
    with files("umkit.panels").joinpath("locale", "de", "LC_MESSAGES", "panels.po").open("rb") as file:
        catalog = read_po(file, locale="de")
    return {str(entry.id): str(entry.string) for entry in catalog if entry.id and not entry.context}


def test_every_literal_has_a_german_form(german: dict[str, str]) -> None:
    asked = literals()
    assert "Apply" in asked
    assert not sorted(text for text in asked | spoken() if not german.get(text))


def test_no_form_loses_or_invents_a_hole(german: dict[str, str]) -> None:
    holes = {text: (_holes(text), _holes(form)) for text, form in german.items()}
    assert not {text: pair for text, pair in holes.items() if pair[0] != pair[1]}


def _holes(text: str) -> set[str]:
    return {part.partition("}")[0] for part in text.split("{")[1:]}
