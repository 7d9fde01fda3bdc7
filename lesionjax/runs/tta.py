"""Test-time augmentation: the views of an image whose probabilities are averaged.

A lesion has no up and no left, so that a classifier should say the same of every view; what it says
differently is noise, and the mean over the views is free of a part of it (Krizhevsky et al., NIPS
2012, section 4.1; of lesions: Perez et al., ISIC workshop 2018, arXiv 1809.01442).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from data_builders.errors import UserError

Array = TypeVar('Array')  # of NumPy or of jax: only indexing and `swapaxes` are used
View = Callable[[Array], Array]

NAMES = ('none', 'flips', 'quarter_turns')


def views(tta: str) -> list[View]:
  """The functions whose results a classifier is asked about.

  Args:
    tta: 'none' (the image alone), 'flips' (it, mirrored left to right, top to bottom, and both) or
      'quarter_turns' (the eight symmetries of the square). '' is 'none'.

  Returns:
    Functions of images [B, H, W, C] of any type, returning the same shape and type; the first one
    returns them as they are. Those of 'quarter_turns' that turn raise a UserError where H != W.

  Raises:
    UserError: no such name.
  """
  flips: list[View] = [_same, _mirrored, _upside_down, _half_turn]
  if tta in ('', 'none'):
    return [_same]
  if tta == 'flips':
    return flips
  if tta == 'quarter_turns':
    return flips + [_transposed(view) for view in flips]
  raise UserError(f'--tta={tta} is no set of views: choose {", ".join(NAMES[:-1])} or {NAMES[-1]}.')


def check_size(tta: str, height: int, width: int) -> None:
  """Refuses quarter turns of images that are no squares.

  Args:
    tta: see `views`.
    height: of the classifier's input, pixels.
    width: likewise.

  Raises:
    UserError: a turned image would have another shape than the classifier reads.
  """
  if tta == 'quarter_turns' and height != width:
    raise UserError(
      f'--tta=quarter_turns turns images, and those of this run are {width} x {height} px: take'
      ' --tta=flips, which keeps their shape.'
    )


def _same(images: Array) -> Array:
  return images


def _mirrored(images):
  return images[:, :, ::-1]


def _upside_down(images):
  return images[:, ::-1]


def _half_turn(images):
  return images[:, ::-1, ::-1]


def _transposed(view: View) -> View:
  def transposed(images):
    check_size('quarter_turns', images.shape[1], images.shape[2])
    return view(images.swapaxes(1, 2))

  return transposed
