"""The cmdlets' parameters, read from the shipped tables.

``data/exchange_cmdlets.json`` and ``data/windows_cmdlets.json`` are reduced
from the shared reference by ``tests/tools/reduce_cmdlets.py``; a test holds
the two equal. Nothing here is learnt from what a client sends.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

#: Verbs that change nothing, in lower case.
READING_VERBS = frozenset({"get", "test", "select", "measure", "sort", "where", "foreach", "out"})
#: Cmdlets that ask before they act unless ``-Confirm:$false`` is given: the pages name Remove-*; Disable-* is
#: destructive in the same way, and so is replacing a role group's whole member list (?).
_PROMPTING_VERBS = frozenset({"Remove", "Disable"})
_PROMPTING = frozenset({"Update-RoleGroupMember"})
#: Script functions rather than cmdlets in Windows PowerShell 5.1; their error ids end with the plain name.
_FUNCTIONS = frozenset({"Test-NetConnection", "Get-FileHash"})
#: .NET namespaces of Exchange's cmdlets below Microsoft.Exchange.Management. Set-RemoteMailbox is seen in
#: RecipientTasks and the connectors in SystemConfigurationTasks; for the others it is (?).
_RECIPIENT_NOUNS = frozenset({"Mailbox", "CASMailbox", "MailboxPermission", "ADPermission", "Group", "User"})
_ROLE_NOUNS = frozenset({"RoleGroup", "RoleGroupMember", "ManagementRoleAssignment"})


@dataclass(frozen=True)
class Parameter:
    """One parameter of a cmdlet.

    Arguments:
        name: its name.
        type: the type's short name as the page says it.
        aliases: other names.
        position: order among the positional parameters of its sets.
        values: the values of an enumeration or a value set, ``$null`` among them where null is a value.
        numbers: number of each value, where known.
        range: lowest and highest value, or empty.
        unlimited: whether ``Unlimited`` is a value.
        bytes: whether it is a size in bytes.
        add_remove: whether it takes ``@{Add=…;Remove=…}``.
        provider: the provider whose paths bring this dynamic parameter, or empty.
        clr_type: the type's full name, or empty.
    """

    name: str
    type: str
    aliases: tuple[str, ...] = ()
    position: int = 0
    values: tuple[str, ...] = ()
    numbers: tuple[tuple[str, int], ...] = ()
    range: tuple[Any, ...] = ()
    unlimited: bool = False
    bytes: bool = False
    add_remove: bool = False
    provider: str = ""
    clr_type: str = ""


@dataclass(frozen=True)
class ParameterSet:
    """One parameter set of a cmdlet."""

    name: str
    parameters: frozenset[str]
    required: tuple[str, ...] = ()
    positional: tuple[str, ...] = ()
    default: bool = False
    provider: str = ""


@dataclass(frozen=True)
class Cmdlet:
    """What a cmdlet takes."""

    name: str
    type_name: str
    parameters: Mapping[str, Parameter]
    sets: tuple[ParameterSet, ...]
    module: str = ""

    @property
    def verb(self) -> str:
        """The part before the dash."""
        return self.name.partition("-")[0]

    @property
    def noun(self) -> str:
        """The part behind the dash."""
        return self.name.partition("-")[2]

    @property
    def exchange(self) -> bool:
        """Whether it is one of Exchange's own cmdlets."""
        return self.type_name.startswith("Microsoft.Exchange.")

    @property
    def function(self) -> bool:
        """Whether it is a script function."""
        return self.name in _FUNCTIONS

    @property
    def prompts(self) -> bool:
        """Whether it asks before it acts unless told not to.

        Of Windows' own cmdlets none in the table has a high confirm impact; what else makes them prompt depends
        on the object (reference/windows.md §i) and is the noun's matter.
        """
        return self.exchange and (self.verb in _PROMPTING_VERBS or self.name in _PROMPTING)


def _implementing_type(name: str, module: str) -> str:
    """The .NET type that implements a cmdlet, as error ids say it."""
    verb, _, noun = name.partition("-")
    if name in _FUNCTIONS:
        return name
    if module == "CimCmdlets":
        return f"Microsoft.Management.Infrastructure.CimCmdlets.{verb}{noun}Command"
    if module == "ActiveDirectory":
        return f"Microsoft.ActiveDirectory.Management.Commands.{verb}{noun}"
    if module:
        return f"Microsoft.PowerShell.Commands.{verb}{noun}Command"
    area = "SystemConfigurationTasks"
    if noun in _RECIPIENT_NOUNS:
        area = "RecipientTasks"
    elif noun in _ROLE_NOUNS:
        area = "RbacTasks"
    return f"Microsoft.Exchange.Management.{area}.{verb}{noun}"


def _parameter(name: str, entry: Mapping[str, Any]) -> Parameter:
    return Parameter(
        name,
        entry["type"],
        tuple(entry.get("aliases", ())),
        entry.get("position", 0),
        tuple(entry.get("values", ())),
        tuple(entry.get("numeric_values", {}).items()),
        tuple(entry.get("range", ())),
        bool(entry.get("accepts_unlimited")),
        "byte_units" in entry,
        bool(entry.get("add_remove_hashtable")),
        entry.get("provider", ""),
        entry.get("clr_type", ""),
    )


def _set(entry: Mapping[str, Any]) -> ParameterSet:
    return ParameterSet(
        entry["name"],
        frozenset(entry["parameters"]),
        tuple(entry.get("required", ())),
        tuple(entry.get("positional", ())),
        bool(entry.get("default")),
        entry.get("provider", ""),
    )


@functools.cache
def cmdlets(table: str) -> Mapping[str, Cmdlet]:
    """Every cmdlet of a table by its lower-case name.

    Arguments:
        table: ``exchange`` or ``windows``.
    """
    source = resources.files("umkit.lab") / "data" / f"{table}_cmdlets.json"
    entries = json.loads(source.read_text(encoding="utf-8"))
    return {
        name.lower(): Cmdlet(
            name,
            _implementing_type(name, entry.get("module", "")),
            {each: _parameter(each, values) for each, values in entry["parameters"].items()},
            tuple(_set(each) for each in entry["sets"]),
            entry.get("module", ""),
        )
        for name, entry in entries.items()
    }
