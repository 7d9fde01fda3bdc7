"""The four methods of explanation as maps of one kind: at least 0, largest 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from lesionjax.explain.explained import ExplainedRun
from lesionjax.host import compilation
from lesionjax.runs.inference import softmax

CHEAP = ('gradcam', 'gradcam++')
COSTLY = ('integrated_gradients', 'occlusion')
METHODS = (*CHEAP, *COSTLY)
STEPS = 12  # of integrated gradients
_CELLS = 7  # of the last map of most networks at 224 px, for which Grad-CAM was published


def relevance(
  run: ExplainedRun, pixels: np.ndarray, classes: np.ndarray, method: str
) -> np.ndarray:
  """What speaks for a class, by any method.

  Args:
    run: the network.
    pixels: uint8 [B, H, W, 3], as it sees them.
    classes: int [B].
    method: one of `METHODS`.

  Returns:
    float32 [B, H, W] in [0, 1]. Of signed methods the positive part, by its largest value; 0
    everywhere where nothing speaks for the class.
  """
  if method in CHEAP:
    return run.cam(pixels, classes, cam_layer(run.feature_maps()), method)
  if method == 'occlusion':
    signed = run.occlusion(pixels, classes, *occlusion_px(run.size))
  else:
    signed = run.integrated_gradients(pixels, classes, steps=STEPS)
  positive = np.maximum(signed, 0)
  most = positive.max((1, 2), keepdims=True)
  return np.divide(positive, most, out=np.zeros_like(positive), where=most > 0)


def cam_layer(feature_maps: Mapping[str, tuple[int, int, int]]) -> str:
  """Chooses the map for Grad-CAM: the last one, unless the image is so small that it is too coarse.

  At 64 px the last map of most networks has 2x2 cells, which stretched over an image can only point
  at its corners. Then it is the last of the pyramid with at least 7 cells on a side, or else the
  finest of it.

  Args:
    feature_maps: name -> (h, w, C), from `ExplainedRun.feature_maps`.
  """
  if min(feature_maps['last_map'][:2]) >= _CELLS:
    return 'last_map'
  pyramid = [name for name in feature_maps if name.startswith('stride')]
  pyramid.sort(key=lambda name: min(feature_maps[name][:2]))
  fine = [name for name in pyramid if min(feature_maps[name][:2]) >= _CELLS]
  return (fine[:1] or pyramid[-1:] or ['last_map'])[0]


def occlusion_px(size: tuple[int, int]) -> tuple[int, int]:
  """Side and step of the square that covers a part of an image: a quarter and an eighth of it."""
  side = max(1, min(size) // 4)
  return side, max(1, side // 2)


def probability(run: ExplainedRun, pixels: np.ndarray, classes: np.ndarray) -> np.ndarray:
  """The probability of a class [B] of every image, float32 [B]."""
  return softmax(run.logits(pixels))[np.arange(len(classes)), classes]


def draw_weights(run: ExplainedRun, seed: int = 0) -> Any:
  """Weights of the same network before any training, where those of the run lie."""
  model = run.classifier.model
  init = jax.jit(
    lambda key, image: model.init(key, image, train=False), compiler_options=compilation.once()
  )
  drawn = init(jax.random.key(seed), np.zeros((1, *run.size, 3), np.float32))
  # Elsewhere, or where jax likes, everything would be compiled once more.
  return jax.tree.map(lambda new, old: jax.device_put(new, old.sharding), drawn, run.weights)


def randomised(run: ExplainedRun, drawn: Any, part: str) -> ExplainedRun:
  """The same network with a part of its training forgotten.

  Args:
    run: the trained network.
    drawn: from `draw_weights`.
    part: 'head', or 'all' weights with the statistics of batch norm.

  Source: Adebayo et al., Sanity checks for saliency maps, NeurIPS (2018), section 3; of its cascade
  from the last layer down, the first and the last step.
  """
  if part == 'all':
    return run.with_weights(drawn)
  params = {**run.weights['params'], 'head': drawn['params']['head']}
  return run.with_weights({**run.weights, 'params': params})
