"""What happens in a kernel between two chapters of one run: the next one finds it as if it had just been started.

One kernel carries out all chapters of a run. Starting one costs two seconds of work, and the sessions to the servers
live in it (see :mod:`umkit.remoting.kept`), where a broker in another process would have to carry every command and its
answer across. What a fresh process would give is made good here: names, outputs and counters, widgets, the working
folder, the environment, the search path. What cannot be made good is not tried: a kernel in which a chapter left a
thread (other than a daemon) or a child process running is not used again, nor is one in which a cell failed. Imported
modules stay, and so does a lab that was started in the kernel.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import threading
from pathlib import Path
from typing import Any

from umkit import runbook  # while the kernel boots, so that no chapter waits for it

_folder, _environment, _path = Path.cwd(), dict(os.environ), [*sys.path]


def clear() -> None:
    """Make the kernel as it was before its first chapter.

    Raises ``RuntimeError`` when it cannot be: then it must not be used again.
    """
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    runbook.close()
    widgets: Any = sys.modules.get("ipywidgets")
    if widgets is not None:  # else they would be kept in the next notebook's widget state
        widgets.Widget.close_all()
    shell.reset(new_session=True)
    os.chdir(_folder)
    os.environ.clear()
    os.environ.update(_environment)
    sys.path[:] = _path
    gc.collect()
    left = sorted(thread.name for thread in threading.enumerate() if not thread.daemon and thread.ident not in _threads)
    if left or multiprocessing.active_children():
        raise RuntimeError("the chapter left something running: " + (", ".join(left) or "child processes"))


_threads = {thread.ident for thread in threading.enumerate()}
gc.freeze()  # what is there now stays: clearing after each chapter need not look through it
