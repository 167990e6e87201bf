"""What a person is asked before something is interrupted or taken away, and whether it may be done at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from umkit.agreement import harsh
from umkit.chapters import Step
from umkit.customer.models import Permission
from umkit.outcome import StepOutcome
from umkit.panels.base import CardWords, told
from umkit.panels.words import Words
from umkit.resources.service import Service
from umkit.resources.service_restart import ServiceRestart
from umkit.site import Site
from umkit.steps import GUARDS, missing_consent

#: Commands that a consent to restarts is for.
_RESTARTS = ("Restart-", "Stop-")


@dataclass(frozen=True)
class Asked:
    """A question with what hangs on the answer.

    Arguments:
        text: the question.
        lines: what will be interrupted, removed or sent.
        yes: the words of the button that agrees.
        style: its style.
    """

    text: str
    lines: list[str]
    yes: str
    style: str = "danger"


def guard_of(step: Step, out: StepOutcome) -> str:
    """The consent that a plan needs; empty where it needs none."""
    if step.guard:
        return step.guard
    return "restarts" if any(command.name.startswith(_RESTARTS) for command in out.would) else ""


def consent_missing(site: Site, step: Step, out: StepOutcome) -> bool:
    """Whether all that a plan would send waits for a consent that does not hold now."""
    guard = guard_of(step, out)
    if not guard or missing_consent(site, guard) is None:
        return False
    return bool(step.guard) or all(command.name.startswith(_RESTARTS) for command in out.would)


def before_applying(site: Site, step: Step, out: StepOutcome, words: Words) -> Asked | None:
    """The question before a plan is applied; none where it disturbs nobody and takes nothing away."""
    guard, rough = guard_of(step, out), harsh(out)
    if out.acts and not out.would:
        text = words.text("Looking at it writes on the customer's system for a moment. Do it now?")
        return Asked(text, [words.problem(out.acts)], words.text("Yes, do it now"), "warning")
    if not out.would or not (guard or rough):
        return None
    say, card = words.text, CardWords(words)
    lines = [f"{card.thing(thing)}: {card.finding(note)}" if note else card.thing(thing) for thing, note in _met(out)]
    if any(command.name.startswith("Restart-") for command in rough):
        minutes = round(ServiceRestart.patience / 60)
        lines.append(say("Each restart usually takes a minute or two; {minutes} minutes are waited", minutes=minutes))
    elif any(command.name.startswith("Stop-") for command in rough):
        minutes = round(Service.patience / 60)
        lines.append(say("The service stays stopped; {minutes} minutes are waited for it", minutes=minutes))
    if guard == "information_store":
        lines.append(say("Mailboxes on these servers are away meanwhile, also for users who work with Outlook"))
    lines += [card.finding(note) for note in out.notes]
    lines += [told(command) for command in rough]
    if guard:
        lines.append(_consent(site, guard, words))
    interrupts = guard in ("restarts", "information_store")
    text = say("This interrupts people's work. Do it now?" if interrupts else "This takes something away. Do it now?")
    return Asked(text, list(dict.fromkeys(lines)), say("Yes, do it now"))


def _met(out: StepOutcome) -> Iterable[tuple[str, str]]:
    """Objects that differ, each with what is to be known of it."""
    found: dict[str, str] = {}
    for row in out.rows:
        if not row.same:
            found[row.thing] = found.get(row.thing) or row.note
    return found.items()


def _consent(site: Site, guard: str, words: Words) -> str:
    say = words.text
    consent: Permission | None = getattr(site.inputs.consent, guard)
    missing = missing_consent(site, guard)
    if missing is not None or consent is None:
        return say("Held back, for the consent is missing: {what}", what=words.problem(missing.text if missing else ""))
    return say(
        "Consent: {what}; allowed by {who} until {until}",
        what=say(GUARDS[guard]),
        who=consent.allowed_by,
        until=consent.until,
    )
