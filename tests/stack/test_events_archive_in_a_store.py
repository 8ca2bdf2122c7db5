"""Events go to a store of objects and come back by the commands that an operator types, or the command says why not."""

from collections.abc import Iterator, Mapping

import pytest
from moto.core import enable_iam_authentication
from sqlalchemy.ext.asyncio import AsyncEngine

from streams.settings import Settings
from streams.topics import create_topics
from tests.commands_here import typed
from tests.events import delete_records, records_of, runs, user_created
from tests.object_server import Bucket, s3_bucket
from tests.operations import say
from tests.replays import all_done, ended, keeping_profiles, make_profiles, publish, right, start
from tests.waiting import eventually
from tests.workers import running_worker

EVENTS = 40
TASKS = [keeping_profiles(right)]


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with s3_bucket() as made:
        yield made


@pytest.fixture
def environment(environment: dict[str, str], bucket: Bucket) -> dict[str, str]:
    """With the store's address and login as its own tools know them."""
    return {
        **environment,
        "AWS_ENDPOINT_URL": bucket.options["endpoint"],
        "AWS_ACCESS_KEY_ID": bucket.options["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": bucket.options["secret_access_key"],
        "AWS_REGION": bucket.options["region"],
    }


@pytest.fixture(autouse=True)
async def ground(settings: Settings, engine: AsyncEngine) -> None:
    await create_topics(settings)
    await make_profiles(engine)


async def test_events_go_to_a_store_and_are_replayed_from_there_in_either_format(
    settings: Settings, environment: Mapping[str, str], engine: AsyncEngine, bucket: Bucket
) -> None:
    await publish(settings, [user_created(number) for number in range(EVENTS)])
    lines, columns = f"{bucket.url}/lines", f"{bucket.url}/columns"
    async with running_worker(settings, TASKS):
        await eventually(lambda: all_done(engine, EVENTS))
        exported = [
            await say(environment, "export", "user.created", "--from", "1h", "--out", lines),
            await typed(environment, "export", "user.created", "--out", columns, "--format", "parquet"),
        ]
        before = await records_of(settings, "user.created")
        await delete_records(settings, "user.created")

        counts = []
        for place in (lines, columns):
            imported = await typed(environment, "import", "user.created", place, "--clear")
            assert f"{EVENTS} records of 4 files lie in user.created.imported" in imported.out, imported
            number = await start(settings, engine, TASKS, topic="user.created.imported")
            counts.append((await ended(engine, number))["counts"]["tasks"])

    for said, place in zip(exported, (lines, columns), strict=True):
        assert said.out == f"{EVENTS} records of user.created in 4 files under {place}\n", said
    assert counts == [{"keep_profile": {"done": EVENTS}}] * 2
    assert len(await runs(engine)) == EVENTS
    after = await records_of(settings, "user.created.imported")
    assert {(r.timestamp, r.key, r.value, r.headers) for r in after} == {
        (r.timestamp, r.key, r.value, r.headers) for r in before
    }


async def test_a_store_that_cannot_be_used_is_said_with_what_to_check(
    settings: Settings, environment: Mapping[str, str], bucket: Bucket
) -> None:
    await publish(settings, [user_created(1)])
    await typed(environment, "export", "user.created", "--out", bucket.url)
    no_bucket = [
        await typed(environment, "export", "user.created", "--out", "s3://nobody-has-this"),
        await typed(environment, "import", "user.created", "s3://nobody-has-this"),
    ]
    nowhere = await typed(environment, "import", "user.created", bucket.url, "--option", "endpoint=http://127.0.0.1:9")
    with enable_iam_authentication():
        refused = [
            await typed(environment, "export", "user.created", "--out", bucket.url),
            await typed(environment, "import", "user.created", bucket.url),
        ]

    assert all(
        "s3://nobody-has-this: the storage cannot be used: there is no such bucket" in s.errors for s in no_bucket
    )
    assert "127.0.0.1:9" in nowhere.errors
    assert all("the storage refuses the login" in said.errors for said in refused), refused
    for said in (*no_bucket, nowhere, *refused):
        assert (said.code, said.out) == (1, "")
        assert "Check the bucket's name" in said.errors and "AWS_ACCESS_KEY_ID" in said.errors
        assert bucket.options["secret_access_key"] not in said.errors
    assert await records_of(settings, "user.created.imported") == []
