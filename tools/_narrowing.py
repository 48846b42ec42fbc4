"""A generator with fewer channels that learns to paint what a finished one paints, from the same W.

It begins with those of the finished one's channels that count most for what they are read by. Then it is shown ws and
what the finished one makes of them: with styles mixed, and also further out than z reaches, where loud music drives
them. That is quick, and leaves soft what it has no channels for; so in the end an adversary joins in, which knows the
training set and asks for pictures as crisp as those. Mapping network, W and its statistics stay what they are: presets
look as they did.

All chance is drawn from the step's number: a run that was interrupted goes on as if it had not been. Knows no file.
"""

import copy
from collections.abc import Callable
from typing import Any

import dataset
import torch
from _adversary import Adversary, descend, lower_precision
from _training import EMA_IMAGES, FINAL_LEARNING_RATE, MIXING, Phase, difference, few_figures
from PIL import Image
from torch import Tensor

from livelav.core.values import W_DIM
from livelav.generate.layout import Config, Layer
from livelav.generate.stylegan2 import StyleGAN2
from livelav.mapping.mapper import layer_group

FAR = 0.5  # share of the ws that lie nearer to W's mean, or further off, than z has them
REACH = 0.3, 2.0  # times so far
JUDGED_RATE = 0.25  # of a phase's rate beside an adversary, who has more to learn: faster ones leave the teacher behind
CHOSEN_BY = 256  # ws: the channels that are kept
SHOWN = 8


