"""Spot check: full access of the account to one test mailbox, as the page shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from umkit.accounts import Account, Role, account_name, account_of, find
from umkit.channel import Channel
from umkit.memberships import holding
from umkit.outcome import Report, Row
from umkit.permissions import holds_everybody, listed
from umkit.site import Site


class FullAccessSpotCheck:
    """The account has FullAccess to the test mailbox, and nothing denies it.

    Arguments:
        role: the MAPI account on mapi.test_mailbox, or the EWS account on ews.test_user.
    """

    def __init__(self, role: Role = "mapi") -> None:
        self.role: Role = role

    def run(self, site: Site) -> Report:
        """One row for each entry; *open* where no test mailbox is named."""
        report, name = Report(), account_name(site.inputs, self.role)
        key = "mapi.test_mailbox" if self.role == "mapi" else "ews.test_user"
        mailbox = site.inputs.mapi.test_mailbox if self.role == "mapi" else site.inputs.ews.test_user
        if not mailbox:
            report.add("open", "no test mailbox is named, so no access was looked at", f"name a test mailbox in {key}")
            return report
        account, target = account_of(site, self.role), find(site.organisation(), mailbox)
        for found, said in ((account, name), (target, mailbox)):
            if found is None:
                report.add("failed", f"there is no user {said}", "mend its name in the customer file")
        if account is None or target is None:
            return report
        if not target.has_mailbox:
            report.add("failed", f"{mailbox} has no mailbox in this organisation", f"name another one in {key}")
            return report
        channel = site.organisation()
        everybody = {"Identity": target.dn}
        own = everybody | {"User": account.dn}
        with channel.asked_ahead([("MailboxPermission", own), ("MailboxPermission", everybody)], fresh=True):
            rows = channel.list("MailboxPermission", fresh=True, **own)
            every = channel.list("MailboxPermission", fresh=True, **everybody)
        others = _others(channel, account, every, rows)
        full = [row for row in rows if _full(row)]
        for row, who in [*((row, name) for row in rows), *((row, str(row["User"])) for row in others)]:
            shown = f"{', '.join(listed(row.get('AccessRights')))}{' denied' if row.get('Deny') else ''}"
            note = "inherited" if row.get("IsInherited") else "of its own"
            good = not (_full(row) and row.get("Deny"))
            report.rows.append(Row(f"mailbox {mailbox}, {who}", "AccessRights", shown, "FullAccess", good, note=note))
        denies = [row for row in _deciding([*full, *others]) if row.get("Deny")]
        if not full:
            report.add(
                "differs",
                f"{name} has no FullAccess to {mailbox}",
                "apply the database rights; after that it can take up to two hours until the store knows them (?)",
            )
        elif denies:
            through = ", ".join(dict.fromkeys(str(row["User"]) for row in denies if row in others))
            report.add(
                "failed",
                f"FullAccess of {name} to {mailbox} is denied{f' through {through}' if through else ''}",
                "find the deny entry and the group that brings it: an account in an administrators' group is denied",
            )
        else:
            report.add("ok", f"{name} has FullAccess to {mailbox}, Deny False")
        return report


def _others(channel: Channel, account: Account, every: Sequence[Any], own: Sequence[Any]) -> list[Mapping[str, Any]]:
    """Denies of FullAccess for somebody else who holds the account.

    Exchange's own inherited denies are for administrators' groups, which MAPI-4 looks for; so an inherited one counts
    here only where it is for everybody.
    """
    shown = {str(row.get("User")) for row in own}
    denied = [row for row in every if row.get("Deny") and _full(row) and str(row.get("User")) not in shown]
    asked = dict.fromkeys(
        who for row in denied if holds_everybody(who := str(row.get("User"))) or not row.get("IsInherited")
    )
    reaching = holding(channel, account, asked) if asked else []
    return [row for row in denied if str(row.get("User")) in reaching]


def _full(row: Mapping[str, Any]) -> bool:
    return "fullaccess" in {
        part.strip().casefold() for right in listed(row.get("AccessRights")) for part in right.split(",")
    }


def _deciding(rows: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The mailbox's own entries go before the inherited ones."""
    return [row for row in rows if not row.get("IsInherited")] or rows
