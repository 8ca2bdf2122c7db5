"""Keeps the counters of users true: followers, following, posts."""

from collections.abc import Mapping
from datetime import timedelta

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from streams.data.key_range import KeyRange
from streams.data.needs import absent, look, problem
from streams.data.progress import Progress, forget
from streams.data.ranges import in_ranges
from streams.data.user_statistics import correct_range, counters_of
from streams.task import Concurrency, Context, Dead, Done, Outcome, Skip, task


class UserStatistics(msgspec.Struct, frozen=True):
    """``dry_run`` counts what is wrong and leaves it so."""

    dry_run: bool = False


@task(
    queue="analytics",
    timeout=timedelta(hours=2),
    concurrency=Concurrency(key=lambda _: "update_user_statistics"),
)
async def update_user_statistics(args: UserStatistics, ctx: Context) -> Outcome:
    """Counters are those of the rows at some moment of the run; only rows that are wrong are written.

    A row that the backend changes just then, or has locked, is ``left`` as it is until the next run.
    """
    presence, backend = await look(ctx), ctx.backend
    counters = counters_of(presence)
    if said := problem(presence, backend.users.c.id, *counters, *counters.values()):
        return Dead(said)
    if not counters:
        return Skip("the backend has neither follows nor posts: there is nothing to count")

    async def correct(connection: AsyncConnection, keys: KeyRange, _: Progress) -> Mapping[str, int]:
        statement = correct_range(backend.users, counters, keys, dry_run=args.dry_run)
        found = (await connection.execute(statement)).one()
        left = 0 if args.dry_run else found.wrong - found.updated
        return {"scanned": found.scanned, "wrong": found.wrong, "updated": found.updated, "left": left}

    progress = await in_ranges(ctx, backend.users.c.id, correct)
    without = absent(presence, backend.follows, backend.posts)
    return Done({**progress.counts, **({"without": without} if without else {})}, effect=forget(ctx))
