"""The execution of one notebook: each cell with a deadline, each end told apart."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty
from typing import Any

from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.exceptions import PapermillExecutionError

from umkit.errors import UmkitError
from umkit.headless.keeper import Ended, Ending, Keeper, own_errors
from umkit.headless.kernel import Kernel
from umkit.headless.signals import Signals
from umkit.secrets import redact

#: Called with the number of cells done and of all cells: after each cell, and twice a second while one runs.
Watch = Callable[[int, int], None]

#: Seconds an interrupted cell gets to write down what it was doing; then the kernel is killed.
GRACE = 10.0
_LOOK = 0.5
#: Seconds for a kernel to clear away what a chapter left.
_CLEARING = 10.0
_CLEAR = "__import__('umkit.headless.between', fromlist=['clear']).clear()"
#: Seconds for the last outputs to arrive after a cell has ended.
_OUTPUTS = 60

_log = logging.getLogger("umkit.headless")
_log.addFilter(lambda record: record.levelno != logging.ERROR)  # the ending says all that, and more


class Execution:
    """One run of one notebook in one kernel.

    Arguments:
        keeper: holds the notebook.
        kernel: the kernel, started or not; it is stopped at the end.
        keep: leave it running for another notebook, cleared, where all went well; it has to be one with
            :mod:`umkit.headless.between` in it.
        deadline: seconds for one cell.
        start_timeout: seconds for the kernel to answer.
        watch: is told how far it is; what it raises ends the run.
        options: options of papermill's client: ``log_output``, ``stdout_file``, ``stderr_file``.
    """

    def __init__(
        self,
        keeper: Keeper,
        kernel: Kernel,
        *,
        deadline: float,
        start_timeout: float,
        keep: bool = False,
        watch: Watch | None = None,
        **options: Any,
    ) -> None:
        self._keeper = keeper
        self._keep = keep
        self._cleared = False
        self._kernel = kernel
        self._deadline = deadline
        self._start_timeout = start_timeout
        self._watch = watch or (lambda done, total: None)
        self._options = options
        self._signals = Signals()
        self._deaf = False  # the kernel did not heed an interrupt: it has to be killed
        self._at: int | None = None

    def run(self) -> Ending:
        """Run all cells; says how it ended and raises nothing.

        The notebook is not kept for the last time yet: that is the keeper's :meth:`~Keeper.end`.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._run()
        with ThreadPoolExecutor(1) as elsewhere:  # called from within a loop, as in a notebook
            return elsewhere.submit(self._run).result()

    def _run(self) -> Ending:
        with self._signals:
            try:
                if not self._kernel.is_started:
                    self._kernel.start()
                # zmq's sockets need a selector loop, which is not Windows' own
                factory = asyncio.SelectorEventLoop if sys.platform == "win32" else None
                with asyncio.Runner(loop_factory=factory) as runner:
                    ending = runner.run(self._main())
            except Exception as error:  # the kernel cannot even be started
                ending = self._ending_of(error)
            finally:
                if not self._cleared or self._signals.came:
                    self._kernel.stop(at_once=self._deaf)
        if ending.ended == "kernel died":
            ending.details = self._kernel.last_words()
        if ending.error is None and self._signals.came:  # too late for this notebook, but not for its caller
            ending.error = self._signals.error()
        return ending

    async def _main(self) -> Ending:
        self._signals.watch()
        client = _Client(self._keeper, log=_log, **self._options)
        client.kc = self._kernel.client()
        client.kc.start_channels(stdin=False, hb=False, control=False)
        try:
            self._keeper.nb.metadata["language_info"] = await self._ready_at_last(client)
            ending = await self._cells(client)
            if self._keep and ending.ended == "ok":
                client.set_widgets_metadata()  # before they are closed
                self._cleared = await self._clear(client.kc)
            return ending
        except BaseException as error:  # a signal between two cells, a watch that raises, a full disk
            return self._ending_of(error)
        finally:
            if not self._cleared:
                client.set_widgets_metadata()
            client.kc.stop_channels()

    async def _ready_at_last(self, client: _Client) -> dict[str, Any]:
        """Wait for the kernel; one that dies or stays silent is started once more, since no cell has run in it."""
        try:
            return await self._ready(client.kc)
        except DeadKernelError as error:
            _log.warning("the kernel is started once more: %s", error)
            client.kc.stop_channels()
            self._kernel.stop(at_once=True)
            self._deaf = False
            self._kernel.start()
            client.kc = self._kernel.client()
            client.kc.start_channels(stdin=False, hb=False, control=False)
            return await self._ready(client.kc)

    async def _ready(self, kc: Any) -> dict[str, Any]:
        """Wait for the kernel; jupyter_client's own wait ends with 0.2 s of silence that nobody needs."""
        until = time.monotonic() + self._start_timeout
        while time.monotonic() < until:
            self._signals.check()
            kc.kernel_info()
            with contextlib.suppress(Empty):
                reply = await kc.shell_channel.get_msg(timeout=1)
                if reply["msg_type"] == "kernel_info_reply":
                    await kc.iopub_channel.get_msg(timeout=0.2)  # else outputs would be lost: ask again
                    language: dict[str, Any] = reply["content"]["language_info"]
                    return language
            if not await kc.is_alive():
                raise DeadKernelError(f"the kernel ended before it answered ({await self._kernel.exit_status()})")
        self._deaf = True
        raise DeadKernelError(f"the kernel did not answer within {self._start_timeout:.0f} s")

    async def _clear(self, kc: Any) -> bool:
        """Have the kernel clear away what the notebook left; whether it did."""
        request = kc.execute(_CLEAR, silent=True, store_history=False, allow_stdin=False)
        until = time.monotonic() + _CLEARING
        with contextlib.suppress(Empty):
            while True:
                reply = await kc.shell_channel.get_msg(timeout=max(0.0, until - time.monotonic()))
                if reply["parent_header"].get("msg_id") == request:
                    if reply["content"]["status"] != "ok":
                        _log.info("the kernel is not used again: %s", reply["content"].get("evalue"))
                    return bool(reply["content"]["status"] == "ok")
        return False

    async def _cells(self, client: _Client) -> Ending:
        cells = self._keeper.nb.cells
        for index, cell in enumerate(cells):
            self._signals.check()
            self._keeper.cell_begins(index)
            if cell.cell_type == "code":
                self._at = index
                ended, error = await self._cell(client, cell, index, len(cells))
                self._at = None
                if ended != "ok":
                    self._keeper.cell_ends(index, ended)
                    return self._ending(ended, index, error)
            self._keeper.cell_ends(index, "ok")
            self._watch(index + 1, len(cells))
        return Ending("ok")

    async def _cell(self, client: _Client, cell: Any, index: int, total: int) -> tuple[Ended, BaseException | None]:
        client.left = False
        work = asyncio.ensure_future(client.async_execute_cell(cell, index))
        stop = asyncio.ensure_future(self._signals.first.wait())
        try:
            until = time.monotonic() + self._deadline
            while not work.done() and not stop.done() and (rest := until - time.monotonic()) > 0:
                await asyncio.wait({work, stop}, timeout=min(_LOOK, rest), return_when=asyncio.FIRST_COMPLETED)
                if not work.done() and not stop.done():
                    self._watch(index, total)
            if not work.done():
                await self._wind_up(work)
                return ("interrupted" if stop.done() else "timeout"), None
        except BaseException:  # the watch raised
            if not work.done():
                await self._wind_up(work)
            raise
        finally:
            stop.cancel()
        error = work.exception()
        if isinstance(error, DeadKernelError):
            return "kernel died", DeadKernelError(await self._kernel.exit_status())
        if isinstance(error, CellTimeoutError):  # it answered, but its outputs did not come to an end
            return "timeout", error
        if error is not None and not isinstance(error, CellExecutionError):
            raise error
        if error is None and client.left:
            error = CellExecutionError("", "SystemExit", "the cell ended its kernel")
        return ("error", error) if error is not None else ("ok", None)

    async def _wind_up(self, work: asyncio.Future[Any]) -> None:
        """Interrupt the running cell and let it write its outcome; a second signal cuts that short."""
        hurry = asyncio.ensure_future(self._signals.second.wait())
        await asyncio.to_thread(self._kernel.interrupt)
        await asyncio.wait({work, hurry}, timeout=GRACE, return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        self._deaf = not work.done()
        work.cancel()
        await asyncio.wait({work})
        if not work.cancelled():
            work.exception()  # whatever it was: it was asked to stop

    def _ending(self, ended: Ended, index: int, error: BaseException | None) -> Ending:
        cell = self._keeper.nb.cells[index]
        place = f"cell [{cell.execution_count}]" if cell.execution_count else f"cell {index + 1} of the notebook"
        if ended == "timeout":
            how = "the kernel did not heed an interrupt and was killed" if self._deaf else "it was interrupted"
            what = f"This cell did not end within {self._deadline:g} s; {how}."
            return Ending(ended, index, what, error=CellTimeoutError(f"{place}: {what}"))
        if ended == "kernel died":
            what = f"The kernel died while this cell ran ({error})."
            return Ending(ended, index, what, error=DeadKernelError(f"{place}: {what}"))
        if ended == "interrupted":
            return Ending(
                ended, index, f"Stopped while this cell ran ({self._signals.name}).", error=self._signals.error()
            )
        assert isinstance(error, CellExecutionError)
        known = [output.traceback for output in cell.outputs if output.output_type == "error"]
        brief = error.ename in own_errors() or not known
        failure = PapermillExecutionError(
            cell_index=index,
            exec_count=cell.execution_count,
            source=cell.source,
            ename=error.ename,
            evalue=redact(error.evalue),
            traceback=[redact(line) for line in (error.evalue.splitlines() if brief else known[-1])],
        )
        what = "This cell failed; the cells below did not run."
        if error.ename == "SystemExit":
            what = "This cell ended the notebook before its end (SystemExit); the cells below did not run."
        return Ending(ended, index, what, error=failure)

    def _ending_of(self, error: BaseException) -> Ending:
        """The ending when something else than a cell ended the run."""
        if isinstance(error, DeadKernelError):
            return Ending("kernel died", None, f"No cell ran: {error}.", error=error)
        ended: Ended = "interrupted" if isinstance(error, KeyboardInterrupt | SystemExit) else "error"
        what = "Stopped between two cells." if self._at is None else "Stopped while this cell ran."
        if isinstance(error, UmkitError):
            what = f"Stopped: {error.what}."
        if self._at is not None:
            self._keeper.cell_ends(self._at, ended)
        details = "" if isinstance(error, KeyboardInterrupt | SystemExit) else f"{type(error).__name__}: {error}"
        return Ending(ended, self._at, what, details, error)


class _Client(PapermillNotebookClient):  # type: ignore[misc]
    """nbclient's reading of the kernel's messages; starting, waiting and stopping are ours."""

    def __init__(self, keeper: Keeper, **options: Any) -> None:
        # a cell tagged raises-exception fails like any other: in a record an error is an error
        super().__init__(
            keeper,
            force_raise_errors=True,
            coalesce_streams=True,  # a text that came in pieces is one text again, also for what masks secrets
            iopub_timeout=_OUTPUTS,
            on_cell_executed=self._executed,
            **options,
        )
        self.left = False  # whether the last cell told the kernel to exit

    def _executed(self, cell: Any, cell_index: int, execute_reply: dict[str, Any]) -> None:
        payload = execute_reply["content"].get("payload") or []
        self.left = any(entry.get("source") == "ask_exit" for entry in payload)
