"""The handover as a PDF on A4, drawn by typst.

Typst's wheel needs neither a compiler nor a browser, also on Windows: WeasyPrint wants Pango there, a browser is no
part of a kit, and ReportLab would be page layout by hand.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from dataclasses import asdict
from datetime import datetime
from importlib.resources import files
from pathlib import Path

import typst

from umkit.handover.document import Document, Picture, whole

_TEMPLATE = "handover.typ"

#: Letters and pictures that typst's own fonts lack: Arabic, Indic and East Asian scripts, emoji.
_RARE = re.compile("[\u0600-\u1dff\u2e80-\ud7ff\ue000-\ufaff\ufb50-\U0010ffff]")


def as_pdf(document: Document, moment: datetime) -> bytes:
    """The PDF; the document's text reaches the template as data, never as markup.

    It is drawn with typst's own fonts, the same everywhere. Only a text with letters that these lack is drawn with the
    machine's fonts too; what no font has is told by its number in Unicode.

    Arguments:
        document: the handover.
        moment: the PDF's own date, so that the same record gives the same file.
    """
    with tempfile.TemporaryDirectory(prefix="umkit-handover-") as name:
        folder = Path(name)
        (folder / _TEMPLATE).write_bytes(files("umkit").joinpath("templates", "handover", _TEMPLATE).read_bytes())
        shown = {picture.path: _kept(picture, folder, number) for number, picture in enumerate(document.pictures, 1)}
        readable = {path for path, file in shown.items() if _can_be_drawn(folder, file)}
        text = _data(document, folder, {path: shown[path] for path in readable})
        return _compiled(folder, _TEMPLATE, moment, own_fonts=_RARE.search(text) is None)


def _kept(picture: Picture, folder: Path, number: int) -> str:
    """A picture's name beside the template; never the name that somebody gave it."""
    name = f"picture-{number}.{picture.media.partition('/')[2]}"
    shutil.copyfile(picture.path, folder / name)
    return name


def _can_be_drawn(folder: Path, file: str) -> bool:
    """Whether typst can decode a picture; one that it cannot must not cost the whole document."""
    probe = folder / "probe.typ"
    probe.write_text("#image(sys.inputs.file)", "utf-8")
    try:
        typst.compile(probe, root=folder, sys_inputs={"file": file}, ignore_system_fonts=True)
    except typst.TypstError:
        return False
    return True


def _data(document: Document, folder: Path, pictures: dict[Path, str]) -> str:
    """Write the document as the template reads it; returns what was written."""
    data = asdict(document)
    for block in (*data["cover"], *data["body"]):
        if block["kind"] == "picture":
            block["path"] = pictures.get(block["path"], "")
    text = whole(json.dumps(data, ensure_ascii=False))
    (folder / "handover.json").write_text(text, "utf-8")
    return text


def _compiled(folder: Path, template: str, moment: datetime, own_fonts: bool) -> bytes:
    drawn = typst.compile(
        folder / template, root=folder, ignore_system_fonts=own_fonts, timestamp=moment.replace(microsecond=0)
    )
    if not isinstance(drawn, bytes):
        raise TypeError(f"typst gave {type(drawn).__name__} in place of a PDF")
    return drawn
