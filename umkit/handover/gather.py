"""What a record says about its run, as plain values: the material of the handover.

Everything comes from the record's own files, its journal before all; nothing is asked of a server. A journal that a
crash or a person damaged is read as far as it goes, and what is wrong with it is told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import yaml

from umkit.attestation import EVIDENCE, attested
from umkit.chapters import chapters as known_chapters
from umkit.errors import RecordError
from umkit.handover.facts import Change, ChapterFacts, RunFacts, Seen, Sent, StepFacts
from umkit.journal import read, verify
from umkit.outcome import RESULTS, Result, worst
from umkit.record import INPUTS, JOURNAL, MANIFEST, NOTEBOOKS
from umkit.sealing import signatures

Event = Mapping[str, Any]

#: Properties whose change is an event in time: nothing brings the time before it back.
_MOMENTS = ("Started", "Restarted", "Password")


#: Commands that nobody takes back: there may be mail in the mailbox by now.
_FOR_GOOD = ("New-Mailbox", "Enable-Mailbox")

#: Properties that stand for a whole object, or a whole file.
_WHOLE = ("*", "SHA-256")

#: What a directory gives an object itself; nobody sets it when the object is made again.
_OF_ITS_OWN = ("guid", "id", "when", "objectstate", "objectc", "originating", "distinguishedn", "isvalid", "exchangev")


def gather(folder: Path) -> RunFacts:
    """Everything that a record's own files say.

    Arguments:
        folder: the record's folder; it may be sealed or still be written to.

    Raises ``RecordError`` when there is no journal, or it does not say how the run began.
    """
    folder = Path(folder).resolve()
    events = read(folder / JOURNAL)
    start = next((event for event in events if event["event"] == "run-start"), None)
    if start is None:
        raise RecordError(
            "the record does not say how its run began",
            where={"file": str(folder / JOURNAL)},
            next="umkit records verify tells what is wrong with it",
        )
    chapters = [_chapter(folder, name, events) for name in _names(start, events)]
    end = next((event for event in reversed(events) if event["event"] == "run-end"), None)
    result = worst(chapter.result for chapter in chapters)
    return RunFacts(
        folder=folder,
        run=folder.name,
        customer=folder.parent.name,
        mode=_text(start, "mode"),
        kit=_text(start, "kit"),
        account=_text(start, "account"),
        workstation=_text(start, "workstation"),
        result=_result(end["result"]) if end and "result" in end else result,
        started=_time(start),
        ended=_time(end or events[-1]),
        chapters=chapters,
        inputs=_inputs(folder) | _changed_inputs(events),
        sessions=list(
            dict.fromkeys(
                (_text(event, "endpoint"), _text(event, "account"), _text(event, "protocol"))
                for event in events
                if event["event"] == "session"
            )
        ),
        controllers=list(
            dict.fromkeys(_text(event, "domain_controller") for event in events if event["event"] == "pinned")
        ),
        files=_files(folder),
        last_line=_last_line(folder),
        manifest=_sha256(folder / MANIFEST),
        signatures=signatures(folder) if (folder / MANIFEST).is_file() else (),
        problems=[str(finding) for finding in verify(folder / JOURNAL)],
    )


def _names(start: Event, events: Iterable[Event]) -> list[str]:
    told = start.get("chapters")
    names = [str(name) for name in told] if isinstance(told, list) else []
    return list(dict.fromkeys([*names, *(_text(event, "chapter") for event in events if event.get("chapter"))]))


def _chapter(folder: Path, name: str, events: Sequence[Event]) -> ChapterFacts:
    own = [event for event in events if event.get("chapter") == name]
    # a person may do a step again: the newest counts; a rollback has one event for each object of a step
    by_person = any(event["event"] == "run-start" and event.get("mode") == "interactive" for event in events)
    told = {
        (_text(event, "step"), _text(event, "title")): event
        for event in own
        if event["event"] == "step" and not (by_person and _is_taken_back(event))
    }
    steps = {key: _step(folder, event) for key, event in told.items()}
    end = next((event for event in reversed(own) if event["event"] == "chapter-end"), None)
    results = [step.result for step in steps.values()] + [_result(end.get("result") if end else "unknown")]
    info = known_chapters().get(name)
    error = _error(end.get("error") if end else None)
    cut_short = steps and (error or end is None or by_person)
    return ChapterFacts(
        name,
        info.title if info else name,
        worst(results),
        list(steps.values()),
        _without_undone(_sent(own, turning=True), own) if by_person else _sent(own),
        error,
        [(step.id, step.title) for step in info.steps if step.id not in {key for key, _ in steps}]
        if info and cut_short
        else (),
    )


def _is_taken_back(event: Event) -> bool:
    """Whether it tells that one object of a step was taken back well; the step itself was read again after that."""
    return event.get("kind") == "rollback" and event.get("result") in ("ok", "changed")


def _undoes(event: Event) -> bool:
    resource = event.get("resource")
    return isinstance(resource, Mapping) and bool(resource.get("undoes"))


def _without_undone(sent: Sequence[Sent], own: Sequence[Event]) -> list[Sent]:
    """Mark what was taken back in the same run: nothing of it is left, but for what was done once more after that."""
    undoing = {int(event["seq"]) for event in own if _undoes(event)}
    kept: list[Sent] = []
    for one in sent:
        if one.line not in undoing:
            kept.append(one)
            continue
        gone = {(change.object, change.property) for change in one.changes} if one.took else set()
        kept = [_left_of(each, gone) if not each.undone and each.took else each for each in kept]
        kept.append(replace(one, undone=one.took))
    return kept


def _left_of(sent: Sent, gone: set[tuple[str, str]]) -> Sent:
    left = [c for c in sent.changes if (c.object, c.property) not in gone and (c.object, "*") not in gone]
    if not left and sent.changes:
        return replace(sent, undone=True)
    return replace(sent, changes=left)


def _step(folder: Path, event: Event) -> StepFacts:
    time = _time(event)
    said, problems = None, list[str]()
    if event.get("kind") == "manual":
        said, problems = attested(folder.parent.parent, folder.parent.name, _text(event, "step"))
    evidence = folder.parent / EVIDENCE / Path(said.evidence).name if said and said.evidence else None
    return StepFacts(
        id=_text(event, "step"),
        title=_text(event, "title"),
        kind=_text(event, "kind"),
        result=_result(event.get("result")),
        time=time,
        findings=[
            Seen(_result(entry.get("result")), _text(entry, "text"), _text(entry, "next"))
            for entry in _mappings(event.get("findings"))
        ],
        differences=[
            {key: _text(entry, key) for key in ("object", "property", "now", "wanted")}
            for entry in _mappings(event.get("differences"))
        ],
        error=_error(event.get("error")),
        attestation=said,
        evidence=evidence if evidence and evidence.is_file() else None,
        problems=problems,
        later=said is not None and said.when > time,
        where=_where(event),
    )


def _where(event: Event) -> str:
    info = known_chapters().get(_text(event, "chapter"))
    return next((step.where for step in info.steps if step.id == event.get("step")), "") if info else ""


def _sent(own: Sequence[Event], *, turning: bool = False) -> list[Sent]:
    """The changing commands; where steps are also taken back, a step's table does not fit those that do it."""
    outcomes = {_text(event, "intent"): event for event in own if event["event"] == "outcome"}
    shown = {
        (_text(event, "step"), _text(entry, "object"), _text(entry, "property")): entry
        for event in own
        if event["event"] == "step"
        for entry in _mappings(event.get("differences"))
    }
    sent = []
    for event in own:
        if event["event"] != "intent" or not event.get("mutating", True):
            continue
        step, outcome = _text(event, "step"), outcomes.get(_text(event, "id"), {})
        sent.append(
            Sent(
                step=step,
                endpoint=_text(event, "endpoint"),
                powershell=_text(event, "powershell"),
                line=int(event["seq"]),
                time=_time(event),
                outcome=_text(outcome, "outcome") or "unknown",
                found=_found(own, step, outcome) if outcome.get("outcome") == "unknown" else "",
                error=_error(outcome.get("error")).get("what", ""),
                changes=[
                    _change(entry, event, {} if turning and _undoes(event) else shown)
                    for entry in _mappings(event.get("changes"))
                ],
            )
        )
    return sent


