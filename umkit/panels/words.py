"""The panels' words in the reader's language, from a gettext catalogue that needs no build step."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any, Final

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from umkit.errors import UsageError

LANGUAGES: Final = ("en", "de")
_HOLE: Final = re.compile(r"\{(\w+)\}")
#: The context of entries that are patterns of a problem's words; ``{name}`` in them stands for anything.
_PROBLEM: Final = "problem"
_LONGEST: Final = 1000


class Words:
    """The words of one language.

    Arguments:
        language: ``en`` or ``de``.

    Raises ``UsageError`` for another language.
    """

    def __init__(self, language: str = "en") -> None:
        if language not in LANGUAGES:
            raise UsageError(f"there are no panels in the language {language}", expected=", ".join(LANGUAGES))
        self.language = language
        self._catalog = _catalog(language)

    def text(self, message: str, **values: Any) -> str:
        """A message in this language, its ``{name}`` filled in."""
        found = self._catalog.get(message)
        form = found.string if found is not None and isinstance(found.string, str) and found.string else message
        return form.format_map(values) if values else form

    def problem(self, text: str) -> str:
        """What a check says in English, in this language where a pattern knows it; a command line as the button."""
        if len(text) > _LONGEST:
            return text
        if (whole := self.text(text)) != text:
            return whole
        for pattern, form in _patterns(self.language):
            if match := pattern.fullmatch(text):
                held = match.groupdict()
                return _HOLE.sub(lambda hole, held=held: held.get(hole[1], hole[0]), form)  # type: ignore[misc]
        return text


@cache
def _catalog(language: str) -> Catalog:
    with files("umkit.panels").joinpath("locale", language, "LC_MESSAGES", "panels.po").open("rb") as file:
        return read_po(file, locale=language)


@cache
def _patterns(language: str) -> list[tuple[re.Pattern[str], str]]:
    """The patterns of problems: those with most fixed text first."""
    entries = [
        (str(message.id), str(message.string))
        for message in _catalog(language)
        if message.context == _PROBLEM and message.string and not message.fuzzy
    ]
    entries.sort(key=lambda entry: -len(_HOLE.sub("", entry[0])))
    return [(_compiled(pattern), form) for pattern, form in entries]


def _compiled(pattern: str) -> re.Pattern[str]:
    parts = [f"(?P<{part}>.+?)" if index % 2 else re.escape(part) for index, part in enumerate(_HOLE.split(pattern))]
    return re.compile("".join(parts), re.DOTALL)
