"""The handover's words on undoing: each chapter's changes, and the whole run."""

from __future__ import annotations

from collections.abc import Iterator

from umkit.handover.document import Block, Code, Heading, Listing, Paragraph, Row, Span, Table
from umkit.handover.facts import Change, ChapterFacts, RunFacts, Sent
from umkit.handover.words import Words

#: Characters of a command that are printed; a file's bytes would fill pages, and the journal has them all.
LONGEST = 1200


def undoing(facts: RunFacts, words: Words) -> Iterator[Block]:
    """How the whole run is taken back, and beforehand what cannot be; each chapter tells it change by change."""
    _ = words.text
    if not any(chapter.took for chapter in facts.chapters):
        return
    yield Heading(_("How to undo this run"), anchor="undo")
    yield Paragraph(_("What cannot be undone, whichever way is taken:"))
    yield Listing(
        [
            _("a restart or a stop of a service has happened"),
            _("users and mailboxes that were created stay; there may be mail in them by now"),
            _("a changed password does not come back"),
            _("test mails that were sent have been sent"),
        ]
    )
    never = _lasting_not(facts)
    if never:
        yield Paragraph(_("In this run that concerns:"))
        yield Listing([words.recorded("object", thing) for thing in never])
    else:
        yield Paragraph(_("Nothing that was changed in this run is of that kind."))
    if facts.mode == "rollback":
        yield Paragraph(_("What this run took back is brought about anew by a plan and an apply:"))
        yield Code(f"umkit plan {facts.customer}")
        yield Code(f"umkit apply {facts.customer}")
        return
    yield Paragraph(
        _(
            "The kit takes the run back, newest change first. What somebody changed since is named and left alone, and"
            " what cannot be taken back is said. First see what would be done; this changes nothing:"
        )
    )
    yield Code(f"umkit rollback {facts.customer} --run {facts.run} --dry-run")
    yield Paragraph(_("Then do it; it is read back and keeps a record of its own:"))
    yield Code(f"umkit rollback {facts.customer} --run {facts.run}")
    yield Paragraph(
        _(
            "Without the kit, or for a single step: each chapter names under “How to undo it” the value to put back,"
            " newest first. Where the object itself was made in this run, a single step is taken back with the value"
            " under “Before”; “(not there yet)” means that removing the object takes everything back. Before that,"
            " compare the value “After” with what is there now: if it is another, somebody has changed it since."
        )
    )


def chapter_undoing(chapter: ChapterFacts, words: Words) -> Iterator[Block]:
    """How each change is taken back, newest first, and what cannot be."""
    _ = words.text
    done = [(sent.step, change) for sent in chapter.took for change in sent.changes]
    steps: dict[str, str] = {}
    for step, change in done:
        steps.setdefault(change.object, step)
    removed = {change.object: change for _step, change in reversed(done) if change.removed}
    created = list(dict.fromkeys(change.object for _step, change in done if change.created and change.lasting))
    made = [thing for thing in created if thing not in removed]
    first: dict[tuple[str, str], tuple[str, Change]] = {}
    for step, change in done:
        if change.object not in (*created, *removed) and change.lasting:
            first.setdefault((change.object, change.property), (step, change))
    never = list(dict.fromkeys(change.object for _step, change in done if not change.lasting))

    def line(thing: str, *cells: str, step: str = "") -> Row:
        return Row((Span(step or steps[thing], "code"), Span(words.recorded("object", thing)), *map(Span, cells)))

    if never:
        yield Paragraph(_("What cannot be undone (a restart has happened; a mailbox may hold mail by now):"))
        yield Listing([words.recorded("object", thing) for thing in never])
    if made:
        yield Paragraph(_("These were not there before; to undo, remove them:"))
        yield Table((_("Step"), _("Object")), [line(thing) for thing in reversed(made)], (2, 18))
    if removed:
        yield Paragraph(_("These were removed, some to be made anew; to undo, make them again as they were before:"))
        lines = [line(thing, words.recorded("value", change.before)) for thing, change in removed.items()]
        yield Table((_("Step"), _("Object"), _("As it was before")), lines, (2, 7, 11))
    if first:
        yield Paragraph(_("These are set back to the value they had before:"))
        rows = [
            line(thing, prop if prop != "*" else _("the whole object"), _before(change, words), step=step)
            for (thing, prop), (step, change) in reversed(first.items())
        ]
        yield Table((_("Step"), _("Object"), _("Property"), _("Set back to")), rows, (2, 7, 5, 6))
    lost = [sent for sent in chapter.sent if sent.outcome == "unknown" and not sent.found]
    if lost:
        yield Paragraph(
            _("Of these it is not known whether they took effect; read before you undo anything:"), "failed"
        )
        yield Listing([shortened(sent, words)[0] for sent in lost])


def shortened(sent: Sent, words: Words) -> tuple[str, str]:
    """A command's text as it is printed, and what to say where it was cut."""
    if len(sent.powershell) <= LONGEST:
        return sent.powershell, ""
    note = words.text(
        "shortened: {count} characters, all in line {line} of the journal", count=len(sent.powershell), line=sent.line
    )
    return f"{sent.powershell[:LONGEST]} …", note


def _lasting_not(facts: RunFacts) -> list[str]:
    took = (sent for chapter in facts.chapters for sent in chapter.took)
    return list(dict.fromkeys(change.object for sent in took for change in sent.changes if not change.lasting))


def _before(change: Change, words: Words) -> str:
    """What a property is set back to."""
    if change.before == "(not there yet)":
        return words.text("(to be removed: it was not there)")
    return words.recorded("value", change.before)
