"""Windows hosts of the lab for tests: sections replaced, answers read with their note properties."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from lab_calls import SHIPPED, Answer, Session, described

from umkit.lab.organisation import Organisation
from umkit.remoting import clixml


def with_host(tmp_path: Path, name: str = "XPHONE01", **sections: Any) -> Organisation:
    """The shipped organisation with sections of one host replaced."""
    values = yaml.safe_load(SHIPPED.read_text("utf-8"))
    lists = ("hosts", "exchange_servers", "domain_controllers")
    changed = {key: [each | sections if each["name"] == name else each for each in values[key]] for key in lists}
    return described(tmp_path, **changed)


def on(organisation: Organisation, host: str = "XPHONE01", user: str = "ALLEO\\umadmin") -> Session:
    """Calls on a host's own endpoint."""
    return Session(organisation, host, "/wsman", user)


def read(answer: Answer) -> list[Any]:
    """The outputs as the kit reads them, note properties and all."""
    assert answer.reply.failed is None, answer.reply.failed
    return [value for output in answer.reply.outputs for value in clixml.read(output)]


def state(call: Session, part: str) -> Any:
    """One part of the host's state."""
    return call.organisation.state()["hosts"][call.service.name][part]
