"""``umkit fleet``: the scheduler and the workers for batches beyond one machine (design §7)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from umkit.cli_options import ACCESS, JSON, command


def add(main: click.Group) -> None:
    """Give the command line the group ``fleet``."""
    group = click.Group(
        "fleet",
        help="Workers at several sites for umkit batch --scheduler (pip install umkit[fleet]).\n\n"
        "Whoever holds a certificate of the same authority may run any program on the workers: make an authority for "
        "the fleet alone.",
    )
    commands: dict[str, Callable[..., int]] = {"scheduler": _scheduler, "worker": _worker}
    for name, function in commands.items():
        group.command(name)(command(JSON(ACCESS(function))))
    main.add_command(group)


@click.option("--host", default="", metavar="ADDRESS", help="Where to listen.  [default: everywhere]")
@click.option("--port", type=click.IntRange(0, 65535), default=8786, show_default=True, help="0 takes a free one.")
def _scheduler(host: str, port: int, as_json: bool, **access: Any) -> int:
    """Be the scheduler: callers and workers all speak to it, and to nobody else."""
    from umkit.fleet import Access, serve_scheduler

    serve_scheduler(Access(**access), host=host, port=port, ready=_ready("scheduler", as_json))
    return 0


@click.option("--scheduler", required=True, metavar="ADDRESS", help="The scheduler: tls://HOST:PORT.")
@click.option("--site", "sites", multiple=True, help="A run.site whose customers are reached here; may be repeated.")
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True, help="How many customers at once.")
@click.option("--name", default="", help="Unlike every other worker's.  [default: this machine's, with the sites]")
@click.option("--records", type=click.Path(path_type=Path), default=Path("records"), show_default=True)
def _worker(
    scheduler: str, sites: tuple[str, ...], jobs: int, name: str, records: Path, as_json: bool, **access: Any
) -> int:
    """Be a worker: carry out the jobs of customers that are reached from here, each in a process of its own.

    Secrets are resolved here. The records stay here, in --records, and are sent to the caller. Ctrl-C ends the runs in
    order. A worker whose scheduler is gone does so too, and exits with 1: let the system start it anew.
    """
    from umkit.fleet import Access, serve_worker

    ready = _ready("worker", as_json)
    asked = serve_worker(scheduler, Access(**access), sites=sites, jobs=jobs, records=records, name=name, ready=ready)
    if not asked:
        click.secho("the scheduler is gone; the runs were stopped, their records are here", fg="red", err=True)
    return 0 if asked else 1


def _ready(what: str, as_json: bool) -> Callable[[str], None]:
    def ready(name: str) -> None:
        click.secho(f"{what} {name}", fg="green", err=True)
        if as_json:
            click.echo(json.dumps({what: name}))

    return ready
