"""A take: a folder that holds a live show's sound, and all that was done to the show in the meantime.

    show.take/sound.flac      what was heard, gaps as silence
    show.take/take.jsonl      a line for the show as it began, then one for each thing that was done, in order:
        {"livelav_take": 2, "model": "default", "dark": "", "seed": 0, "settings": {...}, ...}
        {"at": 96000, "do": "set", "name": "mapping.norm", "value": 1.5}
        {"at": 144000, "do": "play", "name": "calm", "preset": {...}}
        {"at": 158400, "do": "fade", "model": "lava", "noise": "const", "sha256": "...", "seconds": 2.0}
    show.take/heard.jsonl     a line for each change of what the synth heard by, fades and drives included:
        {"at": 0, "begins": true, "rate_hz": 24000, "seed": 0, "choices": {...}, "params": {...}, "seconds": 0.0}
        {"at": 96640, "rate_hz": 0, "params": {"mapping.norm": 1.5}}
        {"at": 99840, "deaf": true}

`at` counts samples of the sound, so nothing drifts against it. What was done is for the picture's stages; what was
heard is for those before the generator, which so come to the same ws to the last frame. Where it `begins`, they
remember nothing; a `rate_hz` says that the synth heard silence of its own there, at that rate and not the file's; and
where it is `deaf` it was too slow, or being started again, and the picture stood still. A `fade` says when the picture
went over to another generator, or back, for that was when it was loaded and no sooner; 0 seconds: it is there.
A take of schema 1 has no heard.jsonl: what was done moves all of its stages.

What depends on files, lists, chance, clocks and
hands' rhythm is said as what it came to: a preset by its contents, a variation by its values, taps, clocks and hearing
by the tempo that they gave. A take comes from strangers: it is read line by line, bounded, and runs and opens nothing.
A last line that is cut off is what a crash leaves, and is left out. Knows no process and no clock.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from livelav import __version__
from livelav.control.commands import (
    Begin,
    FadeTo,
    Follow,
    Keep,
    Panic,
    Play,
    PlayModel,
    SetChoice,
    SetDrive,
    SetParam,
    Swap,
    Taken,
    Toggle,
    Undo,
    VaryTo,
)
from livelav.core.drive import WAVES, Drive
from livelav.core.drive import checked as checked_drive
from livelav.core.errors import LivelavError, StorageError, TakeError
from livelav.core.params import BY_NAME, CHOICE_BY_NAME, CHOICES, Settings
from livelav.core.presets import SCHEMA as PRESET_SCHEMA
from livelav.core.presets import SEEDS, Preset, preset_of
from livelav.core.running import DARK
from livelav.core.scene import HEARD as HEARD_PARAMS
from livelav.core.scene import MappingKey, Scene, Wanted
from livelav.core.scene_json import known_words, scene_of, scene_tree

SCHEMA = 2
SUFFIX = ".take"
LINES, HEARD, SOUND = "take.jsonl", "heard.jsonl", "sound.flac"
LONGEST_LINE = 64 << 10  # bytes

_LARGEST = 1 << 34  # bytes of lines: a night in which every parameter moves all the time
_LONGEST_NAME = 200
_LONGEST_FADE_S = 1e4
_LATEST = 1 << 53  # samples
_RATES_HZ = range(1_000, 1_000_000)
_MOST_STRANGE = 200
_MOST_GENERATORS = 200
_START_CHOICES = ("encoder", "generate.noise")  # that shape the picture although no running show can change them
_Switch = Literal["blackout", "fade", "freeze", "pattern"]
_PLAIN: Mapping[str, Taken] = {"begin": Begin(), "undo": Undo(), "swap": Swap(), "panic": Panic(), "keep": Keep()}


@dataclass(frozen=True, slots=True)
class Heard:
    """From sample `at` on the synth hears so."""

    at: int
    wanted: Wanted
    begins: bool = False  # with stages that remember nothing
    rate_hz: int = 0  # silence of its own at that rate; 0: what the file has, at its rate
    deaf: bool = False  # or nothing at all


# -- writing


def checked_take_path(path: Path) -> Path:
    """The path itself. Raises StorageError where no take can be begun there."""
    if path.suffix.lower() != SUFFIX:
        raise StorageError(f"cannot take the show to {path}: end it in {SUFFIX}")
    if path.exists():
        raise StorageError(f"cannot take the show to {path}: it exists; choose a new name, or move it away")
    if not path.absolute().parent.is_dir():
        raise StorageError(
            f"cannot take the show to {path}: there is no folder {path.absolute().parent}; make it first"
        )
    return path


def head(scene: Scene, loaded: Mapping[str, Any], dark: str = "") -> str:
    """The first line: the show as it began; `loaded` is what the synth said of model and encoder, and `dark` one of
    DARK."""
    choices = {c.name: scene.choices[c.name] for c in CHOICES if c.scene or c.name in _START_CHOICES}
    facts = {
        "livelav_take": SCHEMA,
        "version": __version__,
        **{fact: loaded[fact] for fact in ("model", "sha256", "encoder")},
        "dark": dark,
        **scene_tree(scene),
        "binds": [],  # nobody holds a controller when it is rendered
        "choices": choices,
        "drives": {name: _drive_text(drive) for name, drive in scene.drives.items()},
    }
    return json.dumps(facts)


def line(command: Taken) -> str:
    """What was done, as a line without its time. The command is one that `Desk` says something came to."""
    return json.dumps(_facts(command))


def heard_line(heard: Heard, before: Heard | None) -> str:
    """All of it, or what is other than `before`."""
    wanted, old = heard.wanted, before.wanted if before else None
    facts: dict[str, Any] = {"at": heard.at}
    if heard.begins:
        facts["begins"] = True
    if heard.rate_hz != (before.rate_hz if before else 0):
        facts["rate_hz"] = heard.rate_hz
    if heard.deaf != (before.deaf if before else False):
        facts["deaf"] = heard.deaf
    if not old or wanted.key != old.key:
        words = asdict(wanted.key)
        facts |= {"seed": words.pop("seed"), "choices": {f"mapping.{name}": word for name, word in words.items()}}
    if not old or wanted.seconds != old.seconds:
        facts["seconds"] = wanted.seconds
    now = wanted.settings
    if params := {name: now[name] for name in HEARD_PARAMS if not old or now[name] != old.settings[name]}:
        facts["params"] = params
    return json.dumps(facts)


def _facts(command: Taken) -> dict[str, Any]:
    match command:
        case SetParam(name, value):
            return {"do": "set", "name": name, "value": float(value)}
        case SetDrive(name, drive):
            return {"do": "drive", "name": name, "drive": _drive_text(drive) if drive else None}
        case SetChoice(name, word):
            return {"do": "choose", "name": name, "word": word}
        case Play(preset, name):
            return {"do": "play", "name": Path(name).name, "preset": _preset_tree(preset)}
        case VaryTo(values):
            return {"do": "vary", "values": dict(values)}
        case PlayModel(name):
            return {"do": "model", "name": name}
        case FadeTo(model, noise, sha256, seconds):
            return {"do": "fade", "model": model, "noise": noise, "sha256": sha256, "seconds": float(seconds)}
        case Toggle(switch):
            return {"do": "switch", "name": switch}
        case Follow(bpm, bar_s, hears):
            return {"do": "tempo", "bpm": bpm, "bar_s": bar_s, "hears": hears}
    return {"do": next(word for word, plain in _PLAIN.items() if plain == command)}


def _preset_tree(preset: Preset) -> dict[str, Any]:
    return {
        "choices": {**preset.choices, "seed": preset.seed},
        "params": dict(preset.changes),
        "drive": {name: _drive_text(drive) for name, drive in preset.drives.items()},
    }


def _drive_text(drive: Drive) -> str:
    """As finely as it can be parsed."""
    numbers = [drive.beats, drive.amount] if drive.source in WAVES else [drive.amount]
    return " ".join([drive.source, *(f"{number:.6f}" for number in numbers)])


# -- reading


def is_take(path: Path) -> bool:
    """Whether that is meant to be one."""
    return path.is_dir() or path.suffix.lower() == SUFFIX


class Take:
    """One that was checked from its first line to its last."""

    def __init__(self, path: Path) -> None:
        """Raises TakeError with the first thing that is wrong."""
        self.path, self.sound = path, path / SOUND
        self.lines, self._heard_lines = path / LINES, path / HEARD
        self._check_files(self.lines, self.sound)
        lines = self._read(self.lines)
        strange = set[str]()
        self._begin(next(lines, None), strange)
        self.changes_model = False
        self.fades: dict[FadeTo, None] = {}  # that are done, each once, but for how long they take
        at = 0
        for number, facts in lines:
            before, at = at, self._at(number, facts)
            if at < before:
                raise self._wrong(number, f"at {at} comes after {before}")
            command = self._command(number, facts, strange)
            model = command.name if isinstance(command, PlayModel) else self.model
            if isinstance(command, Play):
                model = facts["preset"]["choices"].get("model", model)
            self.changes_model |= model != self.model
            if isinstance(command, FadeTo):
                self.fades[replace(command, seconds=0.0)] = None
                if len(self.fades) > _MOST_GENERATORS:
                    raise self._wrong(number, f"it is the picture's generator number {_MOST_GENERATORS + 1}")
            if len(strange) > _MOST_STRANGE:
                raise self._wrong(number, f"{sorted(strange)[0]!r} and {_MOST_STRANGE} more are not known here")
        if self.has_heard:
            self._check_files(self._heard_lines)
            for _ in self._heard(strange):
                pass
        self.strange = tuple(sorted(strange))  # what this livelav does not know, and leaves out

    @property
    def texts(self) -> tuple[Path, ...]:
        """The files beside the sound."""
        return (self.lines, self._heard_lines) if self.has_heard else (self.lines,)

    def commands(self, rate_hz: int) -> Iterator[tuple[float, Taken]]:
        """What was done, and when in seconds of the sound, which has that rate; in order, read as it is asked for."""
        lines = self._read(self.lines)
        next(lines, None)
        for number, facts in lines:
            if command := self._command(number, facts, set()):
                yield self._at(number, facts) / rate_hz, command

    def heard(self) -> Iterator[Heard] | None:
        """How the synth heard, in order, read as it is asked for; None where an older livelav did not say."""
        return self._heard(set()) if self.has_heard else None

    def _heard(self, strange: set[str]) -> Iterator[Heard]:
        before = Heard(0, Wanted(Settings(), MappingKey()))
        for number, facts in self._read(self._heard_lines):
            at = self._at(number, facts, self._heard_lines)
            if at < before.at:
                raise self._wrong(number, f"at {at} comes after {before.at}", self._heard_lines)
            try:
                before = _heard(at, facts, before, strange)
            except _FAULTS as error:
                raise self._wrong(number, _said(error), self._heard_lines) from error
            if len(strange) > _MOST_STRANGE:
                raise self._wrong(number, "too many parameters are not known here", self._heard_lines)
            yield before

    def _check_files(self, *paths: Path) -> None:
        try:
            if missing := [path.name for path in paths if not path.is_file()]:
                names = " and ".join(missing)
                raise TakeError(f"{self.path} is no take: it holds no {names}; choose one that --take made")
            for path in paths:
                if path != self.sound and (size := path.stat().st_size) > _LARGEST:
                    raise TakeError(
                        f"{path} has {size >> 20} MiB, at most {_LARGEST >> 20} are read: no show is as long"
                    )
            with self.sound.open("rb") as file:
                if file.read(4) != b"fLaC":  # a stranger's file under that name could be of a format that names others
                    raise TakeError(f"{self.sound} is no FLAC file: the take is damaged, or none of livelav's")
        except OSError as error:
            raise TakeError(f"cannot read {self.path}: {error.strerror}; check its permissions") from error

    def _read(self, path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
        """(number, facts) of every line that is whole."""
        with path.open("rb") as file:
            number = 0
            while (raw := file.readline(LONGEST_LINE + 1)).endswith(b"\n"):
                number += 1
                try:
                    facts = json.loads(raw, parse_constant=_refused)
                except (ValueError, RecursionError) as error:
                    raise self._wrong(number, "it is not JSON", path) from error
                if not isinstance(facts, dict):
                    raise self._wrong(number, "it is no object", path)
                yield number, facts
            if len(raw) > LONGEST_LINE:
                raise self._wrong(number + 1, f"it is longer than {LONGEST_LINE >> 10} KiB", path)

    def _begin(self, first: tuple[int, dict[str, Any]] | None, strange: set[str]) -> None:
        """Takes in the first line."""
        if not first or type(schema := first[1].get("livelav_take")) is not int:
            raise TakeError(f"{self.lines} does not begin as a take does: it is damaged, or none of livelav's")
        number, facts = first
        self.version = str(facts.get("version"))[:40]
        if schema > SCHEMA:
            newer = f"a newer livelav, {self.version} (this one reads schema {SCHEMA})"
            raise TakeError(f"{self.path} was taken by {newer}: update livelav")
        self.has_heard = schema > 1
        self.model, self.sha256 = self._name(number, facts, "model"), self._name(number, facts, "sha256")
        self.encoder = self._name(number, facts, "encoder")
        try:
            self.scene = scene_of(facts)
            _known({**facts["settings"], **facts["drives"]}, strange)
        except _FAULTS as error:
            raise self._wrong(number, _said(error)) from error
        if self.scene.key.mode == "track":
            raise self._wrong(number, "no live show is normalised by a whole track")
        if (dark := facts.get("dark", "")) not in DARK:
            raise self._wrong(number, f"dark must be one of {', '.join(map(repr, DARK))}")
        self.dark = str(dark)

    def _at(self, number: int, facts: Mapping[str, Any], path: Path | None = None) -> int:
        at = facts.get("at")
        if type(at) is not int or not 0 <= at <= _LATEST:
            raise self._wrong(number, "`at` must be a number of samples", path)
        return at

    def _command(self, number: int, facts: Mapping[str, Any], strange: set[str]) -> Taken | None:
        """What a line says was done; None, and a word for `strange`, where this livelav does not know of it."""
        try:
            return _command(facts, strange)
        except _FAULTS as error:
            raise self._wrong(number, _said(error)) from error

    def _name(self, number: int, facts: Mapping[str, Any], key: str) -> str:
        if not isinstance(name := facts.get(key), str) or len(name) > _LONGEST_NAME:
            raise self._wrong(number, f"{key} must be a name")
        return name

    def _wrong(self, number: int, reason: str, path: Path | None = None) -> TakeError:
        return TakeError(f"{path or self.lines}:{number}: {reason[:200]}: the take is damaged, or none of livelav's")


_KEY_WORDS = ("mode", "placement", "synth")
_FAULTS = (ValueError, KeyError, TypeError, AttributeError, LivelavError)  # of values that are of another shape


def _said(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)


def _refused(word: str) -> float:
    raise ValueError(f"{word} is no number")


def _command(facts: Mapping[str, Any], strange: set[str]) -> Taken | None:
    """Raises one of _FAULTS for what no livelav writes."""
    word = _text(facts["do"])
    if read := _READERS.get(word):
        return read(facts, strange)
    if word not in _PLAIN:
        strange.add(word)
    return _PLAIN.get(word)


def _set(facts: Mapping[str, Any], strange: set[str]) -> Taken | None:
    for name, value in _values({facts["name"]: facts["value"]}, strange).items():
        return SetParam(name, value)
    return None


def _set_drive(facts: Mapping[str, Any], strange: set[str]) -> Taken | None:
    for name, text in _known({facts["name"]: facts["drive"]}, strange).items():
        return SetDrive(name, None if text is None else checked_drive(name, text))
    return None


def _choose(facts: Mapping[str, Any], strange: set[str]) -> Taken | None:
    for name, word in _words({facts["name"]: facts["word"]}, strange).items():
        return SetChoice(name, word)
    return None


def _play(facts: Mapping[str, Any], strange: set[str]) -> Taken:
    return Play(_preset(facts["preset"], strange), _text(facts["name"]))


def _vary(facts: Mapping[str, Any], strange: set[str]) -> Taken:
    return VaryTo(_values(facts["values"], strange))


def _play_model(facts: Mapping[str, Any], _strange: set[str]) -> Taken:
    return PlayModel(_text(facts["name"]))


def _fade(facts: Mapping[str, Any], _strange: set[str]) -> Taken:
    seconds = facts["seconds"]
    if type(seconds) not in (int, float) or not 0 <= seconds <= _LONGEST_FADE_S:
        raise ValueError(f"seconds must be a number from 0 to {_LONGEST_FADE_S:g}")
    noise = CHOICE_BY_NAME["generate.noise"].checked(_text(facts["noise"]))
    return FadeTo(_text(facts["model"]), noise, _text(facts["sha256"]), float(seconds))


def _switch(facts: Mapping[str, Any], strange: set[str]) -> Taken | None:
    if (name := _text(facts["name"])) in get_args(_Switch):
        return Toggle(name)  # type: ignore[arg-type]  # it is one of them
    strange.add(name)
    return None


def _tempo(facts: Mapping[str, Any], _strange: set[str]) -> Taken:
    bpm, bar_s, hears = BY_NAME["tempo.bpm"].checked(facts["bpm"]), facts["bar_s"], facts["hears"]
    if not isinstance(bar_s, int | float) or not abs(bar_s) < _LATEST or type(hears) is not bool:
        raise ValueError("bar_s must be seconds, hears true or false")
    return Follow(bpm, float(bar_s), hears)


_READERS: Mapping[str, Callable[[Mapping[str, Any], set[str]], Taken | None]] = {
    "set": _set,
    "drive": _set_drive,
    "choose": _choose,
    "play": _play,
    "vary": _vary,
    "model": _play_model,
    "fade": _fade,
    "switch": _switch,
    "tempo": _tempo,
}


def _heard(at: int, facts: Mapping[str, Any], before: Heard, strange: set[str]) -> Heard:
    """Raises one of _FAULTS for what no livelav writes."""
    old = before.wanted
    words = _words(facts.get("choices", {}), strange)
    key = replace(old.key, **{name: words.get(f"mapping.{name}", getattr(old.key, name)) for name in _KEY_WORDS})
    if type(seed := facts.get("seed", key.seed)) is not int or seed not in SEEDS:
        raise ValueError("no seed")
    settings = old.settings.with_values(_values(facts.get("params", {}), strange))
    begins, deaf = facts.get("begins", False), facts.get("deaf", before.deaf)
    if type(begins) is not bool or type(deaf) is not bool:
        raise ValueError("begins and deaf must be true or false")
    if type(seconds := facts.get("seconds", old.seconds)) not in (int, float) or not 0 <= seconds < _LATEST:
        raise ValueError("seconds must be a number")
    if type(rate_hz := facts.get("rate_hz", before.rate_hz)) is not int or (rate_hz and rate_hz not in _RATES_HZ):
        raise ValueError("rate_hz must be a rate, or 0")
    return Heard(at, Wanted(settings, replace(key, seed=seed), seconds=float(seconds)), begins, rate_hz, deaf)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_NAME:
        raise ValueError("a name must be text")
    return value


def _known(values: Mapping[str, Any], strange: set[str]) -> dict[str, Any]:
    """Those of parameters that there are: a stranger may have had other effects."""
    strange.update(_text(name) for name in values if name not in BY_NAME)
    return {name: value for name, value in values.items() if name in BY_NAME}


def _values(values: Mapping[str, Any], strange: set[str]) -> dict[str, float]:
    return {name: BY_NAME[name].checked(value) for name, value in _known(values, strange).items()}


def _words(words: Mapping[str, Any], strange: set[str]) -> dict[str, str]:
    """Choices that a running show can make, but the model, which is not a take's to name."""
    strange.update(_text(name) for name in words if name not in CHOICE_BY_NAME)
    known = [CHOICE_BY_NAME[name] for name in words if name in CHOICE_BY_NAME]
    found = {c.name: c.checked(known_words(c, dict(words))) for c in known if c.scope == "song"}
    if found.get("mapping.mode") == "track":
        raise ValueError("no live show is normalised by a whole track")
    return found


def _preset(tree: Mapping[str, Any], strange: set[str]) -> Preset:
    choices = dict(tree["choices"])
    seed = choices.pop("seed")
    whole = {
        "schema": PRESET_SCHEMA,
        "choices": {**_words(choices, strange), "seed": seed},
        "params": _values(tree["params"], strange),
        "drive": _known(tree["drive"], strange),
    }
    return preset_of(whole, "", Path("preset"))
