"""Accounts: whether a service's logon account is the customer's account."""

from __future__ import annotations

import re
from typing import Any

from umkit.kinds import Kind

#: Domains of accounts that belong to the machine: never a domain account, whatever the name.
_LOCAL = {".", "nt authority", "nt service", "builtin", "nt-autorität"}
#: Names of the machine's own account in Win32_Service.StartName.
_SYSTEM = {"localsystem", ".\\localsystem", "nt authority\\system", "nt-autorität\\system"}


def is_local_system(name: Any) -> bool:
    """Whether a service logs on as the machine itself."""
    return str(name or "LocalSystem").strip().casefold() in _SYSTEM


def same_account(seen: str, wanted: str, host: str = "") -> bool:
    """Whether a service's StartName is an account of the customer file.

    ``DOMAIN\\name`` and ``name@domain`` are compared by name where only one of them is given, for the NetBIOS name of a
    domain says nothing about its DNS name; a machine's own account of the same name is another one. An account whose
    logon name differs from the first part of its user principal name has to be given as ``DOMAIN\\name``.

    Arguments:
        seen: ``DOMAIN\\name``, ``name@domain``, ``.\\name`` or ``LocalSystem``.
        wanted: the account by ``DOMAIN\\name``, ``name@domain`` or name.
        host: the machine's name.
    """
    have, want = _parts(seen), _parts(wanted)
    if have[1] in _LOCAL or (host and have[1] == host.partition(".")[0].casefold()) or is_local_system(seen):
        return False
    return have == want if have[2] == want[2] else have[0] == want[0]


def account_kind(host: str = "") -> Kind:
    """Accounts of a machine's services: what is there against what is wanted.

    Arguments:
        host: the machine's name; empty where its own accounts have been ruled out.
    """

    def alike(seen: Any, wanted: Any) -> bool:
        return seen is not None and wanted is not None and same_account(seen, wanted, host)

    return Kind("account", lambda value: str(value).strip(), alike=alike)


def _parts(account: str) -> tuple[str, str, str]:
    """An account's name, domain and form in lower case."""
    text = account.strip().casefold()
    if match := re.fullmatch(r"([^\\@]*)\\(.+)", text):
        return match[2], match[1], "\\"
    if match := re.fullmatch(r"([^@]+)@(.+)", text):
        return match[1], match[2], "@"
    return text, "", ""
