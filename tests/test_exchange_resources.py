"""The Exchange resources and checks of chapters 3 to 8 and 21 against the lab, called as the notebooks call them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from umkit.checks.accepted_domains import AcceptedDomains
from umkit.checks.account_mailbox import FullAccount
from umkit.checks.group_membership import ForbiddenGroups
from umkit.checks.mailbox_access import FullAccessSpotCheck
from umkit.checks.policy_associations import PolicyShown
from umkit.checks.receive_connector_conflicts import ReceiveConnectorConflicts
from umkit.checks.settings_listed import SettingsListed
from umkit.errors import Unreadable
from umkit.lab import Lab
from umkit.outcome import StepOutcome
from umkit.resources.database_rights import DatabaseRights, DatabaseRightsRemoved, EwsDatabaseRights
from umkit.resources.imap_settings import ImapSettings
from umkit.resources.mailbox import AccountMailbox, AccountUser
from umkit.resources.policy_assignment import EwsPolicyAssignment, PolicyAssignment, PolicyAssignmentRemoved
from umkit.resources.receive_connector import ReceiveConnector
from umkit.resources.relay_right import RelayRight
from umkit.resources.role_group import ImpersonationMembershipRemoved, ImpersonationRoleGroup
from umkit.resources.throttling_policy import EwsThrottlingPolicy, ThrottlingPolicy
from umkit.runbook import Chapter

CLEAN = Path(__file__).resolve().parents[1] / "umkit" / "lab" / "organisations" / "clean-2019-dag.yaml"
PASSWORD = "Erstes'Kennwort & <42>"
SECTIONS: dict[str, Any] = {
    "customer": {"name": "acme"},
    "exchange": {"endpoint": "lab", "auth": "basic", "deadline": 30},
    "xphone": {"address": "10.1.2.31"},
    "um_services": [],
    "imap4": {},
    "relay": {},
    "mapi": {"account": "MAPIAccount@alleo.intern", "test_mailbox": "testuser", "uses": ["directory", "voicemail"]},
    "sessions": {},
    "ews": {},
    "consent": {
        "customer": "acme",
        "removal": {"allowed_by": "A. Example", "until": "2099-12-31"},
        "further_removal": {"allowed_by": "A. Example", "until": "2099-12-31"},
    },
}


class Place:
    """A lab and the chapters that work on it."""

    def __init__(self, lab: Lab, folder: Path, trace: Path) -> None:
        self.lab, self.folder, self.trace = lab, folder, trace
        self.opened: list[Chapter] = []

    def chapter(self, name: str, mode: str = "apply", **changes: Any) -> Chapter:
        sections = {"hosts": {}, **SECTIONS}
        for key, change in changes.items():
            sections[key] = {**sections[key], **change} if isinstance(change, dict) and sections[key] else change
        chapter = Chapter(name, mode=mode, run={"records": str(self.folder), "replication_wait": 10}, **sections)
        self.opened.append(chapter)
        return chapter

    def objects(self, noun: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.lab.state()["objects"][noun]
        return found

    def one(self, noun: str, **wanted: Any) -> dict[str, Any]:
        [found] = [each for each in self.objects(noun) if all(each[key] == value for key, value in wanted.items())]
        return found

    def changes(self) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.trace.read_text("utf-8").splitlines()]
        return [line["commands"][0] for line in lines if line["mutating"] and line["outcome"] == "ok"]

    def received(self) -> list[str]:
        return [json.loads(line)["commands"][0]["name"] for line in self.trace.read_text("utf-8").splitlines()]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Place]:
    values = yaml.safe_load(CLEAN.read_text("utf-8"))
    for key, change in getattr(request, "param", {}).items():
        values[key] = {**values.get(key, {}), **change} if isinstance(change, dict) else values.get(key, []) + change
    file = tmp_path / "organisation.yaml"
    file.write_text(yaml.safe_dump(values, allow_unicode=True), "utf-8")
    trace = tmp_path / "trace.jsonl"
    with Lab(file, trace=trace) as lab:
        monkeypatch.setenv("UMKIT_LAB", json.dumps(lab.describe()))
        monkeypatch.delenv("UMKIT_HEADLESS", raising=False)
        monkeypatch.delenv("UMKIT_RECORD", raising=False)
        place = Place(lab, tmp_path / "records", trace)
        yield place
        for chapter in place.opened:
            chapter.site.close()


def test_imap_settings(place: Place) -> None:
    planned = place.chapter("03-imap4-access", "plan").configure("IMAP-2", ImapSettings)
    assert planned.result == "differs"
    assert [command.parameters["Server"] for command in planned.would] == ["EX01", "EX02"]
    chapter = place.chapter("03-imap4-access")
    assert chapter.configure("IMAP-2", ImapSettings).result == "changed"
    for settings in place.objects("ImapSettings"):
        assert (settings["LoginType"], settings["MessageRetrievalMimeFormat"]) == ("PlainTextLogin", "TextOnly")
    before = len(place.changes())
    assert chapter.configure("IMAP-2", ImapSettings).result == "ok"
    assert len(place.changes()) == before
    listed = chapter.check("IMAP-3", SettingsListed(ImapSettings))
    assert listed.result == "ok"
    assert {"LoginType", "SSLBindings", "MaxConnectionsPerUser"} <= {row.property for row in listed.rows}


def relay(chapter: Chapter) -> dict[str, StepOutcome]:
    return {
        "REL-1": chapter.inform("REL-1", AcceptedDomains()),
        "REL-2": chapter.configure("REL-2", ReceiveConnector),
        "REL-3": chapter.configure("REL-3", ReceiveConnector, RelayRight),
        "REL-4": chapter.check("REL-4", ReceiveConnectorConflicts()),
    }


def results(outcomes: dict[str, StepOutcome]) -> dict[str, str]:
    return {step: outcome.result for step, outcome in outcomes.items()}


def test_relay(place: Place) -> None:
    planned = relay(place.chapter("04-relay-settings", "plan"))
    assert results(planned) == {"REL-1": "ok", "REL-2": "differs", "REL-3": "differs", "REL-4": "differs"}
    assert place.changes() == []
    chapter = place.chapter("04-relay-settings")
    assert results(relay(chapter)) == {"REL-1": "ok", "REL-2": "changed", "REL-3": "changed", "REL-4": "ok"}
    for server in ("EX01", "EX02"):
        made = place.one("ReceiveConnector", Name="XPhone Connect relay", Server=server)
        assert made["TransportRole"] == "HubTransport"
        assert made["Bindings"] == ["0.0.0.0:2500"]
        assert made["RemoteIPRanges"] == ["10.1.2.31"]
        assert "AnonymousUsers" in made["PermissionGroups"]
    assert results(relay(chapter)) == {"REL-1": "ok", "REL-2": "ok", "REL-3": "ok", "REL-4": "ok"}
    assert [each["name"] for each in place.changes()] == ["New-ReceiveConnector"] * 2 + [
        "Set-ReceiveConnector",
        "Set-ReceiveConnector",
        "Add-ADPermission",
        "Add-ADPermission",
    ]


@pytest.mark.parametrize("permission", ["externally-secured", "as-page"])
def test_relay_otherwise(place: Place, permission: str) -> None:
    chapter = place.chapter("04-relay-settings", relay={"permission": permission})
    outcomes = relay(chapter)
    if permission == "as-page":
        assert results(outcomes) == {"REL-1": "ok", "REL-2": "changed", "REL-3": "ok", "REL-4": "open"}
        assert "accepts nothing" in outcomes["REL-4"].summary
    else:
        assert results(outcomes) == {"REL-1": "ok", "REL-2": "changed", "REL-3": "changed", "REL-4": "ok"}
        made = place.one("ReceiveConnector", Name="XPhone Connect relay", Server="EX01")
        assert "ExternalAuthoritative" in made["AuthMechanism"]
        assert "ExchangeServers" in made["PermissionGroups"]


GERMAN = {"trustees": {"S-1-5-7": "NT-AUTORITÄT\\ANONYMOUS-ANMELDUNG"}}
ITALIAN = {"trustees": {"S-1-5-7": "NT AUTHORITY\\ACCESSO ANONIMO"}}


@pytest.mark.parametrize("place", [GERMAN, ITALIAN], indirect=True, ids=["german", "italian"])
def test_relay_where_the_anonymous_principal_has_another_name(place: Place) -> None:
    assert relay(place.chapter("04-relay-settings"))["REL-4"].result == "ok"
    assert [each["name"] for each in place.changes()].count("Add-ADPermission") == 2


OPEN_RELAY = {
    "objects": {
        "ReceiveConnector": [
            {
                "Name": "Scanner",
                "Server": "EX01",
                "TransportRole": "FrontendTransport",
                "Bindings": ["0.0.0.0:2526"],
                "RemoteIPRanges": ["10.0.0.0-10.255.255.255"],
                "PermissionGroups": "AnonymousUsers",
            },
            {
                "Name": "Old relay",
                "Server": "EX02",
                "TransportRole": "FrontendTransport",
                "Bindings": ["0.0.0.0:2500"],
                "RemoteIPRanges": ["10.9.9.9"],
            },
        ],
        "ADPermission": [
            {
                "Name": "1",
                "Identity": "EX01\\Scanner",
                "User": "NT AUTHORITY\\ANONYMOUS LOGON",
                "ExtendedRights": ["Ms-Exch-SMTP-Accept-Any-Recipient"],
            }
        ],
    }
}


def with_objects(extra: dict[str, Any]) -> dict[str, Any]:
    """The clean organisation's objects and these."""
    values = yaml.safe_load(CLEAN.read_text("utf-8"))
    return {"objects": {**values["objects"], **extra["objects"]}}


