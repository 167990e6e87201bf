"""Taking back: the commands of one undoing sent, if it is still the same, and read back."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from umkit.channel import Channel
from umkit.drift import besides
from umkit.errors import OutcomeUnknown, ParameterRefused, UmkitError, VerifyFailed
from umkit.outcome import StepOutcome, worst
from umkit.site import Site
from umkit.undoing import Undoing, announced, channel_of, differences, only, plan, values_left


def take_back(planned: Undoing, site: Site) -> StepOutcome:
    """Do what was planned for one object, unless something has changed since the plan was shown.

    Arguments:
        planned: the plan that a person or a dry run was shown.
        site: where.

    Returns the outcome; an error is told there, so that the next object can be taken back all the same.
    """
    undoing = plan(planned.deed, site)
    out = undoing.out
    moved = undoing.deed.although and out.findings != planned.out.findings  # that word was for what was shown
    if undoing.commands != planned.commands or undoing.done is None or moved:
        undoing.find("differs", "it has changed since the plan was shown, so it was left alone", "roll back again")
        out.result = worst([out.result, "differs"])
        return out
    deed, channel = undoing.deed, channel_of(undoing.deed, site)
    before = len(channel.taken)
    try:
        with channel.serving(deed.resource.reference() | {"verb": undoing.verb, "undoes": True}):
            _send(undoing, channel)
            _read_back(undoing, channel, site.inputs.run.replication_wait)
        out.changes = len(undoing.done.after)
        out.result = worst(["changed", *(finding.result for finding in out.findings)])
    except UmkitError as error:
        out.error = error.at(customer=site.inputs.customer.name, step=deed.step)
        out.result = "unknown" if isinstance(error, OutcomeUnknown) else "failed"
    finally:
        out.commands, out.would = [command for command, _ in channel.taken[before:]], []
    return out


def _send(undoing: Undoing, channel: Channel) -> None:
    deed, done = undoing.deed, undoing.done
    assert done is not None
    resource = deed.resource
    for command in undoing.commands:
        try:
            resource.send(command, announced(command, undoing), channel)
        except ParameterRefused:
            if done.verb != "update" or len(done.after) == 1:
                raise
            _one_by_one(undoing, channel)
            break
        except OutcomeUnknown as lost:
            if differences(undoing, channel):
                raise
            channel.note("found", about=lost.what, found="as wanted", differences=[])
            channel.took(command, announced(command, undoing))
            break


def _one_by_one(undoing: Undoing, channel: Channel) -> None:
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


def _read_back(undoing: Undoing, channel: Channel, wait: float) -> None:
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
    assert undoing.done is not None
    made = undoing.done.verb == "replace"
    more = besides(undoing.deed.resource, channel) if made else {}
    channel.note("left", object=undoing.deed.label, values=values_left(undoing), **more)
