"""Services: Get-, Set-, Start-, Stop- and Restart-Service.

Errors as reference/windows.md §b has them; all of them but those of the
binder leave the pipeline running.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from umkit.lab import records
from umkit.lab.host_services import START_TYPES, STATUS, WindowsService
from umkit.lab.objects import Complex, Enumeration, Many, Scalar
from umkit.lab.providers import administrates, each, refusal

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.records import Refusal

_PROCESS = "System.ServiceProcess."
_EXCEPTION = "Microsoft.PowerShell.Commands.ServiceCommandException"
#: Seconds after which a waiting cmdlet says so, and again.
_LAP = 2.0


def get_service(call: Call) -> None:
    """List services; a name without wildcard that is not there gives an error of its own."""
    call.simulates("Name", "DisplayName", "DependentServices", "RequiredServices")
    if not administrates(call):
        raise records.Refusal(
            "Cannot open Service Control Manager on computer '.'. This operation might require other privileges.",
            error_id=f"System.InvalidOperationException,{call.cmdlet.type_name}",
            category="NotSpecified",
            exception_type=records.INVALID_OPERATION,
            terminating=True,
        )
    services = call.service.host.services

    def show(service: WindowsService) -> None:
        if call.get("DependentServices") or call.get("RequiredServices"):
            of = services.dependents if call.get("DependentServices") else services.needed
            for one in of(service):
                call.output(_node(call, one))
            return
        call.output(_node(call, service))

    each(call, _chosen(call), show)


def set_service(call: Call) -> None:
    """Change a service's configuration, and start or stop it with ``-Status``."""
    call.simulates("Name", "DisplayName", "Description", "StartupType", "Status", "PassThru")
    name = call.get("Name")
    service = call.service.host.services.find(name)
    if service is None:
        # The id is (?): the reference has it from PowerShell 7.
        raise refusal(
            call,
            f"Service {name} was not found on computer '.'.",
            "InvalidOperationException",
            "ObjectNotFound",
            records.INVALID_OPERATION,
            name,
        )
    values = {"DisplayName": "display_name", "Description": "description", "StartupType": "start_type"}
    changes = {field: call.get(key) for key, field in values.items() if key in call}
    if not call.should_process():
        return
    if not administrates(call):
        text = f"Service '{service.title}' cannot be configured due to the following error: Access is denied"
        raise refusal(call, text, "CouldNotSetService", "PermissionDenied", _EXCEPTION, service.name)
    if changes:
        call.service.host.services.configure(service, **changes)
    if call.get("Status") == "Running":
        _start(call, service)
    elif call.get("Status") == "Stopped" and service.status != "Stopped":
        if call.service.host.services.running_dependents(service):
            text = f"Cannot stop service '{service.title}' because it has dependent services."
            raise refusal(
                call, text, "ServiceHasDependentServicesNoForce", "InvalidOperation", _EXCEPTION, service.name
            )
        _stop(call, service)
    elif call.get("Status") == "Paused":
        raise records.not_simulated("pausing a service")
    if call.get("PassThru"):
        call.output(_node(call, service))


def start_service(call: Call) -> None:
    """Start services; one that runs already is left alone without a word."""
    call.simulates("Name", "DisplayName", "PassThru")
    _act(call, lambda service: _start(call, service))


def stop_service(call: Call) -> None:
    """Stop services, with ``-Force`` those that need them as well."""
    call.simulates("Name", "DisplayName", "Force", "NoWait", "PassThru")
    _act(call, lambda service: _stop_with_dependents(call, service))


def restart_service(call: Call) -> None:
    """Stop and start services; one that is stopped is started.

    With ``-Force`` what needed it and ran is started again. That 5.1 does so for nested dependents too, and that only
    running dependents count without ``-Force``, is (?).
    """
    call.simulates("Name", "DisplayName", "Force", "PassThru")

    def restart(service: WindowsService) -> None:
        dependents = _stop_with_dependents(call, service)
        _start(call, service)
        for one in reversed(dependents):
            _start(call, one)

    _act(call, restart)


# -- which services ----------------------------------------------------------------------------------------------------


def _chosen(call: Call) -> Iterable[WindowsService]:
    """The services of ``-Name`` or ``-DisplayName``, every one when neither is given."""
    services = call.service.host.services
    by_display = "DisplayName" in call
    names = call.get("DisplayName") if by_display else call.get("Name")
    for name in names if names is not None else ["*"]:
        pattern = re.compile(fnmatch.translate(name), re.IGNORECASE)
        found = [one for one in services.all() if pattern.match(one.display_name if by_display else one.name)]
        yield from found
        if not found and not any(character in name for character in "*?["):
            kind = "display name" if by_display else "service name"
            call.refuse(
                refusal(
                    call,
                    f"Cannot find any service with {kind} '{name}'.",
                    f"NoServiceFoundForGiven{'DisplayName' if by_display else 'Name'}",
                    "ObjectNotFound",
                    _EXCEPTION,
                    name,
                )
            )


