"""Trains the encoder that livelav ships, livelav/models/encoder.safetensors, on sound made by tools/sounds.py.

    python tools/train_encoder.py --sounds FOLDER [--minutes M] [--steps N] [--checkpoint FILE [--resume]]
                                  [--measure LABEL MUSIC...] [--out FILE]

`--measure` takes a name and the files or folders of music that had no part in this; it may be given several times.

The network is in _ear.py; it learns to tell what is heard (_lessons.py) in segments of sound (_segments.py), and its
last convolution is turned at the end so that directions are about equally loud.

From step REFINING on level, spectrum and onset count for more; from step STEADYING on some segments are steady tones,
and one of each batch is another with its phase turned, which must sound the same: else tones beat with the frames. A
run is decided by its seed: batch n is drawn from (seed, n), so a resumed run equals one that was never cut off; and
since the learning rate stays level at first, `--resume --steps` may shorten or lengthen a run until it falls.
Training runs on one thread unless OMP_NUM_THREADS says otherwise.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import sounds
import torch
from _ear import FILTERS, Network, exported
from _lessons import WARM_UP, Guesser, Lessons, spread_losses
from _probes import HOP, RATE_HZ, encoder_figures, held_out_music
from _segments import SEGMENT, Library
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save
from safetensors.torch import save as save_torch
from torch import nn

from livelav.core.store import PACKAGE, write_atomic, write_json
from livelav.core.values import EmbeddingStats
from livelav.encode.encoder import load_encoder, measure

EXCERPTS, EXCERPT_S = 80, 8.0  # that the embeddings' spread is measured on
SAVE_EVERY = 100  # steps
DECAY = 0.65  # share of the steps after which the learning rate falls; until then the steps' number changes nothing
FAINTEST = 1e-3  # share of the largest variance below which a direction is not made louder
REST = 0.1  # a direction with so much variance of its steps, as a share of its own, comes at half its loudness

WEIGHTS = {
    "log_mel": 3.0,
    "semitones": 1.0,
    "chroma": 1.0,
    "onset": 1.5,
    "attacks": 0.5,
    "loudness": 0.3,
    "recent": 1.0,
    "activity": 0.3,
}
REFINING = 1200  # the step from which on some count for more: their errors are small in training's range of gains only
STEADYING = 2000  # the step from which on batches hold pairs that differ in phase alone, and steady tones
REFINED = WEIGHTS | {"log_mel": 6.0, "loudness": 3.0, "onset": 3.0}


# ---- training


@dataclass(frozen=True, slots=True)
class Plan:
    """What decides a run."""

    steps: int = 6000
    batch: int = 8
    rate: float = 2e-3
    seed: int = 1
    filters: int = FILTERS
    shortfall: float = 2.0
    covariance: float = 0.04
    unrest: float = 0.5
    phase: float = 0.5
    pairs: int = 1
    bfloat16: bool = True

    def rate_at(self, step: int) -> float:
        """Up over the first steps, level, and down to nothing from DECAY of the way on."""
        left = (self.steps - step) / (self.steps * (1 - DECAY))
        return self.rate * min((step + 1) / 100, left, 1.0)

    def weights_at(self, step: int) -> dict[str, float]:
        """How much each loss counts. Rest, asked for at once, would keep attacks from being learnt."""
        unrest = self.unrest * min(step / 1000, 3.0)
        lessons = WEIGHTS if step < REFINING else REFINED
        spread = {"shortfall": self.shortfall, "covariance": self.covariance, "unrest": unrest, "phase": self.phase}
        return lessons | spread


class Trainer:
    """A run that can be cut off after any saved step."""

    def __init__(self, plan: Plan, library: Library) -> None:
        torch.manual_seed(plan.seed)
        self.plan, self.library, self.step, self.seconds = plan, library, 0, 0.0
        self.network, self.lessons = Network(plan.filters), Lessons()
        heard = self.lessons(library.batch(plan.seed, 2**32, 48))
        self.guesser = Guesser({name: lesson.shape[2] for name, lesson in heard.items()})
        self.guesser.learn_scale(heard)
        self._optimizer = torch.optim.Adam(self._parameters().values(), betas=(0.9, 0.98))

    def advance(self) -> dict[str, float]:
        """One step; the losses before it."""
        for group in self._optimizer.param_groups:
            group["lr"] = self.plan.rate_at(self.step)
        pairs = self.plan.pairs if self.step >= STEADYING else 0
        sound = self.library.batch(self.plan.seed, self.step, self.plan.batch, pairs)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.plan.bfloat16):
            embeddings = self.network(sound)
        embeddings = embeddings.float()
        losses = self.guesser.losses(embeddings, self.lessons(sound)) | spread_losses(embeddings, pairs)
        weights = self.plan.weights_at(self.step)
        loss = sum((weights[name] * value for name, value in losses.items()), torch.zeros(()))
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters().values(), 1.0)
        self._optimizer.step()
        self.step += 1
        return {name: float(value.detach()) for name, value in (losses | {"loss": loss}).items()}

    def save(self, path: Path) -> None:
        tensors = {f"model.{name}": value for name, value in self._modules().state_dict().items()}
        for name, parameter in self._parameters().items():
            for key, value in self._optimizer.state[parameter].items():
                tensors[f"optimizer.{key}.{name}"] = value
        metadata = {"plan": json.dumps(asdict(self.plan)), "step": str(self.step), "seconds": str(self.seconds)}
        write_atomic(path, save_torch({k: v.contiguous() for k, v in tensors.items()}, metadata))

    @classmethod
    def resume(cls, path: Path, library: Library, steps: int | None = None) -> "Trainer":
        """The run as it was saved, on the same sounds; until the learning rate falls its `steps` may be changed."""
        with safe_open(path, framework="pt") as file:
            told = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
        plan = Plan(**json.loads(told["plan"]))
        trainer = cls(replace(plan, steps=steps or plan.steps), library)
        trainer.step, trainer.seconds = int(told["step"]), float(told["seconds"])
        trainer._modules().load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
        for name, parameter in trainer._parameters().items():
            trainer._optimizer.state[parameter] = {
                key: tensors[f"optimizer.{key}.{name}"] for key in ("step", "exp_avg", "exp_avg_sq")
            }
        return trainer

    def _modules(self) -> nn.Module:
        return nn.ModuleDict({"network": self.network, "guesser": self.guesser})

    def _parameters(self) -> dict[str, nn.Parameter]:
        return dict(self._modules().named_parameters())


def train(trainer: Trainer, checkpoint: Path | None) -> None:
    """Runs to the plan's end, telling how it goes."""
    mean: dict[str, float] = {}
    while trainer.step < trainer.plan.steps:
        began = time.monotonic()
        losses = trainer.advance()
        trainer.seconds += time.monotonic() - began
        mean = {name: 0.98 * mean.get(name, value) + 0.02 * value for name, value in losses.items()}
        if trainer.step % 20 == 0:
            told = "  ".join(f"{name} {value:.3f}" for name, value in mean.items())
            print(f"{trainer.seconds:6.0f} s  {trainer.step}/{trainer.plan.steps}  {told}", flush=True)
        if checkpoint and (trainer.step % SAVE_EVERY == 0 or trainer.step == trainer.plan.steps):
            trainer.save(checkpoint)


