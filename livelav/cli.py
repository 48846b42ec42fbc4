"""The command line: flags from the tables, the verbs, errors as one line. A thin shell: all work is done elsewhere.

Heavy packages are imported by the verb that needs them, so that `livelav params` answers at once.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from livelav import __version__
from livelav.core.errors import DisplayError, LivelavError, ParamError, one_line
from livelav.core.params import CHOICES, PARAMS, argument

F = TypeVar("F", bound=Callable[..., Any])


def _size(_ctx: click.Context, _param: click.Parameter, value: str) -> tuple[int, int]:
    width, _, height = value.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and 16 <= int(width) <= 7680 and 16 <= int(height) <= 4320):
        raise ParamError(f"--size is {value!r}: it must be WIDTHxHEIGHT, from 16x16 to 7680x4320, like 1280x720")
    return int(width), int(height)


def _table_flags(command: F) -> F:
    """One flag for every row of the parameter and choice tables."""
    for choice in reversed(CHOICES):
        listed = f" [{'|'.join(choice.options)}]" if choice.options else ""
        names = [name for name in (choice.alias, choice.flag) if name]
        command = click.option(*names, argument(choice.name), metavar="WORD", help=choice.help + listed)(command)
    for p in reversed(PARAMS):
        text = f"{p.help} [{p.lo:g}..{p.hi:g}{f' {p.unit}' if p.unit else ''}; {p.default:g}]"
        names = [name for name in (p.alias, p.flag) if name]
        command = click.option(*names, argument(p.name), metavar="VALUE", help=text)(command)
    return command


@click.group(
    invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="livelav")
@click.option(
    "--input",
    "source",
    default="loopback",
    metavar="SOURCE",
    help="loopback, mic, demo, a sound file, or a device by name or number",
)
@click.option("--loop", is_flag=True, help="begin a sound file again at its end")
@click.option("--preset", metavar="NAME", help="preset by name, or a .toml file")
@click.option("--resume", is_flag=True, help="begin where the last show stood")
@click.option("--set-list", metavar="NAME", help="order of presets for the evening, by name, or a .toml file")
@click.option("--seed", metavar="N", help="whole number that picks the projection from sound to W")
@click.option("--size", default="1280x720", metavar="WxH", callback=_size, help="window, in pixels")
@click.option("--fullscreen", is_flag=True, help="cover a monitor")
@click.option("--monitor", metavar="N", help="where to open and to cover, by number or name (see devices)")
@click.option("--headless", is_flag=True, help="draw without a display")
@click.option("--link", is_flag=True, help="join the network's Ableton Link session (pip install aalink)")
@click.option("--operator", is_flag=True, help="a second window, for the operator alone")
@click.option("--fps", default="60", metavar="N", help="pictures per second, 1 to 240")
@click.option("--seconds", metavar="S", help="end after so long")
@click.option(
    "--stats", type=click.Path(path_type=Path, dir_okay=False), help="figures as JSON, every second and at the end"
)
@click.option(
    "--record", type=click.Path(path_type=Path, dir_okay=False), help="record picture and sound (.mp4 or .mkv)"
)
@click.option(
    "--take",
    metavar="FOLDER.take",
    type=click.Path(path_type=Path),
    help="keep sound and all that is done, for `livelav render FOLDER.take`",
)
@click.option(
    "--trace",
    type=click.Path(path_type=Path, dir_okay=False),
    hidden=True,
    help="what was heard and the ws it made (.npz)",
)
@_table_flags
@click.pass_context
def cli(ctx: click.Context, /, **flags: Any) -> None:
    """Listens to whatever the machine plays and turns it into pictures, live."""
    if ctx.invoked_subcommand is not None:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # an exception: a verb may have something to tidy up
        return
    from livelav.play import play

    play(**flags)


@cli.command()
@click.option("--json", "as_json", is_flag=True)
def devices(as_json: bool) -> None:
    """Sound sources (loopbacks first), controllers, and monitors."""
    from livelav.audio.devices import survey_devices
    from livelav.control.midi import list_ports
    from livelav.core.errors import MidiError
    from livelav.show.window import monitors

    survey = survey_devices()
    try:
        screens = monitors()
    except DisplayError:
        screens = []
    controllers, trouble = [], ""
    try:
        controllers = list_ports()
    except MidiError as error:
        trouble = str(error)
    if as_json:
        facts = {**asdict(survey), "midi": controllers, "monitors": [asdict(m) for m in screens]}
        click.echo(json.dumps(facts, indent=2))
        return
    for device in survey.devices:
        mark = "*" if device.would_take else " "
        rate = f"{device.rate_hz:g} Hz, {device.channels} ch"
        click.echo(f"{mark} {device.number:>3}  {device.kind:8}  {device.name}  ({device.api}, {rate})")
    if any(device.would_take for device in survey.devices):
        click.echo("* is what `--input loopback` takes")
    for controller in controllers:
        click.echo(f"       controller  {controller}  (MIDI)")
    for line in [*survey.troubles, *([trouble] if trouble else [])]:
        click.echo(f"! {line}")
    for number, screen in enumerate(screens):
        click.echo(f"  {number:>3}  monitor   {screen.name}  ({screen.width}x{screen.height}, {screen.rate_hz} Hz)")


@cli.command()
@click.option("--json", "as_json", is_flag=True)
def doctor(as_json: bool) -> None:
    """What this machine has and lacks, and the line that mends it."""
    from livelav.doctor import examine

    findings = examine()
    if as_json:
        click.echo(json.dumps([asdict(f) for f in findings], indent=2))
        return
    for finding in findings:
        click.echo(f"{finding.state:8} {finding.what:22} {finding.found}")
        if finding.remedy:
            click.echo(f"{'':8} {'':22} -> {finding.remedy}")


@cli.command()
@click.option("--markdown", is_flag=True, help="the README's table")
@click.option("--json", "as_json", is_flag=True)
@click.option("--osc", is_flag=True, help="the page of OSC addresses")
def params(markdown: bool, as_json: bool, osc: bool) -> None:
    """Every parameter and choice, with its range."""
    from livelav.control.osc import reference
    from livelav.tables import params_markdown

    if osc:
        click.echo(reference(), nl=False)
    elif as_json:
        click.echo(
            json.dumps({"params": [asdict(p) for p in PARAMS], "choices": [asdict(c) for c in CHOICES]}, indent=2)
        )
    elif markdown:
        click.echo(params_markdown(), nl=False)
    else:
        for p in PARAMS:
            click.echo(f"{p.flag:22} {p.lo:g}..{p.hi:g} {p.unit:6} ({p.default:g})  {p.help}")
        for c in CHOICES:
            click.echo(f"{c.flag:22} {'|'.join(c.options) or 'text'} ({c.default})  {c.help}")


@cli.group()
def presets() -> None:
    """Settings by name."""


@presets.command("list")
def presets_list() -> None:
    """What there is."""
    from livelav.core.presets import list_presets

    for listed in list_presets():
        click.echo(f"{listed.name:20} {'shipped' if listed.shipped else listed.path}")


@presets.command("show")
@click.argument("name")
def presets_show(name: str) -> None:
    """What a preset sets."""
    from livelav.core.presets import load_preset

    preset = load_preset(name)
    for key, value in {**preset.choices, **preset.changes}.items():
        click.echo(f"{key} = {value}")
    click.echo(f"seed = {preset.seed}")


@presets.command("check")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
def presets_check(files: tuple[Path, ...]) -> None:
    """Whether preset files can be played."""
    from livelav.control.banks import bind_problems
    from livelav.core.presets import check_preset, load_preset

    problems = []
    for file in files:
        problems += check_preset(file) or bind_problems(load_preset(file))
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise SystemExit(1)
    click.echo(f"{len(files)} fine")


@presets.command("rename")
@click.argument("old")
@click.argument("new")
def presets_rename(old: str, new: str) -> None:
    """Another name for one of your own."""
    from livelav.core.presets import rename_preset
    from livelav.core.setlists import lists_naming
    from livelav.core.store import only_instance

    with only_instance():  # a show that runs would look for the old name
        click.echo(f"{old} is now {rename_preset(old, new)}")
    for path in lists_naming(old):
        click.echo(f"set list {path} still names {old}: write {new} there", err=True)


@presets.command("bind")
@click.argument("name")
def presets_bind(name: str) -> None:
    """Let a preset carry all that controllers have learnt."""
    from livelav.control.banks import give_learnt
    from livelav.core.store import only_instance

    with only_instance():  # a show that runs would save over it
        path, count = give_learnt(name)
    click.echo(f"{path} carries {count} bindings, which hold while it is played")


@cli.group()
def models() -> None:
    """Generators and encoders."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True)
