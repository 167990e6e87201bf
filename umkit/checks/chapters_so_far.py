"""Chapters so far: what the records say of each chapter of a customer."""

from __future__ import annotations

from umkit.chapters import chapters
from umkit.outcome import WORDS, Report
from umkit.record import RecordSummary, listing
from umkit.site import Site


class ChaptersSoFar:
    """Each chapter's last run, from the records on this workstation."""

    def run(self, site: Site) -> Report:
        """One finding for each chapter; all *ok*: this informs."""
        report = Report()
        runs = [run for run in listing(site.records) if not run.under_way] if site.records else []
        own = [run for run in runs if run.customer == site.inputs.customer.name]  # newest first
        for name, info in chapters().items():
            last = next((run for run in own if name in run.chapters), None)
            report.add("ok", f"{name} ({info.title}): {_told(last, name) if last else 'never run'}")
        return report


def _told(last: RecordSummary, name: str) -> str:
    return f"{last.mode} on {last.started:%Y-%m-%d}: {WORDS[last.chapters[name]]} (record {last.run})"
