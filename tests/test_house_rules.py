"""The house rules that a machine can hold. Each failure names file:line and says what to do."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("schemas", "streams", "agents")
PLACES = (*PACKAGES, "clients", "tests", "benchmarks")

MAX_FUNCTION_LINES = 40
MAX_FILE_LINES = 250
FORBIDDEN_NAME = re.compile(r"(^|_)(utils?|commons?|helpers?|managers?)(_|$)|^base_")
LONGEST_POLL = 0.25

FAUST_SHELL = {"streams/app.py", "streams/faust_shell.py"}
"""The composition root, and the module that it leaves Faust's own objects to."""

ADAPTERS = (
    *("streams.task", "streams.data", "streams.mail", "streams.media", "streams.cleanup", "streams.forgetting"),
    *("streams.trending", "streams.backend_presence", "streams.backend_rows"),
)
"""What a task may import of ours beside ``schemas``."""

RUN_AT_IMPORT = {"streams/migrations/env.py"}
"""Alembic executes this file; nobody imports it."""

EFFECTS = {
    *("create_engine", "create_async_engine", "engine_for", "connect", "open", "Popen", "run", "system", "urlopen"),
    *("getenv", "load", "start", "read_text", "read_bytes", "ClientSession", "AIOKafkaProducer", "AIOKafkaConsumer"),
    *("App", "Thread", "ProcessPool", "ThreadPoolExecutor", "Server", "basicConfig", "configure", "utcnow"),
}
"""Calls that reach outside or make something that does."""

REGISTRATIONS = ("cli.add_command(",)
"""Bare calls that only make a definition known."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One file of ours, parsed."""

    path: str
    text: str = field(repr=False)
    tree: ast.Module = field(repr=False)

    def at(self, node: ast.stmt | ast.expr, advice: str) -> str:
        return f"{self.path}:{node.lineno}: {advice}"


@pytest.fixture(scope="module")
def sources() -> list[Source]:
    paths = sorted(path for place in PLACES for path in (ROOT / place).rglob("*.py"))
    return [_source(path) for path in paths if "vendor" not in path.parts]


def _source(path: Path) -> Source:
    text = path.read_text()
    return Source(str(path.relative_to(ROOT)), text, ast.parse(text))


def _ours(sources: list[Source]) -> list[Source]:
    return [source for source in sources if source.path.split("/")[0] in PACKAGES]


def _report(problems: Iterator[str]) -> None:
    found = list(problems)
    assert not found, "\n" + "\n".join(found)


