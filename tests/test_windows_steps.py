"""The steps on Windows hosts at the wire: applied once, nothing sent the second time, a mess named, damage put back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from umkit import customer
from umkit.attestation import attest
from umkit.checks.installed_programs import OldMessagingApi, OldOffice, XPhoneInstalled
from umkit.checks.interactive_logon import InteractiveLogon
from umkit.checks.outlook import OutlookInstalled
from umkit.checks.outlook_profile import OutlookProfile
from umkit.checks.service_accounts import ServiceAccounts, ServiceRestartedAsAccount, ServicesUnderLocalhost
from umkit.checks.session_events import SessionEvents
from umkit.command import Command, FileContent
from umkit.engine import apply, plan
from umkit.errors import Blocked, HostNotNamed, VerifyFailed
from umkit.journal import Journal, read
from umkit.lab import Lab
from umkit.outcome import Report
from umkit.remoting import Result
from umkit.resource import Resource
from umkit.resources.imap_settings import ImapSettings
from umkit.resources.policy_assignment import PolicyAssignment
from umkit.resources.registry_value import DefaultMailClient, SessionsPerUser
from umkit.resources.service import ImapServices, XPhoneStarted, XPhoneStopped, XPhoneStoppedForPassword
from umkit.resources.service_restart import ImapRestart, ImapRestartForLog, InformationStoreRestart
from umkit.resources.text_file import CalendarSyncFile
from umkit.resources.throttling_policy import ThrottlingPolicy
from umkit.resources.xml_setting import ImapProtocolLog, RpcOverHttp
from umkit.site import Site
from umkit.windows import files as host_files
from umkit.windows.rights import parse

ATLAS = "C:\\Program Files\\C4B\\XPhone Connect\\atlas.xml"
STEPS: list[tuple[type[Resource], str]] = [
    (ImapServices, "IMAP-1"),
    (ImapSettings, "IMAP-2"),
    (ImapRestart, "IMAP-4"),
    (ImapProtocolLog, "IMAP-5"),
    (ImapRestartForLog, "IMAP-5"),
    (RpcOverHttp, "OUT-2"),
    (DefaultMailClient, "OUT-7"),
    (ThrottlingPolicy, "LIM-3"),
    (PolicyAssignment, "LIM-4"),
    (InformationStoreRestart, "LIM-5"),
    (SessionsPerUser, "LIM-7"),
    (CalendarSyncFile, "EWS-8"),
]


@dataclass
class Place:
    """A lab, a customer's inputs that lead to it, and a folder of records."""

    lab: Lab
    trace: Path
    folder: Path
    runs: int = 0

    def site(self, mode: str = "apply", **changes: Any) -> Site:
        """A site with a journal of its own, unless the mode is ``none``."""

        def host(name: str) -> dict[str, Any]:
            return {"name": name, "endpoint": self.lab.hosts[name]}

        values: dict[str, Any] = {
            "customer": {"name": "acme"},
            "exchange": {
                "endpoint": self.lab.exchange,
                "auth": "basic",
                "username": self.lab.username,
                "password": "env:UMKIT_TEST_PASSWORD",
                "deadline": 30,
            },
            "hosts": {"exchange": [host("EX01"), host("EX02")], "xphone": host("XPHONE01"), "directory": host("DC01")},
            "xphone": {"address": "10.1.2.31"},
            "um_services": [],
            "imap4": {"protocol_log": True},
            "relay": None,
            "mapi": {"account": "MAPIAccount@alleo.intern"},
            "sessions": {"public_sources": 30, "registry_limit": True, "registry_sessions": 128},
            "ews": {"users": 600},
            "run": {"migrating_from": 2013},
        }
        inputs = customer.parse(values | changes, source="test")
        if mode == "none":
            return Site(inputs, chapter="test")
        self.runs += 1
        path = self.folder / "acme" / f"20261122-17{self.runs:04}-{mode}" / "journal.jsonl"
        path.parent.mkdir(parents=True)
        journal = Journal(path)
        journal.append("run-start", mode=mode)
        return Site(inputs, chapter="test", journal=journal, records=self.folder)

    def received(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.trace.read_text("utf-8").splitlines()]

    def mutating(self) -> list[str]:
        return [line["commands"][0]["name"] for line in self.received() if line["mutating"]]


