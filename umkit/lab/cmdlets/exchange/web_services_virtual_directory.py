"""EWS virtual directories, one a server: Get-WebServicesVirtualDirectory.

The reference names a real object but holds no copy of it: the property list
is a part of the real one (?).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from umkit.lab.shapes import CONFIGURATION_OBJECT, Property, Shape, flag, many, text

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.organisation import Organisation

SHAPE = Shape(
    noun="WebServicesVirtualDirectory",
    types=(
        "Microsoft.Exchange.Data.Directory.SystemConfiguration.ADWebServicesVirtualDirectory",
        *CONFIGURATION_OBJECT,
    ),
    properties=(
        flag("CertificateAuthentication", None),
        Property("InternalNLBBypassUrl", "URI"),
        text("GzipLevel", "High"),
        flag("MRSProxyEnabled"),
        many("InternalAuthenticationMethods", default=("Ntlm", "WindowsIntegrated", "WSSecurity", "OAuth")),
        many("ExternalAuthenticationMethods", default=("Ntlm", "WindowsIntegrated", "WSSecurity", "OAuth")),
        flag("LiveIdBasicAuthentication", None),
        flag("WSSecurityAuthentication", True),
        flag("BasicAuthentication"),
        flag("DigestAuthentication"),
        flag("WindowsAuthentication", True),
        flag("OAuthAuthentication", True),
        text("MetabasePath"),
        text("Path"),
        text("ExtendedProtectionTokenChecking", "None"),
        text("Server"),
        Property("InternalUrl", "URI"),
        Property("ExternalUrl", "URI"),
        text("AdminDisplayVersion"),
    ),
    container="CN=HTTP,CN=Protocols,CN={Server},CN=Servers,{group}",
    category="ms-Exch-Web-Services-Virtual-Directory",
    classes=("top", "msExchVirtualDirectory", "msExchWebServicesVirtualDirectory"),
    identity="{Server}\\{Name}",
)


def built_in(organisation: Organisation) -> Iterable[dict[str, Any]]:
    """The virtual directory of each server."""
    for server in organisation.exchange_servers:
        fqdn = f"{server.name.lower()}.{organisation.domain}"
        yield {
            "Name": "EWS (Default Web Site)",
            "Server": server.name,
            "MetabasePath": f"IIS://{fqdn}/W3SVC/1/ROOT/EWS",
            "Path": r"C:\Program Files\Microsoft\Exchange Server\V15\ClientAccess\exchweb\EWS",
            "InternalUrl": f"https://{fqdn}/EWS/Exchange.asmx",
            "AdminDisplayVersion": server.version,
        }


def get_web_services_virtual_directory(call: Call) -> None:
    """List the EWS virtual directories, of one server where it is named."""
    call.simulates("Identity", "Server", "ADPropertiesOnly")
    entries = call.wanted()
    if call.get("Server") is not None:
        server = call.find(call.get("Server"), "ExchangeServer").name
        entries = [each for each in entries if each.values["Server"] == server]
    for entry in entries:
        call.emit(entry)
