"""`purge_deleted_posts`, and the commands that list and restore before it comes."""

import json
from collections.abc import Mapping

from agents.purge_deleted_posts import PurgeDeletedPosts, purge_deleted_posts
from schemas.tables import media_renditions
from streams.task import Done
from tests.old_posts import binned, in_the_bin, old_posts, posts_left, result, switched_on
from tests.one_run import Workshop
from tests.processes import run


async def file(shop: Workshop, key: str) -> None:
    await shop.storage.put({key: b"content"})


async def files(shop: Workshop) -> list[str]:
    root = shop.settings.media.root
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


async def test_after_thirty_days_rows_renditions_and_own_files_go_and_nothing_of_others(shop: Workshop) -> None:
    await old_posts(shop, 1, image="posts/shared.jpg")
    for key in ("posts/1.jpg", "posts/shared.jpg", "posts/2.jpg", "renditions/11/a.webp", "renditions/12/b.webp"):
        await file(shop, key)
    await binned(
        shop, "11", days=31, files=["posts/1.jpg", "posts/shared.jpg", "https://elsewhere/1.jpg", "posts/2.jpg"]
    )
    await binned(shop, "12", days=29, files=["posts/2.jpg"])
    size = {"width": 1, "height": 1, "bytes": 1, "format": "webp", "recipe": "v1", "source": "posts/1.jpg"}
    await shop.add(media_renditions, post_id="11", variant="w320", key="renditions/11/a.webp", **size)

    rehearsed = await shop.run(purge_deleted_posts, PurgeDeletedPosts(dry_run=True), cause="1")
    outcome = await shop.run(purge_deleted_posts, PurgeDeletedPosts(), cause="2")

    assert rehearsed == Done({"dry_run": True, "purged": 1})
    assert outcome == Done({"dry_run": False, "purged": 1, "files": 2})
    assert await in_the_bin(shop) == ["12"]
    assert await files(shop) == ["posts/2.jpg", "posts/shared.jpg", "renditions/12/b.webp"]
    assert await shop.rows(media_renditions) == []


async def test_a_kill_after_the_files_and_before_the_rows_is_made_good_by_the_next_run(shop: Workshop) -> None:
    await binned(shop, "11", days=31, files=["posts/never-there.jpg"])

    outcome = await shop.run(purge_deleted_posts, PurgeDeletedPosts())

    assert isinstance(outcome, Done)
    assert await in_the_bin(shop) == []


async def test_the_files_of_a_new_post_with_an_old_id_stay(shop: Workshop) -> None:
    await old_posts(shop, 1)
    await file(shop, "renditions/1/a.webp")
    await binned(shop, "1", days=31)

    await shop.run(purge_deleted_posts, PurgeDeletedPosts())

    assert (await in_the_bin(shop), await files(shop)) == ([], ["renditions/1/a.webp"])


async def test_posts_are_listed_and_restored_by_command(shop: Workshop, environment: Mapping[str, str]) -> None:
    await old_posts(shop, 2)
    await result(switched_on(shop))
    await binned(shop, "9", days=40)

    _, listed, _ = await run("posts", "deleted", "--json", environment=environment)
    code, out, errors = await run("posts", "restore", "1", "8", environment=environment)

    assert [post["post_id"] for post in json.loads(listed)] == ["1", "2", "9"]
    assert code == 1
    assert out == "1 restored: public.posts 1\n"
    assert (
        errors
        == "tailrace posts restore: 8: post 8 is not in the recycle bin; `tailrace posts deleted` lists what is\n"
    )
    assert (await posts_left(shop), await in_the_bin(shop)) == ([1], ["2", "9"])
