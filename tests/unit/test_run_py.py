"""run.py: when it installs, which uv it takes, and what it says when it cannot."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

SOURCE = Path(__file__).parents[2] / "run.py"


@pytest.fixture
def run(tmp_path: Path) -> ModuleType:
    """run.py as it would be in a checkout of its own."""
    for name, text in {"requirements.lock": "click==8\n", "pyproject.toml": "[project]\n"}.items():
        (tmp_path / name).write_text(text)
    copy = shutil.copy(SOURCE, tmp_path / "run.py")
    spec = importlib.util.spec_from_file_location("run_under_test", copy)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _pretend_installed(run: ModuleType) -> None:
    run.VENV.mkdir()
    run.STAMP.write_text(run.wanted_stamp())


def test_what_is_installed_is_not_installed_again(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend_installed(run)
    installed: list[str] = []
    monkeypatch.setattr(run, "install", lambda: installed.append("again"))

    run.ensure_environment()

    assert installed == []


@pytest.mark.parametrize("file", ["requirements.lock", "pyproject.toml"])
def test_a_change_of_what_is_locked_installs_again(run: ModuleType, file: str) -> None:
    _pretend_installed(run)

    (run.ROOT / file).write_text("changed\n")

    assert not run.is_installed()


def test_a_moved_checkout_is_installed_again(run: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _pretend_installed(run)

    monkeypatch.setattr(run, "ROOT", tmp_path / "elsewhere")

    assert not run.is_installed()


def test_the_uv_of_the_path_comes_first(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/opt/bin/{name}")

    assert run.find_uv() == "/opt/bin/uv"


def test_without_uv_on_the_path_our_own_is_used(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    own = run.TOOLS / "bin" / "uv"
    own.parent.mkdir(parents=True)
    own.touch()

    assert run.find_uv() == str(own)


def test_without_uv_and_pip_it_says_what_to_install(run: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1))

    with pytest.raises(run.SetupError, match=r"has no pip.*apt install python3-pip"):
        run.find_uv()


def test_a_checkout_that_cannot_be_written_is_named(
    run: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file in the folder's place: root may write everywhere, so modes would not stop it.
    monkeypatch.setattr(run, "TOOLS", tmp_path / "requirements.lock" / ".tools")

    with pytest.raises(run.SetupError, match="cannot be written by user"), run.only_one():
        pass


def test_without_arguments_it_prints_how_to_use_it_and_installs_nothing(tmp_path: Path) -> None:
    copy = shutil.copy(SOURCE, tmp_path / "run.py")

    answer = subprocess.run([sys.executable, str(copy)], capture_output=True, text=True, check=True)

    assert "python3 run.py up" in answer.stdout
    assert not (tmp_path / ".venv").exists()
