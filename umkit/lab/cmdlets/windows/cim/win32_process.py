"""Win32_Process: the processes of the host's services, one each.

In truth several services share a process; here none do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from umkit.lab.objects import Node, Scalar

if TYPE_CHECKING:
    from umkit.lab.call import Call

CLASS = "Win32_Process"
PARENTS = ("CIM_Process", "CIM_LogicalElement", "CIM_ManagedSystemElement")


def instances(call: Call) -> Iterable[Mapping[str, Node]]:
    """The processes, with the time at which each was created."""
    host = call.service.host
    for service in host.services.all():
        if not service.pid:
            continue
        path = service.path.split('"')[1] if service.path.startswith('"') else service.path.partition(" -")[0]
        name = path.rpartition("\\")[2] or f"{service.name}.exe"
        created = service.started.astimezone(call.organisation.timezone) if service.started else None
        yield {
            "Caption": Scalar("S", name),
            "Description": Scalar("S", name),
            "Name": Scalar("S", name),
            "CreationClassName": Scalar("S", CLASS),
            "CreationDate": Scalar("DT", created),
            "CSCreationClassName": Scalar("S", "Win32_ComputerSystem"),
            "CSName": Scalar("S", host.name),
            "Handle": Scalar("S", str(service.pid)),
            "CommandLine": Scalar("S", service.path),
            "ExecutablePath": Scalar("S", path),
            "ParentProcessId": Scalar("U32", 4),
            "ProcessId": Scalar("U32", service.pid),
            "SessionId": Scalar("U32", 0),
        }
