"""Access control entries: which extended rights somebody is allowed or denied on an object of the directory.

An entry is a trustee, its rights, and whether it allows or denies; taking a deny for an allow has removed good entries
(ExchangeDsc #414). An entry of the object's own goes before an inherited one, a deny before an allow of the
same kind.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from umkit.kinds import IDENTITY, NAME

#: The right that makes a relay of a connector (Microsoft's page "Allow anonymous relay on Exchange servers").
ANY_RECIPIENT = "Ms-Exch-SMTP-Accept-Any-Recipient"
#: A right that the permission group AnonymousUsers gives, so that its holder is known for the anonymous principal.
_TELLING = "Ms-Exch-SMTP-Accept-Authoritative-Domain-Sender"
#: Rights that the permission groups of authenticated senders and servers give along with that to any recipient.
_GIVEN_ALONG = ("Ms-Exch-Bypass-Anti-Spam", "Ms-Exch-Accept-Headers-Routing")
_TRUSTING = {"exchangeusers", "exchangeservers", "exchangelegacyservers"}
# SIDs of principals that hold every account or a kind of sender, and their names in English and German.
_ANONYMOUS = {"s-1-5-7", "anonymous logon", "anonymous-anmeldung"}
_EVERYONE = {"s-1-1-0", "everyone", "jeder"}
_AUTHENTICATED = {"s-1-5-11", "authenticated users", "authentifizierte benutzer"}
#: The primary group that a new account has; Exchange shows it in no list of members.
_DOMAIN_USERS = {"domain users", "domänen-benutzer"}


@dataclass(frozen=True)
class Entries:
    """What the entries of one trustee say of some extended rights.

    Arguments:
        allowed: rights that entries of the object's own allow.
        denied: rights that entries of the object's own deny.
        allowed_above: rights that inherited entries allow.
        denied_above: rights that inherited entries deny.
    """

    allowed: tuple[str, ...]
    denied: tuple[str, ...]
    allowed_above: tuple[str, ...]
    denied_above: tuple[str, ...]

    @property
    def remark(self) -> str:
        """What a reader must know of the inherited entries; empty where there are none."""
        said = []
        if self.denied_above:
            said.append(
                f"inherited entries deny {', '.join(self.denied_above)}; an entry of the object's own goes first"
            )
        if self.allowed_above:
            said.append(f"inherited entries allow {', '.join(self.allowed_above)}")
        return "; ".join(said)


def entries(rows: Sequence[Mapping[str, Any]], rights: Sequence[str]) -> Entries:
    """What the rows of ``Get-ADPermission`` for one trustee say of these rights."""

    def those(deny: bool, inherited: bool) -> tuple[str, ...]:
        chosen = [row for row in rows if bool(row.get("Deny")) is deny and bool(row.get("IsInherited")) is inherited]
        return tuple(right for right in rights if any(_covers(row, right, whole=deny) for row in chosen))

    return Entries(those(False, False), those(True, False), those(False, True), those(True, True))


def further(rows: Sequence[Mapping[str, Any]], rights: Sequence[str]) -> tuple[str, ...]:
    """What else entries of the object's own allow, beside some extended rights."""
    found: dict[str, None] = {}
    for row in rows:
        if row.get("Deny") or row.get("IsInherited"):
            continue
        plain = [each.strip() for item in listed(row.get("AccessRights")) for each in item.split(",")]
        named = listed(row.get("ExtendedRights"))
        said = named + [each for each in plain if not NAME.same(each, "ExtendedRight") or not named]
        found.update(dict.fromkeys(each for each in said if not any(NAME.same(each, right) for right in rights)))
    return tuple(found)


def of(rows: Sequence[Mapping[str, Any]], trustee: str) -> list[Mapping[str, Any]]:
    """The rows of one trustee; none without one."""
    return [row for row in rows if NAME.same(row.get("User"), trustee)] if trustee else []


def anonymous(rows: Sequence[Mapping[str, Any]]) -> str:
    """The anonymous principal as a receive connector's rows name it; empty where none does.

    Its name is localised: it is told by a known name, else as the only one that holds what AnonymousUsers gives.
    """
    known = trustees(rows)
    for trustee in known:
        if plain(trustee) in _ANONYMOUS:
            return trustee
    telling = [each for each in known if entries(of(rows, each), [_TELLING]).allowed]
    return telling[0] if len(telling) == 1 else ""


def relaying(rows: Sequence[Mapping[str, Any]], groups: Collection[str]) -> list[str]:
    """Who may reach any recipient through a receive connector, beside those to whom its permission groups give that.

    Arguments:
        rows: the connector's rows.
        groups: its permission groups in lower case.
    """
    found = []
    for trustee in trustees(rows):
        own = of(rows, trustee)
        held = entries(own, [ANY_RECIPIENT])
        allowed = held.allowed or (held.allowed_above and not held.denied_above)
        if allowed and not held.denied and not _by_group(trustee, own, groups):
            found.append(trustee)
    return found


def trustees(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Everybody for whom there is an entry, each one once."""
    return list(dict.fromkeys(str(row["User"]) for row in rows if row.get("User")))


def denying(rows: Sequence[Mapping[str, Any]], rights: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Who is denied which of some extended rights by an entry of the object's own."""
    found = {trustee: entries(of(rows, trustee), rights).denied for trustee in trustees(rows)}
    return {trustee: denied for trustee, denied in found.items() if denied}


def holds_everybody(trustee: str) -> bool:
    """Whether a trustee holds every account that can log on: Everyone, Authenticated Users, Domain Users."""
    return plain(trustee) in _EVERYONE | _AUTHENTICATED | _DOMAIN_USERS


def plain(trustee: str) -> str:
    """A trustee's own name in lower case, without its domain."""
    form = IDENTITY.normalise(trustee)
    return str(form.last) if form is not None else ""


def listed(value: Any) -> list[str]:
    """A multivalued property as a list of texts; an empty one is an empty list."""
    if value is None or value == "":
        return []
    return [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]


def _by_group(trustee: str, rows: Sequence[Mapping[str, Any]], groups: Collection[str]) -> bool:
    # Authenticated senders and servers are told by what their permission group gives them: names are localised.
    name = plain(trustee)
    if name in _ANONYMOUS | _EVERYONE:
        return False
    if name in _AUTHENTICATED:
        return "exchangeusers" in groups
    return bool(_TRUSTING & set(groups)) and len(entries(rows, _GIVEN_ALONG).allowed) == len(_GIVEN_ALONG)


def _covers(row: Mapping[str, Any], right: str, *, whole: bool) -> bool:
    named = listed(row.get("ExtendedRights"))
    if named:
        return any(NAME.same(name, right) for name in named)
    # An entry for all extended rights, or for everything, names none: a deny of that kind denies this one too.
    access = {part.strip().casefold() for item in listed(row.get("AccessRights")) for part in item.split(",")}
    return whole and bool(access & {"extendedright", "genericall"})
