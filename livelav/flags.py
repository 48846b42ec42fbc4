"""From flags to a scene: what a preset, flags and what was there before come to, all of it checked."""

from typing import Any

from livelav.core.errors import ParamError, tell
from livelav.core.params import CHOICES, PARAMS, Settings, argument
from livelav.core.presets import SEED, Preset, load_preset, recall_preset
from livelav.core.scene import Scene


def any_preset(name_or_path: str) -> tuple[Preset, str]:
    """The preset, and what is wrong with its newest file. Raises PresetError."""
    return (load_preset(name_or_path), "") if name_or_path.endswith(".toml") else recall_preset(name_or_path)


def number(name: str, text: str, lo: float, hi: float) -> float:
    """A flag's number. Raises ParamError where it is none, or out of range."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not lo <= value <= hi:
        raise ParamError(f"{name} is {text!r}: it must be a number from {lo:g} to {hi:g}")
    return value


def first_scene(
    preset_name: str | None, seed: str | None, flags: dict[str, Any], before: Scene | None = None, live: bool = True
) -> Scene:
    """What preset and flags come to: flags win over the preset, that over what was `before`, that over the defaults.

    Raises ParamError and PresetError, each naming the nearest that exists.
    """
    scene = before or Scene(Settings(), {c.name: c.default for c in CHOICES}, SEED)
    settings, choices, preset_seed = scene.settings, dict(scene.choices), scene.seed
    drives, binds = scene.drives, scene.binds
    named = set[str]()
    if preset_name is not None:
        preset, trouble = any_preset(preset_name)
        if trouble:
            tell(trouble)
        settings, preset_seed = preset.settings, preset.seed
        drives, binds = preset.drives, preset.binds
        choices |= preset.choices
        named |= preset.changes.keys()
    given = {p.name: (p, flags[argument(p.name)]) for p in PARAMS if flags.get(argument(p.name)) is not None}
    settings = settings.with_values({name: number(p.flag, text, p.lo, p.hi) for name, (p, text) in given.items()})
    if "tempo.bpm" in named | given.keys() and "tempo.hearing" not in given:
        settings = settings.with_values({"tempo.hearing": 0.0})  # who says it does not want it heard
    for choice in CHOICES:
        if (word := flags.get(argument(choice.name))) is not None:
            choices[choice.name] = choice.checked(word)
    if live and choices["mapping.mode"] == "track":
        raise ParamError("mapping.mode 'track' needs the whole file at once; live it must be running or fixed")
    if seed is not None and not (seed.isdecimal() and len(seed) <= 10 and int(seed) < 2**32):
        raise ParamError(f"--seed is {seed!r}: it must be a whole number from 0 to {2**32 - 1}")
    return Scene(settings, choices, int(seed) if seed is not None else preset_seed, drives, binds)
