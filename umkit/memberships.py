"""Memberships: every group an account is in, directly or through other groups, with the way to it.

Asked of a domain controller's own directory cmdlets where the customer file names one, else of Exchange. The directory
knows the primary group too, which is in no list of members; Exchange does not show it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from umkit.accounts import Account, quoted
from umkit.channel import Channel
from umkit.command import Command
from umkit.errors import Unreadable
from umkit.kinds import IDENTITY
from umkit.permissions import holds_everybody, plain

#: Matches members of members too (LDAP_MATCHING_RULE_IN_CHAIN).
_IN_CHAIN = "1.2.840.113556.1.4.1941"


@dataclass(frozen=True)
class Group:
    """A group that an account is in.

    Arguments:
        name: its name, in the directory's language.
        dn: its distinguished name.
        sid: its security identifier.
        path: names from the account's own group to this one.
        sam: its name before Windows 2000, as access control entries show it; may be empty.
    """

    name: str
    dn: str
    sid: str
    path: tuple[str, ...] = ()
    sam: str = ""


def by_exchange(channel: Channel, account: Account) -> list[Group]:
    """The groups as Exchange finds them: those of the account, then those of the groups, and so on."""

    def above(dn: str) -> Iterable[Group]:
        found = channel.list("Group", fresh=True, Filter=f"Members -eq {quoted(dn)}")
        return [_group(each, "Sid") for each in found]

    return _walk(account.dn, above)


def by_directory(channel: Channel, account: Account) -> list[Group]:
    """The groups as the domain controller knows them, in two questions.

    A group of another domain is there by its name alone, and not what it is in: a domain controller follows the
    members of its own domain only.

    Raises ``Unreadable`` when it does not know the account.
    """
    wanted = {"Properties": ["MemberOf", "PrimaryGroup"]}
    users = _ask(channel, "Get-ADUser", f"(distinguishedName={escaped(account.dn)})", **wanted)
    if not users:
        raise Unreadable(
            f"the domain controller does not know {account.dn}",
            next="name a domain controller of the account's domain under hosts.directory",
        )
    starts = [dn for user in users for dn in (*(user.get("MemberOf") or ()), user.get("PrimaryGroup")) if dn]
    found: dict[str, Any] = {}
    for dn in (account.dn, *(str(user["PrimaryGroup"]) for user in users if user.get("PrimaryGroup"))):
        for each in _ask(channel, "Get-ADGroup", f"(member:{_IN_CHAIN}:={escaped(dn)})", Properties=["MemberOf"]):
            found[str(each["DistinguishedName"]).casefold()] = each
        if dn != account.dn:
            for each in _ask(channel, "Get-ADGroup", f"(distinguishedName={escaped(dn)})", Properties=["MemberOf"]):
                found[str(each["DistinguishedName"]).casefold()] = each

    def above(dn: str) -> Iterable[Group]:
        known = found.get(dn.casefold())
        parents = starts if dn == account.dn else (known.get("MemberOf") or () if known is not None else ())
        return [_known(found.get(str(each).casefold()), str(each)) for each in parents]

    return _walk(account.dn, above)


def holding(channel: Channel, account: Account, trustees: Iterable[str]) -> list[str]:
    """Those of some trustees of access control entries that hold the account: everybody's, and its groups.

    The groups are asked of Exchange, and only where a trustee is not known to hold everybody.
    """
    asked = list(trustees)
    found = [each for each in asked if holds_everybody(each)]
    if others := [each for each in asked if each not in found]:
        names = {name.casefold() for group in by_exchange(channel, account) for name in _names(group)}
        found += [each for each in others if plain(each) in names]
    return found


def _names(group: Group) -> tuple[str, ...]:
    return tuple(filter(None, (group.name, group.sam, group.sid)))


def _walk(start: str, above: Callable[[str], Iterable[Group]]) -> list[Group]:
    """Upwards from group to group, each one once, the shortest way first; groups may hold each other in a circle."""
    seen: dict[str, Group] = {}
    waiting: list[tuple[str, tuple[str, ...]]] = [(start, ())]
    while waiting:
        dn, path = waiting.pop(0)
        for group in above(dn):
            if group.dn.casefold() in seen:
                continue
            way = (*path, group.name)
            seen[group.dn.casefold()] = replace(group, path=way)
            waiting.append((group.dn, way))
    return list(seen.values())


def _ask(channel: Channel, cmdlet: str, clause: str, **parameters: Any) -> Sequence[Any]:
    return channel.read(Command(cmdlet, {"LDAPFilter": clause} | parameters)).outputs


def _group(found: Any, sid: str) -> Group:
    return Group(
        str(found["Name"]),
        str(found["DistinguishedName"]),
        str(found.get(sid) or ""),
        sam=str(found.get("SamAccountName") or ""),
    )


def _known(found: Any, dn: str) -> Group:
    if found is not None:
        return _group(found, "SID")
    place = IDENTITY.normalise(dn)
    return Group(place.last if place else dn, dn, "")


def escaped(dn: str) -> str:
    """A distinguished name inside an LDAP filter (RFC 4515)."""
    return "".join(f"\\{ord(char):02x}" if char in "\\*()\0" else char for char in dn)
