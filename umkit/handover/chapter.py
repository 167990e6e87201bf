"""One chapter in the handover: changed, checked, attested, left, sent, and how to undo it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from umkit.chapters import step_named
from umkit.handover.document import Block, Code, Heading, Paragraph, Picture, Row, Span, Table
from umkit.handover.facts import Change, ChapterFacts, RunFacts, StepFacts
from umkit.handover.undo import chapter_undoing, shortened
from umkit.handover.words import Words
from umkit.outcome import Result

_PICTURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}


def chapter_blocks(chapter: ChapterFacts, facts: RunFacts, words: Words) -> Iterator[Block]:
    """The blocks of one chapter; parts with nothing to say are left out."""
    _ = words.text
    yield Heading(titled(chapter, words), anchor=f"chapter-{chapter.name}", result=result_span(chapter.result, words))
    if chapter.error:
        yield Paragraph(_said(chapter.error, words), "failed")
    yield from _part(_("What was changed"), _changed(chapter, words))
    if facts.mode != "apply" or not chapter.sent:
        yield from _part(_("What differs from what is wanted"), _differences(chapter, words))
    yield from _part(_("What was checked"), _checked(chapter, words))
    yield from _part(_("What a person attested"), _attested(chapter, words))
    yield from _part(_("What is open or blocked"), _left(chapter, words))
    yield from _part(_("How to undo it"), chapter_undoing(chapter, words))
    yield from _part(_("Commands that were sent"), _commands(chapter, words))


def titled(chapter: ChapterFacts, words: Words) -> str:
    """A chapter's number and title."""
    number = chapter.name.partition("-")[0]
    return f"{number} {words.text(chapter.title)}" if chapter.title != chapter.name else chapter.name


def result_span(result: Result, words: Words) -> Span:
    """A result in words, with its sign."""
    return Span(f"{_SIGNS[result]} {result_words(words)[result]}", result)


def result_words(words: Words) -> dict[str, str]:
    """How each result is said."""
    _ = words.text
    return {
        "ok": _("as wanted"),
        "changed": _("changed and read back"),
        "differs": _("differs"),
        "open": _("open"),
        "blocked": _("blocked"),
        "failed": _("failed"),
        "unknown": _("unknown"),
    }


#: Signs that the PDF's embedded fonts have too.
_SIGNS = {"ok": "✓", "changed": "✎", "differs": "≠", "open": "○", "blocked": "■", "failed": "✗", "unknown": "?"}


def _part(title: str, blocks: Iterable[Block]) -> Iterator[Block]:
    """A heading over blocks, or nothing where there are none."""
    listed = list(blocks)
    if listed:
        yield Heading(title, 3)
        yield from listed


def _step_group(step_id: str, chapter: ChapterFacts, words: Words) -> Row:
    steps = [step for step in chapter.steps if step.id == step_id]
    title = words.text(steps[0].title) if steps else ""
    if steps and steps[0].kind == "rollback":  # its title is one of the step's objects
        title = words.text(step_named(step_id).title)
    return Row((Span(step_id, "code"), Span(title, "strong")), group=True)


def _changed(chapter: ChapterFacts, words: Words) -> Iterator[Block]:
    """Before and after of every property that was changed."""
    _ = words.text
    rows: list[Row] = []
    for step, sent in groupby(chapter.took, key=lambda one: one.step):
        rows.append(_step_group(step, chapter, words))
        last = ""
        for one in sent:
            for change in one.changes:
                thing = words.recorded("object", change.object)
                before = _("see how to undo it") if change.removed else words.recorded("value", change.before)
                after = words.recorded("value", change.after)
                cells = (Span(thing, "dim" if thing == last else ""), Span(_property(change, words)))
                rows.append(Row((*cells, Span(before, "dim"), Span(after))))
                last = thing
            if not one.changes:
                rows.append(Row((Span(one.endpoint), Span(""), Span(""), Span(shortened(one, words)[0], "code"))))
    if rows:
        yield Table((_("Object"), _("Property"), _("Before"), _("After")), rows, (7, 5, 5, 5))
    if chapter.momentary:
        yield Paragraph(_("Written for a moment and removed again: {names}", names=", ".join(chapter.momentary)), "dim")


def _differences(chapter: ChapterFacts, words: Words) -> Iterator[Block]:
    """What differs, where nothing was changed: what apply would do."""
    _ = words.text
    rows: list[Row] = []
    for step in chapter.steps:
        if not step.differences or step.result in ("ok", "changed"):
            continue
        rows.append(_step_group(step.id, chapter, words))
        last = ""
        for entry in step.differences:
            thing = words.recorded("object", entry["object"])
            shown = [words.recorded("value", entry[key]) for key in ("now", "wanted")]
            cells = [Span(thing, "dim" if thing == last else ""), Span(entry["property"]), *map(Span, shown)]
            rows.append(Row(cells))
            last = thing
    if rows:
        yield Table((_("Object"), _("Property"), _("Now"), _("Wanted")), rows, (7, 5, 5, 5))


def _checked(chapter: ChapterFacts, words: Words) -> Iterator[Block]:
    """What was looked at and found; of a changing step, that it was as wanted before."""
    _ = words.text
    rows: list[Row] = []
    for step in chapter.steps:
        good = [seen for seen in step.findings if seen.result in ("ok", "changed")]
        if step.attestation:  # told in full below
            good = [seen for seen in good if not seen.text.startswith("attested by ")]
        if good:
            rows.append(_step_group(step.id, chapter, words))
            rows += [Row((Span("✓", "ok"), Span(words.recorded("finding", seen.text)))) for seen in good]
        elif step.result == "ok" and not step.attestation:
            rows.append(_step_group(step.id, chapter, words))
            said = _("was as wanted already; nothing was to be done")
            rows.append(Row((Span("✓", "ok"), Span(said))))
    if rows:
        yield Table((), rows, (1, 18))


