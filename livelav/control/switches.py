"""The show's switches: what is blacked out, frozen, locked, shown; and how light fades. The time is passed in."""

from dataclasses import dataclass, replace

from livelav.control.commands import AskQuit, Command, LeaveFullscreen, Put, Quit, ShowCommand, Toggle

FADE_S = 0.3  # blackout fades: a hard cut at a gig looks like a fault
_DARKENING = ("blackout", "fade")
QUIT_AGAIN_S = 1.0  # within this a second quit key counts: no single accidental press ends a show


@dataclass(frozen=True, slots=True)
class ShowState:
    """The show's switches at one moment; every change makes a new state."""

    blackout: bool = False
    fade: bool = False  # faded to black, or on the way; blackout takes its place
    freeze: bool = False
    lock: bool = False  # keys but the unlocking one do nothing
    pattern: bool = False  # the test pattern instead of the picture
    hud: bool = False
    fullscreen: bool = False
    operator: bool = False  # the operator's own window
    quit: bool = False
    covers_fade: bool = False  # blackout began while it was faded
    held: frozenset[str] = frozenset()  # what is dark only for as long as a hand holds it: blackout, fade
    fade_from: float = 1.0  # light level when blackout or fade was last switched
    faded_s: float = float("-inf")  # when that was
    travel_s: float = FADE_S  # how long the light takes from there for its whole range
    asked_quit_s: float = float("-inf")

    @classmethod
    def begun(cls, dark: str = "") -> "ShowState":
        """A show's first; `dark` names the switch that keeps its light off."""
        return cls(blackout=dark == "blackout", fade=dark == "fade", fade_from=0.0 if dark else 1.0)

    @property
    def dark(self) -> str:
        """The switch that keeps the light off; empty where none does."""
        return "blackout" if self.blackout else "fade" if self.fade else ""

    def apply(self, command: ShowCommand, now_s: float, fade_s: float = FADE_S) -> "ShowState":
        """The state after `command`, given at `now_s` (monotonic seconds). `fade_s`: how long a fade to black takes."""
        match command:
            case Toggle("blackout"):  # where it was fading, it is black at once, and not light again
                return self._switched("blackout", now_s, FADE_S, "" if self.blackout else "blackout")
            case Toggle("fade"):
                return self._switched("fade", now_s, fade_s, "" if self.dark else "fade")
            case Toggle(switch):
                return replace(self, **{switch: not getattr(self, switch)})  # type: ignore[arg-type]
            case LeaveFullscreen():
                return replace(self, fullscreen=False)
            case AskQuit():
                return replace(self, quit=self.quit or now_s - self.asked_quit_s <= QUIT_AGAIN_S, asked_quit_s=now_s)
            case Quit():
                return replace(self, quit=True)

    def presses(self, command: Put) -> tuple[Toggle, ...]:
        """What is to be pressed where a hand holds a switch, or lets it go. Whoever made it dark, a hand that only
        comes and goes does not make it light."""
        switch = command.switch
        if getattr(self, switch) == command.on or (switch == "fade" and command.on and self.dark):
            return ()
        if switch in _DARKENING and not command.on and switch not in self.held:
            return ()
        if switch == "blackout" and not command.on and self.covers_fade:
            return Toggle("blackout"), Toggle("fade")
        return (Toggle(switch),)

    def noted(self, command: Put, before: "ShowState") -> "ShowState":
        """With who keeps it dark, once all is pressed that `command` came to in the state `before`."""
        switch = command.switch
        if switch not in _DARKENING:
            return self
        if command.on:
            return replace(self, held=before.held | {switch} if before.presses(command) else before.held)
        is_covered = switch == "fade" and switch in before.held  # no hand holds any more what blackout covers
        return replace(self, held=before.held - {switch}, covers_fade=self.covers_fade and not is_covered)

    def _switched(self, switch: str, now_s: float, travel_s: float, dark: str) -> "ShowState":
        return replace(
            self,
            blackout=dark == "blackout",
            fade=dark == "fade",
            covers_fade=self.fade and dark == "blackout",
            held=self.held - {switch},  # whoever presses it, it is nobody's who only holds it
            fade_from=self.light(now_s),
            faded_s=now_s,
            travel_s=travel_s,
        )

    def takes(self, command: Command) -> bool:
        """Whether a key that sends `command` does anything now."""
        return not self.lock or command == Toggle("lock")

    def light(self, now_s: float) -> float:
        """How bright the output is: 1 shown, 0 black, between them on the way. Of what screens take, so that it goes
        down evenly to the eye."""
        travelled = max(now_s - self.faded_s, 0.0) / self.travel_s
        if self.dark:
            return max(self.fade_from - travelled, 0.0)
        return min(self.fade_from + travelled, 1.0)

    def quit_pending(self, now_s: float) -> bool:
        """Whether a first quit key waits for its second, so that the HUD can say so."""
        return not self.quit and now_s - self.asked_quit_s <= QUIT_AGAIN_S
