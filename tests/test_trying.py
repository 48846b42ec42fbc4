"""Effects are drawn in a process of their own first: what never ends or kills its driver costs no picture."""

import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import moderngl
import numpy as np
import psutil
import pytest
import soundfile
from test_show import PLAIN, SIZE, drawn, waves
from x_trying import DEADLINE_S, ENDLESS, colour, try_out

from live import Run, gone
from livelav.core.effects import find_effects, folders, is_shipped, read_effect
from livelav.core.params import EFFECTS
from livelav.core.store import config_dir
from livelav.show.chain import EffectChain
from livelav.show.headless import HeadlessSurface
from livelav.show.renderer import Moment, Renderer
from livelav.show.tryout import extremes
from livelav.trying import Trying, try_all

RED, GREEN = "colour.r = 1.0;", "colour.g = 1.0;"


@pytest.fixture(scope="module")
def surface() -> Iterator[HeadlessSurface]:
    surface = HeadlessSurface(SIZE)
    yield surface
    surface.close()


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The parts of every shader that this process hands to its driver."""
    from livelav.show import chain

    texts: list[str] = []

    def build(*args: Any, **kwargs: Any) -> moderngl.Program:
        texts.extend(part.text for one in kwargs["added"] for part in one.parts)
        return real(*args, **kwargs)

    real = chain.build
    monkeypatch.setattr(chain, "build", build)
    return texts


def written(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.glsl"
    path.write_text(text)
    return path


def saved(path: Path, text: str, age_s: int) -> None:
    """However quick the test is, it is seen to be another."""
    path.write_text(text)
    os.utime(path, (age_s, age_s))


def processes() -> list[psutil.Process]:
    """Those that this one has, but for what keeps count of shared memory."""
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "resource_tracker" not in " ".join(child.cmdline())]


def chain_of(surface: HeadlessSurface, folder: Path) -> EffectChain:
    return EffectChain(surface.ctx, None, find_effects((folder,))[0])


def until_it_draws(trying: Trying, chain: EffectChain) -> None:
    end_s = time.monotonic() + DEADLINE_S
    while trying._at is None:
        trying.step(chain, time.monotonic())
        assert time.monotonic() < end_s and chain.untried
        time.sleep(0.001)


def test_shipped_ones_are_not_tried(surface: HeadlessSurface, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is there a process where nobody has effects of his own."""
    assert EFFECTS and all(is_shipped(effect) for effect in EFFECTS)
    chain = EffectChain(surface.ctx)
    chain.look(0.0)
    assert chain.untried == []
    monkeypatch.setattr(Trying, "_start", None)
    Trying().step(chain, 0.0)
    try_all(chain)
    chain.close()


def test_what_never_ends_and_what_does_not_compile_cost_only_themselves(
    surface: HeadlessSurface, tmp_path: Path, compiled: list[str]
) -> None:
    for name, code in (("first", RED), ("endless", ENDLESS), ("last", GREEN), ("wrong", "colour = nothing;")):
        written(tmp_path, name, colour(name, code))
    chain = chain_of(surface, tmp_path)
    begun_s = time.monotonic()
    try_out(chain)
    assert time.monotonic() - begun_s < 20
    assert sorted(chain._out) == ["endless", "wrong"]
    ended, wrong = sorted(chain.troubles)
    assert re.search(r"effect .*endless\.glsl does not end: .* longer than 2 s; .*; playing without endless$", ended)
    assert re.search(r"wrong\.glsl line 4: .*nothing.*; playing without wrong$", wrong)
    assert compiled == [] and processes() == []
    chain.program("present.frag", chain.untried or find_effects((tmp_path,))[0])
    assert len(compiled) == 2 and not any("while" in text or "nothing" in text for text in compiled)
    chain.close()


