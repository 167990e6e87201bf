"""What the commands of the command line share: options, and how a command begins and ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from umkit.errors import UmkitError

if TYPE_CHECKING:
    from umkit.customer import CustomerFile
    from umkit.headless import RunSummary

PARAMETERS = click.option(
    "--parameters", type=click.Path(path_type=Path), help="Folder of the customer files.  [default: parameters]"
)
RECORDS = click.option(
    "--records",
    type=click.Path(path_type=Path),
    help="Folder of the records.  [default: the customer file's run.records]",
)
#: For commands that work without a customer file.
RECORDS_HERE = click.option(
    "--records",
    type=click.Path(path_type=Path),
    default=Path("records"),
    show_default=True,
    help="Folder of the records.",
)
PLAN = click.option(
    "--plan",
    "planned",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Do exactly this plan, which umkit plan -o wrote; refuse when the state has moved since.",
)
JSON = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object on standard output, everything else on standard error."
)
VERBOSE = click.option("-v", "--verbose", is_flag=True, help="Show what each step found, also where all is as wanted.")
CHAPTERS = click.option(
    "--chapter",
    "chapters",
    multiple=True,
    metavar="CHAPTER",
    help="Only this chapter, by name or number; may be repeated.",
)
ORGANISATION = click.option(
    "--organisation", metavar="FILE", help="The organisation to simulate: a shipped one's name or a YAML file."
)
TRACE = click.option(
    "--trace", type=click.Path(path_type=Path), help="Write a JSON line for each command the lab receives."
)


def ACCESS(function: Callable[..., Any]) -> Callable[..., Any]:  # used as the other options are
    """The options that say how to speak to a fleet."""
    file = click.Path(path_type=Path, exists=True, dir_okay=False, resolve_path=True)
    more = "  [default: Dask's configuration]"
    for option in (
        click.option("--insecure", is_flag=True, help="Allow tcp://, which everybody on the way can read and change."),
        click.option("--tls-key", "key", type=file, metavar="FILE", help="The private key of --tls-cert."),
        click.option("--tls-cert", "certificate", type=file, metavar="FILE", help="One's own certificate." + more),
        click.option("--tls-ca", "ca", type=file, metavar="FILE", help="The fleet's authority." + more),
    ):
        function = option(function)
    return function


def command(function: Callable[..., int]) -> Callable[..., NoReturn]:
    """Turn errors into one clear text and the right exit status."""

    @wraps(function)
    def run(*args: Any, **options: Any) -> NoReturn:
        try:
            sys.exit(function(*args, **options))
        except UmkitError as error:
            _say_error(error, as_json=bool(options.get("as_json")))
            sys.exit(error.exit_code)
        except KeyboardInterrupt:
            click.secho("stopped; what was done is in the record", fg="yellow", err=True)
            sys.exit(1)

    return run


def load_customer(name: str, parameters: Path | None) -> CustomerFile:
    """The customer file of a name or path, checked."""
    from umkit.customer import find, load
    from umkit.headless import folder

    return load(find(name, parameters or folder("parameters")))


def finish(summary: RunSummary, *, as_json: bool) -> None:
    """Say where the record is and who signed it; the summary as JSON where that is asked for."""
    click.secho(f"record: {summary.record}", err=True, bold=True)
    click.echo(f"        {summary.signed}", err=True)
    if as_json:
        click.echo(json.dumps(summary.as_dict(), ensure_ascii=False))


def _say_error(error: UmkitError, *, as_json: bool) -> None:
    from umkit.secrets import redact

    click.secho(redact(str(error)), fg="red", err=True)
    if as_json:
        click.echo(redact(json.dumps(error.as_dict(), ensure_ascii=False)))
