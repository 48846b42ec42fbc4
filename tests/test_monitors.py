"""The window on two monitors that come, go and change their mode; and what a desktop does to windows."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import rig as rig_tool
from rig import FIRST, SECOND, Rig, RigError
from x_hands import Hands

from live import Run, livelav

pytestmark = pytest.mark.rig

WHOLE_SECOND = (1280, 0, 1024, 576)  # x, y, width, height of the second monitor
ARGUMENTS = ("--input", "demo", "--show-aspect", "fill", "--size", "480x270")


@pytest.fixture(scope="module")
def desk() -> Iterator[Rig]:
    """Two monitors beside the rig that the other tests run in; without sound."""
    with rig_tool.running(monitors=2, sound=False) as desk:
        yield desk


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def on_the_desk(desk: Rig, own_folders: Path, compiled: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is started belongs to the desk, and finds the generator compiled by the test before."""
    for name, value in (desk.env | {"LIVELAV_CACHE": str(compiled)}).items():
        monkeypatch.setenv(name, value)
    yield
    desk.plug(FIRST, "1280x720", x=0)
    desk.plug(SECOND)


@pytest.fixture
def hands(desk: Rig) -> Iterator[Hands]:
    with contextlib.closing(Hands(desk.env["DISPLAY"])) as hands:
        yield hands


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(*args: str) -> Run:
        runs.append(Run(tmp_path, *ARGUMENTS, *args, headless=False))
        runs[-1].playing()
        return runs[-1]

    yield start
    for one in runs:
        if one.process.poll() is None:
            one.process.kill()
            one.process.communicate()


def within(seconds: float, what: str, holds: Callable[[], bool]) -> None:
    until_s = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until_s, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def goes_on(show: Run) -> None:
    """The count of pictures presented keeps rising, and so does that of new images."""
    before = show.stats
    show.wait_for(
        lambda s: (
            s["present"]["presented"] > before["present"]["presented"] + 5
            and s["generate"]["images"] > before["generate"]["images"]
        ),
        "the show goes on",
    )


def picture(desk: Rig, place: tuple[int, int, int, int]) -> np.ndarray:
    x, y, width, height = place
    return desk.screenshot()[y : y + height, x : x + width]


def is_moving(desk: Rig, place: tuple[int, int, int, int]) -> bool:
    """Whether the picture there fills its place and changes."""
    before = picture(desk, place)
    time.sleep(0.05)
    after = picture(desk, place)
    return is_filled(after) and not np.array_equal(before, after)


def is_filled(pixels: np.ndarray) -> bool:
    """Whether there is a picture in every corner: the root window is black."""
    height, width = pixels.shape[0] // 4, pixels.shape[1] // 4
    corners = [pixels[:height, :width], pixels[:height, -width:], pixels[-height:, :width], pixels[-height:, -width:]]
    return all(corner.max() > 20 for corner in corners) and float(pixels.std()) > 2


def ends_in_time(show: Run, hands: Hands) -> None:
    hands.ask_to_close()
    begin_s = time.monotonic()
    code, err = show.finish()
    assert code == 0, err
    assert time.monotonic() - begin_s < 2.0
    assert err == ""


def test_fullscreen_on_the_second_monitor_through_a_night(run: Callable[..., Run], desk: Rig, hands: Hands) -> None:
    show = run("--fullscreen", "--monitor", "1", "--show-contour", "0")
    assert hands.place() == WHOLE_SECOND
    assert is_filled(picture(desk, WHOLE_SECOND))
    assert picture(desk, (0, 0, 1280, 720)).max() == 0

    hands.press("f")
    within(1, "F leaves, back into a window on that monitor", lambda: hands.place() == (1552, 153, 480, 270))
    hands.press("f")
    within(1, "F returns", lambda: hands.place() == WHOLE_SECOND)
    hands.press("Escape")
    within(1, "Escape leaves", lambda: hands.place() == (1552, 153, 480, 270))
    hands.press("f")
    within(1, "F covers the same monitor again", lambda: hands.place() == WHOLE_SECOND)

    desk.unplug(SECOND)
    within(2, "the operator's monitor gets a small window", lambda: hands.place() == (400, 225, 480, 270))
    goes_on(show)
    desk.plug(SECOND)
    within(2, "the monitor that came back is covered", lambda: hands.place() == WHOLE_SECOND)

    desk.plug(SECOND, "800x600", x=1280)
    within(2, "its new mode is covered", lambda: hands.place() == (1280, 0, 800, 600))
    within(2, "with a picture that moves", lambda: is_moving(desk, (1280, 0, 800, 600)))
    desk.plug(SECOND, x=1440)
    within(2, "its new place is covered", lambda: hands.place() == (1440, 0, 1024, 576))

    desk.unplug(SECOND)
    desk.unplug(FIRST)
    time.sleep(0.3)
    desk.plug(FIRST, "1280x720", x=0)
    desk.plug(SECOND)
    within(2, "after all monitors went, it is covered", lambda: hands.place() == WHOLE_SECOND)
    within(2, "with a picture that moves", lambda: is_moving(desk, WHOLE_SECOND))
    ends_in_time(show, hands)


def test_a_window_on_the_second_monitor_is_resized_minimised_and_closed(
    run: Callable[..., Run], desk: Rig, hands: Hands
) -> None:
    show = run("--monitor", SECOND)
    assert hands.place() == (1552, 153, 480, 270)
    for size in ((700, 300), (240, 400), (90, 1)):
        hands.resize(*size)
        place = (1552, 153, *size)
        within(2, f"a window of {size}", lambda place=place: hands.place() == place)
        if size[1] > 1:
            within(2, f"a picture of {size}", lambda place=place: is_filled(picture(desk, place)))
    hands.resize(480, 270)
    hands.hide()
    within(1, "it is hidden", lambda: picture(desk, WHOLE_SECOND).max() == 0)
    goes_on(show)
    hands.show()
    within(1, "it is back, and plays", lambda: is_moving(desk, (1552, 153, 480, 270)))
    ends_in_time(show, hands)


def test_devices_lists_the_monitors_with_their_numbers(tmp_path: Path) -> None:
    code, out, _err = livelav(tmp_path, "devices", "--json")
    assert code == 0
    assert [(m["name"], m["x"], m["width"]) for m in json.loads(out)["monitors"]] == [
        (FIRST, 0, 1280),
        (SECOND, 1280, 1024),
    ]


def test_a_wrong_monitor_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    code, out, err = livelav(tmp_path, *ARGUMENTS, "--fullscreen", "--monitor", "2")
    assert (code, out) == (1, "")
    assert err == f"livelav: monitor '2' does not exist; choose one of: 0 {FIRST}, 1 {SECOND}\n"


def test_a_second_display_server_that_cannot_start_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rig_tool, "XORG_CONF", rig_tool.XORG_CONF.replace('Driver "dummy"', 'Driver "none"'))
    with pytest.raises(RigError, match=r"^display did not start: no screens found$"), rig_tool.running(monitors=2):
        pass
