"""Mailbox databases: which of them get the account's rights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from umkit.site import Site


@dataclass(frozen=True)
class Database:
    """A mailbox database that is there, or one that is asked for and is not.

    Arguments:
        name: its name; of a server that shows none, ``of server NAME``.
        dn: its distinguished name; empty where it is not there.
        missing: why it is not there, and what is; empty where it is.
    """

    name: str
    dn: str = ""
    missing: str = ""


def all_databases(site: Site) -> list[Database]:
    """Every mailbox database but those for recovery; where the organisation shows none, that is said."""
    return _known(_present(site))


def chosen_databases(site: Site) -> list[Database]:
    """The databases that get the rights: those that the customer file names, those of its servers, or all.

    What it names and the organisation has not is there with the reason.
    """
    present = _present(site)
    asked = site.inputs.mapi if site.inputs.has("mapi") else None
    if asked is not None and asked.databases:
        return [_named(present, name) for name in asked.databases]
    if asked is not None and asked.servers:
        served = {_short(server) for each in present for server in _servers(each)}
        names = ", ".join(sorted({server.partition(".")[0] for each in present for server in _servers(each)}))
        lost = [
            Database(
                f"of server {server}",
                missing=f"no mailbox database is on a server {server}; there are databases on {names or 'no server'}",
            )
            for server in asked.servers
            if _short(server) not in served
        ]
        wanted = {_short(server) for server in asked.servers}
        return [*_of(each for each in present if wanted & set(map(_short, _servers(each)))), *lost]
    return _known(present)


def _present(site: Site) -> list[Mapping[str, Any]]:
    found = site.organisation().list("MailboxDatabase")
    return [each for each in found if not each.get("Recovery")]


def _known(present: Sequence[Mapping[str, Any]]) -> list[Database]:
    return _of(present) or [Database("(none)", missing="the organisation shows no mailbox database")]


def _of(present: Iterable[Mapping[str, Any]]) -> list[Database]:
    return [Database(str(each["Name"]), str(each["DistinguishedName"])) for each in present]


def _named(present: Sequence[Mapping[str, Any]], name: str) -> Database:
    known = _of(present)
    names = ", ".join(each.name for each in known) or "none"
    lost = Database(name, missing=f"there is no mailbox database {name}; there are {names}")
    return next((each for each in known if each.name.casefold() == name.casefold()), lost)


def _servers(database: Mapping[str, Any]) -> list[str]:
    return [str(server) for server in database.get("Servers") or ()]


def _short(server: str) -> str:
    return server.partition(".")[0].casefold()
