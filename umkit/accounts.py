"""Accounts: one user of the organisation, however the customer file names it.

The customer file may say a user principal name, ``DOMAIN\\name``, a name, an alias, an address or a path; Exchange
answers with canonical names, distinguished names or bare names. So the user is looked up once by a filter, where no
match is an empty list and no error event on the server, and recognised by all its names afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from umkit.channel import Channel
from umkit.customer import CustomerFile
from umkit.customer.mapi import Ews
from umkit.errors import Unreadable
from umkit.kinds import IDENTITY, NAME
from umkit.site import Site

#: Which of the two accounts of the customer file is meant.
Role = Literal["mapi", "ews"]


@dataclass(frozen=True)
class Account:
    """A user, as ``Get-User`` shows it.

    Arguments:
        name: its common name.
        dn: its distinguished name; the one form in which it is named to Exchange.
        identity: its canonical name, as Exchange prints it in other objects.
        sid: its security identifier.
        upn: its user principal name; may be empty.
        sam: its name before Windows 2000.
        mail: its primary address; may be empty.
        display: its display name.
        recipient_type: ``User``, ``UserMailbox``, ``MailUser`` …
        details: ``RecipientTypeDetails``, for example ``SharedMailbox``.
        disabled: whether the account cannot log on.
    """

    name: str
    dn: str
    identity: str = ""
    sid: str = ""
    upn: str = ""
    sam: str = ""
    mail: str = ""
    display: str = ""
    recipient_type: str = ""
    details: str = ""
    disabled: bool = False

    @property
    def domains(self) -> tuple[str, ...]:
        """What its domain may be called before a backslash: the DNS name, and the first label as its NetBIOS name.

        The two can differ, and no user's object shows the NetBIOS name. For a user that is not there yet the
        principal name has to tell the domain.
        """
        place = IDENTITY.normalise(self.identity)
        if place is None or place.form != "canonical":
            place = IDENTITY.normalise(self.dn)
        if place is not None and place.form == "canonical":
            domain = place.whole[0]
        elif place is not None and place.form == "dn":
            pairs = zip(place.whole[::2], place.whole[1::2], strict=True)
            domain = ".".join(name for kind, name in pairs if kind == "dc")
        else:
            domain = self.upn.partition("@")[2].casefold()
        return (domain, domain.partition(".")[0][:15]) if domain else ()

    @property
    def has_mailbox(self) -> bool:
        """Whether it has a mailbox in this organisation."""
        return NAME.same(self.recipient_type, "UserMailbox")

    def named(self, text: str) -> bool:
        """Whether a name, in whatever form, names this account."""
        found = IDENTITY.normalise(text)
        if found is None:
            return False
        known = {
            "dn": (self.dn,),
            "canonical": (self.identity,),
            "account": (self.sam,),
            "address": (self.upn, self.mail),
            "name": (self.sam, self.name, self.display, self.sid),
        }[found.form]
        if found.form == "account" and found.whole[0] not in self.domains:
            return False
        wanted = found.last if found.form == "account" else text
        return any(bool(form) and IDENTITY.same(wanted, form) for form in known)


def account_name(inputs: CustomerFile, role: Role) -> str:
    """What the customer file calls the MAPI account, or the one that impersonates over EWS."""
    return inputs.mapi.account if role == "mapi" else inputs.ews_account()


def service_role(inputs: CustomerFile) -> Role:
    """Whose account the XPhone services have: the MAPI one, or at a customer without MAPI the one for EWS."""
    return "ews" if inputs.declines("mapi") and inputs.has("ews") else "mapi"


def account_of(site: Site, role: Role) -> Account | None:
    """The MAPI account or the EWS account; nothing where there is no such user.

    A person may have created or mended it since it was last looked for, so with a person there it is looked for anew.
    """
    return find(site.organisation(), account_name(site.inputs, role))


def find(channel: Channel, identity: str, *, fresh: bool = False) -> Account | None:
    """The user that an identity names; nothing where there is none.

    Raises ``Unreadable`` when it names several, and the mapped error when the server cannot be asked.
    """
    for clause in user_filters(identity):
        if (found := select(channel.list("User", fresh=fresh, Filter=clause), identity)) is not None:
            return found
    # An alias or a further address is the mailbox's, not the user's.
    form = IDENTITY.normalise(identity)
    if form is None or form.form not in ("name", "address"):
        return None
    clause = (
        f"Alias -eq {quoted(identity)}" if form.form == "name" else f"EmailAddresses -eq {quoted('smtp:' + identity)}"
    )
    mailboxes = channel.list("Mailbox", fresh=fresh, Filter=clause)
    if len(mailboxes) != 1:
        return None
    dn = str(mailboxes[0]["DistinguishedName"])
    return select(channel.list("User", fresh=fresh, Filter=user_filters(dn)[0]), dn)


def select(users: Sequence[Mapping[str, Any]], identity: str) -> Account | None:
    """The one of several users that an identity names.

    Raises ``Unreadable`` when several remain: nothing is done to one of two; and when only the domain before a
    backslash tells that it is another one, for that may be a NetBIOS name that the user's object does not show.
    """
    accounts = [account for account in map(of_user, users) if account.named(identity)]
    if len(accounts) > 1:  # a name may be one's logon name and another's display name: the logon name goes first
        accounts = [account for account in accounts if NAME.same(account.sam, identity)] or accounts
    if len(accounts) > 1:
        raise Unreadable(
            f"{identity} names {len(accounts)} users",
            seen="; ".join(account.dn for account in accounts),
            expected="one user",
            next="name it by its user principal name or distinguished name in the customer file",
        )
    if not accounts:
        _refuse_domain(users, identity)
    return accounts[0] if accounts else None


def _refuse_domain(users: Sequence[Mapping[str, Any]], identity: str) -> None:
    form = IDENTITY.normalise(identity)
    if form is None or form.form != "account":
        return
    if namesakes := [each for each in map(of_user, users) if NAME.same(each.sam, form.last)]:
        raise Unreadable(
            f"whether {identity} names {' or '.join(each.identity or each.dn for each in namesakes)} cannot be told",
            seen="; ".join(f"{each.sam} in {each.domains[0] if each.domains else 'no domain'}" for each in namesakes),
            expected=f"a user of the domain {identity.partition(chr(92))[0]}",
            next="name the account as user@domain or by its distinguished name in the customer file",
        )


def of_user(user: Mapping[str, Any]) -> Account:
    """The account that an object of ``Get-User`` shows."""

    def text(name: str) -> str:
        return str(user.get(name) or "")

    return Account(
        name=text("Name"),
        dn=text("DistinguishedName"),
        identity=text("Identity"),
        sid=text("Sid"),
        upn=text("UserPrincipalName"),
        sam=text("SamAccountName"),
        mail=text("WindowsEmailAddress"),
        display=text("DisplayName"),
        recipient_type=text("RecipientType"),
        details=text("RecipientTypeDetails"),
        disabled="accountdisabled" in text("UserAccountControl").casefold(),
    )


def user_filters(identity: str) -> list[str]:
    """The filters (OPATH) that find the user whom an identity can name, the likeliest first."""
    form = IDENTITY.normalise(identity)
    names: tuple[str, ...]
    match form.form if form else "name":
        case "dn":
            names, value = ("DistinguishedName",), identity
        case "canonical":
            names, value = ("Name",), identity.rpartition("/")[2]
        case "account":
            names, value = ("SamAccountName",), identity.partition("\\")[2]
        case "address":
            names, value = ("UserPrincipalName", "WindowsEmailAddress"), identity
        case _:
            names, value = ("SamAccountName", "Name", "DisplayName"), identity
    return [f"{name} -eq {quoted(value.strip())}" for name in names]


def quoted(value: str) -> str:
    """A value inside a filter: in single quotes, with those inside it doubled."""
    return "'" + value.replace("'", "''") + "'"


def creation(asked: Ews) -> dict[str, str]:
    """What ``New-Mailbox`` is given for the user that the customer file describes."""
    upn = asked.user_principal_name or ""
    local = upn.partition("@")[0]
    given = {"Name": asked.display_name or local, "UserPrincipalName": upn}
    given["SamAccountName"] = local[:20]  # Active Directory allows a user no longer one
    return given | {
        name: value
        for name, value in (("OrganizationalUnit", asked.organizational_unit), ("Database", asked.database))
        if value
    }
