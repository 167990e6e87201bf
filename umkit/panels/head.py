"""The head of a chapter: what it does, the inputs, the connection, how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from umkit.customer import CustomerFile
from umkit.panels.base import Waiting, beside, words_of
from umkit.panels.connection import ConnectionPanel
from umkit.sitting import Sitting


class Head:
    """What stands above a chapter's steps.

    Arguments:
        sitting: the person's work on the chapter.
        use: goes on with other inputs; called in the sitting's thread.
        html: what the chapter is where nobody can press a button.
    """

    def __init__(self, sitting: Sitting, use: Callable[[CustomerFile], None], html: str) -> None:
        self.sitting, self._use, self._html = sitting, use, html
        self.words = words_of(sitting)
        self._waiting = Waiting()
        total = len(sitting.chapter.info.steps)
        self.bar = widgets.IntProgress(min=0, max=total, description=self.words.text("Progress"))
        self.told = widgets.HTML()
        self.connection = ConnectionPanel(sitting)
        self.widget = widgets.VBox([widgets.HTML(html), self.connection.widget, widgets.HBox([self.bar, self.told])])
        self.widget.add_class("umkit-head")
        sitting.listeners.append(lambda step: self._waiting.soon(self.refresh))
        self.refresh()

    def refresh(self) -> None:
        """How many steps were looked at, and how many are as wanted."""
        outcomes = self.sitting.chapter.outcomes
        good = sum(out.result in ("ok", "changed") for out in outcomes.values())
        self.bar.value = len(outcomes)
        self.told.value = self.words.text(
            "{seen} of {total} steps looked at, {good} as wanted", seen=len(outcomes), total=self.bar.max, good=good
        )

    def mimebundle(self) -> dict[str, Any]:
        """The widget, and its HTML for a saved notebook."""
        return beside(self.widget, self._html, self.sitting.chapter.info.title)