def models_list(as_json: bool) -> None:
    """What is installed, and what can be fetched."""
    from livelav.catalogue import catalogue

    entries = catalogue()
    if as_json:
        click.echo(json.dumps([asdict(e) for e in entries], indent=2))
        return
    for entry in entries:
        click.echo(f"{entry.name:20} {entry.kind:10} {entry.state:10} {entry.note}")


@models.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", help="what to call it [the file's own name]")
@click.option("--licence", metavar="TEXT", help="what its authors allow, for its card [unknown]")
@click.option("--json", "as_json", is_flag=True)
def models_import(file: Path, name: str | None, licence: str | None, as_json: bool) -> None:
    """Make a model of yours out of a StyleGAN2 checkpoint, .pkl or .pt. Nothing in the file is run."""
    from livelav.catalogue import card
    from livelav.importing import bring

    imported = bring(file, name, licence, quiet=as_json)
    facts = card(imported.name)
    if as_json:
        click.echo(json.dumps({"new": imported.is_new, **facts}, indent=2))
        return
    said = "is now" if imported.is_new else "was imported before, as"
    labels = f", {facts['labels']} labels (--label)" if facts["labels"] else ""
    click.echo(f"{file} {said} {imported.name}: {facts['resolution']} px{labels}, licence {facts['licence']}")
    click.echo(f"pictures of it: {imported.path.with_suffix('.png')}")
    click.echo(f"play it: livelav --model {imported.name}")


@models.command("info")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True)
def models_info(name: str, as_json: bool) -> None:
    """A model's card: what it is, what made it, its licence."""
    from livelav.catalogue import card, told

    facts = card(name)
    click.echo(json.dumps(facts, indent=2) if as_json else "\n".join(told(facts)))


