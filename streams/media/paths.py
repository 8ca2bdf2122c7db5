"""Keys below the media root: no key, whatever it says, reads or writes anywhere else."""

import errno
import hashlib
import re
import stat
from pathlib import Path

from streams.media.errors import BadMedia, MissingMedia
from streams.media.recipe import Recipe, Variant

PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def resolve_key(root: Path, key: str) -> Path:
    """The file of a key relative to the media root.

    Raises ``BadMedia`` for a key that leads out of the root, by dots, from the top or through a link, and
    ``MissingMedia`` where there is nothing.
    """
    if not key or "\0" in key:
        raise BadMedia(f"{key!r} is no key of a file")
    if key.startswith("/") or ".." in key.split("/"):
        raise BadMedia(f"{key!r} is outside the media root")
    try:
        path = (root / key).resolve(strict=True)
    except FileNotFoundError:
        raise MissingMedia(f"{key!r} does not exist under the media root") from None
    except (NotADirectoryError, RuntimeError) as error:
        raise BadMedia(f"{key!r} is no key of a file: {error}") from error
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise BadMedia(f"{key[:50]!r}... is too long for a key of a file") from error
    if not path.is_relative_to(root.resolve()):
        raise BadMedia(f"{key!r} leads outside the media root through a link")
    return path


def read_key(root: Path, key: str, max_bytes: int) -> bytes:
    """The content of the file of a key. Raises ``BadMedia`` also where it is no file, empty or too large."""
    path = resolve_key(root, key)
    # Asked before it is opened: to open a pipe would wait until somebody writes to it.
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise BadMedia(f"{key!r} is not a file")
    if status.st_size > max_bytes:
        raise BadMedia(f"the file has {status.st_size:,} bytes; at most {max_bytes:,} are accepted")
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    if not content:
        raise BadMedia("the file is empty")
    if len(content) > max_bytes:
        raise BadMedia(f"the file has more than {max_bytes:,} bytes")
    return content


def rendition_key(post_id: str, source: str, content: bytes, recipe: Recipe, variant: Variant) -> str:
    """The one name of this variant of this content; the same for every run on it."""
    # The length first, so that no other pair of key and content runs together to the same bytes.
    prefix = f"{len(source.encode())}:{source}:".encode()
    digest = hashlib.sha256(prefix + content).hexdigest()[:16]
    return f"renditions/{_folder(post_id)}/{digest}-{recipe.name}-{variant.name}.webp"


def _folder(post_id: str) -> str:
    if PLAIN_ID.fullmatch(post_id):
        return post_id
    # "~" is in no plain id, so this cannot be another post's folder.
    return "~" + hashlib.sha256(post_id.encode()).hexdigest()[:32]