@pytest.mark.parametrize("place", [with_objects(OPEN_RELAY)], indirect=True, ids=["open relay"])
def test_relay_beside_others(place: Place) -> None:
    outcome = place.chapter("04-relay-settings", "plan").configure("REL-2", ReceiveConnector)
    assert outcome.result == "blocked"
    assert any("Old relay listens there too" in finding.text for finding in outcome.findings)
    conflicts = place.chapter("04-relay-settings", "plan").check("REL-4", ReceiveConnectorConflicts())
    found = {finding.text: finding.result for finding in conflicts.findings}
    assert any("EX02\\Old relay is in the way" in text and result == "failed" for text, result in found.items())
    assert any("EX01\\Scanner relays for whole ranges" in text and result == "open" for text, result in found.items())
    assert place.changes() == []


def test_relay_that_is_left_as_the_page_leaves_it_and_was_given_more_before(place: Place) -> None:
    assert relay(place.chapter("04-relay-settings"))["REL-4"].result == "ok"
    outcome = relay(place.chapter("04-relay-settings", relay={"permission": "as-page"}))["REL-4"]
    assert outcome.result == "failed"
    assert "can relay (with the right to any recipient)" in outcome.findings[1].text
    assert not any("accepts nothing" in finding.text for finding in outcome.findings)


