"""What controllers are told: the truth, once, not too often, and never against a hand; and what is no hand."""

import itertools
from collections import defaultdict, deque
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livelav.control.banks import Bank
from livelav.control.bindings import FINE_PAIR, Binding, Curve, Mode, default_bindings
from livelav.control.commands import ACTIONS, SetParam, Toggle
from livelav.control.feedback import AGAIN_S, BACK_S, EVERY_S, HOLD_S, MOST, Feedback
from livelav.control.hands import Hands
from livelav.control.lights import Shown, can_show, is_light, telling, value
from livelav.control.messages import FINE_TOP, Control, Decoder, Moved
from livelav.control.mididriver import beside
from livelav.control.switches import ShowState
from livelav.core.params import BY_NAME, PARAMS, Settings

NORM = BY_NAME["mapping.norm"]
START = Settings()
BOX = "Box"
TURN_S = 0.005


def bank(*bindings: Binding) -> Bank:
    return Bank("box", BOX, "", tuple(replace(binding, port=BOX) for binding in bindings))


def knob(number: int = 20, **options: object) -> Binding:
    return Binding(Control("cc", number, 0), "mapping.norm", **options)  # type: ignore[arg-type]


def pad(number: int, target: str, **options: object) -> Binding:
    mode = "press" if target in ACTIONS else "toggle"
    return Binding(Control("note", number, 9), target, **{"mode": mode, **options})  # type: ignore[arg-type]


class Desk:
    """The hands, what they move, and a box that shows what it is told; time goes by in turns."""

    def __init__(self, *banks: Bank, echoes: bool = False, number: int | None = 1) -> None:
        self.hands = Hands(banks, default_bindings())
        self.feedback = Feedback(self.hands)
        self.shown = Shown(START, ShowState())
        self.now_s, self.echoes, self.moves = 0.0, echoes, 0
        self.told: list[tuple[float, bytes]] = []
        self.box: dict[Control, int] = {}
        self._decoder = Decoder()
        self._coming: list[tuple[float, bytes]] = []
        if number:
            self.feedback.on_ports({BOX: number})

    def set(self, name: str, travel: float) -> None:
        settings = self.shown.settings.with_values({name: BY_NAME[name].value(travel)})
        self.shown = replace(self.shown, settings=settings)

    def switch(self, switch: str) -> None:
        self.shown = replace(self.shown, state=self.shown.state.apply(Toggle(switch), self.now_s))  # type: ignore[arg-type]

    def receive(self, *messages: bytes, port: str = BOX) -> None:
        """What arrives from a box, as main takes it."""
        for move in self.hands.moves([(port, message) for message in messages]):
            if not self.feedback.hear(*move, self.now_s):
                continue
            self.moves += 1
            for command in self.hands.follow([move], self.shown.settings):
                if isinstance(command, SetParam):
                    settings = self.shown.settings.with_values({command.name: command.value})
                    self.shown = replace(self.shown, settings=settings)
                elif isinstance(command, Toggle):
                    self.switch(command.switch)

    def run(self, seconds: float) -> list[bytes]:
        """Lets time go by; returns what the box was told meanwhile."""
        before, until_s = len(self.told), self.now_s + seconds
        while self.now_s < until_s:
            self.now_s += TURN_S
            back = [message for at_s, message in self._coming if at_s <= self.now_s]
            self._coming = [one for one in self._coming if one[0] > self.now_s]
            self.receive(*back)
            for port, messages in self.feedback.step(self.shown, self.now_s):
                assert port == BOX
                for message in messages:
                    self.told.append((self.now_s, message))
                    if isinstance(event := self._decoder.step(message), Moved):
                        self.box[event.control] = event.value
                    if self.echoes:
                        self._coming.append((self.now_s + 0.03, message))
        return [message for _, message in self.told[before:]]


def cc(value: int, number: int = 20, channel: int = 0) -> bytes:
    return bytes((0xB0 | channel, number, value))


def note(velocity: int, number: int = 36) -> bytes:
    return bytes((0x99, number, velocity))


# ---- what a control should show


SMOOTH = [p for p in PARAMS if not p.steps]  # those that move wherever their knob does


