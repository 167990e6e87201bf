"""The handover: one document a run for those who were not there.

It tells the customer's administrator what was changed, from what to what, what was checked, what people attested, what
is left to do, how to undo it and how to verify the record. See :mod:`umkit.handover.gather` for where it comes from.

What makes it is large (templates, two languages' dates) and needed at a run's end only, so it is imported then.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from umkit.durable import write_atomic
from umkit.errors import UmkitError

if TYPE_CHECKING:
    from umkit.handover.document import Document
    from umkit.record import Record

#: The handover's name in the record.
FILE = "handover.html"


def write(folder: Path, language: str | None = None) -> Path:
    """Write ``handover.html`` into a record that is not sealed yet.

    Arguments:
        folder: the record's folder.
        language: ``en`` or ``de``; the customer file's ``run.language`` unless given.

    Returns the document's path. Raises ``RecordError`` when the record cannot be read or written.
    """
    path = Path(folder) / FILE
    write_atomic(path, made(folder, language))
    return path


def put_into(record: Record) -> None:
    """Write the handover into a run's record; one that cannot be made must not keep the record from being sealed."""
    try:
        write(record.folder)
    except UmkitError as error:
        record.journal.append("handover", error=error.as_dict())


def made(folder: Path, language: str | None = None) -> str:
    """The handover of a record as one self-contained HTML page; arguments as :func:`write`."""
    from umkit.handover.html import as_html

    return as_html(_document(folder, language)[0])


def made_pdf(folder: Path, language: str | None = None) -> bytes:
    """The handover of a record as a PDF; arguments as :func:`write`."""
    from umkit.handover.pdf import as_pdf

    return as_pdf(*_document(folder, language))


def _document(folder: Path, language: str | None) -> tuple[Document, datetime]:
    """The handover before it has a form, and when the run ended."""
    from umkit.handover.compose import compose
    from umkit.handover.gather import gather
    from umkit.handover.words import LANGUAGES

    facts = gather(folder)
    wanted = facts.input("run", "language")
    return compose(facts, language or (wanted if wanted in LANGUAGES else LANGUAGES[0])), facts.ended


__all__ = ["FILE", "made", "made_pdf", "put_into", "write"]
