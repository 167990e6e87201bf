"""Accounts by any name, the groups above them, access control entries and address ranges: without a wire."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from customer_files import accepted

from umkit import memberships, permissions
from umkit.accounts import Account, creation, find, of_user, quoted, select, user_filters
from umkit.channel import Channel
from umkit.checks.ews_fit import EwsFit
from umkit.checks.group_membership import forbidden
from umkit.checks.mapi_uses import MapiUses, Office365Limits
from umkit.checks.plain_text_logins import PlainTextAccepted
from umkit.checks.session_demand import SessionDemand
from umkit.command import Command
from umkit.errors import (
    AccessDenied,
    ObjectNotFound,
    OutcomeUnknown,
    ParameterRefused,
    Refused,
    RemoteError,
    SecretError,
    Unreadable,
)
from umkit.memberships import Group
from umkit.ranges import ranges, same_place
from umkit.resource import Present
from umkit.resources.mailbox import AccountUser
from umkit.resources.relay_right import ANONYMOUS, ANONYMOUS_SID, RelayRight
from umkit.secrets import SecretReference
from umkit.site import Site

DN = "CN=MAPI Account,OU=Dienste,DC=corp,DC=example"
USER = {
    "Name": "MAPI Account",
    "DistinguishedName": DN,
    "Identity": "corp.example/Dienste/MAPI Account",
    "Sid": "S-1-5-21-1-2-3-1105",
    "UserPrincipalName": "MAPIAccount@corp.example",
    "SamAccountName": "mapi",
    "WindowsEmailAddress": "mapi.account@corp.example",
    "DisplayName": "MAPI, Dienstkonto",
    "RecipientType": "UserMailbox",
    "RecipientTypeDetails": "UserMailbox",
    "UserAccountControl": "NormalAccount, DoNotExpirePassword",
}


class Answers(Channel):
    """A channel whose answers a test gives: by noun and filter, or by command."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer
        self.asked: list[Command] = []
        self.sent: list[Command] = []

    def list(self, noun: str, *, fresh: bool = False, **parameters: Any) -> Any:
        command = Command(f"Get-{noun}", parameters)
        self.asked.append(command)
        return self.answer(command)

    def read(self, command: Command, *, pin: bool = True, errors: str = "raise") -> Any:
        self.asked.append(command)
        return type("Result", (), {"outputs": self.answer(command)})()

    def change(self, command: Command, changes: Sequence[Mapping[str, Any]], *, deadline: float | None = None) -> Any:
        self.sent.append(command)
        if isinstance(error := self.answer(command), RemoteError):
            raise error


NAMES = [
    "MAPIAccount@corp.example",
    "mapi.account@CORP.example",
    "CORP\\mapi",
    "corp.EXAMPLE\\mapi",
    "mapi",
    "mapi account",
    "MAPI, Dienstkonto",
    DN,
    "corp.example/dienste/MAPI Account",
    "S-1-5-21-1-2-3-1105",
]


@pytest.mark.parametrize("name", NAMES)
def test_an_account_is_recognised_by_each_of_its_names(name: str) -> None:
    assert of_user(USER).named(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "other",
        "mapi@corp.example",
        "CORP\\MAPIAccount",
        "OTHER\\mapi",
        "other.example/Dienste/MAPI Account",
        DN + ",DC=x",
    ],
)
def test_and_by_no_other(name: str) -> None:
    assert not of_user(USER).named(name)


def test_what_is_empty_names_nobody() -> None:
    assert not Account(name="", dn="").named("x")
    assert not of_user({}).named("None")


@pytest.mark.parametrize(
    ("name", "filters"),
    [
        (DN, [f"DistinguishedName -eq '{DN}'"]),
        ("corp.example/Dienste/O'Neil", ["Name -eq 'O''Neil'"]),
        ("CORP\\mapi", ["SamAccountName -eq 'mapi'"]),
        ("a@b.example", ["UserPrincipalName -eq 'a@b.example'", "WindowsEmailAddress -eq 'a@b.example'"]),
        (
            "x' -or Name -like '*",
            [f"{key} -eq 'x'' -or Name -like ''*'" for key in ("SamAccountName", "Name", "DisplayName")],
        ),
    ],
)
def test_filters(name: str, filters: list[str]) -> None:
    assert user_filters(name) == filters


def test_found_with_the_first_question() -> None:
    channel = Answers(lambda command: [USER])
    assert find(channel, "mapi") == of_user(USER)
    assert len(channel.asked) == 1


def test_found_by_its_mailbox_alias() -> None:
    def answer(command: Command) -> list[Any]:
        clause = command.parameters["Filter"]
        if command.name == "Get-Mailbox":
            return [{"DistinguishedName": DN}] if clause == "Alias -eq 'xphone'" else []
        return [USER] if clause == f"DistinguishedName -eq {quoted(DN)}" else []

    assert find(Answers(answer), "xphone") == of_user(USER)
    assert find(Answers(answer), "nobody") is None
    assert find(Answers(answer), "CORP\\xphone") is None