def _functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def _imports(source: Source) -> Iterator[tuple[ast.stmt, str]]:
    """Each import, absolute, as dotted names."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(source.path.split("/")[: -node.level]) if node.level else ""
            module = ".".join(part for part in (package, node.module) if part)
            yield from ((node, f"{module}.{alias.name}") for alias in node.names)


def _is(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _called(call: ast.Call) -> str:
    """``a.b.c(...)`` -> ``a.b.c``; what is no plain name has none."""
    parts, node = [], call.func
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join(reversed([*parts, node.id])) if isinstance(node, ast.Name) else parts[0] if parts else ""


def test_a_function_is_forty_lines_at_most(sources: list[Source]) -> None:
    _report(
        source.at(function, f"{function.name} has {length} lines; split it, {MAX_FUNCTION_LINES} are allowed")
        for source in sources
        for function in _functions(source.tree)
        if (length := (function.end_lineno or 0) - function.lineno + 1) > MAX_FUNCTION_LINES
    )


def test_a_file_is_two_hundred_and_fifty_lines_at_most(sources: list[Source]) -> None:
    _report(
        f"{source.path}:{length}: the file is too long; split it by what it does, {MAX_FILE_LINES} are allowed"
        for source in sources
        if (length := len(source.text.splitlines())) > MAX_FILE_LINES
    )


def test_a_module_is_named_for_what_it_does(sources: list[Source]) -> None:
    _report(
        f"{source.path}:1: {part!r} says nothing; name the module for what it does"
        for source in sources
        for part in source.path.removesuffix(".py").split("/")
        if FORBIDDEN_NAME.search(part)
    )


def _may_import(path: str) -> Callable[[str], bool]:
    """What a module may import of our own packages."""
    if path.startswith("schemas/"):
        return lambda name: _is(name, "schemas")
    if path == "streams/publisher.py":
        return lambda name: _is(name, "schemas")
    if path.startswith("agents/"):
        return lambda name: _is(name, "schemas", "agents", *ADAPTERS)
    if path == "streams/app.py" or path.startswith("streams/cli"):
        return lambda name: True
    return lambda name: not _is(name, "agents")


def test_imports_point_in_one_direction(sources: list[Source]) -> None:
    _report(
        source.at(node, f"{source.path} may not import {name}; hand in what it needs, or move it")
        for source in _ours(sources)
        for node, name in _imports(source)
        if _is(name, *PACKAGES, "tests", "benchmarks") and not _may_import(source.path)(name)
    )


def test_only_the_composition_root_knows_faust(sources: list[Source]) -> None:
    _report(
        source.at(node, f"only {', '.join(sorted(FAUST_SHELL))} may import {name}")
        for source in _ours(sources)
        for node, name in _imports(source)
        if _is(name, "faust", "mode") and source.path not in FAUST_SHELL
    )


def test_no_test_waits_by_sleeping(sources: list[Source]) -> None:
    """A short pause between two looks at a condition, in a loop that has a deadline, is not a wait."""
    _report(
        source.at(call, "wait for a condition with a deadline, do not sleep")
        for source in sources
        if source.path.startswith("tests/")
        for call in _sleeps(source.tree)
    )


def _sleeps(tree: ast.Module) -> Iterator[ast.Call]:
    polling = {id(node) for loop in ast.walk(tree) if isinstance(loop, ast.While) for node in ast.walk(loop)}
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and _called(call).split(".")[-1] == "sleep" and call.args:
            seconds = call.args[0]
            constant = seconds.value if isinstance(seconds, ast.Constant) else None
            if constant == 0 or (id(call) in polling and isinstance(constant, float) and constant <= LONGEST_POLL):
                continue
            yield call


def test_no_cancellation_is_swallowed_by_wait_for(sources: list[Source]) -> None:
    """Before Python 3.12 it drops one that comes in the moment when what it waits for is there: the loop goes on."""
    _report(
        source.at(call, "use `async with asyncio.timeout(...)`: wait_for swallows cancellations in Python 3.11")
        for source in _ours(sources)
        for call in ast.walk(source.tree)
        if isinstance(call, ast.Call) and _called(call) == "asyncio.wait_for"
    )


def test_no_test_is_skipped_without_a_reason(sources: list[Source]) -> None:
    _report(
        source.at(node, "say why: `reason=` for a mark, a text for pytest.skip")
        for source in sources
        if source.path.startswith("tests/")
        for node in _silent_skips(source.tree)
    )


def _silent_skips(tree: ast.Module) -> Iterator[ast.expr]:
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and re.search(r"\.(skip|skipif|xfail|importorskip)$", _called(node)):
            reasons = [word for word in node.keywords if word.arg in ("reason", "msg")]
            texts = reasons or (node.args if _called(node) in ("pytest.skip", "pytest.xfail") else [])
            if not texts:
                yield node
        elif isinstance(node, ast.Attribute) and node.attr in ("skip", "xfail") and id(node) not in called:
            yield node


def test_nothing_happens_at_import_but_definitions(sources: list[Source]) -> None:
    _report(
        source.at(node, f"{ast.unparse(node)[:60]!r} runs at import; do it in a function that is called")
        for source in _ours(sources)
        if source.path not in RUN_AT_IMPORT
        for node in _effects(source.tree)
    )


def _effects(tree: ast.Module) -> Iterator[ast.expr]:
    """Calls with an effect, bare calls and looks at the environment, outside of function bodies."""
    statements: list[ast.AST] = [node for node in tree.body if not _is_entry(node)]
    while statements:
        node = statements.pop()
        if isinstance(node, Function):
            statements += [*node.decorator_list, *node.args.defaults, *node.args.kw_defaults]  # type: ignore[list-item]
            continue
        if isinstance(node, ast.Lambda) or node is None:
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call | ast.Await):
            if not ast.unparse(node).startswith(REGISTRATIONS):
                yield node.value
        elif isinstance(node, ast.Call | ast.Attribute) and _has_effect(node):
            yield node
        statements += ast.iter_child_nodes(node)


def _has_effect(node: ast.Call | ast.Attribute) -> bool:
    if isinstance(node, ast.Call):
        return _called(node).split(".")[-1] in EFFECTS or _called(node) in ("datetime.now", "time.time")
    return ast.unparse(node) == "os.environ"


def _is_entry(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)
