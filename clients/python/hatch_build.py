"""Makes the package ``tailrace_client`` of the sources that the application runs, under names of its own.

A checkout has them where ``SOURCES`` says; a source distribution has the finished package, which is taken as it is.
"""

import ast
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = {
    "events": "schemas/events.py",
    "envelope": "schemas/envelope.py",
    "facts": "schemas/facts.py",
    "async_publisher": "streams/publisher.py",
}
"""Module of the client -> the application's file. What these import of ours must be among them."""

OWN = ("__init__.py", "publisher.py", "emitting.py", "py.typed")


class ClientBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the package to the wheel and to the source distribution."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before either is built."""
        here = Path(self.root)
        repository = here.parents[1]
        finished = here / "tailrace_client"
        if (repository / "schemas" / "events.py").exists():
            self._folder = tempfile.TemporaryDirectory(prefix="tailrace-client-")
            finished = Path(self._folder.name)
            for name, text in package_files(repository).items():
                (finished / name).write_text(text)
        for path in sorted(finished.iterdir()):
            if path.is_file():
                build_data["force_include"][str(path)] = f"tailrace_client/{path.name}"


def package_files(repository: Path) -> dict[str, str]:
    """Name -> text of each file of the package; the same for the same sources."""
    own = repository / "clients" / "python" / "tailrace_client"
    files = {f"{module}.py": (repository / source).read_text() for module, source in SOURCES.items()}
    files |= {name: (own / name).read_text() for name in OWN}
    return {name: with_own_names(text, name) for name, text in sorted(files.items())}


def with_own_names(text: str, name: str) -> str:
    """The text with each import of ours turned into one of ``tailrace_client``; nothing else is changed.

    Raises ``ValueError`` for one that the client does not have.
    """
    renamed = {source.removesuffix(".py").replace("/", "."): module for module, source in SOURCES.items()}
    lines = text.splitlines(keepends=True)
    for node in ast.walk(ast.parse(text)) if name.endswith(".py") else ():
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        module = node.module if isinstance(node, ast.ImportFrom) else None
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [module or ""]
        if not any(found.split(".")[0] in ("schemas", "streams", "agents") for found in names):
            continue
        if module not in renamed:
            raise ValueError(
                f"{name}:{node.lineno}: the client has no {', '.join(names)}; see SOURCES in hatch_build.py"
            )
        line = lines[node.lineno - 1]
        lines[node.lineno - 1] = line.replace(f"from {module} ", f"from tailrace_client.{renamed[module]} ", 1)
    return "".join(lines)
