"""Zip files that are carried: only what the kit itself writes is read, and nothing in it leads anywhere else."""

from __future__ import annotations

import io
import os
import random
import stat
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from umkit import archive
from umkit.errors import UsageError

CONTENTS = {"README.txt": b"read me\n", "a/one.txt": b"", "a/zwei-ü.txt": bytes(range(256)), "b.json": b"{}"}


def read(tmp_path: Path, data: bytes) -> dict[str, bytes]:
    path = tmp_path / "carried.zip"
    path.write_bytes(data)
    return archive.unpacked(path, "bundle", next="do this")


def refused(tmp_path: Path, data: bytes) -> str:
    with pytest.raises(UsageError, match="is no bundle as umkit writes it") as told:
        read(tmp_path, data)
    assert told.value.next == "do this"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["carried.zip"]
    return told.value.seen


def test_what_was_packed_is_read_and_always_the_same(tmp_path: Path) -> None:
    packed = archive.packed(CONTENTS)
    assert read(tmp_path, packed) == CONTENTS
    assert archive.packed(dict(reversed(CONTENTS.items()))) == packed
    assert read(tmp_path, archive.packed({})) == {}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../evil", "leads out"),
        ("a/../../evil", "leads out"),
        ("..", "leads out"),
        ("/etc/passwd", "does not begin"),
        ("//server/share/x", "does not begin"),
        ("C:/Windows/x", "does not begin"),
        ("c:x", "does not begin"),
        ("a\\..\\evil", "does not begin"),
        ("\\\\server\\x", "does not begin"),
        ("a//b", "without a name"),
        ("a/./b", "without a name"),
        ("./a", "without a name"),
        ("folder/", "without a name"),
        ("", "without a name"),
        ("a/nul", "on Windows"),
        ("Con.txt", "on Windows"),
        ("com1.tar.gz", "on Windows"),
        ("a./b", "on Windows"),
        ("a /b", "on Windows"),
        ("stream.txt:hidden", "on Windows"),
        ("what?", "on Windows"),
        ("line\nbreak", "on Windows"),
        ("right-to-left-\u202etxt.exe", "on Windows"),
        ("decomposed-u\u0308", "not every system"),
        ("x" * 201, "too long"),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str, why: str) -> None:
    told = refused(tmp_path, archive.packed({**CONTENTS, name: b"x"}))
    assert why in told or ("\\" in name and os.sep == "\\")  # there Python itself packs it with slashes


@pytest.mark.parametrize("names", [["a/One.txt"], ["A/ONE.TXT"], ["b.json/c"], ["B.JSON/c/d"]])
def test_names_that_meet_on_windows_are_refused(tmp_path: Path, names: list[str]) -> None:
    told = refused(tmp_path, archive.packed({**CONTENTS, **dict.fromkeys(names, b"x")}))
    assert "one and the same" in told or "is a file, and the folder of" in told


def made(**options: object) -> bytes:
    """The contents in a zip file that somebody else packed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as file:  # type: ignore[call-overload]
        for name, data in sorted(CONTENTS.items()):
            file.writestr(name, data)
    return buffer.getvalue()


def with_entry(change: Callable[[zipfile.ZipInfo], None], name: str = "x") -> bytes:
    """The contents as the kit packs them, and one more entry that is somehow else."""
    buffer = io.BytesIO(archive.packed(CONTENTS))
    with zipfile.ZipFile(buffer, "a") as file:
        entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
        entry.create_system, entry.external_attr = 3, 0o100644 << 16
        change(entry)
        file.writestr(entry, b"../../target")
    return buffer.getvalue()


def _link(entry: zipfile.ZipInfo) -> None:
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16


def _pipe(entry: zipfile.ZipInfo) -> None:
    entry.external_attr = (stat.S_IFIFO | 0o644) << 16


def _executable(entry: zipfile.ZipInfo) -> None:
    entry.external_attr = 0o100755 << 16


def _with_extra(entry: zipfile.ZipInfo) -> None:
    entry.extra = struct.pack("<HH4s", 0x7075, 4, b"name")


def _with_comment(entry: zipfile.ZipInfo) -> None:
    entry.comment = b"a comment"


def _at_another_time(entry: zipfile.ZipInfo) -> None:
    entry.date_time = (2026, 11, 22, 17, 5, 0)


@pytest.mark.parametrize("change", [_link, _pipe, _executable, _with_extra, _with_comment, _at_another_time])
def test_an_entry_that_is_no_plain_file_is_refused(tmp_path: Path, change: Callable[[zipfile.ZipInfo], None]) -> None:
    assert read(tmp_path, with_entry(lambda entry: None)).keys() == {*CONTENTS, "x"}
    assert "another program" in refused(tmp_path, with_entry(change))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    assert "README.txt twice" in refused(tmp_path, with_entry(lambda entry: None, "README.txt"))


def test_a_bomb_is_not_lit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("bomb", bytes(50_000_000))
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("it was read"))
    assert "compressed" in refused(tmp_path, bomb.getvalue())
    # the same few bytes, claimed by many entries: each is stored, and together they are more than the file
    data = bytearray(archive.packed({"a": bytes(5_000), "b": b"", "c": b""}))
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        begin = file.start_dir
    for at in range(begin, len(data)):
        if data[at : at + 4] == b"PK\1\2":
            data[at + 20 : at + 28] = struct.pack("<LL", 5_000, 5_000)
            data[at + 42 : at + 46] = bytes(4)
    assert "more than the file is long" in refused(tmp_path, bytes(data))


def test_more_than_can_be_held_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = archive.packed(CONTENTS)
    # the form for very large files says its numbers in another place
    assert "too many files" in refused(tmp_path, data[:-22] + b"PK\6\7" + bytes(16) + data[-22:])
    monkeypatch.setattr(archive, "_LARGEST_DIRECTORY", 100)
    assert "too many files" in refused(tmp_path, data)
    monkeypatch.setattr(archive, "LARGEST", len(data) - 1)
    assert "more than" in refused(tmp_path, data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK",
        b"no zip file at all, but quite a long text of more than forty bytes",
        b"PK\5\6" + b"\xff" * 18,
        b"before" + archive.packed(CONTENTS),
        archive.packed(CONTENTS) + b"behind",
        archive.packed(CONTENTS)[:-1],
        archive.packed(CONTENTS)[:-2] + b"\5\0hello",
        made(),
        made(compression=zipfile.ZIP_DEFLATED),
        made(compression=zipfile.ZIP_LZMA),
    ],
)
def test_what_the_kit_did_not_write_is_refused(tmp_path: Path, data: bytes) -> None:
    assert refused(tmp_path, data)


def test_any_damage_is_found(tmp_path: Path) -> None:
    whole = archive.packed(CONTENTS)
    chance = random.Random(4711)
    for at in (*range(0, 60), *range(len(whole) - 60, len(whole)), *chance.sample(range(len(whole)), 200)):
        for changed in (
            whole[:at] + bytes([whole[at] ^ (1 << chance.randrange(8))]) + whole[at + 1 :],
            whole[:at] + whole[at + 1 :],
            whole[:at] + b" " + whole[at:],
        ):
            try:
                found = read(tmp_path, changed)
            except UsageError:
                continue
            # a name or a length that says the same thing in another way would be a hole
            assert archive.packed(found) == changed
            assert found != CONTENTS


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.zip"):
        with pytest.raises(UsageError, match="cannot be read"):
            archive.unpacked(path, "bundle", next="")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes in folders")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.zip")
    with pytest.raises(UsageError, match="cannot be read"):
        archive.unpacked(tmp_path / "pipe.zip", "bundle", next="")
