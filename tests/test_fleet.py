"""Beyond one machine: a real scheduler and real workers, over TLS, each a process of its own."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed", reason="the extra fleet (Dask) is not installed")

from click.testing import CliRunner
from customer_files import LEAST, accepted
from distributed import Client, Lock
from fleets import LONGEST, Fleet, authority

from umkit import proof, record
from umkit.archive import LARGEST
from umkit.batch import Batch, Job, JobEnd
from umkit.cli import main
from umkit.errors import ConnectionFailed, RecordError, UsageError
from umkit.fleet import Access, joined, worker
from umkit.fleet.home import bring_home, fetch
from umkit.journal import read


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two workers at two sites, one behind a firewall; a test that ends workers starts its own."""
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        fleet.worker("north", name="north", jobs=2, reachable=False)
        fleet.worker("south", name="south")
        yield fleet


@pytest.fixture
def caller(fleet: Fleet) -> Iterator[Client]:
    """Another one who speaks to the scheduler."""
    with Client(fleet.address, security=fleet.access.security("client"), set_as_default=False) as client:
        yield client


def _is_home(fleet: Fleet, end: JobEnd) -> bool:
    """Whether the record that an end names lies among the caller's records, as it was sealed."""
    folder = Path(end.record)
    assert record.verify(folder) == []
    return folder.parent == fleet.records / end.customer


def test_a_customer_is_worked_on_where_it_is_reached_and_the_others_are_told_at_once(fleet: Fleet) -> None:
    ends = fleet.begin({"acme": "north", "blue": "south", "large": "", "dune": "nowhere"}).ends()
    states = {name: end.state for name, end in ends.items()}
    assert states == {"acme": "done", "blue": "done", "large": "done", "dune": "not run"}
    assert (ends["acme"].worker, ends["blue"].worker) == ("north", "south")
    assert all(_is_home(fleet, ends[name]) for name in ("acme", "blue", "large"))
    there = fleet.folder / "south" / "blue" / ends["blue"].run
    assert read(Path(ends["blue"].record) / record.JOURNAL) == read(there / record.JOURNAL)
    size = sum(path.stat().st_size for path in Path(ends["large"].record).rglob("*"))
    assert size > 2 * worker.PIECE, "or it came in one piece"

    assert ends["dune"].exit_code == 1
    assert ends["dune"].error["what"] == "no worker reaches the site nowhere"
    assert "site-north" in ends["dune"].error["seen"]
    assert "umkit fleet worker --site nowhere" in ends["dune"].error["next"]


def test_a_task_without_its_ticket_does_nothing(fleet: Fleet, caller: Client) -> None:
    """As when Dask gives it to a second worker because the first one is gone."""
    job = Job("twice", "", "apply", "a-batch", text=fleet.customer("twice").read_text("utf-8"))
    offered = worker.resources(["south"], 1)  # the other one's result could not be fetched
    task = caller.submit(worker.carry, job.as_json(), "taken", "caller", [], key="taken", resources=offered)
    assert task.result(timeout=LONGEST) is None
    assert not list(fleet.folder.glob("*/twice"))


def test_a_customer_that_another_caller_has_is_not_begun(fleet: Fleet, caller: Client) -> None:
    other = Lock("umkit-occupied", scheduler_rpc=caller.scheduler, loop=caller.loop)
    assert other.acquire(timeout=LONGEST)
    going = fleet.begin({"occupied": "south"})
    going.hears("begins", "occupied")
    going.stop.ask()
    assert going.ends()["occupied"].state == "not run"
    other.release()
    assert not list(fleet.folder.glob("*/occupied/*"))


def test_stopped_runs_close_their_records_and_the_others_are_not_begun(fleet: Fleet) -> None:
    going = fleet.begin({"wait-stop": "south", "after-stop": "south"})
    fleet.gate.knocked("wait-stop")
    going.stop.ask()
    ends = going.ends()
    assert (ends["wait-stop"].state, ends["after-stop"].state) == ("stopped", "not run")
    assert _is_home(fleet, ends["wait-stop"])
    assert not list(fleet.folder.glob("*/after-stop/*-apply*"))


@pytest.mark.skipif(os.name != "posix", reason="a process is frozen by a signal")
def test_a_second_ctrl_c_ends_a_run_that_does_not_heed_the_first(fleet: Fleet) -> None:
    going = fleet.begin({"wait-frozen": "south"})
    fleet.gate.knocked("wait-frozen")
    going.hears("run", "wait-frozen")  # else where its record lies would not be known
    going.stop.ask()
    going.stop.ask()
    end = going.ends()["wait-frozen"]
    assert (end.state, end.result, end.record) == ("stopped", "unknown", "")
    assert str(fleet.folder / "south" / "wait-frozen" / end.run) in end.error["next"]