@given(
    st.sampled_from(SMOOTH),
    st.sampled_from(["even", "slow", "fast"]),
    st.sampled_from([(0.0, 1.0), (1.0, 0.0), (0.2, 0.7)]),
    st.sampled_from(["absolute", "fine"]),
    st.sampled_from([Control("cc", 20, 3), Control("nrpn", 261, 0), Control("bend", 0, 15)]),
    st.integers(0, 127),
)
def test_what_a_knob_is_told_is_what_it_would_send(
    param: object, curve: Curve, ends: tuple[float, float], mode: Mode, control: Control, travel: int
) -> None:
    """The device would send the same back from where its motor or ring then stands: nothing would change."""
    if mode == "fine" and control.kind != "cc":
        return
    binding = Binding(control, param.name, mode, curve=curve, lo=ends[0], hi=ends[1], port=BOX)  # type: ignore[attr-defined]
    desk = Desk(bank(binding))
    desk.set(binding.target, binding.knob(travel / 127))
    told = desk.run(0.1)
    settings, decoder = START, Decoder()
    for message in told:
        if isinstance(event := decoder.step(message), Moved):
            for command in Hands([bank(binding)]).follow([(BOX, event)], settings):
                assert isinstance(command, SetParam)
                settings = settings.with_values({command.name: command.value})
    stands = binding.travel(BY_NAME[binding.target].knob(settings[binding.target]))
    if mode != "fine":  # whose halves a new Hands does not remember
        assert stands == pytest.approx(travel / 127, abs=2 / 127)
    assert told == telling(binding, control, value(binding, desk.shown))


def test_the_halves_of_a_fine_fader_make_its_whole_travel() -> None:
    desk = Desk(bank(knob(7, mode="fine")))
    desk.set("mapping.norm", 0.371)
    coarse, fine = desk.run(0.1)
    assert (coarse[1], fine[1]) == (7, 7 + FINE_PAIR)
    assert (coarse[2] << 7 | fine[2]) == round(0.371 * FINE_TOP)


def test_an_encoder_without_ends_is_told_where_its_parameter_stands() -> None:
    for mode in ("twos", "sign", "offset"):
        desk = Desk(bank(knob(mode=mode)))
        desk.set("mapping.norm", 1.0)
        assert desk.run(0.1) == [cc(127)]


@pytest.mark.parametrize("mode", ["press", "momentary"])
@pytest.mark.parametrize("switch", ["blackout", "freeze", "hud", "fullscreen", "lock", "pattern"])
def test_a_switch_lights_its_pad(switch: str, mode: Mode) -> None:
    desk = Desk(bank(pad(36, switch, mode=mode)))
    assert desk.run(0.1) == [note(0)]
    desk.switch(switch)
    assert desk.run(0.1) == [note(127)]
    desk.switch(switch)
    assert desk.run(0.1) == [note(0)]


def test_the_preset_that_plays_is_lit_and_the_cued_one_blinks_with_the_beat() -> None:
    desk = Desk(bank(pad(36, "preset-1"), pad(37, "preset-2"), pad(38, "preset-3")))
    desk.run(0.1)
    desk.shown = replace(desk.shown, played=2, cued=3)
    desk.run(0.1)
    lit = {control.number: velocity for control, velocity in desk.box.items()}
    assert lit == {36: 0, 37: 127, 38: 127}
    blinks = []
    for quarter in (1, 2, 3, 0, 1, 2, 3):
        desk.shown = replace(desk.shown, quarter=quarter)
        blinks += desk.run(0.05)
    assert blinks == [note(0, 38), note(127, 38), note(0, 38)]


def test_at_the_end_lights_go_out_and_faders_stay() -> None:
    desk = Desk(bank(pad(36, "blackout"), pad(37, "freeze"), knob()))
    desk.switch("blackout")
    desk.set("mapping.norm", 1.0)
    desk.run(0.1)
    assert desk.feedback.dark() == [(BOX, [note(0, 36)])]


def test_the_beat_flashes_on_tap() -> None:
    desk = Desk(bank(pad(36, "tap")))
    for quarter in range(8):
        desk.shown = replace(desk.shown, quarter=quarter % 4)
        assert desk.run(0.05) == {0: [note(127)], 1: [note(0)]}.get(quarter % 4, [])


def test_of_a_column_of_pads_one_is_lit_wherever_the_parameter_stands() -> None:
    pads = [pad(36 + i, "mapping.norm", mode="set", hi=i / 7) for i in range(8)]
    desk = Desk(bank(*pads))
    for step in range(50):
        desk.set("mapping.norm", step / 49)
        desk.run(0.05)
        lit = [control.number - 36 for control, velocity in desk.box.items() if velocity]
        assert lit == [round(step / 49 * 7)]


