"""The processes that render, as the machine sees them."""

import psutil


def processes(parent: int | None = None) -> list[psutil.Process]:
    """Those of this worker, or of another."""
    children = psutil.Process(parent).children()
    return [child for child in children if "streams.media.render_process" in _command(child)]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
