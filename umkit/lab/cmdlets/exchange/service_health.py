"""Whether a server's required services run: Test-ServiceHealth.

Roles and services as in a real Exchange 2016 object; those that the lab's
host does not have are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from umkit.lab.objects import Complex, Node, Scalar, texts
from umkit.lab.shapes import collection

if TYPE_CHECKING:
    from umkit.lab.call import Call

_TYPES = (
    "Microsoft.Exchange.Monitoring.ExchangeServicesStatus",
    "Microsoft.Exchange.Data.ConfigurableObject",
    "System.Object",
)
_COMMON = ("IISAdmin", "MSExchangeADTopology", "MSExchangeRPC", "MSExchangeServiceHost", "W3Svc", "WinRM")
_ROLES = {
    "Mailbox Server Role": (
        *_COMMON,
        *("MSExchangeDelivery", "MSExchangeIS", "MSExchangeMailboxAssistants", "MSExchangeRepl"),
        *("MSExchangeSubmission", "MSExchangeThrottling", "MSExchangeTransportLogSearch"),
    ),
    "Client Access Server Role": (*_COMMON, "MSExchangeMailboxReplication"),
    "Hub Transport Server Role": (
        *("MSExchangeADTopology", "MSExchangeEdgeSync", "MSExchangeServiceHost", "MSExchangeTransport"),
        *("MSExchangeTransportLogSearch", "W3Svc", "WinRM"),
    ),
}


def test_service_health(call: Call) -> None:
    """Tell of each role of a server which required services run and which don't."""
    call.simulates("Server")
    server = call.find(call.get("Server") or call.service.name, "ExchangeServer").name
    host = call.organisation.host(server)
    for role, names in _ROLES.items():
        found = [service for name in sorted(names) if host and (service := host.services.find(name))]
        stopped = [each.name for each in found if each.status != "Running"]
        running = [each.name for each in found if each.status == "Running"]
        nodes: dict[str, Node] = {
            "Role": Scalar("S", role),
            "RequiredServicesRunning": Scalar("B", not stopped),
            "ServicesNotRunning": texts(stopped, collection()),
            "ServicesRunning": texts(running, collection()),
            "Identity": Scalar("S", None),
            "IsValid": Scalar("B", True),
            "ObjectState": Scalar("S", "New"),
        }
        call.output(Complex(_TYPES, _TYPES[0], nodes))
