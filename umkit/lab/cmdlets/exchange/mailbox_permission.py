"""Rights on mailboxes: Get-MailboxPermission.

The rows that every on-premises mailbox shows, and the full access that
Receive-As on the mailbox's database gives (reference/exchange.md §3 h).
Rights that are added to a single mailbox are not simulated.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from umkit.lab import permissions, principals
from umkit.lab.objects import Complex, Node, Scalar, texts
from umkit.lab.shapes import collection

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.store import Entry

_TASKS = "Microsoft.Exchange.Management.RecipientTasks."
_TYPES = (
    _TASKS + "MailboxAcePresentationObject",
    _TASKS + "AcePresentationObject",
    "Microsoft.Exchange.Data.ConfigurableObject",
    "System.Object",
)
_FULL = ("FullAccess",)
_MANAGE = ("DeleteItem", "ReadPermission", "ChangePermission", "ChangeOwner")
#: Trustee, rights, deny, inherited.
_Row = tuple[principals.Principal, tuple[str, ...], bool, bool]


def _rows(call: Call, mailbox: Entry) -> Iterator[_Row]:
    def who(wanted: str) -> principals.Principal:
        return permissions.trustee(call, wanted)

    yield who(principals.SELF), ("FullAccess", "ReadPermission"), False, False
    database = call.find(mailbox.values["Database"], "MailboxDatabase")
    for ace in permissions.explicit(call, database):
        if ace.right == "Receive-As":
            yield who(ace.sid), _FULL, ace.deny, True
    denied = permissions.denied_everywhere(call)
    yield from ((each, _FULL, True, True) for each in denied)
    yield from ((each, (*_FULL, *_MANAGE), False, True) for each in denied)
    yield who(principals.SYSTEM), _FULL, False, True
    yield who("Exchange Servers"), ("FullAccess", "ReadPermission"), False, True
    yield who("Exchange Trusted Subsystem"), _MANAGE, False, True
    yield who(principals.NETWORK_SERVICE), ("ReadPermission",), False, True
    yield who("Managed Availability Servers"), ("ReadPermission",), False, True


def get_mailbox_permission(call: Call) -> None:
    """List the rights on a mailbox, or those of one trustee."""
    call.simulates("Identity", "User", "ResultSize", "ReadFromDomainController")
    mailbox = call.find(call.get("Identity"), "Mailbox")
    wanted = principals.find(call, call.get("User")) if call.get("User") is not None else None
    identity = call.shape("Mailbox").identity_of(mailbox.values)
    for who, rights, deny, inherited in _rows(call, mailbox):
        if wanted is not None and who.sid != wanted.sid:
            continue
        nodes: dict[str, Node] = {
            "AccessRights": texts(rights, collection()),
            "Deny": Scalar("B", deny),
            "InheritanceType": Scalar("S", "All"),
            "User": Scalar("S", who.login),
            "Identity": Scalar("S", identity),
            "IsInherited": Scalar("B", inherited),
            "IsValid": Scalar("B", True),
            "ObjectState": Scalar("S", "Unchanged"),
        }
        call.output(Complex(_TYPES, identity, nodes))
