"""Tiny ISIC 2018 Task 1, 2019 and 2020 in the official names and layout, drawn here.

Every `write_*` makes a complete manual directory; tests of bad input pass changed tables or
members. Ids begin at ISIC_8000000, which no archive uses, except where a test is about known ids.
"""

from __future__ import annotations

import csv
import io
import pathlib
import zipfile
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

HEIGHT_PX, WIDTH_PX = 30, 40
CLASSES = ('MEL', 'NV', 'BCC', 'AK', 'BKL', 'DF', 'VASC', 'SCC', 'UNK')
Row = dict[str, str]


def image_id(index: int) -> str:
  return f'ISIC_{8_000_000 + index:07d}'


def jpeg(seed: int, height: int = HEIGHT_PX, width: int = WIDTH_PX) -> bytes:
  """Returns a smooth random image as JPEG."""
  pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
  return cv2.imencode('.jpg', cv2.GaussianBlur(pixels, (0, 0), 4))[1].tobytes()


def jpegs(image_ids: Sequence[str]) -> dict[str, bytes]:
  """Returns an encoded image for every id."""
  return {name: jpeg(index) for index, name in enumerate(image_ids)}


def mask(index: int) -> np.ndarray:
  """Returns a disc, uint8 of 0 and 255."""
  empty = np.zeros((HEIGHT_PX, WIDTH_PX), np.uint8)
  return cv2.circle(empty, (20, 15), 4 + index % 8, 255, -1)


def table(rows: Sequence[Row], columns: Sequence[str] = ()) -> bytes:
  """Returns rows as CSV."""
  file = io.StringIO()
  names = list(columns or rows[0])
  writer = csv.DictWriter(file, names, extrasaction='ignore', lineterminator='\n')
  writer.writeheader()
  writer.writerows(rows)
  return file.getvalue().encode()


def archive(path: pathlib.Path, folder: str, members: Mapping[str, bytes], suffix: str) -> None:
  """Writes a zip archive with all members in one folder."""
  with zipfile.ZipFile(path, 'w') as file:
    for name, data in members.items():
      # Dated alike: the same content gives the same archive.
      file.writestr(zipfile.ZipInfo(f'{folder}/{name}{suffix}'), data)


def write(directory: pathlib.Path, files: Mapping[str, bytes]) -> pathlib.Path:
  """Writes files into a directory and returns it."""
  directory.mkdir(parents=True, exist_ok=True)
  for name, data in files.items():
    (directory / name).write_bytes(data)
  return directory


