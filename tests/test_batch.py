"""Many customers: a run for each, none lost, none twice at once, and a broken batch taken up again."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from made_up_chapters import Bench, acme

from umkit import record
from umkit.batch import Batch, Job, JobEnd, Stop, find
from umkit.batch.job import worst_exit
from umkit.errors import RecordError, UsageError
from umkit.journal import read, verify
from umkit.lab import Lab
from umkit.lock import CustomerLock

ROOT = Path(__file__).resolve().parents[1]
LAB = ROOT / "parameters" / "lab.yaml"
#: Waits until the test lets it go on, and says where it is.
HOLD = """\
import time
Path("reached-" + os.environ["UMKIT_RECORD"].split(os.sep)[-2]).touch()
while not Path("go").exists():
    time.sleep(0.02)
"""
FAILS_ONCE = """\
mark = Path("failed-" + os.environ["UMKIT_RECORD"].split(os.sep)[-2])
if not mark.exists():
    mark.touch()
    raise ValueError("the first time")
"""


class Office:
    """A folder with made-up chapters, customer files, and records: where a batch is started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bench = Bench(folder, acme(), runbooks=folder / "runbooks")
        self.records = folder / "records"
        (folder / "parameters").mkdir()
        self.processes: list[subprocess.Popen[str]] = []

    def customer(self, name: str, **sections: Any) -> str:
        values = {**yaml.safe_load(LAB.read_text("utf-8")), "customer": {"name": name}, **sections}
        del values["consent"]
        (self.folder / "parameters" / f"{name}.yaml").write_text(yaml.safe_dump(values), "utf-8")
        return name

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "umkit", "batch", *arguments, "--json"]
        pipe = subprocess.PIPE
        self.processes.append(subprocess.Popen(command, cwd=self.folder, stdout=pipe, stderr=pipe, text=True))
        return self.processes[-1]

    def batch(self, *arguments: str) -> Answer:
        return Answer(self.start(*arguments))

    def wait_for(self, *customers: str) -> None:
        """Until the runs of these customers are where they hold."""
        marks = [self.folder / f"reached-{name}" for name in customers]
        process = self.processes[-1]
        while not all(mark.exists() for mark in marks):
            assert process.poll() is None, process.communicate()

    def let_go(self) -> None:
        (self.folder / "go").touch()

    def runs(self, customer: str) -> list[record.RecordSummary]:
        return [run for run in record.listing(self.records) if run.customer == customer]


class Answer:
    """What a batch left when it had ended."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.out, self.err = process.communicate(timeout=120)
        self.status = process.returncode
        self.summary: dict[str, Any] = json.loads(self.out) if self.out.strip() else {}

    @property
    def states(self) -> dict[str, str]:
        return {end["customer"]: end["state"] for end in self.summary["customers"]}

    @property
    def results(self) -> dict[str, str]:
        return {end["customer"]: end["result"] for end in self.summary["customers"]}

    @property
    def folder(self) -> Path:
        return Path(self.summary["folder"])


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = Office(tmp_path)
    yield office
    for process in office.processes:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
        process.communicate()


def _children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes of a batch's jobs, not their kernels."""
    return psutil.Process(process.pid).children()


def test_customers_of_many_fates(office: Office) -> None:
    office.bench.chapter(
        "00-start",
        "name = customer['name']\nstep('A-1', {'bad': 'failed', 'other': 'differs'}.get(name, 'ok'))\n"
        "end({'bad': 'failed', 'other': 'differs'}.get(name, 'ok'))",
        "if name == 'dies': import signal; os.kill(os.getppid(), signal.SIGKILL); SLEEP".replace("SLEEP", "input()"),
    )
    for name in ("good", "bad", "other", "dies"):
        office.customer(name)
    broken = office.folder / "parameters" / "broken.yaml"
    broken.write_text("customer: {name: broken}\nexchange: {endpoint: '%'}\n")
    answer = office.batch("good", "bad", "other", "dies", "broken", "--jobs", "2")
    assert answer.states == {"good": "done", "bad": "done", "other": "done", "dies": "died", "broken": "invalid"}
    assert answer.results == {"good": "ok", "bad": "failed", "other": "differs", "dies": "unknown", "broken": "failed"}
    assert [end["exit_code"] for end in answer.summary["customers"]] == [0, 1, 3, 1, 2]
    assert answer.status == answer.summary["exit_code"] == 1
    assert answer.summary["verb"] == "verify"

    # each run has its record, and what broke off says so
    for end in answer.summary["customers"]:
        if end["customer"] == "broken":
            assert not end["record"]
            assert "broken.yaml" in end["error"]["what"]
        else:
            assert record.verify(Path(end["record"])) == [] or end["customer"] == "dies"
            start = read(Path(end["record"]) / "journal.jsonl")[0]
            assert start["batch"] == answer.summary["batch"]
    died = answer.summary["customers"][3]
    assert "killed by signal 9" in died["error"]["what"]
    assert any("the record is not sealed" in finding for finding in record.verify(Path(died["record"])))

    # the batch wrote it down, too, and its page leads to every record
    assert verify(answer.folder / "journal.jsonl") == []
    assert json.loads((answer.folder / "summary.json").read_text("utf-8"))["customers"] == answer.summary["customers"]
    page = Links()
    page.feed((answer.folder / "index.html").read_text("utf-8"))
    assert len([link for link in page.links if link.endswith("handover.html")]) == 3
    assert all((answer.folder / link).exists() for link in page.links)
    assert len(page.links) == 3 + 4
    assert "not sealed: it broke off" in page.text
    assert "exchange.endpoint" in page.text
    assert page.text.index("bad") < page.text.index("other") < page.text.index("good")
    assert record.listing(office.records, "batch*") == []  # a batch is not taken for a customer


