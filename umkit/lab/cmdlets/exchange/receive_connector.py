"""Receive connectors: Get-ReceiveConnector.

Every server has the five built-in connectors of a real Exchange 2019 server,
with their values.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from umkit.lab.shapes import CONFIGURATION_OBJECT, Shape, flag, many, number, text

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.organisation import Organisation

_EVERYWHERE = ("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "0.0.0.0-255.255.255.255")

SHAPE = Shape(
    noun="ReceiveConnector",
    types=("Microsoft.Exchange.Data.Directory.SystemConfiguration.ReceiveConnector", *CONFIGURATION_OBJECT),
    properties=(
        text("AuthMechanism", "Tls"),
        text("Banner", ""),
        flag("BinaryMimeEnabled", True),
        many("Bindings", "IPBinding"),
        flag("ChunkingEnabled", True),
        text("DefaultDomain"),
        flag("DeliveryStatusNotificationEnabled", True),
        flag("EightBitMimeEnabled", True),
        flag("SmtpUtf8Enabled", True),
        flag("BareLinefeedRejectionEnabled"),
        flag("DomainSecureEnabled"),
        flag("EnhancedStatusCodesEnabled", True),
        flag("LongAddressesEnabled"),
        flag("OrarEnabled"),
        flag("SuppressXAnonymousTls"),
        flag("ProxyEnabled"),
        flag("AdvertiseClientSettings"),
        text("Fqdn"),
        text("ServiceDiscoveryFqdn"),
        text("TlsCertificateName"),
        text("Comment", ""),
        flag("Enabled", True),
        text("ConnectionTimeout", "00:10:00"),
        text("ConnectionInactivityTimeout", "00:05:00"),
        text("MessageRateLimit", "Unlimited"),
        text("MessageRateSource", "IPAddress"),
        text("MaxInboundConnection", "5000"),
        text("MaxInboundConnectionPerSource", "20"),
        number("MaxInboundConnectionPercentagePerSource", 2),
        text("MaxHeaderSize", "256 KB (262,144 bytes)"),
        number("MaxHopCount", 60),
        number("MaxLocalHopCount", 5),
        number("MaxLogonFailures", 3),
        text("MaxMessageSize", "36 MB (37,748,736 bytes)"),
        text("MaxProtocolErrors", "5"),
        number("MaxRecipientsPerMessage", 200),
        text("PermissionGroups", "None"),
        flag("PipeliningEnabled", True),
        text("ProtocolLoggingLevel", "None"),
        many("RemoteIPRanges", "IPRange", _EVERYWHERE),
        flag("RequireEHLODomain"),
        flag("RequireTLS"),
        flag("EnableAuthGSSAPI"),
        text("ExtendedProtectionPolicy", "None"),
        flag("LiveCredentialEnabled"),
        many("TlsDomainCapabilities", "SmtpReceiveDomainCapabilities"),
        text("Server"),
        text("TransportRole", "FrontendTransport"),
        flag("RejectReservedTopLevelRecipientDomains"),
        flag("RejectReservedSecondLevelRecipientDomains"),
        flag("RejectSingleLabelRecipientDomains"),
        flag("AcceptConsumerMail"),
        text("SizeEnabled", "Enabled"),
        text("TarpitInterval", "00:00:05"),
        text("AuthTarpitInterval", "00:00:05"),
        text("MaxAcknowledgementDelay", "00:00:30"),
    ),
    container="CN=SMTP Receive Connectors,CN=Protocols,CN={Server},CN=Servers,{group}",
    category="ms-Exch-Smtp-Receive-Connector",
    classes=("top", "msExchSmtpReceiveConnector"),
    identity="{Server}\\{Name}",
)

_TLS_TO_SERVER = "Tls, Integrated, BasicAuth, BasicAuthRequireTLS, ExchangeServer"
_CLIENT: dict[str, Any] = {"MessageRateLimit": "5", "MessageRateSource": "User", "EnableAuthGSSAPI": True}
#: First words of the name, port, and what is another than in a new connector.
_BUILT_IN: tuple[tuple[str, int, dict[str, Any]], ...] = (
    (
        "Default",
        2525,
        {
            "AuthMechanism": _TLS_TO_SERVER,
            "PermissionGroups": "ExchangeUsers, ExchangeServers, ExchangeLegacyServers",
            "TransportRole": "HubTransport",
            "MaxInboundConnectionPerSource": "Unlimited",
            "MaxInboundConnectionPercentagePerSource": 100,
            "MaxRecipientsPerMessage": 5000,
            "SizeEnabled": "EnabledWithoutValue",
        },
    ),
    (
        "Client Proxy",
        465,
        {
            "AuthMechanism": _TLS_TO_SERVER,
            "PermissionGroups": "ExchangeUsers, ExchangeServers",
            "TransportRole": "HubTransport",
            **_CLIENT,
        },
    ),
    (
        "Default Frontend",
        25,
        {
            "AuthMechanism": _TLS_TO_SERVER,
            "PermissionGroups": "AnonymousUsers, ExchangeServers, ExchangeLegacyServers",
            "DomainSecureEnabled": True,
            "ProtocolLoggingLevel": "Verbose",
        },
    ),
    (
        "Outbound Proxy Frontend",
        717,
        {
            "AuthMechanism": _TLS_TO_SERVER,
            "PermissionGroups": "ExchangeServers",
            "DomainSecureEnabled": True,
            "ProtocolLoggingLevel": "Verbose",
            "TarpitInterval": "00:00:00",
        },
    ),
    (
        "Client Frontend",
        587,
        {
            "AuthMechanism": "Tls, Integrated, BasicAuth, BasicAuthRequireTLS",
            "PermissionGroups": "ExchangeUsers",
            **_CLIENT,
        },
    ),
)


def built_in(organisation: Organisation) -> Iterable[dict[str, Any]]:
    """The five connectors that setup creates on each server."""
    for server in organisation.exchange_servers:
        for begin, port, values in _BUILT_IN:
            yield {
                "Name": f"{begin} {server.name}",
                "Server": server.name,
                "Fqdn": f"{server.name.lower()}.{organisation.domain}",
                "Bindings": [f"[::]:{port}", f"0.0.0.0:{port}"],
                **values,
            }


def get_receive_connector(call: Call) -> None:
    """List the receive connectors, of one server where it is named."""
    if call.get("Server") is not None:
        server = call.find(call.get("Server"), "ExchangeServer").name
        entries = [entry for entry in call.all() if entry.values["Server"] == server]
    elif call.get("Identity") is not None and "\\" not in call.get("Identity"):
        # A name without its server means the server that the cmdlet runs on (?).
        identity = call.get("Identity")
        own = [each for each in call.all() if call.shape().matches(call.organisation, each, identity)]
        entries = own or [call.find(f"{call.service.name}\\{identity}")]
    else:
        entries = call.wanted()
    for entry in entries:
        call.emit(entry)
