"""Builds the wheel and runs the unit tests against it in a fresh environment, where no checkout is in sight."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from integration.lab.machine import CHECKOUT

TAKEN_ALONG = ("tests", "conftest.py", "docs", "README.md", "CHANGELOG.md", "pyproject.toml")
"""What the tests read besides the installed package; neither `pgwrap` nor `templates`, which the wheel must bring."""


def main() -> int:
    """pytest's exit code."""
    with tempfile.TemporaryDirectory(prefix="pgwrap-wheel-", dir="/var/tmp") as directory:
        place = Path(directory)
        wheel = build_wheel(place / "dist")
        print(f"built {wheel.name} ({wheel.stat().st_size // 1024} KiB)", flush=True)
        python = install(wheel, place / "venv")
        away = place / "away"
        take_along(away)
        check_command(python, away)
        arguments = ("-m", "pytest", "tests", *sys.argv[1:])
        return subprocess.run((str(python), *arguments), cwd=away, env=_environment(), check=False).returncode


def build_wheel(target: Path) -> Path:
    """Build the wheel with pip."""
    _pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(target), str(CHECKOUT))
    (wheel,) = target.glob("pgwrap-*.whl")
    return wheel


def install(wheel: Path, target: Path) -> Path:
    """Install the wheel with what its tests need; the new environment's interpreter."""
    venv.create(target, with_pip=True)
    python = target / "bin" / "python"
    _pip(str(python), "install", f"{wheel}[test]")
    return python


def take_along(away: Path) -> None:
    """Copy the tests and what they read, but not the package."""
    away.mkdir()
    for name in TAKEN_ALONG:
        source = CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, away / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, away / name)


def check_command(python: Path, away: Path) -> None:
    """The installed command answers, from the wheel and not from the checkout."""
    command = str(python.parent / "pgwrap")
    answer = subprocess.run((command, "--version"), cwd=away, env=_environment(), capture_output=True, check=True)
    origin = subprocess.run(
        (str(python), "-c", "import pgwrap; print(pgwrap.__file__)"),
        cwd=away,
        env=_environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    if CHECKOUT in Path(origin).parents:
        raise SystemExit(f"the tests would run against the checkout: {origin}")
    print(f"{answer.stdout.decode().strip()} from {origin}", flush=True)


def _pip(python: str, *arguments: str) -> None:
    subprocess.run((python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments), check=True)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


if __name__ == "__main__":
    sys.exit(main())
