"""What a bundle's run left is brought back whole and as it was sealed, or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bundling import ROOT, VARIABLE, Places, contents, make_key, repacked, tree
from click.testing import CliRunner

import umkit
from umkit import archive, bundle, cli, customer, durable, keys, proof, record, sealing
from umkit.bundle import Job
from umkit.customer import CustomerFile
from umkit.durable import write_atomic, write_folder
from umkit.errors import BundleError, RecordError, UsageError
from umkit.lab import Lab
from umkit.lock import CustomerLock
from umkit.planfile import fingerprint
from umkit.secrets import SecretReference

NOW = datetime(2026, 11, 22, 17, 5, 1, tzinfo=UTC)
RUN = "20261122-170501-apply"
CHAPTERS = ["02-message-formats"]
HOLD = """\
import sys
from pathlib import Path
from umkit.lock import CustomerLock
lock = CustomerLock(Path(sys.argv[1]))
lock.acquire()
print(flush=True)
sys.stdin.read()
"""


class NoLab(Lab):
    """Where nothing is contacted, an address is enough."""

    def __init__(self) -> None:
        self.username = "umadmin"

    @property
    def exchange(self) -> str:
        return "http://127.0.0.1:9/PowerShell/"


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    return Places(tmp_path, NoLab(), tmp_path / "trace.jsonl")


class Run:
    """A record as a bundle's run leaves it, or one that is somehow else."""

    def __init__(self, places: Places, **pack: Any) -> None:
        self.places = places
        self.bundle = places.pack(now=NOW, **pack)
        self.job: Job = bundle.open_bundle(self.bundle, [places.key.public]).job
        self.inputs: CustomerFile = customer.load(places.home / "parameters" / "acme.yaml")
        self.mode, self.chapters = "apply", CHAPTERS
        self.envelope: bytes | None = self.job.envelope
        self.told: Sequence[dict[str, Any]] = [{"sha256": self.job.sha256}]
        self.plan: bytes | None = None
        self.inputs_text: bytes | None = None
        self.given = Path(self.inputs.source).read_text("utf-8-sig")

    def recorded(self, records: Path | None = None) -> Path:
        home = records or self.places.site / "records"
        with record.create(
            home, self.inputs, mode=self.mode, chapters=self.chapters, given=self.given, now=NOW
        ) as kept:
            for told in self.told:
                kept.journal.append("bundle", **told)
            files = {bundle.STATEMENT: self.envelope, "plan.json": self.plan, record.INPUTS: self.inputs_text}
            for name, data in files.items():
                if data is not None:
                    write_atomic(kept.folder / name, data)
            kept.journal.append("chapter-start", chapter=CHAPTERS[0])
            kept.journal.append("chapter-end", chapter=CHAPTERS[0], result="changed")
            write_atomic(kept.notebooks / f"{CHAPTERS[0]}.ipynb", "{}\n")
            write_atomic(kept.folder / "handover.html", "<html></html>\n")
            kept.close("changed")
        return kept.folder

    def exported(self) -> Path:
        path = self.places.site / "export.zip"
        proof.export(self.recorded(), path)
        return path


def refused(places: Places, export: Path, error: type[Exception] = RecordError, **options: Any) -> str:
    """Why an export is not brought back; nothing is left of it."""
    before = tree(places.home / "records")
    with pytest.raises(error) as told:
        places.bring_back(export, **options)
    assert tree(places.home / "records") == before
    assert "next:" in str(told.value)
    return str(told.value)


def test_a_record_is_brought_back_as_it_was(places: Places) -> None:
    run = Run(places)
    export = run.exported()
    folder = places.bring_back(export, bundle=run.bundle)
    assert folder == (places.home / "records" / "acme" / RUN).resolve()
    assert tree(folder) == tree(places.site / "records" / "acme" / RUN)
    assert proof.examine(folder, home="acme").problems == []
    [listed] = record.listing(places.home / "records")
    assert (listed.run, listed.result, listed.sealed, listed.under_way) == (RUN, "changed", True, False)
    assert not CustomerLock(folder.parent).is_held()
    assert [path.name for path in folder.parent.iterdir() if path.name.endswith(".tmp")] == []


