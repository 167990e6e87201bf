"""The command line's group ``records``, and with it ``keys``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from umkit import cli_keys
from umkit.cli_keys import KEYS, PASSPHRASE
from umkit.cli_options import JSON, RECORDS_HERE, command

if TYPE_CHECKING:
    from umkit.proof import Proof
    from umkit.record import RecordSummary
    from umkit.sealing import Signature

_RUN = click.argument("run", metavar="RUN")


def add(main: click.Group) -> None:
    """Give the command line the groups ``records`` and ``keys``."""
    group = click.Group(
        "records",
        help="The records of the runs: list, show, verify, export, sign, accept.\n\n"
        "RUN is a run's id, the beginning of one, CUSTOMER/RUN, latest, or a record's folder.",
    )
    commands: dict[str, Callable[..., int]] = {
        "list": _list,
        "show": _show,
        "verify": _verify,
        "export": _export,
        "sign": _sign,
        "accept": _accept,
    }
    for name, function in commands.items():
        group.command(name)(command(JSON(RECORDS_HERE(function))))
    main.add_command(group)
    cli_keys.add(main)


def _list(records: Path, as_json: bool) -> int:
    """List the runs, newest first."""
    from umkit import record, sealing

    runs = [(run, sealing.signatures(run.folder)) for run in record.listing(records)]
    if as_json:
        click.echo(json.dumps({"records": [_as_dict(run, signed) for run, signed in runs]}, ensure_ascii=False))
        return 0
    if not runs:
        click.echo(f"there are no records in {records}", err=True)
    width = max((len(f"{run.customer}/{run.run}") for run, _ in runs), default=0)
    for run, signed in runs:
        click.echo(f"{f'{run.customer}/{run.run}':<{width}}  {_result(run):<9}  {_seal(run, signed)}")
    return 0


@_RUN
@KEYS
def _show(run: str, keys_folder: Path | None, records: Path, as_json: bool) -> int:
    """Show what a run was, how it ended, and who signed it.

    Whether all of it is as it was, umkit records verify tells.
    """
    from umkit import keys, proof, record, sealing

    folder = proof.find(run, records)
    summary = record.summary(folder)
    signed = sealing.signatures(folder, keys.known(keys.folder(keys_folder)))
    if as_json:
        click.echo(json.dumps(_as_dict(summary, signed), ensure_ascii=False))
        return 0
    lines = {
        "run": summary.run,
        "customer": summary.customer,
        "mode": summary.mode,
        "result": _result(summary),
        "started": f"{summary.started:%Y-%m-%d %H:%M:%S} UTC",
        "ended": f"{summary.ended:%Y-%m-%d %H:%M:%S} UTC" if summary.ended else "",
        "record": str(folder),
        "problem": summary.problem,
    }
    for word, value in lines.items():
        if value:
            click.echo(f"{word + ':':<10} {value}")
    for chapter, result in summary.chapters.items():
        click.echo(f"{'chapter:':<10} {chapter} {result}")
    click.echo(f"{'sealed:':<10} {'yes' if summary.sealed else 'no'}")
    for signature in signed:
        doubt = "" if signature.known else " (a key that is not known here)"
        click.echo(f"{'signature:':<10} {signature}{doubt if signature.valid else ' – DOES NOT HOLD'}")
    if not signed:
        click.echo(f"{'signature:':<10} not signed")
    return 0


@click.argument("runs", metavar="[RUN]...", nargs=-1)
@click.option(
    "--key",
    "public_keys",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PUB.pem",
    help="A public key that has to have signed; may be repeated.  [default: those in the folder of the keys are known]",
)
@KEYS
def _verify(
    runs: tuple[str, ...], public_keys: tuple[Path, ...], keys_folder: Path | None, records: Path, as_json: bool
) -> int:
    """Is every byte of the records as it was? Without RUN: of all of them.

    Checks the signatures, the manifest, every file and the journal's chain, and names the file and the place for each
    problem. Exit status 0 when all is well, 1 when something is wrong.
    """
    from umkit import proof, record

    known = cli_keys.known(public_keys, keys_folder)
    folders = [proof.find(run, records) for run in runs]
    if not runs:
        folders = [run.folder.resolve() for run in record.listing(records) if not run.under_way]
        if not folders:
            click.echo(f"there are no records in {records}", err=True)
    proofs = []
    for folder in folders:
        home = folder.parent.name if folder.parent.parent == records.resolve() else ""
        proofs.append(proof.examine(folder, known, required=bool(public_keys), home=home))
        _say(proofs[-1])
    whole = not any(found.problems for found in proofs)
    if as_json:
        click.echo(json.dumps({"whole": whole, "records": [found.as_dict() for found in proofs]}, ensure_ascii=False))
    return 0 if whole else 1


@_RUN
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE.zip", help="[default: CUSTOMER-RUN.zip]")
def _export(run: str, output: Path | None, records: Path, as_json: bool) -> int:
    """Pack a record with its public keys and how to verify it, with umkit or with OpenSSH alone.

    The same record gives the same bytes. A record that is not whole is not exported.
    """
    from umkit import proof

    folder = proof.find(run, records)
    path = output or Path(f"{folder.parent.name}-{folder.name}.zip")
    signed = proof.export(folder, path)
    click.secho(f"exported: {path}", fg="green", err=True)
    if not signed:
        click.secho("the record is not signed", fg="yellow", err=True)
    if as_json:
        click.echo(json.dumps({"run": folder.name, "file": str(path), "signed": bool(signed)}, ensure_ascii=False))
    return 0


@_RUN
@click.option("--key", default="signing", show_default=True, help="The private key: its name or its file.")
@PASSPHRASE
@KEYS
def _sign(run: str, key: str, passphrase: str | None, keys_folder: Path | None, records: Path, as_json: bool) -> int:
    """Sign a record that was left unsigned when its run ended."""
    from umkit.sealing import CONSULTANT

    return _put(run, CONSULTANT, "", key, passphrase, keys_folder, records, as_json)


@_RUN
@click.option("--who", required=True, help="Who accepts, for the customer.")
@click.option("--key", required=True, help="The customer's private key: its name or its file.")
@PASSPHRASE
@KEYS
def _accept(
    run: str, who: str, key: str, passphrase: str | None, keys_folder: Path | None, records: Path, as_json: bool
) -> int:
    """Add the customer's signature: this record is accepted."""
    from umkit.sealing import ACCEPTANCE

    return _put(run, ACCEPTANCE, who, key, passphrase, keys_folder, records, as_json)


