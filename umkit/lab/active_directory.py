"""What the AD cmdlets have in common: the server, the search, the objects.

Only a domain controller answers them: anywhere else the caller's credentials
do not reach the directory (reference/windows.md §h), unless they are given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from umkit.lab import ldap_filter
from umkit.lab.directory_objects import DirectoryObject, DirectoryObjects
from umkit.lab.objects import Complex, Enumeration, Many, Node, Scalar
from umkit.lab.providers import refusal
from umkit.lab.records import not_simulated

if TYPE_CHECKING:
    from umkit.lab.call import Call

_TYPES = "Microsoft.ActiveDirectory.Management."
_SERVER = _TYPES + "ADServerDownException"
_NOT_FOUND = _TYPES + "ADIdentityNotFoundException"
_SID = ("System.Security.Principal.SecurityIdentifier", "System.Security.Principal.IdentityReference", "System.Object")
_PROPERTIES = (_TYPES + "ADPropertyValueCollection", "System.Collections.CollectionBase", "System.Object")
_PARENTS = {
    "user": ("ADUser", "ADAccount", "ADPrincipal", "ADObject", "ADEntity"),
    "computer": ("ADComputer", "ADAccount", "ADPrincipal", "ADObject", "ADEntity"),
    "group": ("ADGroup", "ADPrincipal", "ADObject", "ADEntity"),
    "principal": ("ADPrincipal", "ADObject", "ADEntity"),
    "object": ("ADObject", "ADEntity"),
}
#: Property of the cmdlets → LDAP attribute, for ``-Filter``.
_FILTERED = {"sid": "objectsid", "emailaddress": "mail", "surname": "sn"}
_CLAUSE = re.compile(
    r"\s*(?P<name>\w+)\s+-(?P<operator>eq|like|ne)\s+(?:'(?P<one>[^']*)'|\"(?P<two>[^\"]*)\")\s*", re.I
)
_SCOPES = ("group", "user", "computer")


def sid_node(sid: str) -> Complex:
    """A SecurityIdentifier; its text is what matters."""
    return Complex(_SID, sid, {"AccountDomainSid": Scalar("S", None), "Value": Scalar("S", sid)})


def directory(call: Call) -> DirectoryObjects:
    """The directory as the asked domain controller has it; raises Refusal where none can be reached."""
    organisation, host = call.organisation, call.service.host
    server = str(call.get("Server") or "").lower()
    controllers = {name: each for each in organisation.controllers for name in (each, each.partition(".")[0])}
    controllers[organisation.domain] = organisation.controllers[0]
    own = host.fqdn if host.fqdn in organisation.controllers else ""
    credential = call.get("Credential")
    asked = controllers.get(server) if server else own or organisation.controllers[0]
    carried = asked == own or (
        credential is not None and organisation.check_password(credential["UserName"], credential["Password"].reveal())
    )
    if not asked or not carried:
        text = (
            "Unable to contact the server. This may be because this server does not exist, it is currently down, or it "
            "does not have the Active Directory Web Services running."
        )
        # Whether it ends the pipeline is (?).
        raise refusal(call, text, "ActiveDirectoryServer:0", "ResourceUnavailable", _SERVER, server or None, ends=True)
    found = DirectoryObjects(organisation, asked)
    # It is one read of these classes, by which another domain controller's writes come nearer.
    organisation.directory.settle(asked, ("User", "Group"))
    return found


def by_identity(call: Call, found: DirectoryObjects, kinds: Sequence[str] = _SCOPES) -> DirectoryObject:
    """The object of ``-Identity`` (SID, GUID, distinguished name, sAMAccountName); raises Refusal, which ends it."""
    wanted = str(call.get("Identity"))
    for each in found.objects:
        known = (each.sid, str(each.guid), each.dn, each.sam, each.sam.removesuffix("$"))
        if each.kind in kinds and wanted.lower() in (text.lower() for text in known):
            return each
    text = f"Cannot find an object with identity: '{wanted}' under: '{found.dn}'."
    raise refusal(call, text, f"ActiveDirectoryCmdlet:{_NOT_FOUND}", "ObjectNotFound", _NOT_FOUND, wanted, ends=True)


def search(call: Call, kinds: Sequence[str]) -> tuple[DirectoryObjects, list[DirectoryObject]]:
    """The objects of ``-Identity``, ``-LDAPFilter`` or ``-Filter``; nothing that fits is no error."""
    call.simulates(
        *("Identity", "Filter", "LDAPFilter", "Properties", "SearchBase", "SearchScope", "Server", "Credential"),
        *("ResultSetSize", "ResultPageSize"),
    )
    found = directory(call)
    if call.get("Identity") is not None:
        return found, [by_identity(call, found, kinds)]
    items = [each for each in found.objects if each.kind in kinds and _within(call, found, each)]
    try:
        if call.get("LDAPFilter") is not None:
            test = ldap_filter.parse(call.get("LDAPFilter"))
        else:
            test = _expression(str(call.get("Filter")))
    except ValueError as error:
        text = f"The search filter cannot be recognized: {error}"
        invalid = _TYPES + "ADFilterParsingException"
        prefix = f"ActiveDirectoryCmdlet:{invalid}"
        raise refusal(call, text, prefix, "ParserError", invalid, ends=True) from None
    chosen = [each for each in items if test(found, each)]
    return found, chosen[: call.get("ResultSetSize")] if call.get("ResultSetSize") else chosen


def _within(call: Call, found: DirectoryObjects, item: DirectoryObject) -> bool:
    base, scope = (call.get("SearchBase") or found.dn).lower(), call.get("SearchScope", "Subtree")
    dn = item.dn.lower()
    if scope == "Base":
        return dn == base
    if scope == "OneLevel":
        return dn.endswith("," + base) and "," not in re.sub(r"\\.", "", dn[: -len(base) - 1])
    return dn == base or dn.endswith("," + base)


def _expression(text: str) -> ldap_filter.Test:
    """``-Filter`` in PowerShell's expression language: ``*``, or comparisons joined by -and."""
    if text.strip() == "*":
        return lambda found, item: True
    terms = []
    for clause in re.split(r"\s-and\s", text, flags=re.IGNORECASE):
        match = _CLAUSE.fullmatch(clause.strip().removeprefix("(").removesuffix(")"))
        if not match:
            raise not_simulated(f"the filter {text!r}; only Property -eq|-ne|-like 'value' joined by -and")
        value = match["one"] if match["one"] is not None else match["two"]
        stars = "*" if match["operator"].lower() == "like" else ""
        escaped = "".join(c if c == stars else f"\\{ord(c):02x}" if c in "\\()*\0" else c for c in value)
        term = f"({_FILTERED.get(match['name'].lower(), match['name'])}={escaped})"
        terms.append(f"(!{term})" if match["operator"].lower() == "ne" else term)
    return ldap_filter.parse(f"(&{''.join(terms)})")


