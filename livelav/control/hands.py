"""The hands on the controllers: MIDI messages to commands, by the bindings.

Remembers where each control stands. The settings are passed in, for a knob without ends has to know where its
parameter stands, and so has one that must pick up a value which something else has moved. It is the passing that
counts there and not the meeting: a quick hand skips the equal position. What still stands where the show began is
nobody's yet: the first knob that is moved has it. After a controller was unplugged and came back its knobs pick up,
but those that move by their own way. Runs in main.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from livelav.control.banks import Bank
from livelav.control.bindings import NOTHING, RELATIVE, SHIFT, Binding, Takeover, numbers, speaks_of, steps
from livelav.control.commands import ACTIONS, Action, Command, Panic, Put, RecallNumber, Save, SetParam, Toggle
from livelav.control.messages import COARSE_TOP, FINE_TOP, Control, Decoder, Moved
from livelav.core.params import BY_NAME, Param, Settings

NEAR = 1.5 / COARSE_TOP  # knob travel at which a value counts as picked up

_STATEFUL = (6, 38, *range(98, 102))  # controllers whose meaning hangs on what came before: see messages.py


@dataclass(slots=True)
class _Memory:
    """What is known of one binding's control."""

    travel: float | None = None  # where it stands; None until it was moved
    holds: bool = True  # whether it moves its parameter, or waits to pick it up
    value: float | None = None  # what it set last
    coarse: int = 0  # the halves of a 14-bit pair
    fine: int = 0
    down: bool = False  # a button, for what counts is the pressing
    before: float | None = None  # where its parameter stood when it went down; for what is momentary


