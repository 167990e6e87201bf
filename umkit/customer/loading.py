"""From a file or plain values to a CustomerFile, or to every problem at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from umkit.customer.documents import allowed, node_at
from umkit.customer.explain import explained, printable, shortened, shown, unknown
from umkit.customer.file import DECIDED, REQUIRED, SECTIONS, CustomerFile
from umkit.customer.rules import broken
from umkit.customer.source import WHOLE, Source, Written, read
from umkit.errors import CustomerFileError, Problem, UsageError

_ENDINGS = (".yaml", ".yml")
_EMPTY = Written("", quoted=False)  # a section whose keys are all commented out: null by accident, not by decision


def load(path: Path | str, *, name_is_file: bool = True) -> CustomerFile:
    """Read and check a customer file; nothing is contacted.

    Arguments:
        path: the file.
        name_is_file: whether customer.name has to be the file's own name; not so for a copy in a record.

    Raises ``CustomerFileError`` with every problem found: line, key, what was found, what is allowed, what is nearest.
    """
    path = Path(path)
    return accept(read(path), path, name_is_file=name_is_file)


def accept(source: Source, path: Path, *, name_is_file: bool = True) -> CustomerFile:
    """Check what was read as the customer file of this path; see :func:`load`."""
    name = printable(str(path))
    if source.problems and not source.values:
        raise CustomerFileError(name, source.problems)
    file, problems = examine(source.values, path, source, name_is_file=name_is_file)
    unreadable = {problem.key for problem in source.problems}  # what cannot be read need not be right as well
    problems = [*source.problems, *(problem for problem in problems if problem.key not in unreadable)]
    return _or_raise(file, name, problems, source.lines)


def examine(
    values: Mapping[str, Any], path: Path, source: Source | None = None, *, name_is_file: bool = True
) -> tuple[CustomerFile, list[Problem]]:
    """What is right and every problem of a whole file's values, for whoever goes on in spite of them: a form.

    Arguments:
        values: section name → its values.
        path: the file that they stand in, or are to stand in.
        source: how they were written there, where that is known.
        name_is_file: whether customer.name has to be the file's own name.
    """
    name = printable(str(path))
    file, problems = _checked(values, source or Source(), name, whole=True)
    if name_is_file and file.has("customer") and file.customer.name != path.stem.casefold():
        problems.append(
            Problem(
                "customer.name",
                f"is not the name of the file, {printable(path.name)}: the records would land at another customer's",
                found=file.customer.name,
                allowed="the file's name without its ending",
                nearest=printable(path.stem),
            )
        )
    return file, problems


def parse(values: Mapping[str, Any], *, source: str, lines: Mapping[str, int] | None = None) -> CustomerFile:
    """Check plain values, all sections or some: a notebook passes those that its chapter needs.

    Arguments:
        values: section name → its values; ``None`` is a section that is not given, or that the customer does not want.
        source: words for where the values came from, for errors.
        lines: dotted key → line, where the values came from a file.

    Raises ``CustomerFileError`` with every problem found.
    """
    if not isinstance(values, Mapping):
        raise CustomerFileError(source, [Problem(WHOLE, "has to be sections with their keys", found=shown(values))])
    file, problems = _checked(values, Source(), source, whole=False)
    return _or_raise(file, source, problems, lines or {})


def find(name: str, folder: Path | str) -> Path:
    """The customer file of a customer.

    Arguments:
        name: the customer's short name, its file's name, or a path.
        folder: where customer files are kept.

    Raises ``UsageError`` naming the folder and the nearest file there.
    """
    folder = Path(folder)
    wanted = name if name.endswith(_ENDINGS) else f"{name}.yaml"
    for candidate in (folder / wanted, Path(wanted), Path(name)):
        if _is_file(candidate):
            return candidate
    try:
        there = sorted(path.stem for path in folder.iterdir() if path.suffix in _ENDINGS)
        seen = ", ".join(there) or "no customer file in this folder"
    except OSError:
        there, seen = [], "no such folder"
    near = difflib.get_close_matches(re.split(r"[\\/]", wanted)[-1].rpartition(".")[0], there, 1)
    raise UsageError(
        f"there is no customer file {printable(name)}",
        where={"folder": str(folder)},
        seen=seen,
        expected=f"{printable(wanted)} in this folder, or the path of a file",
        next=f"did you mean {near[0]}?" if near else "make one: umkit new CUSTOMER",
    )


def _checked(
    values: Mapping[str, Any], source: Source, name: str, *, whole: bool
) -> tuple[CustomerFile, list[Problem]]:
    """Check each section by itself, then what they mean together; in a ``whole`` file every section has its say."""
    problems = [unknown((str(section),), SECTIONS) for section in values if section not in SECTIONS]
    sections: dict[str, Any] = {}
    for section in SECTIONS:
        value = values.get(section)
        if value is not None:
            sections[section], faults = _section(section, value)
            problems += [explained((section, *fault["loc"]), fault, source.written) for fault in faults]
            if faults:
                del sections[section]
        elif section in DECIDED and section in values and source.written.get(section) != _EMPTY:
            sections[section] = None
        elif whole and section in (*REQUIRED, *DECIDED):
            problems.append(_lacking(section))
    file = CustomerFile.of(sections, source=name)
    return file, [*problems, *broken(file)]


def _section(name: str, value: Any) -> tuple[Any, list[Any]]:
    try:
        return _adapter(name).validate_python(value), []
    except ValidationError as error:
        faults = error.errors(include_url=False)
    # pydantic counts only the entries that are right: a list is not too short because one is wrong
    return None, [fault for fault in faults if fault["type"] != "too_short" or not fault["input"]]


@cache
def _adapter(section: str) -> TypeAdapter[Any]:
    return TypeAdapter(get_type_hints(CustomerFile, include_extras=True)[section])


def _lacking(section: str) -> Problem:
    if section in DECIDED:
        return Problem(
            section,
            "has to be decided on: give this section, or say that the customer does not want it",
            allowed=f"{section}: with its keys, {section}: {{}} where all defaults are wanted, or {section}: null",
        )
    return Problem(section, "has to be given", allowed=allowed(node_at((section,))))


def _or_raise(file: CustomerFile, name: str, problems: list[Problem], lines: Mapping[str, int]) -> CustomerFile:
    if problems:
        placed = [replace(p, key=shortened(p.key), line=p.line or _line(p.key, lines)) for p in problems]
        raise CustomerFileError(name, sorted(placed, key=lambda p: p.line or 10**9))
    return file


def _line(key: str, lines: Mapping[str, int]) -> int:
    """The line of a key, or of the nearest one around it."""
    while key and key not in lines:
        key = key[: max(key.rfind("."), key.rfind("["), 0)]
    return lines.get(key, 0)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that the system cannot even ask for
        return False