@models.command("fetch")
@click.argument("name")
@click.option("--yes", is_flag=True, help="accept the licence shown, without being asked")
def models_fetch(name: str, yes: bool) -> None:
    """Download official encoder weights, after their licence was shown and accepted."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    from livelav.encode.fetch import fetch

    def confirm(licence: str) -> bool:
        click.echo(licence)
        return yes or click.confirm("Download it?", default=False)

    bar = Progress(BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    task = bar.add_task(name, total=None)

    def progress(have: int, total: int) -> None:
        bar.start()  # not before the question
        bar.update(task, completed=have, total=total)

    try:
        path = fetch(name, confirm, progress)
    finally:
        bar.stop()
    click.echo(f"{name} is at {path}")


@models.command("remove")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True)
def models_remove(name: str, as_json: bool) -> None:
    """Delete a fetched or imported model, with its card and pictures."""
    from livelav.catalogue import remove

    removed = remove(name)
    click.echo(json.dumps({"removed": removed}) if as_json else f"removed {removed}")


@cli.group()
def midi() -> None:
    """Controllers: what they send, and what it does."""


@midi.command("monitor")
@click.option("--midi", "ports", default="all", show_default=True, help="all, or parts of names, with commas between")
@click.option("--seconds", metavar="S", help="end after so long")
def midi_monitor(ports: str, seconds: str | None) -> None:
    """What arrives, and what it would move. Ctrl-C ends it."""
    from livelav.control.midi import MidiConfig, midi_config
    from livelav.controllers import monitor
    from livelav.core.clock import MonotonicClock
    from livelav.core.quiet import mute_drivers
    from livelav.flags import number

    mute_drivers()
    clock = MonotonicClock()
    until_s = clock.now_s() + number("--seconds", seconds, 0, 1e7) if seconds else float("inf")
    monitor(midi_config(ports) or MidiConfig(), clock, click.echo, until_s)


@midi.command("learn")
@click.argument("target")
@click.option("--midi", "ports", default="all", show_default=True, help="all, or parts of names, with commas between")
@click.option("--seconds", default="30", show_default=True, help="how long to wait for the first move")
@click.option("--range", "travel", metavar="LO:HI", help="part of the parameter's travel, 0 to 1; 1:0 turns it round")
@click.option("--curve", metavar="WORD", help="even, slow (fine work at the low end) or fast")
@click.option("--takeover", metavar="WORD", help="jump, pickup or relative [as the show has it]")
@click.option("--mode", metavar="WORD", help="what the control is, where it is taken for another: momentary, set, ...")
def midi_learn(
    target: str,
    ports: str,
    seconds: str,
    travel: str | None,
    curve: str | None,
    takeover: str | None,
    mode: str | None,
) -> None:
    """Move a control, and it moves the parameter (or sets off the action) TARGET from now on.

    What is left open is as it was where TARGET was learnt before.
    """
    from livelav.control.midi import MidiConfig, midi_config
    from livelav.controllers import learn_control, wished
    from livelav.core.clock import MonotonicClock
    from livelav.core.quiet import mute_drivers
    from livelav.flags import number

    mute_drivers()
    wait_s = number("--seconds", seconds, 1, 3600)
    wishes = wished(travel, curve=curve, takeover=takeover, mode=mode)
    config = midi_config(ports) or MidiConfig()
    binding = learn_control(target, config, MonotonicClock(), click.echo, wait_s, wishes)
    click.echo(f"{binding.port}: {binding.control} ({binding.mode}) moves {target}")


@midi.command("unlearn")
@click.argument("target")
def midi_unlearn(target: str) -> None:
    """Forget what was learnt for TARGET."""
    from livelav.control.banks import unlearn
    from livelav.core.errors import MidiError

    gone = unlearn(target)
    if not gone:
        raise MidiError(f"nothing was learnt for {target!r}; `livelav midi learn {target}` learns it")
    for binding in gone:
        click.echo(f"forgot {binding.control} of {binding.port or 'every port'}")


@cli.command()
@click.argument("sound", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False), help=".mp4 or .mkv")
@click.option("--preset", metavar="NAME", help="preset by name, or a .toml file")
@click.option("--seed", metavar="N", help="whole number that picks the projection from sound to W")
@click.option("--fps", default="60", show_default=True, metavar="N", help="pictures per second, 1 to 240")
@click.option("--size", default="1280x720", show_default=True, metavar="WxH", callback=_size, help="in pixels")
@click.option("--start", metavar="S", help="second of the sound to begin at")
@click.option("--end", metavar="S", help="second of the sound to end at")
@click.option("--supersample", default="1", show_default=True, metavar="N", help="draw N times as fine, 1 to 8")
@click.option("--lossless", is_flag=True, help="keep every bit of every picture (large)")
@click.option("--force", is_flag=True, help="write over a video that exists")
@click.option("--resume", is_flag=True, help="go on with a video that was cut off")
@_table_flags
def render(**flags: Any) -> None:
    """Turn the sound file SOUND, or a take of a show (see --take), into a video, by the live show's own stages."""
    from livelav.render.rendering import render

    render(**flags)


