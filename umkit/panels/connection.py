"""The state of the connection: where to, as whom, which protocol, which versions, what the account may not do."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future

import ipywidgets as widgets

from umkit.errors import AuthenticationFailed, SecretError, UmkitError
from umkit.outcome import StepOutcome
from umkit.panels.base import Waiting, button, error_text, state
from umkit.panels.passwords import Passwords, unresolved
from umkit.panels.reached import HostSeen, Reached, connect, known, open_channels, reference_of
from umkit.panels.words import Words
from umkit.secrets import SecretReference, ask_elsewhere, forget
from umkit.sitting import Sitting
from umkit.view import render

#: References that are looked up without asking a key store, which may be slow, locked or ask a person itself.
_AT_ONCE = ("prompt", "env")


class ConnectionPanel:
    """Shows the connection, opens it anew, and takes the passwords that only a person knows.

    Nothing is contacted before the first step's cell is run, or *Connect* is pressed.

    Arguments:
        sitting: the person's work on the chapter.
        words: the language.
    """

    def __init__(self, sitting: Sitting, words: Words) -> None:
        self.sitting, self.words = sitting, words
        self._waiting = Waiting()
        self._seen: frozenset[str] = frozenset()
        #: Passwords that a server refused, with the reason to ask for them.
        self._refused: set[SecretReference] = set()
        self._missing: dict[SecretReference, tuple[str, str]] = {}
        say = self.words.text
        self.connect_button = button(say("Connect"), self.connect, tooltip=say("Open the connection; changes nothing"))
        self.status = widgets.HTML()
        self.table = widgets.HTML()
        self.passwords = Passwords(self.words, self._password_taken)
        self.widget = widgets.VBox([self.passwords.widget, self.status, self.table, self.connect_button])
        ask_elsewhere("in the connection panel at the head of this chapter, then press Look again at the step")
        sitting.listeners.append(self._step_ended)
        self.begin_anew()

    def begin_anew(self) -> None:
        """Show that there is no connection yet, and ask for the passwords that are missing."""
        say = self.words.text
        self._seen = frozenset()
        self.table.value = ""
        self.connect_button.description = say("Connect")
        self.status.value = state("ask", say("Not connected yet"), say("it connects with the first step's cell"))
        self.look_for_passwords()

    def connect(self) -> None:
        """Close every session and open it anew; also when the laptop has slept meanwhile."""
        say = self.words.text
        self.connect_button.disabled = True
        most = self.sitting.chapter.site.inputs.exchange.deadline
        self.status.value = state("busy", say("Connecting"), say("this may take up to {seconds} s", seconds=most))
        site, info = self.sitting.chapter.site, self.sitting.chapter.info
        self._waiting.then(self.sitting.run(lambda: connect(site, info)), self._connected)

    def look_for_passwords(self) -> None:
        """Ask for what cannot be looked up; a key store is asked in the sitting's thread."""
        references = self.sitting.chapter.site.inputs.references()
        slow = {key: each for key, each in references.items() if each.scheme not in _AT_ONCE}
        self._missing = unresolved({key: each for key, each in references.items() if key not in slow})
        self._ask()
        if slow:
            self._waiting.then(self.sitting.run(lambda: unresolved(slow)), self._looked_up)

    def _looked_up(self, future: Future[dict[SecretReference, tuple[str, str]]]) -> None:
        if future.exception() is None:
            self._missing |= future.result()
            self._ask()

    def _ask(self) -> None:
        references = self.sitting.chapter.site.inputs.references()
        refused = {}
        for reference in self._refused:
            keys = ", ".join(key for key, each in references.items() if each == reference)
            if keys:
                refused[reference] = (keys, self.words.text("the server refused the last one"))
        self.passwords.ask({each: (keys, self._why(why)) for each, (keys, why) in self._missing.items()} | refused)

    def _why(self, why: str) -> str:
        """Why a secret cannot be had: its reference, and the reason in this language."""
        place, colon, reason = why.partition(": ")
        return f"{place}: {self.words.problem(reason)}" if colon else why

    def _password_taken(self, reference: SecretReference) -> None:
        say = self.words.text
        self._refused.discard(reference)
        self.sitting.run(self.sitting.chapter.site.renew)
        self.look_for_passwords()
        self.status.value = state("ask", say("Taken for this session"), say("press Connect, or Look again at the step"))

    def _connected(self, future: Future[Reached]) -> None:
        say = self.words.text
        self.connect_button.disabled = False
        error = future.exception()
        if error is None:
            self.show(future.result())
            return
        if isinstance(error, AuthenticationFailed):
            self.sitting.run(self.sitting.chapter.site.renew)
            self._refuse(error)
        if isinstance(error, SecretError):
            self.look_for_passwords()
        self.table.value = ""
        self.connect_button.description = say("Connect")
        self.status.value = state("failed", say("Not connected"), error_text(error, self.words))

    def show(self, reached: Reached) -> None:
        """Show what is known of the connection."""
        say = self.words.text
        bad = [each for each in reached.cmdlets if each.result != "ok"]
        silent = [host for host in reached.hosts if host.answers is False]
        for host in silent:
            if host.refused is not None:
                self._forget(host.refused)
        if not reached.endpoint:
            return  # a session to a host only: the first Exchange command tells the rest
        self.connect_button.description = say("Reconnect")
        if bad or silent or not all(product for *_, product in reached.servers):
            told = state("ask", say("Connected"), say("but something is missing, see below"))
        else:
            told = state("ok", say("Connected"))
        self.status.value = told
        self.table.value = render("panels/connection.html", rows=self._rows(reached))

    def _rows(self, reached: Reached) -> list[tuple[str, list[tuple[str, str]]]]:
        """Label → lines, each with a sign; one without has the sign of nothing to say."""
        say = self.words.text
        rows = [
            (say("Endpoint"), [("", reached.endpoint)]),
            (say("Account"), [("", reached.account or say("the account logged on here"))]),
            (say("Protocol"), [("", reached.protocol)]),
            (say("Domain controller"), [("", reached.controller)]),
            (say("Exchange servers"), [self._server(*each) for each in reached.servers]),
        ]
        if reached.cmdlets:
            # The role is part of what is to be done next.
            lines = [
                ("✓", self.words.problem(each.text))
                if each.result == "ok"
                else ("✗", f"{self.words.problem(each.text)}; {self.words.problem(each.next)}")
                for each in reached.cmdlets
            ]
        else:
            lines = [("", say("not looked at yet: press Reconnect"))]
        rows.append((say("Cmdlets"), lines))
        if reached.hosts:
            rows.append((say("Windows hosts"), [self._host(each) for each in reached.hosts]))
        return rows

    def _server(self, name: str, version: str, product: str) -> tuple[str, str]:
        if product:
            return "✓", f"{name}: {product}, {version}"
        return "✗", f"{name}: {version}, {self.words.text('a version that the chapters are not written for')}"

    def _host(self, host: HostSeen) -> tuple[str, str]:
        say = self.words.text
        if host.answers is None:
            return "", say("{host}: not asked yet", host=host.name)
        if host.answers:
            return "✓", say("{host} answers", host=host.name) + (f": {host.text}" if host.text else "")
        return "✗", say("{host} does not answer", host=host.name) + f": {self.words.problem(host.text)}"

    def _step_ended(self, step: str) -> None:
        """Look at what a step has opened; called in the sitting's thread."""
        site = self.sitting.chapter.site
        outcome: StepOutcome | None = self.sitting.chapter.outcomes.get(step)
        error = outcome.error if outcome is not None else None
        if isinstance(error, AuthenticationFailed):
            site.renew()
            self._waiting.soon(lambda: self._refuse(error))
        elif isinstance(error, SecretError):
            self._waiting.soon(self.look_for_passwords)
        there = open_channels(site)
        if there == self._seen:
            return
        self._seen = there
        with contextlib.suppress(UmkitError):  # whoever needs it will say so
            reached = known(site)
            self._waiting.soon(lambda: self.show(reached))

    def _refuse(self, error: AuthenticationFailed) -> None:
        site = self.sitting.chapter.site
        reference = reference_of(site, error.where.get("host", ""))
        if reference is not None:
            self._forget(reference)
        say = self.words.text
        self.status.value = state("failed", say("Not connected"), error_text(error, self.words))

    def _forget(self, reference: SecretReference) -> None:
        """A server refused this password: it is not used again, and asked for."""
        forget(reference)
        self._refused.add(reference)
        self._ask()
