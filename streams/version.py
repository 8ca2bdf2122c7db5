"""Which version of the application this is."""

from importlib.metadata import version


def application_version() -> str:
    """As it was installed."""
    return version("tailrace")