def organisation(change: Callable[[dict[str, Any]], None], path: Path) -> Path:
    """The clean organisation, changed."""
    shipped = files("umkit.lab").joinpath("organisations/clean-2019-dag.yaml").read_text("utf-8")
    values = yaml.safe_load(shipped)
    change(values)
    path.write_text(yaml.safe_dump(values, allow_unicode=True), "utf-8")
    return path


@pytest.fixture(autouse=True, scope="module")
def password() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UMKIT_TEST_PASSWORD", "Lab'Pässword & <42>")
        yield "Lab'Pässword & <42>"


def made(folder: Path, password: str, change: Callable[[dict[str, Any]], None]) -> Iterator[Place]:
    trace = folder / "trace.jsonl"
    with Lab(organisation(change, folder / "organisation.yaml"), password=password, trace=trace) as lab:
        yield Place(lab, trace, folder / "records")


def bring(site: Site, kind: type[Resource], step: str) -> list[str]:
    """Do one step as a chapter does it; the verbs that were planned."""
    verbs: list[str] = []
    site.step = step
    for resource in kind.wanted_by(site):
        channel = resource.channel(site)
        planned = plan(resource, resource.read(channel, fresh=True), step)
        apply(planned, channel, wait=5)
        verbs.append(planned.verb)
    return verbs


def told(report: Report) -> str:
    return "\n".join(f"{finding.result}: {finding.text}" for finding in report.findings)


def clean(values: dict[str, Any]) -> None:
    """As it is shipped, and a fax service that needs the server's service, with a helper that needs the fax service."""
    [host] = [each for each in values["hosts"] if each["name"] == "XPHONE01"]
    automatic = {"start_type": "Automatic", "status": "Running", "account": "ALLEO\\MAPIAccount"}
    host["services"] = {
        "DependentFax": {**automatic, "display_name": "XPhone Dependent Fax", "depends_on": ["XPhoneConnectServer"]},
        "DependentHelper": {**automatic, "start_type": "Manual", "depends_on": ["DependentFax"]},
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, password: str) -> Iterator[Place]:
    yield from made(tmp_path_factory.mktemp("clean"), password, clean)


@pytest.fixture
def clean_log(place: Place) -> Site:
    return place.site("none")


@pytest.fixture(scope="module")
def applied(place: Place) -> Place:
    site = place.site()
    for kind, step in STEPS:
        assert set(bring(site, kind, step)) - {"nothing"}, step
    site.close()
    return place


def test_what_was_applied_is_not_sent_again(applied: Place) -> None:
    before, site = len(applied.mutating()), applied.site()
    for kind, step in STEPS:
        assert set(bring(site, kind, step)) == {"nothing"}, step
    site.close()
    assert applied.mutating()[before:] == []


def test_the_files_of_the_hosts_say_what_the_page_says(applied: Place) -> None:
    site = applied.site("verify")
    atlas = host_files.content(site.host("XPHONE01"), ATLAS)
    assert atlas is not None
    assert b"<RoHFlagsUseRoH>off</RoHFlagsUseRoH>" in atlas
    for server in ("EX01", "EX02"):
        [log] = [each for each in ImapProtocolLog.wanted_by(site) if each.host == server]
        content = host_files.content(site.host(server), log.name)
        assert content is not None
        assert content.startswith(b"\xef\xbb\xbf")
        assert content.count(b'key="ProtocolLog" value="true"') == 1
    [limit] = {each.wanted[each.key] for each in SessionsPerUser.wanted_by(site)}
    assert limit == 155  # 1 * 5 * (30 + 1), more than 128
    site.close()