def _act(call: Call, what: Callable[[WindowsService], object]) -> None:
    def one(service: WindowsService) -> None:
        if not call.should_process():
            return
        what(service)
        if call.get("PassThru"):
            call.output(_node(call, service))

    each(call, _chosen(call), one)


# -- what is done to one -----------------------------------------------------------------------------------------------


def _failed(call: Call, service: WindowsService, text: str, prefix: str, category: str) -> Refusal:
    return refusal(call, text, f"{prefix}", category, _EXCEPTION, service.name)


def _wait(call: Call, service: WindowsService, verb: str) -> None:
    """Wait for a service that never gets there: warn every two seconds until the client stops the pipeline."""
    while True:
        call.wait(_LAP)
        call.warn(f"Waiting for service '{service.title}' to {verb}...")


def _start(call: Call, service: WindowsService) -> None:
    services = call.service.host.services
    if service.status == "Running":
        return
    refused = (
        f"Service '{service.title}' cannot be started due to the following error: "
        f"Cannot start service {service.name} on computer '.'."
    )
    needed = services.needed(service)
    idle = any(one.status != "Running" and (one.start_type == "Disabled" or one.starts is not True) for one in needed)
    if not administrates(call) or service.start_type == "Disabled" or service.starts is False or idle:
        raise _failed(call, service, refused, "CouldNotStartService", "OpenError")
    if service.hangs_at("start"):
        service.status = "StartPending"
        _wait(call, service, "start")
    # The service control manager starts what a service needs by itself.
    for one in needed:
        _start(call, one)
    if service.starts == "dies":
        services.start(service)
        services.stop(service)
        raise _failed(call, service, f"Failed to start service '{service.title}'.", "StartServiceFailed", "OpenError")
    services.start(service)


def _stop(call: Call, service: WindowsService) -> None:
    if service.status == "Stopped":
        return
    if not administrates(call) or not service.stops:
        text = (
            f"Service '{service.title}' cannot be stopped due to the following error: "
            f"Cannot open {service.name} service on computer '.'."
        )
        raise _failed(call, service, text, "CouldNotStopService", "CloseError")
    if service.hangs_at("stop"):
        service.status = "StopPending"
        if not call.get("NoWait"):
            _wait(call, service, "stop")
        return
    call.service.host.services.stop(service)


def _stop_with_dependents(call: Call, service: WindowsService) -> list[WindowsService]:
    """Stop a service and, with ``-Force``, what needs it; returns those that ran, in the order of stopping."""
    if service.status == "Stopped":
        return []
    dependents = call.service.host.services.running_dependents(service)
    if dependents and not call.get("Force"):
        text = (
            f"Cannot stop service '{service.title}' because it has dependent services. It can only be stopped if the "
            "Force flag is set."
        )
        raise _failed(call, service, text, "ServiceHasDependentServices", "InvalidOperation")
    for one in (*dependents, service):
        _stop(call, one)
    return dependents


def _node(call: Call, service: WindowsService) -> Complex:
    """A ServiceController as remoting sends it at depth 1: the services around it are there by name."""
    services, running = call.service.host.services, service.status == "Running"
    listed = (f"{_PROCESS}ServiceController[]", "System.Array", "System.Object")
    needed = Many(listed, tuple(Scalar("S", one.name) for one in services.needed(service)))
    dependents = Many(listed, tuple(Scalar("S", one.name) for one in services.dependents(service)))
    status = Enumeration(f"{_PROCESS}ServiceControllerStatus", service.status, STATUS.index(service.status))
    start = Enumeration(f"{_PROCESS}ServiceStartMode", service.start_type, START_TYPES.index(service.start_type))
    types = ("ServiceController", "ComponentModel.Component", "MarshalByRefObject", "Object")
    return Complex(
        (f"{_PROCESS}{types[0]}", *(f"System.{name}" for name in types[1:])),
        service.name,
        {
            "CanPauseAndContinue": Scalar("B", False),
            "CanShutdown": Scalar("B", running),
            "CanStop": Scalar("B", running and service.stops),
            "DisplayName": Scalar("S", service.display_name),
            "DependentServices": dependents,
            "MachineName": Scalar("S", "."),
            "ServiceName": Scalar("S", service.name),
            "ServicesDependedOn": needed,
            "ServiceHandle": Scalar("S", None),
            "Status": status,
            "ServiceType": Enumeration(f"{_PROCESS}ServiceType", "Win32OwnProcess", 16),
            "StartType": start,
            "Site": Scalar("S", None),
            "Container": Scalar("S", None),
        },
        {"Name": Scalar("S", service.name), "RequiredServices": needed},
    )
