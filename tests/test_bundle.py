"""Job bundles: packed and signed here, run where nobody here has a way in, and only as they were signed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from bundling import PASSPHRASE, PASSWORD, ROOT, VARIABLE, Places, contents, job_of, make_key, repacked, statement, tree
from canary import search, search_folder
from click.testing import CliRunner
from taking_back import Place

from umkit import archive, bundle, cli, dsse, planfile, record, sealing
from umkit.errors import Blocked, BundleError, UsageError
from umkit.headless.planned import keep
from umkit.headless.progress import Silence
from umkit.journal import read
from umkit.lab import Lab
from umkit.secrets import Secret, remember

NOW = datetime(2026, 11, 22, 17, 5, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Path]]:
    trace = tmp_path_factory.mktemp("lab") / "trace.jsonl"
    with Lab(password=PASSWORD.value, trace=trace) as running:
        yield running, trace


@pytest.fixture
def places(tmp_path: Path, lab: tuple[Lab, Path], monkeypatch: pytest.MonkeyPatch) -> Places:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    return Places(tmp_path, *lab)


@pytest.fixture
def at_the_site(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, PASSWORD.value)


# The whole way


def test_a_job_goes_there_and_its_record_comes_back(tmp_path: Path) -> None:
    with Lab(password=PASSWORD.value, trace=tmp_path / "trace.jsonl") as running:
        places = Places(tmp_path, running, tmp_path / "trace.jsonl")
        here = {"at": places.home, "UMKIT_KEY_PASSPHRASE": PASSPHRASE}
        there = {"at": places.site, VARIABLE: PASSWORD.value}
        places.umkit("keys", "new", "--who", "a.muster@example.org", "--passphrase", "env:UMKIT_KEY_PASSPHRASE", **here)
        packed = places.umkit("pack", "acme", "--verb", "apply", "--chapter", "02", "--json", **here)
        assert packed.returncode == 0, packed.stderr
        job = json.loads(packed.stdout)
        assert (job["file"], job["chapters"]) == ("acme-apply-bundle.zip", ["02-message-formats"])
        assert f"to be there: env:{VARIABLE}" in packed.stderr
        assert not places.trace.read_text("utf-8")

        # carried over: the bundle, and the public key by another way
        (places.site / "job.zip").write_bytes((places.home / job["file"]).read_bytes())
        (places.site / "public.pem").write_bytes((places.home / "keys" / "signing.pub.pem").read_bytes())
        refused = places.umkit("run-bundle", "job.zip", **there)
        assert refused.returncode == 2
        assert "not trusted here" in refused.stderr
        assert job["packed"]["key"] in refused.stderr
        assert not (places.site / "records").exists()
        ran = places.umkit("run-bundle", "job.zip", "--key", "public.pem", "--json", "-v", **there)
        assert ran.returncode == 0, ran.stderr
        summary = json.loads(ran.stdout)
        assert (summary["mode"], summary["result"], summary["bundle"]) == ("apply", "changed", job["bundle"])
        assert "New-RemoteDomain" in places.mutating()
        at_site = Path(summary["record"])
        assert at_site.is_relative_to(places.site / "records" / "acme")
        assert (at_site / "notebooks" / "02-message-formats.ipynb").is_file()

        # carried back: the export
        export = places.site / summary["export"]
        (places.home / "back.zip").write_bytes(export.read_bytes())
        back = places.umkit("import", "back.zip", "--bundle", job["file"], "--json", **here)
        assert back.returncode == 0, back.stderr
        told = json.loads(back.stdout)
        assert (told["run"], told["bundle"], told["verb"]) == (summary["run"], job["bundle"], "apply")
        assert "not signed" in back.stderr
        assert tree(Path(told["record"])) == tree(at_site)
        verified = places.umkit("records", "verify", "--json", **here)
        assert verified.returncode == 0, verified.stderr
        listed = json.loads(places.umkit("records", "list", "--json", **here).stdout)["records"]
        assert [(each["run"], each["result"], each["sealed"]) for each in listed] == [(told["run"], "changed", True)]
        assert places.umkit("handover", "latest", "-o", "handover.html", **here).returncode == 0
        assert "fax.alleo.intern" in (places.home / "handover.html").read_text("utf-8")
        again = places.umkit("import", "back.zip", **here)
        assert again.returncode == 1
        assert "there already" in again.stderr

        found, count = search_folder(tmp_path, PASSWORD)
        assert found == []
        assert count > 20
        texts = [done.stdout + done.stderr for done in (packed, refused, ran, back, verified, again)]
        assert search("\n".join(texts).encode(), PASSWORD) == []


@pytest.mark.usefixtures("at_the_site")
def test_what_came_back_is_a_record_as_any_other(places: Places) -> None:
    """Drift is told from it, and a rollback takes back what it did."""
    inputs = places.customer("acme", um_services=[{"name": "back", "domain": "back.alleo.intern", "port": 2533}])
    ran = places.run(places.pack())
    assert ran.summary.result == "changed"
    places.bring_back(ran.export)
    here = Place(places.lab, places.home / "records", places.trace, inputs)
    here.somebody("Set-RemoteDomain", Identity="back", NDREnabled=True)
    verified = here.go("verify", "02")
    assert verified.exit_code == 3
    assert f"changed since the record of {ran.summary.run}: remote domain back, NDREnabled: then False" in json.dumps(
        verified.as_dict()
    )
    here.somebody("Set-RemoteDomain", Identity="back", NDREnabled=False)
    assert here.back(run=ran.summary.run).result == "changed"
    assert "back" not in here.names("RemoteDomain")


# Packing


def test_a_bundle_holds_what_the_run_needs_and_says_so(places: Places) -> None:
    path = places.pack("plan", chapters=["02", "00"], now=NOW)
    files = contents(path)
    assert sorted(files) == [
        "README.txt",
        "bundle.dsse.json",
        "parameters/acme.yaml",
        "runbooks/00-start.ipynb",
        "runbooks/02-message-formats.ipynb",
    ]
    assert files["parameters/acme.yaml"] == (places.home / "parameters" / "acme.yaml").read_bytes()
    for name in ("00-start", "02-message-formats"):
        assert files[f"runbooks/{name}.ipynb"] == (ROOT / "runbooks" / f"{name}.ipynb").read_bytes()
    assert f"env:{VARIABLE}" in files["README.txt"].decode()
    assert places.key.public.fingerprint in files["README.txt"].decode()
    inputs = places.customer("acme")
    assert statement(path)["predicate"] == {
        "customer": "acme",
        "verb": "plan",
        "chapters": ["00-start", "02-message-formats"],
        "inputs": planfile.fingerprint(inputs.dump()),
        "kit": "0.1.0",
        "signer": {"role": "consultant", "who": "a.muster@example.org", "at": "2026-11-22T17:05:01Z"},
    }
    assert {entry["name"] for entry in statement(path)["subject"]} == files.keys() - {bundle.STATEMENT}


def test_the_same_job_gives_the_same_bytes(places: Places) -> None:
    first = places.pack(now=NOW).read_bytes()
    assert places.pack(now=NOW).read_bytes() == first
    assert places.pack().read_bytes() != first


def test_without_chapters_it_holds_those_that_a_run_takes(places: Places) -> None:
    job = job_of(places.pack(chapters=()), places.key)
    assert job.chapters[0] == "00-start"
    assert not {"03-imap4-access", "20-password-change"} & set(job.chapters)  # declined, and only when it is named


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"verb": "rollback"}, "cannot ask for rollback"),
        ({"chapters": ["99"]}, "no chapter 99"),
        ({"verb": "verify", "plan": Path("plan.json")}, "only an apply"),
        ({"plan": Path("none.json")}, "cannot be read"),
    ],
)
def test_what_could_not_be_run_is_not_packed(places: Places, options: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        places.pack(**options)
    assert not list(places.home.glob("*.zip"))


def test_a_notebook_whose_name_not_every_system_can_have_is_not_packed(places: Places, tmp_path: Path) -> None:
    source = ROOT / "runbooks" / "02-message-formats.ipynb"
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "02-what?.ipynb").write_bytes(source.read_bytes())
    with pytest.raises(UsageError, match="under its name"):
        places.pack(runbooks=tmp_path / "own")


def test_without_a_key_nothing_is_packed(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(places.home)
    done = CliRunner().invoke(cli.main, ["pack", "acme"])
    assert done.exit_code == 2
    assert "umkit keys new" in done.stderr
    assert not list(places.home.glob("*.zip"))


# Secrets


@pytest.mark.usefixtures("at_the_site")
def test_a_secret_in_clear_is_never_packed(places: Places, tmp_path: Path) -> None:
    places.customer("acme", f"# ask for {PASSWORD.value}\n")
    with pytest.raises(BundleError, match="a secret stands in a file") as told:
        places.pack()
    assert told.value.where["file"] == "parameters/acme.yaml"
    lines = (places.home / "parameters" / "acme.yaml").read_text("utf-8").splitlines()
    assert "# ask for" in lines[int(told.value.where["line"]) - 1]
    assert search(str(told.value).encode(), PASSWORD) == []
    places.customer("acme")
    (tmp_path / "own").mkdir()
    notebook = (ROOT / "runbooks" / "02-message-formats.ipynb").read_text("utf-8")
    told_by_a_cell = json.dumps(f"logged on with {PASSWORD.value}")
    (tmp_path / "own" / "02-message-formats.ipynb").write_text(
        notebook.replace('"outputs": []', f'"outputs": [{told_by_a_cell}]', 1), "utf-8"
    )
    with pytest.raises(BundleError, match="a secret stands in a file") as told:
        places.pack(runbooks=tmp_path / "own")
    assert told.value.where["file"] == "runbooks/02-message-formats.ipynb"
    assert not list(places.home.glob("*.zip"))


def test_a_secret_that_only_the_site_knows_is_found_there(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    word = "Herbst-2026!"
    places.customer("acme", f"# ask for {word}\n")
    path = places.pack()
    monkeypatch.setenv(VARIABLE, word)
    with pytest.raises(BundleError, match="a secret stands in a file") as told:
        places.run(path)
    assert word not in str(told.value)
    assert tree(places.site) == {}


# What is not as it was signed


def test_every_file_that_is_not_as_it_was_signed_is_named(places: Places, tmp_path: Path) -> None:
    path = places.pack("plan", chapters=["00", "02"])
    files = contents(path)
    tampered: dict[str, tuple[str, dict[str, bytes]]] = {"added": ("x.ipynb", files | {"x.ipynb": b"{}"})}
    tampered["added to the notebooks"] = ("runbooks/x.ipynb", files | {"runbooks/x.ipynb": b"{}"})
    names = sorted(files)
    for name, other in zip(names, [*names[1:], names[0]], strict=True):
        tampered[f"{name} changed"] = (name, files | {name: files[name] + b" "})
        tampered[f"{name} emptied"] = (name, files | {name: b""})
        tampered[f"{name} removed"] = (name, {each: files[each] for each in files if each != name})
        tampered[f"{name} and {other} swapped"] = (name, files | {name: files[other], other: files[name]})
        renamed = {f"{each}.x" if each == name else each: data for each, data in files.items()}
        tampered[f"{name} renamed"] = (name, renamed)
    for what, (name, changed) in tampered.items():
        with pytest.raises(BundleError) as told:
            places.run(repacked(path, tmp_path / "tampered.zip", changed))
        assert name in f"{told.value}" or bundle.STATEMENT in f"{told.value}", what
        assert told.value.next, what
    assert len(tampered) == 2 + 5 * 5
    assert tree(places.site) == {}


def test_any_change_of_the_signed_statement_is_found(places: Places, tmp_path: Path) -> None:
    path = places.pack("plan")
    files = contents(path)
    whole = files[bundle.STATEMENT]
    for at in range(0, len(whole), 7):
        for changed in (
            whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :],
            whole[:at] + whole[at + 1 :],
            whole[:at] + b" " + whole[at:],
        ):
            with pytest.raises(BundleError):
                bundle.read_job(changed, [places.key.public])
    for changed in (b"", b"null", b"[" * 100_000, b'{"signatures": [1]}', b"\xff"):
        with pytest.raises(BundleError, match="was changed"):
            bundle.read_job(changed, [places.key.public])
    assert bundle.read_job(whole, [places.key.public]).envelope == whole


def test_only_a_trusted_keys_bundle_is_run(places: Places) -> None:
    path, stranger = places.pack("plan", key=make_key("stranger@example.org")), make_key()
    for trusted in ([], [places.key.public], [stranger.public, places.key.public]):
        with pytest.raises(BundleError, match="not trusted here") as told:
            bundle.open_bundle(path, trusted)
        assert all(key.fingerprint in told.value.expected for key in trusted)
        assert "--key" in told.value.next
    # signed by a stranger, in the name of a key that is trusted
    files = contents(path)
    envelope = dsse.parse(files[bundle.STATEMENT])
    files[bundle.STATEMENT] = bytes(dsse.Envelope(envelope.payload, places.key.public.fingerprint, envelope.signature))
    with pytest.raises(BundleError, match="signature does not hold"):
        bundle.open_bundle(repacked(path, path.with_name("b.zip"), files), [places.key.public])


def test_what_else_a_trusted_key_signed_is_no_job(places: Places, tmp_path: Path) -> None:
    """A record's signature, and statements that no kit packs: a key's word for one thing is none for another."""
    path = places.pack("plan")
    whole = statement(path)
    predicate = whole["predicate"]
    readme, parameters, notebook = sorted(whole["subject"], key=lambda entry: str(entry["name"]))
    more = {"name": "more.txt", "digest": {"sha256": "0" * 64}}
    for what in (
        whole | {"predicateType": sealing.PREDICATE_TYPE},
        whole | {"_type": "x"},
        whole | {"predicate": predicate | {"verb": "rollback"}},
        whole | {"predicate": predicate | {"chapters": []}},
        whole | {"predicate": predicate | {"chapters": ["00-start"]}},
        whole | {"predicate": predicate | {"chapters": [1]}},
        whole | {"predicate": predicate | {"customer": None}},
        whole | {"predicate": {}},
        whole | {"subject": [readme, notebook]},
        whole | {"subject": [readme, parameters, notebook, more]},
        whole | {"subject": [readme, parameters, notebook, notebook]},
        whole | {"subject": [readme, parameters, notebook | {"digest": {}}]},
        {},
        [],
    ):
        signed = dsse.sign(what, places.key)  # type: ignore[arg-type]
        with pytest.raises(BundleError, match="no job"):
            bundle.read_job(bytes(signed), [places.key.public])
    assert bundle.read_job(bytes(dsse.sign(whole, places.key)), [places.key.public]).verb == "plan"
    files = {name: data for name, data in contents(path).items() if name != bundle.STATEMENT}
    with pytest.raises(BundleError, match="is no bundle"):
        bundle.open_bundle(repacked(path, tmp_path / "b.zip", files), [places.key.public])


@pytest.mark.parametrize(
    ("packed_with", "here", "fits"),
    [
        ("0.1.0", "0.1.0", True),
        ("0.1.9", "0.1.0", True),
        ("0.1.0", "0.2.0", False),
        ("0.2.0", "0.1.0", False),
        ("1.2.0", "1.2.0.dev3", True),
        ("1.2.0", "1.10.1", True),
        ("1.10.1", "1.2.0", False),
        ("1.2.0", "2.2.0", False),
        ("2.0.0", "1.9.0", False),
        ("nonsense", "0.1.0", False),
        ("", "0.1.0", False),
        ("0.1x", "0.1.0", False),
    ],
)
def test_another_version_of_the_kit_refuses_what_it_may_not_understand(
    places: Places, monkeypatch: pytest.MonkeyPatch, packed_with: str, here: str, fits: bool
) -> None:
    monkeypatch.setattr(import_module("umkit.bundle.packing"), "__version__", packed_with)
    path = places.pack("plan")
    monkeypatch.setattr(import_module("umkit.bundle.job"), "__version__", here)
    monkeypatch.setattr(import_module("umkit.bundle.running"), "_laid_out", lambda *_: pytest.skip("it would be run"))
    if fits:
        with pytest.raises(pytest.skip.Exception):
            places.run(path)
        return
    with pytest.raises(BundleError, match="version of umkit") as told:
        places.run(path)
    assert told.value.seen == f"packed with {packed_with}, here is {here}"
    assert told.value.next
    assert tree(places.site) == {}


def test_a_customer_file_that_means_something_else_here_is_refused(places: Places) -> None:
    """As where a later version has another default."""
    path = places.pack("plan")
    whole = statement(path)
    whole["predicate"]["inputs"] = "0" * 64
    files = contents(path) | {bundle.STATEMENT: bytes(dsse.sign(whole, places.key))}
    with pytest.raises(BundleError, match="means something else"):
        places.run(repacked(path, path.with_name("b.zip"), files))
    assert tree(places.site) == {}


# Running


class Remarks(Silence):
    def __init__(self) -> None:
        self.said: list[str] = []

    def remark(self, text: str) -> None:
        self.said.append(text)


@pytest.mark.usefixtures("at_the_site")
def test_a_second_run_says_so_and_is_a_record_of_its_own(places: Places) -> None:
    path, remarks = places.pack("verify"), Remarks()
    first = places.run(path, progress=remarks)
    assert (first.summary.mode, first.summary.result, remarks.said) == ("verify", "differs", [])
    second = places.run(path, progress=remarks, output=places.site / "second.zip")
    [said] = remarks.said
    assert first.summary.run in said
    assert second.summary.run != first.summary.run
    job = job_of(path, places.key)
    for ran, earlier in ((first, []), (second, [first.summary.run])):
        [event] = [event for event in read(ran.summary.record / "journal.jsonl") if event["event"] == "bundle"]
        assert (event["sha256"], event["earlier"]) == (job.sha256, earlier)
        assert (event["signer"], event["key"]) == ("a.muster@example.org", places.key.public.fingerprint)
        assert (ran.summary.record / bundle.STATEMENT).read_bytes() == job.envelope
        assert record.verify(ran.summary.record) == []
        assert places.bring_back(ran.export, bundle=path).name == ran.summary.run
    (second.summary.record / bundle.STATEMENT).write_bytes(b"another")
    assert any(bundle.STATEMENT in finding for finding in record.verify(second.summary.record))


@pytest.mark.usefixtures("at_the_site")
def test_an_apply_does_the_plan_that_was_agreed_or_nothing(places: Places) -> None:
    service = {"name": "agreed", "domain": "agreed.alleo.intern", "port": 2533}
    inputs = places.customer("acme", um_services=[service])
    here = Place(places.lab, places.home / "looked", places.trace, inputs)
    plan = places.home / "plan.json"
    keep(here.go("plan", "02"), plan)
    with pytest.raises(UsageError, match="as a whole"):
        places.pack(plan=plan, chapters=["00"])
    path = places.pack(plan=plan, chapters=())
    assert contents(path)["plan.json"] == plan.read_bytes()

    here.somebody("New-RemoteDomain", Name="agreed", DomainName="agreed.alleo.intern")
    since = len(places.mutating())
    with pytest.raises(Blocked, match="nothing was sent") as told:
        places.run(path)
    assert places.mutating()[since:] == []
    assert told.value.where["export"] == str(places.site / "export.zip")
    looked = places.bring_back(places.site / "export.zip", bundle=path)
    assert looked.name.endswith("-plan")

    here.somebody("Remove-RemoteDomain", Identity="agreed", Confirm=False)
    ran = places.run(path)
    assert ran.summary.result == "changed"
    assert "agreed" in here.names("RemoteDomain")
    back = places.bring_back(ran.export, bundle=path)
    assert (back / "plan.json").read_bytes() == plan.read_bytes()
    places.customer("other", um_services=[service])
    with pytest.raises(UsageError, match="not other's"):
        places.pack(plan=plan, chapters=(), name="other")


def test_where_no_export_can_be_written_nothing_is_run(places: Places) -> None:
    with pytest.raises(UsageError, match="cannot be written there"):
        places.run(places.pack(), output=places.site / "none" / "export.zip")
    assert tree(places.site) == {}


@pytest.mark.usefixtures("at_the_site")
def test_an_export_that_fails_leaves_the_record_and_says_how_to_go_on(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Exception, match="cannot be written") as told:
        places.run(places.pack("verify"), output=places.site)  # a folder in its place
    [run] = record.listing(places.site / "records")
    assert run.sealed
    assert f"umkit records export {run.folder.resolve()}" in str(told.value)


def test_a_hostile_file_is_refused_before_anything_is_unpacked(places: Places) -> None:
    files = contents(places.pack("plan")) | {"../../outside.txt": b"x"}
    path = places.home / "hostile.zip"
    path.write_bytes(archive.packed(files))
    done = places.umkit("run-bundle", path, at=places.site)
    assert done.returncode == 2
    assert re.search(r"leads out.*\n.*next:", done.stderr)
    assert tree(places.site) == {}
    assert not list(places.folder.rglob("outside.txt"))


def test_the_mask_is_what_keeps_a_secret_out(places: Places) -> None:
    """The counter-check: what nobody knows to be a secret is packed."""
    places.customer("acme", "# a word that is no secret yet: Zeppelin-4711-Kranich\n")
    assert places.pack()
    remember(Secret("Zeppelin-4711-Kranich"))
    with pytest.raises(BundleError, match="a secret stands"):
        places.pack()