def test_one_verb_and_some_chapters(office: Office) -> None:
    office.bench.chapter("00-start", "step('A-1'); end()")
    office.bench.chapter("01-next", "print(mode); step('B-1', 'differs'); end('differs')")
    answer = office.batch(office.customer("acme"), "--verb", "plan", "--chapter", "01", "--records", "elsewhere")
    assert (answer.status, answer.summary["customers"][0]["chapters"]) == (3, {"01-next": "differs"})
    assert (office.folder / "elsewhere" / "acme").is_dir()
    assert answer.folder.parent == office.folder / "elsewhere"
    assert not office.records.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "which customers?"),
        (("acme", "parameters/acme.yaml"), "acme was given twice"),
        (("nobody",), "nobody"),
        (("acme", "--resume", "x"), "knows its customers"),
        (("--resume", "x"), "there is no batch x"),
        (("--only", "failed"), "there is no batch"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_begun(
    office: Office, arguments: Sequence[str], said: str
) -> None:
    office.bench.chapter("00-start", "step('A-1'); end()")
    office.customer("acme")
    answer = office.batch(*arguments)
    assert answer.status == 2
    assert said in answer.err
    assert not office.records.exists()


def test_a_batch_that_was_killed_is_taken_up_again(office: Office) -> None:
    office.bench.chapter("00-start", "step('A-1')", HOLD, "end()")
    for name in "abcd":
        office.customer(name)
    process = office.start(*"abcd", "--jobs", "2")
    office.wait_for("a", "b")
    jobs = _children(process)
    process.kill()
    process.wait()
    psutil.wait_procs(jobs, timeout=60)  # whoever wanted the runs is gone: they stop by themselves
    assert not any(job.is_running() for job in jobs)
    for name in "ab":
        (run,) = office.runs(name)
        assert (run.result, run.sealed) == ("failed", True)
        assert record.verify(run.folder) == []
    batch = find(office.records, "")
    page = (batch / "index.html").exists()

    office.let_go()
    answer = office.batch("--resume", batch.name)
    assert answer.folder == batch
    assert (answer.status, set(answer.states.values()), set(answer.results.values())) == (0, {"done"}, {"ok"})
    assert not page or answer.folder
    assert {name: len(office.runs(name)) for name in "abcd"} == {"a": 2, "b": 2, "c": 1, "d": 1}
    assert verify(batch / "journal.jsonl") == []

    again = office.batch("--resume", batch.name)
    assert (again.status, again.summary) == (0, {})
    assert "nothing is left to do" in again.err


def test_a_killed_run_does_not_keep_the_others_from_ending(office: Office) -> None:
    office.bench.chapter("00-start", "step('A-1')", HOLD, "end()")
    for name in "abc":
        office.customer(name)
    process = office.start(*"abc", "--jobs", "2", "--verb", "apply")
    office.wait_for("a", "b")
    _children(process)[0].kill()
    office.let_go()
    answer = Answer(process)
    (died,) = [name for name, state in answer.states.items() if state == "died"]
    assert answer.status == 1
    assert sorted(answer.states.values()) == ["died", "done", "done"]
    assert died in "ab"
    assert not office.runs(died)[0].sealed

    answer = office.batch("--resume", answer.summary["batch"][len("batch-") :])
    assert (answer.status, set(answer.states.values())) == (0, {"done"})
    assert [len(office.runs(name)) for name in "abc"] == [1 + (name == died) for name in "abc"]


@pytest.mark.parametrize(("victim", "seed"), [("job", 1), pytest.param("parent", 2, marks=pytest.mark.long)])
def test_killed_at_a_random_moment_nothing_is_lost(office: Office, victim: str, seed: int) -> None:
    """The moment is a line in the journal of a run, chosen by the seed."""
    choice = random.Random(f"{victim} {seed}")
    steps = [f"step('A-{number}'); time.sleep(0.01)" for number in range(12)]
    office.bench.chapter("00-start", "import time", *steps, "end()")
    names = [office.customer(name) for name in "abc"]
    name, lines = choice.choice(names), choice.randrange(1, 13)
    process = office.start(*names, "--jobs", "2", "--verb", "apply")
    journals = office.records / name
    while not any(path.read_bytes().count(b"\n") >= lines for path in journals.glob("*/journal.jsonl")):
        assert process.poll() is None, process.communicate()
    jobs = _children(process)
    (choice.choice(jobs) if victim == "job" and jobs else process).kill()
    process.communicate()
    psutil.wait_procs(jobs, timeout=60)
    batch = find(office.records, "")

    answer = office.batch("--resume", batch.name)
    if answer.summary:  # else all had come to their end before the blow
        assert (answer.status, answer.results) == (0, dict.fromkeys(names, "ok"))
    assert verify(batch / "journal.jsonl") == []
    for name in names:
        runs = sorted(office.runs(name), key=lambda run: run.started)
        assert runs[-1].result == "ok"
        for run in runs:
            found = record.verify(run.folder)
            assert not found or (not run.sealed and "is not sealed" in found[0]), found
        times = [[event["time"] for event in read(run.folder / "journal.jsonl")] for run in runs]
        assert all(before[-1] <= after[0] for before, after in pairwise(times)), "two runs at once"


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a signal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_with_every_record_closed(office: Office, number: int) -> None:
    office.bench.chapter("00-start", "step('A-1')", HOLD, "end()")
    for name in "abcd":
        office.customer(name)
    process = office.start(*"abcd", "--jobs", "2")
    office.wait_for("a", "b")
    process.send_signal(number)
    answer = Answer(process)
    assert answer.status == 1
    assert answer.summary["stopped"] is True
    assert answer.states == {"a": "stopped", "b": "stopped", "c": "not run", "d": "not run"}
    assert f"umkit batch --resume {answer.summary['batch']}" in answer.err
    for name in "ab":
        (run,) = office.runs(name)
        assert (run.result, run.sealed) == ("failed", True)
    assert "Stopped before all were done" in (answer.folder / "index.html").read_text("utf-8")


def test_a_run_over_its_deadline_is_stopped_and_its_record_closed(office: Office) -> None:
    office.bench.chapter("00-start", "step('A-1')", HOLD, "end()")
    answer = office.batch(office.customer("slow"), "--deadline", "0.05")
    assert answer.states == {"slow": "deadline"}
    assert "did not end within 3 s" in answer.summary["customers"][0]["error"]["what"]
    assert answer.status == 1


def test_only_what_failed_is_done_again(office: Office) -> None:
    fails = "if customer['name'] == 'b':\n" + textwrap.indent(FAILS_ONCE, "    ")
    office.bench.chapter("00-start", "step('A-1')", fails, "end()")
    office.customer("a")
    office.customer("b")
    first = office.batch("a", "b")
    assert (first.status, first.results) == (1, {"a": "ok", "b": "failed"})
    again = office.batch("--only", "failed")
    assert (again.status, again.results) == (0, {"a": "ok", "b": "ok"})
    assert again.folder == first.folder
    assert [len(office.runs(name)) for name in "ab"] == [1, 2]


def test_a_customer_that_somebody_works_on_is_refused(office: Office) -> None:
    office.bench.chapter("00-start", "step('A-1'); end()")
    home = office.records / office.customer("busy")
    home.mkdir(parents=True)
    lock = CustomerLock(home)
    lock.acquire()
    try:
        answer = office.batch("busy")
    finally:
        lock.release()
    assert answer.status == 1
    assert "another run works on busy" in answer.summary["customers"][0]["error"]["what"]
    assert office.runs("busy") == []


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Two customers' plans as single runs, then as one batch that knows nothing of these: each one's two records."""
    folder = tmp_path_factory.mktemp("twice")
    office = Office(folder)
    names = [office.customer("a"), office.customer("b")]
    chapters = ["--chapter", "00", "--chapter", "01", "--chapter", "02"]
    shutil.copytree(ROOT / "runbooks", folder / "runbooks", dirs_exist_ok=True)
    with Lab() as lab:
        env = {**os.environ, "UMKIT_LAB": json.dumps(lab.describe())}
        for verb in (["plan", "a"], ["plan", "b"], ["batch", "a", "b", "--verb", "plan", "--records", "others"]):
            command = [sys.executable, "-m", "umkit", *verb, *chapters]
            done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
            assert done.returncode == 3, done.stderr
    return {name: [*folder.glob(f"records/{name}/*-plan"), *folder.glob(f"others/{name}/*-plan")] for name in names}


#: What differs between two runs of the same: times, and names made from them.
_OWN = {"time", "seq", "prev", "run", "batch", "seconds", "id", "intent"}


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_record_of_a_batch_is_step_for_step_that_of_a_single_run(twice: dict[str, list[Path]], name: str) -> None:
    single, batch = (
        [{key: value for key, value in event.items() if key not in _OWN} for event in read(folder / "journal.jsonl")]
        for folder in twice[name]
    )
    assert single == batch
    assert len([event for event in single if event["event"] == "step"]) > 10
    assert [path.relative_to(twice[name][0]) for path in sorted(twice[name][0].rglob("*"))] == [
        path.relative_to(twice[name][1]) for path in sorted(twice[name][1].rglob("*"))
    ]


@pytest.mark.parametrize("name", ["a", "b"])
def test_its_notebooks_show_the_same(twice: dict[str, list[Path]], name: str) -> None:
    single, batch = (
        {
            path.name: [
                [
                    cell["source"],
                    cell.get("execution_count"),
                    re.sub(r"\b\d+(\.\d+)? m?s\b", "", str(cell.get("outputs"))),
                ]
                for cell in json.loads(path.read_text("utf-8"))["cells"]
            ]
            for path in folder.glob("notebooks/*.ipynb")
        }
        for folder in twice[name]
    )
    assert single == batch
    assert len(single) == 3


def test_one_process_at_a_time_works_on_a_batch(tmp_path: Path) -> None:
    with (
        Batch.begin(tmp_path, "verify", {"a": "a.yaml"}, {}) as batch,
        pytest.raises(RecordError, match="another process works on"),
    ):
        Batch.take_up(batch.folder)
    with Batch.take_up(batch.folder) as again:
        assert (again.verb, again.left()) == ("verify", ["a"])
    with pytest.raises(UsageError, match="is no batch"):
        Batch.take_up(tmp_path)


def test_an_executor_that_breaks_is_written_down(tmp_path: Path) -> None:
    def start(job: Job, stop: Stop, tell: object) -> Future[JobEnd]:
        future: Future[JobEnd] = Future()
        future.set_exception(ConnectionError("the scheduler is gone"))
        return future

    class Quiet:
        def tell(self, event: object) -> None: ...

        def ended(self, end: JobEnd) -> None: ...

    with Batch.begin(tmp_path, "verify", {"a": "a.yaml"}, {}) as batch:
        summary = batch.carry_out([Job("a", "a.yaml", "verify", batch.id)], start, Stop(), Quiet())
    assert [(end.state, end.exit_code) for end in summary.ends] == [("died", 1)]
    assert "the scheduler is gone" in str(summary.ends[0].error["what"])


def test_the_worst_exit_status_counts() -> None:
    def worst(*codes: int) -> int:
        return worst_exit([JobEnd("a", "verify", "done", code) for code in codes])

    assert [worst(0, 4), worst(4, 3), worst(3, 2, 0), worst(2, 1, 3), worst(0), worst()] == [4, 3, 2, 1, 0, 0]


def test_hostile_words_do_no_harm_to_the_page(tmp_path: Path) -> None:
    with Batch.begin(tmp_path, "verify", {"a": "a.yaml"}, {}) as batch:
        batch.refuse(JobEnd("a", "verify", "invalid", 2, error={"what": "<script>alert(1)</script> & ümläut 😀"}))
        summary = batch.finish(stopped=False)
    text = (summary.folder / "index.html").read_text("utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert not re.search(r"(src|href)=\"?https?:", text)


class Links(HTMLParser):
    """The links of a page, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attrs if tag == "a" and name == "href" and value]

    def handle_data(self, data: str) -> None:
        self.text += data