def node(call: Call, found: DirectoryObjects, item: DirectoryObject, kind: str = "") -> Complex:
    """An object as the cmdlets send it, with the attributes of ``-Properties``.

    Arguments:
        call: the call.
        found: the directory.
        item: the object.
        kind: the class as which it is shown; its own by default.
    """
    shown = kind or item.kind
    types = tuple(_TYPES + each for each in _PARENTS[shown])
    table: dict[str, Node] = {
        "DistinguishedName": Scalar("S", item.dn),
        "Name": Scalar("S", item.name),
        "ObjectClass": Scalar("S", item.kind),
        "ObjectGUID": Scalar("G", item.guid),
    }
    if shown != "object":
        table |= {"SamAccountName": Scalar("S", item.sam), "SID": sid_node(item.sid)}
    if shown in ("user", "computer"):
        table["Enabled"] = Scalar("B", item.enabled)
        table["UserPrincipalName"] = Scalar("S", item.attributes.get("userPrincipalName"))
    if shown == "user":
        table |= {"GivenName": Scalar("S", item.attributes.get("givenName"))}
        table |= {"Surname": Scalar("S", item.attributes.get("sn"))}
    if shown == "group":
        table["GroupCategory"] = Enumeration(_TYPES + "ADGroupCategory", "Security", 1)
        scope = ("DomainLocal", "Global", "Universal").index(item.scope)
        table["GroupScope"] = Enumeration(_TYPES + "ADGroupScope", item.scope, scope)
    return Complex((*types, "System.Object"), item.dn, table | _asked(call, found, item))


def _asked(call: Call, found: DirectoryObjects, item: DirectoryObject) -> dict[str, Node]:
    """The attributes of ``-Properties``; ``*`` is every one that has a value, constructed ones apart."""
    attributes = found.attributes(item)
    table: dict[str, Node] = {}
    names: Iterable[str] = call.get("Properties") or ()
    for name in attributes if "*" in names else names:
        lowered = name.lower()
        if lowered == "tokengroups":
            groups = tuple(sid_node(each.sid) for each in found.token(item))
            table[name] = Many(_PROPERTIES, groups)
        elif lowered in ("member", "memberof", "members"):
            values = attributes.get(lowered.removesuffix("s") if lowered == "members" else lowered, [])
            table[name] = Many(_PROPERTIES, tuple(Scalar("S", each) for each in values))
        elif lowered == "primarygroup":
            primary = found.by_sid(item.primary_group)
            table[name] = Scalar("S", primary.dn if primary else None)
        elif lowered not in ("objectsid", "objectguid", "objectclass"):
            values = attributes.get(_FILTERED.get(lowered, lowered), [])
            table[name] = Scalar("S", values[0] if values else None)
    return table
