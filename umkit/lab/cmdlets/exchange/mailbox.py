"""Mailboxes: Get-, New-, Set-, Enable- and Disable-Mailbox.

Types, property names and forms as in a real capture of Get-Mailbox over the
wire (reference/exchange.md §2.2); which names it does not list are those of
Set-Mailbox's parameters. A mailbox is a view of its user's directory object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from umkit.lab import filters, quantities, records
from umkit.lab.cmdlets.exchange.user import KEYS, PRESENTATION, mailbox, next_sid, placed
from umkit.lab.model import LabSecret
from umkit.lab.shapes import Property, Shape, collection, flag, many, number, text

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.store import Entry

_MANAGEMENT = "Microsoft.Exchange.Data.Directory.Management."
_ADDRESSES = ("Microsoft.Exchange.Data.ProxyAddressCollection", *collection("ProxyAddress"))
_SENDERS = """
AcceptMessagesOnlyFrom AcceptMessagesOnlyFromDLMembers AcceptMessagesOnlyFromSendersOrMembers
BypassModerationFromSendersOrMembers GrantSendOnBehalfTo ModeratedBy RejectMessagesFrom RejectMessagesFromDLMembers
RejectMessagesFromSendersOrMembers
"""
_UNSET = """
ForwardingAddress ForwardingSmtpAddress RetentionPolicy AddressBookPolicy ArchiveDatabase OfflineAddressBook
ResourceType UsageLocation SCLDeleteThreshold SCLRejectThreshold SCLQuarantineThreshold SCLJunkThreshold
LitigationHoldDate ManagedFolderMailboxPolicy SharingPolicy QueryBaseDN UnifiedMailbox
"""

SHAPE = Shape(
    noun="Mailbox",
    types=(
        _MANAGEMENT + "Mailbox",
        _MANAGEMENT + "MailEnabledOrgPerson",
        _MANAGEMENT + "MailEnabledRecipient",
        *PRESENTATION,
    ),
    properties=(
        text("Database"),
        flag("UseDatabaseRetentionDefaults", True),
        flag("RetainDeletedItemsUntilBackup"),
        flag("DeliverToMailboxAndForward"),
        flag("LitigationHoldEnabled"),
        flag("SingleItemRecoveryEnabled"),
        flag("RetentionHoldEnabled"),
        text("LitigationHoldDuration", "Unlimited"),
        flag("CalendarVersionStoreDisabled"),
        *(text(name) for name in _UNSET.split()),
        Property("ExchangeGuid", "G"),
        text("AdminDisplayVersion"),
        flag("UseDatabaseQuotaDefaults", True),
        text("IssueWarningQuota", "Unlimited"),
        text("ProhibitSendQuota", "Unlimited"),
        text("ProhibitSendReceiveQuota", "Unlimited"),
        text("RecoverableItemsQuota", "30 GB (32,212,254,720 bytes)"),
        text("RecoverableItemsWarningQuota", "20 GB (21,474,836,480 bytes)"),
        text("RulesQuota", "256 KB (262,144 bytes)"),
        text("RetainDeletedItemsFor", "14.00:00:00"),
        flag("IsMailboxEnabled", True),
        text("ExternalOofOptions", "External"),
        text("ExchangeUserAccountControl", "None"),
        flag("IsLinked"),
        flag("IsShared"),
        text("LinkedMasterAccount", ""),
        flag("ResetPasswordOnNextLogon"),
        text("RoleAssignmentPolicy", "Default Role Assignment Policy"),
        text("SamAccountName"),
        text("ServerLegacyDN"),
        text("ServerName"),
        text("UserPrincipalName"),
        # The name of the policy, or null when it is not set: the form is (?).
        text("ThrottlingPolicy"),
        text("RecipientLimits", "Unlimited"),
        text("MaxSendSize", "Unlimited"),
        text("MaxReceiveSize", "Unlimited"),
        text("ArchiveStatus", "None"),
        text("ArchiveState", "None"),
        text("RemoteRecipientType", "None"),
        text("MailboxMoveStatus", "None"),
        text("MailboxMoveFlags", "None"),
        flag("AntispamBypassEnabled"),
        flag("AuditEnabled"),
        text("AuditLogAgeLimit", "90.00:00:00"),
        many("Languages"),
        text("Office", ""),
        flag("AccountDisabled"),
        text("OrganizationalUnit"),
        *(many(name, "Directory.ADObjectId") for name in _SENDERS.split()),
        text("Alias"),
        *(text(f"CustomAttribute{at}", "") for at in range(1, 16)),
        text("DisplayName", ""),
        Property("EmailAddresses", "LST", [], _ADDRESSES),
        flag("EmailAddressPolicyEnabled"),
        flag("HiddenFromAddressListsEnabled"),
        text("LegacyExchangeDN"),
        flag("ModerationEnabled"),
        text("PrimarySmtpAddress", ""),
        text("RecipientType", "User"),
        text("RecipientTypeDetails", "User"),
        flag("RequireSenderAuthenticationEnabled"),
        text("SimpleDisplayName", ""),
        text("SendModerationNotifications", "Always"),
        text("WindowsEmailAddress", ""),
        number("MaxSafeSenders"),
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

#: Parameters of Set-Mailbox that the lab takes; a further one is refused by name.
_CHANGEABLE = (
    *("ThrottlingPolicy", "DisplayName", "HiddenFromAddressListsEnabled", "Office", "SimpleDisplayName"),
    *("EmailAddressPolicyEnabled", "UseDatabaseQuotaDefaults", "ProhibitSendQuota", "ProhibitSendReceiveQuota"),
    *("IssueWarningQuota", "RecipientLimits", "MaxSendSize", "MaxReceiveSize", "AuditEnabled"),
    *(f"CustomAttribute{at}" for at in range(1, 16)),
)


def throttling_policy(call: Call) -> str | None:
    """The name of the policy that ``-ThrottlingPolicy`` gives.

    What a null does is (?): an option of the organisation says whether it clears the assignment or is refused.
    """
    wanted = call.get("ThrottlingPolicy")
    if wanted is not None:
        return call.find(wanted, "ThrottlingPolicy").name
    if call.organisation.options.null_throttling_policy == "refused":
        raise records.TaskRefusal(records.INVALID_OPERATION, "ThrottlingPolicy can't be null.")
    return None


def one(call: Call, identity: str) -> Entry:
    """The mailbox of an identity; the other wording of "not found" that mailboxes have is not simulated."""
    return call.find(identity, "Mailbox")


def get_mailbox(call: Call) -> None:
    """List the mailboxes, of one database or server where it is named."""
    call.simulates(
        *("Identity", "Database", "Server", "Filter", "RecipientTypeDetails", "ResultSize", "ReadFromDomainController")
    )
    entries = call.wanted()
    if call.get("Database") is not None:
        database = call.find(call.get("Database"), "MailboxDatabase").name
        entries = [each for each in entries if each.values["Database"] == database]
    if call.get("Server") is not None:
        server = call.find(call.get("Server"), "ExchangeServer").name.lower()
        entries = [each for each in entries if each.values["ServerName"] == server]
    kinds = call.get("RecipientTypeDetails")
    if kinds:
        entries = [each for each in entries if each.values["RecipientTypeDetails"] in kinds]
    call.emit_all(filters.chosen(call, entries), "Mailbox")


def _database(call: Call) -> str:
    """The database of a new mailbox; Exchange chooses one that may be provisioned, the lab the first by name."""
    if call.get("Database") is not None:
        return call.find(call.get("Database"), "MailboxDatabase").name
    able = [each for each in call.all("MailboxDatabase") if not each.values["IsExcludedFromProvisioning"]]
    if not able:
        raise records.TaskRefusal(records.INVALID_OPERATION, "No mailbox database is available for provisioning.")
    return min(each.name for each in able)


def _parent(call: Call) -> str:
    """The container of a new user below the domain, by canonical or distinguished name."""
    unit = call.get("OrganizationalUnit")
    domain = call.organisation.domain
    if unit is None:
        return "CN=Users"
    tail = "," + call.organisation.names["domain"].lower()
    if unit.lower().endswith(tail):
        return str(unit[: -len(tail)])
    path = unit[len(domain) + 1 :] if unit.lower().startswith(domain.lower() + "/") else unit
    names = [name for name in reversed(path.split("/")) if name]
    parent = ",".join("CN=Users" if name.lower() == "users" else f"OU={name}" for name in names)
    known = {each.values["Parent"].lower() for noun in ("User", "Group") for each in call.all(noun)}
    if f"{parent}{tail}".lower() not in known:
        # Only the units that hold something are known here.
        raise records.not_found(unit, call.controller)
    return parent


def _password(call: Call) -> None:
    """Check a new account's password and forget it: nothing of it is kept. Length and wording are (?)."""
    secret = call.get("Password")
    if not isinstance(secret, LabSecret) or len(secret.reveal()) < 8:
        raise records.TaskRefusal(
            "Microsoft.Exchange.Data.Directory.ADInvalidPasswordException",
            "The password doesn't comply with the password complexity requirements of the domain.",
        )


