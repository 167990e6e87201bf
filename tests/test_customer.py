"""The customer file: what is shipped, what a valid one gives, how it is found."""

from __future__ import annotations

import copy
import json
import re
import runpy
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml
from customer_files import LEAST, PARAMETERS, accepted

from umkit import customer
from umkit.customer import DECIDED, SECTIONS, Permission
from umkit.customer.documents import example, node_at, schema
from umkit.errors import CustomerFileError, UsageError
from umkit.secrets import SecretReference

# What is shipped


def test_the_lab_file_is_valid_and_complete() -> None:
    file = customer.load(PARAMETERS / "lab.yaml")
    assert list(yaml.safe_load((PARAMETERS / "lab.yaml").read_text("utf-8"))) == list(SECTIONS)
    assert file.exchange.endpoint == "lab"
    assert [host.name for host in file.hosts.all()] == ["EX01", "EX02", "XPHONE01", "DC01"]
    assert {host.endpoint for host in file.hosts.all()} == {"lab"}
    assert [(s.name, s.domain) for s in file.um_services] == [("fax", "fax.alleo.intern"), ("sms", "sms.alleo.intern")]
    assert file.references() == {}
    assert file.consent.removal
    assert file.consent.removal.holds(datetime.now(UTC))


def test_the_example_is_valid_shows_every_key_and_allows_nothing() -> None:
    text = (PARAMETERS / "example.yaml").read_text("utf-8")
    words = " ".join(line.strip().lstrip("# ") for line in text.splitlines())
    for definition in schema()["$defs"].values():
        for name, key in definition["properties"].items():
            assert re.search(rf"^[ #]*{name}:", text, re.MULTILINE), name
            assert key["description"] in words, name
    consent = customer.load(PARAMETERS / "example.yaml").section("consent")
    assert consent == dict.fromkeys(consent) | {"customer": "example"}


def test_the_committed_documents_are_the_generated_ones(tmp_path: Path) -> None:
    customer.write_documents(tmp_path)
    for name in ("schema.json", "example.yaml"):
        committed, made = (PARAMETERS / name).read_bytes(), (tmp_path / name).read_bytes()
        assert b"\r" not in made
        assert committed.replace(b"\r\n", b"\n") == made, f"{name} is old: run python -m umkit.customer"


def test_generating_by_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["umkit.customer", str(tmp_path / "new")])
    runpy.run_module("umkit.customer", run_name="__main__")
    assert (tmp_path / "new" / "example.yaml").read_text("utf-8") == example()


def test_every_key_explains_itself() -> None:
    for name, definition in schema()["$defs"].items():
        assert definition["additionalProperties"] is False, name
        assert definition["description"].endswith("."), name
        for key, node in definition["properties"].items():
            assert node["description"].endswith("."), f"{name}.{key}"
    assert node_at(("um_services", 0, "port"))["default"] == 25
    assert node_at(("nowhere", 0, "x")) == {}


