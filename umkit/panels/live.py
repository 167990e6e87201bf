"""Small widgets that ipywidgets has not: a line that is announced, a button that copies, a place for a screenshot.

They are written for anywidget, whose part in the browser comes prebuilt, so they work without a network.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any, Final

import anywidget
import traitlets

from umkit.attestation import LARGEST, Evidence
from umkit.panels.words import Words

#: What evidence may be, told by its first bytes: a name says nothing about what is in a file.
_KINDS: Final = (
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"GIF87a", ".gif"),
    (b"GIF89a", ".gif"),
    (b"BM", ".bmp"),
    (b"%PDF-", ".pdf"),
)
_LONGEST_NAME: Final = 80


@cache
def _static(name: str) -> str:
    return files("umkit.panels").joinpath("static", name).read_text("utf-8")


class Live(anywidget.AnyWidget):
    """A line of HTML that a screen reader announces when it changes; it brings the panels' style sheet."""

    _esm = _static("live.js")
    _css = _static("panel.css")
    value = traitlets.Unicode("").tag(sync=True)


class CopyButton(anywidget.AnyWidget):
    """A button that puts a text into the clipboard.

    Arguments:
        words: the reader's language.
    """

    _esm = _static("copy.js")
    text = traitlets.Unicode("").tag(sync=True)
    label = traitlets.Unicode("").tag(sync=True)
    hint = traitlets.Unicode("").tag(sync=True)
    done = traitlets.Unicode("").tag(sync=True)

    def __init__(self, words: Words) -> None:
        say = words.text
        super().__init__(label=say("Copy"), hint=say("Copy the PowerShell text"), done=say("copied"))


class EvidencePlace(anywidget.AnyWidget):
    """A place into which a screenshot or a PDF is pasted, dropped, or chosen from the files.

    Its content is in the kernel's memory only: no trait holds it, so no notebook can.

    Arguments:
        words: the reader's language.
    """

    _esm = _static("evidence.js")
    words = traitlets.Dict().tag(sync=True)
    largest = traitlets.Int(LARGEST).tag(sync=True)
    told = traitlets.Unicode("").tag(sync=True)
    problem = traitlets.Unicode("").tag(sync=True)

    def __init__(self, words: Words) -> None:
        self._say = say = words.text
        #: What was given; none where nothing was, or it was not usable.
        self.given: Evidence | None = None
        #: Whether something is still on its way from the browser.
        self.on_its_way = False
        self._name, self._size, self._pieces = "", 0, list[bytes]()
        label = say("Screenshot: click here and press Ctrl+V, or drop a file here")
        told = {"remove": say("Remove"), "choose": say("Choose a file …"), "alt": say("The screenshot, in small")}
        super().__init__(words={"label": label, **told})
        self.on_msg(lambda _, content, buffers: self.receive(content, buffers))

    def clear(self) -> None:
        """Forget what was given."""
        self.given, self._pieces, self.on_its_way = None, [], False
        self.told = self.problem = ""

    def receive(self, content: dict[str, Any], buffers: list[Any]) -> None:
        """What the browser sends: the begin of a file, its pieces, its end; or that it is taken away."""
        match content.get("do"):
            case "begin":
                self.clear()
                self._name, self._size = str(content.get("name") or ""), int(content.get("size") or 0)
                self.on_its_way = True
            case "piece" if self.on_its_way:
                self._pieces += [bytes(each) for each in buffers]
                if sum(map(len, self._pieces)) > LARGEST:
                    self._refuse("large")
            case "end" if self.on_its_way:
                self._take(b"".join(self._pieces))
            case "refused":
                self._refuse(str(content.get("why")))
            case "remove":
                self.clear()

    def _take(self, data: bytes) -> None:
        kind = _kind(data)
        if not kind:
            self._refuse("kind")
        elif len(data) != self._size:
            self._refuse("whole")
        else:
            self.clear()
            self.given = Evidence(_safe(self._name, kind), data)
            self.told = f"{self.given.name}, {_size(len(data))}"

    def _refuse(self, why: str) -> None:
        say = self._say
        self.clear()
        self.problem = {
            "large": say("Larger than 20 MiB; take a smaller picture"),
            "whole": say("It did not arrive whole; give it again"),
        }.get(why, say("Neither a picture (PNG, JPEG, GIF, WebP, BMP) nor a PDF"))


def _kind(data: bytes) -> str:
    """The suffix that belongs to a content; empty where it may not be evidence."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ".webp"
    return next((suffix for magic, suffix in _KINDS if data.startswith(magic)), "")


def _safe(name: str, suffix: str) -> str:
    """A file name that is nothing but a name, with the suffix of its content."""
    stem = PurePosixPath(name.replace("\\", "/")).name.rpartition(".")[0]
    plain = "".join(c if c.isalnum() or c in " ()_-" else "_" for c in stem if c.isprintable()).strip()
    return (plain[:_LONGEST_NAME] or "screenshot") + suffix


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{max(1, round(count / 2**10))} KiB"