def _unused(call: Call, **wanted: str) -> None:
    """Refuse a name that another user or group has; exception and wording are (?)."""
    for noun in ("User", "Group"):
        for entry in call.all(noun):
            for name, value in wanted.items():
                if str(entry.values.get(name) or "").lower() == value.lower():
                    raise records.TaskRefusal(
                        "Microsoft.Exchange.Data.Directory.Recipient.ProxyAddressExistsException"
                        if name == "PrimarySmtpAddress"
                        else records.EXISTS,
                        f"The value \"{value}\" of property '{name}' is used by recipient object "
                        f'"{call.shape(noun).identity_of(entry.values)}". Please specify a unique value.',
                    )


def new_mailbox(call: Call) -> None:
    """Create a user with a mailbox; other kinds of mailbox are not simulated."""
    call.simulates(
        *("Name", "Password", "UserPrincipalName", "Database", "OrganizationalUnit", "Alias", "SamAccountName"),
        *("DisplayName", "FirstName", "LastName", "PrimarySmtpAddress", "ResetPasswordOnNextLogon", "ThrottlingPolicy"),
    )
    name, principal = call.get("Name"), call.get("UserPrincipalName")
    try:
        quantities.smtp_address(principal or "")
    except ValueError as error:
        raise records.TaskRefusal(records.INVALID_OPERATION, f"UserPrincipalName: {error}") from None
    _password(call)
    # Without one it is made of the alias or the user principal name, up to 20 characters (?).
    sam = call.get("SamAccountName") or (call.get("Alias") or principal.partition("@")[0])[:20]
    alias = call.get("Alias") or principal.partition("@")[0]
    database = _database(call)
    values = placed(call.organisation, name, sam, next_sid(call.organisation), _parent(call))
    values |= mailbox(call.organisation, values, database, alias)
    values |= {"UserPrincipalName": principal, "DisplayName": call.get("DisplayName") or name}
    values |= {key: call.get(key) for key in ("FirstName", "LastName", "ResetPasswordOnNextLogon") if key in call}
    if "PrimarySmtpAddress" in call:
        address = call.get("PrimarySmtpAddress")
        values |= {"PrimarySmtpAddress": address, "WindowsEmailAddress": address}
        values["EmailAddresses"] = [f"SMTP:{address}"]
    if "ThrottlingPolicy" in call:
        values["ThrottlingPolicy"] = throttling_policy(call)
    _unused(call, SamAccountName=sam, UserPrincipalName=principal, PrimarySmtpAddress=values["PrimarySmtpAddress"])
    call.emit(call.create(values), "Mailbox")


