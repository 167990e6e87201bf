"""Accepted domains: Get-AcceptedDomain.

Properties as in a real Exchange 2019 object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from umkit.lab.shapes import CONFIGURATION_OBJECT, Shape, flag, text

if TYPE_CHECKING:
    from umkit.lab.call import Call

SHAPE = Shape(
    noun="AcceptedDomain",
    types=("Microsoft.Exchange.Data.Directory.SystemConfiguration.AcceptedDomain", *CONFIGURATION_OBJECT),
    properties=(
        text("DomainName"),
        text("CatchAllRecipientID"),
        text("DomainType", "Authoritative"),
        flag("MatchSubDomains"),
        flag("AddressBookEnabled", True),
        flag("Default"),
        flag("EmailOnly"),
        flag("ExternallyManaged"),
        text("AuthenticationType"),
        text("LiveIdInstanceType"),
        flag("PendingRemoval"),
        flag("PendingCompletion"),
        text("FederatedOrganizationLink"),
        text("MailFlowPartner"),
        flag("OutboundOnly"),
        flag("PendingFederatedAccountNamespace"),
        flag("PendingFederatedDomain"),
        flag("IsCoexistenceDomain"),
        flag("PerimeterDuplicateDetected"),
        flag("IsDefaultFederatedDomain"),
        flag("EnableNego2Authentication"),
        flag("InitialDomain"),
    ),
    container="CN=Accepted Domains,CN=Transport Settings,{organisation}",
    category="ms-Exch-Accepted-Domain",
    classes=("top", "msExchAcceptedDomain"),
    version="0.20 (15.0.0.0)",
)


def get_accepted_domain(call: Call) -> None:
    """List the accepted domains."""
    for entry in call.wanted():
        call.emit(entry)
