"""A customer file that is changed where it is kept: comments, order, quotes and blank lines stay as they are."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from umkit.customer.explain import printable
from umkit.customer.file import CustomerFile
from umkit.customer.loading import accept
from umkit.customer.source import LARGEST, Source, read_bytes
from umkit.customer.splice import Unspliceable, spliced
from umkit.customer.yaml_text import same
from umkit.durable import write_atomic
from umkit.errors import CustomerFileError, RecordError, UsageError
from umkit.secrets import redact

_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Document:
    """A customer file as it was read; it may still be invalid, but it is YAML without anything ambiguous.

    Arguments:
        path: the file.
        data: its bytes.
        values: what it says, as plain values.
    """

    path: Path
    data: bytes
    values: dict[str, Any]

    @classmethod
    def open(cls, path: Path | str) -> Document:
        """Read a file to be edited.

        Raises ``CustomerFileError`` when it cannot be read, or not in one way only: such a file a person has to mend.
        """
        path = Path(path)
        try:
            data = path.read_bytes() if path.stat().st_size <= LARGEST else b" " * (LARGEST + 1)
        except (OSError, ValueError) as error:
            unread = Source()
            unread.wrong(f"cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}")
            raise CustomerFileError(printable(str(path)), unread.problems) from None
        source = read_bytes(data)
        if source.problems:
            raise CustomerFileError(printable(str(path)), source.problems)
        return cls(path, data, source.values)

    @property
    def sha256(self) -> str:
        """What tells this state of the file from any other."""
        return hashlib.sha256(self.data).hexdigest()

    def edited(self, values: Mapping[str, Any]) -> bytes:
        """The file's bytes with other values; where nothing differs, the same bytes.

        Arguments:
            values: the whole file's plain values, as :attr:`values` has them; a key that is not in them is taken out.

        Raises ``UsageError`` where the file is written in a way in which this cannot be changed in place.
        """
        wanted = dict(values)
        bom = _BOM if self.data.startswith(_BOM) else b""
        try:
            text = spliced(self.data[len(bom) :].decode("utf-8"), self.values, wanted)
            made = bom + text.encode("utf-8")
            read = read_bytes(made)
        except (Unspliceable, UnicodeEncodeError):
            read = Source()
        if read.problems or not same(read.values, wanted):
            raise UsageError(
                f"{printable(self.path.name)} is written in a way in which this change cannot be made in place",
                where={"file": str(self.path)},
                next="make the change in an editor; the file is as it was",
            )
        return made

    def save(self, values: Mapping[str, Any]) -> tuple[Document, CustomerFile]:
        """Write other values into the file, all or none, and give back what is there now.

        Arguments:
            values: the whole file's plain values; only what differs is touched.

        Raises ``CustomerFileError`` when the file would not be valid, ``UsageError`` when somebody else has changed it
        since it was read, when a changed value holds a secret, or when it cannot be written; the file is then as it
        was.
        """
        data = self.edited(values)
        file = accept(read_bytes(data), self.path)
        for key, value in _differing("", self.values, dict(values)):
            if redact(value) != value:
                raise UsageError(
                    f"{key} holds a secret that is in use here; a secret is never written down",
                    seen="(hidden)",
                    expected="a reference to it, in the key that is there for it",
                    next="take it out; the file is as it was",
                )
        target = self.path.resolve()  # a link stays a link
        try:
            if target.read_bytes() != self.data:
                raise self._elsewhere("was changed by somebody else since it was read")
            if data != self.data:
                write_atomic(target, data, mode=stat.S_IMODE(target.stat().st_mode))
        except FileNotFoundError:
            raise self._elsewhere("is gone since it was read") from None
        except (OSError, RecordError) as error:
            seen = error.seen if isinstance(error, RecordError) else error.strerror or type(error).__name__
            raise UsageError(
                f"{printable(self.path.name)} cannot be written",
                where={"file": str(self.path)},
                seen=seen,
                next="give write access or make room, then save again; the file is as it was",
            ) from None
        return Document(self.path, data, dict(values)), file

    def _elsewhere(self, what: str) -> UsageError:
        return UsageError(
            f"{printable(self.path.name)} {what}; nothing was written",
            where={"file": str(self.path)},
            next="read it anew, then make the change again",
        )


def _differing(key: str, old: Any, new: Any) -> Iterator[tuple[str, str]]:
    """Each text that is new, with its key."""
    if isinstance(new, dict):
        before = old if isinstance(old, dict) else {}
        for name, value in new.items():
            yield from _differing(f"{key}.{name}" if key else str(name), before.get(name), value)
    elif isinstance(new, list):
        known = old if isinstance(old, list) else []
        for index, value in enumerate(new):
            if not any(same(value, each) for each in known):
                yield from _differing(f"{key}[{index}]", known[index] if index < len(known) else None, value)
    elif isinstance(new, str) and new != old:
        yield key, new
