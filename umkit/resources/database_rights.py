"""Database rights: Receive-As and Send-As of one account on the mailbox databases.

The two rights on a database give full access to every mailbox in it. Only entries of the database's own count: they go
before the inherited denies that Exchange sets for administrators. What is missing is added, nothing is taken away.
A deny of the database's own for a group of the account goes before its allow as well.
Source: vendor's chapter on the MAPI account; Microsoft's pages of Add- and Remove-ADPermission.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from umkit.accounts import Account, Role, account_name, account_of
from umkit.channel import Asked, Channel
from umkit.command import Command
from umkit.databases import Database, all_databases, chosen_databases
from umkit.errors import RemoteError
from umkit.kinds import IDENTITY, NAME, listof
from umkit.memberships import holding
from umkit.permissions import Entries, denying, entries, further
from umkit.resource import Absent, Done, Missed, Present, Property, Resource, State, Verb
from umkit.site import Site

RIGHTS = ("Receive-As", "Send-As")


class DatabaseRights(Resource):
    """The MAPI account's rights on one mailbox database.

    Arguments:
        name: the database's name.
        account: the account as the customer file names it.
        database: the database's distinguished name; empty where there is no such database.
        user: the account's distinguished name; empty where there is no such user.
        made: whether an earlier step makes the user where there is none.
        missing: why there is no such database, and what there is; empty where there is.
    """

    noun = "MailboxDatabase"
    title = "rights on mailbox database"
    key = "User"
    role: ClassVar[Role] = "mapi"
    way_out = (
        "mend the name in the customer file where it names nothing; of a deny entry find out who made it and why,"
        " remove it by hand (Remove-ADPermission with -Deny), plan again"
    )
    properties: ClassVar[tuple[Property, ...]] = (
        Property("ExtendedRights", listof(NAME, "at least"), step="MAPI-5", wanted=RIGHTS),
    )

    def __init__(
        self, name: str, account: str, database: str = "", user: str = "", *, made: bool = False, missing: str = ""
    ) -> None:
        super().__init__(name, {})
        self.account, self.database, self.user, self.made = account, database, user, made
        self.missing = missing
        if "User" in self.wanted:
            self.wanted["User"] = account

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """One for each chosen database; without a choice for all but recovery databases."""
        found, name = account_of(site, cls.role), account_name(site.inputs, cls.role)
        made = cls.role == "ews" and site.inputs.ews.create_user
        user = found.dn if found else ""
        return [cls(each.name, name, each.dn, user, made=made, missing=each.missing) for each in cls.databases(site)]

    @classmethod
    def databases(cls, site: Site) -> list[Database]:
        """The databases that are meant."""
        return chosen_databases(site)

    @property
    def label(self) -> str:
        """The account and the database."""
        return f"rights of {self.account} on mailbox database {self.name}"

    def lists(self) -> Sequence[Asked]:
        """The account's entries on the database, and everybody's."""
        if not (self.database and self.user):
            return ()
        own = ("ADPermission", {"Identity": self.database, "User": self.user})
        return (own, ("ADPermission", {"Identity": self.database}))

    def read(self, channel: Channel, *, fresh: bool = False) -> State:
        """The account's entries on the database, and denies that reach it through others; never without both names.

        Exchange finds the account's own entries by its distinguished name, for they show another name of it.
        """
        if not (self.database and self.user):
            return self.state_of([])
        try:
            own = channel.list("ADPermission", fresh=fresh, Identity=self.database, User=self.user)
            return self.state_of(own, self._reaching(channel, own, fresh=fresh))
        except RemoteError as error:
            return Missed(error)

    def _reaching(self, channel: Channel, own: Sequence[Any], *, fresh: bool) -> dict[str, tuple[str, ...]]:
        """Denies of the database's own for somebody else who holds the account."""
        mine = denying(own, RIGHTS)
        every = channel.list("ADPermission", fresh=fresh, Identity=self.database)
        others = {who: rights for who, rights in denying(every, RIGHTS).items() if who not in mine}
        account = Account(name=self.account, dn=self.user)
        return {who: others[who] for who in holding(channel, account, others)} if others else {}

    def state_of(self, objects: Sequence[Any], reaching: Mapping[str, Sequence[str]] | None = None) -> State:
        """What the account's entries on the database allow and deny.

        Arguments:
            objects: the account's entries.
            reaching: who else holds the account and is denied which rights.
        """
        if not self.database:
            return Absent(self.missing or f"there is no mailbox database {self.name}")
        if not self.user:
            return Absent("" if self.made else f"there is no user {self.account}")
        found, also = entries(objects, RIGHTS), further(objects, RIGHTS)
        remarks = [found.remark, f"allowed besides: {', '.join(also)}" if also else ""]
        denied = {self.account: found.denied} if found.denied else {}
        denied |= {f"{who}, which holds {self.account},": tuple(rights) for who, rights in (reaching or {}).items()}
        why = "; ".join(
            f"an entry of {self.name} itself denies {who} {' and '.join(rights)}" for who, rights in denied.items()
        )
        lost = {right for rights in denied.values() for right in rights}
        held = [right for right in found.allowed if right not in lost]  # a deny goes before an allow
        return self._state(found, held, "; ".join(filter(None, remarks)), why)

    def _state(self, found: Entries, held: Sequence[str], remark: str, why: str) -> Present:
        return Present({"User": self.account, "ExtendedRights": list(held), "Remark": remark}, blocked=why)

    def remark(self, prop: Property, values: Mapping[str, Any]) -> str:
        """What the inherited entries say."""
        return str(values.get("Remark", "")) if prop.name == "ExtendedRights" else ""

    def commands(self, verb: Verb, asked: Sequence[Property], state: State) -> tuple[Command, ...]:
        """Only the missing rights."""
        have = state.values["ExtendedRights"] if isinstance(state, Present) else []
        rights = listof(NAME).missing(have, RIGHTS)
        return (Command("Add-ADPermission", self._entry(rights)),)

    def undo(self, done: Done, state: State, channel: Channel) -> tuple[Command, ...] | str:
        """The rights that the run added are removed, those that it removed are added; no other entry is touched."""
        kind, before, after = listof(NAME), done.before["ExtendedRights"], done.after["ExtendedRights"]
        added, removed = kind.missing(before, after), kind.surplus(before, after)
        if removed and not added:
            return (Command("Add-ADPermission", self._entry(removed)),)
        return (Command("Remove-ADPermission", self._entry(added) | {"Confirm": False}),)

    def _entry(self, rights: Sequence[str]) -> dict[str, Any]:
        who = {"Identity": self.database or self.name, "User": self.user or self.account}
        return who | {"AccessRights": ["ExtendedRight"], "ExtendedRights": list(rights)}


