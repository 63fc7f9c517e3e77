"""Asks real pgBackRests what they make of a file: each everyday command reads it, and gets no further.

The commands run without network as a user who owns nothing, so none of them can do anything.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from integration.corpus_verdict import Judge, Verdict

_COMMANDS: dict[str, tuple[str, ...]] = {
    "info": (),
    "backup": (),
    "expire": (),
    "restore": (),
    "check": (),
    "stanza-create": (),
    "stanza-upgrade": (),
    "verify": (),
    "archive-push": ("/nonexistent/pg_wal/000000010000000000000001",),
    "archive-get": ("000000010000000000000001", "/nonexistent/pg_wal/RECOVERYXLOG"),
}
_WITHOUT_STANZA = ("info",)
_CONFIGURATION = frozenset({29, 31, 32, 37, 42})
"""FormatError, OptionInvalid, OptionInvalidValue, OptionRequired, FileRead: the file is at fault."""
_BOTH_REMOTE = "cannot both be configured as remote"
"""ConfigError has other causes, too, such as a database that does not answer."""
_ERROR = re.compile(r"ERROR: \[(\d+)\]: (.*)")
_BEGIN = re.compile(r"command begin [\w.]+: (?:\[[^]]*\] )?(.*)")
_OPTION = re.compile(r"--(no-)?([a-z0-9-]+)(?:=((?:\"[^\"]*\"|[^ \"])*))?")
_SPELLING = re.compile(r"([0-9]+)(?:s|([KMGTP])(?:i?B)?)", re.IGNORECASE)
_SECTION = re.compile(r"^[ \t\r]*\[([^]:]+)(?::[^]]*)?\][ \t\r]*$", re.MULTILINE)
_OF_THE_CALL = frozenset({"config", "exec-id"})
_PGWRAP = (sys.executable, "-m", "pgwrap")
_DEADLINE = "20"


@dataclass(frozen=True, slots=True)
class _Program:
    """One pgBackRest: how it is called."""

    argv: tuple[str, ...]

    def version(self) -> str:
        done = subprocess.run([*self.argv, "version"], check=True, capture_output=True, text=True)
        return done.stdout.split()[-1]

    def ask(self, config: str, stanza: str | None, command: str, scratch: Path) -> tuple[int, str]:
        """The exit code and everything that was said."""
        named = () if stanza is None else (f"--stanza={stanza}",)
        argv = (
            *_confined(),
            "timeout",
            _DEADLINE,
            *self.argv,
            f"--config={config}",
            "--log-level-console=info",
            "--log-level-stderr=off",
            "--log-level-file=off",
            "--io-timeout=1",
            *named,
            command,
            *_COMMANDS[command],
        )
        environment = {"PATH": os.environ["PATH"], "PGBACKREST_LOCK_PATH": str(scratch / "lock")}
        done = subprocess.run(argv, check=False, capture_output=True, env=environment, stdin=subprocess.DEVNULL)
        return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


def _confined() -> tuple[str, ...]:
    """No network and no rights, as far as this user can arrange it."""
    if os.geteuid() != 0:
        return ()
    return ("unshare", "--net", "setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")


def judges(roots: tuple[Path, ...]) -> Iterator[Judge]:
    """This host's pgBackRest, and those of other Debian roots."""
    installed = shutil.which("pgbackrest")
    programs = [_Program((installed,))] if installed else []
    programs += [_Program(_from_root(root)) for root in roots if (root / "usr/bin/pgbackrest").exists()]
    for program in programs:
        version = program.version()
        yield Judge(engine="pgBackRest", version=version, judge=_judge(program, version))


def _from_root(root: Path) -> tuple[str, ...]:
    """A program of another system with that system's own loader and libraries."""
    triplet = "x86_64-linux-gnu"
    libraries = f"{root}/usr/lib/{triplet}:{root}/lib/{triplet}"
    return (f"{root}/usr/lib64/ld-linux-x86-64.so.2", "--library-path", libraries, f"{root}/usr/bin/pgbackrest")