def test_mail_that_an_as_page_connector_accepts_is_told(place: Place) -> None:
    place.chapter("04-relay-settings").configure("REL-2", ReceiveConnector)
    place.chapter("04-relay-settings").configure("REL-3", ReceiveConnector)  # the group without the right
    outcome = relay(place.chapter("04-relay-settings", relay={"permission": "as-page"}))["REL-4"]
    assert outcome.result == "differs"
    assert any("accepts mail (AnonymousUsers" in finding.text for finding in outcome.findings)


FOR_ANYBODY = {
    "objects": {
        "ADPermission": [
            {
                "Name": str(number),
                "Identity": "EX01\\Default Frontend EX01",
                "User": user,
                "ExtendedRights": ["Ms-Exch-SMTP-Accept-Any-Recipient"],
            }
            for number, user in enumerate(("Everyone", "NT AUTHORITY\\Authenticated Users"))
        ]
    }
}


@pytest.mark.parametrize("place", [with_objects(FOR_ANYBODY)], indirect=True, ids=["for anybody"])
def test_a_right_to_any_recipient_of_others_than_anonymous_is_found(place: Place) -> None:
    outcome = place.chapter("04-relay-settings", "plan").check("REL-4", ReceiveConnectorConflicts())
    [text] = [finding.text for finding in outcome.findings if "relays for anybody" in finding.text]
    assert text.startswith("EX01\\Default Frontend EX01")
    assert "for Everyone, NT AUTHORITY\\Authenticated Users" in text
    assert outcome.result == "failed"


def mapi(chapter: Chapter) -> dict[str, StepOutcome]:
    return {
        "MAPI-3": chapter.check("MAPI-3", FullAccount()),
        "MAPI-4": chapter.check("MAPI-4", ForbiddenGroups()),
        "MAPI-5": chapter.configure("MAPI-5", DatabaseRights),
        "MAPI-6": chapter.check("MAPI-6", FullAccessSpotCheck()),
    }


