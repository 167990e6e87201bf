"""The handover as one HTML page: no network, no script, printable on A4."""

from __future__ import annotations

import base64
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from umkit.handover.document import Document, whole

_jinja = Environment(
    loader=PackageLoader("umkit"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def as_html(document: Document) -> str:
    """The page; everything that the document says is escaped."""
    return whole(_jinja.get_template("handover/handover.html").render(document=document))


def _data(path: Path) -> str:
    """A file's bytes for a ``data:`` URI."""
    return base64.b64encode(path.read_bytes()).decode("ascii")


_jinja.filters["data"] = _data
