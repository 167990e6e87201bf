"""Test-NetConnection: whether a port answers, from the network table.

Object type, property names and warnings as public transcripts of Windows
Server 2016 to 2022 show them; over remoting an address is its text (?).
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from umkit.lab import records
from umkit.lab.objects import Complex, Node, Scalar

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.hosts import Host
    from umkit.lab.organisation import Organisation

_COMMON_PORTS = {"HTTP": 80, "RDP": 3389, "SMB": 445, "WINRM": 5985}


def _listens(organisation: Organisation, source: Host, target: str, port: int) -> bool:
    """Whether the network table has that port, and this host can reach it."""
    host = organisation.host(target)
    for listener in organisation.network:
        name, _, number = listener.to.rpartition(":")
        same = name.lower() == target.lower() if host is None else host.answers_to(name)
        allowed = [each.lower() for each in listener.only_from]
        if same and int(number) == port and (not allowed or source.name.lower() in allowed):
            return True
    return False


def _resolve(organisation: Organisation, name: str) -> str | None:
    """The address of a name; an address is its own. None when nobody knows the name."""
    host = organisation.host(name)
    if host is not None:
        return host.address
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return None


def test_net_connection(call: Call) -> None:
    """Try a TCP port, or ping when no port is given.

    A failure is a warning and False in the result, never an error.
    """
    call.simulates("ComputerName", "Port", "CommonTCPPort", "InformationLevel")
    if "ComputerName" not in call:
        raise records.not_simulated("Test-NetConnection to the internet; give a ComputerName")
    organisation, source, target = call.organisation, call.service.host, call.get("ComputerName")
    port = _COMMON_PORTS[call.get("CommonTCPPort")] if "CommonTCPPort" in call else call.get("Port")
    address = _resolve(organisation, target)
    pinged = organisation.host(target) is not None
    answered = address is not None and port is not None and _listens(organisation, source, target, port)
    if address is None:
        call.warn(f"Name resolution of {target} failed")
    elif port is not None and not answered:
        call.warn(f"TCP connect to ({address} : {port}) failed")
    if address is not None and not answered and not pinged:
        call.warn(f"Ping to {address} failed with status: TimedOut")
    if call.get("InformationLevel") == "Quiet":
        call.output(Scalar("B", answered if port is not None else pinged))
        return
    properties: dict[str, Node] = {
        "ComputerName": Scalar("S", target),
        "RemoteAddress": Scalar("S", address),
        # It pings only when the port did not answer (?).
        "PingSucceeded": Scalar("B", pinged and not answered if port is not None else pinged),
        "TcpTestSucceeded": Scalar("B", answered),
        "RemotePort": Scalar("U32", port or 0),
        "TraceRoute": Scalar("S", None),
        "Detailed": Scalar("B", call.get("InformationLevel") == "Detailed"),
        "InterfaceAlias": Scalar("S", "Ethernet"),
        "SourceAddress": Scalar("S", source.address),
        "NameResolutionSucceeded": Scalar("B", address is not None),
    }
    call.output(Complex(("TestNetConnectionResult", "System.Object"), "TestNetConnectionResult", properties))
