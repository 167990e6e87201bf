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

from umkit.lab import records, wql
from umkit.lab.cmdlets.windows import cim
from umkit.lab.objects import Complex, Node, Scalar
from umkit.lab.providers import administrates

if TYPE_CHECKING:
    from umkit.lab.call import Call

_TYPE = "Microsoft.Management.Infrastructure.CimInstance"


@functools.cache
def _classes() -> Mapping[str, ModuleType]:
    """The simulated classes by lower-case name."""
    return {
        info.name: importlib.import_module(f"{cim.__name__}.{info.name}") for info in pkgutil.iter_modules(cim.__path__)
    }


def _refusal(call: Call, text: str, result: str, category: str, target: str | None = None) -> records.Refusal:
    return records.Refusal(
        text,
        error_id=f"HRESULT {result},{call.cmdlet.type_name}",
        category=category,
        exception_type="Microsoft.Management.Infrastructure.CimException",
        target=target,
    )


def get_cim_instance(call: Call) -> None:
    """List the instances of a class that a filter lets through; ``-Property`` leaves the other properties null."""
    call.simulates("ClassName", "Property", "Filter", "Query", "Namespace", "OperationTimeoutSec")
    if call.get("Namespace", "root/cimv2").replace("\\", "/").lower() != "root/cimv2":
        raise records.not_simulated(f"CIM namespace {call.get('Namespace')}")
    name, chosen, rest = call.get("ClassName"), call.get("Property") or (), call.get("Filter")
    # A query that is none: category and text are (?).
    invalid = _refusal(call, "Invalid query ", "0x80041017", "InvalidArgument")
    try:
        if call.get("Query") is not None:
            name, chosen, rest = wql.query(call.get("Query"))
        test = wql.condition(rest) if rest is not None else lambda _: True
    except ValueError:
        raise invalid from None
    module = _classes().get(name.lower())
    if module is None:
        raise _refusal(call, "Invalid class ", "0x80041010", "MetadataError", f"root\\cimv2:{name}")
    if not administrates(call):
        raise _refusal(call, "Access denied ", "0x80041003", "PermissionDenied", f"root\\cimv2:{name}")
    wanted = {each.lower() for each in chosen}
    names = [f"{_TYPE}#root/cimv2/{each}" for each in (module.CLASS, *module.PARENTS)]
    for properties in module.instances(call):
        try:
            if not test(_values(properties)):
                continue
        except ValueError:
            raise invalid from None
        nodes = {
            key: node if not wanted or key.lower() in wanted else Scalar("S", None) for key, node in properties.items()
        }
        nodes["PSComputerName"] = Scalar("S", None)
        call.output(Complex((*names, _TYPE, "System.Object"), f"{module.CLASS}", nodes))


def _values(properties: Mapping[str, Node]) -> dict[str, object]:
    return {name.lower(): node.value for name, node in properties.items() if isinstance(node, Scalar)}