def _found(own: Sequence[Event], step: str, outcome: Event) -> str:
    """What reading found after an answer was lost; empty where nobody could read."""
    for event in own:
        if event["event"] == "found" and event.get("step") == step and event["seq"] > outcome["seq"]:
            return _text(event, "found")
    return ""


def _change(entry: Event, intent: Event, shown: Mapping[tuple[str, str, str], Event]) -> Change:
    thing, prop = _text(entry, "object"), _text(entry, "property")
    told = shown.get((_text(intent, "step"), thing, prop), {})
    command = intent.get("command")
    name = _text(command, "name") if isinstance(command, Mapping) else ""
    absent = told.get("now") == "(not there yet)"
    makes = name.startswith("New-") and not name.startswith("New-Item")  # a registry value is no object of its own
    created = (makes and absent) or (prop in _WHOLE and entry.get("before") is None)
    return Change(
        object=thing,
        property=prop,
        before=_text(told, "now") or ("(not there yet)" if absent or created else show(entry.get("before"))),
        after=_text(told, "wanted") or ("(removed)" if _is_gone(entry) else show(entry.get("after"))),
        created=created,
        removed=_is_gone(entry),
        lasting=not prop.endswith(_MOMENTS) and name not in _FOR_GOOD,
    )


def show(value: Any) -> str:
    """A value of the journal as a table shows it."""
    if value is None or value in ("", [], {}):
        return "(empty)"
    if isinstance(value, Mapping):
        told = {key: show(item) for key, item in value.items() if not str(key).lower().startswith(_OF_ITS_OWN)}
        return "\n".join(f"{key} = {text}" for key, text in told.items() if text != "(empty)")
    return ", ".join(map(show, value)) if isinstance(value, list) else str(value)


