"""The PyTorch side of the segmenters' benchmarks: a U-Net equal to `segmentation.unet`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers import load_torch
from data_builders.errors import UserError


def build(name: str, width: int) -> Any:
  """Builds the peer of a segmenter.

  Raises:
    UserError: the segmenter has none.
  """
  if name != 'unet':
    raise UserError(f'segmenter {name!r} has no peer in PyTorch: --model=unet has')
  return unet(width=width)


def unet(levels: int = 5, width: int = 16) -> Any:
  """The network of `lesionjax.models.segmentation.unet`, as it is usually written in PyTorch.

  Args:
    levels: resolutions.
    width: channels at full size.

  Returns:
    A torch module from images [B,3,H,W], sides divisible by 2 ** (levels - 1), to logits [B,1,H,W].
  """
  torch = load_torch()
  nn = torch.nn

  def double(channels: int, features: int) -> Any:
    layers: list[Any] = []
    for c in (channels, features):
      layers.append(nn.Conv2d(c, features, 3, padding=1, bias=False))
      layers += [nn.BatchNorm2d(features), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)

  widths = [width * 2**level for level in range(levels)]

  class UNet(nn.Module):
    def __init__(self) -> None:
      super().__init__()
      self.encoder = nn.ModuleList(map(double, [3, *widths[:-1]], widths))
      self.up = nn.ModuleList(
        nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w in reversed(widths[:-1])
      )
      self.decoder = nn.ModuleList(double(2 * w, w) for w in reversed(widths[:-1]))
      self.logits = nn.Conv2d(width, 1, 1)
      self.pool = nn.MaxPool2d(2)

    def forward(self, x: Any) -> Any:
      skips = []
      for index, block in enumerate(self.encoder):
        if index:
          skips.append(x)
          x = self.pool(x)
        x = block(x)
      for up, block in zip(self.up, self.decoder, strict=True):
        x = block(torch.cat((skips.pop(), up(x)), 1))
      return self.logits(x)

  return UNet()


def _on_device(torch: Any, model: Any, image: np.ndarray) -> tuple[Any, Any, bool]:
  """The model and the batch, channels-last, and whether they lie on a GPU."""
  gpu = torch.cuda.is_available()
  device = torch.device('cuda' if gpu else 'cpu')
  model = model.to(device, memory_format=torch.channels_last)
  x = torch.from_numpy(image.transpose(0, 3, 1, 2)).to(device, memory_format=torch.channels_last)
  return model, x, gpu


def inference(model: Any, image: np.ndarray, threads: int) -> Callable[[], object]:
  """Predicts masks: one forward pass, in float32 on a CPU, in bf16 on a GPU.

  Args:
    model: torch module with logits [B,1,H,W].
    image: float32 [B,H,W,3].
    threads: threads of PyTorch's pool.

  Returns:
    A function that does one pass, waits for it and returns the masks bool [B,H,W].
  """
  torch = load_torch()
  torch.set_num_threads(threads)
  model, x, gpu = _on_device(torch, model.eval(), image)
  forward = torch.compile(model) if gpu else model

  def run() -> np.ndarray:
    with torch.inference_mode(), torch.autocast('cuda', torch.bfloat16, enabled=gpu):
      return (forward(x)[:, 0] > 0).cpu().numpy()

  return run


def train_step(
  model: Any, image: np.ndarray, mask: np.ndarray, threads: int
) -> Callable[[], object]:
  """One training step: forward, BCE + Dice, backward, AdamW; precision as in `inference`.

  Args:
    model: torch module with logits [B,1,H,W].
    image: float32 [B,H,W,3].
    mask: {0, 1} [B,H,W].
    threads: threads of PyTorch's pool.

  Returns:
    A function that does one step, waits for it and returns the loss.
  """
  torch = load_torch()
  torch.set_num_threads(threads)
  model, x, gpu = _on_device(torch, model.train(), image)
  y = torch.from_numpy(mask.astype(np.float32)).to(x.device)
  optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4, fused=gpu)
  forward = torch.compile(model) if gpu else model

  def step() -> float:
    optimiser.zero_grad(set_to_none=True)
    with torch.autocast('cuda', torch.bfloat16, enabled=gpu):
      logits = forward(x)[:, 0]
    logits = logits.float()
    bce = torch.nn.functional.binary_cross_entropy_with_logits(logits, y)
    p = torch.sigmoid(logits)
    overlap = 2 * (p * y).sum((1, 2)) + 1
    loss = bce + (1 - overlap / (p.sum((1, 2)) + y.sum((1, 2)) + 1)).mean()
    loss.backward()
    optimiser.step()
    return loss.item()

  return step