def test_a_bank_says_what_its_lights_take() -> None:
    desk = Desk(bank(pad(36, "blackout", lights=(12, 60)), pad(37, "show.feedback", lights=(1, 2), hi=0.5)))
    assert sorted(desk.run(0.1)) == [note(12), note(1, 37)]
    desk.switch("blackout")
    desk.set("show.feedback", 0.5)
    assert sorted(desk.run(0.1)) == [note(60), note(2, 37)]


@given(st.sampled_from(sorted(ACTIONS)), st.sampled_from(["cc", "note", "nrpn", "bend", "program", "pressure"]))
def test_whatever_is_bound_is_shown_or_left_alone(target: str, kind: str) -> None:
    binding = Binding(Control(kind, 0, 0), target, "press", port=BOX)  # type: ignore[arg-type]
    assert is_light(binding)
    told = Desk(bank(binding)).run(0.1)
    assert bool(told) == can_show(binding)
    assert all(message[0] & 0xF0 in (0x90, 0xB0) for message in told)


# ---- when it is told


def test_a_box_that_comes_is_told_all_and_all_again_when_it_comes_back() -> None:
    bindings = [Binding(Control("cc", 20 + i, 0), p.name) for i, p in enumerate(PARAMS)]
    desk = Desk(bank(*bindings))
    first = desk.run(1.0)
    assert {message[1] for message in first} == {binding.control.number for binding in bindings}
    assert len(first) == len(bindings)
    assert sorted(desk.run(2 * AGAIN_S)) == sorted(first), "once more: a wire may have lost something"
    desk.feedback.on_ports({BOX: 1})
    assert desk.run(1.0) == [], "the same opening"
    desk.feedback.on_ports({})
    assert desk.run(1.0) == []
    desk.feedback.on_ports({BOX: 1})
    assert sorted(desk.run(1.0)) == sorted(first)
    desk.feedback.on_ports({BOX: 2})
    assert sorted(desk.run(1.0)) == sorted(first), "it was away between two looks"


def test_a_box_is_greeted_before_it_is_told_anything_and_once_more_and_no_other_is() -> None:
    hello = b"\xf0\x47\x7f\xf7"
    desk = Desk(replace(bank(pad(36, "blackout")), hello=(hello,)))
    desk.feedback.rebind()  # a preset with bindings of its own, before a word was said
    assert desk.run(0.1) == [hello, note(0)]
    desk.feedback.rebind()
    assert desk.run(AGAIN_S + 0.2) == [note(0), hello, note(0)]
    desk.feedback.rebind()
    assert desk.run(2 * AGAIN_S) == [note(0)] * 2, "it knows its mode"
    desk.feedback.on_ports({BOX: 2})
    assert desk.run(0.1) == [hello, note(0)], "it was away"
    assert desk.hands.hello("another") == ()


@given(st.lists(st.tuples(st.sampled_from(PARAMS[:12]), st.floats(0, 1)), min_size=1, max_size=60))
def test_the_box_ends_where_the_show_stands_and_is_not_told_too_much(moves: list[tuple[object, float]]) -> None:
    bindings = [Binding(Control("cc", 20 + i, 0), p.name) for i, p in enumerate(PARAMS)]
    desk = Desk(bank(*bindings))
    for param, travel in moves:
        desk.set(param.name, travel)  # type: ignore[attr-defined]
        desk.run(TURN_S)
    desk.run(0.2)
    for binding in bindings:
        assert desk.box[binding.control] == value(binding, desk.shown)
    at_once = defaultdict(list)
    for at_s, message in desk.told:
        at_once[at_s].append(message[1])
    times = sorted(at_once)
    assert all(later - earlier > EVERY_S - TURN_S / 2 for earlier, later in itertools.pairwise(times))
    assert all(len(numbers) <= MOST and len(set(numbers)) == len(numbers) for numbers in at_once.values())


def test_of_many_that_move_at_once_nobody_waits_for_long() -> None:
    bindings = [Binding(Control("cc", 20 + i, 0), p.name) for i, p in enumerate(SMOOTH)]
    assert len(bindings) > MOST
    desk = Desk(bank(*bindings))
    for step in range(10):
        for turn in range(20):
            for param in SMOOTH:
                desk.set(param.name, (20 * step + turn) / 199)
            desk.run(TURN_S)
        assert {message[1] for at_s, message in desk.told if desk.now_s - at_s < 0.1} == {
            binding.control.number for binding in bindings
        }


