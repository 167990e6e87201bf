"""Rollback: what a run did is taken back, newest first, from the journal's states before.

A rollback is a plan first. For each object that the run touched, the present state is read: what is still as the run
left it is taken back, what somebody changed since is named and left alone, and what cannot be taken back is said
beforehand. Every command goes the way of an apply: intent, command, outcome, read back, in a record of its own.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umkit import handover, record
from umkit.chapters import chapter as chapter_info
from umkit.errors import UsageError
from umkit.headless.results import RunSummary, judge
from umkit.headless.signals import Signals
from umkit.history import Deed, deeds, events_of, find
from umkit.journal import Journal, read
from umkit.outcome import Result, worst
from umkit.since import later_runs, note_uses
from umkit.site import Site
from umkit.takeback import take_back
from umkit.unanswered import reconcile
from umkit.undoing import Undoing, plan

if TYPE_CHECKING:
    from umkit.customer import CustomerFile
    from umkit.record import Record


def rollback(
    inputs: CustomerFile,
    *,
    run: str | None = None,
    chapters: Sequence[str] = (),
    records: Path | None = None,
    lab: Mapping[str, Any] | None = None,
    dry_run: bool = False,
    although_changed: Collection[str] = (),
    say: Callable[[str], None] = lambda text: None,
    agree: Callable[[], bool] = lambda: True,
) -> RunSummary:
    """Take back what a run did.

    What became of commands that earlier runs sent and nobody answered is looked up first, as in an apply.

    Arguments:
        inputs: the customer file.
        run: the run; the customer's newest apply.
        chapters: only what these chapters did, by name or number.
        records: folder of the records; the customer file's ``run.records``.
        lab: what ``Lab.describe()`` says, where a lab stands for every endpoint named ``lab``.
        dry_run: plan only.
        although_changed: objects that the run made and that are removed although somebody changed them since, as the
            plan names them.
        say: is told the plan, and then what became of each object.
        agree: is asked between plan and first command; where it says no, nothing is sent.

    Returns the summary; its result is ``ok`` where nothing was to do, ``differs`` where something was changed since or
    only planned, ``open`` where something is left that no rollback takes back. Where Ctrl-C or SIGTERM ``stopped`` it,
    what was under way came to its end, the rest was left, and the result is ``failed`` or worse.

    Raises ``UsageError`` when there is no such run, or it touched no such object, ``RecordError`` when its record was
    changed or none can be kept.
    """
    home = Path(records or inputs.run.records)
    names = [chapter_info(name).name for name in chapters]
    folder = find(home, inputs, run)
    events = events_of(folder)
    found = deeds(events, names)
    _take_word(found, although_changed)
    say(f"run {folder.name}: " + (f"{len(found)} objects" if found else "it changed nothing; name another with --run"))
    touched = list(dict.fromkeys(deed.chapter for deed in found))
    signals = Signals()
    with signals, record.create(home, inputs, mode="rollback", chapters=touched) as kept:
        source = hashlib.sha256((folder / record.JOURNAL).read_bytes()).hexdigest()
        kept.journal.append("rollback", of=folder.name, sha256=source, dry_run=dry_run)
        site = Site(inputs, journal=kept.journal, records=home, described=lab)
        try:
            for answer in reconcile(inputs, kept.journal, home, lab=lab):
                say(f"unanswered before: {answer}")
            later, unreadable = later_runs(folder, inputs, kept.run)
            note_uses(found, [event for event in events if names and event.get("chapter") not in names], later)
            for name in unreadable:
                say(f"the journal of run {name} cannot be read, so nobody knows what it used of this")
            planned = []
            for deed in found:
                signals.check()
                planned.append(plan(deed, site))
                kept.journal.append("planned", **planned[-1].as_event())
            for undoing in planned:
                say(str(undoing))
            with signals.at_once():
                send = not dry_run and any(undoing.commands for undoing in planned) and agree()
            _carry_out(planned, site, kept.journal, say, send=send, signals=signals)
        except (KeyboardInterrupt, SystemExit):
            return _end(kept, touched, stopped=True)
        except BaseException:
            _end(kept, touched, worst_at_least="failed")
            raise
        finally:
            site.close()
        return _end(kept, touched, stopped=signals.came)


def _take_word(found: Sequence[Deed], named: Collection[str]) -> None:
    """Mark what a person said is taken back though somebody changed it since; raises ``UsageError`` for other names."""
    labels = {deed.label.casefold() for deed in found}
    if other := [name for name in named if name.casefold() not in labels]:
        raise UsageError(
            f"the run touched no {other[0]}",
            expected="an object as the plan names it: " + ", ".join(deed.label for deed in found),
            next="see the plan: umkit rollback --dry-run",
        )
    for deed in found:
        deed.although = deed.label.casefold() in {name.casefold() for name in named}


def _end(kept: Record, chapters: Sequence[str], *, worst_at_least: Result = "ok", stopped: bool = False) -> RunSummary:
    """Write handover, close and seal the record."""
    ended = [judge(read(kept.journal.path), name) for name in chapters]
    result = worst(["failed" if stopped else worst_at_least, *(chapter.result for chapter in ended)])
    handover.put_into(kept)
    signed = kept.close(result)
    return RunSummary(kept.run, kept.customer, "rollback", result, kept.folder, ended, stopped, signed)


def _carry_out(
    planned: Sequence[Undoing],
    site: Site,
    journal: Journal,
    say: Callable[[str], None],
    *,
    send: bool,
    signals: Signals,
) -> None:
    """Do the plan, object by object, and write down what became of each; after a signal nothing more is begun."""
    for chapter, undoings in groupby(planned, key=lambda undoing: undoing.deed.chapter):
        journal.append("chapter-start", chapter=chapter)
        results: list[Result] = []
        for undoing in undoings:
            begun = time.monotonic()
            if send and undoing.commands and signals.came:
                undoing.find("blocked", "not taken back: the rollback was stopped", "roll back again")
                undoing.out.result, undoing.out.would = "blocked", []
            out = take_back(undoing, site) if send and undoing.commands else undoing.out
            out.seconds = time.monotonic() - begun
            results.append(out.result)
            journal.append("step", chapter=chapter, **out.as_event())
            if send:
                say(f"{out.step} {undoing.deed.label}: {out.summary}")
        journal.append("chapter-end", chapter=chapter, result=worst(results))
