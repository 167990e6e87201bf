"""Exchange servers: Get-ExchangeServer.

Properties as in a real Exchange 2019 object: on 2016 and 2019 there is no
IsMemberOfCluster and no EdgeSubscribed (reference/exchange.md §2.2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from umkit.lab.shapes import PRESENTATION_OBJECT, Property, Shape, collection, flag, many, number, text

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.organisation import Organisation

_DATA = "Microsoft.Exchange.Data."
_ADDRESSES = (
    _DATA + "NetworkAddressCollection",
    collection("NetworkAddress")[0].replace("MultiValuedProperty", "ProtocolAddressCollection"),
    *collection("NetworkAddress"),
)

SHAPE = Shape(
    noun="ExchangeServer",
    types=("Microsoft.Exchange.Data.Directory.Management.ExchangeServer", *PRESENTATION_OBJECT),
    properties=(
        text("DataPath", r"C:\Program Files\Microsoft\Exchange Server\V15\Mailbox"),
        text("Domain"),
        text("Edition", "Standard"),
        text("ExchangeLegacyDN"),
        number("ExchangeLegacyServerRole", 0),
        text("Fqdn"),
        flag("CustomerFeedbackEnabled"),
        text("InternetWebProxy"),
        text("InternetWebProxyBypassList"),
        flag("IsHubTransportServer", True),
        flag("IsClientAccessServer", True),
        flag("IsExchange2007OrLater", True),
        flag("IsEdgeServer"),
        flag("IsMailboxServer", True),
        flag("IsE14OrLater", True),
        flag("IsE15OrLater", True),
        flag("IsProvisionedServer"),
        flag("IsUnifiedMessagingServer"),
        flag("IsFrontendTransportServer", True),
        Property("NetworkAddress", "LST", [], _ADDRESSES),
        text("OrganizationalUnit"),
        text("AdminDisplayVersion"),
        text("Site"),
        text("ServerRole", "Mailbox"),
        flag("ErrorReportingEnabled"),
        flag("MitigationsEnabled", True),
        many("StaticDomainControllers"),
        many("StaticGlobalCatalogs"),
        text("StaticConfigDomainController", ""),
        many("StaticExcludedDomainControllers"),
        text("MonitoringGroup", ""),
        many("CurrentDomainControllers"),
        many("CurrentGlobalCatalogs"),
        text("CurrentConfigDomainController", ""),
        text("ProductID", ""),
        flag("IsExchangeTrialEdition"),
        flag("IsExpiredExchangeTrialEdition"),
        text("MailboxProvisioningAttributes"),
        text("RemainingTrialPeriod", "00:00:00"),
        text("MitigationsApplied"),
        text("MitigationsBlocked"),
        flag("DataCollectionEnabled"),
    ),
    container="CN=Servers,{group}",
    category="ms-Exch-Exchange-Server",
    classes=("top", "server", "msExchExchangeServer"),
    presentation=True,
    keys=("Fqdn", "ExchangeLegacyDN"),
)


def built_in(organisation: Organisation) -> Iterable[dict[str, Any]]:
    """The servers of the organisation."""
    for server in organisation.exchange_servers:
        name, fqdn = server.name, f"{server.name.lower()}.{organisation.domain}"
        group = "Exchange Administrative Group (FYDIBOHF23SPDLT)"
        yield {
            "Name": name,
            "Domain": organisation.domain,
            "Edition": server.edition,
            "ExchangeLegacyDN": f"/o={organisation.name}/ou={group}/cn=Configuration/cn=Servers/cn={name}",
            "Fqdn": fqdn,
            "NetworkAddress": [
                *(f"{protocol}:{name}" for protocol in ("ncacn_vns_spp", "netbios", "ncacn_np", "ncacn_spx")),
                f"ncacn_ip_tcp:{fqdn}",
                f"ncalrpc:{name}",
            ],
            "OrganizationalUnit": f"{organisation.domain}/{name}",
            "AdminDisplayVersion": server.version,
            "Site": organisation.site,
        }


def get_exchange_server(call: Call) -> None:
    """List the Exchange servers.

    Which domain controllers a server uses at the moment is only told with ``-Status``; that the properties are empty
    without it is (?).
    """
    entries = call.wanted()
    if "Domain" in call:
        entries = [each for each in entries if each.values["Domain"].lower() == call.get("Domain").lower()]
    for entry in entries:
        if call.get("Status"):
            used = {
                "CurrentDomainControllers": list(call.organisation.controllers),
                "CurrentGlobalCatalogs": list(call.organisation.controllers),
                "CurrentConfigDomainController": call.service.controller,
            }
            entry = replace(entry, values={**entry.values, **used})
        call.emit(entry)