class Hands:
    """All bindings, and where their controls stand."""

    def __init__(self, banks: Sequence[Bank], defaults: Sequence[Binding] = (), takeover: Takeover = "jump") -> None:
        """`banks` in the order of their precedence: the first that knows a control of a port has it alone.

        `defaults` are for ports that no bank is made for: what a bank leaves out is meant to be left out, but program
        changes where it has none. `takeover` is that of bindings which name none.
        """
        self._takeover: Takeover = takeover
        self._begun: Settings | None = None  # where the show began; None: nobody has said
        self._memory: dict[tuple[Binding, str, int | None], _Memory] = {}  # by binding, port and channel
        self._moved: dict[tuple[str, Control], list[tuple[Binding, _Memory]]] = {}  # what `_moved_by` has found
        # what `_is_plain` has found
        self._plain: dict[tuple[str, bytes], list[tuple[Binding, _Memory]] | None] = {}
        self._known = Counter[str]()  # by parameter, how many controls' memories are of it
        self._left: list[tuple[Binding, _Memory]] = []  # what was held down when its control or its binding went
        self._wary: set[str] = set()  # ports whose controls may stand anywhere, for they were away
        self._decoders: dict[str, Decoder] = defaultdict(Decoder)
        self.bind(banks, defaults)

    def begin(self, settings: Settings, takeover: Takeover) -> None:
        """The show begins with these settings; `takeover` is that of bindings which name none."""
        self._begun, self._takeover = settings, takeover

    def bind(self, banks: Sequence[Bank], defaults: Sequence[Binding] = ()) -> None:
        """Other banks from now on. Where those controls stand that are bound as before is still known."""
        self._moved.clear()
        self._plain.clear()
        self._claimed = [bank for bank in banks if bank.port]
        self._by_number: dict[tuple[str, int], list[tuple[int, Binding]]] = defaultdict(list)
        self._defaults_rank = len(banks)
        for rank, bindings in enumerate([*(bank.bindings for bank in banks), defaults]):
            for binding in bindings:
                for kind, number in numbers(binding):
                    self._by_number[kind, number].append((rank, binding))
        for binding, port, channel in list(self._memory):
            if binding not in self.bound(port, replace(binding.control, channel=channel)):
                self._forget(binding, port, channel)

    def moves(self, messages: Iterable[tuple[str, bytes]]) -> list[tuple[str, Moved]]:
        """(port, message) in order, to what moved."""
        events = [(port, self._decoders[port].step(message)) for port, message in messages]
        return [(port, event) for port, event in events if isinstance(event, Moved)]

    def newest(
        self, messages: Iterable[tuple[str, bytes]], settings: Settings, awaits: Callable[[str, Control], bool]
    ) -> list[tuple[str, bytes]]:
        """(port, message) in order, without those of which nothing would be left once all are followed.

        They are those of plain knobs (controllers with ends that have their parameter) before another one of the
        same knob, with nothing but plain knobs between. Every other message may count: a step, a press, the way past
        a value that is to be picked up. So may all of a control that `awaits` its echo.
        """
        left: list[tuple[str, bytes]] = []
        run: dict[tuple[str, bytes], tuple[str, bytes]] = {}  # by knob, what moved last comes last
        for one in messages:
            port, message = one
            knob = port, message[:2]
            if (
                len(message) == 3
                and message[2] <= COARSE_TOP
                and (knob in run or self._is_plain(*knob, settings, awaits))
            ):
                run.pop(knob, None)
                run[knob] = one
            else:
                left += run.values()
                left.append(one)
                run.clear()
        return [*left, *run.values()]

    def _is_plain(self, port: str, head: bytes, settings: Settings, awaits: Callable[[str, Control], bool]) -> bool:
        """Whether only the last counts of messages that begin so."""
        status, number = head
        if status & 0xF0 != 0xB0 or number > COARSE_TOP or number in _STATEFUL:
            return False
        control = Control("cc", number, status & 0x0F)
        if (port, head) not in self._plain:
            moved = self._moved_by(port, control)
            self._plain[port, head] = moved if all(binding.mode == "absolute" for binding, _ in moved) else None
        known = self._plain[port, head]
        if known is None or awaits(port, control):
            return False
        return all(self._has(binding, memory, settings[binding.target]) for binding, memory in known)

    def _has(self, binding: Binding, memory: _Memory, now: float) -> bool:
        """Whether a knob with ends has its parameter, whatever else is moved in a turn."""
        match self._takeover_of(binding):
            case "jump":
                return memory.holds
            case "pickup":  # another knob of the same parameter might take it away in between
                return memory.holds and memory.value == now and self._known[binding.target] == 1
        return False

    def _takeover_of(self, binding: Binding) -> Takeover:
        return binding.takeover or self._takeover

    def follow(self, moves: Iterable[tuple[str, Moved]], settings: Settings) -> list[Command]:
        """Moves in order, to commands; of a parameter's values between two presses the last is left."""
        values: dict[str, float] = {}
        commands: list[Command] = []
        since: dict[str, int] = {}  # where a parameter's value stands among the commands since the last press
        for port, moved in moves:
            for binding, memory in self._moved_by(port, moved.control):
                if binding.target == SHIFT:
                    pressed(memory, moved)  # remembered
                    continue
                if action := ACTIONS.get(binding.target):
                    if command := self._acted(binding, action, memory, moved):
                        if isinstance(command, Panic):  # before what is pressed behind it
                            commands += self.let_go(settings.with_values(values))
                        commands.append(command)
                        since.clear()
                    continue
                param = BY_NAME[binding.target]
                now = values.get(param.name, settings[param.name])
                if memory.value is None and self._begun and now == self._begun[param.name]:
                    memory.value = now
                value = moved_to(binding, param, memory, moved, now, self._takeover_of(binding))
                if value is not None:
                    values[param.name] = value
                    if param.name in since:
                        commands[since[param.name]] = SetParam(param.name, value)
                    else:
                        since[param.name] = len(commands)
                        commands.append(SetParam(param.name, value))
        return commands

    def _acted(self, binding: Binding, action: Action, memory: _Memory, moved: Moved) -> Command | None:
        """What a button of an action comes to now."""
        was = memory.down
        went_down = pressed(memory, moved)
        if binding.mode == "momentary":
            assert isinstance(action, Toggle), "a binding sees to it"
            return Put(action.switch, memory.down) if memory.down != was else None
        if not went_down:
            return None
        is_pad = moved.control.kind != "program"  # which a sequencer sends
        if isinstance(action, RecallNumber) and is_pad and self._is_shifted():
            return Save(number=action.number)
        return action

    def _is_shifted(self) -> bool:
        return any(memory.down for (binding, _, _), memory in self._memory.items() if binding.target == SHIFT)

    def bound(self, port: str, control: Control) -> list[Binding]:
        """What that control of that port moves."""
        heard = [
            (rank, binding)
            for rank, binding in self._by_number.get((control.kind, control.number), ())
            if binding.hears(control, port)
        ]
        if (
            heard
            and heard[0][0] == self._defaults_rank
            and any(
                speaks_of(port, bank.port, bank.not_port) and (control.kind != "program" or bank.has_programs)
                for bank in self._claimed
            )
        ):
            return []
        return [binding for rank, binding in heard if rank == heard[0][0]]

    def movers(self, target: str, ports: Iterable[str]) -> list[tuple[str, Binding]]:
        """(port, binding) of every control of these ports that moves a parameter or sets an action off."""
        known = {binding for listed in self._by_number.values() for _, binding in listed if binding.target == target}
        return [
            (port, binding)
            for port in ports
            for binding in sorted(known, key=lambda one: str(one.control))
            if binding in self.bound(port, replace(binding.control, channel=binding.control.channel or 0))
        ]

    def bindings_of(self, port: str) -> list[Binding]:
        """All that speak of that port, those that others stand before, too."""
        return [
            binding
            for (_, number), ranked in self._by_number.items()
            for _, binding in ranked
            if number == binding.control.number and speaks_of(port, binding.port, binding.not_port)
        ]

    def let_go(self, settings: Settings) -> list[Command]:
        """As if all that is held down had been let go; returns what that comes to."""
        self._left += [(binding, memory) for (binding, _, _), memory in self._memory.items() if memory.down]
        return self.left_behind(settings)

    def left_behind(self, settings: Settings) -> list[Command]:
        """What it comes to that controls, or their bindings, went while they were held down."""
        commands: list[Command] = []
        for binding, memory in self._left:
            memory.down = False
            if binding.mode == "momentary":
                action = ACTIONS.get(binding.target)
                if isinstance(action, Toggle):
                    commands.append(Put(action.switch, False))
                elif (value := _let_go(memory, settings[binding.target])) is not None:
                    commands.append(SetParam(binding.target, value))
        self._left.clear()
        return commands

    def went(self, port: str) -> None:
        """A controller is gone: nobody holds anything of it any more."""
        self._left += [
            (binding, memory) for (binding, at, _), memory in self._memory.items() if at == port and memory.down
        ]

    def hello(self, port: str) -> tuple[bytes, ...]:
        """What a box is sent when it comes: by the first bank made for it that has something to say."""
        ours = (bank for bank in self._claimed if speaks_of(port, bank.port, bank.not_port))
        return next((bank.hello for bank in ours if bank.hello), ())

    def came_back(self, port: str) -> None:
        """A controller was plugged in again: its knobs may stand anywhere and must pick up first."""
        self._wary.add(port)
        self._decoders.pop(port, None)
        for key in [key for key in self._memory if key[1] == port]:
            self._forget(*key)
        self._moved.clear()
        self._plain.clear()

    def _moved_by(self, port: str, control: Control) -> list[tuple[Binding, _Memory]]:
        """What that control of that port moves, and what is known of it."""
        found = self._moved.get((port, control))
        if found is None:
            bindings = [binding for binding in self.bound(port, control) if binding.target != NOTHING]
            found = [(binding, self._memory_of(binding, port, control.channel)) for binding in bindings]
            if found:  # of what moves nothing there is no end
                self._moved[port, control] = found
        return found

    def _memory_of(self, binding: Binding, port: str, channel: int | None) -> _Memory:
        key = binding, port, channel
        if key not in self._memory:
            self._memory[key] = _Memory(holds=port not in self._wary)
            self._known[binding.target] += 1
        return self._memory[key]

    def _forget(self, binding: Binding, port: str, channel: int | None) -> None:
        memory = self._memory.pop((binding, port, channel))
        if memory.down:
            self._left.append((binding, memory))
        self._known[binding.target] -= 1

    def ghosts(self) -> dict[str, float]:
        """Parameter to knob, where a control waits to pick it up: that is where the control stands."""
        return {
            binding.target: binding.knob(memory.travel)
            for (binding, _, _), memory in self._memory.items()
            if memory.travel is not None and not memory.holds and self._takeover_of(binding) != "relative"
        }


