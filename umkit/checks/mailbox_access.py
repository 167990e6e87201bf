"""Spot check: full access of the account to one test mailbox, as the page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from umkit.accounts import Role, account_name, account_of, find
from umkit.outcome import Report, Row
from umkit.permissions import listed
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
        account, target = account_of(site, self.role), find(site.organisation(), mailbox, fresh=site.interactive)
        for found, said in ((account, name), (target, mailbox)):
            if found is None:
                report.add("failed", f"there is no user {said}", "mend its name in the customer file")
        if account is None or target is None:
            return report
        if not target.has_mailbox:
            report.add("failed", f"{mailbox} has no mailbox in this organisation", f"name another one in {key}")
            return report
        rows = site.organisation().list("MailboxPermission", fresh=True, Identity=target.dn, User=account.dn)
        full = [row for row in rows if _full(row)]
        for row in rows:
            shown = f"{', '.join(listed(row.get('AccessRights')))}{' denied' if row.get('Deny') else ''}"
            note = "inherited" if row.get("IsInherited") else "of its own"
            good = not (_full(row) and row.get("Deny"))
            report.rows.append(Row(f"mailbox {mailbox}, {name}", "AccessRights", shown, "FullAccess", good, note=note))
        if not full:
            report.add(
                "failed",
                f"{name} has no FullAccess to {mailbox}",
                "apply the database rights; after that it can take up to two hours until the store knows them (?)",
            )
        elif any(row.get("Deny") for row in _deciding(full)):
            report.add(
                "failed",
                f"FullAccess of {name} to {mailbox} is denied",
                "find the deny entry and the group that brings it: an account in an administrators' group is denied",
            )
        else:
            report.add("ok", f"{name} has FullAccess to {mailbox}, Deny False")
        return report


def _full(row: Mapping[str, Any]) -> bool:
    return "fullaccess" in {
        part.strip().casefold() for right in listed(row.get("AccessRights")) for part in right.split(",")
    }


def _deciding(rows: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The mailbox's own entries go before the inherited ones."""
    return [row for row in rows if not row.get("IsInherited")] or rows
