"""Who and what a live show consists of besides main: its processes, and the memory that they share with it.

Made from what the run was told; started, watched and ended by the engine. Runs in main.
"""

from dataclasses import dataclass
from multiprocessing.context import SpawnContext
from pathlib import Path

from livelav.audio.capture import CAPTURE_FIELDS, CaptureConfig, run_capture
from livelav.control.banks import Bank
from livelav.control.link import LINK_FIELDS, run_link
from livelav.control.midi import MIDI_FIELDS, MidiConfig, run_midi
from livelav.core.running import Running
from livelav.core.scene import PACKED, Scene
from livelav.core.setlists import Song
from livelav.core.shm import Board, Histogram, Latest, SampleRing, StopFlag
from livelav.generate.layout import LARGEST
from livelav.live.booth import VIEW_BYTES, Booth, actions
from livelav.live.presenter import MAIN_FIELDS, PACE_FIELDS
from livelav.live.relay import Relay
from livelav.live.supervisor import Child
from livelav.live.synth import IMAGE_FIELDS, SYNTH_FIELDS, TURN_FIELDS, SynthConfig, SynthShared, run_synth
from livelav.live.synths import Synths
from livelav.show.operator import OPERATOR_FIELDS, VIEW_FIELDS, OperatorConfig, OperatorShared, run_operator
from livelav.show.record import PICTURE_FIELDS, RECORD_FIELDS, RecordConfig, run_recorder
from livelav.takes.diary import Diary
from livelav.takes.taking import TAKE_FIELDS, TakeConfig, run_taker

_LARGEST_IMAGE = LARGEST * LARGEST * 4
_CAPTURE_HUNG_S, _SYNTH_HUNG_S, _RECORDER_HUNG_S, _LINK_HUNG_S = 1.0, 2.5, 10.0, 1.0
_MIDI_HUNG_S = 2.5  # closing an output of JACK's may take its library a second
_OPERATOR_HUNG_S = 20.0  # some desktops stop a program while its window is dragged
_CAPTURE_OPENS_S = 5.0  # a driver may hang in opening, too


@dataclass(frozen=True, slots=True)
class LiveConfig:
    """All that one run is told at its start."""

    capture: CaptureConfig
    fallback: CaptureConfig | None  # what to play where `capture` cannot even begin
    synth: SynthConfig
    scene: Scene
    midi: MidiConfig | None  # None listens to no controller
    osc: tuple[str, int] | None  # where OSC is taken from, and where it goes to
    osc_out: tuple[str, int] | None
    link: bool = False  # whether to join an Ableton Link session
    size: tuple[int, int] = (1280, 720)
    fps: float = 60.0
    fullscreen: bool = False
    operator: bool = False  # with the operator's window
    seconds: float | None = None
    stats: Path | None = None
    record: RecordConfig | None = None
    take: TakeConfig | None = None
    preset: str | None = None  # that the scene comes from
    songs: tuple[Song, ...] = ()  # what can be recalled
    set_list: str | None = None  # the list that these are from
    stood: Running | None = None  # where the show stood that this one goes on from
    banks: tuple[Bank, ...] = ()
    notice: str = ""  # what the terminal was told, for those who look at the picture


@dataclass(frozen=True, slots=True)
class Shared:
    """Every piece of shared memory of one run."""

    ring: SampleRing
    wanted: Latest
    pace: Board
    seats: tuple[SynthShared, SynthShared]  # one for the synth that plays, one for that which comes
    pictures: Latest
    capture: Board
    recorder: Board
    taker: Board
    midi: Board
    asked: Latest
    link: Board
    operator: Board
    view: Latest
    main: Board
    latency_ms: Histogram
    stop: StopFlag


def make_shared(picture_size: int, takes: bool = False) -> Shared:
    """All of it; pictures for a recorder have `picture_size` bytes. `takes`: whether the show is taken."""
    ring, wanted, pace, stop = SampleRing(), Latest(PACKED, "f8"), Board(PACE_FIELDS), StopFlag()

    relay = Relay()

    def seat() -> SynthShared:
        turn, images = Board(TURN_FIELDS), Latest(_LARGEST_IMAGE, "u1", IMAGE_FIELDS)
        return SynthShared(
            ring, wanted, pace, turn, images, Board(SYNTH_FIELDS), Histogram(), Histogram(), stop, relay,
            Diary() if takes else None,
        )  # fmt: skip

    return Shared(
        ring=ring,
        wanted=wanted,
        pace=pace,
        seats=(seat(), seat()),
        pictures=Latest(picture_size, "u1", PICTURE_FIELDS),
        capture=Board(CAPTURE_FIELDS),
        recorder=Board(RECORD_FIELDS),
        taker=Board(TAKE_FIELDS),
        midi=Board(MIDI_FIELDS),
        asked=Latest(2, "f8"),
        link=Board(LINK_FIELDS),
        operator=Board(OPERATOR_FIELDS),
        view=Latest(VIEW_BYTES, "u1", VIEW_FIELDS),
        main=Board(MAIN_FIELDS),
        latency_ms=Histogram(),
        stop=stop,
    )


@dataclass(frozen=True, slots=True)
class Crew:
    """Every process of one run, none of them started."""

    capture: Child
    synths: Synths
    recorder: Child | None
    taker: Child | None
    midi: Child | None
    link: Child | None
    booth: Booth


def make_crew(ctx: SpawnContext, config: LiveConfig, shared: Shared) -> Crew:
    """Those that `config` asks for; an operator's window can always be asked for."""
    capture = Child(
        ctx, "capture", run_capture, (config.capture, shared.ring, shared.capture, shared.stop),
        shared.capture, _CAPTURE_HUNG_S, _CAPTURE_OPENS_S,
    )  # fmt: skip

    def make_synth(synth: SynthConfig, seat: SynthShared) -> Child:
        return Child(ctx, "synth", run_synth, (synth, seat), seat.board, _SYNTH_HUNG_S)

    synths = Synths(shared.seats, make_synth, config.synth)
    recorder = None
    if record := config.record:
        recorder = Child(
            ctx, "recorder", run_recorder, (record, shared.ring, shared.pictures, shared.recorder, shared.stop),
            shared.recorder, _RECORDER_HUNG_S,
        )  # fmt: skip
    taker = None
    if take := config.take:
        diaries = [seat.diary for seat in shared.seats]
        take_arguments = (take, shared.ring, diaries, shared.main, shared.taker, shared.stop)
        taker = Child(ctx, "taker", run_taker, take_arguments, shared.taker, _RECORDER_HUNG_S, is_told=True)
    midi = None
    if config.midi:
        arguments = (config.midi, shared.midi, shared.stop)
        midi = Child(ctx, "midi", run_midi, arguments, shared.midi, _MIDI_HUNG_S, is_told=True)
    link = None
    if config.link:
        link_arguments = (shared.asked, shared.link, shared.stop)
        link = Child(ctx, "link", run_link, link_arguments, shared.link, _LINK_HUNG_S)
    operator_shared = OperatorShared(
        shared.view, shared.ring, shared.capture, tuple(seat.board for seat in shared.seats), shared.operator,
        shared.stop,
    )  # fmt: skip
    operator = Child(
        ctx, "operator", run_operator, (OperatorConfig(actions()), operator_shared),
        shared.operator, _OPERATOR_HUNG_S,
    )  # fmt: skip
    return Crew(capture, synths, recorder, taker, midi, link, Booth(operator, shared.view))
