"""From controls to commands: knobs, encoders, pads; takeover; learning what a control is."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livelav.control.banks import Bank
from livelav.control.bindings import RELATIVE, Binding, Curve, Mode, conflicts, default_bindings, steps
from livelav.control.commands import ACTIONS, Put, SetParam
from livelav.control.hands import Hands
from livelav.control.learn import LONGEST_S, QUIET_S, Learning
from livelav.control.messages import Control, Moved
from livelav.core.errors import MidiError
from livelav.core.params import BY_NAME, PARAMS, Settings

NORM = BY_NAME["mapping.norm"]
KNOB = Control("cc", 20)
PAD = Control("note", 36)
START = Settings()


def cc(value: int, number: int = 20, channel: int = 0) -> tuple[str, Moved]:
    return "port", Moved(Control("cc", number, channel), value)


def note(velocity: int, number: int = 36) -> tuple[str, Moved]:
    return "port", Moved(Control("note", number, 9), velocity)


def after(hands: Hands, settings: Settings, *moves: tuple[str, Moved]) -> Settings:
    """The settings once the commands of all moves were performed, one after another."""
    for move in moves:
        for command in hands.follow([move], settings):
            assert isinstance(command, SetParam)
            settings = settings.with_values({command.name: command.value})
    return settings


def test_the_missions_five_knobs_are_bound_from_the_start() -> None:
    hands = Hands((), default_bindings())
    names = ["mapping.norm", "mapping.slope", "smoothing.coarse", "smoothing.middle", "smoothing.fine"]
    commands = hands.follow([cc(127, 20 + i, channel=i) for i in range(5)], START)
    assert commands == [SetParam(name, BY_NAME[name].hi) for name in names]


@given(
    st.sampled_from(PARAMS),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from(["even", "slow", "fast"]),
    st.floats(0, 1),
)
def test_travel_and_knob_are_inverses(param: object, lo: float, hi: float, curve: Curve, travel: float) -> None:
    if abs(hi - lo) < 0.05:
        return
    binding = Binding(KNOB, "mapping.norm", lo=lo, hi=hi, curve=curve)
    assert binding.travel(binding.knob(travel)) == pytest.approx(travel, abs=1e-6)


@given(st.lists(st.integers(0, 127), min_size=1))
def test_only_the_last_of_many_values_is_left(values: list[int]) -> None:
    commands = Hands((), default_bindings()).follow([cc(value) for value in values], START)
    assert commands == [SetParam("mapping.norm", NORM.value(values[-1] / 127))]


def test_a_channel_and_a_port_are_asked_for() -> None:
    hands = Hands((), [Binding(Control("cc", 20, 3), "mapping.norm", port="nanoKONTROL")])
    assert not hands.follow([("nanoKONTROL2 MIDI 1", Moved(Control("cc", 20, 2), 5))], START)
    assert not hands.follow([("Launchpad", Moved(Control("cc", 20, 3), 5))], START)
    assert hands.follow([("NanoKontrol2 MIDI 1", Moved(Control("cc", 20, 3), 5))], START)


def test_both_halves_of_a_fine_knob_count() -> None:
    hands = Hands((), [Binding(KNOB, "mapping.norm", mode="fine")])
    (command,) = hands.follow([cc(64), cc(3, 52)], START)
    assert command == SetParam("mapping.norm", pytest.approx(NORM.value((64 << 7 | 3) / 16383)))
    (command,) = hands.follow([cc(127), cc(127, 52)], START)
    assert command == SetParam("mapping.norm", NORM.hi)


@pytest.mark.parametrize(("mode", "up", "down"), [("twos", 1, 127), ("sign", 1, 65), ("offset", 65, 63)])
def test_encoders_step_up_and_down(mode: Mode, up: int, down: int) -> None:
    assert mode in RELATIVE
    assert (steps(mode, up), steps(mode, down)) == (1, -1)
    hands = Hands((), [Binding(KNOB, "mapping.norm", mode=mode)])
    moved = after(hands, START, *[cc(up)] * 5, *[cc(down)] * 4)
    assert NORM.knob(moved["mapping.norm"]) == pytest.approx(NORM.knob(START["mapping.norm"]) + 1 / 127)
    assert after(hands, START, *[cc(up)] * 200)["mapping.norm"] == NORM.hi


def test_many_steps_at_once_add_up() -> None:
    hands = Hands((), [Binding(KNOB, "mapping.norm", mode="twos")])
    (command,) = hands.follow([cc(1)] * 10, START)
    assert isinstance(command, SetParam)
    assert NORM.knob(command.value) == pytest.approx(NORM.knob(START["mapping.norm"]) + 10 / 127)


def test_a_pad_changes_sides_or_holds() -> None:
    toggle = Hands((), [Binding(PAD, "show.feedback", mode="toggle", hi=0.5)])
    high, low = BY_NAME["show.feedback"].value(0.5), BY_NAME["show.feedback"].lo
    assert after(toggle, START, note(100), note(0))["show.feedback"] == pytest.approx(high)
    assert after(toggle, START, note(100), note(0), note(90), note(0))["show.feedback"] == low


def test_a_pad_that_is_held_goes_back_to_what_was_before_unless_something_else_has_moved_it() -> None:
    hands = Hands((), [Binding(PAD, "mapping.norm", mode="momentary", hi=0.5)])
    stood = START.with_values({"mapping.norm": 1.3})
    held = after(hands, stood, note(100), note(90))  # the second one's end was lost
    assert held["mapping.norm"] == NORM.value(0.5)
    assert after(hands, held, note(0)) == stood
    held = after(hands, stood, note(100))
    recalled = held.with_values({"mapping.norm": 3.0})
    assert after(hands, recalled, note(0)) == recalled
    assert after(hands, stood, note(0)) == stood, "nobody held it"


def test_a_switch_is_on_while_its_pad_is_held() -> None:
    hands = Hands((), [Binding(PAD, "blackout", mode="momentary"), Binding(Control("cc", 50), "freeze", "momentary")])
    assert hands.follow([note(100), note(90), note(0), note(0)], START) == [
        Put("blackout", True),
        Put("blackout", True),  # the first one's end was lost
        Put("blackout", False),
    ]
    assert hands.follow([cc(v, 50) for v in (10, 127, 0)], START) == [Put("freeze", True), Put("freeze", False)]


def test_every_note_that_begins_is_a_press_though_the_end_of_the_last_was_lost() -> None:
    hands = Hands((), [Binding(PAD, "blackout", mode="press")])
    assert hands.follow([note(100), note(100)], START) == [ACTIONS["blackout"]] * 2


def test_a_row_of_pads_is_a_fader() -> None:
    pads = [Binding(Control("note", 36 + i), "mapping.norm", mode="set", hi=i / 3) for i in range(4)]
    hands = Hands((), pads)
    for i in (3, 0, 2):
        assert after(hands, START, note(90, 36 + i), note(0, 36 + i))["mapping.norm"] == NORM.value(i / 3)


def test_a_button_performs_an_action_once_a_press() -> None:
    hands = Hands((), [Binding(PAD, "blackout", mode="press"), Binding(Control("cc", 50), "freeze", mode="press")])
    assert hands.follow([note(100), note(0), note(1)], START) == [ACTIONS["blackout"]] * 2
    assert hands.follow([cc(v, 50) for v in (10, 64, 100, 127, 0, 127)], START) == [ACTIONS["freeze"]] * 2


def test_a_button_that_sends_127_with_every_press_and_never_0_works_each_time() -> None:
    presses = [cc(127, 50)] * 3
    assert Hands((), [Binding(Control("cc", 50), "tap", "press")]).follow(presses, START) == [ACTIONS["tap"]] * 3
    toggle = Hands((), [Binding(Control("cc", 50), "show.feedback", "toggle")])
    feedback = BY_NAME["show.feedback"]
    assert after(toggle, START, *presses)["show.feedback"] == feedback.hi
    assert after(toggle, START.with_values({"show.feedback": feedback.hi}), *presses)["show.feedback"] == feedback.lo
    assert (
        Hands((), [Binding(Control("cc", 50), "freeze", "momentary")]).follow(presses, START)
        == [Put("freeze", True)] * 3
    ), "one that something else has put off is put on again"
    hold = Hands((), [Binding(KNOB, "mapping.norm", "momentary", hi=0.5)])
    held = after(hold, START, cc(127), cc(127))
    assert held["mapping.norm"] == NORM.value(0.5) and after(hold, held, cc(0)) == START
    recalled = after(hold, START, cc(127)).with_values({"mapping.norm": 3.0})
    assert after(hold, recalled, cc(127), cc(0)) == recalled, "the first one's end was lost"


@given(st.lists(st.integers(64, 126), min_size=1, unique=True))
def test_a_fader_that_is_pressed_against_its_end_presses_once(way: list[int]) -> None:
    hands = Hands((), [Binding(Control("cc", 50), "freeze", mode="press")])
    assert hands.follow([cc(v, 50) for v in (10, *way, 127, 127, 127)], START) == [ACTIONS["freeze"]]


def test_every_action_can_be_bound_and_none_ends_the_show() -> None:
    for name in ACTIONS:
        Binding(PAD, name, mode="press")
    assert "quit" not in ACTIONS


def test_pickup_waits_for_the_knob_to_pass_however_fast_it_is() -> None:
    hands = Hands((), [Binding(KNOB, "mapping.norm", takeover="pickup")])
    begun = after(hands, START, cc(0))
    assert begun == START, "the knob stands at its end, the value elsewhere"
    assert hands.ghosts() == {"mapping.norm": 0.0}
    passed = after(hands, begun, cc(100))
    assert passed["mapping.norm"] == NORM.value(100 / 127)
    assert hands.ghosts() == {}
    recalled = passed.with_values({"mapping.norm": 0.5})
    assert after(hands, recalled, cc(101)) == recalled, "a preset moved it: picked up anew"
    assert after(hands, recalled, cc(5))["mapping.norm"] == NORM.value(5 / 127)


@given(st.floats(0, 1), st.lists(st.integers(0, 127), min_size=2, max_size=40))
def test_pickup_never_jumps(start: float, travel: list[int]) -> None:
    """The value follows no further than the knob moved, and not before the knob came past."""
    hands = Hands((), [Binding(KNOB, "mapping.norm", takeover="pickup")])
    settings = START.with_values({"mapping.norm": NORM.value(start)})
    before = None
    for value in travel:
        was = NORM.knob(settings["mapping.norm"])
        settings = after(hands, settings, cc(value))
        jump = abs(NORM.knob(settings["mapping.norm"]) - was)
        assert jump <= (2 / 127 if before is None else abs(value - before) / 127 + 2 / 127)
        before = value


def test_what_still_stands_where_the_show_began_the_first_knob_has_at_once() -> None:
    hands = Hands((), default_bindings())
    hands.begin(START, "pickup")
    moved = after(hands, START, cc(100), cc(30))
    assert moved["mapping.norm"] == NORM.value(30 / 127)
    recalled = START.with_values({"mapping.slope": 0.9})
    assert after(hands, recalled, cc(10, 21)) == recalled, "a preset has it, and the knob must come past"
    late = Hands((), default_bindings())
    late.begin(START, "pickup")
    for settings in (recalled, START):  # recalled, and the first preset again
        late.see(settings)
    assert after(late, START, cc(126, 21)) == START, "it was somebody's since"
    assert after(hands, recalled, cc(127, 21))["mapping.slope"] == BY_NAME["mapping.slope"].hi
    hands.came_back("port")
    assert after(hands, START, cc(10)) == START, "it may stand anywhere"


@given(st.floats(0, 1), st.lists(st.integers(0, 127), min_size=2, max_size=40))
def test_a_knob_that_moves_by_its_own_way_never_jumps_or_turns_round_and_reaches_both_ends(
    start: float, travel: list[int]
) -> None:
    hands = Hands((), [Binding(KNOB, "mapping.norm", takeover="relative")])
    settings = START.with_values({"mapping.norm": NORM.value(start)})
    assert after(hands, settings, cc(travel[0])) == settings, "a knob's first word only says where it stands"
    for before, value in itertools.pairwise(travel):
        was = NORM.knob(settings["mapping.norm"])
        settings = after(hands, settings, cc(value))
        assert hands.ghosts() == {}, "it waits for nothing"
        went, end = NORM.knob(settings["mapping.norm"]) - was, 0.0 if value < before else 1.0
        left = abs(value / 127 - end) / abs(before / 127 - end) if value != before else 1.0
        assert abs(was + went - end) == pytest.approx(abs(was - end) * left, abs=1e-6)
    for end in (0, 127, 0):
        settings = after(hands, settings, cc(64), cc(end))
        assert NORM.knob(settings["mapping.norm"]) == pytest.approx(end / 127)


def test_the_show_says_what_knobs_do_that_name_nothing_themselves() -> None:
    recalled = START.with_values({"mapping.norm": 2.0, "mapping.slope": 0.5})
    for takeover, stands in (("jump", NORM.value(10 / 127)), ("pickup", 2.0), ("relative", 2.0)):
        hands = Hands((), [Binding(KNOB, "mapping.norm"), Binding(Control("cc", 21), "mapping.slope", takeover="jump")])
        hands.begin(START, takeover)  # type: ignore[arg-type]
        settings = after(hands, recalled, cc(10), cc(10, 21))
        assert settings["mapping.norm"] == stands
        assert settings["mapping.slope"] == BY_NAME["mapping.slope"].value(10 / 127)
        assert set(hands.ghosts()) == ({"mapping.norm"} if takeover == "pickup" else set())


def test_no_ghost_stays_of_a_binding_that_no_longer_holds() -> None:
    hands = Hands((), [Binding(KNOB, "mapping.norm", takeover="pickup")])
    after(hands, START, cc(0))
    learnt_since = Bank("learnt", "", "", (Binding(Control("cc", 20, 0), "show.hue", port="port"),))
    hands.bind([learnt_since], [Binding(KNOB, "mapping.norm", takeover="pickup")])
    assert hands.ghosts() == {}, "another binding stands before it"
    hands.bind([], [Binding(KNOB, "mapping.norm", takeover="pickup")])
    after(hands, START, cc(0))
    hands.bind([], [Binding(KNOB, "mapping.norm", takeover="pickup"), Binding(Control("cc", 21), "mapping.slope")])
    assert hands.ghosts() == {"mapping.norm": 0.0}, "as before"
    hands.bind([], [])
    assert hands.ghosts() == {}


def test_after_an_unplug_every_knob_picks_up() -> None:
    hands = Hands((), default_bindings())
    settings = after(hands, START, cc(64))
    hands.came_back("port")
    assert after(hands, settings, cc(10)) == settings
    assert after(hands, settings, cc(80))["mapping.norm"] == NORM.value(80 / 127)


def test_who_was_not_away_goes_on_and_no_box_speaks_for_another() -> None:
    hands = Hands((), default_bindings())
    mine, other = (lambda value: ("mine", cc(value)[1])), (lambda value: ("other", cc(value)[1]))
    settings = after(hands, START, mine(10), other(100), mine(12))
    hands.came_back("other")
    settings = after(hands, settings, mine(11))
    assert settings["mapping.norm"] == NORM.value(11 / 127), "it was not unplugged"
    assert after(hands, settings, other(120)) == settings, "only its own way counts as coming past"
    assert after(hands, settings, other(5))["mapping.norm"] == NORM.value(5 / 127)


def test_a_pad_that_was_held_when_its_box_went_is_no_longer_down() -> None:
    hands = Hands((), [Binding(PAD, "blackout", mode="press")])
    assert hands.follow([note(100)], START)
    hands.came_back("port")
    assert hands.follow([note(100)], START) == [ACTIONS["blackout"]]


def test_a_twin_is_another_box_but_a_bank_is_for_both() -> None:
    moved = Moved(Control("cc", 20, 0), 64)
    learnt_one = Hands((), [Binding(KNOB, "mapping.norm", port="nanoKONTROL2 MIDI 1")])
    of_both = Hands((), [Binding(KNOB, "mapping.norm", port="nanoKONTROL2")])
    for name, heard in (("nanoKONTROL2 MIDI 1", True), ("nanoKONTROL2 MIDI 1 #2", False)):
        assert bool(learnt_one.follow([(name, moved)], START)) == heard
        assert of_both.follow([(name, moved)], START)


def test_a_control_bound_to_none_moves_nothing_that_others_would_bind() -> None:
    bank = Bank("mine", "", "", (Binding(KNOB, "none"),))
    assert Hands([bank], default_bindings()).follow([cc(64)], START) == []


def test_a_program_change_acts_each_time_and_program_0_is_one() -> None:
    hands = Hands((), [Binding(Control("program", 0), "blackout", mode="press")])
    program = "port", Moved(Control("program", 0, 3), 127)
    assert hands.follow([program, program], START) == [ACTIONS["blackout"]] * 2
    assert not hands.follow([("port", Moved(Control("program", 1, 3), 127))], START)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"target": "mapping.nrom"}, "did you mean 'mapping.norm'"),
        ({"target": "blackout"}, "wants press"),
        ({"target": "shift", "mode": "toggle"}, "wants press"),
        ({"target": "next", "mode": "momentary"}, "wants press; momentary is for switches"),
        ({"target": "mapping.norm", "mode": "press"}, "another mode"),
        ({"target": "mapping.norm", "lo": 0.5, "hi": 0.5}, "must be different"),
        ({"target": "mapping.norm", "hi": 1.5}, "from 0 to 1"),
        ({"control": Control("bend", 0), "target": "mapping.norm", "mode": "twos"}, "only cc"),
    ],
)
def test_a_binding_that_cannot_be_says_why(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(MidiError, match=said):
        Binding(**({"control": KNOB} | wrong))  # type: ignore[arg-type]


def test_only_the_lower_controllers_have_a_fine_half() -> None:
    with pytest.raises(MidiError, match="fine half"):
        Binding(Control("cc", 40), "mapping.norm", mode="fine")


def test_conflicts_are_found() -> None:
    one = Binding(KNOB, "mapping.norm")
    assert not conflicts(default_bindings())
    assert conflicts([one, Binding(Control("cc", 20, 4), "mapping.slope")])
    assert conflicts([Binding(KNOB, "mapping.norm", mode="fine"), Binding(Control("cc", 52), "mapping.slope")])
    assert not conflicts(
        [Binding(Control("cc", 20, 1), "mapping.norm"), Binding(Control("cc", 20, 4), "mapping.slope")]
    )
    assert not conflicts([Binding(KNOB, "mapping.norm", port="a"), Binding(KNOB, "mapping.slope", port="b")])


# ---- learning


def learnt(target: str, *moves: tuple[float, tuple[str, Moved]]) -> Binding | None:
    learning, last_s = Learning(target, 0.0), 0.0
    for when_s, (port, moved) in moves:
        learning.hear(port, moved, when_s)
        last_s = when_s
        assert learning.result(when_s) is None or when_s - moves[0][0] >= LONGEST_S, "the hand is still at it"
    return learning.result(last_s + QUIET_S)


def every(gap_s: float, moves: list[tuple[str, Moved]]) -> list[tuple[float, tuple[str, Moved]]]:
    return [(i * gap_s, move) for i, move in enumerate(moves)]


@pytest.mark.parametrize(
    ("values", "mode"),
    [
        ([60, 61, 63, 66, 64], "absolute"),
        ([127, 126, 124], "absolute"),
        ([1], "absolute"),
        ([1, 1, 2, 1, 127, 127, 126, 127], "twos"),
        ([1, 1, 2, 1, 65, 65, 66, 65], "sign"),
        ([65, 65, 66, 63, 63, 62], "offset"),
        ([63, 63, 63, 63], "offset"),
        ([1, 1, 1, 1], "twos"),
        ([127, 0], "toggle"),
        ([127, 127, 127], "toggle"),
        ([126, 127, 127, 127], "absolute"),
        ([2, 1, 0, 0, 0], "absolute"),
    ],
)
def test_what_a_control_is_shows_in_what_it_sends(values: list[int], mode: Mode) -> None:
    binding = learnt("mapping.norm", *every(0.02, [cc(value, 70, 5) for value in values]))
    assert binding == Binding(Control("cc", 70, 5), "mapping.norm", mode, port="port")


def test_a_pair_of_controllers_within_80_ms_is_a_fine_knob() -> None:
    pairs = [cc(value, number) for value in (64, 65, 66) for number in (7, 39)]
    assert learnt("mapping.norm", *every(0.03, pairs)) == Binding(
        Control("cc", 7, 0), "mapping.norm", "fine", port="port"
    )
    swapped = [cc(value, number) for value in (64, 65, 66) for number in (39, 7)]
    assert learnt("mapping.norm", *every(0.03, swapped)) == Binding(
        Control("cc", 7, 0), "mapping.norm", "fine", port="port"
    )
    apart = learnt("mapping.norm", *every(0.2, pairs))
    assert apart is not None
    assert apart.mode == "absolute", "two knobs, one after the other"


def test_the_first_control_that_moves_is_learnt() -> None:
    binding = learnt("mapping.norm", *every(0.02, [cc(5, 70), cc(6, 71), cc(7, 71), cc(8, 71)]))
    assert binding is not None
    assert binding.control == Control("cc", 70, 0)


def test_pads_toggle_parameters_and_press_actions() -> None:
    pad = learnt("show.feedback", (0.0, note(0, 40)), (0.1, note(99)), (0.2, note(0)))
    assert pad == Binding(Control("note", 36, 9), "show.feedback", "toggle", port="port")
    assert learnt("shift", (0.0, note(99))) == Binding(Control("note", 36, 9), "shift", "press", port="port")
    assert learnt("blackout", (0.0, note(99))) == Binding(Control("note", 36, 9), "blackout", "press", port="port")


def test_a_finger_on_a_fader_is_not_what_is_learnt() -> None:
    binding = learnt("mapping.norm", (0.0, note(127, 104)), *[(0.05 + 0.02 * i, cc(60 + i, 7)) for i in range(5)])
    assert binding is not None
    assert binding.control == Control("cc", 7, 0)


def test_nothing_moved_is_nothing_learnt() -> None:
    assert Learning("mapping.norm", 0.0).result(100.0) is None


def test_of_what_has_steps_a_knob_that_moves_by_its_own_way_reaches_each() -> None:
    hands = Hands((), [Binding(KNOB, "preset.cue", takeover="relative")])
    settings, seen = START, set()
    for value in range(128):
        settings = after(hands, settings, cc(value))
        seen.add(settings["preset.cue"])
    assert seen == set(BY_NAME["preset.cue"].steps)
