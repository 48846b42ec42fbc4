"""The way of the picture from one generator's images to another's. Pure; the time is passed in.

There are two seats. One plays; where the picture goes over to the other, that one plays from then on.

    seat 0   plays ........... fades ] gone         next comes ...
    seat 1          comes    [ fades   plays .....................
    balance  0               0 ----> 1
"""

from dataclasses import dataclass


def balance(seat: int, share: float) -> float:
    """Of the picture between the seats' images: 0 the first seat's alone, 1 the second's. `share` of the way from
    `seat` to the other is gone; slow at its ends."""
    eased = share * share * (3.0 - 2.0 * share)
    return 1.0 - eased if seat else eased


@dataclass(frozen=True, slots=True)
class Crossfade:
    """Where the picture is: `share` of the way from `seat` to the other, and on its way there or back."""

    seat: int = 0
    share: float = 0.0
    onwards: bool = False
    seconds: float = 0.0  # that the whole way takes

    @property
    def is_over(self) -> bool:
        """Whether it is where it was to go."""
        return self.share == (1.0 if self.onwards else 0.0)

    def after(self, dt_s: float) -> "Crossfade":
        """So much later."""
        step = dt_s / self.seconds if self.seconds > 0 else 1.0
        share = min(max(self.share + (step if self.onwards else -step), 0.0), 1.0)
        return Crossfade(self.seat, share, self.onwards, self.seconds)
