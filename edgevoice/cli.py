"""The command line: one verb a function. Other packages add verbs by the entry points `edgevoice.verbs`."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Annotated, Any, NoReturn, Optional

import typer

from edgevoice.deploy import verbs as deploying
from edgevoice.errors import EdgevoiceError
from edgevoice.kit import verbs as kits
from edgevoice.options import PAUSE_SECONDS
from edgevoice.pack import cli as packing
from edgevoice.serve import verbs as serving
from edgevoice.signing import cli as signing
from edgevoice.update import cli as updating
from targets.errors import TargetError

# click's ClickException: newer typer brings a click of its own, older ones use the package.
CommandLineError: Any = typer.BadParameter.__mro__[2]

app = typer.Typer(
    help="Make a voice small, and let it speak, offline and at once, on a small device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

VoiceOption = Annotated[
    Optional[str],  # noqa: UP045 - typer reads annotations at run time, on Python 3.10 too
    typer.Option("--voice", "-v", help="A bundle or a deployed folder; else edgevoice's own voice, kokoro."),
]
ThreadsOption = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(
        "--threads", help="Threads for all stages together; default: the CPUs this process may use."
    ),
]
RequireOption = Annotated[
    str, typer.Option("--require", help="tensorrt: speak with TensorRT or not at all.", metavar="ENGINE")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
SocketOption = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--socket", help="Of the service to use; the one of a deployed folder needs no naming."),
]


@app.command()
def say(
    text: Annotated[str, typer.Argument(help="What to say; - reads lines from standard input.")],
    output: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--output",
            "-o",
            help="A .wav, .flac or .ogg file; - is raw sound to standard output: 16-bit little-endian "
            "samples, one channel, at the voice's rate (sample_rate in its manifest.json).",
        ),
    ] = None,
    voice: VoiceOption = None,
    threads: ThreadsOption = None,
    device: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--device", help="ALSA device of the loudspeaker (aplay -L lists them)."),
    ] = None,
    speed: Annotated[float, typer.Option("--speed", help="0.1 to 10: 2 takes about half of the time.")] = 1.0,
    pause: Annotated[
        float, typer.Option("--pause", help="Seconds between sentences, 0 to 60.")
    ] = PAUSE_SECONDS,
    speaker: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--speaker", help="Name or number; NAME=WEIGHT,NAME=WEIGHT mixes."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same sound.", min=0)] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No notes, errors only.")] = False,
    socket: SocketOption = None,
    require: RequireOption = "",
) -> None:
    """Speak text: to the loudspeaker, a file, or standard output.

    A service that runs for the deployed folder is used, unless --threads or --require asks for the voice to
    be loaded.
    """
    from edgevoice import source
    from edgevoice.options import required
    from edgevoice.say import say as speak
    from edgevoice.speakers import parse

    engine = required(require)
    source.check(voice, threads, socket, engine)
    options = {"speed": speed, "pause": pause, "speaker": parse(speaker), "seed": seed}
    note = (lambda _: None) if quiet else _note
    speak(text, output, device, source.Source(voice, threads, socket, note, engine), options)


@app.command()
def speakers(
    voice: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(help="A bundle or a deployed folder; else edgevoice's own voice, kokoro."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List a voice's speakers, the default first."""
    from edgevoice.runtime import find

    table = find.read(voice, verify=False).manifest.voice.speakers
    names = [] if table is None else [table.names[table.default], *table.names]
    unique = list(dict.fromkeys(names))
    _print(unique if as_json else "\n".join(unique) or "one speaker, without a name")


@app.command()
def bench(
    bundle: Annotated[str, typer.Argument(help="A bundle or a deployed folder; kokoro: edgevoice's own.")],
    threads: Annotated[int, typer.Option("--threads", min=1)] = 1,
    runs: Annotated[int, typer.Option("--runs", min=10, help="Runs of each kind, cold and warm.")] = 10,
    quick: Annotated[
        bool, typer.Option("--quick", help="A first look: 3 runs of each kind, too few to quote.")
    ] = False,
    require: RequireOption = "",
    as_json: JsonOption = False,
) -> None:
    """Measure load time, first sound, real-time factor, peak memory and the stages' shares."""
    from edgevoice import bench as benches
    from edgevoice.options import required
    from edgevoice.runtime.find import find

    count = benches.QUICK_RUNS if quick else runs
    report = benches.run(find(bundle), threads, count, count, required(require))
    _print(report.to_dict() if as_json else benches.table(report))


@app.command()
def doctor(as_json: JsonOption = False) -> None:
    """Say what this machine is, which engines it can run, and what is missing."""
    from edgevoice import doctor as doctors

    checks = doctors.examine()
    _print(doctors.to_dict(checks) if as_json else doctors.report(checks))
    if any(check.state == "missing" for check in checks):
        raise typer.Exit(1)


@app.command()
def targets(as_json: JsonOption = False) -> None:
    """List the devices that edgevoice knows, those it refuses too."""
    from targets import listing

    rows = listing.table()
    _print([row.to_dict() for row in rows] if as_json else listing.text(rows))


@app.command()
def plan(
    bundle: Annotated[str, typer.Argument(help="A bundle or a deployed folder; kokoro: edgevoice's own.")],
    target: Annotated[
        str, typer.Option("--target", help="A device of `edgevoice targets`, or a TOML file.")
    ] = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Say what a bundle will occupy on a device; exit 1 if it does not fit."""
    from edgevoice import budget
    from edgevoice.runtime.find import read
    from targets import load

    manifest, device = read(bundle).manifest, load(target)
    made = budget.of(manifest, device)
    _print(made.to_dict() if as_json else f"{made.table()}\n\n{made.chart()}")
    if told := budget.on_cpu(manifest, device):
        _note(told)
    refusal = made.refusal()
    if refusal:
        _note(refusal)
        raise typer.Exit(1)


deploying.register(app)
kits.register(app)
serving.register(app)
packing.register(app)
signing.register(app)
updating.register(app)


@app.callback(invoke_without_command=True)
def _main(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if show_version:
        _print(version("edgevoice"))
        raise typer.Exit


def _print(value: Any) -> None:
    print(value if isinstance(value, str) else json.dumps(value, indent=1, default=str))


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def main() -> None:
    """The console script: a user's mistake is one line on stderr and exit status 2."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores one of them
            signal.signal(
                number, lambda got, _: sys.exit(128 + got)
            )  # not at once: half a file is removed first
    try:
        for verb in sorted(entry_points(group="edgevoice.verbs"), key=lambda found: found.name):
            verb.load()(app)
        status = app(standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except (EdgevoiceError, TargetError) as error:
        _fail(str(error), getattr(error, "details", {}))
    except CommandLineError as error:
        _explain(error)
    except BrokenPipeError:
        # Whoever read our output has stopped: not a fault, but Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, details: Mapping[str, Any] | None = None) -> NoReturn:
    line = " ".join(message.split())
    print(f"error: {line}", file=sys.stderr)
    if "--json" in sys.argv:  # whoever reads it gets one document, whatever happens
        _print({"error": line, **(details or {})})
    sys.exit(2)


def _explain(error: Any) -> NoReturn:
    """A wrong command line; the bare `edgevoice` is no mistake and shows its help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        _print(error.format_message())
        sys.exit(0)
    where = f"; see `{error.ctx.command_path} --help`" if getattr(error, "ctx", None) else ""
    _fail(f"{error.format_message().rstrip('.')}{where}")
