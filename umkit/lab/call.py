"""What a cmdlet's handler talks to: one bound call on one server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from umkit.lab import objects, records
from umkit.lab.binding import Bound
from umkit.lab.model import Control, Reply, Stopped
from umkit.lab.shapes import Property, Shape
from umkit.lab.store import Entry
from umkit.lab.tables import Cmdlet
from umkit.lab.values import Change

if TYPE_CHECKING:
    from umkit.lab.organisation import Account, Organisation
    from umkit.lab.service import Service

#: Longest Name of a directory object, in UTF-16 code units as .NET counts (page of New-RemoteDomain).
_LONGEST_NAME = 64
_PROMPT = "Are you sure you want to perform this action?"


class Call:
    """One call of a cmdlet.

    Arguments:
        service: the endpoint it came to.
        account: who called.
        cmdlet: the cmdlet.
        bound: its parameters.
        control: tells when the client stops it.
        controller: FQDN of the domain controller that it reads and writes.
    """

    def __init__(
        self, service: Service, account: Account, cmdlet: Cmdlet, bound: Bound, control: Control, controller: str
    ) -> None:
        self.service = service
        self.organisation: Organisation = service.organisation
        self.account = account
        self.cmdlet = cmdlet
        self.parameters = bound.parameters
        self.parameter_set = bound.parameter_set
        self.control = control
        self.controller = controller
        self.store = service.store
        self.request = uuid4()
        self.reply = Reply()
        self.read_nouns: set[str] = set()
        self._common = bound.common

    # -- what was asked ------------------------------------------------------------------------------------------

    def __contains__(self, name: str) -> bool:
        """Whether a parameter was given."""
        return name in self.parameters

    def get(self, name: str, default: Any = None) -> Any:
        """A parameter's value, or the default when it was not given."""
        return self.parameters.get(name, default)

    def simulates(self, *names: str) -> None:
        """Refuse the call if it uses a parameter that is not among these.

        A parameter that the table knows and the handler would pass over must not look as if it worked.
        """
        for name in self.parameters:
            if name not in (*names, "DomainController", "Confirm", "WhatIf"):
                raise records.not_simulated(f"parameter {name} of {self.cmdlet.name}")

    # -- what is there -------------------------------------------------------------------------------------------

    def shape(self, noun: str = "") -> Shape:
        """The form of a class; of the cmdlet's own noun by default."""
        return self.organisation.shapes[noun or self.cmdlet.noun]

    def all(self, noun: str = "") -> list[Entry]:
        """Every object of a class as this domain controller has it."""
        noun = noun or self.cmdlet.noun
        shape = self.organisation.shapes.get(noun)
        stored = shape.stored if shape else noun
        self.read_nouns.add(stored)
        entries = self.store.read(self.controller, stored)
        return [each for each in entries if shape.shows(each)] if shape else entries

    def find(self, identity: str, noun: str = "") -> Entry:
        """The object of an identity; raises TaskRefusal when there is none."""
        shape = self.shape(noun)
        for entry in self.all(noun):
            if shape.matches(self.organisation, entry, identity):
                return entry
        raise records.not_found(identity, self.controller)

    def wanted(self) -> list[Entry]:
        """The object of ``-Identity``, or every one when none or null was given.

        That null means "all" is what the page of Get-ADPermission warns of.
        """
        identity = self.get("Identity")
        return self.all() if identity is None else [self.find(identity)]

    # -- what is done --------------------------------------------------------------------------------------------

    def should_process(self) -> bool:
        """Whether to act: not with ``-WhatIf``; a prompt fails for want of a user interface."""
        if self.get("WhatIf"):
            return False
        if self.get("Confirm", self.cmdlet.prompts):
            raise records.prompt_failed(self.cmdlet.type_name, _PROMPT)
        return True

    def create(self, values: Mapping[str, Any]) -> Entry | None:
        """Create an object of the cmdlet's noun; None with ``-WhatIf``."""
        self.check_name(values)
        complete = self.complete({**self.organisation.defaults(self.cmdlet.noun), **values})
        if not self.should_process():
            return None
        now = self.organisation.now()
        entry = Entry(self.shape().stored, uuid4(), complete, now, now)
        self.store.create(self.controller, entry)
        return entry

    def update(self, entry: Entry, changes: Mapping[str, Any]) -> bool:
        """Change an object, and warn as Exchange does when nothing is another than before; whether it was written."""
        if "Name" in changes:
            self.check_name({**entry.values, **changes}, entry.guid)
        complete = self.complete({**entry.values, **changes})
        differing = {name: value for name, value in complete.items() if value != entry.values.get(name)}
        if not differing:
            self.warn(
                "The command completed successfully but no settings of "
                f"'{self.shape().identity_of(entry.values)}' have been modified."
            )
        elif self.should_process():
            self.store.update(self.controller, entry, differing, self.organisation.now())
            return True
        return False

    def remove(self, entry: Entry) -> None:
        """Remove an object."""
        if self.should_process():
            self.store.remove(self.controller, entry)

    def changes(self, entry: Entry | None = None) -> dict[str, Any]:
        """The given parameters that are properties of the object, canonical; additions and removals are resolved."""
        changes = {}
        for name, value in self.parameters.items():
            form = self.shape().property(name)
            if form is None:
                continue
            if form.kind == "LST":
                before = list(entry.values[form.name]) if entry else []
                value = self._elements(form, before, value)
            changes[form.name] = value
        return changes

    def _elements(self, form: Property, before: list[str], value: Any) -> list[str]:
        """A multivalued property after the call: replaced, or added to and removed from."""
        if not isinstance(value, Change):
            return list(dict.fromkeys(self.element(form, each) for each in value))
        gone = {self.element(form, each).lower() for each in value.remove}
        kept = [each for each in before if each.lower() not in gone]
        # Adding what is there and removing what is not are both taken without an error (?).
        present = {each.lower() for each in kept}
        added = [self.element(form, each) for each in value.add]
        return kept + [each for each in dict.fromkeys(added) if each.lower() not in present]

    def element(self, form: Property, value: str) -> str:
        """One element of a multivalued property, canonical, or refused as the binder refuses it."""
        if form.element is None:
            return value
        try:
            return form.element(self.organisation, value)
        except ValueError as error:
            type_name = form.types[0].partition("[[")[2].partition(",")[0]
            raise records.unfit(records.Unfit(form.name, value, type_name, str(error)), self.cmdlet.type_name) from None

    def complete(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values after the noun's own rules, which may refuse them."""
        return self.organisation.complete(self.cmdlet.noun, values)

    def check_name(self, values: Mapping[str, Any], own: UUID | None = None) -> None:
        """Refuse a name that is too long, empty, or taken by another object of the class."""
        name = str(values["Name"] or "")
        length = len(name.encode("utf-16-le", "surrogatepass")) // 2
        if length > _LONGEST_NAME or not name.strip():
            # Exchange Online says the first sentence so; that a too long name is a binding error on-premises is (?).
            reason = (
                "The length of the property is too long. "
                f"The maximum length is {_LONGEST_NAME} and the length of the value provided is {length}."
                if name.strip()
                else "The property value can't be empty."
            )
            message = f'Cannot bind parameter \'Name\' to the target. Exception setting "Name": "{reason}"'
            raise records.binding_refusal(message, "ParameterBindingFailed", self.cmdlet.type_name, "WriteError")
        wanted = self.shape().distinguished_name(self.organisation, values)
        for other in self.all(self.shape().stored):
            known = self.shape().distinguished_name(self.organisation, other.values)
            if other.guid != own and known.lower() == wanted.lower():
                raise records.already_exists(known, self.controller)

    # -- what is answered ----------------------------------------------------------------------------------------

    def output(self, node: objects.Node) -> None:
        """Send one value."""
        self.reply.outputs.append(objects.render(node))

    def emit(self, entry: Entry | None, noun: str = "") -> None:
        """Send an object of the directory as this domain controller has it now; nothing for None.

        Arguments:
            entry: the object.
            noun: as what it is shown where it has several views (a user and its mailbox); its own noun by default.
        """
        if entry is not None:
            self.output(self.shape(noun or entry.noun).node(self.organisation, entry, self.controller))

    def emit_all(self, entries: Sequence[Entry], noun: str = "") -> None:
        """Send objects up to ``-ResultSize``, 1000 by default; that there are more is a warning (wording (?))."""
        size = self.get("ResultSize", "1000")
        limit = len(entries) if size == "Unlimited" else int(size)
        for entry in entries[:limit]:
            self.emit(entry, noun)
        if len(entries) > limit:
            self.warn(
                f"There are more results available than the {limit} that are displayed. To view them, increase the "
                "value for the ResultSize parameter."
            )

    def warn(self, message: str) -> None:
        """Write a warning, unless WarningAction silences it."""
        action = self._common.get("WarningAction", "Continue")
        if action == "Stop":
            raise records.Refusal(
                "The running command stopped because the preference variable "
                f'"WarningPreference" or common parameter is set to Stop: {message}',
                error_id=f"ActionPreferenceStop,{self.cmdlet.type_name}",
                category="OperationStopped",
                exception_type="System.Management.Automation.ActionPreferenceStopException",
                terminating=True,
            )
        if action == "Inquire":
            raise records.prompt_failed(self.cmdlet.type_name, message)
        if action not in ("SilentlyContinue", "Ignore"):
            self.reply.warnings.append(message)

    def refuse(self, refusal: records.Refusal | records.TaskRefusal) -> None:
        """Write an error as ErrorAction says: on the stream, as the pipeline's end, or not at all."""
        if isinstance(refusal, records.TaskRefusal):
            refusal = records.task_refusal(
                refusal,
                server=self.service.name,
                request=self.request,
                time=self.organisation.now().astimezone(self.organisation.timezone),
                implementing_type=self.cmdlet.type_name,
            )
        action = self._common.get("ErrorAction", "Continue")
        record = refusal.record(self.cmdlet.name)
        if refusal.terminating or action == "Stop":
            self.reply.failed = record
        elif action == "Inquire":
            self.reply.failed = records.prompt_failed(self.cmdlet.type_name, refusal.message).record(self.cmdlet.name)
        elif action not in ("SilentlyContinue", "Ignore"):
            self.reply.errors.append(record)

    def wait(self, seconds: float) -> None:
        """Let time pass without holding others up; raises Stopped when the client stops the pipeline."""
        if seconds > 0:
            with self.organisation.unlocked():
                self.control.stopped.wait(seconds)
        if self.control.stopped.is_set():
            raise Stopped