def test_services_restart_when_and_only_when_a_setting_changed(applied: Place) -> None:
    site = applied.site()
    site.step = "IMAP-4"
    site.organisation().change(Command("Set-ImapSettings", {"Server": "EX01", "MaxConnectionsPerUser": 20}), [])
    assert bring(site, ImapRestart, "IMAP-4") == ["update", "update", "nothing", "nothing"]
    site.organisation().change(Command("Set-ImapSettings", {"Server": "EX02", "LoginType": "SecureLogin"}), [])
    wanted = ImapRestart.wanted_by(site)  # IMAP-2 is not done again yet: after it, EX02 has to restart
    verbs = [plan(each, each.read(each.channel(site)), "IMAP-4").verb for each in wanted]
    assert verbs == ["nothing", "nothing", "update", "update"]
    bring(site, ImapSettings, "IMAP-2")
    assert bring(site, ImapRestart, "IMAP-4") == ["nothing", "nothing", "update", "update"]
    site.close()


def test_an_assignment_of_an_earlier_run_still_asks_for_the_restart(applied: Place) -> None:
    site = applied.site()
    [resource] = PolicyAssignment.wanted_by(site)
    change = Command("Set-Mailbox", {"Identity": resource.mailbox, "ThrottlingPolicy": "NoThrottlingPolicy"})
    site.organisation().change(change, [])
    site.close()
    later = applied.site()
    assert bring(later, InformationStoreRestart, "LIM-5") == ["update", "update"]
    assert bring(later, InformationStoreRestart, "LIM-5") == ["nothing", "nothing"]
    later.close()


def test_without_a_word_for_the_password_nothing_is_stopped(applied: Place) -> None:
    before, site = len(applied.mutating()), applied.site()
    [resource] = XPhoneStoppedForPassword.wanted_by(site)
    planned = plan(resource, resource.read(resource.channel(site)), "PWD-2")
    assert [(row.same, row.note) for row in planned.rows] == [
        (True, "PWD-1 has not been attested since the service started: nothing is stopped")
    ]
    assert bring(site, XPhoneStoppedForPassword, "PWD-2") == ["nothing"]
    assert bring(site, XPhoneStarted, "PWD-6") == ["nothing", "nothing"]
    assert applied.mutating()[before:] == []
    site.close()


def test_the_password_s_steps(applied: Place) -> None:
    site = applied.site()
    attest(applied.folder, "acme", "PWD-1", who="Jane")
    [resource] = XPhoneStoppedForPassword.wanted_by(site)
    planned = plan(resource, resource.read(resource.channel(site)), "PWD-2")
    assert [row.note for row in planned.rows] == ["these depend on it and stop as well: DependentFax, DependentHelper"]
    assert bring(site, XPhoneStoppedForPassword, "PWD-2") == ["update"]
    assert bring(site, XPhoneStoppedForPassword, "PWD-2") == ["nothing"]
    running = applied.lab.state()["hosts"]["XPHONE01"]["services"]
    assert {running[name]["status"] for name in ("XPhoneConnectServer", "DependentFax")} == {"Stopped"}
    assert "open: service XPhone Connect Server on XPHONE01: Stopped" in told(ServiceRestartedAsAccount().run(site))
    with pytest.raises(Blocked) as caught:  # the old password would be used
        bring(site, XPhoneStarted, "PWD-6")
    assert "PWD-4 has not been attested since PWD-1" in caught.value.seen
    attest(applied.folder, "acme", "PWD-4", who="Jane")
    assert bring(site, XPhoneStarted, "PWD-6") == ["update", "update"]  # the helper starts by hand only
    running = applied.lab.state()["hosts"]["XPHONE01"]["services"]
    assert {running[name]["status"] for name in ("XPhoneConnectServer", "DependentFax")} == {"Running"}
    assert running["DependentHelper"]["status"] == "Stopped"
    assert bring(site, XPhoneStoppedForPassword, "PWD-2") == ["nothing"]  # it started after PWD-1
    report = ServiceRestartedAsAccount(datetime.now(UTC) - timedelta(minutes=5)).run(site)
    assert [finding.result for finding in report.findings] == ["ok", "ok"]
    assert {row.same for row in report.rows} == {True}
    late = ServiceRestartedAsAccount(datetime.now(UTC) + timedelta(minutes=5)).run(site)
    assert [finding.result for finding in late.findings] == ["ok", "open"]
    assert {finding.result for finding in ServicesUnderLocalhost().run(site).findings} == {"open"}
    site.close()


