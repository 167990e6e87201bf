"""The inputs of a run as the record keeps them: a YAML file that a person can read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

_INPUTS_HEAD = """\
# The inputs of this run: the customer file as it was given, and every value as it was used, defaults included.
# Secrets are named by their references; none of them stands here.
"""


def as_text(values: Mapping[str, Any], given: str) -> str:
    """The file's text.

    Arguments:
        values: what the run is, and every value as it was used.
        given: the customer file's text as it was given; empty where there was none.
    """
    whole = {**values, "given": _Literal(given)}
    return _INPUTS_HEAD + yaml.dump(whole, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Literal(str):
    """A text that YAML shows line by line."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    """YAML as a person writes it."""

    def ignore_aliases(self, data: Any) -> bool:
        """The same value twice is written twice."""
        return True


_Dumper.add_representer(
    _Literal, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")
)
