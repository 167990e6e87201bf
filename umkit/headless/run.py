"""One run of a customer's chapters, in one process, with its record.

This module is imported by every ``import papermill`` (see :mod:`umkit.headless.engine`), so what is heavy is imported
where it is used.
"""

from __future__ import annotations

import ast
import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umkit.errors import SecretError, StepError, UsageError
from umkit.headless.progress import Silence
from umkit.headless.results import ChapterSummary, RunSummary, explain, judge
from umkit.headless.signals import Signals
from umkit.outcome import worst

if TYPE_CHECKING:
    from umkit.customer import CustomerFile
    from umkit.headless.kernel import Kernel
    from umkit.record import Record

MODES = ("plan", "apply", "verify", "rollback", "interactive")
#: The chapter that finds out whether everything is there; when it fails, no other one runs.
FIRST = "00-start"
#: Chapters from this number on are for an occasion of their own: they run only when they are named.
ON_DEMAND = 20


def run(
    customer: CustomerFile | Path | str,
    mode: str,
    *,
    chapters: Sequence[str] = (),
    records: Path | None = None,
    runbooks: Path | None = None,
    progress: Silence | None = None,
    lab: Mapping[str, Any] | None = None,
    deadline: float | None = None,
    plan: Path | None = None,
    resume: str | None = None,
    begun: Callable[[Record], None] | None = None,
) -> RunSummary:
    """Run a customer's chapters without a person, and keep and seal the record.

    Arguments:
        customer: the customer file, or its path.
        mode: ``plan``, ``apply``, ``verify``, ``rollback`` or ``interactive`` (which plans).
        chapters: names or numbers; without any, all below 20 but those that need a section the customer does not want.
        records: folder of the records; the customer file's ``run.records``.
        runbooks: folder of the notebooks; see :func:`folder`.
        progress: is told how it goes on.
        lab: what ``Lab.describe()`` says, where a lab stands for every endpoint named ``lab``.
        deadline: seconds for one cell; the customer file's ``run.cell_deadline``.
        plan: a plan file that an apply is held to (see :mod:`umkit.headless.planned`).
        resume: the run that this one goes on with, for the journal (see :mod:`umkit.headless.resumed`).
        begun: is given the record before the first chapter runs, to write down in it where the run comes from.

    Returns the summary; a chapter that failed is told there, and so is a run that was ``stopped`` by Ctrl-C or SIGTERM:
    its record is closed and sealed, and its result ``failed`` or worse.

    Raises ``CustomerFileError`` and ``UsageError`` before anything is begun, ``RecordError`` when the run cannot be
    written down or another one works on the customer.
    """
    from umkit import record
    from umkit.customer import CustomerFile, load
    from umkit.lock import CustomerLock

    if mode not in MODES:
        raise UsageError(f"there is no mode {mode}", expected="one of " + ", ".join(MODES))
    inputs = customer if isinstance(customer, CustomerFile) else load(customer)
    chosen = _chosen(runbooks or folder("runbooks"), chapters, inputs)
    home = records or Path(inputs.run.records)
    CustomerLock(home.resolve() / inputs.customer.name).refuse()  # before a key store is asked, which can take long
    _remember_secrets(inputs, lab)
    with record.create(
        home,
        inputs,
        mode=mode,
        chapters=[chapter.name for chapter in chosen],
        given=_given(inputs),
    ) as kept:
        if begun is not None:
            begun(kept)
        going = _Run(inputs, kept, progress or Silence(), lab, deadline or inputs.run.cell_deadline)
        if plan is not None:
            going.hold_to(plan)
        if mode == "apply":
            going.reconcile(resume)
        return going.all(chosen)


def folder(name: str) -> Path:
    """The folder ``runbooks`` or ``parameters``: the one here, else the one that came with the package.

    Raises ``UsageError`` when there is neither.
    """
    package = Path(__file__).resolve().parents[1]
    for candidate in (Path.cwd() / name, package / f"_{name}", package.parent / name):
        if candidate.is_dir():
            return candidate
    raise UsageError(f"there is no folder {name}", seen=str(Path.cwd()), next=f"change to the folder that holds {name}")


def notebooks(runbooks: Path, chapters: Sequence[str], inputs: CustomerFile) -> list[Path]:
    """The notebooks that a run of these chapters executes, in their order; see :func:`run`."""
    return [chapter.path for chapter in _chosen(runbooks, chapters, inputs)]


def values_for(notebook: Path, inputs: CustomerFile, mode: str) -> dict[str, Any]:
    """A notebook's parameters with one customer's values, as each run of its chapter gets them.

    Raises ``UsageError`` when the file is no notebook of the runbook.
    """
    return _Chapter.read(notebook).values({**inputs.dump(), "mode": mode})


