"""One thread that does one thing after another, and is still there when the process ends.

An executor's threads are gone before the handlers of ``atexit`` run; sessions, which belong to the thread that opened
them, could not be closed then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """A thread that works through what it is given, in order.

    Arguments:
        name: the thread's name.
    """

    def __init__(self, name: str) -> None:
        self._todo: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Do something after all that was given before; the future brings what it returns or raises."""
        future: Future[T] = Future()
        self._todo.put((future, call))
        return future

    def _work(self) -> None:
        while True:
            future, call = self._todo.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(call())
            except BaseException as error:  # told by the future
                future.set_exception(error)
