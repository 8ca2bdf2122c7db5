"""The settings of a command: the environment, and what its options say."""

import os
import sys
from collections.abc import Mapping

from streams.settings import Settings, SettingsError


def load_settings(options: Mapping[str, str | None] | None = None) -> Settings:
    """The settings of this environment, with logging set up; ends the program where one is wrong.

    ``options`` of the command line, by the names of their variables, go before the environment.
    """
    from streams.log import configure_logging

    given = {name: value for name, value in (options or {}).items() if value is not None}
    try:
        settings = Settings.load({**os.environ, **given})
    except SettingsError as error:
        sys.exit(f"tailrace: {error}")
    configure_logging(settings.log)
    return settings
