"""Attestations: who says that a manual step was done, when, and with what evidence.

They are kept per customer in the journal's form, ``records/<customer>/attestations.jsonl``, and shown in every later
run. An evidence file is copied beside it under its SHA-256, so that it cannot be exchanged unnoticed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from umkit.durable import write_atomic
from umkit.errors import UsageError
from umkit.journal import Journal, read, verify

FILE = "attestations.jsonl"
EVIDENCE = "evidence"
#: Evidence is a screenshot or a page, not an archive.
LARGEST = 20 * 1024 * 1024


@dataclass(frozen=True)
class Attestation:
    """One person's word for one manual step.

    Arguments:
        step: the step's id.
        who: the person.
        when: when it was said.
        remark: what they said about it; may be empty.
        evidence: the evidence file's name in the customer's ``evidence`` folder; may be empty.
        sha256: the evidence file's hash; empty without one.
    """

    step: str
    who: str
    when: datetime
    remark: str = ""
    evidence: str = ""
    sha256: str = ""

    def __str__(self) -> str:
        text = f"{self.who} on {self.when.astimezone():%Y-%m-%d %H:%M}"
        if self.remark:
            text += f": {self.remark}"
        return text + (f" (evidence {self.evidence}, SHA-256 {self.sha256[:12]}…)" if self.evidence else "")


@dataclass(frozen=True)
class Evidence:
    """A picture or a page that shows that a manual step was done.

    Arguments:
        name: the file's name; only its last part is used.
        data: its content.
    """

    name: str
    data: bytes


def attest(
    records: Path, customer: str, step: str, *, who: str, remark: str = "", evidence: Path | None = None
) -> Attestation:
    """Write down that a manual step was done.

    Arguments:
        records: the folder of all records.
        customer: the customer's name.
        step: the step's id.
        who: the person who did it or saw it done; not empty.
        remark: what a reader should know.
        evidence: a file that shows it, at most 20 MiB; it is copied.

    Raises ``UsageError`` for an empty name or an unusable file, ``RecordError`` when it cannot be written.
    """
    if not who.strip():
        raise UsageError(f"nobody is named for {step}", expected="the person who did it or saw it done")
    home = Path(records) / customer
    home.mkdir(parents=True, exist_ok=True)
    fields = {"step": step, "who": who.strip(), "remark": remark.strip()}
    if evidence is not None:
        fields |= _keep(home, Path(evidence))
    with Journal(home / FILE) as journal:
        return _of(journal.append("attestation", **fields))


def attested(records: Path | None, customer: str, step: str) -> tuple[Attestation | None, list[str]]:
    """The newest attestation of a step, and what is wrong with the file or the evidence.

    Arguments:
        records: the folder of all records; nothing is known without one.
        customer: the customer's name.
        step: the step's id.
    """
    home = Path(records or "") / customer
    if records is None or not (home / FILE).exists():
        return None, []
    problems = [f"{FILE}: {finding}" for finding in verify(home / FILE) if not finding.explained]
    said = [_of(event) for event in read(home / FILE) if event["event"] == "attestation" and event.get("step") == step]
    if not said:
        return None, problems
    newest = said[-1]
    if newest.evidence:
        path = home / EVIDENCE / newest.evidence
        if not path.is_file():
            problems.append(f"evidence {newest.evidence} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != newest.sha256:
            problems.append(f"evidence {newest.evidence} was changed after it was given")
    return newest, problems


def problems(home: Path) -> list[str]:
    """Everything in a customer's attestations that is not as it was given, one sentence each, naming the file.

    Arguments:
        home: the customer's folder of records.
    """
    path, folder = home / FILE, home / EVIDENCE
    there = sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []
    if not path.is_file():
        found = [f"{FILE}: missing, and there is evidence: removed"] if there else []
        return found + ([f"{FILE}: no file: exchanged"] if path.exists() else [])
    found = [str(finding) for finding in verify(path) if not finding.explained]
    said = [
        _of(event) for event in read(path) if event["event"] == "attestation" and "who" in event and "step" in event
    ]
    kept = {each.evidence: each for each in said if each.evidence}
    for name, each in sorted(kept.items()):
        file = folder / Path(name).name
        if not file.is_file() or file.is_symlink():
            found.append(f"{EVIDENCE}/{name}: missing, and {each.step} was attested with it")
        elif hashlib.sha256(file.read_bytes()).hexdigest() != each.sha256:
            found.append(f"{EVIDENCE}/{name}: changed after {each.step} was attested with it")
    return found + [f"{EVIDENCE}/{name}: belongs to no attestation: added" for name in there if name not in kept]


def _keep(home: Path, evidence: Path) -> dict[str, str]:
    try:
        if evidence.stat().st_size > LARGEST:
            raise UsageError(f"{evidence.name} is too large for evidence", expected="at most 20 MiB")
        data = evidence.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{evidence} cannot be read as evidence", seen=error.strerror or type(error).__name__
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    name = f"{digest[:16]}{evidence.suffix.lower()}"
    (home / EVIDENCE).mkdir(exist_ok=True)
    write_atomic(home / EVIDENCE / name, data)
    return {"evidence": name, "sha256": digest, "given": evidence.name}


def _of(event: dict[str, str]) -> Attestation:
    return Attestation(
        step=event["step"],
        who=event["who"],
        when=datetime.fromisoformat(event["time"]),
        remark=event.get("remark", ""),
        evidence=event.get("evidence", ""),
        sha256=event.get("sha256", ""),
    )