def test_mapi_account(place: Place) -> None:
    planned = mapi(place.chapter("05-mapi-account", "plan"))
    assert results(planned) == {"MAPI-3": "ok", "MAPI-4": "ok", "MAPI-5": "differs", "MAPI-6": "differs"}
    chapter = place.chapter("05-mapi-account")
    assert results(mapi(chapter)) == {"MAPI-3": "ok", "MAPI-4": "ok", "MAPI-5": "changed", "MAPI-6": "ok"}
    assert len(place.changes()) == 3
    assert mapi(chapter)["MAPI-5"].result == "ok"
    assert len(place.changes()) == 3
    removal = place.chapter("21-remove-permissions")
    assert removal.configure("REM-1", DatabaseRightsRemoved).result == "changed"
    assert mapi(place.chapter("05-mapi-account", "plan"))["MAPI-5"].result == "differs"
    assert removal.configure("REM-1", DatabaseRightsRemoved).result == "ok"
    assert [each["name"] for each in place.changes()] == ["Add-ADPermission"] * 3 + ["Remove-ADPermission"] * 3


@pytest.mark.parametrize(
    "account",
    [
        "ALLEO\\MAPIAccount",
        "mapiaccount",
        "CN=MAPIAccount,CN=Users,DC=alleo,DC=intern",
        "alleo.intern/Users/MAPIAccount",
    ],
)
def test_the_account_by_any_of_its_names(place: Place, account: str) -> None:
    chapter = place.chapter("05-mapi-account", "plan", mapi={"account": account})
    assert chapter.check("MAPI-3", FullAccount()).result == "ok"
    assert "Get-Mailbox" not in place.received()


@pytest.mark.parametrize("databases", [["db02"], ["DB02", "DB99"]])
def test_chosen_databases(place: Place, databases: list[str]) -> None:
    planned = place.chapter("05-mapi-account", "plan", mapi={"databases": databases}).configure(
        "MAPI-5", DatabaseRights
    )
    assert [row.thing.rpartition(" ")[2] for row in planned.rows] == ["DB02", "DB99"][: len(databases)]
    assert planned.result == ("differs" if len(databases) == 1 else "blocked")


@pytest.mark.parametrize(("servers", "result"), [(["EX99"], "blocked"), (["ex01.alleo.intern"], "differs")])
def test_chosen_servers(place: Place, servers: list[str], result: str) -> None:
    planned = place.chapter("05-mapi-account", "plan", mapi={"servers": servers}).configure("MAPI-5", DatabaseRights)
    assert planned.result == result
    if result == "blocked":
        assert "there are databases on EX01, EX02" in planned.findings[0].text


def test_an_account_of_another_domain_is_not_taken_for_ours(place: Place) -> None:
    chapter = place.chapter("05-mapi-account", "plan", mapi={"account": "OTHERDOM\\MAPIAccount"})
    with pytest.raises(Unreadable, match="cannot be told") as raised:
        chapter.configure("MAPI-5", DatabaseRights)
    assert "user@domain" in raised.value.next


def test_rights_are_removed_from_every_database_whatever_is_chosen_now(place: Place) -> None:
    assert place.chapter("05-mapi-account").configure("MAPI-5", DatabaseRights).result == "changed"
    removal = place.chapter("21-remove-permissions", mapi={"databases": ["DB01"]})
    assert removal.configure("REM-1", DatabaseRightsRemoved).result == "changed"
    assert [each["name"] for each in place.changes()].count("Remove-ADPermission") == 3
    assert place.objects("ADPermission") == []


def test_nothing_is_removed_from_an_account_or_a_group_that_is_not_there(place: Place) -> None:
    removal = place.chapter("21-remove-permissions", mapi={"account": "Typo@alleo.intern"})
    assert removal.configure("REM-1", DatabaseRightsRemoved).result == "blocked"
    for kind in (PolicyAssignmentRemoved, ImpersonationMembershipRemoved):
        outcome = removal.configure("REM-2", kind)
        assert outcome.result == "blocked"
        assert "there is no user Typo@alleo.intern" in outcome.findings[0].text
    known = place.chapter("21-remove-permissions").configure("REM-2", ImpersonationMembershipRemoved)
    assert known.result == "blocked"
    assert "there is no role group EwsImpersonationRoleGroup" in known.findings[0].text
    assert place.changes() == []


