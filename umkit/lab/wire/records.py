"""The messages a server writes itself: states, error records, warnings.

psrpcore writes them without escaping ToString and emits states Windows never
sends (reference/wire.md §6); as text they are right and cost nothing.
"""

from __future__ import annotations

from umkit.lab.model import ErrorRecord
from umkit.lab.wire.clixml import text

COMPLETED, STOPPED, FAILED = 4, 3, 5

#: Bits of RemoteStreamOptions: which records carry InvocationInfo.
ERRORS, WARNINGS = 1, 2

STOPPED_RECORD = ErrorRecord(
    message="The pipeline has been stopped.",
    error_id="PipelineStopped",
    category=14,
    category_name="OperationStopped",
    reason="PipelineStoppedException",
    exception_type="System.Management.Automation.PipelineStoppedException",
)

_HRESULT = -2146233087  # COR_E_SYSTEM, what .NET gives an exception that sets nothing else


class _Ids:
    """Hands out the RefIds of one message."""

    def __init__(self) -> None:
        self._objects = -1
        self._types = -1

    def obj(self) -> int:
        self._objects += 1
        return self._objects

    def types(self, *names: str) -> str:
        self._types += 1
        return f'<TN RefId="{self._types}">{"".join(f"<T>{text(name)}</T>" for name in names)}</TN>'


def _s(name: str, value: str | None) -> str:
    return f'<Nil N="{name}"/>' if value is None else f'<S N="{name}">{text(value)}</S>'


def _exception(record: ErrorRecord, ids: _Ids) -> str:
    number = ids.obj()
    types = ids.types(*dict.fromkeys((record.exception_type, "System.Exception", "System.Object")))
    shown = text(f"{record.exception_type}: {record.message}")
    return (
        f'<Obj N="Exception" RefId="{number}">{types}<ToString>{shown}</ToString><Props>'
        f"{_s('Message', record.message)}"
        f'<Obj N="Data" RefId="{ids.obj()}">{ids.types("System.Collections.Hashtable", "System.Object")}<DCT/></Obj>'
        '<Nil N="InnerException"/><Nil N="TargetSite"/><Nil N="StackTrace"/><Nil N="HelpLink"/><Nil N="Source"/>'
        f'<I32 N="HResult">{_HRESULT}</I32></Props></Obj>'
    )


def _enum(name: str, kind: str, shown: str, number: int, ids: _Ids) -> str:
    types = ids.types(kind, "System.Enum", "System.ValueType", "System.Object")
    return f'<Obj N="{name}" RefId="{ids.obj()}">{types}<ToString>{shown}</ToString><I32>{number}</I32></Obj>'


def _invocation(name: str, ids: _Ids) -> str:
    """The InvocationInfo of a record; the command is named, its line and position are those of no script."""
    space = "System.Management.Automation"
    iteration = ids.types("System.Int32[]", "System.Array", "System.Object")
    unbound = ids.types("System.Collections.Generic.List`1[[System.Object]]", "System.Object")
    bound = ids.types(f"{space}.PSBoundParametersDictionary", "System.Object")
    return (
        f"{_s('InvocationInfo_InvocationName', name)}"
        f'<Obj N="InvocationInfo_BoundParameters" RefId="{ids.obj()}">{bound}<DCT/></Obj>'
        f"{_enum('InvocationInfo_CommandOrigin', f'{space}.CommandOrigin', 'Internal', 1, ids)}"
        '<B N="InvocationInfo_ExpectingInput">false</B><S N="InvocationInfo_Line"></S>'
        '<I32 N="InvocationInfo_OffsetInLine">0</I32><S N="InvocationInfo_PositionMessage"></S>'
        '<S N="InvocationInfo_ScriptName"></S><I32 N="InvocationInfo_ScriptLineNumber">0</I32>'
        '<I64 N="InvocationInfo_HistoryId">1</I64><I32 N="InvocationInfo_PipelineLength">0</I32>'
        '<I32 N="InvocationInfo_PipelinePosition">0</I32>'
        f'<Obj N="InvocationInfo_PipelineIterationInfo" RefId="{ids.obj()}">{iteration}<LST/></Obj>'
        f'<Obj N="InvocationInfo_UnboundArguments" RefId="{ids.obj()}">{unbound}<LST/></Obj>'
        '<B N="SerializeExtent">false</B>'
        f"{_enum('CommandInfo_CommandType', f'{space}.CommandTypes', 'Cmdlet', 8, ids)}"
        f"{_s('CommandInfo_Definition', name)}{_s('CommandInfo_Name', name)}"
        f"{_enum('CommandInfo_Visibility', f'{space}.SessionStateEntryVisibility', 'Public', 0, ids)}"
    )


