"""Which synth plays, which comes, which goes: a show's seats with children that only pretend, and a clock by hand."""

import itertools
import random
from dataclasses import replace

import pytest

from livelav.core.scene import Drawn
from livelav.core.shm import Board, Histogram, Latest, SampleRing, StopFlag
from livelav.live.presenter import PACE_FIELDS
from livelav.live.relay import Relay
from livelav.live.synth import IMAGE_FIELDS, SYNTH_FIELDS, TURN_FIELDS, SynthConfig, SynthShared
from livelav.live.synths import Asked, Synths

TURN_S = 1 / 60
FADE_S = 2.0


class PretendedChild:
    """As main sees one: it says what the test lets it say, and is gone some turns after it was dismissed."""

    def __init__(self, config, seat, log):
        self.args, self.board = (config, seat), seat.board
        self.restarts, self.was_live, self.hung_after_s = 0, False, 0.0
        self.events, self.deaths = [], 0
        self.plays, self.unbuilt = config.model, ""
        self._log, self._dismissed, self._polls_to_go = log, False, 2

    @property
    def model(self):
        return self.args[0].model

    def start(self, now_s):
        self.board["live"] = 0.0
        self._log.append(("start", self.model))

    def loads(self):
        """It has made its first image."""
        facts = {
            "model": f"loaded {self.model}",
            "plays": self.plays,
            "sha256": "",
            "backend": "b",
            "unbuilt": self.unbuilt,
        }
        self.events.append({"kind": "loaded", **facts})
        self.board["live"] = 1.0
        self.was_live = True

    def says(self, kind, text):
        self.events.append({"kind": kind, "text": text})

    def poll(self, now_s):
        if self._dismissed:
            self._polls_to_go -= 1
            return []
        events, self.events = self.events, []
        return events

    def forgive(self):
        self.deaths = 0

    def crashes(self, now_s):
        return self.deaths

    def hurry(self):
        self._log.append(("hurry", self.model))

    def dismiss(self):
        self._dismissed = True
        self._log.append(("dismiss", self.model))

    @property
    def is_gone(self):
        return self._dismissed and self._polls_to_go <= 0


def make_seats():
    ring, wanted, pace, stop = SampleRing(1024), Latest(1, "f8"), Board(PACE_FIELDS), StopFlag()

    relay = Relay()

    def seat():
        turn, images = Board(TURN_FIELDS), Latest(4, "u1", IMAGE_FIELDS)
        return SynthShared(ring, wanted, pace, turn, images, Board(SYNTH_FIELDS), Histogram(), Histogram(), stop, relay)

    return seat(), seat()


