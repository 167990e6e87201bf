"""Rollback: what a run did is taken back, newest first, from the journal's states before.

A rollback is a plan first. For each object that the run touched, the present state is read: what is still as the run
left it is taken back, what somebody changed since is named and left alone, and what cannot be taken back is said
beforehand. Every command goes the way of an apply: intent, command, outcome, read back, in a record of its own.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from umkit import record
from umkit.channel import Channel
from umkit.chapters import chapter as chapter_info
from umkit.errors import OutcomeUnknown, ParameterRefused, UmkitError, VerifyFailed
from umkit.headless.results import RunSummary, judge
from umkit.headless.run import write_handover
from umkit.history import deeds, events_of, find
from umkit.journal import Journal, read
from umkit.outcome import Result, StepOutcome, worst
from umkit.site import Site
from umkit.undoing import Undoing, announced, channel_of, differences, only, plan, values_left

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
    say: Callable[[str], None] = lambda text: None,
    agree: Callable[[], bool] = lambda: True,
) -> RunSummary:
    """Take back what a run did.

    Arguments:
        inputs: the customer file.
        run: the run; the customer's newest apply.
        chapters: only what these chapters did, by name or number.
        records: folder of the records; the customer file's ``run.records``.
        lab: what ``Lab.describe()`` says, where a lab stands for every endpoint named ``lab``.
        dry_run: plan only.
        say: is told the plan, and then what became of each object.
        agree: is asked between plan and first command; where it says no, nothing is sent.

    Returns the summary; its result is ``ok`` where nothing was to do, ``differs`` where something was changed since or
    only planned, ``open`` where something is left that no rollback takes back.

    Raises ``UsageError`` when there is no such run, ``RecordError`` when its record was changed or none can be kept.
    """
    home = Path(records or inputs.run.records)
    names = [chapter_info(name).name for name in chapters]
    folder = find(home, inputs.customer.name, run)
    events = events_of(folder)
    found = deeds(events, names)
    touched = list(dict.fromkeys(deed.chapter for deed in found))
    with record.create(home, inputs, mode="rollback", chapters=touched) as kept:
        source = hashlib.sha256((folder / record.JOURNAL).read_bytes()).hexdigest()
        kept.journal.append("rollback", of=folder.name, sha256=source, dry_run=dry_run)
        site = Site(inputs, chapter="rollback", journal=kept.journal, records=home, described=lab)
        try:
            going = _Rollback(site, kept.journal, say)
            planned = [plan(deed, site) for deed in found]
            for undoing in planned:
                kept.journal.append("planned", **undoing.as_event())
                say(str(undoing))
            send = not dry_run and any(undoing.commands for undoing in planned) and agree()
            going.carry_out(planned, send=send)
        except BaseException:
            _end(kept, touched, worst_at_least="failed")
            raise
        finally:
            site.close()
        return _end(kept, touched)


def _end(kept: Record, chapters: Sequence[str], *, worst_at_least: Result = "ok") -> RunSummary:
    """Write handover, close and seal the record."""
    ended = [judge(read(kept.journal.path), name) for name in chapters]
    result = worst([worst_at_least, *(chapter.result for chapter in ended)])
    write_handover(kept)
    signed = kept.close(result)
    return RunSummary(kept.run, kept.customer, "rollback", result, kept.folder, ended, signed=signed)


class _Rollback:
    """A rollback under way."""

    def __init__(self, site: Site, journal: Journal, say: Callable[[str], None]) -> None:
        self._site = site
        self._journal = journal
        self._say = say

    def carry_out(self, planned: Sequence[Undoing], *, send: bool) -> None:
        """Do the plan, object by object, and write down what became of each."""
        journal, chapter = self._journal, ""
        results: list[Result] = []
        for undoing in [*planned, None]:
            if chapter and (undoing is None or undoing.deed.chapter != chapter):
                journal.append("chapter-end", chapter=chapter, result=worst(results))
            if undoing is None:
                break
            if undoing.deed.chapter != chapter:
                chapter, results = undoing.deed.chapter, []
                journal.append("chapter-start", chapter=chapter)
            begun = time.monotonic()
            out = undoing.out
            try:
                if send and undoing.commands:
                    out = self._take_back(undoing)
            finally:
                out.seconds = time.monotonic() - begun
                results.append(out.result)
                journal.append("step", chapter=chapter, **out.as_event())
            if send:
                self._say(f"{out.step} {undoing.deed.label}: {out.summary}")

    def _take_back(self, undoing: Undoing) -> StepOutcome:
        """Send the commands of one plan, if it is still the same, and read back."""
        planned, undoing = undoing, plan(undoing.deed, self._site)
        out = undoing.out
        if undoing.commands != planned.commands or undoing.done is None:
            undoing.find("differs", "it has changed since the plan was shown, so it was left alone", "roll back again")
            out.result = worst([out.result, "differs"])
            return out
        deed, channel = undoing.deed, channel_of(undoing.deed, self._site)
        before = len(channel.taken)
        try:
            with channel.serving(deed.resource.reference() | {"verb": undoing.verb}):
                self._send(undoing, channel)
            out.changes = len(undoing.done.after)
            out.result = worst(["changed", *(finding.result for finding in out.findings)])
        except UmkitError as error:
            out.error = error.at(customer=self._site.inputs.customer.name, step=deed.step)
            out.result = "unknown" if isinstance(error, OutcomeUnknown) else "failed"
        finally:
            channel.cancel.clear()
            out.commands, out.would = [command for command, _ in channel.taken[before:]], []
        return out

    def _send(self, undoing: Undoing, channel: Channel) -> None:
        deed, done = undoing.deed, undoing.done
        assert done is not None
        resource = deed.resource
        for command in undoing.commands:
            try:
                resource.send(command, announced(command, undoing), channel)
            except ParameterRefused:
                if done.verb != "update" or len(done.after) == 1:
                    raise
                self._one_by_one(undoing, channel)
                break
            except OutcomeUnknown as lost:
                if differences(undoing, channel):
                    raise
                channel.note("found", about=lost.what, found="as wanted", differences=[])
                channel.took(command, announced(command, undoing))
                break
        self._read_back(undoing, channel)

    def _one_by_one(self, undoing: Undoing, channel: Channel) -> None:
        """Set each property by itself: one value that is refused now must not hold up the others."""
        deed, whole = undoing.deed, undoing.done
        assert whole is not None
        refused: ParameterRefused | None = None
        for name in whole.after:
            part = replace(whole, before=only(whole.before, {name: 0}), after=only(whole.after, {name: 0}))
            commands = deed.resource.undo(part, undoing.state, channel)
            for command in commands if isinstance(commands, tuple) else ():
                try:
                    deed.resource.send(command, announced(command, replace(undoing, done=part)), channel)
                except ParameterRefused as error:
                    refused = error
        if refused is not None:
            raise refused

    def _read_back(self, undoing: Undoing, channel: Channel) -> None:
        wait = self._site.inputs.run.replication_wait
        until, pause, pauses = time.monotonic() + wait, 0.1, threading.Event()
        while differs := differences(undoing, channel):
            if time.monotonic() + pause > until:
                raise VerifyFailed(
                    f"{undoing.deed.label} was taken back, but reads back otherwise",
                    seen="; ".join(differs),
                    next="look at it by hand: replication may be late, or something else sets this",
                )
            pauses.wait(pause)
            pause = min(pause * 2, 3.0)
        channel.note("left", object=undoing.deed.label, values=values_left(undoing))