def pressed(memory: _Memory, moved: Moved) -> bool:
    """Whether this is the moment in which a button went down. A note that begins is one: its end may have been lost."""
    is_note = moved.control.kind == "note"
    down = moved.value > 0 if is_note else 2 * moved.value > moved.top
    was, memory.down = memory.down, down and moved.control.kind != "program"  # which nobody lets go
    return down and (is_note or not was)


def moved_to(
    binding: Binding, param: Param, memory: _Memory, moved: Moved, now: float, takeover: Takeover
) -> float | None:
    """The parameter's new value in units; None where it stays. `now` is the one that it has."""
    if binding.mode in RELATIVE:
        by = steps(binding.mode, moved.value) * max(1.0 / COARSE_TOP, param.notch)
        return param.value(_stepped(binding, param.knob(now), by))
    if binding.mode in ("toggle", "momentary", "set"):
        return _switched(binding, param, memory, moved, now)
    travel = _travel(binding, memory, moved)
    before, memory.travel = memory.travel, travel
    if takeover == "relative" and not param.steps:  # from step to step no share of the way leads
        if before is None or before == travel:
            return None
        return param.value(binding.knob(_drawn(binding.travel(param.knob(now)), before, travel)))
    if takeover != "jump" and memory.value != now:
        memory.holds = False  # something else has moved it
    if not memory.holds:
        wanted = binding.travel(param.knob(now))
        passed = before is not None and (before - wanted) * (travel - wanted) <= 0.0
        if not passed and abs(travel - wanted) > NEAR:
            return None
        memory.holds = True
    memory.value = param.value(binding.knob(travel))
    return memory.value


