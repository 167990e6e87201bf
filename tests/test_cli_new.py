"""umkit new: a customer file from answers, from the organisation, or with examples in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from umkit import cli_new, customer
from umkit.cli import main
from umkit.customer import beginning
from umkit.errors import UsageError


def new(folder: Path, *arguments: str, answers: str = "") -> Result:
    return CliRunner().invoke(main, ["new", *arguments, "--parameters", str(folder)], input=answers)


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_new, "_someone_is_there", lambda: True)


def test_without_a_person_examples_stand_there_and_are_named(tmp_path: Path) -> None:
    done = new(tmp_path, "acme", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["to_fill_in"] == ["exchange.endpoint", "xphone.address", "um_services", "mapi.account"]
    file = customer.load(tmp_path / "acme.yaml")
    assert file.references() == {}
    assert file.hosts.all() == ()
    assert not any(value for value in file.section("consent").values())
    text = (tmp_path / "acme.yaml").read_text("utf-8")
    assert "# Still an example, to be filled in: xphone.address\n" in text
    assert "not to be edited" not in text
    assert "# allowed: an integer from 1 to 65535; default: 2500\n" in text
    checked = CliRunner().invoke(main, ["check", "acme", "--parameters", str(tmp_path)])
    assert checked.exit_code == 0


def test_an_existing_file_is_never_written_over(tmp_path: Path) -> None:
    for name in ("acme.yaml", "other.yml"):
        (tmp_path / name).write_text("mine", "utf-8")
        done = new(tmp_path, name.partition(".")[0])
        assert done.exit_code == 2
        assert "already" in done.stderr
        assert (tmp_path / name).read_text("utf-8") == "mine"


def test_a_file_that_comes_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text("mine", "utf-8")
    with pytest.raises(UsageError, match="already"):
        beginning.begin(path, beginning.first_values("acme"))
    assert path.read_text("utf-8") == "mine"


@pytest.mark.parametrize("name", ["Müller & Co", "con", "../acme", "a b", ""])
def test_a_name_that_no_file_can_have(name: str, tmp_path: Path) -> None:
    done = new(tmp_path, name)
    assert done.exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("person")
def test_answers_are_checked_at_once_and_asked_again(tmp_path: Path) -> None:
    answers = [
        "Acme # & Söhne",
        "",
        "ex01.acme.example",  # a name, not a URL
        "http://ex01.acme.example/PowerShell/",
        "admin@acme.example",
        "hunter2-plain",  # no reference
        "keyring:umkit/admin@acme.example",
        "192.0.2",
        "192.0.2.7",
        "fax=fax@acme.example",
        "fax=fax.acme.example tel=tel.acme.example",
        "y",
        "n",
        "y",
        "um@acme.example",
        "n",
        "fr",
        "de",
    ]
    done = new(tmp_path, "acme", "--json", answers="\n".join(answers) + "\n")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout.splitlines()[-1])["to_fill_in"] == []
    for reason in (
        "is a server's name, not a URL",
        "is no IP address",
        "is an address; only the domain",
        "known values",
    ):
        assert reason in done.stderr, reason
    assert "exchange.password: this is no reference to a secret" in done.stderr
    file = customer.load(tmp_path / "acme.yaml")
    assert file.customer.title == "Acme # & Söhne"
    assert str(file.exchange.password) == "keyring:umkit/admin@acme.example"
    assert [service.name for service in file.um_services] == ["fax", "tel"]
    assert (file.has("imap4"), file.declines("relay"), file.declines("ews")) == (True, True, True)
    assert file.mapi.account == "um@acme.example"
    assert file.run.language == "de"
    assert "hunter2" not in (tmp_path / "acme.yaml").read_text("utf-8")


@pytest.mark.usefixtures("person")
def test_everything_can_be_skipped(tmp_path: Path) -> None:
    done = new(tmp_path, "acme", answers="\n" * 40)
    assert done.exit_code == 0, done.output
    assert customer.load(tmp_path / "acme.yaml").customer.name == "acme"


def test_the_lab_is_read(tmp_path: Path) -> None:
    done = new(tmp_path, "acme", "--from-organisation", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    file = customer.load(tmp_path / "acme.yaml")
    assert [(host.name, host.endpoint) for host in file.hosts.exchange] == [("EX01", "lab"), ("EX02", "lab")]
    assert [service.domain for service in file.um_services] == ["fax.alleo.intern", "sms.alleo.intern"]
    assert file.mapi.account == "MAPIAccount@alleo.intern"
    assert said["to_fill_in"] == ["xphone.address", "um_services", "mapi.account"]
    assert "um_services: proposed from what was read" in done.stderr
    assert any(note.startswith("mailbox databases: DB01") for note in said["read"])


def test_what_an_organisation_has_already_is_taken_over_and_nothing_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from umkit.headless import run
    from umkit.lab import Lab

    trace = tmp_path / "trace.jsonl"
    with Lab(trace=trace) as lab:
        monkeypatch.setenv("UMKIT_LAB", json.dumps(lab.describe()))
        own = customer.load(Path(__file__).resolve().parents[1] / "parameters" / "lab.yaml")
        run(own, "apply", chapters=("01", "04"), records=tmp_path / "records", lab=lab.describe())
        before = len(trace.read_text("utf-8").splitlines())
        done = new(tmp_path, "acme", "--from-organisation", "--json")
        later = [json.loads(line) for line in trace.read_text("utf-8").splitlines()[before:]]
    assert done.exit_code == 0, done.output
    file = customer.load(tmp_path / "acme.yaml")
    assert file.um_services == tuple(
        service.model_copy(update={"connector": service.connector_name}) for service in own.um_services
    )
    assert file.xphone.address == "10.1.2.31"
    assert (file.relay.connector, file.relay.port) == (own.relay.connector, 2500)
    assert json.loads(done.stdout)["to_fill_in"] == ["mapi.account"]
    assert later
    assert not any(line["mutating"] for line in later)


def test_a_password_on_the_command_line_is_refused(tmp_path: Path) -> None:
    done = new(
        tmp_path, "acme", "--from-organisation", "--endpoint", "http://ex.acme.example/PowerShell/", "--username",
        "a@acme.example", "--password-reference", "hunter2-plain",
    )  # fmt: skip
    assert done.exit_code == 2
    assert "hunter2" not in done.output
    assert list(tmp_path.iterdir()) == []
