"""What is there only in a notebook: cards in place of text, errors without a traceback."""

from __future__ import annotations

import sys
from typing import Any

from umkit.errors import UmkitError
from umkit.outcome import StepOutcome
from umkit.view import card


def dress() -> None:
    """Draw outcomes as cards and show our own errors as what they say; nothing happens outside a notebook."""
    shell = _shell()
    if shell is None or getattr(shell, "_umkit_dressed", False):
        return

    def brief(
        shell: Any, kind: type[BaseException], error: UmkitError, trace: Any, tb_offset: int | None = None
    ) -> list[str]:
        lines = str(error).splitlines()
        shell._showtraceback(kind, error, lines)
        return lines

    shell.set_custom_exc((UmkitError,), brief)
    shell.display_formatter.formatters["text/html"].for_type(StepOutcome, card)
    shell._umkit_dressed = True


def show(thing: object) -> None:
    """Display something now, not at the end of the cell; outside a notebook it is printed."""
    if _shell() is None:
        print(thing)
        return
    from IPython.display import display

    display(thing)  # type: ignore[no-untyped-call]


def can_ask() -> bool:
    """Whether somebody is there who can be asked for a secret."""
    return _shell() is not None or sys.stdin.isatty()


def _shell() -> Any:
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython

    return get_ipython()
