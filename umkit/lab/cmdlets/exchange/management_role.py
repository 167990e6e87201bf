"""Management roles, which role groups and assignments name.

Their own cmdlets are not among those that the reference has.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from umkit.lab.shapes import CONFIGURATION_OBJECT, Shape, flag, text

if TYPE_CHECKING:
    from umkit.lab.organisation import Organisation

SHAPE = Shape(
    noun="ManagementRole",
    types=("Microsoft.Exchange.Data.Directory.SystemConfiguration.ExchangeRole", *CONFIGURATION_OBJECT),
    properties=(text("RoleType"), flag("IsRootRole", True), flag("IsEndUserRole")),
    container="CN=Roles,CN=RBAC,{organisation}",
    category="ms-Exch-Role",
    classes=("top", "msExchRole"),
    version="0.11 (14.0.550.0)",
)
#: A part of the roles that setup makes; that of impersonation is the one that matters here.
_NAMES = (
    *("ApplicationImpersonation", "Database Copies", "Databases", "Disaster Recovery", "Exchange Connectors"),
    *("Exchange Servers", "Exchange Virtual Directories", "Mail Recipient Creation", "Mail Recipients"),
    *("Mailbox Import Export", "Mailbox Search", "Message Tracking", "Monitoring", "Organization Client Access"),
    *("Organization Configuration", "Organization Transport Settings", "POP3 And IMAP4 Protocols", "Public Folders"),
    *("Receive Connectors", "Recipient Policies", "Remote and Accepted Domains", "Role Management"),
    *("Security Group Creation and Membership", "Send Connectors", "Transport Agents", "Transport Hygiene"),
    *("Transport Queues", "Transport Rules", "User Options", "View-Only Configuration", "View-Only Recipients"),
)


def built_in(organisation: Organisation) -> Iterable[dict[str, Any]]:
    """The roles."""
    for name in _NAMES:
        yield {"Name": name, "RoleType": name.replace(" ", "").replace("-", "")}