def test_the_protocol_log_is_no_matter_of_the_restart_before_it(applied: Place) -> None:
    site = applied.site(imap4={"protocol_log": False, "servers": ["EX01"]})
    assert bring(site, ImapRestart, "IMAP-4") == ["nothing", "nothing"]
    wanted = ImapRestartForLog.wanted_by(site)  # all are asked for before IMAP-5 writes the file
    foreseen = [plan(each, each.read(each.channel(site)), "IMAP-5") for each in wanted]
    assert [(each.verb, each.rows[0].shown_wanted) for each in foreseen] == [
        ("update", "after the change of IMAP-5")
    ] * 2
    assert bring(site, ImapProtocolLog, "IMAP-5") == ["update"]
    for resource in wanted:
        channel = resource.channel(site)
        planned = plan(resource, resource.read(channel, fresh=True), "IMAP-5")
        assert "configuration file written" in planned.rows[0].shown_wanted
        apply(planned, channel, wait=5)
    for kind, step in ((ImapRestart, "IMAP-4"), (ImapProtocolLog, "IMAP-5"), (ImapRestartForLog, "IMAP-5")):
        assert set(bring(site, kind, step)) == {"nothing"}
    assert ImapRestartForLog.guard == "restarts"
    assert ImapRestartForLog.wanted_by(applied.site("none", imap4={})) == []
    site.close()


def test_a_policy_whose_assignment_no_record_tells_of_is_remarked(applied: Place, tmp_path: Path) -> None:
    site = applied.site("none")  # a workstation without records
    wanted = InformationStoreRestart.wanted_by(site)
    rows = [plan(each, each.read(each.channel(site)), "LIM-5").rows[0] for each in wanted]
    remark = "no record on this workstation tells when the policy was assigned"
    assert [(row.same, row.note) for row in rows] == [(True, remark)] * 2
    site.close()


def test_what_the_customer_s_file_holds_is_not_in_the_journal(applied: Place) -> None:
    site = applied.site(imap4={"protocol_log": True, "servers": ["EX02"]})
    [log] = ImapProtocolLog.wanted_by(site)
    channel = site.host("EX02")
    content = host_files.content(channel, log.name) or b""
    private = content.replace(b'"true"', b'"false"').replace(
        b"<appSettings>", b"<appSettings><!-- Password=hunter2 -->"
    )
    write = {"LiteralPath": log.name, "Encoding": "Byte", "Value": FileContent(private)}
    channel.change(Command("Set-Content", write), [])
    assert bring(site, ImapProtocolLog, "IMAP-5") == ["update"]
    assert b"hunter2" in (host_files.content(channel, log.name) or b"")
    assert site.journal is not None
    events = [event for event in read(site.journal.path) if event["event"] == "intent" and event["mutating"]]
    assert [event["command"]["name"] for event in events] == ["Set-Content", "Copy-Item", "Set-Content"]
    assert set(events[-1]["command"]["parameters"]["Value"]) == {"file"}
    text = site.journal.path.read_text("utf-8")
    assert "hunter2" not in text
    assert "appSettings" not in text
    bring(site, ImapRestartForLog, "IMAP-5")
    site.close()


def test_a_clean_host_passes_every_check(applied: Place) -> None:
    site = applied.site()
    for check in (
        *(OldMessagingApi(), OldOffice(), XPhoneInstalled(), OutlookInstalled(), OutlookProfile(), ServiceAccounts()),
        *(InteractiveLogon(), SessionEvents()),
    ):
        report = check.run(site)
        assert {finding.result for finding in report.findings} == {"ok"}, told(report)
    site.close()


def test_the_rights_are_exported_to_a_file_that_does_not_stay(applied: Place) -> None:
    site = applied.site()
    before = len(applied.mutating())
    InteractiveLogon().run(site)
    assert applied.mutating()[before:] == ["C:\\Windows\\System32\\SecEdit.exe", "Remove-Item"]
    assert site.journal is not None
    intents = [event for event in read(site.journal.path) if event["event"] == "intent" and event["mutating"]]
    path = intents[0]["command"]["arguments"][2]
    assert not host_files.exists(site.host("XPHONE01"), path)
    site.close()


