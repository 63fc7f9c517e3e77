"""Runs `pgwrap import` over real native files with the real engines as judges, and prints the figures.

    python -m integration.corpus [--root DIR]... [FILE]...

Without files: tests/recordings/corpus. `--root` is another Debian root whose engines judge, too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from integration.corpus_verdict import Judge, Verdict, summary

ROOT = Path(__file__).parent.parent
CORPUS = ROOT / "tests/recordings/corpus"
ENGINES = {"integration.corpus_pgbackrest": "pgbackrest_conf", "integration.corpus_barman": "barman_conf"}
"""The module with the judges of each engine, and the directory of its files."""
_AT_ONCE = 8
"""Files: an engine without network mostly waits."""


def main() -> int:
    """0 when every file is judged as its engine judges it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--root", action="append", type=Path, default=[])
    parser.add_argument("--engine", choices=["pgbackrest", "barman"])
    arguments = parser.parse_args()
    wrong = 0
    for module, directory in ENGINES.items():
        if find_spec(module) is None or not module.endswith(arguments.engine or ""):
            continue
        files = arguments.files or sorted((CORPUS / directory).iterdir())
        for judge in _judges(module, tuple(arguments.root)):
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                verdicts = list(pool.map(judge.judge, [path.absolute() for path in files]))
            wrong += sum(_report(judge, verdict) for verdict in verdicts)
            print(summary(judge, verdicts), flush=True)
    return 1 if wrong else 0


def _judges(module: str, roots: tuple[Path, ...]) -> Iterator[Judge]:
    found: Iterator[Judge] = import_module(module).judges(roots)
    return found


def _report(judge: Judge, verdict: Verdict) -> bool:
    """Say what is wrong with a verdict; whether anything is."""
    if verdict.right:
        return False
    engine = "; ".join(verdict.reasons) or "accepted"
    print(f"{judge.engine} {judge.version}: {verdict.file}: {engine}")
    print(f"  pgwrap import: exit {verdict.exit_code}: {verdict.said}{verdict.contradiction}")
    return True


if __name__ == "__main__":
    sys.exit(main())
