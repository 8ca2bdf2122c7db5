"""Forgets a user or a post, step by step. Each step can be repeated: a second time there is nothing left to do."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from streams.cleanup.post_files import PostFiles, forget_rows
from streams.forgetting import binned, runs
from streams.forgetting.subject import Subject
from streams.task import Context

# The row stays, with template, user's id and cause: by these no mail goes out twice.
ANONYMISE_MAILS = sa.text("""
    UPDATE tailrace.mail_deliveries SET recipient = '', subject = '', error = NULL
     WHERE user_id = :user AND (recipient <> '' OR subject <> '')
""")

BIN = sa.text("SELECT files FROM tailrace.deleted_posts WHERE post_id = ANY(CAST(:posts AS text[]))")
EMPTY_BIN = sa.text("DELETE FROM tailrace.deleted_posts WHERE post_id = ANY(CAST(:posts AS text[]))")

IN_KAFKA = (
    "Kafka keeps what was published: events until their topics' retention has passed, dead letters until they are "
    "purged. `tailrace dlq list` shows them, `tailrace dlq purge PLACE` removes one"
)
THE_ID = "tailrace.mail_deliveries keeps the id with each mail's template and cause, so that none is sent again"
OWN_FILES = "the post's own picture or video is the backend's, and stays unless the post was in the recycle bin"
EXPORTS = "what `tailrace export` has written elsewhere"

Report = dict[str, Any]


async def forget_user_everywhere(ctx: Context, user_id: str) -> Report:
    """The report: what was erased, what was anonymised, and what is left where."""
    subject = Subject("user", user_id)
    async with ctx.engine.begin() as connection:
        mails = (await connection.execute(ANONYMISE_MAILS, {"user": user_id})).rowcount
        posts = await binned.own_posts(connection, user_id)
        mentions = await binned.erase_mentions(connection, ctx.backend, user_id)
    erased = {"rows_of_others_deleted_posts": mentions, **await _erase_posts(ctx, posts)}
    return await _with_runs(ctx, subject, erased, {"mail_deliveries": mails}, [IN_KAFKA, THE_ID, EXPORTS])


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
    cancelled = await runs.cancel_waiting(ctx.engine, subject)
    erased["outbox"] = await runs.erase_from_outbox(ctx.engine, subject)
    anonymised["task_runs"] = await runs.anonymise(ctx.engine, subject)
    under_way = await runs.count_running(ctx.engine, subject)
    counts = {"erased": erased, "anonymised": anonymised, "cancelled_runs": cancelled, "runs_under_way": under_way}
    return {"subject": str(subject), **counts, "left": left}
