"""Runs a generator with torch: float32 on a CPU, float16 on a CUDA card. The static-weight form, one call an image.

The number of threads is torch's own setting and holds for the whole process. Runs in the thread that calls it.
"""

from livelav.core.errors import BackendError
from livelav.core.values import W_DIM, Bytes, Floats
from livelav.generate.layout import LRELU_SLOPE, NoiseMode
from livelav.generate.static import StaticLayer, StaticNetwork

try:
    import torch
    from torch import Tensor
    from torch.nn import functional as F  # noqa: N812
except ImportError as error:
    raise BackendError(f"torch cannot be loaded ({error}): pip install torch, or --backend openvino") from error

NOISE_SEED = 0


class _Layer:
    """One StaticLayer's constants on the device."""

    def __init__(self, static: StaticLayer, device: torch.device, dtype: torch.dtype) -> None:
        def put(array: Floats, kind: torch.dtype = dtype) -> Tensor:
            return torch.from_numpy(array).to(device, kind)

        self.layer, self.scale, self.clamp = static.layer, static.scale, static.clamp
        # styles and their sums of squares stay in float32: they are small, and float16 cannot hold the squares
        self.style_weight, self.style_bias = (
            put(static.style_weight, torch.float32),
            put(static.style_bias, torch.float32),
        )
        self.weight_squares, self.eps = put(static.weight_squares, torch.float32), put(static.eps, torch.float32)
        weight = put(static.weight).contiguous(memory_format=torch.channels_last)
        self.weight = weight.transpose(0, 1) if static.layer.kind == "up" else weight
        self.bias = put(static.bias[None, :, None, None])
        self.noise, self.noise_strength = put(static.noise), static.noise_strength
        self.shortcut = None if static.shortcut is None else put(static.shortcut[:, :, None, None])


class TorchBackend:
    """One network on one device. Synchronous; used by one thread at a time."""

    def __init__(
        self, network: StaticNetwork, threads: int, noise_mode: NoiseMode = "const", device: str | None = None
    ) -> None:
        """`device` is "cpu" or "cuda"; None takes CUDA where there is one. Raises BackendError."""
        torch.set_num_threads(threads)
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._dtype = torch.float16 if device == "cuda" else torch.float32
        self._noise_mode = noise_mode
        try:
            self._device = torch.device(device)
            self._layers = [_Layer(static, self._device, self._dtype) for static in network.layers]
            self._const = torch.from_numpy(network.const[None]).to(self._device, self._dtype)
            self._fir = torch.from_numpy(network.fir).to(self._device)
            self._random = torch.Generator(self._device).manual_seed(NOISE_SEED)
        except (RuntimeError, AssertionError) as error:  # a torch without CUDA asserts
            reason = str(error).splitlines()[0]
            raise BackendError(f"torch cannot use {device!r} ({reason}); try --backend openvino") from error
        self.name = f"torch {device} {'fp16' if self._dtype is torch.float16 else 'fp32'}"
        self._num_ws = network.config.num_ws

    @torch.inference_mode()
    def synthesize(self, ws: Floats, noise: float = 1.0) -> Bytes:
        """See backend.Backend."""
        try:
            image = self._synthesize(torch.from_numpy(ws).to(self._device), noise)
            pixels: Bytes = image.cpu().numpy()  # the one point where the host waits
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise BackendError(f"torch failed ({reason}); try --backend openvino") from error
        return pixels

    def warmup(self) -> None:
        """See backend.Backend."""
        self.synthesize(torch.zeros(self._num_ws, W_DIM).numpy())

    def _synthesize(self, ws: Tensor, noise: float) -> Tensor:
        x = self._const
        image: Tensor | None = None
        shortcut: Tensor | None = None
        for layer in self._layers:
            style = F.linear(ws[layer.layer.ws], layer.style_weight, layer.style_bias)
            if layer.layer.kind == "rgb":
                rgb = (F.conv2d(x * self._spread(style), layer.weight) + layer.bias).float()
                rgb = rgb if layer.clamp is None else rgb.clamp(-layer.clamp, layer.clamp)
                image = rgb if image is None else self._upsample(image) + rgb
                continue
            if layer.shortcut is not None:
                shortcut = self._upsample(F.conv2d(x, layer.shortcut))
            x = self._modulated(layer, x, style)
            if self._noise_mode == "const":
                x = x + layer.noise * noise
            elif self._noise_mode == "random":
                drawn = torch.randn(x.shape[2:], generator=self._random, device=self._device)
                x = x + (drawn * (layer.noise_strength * noise)).to(self._dtype)
            x = F.leaky_relu(x + layer.bias, LRELU_SLOPE)
            x = x if layer.clamp is None else x.clamp(-layer.clamp, layer.clamp)
            if shortcut is not None and layer.layer.kind == "conv":
                x, shortcut = x + shortcut, None
        assert image is not None, "the last block always has an rgb layer"
        alpha = torch.ones_like(image[:, :1])
        rgba = torch.cat([image, alpha], dim=1) * 127.5 + 128.0
        return rgba.clamp(0.0, 255.0)[0].permute(1, 2, 0).to(torch.uint8).contiguous()

    def _modulated(self, layer: _Layer, x: Tensor, style: Tensor) -> Tensor:
        """Convolution and demodulation. The style is brought to a largest entry of 1, which demodulation undoes:
        so float16 cannot overflow in between."""
        largest = style.abs().max().clamp_min(1e-8)
        style = style / largest
        energy = layer.weight_squares @ style.square() + layer.eps / largest.square()
        styled = x * self._spread(style)
        if layer.layer.kind == "up":
            y = F.conv_transpose2d(styled, layer.weight, stride=2)  # [2h + 1, 2w + 1]: the filter takes the odd one
            y = F.conv2d(y, self._filters(layer.layer.outputs), padding=1, groups=layer.layer.outputs)
        else:
            y = F.conv2d(styled, layer.weight, padding=1)
        return y * self._spread(layer.scale * torch.rsqrt(energy))

    def _upsample(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        filters = self._filters(channels).to(x.dtype)
        return F.conv_transpose2d(x, filters, stride=2, padding=1, groups=channels)

    def _filters(self, channels: int) -> Tensor:
        return self._fir.to(self._dtype).expand(channels, 1, *self._fir.shape)

    def _spread(self, per_channel: Tensor) -> Tensor:
        return per_channel.to(self._dtype)[None, :, None, None]
