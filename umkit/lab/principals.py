"""Security principals: users, groups, servers and well-known identities.

Names are local to a domain, SIDs are not: a built-in group or a well-known
identity may have a name in any language, so what is compared is the SID.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from umkit.lab import records

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.organisation import Organisation
    from umkit.lab.store import Entry

ANONYMOUS = "S-1-5-7"
SELF = "S-1-5-10"
AUTHENTICATED = "S-1-5-11"
SYSTEM = "S-1-5-18"
NETWORK_SERVICE = "S-1-5-20"
#: Authority of Exchange's own identities; which number is which is (?).
_EXCHANGE = "S-1-9-1419165041-1139599005-3936102811-1022490595-"
PARTNERS = _EXCHANGE + "10"
HUB_SERVERS = _EXCHANGE + "21"
EDGE_SERVERS = _EXCHANGE + "22"
SECURED_SERVERS = _EXCHANGE + "23"
LEGACY_SERVERS = _EXCHANGE + "24"
#: English names; an organisation's ``trustees`` gives others.
WELL_KNOWN = {
    "S-1-1-0": "Everyone",
    ANONYMOUS: "NT AUTHORITY\\ANONYMOUS LOGON",
    SELF: "NT AUTHORITY\\SELF",
    AUTHENTICATED: "NT AUTHORITY\\Authenticated Users",
    SYSTEM: "NT AUTHORITY\\SYSTEM",
    NETWORK_SERVICE: "NT AUTHORITY\\NETWORK SERVICE",
    PARTNERS: "MS Exchange\\Partner Servers",
    HUB_SERVERS: "MS Exchange\\Hub Transport Servers",
    EDGE_SERVERS: "MS Exchange\\Edge Transport Servers",
    SECURED_SERVERS: "MS Exchange\\Externally Secured Servers",
    LEGACY_SERVERS: "MS Exchange\\Legacy Exchange Servers",
}


@dataclass(frozen=True)
class Principal:
    """Who can be given a right.

    Arguments:
        sid: the security identifier.
        login: ``DOMAIN\\name`` as rights show it.
        identity: canonical name as member lists show it.
        entry: the directory's object; None for a server and for a well-known identity.
    """

    sid: str
    login: str
    identity: str
    entry: Entry | None = None

    def means(self, organisation: Organisation, text: str) -> bool:
        """Whether a name, login, address, distinguished name, GUID or SID in any case is this one's."""
        wanted = text.lower()
        if wanted in (self.login.lower(), self.identity.lower()):
            return True
        if wanted == self.sid.lower():
            return organisation.options.sid_trustees
        if self.entry is not None:
            return organisation.shapes[self.entry.noun].matches(organisation, self.entry, wanted)
        return wanted == self.login.lower().rpartition("\\")[2]


def domain_sid(domain: str) -> str:
    """The SID of a domain; made from its name, so that it is the same in every run."""
    parts = [zlib.crc32(f"{number}.{domain.lower()}".encode()) for number in range(3)]
    return "S-1-5-21-" + "-".join(str(1_000_000_000 + part % 2_000_000_000) for part in parts)


def canonical_parent(parent: str, domain: str) -> str:
    """A container below the domain as canonical name: ``OU=Services,OU=IT`` → ``alleo.intern/IT/Services``."""
    names = [re.sub(r"^\w+=", "", part) for part in parent.split(",") if part]
    return "/".join([domain, *reversed(names)])


def well_known_names(organisation: Organisation) -> dict[str, str]:
    """SID → local name of the well-known identities."""
    return WELL_KNOWN | organisation.trustees


def _server(organisation: Organisation, name: str) -> Principal:
    number = [each.name for each in organisation.hosts].index(name) + 1001
    container = "Domain Controllers" if number - 1001 < len(organisation.controllers) else "Computers"
    login = f"{organisation.netbios}\\{name}$"
    return Principal(f"{organisation.sid}-{number}", login, f"{organisation.domain}/{container}/{name}")


def of_entry(organisation: Organisation, entry: Entry) -> Principal:
    """The principal that a user or a group is."""
    sam = entry.values["SamAccountName"]
    builtin = entry.values["Sid"].startswith("S-1-5-32-")
    identity = organisation.shapes[entry.noun].identity_of(entry.values)
    return Principal(entry.values["Sid"], f"{'BUILTIN' if builtin else organisation.netbios}\\{sam}", identity, entry)


def everyone(organisation: Organisation, entries: Iterable[Entry]) -> Iterator[Principal]:
    """Every principal there is.

    Arguments:
        organisation: the organisation.
        entries: its users and groups.
    """
    yield from (of_entry(organisation, each) for each in entries)
    yield from (_server(organisation, each.name) for each in organisation.hosts)
    yield from (Principal(sid, name, name) for sid, name in well_known_names(organisation).items())


def find(call: Call, text: str) -> Principal:
    """The principal of a name, login, address, distinguished name, GUID or SID as this domain controller knows it.

    Raises TaskRefusal when there is none.
    """
    entries = [*call.all("User"), *call.all("Group")]
    for principal in everyone(call.organisation, entries):
        if principal.means(call.organisation, text):
            return principal
    raise records.not_found(text, call.controller)


def sids_of(principal: Principal, groups: Sequence[Entry]) -> set[str]:
    """The principal's own SID and those of every group that it is in, directly or through others."""
    found = {principal.sid}
    members = {principal.identity.lower()}
    while True:
        more = [
            each
            for each in groups
            if each.values["Sid"] not in found and members & {one.lower() for one in each.values["Members"]}
        ]
        if not more:
            return found
        found |= {each.values["Sid"] for each in more}
        members |= {f"{each.values['OrganizationalUnit']}/{each.name}".lower() for each in more}
