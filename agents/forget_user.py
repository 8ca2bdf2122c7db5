"""Forgets a user who is gone: what Tailrace keeps of one is erased or anonymised."""

from datetime import timedelta

import msgspec

from schemas.events import Id, UserDeleted
from streams.forgetting.forgetting import forget_user_everywhere
from streams.media.errors import StorageFailed
from streams.task import Concurrency, Context, Done, Outcome, Retry, RetryPolicy, task

SOON = timedelta(minutes=1)


class ForgetUser(msgspec.Struct, frozen=True):
    """Only the id: by it all is found that there is to forget."""

    user_id: Id


def _of(user: UserDeleted) -> ForgetUser:
    return ForgetUser(user.user_id)


@task(
    queue="maintenance",
    on=UserDeleted,
    args=_of,
    retry=RetryPolicy(max_attempts=10),
    timeout=timedelta(hours=1),
    concurrency=Concurrency(key=lambda _: "forget"),
)
async def forget_user(args: ForgetUser, ctx: Context) -> Outcome:
    """Each step can be repeated, and a second run finds nothing to do. The outcome is the report.

    Posts that the backend still has keep their renditions: they are forgotten with their own ``post.deleted``.
    """
    try:
        report = await forget_user_everywhere(ctx, str(args.user_id))
    except StorageFailed as passing:
        return Retry(str(passing))
    if report["runs_under_way"]:
        return Retry(f"runs about user {args.user_id} that are under way: {report['runs_under_way']}", after=SOON)
    return Done(report)
