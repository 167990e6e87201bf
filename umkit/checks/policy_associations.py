"""Policy associations: that mailbox and association show the throttling policy.

The page says the mailbox shows XPhoneServerThrottlingPolicy, while its own commands make NoThrottlingPolicy: the
former is the name of an older page. What counts is that the name shown is the one of the policy that was made.
"""

from __future__ import annotations

from umkit.accounts import Role, account_name, account_of
from umkit.kinds import IDENTITY
from umkit.outcome import Report, Row
from umkit.site import Site

_OTHER_NAME = "XPhoneServerThrottlingPolicy"


class PolicyShown:
    """The account's mailbox, and the list of associations, show the policy.

    Arguments:
        role: the MAPI account or the EWS account.
    """

    def __init__(self, role: Role = "mapi") -> None:
        self.role: Role = role

    def run(self, site: Site) -> Report:
        """One row for the mailbox, one for the association; a finding for each."""
        report, name = Report(), account_name(site.inputs, self.role)
        policy, channel = site.inputs.sessions.policy, site.organisation()
        found = account_of(site, self.role)
        if found is None or not found.has_mailbox:
            report.add("failed", f"{name} has no mailbox in this organisation", "give it one, then apply the policy")
            return report
        asked = {"Identity": found.dn}
        with channel.asked_ahead([("Mailbox", asked), ("ThrottlingPolicyAssociation", asked)], fresh=True):
            mailbox = channel.list("Mailbox", fresh=True, **asked)
            association = channel.list("ThrottlingPolicyAssociation", fresh=True, **asked)
        for place, objects, prop in (
            ("mailbox", mailbox, "ThrottlingPolicy"),
            ("policy association", association, "ThrottlingPolicyId"),
        ):
            shown = objects[0].get(prop) if objects else None
            same = IDENTITY.same(shown, policy)
            report.rows.append(Row(f"{place} of {name}", prop, shown, policy, same, kind=IDENTITY))
            if same:
                report.add("ok", f"the {place} of {name} shows {policy}")
            else:
                report.add("differs", f"the {place} of {name} shows {shown or 'no policy'}", "apply the assignment")
        if not IDENTITY.same(policy, _OTHER_NAME):
            report.notes.append(
                f"the page tells to look for {_OTHER_NAME}; with the page's own commands the name shown is {policy}"
            )
        return report
