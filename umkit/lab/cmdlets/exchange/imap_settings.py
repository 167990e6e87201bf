"""IMAP4 settings, one object a server: Get- and Set-ImapSettings.

No dump of a real one was found: names and types are the parameters' of
Set-ImapSettings, defaults from its page (reference/exchange.md §3 d); which
further properties there are, and the object's own name, is (?).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from umkit.lab import listening
from umkit.lab.shapes import CONFIGURATION_OBJECT, Property, Shape, flag, many, number, text

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.organisation import Organisation

_CONFIGURATION = "Microsoft.Exchange.Data.Directory.SystemConfiguration."


def _binding(organisation: Organisation, value: str) -> str:
    return listening.binding(value)


def _connection(organisation: Organisation, value: str) -> str:
    """A connection that clients are told of: ``host:port`` or ``host:port:TLS``."""
    host, _, rest = value.partition(":")
    port, colon, security = rest.partition(":")
    good = port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535
    if not host or not good or (colon and security.upper() not in ("TLS", "SSL")):
        raise ValueError(f"'{value}' isn't a valid connection setting; enter it as host:port:TLS or host:port:SSL.")
    return f"{host}:{int(port)}" + (f":{security.upper()}" if colon else "")


SHAPE = Shape(
    noun="ImapSettings",
    types=(_CONFIGURATION + "Imap4AdConfiguration", _CONFIGURATION + "PopImapAdConfiguration", *CONFIGURATION_OBJECT),
    properties=(
        text("ProtocolName", "IMAP4"),
        number("MaxCommandSize", 10240),
        flag("ShowHiddenFoldersEnabled"),
        many("UnencryptedOrTLSBindings", "IPBinding", ("[::]:143", "0.0.0.0:143"), _binding),
        many("SSLBindings", "IPBinding", ("[::]:993", "0.0.0.0:993"), _binding),
        many("InternalConnectionSettings", "ProtocolConnectionSettings", canonical=_connection),
        many("ExternalConnectionSettings", "ProtocolConnectionSettings", canonical=_connection),
        text("X509CertificateName"),
        text("Banner", "The Microsoft Exchange IMAP4 service is ready."),
        text("LoginType", "SecureLogin"),
        text("AuthenticatedConnectionTimeout", "00:30:00"),
        text("PreAuthenticatedConnectionTimeout", "00:01:00"),
        number("MaxConnections", 2147483647),
        number("MaxConnectionFromSingleIP", 2147483647),
        number("MaxConnectionsPerUser", 16),
        text("MessageRetrievalMimeFormat", "BestBodyFormat"),
        number("ProxyTargetPort", 1993),
        text("CalendarItemRetrievalOption", "iCalendar"),
        Property("OwaServerUrl", "URI"),
        flag("EnableExactRFC822Size"),
        flag("LiveIdBasicAuthReplacement"),
        flag("SuppressReadReceipt"),
        flag("ProtocolLogEnabled"),
        flag("EnforceCertificateErrors"),
        text("LogFileLocation", r"C:\Program Files\Microsoft\Exchange Server\V15\Logging\Imap4"),
        text("LogFileRollOverSettings", "Hourly"),
        text("LogPerFileSizeQuota", "0 B (0 bytes)"),
        text("ExtendedProtectionPolicy", "None"),
        flag("EnableGSSAPIAndNTLMAuth", True),
        text("Server"),
    ),
    container="CN=IMAP4,CN=Protocols,CN={Server},CN=Servers,{group}",
    category="ms-Exch-Protocol-Cfg-IMAP-Server",
    classes=("top", "protocolCfg", "protocolCfgIMAP", "protocolCfgIMAPServer"),
    identity="{Server}\\{Name}",
)


def built_in(organisation: Organisation) -> Iterable[dict[str, Any]]:
    """The settings of each server."""
    for server in organisation.exchange_servers:
        fqdn = f"{server.name.lower()}.{organisation.domain}"
        yield {
            "Name": "1",
            "Server": server.name,
            "X509CertificateName": server.name,
            "InternalConnectionSettings": [f"{fqdn}:993:SSL", f"{fqdn}:143:TLS"],
        }


def get_imap_settings(call: Call) -> None:
    """Show the IMAP4 settings of a server, by default of that which the cmdlet runs on."""
    server = call.find(call.get("Server") or call.service.name, "ExchangeServer").name
    for entry in call.all():
        if entry.values["Server"] == server:
            call.emit(entry)


def set_imap_settings(call: Call) -> None:
    """Change the IMAP4 settings of a server; the services take them up when they are restarted (wording (?))."""
    server = call.find(call.get("Server") or call.service.name, "ExchangeServer").name
    entry = next(each for each in call.all() if each.values["Server"] == server)
    changes = call.changes(entry)
    changes.pop("Server", None)
    written = call.update(entry, changes)
    if written:
        call.warn(
            "Changes to IMAP4 settings will only take effect after all Microsoft Exchange IMAP4 services are restarted "
            f"on server {server}."
        )
