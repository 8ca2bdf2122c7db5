"""Start a replay: planned first, and only where the plan keeps to what the operator has said."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from streams.replay import store
from streams.replay.planning import Plan, plan_replay
from streams.replay.request import Request, WrongReplay
from streams.settings import Settings
from streams.task import Task


async def start_replay(
    settings: Settings, engine: AsyncEngine, tasks: Iterable[Task], request: Request, now: datetime, who: str
) -> tuple[int, Plan]:
    """The replay's number, and what was counted first; a worker begins at once. Raises ``WrongReplay``, with nothing
    started, also where more mails would go out than the cap allows.
    """
    plan = await plan_replay(settings, engine, tasks, request, now)
    if plan.mails.count > request.mail_cap:
        raise WrongReplay(
            f"up to {plan.mails.count:,} mails would go out and the cap is {request.mail_cap:,}: look at the plan, "
            "then choose fewer events or a higher --mail-cap"
        )
    async with engine.begin() as connection:
        return await store.create(connection, plan, who), plan