class EwsDatabaseRights(DatabaseRights):
    """The same rights for the account that synchronises calendars over EWS."""

    role: ClassVar[Role] = "ews"
    properties: ClassVar[tuple[Property, ...]] = (
        Property("User", IDENTITY, step="EWS-1"),
        Property("ExtendedRights", listof(NAME, "at least"), step="EWS-3", wanted=RIGHTS),
    )


class DatabaseRightsRemoved(DatabaseRights):
    """The MAPI account's own two entries on one mailbox database, gone; nothing else is touched."""

    properties: ClassVar[tuple[Property, ...]] = (Property("ExtendedRights", listof(NAME), step="REM-1", wanted=()),)

    @classmethod
    def databases(cls, site: Site) -> list[Database]:
        """Every mailbox database, as the page says: the choice may have been another one when they were given."""
        return all_databases(site)

    def lists(self) -> Sequence[Asked]:
        """The account's entries on the database."""
        return super().lists()[:1]

    def _reaching(self, channel: Channel, own: Sequence[Any], *, fresh: bool) -> dict[str, tuple[str, ...]]:
        return {}

    def _state(self, found: Entries, held: Sequence[str], remark: str, why: str) -> Present:
        # A deny entry does not stand in the way of taking the allowing one away.
        return super()._state(found, found.allowed, remark, "")

    def commands(self, verb: Verb, asked: Sequence[Property], state: State) -> tuple[Command, ...]:
        """The rights that are there, as they were given."""
        have = state.values["ExtendedRights"] if isinstance(state, Present) else RIGHTS
        return (Command("Remove-ADPermission", self._entry(have) | {"Confirm": False}),)
