"""Finding copies: `python -m benchmarks.near_duplicates --images=ZIPS --metadata=CSV`.

First stage: of `--copies` images, copies are planted (JPEG at quality 60, half size, mirrored;
always the same ones) beside all images, and looked for. Second stage, with --known: among all
images and those of --more_images, pairs of different lesions that register on each other are looked
for, and counted against a list of known pairs. Images are of one lesion by the lesion_id of the
tables or by that list. Prints one JSON line; --pairs writes the other flagged pairs to look at.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from benchmarks import common
from data_builders import groups, identity, tables
from data_builders.errors import UserError
from lesionjax.evaluation import near_duplicates, registration
from lesionjax.evaluation.audit_rows import IMAGE_COLUMNS
from lesionjax.evaluation.image_files import ImageFiles, ReadImage

QUALITY = 60
_PREFIX = 'copy of '

Pairs = list[tuple[str, str]]


def plant(data: bytes) -> bytes:
  """Returns a copy of an encoded image: half the size, mirrored, JPEG at quality 60."""
  image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
  if image is None:
    raise UserError('An image cannot be decoded; restore the archive.')
  height, width = image.shape[:2]
  half = cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
  options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY]
  return cv2.imencode('.jpg', np.ascontiguousarray(half[:, ::-1]), options)[1].tobytes()


def first_stage(
  image_ids: list[str], read: ReadImage, lesions: dict[str, str], copies: int
) -> tuple[dict[str, Any], list[list[Any]]]:
  """Plants copies, looks for them, and tells which other pairs were flagged."""
  sources = np.random.default_rng(0).choice(len(image_ids), copies, replace=False)
  planted = {_PREFIX + image_ids[row]: plant(read(image_ids[row])) for row in sources}
  everything = [*image_ids, *planted]

  def read_any(image_id: str) -> bytes:
    return planted[image_id] if image_id in planted else read(image_id)

  start = time.perf_counter()
  pairs = near_duplicates.search(everything, read_any)
  total_s = time.perf_counter() - start

  found, same_lesion, others = 0, 0, []
  for first, second, similarity in zip(pairs.first, pairs.second, pairs.similarity, strict=True):
    names = everything[first], everything[second]
    plain = [name.removeprefix(_PREFIX) for name in names]
    if plain[0] == plain[1]:
      found += 1
    elif lesions[plain[0]] == lesions[plain[1]]:
      same_lesion += 1
    else:
      others.append(['signature', *names, round(float(similarity), 3)])
  return {
    'images': len(everything),
    'planted': copies,
    'found': found,
    'recall': found / copies if copies else None,
    'flagged_pairs': len(pairs),
    'flagged_same_lesion': same_lesion,
    'flagged_other': len(others),
    'total_s': round(total_s, 2),
  }, others


def second_stage(
  image_ids: list[str], read: ReadImage, by_table: dict[str, str], known: Pairs
) -> tuple[dict[str, Any], list[list[Any]]]:
  """Looks for pairs of different lesions that register, and counts the known ones among them."""
  present = set(image_ids)
  wanted = {frozenset(pair) for pair in known if present.issuperset(pair)}
  start = time.perf_counter()
  found = registration.find_registered(image_ids, read, [by_table[i] for i in image_ids])
  total_s = time.perf_counter() - start
  lesions = _lesions(image_ids, by_table, known)
  hits, same_lesion, others = 0, 0, []
  for pair in found:
    names = image_ids[pair.first], image_ids[pair.second]
    if frozenset(names) in wanted:
      hits += 1
    elif lesions[names[0]] == lesions[names[1]]:
      same_lesion += 1
    else:
      others.append(['registration', *names, round(pair.ncc, 3), pair.inliers])
  return {
    'images': len(image_ids),
    'known': len(known),
    'known_present': len(wanted),
    'known_found': hits,
    'flagged_pairs': len(found),
    'flagged_same_lesion': same_lesion,
    'flagged_other': len(others),
    'total_s': round(total_s, 1),
  }, others


def _lesions(image_ids: Sequence[str], by_table: dict[str, str], known: Pairs) -> dict[str, str]:
  """Lesion of every image: by the tables, connected by the known pairs."""
  names = groups.connect(image_ids, [by_table[i] for i in image_ids], pairs=known)
  return dict(zip(image_ids, map(str, names), strict=True))


def _read_lesions(paths: Sequence[str]) -> dict[str, str]:
  """Image id -> lesion_id of several tables, the first one that knows it."""
  lesions: dict[str, str] = {}
  for path in paths:
    header = tables.read_header(path)
    key = next((name for name in IMAGE_COLUMNS if name in header), IMAGE_COLUMNS[0])
    for row in tables.read_table(path, (key, 'lesion_id'), key).rows:
      name = identity.canonical_id(row[key])
      lesions[name] = lesions.get(name) or row['lesion_id'] or name
  return lesions


def measure(options: argparse.Namespace) -> dict[str, Any]:
  """Runs the stages and describes what was run."""
  lesions = _read_lesions(options.metadata.split(','))
  known = []
  if options.known:
    rows = tables.read_table(options.known, ('image_1', 'image_2'), 'image_1', unique=False).rows
    known = [(row['image_1'], row['image_2']) for row in rows]
  result: dict[str, Any] = {'benchmark': 'near_duplicates'}
  others: list[list[Any]] = []
  with ImageFiles(options.images.split(',')) as files:
    image_ids = sorted(files.ids() & lesions.keys())
    if len(image_ids) < options.copies:
      raise UserError(f'{options.images} holds {len(image_ids)} images of {options.metadata}.')
    first, flagged = first_stage(
      image_ids, files.read, _lesions(image_ids, lesions, known), options.copies
    )
    result['first_stage'] = first
    others += flagged
  if options.known:
    places = options.images.split(',') + list(filter(None, options.more_images.split(',')))
    with ImageFiles(places) as files:
      # What no table knows is a lesion of its own; masks in the same folder are no images.
      image_ids = sorted(name for name in files.ids() if '_segmentation' not in name)
      by_table = {image_id: lesions.get(image_id, image_id) for image_id in image_ids}
      result['second_stage'], flagged = second_stage(image_ids, files.read, by_table, known)
      others += flagged
  if options.pairs:
    with open(options.pairs, 'w', newline='', encoding='utf-8') as file:
      writer = csv.writer(file)
      writer.writerow(['stage', 'image_1', 'image_2', 'similarity', 'inliers'])
      writer.writerows(others)
  return result | {'hardware': common.machine()}


def main() -> dict[str, Any]:
  """Parses the command line and measures."""
  parser = argparse.ArgumentParser(description='finding copies of images')
  parser.add_argument('--images', required=True, help='directories and zips, comma-separated')
  parser.add_argument('--metadata', required=True, help='tables with lesion_id, comma-separated')
  parser.add_argument('--copies', type=int, default=500, help='copies to plant')
  parser.add_argument('--known', default='', help='known pairs (image_1, image_2): second stage')
  parser.add_argument('--more_images', default='', help='further images for the second stage')
  parser.add_argument('--pairs', default='', help='CSV file for the flagged pairs to look at')
  parser.add_argument('--json', default='', help='file to add the result to, as one line')
  options = parser.parse_args()
  return common.keep(measure(options), options.json)


if __name__ == '__main__':
  common.run_main(main)
