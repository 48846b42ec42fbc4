"""Takes of shows that changed their model: the picture goes over when it did, to the very pictures of the other one."""

import json
import os
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_generate_library import write_small
from test_render import pictures_of
from test_synths import Show as Turns
from test_takes import RATE_HZ, SMALL, START_S, Done, LiveShow, rendered, written

from livelav.control.commands import FadeTo
from livelav.core.errors import StorageError, TakeError
from livelav.core.params import Settings
from livelav.core.scene import Drawn, MappingKey
from livelav.core.store import models_dir
from livelav.core.values import Features, WStats
from livelav.encode.calibration import passage
from livelav.encode.encoder import load_encoder
from livelav.flags import first_scene
from livelav.generate.library import load_generator, model_info
from livelav.mapping.mapper import Mapper
from livelav.render.casting import Casting
from livelav.render.offline import Script
from livelav.render.rendering import render
from livelav.takes.format import LINES, Take
from livelav.takes.tape import Tape

MUSIC = np.repeat(passage(RATE_HZ, 3.0, 3).astype(np.float32)[:, None], 2, axis=1)
STILL = {"show_drift": "0", "show_contour": "0"}  # of what the shader moves by itself


@pytest.fixture(autouse=True)
def small() -> FadeTo:
    """To a second model beside the shipped one, of other layers and another resolution."""
    models_dir().mkdir(parents=True)
    write_small(models_dir() / "small.safetensors")
    return FadeTo("small", "const", model_info("small").sha256, 0.4)


@pytest.fixture
def home() -> FadeTo:
    """Back to the shipped one."""
    return FadeTo("default", "const", model_info("default").sha256, 0.4)


def taken(folder: Path, *fades: tuple[float, FadeTo], seconds: float = 2.0) -> Path:
    """A take of a show on the shipped model that went over to others at those seconds."""

    def note(fade: FadeTo) -> Any:
        return lambda desk, now_s: desk.tape.note_fade(fade, now_s)

    script: list[Done] = [(at_s, note(fade)) for at_s, fade in fades]
    show = LiveShow(MUSIC[: round(RATE_HZ * seconds)], load_encoder(), load_generator().stats, script, **STILL)
    show.desk.tape = show.tape = Tape(first_scene(None, None, STILL))
    facts = model_info("default")
    show.tape.begin({"model": facts.name, "sha256": facts.sha256, "encoder": "embedded"}, START_S)
    show.tape.note_fade(FadeTo("default", "const", facts.sha256, 0.0), START_S)
    return show.take_to(folder / "show.take")


def video(take: Path, name: str, **changes: Any) -> np.ndarray:
    """[n, height, width, 3], int."""
    return pictures_of(rendered(take, take.parent / name, **changes))[1].astype(int)


def test_the_picture_goes_over_and_back_when_it_did(tmp_path: Path, small: FadeTo, home: FadeTo, capfd: Any) -> None:
    take = taken(tmp_path, (0.5, small), (1.2, home))
    made, ours, theirs = video(take, "a.mkv"), *(video(take, f"{m}.mkv", model=m) for m in ("default", "small"))
    assert "goes on" not in capfd.readouterr().err
    assert len(made) == len(ours) == len(theirs) >= 59
    apart = np.abs(made - ours).mean(axis=(1, 2, 3)), np.abs(made - theirs).mean(axis=(1, 2, 3))
    assert apart[0][:15].max() == 0, "until 0.5 s it is the one"
    assert apart[0][50:].max() < 1, "and from 1.6 s on again"
    assert apart[1][29:36].max() < 1, "in between the other: the very same, for it took over all that was heard"
    assert np.diff(apart[0][15:27]).min() > -1, "it goes away from the one"
    assert min(apart[0][19:24].min(), apart[1][19:24].min()) > 3, "through pictures that are neither"


def test_what_is_faded_to_hears_as_if_it_had_been_there_from_the_start(small: FadeTo) -> None:
    encoder, stats = load_encoder(), load_generator().stats
    other = load_generator("small").stats
    there = Drawn("small")

    def steps(**options: Any) -> list[Any]:
        w = options.pop("stats", stats)
        script = Script(encoder, w, first_scene(None, None, {}), Fraction(75), **options)
        return list(script.steps(iter([MUSIC]), RATE_HZ))

    faded = steps(done=[(1.0, small)], others=lambda _fade: (there, other))
    alone = steps(stats=other)
    both = [(step.number, part) for step in faded for part in step.parts if part.drawn == there]
    assert len(both) == pytest.approx(2 * 75, abs=3)
    assert max(np.abs(part.controls.ws - alone[number].controls.ws).max() for number, part in both) < 1e-5
    assert max(np.abs(part.controls.noise - alone[number].controls.noise).max() for number, part in both) < 1e-6
    assert [len(step.parts) for step in faded] == pytest.approx([1] * 74 + [2] * 30 + [1] * (len(faded) - 104), abs=1)
    assert faded[-1].moment.balance == 1.0 and faded[-1].parts[0].seat == 1
    plain = steps()
    before = [step for step in faded if step.parts[0].drawn != there]
    assert all(np.array_equal(one.controls.ws, other.controls.ws) for one, other in zip(before, plain, strict=False))


