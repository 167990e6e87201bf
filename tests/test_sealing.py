"""Signatures: made as DSSE and SSHSIG say, and nothing can be changed under them unnoticed."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import random
import shutil
import stat
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

from umkit import dsse, keys, proof, record, sealing, secrets, sshsig
from umkit.attestation import attest
from umkit.customer import parse
from umkit.durable import write_atomic
from umkit.errors import SecretError, UsageError
from umkit.journal import verify as verify_journal
from umkit.keys import PublicKey, SigningKey
from umkit.secrets import SecretReference

NOW = datetime(2026, 11, 22, 17, 5, 1, tzinfo=UTC)
PASSPHRASE = "correct horse battery staple"
INPUTS = parse(
    {
        "customer": {"name": "acme", "title": "Ünicode & Sons"},
        "exchange": {
            "endpoint": "http://ex01.acme.example/PowerShell/",
            "username": "umadmin@acme.example",
            "password": "env:ACME_PASSWORD",
        },
    },
    source="a test",
)
SSH_KEYGEN = shutil.which("ssh-keygen")


@pytest.fixture(autouse=True)
def keys_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UMKIT_KEYS", str(tmp_path / "keys"))
    monkeypatch.setenv("UMKIT_KEY_PASSPHRASE", PASSPHRASE)
    monkeypatch.delenv("UMKIT_SIGNING_KEY", raising=False)
    return tmp_path / "keys"


def make_record(records: Path) -> Path:
    with record.create(records, INPUTS, mode="apply", chapters=["00-start"], given="# given\n", now=NOW) as kept:
        kept.journal.append("chapter-start", chapter="00-start")
        kept.journal.append("step", chapter="00-start", step="START-1", kind="check", result="ok")
        kept.journal.append("chapter-end", chapter="00-start", result="ok")
        write_atomic(kept.notebooks / "00-start.ipynb", '{\n "cells": [],\n "nbformat": 4\n}\n')
        write_atomic(kept.notebooks / "01-empty.ipynb", "")
        kept.journal.append("run-end", result="changed")
        kept.journal.close()
        record.seal(kept.folder)
    return kept.folder


def make_key(who: str = "consultant@example.org") -> SigningKey:
    return SigningKey(Ed25519PrivateKey.generate(), who)


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    return make_record(tmp_path / "records")


# What is signed


def test_the_statement_is_in_totos(sealed: Path) -> None:
    key = make_key()
    path = sealing.sign(sealed, key, now=NOW)
    assert path == sealed / "signature.dsse.json"
    envelope = json.loads(path.read_bytes())
    assert set(envelope) == {"payload", "payloadType", "signatures"}
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert [entry["keyid"] for entry in envelope["signatures"]] == [key.public.fingerprint]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    start, *_, end = [json.loads(line) for line in (sealed / "journal.jsonl").read_text("utf-8").splitlines()]
    assert statement == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {
                "name": "manifest.json",
                "digest": {"sha256": hashlib.sha256((sealed / "manifest.json").read_bytes()).hexdigest()},
                "annotations": {"run": "20261122-170501-apply", "customer": "acme"},
            }
        ],
        "predicateType": "urn:umkit:record:v1",
        "predicate": {
            "run": "20261122-170501-apply",
            "customer": "acme",
            "mode": "apply",
            "result": "changed",
            "kit": start["kit"],
            "started": start["time"],
            "ended": end["time"],
            "signer": {"role": "consultant", "who": "consultant@example.org", "at": "2026-11-22T17:05:01Z"},
        },
    }


def test_the_encoding_is_the_specifications_own_example() -> None:
    assert dsse.pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_an_independent_implementation_verifies_the_envelope(sealed: Path) -> None:
    consultant, customer = make_key(), make_key("customer@acme.example")
    paths = [
        sealing.sign(sealed, consultant),
        sealing.sign(sealed, customer, role="acceptance", who="Ö. Kunde"),
    ]
    for path, key in zip(paths, (consultant, customer), strict=True):
        own, other = (
            SSlibKey(
                key.public.fingerprint,  # securesystemslib takes a key only under the id that the envelope names
                "ed25519",
                "ed25519",
                {"public": raw.hex()},
            )
            for raw in (key.public.raw, make_key().public.raw)
        )
        assert Envelope.from_dict(json.loads(path.read_bytes())).verify([own], 1) == {key.public.fingerprint: own}
        with pytest.raises(VerificationError):
            Envelope.from_dict(json.loads(path.read_bytes())).verify([other], 1)
        changed = json.loads(path.read_bytes())
        changed["payload"] = base64.b64encode(base64.b64decode(changed["payload"]) + b" ").decode()
        with pytest.raises(VerificationError):
            Envelope.from_dict(changed).verify([own], 1)


# SSH


@pytest.mark.skipif(SSH_KEYGEN is None, reason="ssh-keygen is not installed")
def test_stock_openssh_verifies_the_signature_of_the_manifest(sealed: Path, tmp_path: Path) -> None:
    key = make_key()
    sealing.sign(sealed, key)
    (tmp_path / "allowed_signers").write_text(key.public.allowed_signer(key.who), "ascii", newline="\n")

    def verified(message: bytes, who: str = key.who, namespace: str = "umkit-record") -> bool:
        assert SSH_KEYGEN
        command = [SSH_KEYGEN, "-Y", "verify", "-f", str(tmp_path / "allowed_signers"), "-I", who, "-n", namespace]
        done = subprocess.run([*command, "-s", str(sealed / "signature.sshsig")], input=message, capture_output=True)
        return done.returncode == 0

    manifest = (sealed / "manifest.json").read_bytes()
    assert verified(manifest)
    assert not verified(manifest + b" ")
    assert not verified(manifest, who="somebody@example.org")
    assert not verified(manifest, namespace="file")


@pytest.mark.skipif(SSH_KEYGEN is None, reason="ssh-keygen is not installed")
def test_it_is_the_signature_that_openssh_itself_would_make(tmp_path: Path) -> None:
    assert SSH_KEYGEN
    key = make_key()
    private = key.private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    (tmp_path / "key").write_bytes(private)
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "message").write_bytes(b"a message\n")
    command = [SSH_KEYGEN, "-Y", "sign", "-q", "-f", "key", "-n", "umkit-record", "message"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    made = (tmp_path / "message.sig").read_text("ascii")
    assert str(sshsig.sign(b"a message\n", key.private)) == made.replace("\r\n", "\n")
    assert sshsig.parse(made.replace("\r\n", "\n")).verifies(b"a message\n")
    shown = subprocess.run([SSH_KEYGEN, "-l", "-f", tmp_path / "key"], check=True, capture_output=True, text=True)
    assert key.public.fingerprint in shown.stdout


def test_an_ssh_signature_holds_for_its_message_and_namespace_alone() -> None:
    key = make_key()
    signature = sshsig.parse(str(sshsig.sign(b"message", key.private)))
    assert signature.public == key.public.raw
    assert signature.verifies(b"message")
    assert not signature.verifies(b"messagE")
    assert not signature.verifies(b"message", namespace="file")
    assert not sshsig.parse(str(sshsig.sign(b"message", key.private, namespace="file"))).verifies(b"message")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n",
        "-----BEGIN SSH SIGNATURE-----\n?\n-----END SSH SIGNATURE-----\n",
        "-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQAAADM=\n-----END SSH SIGNATURE-----\n",
        "-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAg==\n-----END SSH SIGNATURE-----\n",
        "-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAf////8AAAAA\n-----END SSH SIGNATURE-----\n",
    ],
)
def test_what_is_no_ssh_signature_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not|line|cut off"):
        sshsig.parse(text)


# Tampering


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[PublicKey]]:
    folder = make_record(tmp_path_factory.mktemp("signed") / "records")
    consultant, customer = make_key(), make_key("customer@acme.example")
    sealing.sign(folder, consultant)
    sealing.sign(folder, customer, role="acceptance", who="C. Customer")
    return folder, [consultant.public, customer.public]


FILES = [
    "inputs.yaml",
    "journal.jsonl",
    "manifest.json",
    "notebooks/00-start.ipynb",
    "notebooks/01-empty.ipynb",
    "signature.dsse.json",
    "signature.sshsig",
    "signature-acceptance.dsse.json",
    "signature-acceptance.sshsig",
]


def changes(whole: bytes, chance: random.Random) -> Iterator[tuple[str, bytes]]:
    """Ways to change a file: bytes and lines changed, removed, inserted, swapped."""
    yield "something added", whole + b"x"
    yield "a blank added", whole + b"\n"
    if not whole:
        return
    yield "emptied", b""
    yield "halved", whole[: len(whole) // 2]
    yield "doubled", whole + whole
    size = len(whole)
    for position in sorted({0, size - 1, *(chance.randrange(size) for _ in range(12))}):
        flipped = bytes([whole[position] ^ (1 << chance.randrange(8))])
        yield f"a bit at {position} flipped", whole[:position] + flipped + whole[position + 1 :]
        yield f"a byte at {position} removed", whole[:position] + whole[position + 1 :]
        yield f"a byte at {position} inserted", whole[:position] + b" " + whole[position:]
        other = chance.randrange(size)
        swapped = bytearray(whole)
        swapped[position], swapped[other] = swapped[other], swapped[position]
        yield f"the bytes at {position} and {other} swapped", bytes(swapped)
    lines = whole.splitlines(keepends=True)
    for number in sorted({chance.randrange(len(lines)) for _ in range(6)}):
        other = chance.randrange(len(lines))
        yield f"line {number} removed", b"".join(lines[:number] + lines[number + 1 :])
        yield f"line {number} twice", b"".join([*lines[: number + 1], *lines[number:]])
        swapped_lines = list(lines)
        swapped_lines[number], swapped_lines[other] = swapped_lines[other], swapped_lines[number]
        yield f"lines {number} and {other} swapped", b"".join(swapped_lines)
    yield "with other line ends", whole.replace(b"\n", b"\r\n")


def test_all_files_are_in_the_tamper_test(signed: tuple[Path, list[PublicKey]]) -> None:
    folder, known = signed
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == sorted(FILES)
    found = proof.examine(folder, known, required=True, home="acme")
    assert (found.problems, found.notes) == ([], [])
    assert [(entry.role, entry.who, entry.valid, entry.known) for entry in found.signatures] == [
        ("consultant", "consultant@example.org", True, True),
        ("acceptance", "C. Customer", True, True),
    ]


@pytest.mark.parametrize("given", [True, False], ids=["with the keys", "without a key"])
@pytest.mark.parametrize("name", FILES)
def test_any_change_is_found_and_names_the_file(signed: tuple[Path, list[PublicKey]], name: str, given: bool) -> None:
    folder, known = signed
    path = folder / name
    whole = path.read_bytes()
    tried = 0
    try:
        for what, changed in changes(whole, random.Random(name)):  # the same sample each time
            if changed == whole:
                continue
            path.write_bytes(changed)
            problems = proof.examine(folder, known if given else (), required=given).problems
            assert any(problem.startswith(name) for problem in problems), f"{what}: {problems}"
            tried += 1
        path.unlink()
        problems = proof.examine(folder, known if given else (), required=given).problems
        assert any(problem.startswith(name) for problem in problems), f"removed: {problems}"
    finally:
        path.write_bytes(whole)
    assert tried > (1 if not whole else 40)


@pytest.mark.parametrize("name", ["notes.txt", "notebooks/02-more.ipynb", "signature-x.txt", "signature.pem"])
def test_an_added_file_is_found(signed: tuple[Path, list[PublicKey]], name: str) -> None:
    folder, known = signed
    (folder / name).write_bytes(b"")
    try:
        assert [problem.split(":")[0] for problem in proof.examine(folder, known).problems] == [name]
    finally:
        (folder / name).unlink()


def _linked(path: Path, aside: Path) -> None:
    path.rename(aside)
    path.symlink_to(aside)


def _dangling(path: Path, aside: Path) -> None:
    path.rename(aside)
    path.symlink_to(aside.with_name("nowhere"))


def _a_folder(path: Path, aside: Path) -> None:
    path.rename(aside)
    path.mkdir()


def _in_a_folder(path: Path, aside: Path) -> None:
    path.rename(aside)
    path.mkdir()
    shutil.copy(aside, path / path.name)


def _a_pipe(path: Path, aside: Path) -> None:
    path.rename(aside)
    os.mkfifo(path)


def _in_upper_case(path: Path, aside: Path) -> None:
    path.rename(path.with_name(path.name.upper()))


def _decomposed(path: Path, aside: Path) -> None:
    path.rename(path.with_name(path.name.replace("n", "n\u0303", 1)))


def _moved(path: Path, aside: Path) -> None:
    path.rename(
        path.parent / "notebooks" / path.name if path.parent.name != "notebooks" else path.parents[1] / path.name
    )


@pytest.mark.skipif(os.name != "posix", reason="needs links and pipes that every user may make")
@pytest.mark.parametrize(
    "exchange", [_linked, _dangling, _a_folder, _in_a_folder, _a_pipe, _in_upper_case, _decomposed, _moved]
)
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("given", [True, False], ids=["with the keys", "without a key"])
def test_a_file_that_was_exchanged_for_something_else_is_found(
    signed: tuple[Path, list[PublicKey]],
    name: str,
    exchange: Callable[[Path, Path], None],
    given: bool,
    tmp_path: Path,
) -> None:
    """The content is the same, and reading the pipe would never end; the file is named nevertheless."""
    whole, known = signed
    folder = tmp_path / "acme" / whole.name
    shutil.copytree(whole, folder)
    exchange(folder / name, tmp_path / "aside")
    problems = proof.examine(folder, known if given else (), required=given, home="acme").problems
    assert any(problem.startswith(name) for problem in problems), problems


def test_names_in_another_normal_form_are_other_names(sealed: Path) -> None:
    write_atomic(sealed / "notebooks" / unicodedata.normalize("NFC", "Übung.ipynb"), "{}")
    record.seal(sealed)
    assert record.verify(sealed) == []
    path = sealed / "notebooks" / unicodedata.normalize("NFC", "Übung.ipynb")
    if (path.with_name(unicodedata.normalize("NFD", path.name))).exists():
        pytest.skip("this file system takes both forms for the same name")
    path.rename(path.with_name(unicodedata.normalize("NFD", path.name)))
    assert {finding.split(":")[1] for finding in record.verify(sealed)} == {
        " missing",
        " added after the record was sealed",
    }


def test_the_contents_of_any_two_files_exchanged_are_found(signed: tuple[Path, list[PublicKey]]) -> None:
    folder, known = signed
    for one, other in itertools.combinations(FILES, 2):
        before = (folder / one).read_bytes(), (folder / other).read_bytes()
        (folder / one).write_bytes(before[1])
        (folder / other).write_bytes(before[0])
        try:
            problems = proof.examine(folder, known, required=True).problems
        finally:
            (folder / one).write_bytes(before[0])
            (folder / other).write_bytes(before[1])
        # where the manifest itself is no longer one, nothing else can be compared with it
        for name in {one, other} if "manifest.json" not in (one, other) else {"manifest.json"}:
            assert any(problem.startswith(name) for problem in problems), (one, other, problems)


@pytest.mark.parametrize(
    "name", ["empty", "notebooks/empty", "notebooks/.hidden", "signature", "signature-x.dsse.json"]
)
def test_an_empty_folder_is_found(sealed: Path, name: str) -> None:
    (sealed / name).mkdir()
    assert [problem.split(":")[0] for problem in proof.examine(sealed).problems] == [name]


@pytest.mark.skipif(os.name != "posix", reason="Windows wants a right for links")
@pytest.mark.parametrize("target", ["/", "nowhere", "journal.jsonl"])
def test_an_added_link_is_found(sealed: Path, target: str) -> None:
    (sealed / "link").symlink_to(target)
    assert [problem.split(":")[0] for problem in proof.examine(sealed).problems] == ["link"]


def test_nothing_hides_in_the_journals_lock(sealed: Path) -> None:
    lock = sealed / "journal.jsonl.lock"
    lock.touch()
    assert proof.examine(sealed).problems == []
    lock.write_text("something")
    assert [problem.split(":")[0] for problem in proof.examine(sealed).problems] == ["journal.jsonl.lock"]


def _rechained(folder: Path) -> None:
    """Two lines of the journal swapped, with every number and hash made right again."""
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_bytes().splitlines()]
    lines[1], lines[2] = lines[2], lines[1]
    previous, made = "0" * 64, b""
    for number, line in enumerate(lines, 1):
        raw = json.dumps(line | {"seq": number, "prev": previous}, ensure_ascii=False).encode()
        previous, made = hashlib.sha256(raw).hexdigest(), made + raw + b"\n"
    (folder / "journal.jsonl").write_bytes(made)


def test_swapped_lines_with_new_hashes_are_found(sealed: Path) -> None:
    key = make_key()
    sealing.sign(sealed, key)
    _rechained(sealed)
    assert verify_journal(sealed / "journal.jsonl") == [], "the chain alone cannot tell"
    assert any(found.startswith("journal.jsonl: changed") for found in record.verify(sealed))
    record.seal(sealed)  # and a new manifest, without the key
    assert record.verify(sealed) == []
    for known in ([key.public], []):
        problems = proof.examine(sealed, known, required=bool(known)).problems
        assert any(problem.startswith("manifest.json: not as it was when") for problem in problems)
        assert any(problem.startswith("signature.sshsig") for problem in problems)


def test_a_record_without_manifest_and_signature_is_found(sealed: Path) -> None:
    key = make_key()
    sealing.sign(sealed, key)
    for path in [sealed / "manifest.json", *sealed.glob("signature*")]:
        path.unlink()
    assert proof.examine(sealed).problems == ["manifest.json: missing: the record is not sealed"]
    assert any(
        p.startswith("signature.dsse.json: no valid")
        for p in proof.examine(sealed, [key.public], required=True).problems
    )


@pytest.mark.parametrize("files", [["signature*"], ["manifest.json", "signature*"], ["*"]])
def test_what_another_run_was_sealed_with_does_not_pass(sealed: Path, tmp_path: Path, files: list[str]) -> None:
    """Even where all of the other run was copied: its manifest says whose it is."""
    key = make_key()
    other = make_record(tmp_path / "others" / "records")
    other = other.rename(other.with_name("20261122-180000-apply"))
    record.seal(other)
    for folder in (sealed, other):
        sealing.sign(folder, key)
    for pattern in files:
        for path in other.glob(pattern):
            if path.is_file():
                shutil.copy(path, sealed / path.name)
    problems = proof.examine(sealed, [key.public], required=True, home="acme").problems
    assert any(problem.startswith(("manifest.json", "signature")) for problem in problems), problems


def test_a_changed_evidence_is_found(sealed: Path, tmp_path: Path) -> None:
    home = sealed.parent
    picture = tmp_path / "shown.png"
    picture.write_bytes(b"a picture")
    attest(home.parent, "acme", "OUT-10", who="A. Muster", evidence=picture)
    attest(home.parent, "acme", "OUT-13", who="B. Beispiel")
    [kept] = (home / "evidence").iterdir()
    said = home / "attestations.jsonl"
    assert proof.examine(sealed, home="acme").problems == []
    tries: list[tuple[str, Path, bytes | None]] = [
        (f"evidence/{kept.name}", kept, b"another picture"),
        (f"evidence/{kept.name}", kept, None),
        ("attestations.jsonl", said, said.read_bytes().replace(b"Muster", b"Mustes")),
        ("attestations.jsonl", said, None),
        ("attestations.jsonl", said, said.read_bytes()[:-5]),
        ("evidence/more.png", kept.with_name("more.png"), b"added"),
    ]
    for name, path, changed in tries:
        before = path.read_bytes() if path.exists() else None
        path.unlink() if changed is None else path.write_bytes(changed)
        problems = proof.examine(sealed, home="acme").problems
        assert any(problem.startswith(name) for problem in problems), (name, problems)
        path.unlink() if before is None else path.write_bytes(before)
    assert proof.examine(sealed, home="acme").problems == []


def test_a_record_sealed_and_signed_again_by_another_is_found(sealed: Path) -> None:
    consultant, forger = make_key(), make_key()
    sealing.sign(sealed, consultant)
    for path in sealed.glob("signature*"):
        path.unlink()
    (sealed / "notebooks" / "00-start.ipynb").write_text("{}", "utf-8")
    record.seal(sealed)
    assert proof.examine(sealed, [consultant.public], required=True).problems == [
        f"signature.dsse.json: no valid signature with {consultant.public.fingerprint}: the record is not signed"
    ]
    sealing.sign(sealed, forger)
    assert proof.examine(sealed, [consultant.public], required=True).problems == [
        f"signature.dsse.json: no valid signature with {consultant.public.fingerprint}"
    ]
    unasked = proof.examine(sealed, [consultant.public])
    assert unasked.problems == []
    assert "a key that is not known here" in unasked.notes[0]


def test_an_acceptance_holds_the_signature_that_it_accepted(sealed: Path) -> None:
    consultant, customer = make_key(), make_key()
    sealing.sign(sealed, consultant, now=NOW)
    sealing.sign(sealed, customer, role="acceptance", who="C. Customer")
    for name in ("signature.dsse.json", "signature.sshsig"):
        (sealed / name).unlink()
    missing = [problem for problem in sealing.check(sealed, [customer.public])[1] if "missing" in problem]
    assert [problem.split(":")[0] for problem in missing] == ["signature.dsse.json", "signature.sshsig"]
    sealing.sign(sealed, consultant)  # the same signer, another time
    assert any(p.startswith("signature.dsse.json: not as it was") for p in sealing.check(sealed, [customer.public])[1])


def test_a_signature_of_another_role_or_record_does_not_pass(sealed: Path, tmp_path: Path) -> None:
    key = make_key()
    sealing.sign(sealed, key)
    for ending in ("dsse.json", "sshsig"):
        (sealed / f"signature.{ending}").rename(sealed / f"signature-acceptance.{ending}")
    assert sealing.check(sealed, [key.public])[1] == [
        "signature-acceptance.dsse.json: is no signature of a record as acceptance: changed or renamed"
    ]
    other = make_record(tmp_path / "others")
    for ending in ("dsse.json", "sshsig"):
        shutil.copy(sealed / f"signature-acceptance.{ending}", other / f"signature.{ending}")
    assert sealing.check(other, [key.public])[1][0].startswith("signature.sshsig: does not hold for manifest.json")


def test_a_removed_envelope_is_missed(sealed: Path) -> None:
    key = make_key()
    sealing.sign(sealed, key)
    (sealed / "signature.dsse.json").unlink()
    assert sealing.check(sealed)[1] == [
        "signature.dsse.json: missing, and signature.sshsig is there: removed, or a crash while it was signed"
    ]
    sealing.sign(sealed, key)
    assert sealing.check(sealed, [key.public], required=True)[1] == []


def test_what_a_stranger_signs_does_not_speak_to_the_terminal(sealed: Path) -> None:
    sealing.sign(sealed, make_key(), who="x\x1b[2J\nacme: as it was")
    assert all(text.isprintable() for text in proof.examine(sealed).notes)


def test_one_key_signs_a_record_once(sealed: Path) -> None:
    consultant, customer, second = make_key(), make_key(), make_key()
    sealing.sign(sealed, consultant)
    with pytest.raises(UsageError, match="signed already"):
        sealing.sign(sealed, customer)
    with pytest.raises(UsageError, match="this key has signed"):
        sealing.sign(sealed, consultant, role="acceptance")
    for key in (customer, second):
        sealing.sign(sealed, key, role="acceptance")
    assert [entry.file for entry in sealing.signatures(sealed)] == [
        "signature.dsse.json",
        "signature-acceptance.dsse.json",
        "signature-acceptance-2.dsse.json",
    ]
    everybody = [key.public for key in (consultant, customer, second)]
    assert sealing.check(sealed, everybody, required=True)[1] == []


def test_only_a_sealed_record_is_signed(sealed: Path) -> None:
    (sealed / "manifest.json").unlink()
    with pytest.raises(UsageError, match="not sealed"):
        sealing.sign(sealed, make_key())


# Keys


def new_key(folder: Path, name: str = "signing", reference: str = "env:UMKIT_KEY_PASSPHRASE") -> keys.KeyFile:
    parsed = SecretReference.parse(reference)
    return keys.new(folder, name, who="a.muster@example.org", passphrase=parsed, interactive=False)


def test_a_new_key_lies_encrypted_and_for_its_user_alone(keys_folder: Path) -> None:
    made = new_key(keys_folder)
    assert sorted(path.name for path in keys_folder.iterdir()) == [
        "signing.allowed_signers",
        "signing.json",
        "signing.pem",
        "signing.pub.pem",
    ]
    assert made.path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert all(PASSPHRASE not in path.read_text("ascii") for path in keys_folder.iterdir())
    if os.name == "posix":
        assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(keys_folder.stat().st_mode) == 0o700
    opened = keys.find("signing", keys_folder).open(interactive=False)
    assert (opened.who, opened.public) == ("a.muster@example.org", made.public)
    assert keys.load_public(made.allowed_signers_path) == made.public
    assert "PRIVATE" not in repr(opened)
    assert [key.name for key in keys.listing(keys_folder)] == ["signing"]


def test_a_key_is_never_replaced(keys_folder: Path) -> None:
    before = new_key(keys_folder).path.read_bytes()
    with pytest.raises(UsageError, match="already"):
        new_key(keys_folder)
    assert (keys_folder / "signing.pem").read_bytes() == before


@pytest.mark.parametrize(("name", "who"), [("../x", "a@b"), ("", "a@b"), ("a", "two words"), ("a", "a,b"), ("a", "*")])
def test_a_name_that_cannot_be_one_is_refused(keys_folder: Path, name: str, who: str) -> None:
    with pytest.raises(UsageError, match="cannot be"):
        keys.new(
            keys_folder, name, who=who, passphrase=SecretReference("env", "UMKIT_KEY_PASSPHRASE"), interactive=False
        )
    assert not keys_folder.exists()


def test_a_passphrase_typed_differently_makes_no_key(keys_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["first passphrase", "second passphrase", "third passphrase", "third passphrase"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(answers))
    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda self: True})())
    reference = SecretReference.parse("prompt:Passphrase of a test")
    with pytest.raises(SecretError, match="differ"):
        keys.new(keys_folder, who="a@b", passphrase=reference, interactive=True)
    made = keys.new(keys_folder, who="a@b", passphrase=reference, interactive=True)
    assert made.open(interactive=True).public == made.public
    secrets.forget(reference)


def test_a_wrong_or_missing_passphrase_is_told(keys_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = new_key(keys_folder)
    monkeypatch.setenv("UMKIT_KEY_PASSPHRASE", "something else")
    with pytest.raises(SecretError, match="does not open") as told:
        made.open(interactive=False)
    assert "something else" not in str(told.value)
    monkeypatch.delenv("UMKIT_KEY_PASSPHRASE")
    with pytest.raises(SecretError, match="not set"):
        made.open(interactive=False)


def test_a_key_without_a_passphrase_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "k.pem"
    reference = SecretReference("env", "UMKIT_KEY_PASSPHRASE")
    path.write_bytes(make_key().private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(UsageError, match="passphrase protects"):
        keys.key_file(path, passphrase=reference).open(interactive=False)
    other = generate_private_key(SECP256R1())
    encryption = BestAvailableEncryption(PASSPHRASE.encode())
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    with pytest.raises(UsageError, match="no Ed25519 key"):
        keys.key_file(path, passphrase=reference).open(interactive=False)
    path.write_bytes(other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(UsageError, match="no Ed25519 public key"):
        keys.load_public(path)


@pytest.mark.parametrize("text", ["", "nonsense", "-----BEGIN PUBLIC KEY-----\n", "ssh-ed25519 AAAA", "ssh-rsa AAAA"])
def test_what_is_no_public_key_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "k").write_text(text)
    with pytest.raises(UsageError, match="no Ed25519 public key"):
        keys.load_public(tmp_path / "k")


def test_a_private_key_is_not_taken_for_a_public_one(keys_folder: Path) -> None:
    with pytest.raises(UsageError) as told:
        keys.load_public(new_key(keys_folder).path)
    assert "a private key" in told.value.seen


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("win32", {"APPDATA": "/roaming"}, "/roaming/umkit/keys"),
        ("win32", {}, "/home/me/AppData/Roaming/umkit/keys"),
        ("darwin", {}, "/home/me/Library/Application Support/umkit/keys"),
        ("linux", {}, "/home/me/.config/umkit/keys"),
        ("linux", {"XDG_CONFIG_HOME": "/config"}, "/config/umkit/keys"),
        ("linux", {"UMKIT_KEYS": "/mine"}, "/mine"),
    ],
)
def test_the_folder_of_the_keys_is_the_platforms(
    monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], expected: str
) -> None:
    for name in ("UMKIT_KEYS", "APPDATA", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/me"))
    monkeypatch.setattr(sys, "platform", platform)
    assert keys.folder() == Path(expected)
    assert keys.folder(Path("given")) == Path("given")


# At the end of a run


def test_a_run_is_signed_with_the_default_key(sealed: Path, keys_folder: Path) -> None:
    made = new_key(keys_folder)
    told = sealing.sign_if_key(sealed)
    assert told == f"signed by a.muster@example.org, {made.public.fingerprint}"
    assert proof.examine(sealed, [made.public], required=True).problems == []
    assert sealing.sign_if_key(sealed).startswith("not signed: the record is signed already")


def test_a_run_is_signed_with_the_key_that_the_variable_names(
    sealed: Path, keys_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_key(keys_folder)
    made = new_key(tmp_path / "elsewhere", "mine", "env:UMKIT_KEY_PASSPHRASE")
    monkeypatch.setenv("UMKIT_SIGNING_KEY", str(made.path))
    assert made.public.fingerprint in sealing.sign_if_key(sealed)
    monkeypatch.setenv("UMKIT_SIGNING_KEY", str(tmp_path / "none.pem"))
    assert sealing.sign_if_key(sealed).startswith("not signed: there is no key")


def test_a_key_from_elsewhere_needs_nothing_beside_it(
    sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make_key()
    encryption = BestAvailableEncryption(PASSPHRASE.encode())
    (tmp_path / "k.pem").write_bytes(key.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    monkeypatch.setenv("UMKIT_SIGNING_KEY", str(tmp_path / "k.pem"))
    assert key.public.fingerprint in sealing.sign_if_key(sealed)


def test_a_run_without_a_key_or_its_passphrase_stays_unsigned_and_says_why(
    sealed: Path, keys_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sealing.sign_if_key(sealed) == "not signed: there is no key (umkit keys new)"
    new_key(keys_folder)
    monkeypatch.delenv("UMKIT_KEY_PASSPHRASE")
    assert sealing.sign_if_key(sealed).startswith("not signed: env:UMKIT_KEY_PASSPHRASE: this environment variable")
    assert not list(sealed.glob("signature*"))
    found = proof.examine(sealed)
    assert found.problems == []
    assert found.notes[0].startswith("not signed")
