"""A trained classifier that is asked why: one object, every method of explanation."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import numpy as np
from etils import epath

from data_builders.errors import UserError
from lesionjax.explain import attribution
from lesionjax.explain.cam import make_cam
from lesionjax.models import names
from lesionjax.models.perturbed import apply_with_offset, feature_maps
from lesionjax.runs import assembly
from lesionjax.runs.predictor import Classifier, TrainedRun
from lesionjax.runs.run_directory import read_config

METHODS = ('gradcam', 'gradcam++')


class ExplainedRun:
  """Configuration, best weights and compiled explanations of a classifier's run.

  Images are `pixels` uint8 [B, H, W, 3], as the network sees them: preprocessed and of its size
  (`Classifier.seen`). They are explained `batch_size` at a time, in one compiled program a method.

  Attributes:
    classifier: the run, ready to predict.
    class_names: K names.
    size: height and width of the network's input, in px.
    weights: of the network.
    batch_size: images at a time.
  """

  def __init__(self, run: epath.PathLike | TrainedRun, batch_size: int = 32):
    """Opens a run.

    Args:
      run: directory of a classifier's run, or the run.
      batch_size: images at a time; bounds the memory.

    Raises:
      UserError: it is no run, has no finished epoch or is no classifier's.
    """
    loaded = isinstance(run, TrainedRun)
    directory, config = (run.run_dir, run.config) if loaded else (run, read_config(run))
    if config.task != 'classify':
      raise UserError(
        f"{directory} is a run of task {config.task!r}; only classifiers (task 'classify') are"
        ' explained: give the directory of one.'
      )
    self.classifier = run if isinstance(run, Classifier) else Classifier(directory)
    self.class_names = self.classifier.class_names
    self.size = self.classifier.size
    self.batch_size = batch_size
    self.weights = self.classifier.weights
    self._model = self.classifier.model
    self._prepare = assembly.make_prepare(self.classifier.config)
    self._compiled = cache(self._compile)
    self._feature_maps = feature_maps(self._model, self.weights, self.size)

  def with_weights(self, weights: Any) -> ExplainedRun:
    """Returns the same run with other weights of the same shapes; nothing is compiled again."""
    other = copy.copy(self)
    other.weights = weights
    return other

  def feature_maps(self) -> dict[str, tuple[int, int, int]]:
    """Lists the maps of the network: name -> (h, w, C), in the order of computation."""
    return dict(self._feature_maps)

  def logits(self, pixels: np.ndarray) -> np.ndarray:
    """Returns float32 [B, K]."""
    return self._run(('logits',), pixels)

  def cam(
    self,
    pixels: np.ndarray,
    classes: np.ndarray,
    layer: str = 'last_map',
    method: str = 'gradcam',
  ) -> np.ndarray:
    """Where in a map the evidence for a class lies.

    Args:
      pixels: uint8 [B, H, W, 3].
      classes: int [B], one of K.
      layer: a name of `feature_maps`. Where the logits do not depend on a map (patch tokens behind
        the last attention of a transformer) the answer is 0.
      method: 'gradcam' or 'gradcam++'.

    Returns:
      Float32 [B, H, W] in [0, 1].

    Raises:
      UserError: unknown layer or method.
    """
    names.check_name('method', method, METHODS)
    names.check_name('feature map', layer, self._feature_maps)
    return self._run(('cam', layer, method), pixels, classes)

  def integrated_gradients(
    self,
    pixels: np.ndarray,
    classes: np.ndarray,
    steps: int = 32,
    baseline: str = 'blurred',
  ) -> np.ndarray:
    """How much every pixel adds to the logit of a class, from an image without a lesion on.

    Args:
      pixels: uint8 [B, H, W, 3].
      classes: int [B].
      steps: points at which the path from the baseline to the image is differentiated.
      baseline: one of `attribution.BASELINES`.

    Returns:
      Float32 [B, H, W], signed, summed over the channels; its sum over an image is the difference
      of the logit between image and baseline (completeness), as exactly as `steps` are many.

    Raises:
      UserError: unknown baseline, no step.
    """
    attribution.check_integrated_gradients(steps, baseline)
    return self._run(('integrated_gradients', steps, baseline), pixels, classes)

  def occlusion(
    self, pixels: np.ndarray, classes: np.ndarray, patch_px: int, stride_px: int
  ) -> np.ndarray:
    """How much the logit of a class falls when a grey square covers a place.

    Args:
      pixels: uint8 [B, H, W, 3].
      classes: int [B].
      patch_px: side of the square.
      stride_px: by how much it is moved; at most `patch_px`, so that every pixel is covered.

    Returns:
      Float32 [B, H, W], signed: the mean fall over the squares that cover a pixel.

    Raises:
      UserError: a square larger than the image, or a stride beyond it.
    """
    attribution.check_occlusion(self.size, patch_px, stride_px)
    return self._run(('occlusion', patch_px, stride_px), pixels, classes)

  def activation(
    self, pixels: np.ndarray, layer: str = 'last_map', channel: int | None = None
  ) -> np.ndarray:
    """What a map shows without a gradient.

    Args:
      pixels: uint8 [B, H, W, 3].
      layer: a name of `feature_maps`.
      channel: the channel wanted; None takes the mean over all of them.

    Returns:
      Float32 [B, h, w].

    Raises:
      UserError: unknown layer, or a channel that it does not have.
    """
    maps = self.activations(pixels, layer)
    if channel is None:
      return maps.mean(-1)
    if not 0 <= channel < maps.shape[-1]:
      raise UserError(
        f'The feature map {layer!r} has no channel {channel}: it has 0 to {maps.shape[-1] - 1}.'
      )
    return maps[..., channel]

  def activations(self, pixels: np.ndarray, layer: str = 'last_map') -> np.ndarray:
    """Returns a whole map, float32 [B, h, w, C]; see `activation`."""
    names.check_name('feature map', layer, self._feature_maps)
    return self._run(('activations', layer), pixels)

  def _run(
    self, key: tuple[Any, ...], pixels: np.ndarray, classes: np.ndarray | None = None
  ) -> np.ndarray:
    """Runs a compiled method over images, in batches of one shape."""
    if not len(pixels):
      raise UserError('There is no image to explain: pass at least one.')
    classes = np.zeros(len(pixels), np.int32) if classes is None else np.asarray(classes, np.int32)
    size = min(self.batch_size, len(pixels))
    parts = []
    for start in range(0, len(pixels), size):
      rows, wanted = pixels[start : start + size], classes[start : start + size]
      missing = size - len(rows)
      rows = np.pad(rows, ((0, missing), (0, 0), (0, 0), (0, 0)))
      out = self._compiled(key)(self.weights, rows, np.pad(wanted, (0, missing)))
      parts.append(np.asarray(out)[: size - missing])
    return np.concatenate(parts)

  def _compile(self, key: tuple[Any, ...]) -> Callable[..., jax.Array]:
    """Returns the jitted (weights, pixels, classes) -> result of a method and its options."""
    method, *options = key
    model, prepare = self._model, self._prepare

    def score(weights: Any, image: jax.Array) -> jax.Array:
      return model.apply(weights, image, train=False)[0]

    def logits(weights: Any, image: jax.Array, classes: jax.Array) -> jax.Array:
      del classes
      return score(weights, image)

    def activations(weights: Any, image: jax.Array, classes: jax.Array) -> jax.Array:
      del classes
      return apply_with_offset(model, weights, image, *options)[1]

    def cam(weights: Any, image: jax.Array, classes: jax.Array) -> jax.Array:
      layer, name = options
      return make_cam(model, layer, name == 'gradcam++')(weights, image, classes).maps

    normalise = self.classifier.config.normalise
    black = -np.asarray(normalise.mean, np.float32) / np.asarray(normalise.std, np.float32)
    integrated = partial(attribution.make_integrated_gradients, score, black=black)
    methods: dict[str, Callable[..., attribution.Attribution]] = {
      'logits': lambda: logits,
      'activations': lambda layer: activations,
      'cam': lambda layer, name: cam,
      'integrated_gradients': integrated,
      'occlusion': partial(attribution.make_occlusion, score),
    }
    function = methods[method](*options)
    return jax.jit(lambda weights, pixels, k: function(weights, prepare(pixels, None), k))
