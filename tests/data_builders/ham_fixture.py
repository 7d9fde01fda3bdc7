"""A tiny HAM10000 in the official files' names and layout, drawn here; one thing at a time broken.

`write(directory)` makes a complete manual directory of 60 images; tests of bad input pass changed
rows, images or masks.
"""

from __future__ import annotations

import csv
import io
import pathlib
import struct
import zipfile
import zlib

import cv2
import numpy as np

COUNTS = {'nv': 20, 'mel': 10, 'bkl': 10, 'bcc': 6, 'akiec': 6, 'df': 4, 'vasc': 4}
"""Images of each class, in pairs of one lesion."""
COLUMNS = ('lesion_id', 'image_id', 'dx', 'dx_type', 'age', 'sex', 'localization', 'dataset')
NEAR_DUPLICATES = ('ISIC_0024408', 'ISIC_0027737')
"""Two images of class bkl that the shipped list joins, here under two lesion ids."""
PALETTE_MASK = 'ISIC_9030000'
"""The image whose mask is a palette PNG with an inverted palette."""
HEIGHT_PX, WIDTH_PX = 36, 48

Row = dict[str, str]


def rows() -> list[Row]:
  """Returns the metadata of all 60 images."""
  result = []
  classes = [name for name, count in COUNTS.items() for _ in range(count)]
  bkl = classes.index('bkl')
  for index, name in enumerate(classes):
    result.append(
      {
        'lesion_id': f'HAM_{index // 2:07d}',
        'image_id': f'ISIC_{9030000 + index:07d}',
        'dx': name,
        'dx_type': 'histo',
        'age': '' if index == 5 else f'{index}.0',
        'sex': 'female' if index % 2 else 'unknown',
        'localization': 'lower extremity',
        'dataset': 'vidir_modern',
      }
    )
  # The first images of the first two lesions of this class.
  result[bkl]['image_id'], result[bkl + 2]['image_id'] = NEAR_DUPLICATES
  return result


def jpegs(of: list[Row] | None = None) -> dict[str, bytes]:
  """Returns an encoded image for every row."""
  result = {}
  for index, row in enumerate(of or rows()):
    image = np.random.default_rng(index).integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    result[row['image_id']] = encode(cv2.GaussianBlur(image, (0, 0), 4), '.jpg')
  return result


def masks(of: list[Row] | None = None) -> dict[str, bytes]:
  """Returns an encoded mask for every row: a disc whose size depends on the row."""
  result = {}
  for index, row in enumerate(of or rows()):
    mask = disc(index)
    image_id = row['image_id']
    result[image_id] = inverted_palette_png(mask) if image_id == PALETTE_MASK else encode(mask)
  return result


def disc(index: int) -> np.ndarray:
  """Returns the mask of a row, uint8 [36, 48] with values 0 and 255."""
  mask = np.zeros((HEIGHT_PX, WIDTH_PX), np.uint8)
  return cv2.circle(mask, (WIDTH_PX // 2, HEIGHT_PX // 2), 4 + index % 10, 255, -1)


def encode(pixels: np.ndarray, extension: str = '.png') -> bytes:
  """Returns pixels as an encoded image."""
  return cv2.imencode(extension, pixels)[1].tobytes()


def inverted_palette_png(mask: np.ndarray) -> bytes:
  """Returns a palette PNG in which index 0 is white and index 1 is black."""

  def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

  height, width = mask.shape
  lines = b''.join(b'\0' + (line == 0).astype(np.uint8).tobytes() for line in mask)
  return (
    b'\x89PNG\r\n\x1a\n'
    + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 3, 0, 0, 0))
    + chunk(b'PLTE', b'\xff\xff\xff\0\0\0')
    + chunk(b'IDAT', zlib.compress(lines))
    + chunk(b'IEND', b'')
  )


def table(of: list[Row] | None = None, columns: tuple[str, ...] = COLUMNS) -> bytes:
  """Returns the metadata as CSV."""
  file = io.StringIO()
  writer = csv.DictWriter(file, columns, extrasaction='ignore', lineterminator='\n')
  writer.writeheader()
  writer.writerows(of or rows())
  return file.getvalue().encode()


def write(
  directory: pathlib.Path,
  metadata: bytes | None = None,
  images: dict[str, bytes] | None = None,
  segmentations: dict[str, bytes] | None = None,
  metadata_name: str = 'HAM10000_metadata.csv',
) -> pathlib.Path:
  """Writes a manual directory and returns it."""
  directory.mkdir(parents=True, exist_ok=True)
  images = jpegs() if images is None else images
  segmentations = masks() if segmentations is None else segmentations
  (directory / metadata_name).write_bytes(table() if metadata is None else metadata)
  halves = [sorted(images)[: len(images) // 2], sorted(images)[len(images) // 2 :]]
  for part, members in enumerate(halves, start=1):
    with zipfile.ZipFile(directory / f'HAM10000_images_part_{part}.zip', 'w') as archive:
      for image_id in members:
        archive.writestr(f'{image_id}.jpg', images[image_id])
  name = 'HAM10000_segmentations_lesion_tschandl'
  with zipfile.ZipFile(directory / f'{name}.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
    for image_id, data in segmentations.items():
      archive.writestr(f'{name}/{image_id}_segmentation.png', data)
      archive.writestr(f'__MACOSX/{name}/._{image_id}_segmentation.png', b'Mac OS X junk')
  return directory
