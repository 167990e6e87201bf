"""Calls on the lab's endpoints without a wire, and their answers as Python values."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

from umkit.lab.model import EndpointService, ErrorRecord, Invocation, Reply
from umkit.lab.organisation import Organisation, load

SHIPPED = Path(__file__).resolve().parents[1] / "umkit" / "lab" / "organisations" / "clean-2019-dag.yaml"
ADMIN = "ALLEO\\umadmin"


class Running:
    """A Control without input whose pipeline nobody stops, unless the test does."""

    def __init__(self, *given: Any) -> None:
        self.stopped = threading.Event()
        self.input = given


def described(tmp_path: Path, **changes: Any) -> Organisation:
    """The shipped organisation with some keys replaced."""
    values = yaml.safe_load(SHIPPED.read_text("utf-8"))
    if "objects" in changes:
        # Users' mailboxes need the shipped databases.
        values["users"] = [{**user, "mailbox": None} for user in values["users"]]
    values |= changes
    file = tmp_path / "organisation.yaml"
    file.write_text(yaml.safe_dump(values, allow_unicode=True), encoding="utf-8")
    return load(file)


def service(organisation: Organisation, name: str = "EX01", path: str = "/PowerShell/") -> EndpointService:
    """The endpoint of a server."""
    [found] = [each for each in organisation.services if (each.name, each.path) == (name, path)]
    return found


def unescape(text: str | None) -> str:
    """A CLIXML string as PowerShell reads it."""
    units = re.sub("_x([0-9A-F]{4})_", lambda found: chr(int(found.group(1), 16)), text or "")
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def value(element: ElementTree.Element) -> Any:
    """One element as a Python value: str, bool, int, None, a list, or a dict of properties."""
    if element.tag == "Nil":
        return None
    if element.tag == "B":
        return element.text == "true"
    if element.tag in ("I16", "I32", "I64", "U16", "U32", "U64"):
        return int(element.text or "")
    if element.tag != "Obj":
        return unescape(element.text)
    listed = element.find("LST")
    if listed is not None:
        return [value(each) for each in listed]
    properties = element.find("Props")
    if properties is not None:
        return {unescape(each.get("N")): value(each) for each in properties}
    text = element.findtext("ToString")
    return value(next(iter(element))) if text is None else unescape(text)


def kinds(output: str) -> dict[str, str]:
    """The element kind of each property of an output."""
    properties = ElementTree.fromstring(output).find("Props")
    assert properties is not None
    return {each.get("N", ""): each.tag for each in properties}


class Answer:
    """A reply, read."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply

    @property
    def outputs(self) -> list[Any]:
        return [value(ElementTree.fromstring(each)) for each in self.reply.outputs]

    @property
    def one(self) -> Any:
        assert self.reply.failed is None, self.reply.failed
        assert not self.reply.errors, self.reply.errors
        [output] = self.outputs
        return output

    @property
    def names(self) -> list[str]:
        return [each["Name"] for each in self.outputs]

    @property
    def error(self) -> ErrorRecord:
        """The only non-terminating error; the pipeline went on."""
        assert self.reply.failed is None, self.reply.failed
        [record] = self.reply.errors
        return record

    @property
    def failed(self) -> ErrorRecord:
        """The error that ended the pipeline."""
        assert self.reply.failed is not None, (self.outputs, self.reply.errors)
        assert not self.reply.outputs
        return self.reply.failed

    @property
    def warnings(self) -> list[str]:
        return self.reply.warnings


class Session:
    """Calls cmdlets on one endpoint as one account."""

    def __init__(
        self, organisation: Organisation, name: str = "EX01", path: str = "/PowerShell/", user: str = ADMIN
    ) -> None:
        self.organisation = organisation
        self.service = service(organisation, name, path)
        self.user = user

    def __call__(self, cmdlet: str, *positional: Any, **named: Any) -> Answer:
        arguments: list[tuple[str | None, Any]] = [*((None, each) for each in positional), *named.items()]
        return self.raw(cmdlet, arguments)

    def raw(self, cmdlet: str, arguments: list[tuple[str | None, Any]]) -> Answer:
        return Answer(self.service.execute(self.user, [Invocation(cmdlet, arguments)], Running()))

    def good(self, cmdlet: str, *positional: Any, **named: Any) -> Answer:
        """A call that must not fail."""
        answer = self(cmdlet, *positional, **named)
        assert answer.reply.failed is None, answer.reply.failed
        assert not answer.reply.errors, answer.reply.errors
        return answer
