"""Zip files that are carried: the same contents give the same bytes, and nothing else is read.

The kit writes a zip file in one way only: sorted, uncompressed, without times, permissions, comments or extra fields.
So a reader makes the file anew from what was in it and compares: what is compressed, encrypted, linked, twice there,
overlapping, put before or behind, or said differently in two places cannot come out the same.
"""

from __future__ import annotations

import io
import re
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from umkit.customer.explain import printable, shortened
from umkit.errors import UsageError

#: The largest zip file that is read; a large record has some ten MiB.
LARGEST: Final = 256 * 1024 * 1024

#: The earliest time a zip file can hold: the same contents give the same bytes, whenever they are packed.
_TIME: Final = (1980, 1, 1, 0, 0, 0)
_LARGEST_DIRECTORY: Final = 4 * 1024 * 1024
_END = struct.Struct("<4s4H2LH")
_RESERVED: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*", re.IGNORECASE)
_NOT_IN_A_NAME: Final = frozenset('<>:"\\|?*')


def packed(contents: Mapping[str, bytes]) -> bytes:
    """A zip file of these contents; nothing in it depends on the time, the machine or a compressor's version."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as file:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.create_system = 3  # Unix, whose permissions follow
            entry.external_attr = 0o100644 << 16
            file.writestr(entry, contents[name])
    return buffer.getvalue()


def unpacked(path: Path, what: str, *, next: str) -> dict[str, bytes]:
    """The contents of a zip file that :func:`packed` made; nothing is written anywhere.

    Arguments:
        path: the file.
        what: what it is to be, for an error.
        next: what to do where it is none, for an error.

    Raises ``UsageError`` when it cannot be read, when it is not as :func:`packed` makes it, or when a name in it is
    none that may become a file's in a folder, on Windows too.
    """
    where = {"file": str(path)}
    try:
        if not path.is_file() and path.exists():  # a pipe would be waited for
            raise OSError(0, "no file")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(
            f"{printable(path.name)} cannot be read", where=where, seen=error.strerror or type(error).__name__
        ) from error
    try:
        contents = read_zip(data)
        if fault := fault_of(contents):
            raise ValueError(fault)
        if packed(contents) != data:
            raise ValueError("it was packed by another program, or changed, or damaged on its way")
    except ValueError as error:
        raise UsageError(
            f"{printable(path.name)} is no {what} as umkit writes it", where=where, seen=str(error), next=next
        ) from error
    return contents


def read_zip(data: bytes) -> dict[str, bytes]:
    """What is in a zip file, whatever it is called; no more is read than the file is long.

    Raises ``ValueError``.
    """
    if len(data) > LARGEST:
        raise ValueError(f"it has more than {LARGEST >> 20} MiB")
    end, before = data[-_END.size :], data[-_END.size - 20 : -_END.size]
    if not end.startswith(b"PK\5\6"):
        raise ValueError("it is no zip file, or it was cut off, or something follows its end")
    # zipfile builds an object for each entry that the directory lists; the second form is that of very large files
    if _END.unpack(end)[5] > _LARGEST_DIRECTORY or before.startswith(b"PK\6\7"):
        raise ValueError("it lists too many files")
    contents: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            entries = file.infolist()
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise ValueError("it is compressed")
            if sum(entry.file_size for entry in entries) > len(data):
                raise ValueError("it holds more than the file is long")
            for entry in entries:
                if entry.filename in contents:
                    raise ValueError(f"it holds {shortened(entry.filename)} twice")
                contents[entry.filename] = file.read(entry)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, LookupError) as error:
        raise ValueError(f"it is damaged ({type(error).__name__})") from error
    return contents


def fault_of(names: Collection[str]) -> str:
    """Why these names cannot all be files in one folder, on Windows too; empty where they can."""
    seen: dict[str, str] = {}
    for name in names:
        if fault := _fault_of_one(name):
            return f"the name {shortened(name)} {fault}"
        key = name.casefold()
        if key in seen:
            return f"the names {shortened(seen[key])} and {shortened(name)} are one and the same on Windows"
        seen[key] = name
    for key, name in seen.items():
        if folder := next((str(one) for one in PurePosixPath(key).parents if str(one) in seen), ""):
            return f"{shortened(seen[folder])} is a file, and the folder of {shortened(name)}"
    return ""


def _fault_of_one(name: str) -> str:
    parts = name.split("/")
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or "\\" in name:
        return "does not begin in the folder that it is unpacked to"
    if ".." in parts:
        return "leads out of the folder that it is unpacked to"
    if not all(parts) or "." in parts:
        return "has a part without a name"
    if len(name) > 200 or not unicodedata.is_normalized("NFC", name):
        return "is too long, or written in a form that not every system keeps"
    for part in parts:
        if any(sign in _NOT_IN_A_NAME or not sign.isprintable() for sign in part):
            return "holds a character that no file's name has on Windows"
        if part[-1] in ". " or part[0] == " " or _RESERVED.fullmatch(part.partition(".")[0]):
            return "is none that a file can have on Windows"
    return ""
