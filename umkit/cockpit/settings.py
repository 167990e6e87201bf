"""JupyterLab's settings for the cockpit, and for no other JupyterLab of the person."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

#: Defaults in place of JupyterLab's own; what a person sets in the settings editor stands above them.
OVERRIDES: dict[str, dict[str, Any]] = {
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",  # a customer's network may not let it out, and nobody wants to be asked there
        "checkForUpdates": False,
        "doNotDisturbMode": False,
    },
    "@jupyterlab/docmanager-extension:plugin": {"autosave": True, "autosaveInterval": 20},
    "@jupyterlab/notebook-extension:tracker": {
        "windowingMode": "none",  # every card stays in the page: found by the browser's search, and never drawn anew
        "recordTiming": True,
    },
}

#: Parts that a chapter does not need; each costs time at start, or offers what does not belong here.
DISABLED = (
    "@jupyterlab/apputils-extension:announcements",
    "@jupyterlab/extensionmanager-extension",
    "@jupyterlab/fileeditor-extension:language-server",
    "@jupyterlab/lsp-extension",
    "@jupyterlab/notebook-extension:language-server",
    "@jupyterlab/terminal-extension",
)

#: Parts of the server that a chapter does not need.
SERVER = {"ServerApp": {"jpserver_extensions": {"jupyter_lsp": False, "jupyter_server_terminals": False}}}

#: The kernel keeps no history file, and has the runbook and its panels imported when it answers.
KERNEL = {
    "argv": [
        sys.executable,
        "-m",
        "ipykernel_launcher",
        "-f",
        "{connection_file}",
        "--HistoryManager.hist_file=:memory:",
        "--IPKernelApp.exec_lines=__import__('umkit.cockpit.preload') and None",
    ],
    "display_name": "umkit",
    "language": "python",
    "metadata": {"supported_encryption": "curve", "debugger": False},
}
#: The name that the notebooks ask for.
KERNEL_NAME = "python3"


#: JupyterLab's window as it is at first: the files folded away, for at 200 % they would take half of it.
_FIRST: dict[str, Any] = {
    "data": {"layout-restorer:data": {"left": {"collapsed": True, "visible": True}}},
    "metadata": {"id": "default"},
}


def arrange(workspaces: Path) -> None:
    """Arrange JupyterLab's window for somebody who opens it for the first time; after that it stays as it was left.

    Arguments:
        workspaces: the folder in which JupyterLab keeps what its windows show.
    """
    from jupyterlab_server.workspaces_handler import WorkspacesManager

    manager = WorkspacesManager(str(workspaces))
    if not manager.list_workspaces():
        manager.save(_FIRST["metadata"]["id"], json.dumps(_FIRST))


def write(folder: Path) -> None:
    """Write Jupyter's configuration and the one kernel into a folder, as Jupyter looks for them."""
    config, kernel = folder / "config" / "labconfig", folder / "kernels" / KERNEL_NAME
    config.mkdir(parents=True)
    kernel.mkdir(parents=True)
    disabled = {"disabledExtensions": dict.fromkeys(DISABLED, True)}
    for path, content in (
        (config / "default_setting_overrides.json", OVERRIDES),
        (config / "page_config.json", disabled),
        (folder / "config" / "jupyter_server_config.json", SERVER),
        (kernel / "kernel.json", KERNEL),
    ):
        path.write_text(json.dumps(content, indent=1), "utf-8")
