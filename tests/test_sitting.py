"""A person's work on a chapter, against a lab over HTTP: what is sent, what is written down, what is refused."""

from __future__ import annotations

import contextlib
import errno
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import nbformat
import pytest
import yaml
from html_cards import cards
from sittings import ROOT, Desk

from umkit import history, record
from umkit.agreement import agreement
from umkit.attestation import Evidence
from umkit.command import Command
from umkit.customer import load
from umkit.durable import cannot_write
from umkit.errors import RecordError, UsageError
from umkit.handover.closing import accepted
from umkit.handover.gather import gather
from umkit.handover.words import Words
from umkit.headless import run
from umkit.journal import read
from umkit.lab import Lab
from umkit.lab.call import Call
from umkit.lock import CustomerLock
from umkit.outcome import StepOutcome
from umkit.undoing import Undoing

FMT = "02-message-formats"
SLOW = 60.0
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with Lab(trace=tmp_path / "trace.jsonl") as lab:
        desk = Desk(lab, tmp_path, monkeypatch, tmp_path / "trace.jsonl")
        yield desk
        if "chapter" in desk.names:
            desk.sitting.close()


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until something is so; a minute at most."""
    end, pause = time.monotonic() + 60, threading.Event()
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        pause.wait(0.02)


def events(folder: Path, *kinds: str) -> list[dict[str, Any]]:
    return [event for event in read(folder / "journal.jsonl") if event["event"] in kinds]


def announced(desk: Desk) -> list[str]:
    """Names of the changing commands that journals announce."""
    told = [event for folder in desk.folders() for event in events(folder, "intent") if event["mutating"]]
    return [event["command"]["name"] for event in told]


def test_looking_changes_nothing_and_begins_no_record(desk: Desk) -> None:
    desk.open(FMT)
    for step in ("FMT-1", "FMT-0", "FMT-0"):
        assert desk.step(step).outcome.result == "differs"
    assert desk.mutating() == []
    assert not desk.records.exists()


def test_each_look_reads_anew(desk: Desk) -> None:
    desk.open("01-forwarding-emails")
    assert desk.step("FWD-2").outcome.result == "ok"
    other = {"Name": "other", "AddressSpaces": ["SMTP:fax.alleo.intern;1"], "SourceTransportServers": ["EX01"]}
    somebody(desk, Command("New-SendConnector", other))
    assert desk.sitting.look_again("FWD-2").result().result == "failed"


def test_apply_reads_back_and_is_written_down(desk: Desk) -> None:
    desk.open(FMT)
    desk.step("FMT-0")
    out = desk.sitting.apply("FMT-0").result()
    assert (out.result, out.mode) == ("changed", "apply")
    assert desk.mutating() == announced(desk) == ["New-RemoteDomain"] * 2
    assert desk.sitting.changed("FMT-0")
    assert desk.sitting.apply("FMT-0").result().result == "ok", "nothing is left to be sent"
    assert desk.mutating() == ["New-RemoteDomain"] * 2


def test_what_is_no_longer_as_shown_is_not_sent(desk: Desk) -> None:
    desk.open(FMT)
    shown = desk.step("FMT-0").outcome
    somebody(desk, Command("New-RemoteDomain", {"Name": "fax", "DomainName": "other.example.org"}))
    sent = desk.mutating()
    out = desk.sitting.apply("FMT-0", shown).result()
    assert out.mode == "interactive"
    assert out.notes[0] == "this is not what was shown before, so nothing was sent"
    assert [command.name for command in out.would] != [command.name for command in shown.would]
    assert desk.mutating() == sent
    assert desk.sitting.apply("FMT-0", out).result().result == "changed", "agreed to the new plan, it is sent"


def test_what_moves_between_reading_and_sending_is_not_sent(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.open(FMT)
    desk.step("FMT-0")
    perform = desk.sitting.chapter.perform

    def moved(step: str, mode: str) -> StepOutcome:
        if mode == "apply":
            somebody(desk, Command("New-RemoteDomain", {"Name": "sms", "DomainName": "other.example.org"}))
        return perform(step, mode)

    monkeypatch.setattr(desk.sitting.chapter, "perform", moved)
    out = desk.sitting.apply("FMT-0").result()
    assert out.result == "blocked"
    assert "is not what was shown" in out.summary
    assert desk.mutating() == ["New-RemoteDomain", "New-RemoteDomain"], "somebody's, and the one that was as shown"


def test_a_removal_that_meets_something_else_is_asked_again() -> None:
    def plan(note: str) -> StepOutcome:
        return StepOutcome("FMT-0", "", "configure", "interactive", would=[REMOVE], notes=[note])

    assert agreement(plan("lost: A")) != agreement(plan("lost: B"))
    assert agreement(plan("lost: A")) == agreement(plan("lost: A"))


REMOVE = Command("Remove-RemoteDomain", {"Identity": "fax"})


def test_stop_ends_the_command_on_the_server(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with slow_lab(tmp_path, "New-RemoteDomain") as lab:
        other = Desk(lab, tmp_path / "slow", monkeypatch, tmp_path / "slow.jsonl")
        other.open(FMT)
        other.step("FMT-0")
        begun = time.monotonic()
        future = other.sitting.apply("FMT-0")
        wait_for((tmp_path / "reached").exists)
        other.sitting.stop()
        out = future.result()
        assert time.monotonic() - begun < SLOW / 2
        assert out.result == "unknown"
        assert "stopped" in out.summary
        assert announced(other) == ["New-RemoteDomain"], "nothing more is sent after a stop"
        again = other.sitting.look("FMT-0")
        assert again.result == "differs", "the next thing is not stopped by the last stop"
        other.sitting.close()


def test_a_stop_that_comes_late_holds_for_what_follows_in_the_step(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.open(FMT)
    desk.step("FMT-0")
    channel = desk.sitting.chapter.site.exchange
    took = channel.took

    def stop_then(command: Command, changes: Any) -> None:
        took(command, changes)
        desk.sitting.stop()  # the first command was answered already

    monkeypatch.setattr(channel, "took", stop_then)
    out = desk.sitting.apply("FMT-0").result()
    assert out.error is not None
    assert desk.mutating() == ["New-RemoteDomain"]


def test_a_lost_answer_is_read_and_never_sent_again(desk: Desk) -> None:
    desk.open(FMT)
    desk.step("FMT-0")
    desk.lab.set_faults([{"at_mutation": 1, "do": "drop-after"}])
    out = desk.sitting.apply("FMT-0").result()
    assert out.result == "changed"
    assert "was lost" in "".join(out.notes)
    assert announced(desk) == ["New-RemoteDomain"] * 2


def test_where_another_run_has_the_customer_nothing_is_done(desk: Desk) -> None:
    desk.open(FMT)
    desk.step("FMT-0")
    home = desk.records / "lab"
    home.mkdir(parents=True)
    with held(home):
        with pytest.raises(RecordError, match="no record can be begun, so nothing was done") as caught:
            desk.sitting.apply("FMT-0").result()
        assert "another run works on lab" in caught.value.seen
        with pytest.raises(RecordError, match="nothing was done"):
            desk.sitting.attest("FMT-0", who="A. Example").result()
    assert desk.mutating() == []
    assert desk.sitting.apply("FMT-0").result().result == "changed", "once it is free, it goes on"


def test_a_full_disk_at_the_beginning_sends_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.open(FMT)
    desk.step("FMT-0")

    def full(folder: Path, text: str) -> None:
        raise cannot_write(folder, OSError(errno.ENOSPC, "No space left on device"))

    with monkeypatch.context() as patch:
        patch.setattr(record, "write_atomic", full)
        with pytest.raises(RecordError, match="nothing was done") as caught:
            desk.sitting.apply("FMT-0").result()
    assert "No space left" in caught.value.seen
    assert desk.mutating() == []
    assert desk.sitting.apply("FMT-0").result().result == "changed"


def test_a_beginning_that_breaks_gives_the_customer_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for lost commands of earlier runs is remote, too, and can fail."""
    desk.open(FMT)
    desk.step("FMT-0")

    def broken(*_: object) -> None:
        raise RecordError("the answers cannot be written")

    with monkeypatch.context() as patch:
        patch.setattr("umkit.sitting.reconcile", broken)
        with pytest.raises(RecordError, match="nothing was done"):
            desk.sitting.apply("FMT-0").result()
    assert desk.sitting.record is None
    assert not CustomerLock(desk.records / "lab").is_held()
    assert desk.sitting.apply("FMT-0").result().result == "changed"


