"""Start sooner: leave out an import that costs seconds and is not used."""

from __future__ import annotations

import sys

#: What jsonschema imports for formats that no notebook uses: ``iri`` (compiles a grammar of several thousand rules) and
#: ``duration`` (imports arrow).
SLOW = ("rfc3987_syntax", "isoduration")


def skip_slow_imports() -> None:
    """Let ``jsonschema`` believe that the slow packages are not installed.

    For a launcher only, before anything else is imported: it holds for the whole process. jsonschema then does not
    check the formats ``iri``, ``iri-reference`` and ``duration``. A package that is imported already stays.
    """
    for name in SLOW:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # None is how Python marks a module not to import
