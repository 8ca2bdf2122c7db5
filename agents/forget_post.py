"""Forgets a post that is gone: what Tailrace keeps of one is erased or anonymised."""

from datetime import timedelta

import msgspec

from schemas.events import Id, PostDeleted
from streams.forgetting.forgetting import exists, forget_post_everywhere, in_bin
from streams.media.errors import StorageFailed
from streams.task import Concurrency, Context, Done, Outcome, Retry, RetryPolicy, Skip, task

SOON = timedelta(minutes=1)


class ForgetPost(msgspec.Struct, frozen=True):
    """``keep_binned``: a post in the recycle bin, which the clean-up itself has deleted, is left until it is purged."""

    post_id: Id
    keep_binned: bool = False


def _of(post: PostDeleted) -> ForgetPost:
    return ForgetPost(post.post_id, keep_binned=True)


@task(
    queue="maintenance",
    on=PostDeleted,
    args=_of,
    retry=RetryPolicy(max_attempts=10),
    timeout=timedelta(hours=1),
    concurrency=Concurrency(key=lambda _: "forget"),
)
async def forget_post(args: ForgetPost, ctx: Context) -> Outcome:
    """Each step can be repeated, and a second run finds nothing to do. The outcome is the report."""
    post_id = str(args.post_id)
    if await exists(ctx, post_id):
        return Skip(f"the backend has post {args.post_id!r}; delete it there first")
    if args.keep_binned and await in_bin(ctx, post_id):
        return Skip(f"post {args.post_id!r} is in the recycle bin, and is forgotten when it is purged")
    try:
        report = await forget_post_everywhere(ctx, post_id)
    except StorageFailed as passing:
        return Retry(str(passing))
    if report["runs_under_way"]:
        return Retry(f"runs about post {args.post_id} that are under way: {report['runs_under_way']}", after=SOON)
    return Done(report)
