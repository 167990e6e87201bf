"""What a record proves: everything checked together, and a copy that others can check.

:func:`examine` checks the files against the manifest, the journal's chain and the signatures; :func:`export` packs a
record so that a receiver can do the same, with this kit or with OpenSSH alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from umkit import attestation, record, sealing, sshsig
from umkit.archive import packed
from umkit.customer.explain import printable
from umkit.durable import write_atomic
from umkit.errors import RecordError, UsageError
from umkit.keys import PublicKey
from umkit.sealing import Signature

#: What an export says to whoever opens it.
README = "README.txt"


@dataclass(frozen=True)
class Proof:
    """What was found when a record was checked.

    Arguments:
        folder: the record.
        run: the run's id, as the folder says.
        customer: the customer, as the folder says.
        problems: what is not as it was sealed or signed, one sentence each, naming the file and the place.
        notes: what a reader should know and is no tampering.
        signatures: the signatures, good and bad.
    """

    folder: Path
    run: str
    customer: str
    problems: Sequence[str]
    notes: Sequence[str]
    signatures: Sequence[Signature]

    def as_dict(self) -> dict[str, Any]:
        """The findings as JSON-ready values."""
        return {
            "run": self.run,
            "customer": self.customer,
            "record": str(self.folder),
            "whole": not self.problems,
            "problems": list(self.problems),
            "notes": list(self.notes),
            "signatures": [signature.as_dict() for signature in self.signatures],
        }


def examine(folder: Path, keys: Sequence[PublicKey] = (), *, required: bool = False, home: str = "") -> Proof:
    """Check a record: signatures, manifest, every file, the journal's chain, and what it was attested with.

    Arguments:
        folder: the record.
        keys: the public keys that are known.
        required: whether each of them has to have signed.
        home: the customer in whose folder the record lies, beside the attestations and their evidence; empty where it
            lies elsewhere.
    """
    findings = record.verify(folder)
    # names of files are those that somebody gave them: none may speak to a terminal
    problems = [printable(finding) for finding in findings if not finding.explained]
    notes = [printable(finding) for finding in findings if finding.explained]
    manifest = _manifest(folder)
    for name, is_there in (("run", folder.name), ("customer", home)):
        if manifest and is_there and (said := manifest.get(name)) != is_there:
            whose = printable(str(said))
            problems.append(
                f"{record.MANIFEST}: is that of the {name} {whose}, not of {is_there}: exchanged or renamed"
            )
    if home:
        problems += [printable(problem) for problem in attestation.problems(folder.parent)]
    signatures, wrong = sealing.check(folder, keys, required=required)
    problems += [problem for problem in wrong if problem not in problems]
    if not signatures:
        notes.append("not signed: whoever can write here can change the record and seal it again")
    notes += [
        f"{signature.file}: signed with a key that is not known here: {signature}"
        for signature in signatures
        if signature.valid and not signature.known
    ]
    return Proof(folder, folder.name, folder.parent.name, problems, notes, signatures)


def find(run: str, records: Path) -> Path:
    """The folder of a record.

    Arguments:
        run: a run's id or the beginning of one that no other has, with ``CUSTOMER/`` before it or without; ``latest``;
            or a record's path.
        records: the folder of all records.

    Raises ``UsageError`` when there is no such record, or more than one.
    """
    path = Path(run)
    if path.is_dir() and any((path / name).is_file() for name in (record.JOURNAL, record.MANIFEST)):
        return path.resolve()
    if run == "latest" and (listed := record.listing(records)):
        return listed[0].folder.resolve()
    runs = record.runs(records)
    for matches in (_matching(runs, run, whole=True), _matching(runs, run, whole=False)):
        if len(matches) == 1:
            return matches[0].resolve()
        if matches:
            raise UsageError(
                f"{run} is not one run",
                where={"records": str(records)},
                seen=", ".join(f"{folder.parent.name}/{folder.name}" for folder in matches[:5]),
                next="name more of it, as CUSTOMER/RUN",
            )
    raise UsageError(
        f"there is no run {run}",
        where={"records": str(records)},
        expected="a run's id, the beginning of one, latest, or a record's folder",
        next="see them: umkit records list",
    )


def export(folder: Path, output: Path) -> list[Signature]:
    """Pack a record into a zip file, with what a receiver needs to check it.

    The same record gives the same bytes, on every machine. The public keys are those that the signatures carry.

    Arguments:
        folder: the record.
        output: the zip file; replaced where there is one.

    Returns the record's signatures.

    Raises ``RecordError`` when the record is not whole or cannot be read, ``UsageError`` when the zip file would lie
    in it.
    """
    proof = examine(folder)
    if proof.problems:
        raise RecordError(
            "a record that is not whole is not exported",
            where={"record": str(folder)},
            seen="; ".join(proof.problems[:3]),
            next="see all of it: umkit records verify RUN",
        )
    if folder.resolve() in output.resolve().parents:
        raise UsageError("the zip file would become a part of the record", where={"file": str(output)})
    manifest = _manifest(folder)
    customer = str(manifest.get("customer", ""))
    if not customer or Path(customer).name != customer:  # it becomes a folder where the receiver unpacks
        raise RecordError("the manifest names no customer", where={"record": str(folder)}, seen=customer)
    home = f"{customer}/{folder.name}"
    names = [record.MANIFEST, *manifest["files"]]
    names += [name for signature in proof.signatures for name in (signature.file, signature.ssh_file)]
    try:
        contents = {f"{home}/{name}": (folder / name).read_bytes() for name in names}
    except OSError as error:
        raise RecordError(
            "a file of the record cannot be read", where={"record": str(folder)}, seen=error.strerror or str(error)
        ) from error
    contents |= companions(home, proof.signatures)
    write_atomic(output, packed(contents))
    return list(proof.signatures)


def companions(home: str, signatures: Sequence[Signature]) -> dict[str, bytes]:
    """What lies beside a record in its export: the public keys, and how to check the record with them.

    Arguments:
        home: where the record lies in the export: ``CUSTOMER/RUN``.
        signatures: the record's.
    """
    contents = {README: _readme(home, signatures).encode("utf-8")}
    lines = []
    for signature in signatures:
        if signature.key is not None:
            contents[_public_name(signature)] = signature.key.pem.encode("ascii")
            lines.append(signature.key.allowed_signer(signature.role))
    if lines:
        contents["allowed_signers"] = "".join(lines).encode("ascii")
    return contents


def _matching(runs: Sequence[Path], text: str, *, whole: bool) -> list[Path]:
    found = []
    for folder in runs:
        names = (folder.name, f"{folder.parent.name}/{folder.name}")
        if text and any(name == text if whole else name.startswith(text) for name in names):
            found.append(folder)
    return found


def _manifest(folder: Path) -> dict[str, Any]:
    if not (folder / record.MANIFEST).is_file():
        return {}
    try:
        manifest = json.loads((folder / record.MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _public_name(signature: Signature) -> str:
    return signature.file.replace("signature", "public-key", 1).removesuffix(".dsse.json") + ".pem"


def _readme(home: str, signatures: Sequence[Signature]) -> str:
    lines = [
        f"The record of one run: {home}",
        "",
        f"{home}/{record.MANIFEST} lists every file of the record with its size and SHA-256.",
    ]
    if not signatures:
        lines += ["", "The record is NOT SIGNED: it shows mistakes, not who wrote it.", "", "Check it:", ""]
        lines.append(f"    umkit records verify {home}")
        return "\n".join(lines) + "\n"
    lines += ["", "Signed by:", ""]
    for signature in signatures:
        assert signature.key is not None  # a whole record has no signature without a key
        lines.append(f"    {signature.role}: {signature.who}, {signature.at}")
        lines.append(f"        {signature.key.fingerprint}  ({_public_name(signature)})")
    lines += [
        "",
        "The public keys came in the same file as the record. Compare their fingerprints with what the signers",
        "tell you by another way, or use the keys that you have from them; else the signatures prove nothing.",
        "",
        "Check everything with umkit, from this folder:",
        "",
        f"    umkit records verify {home} " + " ".join(f"--key {_public_name(signature)}" for signature in signatures),
        "",
        f"Check the signatures of {record.MANIFEST} with OpenSSH 8.1 or newer, from this folder:",
        "",
    ]
    lines += [
        f"    ssh-keygen -Y verify -f allowed_signers -I {signature.role} -n {sshsig.NAMESPACE} "
        f"-s {home}/{signature.ssh_file} < {home}/{record.MANIFEST}"
        for signature in signatures
    ]
    lines += [
        "",
        "PowerShell knows no <; use cmd.exe there. Then compare each file's SHA-256 with the manifest's.",
    ]
    return "\n".join(lines) + "\n"
