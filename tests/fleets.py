"""A fleet for tests: a scheduler and workers as processes of their own, over TLS; what their runs do is made up.

See ``made_up_runs`` for that.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from customer_files import changed
from made_up_chapters import Bench, acme

from umkit.batch import Batch, BatchSummary, Job, JobEnd, Stop
from umkit.fleet import Access, joined

ROOT = Path(__file__).resolve().parents[1]
#: Seconds for whatever a test waits for; it never takes as long.
LONGEST = 120
GATE = "UMKIT_TEST_GATE"
#: The lock of a worker that is killed is soon given back.
ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests" / "made_up_runs"))),
    "DASK_DISTRIBUTED__SCHEDULER__LOCKS__LEASE_TIMEOUT": "2s",
    "DASK_DISTRIBUTED__SCHEDULER__LOCKS__LEASE_VALIDATION_INTERVAL": "500ms",
}
UNREACHABLE = """\
import functools, distributed
distributed.Worker = functools.partial(distributed.Worker, contact_address="tls://127.0.0.1:9")
from umkit.cli import main
main()
"""


def authority(folder: Path) -> dict[str, str]:
    """An authority's certificate, one that it made, and the key: the options that say so."""
    now = datetime.datetime.now(datetime.UTC)
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("ca", "fleet")}
    names = {name: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in keys}
    for name, key in keys.items():
        certificate = (
            x509.CertificateBuilder()
            .subject_name(names[name])
            .issuer_name(names["ca"])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=name == "ca", path_length=None), critical=True)
            .sign(keys["ca"], hashes.SHA256())
        )
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    secret = keys["fleet"].private_bytes(encoding, form, serialization.NoEncryption())
    (folder / "fleet.key").write_bytes(secret)
    files = {"--tls-ca": "ca.pem", "--tls-cert": "fleet.pem", "--tls-key": "fleet.key"}
    return {option: str(folder / name) for option, name in files.items()}


class Gate:
    """Where the runs of waiting customers knock."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(LONGEST)
        self.port = self._server.getsockname()[1]
        self._waiting: list[socket.socket] = []

    def knocked(self, name: str) -> None:
        """Wait until a customer's run is at work."""
        while True:
            waiting, _ = self._server.accept()
            waiting.settimeout(LONGEST)
            self._waiting.append(waiting)
            if waiting.makefile().readline().strip() == name:
                return

    def open(self) -> None:
        """Let all that knocked go on."""
        for waiting in self._waiting:
            with contextlib.suppress(OSError):
                waiting.sendall(b".")
            waiting.close()
        self._waiting.clear()

    def close(self) -> None:
        self.open()
        self._server.close()


