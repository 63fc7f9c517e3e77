"""`pgwrap import`: a spec from the engines' own files, and the proof that it says the same."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated

import typer

from pgwrap.cli.options import EngineVersions, LogFile, Offline, Output, Quiet, Verbose
from pgwrap.cli.session import Session, session
from pgwrap.errors import EXIT_NO, Refused, UsageError

if TYPE_CHECKING:
    from pgwrap.domain.model import EngineKind
    from pgwrap.domain.native import NativeFile
    from pgwrap.errors import Problem
    from pgwrap.ops.importing import Imported, Source, Spec
    from pgwrap.ops.world import World


def import_files(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="FILE", help="pgbackrest.conf and conf.d/*.conf, barman.conf and barman.d/*.conf."),
    ] = None,
    from_host: Annotated[
        bool, typer.Option("--from-host", help="Read the files in the engines' own places on this host instead.")
    ] = False,
    write: Annotated[
        str | None, typer.Option("--write", metavar="FILE", help="Write the spec there instead of to standard output.")
    ] = None,
    extract_secrets: Annotated[
        str | None,
        typer.Option(
            "--extract-secrets",
            metavar="DIR",
            help="Put each secret into a file of its own in DIR, mode 0600, and only its path into the spec.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that exist, and write a spec that does not say the same.")
    ] = False,
    output: Annotated[Output, typer.Option("--output", "-o", help="text or json.")] = Output.TEXT,
    engine_version: EngineVersions = None,
    offline: Offline = False,
    verbose: Verbose = 0,
    quiet: Quiet = False,
    log_file: LogFile = None,
) -> None:
    """Print a spec that says what the engines' own files say.

    Each file is understood as its engine understands it: old names, repeated sections, interpolation, defaults. What
    has no word of its own stands under `options:`, comments stay above their setting.

    The proof comes with it: the spec is rendered, and what the engine would read then is compared, option by option,
    with what it reads now. Files of one engine are one installation, such as pgbackrest.conf with its conf.d.

    Exit 0: all is equal. 1: something differs, and standard error says where. 3: the engine itself would refuse a
    file, with file and line. Nothing is written then, and the files that were read are never changed.
    """
    with session("import", output=output, verbose=verbose, quiet=quiet, log_file=log_file) as run:
        from pgwrap.ops.importing import adopt

        world = run.world()
        grouped = _files(files, world, from_host=from_host)
        sources = _sources(run, grouped, world, engine_version, offline=offline)
        imported = adopt(sources, _spec(write or "the spec", extract_secrets, sources), world)
        notices = (*imported.notices, *_advice(imported, sources, world))
        _tell(run, imported, notices)
        written = _write(run, imported, world, write, force=force)
        if output is Output.JSON:
            run.answer(_json(run, imported, notices, written))
        elif write is None:
            run.answer(imported.spec.text)
        if not imported.equivalent:
            raise typer.Exit(EXIT_NO)


def _files(files: list[str] | None, world: World, *, from_host: bool) -> dict[EngineKind, tuple[NativeFile, ...]]:
    from pgwrap.ops.importing import by_engine, read_host, read_named

    if bool(files) == from_host:
        raise UsageError("name the files to import, or say --from-host", hint="pgwrap import /etc/pgbackrest.conf")
    if not from_host:
        return by_engine(read_named((os.path.abspath(file) for file in files or ()), world), world)  # noqa: PTH100 - strings
    found = read_host(world)
    if not found:
        raise UsageError("neither pgBackRest nor Barman has a main file in its own place here", hint="name the files")
    return found


def _sources(
    run: Session,
    grouped: dict[EngineKind, tuple[NativeFile, ...]],
    world: World,
    named: list[str] | None,
    *,
    offline: bool,
) -> tuple[Source, ...]:
    """Each engine's files with the version that reads them."""
    from pgwrap.domain.model import EngineInstance
    from pgwrap.ops.importing import Source
    from pgwrap.ops.versions import choose_for, parse_named

    versions = parse_named(tuple(named or ()), frozenset(grouped))
    sources = []
    for kind, files in grouped.items():
        instance = EngineInstance(name=kind.value, kind=kind, command=kind.value, config=files[0].path)
        choice = choose_for(instance, versions, world, ask=not offline)
        if choice.note:
            run.say(f"note: {choice.note}")
        sources.append(Source(kind=kind, files=files, version=choice.version))
    return tuple(sources)


