"""Imported by each Python that starts with this folder on its path: the runs of a batch's jobs then need no kernel.

All else of a run is real: its process, its record, its seal. A customer called acme has a kernel too. One whose name
begins with ``wait`` knocks at the test's gate and goes on when it is opened, or when it is stopped; a frozen one heeds
nothing from then on; a large one's record is large.
"""

from __future__ import annotations

import sys

if "umkit.batch.child" in sys.orig_argv:
    import importlib
    import os
    import signal
    import socket
    from typing import Any

    _Run = importlib.import_module("umkit.headless.run")._Run
    _with_a_kernel = _Run._execute

    def _execute(run: Any, chapter: Any, **options: Any) -> BaseException | None:
        name, journal = run._record.customer, run._record.journal
        if name == "acme":
            error: BaseException | None = _with_a_kernel(run, chapter, **options)
            return error
        journal.append("chapter-start", chapter=chapter.name)
        if name.startswith("wait"):
            with socket.create_connection(("127.0.0.1", int(os.environ["UMKIT_TEST_GATE"]))) as gate:
                gate.sendall(f"{name}\n".encode())
                if "frozen" in name:
                    os.kill(os.getpid(), signal.SIGSTOP)
                gate.settimeout(0.05)
                while not run._signals.came:
                    try:
                        gate.recv(1)
                        break
                    except TimeoutError:
                        continue
                else:
                    return KeyboardInterrupt()
        if name == "large":
            (run._record.notebooks / "large.bin").write_bytes(os.urandom(2_500_000))
        journal.append("step", chapter=chapter.name, step="A-1", title="a step", result="ok", changes=0, summary="seen")
        journal.append("chapter-end", chapter=chapter.name, result="ok")
        return None

    _Run._execute = _execute
