"""No artefact contains a secret: canaries for every route a password takes, looked for in all that a run leaves.

What cannot be avoided, and is left out on purpose:

* ``env:`` is the consultant's own environment variable. Every child of the run inherits it, as it does from any shell.
  The same holds for ``UMKIT_KEEPASS_PASSWORD``. Passwords from ``keyring:`` and ``keepass:`` reach no environment.
* ``UMKIT_LAB`` tells the kernels of ``umkit rehearse`` the lab's password, which is random and dies with the lab.
* A terminal, a front end or a program that a cell calls itself is shown what the cell gives it.
"""

from __future__ import annotations

import base64
import contextlib
import html
import io
import json
import logging
import os
import subprocess
import sys
import textwrap
import traceback
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat.v4
import pytest
import yaml
from canary import PDFTOTEXT, Canary, search, search_folder, text_of_pdf
from click.testing import CliRunner
from jupyter_client.blocking.client import BlockingKernelClient

from umkit.cli import main
from umkit.command import Command
from umkit.errors import AuthenticationFailed, UmkitError
from umkit.headless.kernel import Kernel
from umkit.lab import Lab
from umkit.lab.model import Control, Invocation, Reply
from umkit.lab.service import Service
from umkit.record import verify
from umkit.remoting import Endpoint, Session
from umkit.secrets import Secret, redact, remember

ROOT = Path(__file__).resolve().parents[1]
INITIAL = Canary("in")
MASTER = Canary("ma")
ROUTES = {"env": Canary("ev"), "keyring": Canary("kr"), "keepass": Canary("kp")}
WRONG = Canary("wr")
ECHOED = "New-RemoteDomain"


# The search itself can fail


