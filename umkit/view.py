"""HTML of steps and summaries: escaped, and readable without JavaScript.

Only inline styles, and no colours of their own for text: the same card is read in
JupyterLab's light and dark theme, in an exported page and on paper. A state is
always a word and a sign, never a colour alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from umkit.errors import UmkitError
from umkit.outcome import WORDS, AsItIs, Say, StepOutcome

#: A sign and a border colour for each result; the word beside it says the same.
SIGNS = {
    "ok": ("✓", "#2e7d32"),
    "changed": ("✎", "#1565c0"),
    "differs": ("≠", "#b26a00"),
    "open": ("○", "#6a1b9a"),
    "blocked": ("⊘", "#b26a00"),
    "failed": ("✗", "#c62828"),
    "unknown": ("?", "#c62828"),
}

_LINE = "1px solid rgba(128,128,128,.45)"
_WRAP = "overflow-wrap:break-word"
_CODE = f"font-family:monospace;white-space:pre-wrap;word-break:normal;{_WRAP}"
_WIDE = "max-width:72em;overflow-x:auto"
_CELL = f"padding:.2em .8em .2em 0;text-align:left;{_WRAP}"
STYLE = {
    "card": f"border:{_LINE};border-left:5px solid;border-radius:4px;padding:.6em .9em;margin:.4em 0;{_WIDE}",
    "head": "display:flex;gap:.8em;align-items:baseline;flex-wrap:wrap;margin:0 0 .4em 0",
    "chip": f"border:{_LINE};border-radius:1em;padding:.05em .7em;font-weight:600;white-space:nowrap",
    "table": "border-collapse:collapse;margin:.4em 0;text-align:left",
    "caption": "text-align:left;font-weight:600;padding:.3em 0",
    "th": f"border-bottom:2px solid rgba(128,128,128,.6);vertical-align:bottom;{_CELL}",
    "td": f"border-bottom:{_LINE};vertical-align:top;{_CELL}",
    "pre": f"border:{_LINE};border-radius:3px;padding:.4em .6em;margin:.3em 0;{_CODE}",
    "list": "margin:.3em 0;padding-left:1.4em",
    "note": "margin:.4em 0",
    "dim": "opacity:.75",
}

_jinja = Environment(
    loader=PackageLoader("umkit"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def shortened(text: str, most: int = 600) -> str:
    """A command's text for a card; the journal has the whole one."""
    if len(text) <= most:
        return text
    return f"{text[:most]}… ({len(text)} characters; the journal has them all)"


_jinja.filters["shortened"] = shortened


def card(out: StepOutcome, say: Say | None = None) -> str:
    """The card of one step, as HTML.

    Arguments:
        out: what was found, or done.
        say: says it in another language than English.
    """
    say = say or AsItIs()
    sign, colour = SIGNS[out.result]
    changed = bool(out.changes)
    return _jinja.get_template("card.html").render(
        out=out,
        sign=sign,
        colour=colour,
        word=say.text(WORDS[out.result] if out.called else "not called for here"),
        say=say,
        signs=SIGNS,
        style=STYLE,
        numbered=any(row.number for row in out.rows),
        before="Before" if changed else "Now",
        parts=_parts(out.error) if out.error else [],
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]], caption: str = "") -> str:
    """A plain table as HTML; every cell is escaped that is no markup already."""
    return _jinja.get_template("table.html").render(heads=heads, rows=list(rows), caption=caption, style=STYLE)


def render(template: str, **values: Any) -> str:
    """A template of the package as HTML; every value is escaped."""
    return _jinja.get_template(template).render(**values)


def chip(result: str, say: Say | None = None) -> Markup:
    """A result as a sign and a word, for a table's cell; the two stay on one line."""
    word, colon, rest = (say or AsItIs()).text(WORDS[result]).partition(": ")
    return unbroken(f"{SIGNS[result][0]} {word}{colon.strip()}") + f" {rest}".rstrip()


def unbroken(text: str) -> Markup:
    """A text that stays on one line, however narrow the page is."""
    return Markup('<span style="white-space:nowrap">{}</span>').format(text)


def _parts(error: UmkitError) -> list[tuple[str, str]]:
    """The parts of an error that say something, with their labels."""
    where = ", ".join(f"{key} {value}" for key, value in error.where.items())
    parts = [("Where", where), ("Seen", error.seen), ("Expected", error.expected), ("Next", error.next)]
    return [(label, text) for label, text in parts if text]
