"""The state of the connection: where to, as whom, which protocol, which versions, what the account may not do."""

from __future__ import annotations

from concurrent.futures import Future

import ipywidgets as widgets

from umkit.panels.base import Waiting, button, error_text, state, words_of
from umkit.sitting import Sitting


class ConnectionPanel:
    """Shows the connection to Exchange, and opens it anew.

    Arguments:
        sitting: the person's work on the chapter.
    """

    def __init__(self, sitting: Sitting) -> None:
        self.sitting = sitting
        self.words = words_of(sitting)
        self._waiting = Waiting()
        self.connect_button = button(self.words.text("Connect"), self._connect)
        self.status = widgets.HTML()
        self.widget = widgets.VBox([self.connect_button, self.status])

    def _connect(self) -> None:
        self.status.value = state("busy", self.words.text("Connecting"))
        self._waiting.then(self.sitting.run(self._open), self._opened)

    def _open(self) -> str:
        site = self.sitting.chapter.site
        site.close()
        servers = site.organisation().list("ExchangeServer", fresh=True)
        endpoint = site.exchange.endpoint
        versions = ", ".join(f"{each['Name']}: {each['AdminDisplayVersion']}" for each in servers)
        return f"{endpoint.url}, {endpoint.username or ''}, {site.exchange.session.protocol}; {versions}"

    def _opened(self, future: Future[str]) -> None:
        if error := future.exception():
            self.status.value = state("failed", self.words.text("Not connected"), error_text(error))
        else:
            self.status.value = state("ok", self.words.text("Connected"), future.result())