NESTED = {
    "groups": [
        {"name": "Domänen-Admins", "well_known": "Domain Admins", "members": ["Helfer"]},
        {"name": "Helfer", "members": ["Dienste"]},
        {"name": "Dienste", "members": ["MAPIAccount", "Kreis"]},
        {"name": "Kreis", "members": ["Dienste"]},
        {"name": "Organization Management", "well_known": "Organization Management", "members": ["MAPIAccount"]},
    ]
}


@pytest.mark.parametrize("place", [NESTED], indirect=True, ids=["nested"])
def test_forbidden_groups(place: Place) -> None:
    outcome = place.chapter("05-mapi-account").check("MAPI-4", ForbiddenGroups())
    texts = [finding.text for finding in outcome.findings]
    assert outcome.result == "failed"
    assert any("MAPIAccount@alleo.intern → Dienste → Helfer → Domänen-Admins" in text for text in texts)
    assert any("Domänen-Admins (Domain Admins)" in text for text in texts)
    assert any("→ Organization Management" in text for text in texts)
    assert len(texts) == 2


DENIED = {
    "objects": {
        "ADPermission": [
            {"Name": "1", "Identity": "DB02", "User": "MAPIAccount", "ExtendedRights": ["Receive-As"], "Deny": True}
        ]
    }
}


@pytest.mark.parametrize("place", [with_objects(DENIED)], indirect=True, ids=["denied"])
def test_a_deny_entry_blocks(place: Place) -> None:
    outcome = place.chapter("05-mapi-account").configure("MAPI-5", DatabaseRights)
    assert outcome.result == "blocked"
    assert any("DB02 itself denies" in finding.text for finding in outcome.findings)
    assert {each["parameters"]["Identity"].partition(",")[0] for each in place.changes()} == {"CN=DB01", "CN=DB03"}


def denied(user: str) -> dict[str, Any]:
    """Full rights of the account on DB02, and a deny for somebody else."""
    own = {"Identity": "DB02", "ExtendedRights": ["Receive-As", "Send-As"]}
    deny = {"Name": "2", "Identity": "DB02", "User": user, "ExtendedRights": ["Receive-As"], "Deny": True}
    rights = {"ADPermission": [{"Name": "1", "User": "MAPIAccount", **own}, deny]}
    return {**with_objects({"objects": rights}), "groups": [*NESTED["groups"], {"name": "Fremde", "members": []}]}


@pytest.mark.parametrize(
    ("place", "result"),
    [(denied("Everyone"), "blocked"), (denied("Helfer"), "blocked"), (denied("Fremde"), "ok")],
    indirect=["place"],
    ids=["everyone", "a nested group", "another group"],
)
def test_a_deny_entry_for_others_who_hold_the_account_blocks(place: Place, result: str) -> None:
    chapter = place.chapter("05-mapi-account", "plan", mapi={"databases": ["DB02"]})
    outcome = chapter.configure("MAPI-5", DatabaseRights)
    assert outcome.result == result
    [shown] = outcome.rows
    assert shown.now == (["Send-As"] if result == "blocked" else ["Receive-As", "Send-As"])
    if result == "blocked":
        assert "which holds MAPIAccount@alleo.intern" in outcome.findings[0].text


@pytest.mark.parametrize("place", [denied("Everyone")], indirect=True, ids=["everyone"])
def test_a_deny_for_everyone_is_no_full_access(place: Place) -> None:
    outcome = place.chapter("05-mapi-account").check("MAPI-6", FullAccessSpotCheck())  # the mailbox is on DB02
    assert outcome.result == "failed"
    assert "denied through Everyone" in outcome.findings[0].text
    assert "mailbox testuser, Everyone" in {row.thing for row in outcome.rows if not row.same}


def test_throttling_policy(place: Place) -> None:
    chapter = place.chapter("07-mapi-session-limits")
    assert chapter.configure("LIM-3", ThrottlingPolicy).result == "changed"
    assert chapter.configure("LIM-4", PolicyAssignment).result == "changed"
    assert chapter.check("LIM-6", PolicyShown()).result == "ok"
    made = place.one("ThrottlingPolicy", Name="NoThrottlingPolicy")
    for name in ("RcaMaxConcurrency", "EwsMaxConcurrency", "EwsMaxSubscriptions", "CpaMaxConcurrency"):
        assert made[name] == "Unlimited", name
    assert chapter.configure("LIM-3", ThrottlingPolicy).result == "ok"
    assert chapter.configure("LIM-4", PolicyAssignment).result == "ok"
    removal = place.chapter("21-remove-permissions", ews=None)
    kinds = (PolicyAssignmentRemoved, ImpersonationMembershipRemoved)
    assert removal.configure("REM-2", *kinds).result == "changed"
    assert removal.configure("REM-2", *kinds).result == "ok"
    assert chapter.check("LIM-6", PolicyShown()).result == "differs"


