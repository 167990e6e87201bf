"""How a step of each kind is carried out: a resource brought, something looked at, a person's word taken."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from umkit import drift, planfile
from umkit.attestation import attested
from umkit.channel import Asked, Channel
from umkit.command import Command
from umkit.customer.models import Permission
from umkit.engine import apply, plan
from umkit.errors import Blocked, HostNotNamed, UsageError
from umkit.outcome import Finding, Report, StepOutcome, worst
from umkit.remoting.session import FAN_OUT
from umkit.resource import Resource
from umkit.site import Site

#: What each of the customer's consents is for.
GUARDS = {
    "restarts": "services may be restarted",
    "information_store": "the Information Store may be restarted; mailboxes are away meanwhile",
    "removal": "the account's rights may be removed",
    "further_removal": "the policy's assignment and the role group membership may be taken back",
}


#: A note on a manual step whose attestation a check does not bear out.
OTHERWISE = "it was attested as done, but the machine sees it otherwise"


class Examination(Protocol):
    """A check or a probe; one that does more than read says in ``acts`` what it does to the customer's systems."""

    def run(self, site: Site) -> Report:
        """Look, and bring back what was found."""


def bring_all(out: StepOutcome, resources: Sequence[Resource], site: Site, *, guard: str, fresh: bool) -> None:
    """Bring what one step asks of several resources; their reads are asked together, as many as go at once.

    Arguments:
        out, site, fresh: see :func:`bring`.
        resources: the wanted states.
        guard: the consent that a resource needs that names none of its own.
    """
    for some in _batched(resources):
        # Once something was changed, more will be, and each change makes forget what was asked ahead.
        with contextlib.nullcontext() if out.commands else asked_together(some, site, fresh=fresh):
            for resource in some:
                bring(out, resource, site, guard=resource.guard or guard, fresh=fresh)


def _batched(resources: Sequence[Resource]) -> Iterator[list[Resource]]:
    """Resources in their order, so many that their lists can be under way at once."""
    some, lists = list[Resource](), 0
    for resource in resources:
        more = len(resource.lists())
        if some and lists + more > FAN_OUT:
            yield some
            some, lists = [], 0
        some.append(resource)
        lists += more
    if some:
        yield some


@contextlib.contextmanager
def asked_together(resources: Sequence[Resource], site: Site, *, fresh: bool) -> Iterator[None]:
    """Ask each endpoint for everything that its resources will be read from, so that no answer is waited for alone."""
    asked: dict[Channel, list[Asked]] = {}
    for resource in resources:
        with contextlib.suppress(UsageError):  # said where the resource is brought
            asked.setdefault(resource.channel(site), []).extend(resource.lists())
    with contextlib.ExitStack() as stack:
        for channel, lists in asked.items():
            stack.enter_context(channel.asked_ahead(lists, fresh=fresh))
        yield


def bring(out: StepOutcome, resource: Resource, site: Site, *, guard: str, fresh: bool) -> None:
    """Bring what a step asks of one resource to its wanted state, or note what would be sent.

    Arguments:
        out: takes rows, commands and findings; its mode decides whether anything is sent.
        resource: the wanted state.
        site: where.
        guard: the consent that must hold before anything is changed; empty where none must.
        fresh: read anew, also what was read for the step before.
    """
    try:
        channel = resource.channel(site)
    except HostNotNamed as error:
        out.findings.append(Finding("open", f"{resource.label}: {error.what}", error.next))
        return
    planned = plan(resource, resource.read(channel, fresh=fresh), out.step)
    if out.mode in ("plan", "apply"):
        planfile.write_down(planned, channel)
    if out.mode == "apply":
        planfile.hold_to(planned, channel)
    elif out.mode == "verify":
        out.findings += drift.since_the_record(planned, site)
    out.rows += planned.rows
    if planned.verb == "cannot be foreseen":
        out.findings.append(Finding("blocked", f"{resource.label}: {planned.why}", resource.way_out))
        return
    if planned.why:
        out.notes.append(planned.why)
    if not planned.commands:
        if out.mode == "apply":
            drift.write_down(planned, channel)
        return
    missing = missing_consent(site, guard) if guard else None
    if missing is not None and missing not in out.findings:
        out.findings.append(missing)
    if missing is not None or out.mode != "apply":
        if out.mode != "verify":
            out.would += [channel.pinned(command) for command in planned.commands]
        return
    if site.agreed is not None:
        hold_to_agreed([channel.pinned(command) for command in planned.commands], site.agreed, resource.label)
    before = len(channel.taken)
    try:
        out.notes += apply(planned, channel, wait=site.inputs.run.replication_wait)
    except BaseException:
        out.changes += sum(changed for _, changed in channel.taken[before:])
        raise
    finally:
        out.commands += [command for command, _ in channel.taken[before:]]
    out.changes += len(planned.differing)
    own = len(planned.rows)
    out.rows[-own:] = [replace(row, changed=not row.same) for row in out.rows[-own:]]
    drift.write_down(planned, channel)


