"""Keys below the media root: no key, whatever it says, reads or writes anywhere else."""

import errno
import hashlib
import re
import stat
from pathlib import Path

from streams.media.errors import BadMedia, MissingMedia

MAX_KEY_BYTES = 1024
"""Of UTF-8, as in S3; longer ones would not fit into the rows' keys either."""

SHOWN = 60
"""Characters of a key in a reason."""

NO_KEY = {
    errno.ENAMETOOLONG: "a name in it is too long",
    errno.ELOOP: "its links lead in a circle",
    errno.ENOTDIR: "a part of it is a file",
}

RENDITIONS = "renditions"

PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check_length(key: str) -> None:
    """Raises ``BadMedia`` for a key that is longer than any file's."""
    size = len(key.encode())
    if size > MAX_KEY_BYTES:
        raise BadMedia(
            f"{shown(key)} is no key of a file: it has {size:,} bytes, at most {MAX_KEY_BYTES:,} are accepted"
        )


def shown(key: str) -> str:
    """The key as a reason has it: quoted, and never long."""
    return repr(key) if len(key) <= SHOWN else f"{key[:SHOWN]!r}..."


def checked_key(key: str) -> str:
    """The key, if it can be one of a file below the media root. Raises ``BadMedia``."""
    check_length(key)
    if not key or "\0" in key:
        raise BadMedia(f"{shown(key)} is no key of a file")
    if key.startswith("/") or ".." in key.split("/"):
        raise BadMedia(f"{shown(key)} is outside the media root")
    return key


def resolve_key(root: Path, key: str) -> Path:
    """The file of a key relative to the media root.

    Raises ``BadMedia`` for a key that leads out of the root, by dots, from the top or through a link, and
    ``MissingMedia`` where there is nothing.
    """
    checked_key(key)
    try:
        path = (root / key).resolve(strict=True)
    except FileNotFoundError:
        raise MissingMedia(f"{shown(key)} does not exist under the media root") from None
    except (OSError, RuntimeError) as error:
        why = _why_no_key(error)
        if why is None:
            raise
        raise BadMedia(f"{shown(key)} is no key of a file: {why}") from error
    if not path.is_relative_to(root.resolve()):
        raise BadMedia(f"{shown(key)} leads outside the media root through a link")
    return path


def _why_no_key(error: OSError | RuntimeError) -> str | None:
    """None where the fault may be the disk's."""
    if isinstance(error, RuntimeError):
        return NO_KEY[errno.ELOOP]  # Python before 3.13 says it so
    return NO_KEY.get(error.errno or 0)


def checked_file(root: Path, key: str, max_bytes: int) -> Path:
    """The file of a key. Raises ``BadMedia`` also where it is no file, empty or too large."""
    path = resolve_key(root, key)
    # Asked before it is opened: to open a pipe would wait until somebody writes to it.
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise BadMedia(f"{shown(key)} is not a file")
    check_size(status.st_size, max_bytes)
    return path


def check_size(size: int, max_bytes: int) -> None:
    """Raises ``BadMedia`` for a file of nothing, or of too much."""
    if not size:
        raise BadMedia("the file is empty")
    if size > max_bytes:
        raise BadMedia(f"the file has {size:,} bytes; at most {max_bytes:,} are accepted")


def read_key(root: Path, key: str, max_bytes: int) -> bytes:
    """The content of the file of a key. Raises ``BadMedia`` also where it is no file, empty or too large."""
    with checked_file(root, key, max_bytes).open("rb") as file:
        content = file.read(max_bytes + 1)
    check_size(len(content), max_bytes)
    return content


def rendition_key(post_id: str, digest: str, recipe: str, variant: str, extension: str) -> str:
    """The one name of this variant of this content; the same for every run on it."""
    return f"{rendition_folder(post_id)}/{digest}-{recipe}-{variant}.{extension}"


def rendition_folder(post_id: str) -> str:
    """The prefix of all renditions of a post, and of no other post's."""
    return f"{RENDITIONS}/{_folder(post_id)}"


def _folder(post_id: str) -> str:
    if PLAIN_ID.fullmatch(post_id):
        return post_id
    # "~" is in no plain id, so this cannot be another post's folder.
    return "~" + hashlib.sha256(post_id.encode()).hexdigest()[:32]
