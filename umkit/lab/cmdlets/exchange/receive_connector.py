"""Receive connectors: Get-, New-, Set- and Remove-ReceiveConnector.

Every server has the five built-in connectors of a real Exchange 2019 server,
with their values; rules from the pages of New- and Set-ReceiveConnector
(reference/exchange.md §3 b). Wordings of the refusals are the lab's own (?)
but for the conflict between transport roles.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from umkit.lab import listening, permissions, records
from umkit.lab.shapes import CONFIGURATION_OBJECT, Shape, flag, many, number, text

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.organisation import Organisation
    from umkit.lab.store import Entry

_EVERYWHERE = ("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "0.0.0.0-255.255.255.255")

#: Exception of a conflict between connectors; its name is (?).
_CONFLICT = "Microsoft.Exchange.Management.SystemConfigurationTasks.ConnectorMappingConflictException"


def _binding(organisation: Organisation, value: str) -> str:
    return listening.binding(value)


def _range(organisation: Organisation, value: str) -> str:
    return listening.ip_range(value)


SHAPE = Shape(
    noun="ReceiveConnector",
    types=("Microsoft.Exchange.Data.Directory.SystemConfiguration.ReceiveConnector", *CONFIGURATION_OBJECT),
    properties=(
        text("AuthMechanism", "Tls"),
        text("Banner", ""),
        flag("BinaryMimeEnabled", True),
        many("Bindings", "IPBinding", canonical=_binding),
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
        many("RemoteIPRanges", "IPRange", _EVERYWHERE, _range),
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


#: What each usage sets: permission groups, mechanisms, binding that it brings or "" where one must be given,
#: whether ranges must be given. They are labels: no property tells the usage later.
_USAGES = {
    "Custom": ("None", "Tls", "", True),
    "Client": ("ExchangeUsers", "Tls, Integrated, BasicAuth, BasicAuthRequireTLS", "0.0.0.0:587", True),
    "Internal": ("ExchangeServers, ExchangeLegacyServers", "Tls, ExchangeServer", "0.0.0.0:25", True),
    "Internet": ("AnonymousUsers", "Tls", "", False),
    "Partner": ("Partners", "Tls", "", True),
}


def _refuse(message: str) -> records.TaskRefusal:
    return records.TaskRefusal(records.INVALID_OPERATION, message)


def split(flags: str) -> set[str]:
    """The values of a combined enumeration."""
    return {each.strip() for each in flags.split(",")}


def complete(organisation: Organisation, values: dict[str, Any]) -> dict[str, Any]:
    """The rules between a receive connector's properties."""
    mechanisms, groups = split(values["AuthMechanism"]), split(values["PermissionGroups"])
    if "None" in mechanisms and len(mechanisms) > 1:
        raise _refuse("AuthMechanism None can't be combined with another value.")
    if "None" in groups and len(groups) > 1:
        raise _refuse("PermissionGroups None can't be combined with another value.")
    if "BasicAuthRequireTLS" in mechanisms and not {"BasicAuth", "Tls"} <= mechanisms:
        raise _refuse("AuthMechanism BasicAuthRequireTLS also requires BasicAuth and Tls.")
    if "ExternalAuthoritative" in mechanisms:
        if mechanisms - {"ExternalAuthoritative", "Tls"}:
            raise _refuse("AuthMechanism ExternalAuthoritative can be combined with Tls only.")
        if "ExchangeServers" not in groups:
            raise _refuse("AuthMechanism ExternalAuthoritative requires PermissionGroups ExchangeServers.")
    if values["RequireTLS"] and "Tls" not in mechanisms:
        raise _refuse("RequireTLS can be $true only if AuthMechanism contains Tls.")
    if not values["Bindings"] or not values["RemoteIPRanges"]:
        raise _refuse("You must specify at least one local IP address and port, and one remote IP address range.")
    return values