def test_an_outcome_that_cannot_be_written_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.open(FMT)
    desk.step("FMT-0")
    desk.sitting.apply("FMT-0").result()
    journal = desk.sitting.chapter.site.journal
    assert journal is not None
    append = journal.append

    def full(event: str, **fields: Any) -> Any:
        if event == "step":
            raise RecordError("the journal cannot be written", seen="No space left on device")
        return append(event, **fields)

    monkeypatch.setattr(journal, "append", full)
    out = desk.sitting.apply("FMT-0").result()
    assert out.error is not None
    assert out.result != "ok"


def test_undo_takes_back_what_was_shown_and_says_so(desk: Desk) -> None:
    desk.open(FMT)
    desk.step("FMT-0")
    before = names(desk)
    desk.sitting.apply("FMT-0").result()
    planned = desk.sitting.undoable("FMT-0").result()
    assert [command.name for undoing in planned for command in undoing.commands] == ["Remove-RemoteDomain"] * 2
    assert names(desk) == before | {"fax", "sms"}, "to show it takes nothing back"
    out = desk.sitting.undo("FMT-0", planned).result()
    assert names(desk) == before
    assert out.result == "differs"
    assert [command.name for command in out.commands] == ["Remove-RemoteDomain"] * 2
    assert not desk.sitting.changed("FMT-0")
    assert desk.sitting.apply("FMT-0").result().result == "changed", "and it can be done once more"
    again: list[Undoing] = desk.sitting.undoable("FMT-0").result()
    assert [command.name for undoing in again for command in undoing.commands] == ["Remove-RemoteDomain"] * 2


