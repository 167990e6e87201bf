"""What the cockpit adds to Jupyter's server; imported by it alone."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.serverapp import ServerApp
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.web import HTTPError

from umkit.cockpit.ending import Ending
from umkit.secrets import redact

WIDGET = "application/vnd.jupyter.widget-view+json"


class Serving(ServerApp):
    """A server that comes to its end, also where something of its clean end fails or takes for ever."""

    #: Ends the process in any case; there from the first request on.
    ending: Ending | None = None

    async def _cleanup(self) -> None:
        """Jupyter's own, for a signal and for *Shut Down* in its menu; where it raised, the loop would go on."""
        if self.ending is not None:
            self.ending.begin()
        try:
            await super()._cleanup()
        except Exception as error:  # whatever it is, the end goes on
            self.log.error("not ended cleanly: %s: %s", type(error).__name__, redact(str(error)))


class Kernels(AsyncMappingKernelManager):
    """Kernels that run where ``umkit`` was called, so that a relative path means the same as without a person."""

    def cwd_for_path(self, path: str, **options: Any) -> str:
        """The folder of a kernel; only its start names an environment, and the session's name is asked for without."""
        if "env" in options:
            return str(Path.cwd())
        return str(super().cwd_for_path(path, **options))  # type: ignore[no-untyped-call]

    def here(self) -> list[Any]:
        """The managers of the kernels that were begun and not ended yet."""
        return list(self._kernels.values())


class LogIn(JupyterHandler):
    """Lets a browser in that brings an unused ticket.

    Arguments:
        tickets: those that were not used yet.
        path: where to go then.
    """

    def initialize(self, tickets: set[str], path: str) -> None:
        """Tornado's way to hand over arguments."""
        self._tickets = tickets
        self._path = path

    @allow_unauthenticated
    def get(self, ticket: str) -> None:
        """Take the ticket, and show the token in its place."""
        for mine in list(self._tickets):
            if secrets.compare_digest(mine.encode(), ticket.encode()):
                self._tickets.remove(mine)
                self.set_header("Referrer-Policy", "no-referrer")
                self.redirect(f"{self._path}?token={self.identity_provider.token}")
                return
        raise HTTPError(403, "This address was used already; take the one that umkit open shows.")


def before_save(model: dict[str, Any], path: str, contents_manager: Any, **_: Any) -> None:
    """Make what is about to be saved fit to be read later: without secrets, and without dead widgets.

    Every secret that this process knows is masked. Of an output that is a widget and HTML as well, the HTML is kept: a
    widget lives in its kernel's memory, so a reader would find "model not found" in its place, and JupyterLab does not
    fall back on the HTML. The page that saves keeps its widgets.
    """
    if model.get("type") == "notebook":
        model["content"] = content = _masked(model["content"])
        content.get("metadata", {}).pop("widgets", None)  # where a person has the widgets' state saved
        for cell in content["cells"]:
            for output in cell.get("outputs", ()):
                if "text/html" in output.get("data", ()):
                    output["data"].pop(WIDGET, None)


def _masked(part: Any) -> Any:
    if isinstance(part, str):
        return redact(part)
    if isinstance(part, dict):
        return {key: _masked(value) for key, value in part.items()}
    return [_masked(value) for value in part] if isinstance(part, list) else part
