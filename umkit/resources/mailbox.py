"""Mailbox: the EWS account as a domain user, and its mailbox.

``New-Mailbox`` makes both at once, so after EWS-1 there is nothing left for EWS-2; a user that a person created has no
mailbox yet, and ``Enable-Mailbox`` gives it one.
Source: vendor's chapter "EWS"; Microsoft's pages of New-Mailbox and Enable-Mailbox.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from umkit.accounts import Account, creation, find, select
from umkit.channel import Asked, Channel
from umkit.command import Command
from umkit.errors import UmkitError
from umkit.kinds import BOOL, IDENTITY, NAME
from umkit.resource import Absent, Missed, Present, Property, Resource, State, Verb
from umkit.secrets import MASK, Secret, SecretReference
from umkit.site import Site


class _OfAccount(Resource):
    """What the account's own object tells."""

    key = "Identity"

    def lists(self) -> Sequence[Asked]:
        """None: the account is found by its name."""
        return ()

    def read(self, channel: Channel, *, fresh: bool = False) -> State:
        """The user, by a filter: no match is no error on the server."""
        try:
            return self.shown(find(channel, self.name, fresh=fresh))
        except UmkitError as error:
            return Missed(error)

    def state_of(self, objects: Sequence[Any]) -> State:
        """The user among some."""
        return self.shown(select(objects, self.name))

    def shown(self, found: Account | None) -> State:
        """The state that the user shows, or its absence."""
        raise NotImplementedError


class AccountUser(_OfAccount):
    """The domain user of the EWS account.

    Arguments:
        name: the account as the customer file names it.
        given: parameters of ``New-Mailbox`` for a user that is not there; none where a person creates it.
        password: where the first password is kept.
        interactive: whether a person is there to be asked for it.
    """

    noun = "User"
    title = "user"
    stays: ClassVar[Mapping[str, str]] = {"*": "a user with a mailbox is never removed: there may be mail in it by now"}
    way_out = "create the user in Active Directory Users and Computers, or set ews.create_user in the customer file"
    properties: ClassVar[tuple[Property, ...]] = (Property("Identity", IDENTITY, step="EWS-1"),)

    def __init__(
        self,
        name: str,
        given: Mapping[str, str] | None = None,
        password: SecretReference | None = None,
        *,
        interactive: bool = False,
    ) -> None:
        super().__init__(name, {})
        self.given, self.password, self.interactive = dict(given or {}), password, interactive

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """The one that the customer file names."""
        asked = site.inputs.ews
        given = creation(asked) if asked.create_user else {}
        return [cls(site.inputs.ews_account(), given, asked.initial_password, interactive=site.interactive)]

    def shown(self, found: Account | None) -> State:
        """There, to be made, or for a person to make."""
        if found is not None:
            return Present({"Identity": self.name, "DistinguishedName": found.dn})
        if not self.given:
            return Absent(f"there is no user {self.name}")
        if not self._made().named(self.name):
            upn = self.given["UserPrincipalName"]
            return Absent(f"ews.user_principal_name {upn} would make another user than {self.name}")
        return Absent()

    def _made(self) -> Account:
        upn = self.given["UserPrincipalName"]
        return Account(name=self.given["Name"], dn="", upn=upn, sam=self.given["SamAccountName"])

    def remark(self, prop: Property, values: Mapping[str, Any]) -> str:
        """Which object it is."""
        return str(values["DistinguishedName"])

    def commands(self, verb: Verb, asked: Sequence[Property], state: State) -> tuple[Command, ...]:
        """User and mailbox at once; the password is put in at the moment of sending."""
        given = self.given | {"Password": Secret(MASK), "ResetPasswordOnNextLogon": False}
        return (Command("New-Mailbox", given),)

    def send(self, command: Command, changes: Sequence[Mapping[str, Any]], channel: Channel) -> None:
        """Send it with the first password, which goes over the wire as a SecureString only."""
        if self.password is None:
            raise ValueError("a user is created with a first password")
        secret = self.password.resolve(interactive=self.interactive)
        channel.change(Command(command.name, {**command.parameters, "Password": secret}), changes)


class AccountMailbox(_OfAccount):
    """The mailbox of the EWS account.

    Arguments:
        name: the account as the customer file names it.
        database: the mailbox database of a new mailbox; empty: Exchange chooses.
        made: whether EWS-1 makes the user where there is none.
    """

    noun = "Mailbox"
    title = "mailbox of"
    stays: ClassVar[Mapping[str, str]] = {"Mailbox": "a mailbox is never taken away: there may be mail in it by now"}
    way_out = "take an account whose mailbox is in this organisation, or create the user first"
    properties: ClassVar[tuple[Property, ...]] = (
        Property("Identity", IDENTITY, step="EWS-1"),
        Property("Mailbox", BOOL, step="EWS-2", wanted=True),
    )

    def __init__(self, name: str, database: str = "", *, made: bool = False) -> None:
        super().__init__(name, {})
        self.database, self.made = database, made

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """The one of the account."""
        asked = site.inputs.ews
        return [cls(site.inputs.ews_account(), asked.database or "", made=asked.create_user)]

    def shown(self, found: Account | None) -> State:
        """The recipient type tells whether it has a mailbox."""
        if found is None:
            return Absent("" if self.made else f"there is no user {self.name}")
        if not found.has_mailbox and not NAME.same(found.recipient_type, "User"):
            return Absent(f"{self.name} is a {found.details or found.recipient_type}: its mailbox is elsewhere")
        return Present({"Identity": self.name, "Mailbox": found.has_mailbox, "DistinguishedName": found.dn})

    def commands(self, verb: Verb, asked: Sequence[Property], state: State) -> tuple[Command, ...]:
        """The user gets a mailbox."""
        user = state.values["DistinguishedName"] if isinstance(state, Present) else self.name
        return (Command("Enable-Mailbox", {"Identity": user} | ({"Database": self.database} if self.database else {})),)
