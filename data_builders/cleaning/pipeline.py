"""Preprocessing as a name: 'stretch256-hair17-clahe' says what is done, in which order.

Tokens, joined by '-', are applied from left to right:

  stretchN  to NxN px, aspect ratio lost          frame   cuts off a black frame, where there is one
  cropN     the central square, to NxN px         hair    removes hairs, tuned (hair.DEFAULT)
  padN      the whole image on black, to NxN px   hair17  removes hairs, published parameters
  vgaN      640x480 -> 480x480 -> NxN px          clahe   local contrast of lightness
                                                  grey    shades-of-grey colour constancy

'stretch256-hair17-clahe' is the published order; 'hair-clahe-stretch256' cleans at full resolution.

What it costs: every step but the resize reads each pixel a fixed number of times, so that time
grows with the pixels that stand before the resize, and inpainting with the pixels of hair. Cleaning
1024x768 images before the resize costs about seven times as much as after a resize to 256 px;
`python -m benchmarks.preprocess` measures both. Memory is one image and a few planes of its size.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable

import cv2
import numpy as np

from data_builders.cleaning import colour, encoded, frame, geometry, hair
from data_builders.errors import UserError

MIN_PX, MAX_PX = 8, 4096
_RESIZES: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
  'stretch': geometry.stretch,
  'crop': geometry.crop,
  'pad': geometry.pad,
  'vga': geometry.vga,
}
_PHOTOMETRIC: dict[str, Callable[[np.ndarray], np.ndarray]] = {
  'hair': hair.remove_hair,
  'hair17': functools.partial(hair.remove_hair, options=hair.PUBLISHED),
  'clahe': colour.clahe,
  'grey': colour.shades_of_grey,
}
_FRAME = 'frame'
_ALLOWED = ', '.join([f'{name}N' for name in _RESIZES] + [_FRAME, *_PHOTOMETRIC])
_SIZED = re.compile(rf'({"|".join(_RESIZES)})([1-9]\d*)')


@dataclasses.dataclass(frozen=True)
class Pipeline:
  """An ordered preprocessing; made by `parse`.

  Attributes:
    steps: the tokens of its name; none does nothing.
  """

  steps: tuple[str, ...] = ()

  @property
  def name(self) -> str:
    """The name that `parse` makes this pipeline of."""
    return '-'.join(self.steps)

  def apply(
    self, image: np.ndarray, mask: np.ndarray | None = None
  ) -> tuple[np.ndarray, np.ndarray | None]:
    """Applies all steps in their order; what is passed in stays as it is.

    Args:
      image: uint8 [H, W, 3] RGB.
      mask: uint8 [H, W] of 0 and 255; follows the image's geometry. It decides nothing.

    Returns:
      image: uint8 [H', W', 3] RGB.
      mask: uint8 [H', W'] of 0 and 255; None without one.
    """
    for step in self.steps:
      if step in _PHOTOMETRIC:
        image = _PHOTOMETRIC[step](image)
      elif step == _FRAME:
        box = frame.find_box(image)
        image = frame.cut(image, box)
        mask = None if mask is None else frame.cut(mask, box)
      else:
        resize, size_px = _split(step)
        image = resize(image, size_px)
        mask = None if mask is None else geometry.binary(resize(mask, size_px))
    return image, mask


def parse(text: str) -> Pipeline:
  """Reads a pipeline's name; '' does nothing.

  Raises:
    UserError: an unknown or repeated token, or a size out of range.
  """
  steps = tuple(text.split('-')) if text else ()
  for place, step in enumerate(steps):
    sized = _SIZED.fullmatch(step)
    if not sized and step not in (_FRAME, *_PHOTOMETRIC):
      raise UserError(
        f'{step!r} in the preprocessing {text!r} is no step; allowed are {_ALLOWED} (N: pixels),'
        " joined by '-' in the order of application."
      )
    if sized and not MIN_PX <= int(sized[2]) <= MAX_PX:
      raise UserError(
        f'{step!r} in the preprocessing {text!r} asks for {sized[2]} px; sizes from {MIN_PX} to'
        f' {MAX_PX} are allowed.'
      )
    if _kind(step) in map(_kind, steps[:place]):
      raise UserError(
        f'{step!r} in the preprocessing {text!r} repeats a step; name every step once, and only one'
        ' of hair and hair17.'
      )
  return Pipeline(steps)


def clean_encoded(
  pipeline: Pipeline, jpeg: bytes, mask_png: bytes | None = None
) -> tuple[bytes, bytes | None]:
  """Decodes an image and its mask, applies a pipeline and encodes them again.

  The same bytes give the same bytes, in any process. A pipeline without steps returns the bytes
  untouched. Where the first step is a resize, a JPEG is decoded at the half, quarter or eighth of
  its size that still is large enough: on photographs that differs from a full decode and averaging
  by less than one grey level in the mean.

  Args:
    pipeline: what to do.
    jpeg: the encoded image.
    mask_png: its encoded lesion mask, of the same size, 0 and 255.

  Returns:
    jpeg: quality 95, no subsampling of colour.
    mask_png: grey PNG of 0 and 255; None without one.

  Raises:
    UserError: bytes that do not decode, or a mask of another size.
  """
  if not pipeline.steps:
    return jpeg, mask_png
  reduction = 1
  mask = None if mask_png is None else _decode_mask(mask_png, jpeg)
  if sized := _SIZED.fullmatch(pipeline.steps[0]):
    # The path over 640x480 needs that many pixels.
    needed = 640 if sized[1] == 'vga' else int(sized[2])
    reduction = encoded.fitting_reduction(jpeg, needed)
  image, mask = pipeline.apply(encoded.decode_rgb(jpeg, reduction), mask)
  png = None if mask is None else cv2.imencode('.png', mask)[1].tobytes()
  return encoded.encode_jpeg(image), png


def _decode_mask(mask_png: bytes, jpeg: bytes) -> np.ndarray:
  mask = cv2.imdecode(np.frombuffer(mask_png, np.uint8), cv2.IMREAD_GRAYSCALE)
  if mask is None:
    raise UserError('The mask is not a PNG that OpenCV can decode; restore the official mask.')
  size = encoded.jpeg_size(jpeg) or encoded.decode_rgb(jpeg).shape[:2]
  if mask.shape != size:
    raise UserError(
      f'The mask has {mask.shape[1]}x{mask.shape[0]} pixels where its image has'
      f' {size[1]}x{size[0]}; restore the official mask.'
    )
  return geometry.binary(mask)


def _split(step: str) -> tuple[Callable[[np.ndarray, int], np.ndarray], int]:
  sized = _SIZED.fullmatch(step)
  assert sized, step
  return _RESIZES[sized[1]], int(sized[2])


def _kind(step: str) -> str:
  return 'hair' if step in ('hair', 'hair17') else step
