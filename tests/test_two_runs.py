"""Two runs for one customer: the second is refused at once and told who works; a killed one leaves nothing behind."""

from __future__ import annotations

import getpass
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from umkit import record, runbook
from umkit.customer import load
from umkit.errors import RecordError
from umkit.lock import CustomerLock
from umkit.runbook import Chapter

ROOT = Path(__file__).resolve().parents[1]
LAB = ROOT / "parameters" / "lab.yaml"
HOLD = """\
import sys
from pathlib import Path
from umkit import record, runbook
from umkit.customer import load
with record.create(Path(sys.argv[1]), load(sys.argv[2]), mode="apply", chapters=[]) as kept:
    print(kept.run, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def records(tmp_path: Path) -> Path:
    return tmp_path / "records"


@pytest.fixture
def holder(records: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that works on the customer, and its run."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(records), str(LAB)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        assert process.stdout
        yield process, process.stdout.readline().strip()
        process.kill()


def _apply(records: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "umkit", "apply", "lab", "--json", "--records", str(records)],
        capture_output=True, encoding="utf-8", cwd=ROOT, timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT), "UMKIT_LAB": "nothing may ask for this"},
    )  # fmt: skip


def test_the_second_apply_is_refused_and_told_who_works(
    records: Path, holder: tuple[subprocess.Popen[str], str]
) -> None:
    process, run = holder
    done = _apply(records)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    error = json.loads(done.stdout)
    assert error["what"] == "another run works on lab"
    seen = error["seen"]
    assert seen.startswith(f"run {run}, user {getpass.getuser()}, pid {process.pid}, host {platform.node()}, since 20")
    assert error["next"]
    assert [path.name for path in (records / "lab").iterdir() if path.is_dir()] == [run], "it left nothing behind"
    begun = time.monotonic()
    with pytest.raises(RecordError, match="another run"):
        record.create(records, load(LAB), mode="apply", chapters=[])
    with pytest.raises(RecordError, match="another run"):
        CustomerLock(records / "lab").refuse()
    assert time.monotonic() - begun < 1, "it looks for a moment and does not wait"


def test_a_killed_run_leaves_the_customer_free_at_once(
    records: Path, holder: tuple[subprocess.Popen[str], str]
) -> None:
    """SIGKILL, or TerminateProcess on Windows: the system itself gives the lock back."""
    process, run = holder
    lock = CustomerLock(records / "lab")
    assert lock.is_held()
    process.kill()
    process.wait(10)
    assert not lock.is_held()
    lock.refuse()
    with record.create(records, load(LAB), mode="apply", chapters=[]) as kept:
        assert lock.holder()["run"] == kept.run != run
    assert lock.holder() == {}


def test_another_customer_is_free(records: Path, holder: tuple[subprocess.Popen[str], str]) -> None:
    inputs = load(LAB)
    other = inputs.model_copy(update={"customer": inputs.customer.model_copy(update={"name": "other"})})
    with record.create(records, other, mode="apply", chapters=[]):
        pass


def test_a_chapter_that_outlives_its_run_is_waited_for(records: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel may still send for a moment when its run was killed; nobody else sends meanwhile."""
    monkeypatch.setattr("umkit.lock._ENDING", 0.05)
    inputs = load(LAB)
    with record.create(records, inputs, mode="apply", chapters=["02-message-formats"]) as kept:
        monkeypatch.setenv("UMKIT_RECORD", str(kept.folder))
        given = {name: inputs.dump()[name] for name in ("customer", "exchange", "um_services")}
        Chapter("02-message-formats", mode="apply", **given)  # as the run's kernel does
    try:
        with pytest.raises(RecordError, match="still being carried out"):
            record.create(records, inputs, mode="apply", chapters=[])
        assert not CustomerLock(records / "lab").is_held()
    finally:
        runbook.close()
    record.create(records, inputs, mode="apply", chapters=[]).release()