def _is_gone(entry: Event) -> bool:
    return entry.get("property") == "*" and entry.get("after") is None


def _inputs(folder: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load((folder / INPUTS).read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    used = values.get("used") if isinstance(values, dict) else None
    return used if isinstance(used, dict) else {}


def _changed_inputs(events: Sequence[Event]) -> dict[str, Any]:
    """What a person at the notebook changed of the inputs after the run had begun."""
    changed = [event["used"] for event in events if event.get("event") == "inputs"]
    return dict(changed[-1]) if changed else {}


def _files(folder: Path) -> dict[str, str]:
    """Inputs and notebooks: what does not change between this document and the seal."""
    paths = [folder / INPUTS, folder / "plan.json", *sorted((folder / NOTEBOOKS).glob("*.ipynb"))]
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in paths if path.is_file()}


def _last_line(folder: Path) -> tuple[int, str]:
    lines = (folder / JOURNAL).read_bytes().removesuffix(b"\n").split(b"\n")
    return len(lines), hashlib.sha256(lines[-1]).hexdigest()


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _error(error: Any) -> dict[str, str]:
    """The parts of an error that say something."""
    if not isinstance(error, Mapping):
        return {}
    where = error.get("where")
    place = {f"where {key}": str(value) for key, value in where.items()} if isinstance(where, Mapping) else {}
    parts = {key: _text(error, key) for key in ("what", "seen", "expected", "next")} | place
    return {key: text for key, text in parts.items() if text}


def _mappings(entries: Any) -> list[Event]:
    return [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list) else []


def _text(event: Event, key: str) -> str:
    value = event.get(key)
    return "" if value is None else str(value)


def _time(event: Event) -> datetime:
    try:
        return datetime.fromisoformat(str(event["time"]))
    except ValueError as error:
        raise RecordError(
            "the journal has an event without a time", where={"line": str(event.get("seq", "?"))}, seen=str(error)
        ) from error


def _result(value: Any) -> Result:
    return cast(Result, value) if value in RESULTS else "unknown"
