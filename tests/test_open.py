"""``umkit open``: what is prepared, what is kept, who may look, and that nothing is left behind."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
import pytest
from click.testing import CliRunner
from nbformat.sign import NotebookNotary

from umkit.cli import main
from umkit.cockpit import AlreadyOpen, Server, WorkFolder
from umkit.cockpit.jupyter import WIDGET, before_save
from umkit.cockpit.settings import arrange
from umkit.customer import CustomerFile, load, parse
from umkit.secrets import Secret, remember

ROOT = Path(__file__).resolve().parents[1]
RUNBOOKS = ROOT / "runbooks"
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and /proc are POSIX's")


@pytest.fixture(scope="module")
def lab_customer() -> CustomerFile:
    return load(ROOT / "parameters" / "lab.yaml")


def _parameters(nb: Any) -> dict[str, Any]:
    [cell] = [cell for cell in nb.cells if "injected-parameters" in cell.metadata.tags]
    values: dict[str, Any] = {}
    exec(cell.source, {}, values)
    return values


def _read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def _edit(place: WorkFolder, name: str, **cell_changes: Any) -> Path:
    """Change the chapter's last cell, as JupyterLab saves it."""
    path = place.path / name
    nb = _read(path)
    nb.cells[-1].update(cell_changes)
    nbformat.write(nb, path)
    return path


OUTPUT = [nbformat.v4.new_output("stream", text="seen")]


def test_every_chapter_is_copied_with_the_customers_values(tmp_path: Path, lab_customer: CustomerFile) -> None:
    before = {path.name: hashlib.sha256(path.read_bytes()).digest() for path in RUNBOOKS.iterdir()}
    place = WorkFolder(tmp_path, "lab")
    copies = place.prepare(RUNBOOKS, lab_customer)
    assert {copy.path.name: copy.fate for copy in copies} == dict.fromkeys(
        sorted(path.name for path in RUNBOOKS.glob("*.ipynb")), "made"
    )
    for copy in copies:
        made, template = _read(copy.path), _read(RUNBOOKS / copy.path.name)
        values = _parameters(made)
        assert values.pop("mode") == "interactive"
        assert values == {name: lab_customer.section(name) for name in values}
        place_of = [cell.id for cell in made.cells].index("injected-parameters")
        assert "parameters" in made.cells[place_of - 1].metadata.tags
        folded = [number for number, cell in enumerate(made.cells) if cell.metadata.get("jupyter")]
        assert folded == [place_of - 1, place_of]  # the head shows them as a form
        assert [c.id for c in made.cells if c.id != "injected-parameters"] == [c.id for c in template.cells]
    assert {path.name: hashlib.sha256(path.read_bytes()).digest() for path in RUNBOOKS.iterdir()} == before


def test_what_was_done_is_kept_and_its_parameters_are_refreshed(tmp_path: Path, lab_customer: CustomerFile) -> None:
    place = WorkFolder(tmp_path, "lab")
    place.prepare(RUNBOOKS, lab_customer)
    path = _edit(place, "02-message-formats.ipynb", outputs=OUTPUT, execution_count=3)
    notary = NotebookNotary(data_dir=str(place.data))
    notary.sign(_read(path))  # as JupyterLab does when a person saves it
    untouched = place.path / "01-forwarding-emails.ipynb"
    stamp = untouched.stat().st_mtime_ns
    values = lab_customer.dump() | {"um_services": [{"name": "voice", "domain": "voice.alleo.intern"}]}
    other = parse(values, source="a test")

    fates = {copy.path.name: copy.fate for copy in place.prepare(RUNBOOKS, lab_customer)}
    assert set(fates.values()) == {"kept"}
    assert untouched.stat().st_mtime_ns == stamp, "what is the same is not written"
    place.prepare(RUNBOOKS, other)
    kept = _read(path)
    assert kept.cells[-1].outputs == OUTPUT
    assert [service["name"] for service in _parameters(kept)["um_services"]] == ["voice"]
    assert notary.check_signature(kept), "its outputs would be hidden in JupyterLab"


def test_an_untrusted_notebook_does_not_become_trusted(tmp_path: Path, lab_customer: CustomerFile) -> None:
    place = WorkFolder(tmp_path, "lab")
    place.prepare(RUNBOOKS, lab_customer)
    path = _edit(place, "02-message-formats.ipynb", outputs=OUTPUT)  # by something that is not JupyterLab
    place.prepare(RUNBOOKS, parse(lab_customer.dump() | {"customer": {"name": "lab", "title": "x"}}, source="a test"))
    kept = _read(path)
    assert _parameters(kept)["customer"]["title"] == "x"
    assert not NotebookNotary(data_dir=str(place.data)).check_signature(kept)