def _iteration(name: str, ids: _Ids) -> str:
    types = ids.types("System.Collections.ObjectModel.ReadOnlyCollection`1[[System.Int32]]", "System.Object")
    return f'<Obj N="{name}" RefId="{ids.obj()}">{types}<LST/></Obj>'


def _error(record: ErrorRecord, ids: _Ids, attribute: str, extended: bool) -> str:
    number = ids.obj()
    types = ids.types("System.Management.Automation.ErrorRecord", "System.Object")
    target = record.target or ""
    kind = "String" if record.target is not None else ""
    shown = f"{record.category_name}: ({target}:{kind}) [{record.activity}], {record.reason}"
    details = '<B N="SerializeExtendedInfo">false</B>'
    if extended:
        details = (
            f'<B N="SerializeExtendedInfo">true</B>{_invocation(record.activity, ids)}'
            f"{_iteration('PipelineIterationInfo', ids)}"
        )
    return (
        f'<Obj{attribute} RefId="{number}">{types}<ToString>{text(record.message)}</ToString><MS>'
        f"{_exception(record, ids)}{_s('TargetObject', record.target)}"
        f'{_s("FullyQualifiedErrorId", record.error_id)}<Nil N="InvocationInfo"/>'
        f'<I32 N="ErrorCategory_Category">{record.category}</I32>'
        f"{_s('ErrorCategory_Activity', record.activity)}{_s('ErrorCategory_Reason', record.reason)}"
        f"{_s('ErrorCategory_TargetName', target)}{_s('ErrorCategory_TargetType', kind)}"
        f"{_s('ErrorCategory_Message', shown)}{details}</MS></Obj>"
    )


def error(record: ErrorRecord, *, extended: bool = False) -> str:
    """An ERROR_RECORD message's body.

    Arguments:
        record: the error.
        extended: whether the client asked for InvocationInfo.
    """
    return _error(record, _Ids(), "", extended)


def warning(message: str, name: str, *, extended: bool = False) -> str:
    """A WARNING_RECORD message's body.

    Arguments:
        message: the warning's text.
        name: the cmdlet that warns.
        extended: whether the client asked for InvocationInfo.
    """
    ids = _Ids()
    number = ids.obj()
    space = "System.Management.Automation"
    types = ids.types(f"{space}.WarningRecord", f"{space}.InformationalRecord", "System.Object")
    serialised = "InformationalRecord_SerializeInvocationInfo"
    details = f'<B N="{serialised}">false</B>'
    if extended:
        details = (
            f'<B N="{serialised}">true</B>{_invocation(name, ids)}'
            f"{_iteration('InformationalRecord_PipelineIterationInfo', ids)}"
        )
    return (
        f'<Obj RefId="{number}">{types}<ToString>{text(message)}</ToString>'
        f"<MS>{_s('InformationalRecord_Message', message)}{details}</MS></Obj>"
    )


def state(number: int, record: ErrorRecord | None = None) -> str:
    """A PIPELINE_STATE message's body.

    Arguments:
        number: COMPLETED, STOPPED or FAILED.
        record: the terminating error, or why it stopped.
    """
    ids = _Ids()
    outer = ids.obj()
    failure = _error(record, ids, ' N="ExceptionAsErrorRecord"', False) if record is not None else ""
    return f'<Obj RefId="{outer}"><MS><I32 N="PipelineState">{number}</I32>{failure}</MS></Obj>'
