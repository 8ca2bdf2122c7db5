"""Keys of files under the media root."""

import errno
import os
import time
from pathlib import Path

import pytest

from streams.media.errors import BadMedia, MissingMedia
from streams.media.local_folder import write_all
from streams.media.paths import read_key, rendition_folder, rendition_key, resolve_key


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_bytes(b"secret")
    media = tmp_path / "media"
    (media / "posts").mkdir(parents=True)
    (media / "posts" / "a b.jpg").write_bytes(b"content")
    return media


def test_a_key_is_a_path_below_the_root(root: Path) -> None:
    assert read_key(root, "posts/a b.jpg", 100) == b"content"


@pytest.mark.parametrize("key", ["../secret.txt", "posts/../../secret.txt", "/etc/passwd", "..", "posts/.."])
def test_a_key_that_leads_out_of_the_root_is_refused(root: Path, key: str) -> None:
    with pytest.raises(BadMedia, match="outside the media root"):
        resolve_key(root, key)


def test_a_link_that_leads_out_of_the_root_is_refused(root: Path) -> None:
    (root / "link.jpg").symlink_to(root.parent / "secret.txt")
    (root / "folder").symlink_to(root.parent)

    for key in ("link.jpg", "folder/secret.txt"):
        with pytest.raises(BadMedia, match="through a link"):
            resolve_key(root, key)


def test_a_link_within_the_root_is_followed(root: Path) -> None:
    (root / "link.jpg").symlink_to("posts/a b.jpg")

    assert read_key(root, "link.jpg", 100) == b"content"


@pytest.mark.parametrize("key", ["", "a\0b", "x" * 5000, "posts/a b.jpg/c", "posts", "."])
def test_a_key_that_names_no_file_is_refused(root: Path, key: str) -> None:
    with pytest.raises(BadMedia, match=r"no key of a file|not a file|too long"):
        read_key(root, key, 100)


def test_a_loop_of_links_is_refused(root: Path) -> None:
    (root / "loop").symlink_to("loop")

    with pytest.raises(BadMedia, match="its links lead in a circle"):
        resolve_key(root, "loop")


def test_a_loop_of_links_is_refused_as_later_pythons_tell_of_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(path: Path, strict: bool = False) -> Path:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))

    monkeypatch.setattr(Path, "resolve", resolve)

    with pytest.raises(BadMedia, match="its links lead in a circle"):
        resolve_key(root, "loop")


def test_a_fault_of_the_disk_is_not_the_keys(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(path: Path, strict: bool = False) -> Path:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr(Path, "resolve", resolve)

    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        resolve_key(root, "posts/a b.jpg")


def test_a_long_key_is_never_told_in_full(root: Path) -> None:
    for key in ("x" * 1025, "ü" * 513, "/" + "x" * 1000, "x" * 300, "posts/a b.jpg/" + "x" * 100, "y/" + "x" * 100):
        with pytest.raises((BadMedia, MissingMedia)) as raised:
            resolve_key(root, key)
        assert len(str(raised.value)) < 150


def test_a_file_that_is_not_there_may_come_yet(root: Path) -> None:
    with pytest.raises(MissingMedia, match=r"'posts/new\.jpg' does not exist"):
        read_key(root, "posts/new.jpg", 100)


def test_a_pipe_is_refused_without_waiting_for_it(root: Path) -> None:
    os.mkfifo(root / "pipe.jpg")

    with pytest.raises(BadMedia, match="is not a file"):
        read_key(root, "pipe.jpg", 100)


def test_an_empty_and_an_oversized_file_are_refused(root: Path) -> None:
    (root / "empty.jpg").touch()

    with pytest.raises(BadMedia, match="the file is empty"):
        read_key(root, "empty.jpg", 100)
    with pytest.raises(BadMedia, match="has 7 bytes; at most 6"):
        read_key(root, "posts/a b.jpg", 6)


def test_a_rendition_has_one_name_for_post_content_recipe_and_variant() -> None:
    names = [
        rendition_key(post, digest, recipe, variant, "webp")
        for post in ("1", "2")
        for digest in ("0123", "4567")
        for recipe in ("webp-2", "avif-1")
        for variant in ("w320", "thumb150")
    ]

    assert len(set(names)) == len(names)
    assert names[0] == "renditions/1/0123-webp-2-w320.webp"


@pytest.mark.parametrize("post_id", ["../../etc", "a/b", ".", "..", "", "x" * 300, "ü", "a\0b", "~abc"])
def test_any_post_id_is_one_folder_below_renditions(post_id: str) -> None:
    key = rendition_key(post_id, "0123", "webp-2", "thumb150", "webp")

    first, folder, name = key.split("/")
    assert first == "renditions" and folder.startswith("~") and name == "0123-webp-2-thumb150.webp"
    assert rendition_folder(post_id) == f"{first}/{folder}"


def test_files_are_written_whole_and_nothing_is_left_aside(root: Path) -> None:
    write_all(root, {"renditions/1/a.webp": b"one", "renditions/1/b.webp": b"two"})
    write_all(root, {"renditions/1/a.webp": b"new"})

    found = {path.name: path.read_bytes() for path in (root / "renditions" / "1").iterdir()}
    assert found == {"a.webp": b"new", "b.webp": b"two"}


def test_a_write_that_fails_leaves_nothing_aside(root: Path) -> None:
    (root / "renditions" / "1" / "a.webp").mkdir(parents=True)

    with pytest.raises(OSError, match="directory"):
        write_all(root, {"renditions/1/a.webp": b"one"})

    assert [path.name for path in (root / "renditions" / "1").iterdir()] == ["a.webp"]


def test_what_a_kill_left_of_a_write_is_removed_by_the_next(root: Path) -> None:
    folder = root / "renditions" / "1"
    folder.mkdir(parents=True)
    old = time.time() - 60
    for name in (".a.webp.1234.part", ".a.webp.new.part", ".b.webp.1234.part"):
        (folder / name).write_bytes(b"on")
        if "1234" in name:
            os.utime(folder / name, (old, old))

    write_all(root, {"renditions/1/a.webp": b"one"})

    assert {path.name for path in folder.iterdir()} == {"a.webp", ".a.webp.new.part", ".b.webp.1234.part"}
