"""The handover's text: from what a record says to blocks in the reader's language."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unicodedata import bidirectional

from umkit.handover.chapter import chapter_blocks, result_span
from umkit.handover.closing import proof, risks
from umkit.handover.document import Block, Document, Heading, Row, Span, Table
from umkit.handover.facts import RunFacts, StepFacts
from umkit.handover.summary import TO_DO, summary
from umkit.handover.undo import undoing
from umkit.handover.words import Words

#: Without it the run's digits would join a title in Hebrew or Arabic, and turn with it.
_LEFT_TO_RIGHT = "\N{LEFT-TO-RIGHT MARK}"
_TO_LEFT = ("R", "AL")


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
        running=f"{subject}{_LEFT_TO_RIGHT if bidirectional(subject[-1]) in _TO_LEFT else ''} · {facts.run}",
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
        (_("Versions found"), _versions(facts, words)),
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
        Heading(_("In short"), anchor="short"),
        *summary(facts, words),
    ]


def _versions(facts: RunFacts, words: Words) -> str:
    """What the run found of each Exchange server's version."""
    seen = (seen for step in facts.steps if step.id == "START-3" for seen in step.findings)
    return "\n".join(words.recorded("finding", one.text) for one in seen if one.result == "ok")


def _left(facts: RunFacts, words: Words) -> Iterator[Block]:
    """What somebody must still do, the worst first."""
    _ = words.text
    places = {
        "exchange": _("in Exchange"),
        "exchange-host": _("on the Exchange servers"),
        "xphone-host": _("on the XPhone server"),
        "directory": _("on the directory host"),
        "workstation": _("at the workstation"),
        "person": _("by hand"),
    }
    rows = []
    for result in TO_DO:
        steps = [step for step in facts.steps if step.standing == result]
        if steps:
            rows.append(Row((result_span(result, words),), group=True))
            rows += [
                Row(
                    (
                        Span(step.id, "code"),
                        Span(words.recorded("object", step.title) if step.kind == "rollback" else _(step.title)),
                        Span(places.get(step.where, "")),
                        Span(_action(step, facts.customer, words)),
                    )
                )
                for step in steps
            ]
    ended = [chapter for chapter in facts.chapters if chapter.error and not chapter.steps]
    if ended:
        rows.append(Row((Span(_("not run"), "blocked"),), group=True))
        rows += [
            Row((Span(chapter.name[:2], "code"), Span(_(chapter.title)), Span(""), Span(_said(chapter.error, words))))
            for chapter in ended
        ]
    if facts.missed:
        rows.append(Row((Span(_("not reached"), "blocked"),), group=True))
        again = _("when the cause is mended, run it again: umkit apply {customer}", customer=facts.customer)
        again = again if facts.mode == "apply" else _("when the cause is mended, run it again")
        if facts.mode == "interactive":
            again = _("run their cells: umkit open {customer}", customer=facts.customer)
        rows += [
            Row(
                (
                    Span(chapter.name[:2], "code"),
                    Span(f"{_(chapter.title)}: {', '.join(id for id, _title in chapter.missed)}"),
                    Span(""),
                    Span(again),
                )
            )
            for chapter in facts.chapters
            if chapter.missed
        ]
    if rows:
        yield Heading(_("What is left to do"), anchor="left")
        yield Table((_("Step"), _("About"), _("Where"), _("Next action")), rows, (2, 5, 3, 9))


def _action(step: StepFacts, customer: str, words: Words) -> str:
    """The next actions of a step, each once; what was found, where no action is named."""
    _ = words.text
    bad = [seen for seen in step.findings if seen.result not in ("ok", "changed")]
    nexts = [words.recorded("finding", seen.next) for seen in bad if seen.next]
    if step.error:
        nexts.append(_said(step.error, words))
    if step.result == "differs" and not nexts:
        nexts.append(_("bring it to the wanted state: umkit apply {customer}", customer=customer))
    return "\n".join(dict.fromkeys(nexts or [words.recorded("finding", seen.text) for seen in bad]))


def _said(error: Any, words: Words) -> str:
    return words.recorded("finding", error.get("next") or error.get("what", ""))


__all__ = ["compose"]
