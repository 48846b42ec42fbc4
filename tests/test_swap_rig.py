"""A model is changed by keys in the real window; the picture is never black and the HUD says what comes."""

import contextlib

import pytest
from test_generate_library import write_small
from x_hands import Hands

from live import Run
from livelav.core.store import models_dir

pytestmark = pytest.mark.rig


@pytest.fixture
def show(tmp_path, rig):
    models_dir().mkdir(parents=True, exist_ok=True)
    write_small(models_dir() / "small.safetensors")
    run = Run(tmp_path, "--input", "demo", "--size", "480x270", "--preset-morph", "1", headless=False)
    try:
        run.playing()
        yield run
    finally:
        run.end()


def test_keys_step_through_the_models_and_the_picture_is_never_black(show, rig):
    with contextlib.closing(Hands(rig.env["DISPLAY"])) as hands:
        x, y, width, height = hands.place()
        lights = []

        def plays(model):
            def look(stats):
                lights.append(rig.screenshot()[y : y + height, x : x + width].max())
                return stats["model"]["name"] == model

            return look

        hands.press("m", control=True)
        show.wait_for(plays("small"), "the next model")
        hands.press("m", control=True)
        show.wait_for(plays("wide"), "the one after that")
        hands.press("m", control=True)
        show.wait_for(plays("default"), "the next one, round the end")
        hands.press("m", control=True, shift=True)
        show.wait_for(plays("wide"), "the one before it")
        hands.press("u")
        show.wait_for(plays("default"), "undone")
    assert min(lights) > 60
    assert not any(show.stats["restarts"].values())
