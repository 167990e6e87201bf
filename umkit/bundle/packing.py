"""Packing a bundle: the customer file, the notebooks, the plan, and the signature over them."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umkit import __version__, dsse, planfile
from umkit.archive import fault_of, packed
from umkit.bundle.job import PARAMETERS, PREDICATE_TYPE, README, RUNBOOKS, STATEMENT, VERBS, Job, read_job
from umkit.durable import write_atomic
from umkit.errors import BundleError, SecretError, UsageError
from umkit.headless import folder, planned
from umkit.headless.run import notebooks
from umkit.secrets import redact

if TYPE_CHECKING:
    from umkit.customer import CustomerFile
    from umkit.keys import SigningKey


def pack(
    inputs: CustomerFile,
    output: Path,
    *,
    verb: str,
    key: SigningKey,
    chapters: Sequence[str] = (),
    runbooks: Path | None = None,
    plan: Path | None = None,
    now: datetime | None = None,
) -> Job:
    """Pack a run of a customer's chapters, and sign it.

    The same job of the same moment gives the same bytes, on every machine.

    Arguments:
        inputs: the customer file, as it was loaded from its path.
        output: the zip file; replaced where there is one.
        verb: ``plan``, ``apply`` or ``verify``.
        key: who packs it.
        chapters: names or numbers; without any those that a run takes (:func:`umkit.headless.run`), or the plan's.
        runbooks: folder of the notebooks; see :func:`umkit.headless.folder`.
        plan: a plan file that the apply is held to.
        now: when; now.

    Raises ``UsageError`` when this cannot be run, ``BundleError`` when a secret stands in one of its files,
    ``RecordError`` when the file cannot be written.
    """
    if verb not in VERBS:
        raise UsageError(f"a bundle cannot ask for {verb}", expected="one of " + ", ".join(VERBS))
    if plan is not None:
        if verb != "apply":
            raise UsageError("only an apply is held to a plan", seen=verb, next="leave out --plan, or apply")
        chapters = planned.usable(plan, inputs, chapters).chapters
    executed = notebooks(runbooks or folder(RUNBOOKS), chapters, inputs)
    source = Path(inputs.source)
    files = {f"{PARAMETERS}/{source.name}": source} | {f"{RUNBOOKS}/{path.name}": path for path in executed}
    if plan is not None:
        files[planfile.FILE] = plan
    if fault := fault_of(files):
        raise UsageError("a file cannot be packed under its name", seen=fault, next="give it another name")
    contents = {name: _read(path) for name, path in files.items()}
    at = (now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    predicate = {
        "customer": inputs.customer.name,
        "verb": verb,
        "chapters": [path.stem for path in executed],
        "inputs": planfile.fingerprint(inputs.dump()),
        "kit": __version__,
        "signer": {"role": "consultant", "who": key.who, "at": at},
    }
    contents[README] = _readme(predicate, inputs, key).encode("utf-8")
    refuse_secrets(inputs, contents)
    statement = {
        "_type": dsse.STATEMENT_TYPE,
        "subject": [
            {"name": name, "digest": {"sha256": hashlib.sha256(data).hexdigest()}}
            for name, data in sorted(contents.items())
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }
    contents[STATEMENT] = bytes(dsse.sign(statement, key))
    write_atomic(output, packed(contents))
    return read_job(contents[STATEMENT], [key.public])


def refuse_secrets(inputs: CustomerFile, contents: Mapping[str, bytes]) -> None:
    """Raise ``BundleError`` where a secret that can be fetched here, or is known already, stands in a file.

    Arguments:
        inputs: the customer file; its references are followed, and nobody is asked.
        contents: the files by name.
    """
    for reference in inputs.references().values():
        with contextlib.suppress(SecretError):  # it is kept where the job is run
            reference.resolve(interactive=False)
    for name, data in sorted(contents.items()):
        text = data.decode("utf-8", "replace")
        if (masked := redact(text)) != text:
            same = next((at for at, (one, other) in enumerate(zip(text, masked, strict=False)) if one != other), 0)
            raise BundleError(
                "a secret stands in a file of the bundle",
                where={"file": name, "line": str(text.count("\n", 0, same) + 1)},
                seen="(hidden)",
                next="take it out there; where the password is a word that occurs anyway, choose another password",
            )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read", seen=error.strerror or type(error).__name__) from error


def _readme(predicate: Mapping[str, Any], inputs: CustomerFile, key: SigningKey) -> str:
    references = [f"    {name}: {reference}" for name, reference in inputs.references().items()]
    lines = [
        f"A job for umkit: {predicate['verb']}, customer {predicate['customer']}",
        "",
        "Chapters: " + ", ".join(predicate["chapters"]),
        f"Packed by {key.who} at {predicate['signer']['at']} with umkit {predicate['kit']} and the key",
        "",
        f"    {key.public.fingerprint}",
        "",
        "It is run on a machine that reaches the customer's servers:",
        "",
        "    umkit run-bundle BUNDLE.zip --key PUBLIC-KEY.pem",
        "",
        "The public key is not in this file: have it from the one who packed the job, by another way than this file",
        "came. The run keeps its record there and writes an export of it, a second zip file. Carry that one back:",
        "",
        f"    umkit import {predicate['customer']}-RUN.zip --bundle BUNDLE.zip",
    ]
    if references:
        lines += ["", "Secrets are not in this file. They are fetched there when they are needed:", "", *references]
    return "\n".join(lines) + "\n"
