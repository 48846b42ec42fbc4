"""The picture's loop on a real headless surface, with a clock that is moved by hand."""

import itertools

import numpy as np
import pytest

from livelav.control.commands import Toggle
from livelav.control.switches import ShowState
from livelav.core.clock import FakeClock
from livelav.core.params import Settings
from livelav.core.shm import Board, Histogram, Latest
from livelav.live.presenter import MAIN_FIELDS, PACE_FIELDS, Presenter
from livelav.live.synth import IMAGE_FIELDS
from livelav.show.governor import TRIAL
from livelav.show.headless import HeadlessSurface

FPS = 50.0
CHOICES = {"show.aspect": "fill", "chain.order": ""}


class Display(HeadlessSurface):
    """A surface whose `present` takes as long as a display's refresh, on the clock of the test."""

    def __init__(self, clock):
        super().__init__((64, 36))
        self.clock, self.refresh_s = clock, 0.0
        self.shown_s = []

    @property
    def blocks(self):
        return self.refresh_s > 0

    def present(self):
        self.clock.sleep(self.refresh_s)
        self.shown_s.append(self.clock.now_s())


class Stage:
    def __init__(self):
        self.clock = FakeClock(100.0)
        self.display = Display(self.clock)
        self.streams = tuple(Latest(64 * 64 * 4, "u1", IMAGE_FIELDS) for _ in range(2))
        self.balance = 0.0
        self.pace, self.board, self.latency = Board(PACE_FIELDS), Board(MAIN_FIELDS), Histogram()
        self.presenter = Presenter(self.display, self.streams, self.pace, self.board, self.latency, self.clock, FPS)
        self.state, self.settings, self.choices = ShowState(), Settings(), CHOICES

    def publish(self, seed, onset=0.0, stream=0, side=64):
        soft = np.random.default_rng(seed).integers(0, 255, (4, 4, 4)).astype(np.uint8)
        pixels = np.kron(soft, np.ones((side // 4, side // 4, 1), np.uint8))
        self.streams[stream].publish(pixels, self.clock.now_s(), side, side, 0.1, onset)

    def publish_waves(self, stream, side, turns):
        """A picture without flat places, as generators make them."""
        across = np.linspace(0.0, 2 * np.pi * turns, side)
        waves = [np.add.outer(np.sin(across + k), np.cos(1.3 * across - k)) for k in range(4)]
        pixels = np.stack([(127 + 60 * wave).astype(np.uint8) for wave in waves], axis=-1)
        self.streams[stream].publish(pixels, self.clock.now_s(), side, side, 0.1, 0.0)

    def present(self, n=1):
        """Pixels after n pictures."""
        for _ in range(n):
            self.clock.sleep(self.presenter.left_s())
            self.presenter.present(self.settings, self.choices, self.state, list, 0.0, self.balance)
        return np.frombuffer(self.display.fbo.read(), np.uint8).copy()


@pytest.fixture
def stage():
    one = Stage()
    yield one
    one.presenter.close()


def test_before_the_first_image_it_is_black_and_counts_nothing(stage):
    assert stage.present(3).max() <= 1
    assert stage.board["presented"] == stage.board["first_s"] == stage.board["late"] == 0
    stage.publish(1)
    assert stage.present().std() > 10
    assert stage.board["presented"] == 1 and stage.board["first_s"] > 100.0


def test_without_a_new_image_the_picture_moves_on_and_is_counted_as_repeated(stage):
    stage.publish(1)
    before = stage.present()
    after = stage.present(50)
    assert not np.array_equal(before, after)
    assert (stage.board["presented"], stage.board["repeated"]) == (51, 50)
    assert stage.latency.count == 1


def test_frozen_nothing_moves_whatever_comes(stage):
    stage.publish(1, onset=1.0)
    before = stage.present(TRIAL + 1)  # by then the resolution is what it will be
    stage.state = ShowState(freeze=True)
    for seed in range(2, 30):
        stage.publish(seed, onset=1.0)
        frozen = stage.present()
    assert np.array_equal(frozen, stage.present(20))
    assert np.abs(frozen.astype(int) - before).max() < 30, "it is the picture that was frozen"
    stage.state = ShowState()
    assert np.abs(stage.present().astype(int) - frozen).max() > 30, "the newest image is shown at once"


OTHERWISE = {"show.zoom": 2.0, "show.hue": 120.0, "show.contour": 0.0, "show.density": 9.0, "kaleidoscope.amount": 1.0}


def test_frozen_nothing_moves_whatever_drives_and_recalls_do_to_settings_and_choices(stage):
    stage.publish(1)
    stage.present(TRIAL + 1)
    stage.state = ShowState(freeze=True)
    frozen = stage.present()
    stage.settings = Settings().with_values(OTHERWISE)
    stage.choices = {"show.aspect": "fit", "chain.order": "grain kaleidoscope"}
    assert np.array_equal(frozen, stage.present(3))
    stage.state = ShowState()
    assert np.abs(stage.present().astype(int) - frozen).max() > 30, "what was moved meanwhile is seen at once"


def test_frozen_the_light_still_obeys(stage):
    stage.settings = bright = Settings().with_values({"show.flash_limit": 60.0})
    stage.publish(1)
    stage.present(TRIAL + 1)
    stage.state = ShowState(freeze=True)
    frozen = stage.present()
    stage.settings = bright.with_values({"show.brightness": 0.5})
    assert np.abs(stage.present() - 0.5 * frozen).max() <= 2
    stage.settings, stage.state = bright, ShowState(freeze=True, pattern=True)
    assert np.abs(stage.present().astype(int) - frozen).max() > 30, "the test pattern"
    stage.state = ShowState(freeze=True).apply(Toggle("blackout"), stage.clock.now_s())
    assert stage.present(50).max() <= 1
    stage.state = stage.state.apply(Toggle("blackout"), stage.clock.now_s())
    assert np.array_equal(stage.present(50), frozen)


def test_a_show_that_begins_frozen_stands_as_it_began(stage):
    stage.state = ShowState(freeze=True)
    stage.publish(1)
    began = stage.present()
    stage.settings = Settings().with_values(OTHERWISE)
    assert np.array_equal(began, stage.present(3))


def test_pictures_are_evenly_spaced_and_late_ones_are_counted(stage):
    stage.publish(1)
    stage.present(10)
    begin_s = stage.clock.now_s()
    stage.present(100)
    assert stage.clock.now_s() - begin_s == pytest.approx(100 / FPS)
    assert stage.board["late"] == 0
    stage.clock.sleep(3.2 / FPS)
    stage.present()
    assert stage.board["late"] == 2, "two moments went by without a picture"
    assert stage.pace["period_s"] == pytest.approx(1 / FPS)


def test_pictures_that_take_longer_now_and_then_are_shown_as_evenly_as_others(stage):
    stage.publish(1)
    chance = np.random.default_rng(0)

    class Laboured(ShowState):
        """Asked for the light of each picture, it makes drawing that one take a while."""

        def light(self, now_s):
            stage.clock.sleep(chance.uniform(0.004, 0.007) + 0.005 * (chance.random() < 0.02))
            return super().light(now_s)

    stage.state = Laboured()
    stage.present(1000)
    apart_ms = 1000 * np.diff(stage.display.shown_s[100:])
    assert np.percentile(np.abs(apart_ms - 1000 / FPS), 90) < 0.2, "while one takes between 4 and 7 ms"
    assert apart_ms.max() < 1000 / FPS + 5.0, "one that takes 5 ms more than others is late by less than that"
    assert stage.board["late"] == 0
    stage.clock.sleep(stage.presenter.left_s())
    assert stage.presenter.ahead_s == pytest.approx(0.5 / FPS + 0.0055 + 0.002, abs=0.001), "until it is shown"


def test_a_display_that_waits_sets_the_pace_and_leaving_it_stalls_nothing(stage):
    stage.publish(1)
    stage.display.refresh_s = 1 / 144
    stage.present(1000)
    assert stage.pace["period_s"] == pytest.approx(1 / 144, rel=0.01)
    stage.display.refresh_s = 0.0
    begin_s = stage.clock.now_s()
    stage.present()
    assert stage.clock.now_s() - begin_s <= 1.01 / FPS
    stage.present(10)
    assert stage.pace["period_s"] == pytest.approx(1 / FPS)


def test_a_display_that_only_says_it_waits_is_paced_by_the_clock(stage):
    stage.publish(1)
    stage.display.refresh_s = 1e-6
    stage.present(40)
    begin_s = stage.clock.now_s()
    stage.present(50)
    assert stage.clock.now_s() - begin_s == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("covered", [25, 400])
def test_a_display_that_did_not_wait_for_a_while_sets_the_pace_again(stage, covered):
    stage.publish(1)
    stage.display.refresh_s = 1 / 144
    stage.present(500)
    stage.display.refresh_s = 1e-6
    stage.present(covered)
    stage.display.refresh_s = 1 / 144
    stage.present(600)
    late = stage.board["late"]
    stage.present(144)
    assert stage.pace["period_s"] == pytest.approx(1 / 144, rel=0.01)
    assert np.diff(stage.display.shown_s[-144:]).max() < 1.01 / 144
    assert stage.board["late"] == late


@pytest.mark.parametrize("most_s, more", [(0.004, 10), (0.0055, 15)])  # drawing is now and then as long as a wait
def test_a_display_that_never_waits_is_seldom_tried_and_not_for_long(stage, most_s, more):
    stage.publish(1)
    chance = np.random.default_rng(0)

    class Laboured(ShowState):
        def light(self, now_s):
            stage.clock.sleep(chance.uniform(0.0005, most_s))
            return super().light(now_s)

    stage.display.refresh_s = 1e-6
    stage.present(40)
    stage.state = Laboured()
    begin_s = stage.clock.now_s()
    stage.present(40 * int(FPS))
    seconds = stage.clock.now_s() - begin_s
    assert seconds > 0.95 * 40
    shown_s = np.array(stage.display.shown_s[-40 * int(FPS) :])
    assert all(np.sum((shown_s >= at) & (shown_s < at + 1.0)) < FPS + more for at in shown_s)


def test_what_is_due_within_half_a_picture_of_the_next_one_belongs_to_it(stage):
    stage.publish(1)
    stage.present(100)
    stage.clock.sleep(0.4 / FPS)
    assert stage.presenter.ahead_s == pytest.approx((0.6 + 0.5) / FPS)
    stage.display.refresh_s = 1 / 144
    stage.present(1000)
    assert stage.presenter.ahead_s == pytest.approx(1.5 / 144, rel=0.01)


@pytest.mark.parametrize("refresh_s", [0.0, 1 / 144])
def test_a_display_that_hung_makes_what_is_due_come_hardly_earlier(stage, refresh_s):
    stage.publish(1)
    stage.display.refresh_s = refresh_s
    stage.present(1000)
    stage.clock.sleep(stage.presenter.left_s())
    before_s = stage.presenter.ahead_s
    stage.display.refresh_s = 1.0
    stage.present()
    stage.display.refresh_s = refresh_s
    stage.clock.sleep(stage.presenter.left_s())
    assert stage.presenter.ahead_s == pytest.approx(before_s, abs=0.12 / FPS)


def test_a_crossfade_is_continuous_from_the_one_stream_to_the_other_whatever_their_sizes(stage):
    stage.settings = Settings().with_values({"show.drift": 0.0})
    stage.publish_waves(0, 64, 0.7)
    stage.publish_waves(1, 32, 1.1)
    first = stage.present(100)
    step = np.abs(stage.present().astype(int) - first).mean()
    pictures = []
    for share in np.linspace(0.0, 1.0, 201):
        stage.balance = float(share * share * (3.0 - 2.0 * share))  # as it is faded in a show
        pictures.append(stage.present().astype(int))
    steps = [np.abs(after - before).mean() for before, after in itertools.pairwise(pictures)]
    assert np.abs(pictures[-1] - pictures[0]).mean() > 10, "they are two"
    assert max(steps) < 3 * np.mean(steps), "no step is a jump"
    assert np.abs(stage.present().astype(int) - pictures[-1]).mean() < 2 * step + 0.5, "it has arrived"


def test_images_are_counted_in_the_stream_that_is_seen_most_and_the_unseen_one_is_not_read(stage):
    stage.publish(1)
    stage.publish(2, stream=1)
    stage.present()
    assert (stage.board["presented"], stage.latency.count) == (1, 1)
    stage.balance = 0.4
    stage.present()
    assert stage.latency.count == 1, "the other one is not in the lead"
    stage.balance = 0.6
    stage.publish(3, stream=1)
    stage.present()
    assert stage.latency.count == 2


def test_a_cut_to_a_stream_without_an_image_leaves_the_last_picture(stage):
    stage.publish(1)
    assert stage.present().std() > 10
    stage.balance = 1.0
    assert stage.present(3).std() > 10
    stage.publish(2, stream=1)
    stage.balance = 0.0
    stage.present()
    stage.balance = 1.0
    second = stage.present()
    assert second.std() > 10
    stage.state = ShowState(freeze=True)
    assert stage.present(5).std() > 10
