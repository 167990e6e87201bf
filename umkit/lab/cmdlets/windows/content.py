"""Get-Content and Set-Content, byte for byte as Windows PowerShell 5.1 does it (reference/windows.md §d)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from umkit.lab.objects import Many, Node, Noted, Scalar
from umkit.lab.providers import (
    FILES,
    Place,
    administrates,
    each,
    file_denied,
    path_not_found,
    places,
    refusal,
)
from umkit.lab.records import not_simulated

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.host_files import File

#: PowerShell's encoding → Python's, and the byte order mark with which a new file begins. Default is the ANSI code
#: page 1252 and OEM 850 of a Western system.
_ENCODINGS = {
    "ASCII": ("ascii", b""),
    "BigEndianUnicode": ("utf-16-be", b"\xfe\xff"),
    "BigEndianUTF32": ("utf-32-be", b"\x00\x00\xfe\xff"),
    "Default": ("cp1252", b""),
    "OEM": ("cp850", b""),
    "String": ("utf-16-le", b"\xff\xfe"),
    "Unicode": ("utf-16-le", b"\xff\xfe"),
    "Unknown": ("utf-16-le", b"\xff\xfe"),
    "UTF7": ("utf-7", b""),
    "UTF8": ("utf-8", b"\xef\xbb\xbf"),
    "UTF32": ("utf-32-le", b"\xff\xfe\x00\x00"),
}
_OBJECTS = ("System.Object[]", "System.Array", "System.Object")
_LINE = re.compile(r"\r\n|\r|\n")


def get_content(call: Call) -> None:
    """Read files: lines, one text, or with ``-Encoding Byte`` bytes; an empty file gives nothing."""
    call.simulates("Path", "LiteralPath", "Encoding", "Raw", "ReadCount", "TotalCount", "Tail", "Force")
    raw = call.get("Raw")
    if raw and ("TotalCount" in call or "Tail" in call):
        # The engine says so for each of the two by name; the wording is (?).
        name = "Tail" if "Tail" in call else "TotalCount"
        text = f"The parameters Raw and {name} cannot be used together. Please specify only one parameter."
        raise refusal(call, text, "InvalidOperation", "InvalidOperation", "System.InvalidOperationException", ends=True)

    def show(place: Place) -> None:
        content = _readable(call, place).content
        notes = place.notes()
        if call.get("Encoding") == "Byte":
            _show_bytes(call, content, notes)
            return
        text = _decoded(content, call.get("Encoding"))
        if raw:
            if text:
                call.output(Noted(Scalar("S", text), notes | {"ReadCount": Scalar("I64", 1)}))
            return
        lines = _LINE.split(text)
        lines = lines[:-1] if lines[-1] == "" else lines
        for number, line in enumerate(_cut(call, lines), 1):
            call.output(Noted(Scalar("S", line), notes | {"ReadCount": Scalar("I64", number)}))

    each(call, places(call), show)


def _cut(call: Call, items: Any) -> Any:
    """What ``-TotalCount`` and ``-Tail`` leave."""
    items = items[: call.get("TotalCount")] if call.get("TotalCount", -1) >= 0 else items
    tail = call.get("Tail", -1)
    return items if tail < 0 else items[len(items) - min(tail, len(items)) :]


def _show_bytes(call: Call, content: bytes, notes: dict[str, Node]) -> None:
    content = _cut(call, content)
    if not content:
        return
    count = {"ReadCount": Scalar("I64", len(content))}
    if call.get("Raw"):
        call.output(Noted(Scalar("BA", content), notes | count))
    elif call.get("ReadCount") == 0:
        call.output(Many(_OBJECTS, tuple(Scalar("By", each) for each in content)))
    else:
        for number, byte in enumerate(content, 1):
            call.output(Noted(Scalar("By", byte), notes | {"ReadCount": Scalar("I64", number)}))


def _decoded(content: bytes, encoding: str | None) -> str:
    """Text as Get-Content reads it: a byte order mark decides before the encoding that was asked for."""
    # UTF-32's mark begins like UTF-16's, so it is looked for first.
    for name in ("UTF32", "BigEndianUTF32", "UTF8", "Unicode", "BigEndianUnicode"):
        codec, mark = _ENCODINGS[name]
        if content.startswith(mark):
            return content[len(mark) :].decode(codec, "replace")
    return content.decode(_ENCODINGS[encoding or "Default"][0], "replace")


def _not_supported(call: Call) -> Exception:
    return refusal(
        call,
        "Cannot use interface. The IContentCmdletProvider interface is not implemented by this provider.",
        "NotSupported",
        "NotImplemented",
        "System.Management.Automation.PSNotSupportedException",
    )


def _readable(call: Call, place: Place) -> File:
    if place.provider != FILES:
        raise _not_supported(call)
    files = call.service.host.files
    file = files.file(place.path)
    if file is None and files.folder(place.path) is None:
        raise path_not_found(call, place)
    if file is None or not administrates(call):
        raise file_denied(call, place, "GetContentReaderUnauthorizedAccessError")
    return file


def set_content(call: Call) -> None:
    """Write files: each value a line, or with ``-Encoding Byte`` the bytes themselves.

    An existing file is truncated in place and keeps its attributes.
    """
    call.simulates("Path", "LiteralPath", "Value", "Encoding", "NoNewline", "Force", "PassThru")

    def write(place: Place) -> None:
        if place.provider != FILES:
            raise _not_supported(call)
        files = call.service.host.files
        file = files.file(place.path)
        forbidden = file is not None and file.read_only and not call.get("Force")
        if not administrates(call) or forbidden or files.folder(place.path) is not None:
            raise file_denied(call, place, "System.UnauthorizedAccessException")
        if files.folder(place.path.rpartition("\\")[0]) is None:
            text, gone = f"Could not find a part of the path '{place.path}'.", "System.IO.DirectoryNotFoundException"
            raise refusal(call, text, "GetContentWriterDirectoryNotFoundError", "ObjectNotFound", gone, place.path)
        if file is not None and file.locked:
            argument = "System.ArgumentException"
            raise refusal(
                call,
                "Stream was not readable.",
                "GetContentWriterArgumentError",
                "InvalidArgument",
                argument,
                place.path,
            )
        if call.get("PassThru"):
            raise not_simulated("-PassThru of Set-Content")
        if not call.should_process():
            return
        try:
            content = _encoded(call)
        except TypeError:
            # The file is truncated before the first value is looked at.
            files.write(place.path, b"")
            text = "Cannot proceed with byte encoding. When using byte encoding the content must be of type byte."
            raise refusal(
                call,
                text,
                # The reference gives the text; the id is that of an argument error of the writer (?).
                "WriteContentArgumentError",
                "InvalidArgument",
                "System.Management.Automation.PSArgumentException",
                place.path,
            ) from None
        files.write(place.path, content)

    each(call, places(call), write)


def _encoded(call: Call) -> bytes:
    """The file's new bytes; raises TypeError for values that are no bytes."""
    value = call.get("Value")
    if call.get("Encoding") == "Byte":
        if isinstance(value, bytes):
            return value
        if value:
            raise TypeError
        return b""
    codec, mark = _ENCODINGS[call.get("Encoding") or "Default"]
    values = list(value) if isinstance(value, bytes) else value
    end = "" if call.get("NoNewline") else "\r\n"
    text = "".join(("" if each is None else str(each)) + end for each in values)
    return mark + text.encode(codec, "replace")
