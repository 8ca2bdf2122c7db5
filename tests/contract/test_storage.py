"""What every storage of media files promises: a folder, an S3, and a store in memory."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from streams.media.errors import BadMedia, MissingMedia, StorageFailed
from streams.media.local_folder import LocalFolder
from streams.media.object_store import ObjectStore
from streams.media.storage import Storage
from tests.object_server import Bucket, s3_bucket

KEYS = ("posts/a b.jpg", "posts/ü/é.png", "renditions/~1f/y#1.webp", "p%20q/r.jpg", "x?y&z=1.gif", "top.jpg")


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with s3_bucket() as made:
        yield made


@pytest.fixture(params=["folder", "s3", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path, bucket: Bucket) -> Storage:
    if request.param == "folder":
        (tmp_path / "media").mkdir()
        return LocalFolder(tmp_path / "media")
    if request.param == "memory":
        return ObjectStore(MemoryStore())
    return ObjectStore.at(f"{bucket.url}/{tmp_path.name}", bucket.options)


async def _keys(storage: Storage, prefix: str) -> dict[str, int]:
    return {stored.key: stored.bytes async for stored in storage.list(prefix)}


@pytest.mark.parametrize("key", KEYS)
async def test_what_is_put_is_there_as_it_was(storage: Storage, key: str, tmp_path: Path) -> None:
    before = await storage.exists(key)

    await storage.put({key: b"content"})

    assert not before and await storage.exists(key)
    assert await storage.get(key, 7) == b"content"
    assert (await storage.fetch(key, tmp_path, 7)).read_bytes() == b"content"


async def test_a_file_is_put_from_its_path_and_takes_the_place_of_what_was_there(
    storage: Storage, tmp_path: Path
) -> None:
    large = bytes(range(256)) * 50_000
    (tmp_path / "large").write_bytes(large)
    await storage.put({"a/b.mp4": b"old", "a/c.webp": b"other"})

    await storage.put({"a/b.mp4": tmp_path / "large"})

    assert await storage.get("a/b.mp4", len(large)) == large
    assert await storage.get("a/c.webp", 100) == b"other"
    assert (tmp_path / "large").read_bytes() == large


async def test_what_is_not_there_is_missing(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(MissingMedia, match=r"'posts/new\.jpg' does not exist"):
        await storage.get("posts/new.jpg", 100)
    with pytest.raises(MissingMedia, match=r"'posts/new\.jpg' does not exist"):
        await storage.fetch("posts/new.jpg", tmp_path, 100)


async def test_an_empty_and_a_larger_file_are_refused(storage: Storage, tmp_path: Path) -> None:
    await storage.put({"empty.jpg": b"", "seven.jpg": b"content"})

    for read in (storage.get("empty.jpg", 6), storage.fetch("empty.jpg", tmp_path, 6)):
        with pytest.raises(BadMedia, match="the file is empty"):
            await read
    for read in (storage.get("seven.jpg", 6), storage.fetch("seven.jpg", tmp_path, 6)):
        with pytest.raises(BadMedia, match="has 7 bytes; at most 6"):
            await read


@pytest.mark.parametrize("key", ["", "..", "../a.jpg", "a/../../b.jpg", "/etc/passwd", "a\0b", "x" * 1025])
async def test_what_is_no_key_is_refused_by_every_method(storage: Storage, key: str, tmp_path: Path) -> None:
    asked = (
        lambda: storage.get(key, 100),
        lambda: storage.fetch(key, tmp_path, 100),
        lambda: storage.put({key: b"x"}),
        lambda: storage.delete([key]),
        lambda: storage.exists(key),
        lambda: _keys(storage, key),
    )

    for ask in asked:
        with pytest.raises(BadMedia, match=r"no key of a file|outside the media root"):
            await ask()


async def test_what_is_deleted_is_gone_and_may_be_deleted_again(storage: Storage) -> None:
    await storage.put({"a/b.jpg": b"1", "a/c.jpg": b"2"})

    await storage.delete(["a/b.jpg", "a/none.jpg", "none/at/all.jpg"])
    await storage.delete(["a/b.jpg"])

    assert await _keys(storage, "a") == {"a/c.jpg": 1}


async def test_a_folder_is_listed_with_all_that_is_below_it(storage: Storage) -> None:
    await storage.put({"a/1.jpg": b"1", "a/b/2.jpg": b"22", "ab/3.jpg": b"333", "c.jpg": b"4444"})

    assert await _keys(storage, "a") == {"a/1.jpg": 1, "a/b/2.jpg": 2}
    assert await _keys(storage, "none") == {}


async def test_a_list_may_be_long_and_deleted_while_it_is_read(storage: Storage) -> None:
    await storage.put({f"a/{number}.jpg": b"1" for number in range(120)})

    async for stored in storage.list("a"):
        await storage.delete([stored.key])

    assert await _keys(storage, "a") == {}


async def test_a_reader_never_sees_a_part(storage: Storage) -> None:
    sides = [bytes([side]) * 300_000 for side in (1, 2)]
    await storage.put({"a.jpg": sides[0]})
    writing = asyncio.gather(*(storage.put({"a.jpg": sides[number % 2]}) for number in range(6)))

    seen = [await storage.get("a.jpg", 1_000_000) for _ in range(10)]
    await writing

    assert all(content in sides for content in seen)


async def test_a_folder_lists_neither_parts_nor_links_and_removes_empty_folders(tmp_path: Path) -> None:
    storage = LocalFolder(tmp_path)
    await storage.put({"a/1.jpg": b"1"})
    (tmp_path / "a" / ".2.jpg.1234.part").write_bytes(b"half")
    (tmp_path / "a" / "link.jpg").symlink_to(tmp_path / "a" / "1.jpg")

    listed = await _keys(storage, "a")
    await storage.delete(["a/link.jpg"])
    after_link = await _keys(storage, "a")
    (tmp_path / "a" / ".2.jpg.1234.part").unlink()
    await storage.delete(["a/1.jpg"])

    assert listed == after_link == {"a/1.jpg": 1}
    assert list(tmp_path.iterdir()) == []


async def test_nothing_is_deleted_through_a_link_that_leads_out(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.jpg").write_bytes(b"keep")
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "link").symlink_to(tmp_path / "outside")

    with pytest.raises(BadMedia, match="through a link"):
        await LocalFolder(tmp_path / "media").delete(["link/a.jpg"])

    assert (tmp_path / "outside" / "a.jpg").read_bytes() == b"keep"


async def test_a_server_that_cannot_be_used_may_be_well_later(bucket: Bucket, tmp_path: Path) -> None:
    nobody = ObjectStore.at("s3://none", bucket.options | {"endpoint": "http://127.0.0.1:9"})
    no_bucket = ObjectStore.at("s3://no-such-bucket", bucket.options)

    with pytest.raises(StorageFailed, match="cannot be used") as refused:
        await nobody.get("a.jpg", 100)
    with pytest.raises(StorageFailed, match="there is no such bucket"):
        await no_bucket.put({"a.jpg": b"1"})

    assert "secret" not in str(refused.value) and "\n" not in str(refused.value)


async def test_a_folder_that_cannot_be_written_may_be_well_later(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"in the way")

    with pytest.raises(StorageFailed, match=re.escape("the media folder cannot be used")):
        await LocalFolder(tmp_path).put({"a/b.jpg": b"1"})