def enable_mailbox(call: Call) -> None:
    """Give a user that is there a mailbox."""
    call.simulates("Identity", "Database", "Alias", "DisplayName", "PrimarySmtpAddress")
    entry = call.find(call.get("Identity"), "User")
    if entry.values.get("MailboxEnabled"):
        # Exception and wording are (?).
        identity = call.shape("User").identity_of(entry.values)
        raise records.TaskRefusal(
            "Microsoft.Exchange.Configuration.Tasks.RecipientTaskException",
            f"This task does not support recipients of this type. The specified recipient {identity} is of type "
            "UserMailbox. Please make sure that this recipient matches the required recipient type for this task.",
        )
    changes = mailbox(call.organisation, {**entry.values}, _database(call), call.get("Alias") or "")
    if "PrimarySmtpAddress" in call:
        address = call.get("PrimarySmtpAddress")
        changes |= {"PrimarySmtpAddress": address, "WindowsEmailAddress": address}
        changes["EmailAddresses"] = [f"SMTP:{address}"]
    if "DisplayName" in call:
        changes["DisplayName"] = call.get("DisplayName")
    _unused(call, PrimarySmtpAddress=changes["PrimarySmtpAddress"])
    if call.update(entry, changes):
        call.emit(one(call, call.shape("User").identity_of(entry.values)), "Mailbox")


def disable_mailbox(call: Call) -> None:
    """Take a user's mailbox away; the user stays."""
    call.simulates("Identity")
    entry = one(call, call.get("Identity"))
    gone: dict[str, Any] = dict(SHAPE.defaults())
    for kept in ("SamAccountName", "UserPrincipalName", "DisplayName", "OrganizationalUnit", "AccountDisabled"):
        gone[kept] = entry.values[kept]
    call.update(entry, gone | {"MailboxEnabled": False})


def set_mailbox(call: Call) -> None:
    """Change a mailbox."""
    call.simulates("Identity", *_CHANGEABLE)
    entry = one(call, call.get("Identity"))
    changes = call.changes(entry)
    if "ThrottlingPolicy" in call:
        changes["ThrottlingPolicy"] = throttling_policy(call)
    call.update(entry, changes)