def test_one_that_a_driver_dies_of_is_told_of_and_the_next_is_tried(surface: HeadlessSurface, tmp_path: Path) -> None:
    written(tmp_path, "endless", colour("endless", ENDLESS))
    written(tmp_path, "last", colour("last", RED))
    chain, trying = chain_of(surface, tmp_path), Trying()
    until_it_draws(trying, chain)
    (process,) = processes()
    os.kill(process.pid, signal.SIGSEGV)
    try_out(chain, trying)
    (told,) = chain.troubles
    assert "endless.glsl ends the process that draws it (code -11)" in told and "playing without endless" in told
    assert chain._out == {"endless"}
    while trying._process is not None:
        trying.step(chain, time.monotonic())
    assert processes() == []
    chain.close()


def test_a_process_that_cannot_begin_leaves_all_out_and_is_not_begun_again(
    surface: HeadlessSurface, tmp_path: Path
) -> None:
    written(tmp_path, "last", colour("last", RED))
    chain, trying = chain_of(surface, tmp_path), Trying()
    trying.step(chain, time.monotonic())
    (process,) = processes()
    process.kill()
    try_out(chain, trying)
    (told,) = chain.troubles
    assert "last.glsl cannot be tried" in told and told.endswith("playing without last")
    trying.step(chain, time.monotonic())
    assert trying._process is None and processes() == []
    chain.close()


def test_where_no_process_can_be_made_it_is_left_out(
    surface: HeadlessSurface, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_self: BaseProcess) -> None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(BaseProcess, "start", start)
    written(tmp_path, "last", colour("last", RED))
    chain = chain_of(surface, tmp_path)
    try_out(chain)
    (told,) = chain.troubles
    assert "last.glsl cannot be tried" in told and "Resource temporarily" in told and "save it again" in told
    monkeypatch.undo()
    chain.look(0.0)
    assert chain.untried == []
    saved(tmp_path / "last.glsl", colour("last", RED), 10)
    chain.look(10.0)
    try_out(chain)
    assert chain._out == set(), "as it was"
    chain.close()


