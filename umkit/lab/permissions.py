"""Who may do what with a directory object: its access control entries.

One entry is (trustee, right, allow or deny, inherited or not). What is kept
are the entries that somebody added; those that the organisation hands down
and those that a connector's permission groups stand for are worked out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from umkit.lab import principals

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.store import Entry

#: The extended rights that the lab knows, as Exchange prints them; the list is a part of the real one (?).
RIGHTS = (
    *(
        "Send-As",
        "Receive-As",
        "User-Force-Change-Password",
        "ms-Exch-EPI-Impersonation",
        "ms-Exch-EPI-May-Impersonate",
    ),
    *("ms-Exch-EPI-Token-Serialization", "ms-Exch-Store-Admin", "ms-Exch-Store-Create-Named-Properties"),
    *("ms-Exch-Store-Visible", "ms-Exch-Store-Transport-Access", "ms-Exch-Store-Constrained-Delegation"),
    *("ms-Exch-Store-Read-Access", "ms-Exch-Store-Read-Write-Access"),
    *("ms-Exch-SMTP-Submit", "ms-Exch-SMTP-Accept-Any-Recipient", "ms-Exch-SMTP-Accept-Any-Sender"),
    *("ms-Exch-SMTP-Accept-Authoritative-Domain-Sender", "ms-Exch-SMTP-Accept-Authentication-Flag"),
    *("ms-Exch-SMTP-Accept-Exch50", "ms-Exch-SMTP-Send-Exch50", "ms-Exch-SMTP-Accept-XShadow"),
    *("ms-Exch-Accept-Headers-Routing", "ms-Exch-Accept-Headers-Organization", "ms-Exch-Accept-Headers-Forest"),
    *("ms-Exch-Send-Headers-Routing", "ms-Exch-Send-Headers-Organization", "ms-Exch-Send-Headers-Forest"),
    *("ms-Exch-Bypass-Anti-Spam", "ms-Exch-Bypass-Message-Size-Limit"),
)
_SUBMIT = ("ms-Exch-SMTP-Submit", "ms-Exch-Accept-Headers-Routing")
_ANY_SENDER = ("ms-Exch-SMTP-Accept-Any-Sender", "ms-Exch-SMTP-Accept-Authoritative-Domain-Sender")
_TRUSTED = ("ms-Exch-SMTP-Accept-Any-Recipient", "ms-Exch-Bypass-Anti-Spam")
#: Permission group → trustees and rights. That of AnonymousUsers is documented (reference/exchange.md §3 b), the
#: others are (?). A trustee is a SID or the name of one of Exchange's own groups.
_GROUPS = {
    "AnonymousUsers": ((principals.ANONYMOUS,), (*_SUBMIT, *_ANY_SENDER)),
    "ExchangeUsers": ((principals.AUTHENTICATED,), (*_SUBMIT, *_TRUSTED)),
    "ExchangeServers": (
        ("Exchange Servers", principals.HUB_SERVERS, principals.EDGE_SERVERS, principals.SECURED_SERVERS),
        (*_SUBMIT, *_ANY_SENDER, *_TRUSTED, "ms-Exch-SMTP-Accept-Authentication-Flag"),
    ),
    "ExchangeLegacyServers": ((principals.LEGACY_SERVERS,), (*_SUBMIT, *_ANY_SENDER, *_TRUSTED)),
    "Partners": ((principals.PARTNERS,), _SUBMIT),
}


@dataclass(frozen=True)
class Ace:
    """One access control entry with one right.

    Arguments:
        sid: the trustee's SID.
        user: the trustee as it is shown.
        right: the extended right.
        deny: whether it denies.
        inherited: whether it comes from a container.
        entry: what the store has of it; None where it is worked out.
    """

    sid: str
    user: str
    right: str
    deny: bool = False
    inherited: bool = False
    entry: Entry | None = None


def trustee(call: Call, wanted: str) -> principals.Principal:
    """The principal of a SID, or of one of Exchange's own groups by name."""
    everyone = principals.everyone(call.organisation, [*call.all("User"), *call.all("Group")])
    return next(each for each in everyone if wanted in (each.sid, each.login.rpartition("\\")[2]))


def denied_everywhere(call: Call) -> list[principals.Principal]:
    """Who is denied Send-As and Receive-As on the whole organisation (reference/exchange.md §3 h).

    The account that installed Exchange is taken to be the domain's Administrator.
    """
    domain = call.organisation.sid
    wanted = (f"{domain}-500", f"{domain}-512", f"{domain}-519", "Organization Management")
    return [trustee(call, each) for each in wanted]


def explicit(call: Call, target: Entry) -> list[Ace]:
    """The entries that were added to an object."""
    return [
        Ace(values["Sid"], values["User"], right, values["Deny"], False, entry)
        for entry in call.all("ADPermission")
        for values in [entry.values]
        if values["Target"] == str(target.guid)
        for right in values["ExtendedRights"]
    ]


def of_groups(call: Call, target: Entry) -> Iterator[Ace]:
    """The entries that a receive connector's permission groups stand for."""
    if target.noun != "ReceiveConnector":
        return
    for group in target.values["PermissionGroups"].split(", "):
        trustees, rights = _GROUPS.get(group, ((), ()))
        for each in trustees:
            who = trustee(call, each)
            yield from (Ace(who.sid, who.login, right) for right in rights)


def inherited(call: Call, target: Entry) -> Iterator[Ace]:
    """The entries that the organisation and its servers hand down."""
    if target.noun in ("User", "Group"):
        return
    for who in denied_everywhere(call):
        yield from (Ace(who.sid, who.login, right, True, True) for right in ("Send-As", "Receive-As"))
    if target.noun in ("ReceiveConnector", "ExchangeServer"):
        who = trustee(call, "Exchange Servers")
        yield Ace(who.sid, who.login, "Receive-As", True, True)


def aces(call: Call, target: Entry) -> list[Ace]:
    """Every entry of an object, its own first; one that was added and that a group stands for is there once."""
    own = explicit(call, target)
    known = {(each.sid, each.right, each.deny) for each in own}
    grouped = [each for each in of_groups(call, target) if (each.sid, each.right, each.deny) not in known]
    return [*own, *grouped, *inherited(call, target)]


def has_custom_rights(call: Call, connector: Entry) -> bool:
    """Whether a connector has rights beyond its permission groups, which shows as Custom among them."""
    grouped = {(each.sid, each.right, each.deny) for each in of_groups(call, connector)}
    return any((each.sid, each.right, each.deny) not in grouped for each in explicit(call, connector))
