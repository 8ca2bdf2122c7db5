"""Forgets a user or a post, step by step. Each step can be repeated: a second time there is nothing left to do."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from streams.backend_rows import find_row
from streams.cleanup.post_files import PostFiles, forget_rows
from streams.forgetting import binned, mails
from streams.forgetting.subject import Subject
from streams.forgetting.together import erase_traces
from streams.task import Context

BIN = sa.text("SELECT files FROM tailrace.deleted_posts WHERE post_id = ANY(CAST(:posts AS text[]))")
EMPTY_BIN = sa.text("DELETE FROM tailrace.deleted_posts WHERE post_id = ANY(CAST(:posts AS text[]))")

IN_KAFKA = (
    "Kafka keeps what was published: events until their topics' retention has passed, dead letters until they are "
    "purged. `tailrace dlq list` shows them, `tailrace dlq purge PLACE` removes one"
)
THE_ID = "tailrace.mail_deliveries keeps the id with each mail's template and cause, so that none is sent again"
OWN_FILES = "the post's own picture or video is the backend's, and stays unless the post was in the recycle bin"
AVATAR = "the user's avatar is the backend's file: Tailrace neither reads nor copies it"
STILL_THERE = "the backend has the user: what lists of mails the user has unsubscribed from is kept"
EXPORTS = "what `tailrace export` has written elsewhere"

Report = dict[str, Any]


async def forget_user_everywhere(ctx: Context, user_id: str) -> Report:
    """The report: what was erased, what was anonymised, and what is left where."""
    users = ctx.backend.users
    user = await find_row(ctx.engine, users, user_id, users.c.email)
    async with ctx.engine.begin() as connection:
        anonymised = await mails.anonymise(connection, user_id, user.email if user else None)
        unsubscriptions = 0 if user else await mails.forget_unsubscriptions(connection, user_id)
        posts = await binned.own_posts(connection, user_id)
        mentions = await binned.erase_mentions(connection, ctx.backend, user_id)
    erased = {"unsubscriptions": unsubscriptions, "rows_of_others_deleted_posts": mentions}
    erased |= await _erase_posts(ctx, posts)
    left = [IN_KAFKA, THE_ID, AVATAR, EXPORTS, *([STILL_THERE] if user else [])]
    return await _with_runs(ctx, Subject("user", user_id), erased, anonymised, left)


async def forget_post_everywhere(ctx: Context, post_id: str) -> Report:
    """The same for a post that the backend does not have any more."""
    erased = await _erase_posts(ctx, [post_id])
    return await _with_runs(ctx, Subject("post", post_id), erased, {}, [IN_KAFKA, OWN_FILES, EXPORTS])


async def in_bin(ctx: Context, post_id: str) -> bool:
    """Whether the clean-up has deleted the post, so that it can be restored."""
    async with ctx.engine.connect() as connection:
        return (await connection.execute(BIN, {"posts": [post_id]})).first() is not None


async def exists(ctx: Context, post_id: str) -> bool:
    """Whether the backend has the post."""
    return bool(await PostFiles(ctx.engine, ctx.backend, ctx.storage).existing([post_id]))


async def _erase_posts(ctx: Context, posts: Collection[str]) -> dict[str, int]:
    """Files first, then the rows that name them. Posts that the backend has keep theirs."""
    files = PostFiles(ctx.engine, ctx.backend, ctx.storage)
    gone = sorted(set(posts) - await files.existing(posts))
    async with ctx.engine.connect() as connection:
        sources = [key for row in await connection.execute(BIN, {"posts": gone}) for key in row.files]
    erased = {"files": await files.delete_sources(sources, gone)}
    for post in gone:
        erased["files"] += await files.delete_renditions(post)
    async with ctx.engine.begin() as connection:
        erased["deleted_posts"] = await _empty_bin(connection, posts)
        return {**erased, **await forget_rows(connection, gone)}


async def _empty_bin(connection: AsyncConnection, posts: Collection[str]) -> int:
    return (await connection.execute(EMPTY_BIN, {"posts": list(posts)})).rowcount


async def _with_runs(
    ctx: Context, subject: Subject, erased: dict[str, int], anonymised: dict[str, int], left: list[str]
) -> Report:
    traces = await erase_traces(ctx, subject)
    erased["outbox"] = traces.outbox
    anonymised["task_runs"] = traces.anonymised
    counts = {"cancelled_runs": traces.cancelled, "runs_under_way": traces.under_way}
    return {"subject": str(subject), "erased": erased, "anonymised": anonymised, **counts, "left": left}