def test_edited_and_outdated_copies(tmp_path: Path, lab_customer: CustomerFile) -> None:
    runbooks = shutil.copytree(RUNBOOKS, tmp_path / "runbooks")
    place = WorkFolder(tmp_path / "work", "lab")
    place.prepare(runbooks, lab_customer)
    edited = _edit(place, "01-forwarding-emails.ipynb", source="chapter.finish()  # mine")
    newer = _read(runbooks / "02-message-formats.ipynb")
    newer.cells[-1].source = "chapter.finish()  # a later version"
    nbformat.write(newer, runbooks / "02-message-formats.ipynb")
    torn = place.path / "03-imap4-access.ipynb"
    torn.write_text('{"cells": [', "utf-8")

    fates = {copy.path.name: copy for copy in place.prepare(runbooks, lab_customer)}
    assert fates[edited.name].fate == "changed"
    assert _read(edited).cells[-1].source.endswith("# mine")
    assert fates["02-message-formats.ipynb"].fate == "renewed"
    assert _read(place.path / "02-message-formats.ipynb").cells[-1].source.endswith("# a later version")
    aside = fates[torn.name].earlier
    assert aside is not None
    assert aside.read_text("utf-8") == '{"cells": ['
    assert _read(torn).cells


@pytest.mark.parametrize(
    ("at", "source", "outputs", "fate"),
    [
        (None, "\n", [], "kept"),  # JupyterLab adds one when the last cell is run by Shift+Enter
        (2, "", [], "changed"),
        (None, "1 + 1", [], "changed"),
        (None, "", OUTPUT, "changed"),
    ],
)
def test_only_an_empty_cell_at_the_end_is_no_edit(
    tmp_path: Path, lab_customer: CustomerFile, at: int | None, source: str, outputs: list[Any], fate: str
) -> None:
    place = WorkFolder(tmp_path, "lab")
    place.prepare(RUNBOOKS, lab_customer)
    path = place.path / "02-message-formats.ipynb"
    nb = _read(path)
    nb.cells.insert(len(nb.cells) if at is None else at, nbformat.v4.new_code_cell(source, outputs=outputs))
    nbformat.write(nb, path)
    fates = {copy.path.name: copy.fate for copy in place.prepare(RUNBOOKS, lab_customer)}
    assert fates[path.name] == fate


def test_fresh_moves_the_old_one_aside(tmp_path: Path, lab_customer: CustomerFile) -> None:
    place = WorkFolder(tmp_path, "lab")
    place.prepare(RUNBOOKS, lab_customer)
    path = _edit(place, "02-message-formats.ipynb", outputs=OUTPUT)
    copies = {copy.path.name: copy for copy in place.prepare(RUNBOOKS, lab_customer, fresh=["02-message-formats"])}
    assert {name for name, copy in copies.items() if copy.fate == "set aside"} == {path.name}
    earlier = copies[path.name].earlier
    assert earlier is not None
    assert _read(earlier).cells[-1].outputs == OUTPUT
    assert _read(path).cells[-1].outputs == []
    again = place.prepare(RUNBOOKS, lab_customer, fresh=None)
    assert all(copy.fate == "set aside" and copy.earlier and copy.earlier.exists() for copy in again)
    assert earlier.exists()


def test_one_at_a_time(tmp_path: Path) -> None:
    place = WorkFolder(tmp_path, "lab")
    with Server(place), pytest.raises(AlreadyOpen) as caught, Server(place):
        pass
    assert caught.value.exit_code == 2
    with Server(place):  # given back
        pass


def test_the_files_are_folded_away_until_somebody_arranges_it(tmp_path: Path) -> None:
    """At 200 % they would take half of the window."""
    arrange(tmp_path)
    [first] = tmp_path.iterdir()
    assert json.loads(first.read_text("utf-8"))["data"]["layout-restorer:data"]["left"]["collapsed"] is True
    arranged = first.read_text("utf-8").replace("true", "false")
    first.write_text(arranged, "utf-8")
    arrange(tmp_path)
    assert first.read_text("utf-8") == arranged


