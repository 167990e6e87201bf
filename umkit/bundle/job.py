"""The signed statement of a bundle, and a bundle that is held to it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from umkit import __version__, dsse, planfile
from umkit.archive import unpacked
from umkit.customer.explain import printable
from umkit.errors import BundleError
from umkit.keys import PublicKey

PREDICATE_TYPE: Final = "urn:umkit:bundle:v1"
#: The file of the signed statement, in the bundle and in the record of its run.
STATEMENT: Final = "bundle.dsse.json"
PARAMETERS: Final = "parameters"
RUNBOOKS: Final = "runbooks"
README: Final = "README.txt"
#: What a bundle can ask for. A rollback needs the record of the run that it takes back.
VERBS: Final = ("plan", "apply", "verify")

_AGAIN: Final = "have it packed again: umkit pack CUSTOMER; nothing was run"


@dataclass(frozen=True)
class Job:
    """What a bundle asks for, as its signed statement says it.

    Arguments:
        customer: the customer's name.
        verb: ``plan``, ``apply`` or ``verify``.
        chapters: the chapters, in order.
        inputs: fingerprint of the customer file's values (:func:`umkit.planfile.fingerprint`).
        kit: the version of the kit that packed it.
        who: who packed it; whose key it is.
        at: when, by their own clock; ISO 8601, UTC.
        key: the key that signed it.
        files: every file of the bundle but the statement → its SHA-256.
        envelope: the signed statement's bytes.
    """

    customer: str
    verb: str
    chapters: Sequence[str]
    inputs: str
    kit: str
    who: str
    at: str
    key: PublicKey
    files: Mapping[str, str]
    envelope: bytes

    @property
    def sha256(self) -> str:
        """The bundle's digest: that of its signed statement, which names every other file's."""
        return hashlib.sha256(self.envelope).hexdigest()

    @property
    def customer_file(self) -> str:
        """The customer file's name in the bundle."""
        return next((name for name in self.files if name.startswith(f"{PARAMETERS}/")), "")

    @property
    def is_held_to_a_plan(self) -> bool:
        """Whether it is an apply of a plan file."""
        return planfile.FILE in self.files

    def __str__(self) -> str:
        return f"{self.customer}, {self.verb}, packed by {printable(self.who)} at {printable(self.at)}"


@dataclass(frozen=True)
class Bundle:
    """A bundle that is as it was signed: the job, and the contents of its files by name."""

    job: Job
    contents: Mapping[str, bytes]


def open_bundle(path: Path, trusted: Sequence[PublicKey]) -> Bundle:
    """Read a bundle and hold everything in it to its signed statement; nothing is written anywhere.

    Arguments:
        path: the zip file.
        trusted: the public keys whose jobs are taken.

    Raises ``UsageError`` when it is no zip file of the kit's, ``BundleError`` when it is not signed with one of the
    keys, or not as it was signed.
    """
    where = {"bundle": str(path)}
    contents = unpacked(path, "bundle", next=_AGAIN)
    if STATEMENT not in contents:
        raise BundleError(
            f"{printable(path.name)} is no bundle", where=where, seen=f"there is no {STATEMENT} in it", next=_AGAIN
        )
    try:
        job = read_job(contents.pop(STATEMENT), trusted)
    except BundleError as error:
        raise error.at(**where) from None
    found = [f"{name}: missing" for name in sorted(job.files.keys() - contents.keys())]
    found += [f"{name}: added" for name in sorted(contents.keys() - job.files.keys())]
    found += [
        f"{name}: changed"
        for name, data in sorted(contents.items())
        if name in job.files and hashlib.sha256(data).hexdigest() != job.files[name]
    ]
    if found:
        raise BundleError(
            "the bundle is not as it was signed", where=where, seen=printable("; ".join(found[:5])), next=_AGAIN
        )
    return Bundle(job, contents)


def read_job(envelope: bytes, trusted: Sequence[PublicKey]) -> Job:
    """A job from its signed statement, where one of the trusted keys signed it.

    Raises ``BundleError`` when none did, or when it is no statement of a bundle.
    """
    try:
        found = dsse.parse(envelope)
        if bytes(found) != envelope:
            raise ValueError("not as the kit writes it")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(f"{STATEMENT} was changed", seen=type(error).__name__, next=_AGAIN) from None
    key = next((key for key in trusted if found.is_signed_by(key)), None)
    if key is None or key.fingerprint != found.keyid:
        if key is not None or found.keyid in [each.fingerprint for each in trusted]:
            raise BundleError(f"{STATEMENT} was changed: its signature does not hold", next=_AGAIN)
        raise BundleError(
            "the bundle is signed with a key that is not trusted here",
            seen=printable(found.keyid),
            expected=", ".join(each.fingerprint for each in trusted) or "a key; none is trusted here",
            next="ask the one who packed it, by another way than the bundle came, whether this is their key; "
            "then give their public key with --key",
        )
    try:
        return _job(json.loads(found.payload), key, envelope)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(
            "what is signed is no job of a bundle", seen=printable(f"{type(error).__name__}: {error}"), next=_AGAIN
        ) from None


def refuse_other_kit(job: Job) -> None:
    """Raise ``BundleError`` where this kit is not one that the job's notebooks were made for.

    By Semantic Versioning: the same major version, at least its minor one; below 1.0 the same minor one.
    """
    here, there = _version(__version__), _version(job.kit)
    fits = here and there and here[0] == there[0] and (here[1] >= there[1] if here[0] else here[1] == there[1])
    if not fits:
        raise BundleError(
            "the bundle was packed with a version of umkit that this one does not go with",
            seen=f"packed with {printable(job.kit)}, here is {__version__}",
            expected=".".join(map(str, there)) + (" or later" if there[0] else "") if there else "a version",
            next="install that version here, or have it packed again with this one; nothing was run",
        )


def _job(statement: Mapping[str, Any], key: PublicKey, envelope: bytes) -> Job:
    predicate = statement["predicate"]
    texts = [predicate[name] for name in ("customer", "verb", "inputs", "kit")]
    texts += [predicate["signer"][name] for name in ("who", "at")]
    chapters = list(predicate["chapters"])
    files = {entry["name"]: entry["digest"]["sha256"] for entry in statement["subject"]}
    if any(not isinstance(text, str) for text in (*texts, *chapters, *files, *files.values())):
        raise TypeError("a name is no text")
    customer, verb, inputs, kit, who, at = texts
    if (statement["_type"], statement["predicateType"]) != (dsse.STATEMENT_TYPE, PREDICATE_TYPE):
        raise ValueError(f"it is a {statement['predicateType']}")
    job = Job(customer, verb, chapters, inputs, kit, who, at, key, files, envelope)
    expected = {README, job.customer_file, *(f"{RUNBOOKS}/{chapter}.ipynb" for chapter in chapters)}
    if verb == "apply" and job.is_held_to_a_plan:
        expected.add(planfile.FILE)
    if verb not in VERBS or not chapters or files.keys() != expected or len(statement["subject"]) != len(files):
        raise ValueError("its files are not those of its verb and chapters")
    return job


def _version(text: str) -> tuple[int, int] | None:
    found = re.match(r"(\d{1,6})\.(\d{1,6})(?=\.|$)", text)
    return (int(found[1]), int(found[2])) if found else None
