"""What the models say of themselves: schema.json, example.yaml, and the words of an error or a form."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from textwrap import wrap
from typing import Any, Final

import yaml

from umkit.customer.file import REQUIRED, SECTIONS, CustomerFile

_HEAD: Final = """\
# yaml-language-server: $schema=schema.json
#
# Every key of a customer file, with what it is for, what is allowed and what holds when it is left out.
# Copy this file to CUSTOMER.yaml, change what differs, leave out what may stay as it is, then run: umkit check CUSTOMER
# A password is never written down here; a key that needs one holds a reference:
#   prompt:WHAT  env:NAME  keyring:SERVICE/USER  keepass:FILE#ENTRY
#
# Generated from the models by python -m umkit.customer; not to be edited.
"""
_WIDTH: Final = 118


@cache
def schema() -> dict[str, Any]:
    """The JSON schema of a customer file; to be read, not changed."""
    made = CustomerFile.model_json_schema()
    for name in set(SECTIONS) - set(REQUIRED):
        made["properties"][name] = {"anyOf": [made["properties"][name], {"type": "null"}]}
    about = {"title": "Customer file", "description": "All inputs of one customer; no secrets."}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_without_titles(made), **about}


def node_at(place: tuple[str | int, ...]) -> dict[str, Any]:
    """The part of the schema that describes one place in a customer file; empty for an unknown place.

    Arguments:
        place: keys and list positions, from the outside in, for example ``("um_services", 0, "port")``.
    """
    node = schema()
    for step in place:
        node = resolved(node)
        node = node.get("items", {}) if isinstance(step, int) else node.get("properties", {}).get(step, {})
    return node


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    """A part of the schema without indirections: what it refers to, or what it is when it is not null."""
    choices = [choice for choice in node.get("anyOf", ()) if choice != {"type": "null"}]
    inner = choices[0] if choices else node
    return schema()["$defs"][inner["$ref"].rpartition("/")[2]] if "$ref" in inner else inner


def allowed(node: dict[str, Any]) -> str:
    """What may stand in a place, in words for people."""
    inner = resolved(node)
    null = "; or null" if {"type": "null"} in node.get("anyOf", ()) else ""
    return _words(inner) + null


def example(head: str = _HEAD) -> str:
    """The text of example.yaml: every key with its explanation, what is allowed and its default.

    Arguments:
        head: the comment lines at its head.
    """
    lines, explained = head.splitlines(), set[str]()
    for name, node in schema()["properties"].items():
        inner = resolved(node)
        lines += ["", *_comment(inner["description"], ""), f"{name}:"]
        lines += _items(inner, [{}], "  ", explained) if "items" in inner else _keys(inner, {}, "  ", explained)
    return "\n".join(lines) + "\n"


def write_documents(folder: Path) -> None:
    """Write schema.json and example.yaml into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
    (folder / "schema.json").write_text(text, encoding="utf-8", newline="\n")
    (folder / "example.yaml").write_text(example(), encoding="utf-8", newline="\n")


def _words(node: dict[str, Any]) -> str:
    if "x-allowed" in node:
        return str(node["x-allowed"])
    if "enum" in node:
        return "one of " + ", ".join(str(value) for value in node["enum"])
    match node.get("type"):
        case "boolean":
            return "true or false"
        case "integer":
            return f"an integer from {node['minimum']} to {node['maximum']}"
        case "array":
            return "a list, each entry beginning with a dash"
        case "object":
            return "keys of its own: " + ", ".join(node["properties"])
    return ""


def _keys(node: dict[str, Any], chosen: dict[str, Any], indent: str, explained: set[str]) -> Iterator[str]:
    """The keys of a section with their comments.

    Arguments:
        node: the section's schema.
        chosen: values that win over the models' own examples and defaults.
        indent: what each line begins with.
        explained: which sections were shown in full already; once is enough.
    """
    for name, key in node["properties"].items():
        inner = resolved(key)
        value = chosen.get(name, key.get("examples", [key.get("default")])[0])
        default = f"default: {_scalar(key['default'])}" if "default" in key else "has to be given"
        yield from _comment(key["description"], indent)
        yield from _comment(f"allowed: {allowed(key)}; {default}", indent)
        if "properties" in inner:
            yield from _section(name, inner, value, indent, explained)
        elif "$ref" in inner.get("items", ()):
            yield f"{indent}{name}:"
            yield from _items(inner, value, indent + "  ", explained)
        else:
            yield f"{indent}{name}: {_scalar(value)}"


def _section(name: str, node: dict[str, Any], value: Any, indent: str, explained: set[str]) -> Iterator[str]:
    known = node["description"] in explained
    explained.add(node["description"])
    yield f"{indent}{name}:" if value else f"{indent}{name}: null"
    if known:
        yield from (f"{indent}  {key}: {_scalar(value[key])}" for key in node["properties"] if key in (value or ()))
    elif value:
        yield from _keys(node, value, indent + "  ", explained)
    else:
        yield from (f"{indent}#   {line}" for line in _keys(node, {}, "", explained))


def _items(node: dict[str, Any], values: list[dict[str, Any]], indent: str, explained: set[str]) -> Iterator[str]:
    inner = resolved(node["items"])
    explained.add(inner["description"])
    for value in values:
        yield f"{indent}-"
        yield from _keys(inner, value, indent + "  ", explained)


def _comment(text: str, indent: str) -> Iterator[str]:
    for line in wrap(text, _WIDTH - len(indent), break_long_words=False, break_on_hyphens=False):
        yield f"{indent}# {line}"


def _scalar(value: Any) -> str:
    text = yaml.safe_dump(value, allow_unicode=True, default_flow_style=True, width=10_000)
    return text.removesuffix("\n").removesuffix("\n...")


def _without_titles(node: Any) -> Any:
    """Pydantic titles every key with its own name in capitals; nobody needs that."""
    if isinstance(node, list):
        return [_without_titles(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {key: value for key, value in node.items() if key != "title" or not isinstance(value, str)}
    return {key: _without_titles(value) for key, value in kept.items()}
