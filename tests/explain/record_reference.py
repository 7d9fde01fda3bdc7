"""Records what pytorch-grad-cam answers: `python -m tests.explain.record_reference [NAME ...]`.

Needs the extra `bench` (torch, timm, grad-cam). For every model of `LAYERS` it writes
`tests/explain/reference/NAME.npz`: Grad-CAM and Grad-CAM++ of timm's model with parameters drawn by
`tests.models.generated`, which `test_parity.py` compares ours with. The names and shapes of the
parameters are those of `tests/models/reference/NAME.npz`.
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import peers
from tests.models import generated

FOLDER = pathlib.Path(__file__).parent / 'reference'
SHAPES = pathlib.Path(__file__).parents[1] / 'models' / 'reference'
HEIGHT, WIDTH = 96, 128
KEPT = 2  # every second pixel of a map

# Model -> name of our map -> the same module of timm's.
LAYERS: dict[str, dict[str, Callable[[Any], Any]]] = {
  'resnet18': {
    'last_map': lambda model: model.layer4[-1],
    'stage3_block1': lambda model: model.layer3[0],
  },
  'efficientnet_b0': {
    'last_map': lambda model: model.bn2,
    'stage6_block2': lambda model: model.blocks[5][1],
  },
  'densenet121': {
    'last_map': lambda model: model.features.norm5,
    'block3_layer5/conv2': lambda model: model.features.denseblock3.denselayer5.conv2,
  },
  'vit_s16': {
    'last_map': lambda model: model.blocks[-1].norm1,
    'block6': lambda model: model.blocks[5],
  },
}


def manifest(name: str) -> dict[str, tuple[int, ...]]:
  """Names and shapes of timm's parameters of a model."""
  with np.load(SHAPES / f'{name}.npz', allow_pickle=False) as file:
    shapes = (tuple(int(n) for n in text.split('x') if n) for text in file['shapes'])
    return dict(zip((str(key) for key in file['names']), shapes, strict=True))


def image() -> np.ndarray:
  """Images float32 [2, H, W, 3] with structure that is coarser than a pixel."""
  small = generated.image(2, HEIGHT // 8, WIDTH // 8)
  return np.repeat(np.repeat(small, 8, 1), 8, 2) + generated.image(2, HEIGHT, WIDTH) / 2


def _map_of_tokens(tokens: Any) -> Any:
  """[B, T, C] with a class token -> [B, C, h, w]."""
  tokens = tokens[:, 1:].reshape(tokens.shape[0], HEIGHT // 16, WIDTH // 16, -1)
  return tokens.permute(0, 3, 1, 2)


def answers(name: str) -> dict[str, np.ndarray]:
  """What pytorch-grad-cam says of the most probable class of each image.

  Returns:
    Maps in [0, 1], float32 [2, H / 2, W / 2], by 'METHOD of LAYER'; and 'classes' int [2].
  """
  torch, timm = peers.load_torch(), peers.load_timm()
  from pytorch_grad_cam import GradCAM, GradCAMPlusPlus
  from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

  is_vit = name.startswith('vit')
  any_size = {'dynamic_img_size': True} if is_vit else {}
  model = timm.create_model(peers.timm_name(name), pretrained=False, **any_size).eval()
  drawn = generated.parameters(manifest(name))
  model.load_state_dict({k: torch.from_numpy(a) for k, a in drawn.items()}, strict=False)
  x = torch.from_numpy(image().transpose(0, 3, 1, 2).copy())
  with torch.no_grad():
    classes = model(x).argmax(-1).numpy()
  targets = [ClassifierOutputTarget(int(k)) for k in classes]
  found = {'classes': classes}
  for layer, of in LAYERS[name].items():
    for method, peer in (('gradcam', GradCAM), ('gradcam++', GradCAMPlusPlus)):
      transform = _map_of_tokens if is_vit else None
      with peer(model, [of(model)], reshape_transform=transform) as cam:
        maps = cam(input_tensor=x, targets=targets)
      found[f'{method} of {layer}'] = np.asarray(maps, np.float32)[:, ::KEPT, ::KEPT]
  return found


def main() -> None:
  FOLDER.mkdir(exist_ok=True)
  for name in sys.argv[1:] or LAYERS:
    found = answers(name)
    classes = found.pop('classes')
    path = FOLDER / f'{name}.npz'
    # 16 bits of a number in [0, 1] are 60 times finer than what is compared.
    kept = {key: np.round(maps * 65535).astype(np.uint16) for key, maps in found.items()}
    np.savez_compressed(path, allow_pickle=False, classes=classes, **kept)
    means = ', '.join(f'{key} {maps.mean():.3f}' for key, maps in found.items())
    print(f'{name}: {means}, {path.stat().st_size} bytes')


if __name__ == '__main__':
  main()
