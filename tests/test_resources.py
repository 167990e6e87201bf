"""Every resource against its fixtures: facts in, commands out.

One generic runner for ``tests/resources/*.yaml``; a resource without the cases
that every resource must have fails here.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from umkit import resources
from umkit.command import Command
from umkit.engine import plan
from umkit.errors import ConnectionLost, Unreadable
from umkit.resource import Missed, Resource
from umkit.secrets import Secret

FIXTURES = {
    path.stem: yaml.safe_load(path.read_text("utf-8"))
    for path in sorted(Path(__file__).with_name("resources").glob("*.yaml"))
}
CASES = [(noun, name) for noun, fixture in FIXTURES.items() for name in fixture["cases"]]
MODULES = [module.name for module in pkgutil.iter_modules(resources.__path__)]


def resource_class(module: str, name: str = "") -> type[Resource]:
    loaded = importlib.import_module(f"umkit.resources.{module}")
    found: type[Resource] = getattr(loaded, name or FIXTURES[module]["resource"])
    assert found.__module__ == loaded.__name__
    return found


def shown(command: Command) -> dict[str, Any]:
    """The parameters of a command, as they are, with secrets masked."""
    return {name: str(value) if isinstance(value, Secret) else value for name, value in command.parameters.items()}


@pytest.mark.parametrize("module", MODULES)
def test_each_resource_has_the_cases_that_every_one_must_have(module: str) -> None:
    assert module in FIXTURES, f"no fixtures for {module}: add tests/resources/{module}.yaml"
    kind = resource_class(module)
    needed = {"absent", "create", "noop", "drift", "unreadable", "hostile"}
    if any(not prop.update and prop.name != kind.key for prop in kind.properties):
        needed.add("replace")
    assert not needed - set(FIXTURES[module]["cases"]), f"{module}: cases are missing"


@pytest.mark.parametrize(("noun", "name"), CASES, ids=lambda value: value)
def test_case(noun: str, name: str) -> None:
    fixture = FIXTURES[noun]
    case: dict[str, Any] = fixture["cases"][name]
    resource = resource_class(noun, case.get("resource", ""))(**case.get("wanted", fixture["wanted"]))  # type: ignore[arg-type]
    if case.get("unreadable"):
        with pytest.raises(Unreadable):
            plan(resource, Missed(ConnectionLost("the answer was lost")))
        return
    planned = plan(resource, resource.state_of(case["objects"]), case.get("step"))
    assert planned.verb == case["verb"]
    assert case.get("why", "") in planned.why
    assert planned.needs == case.get("needs", "")
    assert [row.property for row in planned.differing] == case["differing"]
    assert [{command.name: shown(command)} for command in planned.commands] == case["commands"]
    assert [row.note for row in planned.rows if row.note] == case.get("notes", [])
