"""The PyTorch side of the GAN benchmark: a pair equal to `generation.published`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.peers import load_torch


def build(
  classes: int,
  size: int,
  latent: int,
  widths: Sequence[int] = (256, 128, 64, 32),
  discriminator_widths: Sequence[int] = (64, 128, 256),
) -> tuple[Any, Any]:
  """Builds generator and discriminator as they are usually written in PyTorch.

  Args:
    classes: K.
    size: height and width of the images in px, a multiple of 8.
    latent: numbers that an image is drawn from.
    widths: of the generator, see `PublishedGenerator`.
    discriminator_widths: see `PublishedDiscriminator`.

  Returns:
    Two torch modules: (latent, label) -> image [B,3,S,S], and (image, label) -> logit [B].
  """
  torch = load_torch()
  nn = torch.nn
  first, *rest = widths
  side = size // 8

  class Generator(nn.Module):
    def __init__(self) -> None:
      super().__init__()
      self.label = nn.Embedding(classes, latent)
      self.dense = nn.Linear(latent, first * side * side)
      layers: list[Any] = []
      for before, after in zip(widths, rest, strict=False):
        layers += [nn.ConvTranspose2d(before, after, 4, 2, 1)]
        layers += [nn.BatchNorm2d(after, 1e-3, 0.01), nn.LeakyReLU(0.2, inplace=True)]
      self.body = nn.Sequential(*layers, nn.Conv2d(rest[-1], 3, 3, padding=1), nn.Tanh())

    def forward(self, z: Any, y: Any) -> Any:
      x = self.dense(z * self.label(y)).view(-1, first, side, side)
      return self.body(x.contiguous(memory_format=torch.channels_last))

  class Discriminator(nn.Module):
    def __init__(self) -> None:
      super().__init__()
      self.label = nn.Embedding(classes, size * size)
      layers: list[Any] = []
      for before, after in zip((4, *discriminator_widths), discriminator_widths, strict=False):
        layers += [nn.Conv2d(before, after, 4, 2, 1)]
        layers += [nn.LeakyReLU(0.2, inplace=True), nn.Dropout(0.3)]
      self.body = nn.Sequential(*layers, nn.Flatten())
      self.logit = nn.Linear(discriminator_widths[-1] * side * side, 1)

    def forward(self, x: Any, y: Any) -> Any:
      plane = self.label(y).view(-1, 1, size, size)
      return self.logit(self.body(torch.cat((x, plane), 1)))[:, 0]

  return Generator(), Discriminator()


def train_step(
  pair: tuple[Any, Any], latent: int, image: np.ndarray, label: np.ndarray, threads: int
) -> Callable[[], object]:
  """One step: discriminator on real and generated images, then generator; BCE, Adam 1e-4.

  In float32 on a CPU, in bf16 by autocast on a GPU; channels-last.

  Args:
    pair: from `build`.
    latent: numbers that an image is drawn from.
    image: float32 [B,H,W,3] in [-1, 1].
    label: int [B].
    threads: threads of PyTorch's pool.

  Returns:
    A function that does one step, waits for it and returns the generator's loss.
  """
  torch = load_torch()
  torch.set_num_threads(threads)
  torch.manual_seed(0)
  gpu = torch.cuda.is_available()
  device = torch.device('cuda' if gpu else 'cpu')
  generator, judge = (
    module.to(device, memory_format=torch.channels_last).train() for module in pair
  )
  x = torch.from_numpy(image.transpose(0, 3, 1, 2)).to(device, memory_format=torch.channels_last)
  y = torch.from_numpy(label.astype(np.int64)).to(device)
  rates = {'lr': 1e-4, 'betas': (0.5, 0.999), 'fused': gpu}
  of_generator, of_judge = (
    torch.optim.Adam(module.parameters(), **rates) for module in (generator, judge)
  )
  softplus = torch.nn.functional.softplus

  def step() -> float:
    with torch.autocast('cuda', torch.bfloat16, enabled=gpu):
      with torch.no_grad():
        fake = generator(torch.randn(len(y), latent, device=device), y)
      logits = judge(torch.cat((x, fake)), torch.cat((y, y))).float()
      real, made = logits.chunk(2)
      loss = (softplus(-real) + softplus(made)).mean()
    of_judge.zero_grad(set_to_none=True)
    loss.backward()
    of_judge.step()
    judge.requires_grad_(False)  # the generator's turn needs its gradient in the image only
    with torch.autocast('cuda', torch.bfloat16, enabled=gpu):
      fake = generator(torch.randn(len(y), latent, device=device), y)
      loss = softplus(-judge(fake, y).float()).mean()
    of_generator.zero_grad(set_to_none=True)
    loss.backward()
    of_generator.step()
    judge.requires_grad_(True)
    return loss.item()

  return step
