"""Rights on directory objects: Get-, Add- and Remove-ADPermission.

One row a right, as real output has it: User as text, ExtendedRights as a
list (reference/exchange.md §2.4; on the plain wire (?)). Of the access rights
only ExtendedRight is simulated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from umkit.lab import permissions, principals, records
from umkit.lab.objects import Complex
from umkit.lab.permissions import Ace
from umkit.lab.shapes import Shape, flag, many, text
from umkit.lab.store import Entry

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.organisation import Organisation

_TASKS = "Microsoft.Exchange.Management.RecipientTasks."
#: What can have rights here.
_TARGETS = ("MailboxDatabase", "ReceiveConnector", "SendConnector", "ExchangeServer", "User", "Group")

SHAPE = Shape(
    noun="ADPermission",
    types=(
        _TASKS + "ADAcePresentationObject",
        _TASKS + "AcePresentationObject",
        "Microsoft.Exchange.Data.ConfigurableObject",
        "System.Object",
    ),
    properties=(
        many("AccessRights", default=("ExtendedRight",)),
        many("ExtendedRights", "Configuration.Tasks.ExtendedRightIdParameter"),
        many("ChildObjectTypes"),
        text("InheritedObjectType"),
        many("Properties"),
        flag("Deny"),
        text("InheritanceType", "All"),
        text("User"),
        flag("IsInherited"),
    ),
    container="{organisation}",
    category="",
    classes=(),
    bare=True,
    rank=9,
)


def complete(organisation: Organisation, values: dict[str, Any]) -> dict[str, Any]:
    """An entry in the file names its object and its trustee; the rest follows."""
    wanted, user = str(values.get("Identity") or ""), str(values["User"] or "")
    rights = [_right(organisation, each) for each in values["ExtendedRights"]]
    entries = [*organisation.directory.latest("User"), *organisation.directory.latest("Group")]
    who = next((each for each in principals.everyone(organisation, entries) if each.means(organisation, user)), None)
    for noun in _TARGETS:
        shape = organisation.shapes[noun]
        for entry in organisation.directory.latest(noun):
            if who is not None and shape.matches(organisation, entry, wanted):
                named = {"Identity": shape.identity_of(entry.values), "Target": str(entry.guid)}
                return values | named | {"User": who.login, "Sid": who.sid, "ExtendedRights": rights}
    raise records.not_found(wanted if who else user, organisation.controllers[0])


def _right(organisation: Organisation, value: str) -> str:
    """An extended right under the name that Exchange prints."""
    for known in permissions.RIGHTS:
        if known.lower() == value.lower():
            return known
    raise records.not_found(value, organisation.controllers[0])


def _target(call: Call) -> Entry:
    """The object of ``-Identity``, by distinguished name, GUID or name.

    A receive connector is not found by ``SERVER\\Name``: its distinguished name is what works in practice
    (reference/exchange.md §3 b); a name that several servers' connectors have is refused (wording (?)).
    """
    wanted = call.get("Identity").lower()
    found = []
    for noun in _TARGETS:
        shape = call.shape(noun)
        for entry in call.all(noun):
            names = (str(entry.guid), shape.distinguished_name(call.organisation, entry.values), entry.name)
            person = noun in ("User", "Group") and shape.matches(call.organisation, entry, wanted)
            if person or wanted in [each.lower() for each in names]:
                found.append(entry)
    if len(found) > 1:
        raise records.TaskRefusal(
            "Microsoft.Exchange.Configuration.Tasks.ManagementObjectAmbiguousException",
            f"The operation couldn't be performed because '{call.get('Identity')}' matches multiple entries.",
        )
    if not found:
        raise records.not_found(call.get("Identity"), call.controller)
    return found[0]


def _emit(call: Call, target: Entry, ace: Ace) -> None:
    shape = call.shape("ADPermission")
    own = {"ExtendedRights": [ace.right], "User": ace.user, "Deny": ace.deny, "IsInherited": ace.inherited}
    identity = call.shape(target.noun).identity_of(target.values)
    values = {**shape.defaults(), **own, "Name": identity, "Identity": identity}
    shown = Entry("ADPermission", target.guid, values, target.created, target.changed)
    call.output(Complex(shape.types, identity, shape.nodes(call.organisation, shown, call.controller)))


def _asked(call: Call) -> tuple[Entry, principals.Principal, list[str]]:
    """Object, trustee and rights of an Add- or a Remove-."""
    call.simulates("Identity", "User", "AccessRights", "ExtendedRights", "Deny", "InheritanceType")
    if "InheritanceType" in call and call.get("InheritanceType") != "All":
        raise records.not_simulated(f"InheritanceType {call.get('InheritanceType')}")
    if set(call.get("AccessRights") or ["ExtendedRight"]) != {"ExtendedRight"}:
        raise records.not_simulated("access rights other than ExtendedRight")
    if not call.get("ExtendedRights"):
        # Wording and exception are (?).
        raise records.TaskRefusal(records.INVALID_OPERATION, "You must specify at least one right.")
    target = _target(call)
    rights = [_right(call.organisation, each) for each in call.get("ExtendedRights")]
    return target, principals.find(call, call.get("User")), list(dict.fromkeys(rights))


def get_ad_permission(call: Call) -> None:
    """List the rights on an object, or those of one trustee."""
    call.simulates("Identity", "User")
    target = _target(call)
    who = principals.find(call, call.get("User")) if call.get("User") is not None else None
    for ace in permissions.aces(call, target):
        if who is None or ace.sid == who.sid:
            _emit(call, target, ace)


def add_ad_permission(call: Call) -> None:
    """Allow or deny rights; one that is there already gives a warning (wording (?))."""
    target, who, rights = _asked(call)
    deny = bool(call.get("Deny"))
    present = {(each.sid, each.right, each.deny) for each in permissions.aces(call, target) if not each.inherited}
    name = call.shape(target.noun).distinguished_name(call.organisation, target.values)
    if not call.should_process():
        return
    for right in rights:
        if (who.sid, right, deny) in present:
            call.warn(
                f'The appropriate access control entry is already present on the object "{name}" for account '
                f'"{who.login}".'
            )
        else:
            number, now = uuid4(), call.organisation.now()
            own = {"User": who.login, "Sid": who.sid, "ExtendedRights": [right], "Deny": deny}
            identity = call.shape(target.noun).identity_of(target.values)
            values = {**SHAPE.defaults(), **own, "Name": str(number), "Identity": identity, "Target": str(target.guid)}
            call.store.create(call.controller, Entry("ADPermission", number, values, now, now))
        _emit(call, target, Ace(who.sid, who.login, right, deny))


def remove_ad_permission(call: Call) -> None:
    """Take away rights that were added; one that is not there gives a warning (wording (?))."""
    target, who, rights = _asked(call)
    deny = bool(call.get("Deny"))
    own = permissions.explicit(call, target)
    grouped = {(each.sid, each.right, each.deny) for each in permissions.of_groups(call, target)}
    if not call.should_process():
        return
    for right in rights:
        found = [each.entry for each in own if (each.sid, each.right, each.deny) == (who.sid, right, deny)]
        if not found and (who.sid, right, deny) in grouped:
            raise records.not_simulated("removing a right that a permission group stands for")
        if not found:
            name = call.shape(target.noun).distinguished_name(call.organisation, target.values)
            call.warn(
                f'Can\'t remove the access control entry on the object "{name}" for account "{who.login}" because the '
                "ACE doesn't exist on the object."
            )
        for entry in found:
            if entry is not None:
                _shorten(call, entry, right)


def _shorten(call: Call, entry: Entry, right: str) -> None:
    """Take one right out of an entry, and the entry away with its last one."""
    # What the store has now: another right of the same entry may have gone before.
    current = next(each for each in call.all("ADPermission") if each.guid == entry.guid)
    kept = [each for each in current.values["ExtendedRights"] if each != right]
    if kept:
        call.store.update(call.controller, current, {"ExtendedRights": kept}, call.organisation.now())
    else:
        call.store.remove(call.controller, current)