def test_what_the_server_finds_and_is_another_one_is_not_taken() -> None:
    assert find(Answers(lambda command: [USER] if command.name == "Get-User" else []), "somebody@corp.example") is None


@pytest.mark.parametrize("shown", [{}, {"Identity": ""}, {"Identity": "MAPI Account"}])
def test_the_domain_before_a_backslash_counts(shown: dict[str, str]) -> None:
    user = USER | shown
    channel = Answers(lambda command: [user])
    assert find(channel, "CORP\\mapi") == of_user(user)
    with pytest.raises(Unreadable, match="cannot be told") as raised:
        find(channel, "OTHERDOM\\mapi")
    assert "user@domain" in raised.value.next


def test_a_domain_name_is_cut_to_what_netbios_allows() -> None:
    user = USER | {"Identity": "averylongcompanyname.example/Dienste/MAPI Account"}
    assert of_user(user).named("AVERYLONGCOMPAN\\mapi")


def test_two_of_one_name_are_refused_unless_one_has_it_as_its_logon_name() -> None:
    other = USER | {"DistinguishedName": "CN=Other,DC=x", "SamAccountName": "MAPI Account", "Name": "Other"}
    assert select([USER, other], "MAPI Account") == of_user(other)
    with pytest.raises(Unreadable, match="names 2 users"):
        select([USER, USER | {"DistinguishedName": "CN=2"}], "CORP\\mapi")


def test_the_user_to_be_made() -> None:
    ews = accepted(
        "ews: {create_user: true, user_principal_name: a-very-long-account-name@corp.example,"
        " initial_password: 'env:X', organizational_unit: corp.example/Dienste}"
    ).ews
    assert creation(ews) == {
        "Name": "a-very-long-account-name",
        "UserPrincipalName": "a-very-long-account-name@corp.example",
        "SamAccountName": "a-very-long-account-",
        "OrganizationalUnit": "corp.example/Dienste",
    }


def test_no_user_is_sent_for_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UMKIT_TEST_NONE", raising=False)
    user = AccountUser("a@b.example", {"Name": "a"}, SecretReference.parse("env:UMKIT_TEST_NONE"))
    channel = Answers(lambda command: None)
    [command] = user.commands("create", (), Present({}))
    with pytest.raises(SecretError):
        user.send(command, (), channel)
    assert channel.sent == []
    monkeypatch.setenv("UMKIT_TEST_NONE", "Passwort")
    user.send(command, (), channel)
    assert channel.sent[0].parameters["Password"].reveal() == "Passwort"


# -- groups ----------------------------------------------------------------------------------------------------------

ADMINS = "CN=Domänen-Admins,CN=Users,DC=corp,DC=example"
HELPERS = "CN=Helfer (IT*),DC=corp,DC=example"
CIRCLE = "CN=Kreis,DC=corp,DC=example"
MEMBERS = {DN: [HELPERS], HELPERS: [ADMINS, CIRCLE], CIRCLE: [HELPERS, ADMINS], ADMINS: []}
SIDS = {ADMINS: "S-1-5-21-1-2-3-512", HELPERS: "S-1-5-21-1-2-3-1201", CIRCLE: "S-1-5-21-1-2-3-1202"}


def group(dn: str) -> dict[str, Any]:
    name = dn.partition(",")[0].removeprefix("CN=")
    return {"Name": name, "DistinguishedName": dn, "Sid": SIDS[dn], "SID": SIDS[dn], "MemberOf": MEMBERS[dn]}


def in_exchange(command: Command) -> list[Any]:
    dn = command.parameters["Filter"].removeprefix("Members -eq ")[1:-1]
    return [group(above) for above in MEMBERS[dn]]


def in_directory(command: Command) -> list[Any]:
    clause = command.parameters["LDAPFilter"]
    if command.name == "Get-ADUser":
        return [{"DistinguishedName": DN, "MemberOf": [HELPERS, "CN=Fremde,DC=other"], "PrimaryGroup": CIRCLE}]
    if clause.startswith("(member:"):
        return [group(ADMINS), group(HELPERS), group(CIRCLE)]
    return [group(CIRCLE)]


def test_groups_as_exchange_finds_them() -> None:
    channel = Answers(in_exchange)
    found = memberships.by_exchange(channel, of_user(USER))
    assert [each.path for each in found] == [
        ("Helfer (IT*)",),
        ("Helfer (IT*)", "Domänen-Admins"),
        ("Helfer (IT*)", "Kreis"),
    ]
    assert len(channel.asked) == 4  # a circle is walked once


