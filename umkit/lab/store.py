"""The directory's objects as each domain controller sees them.

A write is seen at once by the domain controller that took it; every other
one sees it after a fixed number of its own reads of that class, so what lags
is the same in every run: no clock, no chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID


@dataclass(frozen=True)
class Entry:
    """One object of the directory; frozen, so a reader keeps what it read.

    Arguments:
        noun: the class, by the noun of its cmdlets.
        guid: its identity for life.
        values: property name → value.
        created: when it was created (UTC).
        changed: when it was last changed (UTC).
    """

    noun: str
    guid: UUID
    values: Mapping[str, Any]
    created: datetime
    changed: datetime

    @property
    def name(self) -> str:
        """The object's Name."""
        return str(self.values["Name"])


@dataclass
class _Pending:
    """A write on its way to a domain controller that has not seen it."""

    controller: str
    noun: str
    guid: UUID
    created: Entry | None
    values: Mapping[str, Any]
    changed: datetime | None
    reads: int


class Store:
    """Objects by class and domain controller.

    Arguments:
        controllers: names of the domain controllers.
        delay: reads of a class after which another domain controller sees a write to it; 0 is at once.
    """

    def __init__(self, controllers: Sequence[str], delay: int = 0) -> None:
        self._views: dict[str, dict[str, dict[UUID, Entry]]] = {name: {} for name in controllers}
        self._delay = delay
        self._pending: list[_Pending] = []

    def read(self, controller: str, noun: str) -> list[Entry]:
        """The objects of a class as this domain controller has them."""
        return list(self._views[controller].get(noun, {}).values())

    def latest(self, noun: str) -> list[Entry]:
        """The objects of a class once every write has arrived everywhere."""
        first = next(iter(self._views))
        view = dict(self._views[first].get(noun, {}))
        for write in self._pending:
            if (write.controller, write.noun) == (first, noun):
                _apply(view, write)
        return list(view.values())

    def found(self, entry: Entry) -> None:
        """Add an object that has been everywhere from the beginning."""
        for view in self._views.values():
            view.setdefault(entry.noun, {})[entry.guid] = entry

    def create(self, controller: str, entry: Entry) -> None:
        """Add an object."""
        self._write(controller, _Pending("", entry.noun, entry.guid, entry, {}, None, self._delay))

    def update(self, controller: str, entry: Entry, values: Mapping[str, Any], changed: datetime) -> Entry:
        """Change properties of an object; returns it as it is now."""
        self._write(controller, _Pending("", entry.noun, entry.guid, None, dict(values), changed, self._delay))
        return self._views[controller][entry.noun][entry.guid]

    def remove(self, controller: str, entry: Entry) -> None:
        """Remove an object."""
        self._write(controller, _Pending("", entry.noun, entry.guid, None, {}, None, self._delay))

    def settle(self, controller: str, nouns: Iterable[str]) -> None:
        """Count one read of each class, and let through what has waited long enough."""
        read = set(nouns)
        for write in self._pending:
            if write.controller == controller and write.noun in read:
                write.reads -= 1
        for write in [each for each in self._pending if each.reads <= 0]:
            self._pending.remove(write)
            _apply(self._views[write.controller].setdefault(write.noun, {}), write)

    def pending(self) -> list[dict[str, Any]]:
        """The writes that some domain controller has not seen, for people and tests."""
        return [
            {"controller": each.controller, "noun": each.noun, "guid": str(each.guid), "reads": each.reads}
            for each in self._pending
        ]

    def _write(self, controller: str, write: _Pending) -> None:
        for name, view in self._views.items():
            if name == controller or not self._delay:
                _apply(view.setdefault(write.noun, {}), write)
            else:
                self._pending.append(replace(write, controller=name))


def _apply(view: dict[UUID, Entry], write: _Pending) -> None:
    """Let a write take effect in one view."""
    if write.created is not None:
        view[write.guid] = write.created
    elif write.changed is None:
        view.pop(write.guid, None)
    elif write.guid in view:
        # Only the changed properties replicate, as attributes do in Active Directory.
        entry = view[write.guid]
        view[write.guid] = replace(entry, values={**entry.values, **write.values}, changed=write.changed)