@pytest.mark.parametrize("mode", ["none", "plan", "verify"])
def test_a_run_that_changes_nothing_does_not_export_them(applied: Place, mode: str) -> None:
    before, site = len(applied.mutating()), applied.site(mode)
    report = InteractiveLogon().run(site)
    site.close()
    assert [finding.result for finding in report.findings] == ["open"]
    assert applied.mutating()[before:] == []


def test_a_host_that_is_not_named_leaves_its_steps_open(applied: Place) -> None:
    site = applied.site(hosts={})
    for check in (
        OldOffice(),
        XPhoneInstalled(),
        OutlookInstalled(),
        OutlookProfile(),
        ServiceAccounts(),
        SessionEvents(),
    ):
        report = check.run(site)
        assert {finding.result for finding in report.findings} == {"open"}, told(report)
        assert all(finding.next for finding in report.findings)
    for kind in (ImapServices, DefaultMailClient, CalendarSyncFile):
        with pytest.raises(HostNotNamed):
            bring(site, kind, kind.properties[0].step)
    site.close()


def messy(values: dict[str, Any]) -> None:
    """An older Office and an older XPhone, rights and accounts that are wrong, and a disk that loses half a file."""
    [host] = [each for each in values["hosts"] if each["name"] == "XPHONE01"]
    host |= {
        "service_account": "LocalSystem",
        "hives_not_loaded": ["MAPIAccount"],
        "programs": [
            {
                "name": "Microsoft Office Professional Plus 2010",
                "version": "14.0.7015.1000",
                "outlook": "x86",
                "view": 32,
            },
            {"name": "Microsoft Office Standard 2019", "version": "16.0.10396.20017", "outlook": "x64"},
            {"name": "Messaging API and Collaboration Data Objects 1.2.1", "version": "6.5.8353", "view": 32},
            {"name": "XPhone Connect Server", "version": "7.0.1"},
        ],
        "user_rights": {"SeInteractiveLogonRight": ["Users"], "SeDenyInteractiveLogonRight": ["UM Service Accounts"]},
    }
    host["registry"]["HKLM\\SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\Broken"] = {
        "Size": {"kind": "DWord", "value": "0102"}
    }
    host["registry"]["HKLM\\SOFTWARE\\Clients\\Mail"] = {"(default)": "Mozilla Thunderbird"}
    host["files"] = {ATLAS: {"text": "<atlas><Exchange><mapi/></Exchange></atlas>", "torn_writes": 1}}
    message = (
        'Mapi session "/o=Alleo/cn=Recipients/cn=MAPIAccount" exceeded the maximum of 32 objects of type "session".'
    )
    event = {"provider": "MSExchangeIS", "id": 9646, "level": 2, "message": message}
    when = datetime.now(UTC) - timedelta(days=1)
    values["exchange_servers"][0]["events"] = [
        event | {"time": when},
        event | {"time": when - timedelta(days=30)},
        event | {"time": when, "id": 1, "message": "something else"},
    ]
    values["exchange_servers"][1]["services"] = {"MSExchangeImap4": {"start_type": "Disabled"}}


@pytest.fixture(scope="module")
def mess(tmp_path_factory: pytest.TempPathFactory, password: str) -> Iterator[Place]:
    yield from made(tmp_path_factory.mktemp("mess"), password, messy)


def test_each_fault_of_a_mess_is_named(mess: Place) -> None:
    site = mess.site(xphone={"address": "10.1.2.31", "version": "8.0"})
    assert "open: Messaging API and Collaboration Data Objects 1.2.1" in told(OldMessagingApi().run(site))
    old = told(OldOffice().run(site))
    assert "open: Microsoft Office Professional Plus 2010 14.0.7015.1000" in old
    assert "Uninstall\\Broken cannot be read" in old
    assert "2019" not in old
    assert "XPhone Connect Server 7.0.1 is installed, wanted is 8.0" in told(XPhoneInstalled().run(site))
    outlook = told(OutlookInstalled().run(site))
    assert "failed: Outlook 2016 or 2019 (16.0, 64-bit, MSI) is installed, but XPhone needs 32 bits" in outlook
    assert "failed: Outlook 2010 (14.0, 32-bit, MSI)" in outlook
    assert "failed: a second Office is installed: Microsoft Office Professional Plus 2010" in outlook
    assert "open: MAPIAccount@alleo.intern is not logged on" in told(OutlookProfile().run(site))
    assert told(ServiceAccounts().run(site)).count("runs as LocalSystem, not as MAPIAccount@alleo.intern") == 3
    assert "denied through UM Service Accounts" in told(InteractiveLogon().run(site))
    events = told(SessionEvents().run(site))
    assert "open: EX01: events about too many sessions in the last 7 days, by MAPIAccount: 1, the last at" in events
    assert "ok: EX02" in events
    site.close()