# ---- never against a hand


def test_what_a_hand_moves_is_left_alone_and_then_told_the_truth() -> None:
    desk = Desk(bank(knob()))
    desk.run(2 * AGAIN_S)
    for position in range(64, 100):
        desk.receive(cc(position))
        assert desk.run(0.05) == []
    assert desk.run(HOLD_S - 0.1) == []
    assert desk.run(0.2) == [cc(99)], "where it was let go"
    assert desk.run(AGAIN_S) == [cc(99)], "once more"
    assert desk.run(5.0) == []


def test_another_box_follows_a_hand_at_once() -> None:
    other = Bank("other", "Other", "", (replace(knob(7), port="Other"),))
    desk = Desk(bank(knob()), other)
    desk.run(2.0)
    desk.receive(cc(77, 7), port="Other")
    assert desk.run(0.05) == [cc(77)]


def test_a_knob_that_must_pick_up_is_told_where_the_value_stands() -> None:
    desk = Desk(bank(knob(takeover="pickup")))
    before = desk.run(2 * AGAIN_S)
    desk.receive(cc(127))
    assert desk.run(2 * AGAIN_S) == before


def test_a_press_is_answered_at_once_and_the_light_put_on_again_when_it_is_let_go() -> None:
    desk = Desk(bank(pad(36, "blackout")))
    desk.run(2.0)
    desk.receive(note(100))
    assert desk.run(0.05) == [note(127)]
    desk.receive(note(0))
    assert desk.run(1.0) == [note(127)], "many pads put their light out when they are let go"


# ---- what is no hand


def everything() -> Bank:
    lights = [pad(36, "blackout"), pad(37, "tap"), pad(38, "preset-1"), pad(39, "show.feedback")]
    knobs = [knob(7, mode="fine"), Binding(Control("cc", 50, 0), "show.hue", "twos")]
    return bank(knob(), Binding(Control("bend", 0, 0), "show.zoom"), *lights, *knobs)


@given(st.lists(st.tuples(st.sampled_from(["mapping.norm", "show.hue", "show.zoom"]), st.floats(0, 1)), max_size=20))
def test_a_box_that_sends_back_all_it_gets_moves_nothing(moves: list[tuple[str, float]]) -> None:
    desk = Desk(everything(), echoes=True)
    desk.run(1.0)
    for name, travel in moves:
        desk.set(name, travel)
        desk.switch("blackout")
        desk.shown = replace(desk.shown, quarter=(desk.shown.quarter + 1) % 4)
        desk.run(0.15)
    settings, state = desk.shown.settings, desk.shown.state
    desk.run(2 * AGAIN_S)
    assert desk.moves == 0
    assert (desk.shown.settings, desk.shown.state) == (settings, state)
    assert desk.run(5.0) == [], "it has settled"


def test_a_hand_on_a_box_that_sends_back_counts() -> None:
    desk = Desk(everything(), echoes=True)
    desk.run(3.0)
    for position in (90, 95, 100):
        desk.receive(cc(position))
        desk.run(0.02)
    desk.run(3.0)
    assert desk.shown.settings["mapping.norm"] == NORM.value(100 / 127)
    for pressed in (True, False, True):
        desk.receive(note(127), note(0))
        desk.run(3.0)
        assert desk.shown.state.blackout == pressed
    assert desk.moves == 9
    assert desk.run(5.0) == []


@pytest.mark.parametrize("pause_s", [0.3, 1.5])
def test_no_press_is_lost_on_a_box_that_does_not_send_back(pause_s: float) -> None:
    """A hand that taps on the beat, or presses again what is lit, sends the very message that the box was told."""
    desk = Desk(everything())
    desk.run(3.0)
    for beat in range(40):
        before = desk.moves
        desk.shown = replace(desk.shown, quarter=0)
        desk.run(0.02)
        desk.receive(note(127, 37))
        desk.run(0.1)
        desk.shown = replace(desk.shown, quarter=1)
        desk.run(0.02)
        desk.receive(note(0, 37))
        desk.run(pause_s)
        assert desk.moves == before + 2, f"tap {beat}"
    for press in range(40):
        desk.receive(note(127))
        desk.run(0.05)
        assert desk.shown.state.blackout == (press % 2 == 0), f"press {press}"
        desk.receive(note(0))
        desk.run(0.05)


