"""Ctrl-C and termination, taken in order: finish writing, then stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

_TERMINATED = 128 + 15


class Signals:
    """SIGINT and SIGTERM, while this is entered in the main thread; elsewhere it does nothing.

    The first signal only sets :attr:`first`: what is being done is brought to its end and written down. The second one
    does not wait for that: it sets :attr:`second` in a loop that watches, and raises elsewhere.
    """

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        self._number = 0
        self._at_once = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._before: dict[int, Any] = {}

    @property
    def came(self) -> bool:
        """Whether there was one."""
        return bool(self._number)

    @property
    def name(self) -> str:
        """The signal that came, as the system calls it."""
        return signal.Signals(self._number).name

    def error(self) -> BaseException:
        """What to raise for the signal that came."""
        return SystemExit(_TERMINATED) if self._number == signal.SIGTERM else KeyboardInterrupt()

    def check(self) -> None:
        """Raise for a signal that came already."""
        if self.came:
            raise self.error()

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """While a person is asked, nothing is under way that could be brought to its end: the first one raises."""
        self.check()
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def watch(self) -> None:
        """Speak to the running loop from now on."""
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup and the like are respected
                self._before[number] = signal.signal(number, self._take)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before.clear()

    def _take(self, number: int, frame: object) -> None:
        again = self.came or self._at_once
        self._number = self._number or number
        event = self.second if again else self.first
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(event.set)
        elif again:
            raise self.error()
        else:
            event.set()