def test_groups_as_the_directory_knows_them() -> None:
    found = {each.name: each for each in memberships.by_directory(Answers(in_directory), of_user(USER))}
    assert found["Kreis"].path == ("Kreis",)
    assert len(found["Domänen-Admins"].path) == 2
    assert found["fremde"].sid == ""


def test_a_directory_that_does_not_know_the_account_is_no_clean_bill() -> None:
    with pytest.raises(Unreadable):
        memberships.by_directory(Answers(lambda command: []), of_user(USER))


def test_a_name_inside_an_ldap_filter() -> None:
    assert memberships.escaped("CN=a\\,b (*)\0") == "CN=a\\5c,b \\28\\2a\\29\\00"


@pytest.mark.parametrize(
    ("dn", "sid", "english"),
    [
        (ADMINS, SIDS[ADMINS], "Domain Admins"),
        ("CN=Organisations-Admins,DC=x", "S-1-5-21-9-9-9-519", "Enterprise Admins"),
        ("CN=Exchange Servers,OU=Microsoft Exchange Security Groups,DC=x", "S-1-5-21-1-2-3-1119", "Exchange Servers"),
        ("CN=organization management,OU=Microsoft Exchange Security Groups,DC=x", "", "Organization Management"),
        ("CN=Organization Management,OU=Copies,DC=x", "S-1-5-21-1-2-3-1200", ""),
        ("CN=Domain Admins,OU=Fake,DC=x", "S-1-5-21-1-2-3-1512", ""),
        ("CN=Help Desk,OU=Microsoft Exchange Security Groups,DC=x", "S-1-5-21-1-2-3-1108", ""),
        ("CN=x", "S-1-5-32-512", ""),
    ],
)
def test_forbidden_groups_are_told_by_what_no_language_changes(dn: str, sid: str, english: str) -> None:
    assert forbidden(Group("name", dn, sid)) == english


# -- entries and ranges ----------------------------------------------------------------------------------------------


def row(user: str, right: str, *, deny: bool = False, inherited: bool = False) -> dict[str, Any]:
    return {"User": user, "ExtendedRights": [right], "Deny": deny, "IsInherited": inherited}


ANY = permissions.ANY_RECIPIENT
ALONG = ("ms-Exch-Bypass-Anti-Spam", "ms-Exch-Accept-Headers-Routing", ANY)


def given(user: str) -> list[dict[str, Any]]:
    return [row(user, right) for right in ALONG]


@pytest.mark.parametrize(
    ("rows", "groups", "who"),
    [
        ([row("NT-AUTORITÄT\\ANONYMOUS-ANMELDUNG", ANY.lower())], set(), ["NT-AUTORITÄT\\ANONYMOUS-ANMELDUNG"]),
        ([row("S-1-5-7", ANY, deny=True), row("S-1-5-7", ANY)], set(), []),
        ([row("S-1-5-7", ANY, deny=True, inherited=True), row("S-1-5-7", ANY, inherited=True)], set(), []),
        ([row("S-1-5-7", ANY, deny=True, inherited=True), row("S-1-5-7", ANY)], set(), ["S-1-5-7"]),
        ([row("NT AUTHORITY\\Authenticated Users", ANY)], {"anonymoususers"}, ["NT AUTHORITY\\Authenticated Users"]),
        ([row("NT AUTHORITY\\Authenticated Users", ANY)], {"exchangeusers"}, []),
        (given("Everyone"), {"exchangeusers", "exchangeservers"}, ["Everyone"]),
        ([row("CORP\\Scanner", ANY)], {"exchangeusers"}, ["CORP\\Scanner"]),
        (given("CORP\\Exchange Servers"), {"exchangeservers"}, []),
        (given("NT INSTANS\\Autentiserade användare"), {"exchangeusers"}, []),
        (given("CORP\\Exchange Servers"), {"anonymoususers"}, ["CORP\\Exchange Servers"]),
        ([], set(), []),
    ],
)
def test_who_relays_through_a_connector(rows: list[dict[str, Any]], groups: set[str], who: list[str]) -> None:
    assert permissions.relaying(rows, groups) == who


def test_who_holds_an_account() -> None:
    channel = Answers(in_exchange)
    account = of_user(USER)
    assert memberships.holding(channel, account, ["Jeder", "NT AUTHORITY\\Authenticated Users"]) == [
        "Jeder",
        "NT AUTHORITY\\Authenticated Users",
    ]
    assert channel.asked == []
    assert memberships.holding(channel, account, ["CORP\\Kreis", "CORP\\Fremde", SIDS[ADMINS]]) == [
        "CORP\\Kreis",
        SIDS[ADMINS],
    ]