def ews(chapter: Chapter) -> dict[str, StepOutcome]:
    return {
        "EWS-1": chapter.configure("EWS-1", AccountUser),
        "EWS-2": chapter.configure("EWS-2", AccountMailbox),
        "EWS-3": chapter.configure("EWS-3", EwsDatabaseRights),
        "EWS-4": chapter.configure("EWS-4", EwsThrottlingPolicy, EwsPolicyAssignment),
        "EWS-5": chapter.configure("EWS-5", ImpersonationRoleGroup),
    }


NEW = {
    "account": "EwsAccount",
    "create_user": True,
    "user_principal_name": "EwsAccount@alleo.intern",
    "initial_password": "env:UMKIT_TEST_FIRST",
    "database": "DB02",
}


def test_ews_with_a_new_account(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = ews(place.chapter("08-ews", "plan", ews=NEW))  # the password is not even asked for
    assert set(results(planned).values()) == {"differs"}
    assert "(secret)" in str(planned["EWS-1"].would[0].as_json())
    monkeypatch.setenv("UMKIT_TEST_FIRST", PASSWORD)
    chapter = place.chapter("08-ews", ews=NEW)
    assert results(ews(chapter)) == {
        "EWS-1": "changed",
        "EWS-2": "ok",
        "EWS-3": "changed",
        "EWS-4": "changed",
        "EWS-5": "changed",
    }
    assert set(results(ews(chapter)).values()) == {"ok"}
    group = place.one("RoleGroup", Name="EwsImpersonationRoleGroup")
    assert group["Roles"] == ["ApplicationImpersonation"]
    assert group["Members"] == ["alleo.intern/Users/EwsAccount"]
    for file in place.folder.rglob("*"):
        if file.is_file():
            assert PASSWORD not in file.read_text("utf-8", errors="replace"), file
    removal = place.chapter("21-remove-permissions", ews=NEW)
    kinds = (PolicyAssignmentRemoved, ImpersonationMembershipRemoved)
    assert removal.configure("REM-2", *kinds).result == "changed"
    assert place.one("RoleGroup", Name="EwsImpersonationRoleGroup")["Members"] == []
    assert removal.configure("REM-2", *kinds).result == "ok"


def test_ews_with_a_user_that_a_person_created(place: Place) -> None:
    given = {"account": "xphoneadmin", "database": "DB01"}
    planned = ews(place.chapter("08-ews", "plan", ews=given))
    assert results(planned)["EWS-1"] == "ok"
    assert [command.name for command in planned["EWS-2"].would] == ["Enable-Mailbox"]
    assert set(results(ews(place.chapter("08-ews", ews=given))).values()) == {"ok", "changed"}
    assert "New-Mailbox" not in [each["name"] for each in place.changes()]


def test_ews_without_the_account(place: Place) -> None:
    outcomes = ews(place.chapter("08-ews", ews={"account": "nobody@alleo.intern"}))
    assert set(results(outcomes).values()) == {"blocked"}
    assert "create the user in Active Directory" in outcomes["EWS-1"].findings[0].next


@pytest.mark.parametrize("place", [NESTED], indirect=True, ids=["nested"])
def test_forbidden_groups_as_a_domain_controller_knows_them(place: Place) -> None:
    directory = {"directory": {"name": "DC01", "endpoint": "lab", "auth": "basic"}}
    chapter = place.chapter("05-mapi-account", hosts=directory)
    outcome = chapter.check("MAPI-4", ForbiddenGroups())
    assert outcome.notes == []
    texts = [finding.text for finding in outcome.findings]
    assert any("MAPIAccount@alleo.intern → Dienste → Helfer → Domänen-Admins" in text for text in texts)
    assert any("→ Organization Management" in text for text in texts)
    assert len(texts) == 2
    assert "Get-Group" not in place.received()
