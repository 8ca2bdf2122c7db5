"""Deletes sessions and tokens that have expired, were revoked, or belong to users who are inactive."""

from collections import Counter
from datetime import timedelta

import msgspec

from streams.cleanup import tokens
from streams.cleanup.batches import Batches
from streams.task import Concurrency, Context, Done, Outcome, Skip, task


class CleanupExpiredTokens(msgspec.Struct, frozen=True):
    """``dry_run`` counts what would be deleted, and deletes nothing."""

    dry_run: bool = False


@task(
    queue="maintenance",
    timeout=timedelta(hours=1),
    concurrency=Concurrency(key=lambda _: "cleanup_expired_tokens"),
)
async def cleanup_expired_tokens(args: CleanupExpiredTokens, ctx: Context) -> Outcome:
    """Each batch is a transaction of its own, and what is deleted is found by nobody again: a run that was killed,
    or taken over, is repeated and goes on where the batches have ended.

    Of the tables that a backend may have for sessions and tokens, those that are there are dealt with.
    """
    found = await tokens.find(ctx)
    batches = Batches(ctx.engine, ctx.claim, args.dry_run)
    steps = tokens.kinds(ctx, found, batches)
    if not steps:
        return Skip("the backend has none of the tables of sessions and tokens")
    counts: Counter[str] = Counter()
    for delete in steps:
        counts.update(await delete())
    return Done({"dry_run": args.dry_run, **counts})