# ---- what comes out


def whiten(network: Network, library: Library, seed: int, excerpts: int = EXCERPTS) -> None:
    """Turns the last convolution so that over the library embeddings have mean 0 and are spread evenly, at rest first.

    All directions are made equally loud, then each is made the softer the more of its variance is steps from frame to
    frame. A turn that can be undone, so linear probes hear the same as before.
    """
    draw = np.random.Generator(np.random.PCG64((seed, 2**33)))
    with torch.no_grad():
        heard = [library.excerpt(draw, round(EXCERPT_S * RATE_HZ)) for _ in range(excerpts)]
        frames = [network(torch.from_numpy(sound[None]))[0, WARM_UP:].double() for sound in heard]
        rows, steps = torch.cat(frames), torch.cat([frame.diff(dim=0) for frame in frames])
        values, vectors = torch.linalg.eigh(torch.cov(rows.T))
        white = vectors @ torch.diag(values.clamp(min=FAINTEST * values.max()) ** -0.5) @ vectors.T
        unrest, axes = torch.linalg.eigh(white @ torch.cov(steps.T) @ white.T)
        loudness = 1 / (1 + unrest / REST)
        turn = axes @ torch.diag(loudness / loudness.square().mean().sqrt()) @ axes.T @ white
        last = network.layers["15"].conv
        last.weight.copy_(torch.einsum("pq,qik->pik", turn, last.weight.double()))
        last.bias.copy_(turn @ (last.bias.double() - rows.mean(dim=0)))


def stream_statistics(path: Path, library: Library, seed: int, excerpts: int = EXCERPTS) -> EmbeddingStats:
    """How the embeddings of the encoder in that file are spread over excerpts of the library, as they stream."""
    draw = np.random.Generator(np.random.PCG64((seed, 2**34)))
    encoder = load_encoder(path)
    heard = np.concatenate([library.excerpt(draw, round(EXCERPT_S * RATE_HZ)) for _ in range(excerpts)])
    return measure(encoder.step(heard, encoder.primed_state())[0])