@dataclass(frozen=True)
class _Chapter:
    """A notebook: its file, its parameters, its steps."""

    path: Path
    parameters: frozenset[str]
    steps: int

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def number(self) -> int:
        digits = self.name.partition("-")[0]
        return int(digits) if digits.isdecimal() else 0

    @classmethod
    def read(cls, path: Path) -> _Chapter:
        try:
            cells = json.loads(path.read_text("utf-8"))["cells"]
            tagged = [(set(cell["metadata"].get("tags", ())), "".join(cell["source"])) for cell in cells]
            sources = [source for tags, source in tagged if "parameters" in tags]
            tree = ast.parse("\n".join(sources[:1]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SyntaxError) as error:
            raise UsageError(
                f"{path.name} is no notebook of the runbook", where={"file": str(path)}, seen=type(error).__name__
            ) from error
        targets = [target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]
        targets += [node.target for node in tree.body if isinstance(node, ast.AnnAssign)]
        names = frozenset(target.id for target in targets if isinstance(target, ast.Name))
        steps = {tag for tags, _ in tagged for tag in tags if tag.startswith("step:")}
        return cls(path, names, len(steps))

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        from umkit.customer import SECTIONS

        # a section that was not given goes as None: the notebook must not fall back on its example's values
        return {name: given.get(name) for name in (*SECTIONS, "mode") if name in self.parameters}


class _Run:
    """A run under way."""

    def __init__(
        self,
        inputs: CustomerFile,
        record: Record,
        progress: Silence,
        lab: Mapping[str, Any] | None,
        deadline: float,
    ) -> None:
        self._inputs = inputs
        self._lab = lab
        self._record = record
        self._progress = progress
        self._deadline = deadline
        self._values: dict[str, Any] = {**inputs.dump(), "mode": record.mode}
        self._env = {"UMKIT_RECORD": str(record.folder), "UMKIT_KEEP_SESSIONS": "1"}
        if lab is not None:
            self._env["UMKIT_LAB"] = json.dumps(dict(lab))
        self._seen = 0  # bytes of the journal that were read for the progress
        self._kernel: Kernel | None = None  # carries out one chapter after the other
        self._signals = Signals()

    def hold_to(self, plan: Path) -> None:
        """Let every chapter stop where the state has moved since a plan; a copy of it goes into the record."""
        from umkit import planfile
        from umkit.durable import write_atomic

        copy = self._record.folder / planfile.FILE
        write_atomic(copy, plan.read_bytes())
        self._env[planfile.VARIABLE] = str(copy)

    def reconcile(self, resume: str | None) -> None:
        """Look up what became of commands that an earlier run sent and that nobody answered."""
        from umkit.unanswered import reconcile

        journal = self._record.journal
        if resume is not None:
            journal.append("resume", of=resume)
        for answer in reconcile(self._inputs, journal, self._record.folder.parents[1], lab=self._lab):
            self._progress.remark(f"unanswered before: {answer}")

    def all(self, chapters: Sequence[_Chapter]) -> RunSummary:
        from umkit.handover import put_into

        record, ended, stop = self._record, list[ChapterSummary](), ""
        stopped = False
        with self._signals, _quiet():
            # only now: who reads that it has begun may stop it, and its record is closed in any case
            self._progress.run_begins(record.run, record.customer, record.mode, len(chapters))
            try:
                for chapter in chapters:
                    stopped = stopped or self._signals.came
                    if stopped or stop:
                        summary = self._blocked(chapter, stop or "the run was stopped")
                    else:
                        summary, stopped = self._executed(chapter, last=chapter is chapters[-1])
                        if chapter.name == FIRST and summary.result in ("failed", "unknown", "blocked"):
                            stop = f"{FIRST} {summary.result}"
                    ended.append(summary)
                    self._progress.chapter_ends(summary)
            finally:
                if self._kernel is not None:
                    self._kernel.stop()
            result = worst(["failed" if stopped else "ok", *(summary.result for summary in ended)])
            self._keep_plan(ended)
            put_into(record)
            signed = record.close(result)
        whole = RunSummary(
            record.run, record.customer, record.mode, result, record.folder, ended, stopped=stopped, signed=signed
        )
        self._progress.run_ends(whole)
        return whole

    def _keep_plan(self, ended: Sequence[ChapterSummary]) -> None:
        """Put into the record what was planned, step by step; of a plan run it is what an apply can be held to."""
        if self._record.mode not in ("plan", "apply"):
            return
        from umkit import planfile
        from umkit.durable import write_atomic

        path = self._record.folder / planfile.FILE
        if not path.exists():  # else the plan that this apply is held to
            broken = [chapter.chapter for chapter in ended if chapter.error]
            write_atomic(path, planfile.text(planfile.collect(path.parent, self._inputs.dump(), broken=broken)))

    def _executed(self, chapter: _Chapter, *, last: bool) -> tuple[ChapterSummary, bool]:
        """Run one chapter; what became of it, and whether somebody stopped it."""
        from umkit.journal import read

        self._progress.chapter_begins(chapter.name, chapter.steps)
        error = self._execute(chapter, last=last)
        self._follow()
        journal = self._record.journal
        events = read(journal.path)
        ends = [event for event in events if event["event"] == "chapter-end" and event.get("chapter") == chapter.name]
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        # Whoever stops the run after the chapter said how it ended has stopped the run, not the chapter.
        summary = judge(events, chapter.name, broke_off=error is not None and not (stopped and ends))
        if not ends or ends[-1].get("result") != summary.result:
            why = summary.error or (explain(error) if error else None)
            if why is None and not ends:
                why = explain(StepError("the notebook did not say how it ended", next="end it with chapter.finish()"))
            fields = {"error": why} if why else {}
            end = journal.append("chapter-end", chapter=chapter.name, result=summary.result, **fields)
            summary = judge([*events, end], chapter.name)
        return summary, stopped

    def _execute(self, chapter: _Chapter, *, last: bool) -> BaseException | None:
        if self._kernel is None or not self._kernel.is_running:  # the first, or one after a chapter that ended badly
            self._kernel = self._started()  # it boots while papermill is imported

        import papermill
        from papermill.engines import papermill_engines

        from umkit.headless.engine import Engine

        papermill_engines.register("umkit", Engine)  # also where the package is not installed but only there
        values = chapter.values(self._values)
        try:
            papermill.execute_notebook(
                _literal(chapter.path),
                _literal(self._record.notebooks / chapter.path.name),
                values,
                engine_name="umkit",
                kernel_name="python3",
                language="python",
                progress_bar=False,
                execution_timeout=self._deadline,
                kernel=self._kernel,
                keep_kernel=not last,
                watch=self._watch,
            )
        except BaseException as error:
            self._kernel.stop()
            return error
        return None

    def _started(self) -> Kernel:
        from umkit.headless.kernel import Kernel

        kernel = Kernel(self._env, preload="umkit.headless.between")
        with contextlib.suppress(OSError):  # the chapter that needs it tries again, and says what is wrong
            kernel.start()
        return kernel

    def _blocked(self, chapter: _Chapter, why: str) -> ChapterSummary:
        error = {"error": "Blocked", "what": f"not run: {why}"}
        self._record.journal.append("chapter-end", chapter=chapter.name, result="blocked", error=error)
        return ChapterSummary(chapter.name, "blocked", error=error)

    def _watch(self, done: int, total: int) -> None:
        self._signals.check()  # one that came before the engine listened
        self._follow()

    def _follow(self) -> None:
        """Tell the progress of steps that were written down since."""
        with self._record.journal.path.open("rb") as file:
            file.seek(self._seen)
            new = file.read()
        whole = new.rpartition(b"\n")[0]
        self._seen += len(whole) + 1 if whole else 0
        for line in whole.split(b"\n"):
            with contextlib.suppress(ValueError, TypeError, KeyError):
                event = json.loads(line)
                if event["event"] == "step":
                    self._progress.step(event)


def _chosen(runbooks: Path, names: Sequence[str], inputs: CustomerFile) -> list[_Chapter]:
    from umkit.chapters import chapters

    def lacks(chapter: _Chapter) -> bool:
        without = chapters()[chapter.name].without if chapter.name in chapters() else ()
        return any(inputs.declines(name) for name in chapter.parameters if name not in without)

    there = [_Chapter.read(path) for path in sorted(runbooks.glob("*.ipynb"))]
    if not names:
        chosen = [chapter for chapter in there if chapter.number < ON_DEMAND and not lacks(chapter)]
    else:
        for name in names:
            if not any(_is_named(chapter, name) for chapter in there):
                raise UsageError(
                    f"there is no chapter {name}", expected="one of " + ", ".join(chapter.name for chapter in there)
                )
        chosen = [chapter for chapter in there if any(_is_named(chapter, name) for name in names)]
    if not chosen:
        raise UsageError("there is no chapter to run", where={"folder": str(runbooks)})
    return chosen


def _is_named(chapter: _Chapter, name: str) -> bool:
    bare = name.removesuffix(".ipynb")
    return bare in (chapter.name, chapter.name.partition("-")[0])


def _given(inputs: CustomerFile) -> str:
    """The customer file's text; empty where the values came from elsewhere."""
    with contextlib.suppress(OSError, ValueError):
        return Path(inputs.source).read_text("utf-8-sig")
    return ""


def _remember_secrets(inputs: CustomerFile, lab: Mapping[str, Any] | None) -> None:
    """Let every file that this process writes be masked, whatever a cell may print."""
    from umkit.secrets import Secret, remember

    if lab is not None and lab.get("password"):
        remember(Secret(str(lab["password"])))
    for reference in inputs.references().values():
        with contextlib.suppress(SecretError):  # the chapter that needs it says what is wrong with it
            reference.resolve(interactive=False)


def _literal(path: Path) -> str:
    """A path as papermill takes it: braces would be parameters to it."""
    return str(path).replace("{", "{{").replace("}", "}}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """papermill's remarks are for its own command line; this run says itself what matters."""
    logger = logging.getLogger("papermill")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