def test_undo_of_an_object_tells_what_used_it_since(desk: Desk) -> None:
    desk.open(FMT)
    for step in ("FMT-0", "FMT-1"):
        desk.step(step)
        desk.sitting.apply(step).result()
    said = "".join(map(str, desk.sitting.undoable("FMT-0").result()))
    assert "used since by this run, step FMT-1" in said
    assert "changed since" not in said, "what the sitting did itself is nobody else's change"
    assert "used since" not in "".join(map(str, desk.sitting.undoable("FMT-1").result()))
    somebody(desk, Command("Set-RemoteDomain", {"Identity": "fax", "LineWrapSize": 77}))
    out = desk.sitting.undo("FMT-0", desk.sitting.undoable("FMT-0").result()).result()
    assert "changed since, so left alone: LineWrapSize" in "".join(map(str, desk.sitting.undoable("FMT-0").result()))
    assert [command.name for command in out.commands] == ["Remove-RemoteDomain"]
    assert "fax" in names(desk)


def test_a_skipped_step_says_who_and_why(desk: Desk) -> None:
    desk.open(FMT)
    desk.step("FMT-0")
    for who, why in (("", "later"), ("A. Example", " ")):
        with pytest.raises(UsageError, match="without a name and a reason"):
            desk.sitting.skip("FMT-0", who, why)
    out = desk.sitting.skip("FMT-0", "A. Example", "the service is not ordered").result()
    assert out.result == "open"
    assert desk.mutating() == []
    [folder] = desk.folders()
    told = [finding["text"] for event in events(folder, "step") for finding in event.get("findings", ())]
    assert "skipped by A. Example: the service is not ordered" in told


def test_a_word_is_kept_with_its_evidence_and_no_file_is_left(desk: Desk, tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    desk.open("05-mapi-account")
    desk.step("MAPI-7")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(temporary))
        evidence = Evidence("..\\..\\C:\\evil\\shot.png", PNG)
        out = desk.sitting.attest("MAPI-7", who="A. Example", remark="seen", evidence=evidence).result()
    assert "attested by A. Example" in str(out)
    assert list(temporary.iterdir()) == []
    home = desk.records / "lab"
    [kept] = (home / "evidence").iterdir()
    assert kept.read_bytes() == PNG
    [said] = [json.loads(line) for line in (home / "attestations.jsonl").read_text("utf-8").splitlines()]
    assert said["given"] == "shot.png"


def test_verify_shows_what_would_be_sent_too(desk: Desk) -> None:
    desk.open(FMT)
    desk.step("FMT-0")
    out = desk.sitting.verify("FMT-0").result()
    assert out.result == "differs"
    assert [command.name for command in out.would] == ["New-RemoteDomain"] * 2
    assert desk.mutating() == []
    [folder] = desk.folders()
    assert events(folder, "run-start")[0]["mode"] == "interactive"


def test_a_chapters_cell_run_again_goes_on_with_the_record(desk: Desk) -> None:
    desk.open(FMT)
    desk.step("FMT-0")
    desk.sitting.apply("FMT-0").result()
    first = desk.sitting
    desk.run("chapter")
    assert desk.sitting is not first
    assert first.over
    assert desk.sitting.changed("FMT-0")
    assert desk.step("FMT-0").outcome.result == "ok"
    desk.sitting.apply("FMT-0").result()
    desk.sitting.seal(None, dict).result()
    [folder] = desk.folders()
    assert desk.sound(folder)
    assert events(folder, "chapter-end")[0]["result"] == "open", "steps are missing, and nothing broke off"
    assert len(events(folder, "run-start")) == 1


