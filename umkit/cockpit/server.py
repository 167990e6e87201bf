"""JupyterLab for one customer's work folder: on loopback, with a token, and gone without a trace.

The server runs in this very process: its token is on no command line and in no environment that a kernel inherits, the
slow import is left out here and nowhere else, and when the process ends, however it ends, nothing of it goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import site
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from umkit.cockpit import settings
from umkit.cockpit.ending import Ending, kill
from umkit.cockpit.folder import WorkFolder
from umkit.durable import write_atomic
from umkit.errors import UsageError
from umkit.headless.quick import skip_slow_imports

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

LOOPBACK = "127.0.0.1"
#: A Unix socket's path has to fit into 104 bytes (macOS); a kernel's is this much longer than the runtime folder.
_SOCKET = len("/kernel-00000000-0000-0000-0000-000000000000-ipc-9")
_LONGEST_SOCKET = 96
#: What a run without a person hands to its kernels must not reach those of a person.
_NOT_HERE = ("UMKIT_HEADLESS", "UMKIT_RECORD")
_WAKE = 500  # milliseconds after which Windows looks whether Ctrl-C was pressed


@dataclass(frozen=True)
class Opened:
    """A JupyterLab that answers.

    Arguments:
        url: the chapter's address, without the token.
        token: what a browser has to show once.
        folder: the work folder.
        pid: the process that serves it.
        login: an address that lets one browser in, once, without the token being in it; empty where that is over.
    """

    url: str
    token: str
    folder: Path
    pid: int
    login: str = ""

    @property
    def url_with_token(self) -> str:
        """The address for a browser that was never here; the token is a password."""
        return f"{self.url}?token={self.token}" if self.token else self.url

    def at(self, chapter: str) -> Opened:
        """The same at another chapter."""
        return replace(self, url=f"{self.url.rpartition('/')[0]}/{chapter}.ipynb")

    def as_dict(self) -> dict[str, Any]:
        """What ``umkit open --json`` prints."""
        return {"url": self.url, "token": self.token, "folder": str(self.folder), "pid": self.pid}


class Server:
    """One JupyterLab on one work folder, at most; a context in which the folder is this process's own.

    Arguments:
        folder: the work folder.

    Entering raises :class:`AlreadyOpen` where another process has it open.
    """

    def __init__(self, folder: WorkFolder) -> None:
        self._folder = folder
        self._lock = FileLock(folder.own / "lock", timeout=0)
        self._state = folder.own / "open.json"

    def __enter__(self) -> Self:
        try:
            self._lock.acquire()
        except Timeout:
            raise AlreadyOpen(self._folder.path.name, self._other()) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._state.unlink(missing_ok=True)
        self._lock.release()

    def run(
        self,
        chapter: str,
        *,
        environment: Mapping[str, str],
        announce: Callable[[Opened], None],
        port: int = 0,
        verbose: bool = False,
    ) -> None:
        """Serve until SIGINT, SIGTERM or the terminal's end; then end every kernel.

        It belongs into the main thread of a process of its own: it changes the process's environment, and from the
        moment the end is asked for, the process ends within :data:`~umkit.cockpit.ending.GRACE` seconds in any case.

        Arguments:
            chapter: the chapter to begin with.
            environment: further variables for the kernels.
            announce: is called once, when the server answers.
            port: the port; 0 for any free one.
            verbose: whether Jupyter's own log is shown, and not only its errors.

        Raises ``UsageError`` when the port is taken.
        """
        port = port or _free_port()
        _must_be_free(port)
        token = secrets.token_urlsafe(32)
        with tempfile.TemporaryDirectory(prefix="umkit-open-", ignore_cleanup_errors=True) as name:
            private = Path(name)  # only this user may look into it
            kernels: Callable[[], list[Any]] = list
            ending = Ending(lambda: self._cut_short(private, kernels()))
            # Until there is a server to stop, and also where SIGTERM would just kill.
            _on_signals(ending.begin, lambda: sys.exit(1))
            settings.write(private)
            self._set_environment(private, environment)
            skip_slow_imports()
            from jupyterlab.labapp import LabApp

            from umkit.cockpit.jupyter import Serving

            path = f"/lab/tree/{chapter}.ipynb"
            LabApp.serverapp_class = Serving
            settings.arrange(self._folder.workspaces)
            # Arguments in memory, not of a process: they stand above every configuration file.
            server = LabApp.initialize_server(argv=self._arguments(private, port, token, path, verbose))
            server.ending = ending
            kernels = server.kernel_manager.here
            opened = Opened(
                f"http://{LOOPBACK}:{server.port}{path}",
                token,
                self._folder.path,
                os.getpid(),
                _let_in_once(server, path),
            )
            # Jupyter would ask for a confirmation first.
            _on_signals(ending.begin, lambda: server.stop(from_signal=True))

            def answers() -> None:
                state = {"url": opened.url, "pid": opened.pid, "server": server.info_file}
                write_atomic(self._state, json.dumps(state) + "\n")
                announce(opened)

            server.io_loop.add_callback(answers)
            _wake_for_signals()
            server.start()
            kill(kernels())  # where a clean end broke off

    def _cut_short(self, private: Path, kernels: list[Any]) -> None:
        """What must not be left behind where the end is not a clean one: kernels, and files with the token."""
        kill(kernels)
        shutil.rmtree(private, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._state.unlink(missing_ok=True)

    def _arguments(self, private: Path, port: int, token: str, path: str, verbose: bool) -> list[str]:
        folder, runtime = self._folder, private / "runtime"
        values: dict[str, Any] = {
            "ServerApp.ip": LOOPBACK,
            "ServerApp.port": port,
            "ServerApp.port_retries": 0,
            "ServerApp.root_dir": folder.path,
            "ServerApp.open_browser": False,
            "ServerApp.allow_root": True,  # loopback and a token protect it; as whom it runs is the person's to decide
            "ServerApp.terminals_enabled": False,
            "Application.log_level": "INFO" if verbose else "ERROR",
            "ServerApp.quit_button": True,
            "IdentityProvider.token": token,
            "LabApp.default_url": path,
            "LabApp.user_settings_dir": folder.settings,
            "LabApp.workspaces_dir": folder.workspaces,
            "LabApp.news_url": "None",
            "MultiKernelManager.default_kernel_name": settings.KERNEL_NAME,
            "KernelSpecManager.allowed_kernelspecs": settings.KERNEL_NAME,
            "ServerApp.kernel_manager_class": "umkit.cockpit.jupyter.Kernels",
            "FileContentsManager.pre_save_hook": "umkit.cockpit.jupyter.before_save",
        }
        if os.name == "posix" and len(os.fsencode(runtime)) + _SOCKET < _LONGEST_SOCKET:
            values["KernelManager.transport"] = "ipc"
        else:
            values["KernelManager.transport_encryption"] = "required"
        return [f"--{name}={value}" for name, value in values.items()]

    def _set_environment(self, private: Path, environment: Mapping[str, str]) -> None:
        for name in _NOT_HERE:
            os.environ.pop(name, None)
        config = str(private / "config")
        os.environ |= {
            "JUPYTER_CONFIG_DIR": config,
            "JUPYTER_CONFIG_PATH": config,  # stands above the configuration of the system and of the environment
            "JUPYTER_PATH": str(private),  # the kernel is found there first
            "JUPYTER_DATA_DIR": str(self._folder.data),
            "JUPYTER_RUNTIME_DIR": str(private / "runtime"),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # else the debugger warns of frozen modules
            **_python_path(),
            **environment,
        }

    def _other(self) -> Opened | None:
        """The JupyterLab that has the folder open, as far as it can be told."""
        try:
            state = json.loads(self._state.read_text("utf-8"))
            token = json.loads(Path(state["server"]).read_text("utf-8"))["token"]
            return Opened(str(state["url"]), str(token), self._folder.path, int(state["pid"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


class AlreadyOpen(UsageError):
    """Another process has the customer's chapters open."""

    def __init__(self, customer: str, opened: Opened | None) -> None:
        self.opened = opened
        super().__init__(
            f"{customer} is open already",
            seen=f"process {opened.pid}: {opened.url}" if opened else "it is just being opened, or closed",
            next="work there, or end it with Ctrl-C; then open it again",
        )


