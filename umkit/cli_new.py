"""``umkit new``: a customer file, from a person's answers or from what the organisation says of itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from umkit.cli_options import JSON, PARAMETERS, command
from umkit.errors import UsageError

#: What is asked for, in this order; everything else has a default that is good for most customers.
_ASKED = (
    "customer.title",
    "customer.contact",
    "exchange.endpoint",
    "exchange.username",
    "exchange.password",
    "xphone.address",
    "um_services",
    "imap4",
    "relay",
    "mapi",
    "mapi.account",
    "ews",
    "run.language",
)
_NOT_WANTED = ("imap4", "relay", "mapi", "ews")


def add(main: click.Group) -> None:
    """Add the command to the command line."""

    @main.command("new")
    @click.argument("name", metavar="CUSTOMER")
    @click.option("--from-organisation", is_flag=True, help="Read what is there instead of asking; nothing is changed.")
    @click.option("--endpoint", default="lab", help="The organisation to read: its PowerShell URL.  [default: lab]")
    @click.option("--auth", type=click.Choice(["kerberos", "negotiate", "basic"]), help="[default: kerberos]")
    @click.option("--username", help="The account to read with.  [default: the one logged on here]")
    @click.option(
        "--password-reference",
        metavar="REFERENCE",
        help="Where its password is kept, for example env:NAME; never itself.",
    )
    @PARAMETERS
    @JSON
    @command
    def new(
        name: str,
        from_organisation: bool,
        endpoint: str,
        auth: str | None,
        username: str | None,
        password_reference: str | None,
        parameters: Path | None,
        as_json: bool,
    ) -> int:
        """Write a new customer file, every key explained; an existing one is never written over.

        The essentials are asked for, and each answer is checked at once; Return takes what stands in brackets. Where
        nobody is there to be asked, examples stand in the file, and the end says what must still be filled in.
        """
        from umkit.customer import beginning
        from umkit.headless import folder

        path = _path(name, parameters or folder("parameters"))
        values = beginning.first_values(name)
        notes: list[str] = []
        proposed: list[str] = []
        left = list(beginning.EXAMPLES)
        if from_organisation:
            from umkit.discovery import discover

            section: dict[str, Any] = {
                "endpoint": endpoint,
                "auth": auth or ("basic" if endpoint == "lab" else "kerberos"),
            }
            section |= {"username": username} if username else {}
            section |= {"password": password_reference} if password_reference else {}
            found = discover(section, interactive=sys.stdin.isatty())
            for key, value in ({f"exchange.{key}": value for key, value in section.items()} | found.values).items():
                values = beginning.with_value(values, key, value)
            given = {"exchange.endpoint", *found.values} - set(found.proposed)
            left, notes, proposed = [key for key in left if key not in given], found.notes, found.proposed
        elif _someone_is_there():
            values, left = _asked(values, path)
        beginning.begin(path, values, open_keys=left)
        for note in notes:
            click.echo(f"read: {note}", err=True)
        for key in left:
            hint = "proposed from what was read, look at it" if key in proposed else "still an example, fill it in"
            click.secho(f"{key}: {hint}", fg="yellow", err=True)
        click.secho(f"written: {path}; next: umkit check {name}", fg="green", err=True)
        if as_json:
            said = {"customer": name, "file": str(path), "to_fill_in": left, "read": notes}
            click.echo(json.dumps(said, ensure_ascii=False))
        return 0


def _path(name: str, folder: Path) -> Path:
    from umkit.customer import beginning
    from umkit.customer.checks import Wrong, slug

    try:
        slug(name)
    except Wrong as error:
        raise UsageError(
            f"the customer's short name {error.reason}",
            expected="1 to 64 of a-z, 0-9, - and _",
            next=f"did you mean {error.nearest}?" if error.nearest else "choose another name",
        ) from None
    for path in (folder / f"{name}.yaml", folder / f"{name}.yml"):
        if path.exists() or path.is_symlink():
            raise beginning.exists(path)
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}", next="make it, or choose another with --parameters")
    return folder / f"{name}.yaml"


def _someone_is_there() -> bool:
    return sys.stdin.isatty()


def _asked(values: dict[str, Any], path: Path) -> tuple[dict[str, Any], list[str]]:
    """Ask for the essentials; each answer is checked by the models and asked for again with the reason."""
    from umkit.customer.beginning import EXAMPLES, with_value
    from umkit.customer.documents import allowed, node_at, resolved
    from umkit.customer.loading import examine

    left = list(EXAMPLES)
    for key in _ASKED:
        section, _, _rest = key.partition(".")
        if values[section] is None:  # not wanted, so nothing of it is asked
            left = [each for each in left if not each.startswith(section + ".")]
            continue
        node = node_at(tuple(key.split(".")))
        click.secho(f"\n{key}", bold=True, err=True)
        click.echo(f"  {node.get('description') or resolved(node).get('description', '')}", err=True)
        if key in _NOT_WANTED:
            if not click.confirm("  wanted", default=True, err=True):
                values = with_value(values, key, None)
            continue
        services = key == "um_services"
        click.echo(
            f"  allowed: {'NAME=DOMAIN, several with blanks; - for none' if services else allowed(node)}", err=True
        )
        while True:
            held = values[section] if services else values[section][key.partition(".")[2]]
            shown = " ".join(f"{each['name']}={each['domain']}" for each in held) if services else held
            answer = click.prompt("  ", default=shown or "", show_default=bool(shown), prompt_suffix="> ", err=True)
            if answer == (shown or ""):
                break
            value: Any = _services(answer) if services else answer.strip() or node.get("default")
            tried = with_value(values, key, value)
            wrong = [each for each in examine(tried, path)[1] if each.key == key or each.key.startswith(key + "[")]
            if not wrong:
                values = tried
                left = [each for each in left if each != key]
                break
            for problem in wrong:
                click.secho(f"  ✗ {problem}", fg="red", err=True)
    if values["exchange"]["password"] and not values["exchange"]["username"]:
        click.secho("  ✗ exchange.password: left out, it is of no use without a username", fg="red", err=True)
        values = with_value(values, "exchange.password", None)
    return values, left


def _services(answer: str) -> list[dict[str, Any]]:
    if answer.strip() == "-":
        return []
    parts = [part.partition("=") for part in answer.split()]
    return [{"name": name, "domain": domain} for name, _, domain in parts]
