"""The organisation's configuration: Get-OrganizationConfig.

Property names as in a real Exchange 2019 object. MimeTypes is left empty: the
real list has some hundred entries and nothing reads it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from umkit.lab.shapes import PRESENTATION_OBJECT, Property, Shape, flag, many, number, text

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.organisation import Organisation

_ON = """
ActivityBasedAuthenticationTimeoutEnabled ActivityBasedAuthenticationTimeoutWithSingleSignOnEnabled
AppsForOfficeEnabled ExchangeNotificationEnabled MailTipsAllTipsEnabled MailTipsGroupMetricsEnabled
MailTipsMailboxSourcedTipsEnabled MicrosoftExchangeRecipientEmailAddressPolicyEnabled MapiHttpEnabled
LinkPreviewEnabled ConnectorsEnabled ConnectorsActionableMessagesEnabled SmtpActionableMessagesEnabled
UnblockUnsafeSenderPromptEnabled AsyncSendEnabled IsAgendaMailEnabled BookingsEnabled IsAddressListPagingEnabled
MitigationsEnabled AllowToAddGuests GuestsEnabled GroupsCreationEnabled
"""
_OFF = """
PublicFoldersLockedForMigration PublicFolderMigrationComplete PublicFolderMailboxesLockedForNewConnections
PublicFolderMailboxesMigrationComplete PublicFolderShowClientControl CustomerFeedbackEnabled ElcProcessingDisabled
AutoExpandingArchiveEnabled MailTipsExternalRecipientsTipsEnabled ForwardSyncLiveIdBusinessInstance
ReadTrackingEnabled IsExcludedFromOnboardMigration IsExcludedFromOffboardMigration IsFfoMigrationInProgress
IsProcessEhaMigratedMessagesEnabled TenantRelocationsAllowed ACLableSyncedObjectEnabled
PublicComputersDetectionEnabled IntuneManagedStatus AzurePremiumSubscriptionStatus RealTimeLogServiceEnabled
CustomerLockboxEnabled OAuth2ClientProfileEnabled PerTenantSwitchToESTSEnabled OfficeGraphActivitySharingOrgOptout
RefreshSessionEnabled LeanPopoutEnabled IsMixedMode IsLicensingEnforced IsTenantAccessBlocked IsTenantInGracePeriod
IsDehydrated IsGuidPrefixedLegacyDnDisabled IsMailboxForcedReplicationDisabled IsUpgradingOrganization
IsUpdatingServicePlan MailboxDataEncryptionEnabled EmptyAddressBookForNonExchangeUsers EnableDownloadDomains
EnableAuthAdminReadSession EnableOrgWidePermissionOnScopedRoles UseIcsSyncStateStreaming
DirectReportsGroupAutoCreationEnabled HiddenMembershipGroupsCreationEnabled EndUserDLUpgradeFlowsDisabled
"""
_UNSET = """
DefaultPublicFolderAgeLimit AVAuthenticationService DistributionGroupDefaultOU EwsAllowEntourage EwsAllowList
EwsAllowMacOutlook EwsAllowOutlook EwsApplicationAccessPolicy EwsBlockList EwsEnabled HierarchicalAddressBookRoot
MicrosoftExchangeRecipientReplyRecipient SIPAccessService SIPSessionBorderController MaxAddressBookPolicies
MaxOfflineAddressBooks ReleaseTrack CompassEnabled SharePointUrl ForeignForestOrgAdminUSGSid
ForeignForestRecipientAdminUSGSid ForeignForestViewOnlyAdminUSGSid AdfsIssuer AdfsEncryptCertificateThumbprint
SiteMailboxCreationURL DefaultDataEncryptionPolicy DefaultMailboxRegion DefaultMailboxRegionLastUpdateTime
GroupsCreationWhitelistedId GroupsUsageGuidelinesLink GroupsNamingPolicy DataClassifications ServiceInstanceMove
GuestsUsageGuidelinesLink FocusedInboxOn
"""
_EMPTY = """
DistributionGroupNamingPolicy ManagedFolderHomepage NetworkThrottlingConfiguration OrganizationConfigHash DisplayName
RootPublicFolderMailbox ServicePlan TargetServicePlan WACDiscoveryEndpoint AdfsAuthenticationConfiguration
ForestConfigVersion
"""
_LISTS = """
DistributionGroupNameBlockedWordsList IPListBlocked ExchangeNotificationRecipients
MicrosoftExchangeRecipientEmailAddresses OrganizationSummary Heuristics ResourceAddressLists ForeignForestFQDN
MimeTypes RemotePublicFolderMailboxes UMAvailableLanguages AdfsAudienceUris AdfsSignCertificateThumbprints
AllowedMailboxRegions InPlaceHolds
"""
_TEXTS = {
    "DefaultPublicFolderIssueWarningQuota": "Unlimited",
    "DefaultPublicFolderProhibitPostQuota": "Unlimited",
    "DefaultPublicFolderMaxItemSize": "Unlimited",
    "DefaultPublicFolderDeletedItemRetention": "30.00:00:00",
    "DefaultPublicFolderMovedItemRetention": "7.00:00:00",
    "PublicFoldersEnabled": "Local",
    "ActivityBasedAuthenticationTimeoutInterval": "06:00:00",
    "Industry": "NotSpecified",
    "MicrosoftExchangeRecipientPrimarySmtpAddress": "",
    "MaxConcurrentMigrations": "Unlimited",
    "RmsoSubscriptionStatus": "Unknown",
    "HybridConfigurationStatus": "Unknown",
    "LegacyExchangeDN": "",
    "PreviousAdminDisplayVersion": "0.10 (14.0.100.0)",
    "RBACConfigurationVersion": "",
    "AdminDisplayVersion": "0.20 (15.1.0.0)",
    "DefaultAuthenticationPolicy": "OrgWideDefault",
}
_NUMBERS = {
    "ObjectVersion": 16762,
    "SCLJunkThreshold": 4,
    "PreferredInternetCodePageForShiftJis": 0,
    "RequiredCharsetCoverage": 100,
    "ByteEncoderTypeFor7BitCharsets": 0,
}


def _properties() -> Iterable[Property]:
    for names, make in ((_ON, lambda name: flag(name, True)), (_OFF, flag), (_UNSET, text), (_LISTS, many)):
        yield from map(make, names.split())
    yield from (text(name, "") for name in _EMPTY.split())
    yield from (text(name, value) for name, value in _TEXTS.items())
    yield from (number(name, value) for name, value in _NUMBERS.items())
    yield number("MailTipsLargeAudienceThreshold", 25, kind="U32")
    # The time "never".
    yield from (
        Property(f"{name}Time", "DT", "0001-01-01T00:00:00")
        for name in ("FocusedInboxOnLastUpdate", "ForestConfigLastRun")
    )


SHAPE = Shape(
    noun="OrganizationConfig",
    types=("Microsoft.Exchange.Data.Directory.Management.OrganizationConfig", *PRESENTATION_OBJECT),
    properties=tuple(_properties()),
    container="CN=Microsoft Exchange,CN=Services,CN=Configuration,{domain}",
    category="ms-Exch-Organization-Container",
    classes=("top", "container", "msExchOrganizationContainer"),
    version="2.0 (15.0.0.0)",
    presentation=True,
)


def built_in(organisation: Organisation) -> Iterable[dict[str, Any]]:
    """The one configuration."""
    version = organisation.exchange_servers[0].version
    major, _, build = version.removeprefix("Version ").removesuffix(")").partition(" (Build ")
    yield {
        "Name": organisation.name,
        "LegacyExchangeDN": f"/o={organisation.name}",
        "RBACConfigurationVersion": f"0.1 ({major}.{build})",
    }


def get_organization_config(call: Call) -> None:
    """Show the organisation's configuration."""
    for entry in call.all():
        call.emit(entry)
