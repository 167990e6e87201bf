"""The papermill engine: whatever ends a notebook, its record says what was."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat.v4
import papermill
import pytest
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError
from papermill.iorw import papermill_io

from umkit.errors import RecordError
from umkit.headless import execution, keeper, kernel
from umkit.headless.keeper import WholeFiles
from umkit.headless.kernel import Kernel

Watch = Callable[[int, int], None]
LOOKS = 60  # half seconds that a hook waits before it gives up


class Sheet:
    """A notebook on the disk, and what became of it."""

    def __init__(self, folder: Path, booted: Callable[[], Kernel]) -> None:
        self._booted = booted
        self.source = folder / "in.ipynb"
        self.path = folder / "out.ipynb"
        self.mark = folder / "mark"

    def write(self, *cells: str) -> None:
        """Code cells; one that begins with # and a blank is markdown."""
        make = {True: nbformat.v4.new_markdown_cell, False: nbformat.v4.new_code_cell}
        nb = nbformat.v4.new_notebook(cells=[make[cell.startswith("# ")](cell) for cell in cells])
        nbformat.write(nb, self.source)

    def run(self, *cells: str, **options: Any) -> None:
        self.write(*cells)
        if not options.keys() & {"env", "kernel"}:
            options["kernel"] = self._booted()
        names = {"engine_name": "umkit", "kernel_name": "python3", "language": "python"}
        papermill.execute_notebook(self.source, self.path, **names, **options)

    @property
    def now(self) -> Any:
        return nbformat.read(self.path, 4)

    @property
    def statuses(self) -> list[str]:
        return [cell.metadata.papermill.status for cell in self.now.cells]

    @property
    def umkit(self) -> dict[str, Any]:
        return dict(self.now.metadata.umkit)

    def text(self, index: int) -> str:
        """Everything that a person reads below a cell, as plain text."""
        outputs = self.now.cells[index].get("outputs", [])
        return "\n".join(
            output.get("text") or output.get("data", {}).get("text/plain") or "\n".join(output.get("traceback", []))
            for output in outputs
        )


@pytest.fixture(scope="module")
def booted() -> Iterator[Callable[[], Kernel]]:
    """Kernels that boot while the test before runs."""
    waiting: list[Kernel] = []

    def take() -> Kernel:
        taken = waiting.pop() if waiting else Kernel().start()
        waiting.append(Kernel().start())
        return taken

    yield take
    for left in waiting:
        left.stop(at_once=True)


@pytest.fixture
def sheet(tmp_path: Path, booted: Callable[[], Kernel]) -> Sheet:
    return Sheet(tmp_path, booted)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(execution, "GRACE", 0.3)
    return


SLEEP = "import time; time.sleep(60)"
DEAF = """\
import time
for _ in range(6000):
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        pass
"""


def test_a_good_notebook_is_kept_whole_and_says_so(sheet: Sheet, capfd: pytest.CaptureFixture[str]) -> None:
    before = dict(os.environ)
    sheet.run(
        "# Title",
        "import sys; print(sys.executable)",
        "import os; print([os.environ.get(name) for name in ('UMKIT_HEADLESS', 'UMKIT_RECORD')])",
        "os.write(1, b'from below'); 6 * 7",
        env={"UMKIT_RECORD": "here"},
    )
    assert sheet.statuses == ["completed"] * 4
    assert sheet.umkit == {"result": "ok", "ended": "ok", "cell": None}
    metadata = sheet.now.metadata
    assert metadata.papermill.exception is None
    assert metadata.papermill.duration > 0
    assert metadata.language_info.name == "python"
    assert sheet.text(1).strip() == sys.executable
    assert sheet.text(2).strip() == "['1', 'here']"
    assert "42" in sheet.text(3)
    assert dict(os.environ) == before
    assert capfd.readouterr().out == ""
    assert isinstance(papermill_io.get_handler(str(sheet.path)), WholeFiles)
    assert [path.name for path in sheet.path.parent.iterdir() if "tmp" in path.name] == []


def test_a_cell_that_raises_fails_and_the_rest_is_not_run(sheet: Sheet) -> None:
    with pytest.raises(PapermillExecutionError) as caught:
        sheet.run("print(1)", "1 / 0", "# text", "print(2)")
    assert (caught.value.ename, caught.value.evalue, caught.value.exec_count) == (
        "ZeroDivisionError",
        "division by zero",
        2,
    )
    assert sheet.statuses == ["completed", "failed", "not_run", "not_run"]
    assert sheet.umkit == {"result": "failed", "ended": "error", "cell": 1}
    assert sheet.now.metadata.papermill.exception is True
    assert [cell.metadata.papermill.exception for cell in sheet.now.cells] == [False, True, None, None]
    assert "ZeroDivisionError" in sheet.text(1)
    assert sheet.text(1).endswith("This cell failed; the cells below did not run.")
    assert sheet.text(3) == "not run: the chapter ended in cell [2] (error)"
    raw = sheet.path.read_text("utf-8")
    assert "papermill-error-cell" not in raw
    assert "<script" not in raw


