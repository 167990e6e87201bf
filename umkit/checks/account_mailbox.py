"""The account: a full domain account with a mailbox of its own.

A shared, room, linked or disabled account has a mailbox too, and cannot log on as a service.
"""

from __future__ import annotations

from umkit.accounts import Role, account_name, account_of
from umkit.kinds import NAME
from umkit.outcome import Report
from umkit.site import Site


class FullAccount:
    """The MAPI account or the EWS account can run services and owns a mailbox.

    Arguments:
        role: which of the two.
    """

    def __init__(self, role: Role = "mapi") -> None:
        self.role: Role = role

    def run(self, site: Site) -> Report:
        """One finding for the account and one for its mailbox."""
        report, name = Report(), account_name(site.inputs, self.role)
        found = account_of(site, self.role)
        if found is None:
            report.add(
                "failed",
                f"there is no user {name}",
                "create the domain account, or mend its name in the customer file",
            )
            return report
        if found.disabled:
            report.add("failed", f"{name} is disabled", "enable the account, or name another one")
        else:
            report.add("ok", f"{name} is the domain account {found.identity or found.dn}")
        away = site.inputs.has("mapi") and site.inputs.mapi.office365
        if NAME.same(found.details, "UserMailbox"):
            report.add("ok", f"{name} has a mailbox of its own")
        elif found.has_mailbox:
            report.add(
                "failed",
                f"{name} has a mailbox of type {found.details}, not a user's own",
                "convert it to a user mailbox, or name another account",
            )
        elif away and NAME.same(found.details, "RemoteUserMailbox"):
            report.add("ok", f"the mailbox of {name} is in Office 365")
        else:
            kind = found.details or found.recipient_type or "User"
            report.add(
                "failed",
                f"{name} has no mailbox in this organisation ({kind})",
                "give it a mailbox: Enable-Mailbox, or the Exchange admin centre",
            )
        return report
