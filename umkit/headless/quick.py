"""Start sooner: leave out an import that costs seconds and is not used."""

from __future__ import annotations

import sys

#: Compiles a grammar of several thousand rules at import, for JSON Schema formats (iri) that no notebook uses.
SLOW = "rfc3987_syntax"


def skip_slow_imports() -> None:
    """Let ``jsonschema`` believe that the slow package is not installed.

    For a launcher only, before anything else is imported: it holds for the whole process. jsonschema then does not
    check the formats ``iri`` and ``iri-reference``. A package that is imported already stays.
    """
    sys.modules.setdefault(SLOW, None)  # type: ignore[arg-type]  # None is how Python marks a module not to import
