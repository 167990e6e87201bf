"""Access control entries: which extended rights somebody is allowed or denied on an object of the directory.

An entry is a trustee, its rights, and whether it allows or denies; taking a deny for an allow has removed good entries
(ExchangeDsc #414). An entry of the object's own goes before an inherited one, a deny before an allow of the
same kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from umkit.kinds import IDENTITY, NAME

#: The right that makes a relay of a connector (Microsoft's page "Allow anonymous relay on Exchange servers").
ANY_RECIPIENT = "Ms-Exch-SMTP-Accept-Any-Recipient"
#: A right that the permission group AnonymousUsers gives, so that its holder is known for the anonymous principal.
_TELLING = "Ms-Exch-SMTP-Accept-Authoritative-Domain-Sender"
#: The anonymous principal's SID, and its names in English and German.
_ANONYMOUS = {"s-1-5-7", "anonymous logon", "anonymous-anmeldung"}


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
    trustees = [str(row.get("User")) for row in rows]
    for trustee in dict.fromkeys(trustees):
        form = IDENTITY.normalise(trustee)
        if form is not None and form.last in _ANONYMOUS:
            return trustee
    telling = [each for each in dict.fromkeys(trustees) if entries(of(rows, each), [_TELLING]).allowed]
    return telling[0] if len(telling) == 1 else ""


def relays(rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a receive connector's rows let anonymous senders reach any recipient."""
    held = entries(of(rows, anonymous(rows)), [ANY_RECIPIENT])
    return not held.denied and bool(held.allowed or held.allowed_above)


def listed(value: Any) -> list[str]:
    """A multivalued property as a list of texts; an empty one is an empty list."""
    if value is None or value == "":
        return []
    return [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]


def _covers(row: Mapping[str, Any], right: str, *, whole: bool) -> bool:
    named = listed(row.get("ExtendedRights"))
    if named:
        return any(NAME.same(name, right) for name in named)
    # An entry for all extended rights, or for everything, names none: a deny of that kind denies this one too.
    access = {part.strip().casefold() for item in listed(row.get("AccessRights")) for part in item.split(",")}
    return whole and bool(access & {"extendedright", "genericall"})
