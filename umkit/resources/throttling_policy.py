"""Throttling policy: the limits of a user's sessions, here without any.

The page raises seven limits to Unlimited for the MAPI account. The documented types of these limits are of Exchange
2010; since 2013 each of them takes Unlimited (reference: cmdlet cautions).
Source: vendor's chapter "Exchange Mailbox Store Limits"; Microsoft's pages of New- and Set-ThrottlingPolicy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

from umkit.kinds import ENUM, NAME, UNLIMITED
from umkit.resource import Absent, Property, Resource, State
from umkit.site import Site


class ThrottlingPolicy(Resource):
    """A throttling policy without limits for one account.

    Arguments:
        name: the policy's name.
    """

    noun = "ThrottlingPolicy"
    title = "throttling policy"
    way_out = "choose another name for the policy: sessions.policy in the customer file"
    undo_remark = "a limit that was inherited gets the inherited value as its own; Exchange does not show which were"
    properties: ClassVar[tuple[Property, ...]] = (
        Property("Name", NAME, step="LIM-3"),
        Property("RCAMaxConcurrency", UNLIMITED, step="LIM-3", wanted="Unlimited"),
        Property("EWSMaxConcurrency", UNLIMITED, step="LIM-3", wanted="Unlimited"),
        Property("EWSMaxSubscriptions", UNLIMITED, step="LIM-3", wanted="Unlimited"),
        Property("CPAMaxConcurrency", UNLIMITED, step="LIM-3", wanted="Unlimited"),
        Property("EwsCutoffBalance", UNLIMITED, step="LIM-3", wanted="Unlimited"),
        Property("EwsMaxBurst", UNLIMITED, step="LIM-3", wanted="Unlimited"),
        Property("EwsRechargeRate", UNLIMITED, step="LIM-3", wanted="Unlimited"),
    )

    def __init__(self, name: str) -> None:
        super().__init__(name, {})

    @classmethod
    def wanted_by(cls, site: Site) -> list[Self]:
        """The one that the customer file names."""
        return [cls(site.inputs.sessions.policy)]

    def state_of(self, objects: Sequence[Any]) -> State:
        """The policy, unless its name is that of one that holds for everybody: its limits are left alone."""
        found = self.find(objects)
        scope = found.get("ThrottlingPolicyScope") if found is not None else None
        if scope and not ENUM.same(scope, "Regular"):
            return Absent(f"{self.name} is the policy of scope {scope}: its limits hold for more than one account")
        return super().state_of(objects)


class EwsThrottlingPolicy(ThrottlingPolicy):
    """The same policy, as the EWS chapter asks for it."""

    properties: ClassVar[tuple[Property, ...]] = tuple(
        replace(prop, step="EWS-4") for prop in ThrottlingPolicy.properties
    )
