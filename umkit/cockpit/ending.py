"""The end of the cockpit: a clean one, and where that does not come, a bounded one.

Jupyter's own end can be held up, or broken off with its loop running on: by a kernel that fails while it ends, a socket
that waits for a peer that is gone, a thread that nobody joins. Who pressed Ctrl-C would then sit before a process that
neither serves nor ends.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

#: Seconds for a clean end. A kernel has five of them to close its record before Jupyter kills it.
GRACE: Final = 10.0
_DEATH: Final = 1.0  # seconds in which a process that was killed is gone


class Ending:
    """Ends the process so many seconds after its end was asked for, whatever still runs in it.

    It begins to watch at once, in a thread of its own: a thread cannot be begun safely in a signal's handler.

    Arguments:
        last: what is to be done before, at the latest moment; it must not wait for anybody.
        grace: seconds for a clean end.
    """

    def __init__(self, last: Callable[[], None], grace: float | None = None) -> None:
        self._last = last
        self._grace = GRACE if grace is None else grace
        self._asked: queue.SimpleQueue[None] = queue.SimpleQueue()
        threading.Thread(target=self._watch, name="umkit-ending", daemon=True).start()

    def begin(self) -> None:
        """The end is asked for; the process has so many seconds from now on. To be called from anywhere."""
        self._asked.put(None)  # of all queues, the one that a signal's handler may use

    def _watch(self) -> None:
        self._asked.get()
        threading.Event().wait(self._grace)
        try:
            self._last()
            told = f"it did not end within {self._grace:.0f} seconds, so it was ended, and every kernel with it\n"
            os.write(2, told.encode())
        finally:
            os._exit(1)


def kill(kernels: Iterable[Any]) -> None:
    """End kernels at once, with what they have begun.

    Arguments:
        kernels: Jupyter's kernel managers; they are only read, so this may be called from any thread.
    """
    for kernel in kernels:
        process = getattr(kernel.provisioner, "process", None)
        if process is None or process.poll() is not None:
            continue
        try:
            if sys.platform == "win32":
                process.kill()
            else:
                os.killpg(process.pid, signal.SIGKILL)  # Jupyter begins each kernel in a group of its own
            process.wait(_DEATH)
        except (OSError, subprocess.TimeoutExpired):
            continue  # it has just ended, or the system takes its time