@cli.command()
@click.argument("video", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True)
@click.option(
    "--picture", type=click.Path(path_type=Path, dir_okay=False), metavar="PNG", help="draw every pair into it"
)
@click.option("--force", is_flag=True, help="write over a picture that exists")
def score(video: Path, as_json: bool, picture: Path | None, force: bool) -> None:
    """How far the pictures of VIDEO follow its sound, beside motion that cannot follow it."""
    from livelav.scoring import score, show

    found = score(video, picture, force)
    if as_json:
        click.echo(json.dumps(found, indent=2, allow_nan=False))
    else:
        show(found)


@cli.command()
@click.option("--json", "as_json", is_flag=True)
@click.option(
    "--latency", is_flag=True, help="clicks played into the default sink, until a pixel on the screen changes"
)
@click.option("--live", is_flag=True, help="the whole program")
@click.option(
    "--hands", is_flag=True, help="a controller's knob, and presets on the beat, until a pixel on the screen changes"
)
@click.option("--input", "source", default="demo", show_default=True, help="what --live listens to")
@click.option("--seconds", default="20", show_default=True, help="how long each run takes, 5 to 3600")
@click.option(
    "--engines", is_flag=True, help="a table: models by engines and precisions, beside the plain torch module"
)
@click.option("--threads", default="0", help="with --engines: of the processor; 0: as many as it has cores")
@click.option("--large", is_flag=True, help="with --engines: the large model of 1024 px, too, which takes minutes")
def bench(
    as_json: bool,
    latency: bool,
    live: bool,
    hands: bool,
    source: str,
    seconds: str,
    engines: bool,
    threads: str,
    large: bool,
) -> None:
    """How fast this machine is: the parts, or the whole."""
    from livelav.bench.parts import machine, measure, rows
    from livelav.flags import number

    if engines or large:
        from livelav.bench.engines import engines as measured
        from livelav.bench.engines import markdown

        table = measured(large, number("--seconds", seconds, 5, 3600), int(number("--threads", threads, 0, 256)))
        if as_json:
            click.echo(json.dumps({"version": __version__, "machine": machine(), "engines": table}, indent=2))
            return
        for line in markdown(table):
            click.echo(line)
        return

    figures = measure(latency, live, hands, number("--seconds", seconds, 5, 3600), source)
    if as_json:
        click.echo(json.dumps(figures, indent=2))
        return
    for row in rows(figures):
        click.echo(row)


def main() -> None:
    """The entry point: a LivelavError is one line and exit code 1, never a traceback."""
    # Before anybody imports numpy, and for every process that comes after: more threads for its small matrices only
    # take the cores from the picture and the generator.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    # Processes that we start look for modules where we do, and not in the folder that we were started in first: a
    # stranger's file may have brought a numpy.py along.
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        code = cli.main(standalone_mode=False)
    except LivelavError as error:
        click.echo(f"livelav: {error}", err=True)
        code = error.exit_code
    except click.exceptions.Abort:
        code = 130
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except OSError as error:  # the reader of our output went, or its disk is full
        if not isinstance(error, BrokenPipeError):
            click.echo(f"livelav: {one_line(str(error))}; free some space, or write elsewhere", err=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


if __name__ == "__main__":
    main()