def test_line_ends_and_a_byte_order_mark_of_the_customer_file_change_nothing(places: Places) -> None:
    path = places.home / "parameters" / "acme.yaml"
    path.write_bytes(
        b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"# \xf0\x9f\x94\x91 \xc2\xa0 x: |\r\n\r\n"
    )
    run = Run(places)
    assert places.bring_back(run.exported(), bundle=run.bundle).name == RUN


# Tampering


def test_every_file_that_is_not_as_it_was_sealed_is_named(places: Places, tmp_path: Path) -> None:
    key = make_key("site@example.org")
    folder = Run(places).recorded()
    sealing.sign(folder, key)
    export = tmp_path / "export.zip"
    proof.export(folder, export)
    files, home = contents(export), f"acme/{RUN}"
    names = sorted(files)
    assert len(names) == 11
    tampered: dict[str, dict[str, bytes]] = {}
    for name, other in zip(names, [*names[1:], names[0]], strict=True):
        if name != "README.txt":  # words for people: not believed, and not brought back
            tampered[f"{name} changed"] = files | {name: files[name] + b" "}
            tampered[f"{name} emptied"] = files | {name: b""}
            tampered[f"{name} and {other} swapped"] = files | {name: files[other], other: files[name]}
        tampered[f"{name} removed"] = {each: files[each] for each in files if each != name}
        tampered[f"{name} renamed"] = {f"{each}.x" if each == name else each: data for each, data in files.items()}
    for name in ("more.txt", "public-key-2.pem", f"{home}/more.txt", f"{home}/notebooks/more.ipynb", "acme/more.txt"):
        tampered[f"{name} added"] = files | {name: b"x"}
    tampered["another run added"] = files | {f"acme/{RUN}-2/manifest.json": b"{}"}
    tampered["another customer added"] = files | {f"beta/{RUN}/manifest.json": b"{}"}
    known = [key.public]
    for what, changed in tampered.items():
        with pytest.raises((RecordError, UsageError)) as told:
            places.bring_back(
                repacked(export, tmp_path / "tampered.zip", changed), trusted=[places.key.public], known=known
            )
        name = what.split()[0].removeprefix(f"{home}/")
        assert name in str(told.value) or "signature" in str(told.value) or "no export" in str(told.value), what
        assert "next:" in str(told.value), what
    assert len(tampered) == 3 * 10 + 2 * 11 + 7
    assert not (places.home / "records").exists()
    words = repacked(export, tmp_path / "words.zip", files | {"README.txt": b"of another version"})
    assert places.bring_back(words, known=known).name == RUN


def test_whose_seal_it_is_is_told(places: Places) -> None:
    key = make_key("site@example.org")
    folder = Run(places).recorded()
    sealing.sign(folder, key)
    for number, known in enumerate(([], [key.public])):
        export = places.site / "signed.zip"
        proof.export(folder, export)
        back = bundle.bring_back(export, places.home / f"records-{number}", [places.key.public], known=known)
        [signature] = back.signatures
        assert (signature.who, signature.known) == ("site@example.org", bool(number))
        assert any("not known here" in note for note in back.notes) != bool(number)


def test_what_was_sealed_anew_after_a_change_is_told_by_its_signature(places: Places) -> None:
    """Without a signature, whoever can write there can seal anew; with one, nobody without the key."""
    folder = Run(places).recorded()
    sealing.sign(folder, make_key())
    (folder / "handover.html").write_text("changed")
    record.seal(folder)
    with pytest.raises(RecordError, match="not whole"):
        proof.export(folder, places.site / "export.zip")
    files = {f"acme/{RUN}/{name}": data for name, data in tree(folder).items()}
    (places.site / "by-hand.zip").write_bytes(archive.packed(files))
    assert "changed" in refused(places, places.site / "by-hand.zip")


