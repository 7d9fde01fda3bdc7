"""Records what the PyTorch U-Net answers: `python -m tests.models.segmentation.record_reference`.

Needs the extra `bench`. Writes `reference/unet.npz` beside this file: names and shapes of the
parameters, and the results with parameters and an image drawn by `tests.models.generated`, which
`test_parity.py` compares ours with.
"""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

from benchmarks import peer_segmenters, peers
from tests.models import generated

PATH = pathlib.Path(__file__).parent / 'reference' / 'unet.npz'
LEVELS, WIDTH = 3, 4
HEIGHT, COLUMNS = 20, 28  # not square, and divided by 4: the peer does not pad


def record() -> dict[str, np.ndarray]:
  """Runs the peer in evaluation and in training mode."""
  torch: Any = peers.load_torch()
  model = peer_segmenters.unet(LEVELS, WIDTH).eval()
  shapes = {key: tuple(array.shape) for key, array in model.state_dict().items()}
  drawn = generated.parameters(shapes)
  model.load_state_dict({k: torch.from_numpy(a) for k, a in drawn.items()}, strict=False)
  image = torch.from_numpy(generated.image(2, HEIGHT, COLUMNS).transpose(0, 3, 1, 2).copy())
  with torch.no_grad():
    logits = model(image)[:, 0].numpy()
  model.train()
  torch.mean(torch.square(model(image))).backward()
  gradients = {key: p.grad.numpy() for key, p in model.named_parameters()}
  return {
    'names': np.array(list(shapes)),
    'shapes': np.array(['x'.join(map(str, shape)) for shape in shapes.values()]),
    'logits': logits,
    'first_kernel_gradient': gradients['encoder.0.0.weight'],
    'up_kernel_gradient': gradients['up.0.weight'],
    'up_bias_gradient': gradients['up.1.bias'],
  }


def main() -> None:
  PATH.parent.mkdir(exist_ok=True)
  np.savez_compressed(PATH, allow_pickle=False, **record())
  print(f'{PATH.name}: {PATH.stat().st_size} bytes')


if __name__ == '__main__':
  main()
