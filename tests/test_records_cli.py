"""``umkit records`` and ``umkit keys``: what they print, where, and how they end."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from umkit import record, sealing
from umkit.cli import main
from umkit.customer import parse
from umkit.durable import write_atomic

PASSPHRASE = "correct horse battery staple"
SSH_KEYGEN = shutil.which("ssh-keygen")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UMKIT_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("UMKIT_KEY_PASSPHRASE", PASSPHRASE)
    monkeypatch.delenv("UMKIT_SIGNING_KEY", raising=False)
    return tmp_path


def umkit(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def asked(*arguments: str | Path) -> Any:
    done = umkit(*arguments, "--json")
    assert done.exit_code in (0, 1), done.output
    return json.loads(done.stdout)


def make_record(customer: str = "acme", second: int = 1, mode: str = "apply") -> Path:
    values = {
        "customer": {"name": customer},
        "exchange": {"endpoint": "http://ex/PowerShell/", "username": "a@acme.example", "password": "env:NONE"},
    }
    now = datetime(2026, 11, 22, 17, 5, second, tzinfo=UTC)
    inputs = parse(values, source="a test")
    with record.create(Path("records"), inputs, mode=mode, chapters=["00-start"], now=now) as kept:
        kept.journal.append("chapter-start", chapter="00-start")
        kept.journal.append("chapter-end", chapter="00-start", result="ok")
        write_atomic(kept.notebooks / "00-start.ipynb", "{}\n")
        kept.journal.append("run-end", result="changed")
        kept.journal.close()
        record.seal(kept.folder)  # not signed, whatever key there is
    return kept.folder


def make_key(name: str = "signing", who: str = "a.muster@example.org") -> Path:
    done = umkit("keys", "new", name, "--who", who, "--passphrase", "env:UMKIT_KEY_PASSPHRASE")
    assert done.exit_code == 0, done.output
    return Path("keys") / f"{name}.pub.pem"


# Keys


def test_a_key_is_made_shown_and_listed() -> None:
    made = asked("keys", "new", "--who", "a.muster@example.org", "--passphrase", "env:UMKIT_KEY_PASSPHRASE")
    assert made["name"] == "signing"
    assert made["passphrase"] == "env:UMKIT_KEY_PASSPHRASE"
    shown = asked("keys", "show")
    assert shown.pop("openssh").startswith("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5")
    assert shown == made
    assert [key["name"] for key in asked("keys", "list")["keys"]] == ["signing"]
    text = umkit("keys", "show").stdout
    assert made["fingerprint"] in text
    assert "BEGIN PUBLIC KEY" in text
    assert PASSPHRASE not in text
    assert made["fingerprint"] in umkit("keys", "list").stdout


def test_the_folder_of_the_keys_can_be_given() -> None:
    done = umkit("keys", "new", "mine", "--keys", "elsewhere", "--passphrase", "env:UMKIT_KEY_PASSPHRASE")
    assert done.exit_code == 0, done.output
    assert Path("elsewhere/mine.pem").is_file()
    assert umkit("keys", "show", "mine").exit_code == 2
    assert "there is no key" in umkit("keys", "list").stderr


def test_without_anybody_to_ask_no_key_is_made() -> None:
    done = umkit("keys", "new")
    assert done.exit_code == 2
    assert "a person would have to be asked" in done.stderr
    assert not Path("keys").exists()


# Finding a run


def test_a_run_is_named_in_several_ways() -> None:
    first, second, other = make_record(second=1), make_record(second=2, mode="plan"), make_record("beta", second=1)
    for name, folder in {
        f"acme/{first.name}": first,
        second.name: second,
        "20261122-170502": second,
        "latest": other,  # the one that began last, whatever it is called
        "beta/": other,
        str(other): other,
        "records/acme/" + first.name: first,
    }.items():
        assert asked("records", "show", name)["record"] == str(folder), name
    for name, what in (("2026", "not one run"), (first.name, "not one run"), ("2027", "no run"), ("", "no run")):
        done = umkit("records", "show", name)
        assert (done.exit_code, what in done.stderr) == (2, True), name


def test_runs_are_listed_newest_first() -> None:
    assert asked("records", "list") == {"records": []}
    make_key()
    first = make_record(second=1)
    with record.create(
        Path("records"), parse({"customer": {"name": "beta"}}, source="a test"), mode="plan", chapters=[]
    ):
        pass  # a run that was cut off
    sealing.sign_if_key(first)
    lines = umkit("records", "list").stdout.splitlines()
    assert [line.split()[1:] for line in lines if line.startswith("acme")] == [
        ["changed", "consultant", "a.muster@example.org"]
    ]
    assert any("unknown" in line and "not sealed" in line for line in lines if line.startswith("beta"))
    listed = {entry["customer"]: entry for entry in asked("records", "list")["records"]}
    assert (listed["acme"]["sealed"], listed["beta"]["sealed"]) == (True, False)
    assert [entry["role"] for entry in listed["acme"]["signatures"]] == ["consultant"]


def test_a_run_without_a_key_says_that_it_is_not_signed() -> None:
    make_record()
    shown = umkit("records", "show", "latest").stdout
    assert "signature: not signed" in shown
    assert "00-start ok" in shown
    assert "not signed" in umkit("records", "list").stdout
    done = umkit("records", "verify", "latest")
    assert done.exit_code == 0
    assert "not signed" in done.stderr


# Verifying


def test_verify_says_what_holds_and_names_what_does_not() -> None:
    public, folder = make_key(), make_record()
    assert umkit("records", "sign", "latest").exit_code == 0
    done = umkit("records", "verify", "latest", "--key", public)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "signed: consultant: a.muster@example.org" in done.stderr
    (folder / "notebooks" / "00-start.ipynb").write_text("{ }\n")
    done = umkit("records", "verify", "latest", "--key", public)
    assert done.exit_code == 1
    assert "notebooks/00-start.ipynb: changed" in done.stderr
    found = asked("records", "verify")
    assert found["whole"] is False
    assert found["records"][0]["problems"] == ["notebooks/00-start.ipynb: changed"]


def test_a_key_that_is_given_has_to_have_signed() -> None:
    make_key()
    other = make_key("other", "b@example.org")
    make_record()
    assert umkit("records", "verify", "latest", "--key", other).exit_code == 1
    umkit("records", "sign", "latest")
    assert umkit("records", "verify", "latest").exit_code == 0
    done = umkit("records", "verify", "latest", "--key", other)
    assert done.exit_code == 1
    assert "signature.dsse.json: no valid signature with" in done.stderr
    assert umkit("records", "verify", "latest", "--key", "keys/signing.pem").exit_code == 2


def test_verify_without_a_run_takes_all_of_them() -> None:
    assert umkit("records", "verify").exit_code == 0
    make_record(second=1)
    folder = make_record("beta", second=2)
    assert len(asked("records", "verify")["records"]) == 2
    (folder / "manifest.json").unlink()
    found = asked("records", "verify")
    assert [entry["customer"] for entry in found["records"] if not entry["whole"]] == ["beta"]


@pytest.mark.parametrize("moved", ["records/acme/20261122-170501-plan", "records/beta/20261122-170501-apply"])
def test_a_record_in_anothers_place_is_found(moved: str) -> None:
    folder = make_record()
    Path(moved).parent.mkdir(exist_ok=True)
    folder.rename(moved)
    done = umkit("records", "verify", moved)
    assert done.exit_code == 1
    assert "exchanged or renamed" in done.stderr


# Accepting


def test_the_customer_accepts_with_a_key_of_their_own() -> None:
    consultant, customer = make_key(), make_key("customer", "kunde@acme.example")
    folder = make_record()
    umkit("records", "sign", "latest")
    assert umkit("records", "accept", "latest", "--who", "C. Customer", "--key", "signing").exit_code == 2
    assert umkit("records", "accept", "latest", "--who", " ", "--key", "customer").exit_code == 2
    told = asked("records", "accept", "latest", "--who", "C. Customer", "--key", "keys/customer.pem")
    assert [(entry["role"], entry["who"]) for entry in told["signatures"]] == [
        ("consultant", "a.muster@example.org"),
        ("acceptance", "C. Customer"),
    ]
    done = umkit("records", "verify", "latest", "--key", consultant, "--key", customer)
    assert done.exit_code == 0, done.output
    assert "acceptance: C. Customer" in umkit("records", "show", "latest").stdout
    shutil.rmtree("keys")
    assert "not known here" in umkit("records", "verify", "latest").stderr
    assert sorted(path.name for path in folder.glob("signature*")) == [
        "signature-acceptance.dsse.json",
        "signature-acceptance.sshsig",
        "signature.dsse.json",
        "signature.sshsig",
    ]


def test_a_changed_record_is_neither_signed_nor_accepted_nor_exported() -> None:
    make_key()
    folder = make_record()
    (folder / "inputs.yaml").write_text("")
    for arguments in (("sign",), ("accept", "--who", "X", "--key", "signing"), ("export", "-o", "out.zip")):
        done = umkit("records", arguments[0], "latest", *arguments[1:])
        assert (done.exit_code, "not whole" in done.stderr) == (1, True)
    assert not list(folder.glob("signature*"))
    assert not Path("out.zip").exists()


# Exporting


def test_an_export_is_the_same_each_time_and_checks_where_it_is_unpacked() -> None:
    consultant = make_key()
    make_key("customer", "kunde@acme.example")
    folder = make_record()
    umkit("records", "sign", "latest")
    umkit("records", "accept", "latest", "--who", "Ö. Kunde", "--key", "customer")
    for name in ("one.zip", "two.zip"):
        assert umkit("records", "export", "latest", "-o", name).exit_code == 0
    assert Path("one.zip").read_bytes() == Path("two.zip").read_bytes()
    with zipfile.ZipFile("one.zip") as file:
        names = file.namelist()
        file.extractall("unpacked")
    assert names == sorted(names)
    home = "acme/20261122-170501-apply"
    assert [name for name in names if not name.startswith("acme/")] == [
        "README.txt",
        "allowed_signers",
        "public-key-acceptance.pem",
        "public-key.pem",
    ]
    assert {name.removeprefix(f"{home}/") for name in names if name.startswith("acme/")} == {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    }
    assert Path("unpacked/public-key.pem").read_bytes() == consultant.read_bytes()
    text = Path("unpacked/README.txt").read_text("utf-8")
    assert "acceptance: Ö. Kunde" in text
    done = umkit("records", "verify", f"unpacked/{home}", "--key", "unpacked/public-key.pem", "--key", consultant)
    assert done.exit_code == 0, done.output


@pytest.mark.skipif(SSH_KEYGEN is None, reason="ssh-keygen is not installed")
def test_the_commands_of_the_exports_readme_work_with_openssh() -> None:
    make_key()
    make_key("customer", "kunde@acme.example")
    make_record()
    umkit("records", "sign", "latest")
    umkit("records", "accept", "latest", "--who", "C. Customer", "--key", "customer")
    umkit("records", "export", "latest", "-o", "out.zip")
    with zipfile.ZipFile("out.zip") as file:
        file.extractall("out")
    lines = [line.strip() for line in Path("out/README.txt").read_text("utf-8").splitlines()]
    commands = [line.split(" < ") for line in lines if line.startswith("ssh-keygen")]
    assert len(commands) == 2
    for command, manifest in commands:
        message = (Path("out") / manifest).read_bytes()
        for data, status in ((message, 0), (message + b"\n", 255)):
            done = subprocess.run(command.split(), cwd="out", input=data, capture_output=True)
            assert done.returncode == status, done.stderr


def test_an_unsigned_record_is_exported_as_such() -> None:
    make_record()
    told = asked("records", "export", "latest")
    assert told == {"run": "20261122-170501-apply", "file": "acme-20261122-170501-apply.zip", "signed": False}
    with zipfile.ZipFile(told["file"]) as file:
        assert "NOT SIGNED" in file.read("README.txt").decode()
        assert "public-key.pem" not in file.namelist()


def test_an_export_does_not_land_in_its_record() -> None:
    folder = make_record()
    assert umkit("records", "export", "latest", "-o", folder / "x.zip").exit_code == 2
    assert not (folder / "x.zip").exists()
