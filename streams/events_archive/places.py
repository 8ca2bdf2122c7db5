"""Where archived files are: a folder, or a store of objects by its URL."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from streams.events_archive.records import WrongArchive
from streams.media.errors import BadMedia, MissingMedia, StorageFailed
from streams.media.local_folder import LocalFolder
from streams.media.object_store import OPTIONS, ObjectStore
from streams.media.storage import Storage

MOST_BYTES = 1 << 30
"""Of one file that is read."""

SEPARATOR = "://"

ADVICE = {
    "": "Check that it is a folder, and that this user may use it",
    "s3": (
        "Check the bucket's name and, in the environment or with --option, endpoint, region and login: "
        "AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"
    ),
    "gs": "Check the bucket's name, and the login: GOOGLE_APPLICATION_CREDENTIALS in the environment, or --option",
    "az": (
        "Check the container's name and, in the environment or with --option, the login: "
        "AZURE_STORAGE_ACCOUNT_NAME, AZURE_STORAGE_ACCOUNT_KEY"
    ),
}


def place_named(name: str, options: Mapping[str, str]) -> Storage:
    """The folder, or the store at a URL such as s3://bucket/prefix. Raises ``WrongArchive``."""
    scheme = _scheme(name)
    if not scheme:
        if options:
            raise WrongArchive("--option is for a store of objects; a folder has none")
        return LocalFolder(Path(name))
    if scheme not in OPTIONS:
        raise WrongArchive(
            f"{name!r} is no place; write a folder, or a URL that begins with {', '.join(OPTIONS)}{SEPARATOR}"
        )
    try:
        return ObjectStore.at(name, options)
    except ValueError as error:
        raise WrongArchive(f"{error}. {ADVICE[scheme]}") from error


def existing_place(name: str, options: Mapping[str, str]) -> Storage:
    """The same; a folder must be there."""
    if not _scheme(name) and not Path(name).is_dir():
        raise WrongArchive(f"there is no folder {name!r}; name the one that `tailrace export --out` was given")
    return place_named(name, options)


@contextmanager
def told(name: str) -> Iterator[None]:
    """What goes wrong with the place of this name comes as ``WrongArchive``, with what to do."""
    try:
        yield
    except (BadMedia, MissingMedia, StorageFailed) as error:
        raise WrongArchive(f"{name}: {_why(error)}. {ADVICE[_scheme(name)]}") from error


def _scheme(name: str) -> str:
    scheme, separator, _ = name.partition(SEPARATOR)
    return scheme if separator else ""


def _why(error: Exception) -> str:
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror + (f" ({cause.filename})" if cause.filename else "")
    return str(error)
