"""``umkit plan``, ``apply``, ``verify`` and ``rollback``: the verbs that work on a customer (design §4.2)."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from umkit.cli_options import CHAPTERS, JSON, PARAMETERS, PLAN, RECORDS, VERBOSE, command, finish, load_customer
from umkit.errors import UsageError


def add(main: click.Group) -> None:
    """Add the commands to the command line."""

    @main.command()
    @click.argument("name", metavar="CUSTOMER")
    @click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Write the plan to this file too; umkit apply --plan does exactly that.",
    )
    @CHAPTERS
    @PARAMETERS
    @RECORDS
    @JSON
    @VERBOSE
    @command
    def plan(
        name: str,
        output: Path | None,
        chapters: tuple[str, ...],
        parameters: Path | None,
        records: Path | None,
        as_json: bool,
        verbose: bool,
    ) -> int:
        """Show what would be changed; change nothing."""
        from umkit.headless import Progress, run
        from umkit.headless.planned import keep

        customer = load_customer(name, parameters)
        with Progress(verbose=verbose) as progress:
            summary = run(customer, "plan", chapters=chapters, records=records, progress=progress)
        finish(summary, as_json=as_json)
        if output is not None:
            keep(summary, output)
            click.secho(f"plan: {output}", err=True, bold=True)
        return summary.exit_code

    @main.command()
    @click.argument("name", metavar="CUSTOMER")
    @PLAN
    @click.option(
        "--resume",
        metavar="RUN",
        help="Go on with a run that broke off: look up what its unanswered commands did, then do what it left undone.",
    )
    @CHAPTERS
    @PARAMETERS
    @RECORDS
    @JSON
    @VERBOSE
    @command
    def apply(
        name: str,
        planned: Path | None,
        resume: str | None,
        chapters: tuple[str, ...],
        parameters: Path | None,
        records: Path | None,
        as_json: bool,
        verbose: bool,
    ) -> int:
        """Change what differs, read it back, write it down.

        Where an earlier run of the customer broke off, what became of its unanswered commands is looked up first.
        """
        from umkit.headless import Progress, run
        from umkit.headless.planned import apply
        from umkit.headless.resumed import left_of

        if planned is not None and resume is not None:
            raise UsageError("--plan and --resume exclude each other", next="resume the run, or plan anew")
        customer = load_customer(name, parameters)
        with Progress(verbose=verbose) as progress:
            if planned is not None:
                summary = apply(customer, planned, chapters=chapters, records=records, progress=progress)
            else:
                rest = left_of(customer, resume, chapters, records) if resume is not None else chapters
                summary = run(customer, "apply", chapters=rest, records=records, progress=progress, resume=resume)
        finish(summary, as_json=as_json)
        return summary.exit_code

    @main.command()
    @click.argument("name", metavar="CUSTOMER")
    @CHAPTERS
    @PARAMETERS
    @RECORDS
    @JSON
    @VERBOSE
    @command
    def verify(
        name: str,
        chapters: tuple[str, ...],
        parameters: Path | None,
        records: Path | None,
        as_json: bool,
        verbose: bool,
    ) -> int:
        """Compare what is there with the customer file and with the last sealed record; change nothing."""
        from umkit.headless import Progress, run

        customer = load_customer(name, parameters)
        with Progress(verbose=verbose) as progress:
            summary = run(customer, "verify", chapters=chapters, records=records, progress=progress)
        finish(summary, as_json=as_json)
        return summary.exit_code

    @main.command()
    @click.argument("name", metavar="CUSTOMER")
    @click.option("--run", metavar="RUN", help="The run to take back.  [default: the newest apply]")
    @click.option("--dry-run", is_flag=True, help="Only show what would be taken back; change nothing.")
    @click.option("--yes", is_flag=True, help="Do not ask before the first command is sent.")
    @click.option(
        "--although-changed",
        multiple=True,
        metavar="OBJECT",
        help="Remove this object that the run made although somebody changed it since; as the plan names it.",
    )
    @CHAPTERS
    @PARAMETERS
    @RECORDS
    @JSON
    @command
    def rollback(
        name: str,
        run: str | None,
        dry_run: bool,
        yes: bool,
        although_changed: tuple[str, ...],
        chapters: tuple[str, ...],
        parameters: Path | None,
        records: Path | None,
        as_json: bool,
    ) -> int:
        """Take back what a run changed, as far as it still is as that run left it.

        The plan is shown first, newest change first. What somebody changed since is named and left alone, also an
        object that the run made and that has more in it by now, and so is what cannot be taken back: restarts, users
        and mailboxes. What later runs used since is named. A person at a terminal is asked before anything is sent.
        The rollback keeps a record of its own.
        """
        from umkit.rollback import rollback
        from umkit.secrets import redact

        def agree() -> bool:
            return yes or not sys.stdin.isatty() or click.confirm("Take this back?", err=True)

        summary = rollback(
            load_customer(name, parameters),
            run=run,
            chapters=chapters,
            records=records,
            dry_run=dry_run,
            although_changed=although_changed,
            say=lambda text: click.echo(redact(text), err=True),
            agree=agree,
        )
        if summary.stopped:
            click.secho("stopped; what was done is in the record", fg="yellow", err=True)
        finish(summary, as_json=as_json)
        return summary.exit_code
