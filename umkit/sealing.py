"""Signatures of a record: who says that this manifest is the record of that run.

A signature is two files at the record's top level. ``signature.dsse.json`` is a DSSE envelope around an in-toto
Statement: the manifest's SHA-256, the run, and who signs it in which role and when. ``signature.sshsig`` is the same
key's SSH signature of the manifest, which stock ``ssh-keygen`` verifies, and which carries the public key. A
customer's acceptance is a further pair, ``signature-acceptance.*``; its statement names the files of the earlier
signatures too, so that none of them can be exchanged or taken away behind its back.

Sources: :mod:`umkit.dsse` and :mod:`umkit.sshsig`.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from umkit import dsse, sshsig
from umkit.customer.explain import printable
from umkit.durable import write_atomic
from umkit.errors import RecordError, UmkitError, UsageError
from umkit.journal import read
from umkit.keys import PublicKey, SigningKey, configured

PREDICATE_TYPE = "urn:umkit:record:v1"
CONSULTANT = "consultant"
ACCEPTANCE = "acceptance"

_MANIFEST = "manifest.json"
_JOURNAL = "journal.jsonl"
_ENVELOPE = re.compile(r"signature(-(acceptance)(-[2-9]|-[1-9]\d+)?)?\.dsse\.json")
_ENDING = ".dsse.json"
_SSH_ENDING = ".sshsig"


@dataclass(frozen=True)
class Signature:
    """One signature, as it was found; its words count only where ``valid`` is true.

    Arguments:
        file: the envelope's file name.
        role: ``consultant`` or ``acceptance``.
        who: who signed, in their own words.
        at: when, by their own clock; ISO 8601, UTC.
        key: the key; ``None`` where it could not be told.
        valid: whether it holds, for this manifest.
        known: whether the key is one of those it was checked against.
        statement: all that was signed.
    """

    file: str
    role: str
    who: str
    at: str
    key: PublicKey | None
    valid: bool
    known: bool
    statement: Mapping[str, Any]

    @property
    def ssh_file(self) -> str:
        """The name of the SSH signature beside the envelope."""
        return _ssh_name(self.file)

    def __str__(self) -> str:
        fingerprint = self.key.fingerprint if self.key else "an unknown key"
        return f"{self.role}: {self.who}, {self.at}, {fingerprint}"

    def as_dict(self) -> dict[str, Any]:
        """The signature as JSON-ready values."""
        return {
            "role": self.role,
            "who": self.who,
            "at": self.at,
            "key": self.key.fingerprint if self.key else "",
            "valid": self.valid,
            "known": self.known,
            "file": self.file,
        }


def sign(folder: Path, key: SigningKey, *, role: str = CONSULTANT, who: str = "", now: datetime | None = None) -> Path:
    """Sign a sealed record.

    Arguments:
        folder: the record; it has its manifest.
        key: the signer's key.
        role: ``consultant``, once, or ``acceptance``, once for each key.
        who: who signs; whose key it is.
        now: when; now.

    Returns the envelope's path. Raises ``UsageError`` when the record is not sealed, or signed so already;
    ``RecordError`` when it cannot be read or written.
    """
    earlier = signatures(folder)
    if not (folder / _MANIFEST).is_file():
        raise UsageError("a record that is not sealed cannot be signed", where={"record": str(folder)})
    if role == CONSULTANT and any(entry.role == CONSULTANT for entry in earlier):
        raise UsageError("the record is signed already", where={"record": str(folder)}, seen=str(earlier[0]))
    if any(entry.key == key.public for entry in earlier):
        raise UsageError(
            "this key has signed the record already",
            where={"record": str(folder)},
            seen=key.public.fingerprint,
            next="accept it with a key of the customer's own: umkit keys new",
        )
    subjects = [_MANIFEST]
    if role == ACCEPTANCE:
        subjects += sorted(name for entry in earlier for name in (entry.file, entry.ssh_file))
    path = folder / _free_name(role, {entry.file for entry in earlier})
    at = (now or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    signer = {"role": role, "who": who.strip() or key.who, "at": at}
    envelope = dsse.sign(_statement(folder, subjects, signer), key)
    # the envelope comes last: whoever finds it finds a whole signature
    write_atomic(folder / _ssh_name(path.name), str(sshsig.sign(_bytes(folder, _MANIFEST), key.private)))
    write_atomic(path, bytes(envelope))
    return path


def sign_if_key(folder: Path, *, interactive: bool | None = None) -> str:
    """Sign a record that was just sealed, where a key is configured (:func:`umkit.keys.configured`).

    A record is worth more without a signature than not at all, so this raises nothing.

    Arguments:
        folder: the record.
        interactive: whether a person is there to be asked for the passphrase; else as standard input tells.

    Returns a sentence: by whom it is signed, or ``not signed`` and why.
    """
    asked = sys.stdin is not None and sys.stdin.isatty() if interactive is None else interactive
    try:
        found = configured()
        if found is None:
            return "not signed: there is no key (umkit keys new)"
        key = found.open(interactive=asked)
        sign(folder, key)
    except UmkitError as error:
        return f"not signed: {error.what}" + (f" ({error.seen})" if error.seen else "")
    return f"signed by {key.who}, {key.public.fingerprint}"


def signatures(folder: Path, keys: Iterable[PublicKey] = ()) -> list[Signature]:
    """The signatures of a record, the consultant's first; a broken one has ``valid`` false.

    Arguments:
        folder: the record.
        keys: the public keys that are known.
    """
    return check(folder, tuple(keys))[0]


def check(folder: Path, keys: Sequence[PublicKey] = (), *, required: bool = False) -> tuple[list[Signature], list[str]]:
    """The signatures of a record and everything that is wrong with them, one sentence each, naming the file.

    That the files are those which the manifest lists, :func:`umkit.record.verify` tells.

    Arguments:
        folder: the record.
        keys: the public keys that are known; a signature with another key is only checked in itself, with the key that
            it brings along.
        required: whether each of the keys has to have signed.
    """
    examined = [_examine(folder, name, tuple(keys)) for name in _envelopes(folder)]
    made = [signature for signature, _ in examined]
    found = [problem for _, problems in examined for problem in problems]
    found += _strays(folder, {name for entry in made for name in (entry.file, entry.ssh_file)})
    found += [
        f"{entry.file}: the record is accepted with the key that signed it"
        for position, entry in enumerate(made)
        if entry.key is not None and entry.key in [other.key for other in made[:position]]
    ]
    if required:
        signers = [entry.key for entry in made if entry.valid]
        others = [entry.file for entry in made if not (entry.valid and entry.known)]
        place = ", ".join(others) or f"signature{'*' if made else ''}{_ENDING}"
        why = "" if made else ": the record is not signed"
        found += [f"{place}: no valid signature with {key.fingerprint}{why}" for key in keys if key not in signers]
    return made, found


def _examine(folder: Path, name: str, keys: tuple[PublicKey, ...]) -> tuple[Signature, list[str]]:
    """One signature and what is wrong with it."""
    role = ACCEPTANCE if ACCEPTANCE in name else CONSULTANT
    try:
        data = _bytes(folder, name)
        envelope = dsse.parse(data)
        statement = json.loads(envelope.payload)
        signer = statement["predicate"]["signer"]
        who, at, said = (printable(str(signer[name])) for name in ("who", "at", "role"))  # anybody may have written it
        subjects = {str(entry["name"]): str(entry["digest"]["sha256"]) for entry in statement["subject"]}
        types = statement["_type"], statement["predicateType"]
    except (RecordError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        nothing = Signature(name, role, "", "", None, valid=False, known=False, statement={})
        return nothing, [f"{name}: cannot be read ({type(error).__name__}): changed", *_brought(folder, name)[1]]
    found = []
    if bytes(envelope) != data:
        found.append(f"{name}: not as the kit writes it: changed")
    brought, problems = _brought(folder, name)
    found += problems
    candidates = [*keys, *([brought] if brought else [])]
    key = next((key for key in candidates if envelope.is_signed_by(key)), None)
    if key is None:
        unknown = "" if brought else ", or made with a key that is not known"
        found.append(f"{name}: the signature does not hold: changed{unknown}")
    elif key.fingerprint != envelope.keyid:
        found.append(f"{name}: names another key than the one that signed it: changed")
    if key and brought and key != brought:
        found.append(f"{_ssh_name(name)}: made with another key than {name}: changed")
    if types != (dsse.STATEMENT_TYPE, PREDICATE_TYPE) or said != role or _MANIFEST not in subjects:
        found.append(f"{name}: is no signature of a record as {role}: changed or renamed")
    for subject, digest in sorted(subjects.items()):
        found += _differs(folder, subject, digest, name)
    signature = Signature(name, role, who, at, key, valid=not found, known=key in keys, statement=statement)
    return signature, found


def _strays(folder: Path, expected: set[str]) -> list[str]:
    """Files that are called as signatures and belong to none, and the envelopes that they tell are missing."""
    found = []
    for path in sorted(folder.glob("signature*")):
        if path.name in expected or not path.is_file():
            continue
        envelope = path.name.removesuffix(_SSH_ENDING) + _ENDING
        if path.name.endswith(_SSH_ENDING) and _ENVELOPE.fullmatch(envelope):
            found.append(f"{envelope}: missing, and {path.name} is there: removed, or a crash while it was signed")
        else:
            found.append(f"{printable(path.name)}: belongs to no signature of the record: added")
    return found


def _brought(folder: Path, name: str) -> tuple[PublicKey | None, list[str]]:
    """The public key that the SSH signature beside an envelope carries, and what is wrong with that signature."""
    file = _ssh_name(name)
    if not (folder / file).is_file():
        return None, [f"{file}: missing"]
    try:
        data = _bytes(folder, file)
        signature = sshsig.parse(data.decode("ascii"))
        if str(signature).encode("ascii") != data:
            return None, [f"{file}: not as the kit writes it: changed"]
        if signature.verifies(_bytes(folder, _MANIFEST)):
            return PublicKey(signature.public), []
        return None, [f"{file}: does not hold for {_MANIFEST}: one of them was changed"]
    except (RecordError, ValueError) as error:
        return None, [f"{file}: cannot be read ({type(error).__name__}): changed"]


def _differs(folder: Path, subject: str, digest: str, name: str) -> list[str]:
    if Path(subject).name != subject or not (folder / subject).is_file():
        return [f"{printable(subject)}: missing, and {name} was made over it"]
    try:
        same = _sha256(folder, subject) == digest
    except RecordError as error:
        return [f"{subject}: cannot be read: {error.seen}"]
    return [] if same else [f"{subject}: not as it was when {name} was made: changed"]


def _statement(folder: Path, subjects: Sequence[str], signer: Mapping[str, str]) -> dict[str, Any]:
    """The in-toto Statement about a record."""
    events = read(folder / _JOURNAL)
    start: Mapping[str, Any] = next((event for event in events if event["event"] == "run-start"), {})
    end: Mapping[str, Any] = next((event for event in reversed(events) if event["event"] == "run-end"), {})
    try:
        manifest = json.loads(_bytes(folder, _MANIFEST))
        run = {"run": str(manifest["run"]), "customer": str(manifest["customer"])}
    except (ValueError, KeyError, TypeError) as error:
        where = {"file": str(folder / _MANIFEST)}
        raise RecordError("the manifest cannot be read", where=where, seen=type(error).__name__) from error
    return {
        "_type": dsse.STATEMENT_TYPE,
        "subject": [
            {"name": name, "digest": {"sha256": _sha256(folder, name)}, "annotations": run} for name in subjects
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            **run,
            "mode": str(start.get("mode", "")),
            "result": str(end.get("result", "unknown")),
            "kit": str(start.get("kit", "")),
            "started": start.get("time"),
            "ended": end.get("time"),
            "signer": dict(signer),
        },
    }


def _envelopes(folder: Path) -> list[str]:
    names = [path.name for path in folder.glob(f"signature*{_ENDING}") if path.is_file()]
    return sorted(filter(_ENVELOPE.fullmatch, names), key=lambda name: (len(name), name))


def _free_name(role: str, taken: set[str]) -> str:
    if role == CONSULTANT:
        return f"signature{_ENDING}"
    numbers = (f"signature-{role}{f'-{number}' if number > 1 else ''}{_ENDING}" for number in itertools.count(1))
    return next(name for name in numbers if name not in taken)


def _ssh_name(envelope: str) -> str:
    return envelope.removesuffix(_ENDING) + _SSH_ENDING


def _sha256(folder: Path, name: str) -> str:
    return hashlib.sha256(_bytes(folder, name)).hexdigest()


def _bytes(folder: Path, name: str) -> bytes:
    try:
        if (folder / name).exists() and not (folder / name).is_file():  # a pipe would be waited for
            raise OSError(errno.EINVAL, "no file")
        return (folder / name).read_bytes()
    except OSError as error:
        raise RecordError(
            f"{name} cannot be read", where={"file": str(folder / name)}, seen=error.strerror or str(error)
        ) from error