def test_a_cut_is_seen_at_once_and_nothing_happens_where_it_is(tmp_path: Path, small: FadeTo, home: FadeTo) -> None:
    cut = FadeTo(small.model, small.noise, small.sha256, 0.0)
    take = taken(tmp_path, (0.5, cut), (0.9, cut), (1.1, home), (1.2, cut), seconds=1.5)
    made, ours, theirs = video(take, "a.mkv"), *(video(take, f"{m}.mkv", model=m) for m in ("default", "small"))
    assert np.abs(made[:15] - ours[:15]).max() == 0
    assert np.abs(made[17:33] - theirs[17:33]).mean() < 1
    assert np.abs(made[37:] - theirs[37:]).mean() < 1, "one that turned back is cut short, too"


def test_a_model_that_is_not_here_leaves_the_one_that_plays(tmp_path: Path, small: FadeTo, capfd: Any) -> None:
    take = taken(tmp_path, (0.3, small), (0.8, FadeTo("default", "none", "0" * 64, 0.1)), seconds=1.0)
    (models_dir() / "small.safetensors").unlink()
    made = video(take, "a.mkv")
    assert "model 'small' of" in capfd.readouterr().err
    assert np.abs(made[:24] - video(take, "b.mkv", model="default")[:24]).max() == 0
    quiet = video(take, "c.mkv", model="default", generate_noise="none")
    assert np.abs(made[28:] - quiet[28:]).mean() < 1, "the same model without noise maps is another generator"


@pytest.mark.parametrize("name", ["/etc/passwd", "../small", "small.safetensors", "", "x" * 200])
def test_a_take_names_models_of_the_library_alone(tmp_path: Path, small: FadeTo, name: str, capfd: Any) -> None:
    take = taken(tmp_path, (0.1, FadeTo(name, "const", "", 0.0)), seconds=0.4)
    made = video(take, "a.mkv")
    assert "is not here" in capfd.readouterr().err
    assert np.abs(made - video(take, "b.mkv", model="default")).max() == 0


def test_a_model_that_is_another_here_is_said(tmp_path: Path, small: FadeTo, capfd: Any) -> None:
    video(taken(tmp_path, (0.1, FadeTo("small", "const", "1" * 64, 0.0)), seconds=0.4), "a.mkv")
    assert "model small is another here" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"model": 5}, "a name must be text"),
        ({"seconds": -1}, "seconds must be"),
        ({"seconds": True}, "seconds must be"),
        ({"seconds": 1e9}, "seconds must be"),
        ({"noise": "pink"}, "generate.noise"),
        ({"sha256": None}, "a name must be text"),
    ],
)
def test_a_fade_of_another_shape_is_refused(tmp_path: Path, small: FadeTo, facts: dict[str, Any], says: str) -> None:
    take = taken(tmp_path, (0.1, small), seconds=0.3)
    lines = (take / LINES).read_text().splitlines()
    (at,) = (n for n, line in enumerate(lines) if '"fade"' in line)
    lines[at] = json.dumps(json.loads(lines[at]) | facts)
    (take / LINES).write_text("\n".join(lines) + "\n")
    with pytest.raises(TakeError, match=f":{at + 1}: .*{says}"):
        Take(take)


def test_a_take_of_very_many_models_is_refused(tmp_path: Path, small: FadeTo) -> None:
    take = taken(tmp_path, seconds=0.3)
    fade = {"at": 10**6, "do": "fade", "noise": "const", "sha256": "", "seconds": 0.0}
    with pytest.raises(TakeError, match="number 201"):
        Take(written(take, *({**fade, "model": f"m{n}"} for n in range(300))))


