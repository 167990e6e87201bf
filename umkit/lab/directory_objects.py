"""Users, computers and groups as Active Directory shows them, with SIDs.

A view of the organisation's User and Group objects, which Exchange's cmdlets
change: what one side writes, the other reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_DNS, UUID, uuid5

from umkit.lab import principals

if TYPE_CHECKING:
    from datetime import datetime

    from umkit.lab.organisation import Organisation
    from umkit.lab.principals import Principal

#: Groups of every Windows computer by SID; the local names are a host's own matter.
LOCAL_GROUPS = {
    "S-1-5-32-544": "Administrators",
    "S-1-5-32-545": "Users",
    "S-1-5-32-546": "Guests",
    "S-1-5-32-551": "Backup Operators",
    "S-1-5-32-555": "Remote Desktop Users",
    "S-1-5-32-559": "Performance Log Users",
    "S-1-5-32-573": "Event Log Readers",
    "S-1-5-32-580": "Remote Management Users",
}
#: Windows' own identities that rights name and that are no objects of the domain.
SERVICE_IDENTITIES = {
    "S-1-5-6": "NT AUTHORITY\\SERVICE",
    "S-1-5-9": "NT AUTHORITY\\ENTERPRISE DOMAIN CONTROLLERS",
    "S-1-5-19": "NT AUTHORITY\\LOCAL SERVICE",
    "S-1-5-80-0": "NT SERVICE\\ALL SERVICES",
}
_CLASSES = {
    "user": ("top", "person", "organizationalPerson", "user"),
    "computer": ("top", "person", "organizationalPerson", "user", "computer"),
    "group": ("top", "group"),
}
#: Property of Exchange's view → LDAP attribute.
_ATTRIBUTES = {
    "DisplayName": "displayName",
    "FirstName": "givenName",
    "LastName": "sn",
    "UserPrincipalName": "userPrincipalName",
    "WindowsEmailAddress": "mail",
    "Department": "department",
    "Title": "title",
    "Office": "physicalDeliveryOfficeName",
    "Company": "company",
    "Notes": "info",
    "Alias": "mailNickname",
    "LegacyExchangeDN": "legacyExchangeDN",
}


@dataclass(frozen=True)
class DirectoryObject:
    """A user, computer or group of the domain.

    Arguments:
        kind: ``user``, ``computer`` or ``group``.
        name: its common name.
        sam: its sAMAccountName.
        sid: its SID.
        guid: its objectGUID.
        dn: its distinguished name.
        canonical: its canonical name, by which member lists name it.
        login: ``DOMAIN\\name``.
        enabled: whether it may log on.
        scope: DomainLocal, Global or Universal; empty for no group.
        primary_group: SID of the primary group, which is not among its groups; empty for a group.
        members: canonical names of a group's direct members.
        attributes: further LDAP attributes that have a value.
        created, changed: when (UTC).
    """

    kind: str
    name: str
    sam: str
    sid: str
    guid: UUID
    dn: str
    canonical: str
    login: str
    enabled: bool
    scope: str
    primary_group: str
    members: tuple[str, ...]
    attributes: dict[str, str]
    created: datetime
    changed: datetime

    @property
    def classes(self) -> tuple[str, ...]:
        """The values of objectClass."""
        return _CLASSES[self.kind]


class DirectoryObjects:
    """The domain's users, computers and groups at one moment.

    Arguments:
        organisation: the organisation.
        controller: FQDN of the domain controller that is asked; what all of them will have by default.
    """

    def __init__(self, organisation: Organisation, controller: str = "") -> None:
        self._organisation = organisation
        store = organisation.directory
        entries = [
            entry
            for noun in ("User", "Group")
            for entry in (store.read(controller, noun) if controller else store.latest(noun))
        ]
        self.dn, self.sid = organisation.names["domain"], organisation.sid
        self._names = {**SERVICE_IDENTITIES, **principals.well_known_names(organisation)}
        every = [each for each in principals.everyone(organisation, entries) if each.sid not in self._names]
        self.objects = [self._object(each) for each in every]
        self._by_sid = {each.sid: each for each in self.objects}
        self._by_canonical = {each.canonical.lower(): each for each in self.objects}

    def _object(self, principal: Principal) -> DirectoryObject:
        organisation, entry = self._organisation, principal.entry
        name = principal.identity.rpartition("/")[2]
        sam = principal.login.rpartition("\\")[2]
        if entry is None:
            # Only machines have no object of their own in Exchange's view.
            controller = f"{name.lower()}.{organisation.domain}" in organisation.controllers
            container = "OU=Domain Controllers" if controller else "CN=Computers"
            dn, group = f"CN={name},{container},{self.dn}", f"{organisation.sid}-{516 if controller else 515}"
            guid = uuid5(NAMESPACE_DNS, f"{principal.sid}.{organisation.domain}")
            host = {"dNSHostName": f"{name.lower()}.{organisation.domain}"}
            when = organisation.founded
            return DirectoryObject(
                *("computer", name, sam, principal.sid, guid, dn, principal.identity, principal.login, True, "", group),
                *((), host, when, when),
            )
        values = entry.values
        is_group = entry.noun == "Group"
        shape = organisation.shapes[entry.noun]
        return DirectoryObject(
            "group" if is_group else "user",
            entry.name,
            sam,
            principal.sid,
            entry.guid,
            shape.distinguished_name(organisation, values),
            principal.identity,
            principal.login,
            not values.get("AccountDisabled"),
            str(values["GroupType"]).partition(",")[0] if is_group else "",
            "" if is_group else f"{organisation.sid}-513",
            tuple(values.get("Members") or ()) if is_group else (),
            {ldap: str(values[known]) for known, ldap in _ATTRIBUTES.items() if values.get(known)},
            entry.created,
            entry.changed,
        )

    def find(self, identity: str) -> DirectoryObject | None:
        """The object of a name, login, principal name, SID, GUID, canonical or distinguished name, in any case."""
        wanted = identity.strip().lower()
        for each in self.objects:
            known = (each.sid, each.dn, str(each.guid), "{" + str(each.guid) + "}", each.login, each.sam, each.name)
            principal = each.attributes.get("userPrincipalName", "")
            if wanted in (text.lower() for text in (*known, each.canonical, principal) if text):
                return each
        return None

    def by_sid(self, sid: str) -> DirectoryObject | None:
        """The object of a SID."""
        return self._by_sid.get(sid.upper())

    def members(self, group: DirectoryObject, *, recursive: bool = False) -> list[DirectoryObject]:
        """A group's direct members; with ``recursive`` the users and computers in it and in the groups within it.

        Members by primary group are not among them: the attribute does not hold them.
        """
        if not recursive:
            return [found for name in group.members if (found := self._by_canonical.get(name.lower()))]
        leaves: dict[str, DirectoryObject] = {}
        seen, waiting = {group.sid}, [group]
        while waiting:
            for member in self.members(waiting.pop(0)):
                if member.kind != "group":
                    leaves[member.sid] = member
                elif member.sid not in seen:
                    seen.add(member.sid)
                    waiting.append(member)
        return list(leaves.values())

    def groups_of(self, member: DirectoryObject, *, nested: bool = False) -> list[DirectoryObject]:
        """The groups that hold an object, without its primary group; ``nested``: through other groups as well."""
        found: dict[str, DirectoryObject] = {}
        waiting = [member]
        while waiting:
            wanted = waiting.pop(0).canonical.lower()
            for group in self.objects:
                if group.sid not in found and wanted in (each.lower() for each in group.members):
                    found[group.sid] = group
                    if nested:
                        waiting.append(group)
        return [each for each in found.values() if each is not member]

    def token(self, member: DirectoryObject) -> list[DirectoryObject]:
        """Every group that counts for an object's rights: nested, with the primary group and what that is in."""
        primary = self.by_sid(member.primary_group)
        found = {each.sid: each for each in self.groups_of(member, nested=True)}
        if primary is not None:
            found = {primary.sid: primary, **{each.sid: each for each in self.groups_of(primary, nested=True)}, **found}
        return list(found.values())

    def name_of(self, sid: str) -> str | None:
        """``DOMAIN\\name`` of a SID as Windows shows it; None when nobody has that SID."""
        found = self.by_sid(sid)
        if found is not None:
            return found.login
        local = LOCAL_GROUPS.get(sid.upper())
        return f"BUILTIN\\{local}" if local else self._names.get(sid.upper())

    def sid_of(self, identity: str) -> str | None:
        """The SID of a name; a SID is its own. None when nobody knows the name."""
        wanted = identity.strip().lstrip("*").lower()
        if wanted.startswith("s-1-"):
            return wanted.upper()
        found = self.find(wanted)
        if found is not None:
            return found.sid
        names = {**LOCAL_GROUPS, **self._names}
        return next((sid for sid, name in names.items() if wanted in (name.lower(), _bare(name))), None)

    def attributes(self, item: DirectoryObject) -> dict[str, list[str]]:
        """LDAP attributes in lower case → values, as a filter sees them."""
        groups = self.groups_of(item)
        found: dict[str, Any] = {
            "cn": item.name,
            "name": item.name,
            "distinguishedname": item.dn,
            "samaccountname": item.sam,
            "objectsid": item.sid,
            "objectguid": str(item.guid),
            "objectclass": list(item.classes),
            "objectcategory": "group" if item.kind == "group" else "person" if item.kind == "user" else "computer",
            "member": [each.dn for each in self.members(item)],
            "memberof": [each.dn for each in groups],
            "useraccountcontrol": "" if item.kind == "group" else "512" if item.enabled else "514",
            "primarygroupid": item.primary_group.rpartition("-")[2],
            **{name.lower(): value for name, value in item.attributes.items()},
        }
        return {name: value if isinstance(value, list) else [value] for name, value in found.items() if value}


def _bare(login: str) -> str:
    return login.rpartition("\\")[2].lower()
