"""Canaries: passwords that break every kind of escaping, and a search for them in whatever a run leaves behind.

A canary begins and ends with a mark of letters and digits. No escaping touches a mark, so looking for the marks finds
the plain, JSON, HTML, XML, CLIXML, URL and Python forms alike, and a canary that was cut off, wrapped or coloured in
the middle. Base64, UTF-16 and hexadecimal forms of the marks are looked for too.
"""

from __future__ import annotations

import base64
import contextlib
import html
import io
import json
import re
import shutil
import subprocess
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PDFTOTEXT = shutil.which("pdftotext")

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_TAG = re.compile(r"<[^<>]{1,500}>")
_STREAM = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)


@dataclass(frozen=True)
class Canary:
    """A password that must be found nowhere.

    Arguments:
        name: two to four letters that tell it from others.
        middle: what stands between its marks.
    """

    name: str
    middle: str = '"it\'s" ü\\s $(x) `n<&>/+=%41 \U0001f511é_x0041_  {0}'

    @property
    def marks(self) -> tuple[str, str]:
        """Its beginning and its end."""
        return f"Kq7Z{self.name}hEad", f"Wv3Y{self.name}tAil"

    @property
    def value(self) -> str:
        """The password."""
        head, tail = self.marks
        return f"{head}{self.middle}{tail}"

    def needles(self) -> dict[str, bytes]:
        """What is looked for, each under the name of its form."""
        found: dict[str, bytes] = {}
        for place, mark in zip(("head", "tail"), self.marks, strict=True):
            found[f"{place}, UTF-8"] = mark.encode()
            found[f"{place}, UTF-16"] = mark.encode("utf-16-le")
            for name, raw in (("UTF-8", mark.encode()), ("UTF-16", mark.encode("utf-16-le"))):
                found[f"{place}, hexadecimal of {name}"] = raw.hex().encode()
                for before in range(3):
                    whole = base64.b64encode(b"\0" * before + raw)
                    core = whole[(0, 2, 3)[before] : (before + len(raw)) * 8 // 6]
                    found[f"{place}, Base64 of {name} at {before}"] = core
        return found


def search(data: bytes, *canaries: Canary, name: str = "") -> list[str]:
    """Every place in some bytes where a canary is; what is packed in them is looked into."""
    found = []
    for where, layer in _layers(data, name):
        lowered = layer.lower()
        for canary in canaries:
            for form, needle in canary.needles().items():
                if needle in layer or ("hexadecimal" in form and needle in lowered):
                    found.append(f"{where or 'bytes'}: {canary.name}, {form}")
    return found


def search_folder(folder: Path, *canaries: Canary) -> tuple[list[str], int]:
    """Every place in the files of a folder where a canary is, their names included; and how many files there are."""
    found, count = [], 0
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        found += search(name.encode("utf-8", "surrogateescape"), *canaries, name=f"the name {name}")
        if path.is_file():
            count += 1
            found += search(path.read_bytes(), *canaries, name=name)
    return found, count


def _layers(data: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    yield name, data
    if data.startswith(b"PK"):
        with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(data)) as file:
            for member in file.namelist():
                yield from _layers(file.read(member), f"{name}!{member}")
    if data.startswith(b"%PDF"):
        for number, stream in enumerate(_STREAM.findall(data)):
            with contextlib.suppress(zlib.error):
                yield f"{name}, stream {number}", zlib.decompressobj().decompress(stream)
        if PDFTOTEXT:
            yield f"{name}, text", b"".join(text_of_pdf(data).split())
        return
    text = data.decode("utf-8", "replace")
    yield f"{name}, without colours and tags", html.unescape(_TAG.sub("", _COLOUR.sub("", text))).encode()
    yield f"{name}, without line breaks", "".join(text.split()).encode()
    try:
        yield from _values(json.loads(text), name)
    except ValueError:
        for number, line in enumerate(text.split("\n"), 1):
            if line.startswith(("{", "[", '"')):
                with contextlib.suppress(ValueError):
                    yield from _values(json.loads(line), f"{name}, line {number}")


def _values(value: Any, name: str, depth: int = 0) -> Iterator[tuple[str, bytes]]:
    """Every text inside a JSON value, and what is JSON or Base64 in that."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _values(key, name, depth)
            yield from _values(item, f"{name}.{key}", depth)
    elif isinstance(value, list):
        for item in value:
            yield from _values(item, name, depth)
        if value and all(isinstance(item, str) for item in value):
            yield name, "".join(value).encode("utf-8", "surrogatepass")
    elif isinstance(value, str):
        yield name, html.unescape(_COLOUR.sub("", value)).encode("utf-8", "surrogatepass")
        yield f"{name}, without line breaks", "".join(value.split()).encode("utf-8", "surrogatepass")
        if depth < 3 and len(value) > 8:
            with contextlib.suppress(ValueError):
                yield from _values(json.loads(value), f"{name} (JSON)", depth + 1)
            with contextlib.suppress(ValueError):
                yield f"{name} (Base64)", base64.b64decode(value, validate=True)


def text_of_pdf(data: bytes) -> bytes:
    assert PDFTOTEXT
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "handover.pdf"
        path.write_bytes(data)
        done = subprocess.run([PDFTOTEXT, "-enc", "UTF-8", str(path), "-"], check=False, capture_output=True)
    return done.stdout