def test_where_nothing_can_be_drawn_without_the_window_it_is_shown_untried_and_told_of(
    surface: HeadlessSurface, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("__EGL_VENDOR_LIBRARY_FILENAMES", os.fspath(tmp_path / "none"))
    written(tmp_path, "last", colour("last", RED))
    chain = chain_of(surface, tmp_path)
    try_out(chain)
    (told,) = chain.troubles
    assert "last.glsl cannot be tried" in told and told.endswith("shown all the same")
    assert chain.left_out == []
    chain.close()


def test_a_process_that_cannot_even_be_killed_is_given_up_and_no_other_follows_it(
    surface: HeadlessSurface, tmp_path: Path
) -> None:
    class Stuck:
        exitcode = None

        def kill(self) -> None:
            pass

    written(tmp_path, "last", colour("last", RED))
    chain, trying = chain_of(surface, tmp_path), Trying()
    trying.step(chain, 0.0)
    real, trying._process = trying._process, Stuck()  # type: ignore[assignment]
    for at_s in (30.0, 66.0, 80.0):
        trying.step(chain, at_s)
    assert real is not None
    real.kill()
    real.join()
    (told,) = chain.troubles
    assert "cannot be ended" in told and [effect.name for effect in chain.left_out] == ["last"]
    saved(tmp_path / "last.glsl", colour("last", RED + " "), 10)
    chain.look(100.0)
    trying.step(chain, 100.0)
    assert trying._process is None and chain.untried == []
    chain.close()


def test_closing_ends_what_never_ends(surface: HeadlessSurface, tmp_path: Path) -> None:
    written(tmp_path, "endless", colour("endless", ENDLESS))
    chain, trying = chain_of(surface, tmp_path), Trying()
    until_it_draws(trying, chain)
    begun_s = time.monotonic()
    trying.close()
    trying.close()
    assert time.monotonic() - begun_s < 1 and processes() == []
    chain.close()


def test_it_ends_by_itself_where_nobody_is_left_to_kill_it(surface: HeadlessSurface, tmp_path: Path) -> None:
    written(tmp_path, "endless", colour("endless", ENDLESS))
    chain, trying = chain_of(surface, tmp_path), Trying()
    until_it_draws(trying, chain)
    (process,) = processes()
    assert process.wait(DEADLINE_S) is not None, "without another step"
    trying.close()
    chain.close()


def test_pictures_go_on_with_the_old_one_until_the_new_one_was_drawn(
    surface: HeadlessSurface, tmp_path: Path, compiled: list[str]
) -> None:
    """Whatever is saved in between, main compiles nothing that was not found well."""
    name = "zoom"  # its amount is in the table
    path = written(tmp_path, name, colour(name, RED))
    renderer = Renderer(surface.ctx, surface.software, effects=find_effects((tmp_path,))[0])
    renderer.set_image(waves())
    chain, on = renderer.chain, Moment(PLAIN.with_values({"zoom.amount": 0.5}), 0.0)
    plain = drawn(renderer, surface, on).copy()
    assert plain[..., 0].min() < 200 and compiled == []
    try_out(chain)
    red = drawn(renderer, surface, on).copy()
    assert (red[..., 0] == 255).all() and not (red[..., 1] == 255).all()

    trying, slowest_s = Trying(), 0.0
    chain.look(0.0)
    for number, (code, told) in enumerate(((ENDLESS, "does not end"), ("colour = nothing;", "line 4"), (GREEN, ""))):
        saved(path, colour(name, code), 10 * (number + 1))
        chain.look(10.0 * (number + 1))
        assert [effect.text for effect in chain.untried] == [colour(name, code)]
        while chain.untried:
            begun_s = time.monotonic()
            trying.step(chain, begun_s)
            slowest_s = max(slowest_s, time.monotonic() - begun_s)
            shown = drawn(renderer, surface, on)
            assert not chain.untried or np.array_equal(shown, red)
        assert [told in trouble and "playing on with what" in trouble for trouble in chain.troubles] == [True] * bool(
            told
        )
        chain.troubles.clear()
    assert (drawn(renderer, surface, on)[..., 1] == 255).all()
    assert slowest_s < 0.25, "it waits for nobody"
    assert set(compiled) == {colour(name, RED), colour(name, GREEN)}
    trying.close()
    renderer.close()


def test_only_what_was_saved_last_is_taken_up(surface: HeadlessSurface, tmp_path: Path) -> None:
    path = written(tmp_path, "zoom", colour("zoom", RED))
    chain = chain_of(surface, tmp_path)
    try_out(chain)
    (first,) = find_effects((tmp_path,))[0]
    chain.look(0.0)
    saved(path, colour("zoom", GREEN), 10)
    chain.look(10.0)
    (second,) = chain.untried
    saved(path, colour("zoom", RED + GREEN), 20)
    chain.look(20.0)
    (third,) = chain.untried
    chain.tried(second)
    chain.tried(first, "old news")
    assert chain.untried == [third] and chain.troubles == [] and chain._effects["zoom"] == first
    saved(path, colour("zoom", RED), 30)
    chain.look(30.0)
    assert chain.untried == [], "it is again what is drawn"
    saved(path, colour("zoom", GREEN), 40)
    chain.look(40.0)
    saved(path, "// kind nothing", 50)
    chain.look(50.0)
    assert chain.untried == [] and len(chain.troubles) == 1
    chain.close()


def test_what_is_shipped_and_was_edited_is_tried(surface: HeadlessSurface, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written there: the file's reader says that something else stands in it."""
    chain = EffectChain(surface.ctx)
    (shift,) = (effect for effect in EFFECTS if effect.name == "shift")
    edited = type(shift)(shift.name, shift.kind, shift.knobs, shift.uses, shift.path, shift.text + "\n// edited\n")
    monkeypatch.setattr(
        "livelav.show.chain.read_effect", lambda path: edited if path == shift.path else read_effect(path)
    )
    chain.look(0.0)
    assert chain.untried == [edited] and chain._effects["shift"] == shift
    try_out(chain)
    assert chain._effects["shift"] == edited and chain.troubles == []
    chain.close()


def test_each_parameter_is_drawn_wherever_it_goes(tmp_path: Path) -> None:
    text = colour("lean", param='// param amount 0 -1 2 "x"\n// param wide 3 1 9 "x"')
    tried = extremes(read_effect(written(tmp_path, "lean", text)))
    assert {(one["lean.amount"], one["lean.wide"]) for one in tried} == {(a, w) for a in (-1, 2) for w in (1, 3, 9)}
    for effect in EFFECTS:
        assert all(one[effect.params[0]] for one in extremes(effect)), "it acts"


# ---- whole programs


class Told:
    """What a process writes to stderr, as it comes."""

    def __init__(self, run: Run) -> None:
        assert run.process.stderr is not None
        self._fd, self._run, self.text = run.process.stderr.fileno(), run, ""
        os.set_blocking(self._fd, False)

    def wait_for(self, pattern: str) -> None:
        end_s = time.monotonic() + DEADLINE_S
        while not re.search(pattern, self.text):
            assert time.monotonic() < end_s and self._run.process.poll() is None, (pattern, self.text)
            try:
                self.text += os.read(self._fd, 1 << 16).decode()
            except BlockingIOError:
                time.sleep(0.05)


def test_a_show_starts_without_what_never_ends_and_plays_on_while_such_is_saved(tmp_path: Path) -> None:
    mine = folders()[0]
    written(mine, "endless", colour("endless", ENDLESS))
    path = written(mine, "apart", colour("apart", RED))
    run = Run(tmp_path, "--input", "demo", "--endless-amount", "1", "--apart-amount", "1")
    try:
        told = Told(run)
        begun_s = time.monotonic()
        run.playing()
        assert time.monotonic() - begun_s < DEADLINE_S / 2
        told.wait_for(r"endless\.glsl does not end: .*playing without endless")
        path.write_text(colour("apart", ENDLESS))
        before = run.stats["present"]["presented"]
        told.wait_for(r"apart\.glsl does not end: .*playing on with what it said before")
        run.wait_for(lambda s: s["present"]["presented"] > before + 30, "pictures go on")
        path.write_text(colour("apart", "colour = nothing;"))
        told.wait_for(r"apart\.glsl line 4: .*nothing.*playing on with what it said before")
        path.write_text(colour("apart", ENDLESS))
        others, end_s = run.children(), time.monotonic() + DEADLINE_S
        while not (children := run.children()).keys() - others.keys():
            assert time.monotonic() < end_s, "it is tried"
            time.sleep(0.05)
    finally:
        run.end()
    assert gone([*children.values()], 1.0), "not even one that draws is left"


def test_a_render_tries_them_first(tmp_path: Path) -> None:
    mine = config_dir() / "shaders"
    written(mine, "endless", colour("endless", ENDLESS))
    soundfile.write(tmp_path / "tone.wav", np.sin(np.arange(24_000) / 20), 24_000)
    flags = ["--fps", "4", "--size", "64x64", "--end", "0.5"]

    def render(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "livelav", "render", "tone.wav", "-o", "out.mkv", *flags, *more],
            cwd=tmp_path, capture_output=True, text=True, timeout=3 * DEADLINE_S, check=False,
        )  # fmt: skip

    done = render("--endless-amount", "1")
    assert done.returncode == 1 and "effect endless is needed and cannot be drawn" in done.stderr
    assert not (tmp_path / "out.mkv").exists()
    done = render()
    assert done.returncode == 0, done.stderr
    assert "endless.glsl does not end" in done.stderr and "playing without endless" in done.stderr
    assert (tmp_path / "out.mkv").exists()