def _spec(name: str, secrets_in: str | None, sources: tuple[Source, ...]) -> Spec:
    from pgwrap.ops.importing import Spec
    from pgwrap.spec.loader import load_text
    from pgwrap.spec.writing import write

    directory = None if secrets_in is None else os.path.abspath(secrets_in)  # noqa: PTH100 - a string in, a string out
    paths = ", ".join(file.path for source in sources for file in source.files)

    return Spec(
        write=lambda adoptions: write(adoptions, directory, head=(f"Imported from {paths}.",)),
        understand=lambda text: load_text(text, name),
    )


def _advice(imported: Imported, sources: tuple[Source, ...], world: World) -> tuple[Problem, ...]:
    """What `pgwrap validate` would say of the spec."""
    from pgwrap.ops.importing import as_notices
    from pgwrap.ops.validate import validate
    from pgwrap.ops.versions import VersionChoice

    versions = {source.kind: VersionChoice(version=source.version) for source in sources}
    choices = {instance: versions[instance.kind] for instance in imported.fleet.engines if instance.kind in versions}
    return as_notices(validate(imported.fleet, choices, world))


def _tell(run: Session, imported: Imported, notices: tuple[Problem, ...]) -> None:
    from pgwrap.present.harmless import harmless
    from pgwrap.present.imported import proof_lines

    for notice in notices:
        run.say(harmless(str(notice)))
    for proof in imported.proofs:
        moves = [(move.difference, move.reason) for move in proof.moves]
        source = proof.source
        lines = proof_lines(source.kind.value, str(source.version), proof.options, proof.differences, moves)
        for line in lines:
            run.say(line)


def _write(run: Session, imported: Imported, world: World, write: str | None, *, force: bool) -> list[str]:
    """The spec and the secrets' files, all or none; what was written."""
    from pgwrap.domain.plan import WriteFile

    files = [
        WriteFile(path=path, text=secret, mode=0o600, secrets=(secret.removesuffix("\n"),))
        for path, secret in imported.spec.secrets.items()
    ]
    if write is not None:
        files.append(WriteFile(path=write, text=imported.spec.text, mode=0o640))
    if not files:
        return []
    if not imported.equivalent and not force:
        run.say("nothing was written, for something differs; --force writes it all the same")
        return []
    for file in files:
        before = world.files.read(file.path)
        if before is not None and before != file.text and not force:
            raise Refused(f"{file.path} exists", hint="name another place, or --force to replace it (the old is kept)")
    for file in files:
        world.files.write(file)
        run.say(f"wrote {file.path}")
    if write is not None:
        run.say(f"next: pgwrap render --config {write}")
    return [file.path for file in files]


def _json(run: Session, imported: Imported, notices: tuple[Problem, ...], written: list[str]) -> str:
    from pgwrap.present.envelope import envelope
    from pgwrap.present.imported import difference_data, notices_data

    result = {
        "equivalent": imported.equivalent,
        "engines": [
            {
                "engine": proof.source.kind.value,
                "version": str(proof.source.version),
                "files": [file.path for file in proof.source.files],
                "options": proof.options,
                "differences": [difference_data(difference) for difference in proof.differences],
                "moved": [
                    {"reason": move.reason, "difference": difference_data(move.difference)} for move in proof.moves
                ],
            }
            for proof in imported.proofs
        ],
        "notices": notices_data(notices),
        "written": written,
        "spec": imported.spec.text,
    }
    frame = envelope("pgwrap/import/1", result, (), run.now, "success" if imported.equivalent else "partial")
    return json.dumps(frame, indent=2, ensure_ascii=False)
