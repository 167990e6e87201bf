"""The kernel of a chapter: this very Python, in a process of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import zmq
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from traitlets import Type

from umkit.secrets import redact

if TYPE_CHECKING:
    from types import TracebackType

#: A Unix socket's path has to fit into 104 bytes (macOS) with its end; longer ones are refused by the system.
_LONGEST_SOCKET = 96

_LOG = "kernel.log"
_LAST_LINES = 12


class _Manager(KernelManager):
    """jupyter_client's manager, without looking for a kernel that somebody installed."""

    client_factory = Type(AsyncKernelClient)

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="Python 3 (ipykernel)",
            language="python",
            metadata={"supported_encryption": "curve"},
        )


class Kernel:
    """A Python kernel of this interpreter.

    It speaks over Unix sockets in a private folder; where there are none, over TCP on loopback, encrypted. What the
    process itself prints goes to a file: :meth:`last_words`.

    Arguments:
        env: environment variables for the kernel alone.
        preload: a module that it imports while it boots; its notebook's namespace stays empty.
    """

    def __init__(self, env: Mapping[str, str] | None = None, *, preload: str = "") -> None:
        self._env = dict(env or {})
        self._preload = preload
        self._folder: Path | None = None
        self._manager: _Manager | None = None
        self._words = ""

    def start(self) -> Self:
        """Start the process; it boots while this one goes on."""
        self._folder = Path(tempfile.mkdtemp(prefix="umkit-"))
        try:
            self._manager = self._launched(self._folder)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        return self

    @property
    def is_started(self) -> bool:
        """Whether :meth:`start` was called and :meth:`stop` was not."""
        return self._manager is not None

    @property
    def is_running(self) -> bool:
        """Whether it was started, was not stopped, and did not end by itself."""
        return self._manager is not None and bool(self._manager.is_alive())

    def client(self) -> Any:
        """A client of the kernel for the running event loop; its caller closes its channels."""
        assert self._manager is not None
        return self._manager.client()

    def interrupt(self) -> None:
        """Raise ``KeyboardInterrupt`` in the running cell."""
        if self._manager is not None:
            with contextlib.suppress(OSError, RuntimeError):  # it may just have ended
                self._manager.interrupt_kernel()

    def stop(self, *, at_once: bool = False) -> None:
        """End the process and remove what it left behind.

        Arguments:
            at_once: kill it, where it does not listen any more; else it may run its exit handlers for some seconds.
        """
        manager, self._manager = self._manager, None
        if manager is None:
            return
        try:
            if at_once or not manager.is_alive():
                manager.shutdown_kernel(now=True)
            else:  # what shutdown_kernel does, but it looks five times as often whether the process has ended
                manager.request_shutdown()
                manager.finish_shutdown(pollinterval=0.02)
        except (OSError, RuntimeError):  # it ended by itself meanwhile
            pass
        finally:
            manager.cleanup_resources()
            self._words = self._read_log()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)

    async def exit_status(self) -> str:
        """How the process ended, in words."""
        provisioner = self._manager.provisioner if self._manager is not None else None
        status = await provisioner.poll() if provisioner is not None else None
        if status is None:
            return "it runs"
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        return f"killed by signal {-status}"

    def last_words(self) -> str:
        """The last lines that the process wrote outside of any cell, as a crash does; often none."""
        return self._read_log() if self._manager is not None else self._words

    def _launched(self, folder: Path) -> _Manager:
        manager = _Manager(connection_file=str(folder / "kernel.json"))
        if os.name == "posix" and len(os.fsencode(folder / "kernel-ipc-9")) < _LONGEST_SOCKET:
            manager.transport = "ipc"
        elif manager.has_trait("transport_encryption") and zmq.has("curve"):  # jupyter_client 8.10 and later
            manager.transport_encryption = "required"
        env = {
            **os.environ,
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # else the debugger warns of frozen modules
            "UMKIT_HEADLESS": "1",
            **self._env,
        }
        # no history file: several kernels at once would wait for each other's lock on it
        arguments = ["--HistoryManager.hist_file=:memory:"]
        if self._preload:
            # None is not displayed, so the module does not get into Out[]
            arguments.append(f"--IPKernelApp.exec_lines=__import__({self._preload!r}) and None")
        with (folder / _LOG).open("wb") as log:
            manager.start_kernel(env=env, stdout=log, stderr=log, extra_arguments=arguments)
        return manager

    def _read_log(self) -> str:
        assert self._folder is not None
        try:
            text = (self._folder / _LOG).read_text("utf-8", "replace")
        except OSError:
            return ""
        return redact("\n".join(text.splitlines()[-_LAST_LINES:]))

    def __enter__(self) -> Self:
        return self if self.is_started else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