def test_what_is_saved_has_no_secret_and_no_dead_widget() -> None:
    remember(Secret("canary-4711-open"))
    view = {"model_id": "1"}
    data = {WIDGET: view, "text/html": "<p>card canary-4711-open</p>", "text/plain": "VBox()"}
    outputs = [{"output_type": "display_data", "data": data}, {"output_type": "display_data", "data": {WIDGET: view}}]
    cells = [{"cell_type": "code", "source": "", "outputs": outputs}, {"cell_type": "markdown", "source": "x"}]
    model = {"type": "notebook", "content": {"cells": cells}}
    before_save(model, "02-message-formats.ipynb", None)
    first, second = (output["data"] for output in model["content"]["cells"][0]["outputs"])  # type: ignore[index]
    assert first == {"text/html": "<p>card (secret)</p>", "text/plain": "VBox()"}
    assert second == {WIDGET: view}, "what has nothing to stand in its place is left"
    before_save({"type": "file", "content": "x"}, "x.txt", None)


@pytest.mark.parametrize(
    ("words", "said"),
    [(["acme"], "there is no customer file acme"), (["lab", "99"], "99"), (["bad"], "um_services")],
)
def test_nothing_is_made_for_what_is_not_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "parameters", tmp_path / "parameters")
    text = (ROOT / "parameters" / "lab.yaml").read_text("utf-8").replace("name: lab", "name: bad", 1)
    (tmp_path / "parameters" / "bad.yaml").write_text(text.replace("port: 2533", "port: 99999"), "utf-8")
    result = CliRunner().invoke(main, ["open", "--no-browser", *words])
    assert result.exit_code == 2
    assert said in result.output
    assert not (tmp_path / "work").exists()


