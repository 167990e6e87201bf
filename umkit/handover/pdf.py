"""The handover as a PDF on A4, drawn by typst.

Typst's wheel needs neither a compiler nor a browser, also on Windows: WeasyPrint wants Pango there, a browser is no
part of a kit, and ReportLab would be page layout by hand.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import asdict
from datetime import datetime
from importlib.resources import files
from pathlib import Path

import typst

from umkit.handover.document import Document, Picture

_TEMPLATE = "handover.typ"


def as_pdf(document: Document, moment: datetime) -> bytes:
    """The PDF; the document's text reaches the template as data, never as markup.

    Arguments:
        document: the handover.
        moment: the PDF's own date, so that the same record gives the same file.
    """
    with tempfile.TemporaryDirectory(prefix="umkit-handover-") as name:
        folder = Path(name)
        (folder / _TEMPLATE).write_bytes(files("umkit").joinpath("templates", "handover", _TEMPLATE).read_bytes())
        shown = {picture.path: _kept(picture, folder, number) for number, picture in enumerate(document.pictures, 1)}
        readable = {path for path, file in shown.items() if _can_be_drawn(folder, file)}
        _data(document, folder, {path: shown[path] for path in readable})
        return _compiled(folder, _TEMPLATE, moment)


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


def _data(document: Document, folder: Path, pictures: dict[Path, str]) -> None:
    data = asdict(document)
    for block in (*data["cover"], *data["body"]):
        if block["kind"] == "picture":
            block["path"] = pictures.get(block["path"], "")
    (folder / "handover.json").write_text(json.dumps(data, ensure_ascii=False), "utf-8", "backslashreplace")


def _compiled(folder: Path, template: str, moment: datetime) -> bytes:
    drawn = typst.compile(
        folder / template, root=folder, ignore_system_fonts=True, timestamp=moment.replace(microsecond=0)
    )
    if not isinstance(drawn, bytes):
        raise TypeError(f"typst gave {type(drawn).__name__} in place of a PDF")
    return drawn