def _put(
    run: str,
    role: str,
    who: str,
    key: str,
    passphrase: str | None,
    keys_folder: Path | None,
    records: Path,
    as_json: bool,
) -> int:
    """Sign a record that is whole."""
    from umkit import keys, proof, sealing
    from umkit.errors import RecordError, UsageError

    if role == sealing.ACCEPTANCE and not who.strip():
        raise UsageError("nobody is named who accepts", expected="the person's name")
    folder = proof.find(run, records)
    home = folder.parent.name if folder.parent.parent == records.resolve() else ""
    trusted = keys.known(keys.folder(keys_folder))
    before = proof.examine(folder, trusted, home=home)
    if before.problems:
        _say(before)
        raise RecordError(
            "a record that is not whole is not signed",
            where={"record": str(folder)},
            seen=before.problems[0],
            next="find out why; where a crash cut off the signing, remove the signature file that is left over",
        )
    opened = cli_keys.opened(key, passphrase, keys_folder)
    path = sealing.sign(folder, opened, role=role, who=who)
    [made] = [signature for signature in sealing.signatures(folder) if signature.file == path.name]
    click.secho(f"{folder.parent.name}/{folder.name} signed: {made}", fg="green", err=True)
    for note in before.notes:
        click.secho(f"  {note}", fg="yellow", err=True)
    if as_json:
        after = proof.examine(folder, [*trusted, opened.public], home=home)
        click.echo(json.dumps(after.as_dict(), ensure_ascii=False))
    return 0


def _say(found: Proof) -> None:
    name = f"{found.customer}/{found.run}"
    if found.problems:
        click.secho(f"{name}: NOT as it was", fg="red", err=True)
    else:
        click.secho(f"{name}: as it was", fg="green", err=True)
    for problem in found.problems:
        click.secho(f"  {problem}", fg="red", err=True)
    for signature in found.signatures:
        if signature.valid and signature.known:
            click.echo(f"  signed: {signature}", err=True)
    for note in found.notes:
        click.secho(f"  {note}", fg="yellow", err=True)


def _result(run: RecordSummary) -> str:
    return "under way" if run.under_way else run.result


def _seal(run: RecordSummary, signed: list[Signature]) -> str:
    if not run.sealed:
        return run.problem or "not sealed"
    if not signed:
        return "not signed"
    return ", ".join(f"{entry.role} {entry.who if entry.valid else 'DOES NOT HOLD'}" for entry in signed)


def _as_dict(run: RecordSummary, signed: list[Signature]) -> dict[str, Any]:
    return {
        "run": run.run,
        "customer": run.customer,
        "mode": run.mode,
        "result": run.result,
        "started": run.started.isoformat(),
        "ended": run.ended.isoformat() if run.ended else None,
        "chapters": dict(run.chapters),
        "sealed": run.sealed,
        "under_way": run.under_way,
        "problem": run.problem,
        "record": str(run.folder),
        "signatures": [signature.as_dict() for signature in signed],
    }