def test_ranges() -> None:
    [one, net, everywhere] = ranges(["10.0.0.5", "10.0.0.0/24", "0.0.0.0-255.255.255.255"])
    assert (one.width, net.width, everywhere.everywhere, net.everywhere) == (1, 256, True, False)
    assert net.holds(one)
    assert net.meets(one)
    assert not one.holds(net)
    assert not ranges(["::1"])[0].meets(one)
    assert ranges(None) == []


@pytest.mark.parametrize(
    ("some", "others", "same"),
    [
        (["0.0.0.0:25"], ["10.1.1.1:25"], True),
        (["0.0.0.0:25"], ["0.0.0.0:2500"], False),
        (["10.1.1.1:25"], ["10.1.1.2:25"], False),
        (["[::]:25"], ["0.0.0.0:25"], False),
        (["[::]:25", "0.0.0.0:25"], ["[::1]:25"], True),
        ([], ["0.0.0.0:25"], False),
    ],
)
def test_whether_two_connectors_listen_in_one_place(some: list[str], others: list[str], same: bool) -> None:
    assert same_place(some, others) is same


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        (None, [ANONYMOUS]),
        (Refused(f"User or group '{ANONYMOUS}' was not found"), [ANONYMOUS, ANONYMOUS_SID]),
        (ObjectNotFound("not found"), [ANONYMOUS, ANONYMOUS_SID]),
        (ObjectNotFound("there is no CN=relay"), [ANONYMOUS]),
        (Refused("The domain controller is busy"), [ANONYMOUS]),
        (ParameterRefused(f"{ANONYMOUS} is no value"), [ANONYMOUS]),
        (AccessDenied("no"), [ANONYMOUS]),
        (OutcomeUnknown("lost"), [ANONYMOUS]),
    ],
)
def test_the_anonymous_principal_by_name_then_by_its_sid(error: RemoteError | None, sent: list[str]) -> None:
    right = RelayRight("EX01\\relay", "CN=relay")
    channel = Answers(lambda command: error if command.parameters.get("User") == ANONYMOUS else [])
    [command] = right.commands("update", (), Present({"Trustee": ""}))
    with contextlib.suppress(RemoteError):
        right.send(command, (), channel)
    assert [each.parameters["User"] for each in channel.sent] == sent


def test_a_refused_right_that_is_there_is_not_sent_again() -> None:
    right = RelayRight("EX01\\relay", "CN=relay")
    there = [row(ANONYMOUS, ANY)]
    channel = Answers(lambda command: there if command.name == "Get-ADPermission" else ObjectNotFound("not found"))
    [command] = right.commands("update", (), Present({"Trustee": ""}))
    right.send(command, (), channel)
    assert len(channel.sent) == 1


# -- what only informs -----------------------------------------------------------------------------------------------


def told(check: Any, text: str) -> list[tuple[str, str]]:
    return [(finding.result, finding.text) for finding in check.run(Site(accepted(text))).findings]


def test_session_demand() -> None:
    [(result, text)] = told(SessionDemand(), "sessions: {public_sources: 6, private_sources: 1}")
    assert result == "ok"
    assert "1 * 5 * (6 + 1) = 35, more than the limit of 32" in text
    assert "within the limit" in told(SessionDemand(), "sessions: {public_sources: 5, private_sources: 1}")[0][1]
    many = "sessions: {xphone_servers: 3, public_sources: 9, private_sources: 1, registry_limit: true}"
    assert accepted(many).sessions.needed == 150
    assert "LIM-7 takes 150" in told(SessionDemand(), many)[1][1]


def test_plain_text_logins() -> None:
    assert told(PlainTextAccepted(), "")[0][0] == "open"
    assert told(PlainTextAccepted(), "imap4: {plain_text_accepted_by: A. Example}")[0][0] == "ok"
    assert told(PlainTextAccepted(), "imap4: {login_type: SecureLogin}")[0][0] == "ok"


def test_mapi_uses() -> None:
    assert [result for result, _ in told(MapiUses(), "ews: null")] == ["ok"] * 4
    assert told(MapiUses(), "")[-1][0] == "open"
    assert [result for result, _ in told(Office365Limits(), "")] == ["ok"]
    away = told(Office365Limits(), "mapi: {office365: true, uses: [directory], private_contacts: false}")
    assert "neither private contact folders" in away[0][1]


@pytest.mark.parametrize(
    ("text", "result", "words"),
    [
        ("mapi: null\news: {account: a}", "open", "not known"),
        ("mapi: null\news: {account: a, users: 100}", "ok", "MAPI would do"),
        ("mapi: null\news: {account: a, users: 500}", "ok", "recommended"),
        ("mapi: null\news: {account: a, users: 800, advise: EwsPull}", "ok", "EwsStream is recommended"),
        ("ews: {users: 800}", "open", "over MAPI too"),
    ],
)
def test_ews_fit(text: str, result: str, words: str) -> None:
    assert any(found == result and words in said for found, said in told(EwsFit(), text))
