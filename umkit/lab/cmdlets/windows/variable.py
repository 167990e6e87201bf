"""Get-Variable: the exit code of the last program, and no other variable.

The lab keeps it for an account and host; in truth each runspace has its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from umkit.lab.objects import Complex, Scalar
from umkit.lab.providers import refusal
from umkit.lab.tables import Cmdlet, Parameter, ParameterSet

if TYPE_CHECKING:
    from umkit.lab.call import Call

_PARAMETERS = (
    Parameter("Name", "String[]", position=0),
    Parameter("ValueOnly", "SwitchParameter"),
    Parameter("Include", "String[]"),
    Parameter("Exclude", "String[]"),
    Parameter("Scope", "String"),
)
#: From the cmdlet's page; the shared table has it not.
CMDLETS = (
    Cmdlet(
        "Get-Variable",
        "Microsoft.PowerShell.Commands.GetVariableCommand",
        {each.name: each for each in _PARAMETERS},
        (ParameterSet("(All)", frozenset(each.name for each in _PARAMETERS), (), ("Name",), True),),
        "Microsoft.PowerShell.Utility",
    ),
)


def get_variable(call: Call) -> None:
    """Tell LASTEXITCODE, which is there once a program has run."""
    call.simulates("Name", "ValueOnly")
    code = call.service.host.exit_codes.get(call.account.name)
    for name in call.get("Name") or ["LASTEXITCODE"]:
        if name.lower() != "lastexitcode" or code is None:
            text = f"Cannot find a variable with the name '{name}'."
            not_found = "System.Management.Automation.ItemNotFoundException"
            call.refuse(refusal(call, text, "VariableNotFound", "ObjectNotFound", not_found, name))
        elif call.get("ValueOnly"):
            call.output(Scalar("I32", code))
        else:
            types = ("System.Management.Automation.PSVariable", "System.Object")
            table = {"Name": Scalar("S", "LASTEXITCODE"), "Value": Scalar("I32", code)}
            call.output(Complex(types, types[0], table))
