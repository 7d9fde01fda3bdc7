"""What a classifier sees of an image whose lesion is known: all of it, or the lesion."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from data_builders.errors import UserError
from lesionjax.data.crop import CropBox, crop_box

if TYPE_CHECKING:  # the wheel alone has no ml_collections
  from ml_collections import ConfigDict

MODES = ('none', 'mask', 'crop', 'mask_crop', 'attention')
BACKGROUNDS = ('none', 'tones')
_LOOKS = ('mask', 'crop', 'mask_crop')


def uses_masks(data: ConfigDict) -> bool:
  """Whether images are seen with the help of masks, by `config.data`."""
  return data.lesion != 'none' or data.background != 'none'


@dataclasses.dataclass(frozen=True)
class Lesion:
  """How a lesion mask changes an image before it is resized.

  Attributes:
    mode: 'none' leaves it; 'mask' sets everything outside of the lesion to black; 'crop' cuts out
      the upright rectangle around the largest contour; 'mask_crop' does both; 'attention' leaves
      the image and hands the mask to the training.
    masks: 'true' for those of the data set, or a folder that `--mode=masks` wrote.
    margin: of a crop, as a share of the longer side of the rectangle.
    background: 'none' leaves the skin around the lesion, 'tones' recolours it before anything else
      (`lesionjax.data.background`).
  """

  mode: str = 'none'
  masks: str = 'true'
  margin: float = 0.1
  background: str = 'none'

  def __post_init__(self):
    if self.mode not in MODES:
      raise UserError(f'config.data.lesion={self.mode!r} is not one of {", ".join(MODES)}.')
    if not 0 <= self.margin <= 2:
      raise UserError(
        f'config.data.lesion_margin={self.margin!r} must be from 0 to 2, a share of the longer side'
        " of the lesion's rectangle: set 0 for none, or 0.1 for a tenth on every side."
      )
    if self.background not in BACKGROUNDS:
      raise UserError(
        f'config.data.background={self.background!r} is not one of {", ".join(BACKGROUNDS)}.'
      )
    if self.recolours and self.mode in ('mask', 'mask_crop'):
      raise UserError(
        f'config.data.background={self.background!r} recolours skin that config.data.lesion='
        f"{self.mode!r} makes black: set the lesion to 'none', 'crop' or 'attention'."
      )

  @property
  def looks(self) -> bool:
    """Whether the image itself changes."""
    return self.mode in _LOOKS

  @property
  def recolours(self) -> bool:
    """Whether the skin around the lesion gets another tone."""
    return self.background != 'none'

  @property
  def needs_mask(self) -> bool:
    """Whether an image cannot be seen as it should be without its mask."""
    return self.looks or self.recolours

  @property
  def crops(self) -> bool:
    """Whether the image ends at the lesion's rectangle."""
    return self.mode in ('crop', 'mask_crop')

  def box(self, mask: np.ndarray) -> CropBox | None:
    """The rectangle around the lesion of a mask uint8 [H, W]; None where there is no usable one."""
    return crop_box(mask > 0, self.margin)

  def apply(
    self, image: np.ndarray, mask: np.ndarray | None
  ) -> tuple[np.ndarray, np.ndarray | None]:
    """Masks and crops an image.

    Args:
      image: uint8 [H, W, 3].
      mask: uint8 [H, W] of 0 and 255; None where no lesion was found.

    Returns:
      The image and the mask that lies on it; both whole where there is no usable contour.
    """
    if mask is None or not self.looks:
      return image, mask
    if mask.shape != image.shape[:2]:
      raise ValueError(f'mask {mask.shape} and image {image.shape} differ in size')
    box = self.box(mask)
    if box is None:
      return image, mask
    if self.mode in ('mask', 'mask_crop'):
      image = np.where(mask[..., None] > 0, image, np.uint8(0))
    if self.crops:
      rows, columns = box.slices
      image, mask = image[rows, columns], mask[rows, columns]
    return image, mask
