"""What every engine that runs a synthesis network offers. Knows no engine."""

from typing import Protocol

from livelav.core.values import Bytes, Floats


class Backend(Protocol):
    """One network, built for one device. Used by one thread at a time."""

    @property
    def name(self) -> str:
        """Engine, device and precision, as people read it: "openvino cpu bf16"."""
        ...

    def synthesize(self, ws: Floats, noise: float = 1.0) -> Bytes:
        """ws [num_ws, 512] float32 to a new image [height, width, 4], RGBA, alpha 255.

        `noise` multiplies the noise maps; 1 is the model's own strength. Any finite ws gives an image.
        Raises BackendError where the engine fails; the caller may build another.
        """
        ...

    def warmup(self) -> None:
        """Makes one image and drops it, so that the next takes no longer than any later one."""
        ...
