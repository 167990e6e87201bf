"""Get-Command: which commands the endpoint has for this account."""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING

from umkit.lab import records
from umkit.lab.objects import Complex, Enumeration, Scalar
from umkit.lab.tables import Cmdlet

if TYPE_CHECKING:
    from umkit.lab.call import Call

_AUTOMATION = "System.Management.Automation."
_PARAMETERS = f"System.Collections.Generic.Dictionary`2[System.String,{_AUTOMATION}ParameterMetadata]"
#: Version of the module in which Exchange's session shows its cmdlets, and of Windows' own (?).
_VERSION = "3.1.0.0"


def _matches(text: str, patterns: list[str] | None) -> bool:
    """Whether a name fits any wildcard pattern; no patterns fit everything."""
    return patterns is None or any(_pattern(each).match(text) for each in patterns)


def _pattern(wildcard: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(wildcard), re.IGNORECASE)


def _wild(name: str) -> bool:
    return any(character in name for character in "*?[")


def _node(cmdlet: Cmdlet) -> Complex:
    """A command as Get-Command sends it, without its nested parameter objects."""
    kind = ("Function", 2) if cmdlet.function else ("Cmdlet", 8)
    default = next((each.name for each in cmdlet.sets if each.default and each.name != "(All)"), None)
    return Complex(
        (_AUTOMATION + f"{kind[0]}Info", _AUTOMATION + "CommandInfo", "System.Object"),
        cmdlet.name,
        {
            "Verb": Scalar("S", cmdlet.verb),
            "Noun": Scalar("S", cmdlet.noun),
            "DefaultParameterSet": Scalar("S", default),
            "ImplementingType": Scalar("S", None if cmdlet.function else cmdlet.type_name),
            "Name": Scalar("S", cmdlet.name),
            "CommandType": Enumeration(_AUTOMATION + "CommandTypes", *kind),
            "Source": Scalar("S", cmdlet.module),
            "Version": Scalar("Version", _VERSION if cmdlet.module else None),
            "Visibility": Enumeration(_AUTOMATION + "SessionStateEntryVisibility", "Public", 0),
            "ModuleName": Scalar("S", cmdlet.module),
            # A dictionary of objects in truth; at the depth of remoting only its type's name is left of it (?).
            "Parameters": Scalar("S", _PARAMETERS),
        },
    )


def get_command(call: Call) -> None:
    """List the commands that the account may run.

    A name without wildcard that is not there gives an error of its own and does not end the call; a pattern that
    nothing fits gives nothing.
    """
    call.simulates("Name", "Verb", "Noun", "CommandType", "ParameterName", "TotalCount", "All", "ListImported")
    names = call.get("Name")
    found = []
    for command in call.service.commands(call.account):
        cmdlet = command.cmdlet
        hidden = call.account.hidden_parameters_of(cmdlet.name)
        visible = [name for name in cmdlet.parameters if name.lower() not in hidden]
        kind = "Function" if cmdlet.function else "Cmdlet"
        wanted_parameters = call.get("ParameterName")
        if (
            _matches(cmdlet.name, names)
            and _matches(cmdlet.verb, call.get("Verb"))
            and _matches(cmdlet.noun, call.get("Noun"))
            and call.get("CommandType", "All") in ("All", kind)
            and (wanted_parameters is None or any(_matches(name, wanted_parameters) for name in visible))
        ):
            found.append(cmdlet)
    known = {each.cmdlet.name.lower() for each in call.service.commands(call.account)}
    for cmdlet in found[: call.get("TotalCount")]:
        call.output(_node(cmdlet))
    for name in names or ():
        if not _wild(name) and name.lower() not in known:
            call.refuse(records.command_not_found(name, implementing_type=call.cmdlet.type_name, terminating=False))
