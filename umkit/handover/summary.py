"""The handover in short: what was changed, checked, left open and accepted, on the first page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from umkit.handover.chapter import result_span, titled
from umkit.handover.closing import accepted
from umkit.handover.document import Block, Row, Span, Table
from umkit.handover.facts import RunFacts
from umkit.handover.words import Words
from umkit.outcome import Result

#: The results that leave something to do, in the order in which a reader should take them.
TO_DO: tuple[Result, ...] = ("failed", "unknown", "blocked", "open", "differs")


def summary(facts: RunFacts, words: Words) -> Iterator[Block]:
    """What a reader must know who reads nothing else, and the chapters in a table."""
    _ = words.text
    left = _left(facts, words)
    standing = {step.standing for step in facts.steps}
    look = next((result for result in TO_DO if result in standing), "open" if left else "ok")
    pairs = [
        (_("Changed"), Span(_changed(facts, words))),
        (_("Checked"), Span(_checked(facts, words))),
        (_("Open"), Span("\n".join(left) or _("Nothing is left to do."), look)),
        (_("Risk"), _risk(facts, words)),
    ]
    if any(chapter.took for chapter in facts.chapters):
        pairs.append((_("To undo it"), Span(_("see “How to undo this run” at the end"))))
    yield Table((), [Row((Span(label, "strong"), said)) for label, said in pairs], (1, 5))
    yield _overview(facts, words)


def _changed(facts: RunFacts, words: Words) -> str:
    _, count = words.text, words.count
    took = [sent for chapter in facts.chapters for sent in chapter.took]
    if not took:
        return _("In this run nothing was changed.")
    changes = [change for sent in took for change in sent.changes]
    numbers = {
        "properties": count("{number} property", "{number} properties", len(changes)),
        "objects": count("{number} object", "{number} objects", len({change.object for change in changes})),
        "commands": count("{number} command", "{number} commands", len(took)),
    }
    if any(step.standing in ("unknown", "failed") for step in facts.steps):
        return _("This run changed {properties} of {objects} by {commands}.", **numbers)
    return _("This run changed {properties} of {objects} by {commands}, and read every one back.", **numbers)


def _checked(facts: RunFacts, words: Words) -> str:
    standing = Counter(step.standing for step in facts.steps)
    return words.count(
        "Of {number} step, {fine} is as wanted.",
        "Of {number} steps, {fine} are as wanted.",
        len(facts.steps),
        fine=standing["ok"] + standing["changed"],
    )


def _left(facts: RunFacts, words: Words) -> list[str]:
    """A sentence for each way in which something is left."""
    count = words.count
    standing = Counter(step.standing for step in facts.steps)
    sentences: list[tuple[Result, str]] = [
        ("failed", count("{number} step failed.", "{number} steps failed.", standing["failed"])),
        (
            "unknown",
            count(
                "Of {number} step it is not known how it ended.",
                "Of {number} steps it is not known how they ended.",
                standing["unknown"],
            ),
        ),
        (
            "blocked",
            count(
                "{number} step was held back, wholly or in part: a consent or a decision is missing.",
                "{number} steps were held back, wholly or in part: a consent or a decision is missing.",
                standing["blocked"],
            ),
        ),
        (
            "open",
            count(
                "{number} step is open and waits for a person.",
                "{number} steps are open and wait for a person.",
                standing["open"],
            ),
        ),
        (
            "differs",
            count(
                "In {number} step the organisation differs from what is wanted.",
                "In {number} steps the organisation differs from what is wanted.",
                standing["differs"],
            ),
        ),
    ]
    told = [sentence for result, sentence in sentences if standing[result]]
    if facts.missed:
        told.append(
            count("{number} step was not reached.", "{number} steps were not reached.", len(facts.missed)),
        )
    ended = [chapter for chapter in facts.chapters if chapter.error and not chapter.steps]
    if ended:
        told.append(count("{number} chapter was not run.", "{number} chapters were not run.", len(ended)))
    return told


def _risk(facts: RunFacts, words: Words) -> Span:
    _ = words.text
    found = accepted(facts, words)
    if not found:
        return Span(_("The customer file takes no risk that somebody would have to accept."))
    said = (
        _("{risk} Accepted: {by}.", risk=risk, by=by) if by else _("{risk} Nobody has accepted it yet.", risk=risk)
        for _step, risk, by in found
    )
    return Span("\n".join(said), "" if all(by for _step, _risk, by in found) else "open")


def _overview(facts: RunFacts, words: Words) -> Table:
    _ = words.text
    rows = []
    for chapter in facts.chapters:
        changed = sum(len(sent.changes) for sent in chapter.took)
        left = sum(step.standing in TO_DO for step in chapter.steps) + len(chapter.missed)
        rows.append(
            Row(
                (
                    Span(titled(chapter, words)),
                    result_span(chapter.result, words),
                    Span(str(changed) if changed else "–"),
                    Span(str(left) if left else "–"),
                )
            )
        )
    heads = (_("Chapter"), _("Result"), _("Properties changed"), _("Steps left"))
    return Table(heads, rows, (9, 8, 4, 3))
