"""Who has which throttling policy: Get- and Set-ThrottlingPolicyAssociation.

Property names and the form of their values are (?): no dump of a real one was
found. Computers and contacts, which may have one too, are not simulated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from umkit.lab import records
from umkit.lab.cmdlets.exchange.mailbox import throttling_policy
from umkit.lab.cmdlets.exchange.user import KEYS, PRESENTATION
from umkit.lab.objects import Complex, Scalar
from umkit.lab.shapes import Shape, text

if TYPE_CHECKING:
    from umkit.lab.call import Call

SHAPE = Shape(
    noun="ThrottlingPolicyAssociation",
    types=("Microsoft.Exchange.Data.Directory.Management.ThrottlingPolicyAssociation", *PRESENTATION),
    properties=(text("ThrottlingPolicy"),),
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


def get_throttling_policy_association(call: Call) -> None:
    """List whose mailboxes have which policy; with ``-ThrottlingPolicy`` those that have that one."""
    if "Anr" in call:
        raise records.not_simulated("parameter Anr of Get-ThrottlingPolicyAssociation")
    entries = call.wanted()
    if call.get("ThrottlingPolicy") is not None:
        policy = call.find(call.get("ThrottlingPolicy"), "ThrottlingPolicy").name
        entries = [each for each in entries if each.values["ThrottlingPolicy"] == policy]
    for entry in entries:
        nodes = call.shape().nodes(call.organisation, entry, call.controller)
        policy_node = nodes.pop("ThrottlingPolicy", Scalar("S", None))
        identity = call.shape().identity_of(entry.values)
        named = {"ObjectId": Scalar("S", identity), "ThrottlingPolicyId": policy_node, **nodes}
        call.output(Complex(SHAPE.types, identity, named))


def set_throttling_policy_association(call: Call) -> None:
    """Give a mailbox a policy; without ``-ThrottlingPolicy`` nothing changes (?)."""
    entry = call.find(call.get("Identity"))
    changes = {"ThrottlingPolicy": throttling_policy(call)} if "ThrottlingPolicy" in call else {}
    call.update(entry, changes)
