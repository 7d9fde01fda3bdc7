"""--images: which files a folder, a pattern or a name stands for."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

from data_builders.errors import UserError
from lesionjax.predicting import panels

SUFFIXES = ('.jpg', '.jpeg', '.png', '.webp', '.gif', '.bmp')
RESULT = 'predictions.json'
_WILD = '*?['


class Found(NamedTuple):
  """Files in the order in which they are predicted.

  Attributes:
    folder: that all lie in.
    names: their paths from there; unique, sorted.
    others: files of a folder that are no images by their ending, or hidden.
  """

  folder: str
  names: list[str]
  others: int


def find_images(images: str, out: str) -> Found:
  """Finds the images that are to be predicted.

  Args:
    images: a folder, of which all files with the ending of an image are taken, those in its
      folders too; a pattern such as 'photos/**/*.jpg', of which all matches are; or one file.
      The pictures of earlier predictions are passed by.
    out: folder of the results: nothing in it is an image to predict.

  Returns:
    The files, and directories with the ending of an image, which are told as errors. Links to
    folders are not followed.

  Raises:
    UserError: there is none.
  """
  if not images:
    raise UserError('--images is missing: give a folder, a pattern in quotes, or one image.')
  if '://' in images or '://' in out:
    raise UserError(f'--images={images} and --out={out} must lie on this machine: copy them.')
  if os.path.isdir(images):
    found = _in_folder(images, _closed(images, out))
  elif os.path.lexists(images):
    found = Found(os.path.dirname(images) or '.', [os.path.basename(images)], 0)
  elif any(sign in images for sign in _WILD):
    found = _matches(images, out)
  else:
    raise UserError(f'--images={images} does not exist: give a folder, a pattern or an image.')
  if not found.names:
    others = f' ({found.others:,} other files do)' if found.others else ''
    raise UserError(
      f'--images={images}: no image lies there{others}; files end in {", ".join(SUFFIXES)}.'
    )
  return found


def _closed(folder: str, out: str) -> str:
  """Where no image is looked for: the results, or of results around the images the overlays."""
  results = os.path.abspath(out)
  around = f'{os.path.abspath(folder)}{os.sep}'.startswith(f'{results}{os.sep}')
  return os.path.join(results, 'overlays') if around else results


def _in_folder(folder: str, closed: str) -> Found:
  names, others = [], 0
  for inside, entry in _walk(folder, closed):
    if _is_image(entry.name):
      names.append(os.path.join(inside, entry.name))
    else:
      others += 1
  return Found(folder, sorted(names, key=os.fsencode), others)


def _walk(folder: str, closed: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
  """Yields what is no folder to look into, with its place; a folder that is closed is passed by."""
  waiting = ['']
  while waiting:
    inside = waiting.pop()
    try:
      entries = list(os.scandir(os.path.join(folder, inside)))
    except OSError:
      continue
    for entry in entries:
      if entry.is_dir(follow_symlinks=False) and not _is_image(entry.name):
        if os.path.abspath(entry.path) != closed and not _is_result(entry.path):
          waiting.append(os.path.join(inside, entry.name))
      else:
        yield inside, entry


def _matches(pattern: str, out: str) -> Found:
  """What a pattern matches, hidden files aside; pathlib's `**` follows no links."""
  anchor = pathlib.PurePath(pattern).anchor
  parts = pathlib.PurePath(pattern).relative_to(anchor).parts
  wild = next(place for place, part in enumerate(parts) if any(sign in part for sign in _WILD))
  folder = pathlib.Path(anchor, *parts[:wild])
  closed = _closed(str(folder), out) + os.sep
  try:
    paths = [
      path
      for path in folder.glob(str(pathlib.PurePath(*parts[wild:])))
      if not path.name.startswith('.')
      and (not path.is_dir() or _is_image(path.name))
      and not os.path.abspath(path).startswith(closed)
      and not _is_result(str(path.parent))
    ]
  except (ValueError, OSError) as error:
    raise UserError(f'--images={pattern} is no pattern ({error}): write folder/*.jpg.') from error
  names = {str(path.relative_to(folder)) for path in paths}
  return Found(str(folder), sorted(names, key=os.fsencode), 0)


def _is_result(folder: str) -> bool:
  """Whether a folder holds the pictures of an earlier prediction, which are no photographs."""
  above, name = os.path.split(os.path.abspath(folder))
  return name == panels.FOLDER and os.path.exists(os.path.join(above, RESULT))


def _is_image(name: str) -> bool:
  return name.lower().endswith(SUFFIXES) and not name.startswith('.')