@pytest.mark.skipif(os.name != "posix", reason="Windows ends a process without asking it")
def test_a_worker_that_is_to_end_closes_its_runs_and_what_waits_is_told(fleet: Fleet) -> None:
    leaving = fleet.worker("west", name="leaving")
    going = fleet.begin({"wait-leave": "west", "after-leave": "west"})
    fleet.gate.knocked("wait-leave")
    leaving.terminate()
    ends = going.ends()
    assert (ends["wait-leave"].state, ends["wait-leave"].worker) == ("stopped", "leaving")
    assert _is_home(fleet, ends["wait-leave"])
    assert (ends["after-leave"].state, ends["after-leave"].run) == ("not run", "")
    assert ends["after-leave"].error["what"] == "no worker reaches the site west"
    assert leaving.wait(LONGEST) == 0


def test_a_killed_workers_run_is_told_and_not_begun_again_and_the_next_brings_its_record(fleet: Fleet) -> None:
    killed = fleet.worker("east", name="killed")
    going = fleet.begin({"wait-kill": "east", "after-kill": "east"})
    fleet.gate.knocked("wait-kill")
    going.hears("run", "wait-kill")  # else where its record lies would not be known
    fleet.worker("east", name="heir", records="killed")
    killed.kill()
    ends = going.ends()
    end = ends["wait-kill"]
    assert (end.state, end.result, end.record, end.worker) == ("died", "unknown", "", "killed")
    kept = fleet.folder / "killed" / "wait-kill" / end.run
    assert str(kept) in end.error["next"]
    assert list(kept.parent.glob("*-apply*")) == [kept]
    assert (ends["after-kill"].state, ends["after-kill"].worker) == ("done", "heir"), "it had not begun"

    batch = Batch.take_up(going.folder)
    assert batch.left() == ["wait-kill"]
    again = fleet.begin({"wait-kill": "east"}, batch)
    fleet.gate.knocked("wait-kill")
    fleet.gate.open()
    assert again.ends()["wait-kill"].state == "done"
    home = fleet.records / "wait-kill"
    assert {folder.name: record.verify(folder) for folder in home.glob("*-apply*")} == {
        end.run: [],
        again.ends()["wait-kill"].run: [],
    }


def test_a_killed_scheduler_ends_the_batch_and_the_workers_close_their_records(tmp_path: Path) -> None:
    with Fleet(tmp_path) as fleet:
        there = fleet.worker("north", name="north")
        going = fleet.begin({"wait-lost": "north", "after-lost": "north"})
        fleet.gate.knocked("wait-lost")
        going.hears("run", "wait-lost")  # else where its record lies would not be known
        fleet.scheduler.kill()
        ends = going.ends()
        assert (ends["wait-lost"].state, ends["after-lost"].state) == ("died", "not run")
        assert "the scheduler is gone" in ends["wait-lost"].error["what"]
        assert Batch.take_up(going.folder).left() == ["wait-lost", "after-lost"]
        assert there.wait(LONGEST) == 1
        kept = fleet.folder / "north" / "wait-lost" / ends["wait-lost"].run
        assert str(kept) in ends["wait-lost"].error["next"]
        assert record.verify(kept) == []


def test_a_killed_callers_runs_are_stopped_and_resume_finishes_the_rest(fleet: Fleet) -> None:
    for name in ("wait-caller", "after-caller"):
        fleet.customer(name, "south")
    folders = ["--parameters", str(fleet.parameters), "--records", str(fleet.records)]
    words = ["batch", "wait-caller", "after-caller", "--verb", "apply", "--scheduler", fleet.address, *folders]
    first = fleet.call(*words)
    fleet.gate.knocked("wait-caller")
    first.kill()
    first.wait(LONGEST)
    again = fleet.call("batch", "--resume", "", "--records", str(fleet.records))
    fleet.gate.knocked("wait-caller")
    fleet.gate.open()
    said, _ = again.communicate(timeout=LONGEST)
    ends = [JobEnd.of_dict(end) for end in json.loads(said)["customers"]]
    assert [(end.customer, end.state, end.exit_code) for end in ends] == [
        ("wait-caller", "done", 0),
        ("after-caller", "done", 0),
    ]
    homes = sorted((fleet.records / "wait-caller").glob("*-apply*"))
    assert [record.verify(folder) for folder in homes] == [[], []], "what the first one left came home too"
    assert _is_home(fleet, ends[0])


