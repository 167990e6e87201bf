"""Words in the reader's language: gettext catalogues, times and counts.

The catalogues are ``.po`` files, read when they are needed: no build step, nothing compiled in git. Entries with a
context are patterns of what a journal says in English (a finding, an object, a value); ``{name}`` in them stands for
anything. What no pattern knows stays as the journal has it.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from babel import Locale
from babel.dates import format_date
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from umkit.errors import UsageError

LANGUAGES = ("en", "de")
#: Longer recorded text stays as it is: a pattern's search must never take long, whatever a server answered.
_LONGEST = 1000

_HOLE = re.compile(r"\{(\w+)\}")

#: A moment in UTC as journals write it; a fraction of a second says nothing to a reader.
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?:\.\d+)?(?: ?UTC|Z|\+00:00)")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")

#: Holes whose text is a sentence of its own, or holds one.
_SENTENCES = ("thing", "why", "what", "how")


class Words:
    """The words of one language.

    Arguments:
        language: ``en`` or ``de``.

    Raises ``UsageError`` for another language.
    """

    def __init__(self, language: str) -> None:
        if language not in LANGUAGES:
            raise UsageError(f"there is no handover in the language {language}", expected=", ".join(LANGUAGES))
        self.language = language
        self.locale = Locale.parse(language)
        #: Findings that no pattern knew.
        self.untranslated: set[str] = set()
        self._catalog = None if language == LANGUAGES[0] else catalog(language)

    def text(self, message: str, **values: Any) -> str:
        """A message in this language, its ``{name}`` filled in."""
        found = self._catalog.get(message) if self._catalog is not None else None
        form = found.string if found is not None and isinstance(found.string, str) and found.string else message
        return form.format_map(values) if values else form

    def count(self, one: str, many: str, number: int, **values: Any) -> str:
        """A message that counts; its ``{number}`` is the number. All languages here count alike: one, and many."""
        found = self._catalog.get(one) if self._catalog is not None else None
        said = found.string if found is not None and isinstance(found.string, tuple) else ()
        forms = said if len(said) == 2 and all(said) else (one, many)
        return forms[0 if number == 1 else 1].format_map({**values, "number": number})

    def recorded(self, context: str, text: str) -> str:
        """What a journal says in English, in this language where a pattern knows it.

        Arguments:
            context: ``finding``, ``object`` or ``value``.
            text: as the journal has it.
        """
        if self._catalog is not None and text:
            said = self._said(context, text)
            if said is None and context == "finding":
                self.untranslated.add(text)
            text = text if said is None else said
        return text if context == "object" else self.stamped(text)

    def stamped(self, text: str) -> str:
        """A text with its moments in UTC written in this language's form."""
        return _STAMP.sub(lambda found: self._stamp(found[0], found[1]), text)

    def day(self, value: object) -> str:
        """A day as a customer file has it, in this language's form; anything else as it is."""
        text = str(value)
        try:
            return self._unbroken(date.fromisoformat(text), "d. MMMM y") if _DAY.fullmatch(text) else self.stamped(text)
        except ValueError:
            return text

    def utc(self, moment: datetime) -> str:
        """A moment in UTC, to the second."""
        return f"{self._moment(moment.astimezone(UTC))}\u00a0UTC"

    def local(self, moment: datetime) -> str:
        """A moment by this machine's clock, with its distance from UTC."""
        there = moment.astimezone()
        offset = there.strftime("%z")
        return f"{self._moment(there)} (UTC{offset[:3]}:{offset[3:5]})"

    def _stamp(self, whole: str, moment: str) -> str:
        try:
            return self.utc(datetime.fromisoformat(moment).replace(tzinfo=UTC))
        except ValueError:
            return whole

    def _moment(self, moment: datetime) -> str:
        return f"{self._unbroken(moment.date(), 'd. MMMM y')}, {moment:%H:%M:%S}"

    def _unbroken(self, day: date, pattern: str) -> str:
        """A day whose parts stay on one line."""
        pattern = pattern if self.language == "de" else pattern.replace(".", "")
        return format_date(day, pattern, locale=self.locale).replace(" ", "\u00a0")

    def _said(self, context: str, text: str) -> str | None:
        """A recorded text by the first pattern that fits; nothing where none does."""
        if len(text) > _LONGEST:
            return None
        for pattern, form in _patterns(self.language, context):
            match = pattern.fullmatch(text)
            if match is None:
                continue
            holes = {name: self._inner(name, value) for name, value in match.groupdict().items()}
            if form == "{thing}: {why}" and holes.get("why") == match["why"]:
                return None  # it fits everything with a colon; half a translation is none
            return _HOLE.sub(lambda hole, holes=holes: holes.get(hole[1], hole[0]), form)  # type: ignore[misc]
        return None

    def _inner(self, name: str, value: str) -> str:
        """What stands in a hole: an object, a value, a title, a day, or a sentence of its own."""
        if name == "title":
            return self.text(value)
        if name == "when":
            return self.day(value)
        contexts = ("object", "value", "finding") if name in _SENTENCES else ("object", "value")
        said = (self._said(context, value) for context in contexts)
        return next((text for text in said if text is not None), value)


@cache
def catalog(language: str) -> Catalog:
    """The catalogue of a language, as its ``.po`` file has it."""
    path = files("umkit.handover").joinpath("locale", language, "LC_MESSAGES", "handover.po")
    with path.open("rb") as file:
        return read_po(file, locale=language)


@cache
def _patterns(language: str, context: str) -> list[tuple[re.Pattern[str], str]]:
    """The patterns of one context: those with most fixed text first."""
    entries = [
        (str(message.id), str(message.string))
        for message in catalog(language)
        if message.context == context and message.string and not message.fuzzy
    ]
    entries.sort(key=lambda entry: -len(_HOLE.sub("", entry[0])))
    return [(_compiled(pattern), form) for pattern, form in entries]


def _compiled(pattern: str) -> re.Pattern[str]:
    """A pattern with ``{name}`` holes as a regular expression."""
    parts = [f"(?P<{part}>.+?)" if index % 2 else re.escape(part) for index, part in enumerate(_HOLE.split(pattern))]
    return re.compile("".join(parts), re.DOTALL)
