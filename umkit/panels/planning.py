"""A plan of all chapters without a person, in a process of its own: it is told how far it is, and can be stopped."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from umkit.chapters import chapters
from umkit.secrets import redact

#: How ``umkit plan`` begins: whom, how many chapters, which run.
_BEGINS: Final = re.compile(r".+: plan, (\d+) chapters?, run (\S+)")
#: What a run without a person must not inherit of one with a person; a kernel also forces colours upon its children.
_NOT_THERE: Final = ("JPY_SESSION_NAME", "JPY_PARENT_PID", "UMKIT_RECORD", "FORCE_COLOR", "CLICOLOR_FORCE")


class Planning:
    """``umkit plan`` of one customer; it changes nothing, and keeps a record like any other plan.

    Arguments:
        customer: the customer file.
        records: the folder of the records.
        tell: called with chapters done, chapters in all and the line that was said, from a thread of its own.
        ended: called with the summary that ``--json`` prints, or the error, from the same thread; ``None``: neither.
    """

    def __init__(
        self,
        customer: Path,
        records: Path,
        tell: Callable[[int, int, str], None],
        ended: Callable[[Mapping[str, Any] | None], None],
    ) -> None:
        self._tell, self._ended = tell, ended
        command = [sys.executable, "-m", "umkit", "plan", str(customer), "--json"]
        command += ["--parameters", str(customer.parent), "--records", str(records)]
        environment = {name: value for name, value in os.environ.items() if name not in _NOT_THERE}
        windows: Any = {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
        self.process = subprocess.Popen(  # noqa: S603  our own program, and a path that is one word
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=environment | {"PYTHONIOENCODING": "utf-8", "NO_COLOR": "1", "TERM": "dumb"},
            # The kernel's own stop button interrupts its group; the plan has a button of its own.
            **({"start_new_session": True} if os.name == "posix" else windows),
        )
        atexit.register(self.stop)
        self._watcher = threading.Thread(target=self._watch, name="umkit-planning", daemon=True)
        self._watcher.start()

    @property
    def running(self) -> bool:
        """Whether it is still at work."""
        return self.process.poll() is None

    def stop(self) -> None:
        """Have it end what it is doing, seal its record and stop; a second time, it does not wait for that."""
        if self.running:
            with contextlib.suppress(OSError):
                self.process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT))

    def wait(self) -> None:
        """Wait until it has ended and that was told."""
        self._watcher.join()

    def _watch(self) -> None:
        assert self.process.stderr is not None
        assert self.process.stdout is not None
        done, most, names = set[str](), 0, set(chapters())
        for line in self.process.stderr:
            text = redact(line.strip())
            if not text:
                continue
            if begins := _BEGINS.fullmatch(text):
                most = int(begins[1])
            name, colon, _ = text.partition(": ")
            if colon and name in names:
                done.add(name)
            self._tell(len(done), most, text)
        answer = self.process.stdout.read()
        self.process.wait()
        atexit.unregister(self.stop)
        self._ended(_read(answer))


def _read(answer: str) -> Mapping[str, Any] | None:
    try:
        told = json.loads(answer)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None