def test_what_is_not_encrypted_has_to_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    customer = tmp_path / "acme.yaml"
    customer.write_text(LEAST, "utf-8")
    words = ["batch", str(customer), "--records", str(tmp_path), "--scheduler"]
    for address, said in {
        "tcp://127.0.0.1:1": "is not encrypted",
        "127.0.0.1:8786": "no scheduler's address",
        "tls://127.0.0.1:1": "no certificates for TLS",
    }.items():
        result = CliRunner().invoke(main, [*words, address])
        assert result.exit_code == 2
        assert said in result.output
    assert not list(tmp_path.glob("batch-*")), "nothing was begun"
    assert Access(insecure=True).to("tcp://127.0.0.1:1", "client") is None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = CliRunner().invoke(main, [*words, "tls://127.0.0.1:1"])
    assert "pip install umkit[fleet]" in result.output


def test_certificates_of_another_authority_are_not_spoken_to(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("umkit.fleet.caller._CONNECT", 1)
    other = [Path(file) for file in authority(tmp_path).values()]
    with pytest.raises(ConnectionFailed, match="no scheduler answers"), joined(fleet.address, Access(*other)):
        pass
    other[2].write_text("no key", "utf-8")
    with pytest.raises(UsageError, match="cannot be used"), joined(fleet.address, Access(*other)):
        pass


@pytest.fixture
def exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Job, str]:
    """An export as it travels, the job that it is of, and its run."""
    monkeypatch.setenv("UMKIT_BATCH", "a-batch")
    with record.create(tmp_path / "there", accepted("customer: {name: acme}"), mode="apply", chapters=[]) as made:
        made.close("ok")
    proof.export(made.folder, tmp_path / "export.zip")
    return tmp_path / "export.zip", Job("acme", "", "apply", "a-batch"), made.run


def _packed(files: dict[str, bytes], path: Path, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


def _unpacked(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def test_a_whole_record_is_brought_home_once(exported: tuple[Path, Job, str], tmp_path: Path) -> None:
    export, job, run = exported
    for _ in range(2):
        folder = bring_home(export, tmp_path, job, run)
        assert folder == tmp_path / "acme" / run
        assert record.verify(folder) == []
    assert [path.name for path in folder.parent.iterdir()] == [run]
    (folder / record.MANIFEST).write_text("{}", "utf-8")
    with pytest.raises(RecordError) as raised:
        bring_home(export, tmp_path, job, run)
    assert "another run of that name" in raised.value.seen


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda files, home: files.update({f"{home}/inputs.yaml": b"other"}), "inputs.yaml: changed"),
        (lambda files, home: files.pop(f"{home}/{record.JOURNAL}"), f"{record.JOURNAL}: missing"),
        (lambda files, home: files.pop(f"{home}/{record.MANIFEST}"), "not sealed"),
        (lambda files, home: files.update({f"{home}/../../../out": b""}), "it holds"),
        (lambda files, home: files.update({f"{home}/C:/out": b""}), "it holds"),
        (lambda files, home: files.update({f"{home}/a\\b": b""}), "it holds"),
        (lambda files, home: files.clear(), "not sealed"),
    ],
)
def test_a_record_that_is_not_as_it_was_sealed_does_not_come_home(
    change: Callable[[dict[str, bytes], str], Any], said: str, exported: tuple[Path, Job, str], tmp_path: Path
) -> None:
    export, job, run = exported
    files = _unpacked(export)
    change(files, f"acme/{run}")
    with pytest.raises(RecordError) as raised:
        bring_home(_packed(files, tmp_path / "changed.zip"), tmp_path / "records", job, run)
    assert said in raised.value.seen
    assert not list((tmp_path / "records" / "acme").iterdir())


def test_the_record_of_another_job_does_not_come_home(exported: tuple[Path, Job, str], tmp_path: Path) -> None:
    export, job, run = exported
    for strange in (dataclasses.replace(job, batch="another"), dataclasses.replace(job, verb="verify")):
        with pytest.raises(RecordError):
            bring_home(export, tmp_path, strange, run)
    swollen = _packed(_unpacked(export), tmp_path / "packed.zip", zipfile.ZIP_DEFLATED)
    with pytest.raises(RecordError) as raised:
        bring_home(swollen, tmp_path, job, run)
    assert "compressed" in raised.value.seen


def test_an_export_that_comes_otherwise_than_it_was_sent_is_not_taken(tmp_path: Path) -> None:
    sha256 = hashlib.sha256(b"onetwo").hexdigest()
    pieces = iter([b"one", b"two", b"next"])
    fetch(pieces, tmp_path / "a", size=6, sha256=sha256)
    assert (tmp_path / "a").read_bytes() == b"onetwo"
    assert next(pieces) == b"next", "that of the next export is left"
    for came, size in (([b"one"], 6), ([b"one", b"tow"], 6), ([b"onetwo!"], 6), ([], LARGEST + 1)):
        with pytest.raises(RecordError):
            fetch(iter(came), tmp_path / "b", size=size, sha256=sha256)
