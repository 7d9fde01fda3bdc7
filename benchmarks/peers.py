"""The PyTorch side of the benchmarks, and how to get it."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from data_builders.errors import UserError
from lesionjax.models import MODELS


def load_torch() -> Any:
  """The torch module, using every core this process may use.

  Raises:
    UserError: PyTorch is not installed.
  """
  return _load('torch')


def load_timm() -> Any:
  """The timm module.

  timm imports torchvision, whose wheel from the package index may lack its compiled operators
  beside a CPU build of PyTorch; its import then fails while it registers shapes for them. No
  benchmark calls them, so their names are declared first.

  Raises:
    UserError: PyTorch or timm is not installed.
  """
  if 'timm' not in sys.modules:
    _declare_torchvision_operators(load_torch())
  return _load('timm')


def _load(name: str) -> Any:
  """Imports a module of the extra `bench`, or says how to get it."""
  try:
    return importlib.import_module(name)
  except ModuleNotFoundError as error:
    raise UserError(
      f"this benchmark's peer needs {error.name}, which is not installed: pip install -e '.[bench]'"
    ) from error


def _declare_torchvision_operators(torch: Any) -> None:
  """Declares the operators that torchvision registers shapes for and does not bring."""
  spec = importlib.util.find_spec('torchvision')
  if spec is None or spec.origin is None:
    return
  folder = Path(spec.origin).parent
  try:
    torch.ops.load_library(next(folder.glob('_C*.so')))
    return
  except (OSError, StopIteration):
    source = (folder / '_meta_registrations.py').read_text(encoding='utf-8')
  for name in set(re.findall(r'@\S*register\w*\("(?:torchvision::)?(\w+)"', source)):
    torch.library.define(f'torchvision::{name}', '() -> ()')


def timm_name(name: str) -> str:
  """Returns timm's name of an entry of our table; a name that is not in it stays as it is."""
  pretrained = MODELS[name].pretrained if name in MODELS else None
  if pretrained is None:
    return name
  return pretrained.repository.partition('/')[2].partition('.')[0]


def inference(name: str, num_classes: int, image: np.ndarray, threads: int) -> Callable[[], object]:
  """One forward pass of timm's model, on a CPU in float32, on a GPU in bf16; channels-last.

  Args:
    name: timm's name of the model.
    num_classes: number of logits.
    image: float32 [B,H,W,3].
    threads: threads of PyTorch's pool.

  Returns:
    A function that does one pass, waits for it and returns the logits.
  """
  torch = load_torch()
  torch.set_num_threads(threads)
  gpu = torch.cuda.is_available()
  device = torch.device('cuda' if gpu else 'cpu')
  any_size = {'dynamic_img_size': True} if name.startswith('vit') else {}
  model = load_timm().create_model(name, pretrained=False, num_classes=num_classes, **any_size)
  model = model.to(device, memory_format=torch.channels_last).eval()
  forward = torch.compile(model) if gpu else model
  x = torch.from_numpy(image.transpose(0, 3, 1, 2)).to(device, memory_format=torch.channels_last)

  def run() -> np.ndarray:
    with torch.inference_mode(), torch.autocast('cuda', torch.bfloat16, enabled=gpu):
      return forward(x).float().cpu().numpy()

  return run


def train_step(
  name: str, num_classes: int, image: np.ndarray, label: np.ndarray, threads: int
) -> Callable[[], object]:
  """One training step of timm's model: forward, cross-entropy, backward, AdamW.

  On a CPU float32 and channels-last; on a GPU bf16 by autocast, channels-last, `torch.compile`.

  Args:
    name: timm's name of the model, or 'cnn' (which timm has not) for our three-block network.
    num_classes: number of logits.
    image: float32 [B,H,W,3].
    label: int [B].
    threads: threads of PyTorch's pool.

  Returns:
    A function that does one step, waits for it and returns the loss.
  """
  torch = load_torch()
  torch.set_num_threads(threads)
  torch.manual_seed(0)
  gpu = torch.cuda.is_available()
  device = torch.device('cuda' if gpu else 'cpu')
  if name == 'cnn':
    model = _three_block_cnn(torch, num_classes, image.shape[1:3])
  else:
    any_size = {'dynamic_img_size': True} if name.startswith('vit') else {}
    model = load_timm().create_model(name, pretrained=False, num_classes=num_classes, **any_size)
  model = model.to(device, memory_format=torch.channels_last).train()
  optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4, fused=gpu)
  forward = torch.compile(model) if gpu else model
  x = torch.from_numpy(image.transpose(0, 3, 1, 2)).to(device, memory_format=torch.channels_last)
  y = torch.from_numpy(label.astype(np.int64)).to(device)

  def step() -> float:
    optimiser.zero_grad(set_to_none=True)
    with torch.autocast('cuda', torch.bfloat16, enabled=gpu):
      loss = torch.nn.functional.cross_entropy(forward(x), y)
    loss.backward()
    optimiser.step()
    return loss.item()

  return step


def _three_block_cnn(torch: Any, num_classes: int, size: tuple[int, ...]) -> Any:
  """The network of `lesionjax.models.cnn` in PyTorch."""
  nn = torch.nn
  layers: list[Any] = []
  channels = 3
  for width in (32, 64, 128):
    for _ in range(2):
      layers.append(nn.Conv2d(channels, width, 3, padding=1, bias=False))
      layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
      channels = width
    layers.append(nn.MaxPool2d(2))
  flat = channels * (size[0] // 8) * (size[1] // 8)
  head = [nn.Flatten(), nn.Linear(flat, 128), nn.ReLU(inplace=True), nn.Dropout(0.5)]
  return nn.Sequential(*layers, *head, nn.Linear(128, num_classes))
