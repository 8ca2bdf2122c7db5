"""What must hold for the tracked files as a whole. Each failure names file:line and says what to do."""

import ast
import re
import subprocess
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import agents
from streams.settings import FIELDS

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("schemas", "streams", "agents")
THIS_FILE = "tests/test_repository.py"

UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
MACHINE_PATH = re.compile(r"(?:^|[^\w.~/-])/(?:root|home|work|farm)/[a-z]")
INDEX = re.compile(
    r"--(?:extra-)?index-url|--find-links|index-url\s*=|https?://\S+/(?:simple|maven2?|pypi)/?(?:\s|$|[\"'])"
)
ADDRESS = re.compile(r"https?://")
INSTALLS = re.compile(
    r"\.lock$|requirements[^/]*\.txt$|(?:^|/)(?:pip\.conf|\.npmrc|settings\.xml|pyproject\.toml|uv\.toml)$"
)
SHORT = 7
"""Lines below its first that a function may have without a docstring."""

CREDENTIAL = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}")


@pytest.fixture(scope="module")
def tracked() -> dict[str, list[str]]:
    """Every text file that is, or is about to be, in the repository: its lines."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    names = listed.stdout.split("\0") if listed.returncode == 0 else _walked()
    return {name: lines for name in names if name and (lines := _lines(ROOT / name)) is not None}


def _walked() -> list[str]:
    """The files of a checkout without git, such as an unpacked archive."""
    skipped = {".git", ".venv", ".tools", ".tailrace", "__pycache__", "dist"}
    files = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
    return [str(path) for path in files if not any(p in skipped or p.endswith("_cache") for p in path.parts)]


def _lines(path: Path) -> list[str] | None:
    if not path.is_file() or "vendor" in path.parts:
        return None
    try:
        return path.read_text().splitlines()
    except UnicodeDecodeError:
        return None


def _refuse(tracked: dict[str, list[str]], pattern: re.Pattern[str], advice: str) -> None:
    found = [
        f"{name}:{number}: {advice}"
        for name, lines in tracked.items()
        if name != THIS_FILE
        for number, line in enumerate(lines, start=1)
        if pattern.search(line)
    ]
    assert not found, "\n" + "\n".join(found)


def test_nothing_is_left_unfinished(tracked: dict[str, list[str]]) -> None:
    _refuse(tracked, UNFINISHED, "finish it, or take it out and open an issue")


def test_no_file_holds_a_path_of_somebodys_machine(tracked: dict[str, list[str]]) -> None:
    _refuse(tracked, MACHINE_PATH, "write the path relative to the repository, or take it from a setting")


def test_no_file_holds_a_credential(tracked: dict[str, list[str]]) -> None:
    _refuse(tracked, CREDENTIAL, "take the credential out, revoke it, and read it from the environment")


def test_no_file_names_a_package_index(tracked: dict[str, list[str]]) -> None:
    _refuse(tracked, INDEX, "leave the index to the machine's own configuration")


def test_what_installs_holds_no_address(tracked: dict[str, list[str]]) -> None:
    installing = {name: lines for name, lines in tracked.items() if INSTALLS.search(name)}

    assert "requirements.lock" in installing
    _refuse(installing, ADDRESS, "no address may stand here; the machine's own configuration says where from")


def test_the_lock_pins_each_package_with_its_hashes() -> None:
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text().rstrip())
    pinned = re.compile(
        r"[a-z0-9][a-z0-9._-]*(\[[a-z,]+\])?==\S+( ; [^\\]+)? \\\n( +--hash=sha256:[0-9a-f]{64}( \\\n|$))+$"
    )

    wrong = [entry.splitlines()[0] for entry in entries if not pinned.fullmatch(entry)]

    assert len(entries) > 50
    assert not wrong, f"requirements.lock: compile it again as CONTRIBUTING.md says; not pinned with hashes: {wrong}"


def test_the_lock_has_each_package_that_the_project_names() -> None:
    locked = set(re.findall(r"^([a-z0-9._-]+)(?:\[\S+\])?==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    named = re.findall(
        r'^  "([a-zA-Z0-9_-]+)(?:\[\w+\])?(?:[><=]=.*)?",$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )

    assert named
    assert set(named) <= locked, (
        f"requirements.lock: compile it again as CONTRIBUTING.md says; absent: {set(named) - locked}"
    )


def _definitions(tree: ast.Module) -> Iterator[tuple[ast.AST, int, str]]:
    """What a reader meets from outside: the module, its public functions and classes, and their methods.

    Properties, the entry ``main`` and a function of a few lines explain themselves, and so does a list of fields.
    """
    yield tree, 1, "module"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_public(node):
            yield node, node.lineno, node.name
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            methods = [part for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)]
            if methods:
                yield node, node.lineno, node.name
            yield from (
                (method, method.lineno, f"{node.name}.{method.name}") for method in methods if _is_public(method)
            )


def _is_public(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    decorators = {ast.unparse(decorator).split("(")[0].split(".")[-1] for decorator in node.decorator_list}
    explained = bool(decorators & {"property", "override", "overload"}) or node.name == "main"
    return not node.name.startswith("_") and not explained and (node.end_lineno or 0) - node.lineno > SHORT


def test_public_names_say_what_they_promise() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name} needs a docstring: what does it promise?"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if "versions" not in path.parts
        for node, line, name in _definitions(ast.parse(path.read_text()))
        if not ast.get_docstring(node)  # type: ignore[arg-type]
    ]

    assert not found, "\n" + "\n".join(found)


def test_a_task_has_a_file_of_its_name_and_a_test_that_names_it(tracked: dict[str, list[str]]) -> None:
    tests = "\n".join("\n".join(lines) for name, lines in tracked.items() if re.match(r"tests/.*\.py$", name))

    for task in agents.TASKS:
        assert (ROOT / f"agents/{task.name}.py").exists(), (
            f"agents/__init__.py:1: {task.name} needs agents/{task.name}.py"
        )
        assert re.search(rf"\b{task.name}\b", tests), f"agents/{task.name}.py:1: no test names this task; write one"


def test_no_other_distribution_owns_our_names() -> None:
    owners = packages_distributions()

    for package in PACKAGES:
        assert set(owners.get(package, ["tailrace"])) == {"tailrace"}, (
            f"pyproject.toml:1: {owners[package]} install a package {package!r} too; one of them must go"
        )


def test_each_setting_is_in_the_operating_guide_and_no_other() -> None:
    guide = (ROOT / "docs/operating.md").read_text()
    documented = set(re.findall(r"^\| `(TAILRACE_\w+)` \|", guide, re.MULTILINE))

    assert documented == set(FIELDS), (
        f"docs/operating.md: the table of settings lacks {sorted(set(FIELDS) - documented)} "
        f"and has {sorted(documented - set(FIELDS))} too many"
    )


def test_links_in_the_documentation_lead_somewhere(tracked: dict[str, list[str]]) -> None:
    broken = [
        f"{name}:{number}: {target} does not exist; mend the link"
        for name, lines in tracked.items()
        if name.endswith(".md")
        for number, line in enumerate(lines, start=1)
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", line)
        if not ADDRESS.match(target) and not (ROOT / name).parent.joinpath(target).exists()
    ]

    assert not broken, "\n" + "\n".join(broken)