@pytest.mark.parametrize("name", ["lab", "example"])
def test_the_schema_agrees(name: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(customer.load(PARAMETERS / f"{name}.yaml").dump(), schema())


@pytest.mark.parametrize("name", ["lab", "example"])
def test_what_papermill_reads_is_what_is_checked(name: str) -> None:
    """``papermill -f`` reads the file by itself; the notebook then has to see the same values."""
    papermill = pytest.importorskip("papermill.iorw")
    path = PARAMETERS / f"{name}.yaml"
    read = papermill.read_yaml_file(str(path))
    assert customer.parse(read, source="papermill").dump() == customer.load(path).dump()


# What a file gives


def test_defaults_are_the_pages(tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(LEAST, "utf-8")
    file = customer.load(path)
    assert file.source == str(path)
    assert (file.exchange.auth, file.exchange.deadline, file.exchange.certificate) == ("kerberos", 120, True)
    [fax] = file.um_services
    assert (fax.connector_name, fax.port, fax.cost, fax.source_servers) == ("XPhone Connect fax", 25, 1, ())
    assert file.smart_host(fax) == "192.0.2.10"
    assert (file.imap4.login_type, file.imap4.mime_format) == ("PlainTextLogin", "TextOnly")
    assert file.imap4.protocol_log is None
    assert (file.relay.port, file.relay.permission) == (2500, "anonymous")
    assert file.relay_addresses() == ("192.0.2.10",)
    assert file.mapi.uses == ("directory", "calendar", "voicemail")
    assert (file.sessions.policy, file.sessions.registry_sessions) == ("NoThrottlingPolicy", 128)
    assert file.sessions.registry_limit is False
    assert (file.ews.role_group, file.ews.advise) == ("EwsImpersonationRoleGroup", "EwsStream")
    assert file.ews_account() == "MAPIAccount@acme.example"
    assert (file.run.language, file.run.records) == ("en", "records")
    assert (file.run.cell_deadline, file.run.replication_wait) == (3600, 30)
    assert file.references() == {"exchange.password": SecretReference("env", "PW")}
    assert file.hosts.all() == ()


def test_references_are_found_wherever_they_are() -> None:
    file = accepted(
        """
        hosts:
          exchange:
            - {name: EX01, endpoint: "http://ex01:5985/wsman"}
            - {name: EX02, endpoint: "http://ex02:5985/wsman", username: a@b, password: "keyring:umkit/a@b"}
        imap4: {test_account: t, test_password: "prompt:"}
        """
    )
    assert {key: str(reference) for key, reference in file.references().items()} == {
        "exchange.password": "env:PW",
        "hosts.exchange[1].password": "keyring:umkit/a@b",
        "imap4.test_password": "prompt:",
    }


def test_dump_is_plain_and_holds_references_only() -> None:
    file = accepted("relay: null")
    dumped = file.dump()
    assert json.loads(json.dumps(dumped)) == dumped
    assert json.loads(file.model_dump_json()) == dumped
    assert list(dumped) == list(SECTIONS)
    assert dumped["exchange"]["password"] == "env:PW"
    assert dumped["relay"] is None
    assert file.section("um_services")[0]["name"] == "fax"
    assert file.section("relay") is None
    assert customer.parse(dumped, source="again").dump() == dumped
    with pytest.raises(UsageError, match="no section hots"):
        file.section("hots")


def test_a_notebook_passes_only_its_own_sections() -> None:
    services = [{"name": "fax", "domain": "fax.acme.example"}]
    file = customer.parse({"um_services": services, "mapi": None}, source="the parameters of 02")
    assert file.um_services[0].name == "fax"
    assert file.run.replication_wait == 30
    assert [name for name in SECTIONS if file.has(name)] == [
        "hosts",
        "um_services",
        "sessions",
        "web_administration",
        "consent",
        "run",
    ]
    with pytest.raises(UsageError, match="section exchange is missing") as caught:
        _ = file.exchange
    assert caught.value.where == {"inputs": "the parameters of 02"}
    with pytest.raises(UsageError, match="section mapi is null: this customer does not want it"):
        _ = file.mapi
    with pytest.raises(AttributeError):
        _ = file.nothing  # type: ignore[attr-defined]
    assert "exchange" not in file.dump()
    assert customer.parse({}, source="nothing").has("customer") is False


def test_lines_that_a_caller_knows_are_named() -> None:
    with pytest.raises(CustomerFileError) as caught:
        customer.parse({"run": {"language": "fr"}}, source="the form", lines={"run": 7, "run.language": 8})
    assert (caught.value.file, caught.value.problems[0].line) == ("the form", 8)


def test_a_declined_section_is_not_wanted(tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(re.sub(r"(imap4|relay|mapi|ews): .*", r"\1: null", LEAST), "utf-8")
    file = customer.load(path)
    assert all(file.declines(name) and not file.has(name) for name in DECIDED)


def test_a_file_is_never_changed_in_place() -> None:
    file = accepted()
    with pytest.raises(ValueError, match="frozen"):
        file.run = file.run  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        file.run.language = "de"  # type: ignore[misc]
    assert copy.deepcopy(file).dump() == file.dump()


def test_hosts_inherit_the_connection_but_never_half_an_account() -> None:
    file = accepted(
        """
        hosts:
          exchange:
            - {name: EX01, endpoint: "http://ex01.acme.example:5985/wsman"}
            - {name: EX02, endpoint: "http://ex02:5985/wsman", username: b@acme.example, certificate: ca, deadline: 5}
        """
    )
    first, second = (host.inheriting(file.exchange) for host in file.hosts.exchange)
    assert (first.auth, first.username, str(first.password)) == ("kerberos", "admin@acme.example", "env:PW")
    assert (first.certificate, first.deadline) == (True, 120)
    assert (second.auth, second.username, second.password) == ("kerberos", "b@acme.example", None)
    assert (second.certificate, second.deadline) == ("ca", 5)


def test_a_host_in_two_roles_counts_once() -> None:
    host = '{name: EX01, endpoint: "http://ex01:5985/wsman"}'
    file = accepted(f"hosts: {{exchange: [{host}], directory: {host}}}")
    assert [h.name for h in file.hosts.all()] == ["EX01"]


def test_the_lab_stands_in_for_every_server() -> None:
    host = 'endpoint: "http://x.acme.example:5985/wsman", username: x@acme.example, password: "env:X"'
    file = accepted(f"hosts: {{exchange: [{{name: EX01, {host}}}], xphone: {{name: XP01, {host}}}}}")
    moved = file.against_lab()
    assert moved.exchange.endpoint == "lab"
    assert [(h.name, h.endpoint) for h in moved.hosts.all()] == [("EX01", "lab"), ("XP01", "lab")]
    assert moved.references() == {}
    assert moved.source == file.source
    assert customer.parse(moved.dump(), source="again").dump() == moved.dump()
    assert file.exchange.endpoint != "lab"


def test_consent_holds_for_a_time() -> None:
    cet = timezone(timedelta(hours=1))
    opens, closes = datetime(2026, 12, 1, 18, tzinfo=cet), datetime(2026, 12, 1, 22, tzinfo=cet)
    window = Permission(allowed_by="A", starts=opens, until=closes)
    assert not window.holds(datetime(2026, 12, 1, 16, 59, tzinfo=UTC))
    assert window.holds(datetime(2026, 12, 1, 17, 0, tzinfo=UTC))
    assert not window.holds(datetime(2026, 12, 1, 21, 0, 1, tzinfo=UTC))
    day = Permission(allowed_by="A", until=date(2026, 12, 31))
    assert day.holds(datetime(2026, 12, 31, 23, 59).astimezone())
    assert not day.holds(datetime(2027, 1, 1, 0, 0, 1).astimezone())


def test_moments_are_written_back_as_they_were() -> None:
    file = accepted(
        "consent: {customer: acme, restarts: {allowed_by: A, starts: 2026-12-01, until: 2026-12-01T22:00:00+01:00}}"
    )
    restarts = {"allowed_by": "A", "starts": "2026-12-01", "until": "2026-12-01T22:00:00+01:00"}
    assert file.section("consent")["restarts"] == restarts


def test_smart_hosts_lose_their_brackets() -> None:
    file = accepted("um_services: [{name: fax, domain: fax.example, smart_host: '[192.0.2.7]'}]")
    assert file.smart_host(file.um_services[0]) == "192.0.2.7"


def test_notes_may_have_lines(tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    notes = "customer:\n  name: acme\n  notes: |\n    one\n    two\n"
    path.write_text(LEAST.replace("customer: {name: acme}", notes), "utf-8")
    assert customer.load(path).customer.notes == "one\ntwo\n"


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + LEAST.replace("\n", "\r\n").encode())
    assert customer.load(path).customer.name == "acme"


# Finding a file


def test_find(tmp_path: Path) -> None:
    for name in ("acme", "acme-west", "lab"):
        (tmp_path / f"{name}.yaml").write_text(LEAST, "utf-8")
    (tmp_path / "schema.json").write_text("{}", "utf-8")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert customer.find("acme", tmp_path) == tmp_path / "acme.yaml"
    assert customer.find("acme.yaml", tmp_path) == tmp_path / "acme.yaml"
    assert customer.find(str(tmp_path / "acme.yaml"), elsewhere) == tmp_path / "acme.yaml"
    assert customer.find(str(tmp_path / "acme"), elsewhere) == tmp_path / "acme.yaml"


def test_find_names_the_folder_and_the_nearest_file(tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text(LEAST, "utf-8")
    (tmp_path / "empty").mkdir()
    for folder, seen, next in [
        (tmp_path, "acme", "did you mean acme?"),
        (tmp_path / "empty", "no customer file in this folder", "make one: umkit new CUSTOMER"),
        (tmp_path / "missing", "no such folder", "make one: umkit new CUSTOMER"),
    ]:
        with pytest.raises(UsageError, match="no customer file acmee") as caught:
            customer.find("acmee", folder)
        assert (caught.value.where, caught.value.seen) == ({"folder": str(folder)}, seen)
        assert caught.value.next == next


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "", "..", "\ud800", "CON:"])
def test_find_takes_any_text(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no customer file"):
        customer.find(name, tmp_path)
