"""What every engine that runs a synthesis network offers. Knows no engine."""

from typing import Protocol

import numpy as np

from livelav.core.values import Bytes, Floats, noise_factors

OWN_NOISE = noise_factors()


class Backend(Protocol):
    """One network, built for one device."""

    @property
    def streams(self) -> int:
        """How many threads may call `synthesize` at a time."""
        ...

    @property
    def name(self) -> str:
        """Engine, device and precision, as people read it: "openvino cpu bf16"."""
        ...

    def synthesize(self, ws: Floats, noise: Floats = OWN_NOISE) -> Bytes:
        """ws [num_ws, 512] float32 to a new image [height, width, 4], RGBA, alpha 255.

        `noise` [2, 3] float32 multiplies the noise maps, as values.noise_factors says; maps that are drawn anew for
        every image know no turning and take its strength alone. Any finite ws gives an image.
        Raises BackendError where the engine fails; the caller may build another.
        """
        ...

    def warmup(self) -> None:
        """Makes one image and drops it, so that the next takes no longer than any later one."""
        ...


def one_row(noise: Floats) -> Floats:
    """Factors [2, 3] for maps that are drawn: their strength in the first row, nothing in the second."""
    return np.stack([np.hypot(*noise), np.zeros_like(noise[0])])
