"""The project's own promises: dependencies, notebooks, steps, layers."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from umkit.chapters import chapters

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("UMKIT_SHARED", ROOT.parent / "shared"))
NOTEBOOKS = sorted((ROOT / "runbooks").glob("*.ipynb"))


def test_conda_and_pip_ask_for_the_same() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    entries = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
    conda = [entry for entry in entries if isinstance(entry, str) and entry != "pip" and not entry.startswith("python")]
    conda += [e for entry in entries if isinstance(entry, dict) for e in entry["pip"] if not e.startswith("--")]
    assert sorted(conda) == sorted(project["dependencies"])
    assert f"python{project['requires-python']}" in entries


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_outputs_in_git(path: Path) -> None:
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        assert not cell.get("outputs"), f"{path.name}: cell {cell['id']} carries outputs"
        assert cell.get("execution_count") is None, f"{path.name}: cell {cell['id']} carries a count"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_step_has_its_cell_in_its_chapter(path: Path) -> None:
    cells = [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
    steps = [step.id for step in chapters()[path.stem].steps]
    tagged = [
        tag.removeprefix("step:")
        for cell in cells
        for tag in cell["metadata"].get("tags", ())
        if tag.startswith("step:")
    ]
    assert tagged == steps
    by_id = {cell["id"]: "".join(cell["source"]) for cell in cells}
    for step in steps:
        assert re.search(rf'chapter\.\w+\("{step}"', by_id[step]), f"the cell {step} does not serve the step {step}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_parameters_are_the_labs(path: Path) -> None:
    """A notebook's own values are those of parameters/lab.yaml, so both ways to run it mean the same."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    [source] = ["".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", ())]
    values: dict[str, object] = {}
    exec(compile(source, path.name, "exec"), {}, values)
    assert values.pop("mode") == "interactive"
    from umkit import customer

    whole = customer.load(ROOT / "parameters" / "lab.yaml")
    own = customer.parse(values, source=path.name)
    for section in values:
        assert own.section(section) == whole.section(section), f"{path.name}: {section} is not the lab's"


def test_steps_are_the_documented_ones() -> None:
    spec = SHARED / "spec" / "chapters.yaml"
    if not spec.exists():
        pytest.skip("the documented steps (shared/spec/chapters.yaml) are not beside the project")
    documented = {entry["chapter"]: entry for entry in yaml.safe_load(spec.read_text("utf-8"))}
    for name, info in chapters().items():
        want = [(s["id"], s["kind"], s["where"], s.get("beyond", False)) for s in documented[name]["steps"]]
        assert [(s.id, s.kind, s.where, s.beyond) for s in info.steps] == want, name


def test_each_chapter_is_a_notebook() -> None:
    assert [path.stem for path in NOTEBOOKS] == list(chapters())


def test_layers_hold() -> None:
    from importlinter.cli import lint_imports

    assert lint_imports(config_filename=str(ROOT / ".importlinter"), no_cache=True) == 0


def test_modules_stay_small() -> None:
    long = {
        str(p.relative_to(ROOT)): n
        for p in (ROOT / "umkit").rglob("*.py")
        if (n := len(p.read_text("utf-8").splitlines())) > 400
    }
    assert not long, f"modules of more than 400 lines: {long}"


def test_no_script_text_in_the_client() -> None:
    for path in (ROOT / "umkit").rglob("*.py"):
        if "lab" not in path.relative_to(ROOT).parts:
            assert not re.search(r"add_script\(|is_script\s*=\s*True", path.read_text("utf-8")), path


def test_the_list_of_steps_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("steps", ROOT / "tests" / "tools" / "steps.py")
    assert spec
    assert spec.loader
    steps = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(steps)
    made = steps.made()
    assert (ROOT / "docs" / "steps.md").read_text("utf-8") == made, "run: python tests/tools/steps.py"
    untested = [line.split("|")[1].strip() for line in made.splitlines()[8:] if line.rstrip().endswith("|  |")]
    assert not untested, f"no test speaks of {', '.join(untested)}"
