"""A trained run on images of one's own, in a notebook or a script."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from etils import epath

from data_builders.cleaning import geometry
from data_builders.errors import UserError
from lesionjax.config import image_size
from lesionjax.data.datasets import preprocessing_of
from lesionjax.data.decode import DecodeError, decode_pixels, reduction, sides
from lesionjax.data.lesion import Lesion
from lesionjax.masking import mask_scoring
from lesionjax.masking.segmenting import MOVING
from lesionjax.runs import assembly, inference, run_directory, two_stage


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


class Masks(NamedTuple):
  """What a segmenter says of N images.

  Attributes:
    masks: N bool arrays [H, W] of the images' own sizes.
    confidence: float32 [N], mean probability within the mask; 0 where it is empty.
  """

  masks: list[np.ndarray]
  confidence: np.ndarray


class TrainedRun:
  """Configuration, best weights and compiled network of a run."""

  def __init__(self, run_dir: epath.PathLike):
    self.run_dir = run_directory.locate(run_dir)
    self.config = run_directory.read_config(run_dir)
    self.class_names = run_directory.class_names(run_dir)
    self.size = image_size(self.config)
    self.preprocessing = preprocessing_of(self.config.data.name, self.config.data.preprocess)
    self.model = assembly.make_model(self.config, len(self.class_names))
    local = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    self.weights = inference.restore_best(run_dir, self.model, self.size, local)

  def _outputs(
    self, pixels: Iterator[np.ndarray], count: int, batch_size: int
  ) -> Iterator[dict[str, np.ndarray]]:
    """Runs `self._apply` over images uint8 [H, W, 3] in batches of one shape."""
    size = min(batch_size, count)
    for start in range(0, count, size):
      rows = [next(pixels) for _ in range(min(size, count - start))]
      padded = np.stack(rows + [np.zeros_like(rows[0])] * (size - len(rows)))
      outputs = self._apply(self.weights, padded)
      yield {name: np.asarray(value)[: len(rows)] for name, value in outputs.items()}

  def _apply(self, weights: Any, pixels: np.ndarray) -> dict[str, Any]:
    raise NotImplementedError


class Segmenter(TrainedRun):
  """A trained segmenter, ready to find lesions."""

  def __init__(self, run_dir: epath.PathLike):
    """Reads configuration, best weights and post-processing of a run directory.

    Raises:
      UserError: it is no segmenter, has not been evaluated, or its masks would not lie on the
        images.
    """
    super().__init__(run_dir)
    if self.config.task != 'segment':
      raise UserError(f'{run_dir} is a run of task {self.config.task!r}, not a segmenter.')
    moving = [step for step in self.preprocessing.steps if step.startswith(MOVING)]
    if moving:
      raise UserError(
        f'{run_dir} was trained on images after {moving[0]!r} (config.data.name or'
        ' config.data.preprocess), so that its masks would not lie on the images as they are: load'
        ' a segmenter that was trained without that step.'
      )
    self.postprocess = mask_scoring.read_postprocess(self.run_dir)
    step = assembly.make_eval_step(self.config, self.model)
    self._step = jax.jit(lambda weights, image: step(weights, {'image': image}))

  def _apply(self, weights: Any, pixels: np.ndarray) -> dict[str, Any]:
    return self._step(weights, pixels)

  def predict(self, images: Sequence[Any] | np.ndarray, batch_size: int = 16) -> Masks:
    """Finds the lesion in images of any size.

    Args:
      images: as in `Classifier.predict`.
      batch_size: images at a time.

    Returns:
      The Masks, in the order of the images. Every image is stretched to the network's size and its
      mask back, so memory depends on that size alone.

    Raises:
      UserError: naming the image that is not one.
    """
    images = _listed(images)
    shapes: list[tuple[int, int]] = []

    def pixels() -> Iterator[np.ndarray]:
      for index, image in enumerate(images):
        whole = read_image(image, index)
        shapes.append(whole.shape[:2])
        height, width = self.size
        yield geometry.resize(self.preprocessing.apply(whole)[0], width, height)

    masks, confidence = [], []
    for outputs in self._outputs(pixels(), len(images), batch_size):
      for probability in outputs['probability'].astype(np.float32) / np.float32(255):
        mask = self.postprocess(probability)
        confidence.append(probability[mask].mean() if mask.any() else 0.0)
        height, width = shapes[len(masks)]
        grown = geometry.resize_mask(mask.astype(np.uint8) * np.uint8(255), width, height)
        masks.append(grown > 0)
    return Masks(masks, np.asarray(confidence, np.float32))


class Classifier(TrainedRun):
  """A trained classifier, ready to predict."""

  def __init__(self, run_dir: epath.PathLike):
    """Reads configuration, class names and best weights of a run directory; a first stage too."""
    super().__init__(run_dir)
    data = self.config.data
    self._lesion = Lesion(data.lesion, data.lesion_masks, data.lesion_margin)
    staged = self.config.segmenter is not None and self._lesion.looks
    self.segmenter = Segmenter(self.run_dir / two_stage.SEGMENTER) if staged else None
    step = assembly.make_eval_step(self.config, self.model)
    self._step = jax.jit(lambda weights, image: step(weights, {'image': image}))

  def _apply(self, weights: Any, pixels: np.ndarray) -> dict[str, Any]:
    return self._step(weights, pixels)

  def predict(
    self,
    images: Sequence[Any] | np.ndarray,
    batch_size: int = 64,
    masks: Sequence[np.ndarray | None] | None = None,
  ) -> Prediction:
    """Classifies images of any size, preprocessed as those of the training were.

    Args:
      images: uint8 [N, H, W, 3] RGB, a sequence of uint8 [H, W, 3] RGB arrays and paths of JPEG or
        PNG files, or one path.
      batch_size: images at a time.
      masks: bool [H, W] of every image, None where no lesion is known (it is seen whole then); for
        a run that looks at lesions and has no first stage of its own to find them.

    Returns:
      The Prediction, in the order of the images.

    Raises:
      UserError: naming the image that is not one, or when masks are missing or not wanted.
    """
    images = _listed(images)
    self.check_background()
    self._check_masks(images, masks)

    def pixels() -> Iterator[np.ndarray]:
      for index, image in enumerate(images):
        yield self.seen(image, index, None if masks is None else masks[index])

    found = self.look(pixels(), len(images), batch_size)
    logits = found['logits']
    return Prediction(self.class_names, inference.softmax(logits), logits, found['pre_logits'])

  def look(self, pixels: Iterator[np.ndarray], count: int, batch_size: int = 64) -> dict[str, Any]:
    """Runs over images that are as the network sees them: preprocessed and of its size.

    Args:
      pixels: uint8 [H, W, 3].
      count: how many.
      batch_size: images at a time.

    Returns:
      logits float32 [N, K] and pre_logits float32 [N, D].
    """
    found = list(self._outputs(iter(pixels), count, batch_size))
    return {
      name: np.concatenate([np.asarray(outputs[name], np.float32) for outputs in found])
      for name in ('logits', 'pre_logits')
    }

  def check_background(self) -> None:
    """Refuses to judge new photographs where the run knows recoloured skin only."""
    background = self.config.data.background
    if background != 'none':
      raise UserError(
        f'{self.run_dir} was trained with config.data.background={background!r}, on skin in tones'
        ' that are drawn by the ids of a data set, and has seen no skin as it is: evaluate it on a'
        ' prepared data set with masks, --mode=evaluate --eval_data=NAME, or predict with a run'
        " that was trained with config.data.background='none'."
      )

  @property
  def needs_masks(self) -> bool:
    """Whether it looks at lesions and has no first stage of its own to find them."""
    return self._lesion.looks and self.segmenter is None

  def _check_masks(self, images: Sequence[Any], masks: Sequence[Any] | None) -> None:
    needed = self.needs_masks
    if needed and masks is None:
      raise UserError(
        f'{self.run_dir} was trained with config.data.lesion={self._lesion.mode!r}: pass the masks'
        ' of the images, predict(images, masks=...), as a segmenter finds them.'
      )
    if masks is not None and not needed:
      raise UserError(f'{self.run_dir} takes no masks: call predict(images).')
    if masks is not None and len(masks) != len(images):
      raise UserError(f'There are {len(images)} images and {len(masks)} masks: give one an image.')

  def seen(self, image: Any, index: int = 0, mask: np.ndarray | None = None) -> np.ndarray:
    """Prepares an image as those of the training were.

    Args:
      image: uint8 [H, W, 3] RGB, or the path of a file.
      index: place in the list, for messages.
      mask: bool [H, W] of its lesion, or None; see `predict`.

    Returns:
      Uint8 [h, w, 3], what the network sees, of its size.

    Raises:
      UserError: it is no image, the mask has another size, or the run knows recoloured skin only.
    """
    self.check_background()
    height, width = self.size
    if not self._lesion.looks:
      shrink = not self.preprocessing.steps
      whole = read_image(image, index, self.size if shrink else None)
      return geometry.resize(self.preprocessing.apply(whole)[0], width, height)
    whole = read_image(image, index)
    if self.segmenter is not None:
      mask = self.segmenter.predict([whole], batch_size=1).masks[0]
    if mask is not None and mask.shape != whole.shape[:2]:
      raise UserError(f'Mask {index} is {mask.shape} and its image {whole.shape[:2]}: same size.')
    plane = None if mask is None else np.asarray(mask > 0, np.uint8) * np.uint8(255)
    seen, _ = self._lesion.apply(*self.preprocessing.apply(whole, plane))
    return geometry.resize(seen, width, height)


def read_image(image: Any, index: int, fit_px: tuple[int, int] | None = None) -> np.ndarray:
  """Returns uint8 [H, W, 3] RGB of an array or a file.

  Args:
    image: an array, or the path of a JPEG or PNG file.
    index: place in the list, for messages.
    fit_px: height and width that are needed at least: a large JPEG is decoded smaller.

  Raises:
    UserError: naming the image that is not one.
  """
  if isinstance(image, str | epath.Path) or hasattr(image, '__fspath__'):
    try:
      data = epath.Path(image).read_bytes()
      return decode_pixels(data, reduction(data, sides(fit_px)) if fit_px else 1)
    except (DecodeError, OSError) as error:
      raise UserError(f'Image {image} cannot be read: {error}.') from error
  image = np.asarray(image)
  if image.ndim != 3 or image.shape[-1] != 3 or not image.size or image.dtype != np.uint8:
    raise UserError(
      f'Image {index} is {image.dtype} {image.shape}; it must be uint8 [height, width, 3] in RGB '
      'order, or the path of a file.'
    )
  return image


def _listed(images: Any) -> Sequence[Any]:
  if isinstance(images, str | os.PathLike):
    images = [images]
  if not len(images):
    raise UserError('predict() was given no image: pass at least one array or path.')
  return images
