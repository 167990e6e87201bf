"""The papermill engine ``umkit``: a record that is true however the run ends.

This module is imported while papermill itself is being imported (it loads its
engines by entry point), so it imports nothing of papermill before it is called.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from umkit.headless.kernel import Kernel

#: Seconds for one cell where nobody says otherwise; a restart of the Information Store takes minutes.
DEADLINE = 1800.0


class Engine:
    """Executes a notebook in a kernel of this interpreter, and keeps it truthfully.

    To be named in ``papermill --engine umkit`` or ``engine_name="umkit"``. Against papermill's own engine:

    * a cell's status says what became of it: ``completed``, ``failed``, ``timeout``, ``kernel died``, ``interrupted``
      or ``not_run``; the notebook's metadata has ``umkit: {result, ended, cell}``, the cell itself a note
    * every cell has a deadline; it is interrupted first and killed only when it does not heed that
    * the file is whole at any moment, written at most once a second, and up to date at the latest a second later
    * ``sys.exit()`` in a cell, a cell tagged ``raises-exception`` that raises, and a dead kernel are failures
    """

    @classmethod
    def execute_notebook(
        cls,
        nb: Any,
        kernel_name: str,
        output_path: str | None = None,
        *,
        start_timeout: float = 60,
        execution_timeout: float | None = None,
        log_output: bool = False,
        stdout_file: Any = None,
        stderr_file: Any = None,
        env: Mapping[str, str] | None = None,
        kernel: Kernel | None = None,
        keep_kernel: bool = False,
        watch: Callable[[int, int], None] | None = None,
        input_path: str | None = None,
        progress_bar: Any = None,
        autosave_cell_every: int | None = None,
        **unknown: Any,
    ) -> Any:
        """Execute a notebook; papermill calls this.

        Arguments:
            nb: the notebook, its parameters injected.
            kernel_name: not used: the kernel is always this interpreter.
            output_path: where it is kept while it runs.
            start_timeout: seconds for the kernel to answer.
            execution_timeout: seconds for one cell; :data:`DEADLINE` where nothing is given.
            log_output, stdout_file, stderr_file: as papermill's.
            env: environment variables for the kernel alone.
            kernel: a kernel that was started beforehand; it is used up.
            keep_kernel: leave it running for another notebook, where all went well.
            watch: called with the number of cells done and of all cells.
            input_path, progress_bar, autosave_cell_every: taken, and not used.

        Raises ``PapermillExecutionError`` when a cell failed, ``CellTimeoutError`` when it took too long,
        ``DeadKernelError`` when the kernel died, ``KeyboardInterrupt`` or ``SystemExit`` after a signal,
        ``RecordError`` when the notebook could not be kept.
        """
        from umkit.headless.execution import Execution
        from umkit.headless.keeper import Keeper
        from umkit.headless.kernel import Kernel

        if unknown:
            logging.getLogger("papermill").warning("the engine umkit does not know: %s", ", ".join(sorted(unknown)))
        kernel = kernel or Kernel(env)
        try:
            keeper = Keeper(nb, output_path)
            keeper.begin()
        except BaseException:
            kernel.stop(at_once=True)
            raise
        execution = Execution(
            keeper,
            kernel,
            deadline=execution_timeout or DEADLINE,
            start_timeout=start_timeout,
            keep=keep_kernel,
            watch=watch,
            log_output=log_output,
            stdout_file=stdout_file,
            stderr_file=stderr_file,
        )
        ending = execution.run()
        try:
            keeper.end(ending)
        except Exception as error:
            raise error from ending.error
        if ending.error is not None:
            raise ending.error
        return nb

    @classmethod
    def nb_kernel_name(cls, nb: Any, name: str | None = None) -> str:
        """The kernel's name, for papermill; it decides nothing."""
        return name or str(nb.metadata.get("kernelspec", {}).get("name") or "python3")

    @classmethod
    def nb_language(cls, nb: Any, language: str | None = None) -> str:
        """The notebook's language, for papermill: always Python."""
        return language or "python"
