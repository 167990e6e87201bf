"""The command line's group ``keys``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from umkit.cli_options import JSON, command
from umkit.errors import UsageError

if TYPE_CHECKING:
    from umkit.keys import KeyFile, PublicKey, SigningKey

KEYS = click.option(
    "--keys",
    "keys_folder",
    type=click.Path(path_type=Path),
    envvar="UMKIT_KEYS",
    show_envvar=True,
    help="Folder of the keys.  [default: one of the user's own]",
)
PASSPHRASE = click.option(
    "--passphrase",
    metavar="REFERENCE",
    help="Where the key's passphrase is kept: keyring:SERVICE/USER, env:NAME, prompt:WORDS or keepass:FILE#ENTRY.",
)


def add(main: click.Group) -> None:
    """Give the command line the group ``keys``."""
    group = click.Group("keys", help="The keys that records are signed with.")
    for name, function in (("new", _new), ("show", _show), ("list", _list)):
        group.command(name)(command(JSON(KEYS(function))))
    main.add_command(group)


def opened(key: str | None, passphrase: str | None, keys_folder: Path | None) -> SigningKey:
    """A private key that a command is to sign with.

    Arguments:
        key: its name or its file; the one that signs every run.
        passphrase: a reference to where its passphrase is kept; else as the key says.
        keys_folder: the folder of the keys.

    Raises ``UsageError`` when there is none, ``SecretError`` when it cannot be opened.
    """
    from umkit import keys
    from umkit.secrets import SecretReference

    home = keys.folder(keys_folder)
    found = keys.find(key, home) if key is not None else keys.configured(home)
    if found is None:
        raise UsageError(
            "there is no key to sign with", where={"folder": str(home)}, next="make one, once: umkit keys new"
        )
    if passphrase:
        found = replace(found, passphrase=SecretReference.parse(passphrase))
    return found.open(interactive=sys.stdin.isatty())


def known(public_keys: Sequence[Path], keys_folder: Path | None) -> list[PublicKey]:
    """The public keys that were given, else those in the folder of the keys."""
    from umkit import keys

    return [keys.load_public(path) for path in public_keys] or keys.known(keys.folder(keys_folder))


def trusted(public_keys: Sequence[Path], keys_folder: Path | None) -> list[PublicKey]:
    """The public keys that were given, else those whose private ones are here.

    To know whose key it is that signed a record is one thing, to run what it signed another: a customer's key that lies
    in the folder for the former is not taken for the latter.
    """
    from umkit import keys

    return [keys.load_public(path) for path in public_keys] or keys.own(keys.folder(keys_folder))


@click.argument("name", metavar="[NAME]", default="signing")
@click.option("--who", help="Whose key it is, for example a mail address.  [default: USER@WORKSTATION]")
@PASSPHRASE
def _new(name: str, who: str | None, passphrase: str | None, keys_folder: Path | None, as_json: bool) -> int:
    """Make an Ed25519 key pair; the one called signing signs every run from then on.

    The private key is encrypted with a passphrase, which is asked for unless --passphrase says where it is kept. Give
    the public key (NAME.pub.pem) to whoever is to verify; keep the private one.
    """
    from umkit import keys
    from umkit.secrets import SecretReference

    reference = SecretReference.parse(passphrase or f"prompt:Passphrase of the key {name}")
    made = keys.new(
        keys.folder(keys_folder),
        name,
        who=who or keys.account(),
        passphrase=reference,
        interactive=sys.stdin.isatty(),
    )
    click.secho(f"key {made.name} of {made.who}: {made.public.fingerprint}", fg="green", err=True)
    click.echo(f"private key: {made.path}\npublic key:  {made.public_path}", err=True)
    if as_json:
        click.echo(json.dumps(_as_dict(made), ensure_ascii=False))
    return 0


@click.argument("name", metavar="[NAME]", default="signing")
def _show(name: str, keys_folder: Path | None, as_json: bool) -> int:
    """Show a key: whose it is, its fingerprint, the public key for who verifies."""
    from umkit import keys

    found = keys.find(name, keys.folder(keys_folder))
    if as_json:
        click.echo(json.dumps(_as_dict(found) | {"openssh": found.public.openssh}, ensure_ascii=False))
        return 0
    for word, value in _as_dict(found).items():
        click.echo(f"{word + ':':<16} {value}")
    click.echo(f"\n{found.public.openssh} {found.who}\n\n{found.public.pem}", nl=False)
    return 0


def _list(keys_folder: Path | None, as_json: bool) -> int:
    """List the keys."""
    from umkit import keys

    home = keys.folder(keys_folder)
    found = keys.listing(home)
    if as_json:
        click.echo(json.dumps({"folder": str(home), "keys": [_as_dict(key) for key in found]}, ensure_ascii=False))
        return 0
    if not found:
        click.echo(f"there is no key in {home}; make one: umkit keys new", err=True)
    for key in found:
        click.echo(f"{key.name:<16} {_fingerprint(key)}  {key.who}")
    return 0


def _as_dict(key: KeyFile) -> dict[str, str]:
    return {
        "name": key.name,
        "who": key.who,
        "fingerprint": _fingerprint(key),
        "private": str(key.path),
        "public": str(key.public_path),
        "passphrase": str(key.passphrase),
    }


def _fingerprint(key: KeyFile) -> str:
    try:
        return key.public.fingerprint
    except UsageError:
        return "(its public key cannot be read)"