def test_half_a_file_is_put_back_at_the_wire(mess: Place) -> None:
    site = mess.site()
    with pytest.raises(VerifyFailed, match="put back"):
        bring(site, RpcOverHttp, "OUT-2")
    assert host_files.content(site.host("XPHONE01"), ATLAS) == b"<atlas><Exchange><mapi/></Exchange></atlas>"
    assert bring(site, RpcOverHttp, "OUT-2") == ["update"]
    assert host_files.content(site.host("XPHONE01"), ATLAS) == (
        b"<atlas><Exchange><mapi><RoHFlagsUseRoH>off</RoHFlagsUseRoH></mapi></Exchange></atlas>"
    )
    site.close()


def test_a_service_under_another_account_is_not_started(mess: Place) -> None:
    site = mess.site()
    with pytest.raises(Blocked, match="left alone"):
        bring(site, XPhoneStarted, "PWD-6")
    site.close()


def test_the_service_is_stopped_only_while_something_is_to_be_uninstalled(
    mess: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = mess.site()
    assert bring(site, XPhoneStopped, "OUT-3") == ["update"]
    name = {"Name": "XPhoneConnectServer"}
    site.host("XPHONE01").change(Command("Start-Service", name), [])
    monkeypatch.setattr("umkit.resources.service.programs", lambda channel: [])
    [resource] = XPhoneStopped.wanted_by(site)
    planned = plan(resource, resource.read(resource.channel(site), fresh=True), "OUT-3")
    assert planned.verb == "nothing"
    assert "nothing is left to be uninstalled" in planned.rows[0].note
    site.close()


def test_a_full_log_without_a_find_stays_open(clean_log: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = {"Id": 1001, "Message": "noise", "TimeCreated": datetime.now(UTC)}
    queries: list[str] = []

    class Log:
        def read(self, command: Command, **how: Any) -> Result:
            query = command.parameters["FilterXPath"]
            queries.append(query)
            return Result([] if "EventID=9646" in query else [noise] * command.parameters["MaxEvents"])

    monkeypatch.setattr(clean_log, "host", lambda name: Log())
    monkeypatch.setattr(clean_log, "mailbox_servers", lambda: ["EX01"])
    [finding] = SessionEvents().run(clean_log).findings
    assert finding.result == "open"
    assert "only the newest 500 others" in finding.text
    assert len(queries) == 2


def test_a_service_that_is_not_installed_is_named(mess: Place) -> None:
    site = mess.site(xphone={"address": "10.1.2.31", "server_service": "No such service"})
    [resource] = XPhoneStopped.wanted_by(site)
    planned = plan(resource, resource.read(resource.channel(site)))
    assert planned.verb == "cannot be foreseen"
    assert planned.why == "service No such service is not installed on XPHONE01"
    site.close()


def test_a_disabled_service_is_enabled_before_it_is_started(mess: Place) -> None:
    site = mess.site()
    assert bring(site, ImapServices, "IMAP-1") == ["update"] * 4
    site.close()


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_the_rights_file_is_read_in_either_encoding(encoding: str) -> None:
    text = (
        "[Unicode]\r\nUnicode=yes\r\n[Privilege Rights]\r\nseInteractiveLogonRight=*S-1-5-32-544 , Müller\r\nSeX = \r\n"
    )
    text += '[Version]\r\nsignature="$CHICAGO$"\r\nSeY = *S-1-1-0\r\n'
    assert parse(text.encode(encoding)) == {"seinteractivelogonright": ["S-1-5-32-544", "Müller"], "sex": []}
