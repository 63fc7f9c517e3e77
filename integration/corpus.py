"""Runs `pgwrap import` over real native files with the real engines as judges, and prints the figures.

    make corpus ARGS="[--engine ENGINE] [--root DIR]... [FILE]..."

Without files: tests/recordings/corpus. `--root` is another Debian root whose engines judge, too.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from integration import corpus_barman, corpus_pgbackrest
from integration.corpus_verdict import Judge, Verdict, summary

ROOT = Path(__file__).parent.parent
CORPUS = ROOT / "tests/recordings/corpus"
_AT_ONCE = 8
"""Files: an engine without network mostly waits."""


def main() -> int:
    """0 when every file is judged as its engine judges it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--root", action="append", type=Path, default=[], metavar="DIR")
    parser.add_argument("--engine", choices=["pgbackrest", "barman"], help="only this one")
    arguments = parser.parse_args()
    wrong = False
    if arguments.engine != "barman":
        wrong |= _pgbackrest(
            arguments.files or [CORPUS / "pgbackrest_conf", CORPUS / "pgbackrest_hard"], arguments.root
        )
    if arguments.engine != "pgbackrest":
        files = arguments.files or [CORPUS / "barman_conf", CORPUS / "barman_hard"]
        wrong |= bool(corpus_barman.main([str(path) for path in files]))
    return 1 if wrong else 0


def _pgbackrest(paths: list[Path], roots: list[Path]) -> bool:
    """Whether any file is judged otherwise than by its engine."""
    files = [file.absolute() for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    wrong = False
    for judge in corpus_pgbackrest.judges(tuple(roots)):
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            verdicts = list(pool.map(judge.judge, files))
        wrong |= bool([verdict for verdict in verdicts if _report(judge, verdict)])
        print(summary(judge, verdicts), flush=True)
    return wrong


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
