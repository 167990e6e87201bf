"""The overview: how each chapter of the customer stands, a plan of all of them, and the records."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Final

import ipywidgets as widgets

from umkit.chapters import chapters
from umkit.lock import CustomerLock
from umkit.outcome import WORDS
from umkit.panels.base import CardWords, Waiting, button, state
from umkit.panels.controls import dropdown, labelled
from umkit.panels.inputs import customer_file
from umkit.panels.planning import Planning
from umkit.panels.words import Words
from umkit.record import RecordSummary, listing
from umkit.sitting import Sitting
from umkit.view import SIGNS, render

HANDOVER: Final = "handover.html"
#: A result with a number before it.
COUNTED: Final = {
    "ok": "as wanted",
    "changed": "changed",
    "differs": "differing",
    "open": "open",
    "blocked": "blocked",
    "failed": "failed",
    "unknown": "unknown",
}


class Overview:
    """The customer's chapters with their state, a plan of all, and the records.

    Arguments:
        sitting: the person's work on the chapter.
        words: the language.
    """

    def __init__(self, sitting: Sitting, words: Words) -> None:
        self.sitting, self.words = sitting, words
        self.customer = sitting.chapter.site.inputs.customer.name
        self._waiting = Waiting()
        self.planning: Planning | None = None
        self._stopping = False
        say = words.text
        # An output and not a widget's HTML: JupyterLab then opens a link to a notebook beside this one in itself.
        self.table = widgets.Output()
        self.plan_button = button(
            say("Plan all chapters"), self.plan, tooltip=say("Look at everything without a person; changes nothing")
        )
        self.stop_button = button(say("Stop"), self._stop, style="danger", tooltip=say("End the plan"))
        self.refresh_button = button(say("Refresh"), self.refresh, tooltip=say("Read the records anew"))
        self.buttons = widgets.HBox(
            [self.plan_button, self.refresh_button], layout=widgets.Layout(flex_flow="row wrap")
        )
        self.status = widgets.HTML()
        self.result = widgets.HTML()
        self.chooser = dropdown(
            options=[(say("(no record yet)"), "")], value="", **labelled(say("Record"), say("Record"))
        )
        self.open_button = button(say("Open record"), self.open, tooltip=say("Show the handover of this run"))
        self.page = widgets.HTML()
        self.widget = widgets.VBox(
            [self.table, self.buttons, self.status, self.result, self.chooser, self.open_button, self.page]
        )
        if customer_file() is None:
            self.plan_button.disabled = True
            self.plan_button.tooltip = say("Open the chapters with umkit open first")
        self.refresh()

    def close(self) -> None:
        """Another overview has taken its place; a plan under way ends."""
        if self.planning is not None:
            self.planning.stop()

    def refresh(self) -> None:
        """Read the records anew."""
        say = self.words.text
        runs = [run for run in listing(self.sitting.records, self.customer) if not run.problem]
        title = CardWords(self.words).title
        rows = [self._row(name, title(info.title), runs) for name, info in chapters().items()]
        html = render(
            "panels/overview.html",
            caption=say("The chapters of {customer}", customer=self.customer),
            heads=[say("Chapter"), say("State"), say("When"), say("Mode"), say("Record")],
            rows=rows,
        )
        text = "\n".join(f"{row['name']}: {row['state']} {row['when']}".rstrip() for row in rows)
        data = {"text/html": html, "text/plain": text}
        self.table.outputs = ({"output_type": "display_data", "data": data, "metadata": {}},)
        chosen = self.chooser.value
        options = [(self._named(run), run.run) for run in runs]
        self.chooser.options = options or [(say("(no record yet)"), "")]
        if any(run.run == chosen for run in runs):
            self.chooser.value = chosen
        self.open_button.disabled = not options

    def plan(self) -> None:
        """Plan all chapters, without a person and without a change."""
        say, path = self.words.text, customer_file()
        if path is None or (self.planning is not None and self.planning.running):
            return
        lock = CustomerLock(self.sitting.records.resolve() / self.customer)
        if lock.is_held():
            self._refused(lock.holder())
            return
        self.result.value, self._stopping = "", False
        self.status.value = state("busy", say("Planning"), say("it begins"))
        self.buttons.children = [self.stop_button]
        self.planning = Planning(
            path,
            self.sitting.records,
            lambda done, most, line: self._waiting.soon(lambda: self._told(done, most, line)),
            lambda summary: self._waiting.soon(lambda: self._ended(summary)),
        )

    def open(self) -> None:
        """Show the handover of the chosen run, and where its record lies."""
        say = self.words.text
        run = next((run for run in listing(self.sitting.records, self.customer) if run.run == self.chooser.value), None)
        if run is None:
            self.page.value = state("failed", say("This record is gone"))
            return
        handover = run.folder / HANDOVER
        lines = [str(run.folder), say("verify it: {command}", command=f"umkit records verify {run.run}")]
        try:
            document = handover.read_text("utf-8")
        except OSError:
            why = say("the run is still under way") if run.under_way else say("it has no handover")
            self.page.value = state("ask", run.run, why, lines)
            return
        told = state("ok" if run.sealed else "ask", run.run, say("sealed") if run.sealed else say("not sealed"), lines)
        title = say("Handover of {run}", run=run.run)
        self.page.value = told + render("panels/document.html", document=document, title=title)

    def _stop(self) -> None:
        if self.planning is not None:
            self._stopping = True
            self.status.value = state("busy", self.words.text("Stopping"))
            self.planning.stop()

    def _told(self, done: int, most: int, line: str) -> None:
        say = self.words.text
        if self._stopping:  # what is said until it has ended is no progress any more
            self.status.value = state("busy", say("Stopping"), line)
            return
        told = say("{done} of {most} chapters", done=done, most=most) if most else ""
        bar = render("panels/progress.html", label=say("Planning"), now=done, most=most, told=told) if most else ""
        self.status.value = state("busy", say("Planning"), line) + bar

    def _ended(self, summary: Mapping[str, Any] | None) -> None:
        say = self.words.text
        self.buttons.children = [self.plan_button, self.refresh_button]
        self.refresh()
        if summary is None or "chapters" not in summary:
            told = summary or {}
            lines = [self.words.problem(str(told[part])) for part in ("seen", "next") if told.get(part)]
            self.status.value = state(
                "failed", say("Not planned"), self.words.problem(str(told.get("what", ""))), lines
            )
            return
        result = str(summary["result"])
        kind = "failed" if result in ("failed", "unknown", "blocked") else "ok" if result == "ok" else "ask"
        word = say("Planned; nothing was changed")
        self.status.value = state(kind, word, say(WORDS[result]), [str(summary["record"])])
        rows = [(each["chapter"], self._chip(each["result"]), self._counted(each)) for each in summary["chapters"]]
        self.result.value = render(
            "panels/results.html",
            caption=say("Plan {run}", run=summary["run"]),
            heads=[say("Chapter"), say("Result"), say("Steps")],
            rows=rows,
        )
        if any(run == summary["run"] for _, run in self.chooser.options):
            self.chooser.value = summary["run"]

    def _refused(self, holder: Mapping[str, Any]) -> None:
        say = self.words.text
        own = holder.get("pid") == os.getpid()
        seen = ", ".join(f"{name} {holder[name]}" for name in ("run", "user", "pid", "host") if holder.get(name))
        next = say("seal this chapter first") if own else say("seal or end it first, then plan")
        self.status.value = state("ask", say("Another run works on this customer"), seen, [next])

    def _row(self, name: str, title: str, runs: Sequence[RecordSummary]) -> dict[str, str]:
        say = self.words.text
        last = next((run for run in runs if name in run.chapters), None)
        row = {"name": name, "title": title, "link": f"{name}.ipynb", "state": f"○ {say('not run yet')}"}
        if last is None:
            return row | {"when": "", "mode": "", "record": ""}
        return row | {
            "state": self._chip(last.chapters[name]),
            "when": f"{last.started.astimezone():%Y-%m-%d %H:%M}",
            "mode": say(last.mode),
            "record": last.run,
        }

    def _chip(self, result: str) -> str:
        sign = SIGNS[result][0] if result in SIGNS else "?"
        return f"{sign} {self.words.text(WORDS.get(result, result))}"

    def _named(self, run: RecordSummary) -> str:
        say = self.words.text
        how = say("under way") if run.under_way else self._chip(run.result)
        return f"{run.started.astimezone():%Y-%m-%d %H:%M} · {say(run.mode)} · {how} · {run.run}"

    def _counted(self, chapter: Mapping[str, Any]) -> str:
        results = [str(step.get("result")) for step in chapter.get("steps", ())]
        error = chapter.get("error") or {}
        return "; ".join(filter(None, (counted(results, self.words), self.words.problem(str(error.get("what", ""))))))


def counted(results: Sequence[str], words: Words) -> str:
    """How many of several results are what, in words."""
    return ", ".join(f"{results.count(each)} {words.text(word)}" for each, word in COUNTED.items() if each in results)
