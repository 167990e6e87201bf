"""Registry values: Get-, Set-, New- and Remove-ItemProperty, Get-ItemPropertyValue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from umkit.lab import registry_nodes
from umkit.lab.cmdlets.windows.item import file_node
from umkit.lab.objects import Complex, Node
from umkit.lab.providers import (
    REGISTRY,
    Place,
    custom_object,
    each,
    need_key,
    places,
    refusal,
    writable_key,
)
from umkit.lab.records import not_simulated
from umkit.lab.registry import DEFAULT, Key, Value

if TYPE_CHECKING:
    from umkit.lab.call import Call
    from umkit.lab.records import Refusal

_ARGUMENT = "System.Management.Automation.PSArgumentException"


def get_item_property(call: Call) -> None:
    """Read the values of keys, all or those of ``-Name``; a key without any gives nothing."""
    call.simulates("Path", "LiteralPath", "Name")

    def show(place: Place) -> None:
        node = file_node(call, place) if place.provider != REGISTRY else _properties(call, place)
        if node is not None:
            call.output(node)

    each(call, places(call), show)


def _properties(call: Call, place: Place) -> Complex | None:
    key = need_key(call, place)
    found: dict[str, Node] = {}
    for value in _wanted(call, key, place):
        try:
            found[value.shown] = registry_nodes.value_node(value)
        except registry_nodes.Malformed:
            raise refusal(
                call,
                "Specified cast is not valid.",
                "System.InvalidCastException",
                "NotSpecified",
                "System.InvalidCastException",
            ) from None
    return custom_object((), {**found, **place.notes()}) if found else None


def _wanted(call: Call, key: Key, place: Place) -> list[Value]:
    if call.get("Name") is None:
        return list(key.values.values())
    found = []
    for name in call.get("Name"):
        if any(character in name for character in "*?["):
            raise not_simulated("a wildcard in -Name")
        value = key.value(name)
        if value is None:
            call.refuse(_missing(call, name, place))
        else:
            found.append(value)
    return found


def _missing(call: Call, name: str, place: Place) -> Refusal:
    text = f"Property {name} does not exist at path {place.path}."
    return refusal(call, text, _ARGUMENT, "InvalidArgument", _ARGUMENT, name)


def get_item_property_value(call: Call) -> None:
    """Read values alone; a missing one ends the pipeline whatever ErrorAction says."""
    call.simulates("Path", "LiteralPath", "Name")

    def show(place: Place) -> None:
        if place.provider != REGISTRY:
            raise not_simulated("Get-ItemPropertyValue of a file")
        key = need_key(call, place)
        for name in call.get("Name"):
            value = key.value(name)
            if value is None:
                text = f"Property {name} does not exist at path {place.path}."
                raise refusal(call, text, "Argument", "InvalidArgument", _ARGUMENT, name, ends=True)
            call.output(registry_nodes.value_node(value))

    each(call, places(call), show)


def set_item_property(call: Call) -> None:
    """Create or overwrite a value; without ``-Type`` an existing one keeps its kind."""
    call.simulates("Path", "LiteralPath", "Name", "Value", "Type", "Force", "PassThru")

    def put(place: Place) -> None:
        key = _registry_key(call, place)
        name, old = call.get("Name"), key.value(call.get("Name"))
        if not call.should_process():
            return
        kind = call.get("Type", "Unknown")
        _put(call, key, name, old.kind if kind == "Unknown" and old else kind, call.get("Value"))
        if call.get("PassThru"):
            call.output(custom_object((), {name: _shown(key, name), **place.notes()}))

    each(call, places(call), put)


def new_item_property(call: Call) -> None:
    """Create a value; an existing one is only overwritten with ``-Force``."""
    call.simulates("Path", "LiteralPath", "Name", "Value", "PropertyType", "Force")

    def make(place: Place) -> None:
        key, name = _registry_key(call, place), call.get("Name")
        if key.value(name) is not None and not call.get("Force"):
            text = "The property already exists."
            raise refusal(call, text, "System.IO.IOException", "ResourceExists", "System.IO.IOException", place.path)
        if call.should_process():
            _put(call, key, name, call.get("PropertyType", "Unknown"), call.get("Value"))
            call.output(custom_object((), {name: _shown(key, name), **place.notes()}))

    each(call, places(call), make)


def remove_item_property(call: Call) -> None:
    """Remove values; the default value is never found, because its raw name is empty."""
    call.simulates("Path", "LiteralPath", "Name", "Force")

    def remove(place: Place) -> None:
        key = _registry_key(call, place)
        for name in call.get("Name"):
            value = None if name.lower() == DEFAULT else key.value(name)
            if value is None:
                call.refuse(_missing(call, name, place))
            elif call.should_process():
                del key.values[value.name.lower()]

    each(call, places(call), remove)


def _registry_key(call: Call, place: Place) -> Key:
    if place.provider != REGISTRY:
        raise not_simulated(f"{call.cmdlet.name} on a file")
    return writable_key(call, place)


def _put(call: Call, key: Key, name: str, kind: str, given: Any) -> None:
    """Write a value, or refuse one that does not fit its kind; ids from the PowerShell 7 source (?)."""
    try:
        chosen = registry_nodes.kind_of(given) if kind in ("Unknown", "None") else kind
        data = registry_nodes.converted("QWord" if chosen == "Qword" else chosen, given)
    except (ValueError, TypeError, OverflowError) as error:
        exception = (
            "System.ArgumentException" if kind == "Unknown" else "System.Management.Automation.PSInvalidCastException"
        )
        raise refusal(call, str(error), exception, "WriteError", exception) from None
    key.put(name, "QWord" if chosen == "Qword" else chosen, data)


def _shown(key: Key, name: str) -> Node:
    value = key.value(name)
    if value is None:
        raise KeyError(name)
    return registry_nodes.value_node(value)
