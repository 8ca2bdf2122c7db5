"""The one step of a run in which the task's own function speaks: from arguments to an outcome."""

import asyncio

import msgspec
import structlog

from streams.cancellation import is_cancelled
from streams.claims import MAX_TAKEOVERS, LostClaim
from streams.database_errors import in_words
from streams.runs import Run
from streams.task import Context, Dead, Outcome, Retry, TryAgain

log = structlog.get_logger(__name__)


async def perform(run: Run, context: Context) -> Outcome:
    """What the task's function says; an exception that it does not know of is a retry.

    Raises ``LostClaim`` where the function found that the run is no longer ours.
    """
    if run.claim.takeovers > MAX_TAKEOVERS:
        return Dead(f"{run.claim.takeovers} workers were lost while they ran it")
    try:
        args = msgspec.convert(run.command.args, run.task.args_type)
    except msgspec.ValidationError as error:
        return Dead(f"wrong arguments for {run.task.name}: {error}", error=error)
    try:
        async with asyncio.timeout(run.task.timeout.total_seconds()) as limit:
            return await run.task.handler(args, context)
    except asyncio.CancelledError as error:
        if is_cancelled():
            raise
        return Retry("something that it waited for was cancelled", error=error)
    except LostClaim:
        raise
    except TryAgain as error:
        return Retry(str(error), after=error.after, error=error)
    except run.task.permanent as error:
        return Dead(repr(error), error=error)
    except Exception as error:
        if is_cancelled():  # the worker stops, and a driver has its own word for that
            raise asyncio.CancelledError from error
        if limit.expired():
            return Retry(f"not done within {run.task.timeout.total_seconds():.0f} s", error=error)
        log.exception("task failed", task=run.task.name, run=str(run.command.id))
        return Retry(in_words(error), error=error)
