"""Win32_Service: account, state, start mode and process of each service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from umkit.lab.host_services import START_MODES
from umkit.lab.objects import Node, Scalar

if TYPE_CHECKING:
    from umkit.lab.call import Call

CLASS = "Win32_Service"
PARENTS = ("Win32_BaseService", "CIM_Service", "CIM_LogicalElement", "CIM_ManagedSystemElement")
_STATES = {"StartPending": "Start Pending", "StopPending": "Stop Pending"}
#: ERROR_SERVICE_NEVER_STARTED, the exit code of a service that has not run since the host booted.
_NEVER_STARTED = 1077


def instances(call: Call) -> Iterable[Mapping[str, Node]]:
    """The services of the host."""
    host = call.service.host
    for service in host.services.all():
        running = service.status == "Running"
        never = service.status == "Stopped" and not service.stop_count
        yield {
            "Name": Scalar("S", service.name),
            "Status": Scalar("S", "OK"),
            "ExitCode": Scalar("U32", _NEVER_STARTED if never else 0),
            "DesktopInteract": Scalar("B", False),
            "ErrorControl": Scalar("S", "Normal"),
            "PathName": Scalar("S", service.path),
            "ServiceType": Scalar("S", "Own Process"),
            "StartMode": Scalar("S", START_MODES[service.start_type]),
            "AcceptPause": Scalar("B", False),
            "AcceptStop": Scalar("B", running and service.stops),
            "Caption": Scalar("S", service.display_name),
            "CheckPoint": Scalar("U32", 0),
            "CreationClassName": Scalar("S", CLASS),
            "DelayedAutoStart": Scalar("B", service.delayed),
            "Description": Scalar("S", service.description),
            "DisplayName": Scalar("S", service.display_name),
            "InstallDate": Scalar("S", None),
            "ProcessId": Scalar("U32", service.pid),
            "ServiceSpecificExitCode": Scalar("U32", 0),
            "Started": Scalar("B", service.status != "Stopped"),
            "StartName": Scalar("S", service.account),
            "State": Scalar("S", _STATES.get(service.status, service.status)),
            "SystemCreationClassName": Scalar("S", "Win32_ComputerSystem"),
            "SystemName": Scalar("S", host.name),
            "TagId": Scalar("U32", 0),
            "WaitHint": Scalar("U32", 0),
        }
