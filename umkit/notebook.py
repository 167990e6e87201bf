"""What is there only in a notebook: cards in place of text, errors without a traceback, outputs without secrets."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from umkit.errors import UmkitError
from umkit.outcome import StepOutcome
from umkit.secrets import redact
from umkit.view import card

#: The messages whose content a front end keeps in the notebook, or shows.
_SHOWN = frozenset(
    {"stream", "display_data", "update_display_data", "execute_result", "error", "execute_reply", "clear_output"}
)


def dress() -> None:
    """Draw outcomes as cards, show our own errors as what they say, and mask secrets in all that a cell puts out.

    Nothing happens outside a notebook.
    """
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
    if (kernel := getattr(shell, "kernel", None)) is not None:
        _mask(kernel.session)
    shell._umkit_dressed = True


def _mask(session: Any) -> None:
    """Mask secrets in what the kernel tells its front end.

    Only the kernel knows every secret that was resolved in it, and in JupyterLab the browser saves the notebook.
    """
    serialize = session.serialize

    def masked(message: Any, *arguments: Any, **options: Any) -> Any:
        if message.get("msg_type") in _SHOWN:
            message = {**message, "content": _without_secrets(message["content"])}
        return serialize(message, *arguments, **options)

    session.serialize = masked


def _without_secrets(part: Any) -> Any:
    if isinstance(part, str):
        return redact(part)
    if isinstance(part, Mapping):
        return {key: _without_secrets(value) for key, value in part.items()}
    return [_without_secrets(value) for value in part] if isinstance(part, list | tuple) else part


def show(thing: object) -> None:
    """Display something now, not at the end of the cell; outside a notebook it is printed."""
    if _shell() is None:
        print(thing)
        return
    from IPython.display import display

    display(thing)  # type: ignore[no-untyped-call]


def attended() -> bool:
    """Whether a person runs this cell in a page that draws widgets: such a front end can be asked, papermill cannot."""
    return bool(getattr(getattr(_shell(), "kernel", None), "_allow_stdin", False))


def can_ask() -> bool:
    """Whether somebody is there who can be asked for a secret."""
    return _shell() is not None or sys.stdin.isatty()


def _shell() -> Any:
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython

    return get_ipython()
