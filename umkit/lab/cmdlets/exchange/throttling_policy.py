"""Throttling policies: Get-, New-, Set- and Remove-ThrottlingPolicy.

Properties and values of the built-in Global policy as in a real Exchange 2013
object; what 2016 and 2019 add has its place and value (?). A limit is an
integer or Unlimited (reference/exchange.md §1, §3 f).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_DNS, uuid5

from umkit.lab import records
from umkit.lab.shapes import CONFIGURATION_OBJECT, Shape, flag, text

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.organisation import Organisation
    from umkit.lab.store import Entry

_U = "Unlimited"
_WORDS = ("MaxConcurrency", "MaxBurst", "RechargeRate", "CutoffBalance")
#: Workload → concurrency, burst, recharge rate and cut-off balance of the Global policy.
_BUDGETS = {
    "Anonymous": ("1", "120000", "420000", "720000"),
    "Eas": ("10", "480000", "1800000", "600000"),
    "Ews": ("27", "300000", "900000", "3000000"),
    "Imap": (_U, "3600000", "600000", _U),
    "OutlookService": ("27", "300000", "900000", "3000000"),
    "Owa": ("20", "480000", "1800000", _U),
    "OwaVoice": ("3", "75000", "375000", "525000"),
    "Pop": ("20", "3600000", "600000", _U),
    "PowerShell": ("18", _U, _U, _U),
    "Rca": ("40", "150000", "900000", _U),
    "Cpa": ("20", _U, _U, _U),
    "PushNotification": ("20", _U, _U, _U),
    "EncryptionSender": ("200", "4800000", "18000000", _U),
    "EncryptionRecipient": ("20", "480000", "1800000", _U),
    # From here on values are (?): the real object is of Exchange 2013.
    "BookingSelfService": (_U, _U, _U, _U),
    "Consensus": (_U, _U, _U, _U),
    "RcaShared": (_U, _U, _U, _U),
    "Schedules": (_U, _U, _U, _U),
    "Suite": (_U, _U, _U, _U),
}
#: Further limits of the Global policy.
_LIMITS = {
    **{"EasMaxDevices": "100", "EasMaxDeviceDeletesPerMonth": _U, "EasMaxInactivityForDeviceCleanup": _U},
    **{"EwsMaxSubscriptions": "5000", "EwsCostThreshold": _U, "OutlookServiceMaxSubscriptions": "5000"},
    **{"OutlookServiceMaxSocketConnectionsPerDevice": "4", "OutlookServiceMaxSocketConnectionsPerUser": "12"},
    **dict.fromkeys(
        ("PowerShellMaxTenantConcurrency", "PowerShellMaxOperations", "PowerShellMaxCmdletsTimePeriod"), _U
    ),
    **dict.fromkeys(("ExchangeMaxCmdlets", "PowerShellMaxCmdletQueueDepth", "PowerShellMaxDestructiveCmdlets"), _U),
    **dict.fromkeys(("PowerShellMaxDestructiveCmdletsTimePeriod", "PowerShellMaxCmdlets"), _U),
    **dict.fromkeys(("PowerShellMaxRunspaces", "PowerShellMaxTenantRunspaces", "PowerShellMaxRunspacesTimePeriod"), _U),
    **{"PswsMaxConcurrency": "18", "PswsMaxRequest": _U, "PswsMaxRequestTimePeriod": _U},
    **{"MessageRateLimit": _U, "RecipientRateLimit": _U, "ForwardeeLimit": _U},
    **{"DiscoveryMaxConcurrency": "2", "DiscoveryMaxMailboxes": "5000", "DiscoveryMaxKeywords": "500"},
    **{"DiscoveryMaxPreviewSearchMailboxes": "5000", "DiscoveryMaxStatsSearchMailboxes": "100"},
    **{"DiscoveryPreviewSearchResultsPageSize": "200", "DiscoveryMaxKeywordsPerPage": "25"},
    **{"DiscoveryMaxRefinerResults": "10", "DiscoveryMaxSearchQueueDepth": "32", "DiscoverySearchTimeoutPeriod": "10"},
    **{"PushNotificationMaxBurstPerDevice": "10", "PushNotificationRechargeRatePerDevice": "6"},
    **{"PushNotificationSamplingPeriodPerDevice": "600000"},
    **{"ComplianceMaxExpansionDGRecipients": "10000", "ComplianceMaxExpansionNestedDGs": "25"},
}
GLOBAL = {
    **{begin + word: value for begin, budget in _BUDGETS.items() for word, value in zip(_WORDS, budget, strict=True)},
    **_LIMITS,
}

SHAPE = Shape(
    noun="ThrottlingPolicy",
    types=("Microsoft.Exchange.Data.Directory.SystemConfiguration.ThrottlingPolicy", *CONFIGURATION_OBJECT),
    properties=(
        text("ThrottlingPolicyScope", "Regular"),
        flag("IsServiceAccount"),
        *(text(name) for name in GLOBAL),
        flag("IsLegacyDefault"),
        text("Diagnostics"),
    ),
    container="CN=Global Settings,{organisation}",
    category="ms-Exch-Throttling-Policy",
    classes=("top", "msExchGenericPolicy", "msExchThrottlingPolicy"),
    version="0.20 (15.0.0.0)",
)


def built_in(organisation: Organisation) -> Iterable[dict[str, Any]]:
    """The policy that holds for everyone to whom no other does."""
    number = uuid5(NAMESPACE_DNS, f"GlobalThrottlingPolicy.{organisation.domain}")
    yield {"Name": f"GlobalThrottlingPolicy_{number}", "ThrottlingPolicyScope": "Global", **GLOBAL}


def _refuse(message: str) -> records.TaskRefusal:
    """Wordings are the lab's own (?)."""
    return records.TaskRefusal(records.INVALID_OPERATION, message)