def test_an_unsealed_record_is_refused(places: Places) -> None:
    folder = Run(places).recorded()
    files = {f"acme/{RUN}/{name}": data for name, data in tree(folder).items()}
    del files[f"acme/{RUN}/manifest.json"]
    (places.site / "by-hand.zip").write_bytes(archive.packed(files))
    assert "the record is not sealed" in refused(places, places.site / "by-hand.zip")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("manifest.json", b"[" * 100_000),
        ("manifest.json", b"null"),
        ("manifest.json", b'{"files": {"x": 1}}'),
        ("journal.jsonl", b"[" * 100_000 + b"\n"),
        ("journal.jsonl", b""),
        ("signature.dsse.json", b"[" * 100_000),
        ("signature.sshsig", b"\xff"),
    ],
)
def test_hostile_contents_end_in_a_clear_error(places: Places, name: str, data: bytes) -> None:
    folder = Run(places).recorded()
    files = {f"acme/{RUN}/{each}": content for each, content in tree(folder).items()} | {f"acme/{RUN}/{name}": data}
    (places.site / "by-hand.zip").write_bytes(archive.packed(files))
    assert name in refused(places, places.site / "by-hand.zip")


@pytest.mark.parametrize(
    "place", ["acme", f"acme/{RUN}/deeper", "acme/notes", f"Acme/{RUN}", f"nul-/{RUN}", f"a b/{RUN}"]
)
def test_what_is_no_export_is_refused(places: Places, place: str) -> None:
    path = places.site / "by-hand.zip"
    path.write_bytes(archive.packed({f"{place}/manifest.json": b"{}"}))
    refused(places, path, (UsageError, RecordError))  # type: ignore[arg-type]
    path.write_bytes(archive.packed({}))
    assert "no record" in refused(places, path, UsageError)
    path.write_bytes(b"no zip file")
    assert "no export as umkit writes it" in refused(places, path, UsageError)


def test_a_name_that_leads_out_writes_nothing(places: Places) -> None:
    files = contents(Run(places).exported()) | {f"acme/{RUN}/../../../outside.txt": b"x"}
    path = places.site / "hostile.zip"
    path.write_bytes(archive.packed(files))
    assert "leads out" in refused(places, path, UsageError)
    assert not list(places.folder.rglob("outside.txt"))


# Whose record it is


def _no_statement(run: Run) -> None:
    run.envelope, run.told = None, []


def _unknown_key(run: Run) -> None:
    path = run.places.pack(key=make_key("stranger@example.org"))
    run.envelope = contents(path)[bundle.STATEMENT]
    run.told = [{"sha256": hashlib.sha256(run.envelope).hexdigest()}]


def _changed_statement(run: Run) -> None:
    assert run.envelope
    run.envelope = run.envelope.replace(b'"payloadType"', b'"payloadTypo"')


def _no_event(run: Run) -> None:
    run.told = []


def _another_event(run: Run) -> None:
    run.told = [{"sha256": "0" * 64}]


def _two_events(run: Run) -> None:
    run.told = [{"sha256": run.job.sha256}, {"sha256": "0" * 64}]


def _another_verb(run: Run) -> None:
    run.mode = "verify"


def _other_chapters(run: Run) -> None:
    run.chapters = ["01-forwarding-emails"]


def _other_values(run: Run) -> None:
    path = Path(run.inputs.source)
    path.write_text(path.read_text("utf-8").replace("10.1.2.31", "10.1.2.32"), "utf-8")
    run.inputs = customer.load(path)


def _another_customer(run: Run) -> None:
    run.inputs = run.places.customer("beta")


def _no_inputs(run: Run) -> None:
    run.inputs_text = b""


def _a_bomb_as_inputs(run: Run) -> None:
    levels = [f"l{level}: &l{level} [{', '.join([f'*l{level - 1}'] * 9)}]" for level in range(1, 12)]
    run.inputs_text = "\n".join(["l0: &l0 [x]", *levels, "used: *l11"]).encode()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_no_statement, "does not say which bundle"),
        (_unknown_key, "not trusted here"),
        (_changed_statement, "was changed"),
        (_no_event, "journal.jsonl: tells of another bundle, or of none"),
        (_another_event, "journal.jsonl: tells of another bundle, or of none"),
        (_two_events, "journal.jsonl: tells of another bundle, or of none"),
        (_another_verb, "journal.jsonl: of another run, customer, verb or chapters; inputs.yaml: of another"),
        (_other_chapters, "journal.jsonl: of another run, customer, verb or chapters; inputs.yaml: of another"),
        (_another_customer, "journal.jsonl: of another run, customer, verb or chapters; inputs.yaml: of another"),
        (_other_values, "inputs.yaml: other values"),
        (_no_inputs, "inputs.yaml: other values"),
        (_a_bomb_as_inputs, "inputs.yaml: other values"),
    ],
)
def test_a_record_that_is_not_of_its_bundle_is_refused(places: Places, change: Callable[[Run], None], why: str) -> None:
    """Each of these is sealed, and as it was sealed."""
    run = Run(places)
    change(run)
    assert why in refused(places, run.exported())