def _attested(chapter: ChapterFacts, words: Words) -> Iterator[Block]:
    """What people said about the steps that only people can do, with their evidence."""
    _ = words.text
    for step in chapter.steps:
        said = step.attestation
        if said is None:
            continue
        pairs = [
            (_("Step"), f"{step.id} {_(step.title)}"),
            (_("Who"), said.who),
            (_("When"), f"{words.utc(said.when)}\n{words.local(said.when)}"),
            (_("Remark"), said.remark),
            (_("Noted"), _("after this run; the run itself found the step open") if step.later else ""),
        ]
        if said.evidence:
            pairs.append((_("Evidence"), f"{said.evidence}\nSHA-256 {said.sha256}"))
        yield Table((), [Row((Span(label, "strong"), Span(text))) for label, text in pairs if text], (1, 4))
        for problem in step.problems:
            yield Paragraph(words.recorded("finding", problem), "failed")
        media = _media(step.evidence)
        if step.evidence and media and not step.problems:
            caption = _("Evidence for {step}, SHA-256 {sha256}", step=step.id, sha256=said.sha256)
            yield Picture(step.evidence, media, caption)
        elif step.evidence and not step.problems:
            yield Paragraph(_("The evidence is no picture; it lies in the customer's folder of evidence."), "dim")


def _left(chapter: ChapterFacts, words: Words) -> Iterator[Block]:
    """What is open, blocked, failed or unknown, step by step, with the next action."""
    _ = words.text
    rows: list[Row] = []
    for step in chapter.steps:
        bad = [seen for seen in step.findings if seen.result not in ("ok", "changed")]
        if step.standing in ("ok", "changed") or not (bad or step.error):
            continue
        rows.append(_step_group(step.id, chapter, words))
        for seen in bad:
            text, action = words.recorded("finding", seen.text), words.recorded("finding", seen.next)
            rows.append(Row((result_span(seen.result, words), Span(text), Span(action))))
        if step.error:
            rows.append(_error_row(step, words))
    if chapter.missed:
        rows.append(Row((Span(_("not reached"), "blocked"),), group=True))
        after = _("the chapter ended before")
        rows += [Row((Span(id, "code"), Span(_(title)), Span(after, "dim"))) for id, title in chapter.missed]
    if rows:
        yield Table((_("State"), _("What was found"), _("Next action")), rows, (4, 8, 8))


def _error_row(step: StepFacts, words: Words) -> Row:
    _ = words.text
    names = {
        "host": _("host"),
        "endpoint": _("endpoint"),
        "command": _("command"),
        "step": _("step"),
        "customer": _("customer"),
        "file": _("file"),
    }
    parts = {key.removeprefix("where "): text for key, text in step.error.items() if key.startswith("where ")}
    place = ", ".join(f"{names.get(key, key)} {text}" for key, text in parts.items())
    lines = [words.recorded("finding", step.error.get("what", ""))]
    lines += [" ".join((_("where:"), place))] if place else []
    # What a server or the system said stays in its own words: that is what one searches for.
    lines += [f"{label} {step.error[key]}" for key, label in _quoted(words) if key in step.error]
    action = words.recorded("finding", step.error.get("next", ""))
    return Row((result_span(step.result, words), Span("\n".join(lines)), Span(action)))


def _quoted(words: Words) -> list[tuple[str, str]]:
    return [("seen", words.text("seen:")), ("expected", words.text("expected:"))]


def _commands(chapter: ChapterFacts, words: Words) -> Iterator[Block]:
    """The text of every changing command, with where it went and what came of it."""
    _ = words.text
    outcomes = {
        "done": _("done"),
        "refused": _("refused by the server"),
        "not sent": _("not sent"),
        "unknown": _("outcome unknown"),
    }
    found = {
        "as wanted": _("read afterwards: it took effect"),
        "not as wanted": _("read afterwards: it did not take effect"),
    }
    for sent in chapter.sent:
        text, cut = shortened(sent, words)
        parts = [
            sent.step,
            sent.endpoint,
            f"{sent.time:%H:%M:%S} UTC",
            outcomes.get(sent.outcome, sent.outcome),
            found.get(sent.found, ""),
            words.recorded("finding", sent.error),
            cut,
        ]
        yield Code(text, " · ".join(part for part in parts if part))


def _property(change: Change, words: Words) -> str:
    return words.text("the whole object") if change.property == "*" else change.property


def _said(error: object, words: Words) -> str:
    parts = error if isinstance(error, dict) else {}
    what, seen, action = (parts.get(key, "") for key in ("what", "seen", "next"))
    said = (words.recorded("finding", what), seen, words.recorded("finding", action))
    return " – ".join(part for part in said if part)


def _media(path: Path | None) -> str:
    """The type of a picture by its first bytes; empty where it is none."""
    if path is None:
        return ""
    with path.open("rb") as file:
        head = file.read(16)
    found = next((media for magic, media in _PICTURES.items() if head.startswith(magic)), "")
    return "" if found == "image/webp" and head[8:12] != b"WEBP" else found