def taps_heard(desk: Desk, offset_s: float, count: int, bpm: float = 120.0, button: str = "note") -> list[int]:
    """How many messages of each tap were heard. The beat's light flashes meanwhile; a hand taps so late each time."""
    press, release = (cc(127, 41), cc(0, 41)) if button == "cc" else (note(127, 37), note(0, 37))
    period_s, first = 60.0 / bpm, int(desk.now_s * bpm / 60.0) + 2
    due = deque(
        (beat * period_s + offset_s + later_s, message)
        for beat in range(first, first + count)
        for later_s, message in ((0.0, press), (0.1, release))
    )
    heard, until_s = [], (first + count) * period_s
    while desk.now_s < until_s:
        desk.shown = replace(desk.shown, quarter=int(desk.now_s / period_s * 4) % 4)
        desk.run(TURN_S)
        while due and due[0][0] <= desk.now_s:
            before = desk.moves
            desk.receive(due.popleft()[1])
            heard.append(desk.moves - before)
    return [one + other for one, other in zip(heard[::2], heard[1::2], strict=True)]


@pytest.mark.parametrize("bpm", [60.0, 120.0, 174.0])
@pytest.mark.parametrize("offset_s", [-0.06, -0.01, 0.01, 0.04, 0.08])
@pytest.mark.parametrize("button", ["note", "cc"])
def test_every_tap_counts_on_a_pad_whose_light_flashes(bpm: float, offset_s: float, button: str) -> None:
    """It went on flashing while nobody tapped; the pad sends a fixed 127, which is what its light is told."""
    tap = pad(37, "tap") if button == "note" else Binding(Control("cc", 41, 0), "tap", "press")
    desk = Desk(bank(tap, pad(36, "blackout")))
    for _ in range(3):
        for _ in range(8):  # nobody is at it
            taps_heard(desk, 0.0, 0, bpm)
        assert taps_heard(desk, offset_s, 16, bpm, button) == [2] * 16


@pytest.mark.parametrize("offset_s", [-0.06, -0.01, 0.01, 0.04, 0.08])
def test_every_tap_counts_right_after_its_pad_was_learnt(offset_s: float) -> None:
    """On a box without a bank: it was told nothing before."""
    for quarter_s in (0.0, 0.125, 0.25, 0.375):
        desk = Desk()
        desk.run(2.0 + quarter_s)
        desk.receive(note(127, 37), note(0, 37))  # which teaches it
        desk.run(0.5)
        desk.hands.bind([bank(pad(37, "tap"))], default_bindings())
        desk.feedback.rebind()
        assert taps_heard(desk, offset_s, 16) == [2] * 16


@pytest.mark.parametrize("offset_s", [-0.06, 0.01, 0.04])
def test_every_tap_counts_though_presets_bring_bindings_of_their_own(offset_s: float) -> None:
    desk = Desk(everything())
    desk.run(3.0)
    for _ in range(10):
        desk.feedback.rebind()
        assert taps_heard(desk, offset_s, 2) == [2] * 2


@pytest.mark.parametrize("stall_s", [0.3, 0.6, 0.9])
def test_a_box_that_sends_all_back_moves_nothing_though_the_show_begins_with_a_long_turn(stall_s: float) -> None:
    desk = Desk(everything(), echoes=True)
    desk.run(2 * TURN_S)
    desk.now_s += stall_s
    desk.run(6.0)
    assert desk.told and desk.moves == 0


@pytest.mark.parametrize("bpm", [60.0, 120.0, 174.0])
def test_a_box_that_sends_back_the_beats_flash_taps_nothing(bpm: float) -> None:
    """Also where it has no other light; and where a preset's bindings come while a flash is on its way back."""
    light = bank(pad(37, "tap"))
    opened, learnt = Desk(light, echoes=True), Desk(echoes=True)
    learnt.run(2.0)
    learnt.hands.bind([light], default_bindings())
    learnt.feedback.rebind()
    for desk in (opened, learnt):
        for _ in range(20):
            taps_heard(desk, 0.0, 0, bpm)
        for _ in range(40):
            taps_heard(desk, 0.0, 0, bpm)
            desk.run(0.01)
            desk.feedback.rebind()
        assert desk.moves == 0


