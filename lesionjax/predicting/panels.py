"""overlays/: the photograph with its lesion outlined, beside what the network looked at."""

from __future__ import annotations

import os
import re

import cv2
import numpy as np

from data_builders.cleaning.encoded import encode_jpeg
from lesionjax.host import files
from lesionjax.report import overlays

HEIGHT_PX = 256
FOLDER = 'overlays'
_MAX_STEM = 80
_OURS = re.compile(r'\d{6,}_[\w.-]*\.jpg')


def file_name(index: int, name: str) -> str:
  """Name of an image's panel: its place, so that two files of one stem differ, and its stem."""
  stem = os.path.splitext(os.path.basename(name))[0]
  plain = re.sub(r'[^A-Za-z0-9_.-]+', '_', stem)[:_MAX_STEM]
  return f'{index:06d}_{plain}.jpg'


def outlined(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
  """The photograph at the height of a panel with its lesion outlined.

  Args:
    image: uint8 [H, W, 3] RGB.
    mask: bool [H, W]; an empty one draws nothing.

  Returns:
    uint8 [256, w, 3], w between a quarter and four times the height: a strip is cut at its middle.
  """
  height, width = image.shape[:2]
  if max(height, width) > 4 * min(height, width):
    most = 4 * min(height, width)
    top, left = max(0, height - most) // 2, max(0, width - most) // 2
    rows, columns = slice(top, top + most), slice(left, left + most)
    image, mask = image[rows, columns], mask[rows, columns]
  scale = HEIGHT_PX / image.shape[0]
  size = max(1, round(image.shape[1] * scale)), HEIGHT_PX
  method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
  return overlays.outline(cv2.resize(image, size, interpolation=method), mask)


def panel(photograph: np.ndarray, seen: np.ndarray, cam: np.ndarray) -> np.ndarray:
  """Puts both pictures side by side.

  Args:
    photograph: from `outlined`.
    seen: uint8 [h, w, 3], what the network saw.
    cam: float [h, w] in 0..1, what of it spoke for the label.

  Returns:
    uint8 [256, W, 3].
  """
  width = max(1, round(seen.shape[1] * HEIGHT_PX / seen.shape[0]))
  grown = cv2.resize(seen, (width, HEIGHT_PX), interpolation=cv2.INTER_LINEAR)
  gap = np.full((HEIGHT_PX, 8, 3), 255, np.uint8)
  return np.concatenate([photograph, gap, overlays.overlay(grown, cam)], axis=1)


def write(folder: str, index: int, name: str, picture: np.ndarray) -> None:
  """Writes a panel as a JPEG, whole or not at all."""
  files.write_bytes(os.path.join(folder, file_name(index, name)), encode_jpeg(picture))


def remove_old(folder: str) -> None:
  """Removes the panels of an earlier prediction, and nothing else."""
  if os.path.isdir(folder):
    for name in os.listdir(folder):
      if _OURS.fullmatch(name):
        os.unlink(os.path.join(folder, name))