def _clixml(text: str) -> str:
    units = text.encode("utf-16-be")
    codes = (units[at] << 8 | units[at + 1] for at in range(0, len(units), 2))
    return "".join(chr(code) if 0x20 < code < 0x7F and chr(code) not in "<>&_" else f"_x{code:04X}_" for code in codes)


ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "JSON": lambda text: json.dumps(text).encode(),
    "JSON in JSON": lambda text: json.dumps(json.dumps([text])).encode(),
    "HTML": lambda text: html.escape(text).encode(),
    "HTML, all of it": lambda text: "".join(f"&#{ord(character)};" for character in text).encode(),
    "CLIXML": lambda text: _clixml(text).encode(),
    "URL": lambda text: quote(text, safe="").encode(),
    "Python": lambda text: repr(text).encode(),
    "Python, ASCII": lambda text: ascii(text).encode(),
    "UTF-16": lambda text: text.encode("utf-16-le"),
    "hexadecimal": lambda text: text.encode().hex().encode(),
    "hexadecimal of UTF-16": lambda text: text.encode("utf-16-le").hex().upper().encode(),
    "Basic header": lambda text: base64.b64encode(f"ALLEO\\umadmin:{text}".encode()),
    **{
        f"Base64 of {name} at {before}": (
            lambda text, name=name, before=before: base64.b64encode(b"x" * before + text.encode(name))  # type: ignore[misc]
        )
        for name in ("utf-8", "utf-16-le")
        for before in range(3)
    },
    "cut off": lambda text: text[: len(text) // 2].encode(),
    "its end alone": lambda text: text[len(text) // 2 :].encode(),
    "in colours": lambda text: f"\x1b[31m{text[:6]}\x1b[0m{text[6:12]}\x1b[1m{text[12:]}".encode(),
    "wrapped": lambda text: "\n".join(textwrap.wrap(text, 7)).encode(),
    "between tags": lambda text: f"<span>{html.escape(text[:5])}</span><b>{html.escape(text[5:])}</b>".encode(),
}


def _notebook(data: bytes) -> bytes:
    text = data.decode("latin-1" if b"\0" in data else "utf-8")
    cell = nbformat.v4.new_code_cell("1", metadata={"papermill": {"exception": text}})
    return nbformat.v4.writes_json(nbformat.v4.new_notebook(cells=[cell])).encode()  # type: ignore[no-any-return]


def _zipped(data: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("acme/run/journal.jsonl", data)
    return packed.getvalue()


PLACES: dict[str, Callable[[bytes], bytes]] = {
    "text": lambda data: b"first line\nlog: " + data + b"\nlast line\n",
    "JSON lines": lambda data: (
        b'{"seq": 1}\n' + json.dumps({"seq": 2, "error": data.decode("latin-1")}).encode() + b"\n"
    ),
    "notebook": _notebook,
    "zip": _zipped,
    "stream of a PDF": lambda data: b"%PDF-1.7\n1 0 obj\nstream\n" + zlib.compress(data) + b"\nendstream\n",
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_planted_canary_is_found(encoding: str, place: str) -> None:
    if place == "stream of a PDF" and encoding in ("in colours", "wrapped", "between tags", "HTML, all of it"):
        pytest.skip("a stream of a PDF is looked at as it is; its text is what pdftotext shows")
    planted = PLACES[place](ENCODINGS[encoding](INITIAL.value))
    assert search(planted, INITIAL, name=place)
    assert not search(planted, MASTER, name=place)


@pytest.mark.skipif(PDFTOTEXT is None, reason="pdftotext is not installed")
def test_a_canary_in_the_text_of_a_pdf_is_found(tmp_path: Path) -> None:
    import typst

    (tmp_path / "a.typ").write_text(f"A remark: {' '.join(INITIAL.marks)}", "utf-8")
    assert search(typst.compile(str(tmp_path / "a.typ")), INITIAL)


def test_a_canary_in_a_files_name_is_found(tmp_path: Path) -> None:
    (tmp_path / f"{INITIAL.marks[0]}.txt").touch()
    assert search_folder(tmp_path, INITIAL)[0]


# Runs of the command line


@dataclass
class Watched:
    """A process that ran, and what others could see of it meanwhile."""

    status: int
    out: bytes
    err: bytes
    arguments: set[bytes] = field(default_factory=set)
    environments: set[bytes] = field(default_factory=set)

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    def step(self, id: str) -> dict[str, Any]:
        found: dict[str, Any] = next(s for c in self.summary["chapters"] for s in c["steps"] if s["id"] == id)
        return found


def _children(process: int) -> list[Path]:
    """A process and all its descendants, as Linux shows them."""
    found = [Path(f"/proc/{process}")]
    for place in found:
        with contextlib.suppress(OSError):
            for task in (place / "task").iterdir():
                found += [Path("/proc") / number for number in (task / "children").read_text().split()]
    return found


def watched(arguments: list[str], *, cwd: Path, env: dict[str, str]) -> Watched:
    """Run the command line; look at its processes' arguments and environments until it ends."""
    out, err = cwd / "stdout", cwd / "stderr"
    with out.open("wb") as to_out, err.open("wb") as to_err:
        process = subprocess.Popen(
            [sys.executable, "-m", "umkit", *arguments], stdin=subprocess.DEVNULL, stdout=to_out, stderr=to_err,
            cwd=cwd, env={**os.environ, "PYTHONIOENCODING": "utf-8", **env},
        )  # fmt: skip
        done = Watched(0, b"", b"")
        while True:
            for place in _children(process.pid):
                with contextlib.suppress(OSError):
                    done.arguments.add((place / "cmdline").read_bytes())
                    done.environments.add((place / "environ").read_bytes())
            try:
                done.status = process.wait(0.2)
                break
            except subprocess.TimeoutExpired:
                continue
    done.out, done.err = out.read_bytes(), err.read_bytes()
    return done


@pytest.fixture(scope="module")
def keepass(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """A KeePass database with the password of its route; none where the extra is not installed."""
    try:
        from pykeepass import create_database
    except ImportError:
        return None
    path = tmp_path_factory.mktemp("keepass") / "of tests.kdbx"
    database = create_database(str(path), password=MASTER.value)
    database.add_entry(database.root_group, "admin", "umadmin", ROUTES["keepass"].value)
    database.save()
    return path


class Workplace:
    """A folder with a customer file whose passwords come by one route, and a key that signs."""

    def __init__(self, folder: Path, route: str, lab: Lab, keepass: Path | None) -> None:
        self.folder, self.route = folder, route
        self.canary = ROUTES[route]
        self.hidden = folder / "hidden"
        self.hidden.mkdir()
        self.env = {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]),
            "PYTHON_KEYRING_BACKEND": "canary_keyring.Store",
            "CANARY_KEYRING": str(self.hidden / "keyring.json"),
            "UMKIT_KEYS": str(folder / "keys"),
            "UMKIT_KEY_PASSPHRASE": "a passphrase that is no canary",
        }
        self.store({"umkit/admin": self.canary.value, "umkit/initial": INITIAL.value})
        if route == "env":
            self.env["CANARY"] = self.canary.value
        if route == "keepass":
            self.env["UMKIT_KEEPASS_PASSWORD"] = MASTER.value
        reference = {"env": "env:CANARY", "keyring": "keyring:umkit/admin", "keepass": f"keepass:{keepass}#admin"}
        account = {"auth": "basic", "username": lab.username, "password": reference[route]}
        values = {
            "customer": {"name": "acme"},
            "exchange": {"endpoint": lab.exchange, **account, "deadline": 30},
            "hosts": {
                "exchange": [{"name": n, "endpoint": u} for n, u in lab.hosts.items() if n.startswith("EX")],
                "xphone": {"name": "XPHONE01", "endpoint": lab.hosts["XPHONE01"]},
            },
            "xphone": {"address": "10.1.2.31"},
            "um_services": [{"name": "fax", "domain": "fax.alleo.intern"}],
            "imap4": None,
            "relay": None,
            "mapi": {"account": "umcanary@alleo.intern"},
            "sessions": {"xphone_servers": 1, "public_sources": 1, "private_sources": 1},
            "ews": {
                "account": "umcanary@alleo.intern",
                "users": 5,
                "create_user": True,
                "user_principal_name": "umcanary@alleo.intern",
                "initial_password": "keyring:umkit/initial",
            },
            "run": {"replication_wait": 2},
        }
        (folder / "parameters").mkdir()
        (folder / "parameters" / "acme.yaml").write_text(yaml.safe_dump(values), "utf-8")

    def store(self, entries: dict[str, str]) -> None:
        """What the key store holds."""
        (self.hidden / "keyring.json").write_text(json.dumps(entries), "utf-8")

    def umkit(self, *arguments: str) -> Watched:
        return watched([*arguments], cwd=self.folder, env=self.env)

    def afterwards(self, *canaries: Canary) -> tuple[list[str], int]:
        """Make everything that is made of a record, and look into all of it."""
        makes = [
            ["records", "show", "latest"],
            ["records", "show", "latest", "--json"],
            ["records", "list"],
            ["records", "list", "--json"],
            ["records", "verify", "--json"],
            ["records", "export", "latest", "-o", "record.zip"],
            ["handover", "latest", "--language", "en", "-o", "handover.html"],
            ["handover", "latest", "--language", "de", "-o", "handover-de.html"],
            ["handover", "latest", "--pdf", "-o", "handover.pdf"],
        ]
        found: list[str] = []
        with contextlib.chdir(self.folder):
            for arguments in makes:  # this process knows no canary: what it shows was masked when it was written
                made = CliRunner().invoke(main, arguments)
                assert made.exit_code == 0, made.output
                found += search(made.output.encode(), *canaries, name=" ".join(arguments))
        (self.hidden / "keyring.json").unlink()
        more, count = search_folder(self.folder, *canaries)
        for name in ("record.zip", "handover.pdf", "handover.html"):
            assert (self.folder / name).stat().st_size > 1000
        assert not PDFTOTEXT or b"acme" in text_of_pdf((self.folder / "handover.pdf").read_bytes())
        return found + more, count + len(makes)

    def seen(self, done: Watched, *canaries: Canary) -> list[str]:
        """The canaries in what a process wrote, and in what others could see of it."""
        found = search(done.out, *canaries, name="stdout") + search(done.err, *canaries, name="stderr")
        found += [each for line in done.arguments for each in search(line, *canaries, name="arguments")]
        inherited = {"env": [self.canary], "keepass": [MASTER]}.get(self.route, [])
        secret = [canary for canary in canaries if canary not in inherited]
        return found + [each for line in done.environments for each in search(line, *secret, name="environment")]


@pytest.fixture(params=ROUTES)
def place(request: pytest.FixtureRequest, tmp_path: Path, keepass: Path | None) -> Iterator[Workplace]:
    if request.param == "keepass" and keepass is None:
        pytest.skip("the extra umkit[keepass] is not installed")
    trace = tmp_path / "trace.jsonl"
    with Lab(password=ROUTES[request.param].value, trace=trace) as lab:
        made = Workplace(tmp_path, request.param, lab, keepass)
        new = made.umkit("keys", "new", "--who", "a@b.example", "--passphrase", "env:UMKIT_KEY_PASSPHRASE")
        assert new.status == 0, new.err
        yield made


def _sent(place: Workplace) -> list[str]:
    lines = (place.folder / "trace.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["commands"][0]["name"] for line in lines]


def test_a_good_apply_with_a_new_user(place: Workplace) -> None:
    done = place.umkit("apply", "acme", "-v", "--json", "--chapter", "00", "--chapter", "08-ews")
    assert done.status in (0, 4), done.err.decode()
    assert done.step("EWS-1")["result"] == "changed"
    assert "New-Mailbox" in _sent(place)
    assert len(done.environments) > 1 or sys.platform != "linux"  # it and a kernel
    found, count = place.afterwards(place.canary, INITIAL, MASTER)
    assert found + place.seen(done, place.canary, INITIAL, MASTER) == []
    assert count > 25
    assert verify(Path(done.summary["record"])) == []


# The kernel resolves these itself: what it tells others is what could leak.
@pytest.mark.parametrize("place", ["keyring"], indirect=True)
def test_a_server_that_repeats_the_password(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Service.execute

    def echo(self: Service, user: str, pipeline: list[Invocation], control: Control) -> Reply:
        reply = answer(self, user, pipeline, control)
        if pipeline[0].name == "Get-AcceptedDomain":
            reply.warnings = [f"ALLEO\\umadmin logged on with {place.canary.value}."]
        if pipeline[0].name == ECHOED:
            reply = answer(self, user, [Invocation("Get-Nothing", [])], control)
            assert reply.failed is not None
            reply.failed.message = f"{'The rule ' * 25} is not met by \u201c{place.canary.value}\u201d; {'x' * 300}"
            reply.failed.target = place.canary.value
        return reply

    monkeypatch.setattr(Service, "execute", echo)
    done = place.umkit("apply", "acme", "-v", "--json", "--chapter", "00", "--chapter", "02")
    assert done.status == 1
    assert "(secret)" in json.dumps(done.step("FMT-0"))
    found, _ = place.afterwards(place.canary, MASTER)
    assert found + place.seen(done, place.canary, MASTER) == []


ACCIDENTS = """\
import base64, html, json, logging, os, sys, urllib.parse, warnings
from IPython.display import HTML, Markdown, display
from umkit.secrets import SecretReference
reference = SecretReference.parse(exchange["password"])
secret = reference.resolve(interactive=False)
shown = secret.reveal()
print(secret, shown, repr(shown), [shown], ascii(shown), repr(shown.encode()), f"it's \\"{shown}\\"".__repr__())
print(json.dumps({"password": shown}), json.dumps(json.dumps([shown])), urllib.parse.quote(shown), html.escape(shown))
print(base64.b64encode(f"admin:{shown}".encode()), base64.b64encode(shown.encode("utf-16-le")), shown.encode().hex())
print("a server that cuts a text off says", shown[:20] + "…", file=sys.stderr)
logging.basicConfig(level=logging.DEBUG)
logging.warning("the password is %s", shown)
warnings.warn(shown)
display(HTML(f"<b title='{html.escape(shown)}'>{html.escape(shown)}</b>"), Markdown(shown), {"a": shown})
os.write(2, (shown + "\\n").encode())
shown
"""
DEFECT = """\
%xmode Verbose
def connect(user, password):
    attempt = {"user": user, "password": password}
    raise ValueError(f"{user} cannot log on with {password}")
connect("umadmin", shown)
"""
BEGIN = """\
from umkit.runbook import Chapter
chapter = Chapter("00-start", mode=mode, customer=customer, exchange=exchange)
"""


@pytest.mark.parametrize("place", ["keyring"], indirect=True)
def test_a_cell_that_shows_it_by_accident(place: Workplace) -> None:
    runbooks = place.folder / "runbooks"
    runbooks.mkdir()
    endings = {"01-raises": DEFECT, "02-dies": "os.write(2, (shown + '\\n').encode())\nos._exit(3)", "03-prints": "1"}
    for name, ending in endings.items():
        cells = [
            nbformat.v4.new_code_cell('mode = "plan"\ncustomer = exchange = None', metadata={"tags": ["parameters"]})
        ]
        cells += [nbformat.v4.new_code_cell(text) for text in (BEGIN, ACCIDENTS, ending)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), runbooks / f"{name}.ipynb")
    done = place.umkit("plan", "acme", "-v", "--json")
    assert done.status == 1, done.err
    assert place.seen(done, place.canary, MASTER) == []
    for name in endings:
        kept = (Path(done.summary["record"]) / "notebooks" / f"{name}.ipynb").read_text("utf-8")
        assert kept.count("(secret)") > 15
    (place.hidden / "keyring.json").unlink()
    for path in runbooks.iterdir():
        path.unlink()
    assert search_folder(place.folder, place.canary, MASTER)[0] == []


@pytest.mark.parametrize("place", ["env"], indirect=True)
def test_a_wrong_password(place: Workplace) -> None:
    place.canary = WRONG
    place.store({"umkit/admin": WRONG.value, "umkit/initial": INITIAL.value})
    place.env["CANARY"] = WRONG.value
    done = place.umkit("apply", "acme", "-v", "--json", "--chapter", "00")
    assert done.status == 1
    assert done.step("START-2")["error"]["error"] == "AuthenticationFailed"
    found, _ = place.afterwards(WRONG, INITIAL)
    assert found + place.seen(done, WRONG, INITIAL) == []
    refused = place.umkit("plan", "nobody", "--json")
    assert place.seen(refused, WRONG, INITIAL) == []


# A person is asked


def test_a_question_in_a_notebook_and_what_its_front_end_would_save() -> None:
    """JupyterLab itself saves the notebook, so nothing that the kernel sends may hold the answer."""
    canary = Canary("pr")
    begin = 'mode, customer, exchange = "plan", {"name": "lab"}, {"endpoint": "lab", "password": "prompt:of admin"}\n'
    with Kernel({"UMKIT_HEADLESS": "0"}) as kernel:
        assert kernel._manager is not None
        client = BlockingKernelClient()
        client.load_connection_info(kernel._manager.get_connection_info())
        client.start_channels()
        sent: list[dict[str, Any]] = []
        asked: list[dict[str, Any]] = []

        def answer(question: dict[str, Any]) -> None:
            asked.append(question["content"])
            client.input(canary.value)

        accidents = ACCIDENTS.replace("interactive=False", "interactive=True")
        for source in (begin + BEGIN, accidents, DEFECT):
            sent.append(
                client.execute_interactive(
                    source, timeout=60, stdin_hook=answer, output_hook=lambda message: sent.append(message)
                )["content"]
            )
        client.stop_channels()
    assert asked == [{"prompt": "of admin: ", "password": True}]
    text = json.dumps([message.get("content", message) for message in sent], default=str).encode()
    assert b"ValueError" in text
    assert text.count(b"(secret)") > 20
    assert search(text, canary) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs a terminal of Unix")
def test_a_question_on_a_terminal(tmp_path: Path) -> None:
    import pty

    canary = Canary("pt", '"it\'s" \\s $(x) `n<&>/+=%41  {0}')  # a terminal is asked in its own encoding
    (tmp_path / "parameters").mkdir()
    exchange = {"endpoint": "http://127.0.0.1:9/PowerShell/", "username": "a@b", "password": "prompt:of admin"}
    values = {
        "customer": {"name": "acme"},
        "exchange": exchange,
        "imap4": None,
        "relay": None,
        "mapi": None,
        "ews": None,
    }
    values |= {"um_services": [{"name": "fax", "domain": "fax.acme.example"}], "xphone": {"address": "192.0.2.1"}}
    (tmp_path / "parameters" / "acme.yaml").write_text(yaml.safe_dump(values), "utf-8")
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(tmp_path)
        os.environ["PYTHONPATH"] = str(ROOT)
        os.execv(sys.executable, [sys.executable, "-m", "umkit", "check", "acme", "--json"])
    shown = b""
    with contextlib.suppress(OSError):  # Linux says so when the other end is closed
        while part := os.read(terminal, 4096):
            shown += part
            if shown.endswith(b"of admin: "):
                os.write(terminal, canary.value.encode() + b"\n")
    _, status = os.waitpid(process, 0)
    assert b"can be resolved" in shown, shown
    assert os.waitstatus_to_exitcode(status) == 0
    assert search(shown, canary) == []


# Errors and logs


@dataclass
class Reached:
    """A lab and what the libraries below logged while it was spoken to."""

    lab: Lab
    log: io.StringIO


@pytest.fixture
def reached() -> Iterator[Reached]:
    lab = Lab(password=ROUTES["env"].value)
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    loggers = [logging.getLogger(name) for name in ("", "umkit", "pypsrp", "spnego", "requests", "urllib3")]
    levels = [logger.level for logger in loggers]
    with lab:
        for logger in loggers:
            logger.setLevel(logging.DEBUG)
        logging.getLogger().addHandler(handler)
        yield Reached(lab, text)
    logging.getLogger().removeHandler(handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def _endpoint(lab: Lab, auth: str, password: str) -> Endpoint:
    return Endpoint("exchange", lab.exchange, auth=auth, username=lab.username, password=Secret(password), deadline=20)


@pytest.mark.parametrize("auth", ["basic", "negotiate"])
def test_the_logs_of_all_libraries(reached: Reached, auth: str) -> None:
    endpoint = _endpoint(reached.lab, auth, ROUTES["env"].value)
    given = {"Name": "c", "UserPrincipalName": "c@alleo.intern", "Password": Secret(INITIAL.value)}
    with Session(endpoint) as session:
        session.run(Command("New-Mailbox", given))
    log = reached.log.getvalue()
    assert "urllib3" in log
    assert "spnego" in log or auth == "basic"
    assert search(log.encode(), ROUTES["env"], INITIAL) == []


@pytest.mark.parametrize("auth", ["basic", "negotiate"])
def test_an_error_and_its_causes(reached: Reached, auth: str) -> None:
    endpoint = _endpoint(reached.lab, auth, WRONG.value)
    with pytest.raises(AuthenticationFailed) as caught, Session(endpoint) as session:
        session.run(Command("Get-ExchangeServer"))
    error: UmkitError = caught.value
    texts = [str(error), repr(error), json.dumps(error.as_dict()), repr(endpoint), reached.log.getvalue()]
    texts += traceback.format_exception(error)
    assert search("\n".join(texts).encode(), WRONG) == []


def test_what_is_not_known_as_a_secret_is_not_masked() -> None:
    """The counter-check: without the mask these tests would find every canary."""
    stranger = Canary("st")
    assert search(redact(stranger.value).encode(), stranger)
    remember(Secret(stranger.value))
    assert not search(redact(stranger.value).encode(), stranger)
