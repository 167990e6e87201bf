"""What an organisation says of itself, as the beginning of a customer file. Only reads are sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from umkit.customer import LAB, parse
from umkit.customer.checks import Wrong, address
from umkit.errors import Refused
from umkit.site import Site

_SERVICES: Final = ("fax", "sms")
_OURS: Final = "xphone"


@dataclass
class Found:
    """What was read.

    Arguments:
        values: dotted key → value for the customer file.
        proposed: keys whose value was not read but made from what was read, to be looked at by a person.
        notes: one line for each thing that was seen, or that the account may not see.
    """

    values: dict[str, Any] = field(default_factory=dict)
    proposed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def discover(exchange: Mapping[str, Any], *, interactive: bool) -> Found:
    """Read an organisation.

    Arguments:
        exchange: the section exchange of the customer file: endpoint, account, reference to its password.
        interactive: whether a person is there to be asked for a secret.

    Raises ``CustomerFileError`` where the section is wrong, ``SecretError`` and ``RemoteError`` where nobody answers.
    """
    inputs = parse({"exchange": dict(exchange)}, source="the command line")
    # START-3 is what refuses other versions; whoever begins a file may do so before the old server is gone.
    site = Site(inputs, chapter="00-start", interactive=interactive)
    try:
        return _read(site, is_lab=inputs.exchange.endpoint == LAB)
    finally:
        site.close()


def _read(site: Site, *, is_lab: bool) -> Found:
    found = Found()
    servers = _list(site, "ExchangeServer", found)
    found.values["hosts.exchange"] = [
        {
            "name": str(server["Name"]),
            "endpoint": LAB if is_lab else f"http://{str(server.get('Fqdn') or server['Name']).lower()}:5985/wsman",
        }
        for server in servers
    ]
    _noted(found, "Exchange servers", [str(server["Name"]) for server in servers])
    _noted(found, "mailbox databases", [str(each["Name"]) for each in _list(site, "MailboxDatabase", found)])
    domains = _list(site, "AcceptedDomain", found)
    _noted(found, "accepted domains", [str(each["DomainName"]) for each in domains])
    own = next((str(each["DomainName"]) for each in domains if each.get("Default")), "")
    _services(site, own, found)
    _relay(site, found)
    policies = [str(each["Name"]) for each in _list(site, "ThrottlingPolicy", found)]
    unlimited = [name for name in policies if name.casefold().startswith("nothrottling")]
    if unlimited:
        found.values["sessions.policy"] = unlimited[0]
        _noted(found, "throttling policies without limits", unlimited)
    if own:
        found.values["mapi.account"] = f"MAPIAccount@{own}"
        found.proposed.append("mapi.account")
    return found


def _services(site: Site, own: str, found: Found) -> None:
    """UM services from the send connectors that are there, else two proposed below the organisation's own domain."""
    services: list[dict[str, Any]] = []
    for connector in _list(site, "SendConnector", found):
        name, spaces = str(connector["Name"]), [str(space) for space in connector.get("AddressSpaces") or ()]
        domain = spaces[0].partition(":")[2].partition(";")[0] if spaces else ""
        label = domain.partition(".")[0].casefold()
        hosts = [str(host).strip("[]") for host in connector.get("SmartHosts") or ()]
        if not hosts or not (_OURS in name.casefold() or label in _SERVICES) or domain in ("", "*"):
            continue
        services.append({"name": label, "domain": domain, "connector": name, "port": int(connector.get("Port") or 25)})
        _noted(found, f"send connector for {domain}", [f"{name} to {', '.join(hosts)}"])
        try:
            found.values["xphone.address"] = address(hosts[0])
        except Wrong:
            services[-1]["smart_host"] = hosts[0]
    if services:
        found.values["um_services"] = services
    elif own:
        found.values["um_services"] = [{"name": name, "domain": f"{name}.{own}"} for name in _SERVICES]
        found.proposed.append("um_services")
    remote = {str(each["DomainName"]).casefold() for each in _list(site, "RemoteDomain", found)} - {"*"}
    _noted(found, "remote domains", sorted(remote))


def _relay(site: Site, found: Found) -> None:
    for connector in _list(site, "ReceiveConnector", found):
        name = str(connector["Name"])
        if _OURS in name.casefold():
            found.values["relay.connector"] = name
            ports = [str(binding).rpartition(":")[2] for binding in connector.get("Bindings") or ()]
            if ports and ports[0].isdecimal():
                found.values["relay.port"] = int(ports[0])
            _noted(found, "receive connector that looks like XPhone's", [f"{name} on {connector.get('Server')}"])
            return


def _list(site: Site, noun: str, found: Found) -> list[Any]:
    try:
        return list(site.organisation().list(noun))
    except Refused as error:
        found.notes.append(f"Get-{noun}: this account may not read it ({error.what})")
        return []


def _noted(found: Found, what: str, names: list[str]) -> None:
    if names:
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        found.notes.append(f"{what}: {shown}")
