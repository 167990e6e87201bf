"""Policy assignment: which throttling policy an account's mailbox has.

A mailbox without a policy of its own has the default one. Exchange prints the policy's name (?).
Source: vendor's chapter "Exchange Mailbox Store Limits"; Microsoft's page of Set-Mailbox.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from umkit.accounts import Role, account_name, account_of
from umkit.channel import Asked, Channel
from umkit.command import Command
from umkit.errors import RemoteError
from umkit.kinds import IDENTITY
from umkit.resource import Absent, Done, Missed, Present, Property, Resource, State, Verb
from umkit.site import Site


class PolicyAssignment(Resource):
    """The throttling policy of the MAPI account's mailbox.

    Arguments:
        name: the account as the customer file names it.
        policy: the policy's name.
        mailbox: distinguished name of the account's mailbox; empty where it has none.
        made: whether an earlier step makes the mailbox where there is none.
        missing: why the account can have no mailbox; empty where it can.
    """

    noun = "Mailbox"
    title = "mailbox of"
    key = "Identity"
    role: ClassVar[Role] = "mapi"
    way_out = "mend the account's name in the customer file, name another account, or give it a mailbox"
    properties: ClassVar[tuple[Property, ...]] = (Property("ThrottlingPolicy", IDENTITY, step="LIM-4"),)

    def __init__(self, name: str, policy: str, mailbox: str = "", *, made: bool = False, missing: str = "") -> None:
        super().__init__(name, {"ThrottlingPolicy": policy})
        self.policy, self.mailbox, self.made, self.missing = policy, mailbox, made, missing

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """The one of the account."""
        return [cls._of(site, cls.role)]

    @classmethod
    def _of(cls, site: Site, role: Role) -> Self:
        found = account_of(site, role)
        mailbox = found.dn if found and found.has_mailbox else ""
        made = role == "ews" and bool(found or site.inputs.ews.create_user)
        name = account_name(site.inputs, role)
        missing = "" if found else f"there is no user {name}"
        return cls(name, site.inputs.sessions.policy, mailbox, made=made, missing=missing)

    def lists(self) -> Sequence[Asked]:
        """The mailbox, which the user is known to have; never asked for by an empty identity."""
        return ((self.noun, {"Identity": self.mailbox}),) if self.mailbox else ()

    def read(self, channel: Channel, *, fresh: bool = False) -> State:
        """The mailbox, which the user is known to have; never asked for by an empty identity."""
        if not self.mailbox:
            return self.state_of([])
        try:
            return self.state_of(channel.list(self.noun, fresh=fresh, Identity=self.mailbox))
        except RemoteError as error:
            return Missed(error)

    def state_of(self, objects: Sequence[Any]) -> State:
        """The mailbox's policy."""
        if not objects:
            return Absent("" if self.made else self.missing or f"{self.name} has no mailbox in this organisation")
        return Present({"Identity": self.name, "ThrottlingPolicy": objects[0].get("ThrottlingPolicy")})

    def commands(self, verb: Verb, asked: Sequence[Property], state: State) -> tuple[Command, ...]:
        """The policy and nothing else of the mailbox."""
        given = {"Identity": self.mailbox or self.name, "ThrottlingPolicy": self.wanted["ThrottlingPolicy"]}
        return (Command("Set-Mailbox", given),)


class EwsPolicyAssignment(PolicyAssignment):
    """The throttling policy of the mailbox of the account that synchronises calendars over EWS."""

    role: ClassVar[Role] = "ews"
    properties: ClassVar[tuple[Property, ...]] = (
        Property("Identity", IDENTITY, step="EWS-2"),
        Property("ThrottlingPolicy", IDENTITY, step="EWS-4"),
    )


class PolicyAssignmentRemoved(PolicyAssignment):
    """No throttling policy of this runbook on the mailboxes any more; another policy stays."""

    properties: ClassVar[tuple[Property, ...]] = (Property("ThrottlingPolicy", IDENTITY, step="REM-2"),)

    def __init__(self, name: str, policy: str, mailbox: str = "", *, made: bool = False, missing: str = "") -> None:
        super().__init__(name, policy, mailbox, made=made, missing=missing)
        self.wanted["ThrottlingPolicy"] = None  # that $null clears it is (?); it is read back in any case

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """That of the MAPI account, and that of the EWS account where it is another one."""
        roles: list[Role] = [role for role in ("mapi", "ews") if site.inputs.has(role)]
        found = {one.mailbox or one.name: one for one in (cls._of(site, role) for role in roles)}
        return list(found.values())

    def state_of(self, objects: Sequence[Any]) -> State:
        """The mailbox's policy if it is the runbook's; a user without a mailbox has nothing to take back."""
        if self.missing:
            return Absent(self.missing)
        policy = objects[0].get("ThrottlingPolicy") if objects else None
        own = IDENTITY.same(policy, self.policy)
        return Present({"ThrottlingPolicy": policy if own else None, "Other": None if own else policy})

    def undo(self, done: Done, state: State, channel: Channel) -> tuple[Command, ...] | str:
        """The policy again, unless the mailbox got another one since."""
        if isinstance(state, Present) and state.values.get("Other"):
            return f"the mailbox has another policy since, {state.values['Other']}"
        return super().undo(done, state, channel)

    def remark(self, prop: Property, values: Mapping[str, Any]) -> str:
        """Which other policy is left alone."""
        return f"{values['Other']} is another policy and stays" if values.get("Other") else ""