def hold_to_agreed(commands: Sequence[Command], agreed: Sequence[Command], label: str) -> None:
    """Let only those commands pass that a person was shown.

    Raises ``Blocked`` where another one would be sent; of these commands nothing was sent.
    """
    known = [command.as_json() for command in agreed]
    if new := [command for command in commands if command.as_json() not in known]:
        raise Blocked(
            f"{label}: what would be sent is not what was shown, so it was not sent",
            seen="; ".join(f"{command}{command.place}" for command in new),
            next="look again: the card then shows what would be sent now",
        )


def look(out: StepOutcome, examination: Examination, site: Site) -> None:
    """Add what a check or a probe finds to a step."""
    out.acts = out.acts or str(getattr(examination, "acts", ""))
    report = examination.run(site)
    out.findings += report.findings
    out.rows += report.rows
    out.notes += report.notes


def take_word(out: StepOutcome, examinations: Sequence[Examination], site: Site, *, lasts: int = 0) -> None:
    """A person's step: what a machine can see is looked at, the rest is a person's word.

    Arguments:
        out: takes rows and findings.
        examinations: what a machine can see.
        site: where.
        lasts: hours for which a word counts; 0 for good.

    Without an attestation the step is *open*, whatever the machine saw; attested, what the machine saw counts.
    """
    customer = site.inputs.customer.name
    said, problems = attested(site.records, customer, out.step)
    if said is not None and lasts and datetime.now(UTC) - said.when > timedelta(hours=lasts):
        out.notes.append(f"attested by {said}: that was for an earlier occasion, more than {lasts} hours ago")
        said = None
    for examination in examinations:
        look(out, examination, site)
    seen = worst(finding.result for finding in out.findings if not finding.unseen)
    out.findings += [Finding("failed", problem, "attest the step anew") for problem in problems]
    if said is None:
        how = f'when it is done: umkit attest {customer} {out.step} --who "your name"'
        out.findings.append(Finding("open", "nobody has attested this step yet", how))
        out.result = "open"
        return
    out.findings.append(Finding("ok", f"attested by {said}"))
    if seen != "ok":
        out.notes.append(OTHERWISE)
    out.result = worst(["differs" if seen == "open" else seen, "failed" if problems else "ok"])


def missing_consent(site: Site, guard: str) -> Finding | None:
    """What is needed before a guarded step may change anything; nothing where the customer's consent holds."""
    consent: Permission | None = getattr(site.inputs.consent, guard)
    if consent is not None and consent.holds(datetime.now(UTC)):
        return None
    if consent is None:
        seen = f"the customer file gives no consent: {GUARDS[guard]}"
    else:
        window = (f"from {consent.starts} " if consent.starts else "") + f"until {consent.until}"
        seen = f"the consent of {consent.allowed_by} does not hold now ({window}): {GUARDS[guard]}"
    return Finding("blocked", seen, f"agree it with the customer; write consent.{guard} with allowed_by and until")