def truth_2019(count: int = 40, first: int = 0, unknown: bool = False) -> list[Row]:
  """Returns one-hot rows, pairs of images of one class."""
  names = CLASSES if unknown else CLASSES[:-1]
  chosen = [names[index // 2 % len(names)] for index in range(count)]
  return [
    {'image': image_id(first + index)} | {c: '1.0' if c == name else '0.0' for c in CLASSES}
    for index, name in enumerate(chosen)
  ]


def metadata_2019(count: int = 40, first: int = 0) -> list[Row]:
  """Returns metadata; two images a lesion, the last ten images without lesion id."""
  return [
    {
      'image': image_id(first + index),
      'age_approx': '' if index == 3 else str(5 * (index % 18)),
      'anatom_site_general': '' if index == 4 else 'anterior torso',
      'lesion_id': '' if index >= count - 10 else f'BCN_{8_000_000 + index // 2:07d}',
      'sex': '' if index == 5 else ('female', 'male')[index % 2],
    }
    for index in range(count)
  ]


def write_2019(
  directory: pathlib.Path,
  truth: list[Row] | None = None,
  metadata: list[Row] | None = None,
  images: Mapping[str, bytes] | None = None,
  test: bool = False,
  **files: bytes,
) -> pathlib.Path:
  """Writes a manual directory of ISIC 2019; keyword arguments replace files, `.` written `__`."""
  truth = truth_2019() if truth is None else truth
  metadata = metadata_2019() if metadata is None else metadata
  write(
    directory,
    {
      'ISIC_2019_Training_GroundTruth.csv': table(truth),
      'ISIC_2019_Training_Metadata.csv': table(metadata),
    },
  )
  members = jpegs([row['image'] for row in truth]) if images is None else images
  name = 'ISIC_2019_Training_Input'
  archive(directory / f'{name}.zip', name, members, '.jpg')
  if test:
    rows = truth_2019(18, first=1000, unknown=True)
    columns = ('image', 'age_approx', 'anatom_site_general', 'sex')
    write(
      directory,
      {
        'ISIC_2019_Test_GroundTruth.csv': table(rows, [*rows[0]]),
        'ISIC_2019_Test_Metadata.csv': table(metadata_2019(18, first=1000), columns),
      },
    )
    name = 'ISIC_2019_Test_Input'
    archive(directory / f'{name}.zip', name, jpegs([row['image'] for row in rows]), '.jpg')
  return write(directory, {key.replace('__', '.'): data for key, data in files.items()})


def rows_2020(patients: int = 20, images: int = 3) -> list[Row]:
  """Returns rows of the second version of the table; every fifth patient has a melanoma."""
  result = []
  for patient in range(patients):
    for image in range(images):
      malignant = patient % 5 == 0 and image == 0
      result.append(
        {
          'image_name': image_id(patient * images + image),
          'patient_id': f'IP_{8_000_000 + patient:07d}',
          'lesion_id': f'IL_{8_000_000 + patient * images + image:07d}',
          'sex': '' if patient == 1 else 'male',
          'age_approx': '' if patient == 1 else '45',
          'anatom_site_general_challenge': '' if patient == 1 else 'torso',
          'diagnosis': 'melanoma' if malignant else ('lentigo NOS', 'unknown', 'nevus')[image],
          'benign_malignant': 'malignant' if malignant else 'benign',
          'target': str(int(malignant)),
        }
      )
  result[7]['lesion_id'] = '0'  # As one row of the official table.
  return result


DUPLICATES_2020 = [(1, 2), (4, 5)]
"""Pairs of images of one patient: the second is removed."""


def write_2020(
  directory: pathlib.Path,
  rows: list[Row] | None = None,
  pairs: Sequence[tuple[int, int]] = tuple(DUPLICATES_2020),
  images: Mapping[str, bytes] | None = None,
  columns: Sequence[str] = (),
  name: str = 'ISIC_2020_Training_GroundTruth_v2.csv',
) -> pathlib.Path:
  """Writes a manual directory of ISIC 2020."""
  rows = rows_2020() if rows is None else rows
  duplicates = [{'image_name_1': image_id(a), 'image_name_2': image_id(b)} for a, b in pairs]
  write(
    directory,
    {
      name: table(rows, columns),
      'ISIC_2020_Training_Duplicates.csv': table(duplicates, ('image_name_1', 'image_name_2')),
    },
  )
  members = jpegs([row['image_name'] for row in rows]) if images is None else images
  archive(directory / 'ISIC_2020_Training_JPEG.zip', 'train', members, '.jpg')
  return directory


def write_task1(
  directory: pathlib.Path,
  ids: Sequence[str] | None = None,
  masks: Mapping[str, bytes] | None = None,
  official: Sequence[str] = (),
) -> pathlib.Path:
  """Writes a manual directory of ISIC 2018 Task 1; `official` adds 'Validation' or 'Test'."""
  directory.mkdir(parents=True, exist_ok=True)
  ids = [image_id(index) for index in range(24)] if ids is None else ids
  if masks is None:
    masks = {name: png(mask(index)) for index, name in enumerate(ids)}
  parts = {'Training': (ids, masks)}
  for number, part in enumerate(official, start=1):
    names = [image_id(1000 * number + index) for index in range(4)]
    parts[part] = (names, {name: png(mask(index)) for index, name in enumerate(names)})
  for part, (names, encoded) in parts.items():
    folder = f'ISIC2018_Task1-2_{part}_Input'
    archive(directory / f'{folder}.zip', folder, jpegs(names), '.jpg')
    folder = f'ISIC2018_Task1_{part}_GroundTruth'
    archive(directory / f'{folder}.zip', folder, encoded, '_segmentation.png')
  return directory


def png(pixels: np.ndarray) -> bytes:
  return cv2.imencode('.png', pixels)[1].tobytes()