def test_the_bundle_that_is_given_has_to_be_the_records(places: Places) -> None:
    run = Run(places)
    export = run.exported()
    other = places.pack("apply", now=datetime(2026, 11, 23, tzinfo=UTC))  # the same job, of another day
    other = other.rename(other.with_name("other.zip"))
    assert "other.zip: another bundle" in refused(places, export, bundle=other)
    run.bundle = places.pack(now=NOW)
    tampered = contents(run.bundle) | {"README.txt": b"x"}
    broken = repacked(run.bundle, places.home / "broken.zip", tampered)
    refused(places, export, BundleError, bundle=broken)
    assert places.bring_back(export, bundle=run.bundle).name == RUN


def test_another_text_of_the_same_values_is_told_with_the_bundle(places: Places) -> None:
    run = Run(places)
    run.given += "# a remark\n"
    assert "inputs.yaml: another text" in refused(places, run.exported(), bundle=run.bundle)


def test_an_apply_of_a_plan_did_that_plan(places: Places) -> None:
    inputs = customer.load(places.home / "parameters" / "acme.yaml")
    plan = {
        "customer": "acme",
        "run": "r",
        "kit": umkit.__version__,
        "mode": "plan",
        "chapters": CHAPTERS,
        "broken": [],
        "steps": [],
    }
    path = places.home / "plan.json"
    path.write_text(json.dumps(plan | {"inputs": fingerprint(inputs.dump())}), "utf-8")
    run = Run(places, plan=path, chapters=())
    run.plan = b"{}"
    assert "plan.json: another plan" in refused(places, run.exported())
    run.plan = path.read_bytes()
    (places.site / "records").rename(places.site / "other records")
    assert places.bring_back(run.exported()).name == RUN
    run.mode, run.plan = "plan", b"{}"  # the look before, where the state had moved
    assert places.bring_back(run.exported()).name == RUN.replace("apply", "plan")


# Whole or not at all


def test_an_existing_run_is_never_overwritten(places: Places) -> None:
    run = Run(places)
    export = run.exported()
    places.bring_back(export)
    assert "the record is there already" in refused(places, export)
    elsewhere = places.home / "others"
    run.recorded(elsewhere)  # another one of that second
    before = tree(elsewhere)
    with pytest.raises(RecordError, match="another run of that name"):
        places.bring_back(export, records=elsewhere)
    assert tree(elsewhere) == before
    (places.home / "empty" / "acme" / RUN).mkdir(parents=True)
    with pytest.raises(RecordError, match="another run of that name"):
        places.bring_back(export, records=places.home / "empty")


def test_while_another_run_works_on_the_customer_nothing_is_put_there(places: Places) -> None:
    export = Run(places).exported()
    records = places.home / "records"
    (records / "acme").mkdir(parents=True)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(records / "acme")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as holder:  # fmt: skip
        assert holder.stdout
        holder.stdout.readline()
        assert "another run works on acme" in refused(places, export)
        holder.communicate()
    assert places.bring_back(export).name == RUN


@pytest.fixture(params=["Ctrl-C", "disk full"])
def trouble(request: pytest.FixtureRequest) -> BaseException:
    return KeyboardInterrupt() if request.param == "Ctrl-C" else OSError(errno.ENOSPC, "No space left on device")


