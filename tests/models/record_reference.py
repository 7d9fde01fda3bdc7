"""Records what timm's models answer: `python -m tests.models.record_reference [NAME ...]`.

Needs the extra `bench`. For every entry of the table with a family it writes
`tests/models/reference/NAME.npz`: names and shapes of the parameters, and the results of the model
with parameters drawn by `generated`, which `test_reference_parity.py` compares ours with.
"""

from __future__ import annotations

import pathlib
import sys
from typing import Any

import numpy as np

from benchmarks import peers
from lesionjax.models import MODELS
from tests.models import generated

FOLDER = pathlib.Path(__file__).parent / 'reference'
# Neither square nor a multiple of 16: transposed axes and wrong paddings show.
HEIGHT, WIDTH = 75, 96
LOGITS = 64  # of 1,000 are kept


def timm_name(name: str) -> str:
  """timm's name of an entry of our table."""
  pretrained = MODELS[name].pretrained
  assert pretrained is not None
  return pretrained.repository.removeprefix('timm/').partition('.')[0]


def channels_last(name: str, features: Any) -> np.ndarray:
  """timm's features as a map [B,h,w,D] like ours."""
  array = features.detach().numpy()
  if name.startswith('vit'):
    rows, columns = -(-HEIGHT // 16), -(-WIDTH // 16)
    return array[:, 1:].reshape(array.shape[0], rows, columns, -1)
  return array.transpose(0, 2, 3, 1)


def record(name: str) -> dict[str, np.ndarray]:
  """Runs timm's model and keeps what fits into a few kilobytes."""
  torch, timm = peers.load_torch(), peers.load_timm()
  any_size = {'dynamic_img_size': True, 'dynamic_img_pad': True} if name.startswith('vit') else {}
  model = timm.create_model(timm_name(name), pretrained=False, **any_size).eval()
  shapes = {key: tuple(array.shape) for key, array in model.state_dict().items()}
  drawn = generated.parameters(shapes)
  model.load_state_dict({k: torch.from_numpy(a) for k, a in drawn.items()}, strict=False)
  image = torch.from_numpy(generated.image(2, HEIGHT, WIDTH).transpose(0, 3, 1, 2).copy())
  maps = []
  if name.startswith('vgg'):  # ours is the map before the last pooling
    model.features[-2].register_forward_hook(lambda module, args, out: maps.append(out.clone()))
  with torch.no_grad():
    features = model.forward_features(image)
    logits = model.forward_head(features).numpy()
  last_map = channels_last(name, maps[0] if maps else features)
  return {
    'names': np.array(list(shapes)),
    'shapes': np.array(['x'.join(map(str, shape)) for shape in shapes.values()]),
    'logits': logits[:, :LOGITS],
    'last_map': last_map[:, :2, :2, :16],
    'last_map_mean': last_map.mean((0, 1, 2))[:256],
    **_training(torch, model, image),
  }


def _training(torch: Any, model: Any, image: Any) -> dict[str, np.ndarray]:
  """One backward pass in training mode: gradient of the first kernel, mean that a norm saw."""
  parameter = next(p for key, p in model.named_parameters() if p.ndim == 4)
  norm = next((m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)), None)
  before = None if norm is None else norm.running_mean.clone()
  model.train()
  torch.mean(torch.square(model(image))).backward()
  result = {'first_kernel_gradient': parameter.grad.numpy().transpose(2, 3, 1, 0)[..., :16]}
  if norm is not None:
    mean = (norm.running_mean - (1 - norm.momentum) * before) / norm.momentum
    result['first_norm_mean'] = mean.numpy()
  return result


def main() -> None:
  FOLDER.mkdir(exist_ok=True)
  for name in sys.argv[1:] or [name for name, spec in MODELS.items() if spec.family]:
    results = record(name)
    path = FOLDER / f'{name}.npz'
    np.savez_compressed(path, allow_pickle=False, **results)
    peak = np.abs(results['logits']).max()
    print(f'{name}: logits up to {peak:.3g}, {path.stat().st_size} bytes')


if __name__ == '__main__':
  main()