def _distinct(call: Call, values: dict[str, Any], own: Entry | None = None) -> None:
    """Refuse bindings and ranges that another connector of the server has; that disabled ones count too is (?)."""
    others = [each for each in call.all() if each.values["Server"] == values["Server"]]
    found = listening.conflict(values, [each.values for each in others if own is None or each.guid != own.guid])
    if found is None:
        return
    other, roles = found
    # The second sentence for connectors of one role is (?).
    why = (
        "Receive connectors assigned to different Transport roles on a single server must listen on unique local IP "
        "address & port bindings."
        if roles
        else "Receive connectors must have unique combinations of Bindings and RemoteIPRanges."
    )
    raise records.TaskRefusal(
        _CONFLICT,
        "The values that you specified for the Bindings and RemoteIPRanges parameters conflict with the settings on "
        f'Receive connector "{SHAPE.identity_of(other)}". {why}',
    )


def _changes(call: Call, entry: Entry | None = None) -> dict[str, Any]:
    """The given properties. Custom only tells of rights that no group has: that it can't be given is (?)."""
    changes = call.changes(entry)
    if "Custom" in split(changes.get("PermissionGroups", "")):
        raise _refuse("PermissionGroups can't be set to Custom.")
    if changes.get("PermissionGroups") == "":
        changes["PermissionGroups"] = "None"
    if changes.get("DefaultDomain") is not None:
        changes["DefaultDomain"] = call.find(changes["DefaultDomain"], "AcceptedDomain").name
    return changes


def new_receive_connector(call: Call) -> None:
    """Create a receive connector on a server, by default on that which the cmdlet runs on."""
    usage = call.get("Usage") or next((name for name in _USAGES if call.get(name)), "Custom")
    groups, mechanism, bound, ranged = _USAGES[usage]
    changes = _changes(call)
    if not bound and not changes.get("Bindings"):
        raise _refuse(f"Bindings must be specified for usage {usage}.")
    if usage == "Client" and "Bindings" in changes:
        raise _refuse("Bindings can't be specified for usage Client.")
    if ranged and not changes.get("RemoteIPRanges"):
        raise _refuse(f"RemoteIPRanges must be specified for usage {usage}.")
    if not ranged and "RemoteIPRanges" in changes:
        raise _refuse(f"RemoteIPRanges can't be specified for usage {usage}.")
    server = call.find(call.get("Server") or call.service.name, "ExchangeServer")
    begin = {
        "Server": server.name,
        "Fqdn": server.values["Fqdn"],
        "PermissionGroups": groups,
        "AuthMechanism": mechanism,
        "TransportRole": call.organisation.options.connector_role,
        **({"Bindings": [bound]} if bound else {}),
    }
    values = begin | changes
    _distinct(call, call.organisation.defaults("ReceiveConnector") | values)
    made = call.create(values)
    if made is not None:
        _emit(call, made)


def set_receive_connector(call: Call) -> None:
    """Change a receive connector."""
    entry = _one(call)
    changes = _changes(call, entry)
    _distinct(call, {**entry.values, **changes}, entry)
    call.update(entry, changes)


def remove_receive_connector(call: Call) -> None:
    """Remove a receive connector, and the rights on it with it."""
    entry = _one(call)
    rights = [each for each in call.all("ADPermission") if each.values["Target"] == str(entry.guid)]
    if call.should_process():
        for each in (*rights, entry):
            call.store.remove(call.controller, each)


def _emit(call: Call, entry: Entry) -> None:
    """Send a connector; rights beyond its permission groups show as Custom among them."""
    if permissions.has_custom_rights(call, entry):
        groups = [each for each in entry.values["PermissionGroups"].split(", ") if each != "None"]
        entry = replace(entry, values={**entry.values, "PermissionGroups": ", ".join([*groups, "Custom"])})
    call.emit(entry)


def _one(call: Call) -> Entry:
    """The connector of ``-Identity``; a name without its server means the server that the cmdlet runs on (?)."""
    identity = call.get("Identity")
    for entry in call.all():
        if call.shape().matches(call.organisation, entry, identity):
            return entry
    if "\\" in identity:
        raise records.not_found(identity, call.controller)
    return call.find(f"{call.service.name}\\{identity}")


def get_receive_connector(call: Call) -> None:
    """List the receive connectors, of one server where it is named."""
    if call.get("Server") is not None:
        server = call.find(call.get("Server"), "ExchangeServer").name
        entries = [entry for entry in call.all() if entry.values["Server"] == server]
    else:
        entries = call.all() if call.get("Identity") is None else [_one(call)]
    for entry in entries:
        _emit(call, entry)
