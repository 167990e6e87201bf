"""Role group: who may act as other users over EWS.

ApplicationImpersonation is a management role; the group carries it to its members. Members and roles that are there
besides are named and never taken away. A membership is taken back with ``Update-RoleGroupMember``, which replaces the
whole list: it gets the members that were just read, without the account, and the list is read again afterwards.
Source: vendor's chapter "EWS"; Microsoft's pages of New-RoleGroup and Add-RoleGroupMember.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Self

from umkit.accounts import account_of
from umkit.channel import Channel
from umkit.command import Command
from umkit.kinds import BOOL, IDENTITY, NAME, ListKind, listof
from umkit.permissions import listed
from umkit.resource import Absent, Done, Present, Property, Resource, State, Verb
from umkit.site import Site

ROLE = "ApplicationImpersonation"


class ImpersonationRoleGroup(Resource):
    """The role group for impersonation, with the EWS account as a member.

    Arguments:
        name: the role group's name.
        member: the account's canonical name, or as the customer file names it where it is not there yet.
        missing: why the account can be no member; empty where it can.
    """

    noun = "RoleGroup"
    title = "role group"
    way_out = "create the account first, or set ews.create_user in the customer file"
    stays: ClassVar[Mapping[str, str]] = {
        "Roles": "a role that was assigned to a role group of the customer's is taken away by hand "
        "(Remove-ManagementRoleAssignment)"
    }
    properties: ClassVar[tuple[Property, ...]] = (
        Property("Name", NAME, step="EWS-5"),
        Property("Roles", listof(IDENTITY, "at least"), step="EWS-5", wanted=(ROLE,)),
        Property("Members", listof(IDENTITY, "at least"), step="EWS-5"),
    )

    def __init__(self, name: str, member: str, missing: str = "") -> None:
        super().__init__(name, {"Members": [member]})
        self.missing = missing

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """The one that the customer file names."""
        asked, name = site.inputs.ews, site.inputs.ews_account()
        if (found := account_of(site, "ews")) is not None:
            return [cls(asked.role_group, found.identity or found.dn)]
        return [cls(asked.role_group, name, "" if asked.create_user else f"there is no user {name}")]

    def state_of(self, objects: Sequence[Any]) -> State:
        """The group with its roles and members."""
        if self.missing:
            return Absent(self.missing)
        found = self.find(objects)
        if found is None:
            return Absent()
        lists = {name: listed(found.get(name)) for name in ("Roles", "Members")}
        return Present({**found, **lists})

    def commands(self, verb: Verb, asked: Sequence[Property], state: State) -> tuple[Command, ...]:
        """A new group whole; else a role assignment and a member, each where it is missing."""
        if not isinstance(state, Present):
            given = {name: list(self.wanted[name]) for name in ("Roles", "Members")}
            return (Command("New-RoleGroup", {"Name": self.name} | given),)
        group = str(state.values.get("Identity") or self.name)
        sent: list[Command] = []
        for prop in asked:
            kind = prop.kind
            missing = (
                kind.missing(state.values[prop.name], self.wanted[prop.name]) if isinstance(kind, ListKind) else []
            )
            for each in missing:
                role = {"Role": each, "SecurityGroup": self.name}
                member = {"Identity": group, "Member": each}
                new = prop.name == "Roles"
                sent.append(
                    Command("New-ManagementRoleAssignment" if new else "Add-RoleGroupMember", role if new else member)
                )
        return tuple(sent)

    def undo(self, done: Done, state: State, channel: Channel) -> tuple[Command, ...] | str:
        """A new group is removed; from one that was there, the member is taken out and the others stay."""
        if done.verb != "update":
            return super().undo(done, state, channel)
        members = state.values["Members"] if isinstance(state, Present) else []
        added = listof(IDENTITY).missing(done.before["Members"], done.after["Members"])
        others = [each for each in members if not any(IDENTITY.same(each, member) for member in added)]
        return (Command("Update-RoleGroupMember", {"Identity": self.name, "Members": others, "Confirm": False}),)

    def carries(self, command: Command) -> Collection[str]:
        """Which property a command sets."""
        return {"New-ManagementRoleAssignment": ("Roles",), "Add-RoleGroupMember": ("Members",)}.get(
            command.name, ("Name", "Roles", "Members")
        )


class ImpersonationMembershipRemoved(Resource):
    """The EWS account is no member of the role group any more; group and other members stay.

    Arguments:
        name: the role group's name.
        member: the account's canonical name; empty where there is no such user.
        account: the account as the customer file names it.
    """

    noun = "RoleGroup"
    title = "membership in role group"
    way_out = "mend ews.account or ews.role_group in the customer file, or take the account out of the group by hand"
    properties: ClassVar[tuple[Property, ...]] = (Property("Member", BOOL, step="REM-2", wanted=False),)

    def __init__(self, name: str, member: str = "", account: str = "") -> None:
        super().__init__(name, {})
        self.member, self.account = member, account or member

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """The one of the EWS account, where this customer uses EWS."""
        if not site.inputs.has("ews"):
            return []
        found = account_of(site, "ews")
        member = (found.identity or found.dn) if found else ""
        return [cls(site.inputs.ews.role_group, member, site.inputs.ews_account())]

    def state_of(self, objects: Sequence[Any]) -> State:
        """Whether the account is a member; nothing is said of a group or an account that is not there."""
        if not self.member:
            return Absent(f"there is no user {self.account}")
        found = self.find(objects)
        if found is None:
            there = ", ".join(str(each.get("Name")) for each in objects) or "none"
            return Absent(f"there is no role group {self.name}; there are {there}")
        members = listed(found.get("Members"))
        own = [each for each in members if IDENTITY.same(each, self.member)]
        others = [each for each in members if each not in own]
        several = f"{len(own)} members can be {self.account}: {', '.join(own)}" if len(own) > 1 else ""
        return Present({"Member": bool(own), "Others": others}, blocked=several)

    def commands(self, verb: Verb, asked: Sequence[Property], state: State) -> tuple[Command, ...]:
        """The list without the account."""
        others = state.values["Others"] if isinstance(state, Present) else []
        return (Command("Update-RoleGroupMember", {"Identity": self.name, "Members": others, "Confirm": False}),)

    def undo(self, done: Done, state: State, channel: Channel) -> tuple[Command, ...] | str:
        """The account becomes a member again."""
        return (Command("Add-RoleGroupMember", {"Identity": self.name, "Member": self.member}),)