class Pupil:
    """All that it remembers: networks, their optimisers, the number of steps and images so far."""

    def __init__(
        self,
        teacher: StyleGAN2,
        config: Config,
        plan: tuple[Phase, ...],
        seed: int,
        origin: str,
        device: torch.device,
        fuse: bool,
    ) -> None:
        """`config`: the teacher's with fewer channels; `origin`: the teacher's digest."""
        torch.manual_seed(seed)
        self.config, self.plan, self.seed, self.origin, self.device = config, plan, seed, origin, device
        self.teacher = teacher.requires_grad_(False).to(device, memory_format=torch.channels_last)
        self.generator = narrowed(teacher, config).to(device, memory_format=torch.channels_last)
        self.generator.mapping.requires_grad_(False)
        self.kept = copy.deepcopy(self.generator).requires_grad_(False)  # the average that is shown and shipped
        self.adversary = Adversary(config.resolution, device, fuse)
        self.optimiser = torch.optim.Adam(self.generator.synthesis.parameters(), betas=(0.9, 0.99), fused=True)
        self.steps = self.images = 0
        self.seconds = 0.0
        self._groups = torch.tensor([layer_group(r) for r in config.ws_resolutions], device=device)
        fused: Callable[..., Any] = torch.compile if fuse else lambda function, **_: function
        self._paint = fused(self.generator.synthesis, dynamic=False)
        self._teach = fused(self.teacher.synthesis, dynamic=False)
        self._difference = fused(difference, dynamic=False)

    @property
    def total_images(self) -> int:
        return sum(phase.images for phase in self.plan)

    @property
    def phase(self) -> Phase | None:
        """The phase that the next step belongs to; None at the end."""
        before = 0
        for phase in self.plan:
            before += phase.images
            if self.images < before:
                return phase
        return None

    def step(self) -> dict[str, float]:
        """One step of the present phase; what it measured."""
        phase = self.phase
        assert phase is not None, "the plan has ended"
        torch.manual_seed(self.seed * 1_000_003 + self.steps)
        left = 1.0 - self.images / self.total_images
        rate = phase.learning_rate * max(min(4.0 * left, 1.0), FINAL_LEARNING_RATE)
        (group,) = self.optimiser.param_groups
        group["lr"] = rate * (JUDGED_RATE if phase.adversary else 1.0)
        group["betas"] = (0.5 if phase.adversary else 0.9, 0.99)
        self.adversary.set_rate(rate)
        near = phase.batch - round(FAR * phase.batch)
        ws = self._draw_ws(near, phase.batch - near)
        with lower_precision(self.device):
            with torch.no_grad():
                target = self._teach(ws, noise_mode="none")
            image = self._paint(ws, noise_mode="none")
        loss = self._difference(image, target)
        measured = {"difference": float(loss.detach())}
        if phase.adversary:
            loss = loss + self.adversary.doubt(image[:near])
        with self.adversary.standing_still():
            descend(self.optimiser, loss)
        if phase.adversary:
            true = dataset.render(dataset.draw(self.seed, self.images, near), self.config.resolution).to(self.device)
            true = true.contiguous(memory_format=torch.channels_last)
            measured |= self.adversary.learn(image[:near], true, self.steps)
        self._average(phase.batch)
        self.steps += 1
        self.images += phase.batch
        return measured

    def finished(self) -> StyleGAN2:
        """What has been learnt so far."""
        return copy.deepcopy(self.kept).cpu()

    def _average(self, batch: int) -> None:
        half_life = min(EMA_IMAGES, 0.05 * self.images + 1.0)
        with torch.no_grad():
            old, new = list(self.kept.synthesis.parameters()), list(self.generator.synthesis.parameters())
            torch._foreach_lerp_(old, new, 1.0 - 0.5 ** (batch / half_life))

    @torch.no_grad()
    def _draw_ws(self, near: int, far: int) -> Tensor:
        """ws [near + far, num_ws, 512]: as z has them, then as sound may drive them; some with mixed styles."""
        count, mapping = near + far, self.teacher.mapping
        low, high = REACH
        reach = torch.cat([torch.ones(near), low + (high - low) * torch.rand(far)]).to(self.device)
        w = mapping(torch.randn(3 * count, W_DIM, device=self.device)).view(3, count, W_DIM)
        coarse, middle, fine = mapping.w_avg + reach[:, None] * (w - mapping.w_avg)
        mixed = (torch.rand(2, count, 1, device=self.device) < MIXING).float()
        by_group = [coarse, torch.lerp(coarse, middle, mixed[0]), torch.lerp(coarse, fine, mixed[1])]
        return torch.stack(by_group, dim=1)[:, self._groups]

    # -- what is kept

    def state(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self._parts().items()} | {
            "counters": {"steps": self.steps, "images": self.images, "seconds": self.seconds}
        }

    def load_state(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        counters = state["counters"]
        self.steps, self.images, self.seconds = counters["steps"], counters["images"], counters["seconds"]

    def _parts(self) -> dict[str, Any]:
        return {
            "generator": self.generator,
            "kept": self.kept,
            "judge": self.adversary.network,
            "optimiser": self.optimiser,
            "judge_optimiser": self.adversary.optimiser,
        }

    @torch.no_grad()
    def show(self) -> Image.Image:
        """Rows: the teacher's pictures and the pupil's of the same ws; then both, further out."""
        torch.manual_seed(self.seed)
        near, far = self._draw_ws(SHOWN, SHOWN).split(SHOWN)
        networks = self.teacher.synthesis, self.kept.synthesis
        images = [paint(ws, noise_mode="none") for ws in (near, far) for paint in networks]
        return dataset.sheet(torch.cat(images).clamp(-1, 1).cpu(), SHOWN)

    @torch.no_grad()
    def figures(self) -> dict[str, float]:
        """The Fréchet distance to training images; of few pictures, and therefore rough."""
        torch.manual_seed(self.seed)

        def paint(count: int) -> Tensor:
            ws = self.kept.mapping(torch.randn(count, W_DIM, device=self.device))[:, None]
            return self.kept.synthesis(ws.expand(-1, self.config.num_ws, -1), noise_mode="none")

        return few_figures(self.seed, self.config.resolution, paint)


@torch.no_grad()
def narrowed(teacher: StyleGAN2, config: Config) -> StyleGAN2:
    """A generator of `config`, the teacher's but for its channels: those of them are left that count most, by the
    weights of the layers that read them and by the styles that they are read with."""
    mine, own = StyleGAN2(config), dict(teacher.state_dict())
    w = teacher.mapping(torch.randn(CHOSEN_BY, W_DIM, device=teacher.mapping.w_avg.device))
    big, small = teacher.config.layers, {layer.name: layer for layer in config.layers}
    assert config.channels(4) == teacher.config.channels(4), "the constant's channels are all kept"

    def counts(layer: Layer) -> Tensor:
        """Of each of its inputs, how much it makes of it; 1 on the mean."""
        weight = own[f"synthesis.{layer.name}.weight"].square().sum(dim=(0, 2, 3)).sqrt()
        style = teacher.synthesis.get_submodule(f"{layer.name}.affine")(w).abs().mean(0)
        return (weight * style) / (weight * style).mean()

    convolutions = [layer for layer in big if layer.kind != "rgb"]
    inputs = {convolutions[0].name: torch.arange(convolutions[0].inputs)}
    state = {name: tensor for name, tensor in own.items() if name.startswith("mapping.")}
    state["synthesis.b4.const"] = own["synthesis.b4.const"]
    for layer, following in zip(convolutions, [*convolutions[1:], None], strict=True):
        painters = [one for one in big if one.kind == "rgb" and one.resolution == layer.resolution]
        readers = [*(painters if layer.kind == "conv" else ()), *([following] if following else ())]
        outputs = small[layer.name].outputs
        chosen = torch.stack([counts(reader) for reader in readers]).sum(0).topk(outputs).indices.sort().values
        inputs |= {reader.name: chosen for reader in readers}
        name, kept = f"synthesis.{layer.name}", inputs[layer.name]
        state[f"{name}.weight"] = own[f"{name}.weight"][chosen][:, kept]
        state[f"{name}.bias"] = own[f"{name}.bias"][chosen]
    for layer in big:
        name, kept = f"synthesis.{layer.name}", inputs[layer.name]
        for part in ("weight", "bias"):
            state[f"{name}.affine.{part}"] = own[f"{name}.affine.{part}"][kept]
        if layer.kind == "rgb":  # whose gain is that of its number of inputs
            state[f"{name}.weight"] = own[f"{name}.weight"][:, kept] * (len(kept) / layer.inputs) ** 0.5
            state[f"{name}.bias"] = own[f"{name}.bias"]
    mine.load_state_dict(mine.state_dict() | state)
    return mine
