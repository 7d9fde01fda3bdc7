"""The part of an audit that looks at pixels: copies of an image in two splits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data_builders import identity
from data_builders.errors import UserError
from lesionjax.evaluation import near_duplicates
from lesionjax.evaluation.audit_rows import Rows
from lesionjax.evaluation.image_files import ImageFiles, ReadImage

RECORDS = 'records'
"""Value of --images that means the images inside the audited data sets."""


def find(rows: Rows, places: Sequence[str], registration: bool) -> dict[str, Any]:
  """Looks for near-duplicates among the audited images.

  Args:
    rows: the images, with splits.
    places: directories and zip archives, or `RECORDS`.
    registration: whether the slow second stage runs, too.

  Returns:
    Plain findings: `images` compared, `missing` ids without an image (their number and examples),
    `across_splits` pairs of two groups in different splits, `within_a_split` and `within_a_group`
    the numbers of the other pairs.

  Raises:
    UserError: a place holds no image of the table, or an image is damaged.
  """
  if list(places) == [RECORDS]:
    if rows.read is None:
      raise UserError(
        f'--images={RECORDS} means the images of a built data set; give a directory or zip archive.'
      )
    return _search(rows, {i: i for i in rows.image_ids}, rows.read, registration)
  with ImageFiles(places) as files:
    names = {identity.canonical_id(name): name for name in files.ids()}
    named = {i: names.get(identity.canonical_id(i), '') for i in rows.image_ids}
    if not any(named.values()):
      raise UserError(
        f'--images={",".join(places)} holds none of the {len(named)} audited images (it has'
        f' {sorted(files.ids())[0]}, the table {next(iter(named))}); check --images and --image.'
      )
    return _search(rows, named, files.read, registration)


def _search(
  rows: Rows, named: dict[str, str], read: ReadImage, registration: bool
) -> dict[str, Any]:
  row_of = {image_id: row for row, image_id in enumerate(rows.image_ids)}
  image_ids = sorted(image_id for image_id, name in named.items() if name)
  files = [named[image_id] for image_id in image_ids]
  groups = [str(rows.groups[row_of[image_id]]) for image_id in image_ids]

  found: dict[tuple[int, int], dict[str, Any]] = {}
  if registration:
    from lesionjax.evaluation.registration import find_registered

    for match in find_registered(files, read, groups):
      found[match.first, match.second] = {
        'stage': 'registration',
        'similarity': match.ncc,
        'inliers': match.inliers,
        'zoom': match.zoom,
        'turn_deg': match.turn_deg,
        'mirrored': False,
      }
  pairs = near_duplicates.search(files, read)
  columns = (pairs.first, pairs.second, pairs.similarity, pairs.orientation)
  for first, second, similarity, orientation in zip(*(c.tolist() for c in columns), strict=True):
    found[first, second] = {
      'stage': 'signature',
      'similarity': similarity,
      'orientation': near_duplicates.ORIENTATIONS[orientation],
      'mirrored': orientation in near_duplicates.MIRRORED,
    }

  splits = rows.splits or []
  parts: dict[str, set[str]] = {}
  for image_id, split in zip(rows.image_ids, splits, strict=True):
    parts.setdefault(image_id, set()).add(split)
  across, same_split, same_group = [], 0, 0
  for (first, second), evidence in found.items():
    ids = (image_ids[first], image_ids[second])
    where = [sorted(parts[image_id]) for image_id in ids]
    if groups[first] == groups[second]:
      same_group += 1
    elif where[0] == where[1] and len(where[0]) == 1:
      same_split += 1
    else:
      across.append({'images': list(ids), 'splits': [', '.join(w) for w in where], **evidence})
  missing = sorted(image_id for image_id, name in named.items() if not name)
  return {
    'images': len(image_ids),
    'missing': len(missing),
    'missing_examples': missing[:5],
    'registration': registration,
    'across_splits': sorted(across, key=lambda pair: (-pair['similarity'], pair['images'])),
    'within_a_split': same_split,
    'within_a_group': same_group,
  }
