"""The handover: one document a run for those who were not there.

It tells the customer's administrator what was changed, from what to what, what was checked, what people attested, what
is left to do, how to undo it and how to verify the record. See :mod:`umkit.handover.gather` for where it comes from.
"""

from __future__ import annotations

from pathlib import Path

from umkit.durable import write_atomic
from umkit.errors import UmkitError
from umkit.handover.compose import compose
from umkit.handover.facts import RunFacts
from umkit.handover.gather import gather
from umkit.handover.html import as_html
from umkit.handover.words import LANGUAGES
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
    facts = gather(folder)
    return as_html(compose(facts, language or _language(facts)))


def made_pdf(folder: Path, language: str | None = None) -> bytes:
    """The handover of a record as a PDF; arguments as :func:`write`."""
    from umkit.handover.pdf import as_pdf  # typst is large, and a run writes no PDF

    facts = gather(folder)
    return as_pdf(compose(facts, language or _language(facts)), facts.ended)


def _language(facts: RunFacts) -> str:
    wanted = facts.input("run", "language")
    return wanted if wanted in LANGUAGES else LANGUAGES[0]


__all__ = ["FILE", "LANGUAGES", "compose", "gather", "made", "made_pdf", "put_into", "write"]