def write_encoder(network: Network, library: Library, seed: int, out: Path, excerpts: int = EXCERPTS) -> None:
    """The encoder's file, with the statistics of its embeddings."""
    tensors: dict[str, NDArray[Any]] = dict(exported(network))
    write_atomic(out, save(tensors))
    stats = stream_statistics(out, library, seed, excerpts)
    write_atomic(out, save(tensors | {"embedding.mean": stats.mean, "embedding.covariance": stats.covariance}))


def compare(out: Path, measured_on: Sequence[Sequence[str]], plan: Plan, folder: Path) -> dict[str, Any]:
    """Probe figures by music: of the encoder in `out`, and of the same network before its first step."""
    torch.manual_seed(plan.seed)
    untrained = folder / "untrained.safetensors"
    write_atomic(untrained, save(dict(exported(Network(plan.filters)))))
    figures: dict[str, Any] = {}
    for label, *paths in measured_on:
        music = held_out_music(*map(Path, paths), seconds=20.0)
        for name, path in (("", out), (", before training", untrained)):
            figures[label + name] = encoder_figures(load_encoder(path), music)
            print(label + name, json.dumps(figures[label + name]), flush=True)
    return figures


def card(trainer: Trainer, measured: dict[str, Any]) -> dict[str, Any]:
    """What livelav and its users want to know of the encoder."""
    plan, library = trainer.plan, trainer.library
    kinds = sorted({path.stem.split("-")[-1] for path in library.paths})
    return {
        "name": "embedded",
        "untrained": False,
        "architecture": f"EnCodec encoder, causal, {plan.filters} filters, strides 2-4-5-8, 24 kHz, 75 Hz, 128 dims",
        "made_by": f"tools/train_encoder.py --steps {plan.steps} --seed {plan.seed}",
        "plan": asdict(plan),
        "trained_on": f"{library.minutes:.0f} min of sound from tools/sounds.py ({', '.join(kinds)}): self-made MIDI "
        "by FluidR3_GM (MIT), Sonic Pi's samples (CC0), espeak-ng, own synthesis; no recorded music",
        "trained_for": f"{plan.steps} steps of {plan.batch} x {SEGMENT * HOP / RATE_HZ:.2f} s, "
        f"{trainer.seconds / 60:.0f} min on one thread of a processor",
        "trained_to": f"guess linearly, from each frame's embedding: {', '.join(WEIGHTS)} (tools/train_encoder.py)",
        "statistics": f"embedding.mean and embedding.covariance over {EXCERPTS * EXCERPT_S / 60:.0f} min of the same "
        "sound at -18 dB RMS; the last layer is turned so that directions are about equally loud, restless ones softer",
        "measured": measured,
        "how_measured": "linear probes from the streamed embedding, fitted on some pieces and tested on others, both "
        "ways round, without the first 14 frames of each; log-mel, onset strength, chroma and loudness as defined in "
        "tools/_probes.py. The recorded music had no part in training, but figures on it were looked at when its "
        "schedule was settled",
        "limits": "hears spectrum, attacks, level and a third of a second of the past; pitch coarsely below 140 Hz; "
        "not words, melody, harmony or tempo as such; its embedding was not made to be turned back into sound",
        "licence": "MIT",
    }


def main() -> None:
    plan = Plan()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--sounds", type=Path, required=True, metavar="FOLDER", help="rendered into if there are too few"
    )
    parser.add_argument("--minutes", type=float, default=200.0, help="of sound (default 200)")
    parser.add_argument("--steps", type=int, help=f"(default {plan.steps}, or what the checkpoint says)")
    parser.add_argument("--batch", type=int, default=plan.batch)
    parser.add_argument("--seed", type=int, default=plan.seed)
    parser.add_argument("--checkpoint", type=Path, metavar="FILE", help=f"written every {SAVE_EVERY} steps")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--measure", nargs="+", action="append", default=[], metavar=("LABEL", "MUSIC"))
    parser.add_argument("--out", type=Path, default=PACKAGE / "models" / "encoder.safetensors")
    options = parser.parse_args()
    if options.resume and not (options.checkpoint and options.checkpoint.is_file()):
        sys.exit(f"train_encoder: --resume needs a --checkpoint FILE that is there, not {options.checkpoint}")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    try:
        sounds.render(options.sounds, options.minutes, options.seed)
        library = Library(options.sounds)
    except sounds.SoundsError as error:
        sys.exit(f"train_encoder: {error}")
    plan = replace(plan, steps=options.steps or plan.steps, batch=options.batch, seed=options.seed)
    trainer = Trainer.resume(options.checkpoint, library, options.steps) if options.resume else Trainer(plan, library)
    train(trainer, options.checkpoint)
    whiten(trainer.network, library, trainer.plan.seed)
    write_encoder(trainer.network, library, trainer.plan.seed, options.out)
    measured = compare(options.out, options.measure, trainer.plan, options.sounds)
    told = card(trainer, measured)
    write_json(options.out.with_suffix(".json"), told)
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
