"""The same renditions by others, in a process pool as Celery's prefork has one; run by ``benchmarks.media``.

``python media_peer.py pillow|vips SOURCE FOLDER COUNT PROCESSES`` prints seconds of the pool's work. It knows nothing
of ours, and has an environment of its own.
"""

import multiprocessing
import sys
import time

WIDTHS, SQUARE, QUALITY, EFFORT = (1080, 640, 320), 150, 80, 2


def pillow(source: str, folder: str, number: int) -> None:
    """As it is usually written: upright first, then each size from the full one."""
    from PIL import Image, ImageOps  # noqa: PLC0415 - one peer needs not the other's

    image = ImageOps.exif_transpose(Image.open(source)).convert("RGB")
    for width in WIDTHS:
        height = round(image.height * width / image.width)
        made = image.resize((width, height), Image.Resampling.LANCZOS)
        made.save(f"{folder}/{number}-w{width}.webp", quality=QUALITY, method=EFFORT)
    square = ImageOps.fit(image, (SQUARE, SQUARE), Image.Resampling.LANCZOS)
    square.save(f"{folder}/{number}-thumb150.webp", quality=QUALITY, method=EFFORT)


def vips(source: str, folder: str, number: int) -> None:
    """As its authors advise: shrink on load, each size from the next larger."""
    import pyvips  # noqa: PLC0415 - as above

    image = pyvips.Image.thumbnail(source, WIDTHS[0], size="down").copy_memory()
    made = image
    for width in WIDTHS:
        made = made.thumbnail_image(width, size="down").copy_memory()
        made.webpsave(f"{folder}/{number}-w{width}.webp", Q=QUALITY, effort=EFFORT, keep="none")
    square = made.thumbnail_image(SQUARE, height=SQUARE, crop="centre")
    square.webpsave(f"{folder}/{number}-thumb150.webp", Q=QUALITY, effort=EFFORT, keep="none")


def main() -> None:
    """One picture for each process first, which is not counted."""
    name, source, folder, count, processes = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
    work = {"pillow": pillow, "vips": vips}[name]
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        pool.starmap(work, [(source, folder, number) for number in range(processes)], chunksize=1)
        started = time.perf_counter()
        pool.starmap(work, [(source, folder, number) for number in range(count)], chunksize=1)
        print(time.perf_counter() - started)


if __name__ == "__main__":
    main()
