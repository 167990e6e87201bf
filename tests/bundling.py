"""What the tests of job bundles share: a consultant's place, a site that only carried files reach, and a lab there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from canary import Canary
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from in_process import ROOT, without_kernels

from umkit import archive, bundle, customer, dsse
from umkit.bundle import Job, Ran
from umkit.customer import CustomerFile
from umkit.keys import SigningKey
from umkit.lab import Lab

PASSWORD = Canary("bu")
#: The environment variable that the customer file refers to; it is set at the site alone.
VARIABLE = "UMKIT_TEST_BUNDLE"
PASSPHRASE = "a passphrase that is no canary"


def make_key(who: str = "a.muster@example.org") -> SigningKey:
    return SigningKey(Ed25519PrivateKey.generate(), who)


@dataclass
class Places:
    """Two folders that stand for two machines.

    Arguments:
        folder: where both lie.
        lab: the servers at the site.
        trace: what the lab received.
        key: the consultant's key.
    """

    folder: Path
    lab: Lab
    trace: Path
    key: SigningKey = field(default_factory=make_key)

    def __post_init__(self) -> None:
        for place in (self.home, self.site):
            place.mkdir()
        (self.home / "parameters").mkdir()
        self.customer("acme")

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def site(self) -> Path:
        return self.folder / "site"

    def customer(self, name: str, text: str = "", **sections: Any) -> CustomerFile:
        """Write a customer file that speaks to the lab as to any server."""
        values: dict[str, Any] = {
            "customer": {"name": name},
            "exchange": {
                "endpoint": self.lab.exchange,
                "auth": "basic",
                "username": self.lab.username,
                "password": f"env:{VARIABLE}",
                "deadline": 30,
            },
            "xphone": {"address": "10.1.2.31"},
            "um_services": [{"name": "fax", "domain": "fax.alleo.intern", "port": 2533}],
            "imap4": None,
            "relay": None,
            "mapi": None,
            "ews": None,
        }
        path = self.home / "parameters" / f"{name}.yaml"
        path.write_bytes((yaml.safe_dump(values | sections) + text).encode())
        return customer.load(path)

    def pack(self, verb: str = "apply", *, name: str = "acme", **options: Any) -> Path:
        """A bundle of chapter 02, packed as the consultant does it."""
        path = self.home / f"{name}-{verb}-bundle.zip"
        inputs = customer.load(self.home / "parameters" / f"{name}.yaml")
        given = {"chapters": ["02"], "runbooks": ROOT / "runbooks", "key": self.key} | options
        bundle.pack(inputs, path, verb=verb, **given)
        return path

    def run(self, path: Path, **options: Any) -> Ran:
        """Run a bundle at the site, in this process, without its kernels."""
        given = {"records": self.site / "records", "output": self.site / "export.zip"} | options
        with without_kernels():
            return bundle.run_bundle(path, [self.key.public], **given)

    def bring_back(self, export: Path, **options: Any) -> Path:
        """Import an export where the consultant works; the record's folder."""
        given = {"records": self.home / "records", "trusted": [self.key.public]} | options
        return bundle.bring_back(export, **given).folder

    def umkit(self, *arguments: str | Path, at: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """The command line in a process of its own, with only what there is at that place."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("UMKIT")}
        env |= {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "UMKIT_KEYS": str(at / "keys"), **environment}
        done = subprocess.run(
            [sys.executable, "-m", "umkit", *map(str, arguments)],
            capture_output=True, encoding="utf-8", cwd=at, timeout=180, env=env,
        )  # fmt: skip
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def mutating(self) -> list[str]:
        """Names of the changing commands that the lab received so far."""
        lines = [json.loads(line) for line in self.trace.read_text("utf-8").splitlines()]
        return [str(line["commands"][0]["name"]) for line in lines if line["mutating"]]


def contents(path: Path) -> dict[str, bytes]:
    """What is in a bundle or an export."""
    return archive.unpacked(path, "zip file", next="")


def statement(path: Path) -> dict[str, Any]:
    """What is signed in a bundle."""
    found: dict[str, Any] = json.loads(dsse.parse(contents(path)[bundle.STATEMENT]).payload)
    return found


def repacked(path: Path, to: Path, files: Mapping[str, bytes]) -> Path:
    """Another zip file, as the kit would write it."""
    assert to != path
    to.write_bytes(archive.packed(files))
    return to


def job_of(path: Path, key: SigningKey) -> Job:
    return bundle.open_bundle(path, [key.public]).job


def tree(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, but for locks, which hold nothing."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.endswith(".lock"))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


__all__ = (
    "PASSPHRASE",
    "PASSWORD",
    "ROOT",
    "VARIABLE",
    "Places",
    "contents",
    "job_of",
    "make_key",
    "repacked",
    "statement",
    "tree",
)