def test_a_chapters_cell_run_again_with_other_inputs_ends_the_record(desk: Desk) -> None:
    desk.open(FMT)
    desk.step("FMT-0")
    desk.sitting.apply("FMT-0").result()
    desk.names["customer"] = desk.names["customer"] | {"contact": "somebody else"}
    desk.run("chapter")
    [folder] = desk.folders()
    assert desk.sound(folder)
    assert "before it was sealed" in events(folder, "chapter-end")[0]["error"]["what"]
    assert not desk.sitting.changed("FMT-0")


def test_two_steps_never_share_a_session(desk: Desk) -> None:
    """Whoever asks, and from whichever thread: all of it is done in one thread, one after another."""
    desk.open(FMT)
    desk.step("FMT-0")
    desk.step("FMT-9")
    threads: set[str] = set()
    under_way, most = 0, 0
    send = desk.sitting.chapter.site.exchange._send

    def watched(*args: Any, **options: Any) -> Any:
        nonlocal under_way, most
        threads.add(threading.current_thread().name)
        under_way += 1
        most = max(most, under_way)
        try:
            return send(*args, **options)
        finally:
            under_way -= 1

    desk.sitting.chapter.site.exchange._send = watched  # type: ignore[method-assign]
    asked: list[Any] = []
    callers = [
        threading.Thread(target=lambda s=s: asked.append(desk.sitting.look_again(s))) for s in ("FMT-0", "FMT-9")
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for future in asked:
        future.result()
    assert (threads, most) == ({"umkit-sitting"}, 1)


def test_the_sealed_record_verifies_and_holds_what_was_done(desk: Desk) -> None:
    desk.open(FMT)
    for step in ("FMT-0", "FMT-1"):
        desk.step(step)
    desk.sitting.apply("FMT-0").result()
    sealed = desk.sitting.seal(None, dict).result()
    assert desk.sound(sealed.folder)
    assert not sealed.notebook
    steps = [event["step"] for event in events(sealed.folder, "step")]
    assert {"FMT-0", "FMT-1"} <= set(steps), "what was only looked at stands in it, too"
    assert history.deeds(read(sealed.folder / "journal.jsonl")), "a rollback can take it back"
    with pytest.raises(UsageError, match="nothing was done since"):
        desk.sitting.seal(None, dict).result()
    desk.sitting.apply("FMT-1").result()
    second = desk.sitting.seal(None, dict).result()
    assert second.folder != sealed.folder
    assert desk.sound(second.folder)
    assert [e["result"] for e in events(second.folder, "step") if e["step"] == "FMT-0"] == ["ok"], "read anew"


def test_the_handover_tells_what_is_left_of_it(desk: Desk) -> None:
    desk.open(FMT)
    for step in ("FMT-0", "FMT-1", "FMT-2"):
        desk.step(step)
    for step in ("FMT-0", "FMT-1"):
        desk.sitting.apply(step, desk.sitting.look(step)).result()
    desk.sitting.undo("FMT-1", desk.sitting.undoable("FMT-1").result()).result()
    desk.sitting.skip("FMT-2", "A. Example", "not wanted").result()
    sealed = desk.sitting.seal(None, dict).result()
    facts = gather(sealed.folder)
    [chapter] = facts.chapters
    assert [step.id for step in chapter.steps] == ["FMT-0", "FMT-1", "FMT-2"], "what took it back is no step of its own"
    assert {step.id: step.result for step in chapter.steps} == {"FMT-0": "changed", "FMT-1": "differs", "FMT-2": "open"}
    assert {sent.step for sent in chapter.took} == {"FMT-0"}, "what was taken back is not changed"
    assert len(chapter.sent) == 6, "but every command stands in it"
    back = [change for sent in chapter.sent if sent.undone for change in sent.changes]
    assert {(change.before, change.after) for change in back} >= {("iso-8859-1", "(empty)")}
    assert [id for id, _ in chapter.missed] == [f"FMT-{number}" for number in range(3, 10)]
    assert ("FMT-2", "Left undone: not wanted", "A. Example") in accepted(facts, Words("en"))
    html = (sealed.folder / "handover.html").read_text("utf-8")
    assert "step by step, by a person" in html


def test_a_notebook_that_cannot_be_read_keeps_the_sitting_open(desk: Desk, tmp_path: Path) -> None:
    desk.open(FMT)
    desk.step("FMT-0")
    desk.sitting.apply("FMT-0").result()
    broken = tmp_path / f"{FMT}.ipynb"
    broken.write_text("{", "utf-8")
    with pytest.raises(RecordError, match="notebook cannot be read"):
        desk.sitting.seal(broken, dict).result()
    assert desk.sitting.record is not None
    assert desk.sound(desk.sitting.seal(None, dict).result().folder)


def test_the_records_notebook_reads_like_one_of_a_run_without_a_person(desk: Desk, tmp_path: Path) -> None:
    desk.open(FMT)
    steps = [step.id for step in desk.sitting.chapter.info.steps]
    for step in steps:
        desk.step(step)
        if desk.sitting.chapter.info.step(step).kind == "configure":
            assert desk.sitting.apply(step, desk.sitting.look(step)).result().result == "changed"
    panel = desk.end()
    work = tmp_path / f"{FMT}.ipynb"
    prepared = nbformat.read(ROOT / "runbooks" / f"{FMT}.ipynb", 4)
    for cell in prepared.cells:
        if cell["id"] == "FMT-1":
            trace = nbformat.v4.new_output("error", ename="NameError", evalue="chapter", traceback=["NameError"])
            cell.outputs = [trace]
    prepared.metadata["widgets"] = {"state": {"secret": "picture"}}
    nbformat.write(prepared, work)
    sealed = desk.sitting.seal(work, panel._outputs).result()
    mine = nbformat.read(sealed.folder / "notebooks" / f"{FMT}.ipynb", 4)
    nbformat.validate(mine)

    with Lab() as lab:
        inputs = load(ROOT / "parameters" / "lab.yaml")
        summary = run(
            inputs, "apply", chapters=[FMT], records=tmp_path / "other", runbooks=ROOT / "runbooks", lab=lab.describe()
        )
    theirs = nbformat.read(summary.record / "notebooks" / f"{FMT}.ipynb", 4)
    assert list(cards(mine)) == steps
    here, there = (
        {step: (state, without_times(rows)) for step, (state, rows) in cards(nb).items()} for nb in (mine, theirs)
    )
    assert here == there
    code = [
        [c["id"] for c in nb.cells if c.cell_type == "code" and c["id"] in (*steps, "end")] for nb in (mine, theirs)
    ]
    assert code[0] == code[1]
    assert "widgets" not in mine.metadata
    assert not [o for c in mine.cells for o in c.get("outputs", ()) if o.output_type == "error"]


def without_times(rows: list[list[str]]) -> list[list[str]]:
    return [row for row in rows if not any(cell.startswith("When") or cell == "Guid" for cell in row)]


@contextlib.contextmanager
def held(home: Path) -> Iterator[None]:
    """The customer's lock, taken by another thread, as another process would."""
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        lock = CustomerLock(home)
        lock.acquire()
        taken.set()
        done.wait(60)
        lock.release()

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait(60)
    try:
        yield
    finally:
        done.set()
        holder.join()


@contextlib.contextmanager
def slow_lab(folder: Path, cmdlet: str) -> Iterator[Lab]:
    """A lab in which one cmdlet takes a minute; a file ``reached`` is there once it runs."""
    shipped = ROOT / "umkit" / "lab" / "organisations" / "clean-2019-dag.yaml"
    values: Mapping[str, Any] = yaml.safe_load(shipped.read_text("utf-8"))
    file = folder / "slow.yaml"
    file.write_text(yaml.safe_dump({**values, "durations": {cmdlet: SLOW}}), "utf-8")
    wait = Call.wait

    def reach(call: Call, seconds: float) -> None:
        if seconds:
            (folder / "reached").touch()
        wait(call, seconds)

    with mock.patch.object(Call, "wait", reach), Lab(file, trace=folder / "slow.jsonl") as lab:
        yield lab


def somebody(desk: Desk, command: Command) -> None:
    """Somebody else changes something."""
    from umkit.remoting import Endpoint, Session
    from umkit.secrets import Secret

    told = desk.lab.describe()
    endpoint = Endpoint(
        "exchange", told["exchange"], auth="basic", username=told["username"], password=Secret(told["password"])
    )
    with Session(endpoint) as session:
        session.run(command)


def names(desk: Desk) -> set[str]:
    return {str(each["Name"]) for each in desk.lab.state()["objects"]["RemoteDomain"]}


def test_a_restart_waits_for_the_change_that_it_is_for(desk: Desk) -> None:
    desk.open("07-mapi-session-limits")
    assert desk.step("LIM-5").outcome.result == "differs"
    out = desk.sitting.apply("LIM-5").result()
    assert out.result == "blocked"
    assert "is still to be made" in out.summary
    assert "Restart-Service" not in desk.mutating()
