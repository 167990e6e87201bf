"""The command line (design §4.2)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from umkit import (
    __version__,
    cli_batch,
    cli_bundle,
    cli_fleet,
    cli_handover,
    cli_new,
    cli_open,
    cli_records,
    cli_verbs,
)
from umkit.cli_options import (
    CHAPTERS,
    JSON,
    ORGANISATION,
    PARAMETERS,
    RECORDS,
    TRACE,
    VERBOSE,
    command,
    finish,
    load_customer,
)
from umkit.errors import CustomerFileError, UsageError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="umkit")
def main() -> None:
    """Connect a unified-messaging server to Exchange 2016/2019: plan, apply, verify, and keep the record."""
    from umkit.headless.quick import skip_slow_imports

    skip_slow_imports()


@main.command()
@click.argument("name", metavar="CUSTOMER")
@PARAMETERS
@JSON
@command
def check(name: str, parameters: Path | None, as_json: bool) -> int:
    """Is the customer file valid, and can its secrets be resolved? Nothing is contacted."""
    from umkit.errors import SecretError

    customer = load_customer(name, parameters)
    problems: list[SecretError] = []
    for key, reference in customer.references().items():
        try:
            reference.resolve(interactive=sys.stdin.isatty())
            click.echo(f"{key}: {reference} can be resolved", err=True)
        except SecretError as error:
            problems.append(error)
            click.secho(f"{key}: {error}", fg="red", err=True)
    if not problems:
        click.secho(f"{customer.customer.name} is valid; nothing was contacted", fg="green", err=True)
    if as_json:
        click.echo(
            json.dumps(
                {"customer": customer.customer.name, "valid": not problems, "problems": [p.as_dict() for p in problems]}
            )
        )
    return CustomerFileError.exit_code if problems else 0


@main.command()
@click.argument("name", metavar="CUSTOMER")
@click.argument("step", metavar="STEP")
@click.option("--who", required=True, help="Who did it, or saw it done.")
@click.option("--remark", default="", help="What a reader should know.")
@click.option("--evidence", type=click.Path(path_type=Path), help="A file that shows it, for example a screenshot.")
@PARAMETERS
@RECORDS
@JSON
@command
def attest(
    name: str,
    step: str,
    who: str,
    remark: str,
    evidence: Path | None,
    parameters: Path | None,
    records: Path | None,
    as_json: bool,
) -> int:
    """Write down that a manual step was done: who says so, a remark, a file that shows it."""
    from umkit.attestation import attest
    from umkit.chapters import step_named

    customer = load_customer(name, parameters)
    found = step_named(step)
    step, kind = found.id, found.kind
    if kind != "manual":
        raise UsageError(f"{step} is not a manual step but a {kind} step", next="run it: umkit apply or umkit verify")
    home = records or Path(customer.run.records)
    said = attest(home, customer.customer.name, step, who=who, remark=remark, evidence=evidence)
    click.secho(f"{step}: attested by {said}", fg="green", err=True)
    if as_json:
        click.echo(json.dumps({"step": step, "who": said.who, "when": said.when.isoformat(), "sha256": said.sha256}))
    return 0


@main.command()
@click.argument("name", metavar="[CUSTOMER]", default="lab")
@CHAPTERS
@ORGANISATION
@TRACE
@PARAMETERS
@RECORDS
@JSON
@VERBOSE
@command
def rehearse(
    name: str,
    chapters: tuple[str, ...],
    organisation: str | None,
    trace: Path | None,
    parameters: Path | None,
    records: Path | None,
    as_json: bool,
    verbose: bool,
) -> int:
    """Start the lab, apply and verify every chapter in it, and keep the records.

    No server of yours is touched: whatever endpoints the customer file names, the lab stands in for them. Nobody is
    there in a rehearsal, so steps that only a person can do stay open; that alone is no failure (exit status 0).
    """
    from umkit.headless import Progress, run
    from umkit.lab import Lab

    customer = load_customer(name, parameters).against_lab()
    with Lab(organisation, trace=trace) as lab, Progress(verbose=verbose) as progress:
        applied = run(customer, "apply", chapters=chapters, records=records, progress=progress, lab=lab.describe())
        if applied.stopped:
            finish(applied, as_json=as_json)
            return applied.exit_code
        verified = run(customer, "verify", chapters=chapters, records=records, progress=progress, lab=lab.describe())
    click.secho(f"record of apply:  {applied.record}\nrecord of verify: {verified.record}", err=True, bold=True)
    if as_json:
        click.echo(
            json.dumps(applied.as_dict() | {"mode": "rehearse", "verify": verified.as_dict()}, ensure_ascii=False)
        )
    return next((code for code in (applied.exit_code, verified.exit_code) if code not in (0, 4)), 0)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line when the lab answers.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port of the Exchange endpoint; 0 takes a free one."
)
@ORGANISATION
@TRACE
@click.option("--faults", type=click.Path(path_type=Path, exists=True), help="A JSON list of faults to play.")
@command
def lab(as_json: bool, port: int, organisation: str | None, trace: Path | None, faults: Path | None) -> int:
    """Run a simulated Exchange organisation on loopback until it is told to stop (Ctrl-C)."""
    import signal
    import threading

    from umkit.lab import Lab

    stop = threading.Event()
    for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: stop.set())
    with Lab(organisation, port=port, trace=trace, faults=faults, own_process=True) as running:
        if as_json:
            click.echo(json.dumps(running.describe(), ensure_ascii=False))
        else:
            for key, value in running.describe().items():
                click.echo(f"{key}: {value}")
        sys.stdout.flush()
        while not stop.wait(0.5):  # a bounded wait lets Ctrl-C through on Windows
            pass
    return 0


cli_verbs.add(main)
cli_batch.add(main)
cli_bundle.add(main)
cli_fleet.add(main)
cli_records.add(main)
cli_handover.add(main)
cli_open.add(main)
cli_new.add(main)
