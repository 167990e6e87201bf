"""The handover's parts about the whole run: risks and consents, how to verify the record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from umkit.handover.document import Block, Code, Heading, Listing, Paragraph, Row, Span, Table
from umkit.handover.facts import RunFacts
from umkit.handover.words import Words
from umkit.sshsig import NAMESPACE

#: How a sitting says that a person left a step undone.
_SKIPPED = re.compile(r"skipped by (?P<who>.+?): (?P<why>.+)", re.DOTALL)


def risks(facts: RunFacts, words: Words) -> Iterator[Block]:
    """Risks that somebody at the customer's accepted, and what the customer consented to."""
    _ = words.text
    rows = [
        Row((Span(step, "code"), Span(risk), Span(by) if by else Span(_("by nobody yet"), "open")))
        for step, risk, by in accepted(facts, words)
    ]
    if rows:
        yield Heading(_("Risks, and who accepts them"), anchor="risks")
        yield Table((_("Step"), _("Risk"), _("Accepted by")), rows, (2, 12, 5))
    agreed = {
        "restarts": _("services may be restarted"),
        "information_store": _("the Information Store may be restarted; mailboxes are away meanwhile"),
        "removal": _("the account's rights may be removed"),
        "further_removal": _("the policy's assignment and the role group membership may be taken back"),
    }
    consents = [(text, facts.input("consent", name)) for name, text in agreed.items()]
    rows = [
        Row((Span(text), Span(str(consent.get("allowed_by") or "")), Span(_window(consent, words))))
        for text, consent in consents
        if isinstance(consent, dict)
    ]
    if rows:
        yield Heading(_("The customer's consent"), anchor="consent")
        yield Table((_("What was agreed"), _("By"), _("When")), rows, (9, 5, 5))


def accepted(facts: RunFacts, words: Words) -> list[tuple[str, str, str]]:
    """Each risk that the customer file takes: step, risk, and who accepts it; empty where nobody is named."""
    _ = words.text
    found = []
    if facts.input("imap4", "login_type") == "PlainTextLogin":
        risk = _(
            "IMAP4 with plain-text login: passwords cross the network in clear on port {port}.",
            port=facts.input("imap4", "port"),
        )
        found.append(("IMAP-7", risk, str(facts.input("imap4", "plain_text_accepted_by") or "")))
    if facts.input("relay", "permission") == "anonymous":
        risk = _(
            "The UM server relays without logging on (receive connector {name}, port {port}, limited to its address).",
            name=facts.input("relay", "connector"),
            port=facts.input("relay", "port"),
        )
        found.append(("REL-3", risk, _("as the customer file asks")))
    for step in facts.steps:
        for seen in step.findings:
            if skipped := _SKIPPED.fullmatch(seen.text):
                found.append((step.id, _("Left undone: {why}", why=skipped["why"]), skipped["who"]))
    return found


def _window(consent: dict[str, Any], words: Words) -> str:
    _ = words.text
    starts, until = consent.get("starts"), consent.get("until")
    parts = [
        _("from {when}", when=words.day(starts)) if starts else "",
        _("until {when}", when=words.day(until)) if until else "",
    ]
    return " ".join(part for part in parts if part)


def proof(facts: RunFacts, words: Words) -> list[Block]:
    """How a reader finds out that the record is as it was written."""
    _ = words.text
    number, digest = facts.last_line
    blocks: list[Block] = [
        Heading(_("How to verify this record"), anchor="proof"),
        Paragraph(
            _(
                "This document is made from the record of the run {run}: a folder with the journal (every command"
                " before and after it was sent, each line with the hash of the line before), the executed notebooks,"
                " the inputs, and a manifest with every file's SHA-256.",
                run=facts.run,
            )
        ),
    ]
    rows = [
        (_("Journal, line {number}", number=number), digest),
        *((path, digest) for path, digest in facts.files.items()),
    ]
    if facts.manifest:
        rows.insert(0, ("manifest.json", facts.manifest))
    blocks.append(
        Table(
            (_("File"), _("SHA-256")),
            [Row((Span(path), Span(digest, "code"))) for path, digest in rows],
            (6, 13),
        )
    )
    if facts.manifest:
        signed, unsigned = (
            _("The record is sealed and signed:"),
            _("The record is sealed; no signature lies beside it."),
        )
        blocks.append(Paragraph(signed if facts.signatures else unsigned))
        if facts.signatures:
            blocks.append(_signatures(facts, words))
    else:
        sealed = _(
            "This document was written just before the record was sealed, so it cannot name the manifest's hash; it is"
            " itself listed in the manifest. To see both together: umkit handover {run}",
            run=facts.run,
        )
        blocks.append(Paragraph(sealed))
    if facts.problems:
        blocks.append(Paragraph(_("The journal is not as it was written:"), "failed"))
        blocks.append(Listing(list(facts.problems)))
    if words.untranslated:
        left = _("Findings for which there is no translation stand as the journal has them.")
        blocks.append(Paragraph(left, "dim"))
    blocks += [
        Paragraph(_("Any changed, added, removed or moved byte is found, with its place, by:")),
        Code(f"umkit records verify {facts.run}"),
        Paragraph(_("Without the kit, the hashes can be compared by hand; on Windows, then on Linux:")),
        Code("Get-FileHash -Algorithm SHA256 manifest.json, inputs.yaml, notebooks\\*"),
        Code("sha256sum manifest.json inputs.yaml notebooks/*"),
        Paragraph(
            _(
                "A signature of the manifest is checked with OpenSSH, in a Windows or Linux command prompt. It prints"
                " the key's fingerprint; that has to be the one that the signer told you by another way:"
            )
        ),
        *(
            Code(f"ssh-keygen -Y check-novalidate -n {NAMESPACE} -s {name} < manifest.json")
            for name in [signature.ssh_file for signature in facts.signatures] or ["signature.sshsig"]
        ),
    ]
    return blocks


def _signatures(facts: RunFacts, words: Words) -> Table:
    _ = words.text
    roles = {"consultant": _("consultant"), "acceptance": _("the customer's acceptance")}
    rows = [
        Row(
            (
                Span(roles.get(signature.role, signature.role)),
                Span(signature.who),
                Span(words.stamped(signature.at)),
                Span(signature.key.fingerprint if signature.key else "", "code"),
                Span(_("holds"), "ok") if signature.valid else Span(_("does not hold"), "failed"),
            )
        )
        for signature in facts.signatures
    ]
    return Table((_("Signed as"), _("Who"), _("When"), _("Key"), _("State")), rows, (4, 4, 5, 8, 4))
