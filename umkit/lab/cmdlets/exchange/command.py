"""Get-Command on Exchange's endpoint: which cmdlets the account may run.

It is among the commands that a NoLanguage endpoint shows
(reference/windows.md §j).
"""

from __future__ import annotations

from umkit.lab.cmdlets.windows.command import get_command

__all__ = ["get_command"]
