"""``umkit open``: the chapters in JupyterLab, to be stepped through by a person."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from umkit.cli_options import JSON, ORGANISATION, PARAMETERS, RECORDS, TRACE, VERBOSE, command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from umkit.cockpit import Copy, Opened


def add(main: click.Group) -> None:
    """Add the command to the command line."""

    @main.command("open")
    @click.argument("name", metavar="CUSTOMER")
    @click.argument("chapter", metavar="[CHAPTER]", default="00-start")
    @click.option(
        "--fresh", is_flag=True, help="Begin CHAPTER (or all, if none is named) anew; the old is moved aside."
    )
    @click.option("--no-browser", is_flag=True, help="Open no browser; print the address.")
    @click.option("--port", type=click.IntRange(0, 65535), default=0, help="JupyterLab's port; 0 takes a free one.")
    @click.option(
        "--work",
        type=click.Path(path_type=Path),
        default=Path("work"),
        show_default=True,
        help="Folder of the copies that are worked on.",
    )
    @ORGANISATION
    @TRACE
    @PARAMETERS
    @RECORDS
    @JSON
    @VERBOSE
    @click.pass_context
    @command
    def open_(
        context: click.Context,
        name: str,
        chapter: str,
        fresh: bool,
        no_browser: bool,
        port: int,
        work: Path,
        organisation: str | None,
        trace: Path | None,
        parameters: Path | None,
        records: Path | None,
        as_json: bool,
        verbose: bool,
    ) -> int:
        """Step through a CUSTOMER's chapters in JupyterLab, until Ctrl-C.

        The chapters are copied to work/CUSTOMER with the customer's values, and kept there from one session to the
        next. Opening and running them changes nothing. Where the customer file says lab, a lab is started too.
        --json prints one line when it answers: url, token, folder, pid.
        """
        from umkit.chapters import chapter as chapter_named
        from umkit.cockpit import AlreadyOpen, Server, WorkFolder
        from umkit.customer import find, load
        from umkit.headless import folder

        path = find(name, parameters or folder("parameters"))
        customer = load(path)
        begin = chapter_named(chapter).name
        place = WorkFolder(work, customer.customer.name)
        with ExitStack() as stack:
            try:
                server = stack.enter_context(Server(place))
            except AlreadyOpen as already:
                if already.opened is None or fresh:
                    raise
                _again(already.opened.at(begin), as_json=as_json, browser=not no_browser)
                return 0
            named = context.get_parameter_source("chapter") is click.core.ParameterSource.COMMANDLINE
            anew = ([begin] if named else None) if fresh else ()
            _tell(place.prepare(folder("runbooks"), customer, fresh=anew))
            environment = {
                "UMKIT_CUSTOMER_FILE": str(path.absolute()),
                "UMKIT_RECORDS": str((records or Path(customer.run.records)).absolute()),
            }
            if customer.uses_lab and not os.environ.get("UMKIT_LAB"):
                environment["UMKIT_LAB"] = _lab(stack, organisation, trace)

            def announce(opened: Opened) -> None:
                _announce(opened, as_json=as_json, browser=not no_browser)

            server.run(begin, environment=environment, announce=announce, port=port, verbose=verbose)
        click.secho("closed; every kernel was ended", err=True)
        return 0


def _lab(stack: ExitStack, organisation: str | None, trace: Path | None) -> str:
    """Start a lab that ends with the command; what describes it to the kernels."""
    from umkit.lab import Lab
    from umkit.secrets import Secret, remember

    described = stack.enter_context(Lab(organisation, trace=trace)).describe()
    remember(Secret(described["password"]))
    return json.dumps(described)


def _tell(copies: Sequence[Copy]) -> None:
    """Say what became of earlier copies, where a person should know."""
    for copy in copies:
        if copy.fate == "set aside":
            click.echo(f"{copy.path.stem}: begun anew; the earlier one is now {copy.earlier}", err=True)
        elif copy.fate == "changed":
            click.secho(
                f"{copy.path.stem}: kept as it is, though its cells are not the runbook's (edited, or of another"
                f" version); umkit open … {copy.path.stem} --fresh begins it anew",
                fg="yellow",
                err=True,
            )


def _announce(opened: Opened, *, as_json: bool, browser: bool) -> None:
    if as_json:
        click.echo(json.dumps(opened.as_dict(), ensure_ascii=False))
    else:
        click.secho(f"JupyterLab answers: {opened.url_with_token}", bold=True)
        click.echo(f"folder: {opened.folder}\nEnd it with Ctrl-C here; close the browser whenever you like.", err=True)
    if browser:
        _browse(opened.login or opened.url)


def _again(opened: Opened, *, as_json: bool, browser: bool) -> None:
    """Another process serves it: say where, and show it."""
    click.secho(f"it is open already, in process {opened.pid}", fg="yellow", err=True)
    if as_json:
        click.echo(json.dumps(opened.as_dict(), ensure_ascii=False))
    else:
        click.secho(opened.url_with_token, bold=True)
    if browser:
        _browse(opened.url)  # the browser was let in before


def _browse(url: str) -> None:
    """Show it in the person's browser, without waiting for that."""
    import threading
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
