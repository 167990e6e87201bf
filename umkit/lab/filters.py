"""OPATH filters of Exchange's Get- cmdlets: the part that is simulated.

Clauses ``Property -eq 'value'`` (also -ne, -like) joined by -and. What else
the language has is refused by name, never passed over.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from umkit.lab import records
from umkit.lab.objects import Many, Scalar

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.store import Entry

_CLAUSE = re.compile(
    r"\s*\(?\s*(?P<name>\w+)\s+-(?P<operator>eq|ne|like)\s+"
    r"(?:'(?P<single>(?:[^']|'')*)'|\"(?P<double>[^\"]*)\"|(?P<bare>\$(?:true|false|null)))\s*\)?\s*",
    re.IGNORECASE,
)


def _clauses(text: str) -> Iterable[tuple[str, str, Any]]:
    at = 0
    while True:
        found = _CLAUSE.match(text, at)
        if not found:
            raise records.not_simulated(f"the filter {text!r}; only Property -eq|-ne|-like 'value' joined by -and")
        bare = (found["bare"] or "").lower()
        plain = found["double"] if found["single"] is None else found["single"].replace("''", "'")
        value = {"$true": True, "$false": False, "$null": None}[bare] if bare else plain
        yield found["name"].lower(), found["operator"].lower(), value
        at = found.end()
        if at == len(text):
            return
        joined = re.compile("-and", re.IGNORECASE).match(text, at)
        if not joined:
            raise records.not_simulated(f"the filter {text!r}; only clauses joined by -and")
        at = joined.end()


def _holds(have: Any, operator: str, wanted: Any) -> bool:
    values = have if isinstance(have, list) else [have]
    if isinstance(wanted, bool) or wanted is None:
        equal = any(each is wanted for each in values) or (wanted is None and have in ([], ""))
    else:
        lowered = [str(each).lower() for each in values if each is not None]
        like = operator == "like"
        equal = any(fnmatch.fnmatchcase(each, wanted.lower()) if like else each == wanted.lower() for each in lowered)
    return equal is (operator != "ne")


def chosen(call: Call, entries: Sequence[Entry], noun: str = "") -> list[Entry]:
    """The objects that ``-Filter`` lets through; a property's value is compared as it is shown.

    Members, MemberOfGroup and the like are compared by distinguished name, as the directory keeps them.

    Arguments:
        call: the call.
        entries: the objects.
        noun: as what they are shown.
    """
    text = call.get("Filter")
    if text is None:
        return list(entries)
    shape = call.shape(noun)
    kept = []
    for entry in entries:
        nodes = shape.nodes(call.organisation, entry, call.controller)
        shown = {name.lower(): node for name, node in nodes.items()}
        for name, operator, wanted in _clauses(text):
            node = shown.get(name)
            if isinstance(node, Many):
                have: Any = [each.value for each in node.items if isinstance(each, Scalar)]
            elif isinstance(node, Scalar):
                have = node.value
            else:
                # Exception and wording are (?).
                raise records.TaskRefusal(
                    "System.ArgumentException",
                    f"\"{name}\" is not a valid filterable property for '{call.cmdlet.noun}'.",
                )
            if name in ("members", "managedby"):
                have = [distinguished_name(call, each) for each in have]
            if not _holds(have, operator, wanted):
                break
        else:
            kept.append(entry)
    return kept


def distinguished_name(call: Call, canonical: str) -> str:
    """The distinguished name of a user or group by its canonical name; the canonical name where it is neither."""
    for noun in ("User", "Group"):
        for entry in call.all(noun):
            if call.shape(noun).identity_of(entry.values).lower() == canonical.lower():
                return call.shape(noun).distinguished_name(call.organisation, entry.values)
    return canonical