class Opened:
    """``umkit open`` in a process of its own.

    Arguments:
        folder: where it is called.
        words: further words of the command line.
        browser: whether a browser is shown.
        program: what Python is to run: this package, or what stands in for it.
    """

    def __init__(
        self, folder: Path, *words: str, browser: bool = False, program: Sequence[str] = ("-m", "umkit")
    ) -> None:
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        self.command = [sys.executable, *program, "open", "lab", *words, "--json"]
        self.command += [] if browser else ["--no-browser"]
        self.command += ["--parameters", str(ROOT / "parameters")]
        self.environment = {k: v for k, v in os.environ.items() if k != "UMKIT_LAB"}
        self.environment |= {"PYTHONPATH": path, "UMKIT_HEADLESS": "1", "UMKIT_RECORD": "/nowhere"}
        self.folder = folder
        self.process = subprocess.Popen(
            self.command, cwd=folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate()[1]
        self.described: dict[str, Any] = json.loads(line)
        self.base = self.described["url"].partition("/lab/")[0]

    def ask(self, address: str, /, *, method: str = "GET", token: str | None = None, **body: Any) -> Any:
        headers = {"Authorization": f"token {self.described['token'] if token is None else token}"}
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(self.base + address, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def kernel(self) -> int:
        """Start a chapter's kernel as JupyterLab does; the number of its process."""
        before = _children(self.process.pid)
        notebook = {"path": "02-message-formats.ipynb", "name": "02-message-formats.ipynb", "type": "notebook"}
        self.ask("/api/sessions", method="POST", kernel={"name": "python3"}, **notebook)
        [new] = _children(self.process.pid) - before
        return new


def _children(pid: int) -> set[int]:
    return {int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    made = Opened(tmp_path, "02")
    yield made
    with contextlib.suppress(ProcessLookupError):
        made.process.kill()
    made.process.communicate()


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@POSIX
def test_it_serves_one_customer_and_leaves_nothing_behind(opened: Opened, tmp_path: Path) -> None:
    described = opened.described
    assert described["pid"] == opened.process.pid
    assert described["folder"] == str(tmp_path / "work" / "lab")
    assert described["url"].endswith("/lab/tree/02-message-formats.ipynb")
    assert described["url"].startswith("http://127.0.0.1:")
    with pytest.raises(urllib.error.HTTPError) as refused:
        opened.ask("/api/contents", token="wrong")
    assert refused.value.code == 403
    assert "02-message-formats.ipynb" in [entry["name"] for entry in opened.ask("/api/contents")["content"]]
    assert list(opened.ask("/api/kernelspecs")["kernelspecs"]) == ["python3"]

    kernel = opened.kernel()
    given = dict(line.split("=", 1) for line in Path(f"/proc/{kernel}/environ").read_text().split("\0") if "=" in line)
    assert given["UMKIT_CUSTOMER_FILE"] == str(ROOT / "parameters" / "lab.yaml")
    assert given["UMKIT_RECORDS"] == str(tmp_path / "records")
    assert given["JPY_SESSION_NAME"] == str(tmp_path / "work" / "lab" / "02-message-formats.ipynb")
    assert json.loads(given["UMKIT_LAB"])["exchange"].startswith("http://127.0.0.1:")
    assert not {"UMKIT_HEADLESS", "UMKIT_RECORD"} & given.keys()
    assert Path(f"/proc/{kernel}/cwd").resolve() == tmp_path

    token = described["token"].encode()
    for pid in (opened.process.pid, kernel):
        for name in ("cmdline", "environ"):
            assert token not in Path(f"/proc/{pid}/{name}").read_bytes(), f"the token is in {name} of {pid}"
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and token in path.read_bytes()]

    second = subprocess.run(
        opened.command, cwd=tmp_path, env=opened.environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert second.returncode == 0, second.stderr
    assert "open already" in second.stderr
    assert json.loads(second.stdout) == described
    fresh = subprocess.run(
        [*opened.command, "--fresh"], cwd=tmp_path, env=opened.environment, capture_output=True, text=True, check=False
    )
    assert fresh.returncode == 2, "what somebody works on is not moved aside"

    private = Path(json.loads((tmp_path / "work/lab/.umkit/open.json").read_text())["server"]).parents[1]
    assert private.stat().st_mode & 0o077 == 0
    opened.process.send_signal(signal.SIGTERM)
    assert opened.process.wait(timeout=60) == 0
    assert _gone(kernel)
    assert not private.exists()
    assert not (tmp_path / "work/lab/.umkit/open.json").exists()


@POSIX
def test_ctrl_c_ends_it_without_a_question(opened: Opened) -> None:
    kernel = opened.kernel()
    opened.process.send_signal(signal.SIGINT)
    assert opened.process.wait(timeout=60) == 0
    assert _gone(kernel)


#: ``umkit open`` where something stands in the way of a clean end.
HELD_UP = """
import sys, threading
from umkit.headless.quick import skip_slow_imports
skip_slow_imports()
from jupyter_server.serverapp import ServerApp
from umkit.cockpit import ending
from umkit.cli import main
ending.GRACE = 3.0
async def held_up(self):
    {how}
ServerApp.cleanup_kernels = held_up
main(sys.argv[1:])
"""


@POSIX
@pytest.mark.parametrize(
    ("how", "status"),
    [
        ("raise RuntimeError('a kernel that fails while it ends')", 0),
        ("threading.Event().wait()", 1),  # as a socket does whose peer is gone
        ("threading.Thread(target=threading.Event().wait).start()", 1),  # a thread that nobody joins
    ],
    ids=["fails", "blocks", "leaves-a-thread"],
)
def test_it_ends_in_any_case_and_its_kernels_with_it(tmp_path: Path, how: str, status: int) -> None:
    opened = Opened(tmp_path, "02", program=("-c", HELD_UP.format(how=how)))
    try:
        kernel = opened.kernel()
        private = Path(json.loads((tmp_path / "work/lab/.umkit/open.json").read_text())["server"]).parents[1]
        opened.process.send_signal(signal.SIGTERM)
        ended = opened.process.wait(timeout=30)
        assert _gone(kernel)
        told = opened.process.communicate(timeout=30)[1]
        assert ended == status, told
        assert ("did not end within 3 seconds" in told) is bool(status)
        assert not private.exists(), "the token is in there"
        assert not (tmp_path / "work/lab/.umkit/open.json").exists()
    finally:
        opened.process.kill()
        opened.process.communicate()


@POSIX
def test_the_browsers_command_line_carries_a_ticket_that_lets_in_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called, browser = tmp_path / "called", tmp_path / "browser"
    os.mkfifo(called)
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {called}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    opened = Opened(tmp_path, "02", browser=True)
    try:
        login = called.read_text()
        assert opened.described["token"] not in login
        jar = urllib.request.HTTPCookieProcessor()
        person = urllib.request.build_opener(jar)
        with person.open(login, timeout=60) as page:
            assert page.url == f"{opened.described['url']}?token={opened.described['token']}"
        with person.open(opened.base + "/api/contents", timeout=60) as answer:  # by the cookie alone
            assert answer.status == 200
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(login, timeout=60)
        assert refused.value.code == 403
    finally:
        opened.process.terminate()
        opened.process.communicate(timeout=60)
