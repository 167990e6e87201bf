"""Files that survive a crash: whole or not at all, and on the disk when it says so."""

from __future__ import annotations

import contextlib
import errno
import glob
import itertools
import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from umkit.errors import RecordError

#: Windows refuses to replace a file that another program has open; virus scanners and viewers let go soon.
_PATIENCE = (0.05, 0.1, 0.2, 0.4) if sys.platform == "win32" else ()

_numbers = itertools.count(1)


def write_atomic(path: Path, content: str | bytes, *, mode: int | None = None) -> None:
    """Write a file so that at any moment the old or the new one is whole.

    Arguments:
        path: the file; its folder exists.
        content: text is written as UTF-8, line ends as they are.
        mode: the file's permission bits; those of any new file unless given.

    Raises ``RecordError`` when the disk is full, read-only or gone; the file is then as it was.
    """
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    draft = path.with_name(f".{path.name}.{os.getpid()}-{next(_numbers)}.tmp")
    try:
        try:
            with draft.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if mode is not None:
                draft.chmod(mode)
            _replace(draft, path)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error


def write_folder(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write a folder with its files so that it is there as a whole or not at all.

    What an earlier try left that was killed in the middle is taken away; so nobody else may write this folder
    meanwhile.

    Arguments:
        folder: the folder; it does not exist, the one that it is to lie in does.
        contents: a file's path in it, with ``/`` → what it holds.

    Raises ``RecordError`` when it is there already, or the disk is full, read-only or gone; nothing is left then.
    """
    draft = folder.with_name(f".{folder.name}.{os.getpid()}-{next(_numbers)}.tmp")
    try:
        try:
            for left in folder.parent.glob(f".{glob.escape(folder.name)}.*.tmp"):
                shutil.rmtree(left)
            if folder.exists():  # an empty one would be replaced
                raise FileExistsError(errno.EEXIST, "it is there already")
            for name, data in contents.items():
                path = draft / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            for inner in (draft, *(path for path in draft.rglob("*") if path.is_dir())):
                sync_folder(inner)
            _replace(draft, folder)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        sync_folder(folder.parent)
    except OSError as error:
        raise cannot_write(folder, error) from error


def make_folder(folder: Path) -> None:
    """Make a folder, and those that it lies in, where there is none; raises ``RecordError`` when it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error


def new_folder(home: Path, name: str) -> Path:
    """Make a folder that nobody else has: of this name, or with the first number behind it that is free.

    Arguments:
        home: the folder that it lies in.
        name: its name.

    Raises ``RecordError`` when it cannot be made.
    """
    for number in itertools.count(1):
        folder = home / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir()
            sync_folder(home)
        except FileExistsError:
            continue
        except OSError as error:
            raise cannot_write(folder, error) from error
        return folder
    raise AssertionError("counting ends nowhere")


def append_whole(path: Path, data: bytes, *, force: bool = True) -> None:
    """Append bytes to a file and have them on the disk before returning.

    Arguments:
        path: the file.
        data: the bytes.
        force: have them on the disk itself; else in the system's hands, which outlives this process.

    Raises ``OSError``. What was written until then is taken back, as far as the disk lets it; nobody else may write
    meanwhile.
    """
    number = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
    try:
        size = os.fstat(number).st_size
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(number, rest) :]
            if force:
                os.fsync(number)
        except OSError:
            with contextlib.suppress(OSError):  # to shorten a file needs no room
                os.ftruncate(number, size)
            raise
    finally:
        os.close(number)


def sync_folder(folder: Path) -> None:
    """Have a folder's entries on the disk; Windows does that by itself."""
    if os.name != "posix":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def cannot_write(path: Path, error: OSError) -> RecordError:
    """The error to raise when a file of the record cannot be written."""
    return RecordError(
        f"{path.name} cannot be written",
        where={"file": str(path)},
        seen=error.strerror or str(error) or type(error).__name__,
        next="make room or give write access there, then run again; nothing goes on without being written down",
    )


def _replace(draft: Path, path: Path) -> None:
    for pause in _PATIENCE:
        try:
            draft.replace(path)
        except PermissionError:
            time.sleep(pause)
        else:
            return
    draft.replace(path)
