"""Customer files for tests: the least that is valid, changed section by section."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from umkit import customer
from umkit.customer import CustomerFile
from umkit.errors import CustomerFileError, Problem

PARAMETERS = Path(__file__).resolve().parents[1] / "parameters"

#: The least a customer file has to say, one line a section.
LEAST = """\
customer: {name: acme}
exchange: {endpoint: "http://ex01.acme.example/PowerShell/", username: admin@acme.example, password: "env:PW"}
xphone: {address: 192.0.2.10}
um_services: [{name: fax, domain: fax.acme.example}]
imap4: {}
relay: {}
mapi: {account: MAPIAccount@acme.example}
ews: {}
"""


class _Loader(yaml.SafeLoader):
    """As a customer file is read: dates stay text."""


_Loader.yaml_implicit_resolvers = {
    first: [entry for entry in entries if not entry[0].endswith("timestamp")]
    for first, entries in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def changed(text: str = "") -> dict[str, Any]:
    """The least file's values with the keys of this YAML text put over them."""
    values: dict[str, Any] = yaml.load(LEAST, Loader=_Loader)
    for section, keys in (yaml.load(text, Loader=_Loader) or {}).items():
        over = isinstance(keys, dict) and isinstance(values.get(section), dict)
        values[section] = {**values[section], **keys} if over else keys
    return values


def accepted(text: str = "") -> CustomerFile:
    """The least file, changed, which has to be valid."""
    return customer.parse(changed(text), source="test")


def refused(text: str) -> list[Problem]:
    """The problems of the least file, changed."""
    with pytest.raises(CustomerFileError) as caught:
        customer.parse(changed(text), source="test")
    return caught.value.problems


def problem_of(key: str, value: Any) -> Problem | None:
    """The problem with one value in the least file; ``um_services.name`` is that of its one service."""
    values = changed()
    section, name = key.split(".")
    holder = values.setdefault(section, {})
    (holder[0] if isinstance(holder, list) else holder)[name] = value
    try:
        customer.parse(values, source="test")
    except CustomerFileError as error:
        [problem] = error.problems
        return problem
    return None


def wrong(text: str | bytes, folder: Path, name: str = "acme.yaml") -> list[Problem]:
    """The problems of a file with this text."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    with pytest.raises(CustomerFileError) as caught:
        customer.load(path)
    assert caught.value.__context__ is None, "the cause may hold values that must not be shown"
    assert caught.value.file == str(path)
    return caught.value.problems
