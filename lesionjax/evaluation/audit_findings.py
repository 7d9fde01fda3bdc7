"""What an audit finds, as plain dictionaries: `audit` documents them."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from data_builders.errors import UserError
from data_builders.identity import GENERATED_PREFIX
from lesionjax.evaluation import leakage
from lesionjax.evaluation.audit_rows import Rows

SEEDS = 100


def examine(rows: Rows, train: str, copies: dict[str, Any] | None = None) -> dict[str, Any]:
  """Looks for everything that training has seen of the other splits.

  Args:
    rows: the images, with splits.
    train: name of the training split.
    copies: what `audit_copies.find` found; None where no images were given.

  Returns:
    The findings, see `audit`; `leaks` says whether there is anything to mend.
  """
  splits = rows.splits or []
  classes = any(rows.labels)
  per_split = leakage.leak_by_split(rows.groups, splits, rows.labels, train)
  origin = _by_source(rows, splits)
  findings: dict[str, Any] = {
    **_head(rows),
    'training': train,
    'splits': {
      name: _share(leak.overall)
      | {'classes': {c: _share(s) for c, s in leak.classes.items()} if classes else {}}
      for name, leak in per_split.items()
    },
    'groups_in_two_other_splits': _between_others(rows.groups, splits, train),
    'ids_in_two_splits': {
      image_id: list(parts) for image_id, parts in leakage.divided(rows.image_ids, splits).items()
    },
    'repeated_ids': _repeated(rows, origin),
    'folds': _folds(rows, train),
    'support': leakage.support(rows.labels, origin),
    'classes_missing': _classes_missing(rows, train) if classes else {},
    'groups_with_two_labels': _two_labels(rows) if classes else {},
    'near_duplicates': copies,
    'generated': _generated(rows, train),
  }
  findings['leaks'] = leaks(findings)
  return findings


def leaks(findings: dict[str, Any]) -> bool:
  """Whether anything of one split is in another one."""
  folds = findings['folds'] or {}
  copies = findings['near_duplicates'] or {}
  return bool(
    any(split['leaked_images'] for split in findings['splits'].values())
    or findings['groups_in_two_other_splits']
    or findings['ids_in_two_splits']
    or folds.get('divided_groups')
    or folds.get('in_training_and_elsewhere')
    or copies.get('across_splits')
    or (findings.get('generated') or {}).get('outside_training')
    or (findings.get('generated') or {}).get('made_from')
  )


def simulate(rows: Rows, train_share: float, seeds: int = SEEDS) -> dict[str, Any]:
  """Says what a random split by image would leak.

  Args:
    rows: the images; their splits do not matter.
    train_share: share of the images in training, 0 < share < 1.
    seeds: number of splits to draw.

  Returns:
    The findings, see `audit`.

  Raises:
    UserError: the share leaves training or the rest empty.
  """
  try:
    leak = leakage.random_split_leak(rows.groups, rows.labels, train_share, seeds)
  except ValueError as error:
    raise UserError(
      f'--simulate={train_share} leaves training or the rest empty ({error}); give a share between'
      ' 0 and 1, such as 0.8.'
    ) from error

  def row(expected: float, name: str) -> dict[str, float]:
    return {'expected': expected, 'mean': leak.mean[name], 'sd': leak.sd[name]}

  classes = {c: row(value, c) for c, value in leak.classes.items()} if any(rows.labels) else {}
  counts = Counter(rows.labels)
  return {
    **_head(rows),
    'leaks': False,
    'simulation': {
      'train_share': train_share,
      'seeds': seeds,
      **row(leak.overall, ''),
      'classes': {c: {'images': counts[c], **value} for c, value in classes.items()},
    },
    'groups_with_two_labels': _two_labels(rows) if classes else {},
  }


def _head(rows: Rows) -> dict[str, Any]:
  return {
    'audited': rows.what,
    'images': len(rows),
    'groups': len(np.unique(rows.groups)),
    'group_by': list(rows.group_by),
    'dropped': rows.dropped,
  }


def _share(share: leakage.Share) -> dict[str, Any]:
  return {'images': share.images, 'leaked_images': share.leaked, 'leaked_share': share.share}


def _by_source(rows: Rows, splits: Sequence[str]) -> list[str]:
  """Split of every row; with the data set in front where there are several."""
  if len(set(rows.sources)) < 2:
    return list(splits)
  return [f'{source}: {split}' for source, split in zip(rows.sources, splits, strict=True)]


def _between_others(
  groups: np.ndarray, splits: Sequence[str], train: str
) -> dict[str, dict[str, Any]]:
  """Groups that two splits other than training share: 'a + b' -> their number and examples."""
  outside = [(str(g), s) for g, s in zip(groups, splits, strict=True) if s != train]
  found: dict[str, list[str]] = defaultdict(list)
  for group, parts in leakage.divided(*zip(*outside, strict=True) if outside else ((), ())).items():
    for one, other in itertools.combinations(parts, 2):
      found[f'{one} + {other}'].append(group)
  return {
    names: {'groups': len(members), 'examples': members[:5]}
    for names, members in sorted(found.items())
  }


def _repeated(rows: Rows, origin: Sequence[str]) -> list[str]:
  """Ids that one split holds more than once."""
  counts = Counter(zip(origin, rows.image_ids, strict=True))
  return sorted({image_id for (_, image_id), count in counts.items() if count > 1})


def _folds(rows: Rows, train: str) -> dict[str, Any] | None:
  """Groups that lie in two folds, and folds that lie in training and in another split."""
  if rows.folds is None or rows.splits is None:
    return None
  numbered = np.flatnonzero(rows.folds >= 0).tolist()
  names = [str(rows.folds[row]) for row in numbered]
  inside = {n for n, row in zip(names, numbered, strict=True) if rows.splits[row] == train}
  elsewhere = {n for n, row in zip(names, numbered, strict=True) if rows.splits[row] != train}
  return {
    'divided_groups': {
      group: [int(fold) for fold in parts]
      for group, parts in leakage.divided(rows.groups[numbered], names).items()
    },
    'in_training_and_elsewhere': sorted(int(name) for name in inside & elsewhere),
  }


def _generated(rows: Rows, train: str) -> dict[str, Any] | None:
  """Generated images outside of training, and held-out images that their generator has seen."""
  splits = np.array(rows.splits or [''] * len(rows))
  made = np.array([image_id.startswith(GENERATED_PREFIX) for image_id in rows.image_ids], bool)
  if not made.any() and rows.shaped is None:
    return None
  outside = splits != train
  shaped = np.zeros(len(rows), bool) if rows.shaped is None else rows.shaped & ~made

  def by_split(chosen: np.ndarray) -> dict[str, dict[str, Any]]:
    return {
      name: {
        'images': int((chosen & (splits == name)).sum()),
        'examples': [rows.image_ids[row] for row in np.flatnonzero(chosen & (splits == name))[:5]],
      }
      for name in sorted(set(splits[chosen].tolist()))
    }

  return {
    'images': int(made.sum()),
    'outside_training': by_split(made & outside),
    'made_from': by_split(shaped & outside),
  }


def _classes_missing(rows: Rows, train: str) -> dict[str, list[str]]:
  """Classes that training has and another split lacks, and the other way round, by data set."""
  seen: dict[tuple[str, str], set[str]] = defaultdict(set)
  for source, split, label in zip(rows.sources, rows.splits or (), rows.labels, strict=True):
    seen[source, split].add(label)
  missing = {}
  for (source, split), labels in sorted(seen.items()):
    known = seen.get((source, train))
    if split == train or not known:
      continue
    prefix = f'{source}: ' if len(set(rows.sources)) > 1 else ''
    missing[f'{prefix}{split}, not in {train}'] = sorted(labels - known)
    missing[f'{prefix}{train}, not in {split}'] = sorted(known - labels)
  return {where: labels for where, labels in missing.items() if labels}


def _two_labels(rows: Rows) -> dict[str, dict[str, int]]:
  """Groups whose images carry different labels; every data set has its own class names."""
  names = [f'{s}: {g}' if s else str(g) for s, g in zip(rows.sources, rows.groups, strict=True)]
  return leakage.groups_with_two_labels(names, rows.labels)
