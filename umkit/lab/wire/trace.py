"""The trace: one JSON line for each pipeline received."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TextIO

from umkit.errors import LabError
from umkit.lab.model import Invocation, LabSecret


def now() -> str:
    """This moment, UTC, ISO 8601 with milliseconds and Z."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def jsonable(value: Any) -> Any:
    """A parameter's value as JSON: secrets masked, bytes as base64, what JSON has no form for as text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    if isinstance(value, LabSecret):
        return "(secret)"
    if isinstance(value, list):
        return [jsonable(item) for item in value]
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def command(invocation: Invocation) -> dict[str, Any]:
    """One command as the trace has it.

    Positional arguments are named "0", "1" …; a parameter sent twice keeps both values, the second as ``Name#2``.
    """
    parameters: dict[str, Any] = {}
    positions = 0
    for given, value in invocation.arguments:
        name = given
        if name is None:
            name = str(positions)
            positions += 1
        count = 1
        key = name
        while key in parameters:
            count += 1
            key = f"{name}#{count}"
        parameters[key] = jsonable(value)
    return {"name": invocation.name, "parameters": parameters, "is_script": invocation.is_script}


class Trace:
    """Appends lines to a file, each flushed.

    Arguments:
        path: the file, or None to write nothing.

    Raises:
        LabError: the file cannot be opened.
    """

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.Lock()
        self._file: TextIO | None = None
        if path is not None:
            try:
                # A lone surrogate is no UTF-8; as \udXXX it is what JSON would have written.
                self._file = path.open("a", encoding="utf-8", errors="backslashreplace", newline="\n")
            except OSError as error:
                raise LabError("the trace file cannot be opened", where={"file": str(path)}, seen=str(error)) from error

    def write(self, line: dict[str, Any]) -> None:
        """Append one line."""
        with self._lock:
            if self._file is not None:
                self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
                self._file.flush()

    def close(self) -> None:
        """Close the file; later lines are lost."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None


def pipeline_line(
    *,
    time: str,
    host: str,
    endpoint: str,
    user: str,
    pipeline: str,
    commands: Sequence[Invocation],
    outcome: str,
    error_id: str | None,
    mutating: bool,
) -> dict[str, Any]:
    """A line of the trace; its keys are a contract (design §4.3)."""
    return {
        "time": time,
        "host": host,
        "endpoint": endpoint,
        "user": user,
        "pipeline": pipeline,
        "commands": [command(invocation) for invocation in commands],
        "outcome": outcome,
        "error_id": error_id,
        "mutating": mutating,
    }
