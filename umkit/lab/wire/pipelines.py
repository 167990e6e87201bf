"""Pipelines: from the client's fragments to a Reply and back to messages."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from psrpcore.types import PSRPMessageType

from umkit.lab.model import EndpointService, ErrorRecord, Reply, Stopped
from umkit.lab.wire import records
from umkit.lab.wire.clixml import sendable
from umkit.lab.wire.faults import DROP_AFTER, HANG, Faults, Interference
from umkit.lab.wire.psrp import BadMessage, Event, InputArrived, InputEnded, PipelineArrived
from umkit.lab.wire.shells import Pipeline, Shell
from umkit.lab.wire.trace import Trace, now, pipeline_line

_log = logging.getLogger("umkit.lab")

#: How long settle() waits for what a request started, in seconds.
_SETTLE = 30.0

_Body = tuple[PSRPMessageType, str]


@dataclass
class Effect:
    """What a request did besides its answer.

    Arguments:
        then: DROP_AFTER or HANG where a fault struck a mutation that is run, else None.
        started: the pipelines that it completed.
    """

    then: str | None = None
    started: list[Pipeline] = field(default_factory=list)

    def settle(self) -> None:
        """Wait until what was started has ended, so that a lost answer leaves a known state."""
        for pipeline in self.started:
            pipeline.finished.wait(_SETTLE)


class Pipelines:
    """Runs the pipelines of one EndpointService.

    Arguments:
        service: what answers them.
        trace: where each is written.
        faults: what is to break at which mutation.
    """

    def __init__(self, service: EndpointService, trace: Trace, faults: Faults) -> None:
        self._service = service
        self._trace = trace
        self._faults = faults

    def feed(self, shell: Shell, data: bytes) -> Effect:
        """Take fragments and start what became complete.

        Raises:
            BadMessage: not PSRP.
            Fault: a message for an unknown pipeline.
            Interference: a fault struck a mutation that was not run.
        """
        with shell.pool.lock:
            ready = [self._arrived(shell, event) for event in shell.pool.feed(data)]
        effect = Effect()
        for pipeline in ready:
            if pipeline is None:
                continue
            mutating = any(self._service.is_mutating(one.name) for one in pipeline.invocations)
            action = self._faults.on_mutation() if mutating else None
            if action not in (None, DROP_AFTER, HANG):
                shell.remove(pipeline)
                raise Interference(action)
            effect.then = action or effect.then
            effect.started.append(pipeline)
            self._start(shell, pipeline, mutating)
        return effect

    def stop(self, shell: Shell, pipeline: Pipeline) -> None:
        """Stop a pipeline; one that has not begun ends at once."""
        if pipeline.stop():
            self._finish(shell, pipeline, [], records.STOPPED, records.STOPPED_RECORD)

    def _arrived(self, shell: Shell, event: Event) -> Pipeline | None:
        if not isinstance(event, (PipelineArrived, InputArrived, InputEnded)):
            return None
        pipeline = shell.pipeline(event.id)
        if isinstance(event, PipelineArrived):
            if pipeline.arrived is not None:
                raise BadMessage("the pipeline has arrived before")
            pipeline.arrived = event
        elif isinstance(event, InputArrived):
            pipeline.input.append(event.value)
        else:
            pipeline.input_ended = True
        return pipeline if pipeline.ready() else None

    def _start(self, shell: Shell, pipeline: Pipeline, mutating: bool) -> None:
        received = now()

        def work() -> None:
            if not pipeline.begin():
                return
            try:
                self._run(shell, pipeline, received, mutating)
            except Exception as error:
                # Whatever it was, the client must not wait for ever.
                _log.exception("the lab failed in pipeline %s", pipeline.id)
                self._finish(shell, pipeline, [], records.FAILED, _lab_error(repr(error)))

        shell.run(work, f"lab {self._service.name} {pipeline.id}")

    def _run(self, shell: Shell, pipeline: Pipeline, received: str, mutating: bool) -> None:
        reply = self._execute(shell, pipeline)
        outcome, error_id = "stopped", None
        if reply is not None:
            outcome = "failed" if reply.failed else "errors" if reply.errors else "ok"
            first = reply.failed or next(iter(reply.errors), None)
            error_id = first.error_id if first else None
        try:
            self._trace.write(
                pipeline_line(
                    time=received,
                    host=self._service.name,
                    endpoint=self._service.configuration,
                    user=shell.user,
                    pipeline=str(pipeline.uuid),
                    commands=pipeline.invocations,
                    outcome=outcome,
                    error_id=error_id,
                    mutating=mutating,
                )
            )
        except OSError:
            _log.exception("the trace cannot be written")
        if reply is None:
            self._finish(shell, pipeline, [], records.STOPPED, records.STOPPED_RECORD)
        else:
            state = records.FAILED if reply.failed else records.COMPLETED
            self._finish(shell, pipeline, _bodies(pipeline, reply), state, reply.failed)

    def _execute(self, shell: Shell, pipeline: Pipeline) -> Reply | None:
        """Run every statement; None when it was stopped.

        A terminating error ends the pipeline, later statements are not run (?).
        """
        arrived = pipeline.arrived
        total = Reply()
        if arrived is None or arrived.metadata:
            total.failed = _lab_error("GET_COMMAND_METADATA is not served")
            return total
        for statement in arrived.statements:
            try:
                reply = self._service.execute(shell.user, statement, pipeline)
            except Stopped:
                return None
            except Exception as error:
                _log.exception("the lab failed in %s", statement[0].name)
                reply = Reply(failed=_lab_error(repr(error)))
            total.outputs += reply.outputs
            total.errors += reply.errors
            total.warnings += reply.warnings
            total.failed = reply.failed
            if reply.failed is not None:
                break
        return total

    def _finish(
        self, shell: Shell, pipeline: Pipeline, bodies: list[_Body], state: int, record: ErrorRecord | None
    ) -> None:
        last = (PSRPMessageType.PipelineState, records.state(state, record))
        with shell.pool.lock:
            messages = shell.pool.messages(pipeline.uuid, [*bodies, last])
        pipeline.queue.put(messages, finished=True)
        pipeline.finished.set()


def _bodies(pipeline: Pipeline, reply: Reply) -> list[_Body]:
    options = pipeline.arrived.options if pipeline.arrived else 0
    name = pipeline.invocations[0].name if pipeline.invocations else ""
    kinds = PSRPMessageType
    warnings = [records.warning(text, name, extended=bool(options & records.WARNINGS)) for text in reply.warnings]
    errors = [records.error(one, extended=bool(options & records.ERRORS)) for one in reply.errors]
    return [
        *((kinds.WarningRecord, body) for body in warnings),
        # A null is sent as an empty message.
        *((kinds.PipelineOutput, "" if xml == "<Nil/>" else sendable(xml)) for xml in reply.outputs),
        *((kinds.ErrorRecord, body) for body in errors),
    ]


def _lab_error(what: str) -> ErrorRecord:
    return ErrorRecord(
        message=f"The lab failed: {what}",
        error_id="LabError",
        reason="InvalidOperationException",
        exception_type="System.InvalidOperationException",
    )
