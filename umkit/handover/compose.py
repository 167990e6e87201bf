"""The handover's text: from what a record says to blocks in the reader's language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from umkit.handover.chapter import chapter_blocks, result_span, titled
from umkit.handover.closing import proof, risks, undoing
from umkit.handover.document import Block, Document, Heading, Paragraph, Row, Span, Table
from umkit.handover.facts import RunFacts, StepFacts
from umkit.handover.words import Words
from umkit.outcome import Result

#: The results that leave something to do, in the order in which a reader should take them.
TO_DO: tuple[Result, ...] = ("failed", "unknown", "blocked", "open", "differs")


def compose(facts: RunFacts, language: str) -> Document:
    """The handover of one run.

    Arguments:
        facts: what the record says.
        language: ``en`` or ``de``.
    """
    words = Words(language)
    _ = words.text
    subject = str(facts.input("customer", "title") or facts.customer)
    body: list[Block] = [*_left(facts, words), *risks(facts, words)]
    for chapter in facts.chapters:
        body += chapter_blocks(chapter, facts, words)
    body += [*undoing(facts, words), *proof(facts, words)]
    return Document(
        language=language,
        title=_("Handover: unified messaging and Exchange"),
        subject=subject,
        running=f"{subject} · {facts.run}",
        page=_("page {number} of {count}"),
        contents=_("Contents"),
        cover=_cover(facts, words),
        body=body,
    )


def _cover(facts: RunFacts, words: Words) -> list[Block]:
    _ = words.text
    modes = {
        "apply": _("apply: what differed was changed and read back"),
        "plan": _("plan: shown what would be changed; nothing was changed"),
        "verify": _("verify: compared with what is wanted; nothing was changed"),
        "rollback": _("rollback: an earlier run's changes were taken back"),
        "interactive": _("interactive: step by step, by a person"),
    }
    hosts = [
        (_("Exchange servers"), [host.get("name") for host in facts.input("hosts", "exchange") or ()]),
        (_("XPhone Connect Server"), [facts.input("hosts", "xphone", "name")]),
        (_("Directory host"), [facts.input("hosts", "directory", "name")]),
    ]
    accounts = dict.fromkeys(account for _name, account, _protocol in facts.sessions if account)
    by = _("{account} at the workstation {workstation}", account=facts.account, workstation=facts.workstation)
    pairs = [
        (_("Customer"), str(facts.input("customer", "title") or facts.customer)),
        (_("Contact"), str(facts.input("customer", "contact") or "")),
        *((label, ", ".join(str(name) for name in names if name)) for label, names in hosts),
        (_("Domain controller"), ", ".join(facts.controllers)),
        (_("Run by"), by if facts.account else facts.workstation),
        (_("Accounts on the servers"), ", ".join(accounts)),
        (_("Begun"), f"{words.utc(facts.started)}\n{words.local(facts.started)}"),
        (_("Ended"), f"{words.utc(facts.ended)}\n{words.local(facts.ended)}"),
        (_("Mode"), modes.get(facts.mode, facts.mode)),
        (_("Run"), facts.run),
        (_("Version of the kit"), f"umkit {facts.kit}"),
    ]
    rows = [Row((Span(label, "strong"), Span(value))) for label, value in pairs if value]
    results: dict[str, str] = {
        "ok": _("as wanted: nothing was to be done"),
        "changed": _("as wanted: what differed was changed and read back"),
        "differs": _("differences: the organisation is not as wanted"),
        "open": _("open: steps are left that wait for a person"),
        "blocked": _("blocked: steps were held back until something is decided"),
        "failed": _("failed: at least one step failed; see what is left to do"),
        "unknown": _("unknown: of a step it is not known how it ended; read before anything else"),
    }
    rows.append(Row((Span(_("Result"), "strong"), Span(results[facts.result], facts.result))))
    return [
        Table((), rows, (1, 3)),
        Heading(_("In short"), 3),
        Paragraph(_summary(facts, words)),
        *_overview(facts, words),
    ]


def _summary(facts: RunFacts, words: Words) -> str:
    """One paragraph: what was changed, what is open, what failed."""
    _, count = words.text, words.count
    took = [sent for chapter in facts.chapters for sent in chapter.took]
    changes = [change for sent in took for change in sent.changes]
    standing = Counter(step.standing for step in facts.steps)
    told = []
    if took:
        told.append(
            _("In this run {properties} of {objects} were changed by {commands}, and every one was read back.").format(
                properties=count("{number} property", "{number} properties", len(changes)),
                objects=count("{number} object", "{number} objects", len({change.object for change in changes})),
                commands=count("{number} command", "{number} commands", len(took)),
            )
            if not standing["unknown"] and not standing["failed"]
            else _("In this run {properties} of {objects} were changed by {commands}.").format(
                properties=count("{number} property", "{number} properties", len(changes)),
                objects=count("{number} object", "{number} objects", len({change.object for change in changes})),
                commands=count("{number} command", "{number} commands", len(took)),
            )
        )
    else:
        told.append(_("In this run nothing was changed."))
    told.append(
        count(
            "Of {number} step, {fine} is as wanted.",
            "Of {number} steps, {fine} are as wanted.",
            len(facts.steps),
            fine=standing["ok"] + standing["changed"],
        )
    )
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
    told += [sentence for result, sentence in sentences if standing[result]]
    ended = [chapter for chapter in facts.chapters if chapter.error and not chapter.steps]
    if ended:
        told.append(
            count("{number} chapter was not run.", "{number} chapters were not run.", len(ended)),
        )
    if not any(standing[result] for result in TO_DO) and not ended:
        told.append(_("Nothing is left to do."))
    return " ".join(told)


def _overview(facts: RunFacts, words: Words) -> list[Block]:
    _ = words.text
    rows = []
    for chapter in facts.chapters:
        changed = sum(len(sent.changes) for sent in chapter.took)
        left = sum(step.standing in TO_DO for step in chapter.steps)
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
    return [Table(heads, rows, (9, 8, 4, 3))]


def _left(facts: RunFacts, words: Words) -> Iterator[Block]:
    """What somebody must still do, the worst first."""
    _ = words.text
    rows = []
    for result in TO_DO:
        steps = [step for step in facts.steps if step.standing == result]
        if steps:
            rows.append(Row((result_span(result, words),), group=True))
            rows += [Row((Span(step.id, "code"), Span(_(step.title)), Span(_action(step, words)))) for step in steps]
    ended = [chapter for chapter in facts.chapters if chapter.error and not chapter.steps]
    if ended:
        rows.append(Row((Span(_("not run"), "blocked"),), group=True))
        rows += [
            Row((Span(chapter.name[:2], "code"), Span(_(chapter.title)), Span(_said(chapter.error, words))))
            for chapter in ended
        ]
    if rows:
        yield Heading(_("What is left to do"), anchor="left")
        yield Table((_("Step"), _("About"), _("Next action")), rows, (2, 6, 11))


def _action(step: StepFacts, words: Words) -> str:
    """The next actions of a step, each once; what was found, where no action is named."""
    _ = words.text
    bad = [seen for seen in step.findings if seen.result not in ("ok", "changed")]
    nexts = [words.recorded("finding", seen.next) for seen in bad if seen.next]
    if step.error:
        nexts.append(_said(step.error, words))
    if step.result == "differs" and not nexts:
        nexts.append(_("bring it to the wanted state: umkit apply"))
    return "\n".join(dict.fromkeys(nexts or [words.recorded("finding", seen.text) for seen in bad]))


def _said(error: Any, words: Words) -> str:
    return words.recorded("finding", error.get("next") or error.get("what", ""))


__all__ = ["compose"]