def test_an_error_of_our_own_is_shown_as_what_it_says(sheet: Sheet) -> None:
    cell = "from umkit.errors import Unreadable\nraise Unreadable('no <b>rights</b>', seen='x', next='ask')"
    with pytest.raises(PapermillExecutionError, match="no <b>rights</b>") as caught:
        sheet.run(cell, "print('shown before: no <i>rights</i>')\nraise Unreadable('no <i>rights</i>', next='ask')")
    assert "Traceback" not in str(caught.value)
    outputs = sheet.now.cells[0].outputs
    assert [output.output_type for output in outputs] == ["display_data"]
    assert outputs[0].data["text/plain"] == (
        "This cell failed; the cells below did not run.\nno <b>rights</b>\n  seen:     x\n  next:     ask"
    )
    assert "no &lt;b&gt;rights&lt;/b&gt;" in outputs[0].data["text/html"]


def test_what_a_card_has_said_is_not_said_again(sheet: Sheet) -> None:
    with pytest.raises(PapermillExecutionError):
        sheet.run(
            "from umkit.errors import Blocked\nprint('FMT-1: consent is missing')\nraise Blocked('consent is missing')"
        )
    assert sheet.text(0).count("consent is missing") == 1


@pytest.mark.parametrize(
    ("cell", "how"),
    [
        ("import os; os._exit(0)", "exit status 0"),
        pytest.param(
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "killed by SIGKILL",
            marks=pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGKILL"),
        ),
    ],
)
def test_a_kernel_that_dies_is_told(sheet: Sheet, cell: str, how: str) -> None:
    with pytest.raises(DeadKernelError, match="The kernel died while this cell ran"):
        sheet.run("print(1)", cell, "print(2)")
    assert sheet.statuses == ["completed", "kernel died", "not_run"]
    assert sheet.umkit == {"result": "failed", "ended": "kernel died", "cell": 1}
    assert how in sheet.text(1)


def test_a_kernel_that_cannot_boot_is_told_with_its_last_words(
    sheet: Sheet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "ipykernel_launcher.py").write_text("raise ImportError('broken installation')")
    with pytest.raises(DeadKernelError, match="before it answered"):
        sheet.run("print(1)", env={"PYTHONPATH": str(tmp_path)})
    assert sheet.statuses == ["not_run"]
    assert sheet.umkit == {"result": "failed", "ended": "kernel died", "cell": None}
    assert "ImportError: broken installation" in sheet.text(0)


def test_a_kernel_that_cannot_boot_is_started_once_more(sheet: Sheet, tmp_path: Path) -> None:
    """No cell has run in it, so nothing can be done twice."""
    (tmp_path / "ipykernel_launcher.py").write_text(
        "import pathlib, runpy, sys\n"
        "mark = pathlib.Path(__file__).with_name('tried')\n"
        "if not mark.exists():\n"
        "    mark.touch()\n"
        "    sys.exit('not this time')\n"
        "sys.path.remove(str(mark.parent))\n"
        "runpy.run_module('ipykernel_launcher', run_name='__main__')\n"
    )
    sheet.run("print(1)", env={"PYTHONPATH": os.pathsep.join(filter(None, [str(tmp_path), os.getenv("PYTHONPATH")]))})
    assert (tmp_path / "tried").exists()
    assert sheet.statuses == ["completed"]
    assert sheet.text(0) == "1\n"


@pytest.mark.parametrize("cell", ["import sys; sys.exit(0)", "exit()"])
def test_leaving_a_notebook_early_is_no_success(sheet: Sheet, cell: str) -> None:
    with pytest.raises(PapermillExecutionError, match=r"SystemExit|the cell ended its kernel"):
        sheet.run("print(1)", cell)
    assert sheet.statuses == ["completed", "failed"]
    assert "This cell ended the notebook before its end (SystemExit)" in sheet.text(1)