def _judge(program: _Program, version: str) -> Callable[[Path], Verdict]:
    def judge(path: Path) -> Verdict:
        with tempfile.TemporaryDirectory(prefix="corpus-") as made:
            scratch = Path(made)
            scratch.chmod(0o755)
            (scratch / "lock").mkdir(mode=0o777)
            (scratch / "lock").chmod(0o777)
            return _verdict(program, version, path, scratch)

    return judge


def _verdict(program: _Program, version: str, path: Path, scratch: Path) -> Verdict:
    original = _readable(path, scratch / "original.conf")
    said = dict(_answers(program, original, _stanzas(path), scratch))
    reasons = tuple(dict.fromkeys(reason for _, text in said.items() if (reason := _reason(*text))))
    spec = scratch / "spec.yaml"
    argv = [*_PGWRAP, "import", "--engine-version", f"pgbackrest={version}", "--write", str(spec), str(path)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if ": warning: " not in line]
    contradiction = ""
    if not reasons and done.returncode == 0:
        contradiction = _contradiction(program, version, path, spec, said, scratch)
    return Verdict(
        file=path.name,
        reasons=reasons,
        exit_code=done.returncode,
        said=lines[-1] if lines else "",
        placed=any(line.startswith(f"{path}:") for line in lines),
        contradiction=contradiction,
    )


def _readable(path: Path, target: Path) -> str:
    target.write_bytes(path.read_bytes())
    target.chmod(0o644)
    return str(target)


def _stanzas(path: Path) -> tuple[str, ...]:
    found = _SECTION.findall(path.read_text(encoding="utf-8", errors="replace"))
    return tuple(dict.fromkeys(name for name in found if name != "global" and name == name.strip()))


def _answers(
    program: _Program, config: str, stanzas: tuple[str, ...], scratch: Path
) -> Iterator[tuple[tuple[str | None, str], tuple[int, str]]]:
    asked: list[tuple[str | None, str]] = [(None, command) for command in _WITHOUT_STANZA]
    asked += [(stanza, command) for stanza in stanzas for command in _COMMANDS]
    for stanza, command in asked:
        yield (stanza, command), program.ask(config, stanza, command, scratch)


def _reason(code: int, text: str) -> str:
    if code < 0 or code >= 128:
        return f"pgBackRest ended by a signal ({code})"
    found = _ERROR.search(text)
    if found is None or (code not in _CONFIGURATION and _BOTH_REMOTE not in found[2]):
        return ""
    return f"[{found[1]}] {found[2]}"


def _contradiction(
    program: _Program,
    version: str,
    path: Path,
    spec: Path,
    said: dict[tuple[str | None, str], tuple[int, str]],
    scratch: Path,
) -> str:
    """What pgBackRest says at the beginning of each command, for the file and for what its spec renders."""
    rendered = scratch / "rendered"
    argv = [*_PGWRAP, "render", "--config", str(spec), "--to", str(rendered)]
    argv += ["--engine-version", f"pgbackrest={version}"]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    target = Path(f"{rendered}{path.absolute()}")
    if done.returncode != 0 or not target.exists():
        return f"pgwrap render: {done.stderr.strip() or 'nothing was rendered'}"
    config = _readable(target, scratch / "again.conf")
    for asked, (_, before) in said.items():
        _, after = program.ask(config, *asked, scratch)
        earlier, later = _options(before), _options(after)
        for name in sorted(earlier.keys() | later.keys()):
            # An option that only one side writes may be the default: pgwrap's own proof judges that.
            if name in earlier and name in later and earlier[name] != later[name] and name not in _OF_THE_CALL:
                return f"{asked[1]} of {asked[0]}: --{name}={earlier[name]} became {later[name]}"
    return ""


def _options(text: str) -> dict[str, str]:
    begin = _BEGIN.search(text)
    if begin is None:
        return {}
    found: dict[str, str] = {}
    for negated, name, value in _OPTION.findall(begin[1]):
        said = "n" if negated else _plain(value.strip('"')) or "y"
        found[name] = f"{found[name]} {said}" if name in found else said
    return found


def _plain(value: str) -> str:
    """A time in seconds or a size in bytes without its unit: pgBackRest prints them as they were written."""
    amount = _SPELLING.fullmatch(value)
    if amount is None:
        return value
    return str(int(amount[1]) << (10 * "KMGTP".index(amount[2].upper()) + 10 if amount[2] else 0))
