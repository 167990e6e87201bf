"""Win32_ComputerSystem: name, domain and role of the host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from umkit.lab.objects import Node, Scalar

if TYPE_CHECKING:
    from umkit.lab.call import Call

CLASS = "Win32_ComputerSystem"
PARENTS = ("CIM_UnitaryComputerSystem", "CIM_ComputerSystem", "CIM_System", "CIM_LogicalElement")


def instances(call: Call) -> Iterable[Mapping[str, Node]]:
    """The one computer that the host is."""
    host, organisation = call.service.host, call.organisation
    # 3 is a member server, 4 a domain controller, 5 the one that was first (its PDC emulator).
    controller = host.fqdn in organisation.controllers
    role = (5 if host.fqdn == organisation.controllers[0] else 4) if controller else 3
    yield {
        "Name": Scalar("S", host.name),
        "Caption": Scalar("S", host.name),
        "CreationClassName": Scalar("S", CLASS),
        "DNSHostName": Scalar("S", host.name),
        "Domain": Scalar("S", organisation.domain),
        "DomainRole": Scalar("U16", role),
        "Manufacturer": Scalar("S", "Microsoft Corporation"),
        "Model": Scalar("S", "Virtual Machine"),
        "NumberOfLogicalProcessors": Scalar("U32", 4),
        "PartOfDomain": Scalar("B", True),
        "Status": Scalar("S", "OK"),
        "SystemType": Scalar("S", "x64-based PC"),
        "TotalPhysicalMemory": Scalar("U64", 17179262976),
        "Workgroup": Scalar("S", None),
    }
