"""A new customer file: every key commented as in example.yaml, with a customer's values in it."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from umkit.customer.documents import example
from umkit.customer.editing import Document
from umkit.customer.loading import accept
from umkit.customer.source import read_bytes
from umkit.errors import UsageError

_HEAD: Final = """\
# yaml-language-server: $schema=schema.json
#
# A customer file: every key with what it is for, what is allowed and what holds when it is left out.
# Change what differs, leave out what may stay as it is, then run: umkit check CUSTOMER
# A password is never written down here; a key that needs one holds a reference:
#   prompt:WHAT  env:NAME  keyring:SERVICE/USER  keepass:FILE#ENTRY
"""

#: What a new file holds an example for, until somebody says what it is at this customer.
EXAMPLES: Final = ("exchange.endpoint", "xphone.address", "um_services", "mapi.account")


def first_values(name: str) -> dict[str, Any]:
    """The values that a new file begins with: defaults, and examples for what has to be given."""
    values = read_bytes(example().encode()).values
    values["customer"] |= {"name": name, "title": ""}
    values["exchange"] |= {"username": None, "password": None}
    values["hosts"] = {"exchange": [], "xphone": None, "directory": None}
    values["ews"]["user_principal_name"] = None
    values["consent"]["customer"] = None
    return values


def with_value(values: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """The values with another one under a dotted key such as ``exchange.endpoint``, or for a whole section."""
    changed = copy.deepcopy(dict(values))
    section, _, name = key.partition(".")
    if name:
        changed[section][name] = value
    else:
        changed[section] = value
    return changed


def begin(path: Path, values: Mapping[str, Any], *, open_keys: Sequence[str] = ()) -> None:
    """Write a new customer file.

    Arguments:
        path: the file, whose name is the customer's.
        values: the whole file's plain values, made from :func:`first_values`.
        open_keys: keys that still hold an example; its head says so.

    Raises ``UsageError`` when the file exists or cannot be written, ``CustomerFileError`` when it would not be valid.
    """
    told = "".join(f"# Still an example, to be filled in: {key}\n" for key in open_keys)
    text = example(f"{_HEAD}#\n{told}" if told else _HEAD).encode()
    data = Document(path, text, read_bytes(text).values).edited(values)
    accept(read_bytes(data), path)
    try:
        with path.open("xb") as file:  # never over a file that came meanwhile
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise exists(path) from None
    except OSError as error:
        raise UsageError(
            f"{path.name} cannot be written",
            where={"file": str(path)},
            seen=error.strerror or type(error).__name__,
            next="give write access there, or choose another folder with --parameters",
        ) from None


def exists(path: Path) -> UsageError:
    """The error to raise where there is a file already."""
    return UsageError(
        f"there is a customer file {path.name} already; nothing was written",
        where={"file": str(path)},
        next="choose another name, or change the file: it is never written over",
    )
