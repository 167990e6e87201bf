"""Bringing back what a bundle's run left: checked, held to its bundle, and put among the records as a whole."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umkit import planfile, proof
from umkit.archive import unpacked
from umkit.bundle.job import STATEMENT, Job, open_bundle, read_job
from umkit.customer.checks import slug
from umkit.customer.explain import printable
from umkit.customer.source import read_bytes
from umkit.durable import make_folder, write_folder
from umkit.errors import BundleError, RecordError, UsageError
from umkit.journal import read
from umkit.lock import CustomerLock
from umkit.record import INPUTS, JOURNAL, MANIFEST, is_run
from umkit.sealing import Signature

if TYPE_CHECKING:
    from umkit.keys import PublicKey

_EXPORT = "export it there once more: umkit records export RUN; nothing was brought back"
#: The record's copy of the inputs holds the customer file twice: as it was given, and every value as it was used.
_LARGEST_INPUTS = 4 * 1024 * 1024


@dataclass(frozen=True)
class Returned:
    """A record that was brought back.

    Arguments:
        folder: the record, among the others.
        job: the bundle's.
        signatures: who signed it.
        notes: what a reader should know and is no tampering.
    """

    folder: Path
    job: Job
    signatures: Sequence[Signature]
    notes: Sequence[str]


def bring_back(
    export: Path,
    records: Path,
    trusted: Sequence[PublicKey],
    *,
    known: Sequence[PublicKey] = (),
    bundle: Path | None = None,
) -> Returned:
    """Put the exported record of a bundle's run among the records.

    Everything is checked in a folder aside first. The record is then there as a whole, or not at all.

    Arguments:
        export: the zip file that the run wrote, or ``umkit records export``.
        records: the folder of all records.
        trusted: the public keys of those who pack bundles; one of them signed the record's.
        known: further public keys that are known, of those who sign records.
        bundle: the bundle that it has to be the record of; else the one that it says.

    Raises ``UsageError`` when the file is no export or the bundle no bundle, ``RecordError`` when the record is not as
    it was sealed, when it is not the record of the bundle, when it is there already, or cannot be written.
    """
    contents = unpacked(export, "export", next=_EXPORT)
    customer, run = _home(export, contents)
    prefix = f"{customer}/{run}/"
    files = {name.removeprefix(prefix): data for name, data in contents.items() if name.startswith(prefix)}
    beside = {name: data for name, data in contents.items() if not name.startswith(prefix)}
    where = {"file": str(export), "run": f"{customer}/{run}"}
    with tempfile.TemporaryDirectory(prefix="umkit-import-") as scratch:
        (Path(scratch) / customer).mkdir()
        folder = Path(scratch) / customer / run
        write_folder(folder, files)
        found = proof.examine(folder, [*trusted, *known], home=customer)
        if problems := found.problems or _wrong_beside(beside, f"{customer}/{run}", found.signatures):
            raise RecordError(
                "the record is not as it was sealed", where=where, seen="; ".join(problems[:5]), next=_EXPORT
            )
        job = _job_of(folder, trusted, where)
        strange = _strange(run, read(folder / JOURNAL), files, job)
    if bundle is not None:
        strange += _strange_to(bundle, trusted, job, files)
    if strange:
        raise RecordError(
            "the record is not that of its bundle",
            where=where,
            seen="; ".join(strange),
            next="look where the two come from; nothing was brought back",
        )
    kept = records.resolve() / customer / run
    _keep(kept, files, where)
    return Returned(kept, job, found.signatures, found.notes)


def _home(export: Path, contents: Mapping[str, bytes]) -> tuple[str, str]:
    """Customer and run of the one record in an export."""
    places = {tuple(name.split("/")[:2]) for name in contents if "/" in name}
    for customer, run in places if len(places) == 1 else ():
        try:
            if is_run(run) and slug(customer):
                return customer, run
        except ValueError:
            break
    raise UsageError(
        f"{printable(export.name)} is no export of one record",
        where={"file": str(export)},
        seen=printable(", ".join(sorted("/".join(place) for place in places)[:3])) or "no record",
        expected="CUSTOMER/RUN with its files",
        next=_EXPORT,
    )


def _wrong_beside(beside: Mapping[str, bytes], home: str, signatures: Sequence[Signature]) -> list[str]:
    """What lies beside the record and is not what an export has there.

    Its words for people are another version's perhaps; they are neither believed nor kept.
    """
    expected = proof.companions(home, signatures)
    wrong = [f"{name}: belongs to no export: added" for name in sorted(beside.keys() - expected.keys())]
    wrong += [f"{name}: missing" for name in sorted(expected.keys() - beside.keys())]
    return wrong + [
        f"{name}: changed"
        for name in sorted(beside.keys() & expected.keys())
        if name != proof.README and beside[name] != expected[name]
    ]


def _job_of(folder: Path, trusted: Sequence[PublicKey], where: Mapping[str, str]) -> Job:
    """The job whose signed statement lies in a record."""
    if not (folder / STATEMENT).is_file():
        raise RecordError(
            "the record does not say which bundle it is of",
            where=where,
            seen=f"there is no {STATEMENT} in it",
            expected="the record of umkit run-bundle",
            next="the records of other runs are not brought back like that: copy the folder",
        )
    try:
        return read_job((folder / STATEMENT).read_bytes(), trusted)
    except BundleError as error:
        raise RecordError(
            f"the record's bundle is not one of ours: {error.what}",
            where=where,
            seen=error.seen,
            expected=error.expected,
            next="give the public key of who packed it with --key; nothing was brought back",
        ) from None


def _strange(run: str, events: Sequence[Mapping[str, Any]], files: Mapping[str, bytes], job: Job) -> list[str]:
    """What in a record is not as its bundle asked for."""
    start: Mapping[str, Any] = next((event for event in events if event["event"] == "run-start"), {})
    told = [str(event.get("sha256")) for event in events if event["event"] == "bundle"]
    found = [] if told == [job.sha256] else [f"{JOURNAL}: tells of another bundle, or of none"]
    verbs = [job.verb, "plan"] if job.is_held_to_a_plan else [job.verb]  # before such an apply the state is looked at
    inputs = _inputs(files)
    for name, said in ((JOURNAL, start), (INPUTS, inputs)):
        there = [said.get(key) for key in ("run", "customer", "chapters")]
        if there != [run, job.customer, list(job.chapters)] or said.get("mode") not in verbs:
            found.append(f"{name}: of another run, customer, verb or chapters")
    if planfile.fingerprint(inputs.get("used") or {}) != job.inputs:
        found.append(f"{INPUTS}: other values than those of the bundle's customer file")
    plan = hashlib.sha256(files.get(planfile.FILE, b"")).hexdigest()
    if job.is_held_to_a_plan and start.get("mode") == "apply" and plan != job.files[planfile.FILE]:
        found.append(f"{planfile.FILE}: another plan than the bundle's")
    return found


def _strange_to(bundle: Path, trusted: Sequence[PublicKey], job: Job, files: Mapping[str, bytes]) -> list[str]:
    """What in a record is not of this bundle."""
    other = open_bundle(bundle, trusted)
    if other.job.envelope != job.envelope:
        return [f"{bundle.name}: another bundle ({other.job}), not the record's ({job})"]
    given = str(_inputs(files).get("given"))
    text = other.contents[job.customer_file].decode("utf-8-sig")
    same = given == re.sub(r"\r\n?", "\n", text)  # as a text file is read
    return [] if same else [f"{INPUTS}: another text than the bundle's customer file"]


def _inputs(files: Mapping[str, bytes]) -> Mapping[str, Any]:
    """The record's copy of the inputs; nothing where it is not as the kit writes it."""
    return read_bytes(files.get(INPUTS, b""), largest=_LARGEST_INPUTS).values


def _keep(folder: Path, files: Mapping[str, bytes], where: Mapping[str, str]) -> None:
    """Put the record where it belongs; nobody works on the customer meanwhile."""
    _refuse_existing(folder, files, where)
    home = folder.parent
    lock = CustomerLock(home)
    make_folder(home)
    lock.acquire()
    try:
        _refuse_existing(folder, files, where)
        write_folder(folder, files)
    finally:
        lock.release()


def _refuse_existing(folder: Path, files: Mapping[str, bytes], where: Mapping[str, str]) -> None:
    if not folder.exists():
        return
    manifest = folder / MANIFEST
    same = manifest.is_file() and manifest.read_bytes() == files[MANIFEST]
    raise RecordError(
        "the record is there already" if same else "another run of that name is there already",
        where=where,
        seen=str(folder),
        next="nothing is left to do" if same else "give another folder of records with --records",
    )