class Show:
    """Turns a pair of seats as main does."""

    def __init__(self, loading_turns=30):
        self.log, self.children = [], []
        self.seats = make_seats()
        self.synths = Synths(self.seats, self._make, SynthConfig("first", "auto", "auto", "const"))
        self.children[0].loads()
        self.now_s, self.loading_turns = 100.0, loading_turns
        self.noise = "const"
        self.model, self.loads, self.seconds, self.cue_s, self.frozen = "first", None, FADE_S, 0.0, False
        self.events, self.balances, self._age = [], [], {}
        self.turn()

    def _make(self, config, seat):
        self.children.append(PretendedChild(config, seat, self.log))
        return self.children[-1]

    def turn(self, n=1):
        for _ in range(n):
            self.now_s += TURN_S
            for child in self.children:
                self._age[id(child)] = self._age.get(id(child), 0) + 1
                if self._age[id(child)] == self.loading_turns and not child.was_live:
                    child.loads()
            self.events += self.synths.poll(self.now_s)
            due_s = -(-self.now_s // self.cue_s) * self.cue_s if self.cue_s else self.now_s
            drawn = Drawn(self.model, self.noise)
            loads = Drawn(self.loads or self.model, self.noise)
            asked = Asked(drawn, loads, self.seconds, due_s, self.now_s + TURN_S)
            self.events += self.synths.step(asked, self.now_s, self.frozen)
            self.balances.append(self.synths.balance)

    def until(self, condition, most=2000):
        """Turns until it holds; returns how many."""
        for n in range(most):
            if condition(self):
                return n
            self.turn()
        raise AssertionError(f"not within {most} turns: {self.log}, {self.synths.coming}")

    def coming(self):
        return self.synths.coming and self.synths.coming[1]

    def plays(self, model):
        return lambda show: show.synths.model == model and show.synths.coming is None

    def kinds(self, kind):
        return [event for event in self.events if event["kind"] == kind]


@pytest.fixture
def show():
    return Show()


def test_a_model_is_loaded_faded_to_in_time_and_the_one_before_is_let_go(show):
    show.model = "second"
    show.until(lambda s: s.coming() == "loads")
    assert show.children[1].args[0] == SynthConfig("second", "auto", "auto", "const", joins=True)
    show.until(lambda s: s.coming() == "fades")
    assert show.synths.balance == 0.0 and show.synths.model == "first"
    turns = show.until(show.plays("second"))
    assert turns * TURN_S == pytest.approx(FADE_S, abs=3 * TURN_S)
    assert show.synths.balance == 1.0
    assert show.log == [("start", "second"), ("dismiss", "first")]
    assert [event["model"] for event in show.kinds("loaded")] == ["loaded first", "loaded second"]
    assert not show.children[1].args[0].joins, "if it dies now, everybody waits for it"
    show.turn(5)
    assert show.synths.others == []


def test_the_picture_never_jumps_but_where_a_cut_was_asked_for(show):
    for model in ("second", "third", "first"):
        show.model = model
        show.until(show.plays(model))
    steps = [abs(b - a) for a, b in itertools.pairwise(show.balances)]
    assert max(steps) <= 1.6 * TURN_S / FADE_S
    show.seconds, show.model = 0.0, "second"
    show.until(show.plays("second"))
    assert abs(show.balances[-1] - show.balances[-3]) in (0.0, 1.0)


def test_a_cue_is_loaded_for_before_its_beat_and_begins_with_it(show):
    show.loads = "second"
    show.until(lambda s: s.coming() == "waits")
    assert show.seats[1].turn["apart_s"] > 0, "it draws rarely while nobody sees it"
    show.turn(200)
    assert show.coming() == "waits" and show.synths.balance == 0.0
    show.model = "second"
    show.turn()
    assert show.coming() == "fades" and show.seats[1].turn["apart_s"] == 0


@pytest.mark.parametrize(("tick_s", "shared"), [(0.002, False), (0.012, True)])
def test_two_that_are_seen_draw_by_turns_where_the_machine_is_slow(show, tick_s, shared):
    for seat in show.seats:
        seat.pace["period_s"], seat.board["tick_s"] = TURN_S, tick_s
    show.model = "second"
    show.until(lambda s: s.coming() == "fades")
    assert [seat.turn["apart_s"] > TURN_S for seat in show.seats] == [shared, shared]
    show.until(show.plays("second"))
    assert show.seats[1].turn["apart_s"] == 0
    show.model = "third"
    show.until(lambda s: s.synths.balance < 0.7)
    show.model = "second"
    show.until(lambda s: s.coming() is None)
    assert show.seats[1].turn["apart_s"] == 0


def test_one_that_is_ready_too_late_begins_with_the_next_beat_that_recalls_wait_for(show):
    show.cue_s, show.model = 2.0, "second"
    show.until(lambda s: s.coming() == "waits")
    show.until(lambda s: s.coming() == "fades")
    assert show.now_s % 2.0 > 2.0 - 3 * TURN_S or show.now_s % 2.0 < TURN_S


def test_a_cue_that_is_taken_back_leaves_nothing(show):
    show.loads = "second"
    show.until(lambda s: s.coming() == "waits")
    show.loads = None
    show.until(lambda s: s.coming() is None)
    show.turn(10)
    assert show.synths.others == [] and show.synths.model == "first" and set(show.balances) == {0.0}


def test_while_one_loads_the_newest_wins_and_processes_are_not_started_all_the_time(show):
    for n in range(100):
        show.model = f"number {n}"
        show.turn()
    show.until(show.plays("number 99"))
    starts = [model for what, model in show.log if what == "start"]
    assert starts[-1] == "number 99" and len(starts) <= 100 * TURN_S / 0.5 + 2
    assert set(show.balances[:100]) == {0.0}, "what nobody wants any more was never seen"


def test_one_that_takes_long_is_told_to_stand_back_no_longer():
    show = Show(loading_turns=600)
    show.model = "second"
    show.turn(200)
    assert show.log == [("start", "second")]
    show.until(show.plays("second"))
    hurried = show.log.count(("hurry", "second"))
    assert 1 <= hurried <= 600 * TURN_S / 4.0, "and again: it may have stood back only after that"
    assert [one for one in show.log if one[0] != "hurry"] == [("start", "second"), ("dismiss", "first")]


def test_back_to_what_plays_while_another_loads_ends_that(show):
    show.model = "second"
    show.until(lambda s: s.coming() == "loads")
    show.model = "first"
    show.turn(100)
    assert show.log == [("start", "second"), ("dismiss", "second")]
    assert set(show.balances) == {0.0}


def test_undone_in_the_middle_the_fade_goes_back_the_same_way(show):
    show.model = "second"
    show.until(lambda s: s.synths.balance > 0.5)
    show.model = "first"
    show.until(lambda s: s.coming() is None)
    assert show.synths.model == "first" and show.synths.balance == 0.0
    assert max(abs(b - a) for a, b in itertools.pairwise(show.balances)) <= 1.6 * TURN_S / FADE_S
    assert show.log == [("start", "second"), ("dismiss", "second")]


@pytest.mark.parametrize(("at", "over"), [(0.1, "first"), (0.9, "second")])
def test_a_third_model_hurries_a_long_fade_to_its_nearer_end(show, at, over):
    show.seconds, show.model = 30.0, "second"
    show.until(lambda s: s.synths.balance > at)
    show.model = "third"
    assert show.until(lambda s: s.coming() != "fades") * TURN_S < 1.0
    assert show.synths.model == over
    show.until(lambda s: s.coming() == "fades")
    assert [model for what, model in show.log if what == "start"] == ["second", "third"]


def test_frozen_the_picture_stays_and_the_fade_goes_on_afterwards(show):
    show.model = "second"
    show.until(lambda s: s.synths.balance > 0.3)
    show.frozen, before = True, show.synths.balance
    show.turn(300)
    assert show.synths.balance == before
    show.frozen = False
    show.until(show.plays("second"))


@pytest.mark.parametrize(
    ("kind", "text"), [("error", "no model 'second'"), ("restart", "synth ended with code -9: starting it again")]
)
def test_one_that_cannot_load_changes_nothing_and_is_told_once(show, kind, text):
    show.loading_turns, show.model = 10_000, "second"
    show.until(lambda s: s.coming() == "loads")
    show.children[1].says(kind, text)
    show.turn(2)
    (refused,) = show.kinds("refused")
    assert refused["drawn"].model == "second" and "staying with model first" in refused["text"]
    assert text.removesuffix(": starting it again") in refused["text"] and "again" not in refused["text"]
    assert show.kinds("warning") == show.kinds("restart") == show.kinds("error") == []
    show.model = "first"  # as main then asks for
    show.turn(100)
    assert show.synths.model == "first" and show.synths.others == [] and set(show.balances) == {0.0}
    assert show.log == [("start", "second"), ("dismiss", "second")]


def test_why_it_died_is_the_reason_given(show):
    show.loading_turns, show.model = 10_000, "second"
    show.until(lambda s: s.coming() == "loads")
    show.children[1].says("warning", "ValueError in stylegan2.py:7: odd")
    show.children[1].says("restart", "synth ended with code 1: starting it again")
    show.turn(2)
    assert "ValueError" in show.kinds("refused")[0]["text"]


def test_what_was_stepped_around_while_loading_is_told_once_it_plays(show):
    show.model = "second"
    show.until(lambda s: s.coming() == "loads")
    show.children[1].says("warning", "torch instead of openvino")
    show.until(lambda s: s.coming() == "fades")
    assert show.kinds("warning") == []
    show.until(show.plays("second"))
    assert [event["text"] for event in show.kinds("warning")] == ["torch instead of openvino"]


def test_other_noise_maps_come_as_another_model_does(show):
    show.noise = "random"
    show.until(lambda s: s.coming() == "fades")
    assert show.children[1].args[0] == SynthConfig("first", "auto", "auto", "random", joins=True)
    assert show.synths.coming == ("noise random", "fades")
    show.until(lambda s: s.coming() is None)
    assert show.synths.drawn == Drawn("first", "random")
    show.loading_turns, show.noise = 10_000, "none"
    show.until(lambda s: s.coming() == "loads")
    show.children[2].says("error", "no engine runs it")
    show.turn(2)
    (refused,) = show.kinds("refused")
    assert refused["drawn"] == Drawn("first", "none")
    assert "staying with noise random instead of none" in refused["text"]


def building(show):
    """The model plays, and the engine that it is to have is being built."""
    show.children[0].unbuilt = "tensorrt"
    show.children[0].loads()
    show.until(lambda s: s.coming() == "loads")


def test_an_engine_is_built_beside_what_plays_and_faded_to():
    show = Show(loading_turns=600)
    building(show)
    assert show.synths.coming == ("tensorrt", "loads")
    config = show.children[1].args[0]
    assert config == SynthConfig("first", "tensorrt", "auto", "const", joins=True, builds=True)
    show.children[1].says("progress", "building it, 40 %")
    shows = show.synths.shows
    show.turn(2)
    assert show.synths.progress == "building it, 40 %"
    show.until(lambda s: s.coming() == "fades")
    assert show.synths.shows == shows, "what a take notes is the picture, and that stays the same"
    show.until(show.plays("first"))
    assert (show.synths.at, show.synths.balance) == (1, 1.0)
    assert show.log == [("start", "first"), ("dismiss", "first")], "nobody waits for it: it is never called forward"
    assert show.children[1].args[0] == SynthConfig("first", "tensorrt", "auto", "const"), "if it dies, it is kept"
    show.turn(200)
    assert len(show.children) == 2


@pytest.mark.parametrize("kind", ["error", "restart"])
def test_an_engine_that_cannot_be_built_is_told_of_and_not_tried_again(kind):
    show = Show(loading_turns=10_000)
    building(show)
    show.children[1].says(kind, "no memory is left")
    show.turn(300)
    assert [event["text"] for event in show.kinds("warning")] == [
        "no memory is left; staying with b instead of tensorrt"
    ]
    assert show.kinds("refused") == [] and len(show.children) == 2 and set(show.balances) == {0.0}


def test_what_is_asked_for_comes_before_an_engine_that_is_built():
    show = Show(loading_turns=100)
    building(show)
    show.model = "second"
    show.until(show.plays("second"))
    assert show.log[:3] == [("start", "first"), ("dismiss", "first"), ("start", "second")]
    assert show.children[2].args[0].backend == "auto" and not show.children[2].args[0].builds
    show.children[2].unbuilt = "tensorrt"
    show.children[2].loads()
    show.until(lambda s: s.coming() == "loads")
    assert show.children[3].args[0] == SynthConfig("second", "tensorrt", "auto", "const", joins=True, builds=True)


def test_an_engine_that_dies_while_it_is_faded_to_is_faded_back_from():
    show = Show(loading_turns=100)
    building(show)
    show.seconds = 30.0
    show.until(lambda s: s.synths.balance > 0.2)
    show.children[1].says("restart", "synth ended with code -9: starting it again")
    show.until(lambda s: s.coming() is None)
    show.turn(300)
    assert (show.synths.at, show.synths.balance, len(show.children)) == (0, 0.0, 2)
    assert [event["text"] for event in show.kinds("warning")] == [
        "synth ended with code -9; staying with b instead of tensorrt"
    ]


@pytest.mark.parametrize("fades", [False, True])
def test_what_stands_in_for_a_model_that_keeps_dying_is_not_taken_over_by_its_engine(fades):
    show = Show(loading_turns=100 if fades else 10_000)
    building(show)
    if fades:
        show.until(lambda s: s.synths.balance > 0.2)
    show.model = "default"
    show.synths.stand_in(SynthConfig("default", "openvino", "embedded", "const"))
    assert show.synths.coming is None and show.synths.balance == 0.0
    show.turn(300)
    assert show.synths.drawn == Drawn("default", "const") and len(show.children) == 2
    assert show.log[-1] == ("dismiss", "first") and show.children[0].model == "default"


def test_a_process_that_cannot_be_ended_is_told_of_once():
    show = Show(loading_turns=30)
    show.model = "second"
    show.until(lambda s: s.coming() == "fades")
    show.children[0]._polls_to_go = 1200
    show.until(show.plays("second"))
    show.model = "third"
    show.turn(400)
    assert not show.kinds("warning") and len(show.children) == 2
    show.turn(400)
    assert [event["text"] for event in show.kinds("warning")] == [
        "a generator's process does not end: no other model can come until it does"
    ]
    show.until(show.plays("third"))
    assert len(show.kinds("warning")) == 1


def test_how_far_a_long_import_is_can_be_seen_and_what_came_of_it_is_what_starts_again():
    show = Show(loading_turns=60)
    show.model = "/usb/strange.pkl"
    show.until(lambda s: s.coming() == "loads")
    show.children[1].says("progress", "importing it, statistics 40 %")
    show.children[1].plays = "strange"
    show.turn(2)
    assert show.synths.progress == "importing it, statistics 40 %"
    show.until(lambda s: s.coming() == "fades")
    assert show.synths.progress == ""
    show.until(show.plays("/usb/strange.pkl"))
    assert show.children[1].args[0].model == "strange", "which is in the library, whatever becomes of the file"
    assert show.kinds("progress") == show.kinds("warning") == []


def test_one_that_dies_while_it_is_faded_to_is_faded_back_from(show):
    show.model, show.seconds = "second", 30.0
    show.until(lambda s: s.synths.balance > 0.2)
    show.children[1].says("restart", "synth ended with code -9: starting it again")
    show.turn(5)
    (refused,) = show.kinds("refused")
    assert refused["drawn"].model == "second" and "code -9" in refused["text"]
    show.model = "first"
    show.until(lambda s: s.coming() is None)
    assert show.synths.model == "first" and show.synths.balance == 0.0
    assert len(show.kinds("refused")) == 1, "told once"


def test_nobody_comes_before_the_first_one_ever_played():
    show = Show(loading_turns=10_000)
    show.children[0].was_live = False
    show.model = "second"
    show.turn(100)
    assert show.log == []


def test_figures_are_counted_over_all_that_played_and_are_those_of_the_one_that_plays(show):
    show.seats[0].board["images"], show.seats[1].board["images"] = 10.0, 5.0
    assert show.synths.count("images") == 15
    assert show.synths.board is show.seats[0].board
    show.children[0].restarts = 2
    show.model = "second"
    show.until(show.plays("second"))
    assert (show.synths.at, show.synths.restarts) == (1, 2)
    assert show.synths.board is show.seats[1].board
    show.children[1].restarts = 1
    assert show.synths.restarts == 3


def test_whatever_is_asked_for_in_whatever_order_two_play_at_most_and_the_last_is_reached():
    chance = random.Random(3)
    show = Show(loading_turns=7)
    for _ in range(300):
        show.model = chance.choice(("first", "second", "third"))
        show.loads = chance.choice((None, None, "first", "second", "third"))
        show.seconds = chance.choice((0.0, 0.3, 3.0))
        show.frozen = chance.random() < 0.1
        show.turn(chance.randrange(1, 60))
        assert len(show.synths.others) <= 2
        assert 0.0 <= show.synths.balance <= 1.0
    show.loads, show.frozen = None, False
    show.until(show.plays(show.model))
    starts, ends = ([model for what, model in show.log if what == one] for one in ("start", "dismiss"))
    assert len(starts) == len(ends), "as many went as came"
    assert replace(show.children[-1].args[0], model="x", joins=False) == SynthConfig("x", "auto", "auto", "const")
