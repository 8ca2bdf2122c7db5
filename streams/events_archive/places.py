"""Where archived files are: a folder, or a store of objects by its URL."""

from collections.abc import Mapping
from pathlib import Path

from streams.events_archive.records import WrongArchive
from streams.media.local_folder import LocalFolder
from streams.media.object_store import OPTIONS, ObjectStore
from streams.media.storage import Storage

MOST_BYTES = 1 << 30
"""Of one file that is read."""


def place_named(name: str, options: Mapping[str, str]) -> Storage:
    """The folder, or the store at a URL such as s3://bucket/prefix. Raises ``WrongArchive``."""
    scheme, separator, _ = name.partition("://")
    if not separator:
        if options:
            raise WrongArchive("--option is for a store of objects; a folder has none")
        return LocalFolder(Path(name))
    if scheme not in OPTIONS:
        raise WrongArchive(f"{name!r} is no place; write a folder, or a URL that begins with {', '.join(OPTIONS)}://")
    try:
        return ObjectStore.at(name, options)
    except ValueError as error:
        raise WrongArchive(str(error)) from error