def test_a_video_that_was_cut_off_in_a_crossfade_goes_on_with_it(tmp_path: Path, small: FadeTo) -> None:
    take, order = taken(tmp_path, (0.5, small), seconds=1.5), SMALL | {"lossless": True}
    whole, cut = rendered(take, tmp_path / "whole.mkv"), tmp_path / "cut.mkv"
    shutil.copy(whole, cut)
    os.truncate(cut, whole.stat().st_size * 2 // 5)
    began = pictures_of(cut)[1]
    render(take, cut, **order, resume=True)
    assert 5 < len(began) < 40
    assert np.array_equal(pictures_of(cut)[1], pictures_of(whole)[1])
    os.truncate(cut, whole.stat().st_size * 2 // 5)
    write_small(models_dir() / "small.safetensors", seed=1)
    with pytest.raises(StorageError, match="cannot go on"):
        render(take, cut, **order, resume=True)


def test_a_show_says_where_its_picture_goes() -> None:
    """Seats of a show with children that only pretend: to another model, half-way back, and there."""
    show, said = Turns(), list[tuple[str, float]]()

    def turn(count: int) -> None:
        for _ in range(count):
            show.turn()
            now = show.synths.shows
            assert now is not None
            if not said or said[-1] != (now.model, now.seconds):
                said.append((now.model, now.seconds))

    turn(1)
    show.model = "second"
    turn(60)
    assert 0 < show.synths.balance < 0.5
    show.model = "first"
    turn(10)
    show.model = "second"
    turn(300)
    first, second, way_s = "loaded first", "loaded second", show.seconds
    assert said == [(first, 0.0), (second, way_s), (first, way_s), (second, way_s), (second, 0.0)]


def test_stages_that_begin_anew_in_a_crossfade_do_so_for_both(small: FadeTo) -> None:
    encoder, stats, other = load_encoder(), load_generator().stats, load_generator("small").stats
    there = Drawn("small")

    def make(w: WStats, key: MappingKey) -> Mapper:
        return Mapper(w, encoder, key.seed)

    casting = Casting(Drawn("default"), stats, make, 1 / encoder.frame_rate, lambda _fade: (there, other))
    casting.begin(MappingKey(1))
    casting.go_over(small)
    blends, alone = casting.begin(MappingKey(2)), make(other, MappingKey(2))
    features = Features(np.ones(encoder.dim, np.float32), 0.5, np.zeros(12, np.float32), 0.1, 0.0)
    blends.step(features, Settings())
    assert np.abs(blends.made()[there].ws - alone.step(features, Settings()).ws).max() < 1e-5


def test_a_way_that_is_turned_back_before_anybody_saw_it_leaves_nothing(small: FadeTo, home: FadeTo) -> None:
    encoder = load_encoder()
    stats = {name: load_generator(name).stats for name in ("default", "small")}

    def others(fade: FadeTo) -> tuple[Drawn, WStats]:
        return Drawn(fade.model, fade.noise), stats[fade.model]

    def make(w: WStats, key: MappingKey) -> Mapper:
        return Mapper(w, encoder, key.seed)

    casting = Casting(Drawn("default"), stats["default"], make, 1 / encoder.frame_rate, others)
    blends = casting.begin(MappingKey(1))
    features = Features(np.ones(encoder.dim, np.float32), 0.5, np.zeros(12, np.float32), 0.1, 0.0)
    for fade in (small, home, replace(small, noise="none")):
        casting.go_over(fade)
        casting.go_to(MappingKey(1), 1.0)
        blends.step(features, Settings())
    casting.go_to(MappingKey(2), 1.0)
    for _ in range(3):
        blends.step(features, Settings())
    assert [set(blends.made()) for _ in range(6)][-1] == {Drawn("default"), Drawn("small", "none")}


def test_only_what_is_drawn_is_loaded(tmp_path: Path, small: FadeTo, home: FadeTo, monkeypatch: Any) -> None:
    """However often a stranger's take changes its mind, and however many models it names."""
    take = taken(tmp_path, seconds=0.5)
    for number in range(6):
        write_small(models_dir() / f"small-{number}.safetensors", seed=number)
    names = ["default", *(f"small-{number}" for number in range(6)), "small"]
    fade = {"at": RATE_HZ // 4, "do": "fade", "noise": "const", "sha256": "", "seconds": 0.0}
    written(take, *({**fade, "model": name} for name in names * 40))
    loaded = []

    def load(name: str, **options: Any) -> Any:
        loaded.append(name)
        return load_generator(name, **options)

    monkeypatch.setattr("livelav.render.rendering.load_generator", load)
    made = video(take, "a.mkv")
    assert loaded == ["default", "small"]
    assert np.abs(made[9:] - video(take, "b.mkv", model="small")[9:]).mean() < 1


def test_going_on_with_other_noise_maps_is_refused(tmp_path: Path, small: FadeTo) -> None:
    take = taken(tmp_path, (0.2, replace(small, noise="none")), seconds=1.0)
    path = rendered(take, tmp_path / "a.mkv", generate_noise="const")
    with pytest.raises(StorageError, match="another sound or take, or with other models"):
        render(take, path, **SMALL, resume=True)
