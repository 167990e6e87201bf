"""What a page complains of: its console, errors nobody caught, requests that failed or went to another machine."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from playwright.sync_api import ConsoleMessage, Page, Response

#: Errors in the console that are not ours, each with the reason; empty, and meant to stay so.
NOT_OURS: tuple[tuple[str, str], ...] = ()


@dataclass
class Console:
    """What a page complained of."""

    errors: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def listen(self, page: Page) -> None:
        """Collect from a page: its console, errors nobody caught, refused and failed requests."""
        page.on("console", self._said)
        page.on("pageerror", lambda error: self._error(f"not caught: {error}"))
        page.on("response", self._answered)
        page.on("request", lambda request: self._asked(request.url))

    def _said(self, message: ConsoleMessage) -> None:
        self.lines.append(f"{message.type}: {message.text}")
        if message.type == "error":
            self._error(f"{message.text} ({message.location.get('url', '')})")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self._error(f"HTTP {response.status}: {response.url}")

    def _asked(self, url: str) -> None:
        if not re.match(r"(https?|ws)://127\.0\.0\.1[:/]|data:|blob:|about:|chrome", url):
            self._error(f"asks another machine: {url}")

    def _error(self, text: str) -> None:
        self.lines.append(f"ERROR {text}")
        if not any(pattern in text for pattern, _ in NOT_OURS):
            self.errors.append(text)
