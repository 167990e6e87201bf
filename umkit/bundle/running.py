"""Running a bundle where the customer's servers are reached, with a record that says which bundle it was."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umkit import planfile, proof
from umkit.bundle.job import RUNBOOKS, STATEMENT, Bundle, Job, open_bundle, refuse_other_kit
from umkit.bundle.packing import refuse_secrets
from umkit.customer import CustomerFile, load
from umkit.durable import write_atomic
from umkit.errors import BundleError, UmkitError, UsageError
from umkit.headless import RunSummary, planned, run
from umkit.headless.progress import Silence
from umkit.record import MANIFEST, Record

if TYPE_CHECKING:
    from umkit.keys import PublicKey


@dataclass(frozen=True)
class Ran:
    """A bundle that was run.

    Arguments:
        job: what it asked for.
        summary: how the run ended.
        export: the zip file with the run's record, to be carried back.
    """

    job: Job
    summary: RunSummary
    export: Path


def run_bundle(
    path: Path,
    trusted: Sequence[PublicKey],
    *,
    records: Path | None = None,
    output: Path | None = None,
    progress: Silence | None = None,
    lab: Mapping[str, Any] | None = None,
) -> Ran:
    """Run a bundle, keep and seal the record, and export it.

    Arguments:
        path: the bundle.
        trusted: the public keys whose jobs are taken.
        records: folder of the records; the customer file's ``run.records``.
        output: where to write the export; ``CUSTOMER-RUN.zip`` here.
        progress: is told how it goes on; also where this bundle was run here before.
        lab: what ``Lab.describe()`` says, where a lab stands for every endpoint named ``lab``.

    Raises ``UsageError`` before anything is begun, ``Blocked`` where the state has moved since the plan that the job is
    held to; the record of that look is exported too, and named in the error.
    """
    bundle = open_bundle(path, trusted)
    refuse_other_kit(bundle.job)
    if output is not None and not output.absolute().parent.is_dir():
        raise UsageError(
            "the export cannot be written there", where={"file": str(output)}, seen="no such folder", next="make it"
        )
    progress = progress or Silence()
    # what was checked is what is run: nobody else can write to this folder
    with tempfile.TemporaryDirectory(prefix="umkit-bundle-", ignore_cleanup_errors=True) as scratch:
        place = Path(scratch)
        inputs = _laid_out(bundle, place)
        home = records or Path(inputs.run.records)
        earlier = _earlier(home / bundle.job.customer, bundle.job)
        if earlier:
            progress.remark(f"this bundle was run here before: {', '.join(earlier)}; this run has a record of its own")
        kept: list[Path] = []

        def begun(record: Record) -> None:
            job = bundle.job
            kept.append(record.folder)
            write_atomic(record.folder / STATEMENT, job.envelope)
            record.journal.append(
                "bundle", sha256=job.sha256, signer=job.who, key=job.key.fingerprint, packed=job.at, earlier=earlier
            )

        try:
            summary = _run(bundle.job, inputs, place, begun=begun, records=home, progress=progress, lab=lab)
        except UmkitError as error:
            if kept and (kept[-1] / MANIFEST).is_file():
                error.at(record=str(kept[-1]))
                with contextlib.suppress(UmkitError):  # why nothing was done is what has to be said
                    error.at(export=str(_export(kept[-1], output)))
            raise
    return Ran(bundle.job, summary, _export(summary.record, output))


def _laid_out(bundle: Bundle, place: Path) -> CustomerFile:
    """Write the bundle's files to a folder of one's own; the customer file, as this kit understands it."""
    job = bundle.job
    for name, data in bundle.contents.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)
    inputs = load(place / job.customer_file)
    if inputs.customer.name != job.customer or planfile.fingerprint(inputs.dump()) != job.inputs:
        raise BundleError(
            "the bundle's customer file means something else to this version of umkit than to the one that packed it",
            where={"customer": job.customer},
            next="use the version that packed it, or have it packed again with this one; nothing was run",
        )
    # the record masks secrets in its inputs, which would then not be those of the bundle
    refuse_secrets(inputs, {job.customer_file: bundle.contents[job.customer_file]})
    return inputs


def _run(job: Job, inputs: CustomerFile, place: Path, **options: Any) -> RunSummary:
    options |= {"chapters": job.chapters, "runbooks": place / RUNBOOKS}
    if job.is_held_to_a_plan:
        return planned.apply(inputs, place / planfile.FILE, **options)
    return run(inputs, job.verb, **options)


def _earlier(home: Path, job: Job) -> list[str]:
    """The runs of a bundle in a customer's records."""
    found = (path for path in sorted(home.glob(f"*/{STATEMENT}")) if path.is_file())
    return [path.parent.name for path in found if path.read_bytes() == job.envelope]


def _export(record: Path, output: Path | None) -> Path:
    path = output or Path(f"{record.parent.name}-{record.name}.zip")
    try:
        proof.export(record, path)
    except UmkitError as error:
        error.next = f"the record is whole: umkit records export {record} -o FILE.zip"
        raise error.at(record=str(record)) from None
    return path
