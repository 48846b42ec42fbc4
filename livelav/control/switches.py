"""The show's switches: what is blacked out, frozen, locked, shown; and how light fades. The time is passed in."""

from dataclasses import dataclass, replace

from livelav.control.commands import AskQuit, Command, LeaveFullscreen, Quit, ShowCommand, Toggle

FADE_S = 0.3  # blackout fades: a hard cut at a gig looks like a fault
QUIT_AGAIN_S = 1.0  # within this a second quit key counts: no single accidental press ends a show


@dataclass(frozen=True, slots=True)
class ShowState:
    """The show's switches at one moment; every change makes a new state."""

    blackout: bool = False
    freeze: bool = False
    lock: bool = False  # keys but the unlocking one do nothing
    pattern: bool = False  # the test pattern instead of the picture
    hud: bool = False
    fullscreen: bool = False
    operator: bool = False  # the operator's own window
    quit: bool = False
    fade_from: float = 1.0  # light level when blackout was last switched
    faded_s: float = float("-inf")  # when that was
    asked_quit_s: float = float("-inf")

    def apply(self, command: ShowCommand, now_s: float) -> "ShowState":
        """The state after `command`, given at `now_s` (monotonic seconds)."""
        match command:
            case Toggle("blackout"):
                return replace(self, blackout=not self.blackout, fade_from=self.light(now_s), faded_s=now_s)
            case Toggle(switch):
                return replace(self, **{switch: not getattr(self, switch)})
            case LeaveFullscreen():
                return replace(self, fullscreen=False)
            case AskQuit():
                return replace(self, quit=self.quit or now_s - self.asked_quit_s <= QUIT_AGAIN_S, asked_quit_s=now_s)
            case Quit():
                return replace(self, quit=True)

    def takes(self, command: Command) -> bool:
        """Whether a key that sends `command` does anything now."""
        return not self.lock or command == Toggle("lock")

    def light(self, now_s: float) -> float:
        """How bright the output is: 1 shown, 0 black, between them while a blackout fades in or out."""
        travelled = max(now_s - self.faded_s, 0.0) / FADE_S
        if self.blackout:
            return max(self.fade_from - travelled, 0.0)
        return min(self.fade_from + travelled, 1.0)

    def quit_pending(self, now_s: float) -> bool:
        """Whether a first quit key waits for its second, so that the HUD can say so."""
        return not self.quit and now_s - self.asked_quit_s <= QUIT_AGAIN_S
