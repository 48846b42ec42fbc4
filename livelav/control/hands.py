"""The hands on the controllers: MIDI messages to commands, by the bindings.

Remembers where each control stands, which of them are held down, and which ports were away: after a controller was
unplugged and came back its knobs pick up, but those that move by their own way. What still stands where the show began
is nobody's yet: the first knob that is moved has it. What one move comes to says moving.py. The settings are passed in.
Runs in main.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from livelav.control.banks import Bank
from livelav.control.bindings import NOTHING, SHIFT, Binding, Takeover, numbers, speaks_of
from livelav.control.commands import ACTIONS, Action, Command, Panic, Put, RecallNumber, Save, SetParam, Toggle
from livelav.control.messages import COARSE_TOP, Control, Decoder, Moved
from livelav.control.moving import Memory, gone_back, moved_to, pressed
from livelav.core.params import BY_NAME, Settings

_STATEFUL = (6, 38, *range(98, 102))  # controllers whose meaning hangs on what came before: see messages.py


class Hands:
    """All bindings, and where their controls stand."""

    def __init__(self, banks: Sequence[Bank], defaults: Sequence[Binding] = (), takeover: Takeover = "jump") -> None:
        """`banks` in the order of their precedence: the first that knows a control of a port has it alone.

        `defaults` are for ports that no bank is made for: what a bank leaves out is meant to be left out, but program
        changes where it has none. `takeover` is that of bindings which name none.
        """
        self._takeover: Takeover = takeover
        self._seen = Settings()  # where the show stood last
        self._untouched: set[str] = set()  # parameters that stand where it began, and have ever since
        self._memory: dict[tuple[Binding, str, int | None], Memory] = {}  # by binding, port and channel
        self._moved: dict[tuple[str, Control], list[tuple[Binding, Memory]]] = {}  # what `_moved_by` has found
        # what `_is_plain` has found
        self._plain: dict[tuple[str, bytes], list[tuple[Binding, Memory]] | None] = {}
        self._known = Counter[str]()  # by parameter, how many controls' memories are of it
        self._left: list[tuple[Binding, Memory]] = []  # what was held down when its control or its binding went
        self._wary: set[str] = set()  # ports whose controls may stand anywhere, for they were away
        self._decoders: dict[str, Decoder] = defaultdict(Decoder)
        self.bind(banks, defaults)

    def begin(self, settings: Settings, takeover: Takeover) -> None:
        """The show begins with these settings; `takeover` is that of bindings which name none."""
        self._takeover, self._seen, self._untouched = takeover, settings, set(settings.as_dict())

    def see(self, settings: Settings) -> None:
        """Where the show stands now, whoever moved it."""
        if settings is not self._seen:
            self._untouched = {name for name in self._untouched if settings[name] == self._seen[name]}
            self._seen = settings

    def held(self) -> dict[str, tuple[float, float]]:
        """Parameters that are held only for a moment: to which value, and what they go back to."""
        return {
            binding.target: (memory.value, memory.before)
            for (binding, _, _), memory in self._memory.items()
            if memory.down and memory.value is not None and memory.before is not None
        }

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

    def _has(self, binding: Binding, memory: Memory, now: float) -> bool:
        """Whether a knob with ends has its parameter, whatever else is moved in a turn."""
        match self._takeover_of(binding):
            case "jump":
                return memory.holds
            case "pickup":  # another knob of the same parameter might take it away in between
                return memory.holds and memory.value == now and self._known[binding.target] == 1
        return False

    def _takeover_of(self, binding: Binding) -> Takeover:
        return binding.takeover or self._takeover

    def follow(
        self, moves: Iterable[tuple[str, Moved]], settings: Settings, goals: Settings | None = None
    ) -> list[Command]:
        """Moves in order, to commands; of a parameter's values between two presses the last is left.

        `goals` is where the settings are going to, where a preset fades in: what is held only for a while goes back
        there. None: they go nowhere."""
        self.see(settings)
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
                goal = values.get(param.name, (goals or settings)[param.name])
                if memory.value is None and param.name in self._untouched and now == settings[param.name]:
                    memory.value = now
                value = moved_to(binding, param, memory, moved, now, goal, self._takeover_of(binding))
                if value is not None:
                    values[param.name] = value
                    is_back = binding.mode == "momentary" and not memory.down
                    command = SetParam(param.name, value, memory.value if is_back else None)
                    if param.name in since:
                        commands[since[param.name]] = command
                    else:
                        since[param.name] = len(commands)
                        commands.append(command)
        return commands

    def _acted(self, binding: Binding, action: Action, memory: Memory, moved: Moved) -> Command | None:
        """What a button of an action comes to now."""
        was = memory.down
        went_down = pressed(memory, moved)
        if binding.mode == "momentary":
            assert isinstance(action, Toggle), "a binding sees to it"
            return Put(action.switch, memory.down) if went_down or memory.down != was else None
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
                elif (value := gone_back(memory, settings[binding.target])) is not None:
                    commands.append(SetParam(binding.target, value, memory.value))
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

    def _moved_by(self, port: str, control: Control) -> list[tuple[Binding, Memory]]:
        """What that control of that port moves, and what is known of it."""
        found = self._moved.get((port, control))
        if found is None:
            bindings = [binding for binding in self.bound(port, control) if binding.target != NOTHING]
            found = [(binding, self._memory_of(binding, port, control.channel)) for binding in bindings]
            if found:  # of what moves nothing there is no end
                self._moved[port, control] = found
        return found

    def _memory_of(self, binding: Binding, port: str, channel: int | None) -> Memory:
        key = binding, port, channel
        if key not in self._memory:
            self._memory[key] = Memory(holds=port not in self._wary)
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
