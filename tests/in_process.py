"""Runs a chapter's notebook in this very process, with a real record: what a run does, without its kernel."""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import json
import os
import threading
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import umkit.headless.run  # noqa: F401  # its name in umkit.headless is the function's
from umkit import channel, runbook
from umkit.customer import SECTIONS, CustomerFile
from umkit.headless import RunSummary
from umkit.lab.hosts import Host
from umkit.lab.organisation import Organisation

ROOT = Path(__file__).resolve().parents[1]
_run = importlib.import_module("umkit.headless.run")


class Clock:
    """The lab's clock, which a client's deliberate waiting moves forward; only forward, as any clock."""

    ahead = timedelta()

    @classmethod
    @contextlib.contextmanager
    def at_work(cls) -> Iterator[None]:
        """Let the lab's machines and a channel's waiting go by it."""
        host_now, organisation_now = Host.now, Organisation.now

        class Passing(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                Clock.ahead += timedelta(seconds=timeout or 0)
                return self.is_set()

        def of_host(host: Host) -> datetime:
            return host_now(host) + cls.ahead

        def of_organisation(organisation: Organisation) -> datetime:
            return (organisation_now(organisation) + cls.ahead).replace(microsecond=0)

        with (
            mock.patch.object(Host, "now", of_host),
            mock.patch.object(Organisation, "now", of_organisation),
            mock.patch.object(channel, "threading", SimpleNamespace(Event=Passing)),
        ):
            yield


@contextlib.contextmanager
def without_kernels(
    *,
    steps: Collection[str] = (),
    before: Callable[[str], None] = lambda cell: None,
    after: Callable[[str], None] = lambda cell: None,
) -> Iterator[list[BaseException]]:
    """Let every run execute its chapters in this process; gives what broke a notebook off.

    No notebook is kept, and a chapter that fails does not wait for a kernel to end.

    Arguments:
        steps: the only steps to run; all of them without any.
        before: is called with a code cell's id before the cell runs.
        after: is called with a code cell's id after it ran, also where it raised.
    """
    raised: list[BaseException] = []

    def execute(under_way: Any, notebook: Any, **_: Any) -> BaseException | None:
        environment = {**under_way._env, "UMKIT_HEADLESS": "1"}
        values = {name: under_way._values.get(name) for name in (*SECTIONS, "mode") if name in notebook.parameters}
        namespace: dict[str, Any] = {"__name__": "__main__"}
        with mock.patch.dict(os.environ, environment), contextlib.redirect_stdout(io.StringIO()):
            try:
                for cell in json.loads(notebook.path.read_text("utf-8"))["cells"]:
                    tags = cell["metadata"].get("tags", ())
                    asked = {tag.partition(":")[2] for tag in tags if tag.startswith("step:")}
                    if cell["cell_type"] != "code":
                        continue
                    tree = ast.parse("".join(cell["source"]), cell["id"])
                    if steps and asked and not asked & set(steps):  # other cells lean on its imports
                        tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
                        exec(compile(tree, cell["id"], "exec"), namespace)
                        continue
                    before(cell["id"])
                    try:
                        exec(compile(tree, cell["id"], "exec"), namespace)
                    finally:
                        after(cell["id"])
                    if "parameters" in tags:
                        namespace |= values
            except Exception as error:
                raised.append(error)
                return error
            finally:  # what the kernel's end does
                runbook.close()
        return None

    with mock.patch.object(_run._Run, "_execute", execute):
        yield raised


def run(
    inputs: CustomerFile,
    mode: str,
    chapter: str,
    *,
    records: Path,
    lab: dict[str, Any],
    steps: Collection[str] = (),
    before: Callable[[str], None] = lambda cell: None,
    after: Callable[[str], None] = lambda cell: None,
) -> tuple[RunSummary, BaseException | None]:
    """Run one chapter as ``umkit.headless.run`` does, without its handover; returns its summary, and what broke it off.

    Arguments:
        inputs: the customer file.
        mode: the mode.
        chapter: the chapter's name.
        records: the folder of all records.
        lab: what ``Lab.describe()`` says.
        steps, before, after: as :func:`without_kernels`.
    """
    with (
        without_kernels(steps=steps, before=before, after=after) as raised,
        mock.patch("umkit.handover.put_into"),
    ):
        summary = _run.run(inputs, mode, chapters=[chapter], records=records, runbooks=ROOT / "runbooks", lab=lab)
    return summary, raised[0] if raised else None