def test_a_press_that_was_taken_for_an_echo_is_soon_the_last() -> None:
    """Who presses what has just been lit on a new port is not told from an echo; the next presses are."""
    desk = Desk(bank(pad(37, "tap")))
    desk.run(TURN_S)
    desk.receive(note(127, 37))
    assert desk.moves == 0
    assert taps_heard(desk, 0.04, 16)[2:] == [2] * 14


def test_a_box_may_begin_to_send_back_and_stop_again() -> None:
    desk = Desk(everything())
    desk.run(3.0)
    desk.echoes = True
    for step in range(8):
        desk.set("show.zoom", step / 8)
        desk.run(0.2)
    moves, blackout = desk.moves, desk.shown.state.blackout
    desk.switch("blackout")
    desk.run(1.0)
    assert (desk.moves, desk.shown.state.blackout) == (moves, not blackout)
    desk.echoes = False
    for step in range(10):
        desk.set("show.zoom", step / 10)
        desk.run(0.2)
    desk.run(BACK_S)
    desk.receive(note(127, 37))
    assert desk.moves == moves + 1


# ---- boxes that nobody described


def test_a_synthesiser_is_told_nothing() -> None:
    desk = Desk()
    assert desk.run(0.5) == []
    desk.receive(note(100), note(0), cc(64, 1), cc(64, 74), bytes((0xC0, 3)), bytes((0xE0, 1, 2)))
    for switch in ("blackout", "freeze"):
        desk.switch(switch)
    for param in PARAMS:
        desk.set(param.name, 0.7)
    desk.shown = replace(desk.shown, played=4)
    assert desk.run(2.0) == []


def test_a_fader_that_a_hand_has_moved_is_told_on_its_own_channel_from_then_on() -> None:
    desk = Desk()
    desk.receive(cc(64, 21, 5))
    assert desk.run(1.0) == [cc(64, 21, 5)]
    for param in PARAMS:
        desk.set(param.name, 0.0)
    assert desk.run(1.0) == [cc(0, 21, 5)], "and no other"
    desk.feedback.on_ports({BOX: 2})
    assert desk.run(1.0) == [cc(0, 21, 5)], "it is remembered while it is away"


def test_a_bank_that_leaves_the_channel_open_begins_with_the_first_and_takes_up_others() -> None:
    desk = Desk(bank(Binding(Control("cc", 16), "mapping.norm")))
    assert {message[:2] for message in desk.run(2 * AGAIN_S)} == {cc(0, 16)[:2]}
    desk.receive(cc(10, 16, 3))
    assert sorted(desk.run(1.0)) == [cc(10, 16, 0), cc(10, 16, 3)]


def test_what_another_bank_stands_before_is_not_told() -> None:
    learnt = Bank("learnt", "", "", (Binding(Control("cc", 20, 0), "show.hue", port=BOX),))
    desk = Desk(learnt, bank(knob(), pad(36, "blackout")))
    desk.set("show.hue", 1.0)
    desk.set("mapping.norm", 0.0)
    assert sorted(desk.run(1.0)) == [note(0), cc(127)]


# ---- which output is whose


@pytest.mark.parametrize(
    ("inputs", "outputs", "pairs"),
    [
        (["nano:nano MIDI 1 20:0"], ["Midi Through 14:0", "nano:nano MIDI 1 20:0"], {0: 1}),
        (["pad MIDI 1 20:0", "pad MIDI 1 24:0"], ["pad MIDI 1 24:0", "pad MIDI 1 20:0"], {0: 1, 1: 0}),
        (["system:midi_capture_1", "system:midi_capture_2"], ["system:midi_playback_2"], {1: 0}),
        (["a2j:BCF [20] (capture): BCF MIDI 1"], ["a2j:BCF [20] (playback): BCF MIDI 1"], {0: 0}),
        (["MIDIIN2 (X-Touch)"], ["X-Touch", "MIDIOUT2 (X-Touch)"], {0: 1}),
        (["Roland A-88"], ["Roland JD-08"], {}),
        (["Launchpad Mini MIDI 1"], ["Launchpad Mini MK3 MIDI 1", "Launchpad Mini MIDI 2"], {}),
        (["box in", "box in"], ["box out"], {0: 0}),
    ],
)
def test_an_output_is_beside_an_input_that_has_its_name(
    inputs: list[str], outputs: list[str], pairs: dict[int, int]
) -> None:
    assert beside(inputs, outputs) == {inputs[i]: outputs[o] for i, o in pairs.items()}
