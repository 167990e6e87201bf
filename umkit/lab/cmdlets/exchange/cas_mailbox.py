"""Protocol settings of mailboxes: Get- and Set-CASMailbox.

Names are the parameters' of Set-CASMailbox, defaults from its page where it
has any; no dump of a real one was found, so the property list is (?).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from umkit.lab import filters, records
from umkit.lab.cmdlets.exchange.user import KEYS, PRESENTATION
from umkit.lab.shapes import Property, Shape, collection, flag, many, text

if TYPE_CHECKING:
    from umkit.lab.call import Call

_ADDRESSES = ("Microsoft.Exchange.Data.ProxyAddressCollection", *collection("ProxyAddress"))

SHAPE = Shape(
    noun="CASMailbox",
    types=("Microsoft.Exchange.Data.Directory.Management.CASMailbox", *PRESENTATION),
    properties=(
        Property("EmailAddresses", "LST", [], _ADDRESSES),
        text("LegacyExchangeDN"),
        text("LinkedMasterAccount", ""),
        text("PrimarySmtpAddress", ""),
        text("SamAccountName"),
        text("ServerLegacyDN"),
        text("ServerName"),
        text("DisplayName", ""),
        flag("ActiveSyncEnabled", True),
        many("ActiveSyncAllowedDeviceIDs"),
        many("ActiveSyncBlockedDeviceIDs"),
        text("ActiveSyncMailboxPolicy", "Default"),
        flag("HasActiveSyncDevicePartnership"),
        flag("OWAEnabled", True),
        flag("OWAforDevicesEnabled", True),
        text("OwaMailboxPolicy"),
        flag("ECPEnabled", True),
        flag("PopEnabled", True),
        flag("PopUseProtocolDefaults", True),
        text("PopMessagesRetrievalMimeFormat", "BestBodyFormat"),
        flag("PopEnableExactRFC822Size"),
        flag("ImapEnabled", True),
        flag("ImapUseProtocolDefaults", True),
        text("ImapMessagesRetrievalMimeFormat", "BestBodyFormat"),
        flag("ImapEnableExactRFC822Size"),
        flag("ImapSuppressReadReceipt"),
        flag("ImapForceICalForCalendarRetrievalOption"),
        flag("MAPIEnabled", True),
        flag("MapiHttpEnabled", None),
        flag("MAPIBlockOutlookNonCachedMode"),
        text("MAPIBlockOutlookVersions", ""),
        flag("MAPIBlockOutlookRpcHttp"),
        flag("EwsEnabled", None),
        flag("EwsAllowOutlook", None),
        flag("EwsAllowMacOutlook", None),
        flag("EwsAllowEntourage", None),
        text("EwsApplicationAccessPolicy"),
        many("EwsAllowList"),
        many("EwsBlockList"),
    ),
    container="{Parent}",
    category="Person",
    classes=("top", "person", "organizationalPerson", "user"),
    version="0.20 (15.0.0.0)",
    identity="{OrganizationalUnit}/{Name}",
    presentation=True,
    keys=KEYS,
    stored_as="User",
    marker="MailboxEnabled",
)
_CHANGEABLE = tuple(
    each.name
    for each in SHAPE.properties
    if each.name.startswith(("ActiveSyncEnabled", "OWA", "ECP", "Pop", "Imap", "MAPI", "Mapi", "Ews"))
)


def get_cas_mailbox(call: Call) -> None:
    """List the protocol settings of the mailboxes."""
    call.simulates("Identity", "Filter", "ResultSize", "ReadFromDomainController")
    call.emit_all(filters.chosen(call, call.wanted()), "CASMailbox")


def set_cas_mailbox(call: Call) -> None:
    """Change a mailbox's protocol settings."""
    call.simulates("Identity", *_CHANGEABLE)
    entry = call.find(call.get("Identity"))
    changes = call.changes(entry)
    for protocol in ("Imap", "Pop"):
        format_, defaults = f"{protocol}MessagesRetrievalMimeFormat", f"{protocol}UseProtocolDefaults"
        if format_ in changes and ({**entry.values, **changes})[defaults]:
            # That the format needs it is documented; exception and wording are (?).
            message = f"{format_} can be set only if {defaults} is $false."
            raise records.TaskRefusal(records.INVALID_OPERATION, message)
    call.update(entry, changes)
