"""How the MIDI process ends: what main said last is out before the port closes, though a driver drop it once."""

import itertools
from types import SimpleNamespace

import pytest

from livelav.control.midi import MIDI_FIELDS, Listener, MidiConfig
from livelav.core.clock import FakeClock
from livelav.core.shm import Board, StopFlag

DARK = ("box", (b"\x90\x10\x00",))


@pytest.mark.parametrize(("said", "sent"), [([DARK], 2), ([], 0)], ids=["a last word", "none"])
def test_the_last_word_is_said_twice_and_given_time(said, sent, monkeypatch):
    clock, board, stop, happened = FakeClock(), Board(MIDI_FIELDS), StopFlag(), []
    stop.set()
    listener = Listener(MidiConfig(("all",)), board, stop, lambda _: None, lambda: True, lambda: said, clock)

    def send(name, messages):
        happened.append((name, clock.now_s()))
        return len(messages)

    ports = SimpleNamespace(
        outputs=SimpleNamespace(send=send), close=lambda: happened.append(("closed", clock.now_s()))
    )
    monkeypatch.setattr(listener, "_ports", ports)
    listener.run()
    assert [what for what, _ in happened] == ["box"] * sent + ["closed"]
    times_s = [at_s for _, at_s in happened]
    assert all(later - earlier >= 0.02 for earlier, later in itertools.pairwise(times_s))
    assert board["sent"] == sent
