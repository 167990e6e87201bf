"""``umkit handover``: the handover of a run, as a page or as a PDF."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from umkit.cli_options import RECORDS, command
from umkit.errors import UsageError


def add(main: click.Group) -> None:
    """Add the command to the command line."""

    @main.command()
    @click.argument("run", metavar="RUN")
    @click.option("--pdf", is_flag=True, help="A PDF on A4 instead of an HTML page.")
    @click.option(
        "--language", type=click.Choice(["en", "de"]), help="Its language.  [default: the customer file's run.language]"
    )
    @click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        help="Where to write it; - for standard output.  [default: handover-RUN.html or .pdf here]",
    )
    @RECORDS
    @command
    def handover(run: str, pdf: bool, language: str | None, output: Path | None, records: Path | None) -> int:
        """Write the handover of a RUN: what was changed, what is left to do, how to undo and to verify it.

        RUN is a run's id, the beginning of one, CUSTOMER/RUN, latest, or a record's folder. The record itself stays
        as it was sealed.
        """
        from umkit.durable import write_atomic
        from umkit.handover import made, made_pdf
        from umkit.proof import find

        folder = find(run, records or Path("records"))
        data = made_pdf(folder, language) if pdf else made(folder, language).encode("utf-8")
        if str(output) == "-":
            sys.stdout.buffer.write(data)
            return 0
        path = output or Path(f"handover-{folder.name}.{'pdf' if pdf else 'html'}")
        if path.resolve().is_relative_to(folder.resolve()):
            raise UsageError(
                f"{path} would lie in the record itself, which would then no longer be as it was sealed",
                next="choose another place with -o",
            )
        write_atomic(path, data)
        click.secho(f"handover: {path}", fg="green", err=True)
        return 0
