"""Parameter binding as Windows PowerShell 5.1 does it.

Names are case-insensitive and may be shortened while they stay unambiguous,
aliases and common parameters included; positional values follow the position
numbers; parameter sets are resolved; nothing unknown, doubled, missing or of
the wrong type gets through. Every error terminates the pipeline, as the
engine's do (reference/exchange.md §3 g, reference/windows.md §i).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from umkit.lab import values
from umkit.lab.records import Refusal, Unfit, binding_refusal, unfit
from umkit.lab.tables import Cmdlet, Parameter, ParameterSet

_ACTIONS = ("SilentlyContinue", "Stop", "Continue", "Inquire", "Ignore", "Suspend")
_ACTION_NUMBERS = tuple((name, number) for number, name in enumerate(_ACTIONS))


def _preference(name: str, alias: str) -> Parameter:
    full = "System.Management.Automation.ActionPreference"
    return Parameter(name, "ActionPreference", (alias,), values=_ACTIONS, numbers=_ACTION_NUMBERS, clr_type=full)


#: What every cmdlet takes (about_CommonParameters); WhatIf and Confirm are in the tables where they apply.
COMMON = {
    parameter.name: parameter
    for parameter in (
        Parameter("Verbose", "SwitchParameter", ("vb",)),
        Parameter("Debug", "SwitchParameter", ("db",)),
        _preference("ErrorAction", "ea"),
        _preference("WarningAction", "wa"),
        _preference("InformationAction", "infa"),
        Parameter("ErrorVariable", "String", ("ev",)),
        Parameter("WarningVariable", "String", ("wv",)),
        Parameter("InformationVariable", "String", ("iv",)),
        Parameter("OutVariable", "String", ("ov",)),
        Parameter("OutBuffer", "Int32", ("ob",), range=(0, 2**31 - 1)),
        Parameter("PipelineVariable", "String", ("pv",)),
    )
}
_SHARED = frozenset({*COMMON, "WhatIf", "Confirm"})
#: Mandatory parameters that take null and an empty list all the same ([AllowNull], [AllowEmptyCollection]).
_MAY_BE_EMPTY = frozenset({("Set-Content", "Value"), ("Set-ItemProperty", "Value"), ("Set-Item", "Value")})
_VALIDATION = "System.Management.Automation.ParameterBindingValidationException"


@dataclass(frozen=True)
class Bound:
    """The parameters of a call, by their full names.

    Arguments:
        parameters: the cmdlet's own parameters, WhatIf and Confirm among them.
        common: the common parameters.
        parameter_set: the set that was chosen.
    """

    parameters: dict[str, Any]
    common: dict[str, Any]
    parameter_set: str


def _names(parameter: Parameter) -> list[str]:
    return [parameter.name.lower(), *(alias.lower() for alias in parameter.aliases)]


class _Binder:
    def __init__(self, cmdlet: Cmdlet, hidden: frozenset[str], provider: str) -> None:
        self.cmdlet = cmdlet
        self.own = {
            name: parameter
            for name, parameter in cmdlet.parameters.items()
            if name.lower() not in hidden and parameter.provider in ("", provider)
        }
        self.sets = self._sets(provider)
        self.bound: dict[str, tuple[Parameter, Any]] = {}

    def _sets(self, provider: str) -> list[ParameterSet]:
        """The sets of the path's provider, or those that hold for every provider."""
        named = [each for each in self.cmdlet.sets if provider and each.provider == provider]
        return named or [each for each in self.cmdlet.sets if each.provider in ("", "All")]

    def refuse(self, message: str, error_id: str, category: str = "InvalidArgument") -> Refusal:
        return binding_refusal(message, error_id, self.cmdlet.type_name, category)

    def resolve(self, name: str) -> Parameter:
        """The parameter of a name, an alias, or the beginning of one."""
        wanted = name.lower()
        everything = [*self.own.values(), *COMMON.values()]
        for parameter in everything:
            if wanted in _names(parameter):
                return parameter
        matches = [each for each in everything if wanted and any(known.startswith(wanted) for known in _names(each))]
        # The engine prefers a single declared parameter to common ones that begin alike (?).
        declared = [each for each in matches if each.name not in _SHARED]
        matches = declared if len(declared) == 1 else matches
        if len(matches) > 1:
            listed = " ".join(f"-{each.name}" for each in matches)
            raise self.refuse(
                f"Parameter cannot be processed because the parameter name '{name}' is ambiguous. "
                f"Possible matches include: {listed}.",
                "AmbiguousParameter",
            )
        if not matches:
            message = f"A parameter cannot be found that matches parameter name '{name}'."
            raise self.refuse(message, "NamedParameterNotFound")
        return matches[0]

    def bind_named(self, arguments: Iterable[tuple[str, Any]]) -> None:
        for name, value in arguments:
            parameter = self.resolve(name)
            if parameter.name in self.bound:
                raise self.refuse(
                    f"Cannot bind parameter because parameter '{parameter.name}' is specified more than once. To "
                    "provide multiple values to parameters that can accept multiple values, use the array syntax. For "
                    'example, "-parameter value1,value2,value3".',
                    "ParameterAlreadyBound",
                )
            self.bound[parameter.name] = (parameter, value)
            self.narrow()

    def narrow(self) -> None:
        """Keep the sets that hold everything bound so far."""
        # A dynamic parameter is in every set, whichever of them its page lists.
        own = {name for name, (parameter, _) in self.bound.items() if name not in COMMON and not parameter.provider}
        self.sets = [each for each in self.sets if own <= each.parameters]
        if not self.sets:
            raise self.ambiguous_set()

    def ambiguous_set(self) -> Refusal:
        return self.refuse(
            "Parameter set cannot be resolved using the specified named parameters.", "AmbiguousParameterSet"
        )

    def bind_positional(self, arguments: Sequence[Any]) -> None:
        for value in arguments:
            open_places = [
                (self.own[name].position, not each.default, order, name)
                for order, each in enumerate(self.sets)
                for name in each.positional
                if name in self.own and name not in self.bound
            ]
            if not open_places:
                shown = value if isinstance(value, str | int | float) else values.given_name(value)
                message = f"A positional parameter cannot be found that accepts argument '{shown}'."
                raise self.refuse(message, "PositionalParameterNotFound")
            # The engine looks first for a place that takes the value as it is.
            taking = [each for each in open_places if not values.live(self.own[each[3]].type)]
            name = min(taking or open_places)[3]
            self.bound[name] = (self.own[name], value)
            self.narrow()

    def missing(self, candidate: ParameterSet) -> list[str]:
        return [name for name in candidate.required if name not in self.bound]

    def choose(self) -> ParameterSet:
        """The parameter set of this call, or the engine's error.

        Most pages of Exchange's cmdlets don't say which set is the default one: then the first set that is
        complete counts, or the one that lacks least (?).
        """
        known_default = any(each.default for each in self.cmdlet.sets)
        candidates = [each for each in self.sets if not self.missing(each)] or self.sets
        default = [each for each in candidates if each.default]
        # Sets of one name are one set, listed once a provider.
        if not default and len({each.name for each in candidates}) > 1 and known_default:
            raise self.ambiguous_set()
        chosen = default[0] if default else min(candidates, key=lambda each: len(self.missing(each)))
        if self.missing(chosen):
            # The engine would ask; a host without user interface makes that fail.
            listed = " ".join(self.missing(chosen))
            raise self.refuse(
                f"Cannot process command because of one or more missing mandatory parameters: {listed}.",
                "MissingMandatoryParameter",
            )
        return chosen

    def convert(self, parameter: Parameter, value: Any, required: bool) -> Any:
        if required and (self.cmdlet.name, parameter.name) not in _MAY_BE_EMPTY:
            self.check_not_empty(parameter, value)
        name = parameter.name
        try:
            return values.convert(parameter, value)
        except values.WrongType as error:
            message = f"{error} required by parameter '{name}'.{error.hint or ' Specified method is not supported.'}"
            raise self.refuse(message, "CannotConvertArgument") from None
        except Unfit as error:
            raise unfit(error, self.cmdlet.type_name) from None
        except values.Rejected as error:
            if self.cmdlet.exchange:
                message = f'Cannot bind parameter \'{name}\' to the target. Exception setting "{name}": "{error}"'
                raise self.refuse(message, "ParameterBindingFailed", "WriteError") from None
            raise self.invalid(f"Cannot validate argument on parameter '{name}'. {error}", "") from None

    def invalid(self, message: str, suffix: str) -> Refusal:
        """A validation error; the engine's id says which check failed."""
        return binding_refusal(
            message, f"ParameterArgumentValidationError{suffix}", self.cmdlet.type_name, "InvalidData", _VALIDATION
        )

    def check_not_empty(self, parameter: Parameter, value: Any) -> None:
        """A mandatory parameter takes no null, no empty text and no empty list."""
        begin = f"Cannot bind argument to parameter '{parameter.name}' because it is"
        if value is None and "$null" not in parameter.values and parameter.type != "SwitchParameter":
            raise self.invalid(f"{begin} null.", "NullNotAllowed")
        if value == "" and parameter.type in ("String", "String[]", "MultiValuedProperty"):
            raise self.invalid(f"{begin} an empty string.", "EmptyStringNotAllowed")
        if value == []:
            raise self.invalid(f"{begin} an empty array.", "EmptyArrayNotAllowed")


def bind(
    cmdlet: Cmdlet,
    arguments: Sequence[tuple[str | None, Any]],
    *,
    hidden: frozenset[str] = frozenset(),
    provider: str = "",
) -> Bound:
    """Bind a call's arguments to a cmdlet's parameters.

    Arguments:
        cmdlet: the cmdlet.
        arguments: (name or None, value) in the order sent.
        hidden: lower-case names of parameters that RBAC hides from the account; they look unknown.
        provider: the provider of the call's path (``Registry``, ``FileSystem``); it brings dynamic parameters.

    Raises Refusal with the engine's error id.
    """
    binder = _Binder(cmdlet, hidden, provider)
    binder.bind_named([(name, value) for name, value in arguments if name is not None])
    binder.bind_positional([value for name, value in arguments if name is None])
    chosen = binder.choose()
    parameters: dict[str, Any] = {}
    common: dict[str, Any] = {}
    for name, (parameter, value) in binder.bound.items():
        target = common if name in COMMON else parameters
        target[name] = binder.convert(parameter, value, name in chosen.required)
    return Bound(parameters, common, chosen.name)
