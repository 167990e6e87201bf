"""Remote domains: Get-, New-, Set- and Remove-RemoteDomain.

Properties as in a real object of Exchange Online without what is cloud-only;
defaults and rules from the pages of New- and Set-RemoteDomain
(reference/exchange.md §3 a).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from umkit.lab import records
from umkit.lab.shapes import CONFIGURATION_OBJECT, Shape, flag, number, text

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.organisation import Organisation

SHAPE = Shape(
    noun="RemoteDomain",
    types=("Microsoft.Exchange.Data.Directory.SystemConfiguration.DomainContentConfig", *CONFIGURATION_OBJECT),
    properties=(
        text("DomainName"),
        flag("IsInternal"),
        flag("TargetDeliveryDomain"),
        text("ByteEncoderTypeFor7BitCharsets", "Undefined"),
        # Blank ($null) on a new remote domain; that null is sent as Nil and not as an empty string is (?).
        text("CharacterSet"),
        text("NonMimeCharacterSet"),
        text("AllowedOOFType", "External"),
        flag("AutoReplyEnabled", True),
        flag("AutoForwardEnabled", True),
        flag("DeliveryReportEnabled", True),
        flag("NDREnabled", True),
        # True by the page; Exchange Online's Default shows False (?).
        flag("MeetingForwardNotificationEnabled", True),
        text("ContentType", "MimeHtmlText"),
        flag("DisplaySenderName", True),
        text("PreferredInternetCodePageForShiftJis", "Undefined"),
        number("RequiredCharsetCoverage"),
        flag("TNEFEnabled", None),
        text("LineWrapSize", "Unlimited"),
        flag("TrustedMailOutboundEnabled"),
        flag("TrustedMailInboundEnabled"),
        flag("UseSimpleDisplayName"),
        flag("NDRDiagnosticInfoEnabled", True),
        number("MessageCountThreshold", 2147483647),
    ),
    container="CN=Internet Message Formats,CN=Global Settings,{organisation}",
    category="ms-Exch-Domain-Content-Config",
    classes=("top", "msExchDomainContentConfig"),
)


def built_in(organisation: Organisation) -> Iterable[dict[str, Any]]:
    """The remote domain for every other domain."""
    yield {
        "Name": "Default",
        "DomainName": "*",
        "CharacterSet": "iso-8859-1",
        "NonMimeCharacterSet": "iso-8859-1",
        "AutoReplyEnabled": False,
        "AutoForwardEnabled": False,
    }


def get_remote_domain(call: Call) -> None:
    """List the remote domains."""
    for entry in call.wanted():
        call.emit(entry)


def new_remote_domain(call: Call) -> None:
    """Create a remote domain from a name and a domain name, and no more."""
    domain = call.get("DomainName")
    for other in call.all():
        if other.values["DomainName"].lower() == domain.lower():
            # Exception and wording for a domain name that is taken are (?).
            raise records.already_exists(
                call.shape().distinguished_name(call.organisation, other.values), call.controller
            )
    call.emit(call.create({"Name": call.get("Name"), "DomainName": domain}))


def set_remote_domain(call: Call) -> None:
    """Change a remote domain; its domain name has no parameter.

    AllowedOOFType InternalLegacy makes it internal, and IsInternal false makes AllowedOOFType ExternalLegacy. A value
    given in the same call stands against the second rule; what the first does then is (?).
    """
    entry = call.find(call.get("Identity"))
    changes = call.changes(entry)
    if changes.get("AllowedOOFType") == "InternalLegacy":
        changes["IsInternal"] = True
    elif changes.get("IsInternal") is False and "AllowedOOFType" not in changes:
        changes["AllowedOOFType"] = "ExternalLegacy"
    call.update(entry, changes)


def remove_remote_domain(call: Call) -> None:
    """Remove a remote domain that is not the built-in one."""
    entry = call.find(call.get("Identity"))
    if entry.values["DomainName"] == "*":
        # That it cannot be removed is documented; exception and wording are (?).
        raise records.TaskRefusal(records.INVALID_OPERATION, "The default remote domain can't be removed.")
    call.remove(entry)