def test_a_cell_over_its_deadline_may_say_what_it_was_doing(sheet: Sheet) -> None:
    cell = f"try:\n    {SLEEP}\nfinally:\n    print('outcome: unknown')"
    with pytest.raises(CellTimeoutError, match="did not end within 1 s"):
        sheet.run("print(1)", cell, "print(2)", execution_timeout=1)
    assert sheet.statuses == ["completed", "timeout", "not_run"]
    assert sheet.umkit == {"result": "failed", "ended": "timeout", "cell": 1}
    assert sheet.text(1).startswith("outcome: unknown\n")
    assert sheet.text(1).endswith("This cell did not end within 1 s; it was interrupted.")


@pytest.mark.usefixtures("impatient")
def test_a_cell_that_does_not_heed_the_interrupt_is_killed(sheet: Sheet) -> None:
    with pytest.raises(CellTimeoutError):
        sheet.run(DEAF, "print(2)", execution_timeout=1)
    assert sheet.statuses == ["timeout", "not_run"]
    assert "did not heed an interrupt and was killed" in sheet.text(0)


# Stopped from outside


def test_a_hook_that_raises_keyboardinterrupt_stops_the_cell(sheet: Sheet) -> None:
    def watch(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sheet.run(f"try:\n    {SLEEP}\nfinally:\n    open({str(sheet.mark)!r}, 'w')", "print(2)", watch=watch)
    assert sheet.statuses == ["interrupted", "not_run"]
    assert sheet.umkit == {"result": "failed", "ended": "interrupted", "cell": 0}
    assert sheet.text(0) == "Stopped while this cell ran."
    assert sheet.mark.exists()


@pytest.mark.skipif(os.name != "posix", reason="Windows cannot send itself these signals")
@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_lets_the_cell_write_its_outcome(sheet: Sheet, number: int, error: type[BaseException]) -> None:
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(error):
        sheet.run(
            f"try:\n    {SLEEP}\nfinally:\n    open({str(sheet.mark)!r}, 'w')",
            "print(2)",
            watch=lambda done, total: os.kill(os.getpid(), number),
        )
    assert sheet.statuses == ["interrupted", "not_run"]
    assert signal.Signals(number).name in sheet.text(0)
    assert sheet.mark.exists()
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers


@pytest.mark.skipif(os.name != "posix", reason="Windows cannot send itself these signals")
def test_a_second_signal_does_not_wait_for_a_deaf_cell(sheet: Sheet, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt = Kernel.interrupt

    def and_again(self: Kernel) -> None:
        interrupt(self)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(execution, "GRACE", 60.0)
    monkeypatch.setattr(Kernel, "interrupt", and_again)
    with pytest.raises(KeyboardInterrupt):
        sheet.run(DEAF, watch=lambda done, total: os.kill(os.getpid(), signal.SIGINT))
    assert sheet.statuses == ["interrupted"]


def test_a_hook_that_fails_between_two_cells_stops_there(sheet: Sheet) -> None:
    def watch(done: int, total: int) -> None:
        if done == 1:
            raise RuntimeError("the hook is broken")

    with pytest.raises(RuntimeError, match="hook"):
        sheet.run("print(1)", "print(2)", watch=watch)
    assert sheet.statuses == ["completed", "not_run"]
    assert sheet.umkit == {"result": "failed", "ended": "error", "cell": None}
    assert "Stopped between two cells.\nRuntimeError: the hook is broken" in sheet.text(1)


# Keeping the file


def test_finished_cells_are_on_the_disk_while_a_silent_one_runs(sheet: Sheet) -> None:
    looks: list[list[str]] = []

    def watch(done: int, total: int) -> None:
        looks.append(sheet.statuses)
        if looks[-1] == ["completed", "running"] or len(looks) > LOOKS:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sheet.run("print('first')", SLEEP, watch=watch)
    assert looks[-1] == ["completed", "running"]


def test_a_notebook_is_written_seldom(sheet: Sheet, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    write = keeper.write_atomic

    def count(path: Path, content: str) -> None:
        written.append(content)
        write(path, content)

    monkeypatch.setattr(keeper, "write_atomic", count)
    monkeypatch.setattr(keeper, "_PAUSE", 3600.0)
    sheet.run(*["print(1)"] * 20)
    assert len(written) == 2  # the beginning and the end
    assert json.loads(written[0])["metadata"]["umkit"] == {"cell": None, "ended": None, "result": "unknown"}
    assert sheet.statuses == ["completed"] * 20


def test_a_notebook_that_cannot_be_kept_any_more_stops_before_its_next_cell(
    sheet: Sheet, monkeypatch: pytest.MonkeyPatch
) -> None:
    saves = 0
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        nonlocal saves
        saves += 1
        if saves > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(keeper, "_PAUSE", 0.0)
    monkeypatch.setattr(keeper, "_SHARE", float("inf"))
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(RecordError, match=r"out\.ipynb cannot be written"):
        sheet.run("print(1)", f"open({str(sheet.mark)!r}, 'w')")
    assert not sheet.mark.exists()
    assert sheet.statuses == ["pending", "pending"]  # the last state that could be kept, and whole
    assert [path.name for path in sheet.path.parent.iterdir() if "tmp" in path.name] == []


def test_a_notebook_that_cannot_be_kept_at_all_is_not_begun(sheet: Sheet, tmp_path: Path) -> None:
    sheet.path = tmp_path / "missing" / "out.ipynb"
    with pytest.raises(RecordError):
        sheet.run(f"open({str(sheet.mark)!r}, 'w')")
    assert not sheet.mark.exists()


def test_a_password_field_is_kept_empty(sheet: Sheet) -> None:
    sheet.run(
        "import ipywidgets; ipywidgets.Password(value='-'.join(['geheim', '4711']))", "ipywidgets.Text(value='shown')"
    )
    raw = sheet.path.read_text("utf-8")
    assert "geheim-4711" not in raw
    assert "shown" in raw


def test_known_secrets_are_masked_in_what_is_kept(sheet: Sheet) -> None:
    from umkit.secrets import Secret, remember

    remember(Secret('canary"4711\\engine'))
    sheet.run("print('canary\"4711\\\\engine')", "{'a': 'canary\"4711\\\\engine'}")
    assert "4711\\" not in "".join(sheet.text(index) for index in (0, 1))
    assert "(secret)" in sheet.text(0)


# As others call it


def test_an_executed_notebook_can_be_executed_again(sheet: Sheet) -> None:
    with pytest.raises(PapermillExecutionError):
        sheet.run("1 / 0", "print(2)")
    papermill.execute_notebook(sheet.path, None, engine_name="umkit", kernel_name="python3", prepare_only=True)
    nb = sheet.now
    nb.cells[0].source = "print(1)"
    nbformat.write(nb, sheet.source)
    papermill.execute_notebook(sheet.source, sheet.path, engine_name="umkit", kernel_name="python3")
    assert sheet.statuses == ["completed", "completed"]
    assert [sheet.text(0), sheet.text(1)] == ["1\n", "2\n"]


def test_where_sockets_have_no_short_path_the_kernel_speaks_encrypted_tcp(
    sheet: Sheet, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kernel, "_LONGEST_SOCKET", 0)
    sheet.run("print(1)", env={})
    assert sheet.statuses == ["completed"]
    assert "TCP" not in capfd.readouterr().err


@pytest.mark.parametrize("preload", ["colorsys", "no_such_module"])
def test_a_preloaded_module_leaves_the_notebook_as_it_is(sheet: Sheet, preload: str) -> None:
    cell = f"import sys; print({preload!r} in sys.modules, {preload!r} in globals(), Out)"
    sheet.run(cell, kernel=Kernel(preload=preload))
    assert sheet.text(0) == f"{preload == 'colorsys'} False {{}}\n"
    assert sheet.now.cells[0].execution_count == 1


def test_it_runs_inside_of_a_running_loop(sheet: Sheet) -> None:
    import asyncio

    async def inside() -> None:
        sheet.run("print(1)")

    asyncio.run(inside())
    assert sheet.statuses == ["completed"]


CLI = """
import sys
from umkit.headless.quick import skip_slow_imports
skip_slow_imports()
from papermill.cli import papermill
papermill(sys.argv[1:])
"""


def test_papermills_own_command_line_knows_the_engine(sheet: Sheet) -> None:
    sheet.write("mode = 'x'", "print(mode)", "1 / 0")
    command = [sys.executable, "-c", CLI, str(sheet.source), str(sheet.path), "--engine", "umkit", "-k", "python3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert done.stdout == ""
    assert sheet.statuses == ["completed", "completed", "failed"]


@pytest.mark.parametrize("first", ["papermill", "umkit.headless"])
def test_papermill_and_we_can_be_imported_in_any_order(first: str) -> None:
    code = (
        "import sys; sys.modules['rfc3987_syntax'] = None\n"
        f"import {first}, papermill, umkit.headless\n"
        "from papermill.engines import papermill_engines\n"
        "assert papermill_engines.get_engine('umkit') is umkit.headless.Engine\n"
        "assert callable(umkit.headless.run)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_importing_us_is_cheap() -> None:
    heavy = ["papermill", "nbformat", "zmq", "pydantic", "rich"]
    code = f"import sys, umkit.headless; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
