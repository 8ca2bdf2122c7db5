"""Pictures: `python -m benchmarks.media [--images 40] [--runs 3] [--processes 2] [--out FILE]`.

A photo of 12 megapixels becomes four WebP renditions, many times over: by the usual Pillow code and by libvips in a
process pool, and by the renderer as the worker has it, with each file synced into its folder. All write the same sizes,
quality and effort. Rates, CPU seconds an image (start included), and the PSNR of our files against the usual code's.
"""

import argparse
import asyncio
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageFilter, ImageStat

from benchmarks.environments import environment
from run import SetupError
from streams.media.local_folder import LocalFolder
from streams.media.renderer import Renderer
from streams.settings import Settings

LOCKED = Path(__file__).with_name("media-requirements.lock")
PEER = Path(__file__).with_name("media_peer.py")
SIZE = (4000, 3000)
VARIANTS = ("w1080", "w640", "w320", "thumb150")

Figures = dict[str, float]


def photo(path: Path) -> None:
    """Soft shapes and the grain of a sensor."""
    sides = Image.linear_gradient("L").resize(SIZE)
    shapes = Image.effect_noise((50, 38), 90).resize(SIZE, Image.Resampling.BICUBIC)
    grain = Image.effect_noise(SIZE, 8).filter(ImageFilter.GaussianBlur(0.8))
    bands = (sides, shapes, ImageChops.add(shapes, sides.transpose(Image.Transpose.ROTATE_180), 2))
    image = Image.merge("RGB", [ImageChops.add(band, grain, 1, -128) for band in bands])
    image.save(path, quality=90)


def peer(name: str, python: str, source: Path, folder: Path, count: int, processes: int) -> Figures:
    """One run of a peer."""
    before = _children()
    command = [python, str(PEER), name, str(source), str(folder), str(count), str(processes)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "VIPS_CONCURRENCY": "1"})
    if done.returncode:
        sys.exit(f"benchmarks.media: {name} failed: {done.stderr[-500:]}")
    return _figures(float(done.stdout), _children() - before, count, processes)


async def ours(source: Path, folder: Path, count: int, processes: int) -> tuple[Figures, dict[str, Path]]:
    """One run of the renderer, and the files of one picture."""
    (folder / "photo.jpg").write_bytes(source.read_bytes())
    media = Settings.load({"TAILRACE_MEDIA__ROOT": str(folder), "TAILRACE_MEDIA__PROCESSES": str(processes)}).media
    renderer, before = Renderer(media, LocalFolder(folder)), _children()
    try:
        await asyncio.gather(*(renderer.render(f"warm-{number}", "photo.jpg") for number in range(processes)))
        started = time.perf_counter()
        made = await asyncio.gather(*(renderer.render(str(number), "photo.jpg") for number in range(count)))
        seconds = time.perf_counter() - started
    finally:
        await renderer.close()
    files = {rendition.variant: folder / rendition.key for rendition in made[0].renditions}
    return _figures(seconds, _children() - before, count, processes), files


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _figures(seconds: float, processor: float, count: int, processes: int) -> Figures:
    return {"images_per_second": count / seconds, "cpu_seconds_per_image": processor / (count + processes)}


def psnr(one: Path, other: Path) -> float:
    """In dB, of all bands together."""
    difference = ImageChops.difference(Image.open(one).convert("RGB"), Image.open(other).convert("RGB"))
    mean = statistics.mean(square**2 for square in ImageStat.Stat(difference).rms)
    return math.inf if not mean else 10 * math.log10(255**2 / mean)


def measure(images: int, runs: int, processes: int, python: str, work: Path) -> dict[str, Any]:
    """Every system in turn, ``runs`` times."""
    photo(work / "photo.jpg")
    found: dict[str, list[Figures]] = {"pillow": [], "vips": [], "tailrace": []}
    compared: dict[str, float] = {}
    for number in range(runs):
        for name in ("pillow", "vips"):
            folder = work / f"{name}-{number}"
            folder.mkdir()
            found[name].append(peer(name, python, work / "photo.jpg", folder, images, processes))
        folder = work / f"tailrace-{number}"
        folder.mkdir()
        figures, files = asyncio.run(ours(work / "photo.jpg", folder, images, processes))
        found["tailrace"].append(figures)
        compared = {name: psnr(files[name], work / f"pillow-{number}" / f"0-{name}.webp") for name in VARIANTS}
    medians = {name: _medians(all_runs) for name, all_runs in found.items()}
    return {"medians": medians, "psnr_against_pillow_db": compared, "ratios": _ratios(medians), "runs": found}


def _medians(runs: list[Figures]) -> Figures:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def _ratios(medians: dict[str, Figures]) -> Figures:
    rate = {name: figures["images_per_second"] for name, figures in medians.items()}
    cost = {name: figures["cpu_seconds_per_image"] for name, figures in medians.items()}
    return {
        "rate_to_pillow": rate["tailrace"] / rate["pillow"],
        "rate_to_vips": rate["tailrace"] / rate["vips"],
        "cpu_to_pillow": cost["tailrace"] / cost["pillow"],
        "cpu_to_vips": cost["tailrace"] / cost["vips"],
    }


def main() -> None:
    """Measure, print, and write to a file where one is named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.media", description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    try:
        python = str(environment("media", LOCKED) / "bin" / "python")
    except SetupError as error:
        sys.exit(f"benchmarks.media: {error}")
    with tempfile.TemporaryDirectory(prefix="tailrace-benchmark-") as folder:
        found = measure(asked.images, asked.runs, asked.processes, python, Path(folder))
    text = json.dumps(found, indent=2)
    print(text)
    if asked.out:
        asked.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
