"""Passwords that only a person knows: a field for each, whose value goes nowhere but into this process's memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import ipywidgets as widgets
from traitlets import Unicode

from umkit.errors import SecretError
from umkit.panels.base import button, state
from umkit.panels.controls import labelled
from umkit.panels.words import Words
from umkit.secrets import SecretReference, answer


class Password(widgets.Password):  # type: ignore[misc]
    """A password's field whose value the kernel does not send back to the page, and takes when it was left.

    With each key a part of it would be sent, and the last one could arrive after the click that uses it.
    """

    value = Unicode("", help="What was typed").tag(sync=True, echo_update=False)

    def __init__(self, **traits: object) -> None:
        super().__init__(continuous_update=False, **traits)


class Passwords:
    """The fields of all secrets that are missing.

    Arguments:
        words: the language.
        taken: called with what was answered.
    """

    def __init__(self, words: Words, taken: Callable[[SecretReference], None]) -> None:
        self.words, self._taken = words, taken
        self.fields: dict[SecretReference, Password] = {}
        self.buttons: dict[SecretReference, widgets.Button] = {}
        self.widget = widgets.VBox([])

    def ask(self, missing: Mapping[SecretReference, tuple[str, str]]) -> None:
        """Show a field for each of these, and for no other; what is being typed stays.

        Arguments:
            missing: what is asked for: the keys of the customer file that it serves, and why it is asked for.
        """
        for reference in [known for known in self.fields if known not in missing]:
            self.fields.pop(reference).value = ""
            del self.buttons[reference]
        self.widget.children = [self._row(reference, *why) for reference, why in missing.items()]

    def _row(self, reference: SecretReference, keys: str, why: str) -> widgets.Widget:
        say = self.words.text
        if reference not in self.fields:
            label = reference.rest.strip() if reference.scheme == "prompt" else ""
            label = label[:1].upper() + label[1:] or say("Password for {keys}", keys=keys)
            # A browser that offers to keep it would keep it: this field has no name and no form around it.
            self.fields[reference] = Password(**labelled(label, f"{keys}: {reference}"))
            self.buttons[reference] = button(
                say("Use for this session"),
                partial(self._use, reference),
                style="primary",
                tooltip=say("It is kept in this chapter's memory only, and forgotten when its kernel ends"),
            )
        told = widgets.HTML(state("ask", say("Needed"), " · ".join(filter(None, (keys, why)))))
        return widgets.VBox([told, self.fields[reference], self.buttons[reference]])

    def _use(self, reference: SecretReference) -> None:
        field = self.fields[reference]
        value, field.value = field.value, ""
        if not value:
            field.focus()
            return
        answer(reference, value)
        self._taken(reference)


def unresolved(references: Mapping[str, SecretReference]) -> dict[SecretReference, tuple[str, str]]:
    """What a person has to be asked for, since it leads nowhere without one: the keys that it serves, and why.

    Arguments:
        references: dotted key of the customer file → its reference.
    """
    missing: dict[SecretReference, tuple[str, str]] = {}
    for key, reference in references.items():
        try:
            reference.resolve(interactive=False)
        except SecretError as error:
            reason = "" if reference.scheme == "prompt" else error.what  # that it is asked for is to be seen
            keys, why = missing.get(reference.question, ("", reason))
            missing[reference.question] = (f"{keys}, {key}" if keys else key, why)
    return missing
