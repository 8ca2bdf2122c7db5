"""Folders for files under way: gone afterwards, and what a kill left is swept by whoever comes next."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streams.media.scratch import PREFIX, UNLOCKED_SECONDS, Scratch

LEAVE = """
import asyncio, os, sys
from pathlib import Path
from streams.media.scratch import Scratch

async def main():
    async with Scratch(Path(sys.argv[1])).folder() as folder:
        (folder / "half").write_bytes(b"x")
        os._exit(1)

asyncio.run(main())
"""


async def test_a_folder_is_gone_when_its_use_ends(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)

    async with scratch.folder() as one, scratch.folder() as other:
        (one / "file").write_bytes(b"x")
        different = one != other
    left = [path for path in tmp_path.rglob("*") if not path.name.startswith((PREFIX, "."))]
    scratch.close()

    assert different and left == [] and list(tmp_path.iterdir()) == []


async def test_what_a_kill_left_is_swept_and_what_lives_is_kept(tmp_path: Path) -> None:
    await asyncio.to_thread(subprocess.run, [sys.executable, "-c", LEAVE, str(tmp_path)], check=False, timeout=60)
    (left,) = tmp_path.iterdir()
    living = Scratch(tmp_path)

    async with living.folder() as folder, Scratch(tmp_path).folder():
        kept = folder.is_dir()

    assert kept and not left.exists()


@pytest.mark.parametrize(("age", "kept"), [(0, True), (UNLOCKED_SECONDS + 60, False)])
async def test_a_folder_that_is_being_made_is_kept(tmp_path: Path, age: int, kept: bool) -> None:
    made = tmp_path / f"{PREFIX}other"
    made.mkdir()
    os.utime(made, (time.time() - age, time.time() - age))

    async with Scratch(tmp_path).folder():
        assert made.exists() == kept