def _let_in_once(server: Any, path: str) -> str:
    """An address that logs one browser in, once.

    A browser's address is on its command line, where other users of the machine can read it; after the first use this
    one is worth nothing.
    """
    from umkit.cockpit.jupyter import LogIn

    ticket = secrets.token_urlsafe(32)
    server.web_app.add_handlers(".*$", [(r"/umkit/login/(.*)", LogIn, {"tickets": {ticket}, "path": path})])
    return f"http://{LOOPBACK}:{server.port}/umkit/login/{ticket}"


def _python_path() -> dict[str, str]:
    """What lets a kernel, whose folder is another, import this very umkit."""
    home = str(Path(__file__).resolve().parents[2])
    installed = [*site.getsitepackages(), site.getusersitepackages()]
    if home in (str(Path(folder).resolve()) for folder in installed):
        return {}
    return {"PYTHONPATH": os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _must_be_free(port: int) -> None:
    with socket.socket() as probe:
        if os.name == "posix":  # as the server binds it: a port that was just left is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise UsageError(
                f"port {port} is taken", seen=error.strerror or "", next="name another one, or none for a free one"
            ) from error


def _on_signals(*calls: Callable[[], Any]) -> None:
    """Do this, in this order, at Ctrl-C, at termination, and when the terminal is closed."""

    def handle(*_: Any) -> None:
        for call in calls:
            call()

    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), handle)


def _wake_for_signals() -> None:
    if sys.platform == "win32":
        from tornado.ioloop import PeriodicCallback

        PeriodicCallback(lambda: None, _WAKE).start()
