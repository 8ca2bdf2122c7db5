"""The schedules that come with Tailrace. What a person has changed, switched off or deleted stays so."""

from collections.abc import Iterable
from dataclasses import dataclass

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from streams.schedules import schedules_sql as sql
from streams.schedules.store import clock
from streams.schedules.timing import Cron
from streams.task import Task

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Default:
    """A task and when it runs, in UTC. The schedule is named for the task."""

    task: str
    cron: str


DEFAULTS = (
    Default("update_trending_hashtags", "0 * * * *"),
    Default("cleanup_old_posts", "0 1 * * SUN"),
    Default("purge_deleted_posts", "30 1 * * *"),
    Default("cleanup_old_renditions", "45 1 * * *"),
    Default("cleanup_expired_tokens", "0 2 * * *"),
    Default("cleanup_old_notifications", "30 2 * * *"),
    Default("update_user_statistics", "0 3 * * *"),
    Default("generate_content_analytics", "0 4 * * *"),
    Default("update_post_engagement_scores", "0 5 * * *"),
    Default("send_content_digest_email", "0 18 * * SUN"),
)


async def ensure_defaults(engine: AsyncEngine, tasks: Iterable[Task], defaults: Iterable[Default] = DEFAULTS) -> None:
    """Add the defaults that are not there yet, and bring those up to date that nobody has edited.

    One whose task this version lacks is added disabled, and enabled by a version that has it. A version that lacks
    the task changes nothing of a row that is there: during a deployment, older and newer workers start as they like.
    """
    known = {task.name for task in tasks}
    async with engine.begin() as connection:
        for default in sorted(defaults, key=lambda default: default.task):  # one order of locks for all that start
            await _ensure(connection, default, default.task in known)


async def _ensure(connection: AsyncConnection, default: Default, is_known: bool) -> None:
    now = await clock(connection)
    row = {
        "name": default.task,
        "task": default.task,
        "cron": default.cron,
        "next_at": next(Cron(default.cron).after(now), None) if is_known else None,
    }
    state = {
        "enabled": is_known,
        "now": now.replace(microsecond=0),
        "error": None if is_known else f"this version has no task {default.task}",
    }
    added = await connection.execute(sql.ADD_DEFAULT, {**row, **state})
    if added.rowcount or not is_known:
        return
    if (await connection.execute(sql.RENEW_DEFAULT, row)).first():
        log.info("default schedule brought up to date", schedule=default.task, cron=default.cron)