def _drawn(at: float, before: float, travel: float) -> float:
    """Where a value that stands `at` goes while its knob goes from `before` to `travel`; all of them 0..1.

    0 ------ at ---------------- 1        the value
    0 ------------ before ------ 1        the knob: half of its way down takes the value half of its own
    """
    if travel < before:
        return at * travel / before
    return 1.0 - (1.0 - at) * (1.0 - travel) / (1.0 - before)


def _travel(binding: Binding, memory: _Memory, moved: Moved) -> float:
    if binding.mode != "fine":
        return moved.value / moved.top
    if moved.control.number == binding.control.number:
        memory.coarse = moved.value
    else:
        memory.fine = moved.value
    return (memory.coarse << 7 | memory.fine) / FINE_TOP


def _switched(binding: Binding, param: Param, memory: _Memory, moved: Moved, now: float) -> float | None:
    was = memory.down
    went_down = pressed(memory, moved)
    if binding.mode == "momentary":
        if not memory.down:
            return _let_go(memory, now)
        if not was:
            memory.before, memory.value = now, param.value(binding.hi)
        return memory.value
    if not went_down:
        return None
    if binding.mode == "set":
        return param.value(binding.hi)
    return param.value(binding.lo if binding.is_high(param.knob(now)) else binding.hi)


def _let_go(memory: _Memory, now: float) -> float | None:
    """Where a momentary parameter goes back to; None where something else, like a recall, has moved it meanwhile."""
    before, memory.before = memory.before, None
    return before if now == memory.value else None


def _stepped(binding: Binding, knob: float, by: float) -> float:
    """So much travel on, within the binding's part of it."""
    lo, hi = sorted((binding.lo, binding.hi))
    direction = 1 if binding.hi > binding.lo else -1
    return min(max(knob + direction * by, lo), hi)
