"""Pictures for the eye: what hair removal did to real photographs, side by side."""

from __future__ import annotations

import pathlib
import zipfile
from collections.abc import Iterator

import cv2
import numpy as np

from data_builders.cleaning import encoded, geometry, hair
from data_builders.errors import UserError

_PANEL_PX, _TITLE_PX, _ROWS = 480, 22, 4
_PUBLISHED_PX = 256


def write_sheets(images_zip: str, out_dir: str, size_px: int = 0) -> list[pathlib.Path]:
  """Writes contact sheets: photograph, what was found, `DEFAULT`, `PUBLISHED`; a row an image.

  Args:
    images_zip: archive of JPEGs.
    out_dir: where the sheets go; made if it is not there.
    size_px: stretch photographs to this square first; 0: clean at full resolution. `PUBLISHED` is
      always shown as published, on the photograph stretched to 256 px.

  Returns:
    The files written.
  """
  try:
    archive = zipfile.ZipFile(images_zip)
  except (OSError, zipfile.BadZipFile) as error:
    raise UserError(f'{images_zip} is no zip archive of JPEGs ({error}); name one.') from error
  folder = pathlib.Path(out_dir)
  folder.mkdir(parents=True, exist_ok=True)
  written = []
  with archive:
    rows = list(_rows(archive, size_px))
  for start in range(0, len(rows), _ROWS):
    path = folder / f'hair_{start // _ROWS:02d}.png'
    sheet = np.vstack(rows[start : start + _ROWS])
    cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
    written.append(path)
  return written


def _rows(archive: zipfile.ZipFile, size_px: int) -> Iterator[np.ndarray]:
  names = sorted(name for name in archive.namelist() if name.lower().endswith('.jpg'))
  if not names:
    raise UserError(f'{archive.filename} holds no .jpg; name an archive of photographs.')
  for name in names:
    image = encoded.decode_rgb(archive.read(name))
    yield compare(image, f'{pathlib.PurePosixPath(name).stem} {image.shape[1]}x{image.shape[0]}',
                  size_px)  # fmt: skip


def compare(image: np.ndarray, title: str, size_px: int = 0) -> np.ndarray:
  """One row of a sheet: photograph, overlay of what was found, both cleaned versions.

  Args:
    image: uint8 [H, W, 3] RGB.
    title: stands over the photograph.
    size_px: as in `write_sheets`.

  Returns:
    uint8 [H', W', 3] RGB.
  """
  shape = image.shape
  small = geometry.stretch(image, _PUBLISHED_PX)
  image = geometry.stretch(image, size_px) if size_px else image
  found = hair.hair_mask(image)
  overlay = image.copy()
  overlay[found > 0] = (0, 255, 0)
  panels = {
    title: image,
    f'found: {found.mean() / 2.55:.1f} %': overlay,
    'DEFAULT': hair.remove_hair(image),
    f'PUBLISHED at {_PUBLISHED_PX} px': hair.remove_hair(small, hair.PUBLISHED),
  }
  return np.hstack([_panel(picture, shape, text) for text, picture in panels.items()])


def _panel(picture: np.ndarray, shape: tuple[int, ...], text: str) -> np.ndarray:
  height = round(_PANEL_PX * shape[0] / shape[1])
  shown = geometry.resize(picture, _PANEL_PX, height)
  title = np.full((_TITLE_PX, _PANEL_PX, 3), 255, np.uint8)
  cv2.putText(title, text, (4, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
  return np.vstack([title, shown])
