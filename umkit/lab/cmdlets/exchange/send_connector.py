"""Send connectors: Get-, New-, Set- and Remove-SendConnector.

Properties as in a real Exchange 2019 object; rules from the pages of New- and
Set-SendConnector (reference/exchange.md §3 c). Wordings of the refusals are
the lab's own (?); the exception type is what a client can go by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from umkit.lab import quantities, records
from umkit.lab.shapes import CONFIGURATION_OBJECT, Shape, flag, many, number, text

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.organisation import Organisation
    from umkit.lab.store import Entry

_CONFIGURATION = "Microsoft.Exchange.Data.Directory.SystemConfiguration."


def _address_space(organisation: Organisation, value: str) -> str:
    return quantities.address_space(value)


def _smart_host(organisation: Organisation, value: str) -> str:
    return quantities.smart_host(value, brackets=organisation.options.smart_host_literals == "brackets")


def _server(organisation: Organisation, value: str) -> str:
    """The name of a Mailbox server, by which source servers are printed."""
    return organisation.find_latest("ExchangeServer", value).name


SHAPE = Shape(
    noun="SendConnector",
    types=(
        _CONFIGURATION + "SmtpSendConnectorConfig",
        _CONFIGURATION + "MailGateway",
        _CONFIGURATION + "SendConnector",
        _CONFIGURATION + "ADLegacyVersionableObject",
        *CONFIGURATION_OBJECT,
    ),
    properties=(
        flag("DNSRoutingEnabled", True),
        text("TlsDomain"),
        text("TlsAuthLevel"),
        text("ErrorPolicies", "Default"),
        many("SmartHosts", "SmartHost", canonical=_smart_host),
        number("Port", 25),
        text("ConnectionInactivityTimeOut", "00:10:00"),
        flag("ForceHELO"),
        flag("FrontendProxyEnabled"),
        flag("IgnoreSTARTTLS"),
        flag("CloudServicesMailEnabled"),
        text("Fqdn"),
        text("TlsCertificateName"),
        flag("RequireTLS"),
        flag("RequireOorg"),
        flag("Enabled", True),
        text("ProtocolLoggingLevel", "None"),
        text("SmartHostAuthMechanism", "None"),
        text("AuthenticationCredential"),
        flag("UseExternalDNSServersEnabled"),
        flag("DomainSecureEnabled"),
        text("SourceIPAddress", "0.0.0.0"),  # noqa: S104 - the documented default, no socket is bound
        number("SmtpMaxMessagesPerConnection", 20),
        text("ConnectorType", "Default"),
        text("SmartHostsString", ""),
        text("CertificateSubject"),
        text("Region", "NotSpecified"),
        many("AddressSpaces", "AddressSpace", canonical=_address_space),
        many("ConnectedDomains", "ConnectedDomain"),
        flag("IsScopedConnector"),
        flag("IsSmtpConnector", True),
        text("Comment", ""),
        text("SourceRoutingGroup", "Exchange Routing Group (DWBGZMFD01QNBJR)"),
        many("SourceTransportServers", "Directory.ADObjectId", canonical=_server),
        text("HomeMTA", "Microsoft MTA"),
        text("HomeMtaServerId"),
        text("MaxMessageSize", "35 MB (36,700,160 bytes)"),
    ),
    container="CN=Connections,CN=Exchange Routing Group (DWBGZMFD01QNBJR),CN=Routing Groups,{group}",
    category="ms-Exch-Routing-SMTP-Connector",
    classes=("top", "msExchConnector", "mailGateway", "msExchRoutingSMTPConnector"),
)


def _refuse(message: str) -> records.TaskRefusal:
    return records.TaskRefusal(records.INVALID_OPERATION, message)


def complete(organisation: Organisation, values: dict[str, Any]) -> dict[str, Any]:
    """The rules between a send connector's properties, and what follows from them."""
    mechanism = values["SmartHostAuthMechanism"]
    routed = values["DNSRoutingEnabled"]
    if values["SmartHosts"] and routed:
        raise _refuse("If you specify SmartHosts, DNSRoutingEnabled must be $false.")
    if not values["SmartHosts"] and not routed:
        raise _refuse("If DNSRoutingEnabled is $false, you must specify SmartHosts.")
    if not values["AddressSpaces"]:
        raise _refuse("You must specify at least one address space.")
    foreign = [each for each in values["AddressSpaces"] if quantities.address_space_type(each) != "SMTP"]
    if foreign and routed:
        raise _refuse(f"Address space '{foreign[0]}' isn't SMTP: it needs SmartHosts and DNSRoutingEnabled $false.")
    if "," in mechanism:
        raise _refuse("The values of SmartHostAuthMechanism are mutually exclusive.")
    if mechanism != "None" and routed:
        raise _refuse("SmartHostAuthMechanism can be used only when smart hosts are configured.")
    if mechanism.startswith("BasicAuth") and not values["AuthenticationCredential"]:
        raise _refuse(f"SmartHostAuthMechanism {mechanism} requires AuthenticationCredential.")
    if values["RequireTLS"] and values["IgnoreSTARTTLS"]:
        raise _refuse("IgnoreSTARTTLS must be $false if RequireTLS is $true.")
    if values["TlsAuthLevel"] and (values["IgnoreSTARTTLS"] or not values["RequireTLS"]):
        raise _refuse("TlsAuthLevel can't be used unless RequireTLS is $true and IgnoreSTARTTLS is $false.")
    if not values["SourceTransportServers"]:
        raise _refuse("You must specify at least one source transport server.")
    return values | {
        # That several smart hosts are joined by a comma is (?).
        "SmartHostsString": ",".join(values["SmartHosts"]),
        "HomeMtaServerId": values["SourceTransportServers"][0],
    }


def _changes(call: Call, entry: Entry | None = None) -> dict[str, Any]:
    """The given properties; a credential is kept as its user's name, never with its password."""
    changes = call.changes(entry)
    if isinstance(changes.get("AuthenticationCredential"), dict):
        changes["AuthenticationCredential"] = changes["AuthenticationCredential"]["UserName"]
    return changes


def get_send_connector(call: Call) -> None:
    """List the send connectors."""
    for entry in call.wanted():
        call.emit(entry)


def new_send_connector(call: Call) -> None:
    """Create a send connector; the usage is a label that leaves no trace on it."""
    usages = [name for name in ("Custom", "Internal", "Internet", "Partner") if call.get(name)]
    if len(usages) + ("Usage" in call) > 1:
        raise _refuse("Usage, Custom, Internal, Internet and Partner can't be used together.")
    # Without source servers it gets the server that the cmdlet runs on.
    call.emit(call.create({"SourceTransportServers": [call.service.name], **_changes(call)}))


def set_send_connector(call: Call) -> None:
    """Change a send connector."""
    entry = call.find(call.get("Identity"))
    changes = _changes(call, entry)
    if changes.get("DNSRoutingEnabled") is False and entry.values["DNSRoutingEnabled"] and "SmartHosts" not in changes:
        raise _refuse("If DNSRoutingEnabled is set to $false, SmartHosts must be specified on the same command line.")
    call.update(entry, changes)


def remove_send_connector(call: Call) -> None:
    """Remove a send connector."""
    call.remove(call.find(call.get("Identity")))
