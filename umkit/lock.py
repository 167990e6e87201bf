"""The locks of a customer: one run at a time, and one chapter of it."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from umkit.durable import cannot_write, write_atomic
from umkit.errors import RecordError

#: Seconds: long enough for another process that only looks whether the lock is held.
_LOCK_WAIT = 0.3
#: Seconds for a kernel to see that the run that began it is gone, and to end; ipykernel looks every second.
_ENDING = 5.0


class CustomerLock:
    """The right to work on one customer; held by one run at a time.

    The thread that has it may take it again, for a cell that is run again; one release gives it back. The operating
    system does that too when the process ends, however it ends.

    Arguments:
        folder: the customer's folder of records.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = FileLock(folder / ".lock", timeout=_LOCK_WAIT, is_singleton=True)

    def acquire(self) -> None:
        """Take the lock, without waiting for a run that has it.

        Raises ``RecordError`` that names the holder when another run has it.
        """
        try:
            self._lock.acquire()
        except Timeout:
            raise self._refusal() from None
        except OSError as error:
            raise cannot_write(self.folder / ".lock", error) from error
        try:
            chapter = ChapterLock(self.folder)
            chapter.acquire()
            chapter.release()
        except BaseException:
            self._lock.release()
            raise
        self.name("")

    def refuse(self) -> None:
        """Raise as :meth:`acquire` does when another run has the lock; take nothing."""
        if not self._lock.is_locked and self.is_held():
            raise self._refusal()

    def name(self, run: str) -> None:
        """Say beside the lock which run holds it."""
        holder = {
            "run": run,
            "user": account(),
            "pid": os.getpid(),
            "host": platform.node(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_atomic(self._sidecar, json.dumps(holder) + "\n")

    def release(self) -> None:
        """Give the lock back."""
        if self._lock.is_locked:
            with contextlib.suppress(OSError):
                self._sidecar.unlink()
            self._lock.release(force=True)

    def holder(self) -> dict[str, Any]:
        """Run, user, pid, host and time of who last said that it holds the lock; empty when nobody does."""
        try:
            holder = json.loads(self._sidecar.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return holder if isinstance(holder, dict) else {}

    def is_held(self) -> bool:
        """Whether any process, this one included, holds the lock now."""
        if not self.holder():
            return False
        try:
            with FileLock(self.folder / ".lock", timeout=0):
                return False
        except Timeout:
            return True
        except OSError:
            return False

    def _refusal(self) -> RecordError:
        holder = self.holder()
        seen = [f"{name} {holder[name]}" for name in ("run", "user", "pid", "host", "since") if holder.get(name)]
        return RecordError(
            f"another run works on {self.folder.name}",
            where={"customer": self.folder.name},
            seen=", ".join(seen),
            next="wait until it has ended, or end it; then run again",
        )

    @property
    def _sidecar(self) -> Path:
        return self.folder / ".lock.json"


class ChapterLock:
    """The right to send a customer's commands; held by the process that carries out a chapter.

    A run's kernel outlives it for a moment when the run is killed, and may still be sending; the run's own lock is free
    by then.

    Arguments:
        folder: the customer's folder of records.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = FileLock(folder / ".chapter.lock", timeout=_ENDING)

    def acquire(self) -> None:
        """Take the lock; wait some seconds for a kernel that is about to end.

        Raises ``RecordError`` when another process keeps it.
        """
        try:
            self._lock.acquire()
        except Timeout:
            raise RecordError(
                f"a chapter of {self.folder.name} is still being carried out, though its run has ended",
                where={"customer": self.folder.name},
                seen=f"another process held its lock for {_ENDING:.0f} s",
                next="wait for that kernel, or end it; then run again: what it sent is looked up first",
            ) from None
        except OSError as error:
            raise cannot_write(self.folder / ".chapter.lock", error) from error

    def release(self) -> None:
        """Give the lock back."""
        self._lock.release()


def account() -> str:
    """Who is logged on here; empty where that cannot be told."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no name for this user, as in some containers
        return ""
