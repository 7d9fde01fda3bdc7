"""Predictions of a trained run: for whole splits, and for images in a notebook."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from data_builders.errors import UserError
from lesionjax import assembly, run_directory
from lesionjax.config import image_size
from lesionjax.data.datasets import preprocessing_of
from lesionjax.data.decode import DecodeError, Size, decode_image, fit, sides
from lesionjax.training.checkpoints import Checkpoints
from lesionjax.training.mesh import Mesh, to_host
from lesionjax.training.state import Batch


class Prediction(NamedTuple):
  """What a classifier says of N images.

  Attributes:
    class_names: K names.
    probabilities: float32 [N, K], rows sum to 1.
    logits: float32 [N, K].
    pre_logits: float32 [N, D], the features before the last layer.
  """

  class_names: tuple[str, ...]
  probabilities: np.ndarray
  logits: np.ndarray
  pre_logits: np.ndarray

  @property
  def labels(self) -> list[str]:
    """The most probable class of every image."""
    return [self.class_names[k] for k in self.probabilities.argmax(-1)]


def compile_predict(eval_step: Any, mesh: Mesh) -> Any:
  """Returns the jitted (weights, batch) -> outputs with the rows' `valid` flags, replicated."""

  def step(weights: Any, batch: Batch) -> dict[str, jax.Array]:
    return {**eval_step(weights, batch), 'valid': batch['valid']}

  return jax.jit(step, out_shardings=mesh.replicated)


def predict_batches(predict: Any, weights: Any, batches: Iterator[Batch]) -> dict[str, np.ndarray]:
  """Runs over a split once.

  Args:
    predict: from `compile_predict`.
    weights: from `State.weights`, replicated.
    batches: from `assembly.eval_batches`.

  Returns:
    Outputs of every image, in the order of the records, padding removed.
  """
  parts = list(predictions(predict, weights, batches))
  return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def predictions(
  predict: Any, weights: Any, batches: Iterator[Batch]
) -> Iterator[dict[str, np.ndarray]]:
  """Yields what `predict_batches` gathers, batch by batch."""
  for batch in batches:
    outputs = to_host(predict(weights, batch))
    valid = outputs.pop('valid')
    yield {name: value[valid] for name, value in outputs.items()}


def softmax(logits: np.ndarray) -> np.ndarray:
  """Returns the probabilities of logits [N, K], computed in float64, as float32."""
  shifted = np.exp(logits - logits.max(-1, keepdims=True), dtype=np.float64)
  return (shifted / shifted.sum(-1, keepdims=True)).astype(np.float32)


def shapes_of(model: Any, size_px: Size) -> dict[str, Any]:
  """Returns shapes and dtypes of a network's variables, for images of that size."""
  image = jax.ShapeDtypeStruct((1, *sides(size_px), 3), jnp.float32)
  return jax.eval_shape(functools.partial(model.init, train=False), jax.random.key(0), image)


def restore_best(
  run_dir: epath.PathLike, model: Any, size_px: Size, sharding: jax.sharding.Sharding
) -> dict[str, Any]:
  """Reads the best weights of a run.

  Args:
    run_dir: of a run that has finished at least one epoch.
    model: the module they belong to.
    size_px: side, or height and width, of its input.
    sharding: where the weights go.

  Returns:
    {'params': ..., 'batch_stats': ...}; params are the averaged ones where the run keeps them.

  Raises:
    UserError: when there is no checkpoint of a finished epoch, or it has other shapes.
  """
  run_dir = run_directory.locate(run_dir)
  if not (run_dir / 'checkpoints').exists():
    raise UserError(f'{run_dir} has no checkpoints: train it first with --mode=train.')
  like = jax.tree.map(
    lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
    shapes_of(model, size_px),
  )
  with Checkpoints(run_dir) as checkpoints:
    step = checkpoints.best_step
    if step is None:
      raise UserError(f'{run_dir} has no checkpoint of a finished epoch yet: let it train on.')
    return checkpoints.restore_weights(step, like)


class Classifier:
  """A trained run, ready to predict."""

  def __init__(self, run_dir: epath.PathLike):
    """Reads configuration, class names and best weights of a run directory."""
    self.config = run_directory.read_config(run_dir)
    self.class_names = run_directory.class_names(run_dir)
    self._size_px = image_size(self.config)
    self._preprocessing = preprocessing_of(self.config.data.name, self.config.data.preprocess)
    model = assembly.make_model(self.config, len(self.class_names))
    local = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    self._weights = restore_best(run_dir, model, self._size_px, local)
    prepare = assembly.make_prepare(self.config)
    self._apply = jax.jit(lambda weights, x: model.apply(weights, prepare(x, None), train=False))

  def predict(self, images: Sequence[Any] | np.ndarray, batch_size: int = 64) -> Prediction:
    """Classifies images of any size, preprocessed as those of the training were.

    Args:
      images: uint8 [N, H, W, 3] RGB, a sequence of uint8 [H, W, 3] RGB arrays and paths of JPEG or
        PNG files, or one path.
      batch_size: images at a time.

    Returns:
      The Prediction, in the order of the images.

    Raises:
      UserError: naming the image that is not one.
    """
    if isinstance(images, str | os.PathLike):
      images = [images]
    logits, features = [], []
    for start in range(0, len(images), batch_size):
      rows = [
        self._pixels(image, start + i) for i, image in enumerate(images[start : start + batch_size])
      ]
      # Every batch has the same shape, so that there is one compilation.
      padded = np.stack(
        rows + [np.zeros_like(rows[0])] * (min(batch_size, len(images)) - len(rows))
      )
      out, maps = self._apply(self._weights, padded)
      logits.append(np.asarray(out)[: len(rows)])
      features.append(np.asarray(maps['pre_logits'], np.float32)[: len(rows)])
    if not logits:
      raise UserError('predict() was given no image: pass at least one array or path.')
    all_logits = np.concatenate(logits)
    return Prediction(self.class_names, softmax(all_logits), all_logits, np.concatenate(features))

  def _pixels(self, image: Any, index: int) -> np.ndarray:
    if isinstance(image, str | epath.Path) or hasattr(image, '__fspath__'):
      try:
        return decode_image(epath.Path(image).read_bytes(), self._size_px, self._preprocessing)
      except (DecodeError, OSError) as error:
        raise UserError(f'Image {image} cannot be read: {error}.') from error
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[-1] != 3 or image.dtype != np.uint8:
      raise UserError(
        f'Image {index} is {image.dtype} {image.shape}; it must be uint8 [height, width, 3] in RGB '
        'order, or the path of a file.'
      )
    return fit(image, self._size_px, self._preprocessing)
