"""Get-CimInstance: one file a class in the folder ``cim``.

A class's file is named like the class in lower case and holds
``instances(host)``, which gives its instances as property tables, and
``CLASS``, ``PARENTS`` with the exact names.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING

from umkit.lab import records
from umkit.lab.cmdlets.windows import cim
from umkit.lab.objects import Complex, Scalar

if TYPE_CHECKING:
    from umkit.lab.call import Call

_TYPE = "Microsoft.Management.Infrastructure.CimInstance"


@functools.cache
def _classes() -> Mapping[str, ModuleType]:
    """The simulated classes by lower-case name."""
    return {
        info.name: importlib.import_module(f"{cim.__name__}.{info.name}") for info in pkgutil.iter_modules(cim.__path__)
    }


def get_cim_instance(call: Call) -> None:
    """List the instances of a class; ``-Property`` leaves the other properties null."""
    call.simulates("ClassName", "Property", "Namespace", "OperationTimeoutSec")
    name = call.get("ClassName")
    if call.get("Namespace", "root/cimv2").replace("\\", "/").lower() != "root/cimv2":
        raise records.not_simulated(f"CIM namespace {call.get('Namespace')}")
    module = _classes().get(name.lower())
    if module is None:
        raise records.Refusal(
            "Invalid class ",
            error_id=f"HRESULT 0x80041010,{call.cmdlet.type_name}",
            category="MetadataError",
            exception_type="Microsoft.Management.Infrastructure.CimException",
            target=f"root\\cimv2:{name}",
        )
    wanted = {each.lower() for each in call.get("Property") or ()}
    names = [f"{_TYPE}#root/cimv2/{each}" for each in (module.CLASS, *module.PARENTS)]
    for properties in module.instances(call):
        nodes = {
            key: node if not wanted or key.lower() in wanted else Scalar("S", None) for key, node in properties.items()
        }
        nodes["PSComputerName"] = Scalar("S", None)
        call.output(Complex((*names, _TYPE, "System.Object"), f"{module.CLASS}", nodes))