def _effective(call: Call, entry: Entry) -> Entry:
    """A policy with what it inherits; that only ``-Explicit`` shows the unset limits as null is (?)."""
    everyone = next(each for each in call.all() if each.values["ThrottlingPolicyScope"] == "Global")
    inherited = {name: everyone.values[name] for name in GLOBAL if entry.values[name] is None}
    return replace(entry, values={**entry.values, **inherited})


def get_throttling_policy(call: Call) -> None:
    """List the policies; with ``-Explicit`` without what they inherit from the Global one."""
    call.simulates("Identity", "Explicit", "ThrottlingPolicyScope")
    scope = call.get("ThrottlingPolicyScope")
    for entry in call.wanted():
        if scope is None or entry.values["ThrottlingPolicyScope"] == scope:
            call.emit(entry if call.get("Explicit") else _effective(call, entry))


def _changes(call: Call) -> dict[str, Any]:
    changes = call.changes()
    if changes.get("ThrottlingPolicyScope") == "Global":
        raise _refuse("ThrottlingPolicyScope Global is reserved for the built-in policy.")
    return changes


def new_throttling_policy(call: Call) -> None:
    """Create a policy; what is not given is inherited."""
    made = call.create(_changes(call))
    if made is not None:
        call.emit(_effective(call, made))


def set_throttling_policy(call: Call) -> None:
    """Change a policy that is not the built-in one."""
    entry = call.find(call.get("Identity"))
    if entry.values["ThrottlingPolicyScope"] == "Global":
        raise _refuse("The Global throttling policy can't be modified.")
    call.update(entry, _changes(call))


def remove_throttling_policy(call: Call) -> None:
    """Remove a policy that is not the built-in one and that nobody has; the second is (?)."""
    entry = call.find(call.get("Identity"))
    if entry.values["ThrottlingPolicyScope"] == "Global":
        raise _refuse("The Global throttling policy can't be removed.")
    if any(each.values["ThrottlingPolicy"] == entry.name for each in call.all("Mailbox")):
        raise _refuse(f"Throttling policy '{entry.name}' can't be removed because it is associated with users.")
    call.remove(entry)