def test_an_interrupted_import_leaves_nothing(
    places: Places, trouble: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = Run(places).exported()
    records = places.home / "records"
    whole = [None] * (6 + (2 if os.name == "posix" else 0))  # each file is brought to the disk, and each folder
    fates: list[BaseException | None] = []
    real = os.fsync

    def fsync(number: int) -> None:
        # what comes before is in a folder aside
        if any(records.glob(f"acme/.{RUN}*")) and (fate := fates.pop(0)):
            raise fate
        real(number)

    monkeypatch.setattr(durable.os, "fsync", fsync)
    told = KeyboardInterrupt if isinstance(trouble, KeyboardInterrupt) else RecordError
    for at in range(len(whole)):
        fates[:] = [*whole[:at], trouble]
        with pytest.raises(told):
            places.bring_back(export)
        assert fates == []
        assert tree(records) == {}
        assert record.listing(records) == []
    fates[:] = whole
    places.bring_back(export)
    assert fates == []
    assert proof.examine(records / "acme" / RUN, home="acme").problems == []


def test_what_a_killed_import_left_is_no_record_and_taken_away(places: Places) -> None:
    export = Run(places).exported()
    left = places.home / "records" / "acme" / f".{RUN}.4711-1.tmp"
    (left / "notebooks").mkdir(parents=True)
    (left / "journal.jsonl").write_text("half a li")
    assert record.listing(places.home / "records") == []
    folder = places.bring_back(export)
    assert not left.exists()
    assert proof.examine(folder, home="acme").problems == []


def test_a_folder_is_written_once(tmp_path: Path) -> None:
    write_folder(tmp_path / "one", {"a/b": b"1", "c": b""})
    assert tree(tmp_path) == {"one/a/b": b"1", "one/c": b""}
    with pytest.raises(RecordError, match="cannot be written"):
        write_folder(tmp_path / "one", {"c": b"2"})
    with pytest.raises(RecordError, match="cannot be written"):
        write_folder(tmp_path / "one" / "c" / "two", {"c": b"2"})
    assert tree(tmp_path) == {"one/a/b": b"1", "one/c": b""}


# The command line


def test_the_command_says_what_it_brought_back(places: Places, tmp_path: Path) -> None:
    run = Run(places)
    export = run.exported()
    public = tmp_path / "public.pem"
    public.write_text(places.key.public.pem)
    arguments = ["import", str(export), "--records", str(places.home / "records"), "--json"]
    unknown = CliRunner().invoke(cli.main, arguments)
    assert unknown.exit_code == 1
    assert json.loads(unknown.stdout)["error"] == "RecordError"
    assert "--key" in unknown.stderr
    done = CliRunner().invoke(cli.main, [*arguments, "--key", str(public), "--bundle", str(run.bundle)])
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["run"], told["customer"], told["bundle"]) == (RUN, "acme", run.job.sha256)
    assert told["packed"] == {
        "who": "a.muster@example.org",
        "at": "2026-11-22T17:05:01Z",
        "key": places.key.public.fingerprint,
        "kit": "0.1.0",
    }
    assert CliRunner().invoke(cli.main, ["import", str(tmp_path / "none.zip")]).exit_code == 2


def test_a_key_that_is_known_is_not_yet_one_whose_bundles_are_trusted(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A customer's public key lies in the folder of the keys, for the signatures of acceptance."""
    home = places.home / "keys"
    monkeypatch.setenv("UMKIT_KEYS", str(home))
    monkeypatch.setenv("UMKIT_KEY_PASSPHRASE", "a passphrase")
    made = keys.new(
        home, who="a@b.example", passphrase=SecretReference("env", "UMKIT_KEY_PASSPHRASE"), interactive=False
    )
    (home / "customer.pub.pem").write_text(places.key.public.pem)
    assert places.key.public in keys.known(home)
    assert keys.own(home) == [made.public]
    arguments = ["import", str(Run(places).exported()), "--records", str(places.home / "records")]
    refused = CliRunner().invoke(cli.main, arguments)
    assert refused.exit_code == 1
    assert "not trusted here" in refused.stderr
    run_there = CliRunner().invoke(cli.main, ["run-bundle", str(places.home / "acme-apply-bundle.zip")])
    assert run_there.exit_code == 2
    assert "not trusted here" in run_there.stderr
    places.key = made.open(interactive=False)
    (places.site / "records").rename(places.site / "other records")
    assert CliRunner().invoke(cli.main, [*arguments[:1], str(Run(places).exported()), *arguments[2:]]).exit_code == 0