class Fleet:
    """A scheduler, and workers that are started as they are needed.

    Arguments:
        folder: for certificates, runbooks and the records of everybody.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tls = authority(folder)
        self.gate = Gate()
        self.records = folder / "records"
        Bench(folder, acme()).chapter("01-first", "step('A-1'); end()")
        (folder / "run{books}").rename(folder / "runbooks")
        self.parameters = folder / "parameters"
        self.parameters.mkdir()
        self._processes: list[subprocess.Popen[str]] = []
        self.schedule()

    def schedule(self) -> None:
        """Start a scheduler; the fleet's from now on."""
        self.scheduler, said = self._served("scheduler", "--port", "0", "--host", "127.0.0.1")
        self.address = said["scheduler"]

    @property
    def access(self) -> Access:
        ca, certificate, key = map(Path, self.tls.values())
        return Access(ca, certificate, key)

    def worker(
        self, *sites: str, name: str, jobs: int = 1, records: str = "", reachable: bool = True
    ) -> subprocess.Popen[str]:
        """Start a worker; it is there when this returns, and its records lie in the folder of its name.

        One that is not reachable tells an address at which nobody answers, as behind a firewall that lets nothing in.
        """
        options = [option for site in sites for option in ("--site", site)]
        options += ["--jobs", str(jobs), "--name", name, "--records", str(self.folder / (records or name))]
        return self._served("worker", "--scheduler", self.address, *options, reachable=reachable)[0]

    def jobs(self, batch: Batch, customers: Mapping[str, str]) -> list[Job]:
        """Jobs of made-up customers, each with the site that it is reached from."""
        return [
            Job(name, str(self.customer(name, site)), "apply", batch.id, (), str(self.records), 120.0, site)
            for name, site in customers.items()
        ]

    def customer(self, name: str, site: str = "") -> Path:
        """A customer file whose customer is contacted by nobody."""
        values = changed(f"customer: {{name: {name}}}\nrun: {{site: {site or 'null'}}}")
        path = self.parameters / f"{name}.yaml"
        path.write_text(yaml.safe_dump(values), "utf-8")
        return path

    def begin(self, customers: Mapping[str, str], batch: Batch | None = None) -> UnderWay:
        """Have customers done, each at its site, beside this thread."""
        self.records.mkdir(exist_ok=True)
        batch = batch or Batch.begin(self.records, "apply", dict.fromkeys(customers, ""), {})
        return UnderWay(self, batch, self.jobs(batch, customers))

    def end(self) -> None:
        self.gate.close()
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            try:
                process.communicate(timeout=LONGEST)
            finally:
                process.kill()

    def call(self, *words: str, reachable: bool = True) -> subprocess.Popen[str]:
        """The command line as a process of its own, with the fleet's certificates; its standard output is read."""
        tls = [word for pair in self.tls.items() for word in pair]
        process = subprocess.Popen(
            [sys.executable, *(["-m", "umkit"] if reachable else ["-c", UNREACHABLE]), *words, *tls, "--json"],
            cwd=self.folder,
            env={**os.environ, **ENVIRONMENT, GATE: str(self.gate.port)},
            stdout=subprocess.PIPE,
            stderr=(self.folder / f"{words[1]}-{len(self._processes)}.log").open("w"),
            encoding="utf-8",
        )
        self._processes.append(process)
        return process

    def _served(self, what: str, *options: str, reachable: bool = True) -> tuple[subprocess.Popen[str], dict[str, str]]:
        process = self.call("fleet", what, *options, reachable=reachable)
        assert process.stdout is not None
        return process, json.loads(process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class UnderWay:
    """A batch that is carried out beside the test."""

    def __init__(self, fleet: Fleet, batch: Batch, jobs: list[Job]) -> None:
        self.stop = Stop()
        self.folder = batch.folder
        self._events: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self._ended: list[BatchSummary] = []
        self._error: list[BaseException] = []
        self._thread = threading.Thread(target=self._carry_out, args=(fleet, batch, jobs), daemon=True)
        self._thread.start()

    def tell(self, event: Mapping[str, Any]) -> None:
        self._events.put(event)

    def ended(self, end: JobEnd) -> None:
        self._events.put({"event": "ended", "customer": end.customer})

    def hears(self, event: str, customer: str) -> list[tuple[str, str]]:
        """Wait until an event of a customer is told; all that was told until then."""
        told: list[tuple[str, str]] = []
        while (event, customer) not in told:
            heard = self._events.get(timeout=LONGEST)
            told.append((heard["event"], heard["customer"]))
        return told

    def ends(self) -> dict[str, JobEnd]:
        """Wait for the end; how each job ended."""
        self._thread.join(LONGEST)
        if self._error:
            raise self._error[0]
        [summary] = self._ended
        return {end.customer: end for end in summary.ends}

    def _carry_out(self, fleet: Fleet, batch: Batch, jobs: list[Job]) -> None:
        try:
            with batch, joined(fleet.address, fleet.access) as start:
                self._ended.append(batch.carry_out(jobs, start, self.stop, self))
        except BaseException as error:
            self._error.append(error)
