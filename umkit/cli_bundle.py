"""``umkit pack``, ``run-bundle`` and ``import``: a run at a site that cannot be reached from here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from umkit.cli_keys import KEYS, PASSPHRASE, known, opened, trusted
from umkit.cli_options import (
    CHAPTERS,
    JSON,
    PARAMETERS,
    PLAN,
    RECORDS,
    RECORDS_HERE,
    VERBOSE,
    command,
    finish,
    load_customer,
)

if TYPE_CHECKING:
    from umkit.bundle import Job

_TRUSTED = click.option(
    "--key",
    "--trust",
    "public_keys",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PUB.pem",
    help="The public key of somebody whose bundles are trusted; may be repeated.  [default: your own keys]",
)


def add(main: click.Group) -> None:
    """Add the commands to the command line."""
    for name, function in (("pack", _pack), ("run-bundle", _run), ("import", _import)):
        main.command(name)(command(JSON(function)))


@click.argument("name", metavar="CUSTOMER")
@click.option(
    "--verb",
    type=click.Choice(["plan", "apply", "verify"]),
    help="What is to be done there.  [default: plan; apply where a plan is given]",
)
@CHAPTERS
@PLAN
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.zip",
    help="[default: CUSTOMER-VERB-bundle.zip]",
)
@click.option("--key", help="The private key that signs it: its name or its file.  [default: the one that signs runs]")
@PASSPHRASE
@KEYS
@PARAMETERS
def _pack(
    name: str,
    verb: str | None,
    chapters: tuple[str, ...],
    planned: Path | None,
    output: Path | None,
    key: str | None,
    passphrase: str | None,
    keys_folder: Path | None,
    parameters: Path | None,
    as_json: bool,
) -> int:
    """Pack a run of CUSTOMER's chapters for a machine that cannot be reached from here, and sign it.

    In it are the notebooks, the customer file and the plan, if any. Secrets stay references: they are fetched where
    the bundle is run. Nothing is contacted.
    """
    from umkit.bundle import pack

    customer = load_customer(name, parameters)
    chosen = verb or ("apply" if planned is not None else "plan")
    path = output or Path(f"{customer.customer.name}-{chosen}-bundle.zip")
    signer = opened(key, passphrase, keys_folder)
    job = pack(customer, path, verb=chosen, chapters=chapters, plan=planned, key=signer)
    click.secho(f"packed: {path}", fg="green", err=True)
    click.echo(f"        {job}, {', '.join(job.chapters)}\n        signed with {job.key.fingerprint}", err=True)
    for reference in dict.fromkeys(map(str, customer.references().values())):
        click.echo(f"        to be there: {reference}", err=True)
    if as_json:
        click.echo(json.dumps({"file": str(path)} | _as_dict(job), ensure_ascii=False))
    return 0


@click.argument("bundle", metavar="BUNDLE", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.zip",
    help="Where to write the record's export.  [default: CUSTOMER-RUN.zip here]",
)
@_TRUSTED
@KEYS
@RECORDS
@VERBOSE
def _run(
    bundle: Path,
    output: Path | None,
    public_keys: tuple[Path, ...],
    keys_folder: Path | None,
    records: Path | None,
    verbose: bool,
    as_json: bool,
) -> int:
    """Run a BUNDLE that umkit pack made, and export the record to be carried back.

    Before anything is run, the bundle's signature has to hold with a key that is trusted here, and every file to be as
    it was signed. The exit status is that of the verb: as umkit plan, apply or verify have it.
    """
    from umkit.bundle import run_bundle
    from umkit.headless import Progress

    with Progress(verbose=verbose) as progress:
        ran = run_bundle(bundle, trusted(public_keys, keys_folder), records=records, output=output, progress=progress)
    finish(ran.summary, as_json=False)
    click.secho(f"carry back: {ran.export}", err=True, bold=True)
    if as_json:
        whole = ran.summary.as_dict() | {"bundle": ran.job.sha256, "export": str(ran.export)}
        click.echo(json.dumps(whole, ensure_ascii=False))
    return ran.summary.exit_code


@click.argument("export", metavar="EXPORT", type=click.Path(path_type=Path))
@click.option(
    "--bundle",
    type=click.Path(path_type=Path),
    metavar="FILE.zip",
    help="The bundle that the record has to be of.  [default: the signed one that it names]",
)
@_TRUSTED
@KEYS
@RECORDS_HERE
def _import(
    export: Path,
    bundle: Path | None,
    public_keys: tuple[Path, ...],
    keys_folder: Path | None,
    records: Path,
    as_json: bool,
) -> int:
    """Bring back the record of a bundle's run: EXPORT is the zip file that umkit run-bundle wrote there.

    It has to be as it was sealed, and the record of a bundle that was signed with a trusted key: the same customer,
    verb, chapters, inputs and plan. From then on it is a record as any other: for umkit records, handover, verify and
    rollback.
    """
    from umkit.bundle import bring_back

    signers = trusted(public_keys, keys_folder)
    back = bring_back(export, records, signers, known=known((), keys_folder), bundle=bundle)
    click.secho(f"record: {back.folder}", fg="green", err=True)
    click.echo(f"        of the bundle {back.job}", err=True)
    for signature in back.signatures:
        if signature.known:
            click.echo(f"        signed: {signature}", err=True)
    for note in back.notes:
        click.secho(f"        {note}", fg="yellow", err=True)
    if as_json:
        found = {"run": back.folder.name, "record": str(back.folder), **_as_dict(back.job)}
        found |= {"signatures": [signature.as_dict() for signature in back.signatures], "notes": list(back.notes)}
        click.echo(json.dumps(found, ensure_ascii=False))
    return 0


def _as_dict(job: Job) -> dict[str, Any]:
    return {
        "bundle": job.sha256,
        "customer": job.customer,
        "verb": job.verb,
        "chapters": list(job.chapters),
        "packed": {"who": job.who, "at": job.at, "key": job.key.fingerprint, "kit": job.kit},
    }
