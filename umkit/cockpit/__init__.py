"""The cockpit: the chapters of one customer in JupyterLab, to be stepped through by a person."""

from umkit.cockpit.folder import Copy, WorkFolder
from umkit.cockpit.server import AlreadyOpen, Opened, Server

__all__ = ["AlreadyOpen", "Copy", "Opened", "Server", "WorkFolder"]
