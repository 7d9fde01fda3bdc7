"""Counts of a data table: classes by split, groups, metadata, sizes. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lesionjax.report.data.table import DataTable

NO_LABEL = 'no label'


def class_counts(table: DataTable) -> dict[str, dict[str, int]]:
  """Images of every class in every split.

  Returns:
    Split -> class -> count; images without a label are counted under `NO_LABEL`, where there are
    any and the data set has classes.
  """
  names = list(table.class_names)
  if names and (table.label < 0).any():
    names.append(NO_LABEL)
  counts = {}
  for split in table.splits:
    labels = table.label[table.split == split]
    labels = np.where(labels < 0, len(table.class_names), labels)
    found = np.bincount(labels, minlength=len(table.class_names) + 1)
    counts[split] = {name: int(found[index]) for index, name in enumerate(names)}
  return counts


def totals(table: DataTable) -> dict[str, int]:
  """Images of every class that occurs outside official test sets, in label order."""
  labels = table.label[table.ours]
  counts = np.bincount(labels[labels >= 0], minlength=len(table.class_names))
  return {name: int(count) for name, count in zip(table.class_names, counts, strict=True) if count}


def imbalance(counts: Mapping[str, int]) -> tuple[str, str, float] | None:
  """The most and the least frequent class and their ratio; None for fewer than two classes."""
  if len(counts) < 2:
    return None
  most, least = max(counts, key=lambda name: counts[name]), min(counts, key=lambda n: counts[n])
  return most, least, counts[most] / counts[least]


def deviations(table: DataTable) -> dict[str, dict[str, float]]:
  """How far a class's count in a split is from its proportional share.

  The share of a class in a split is its count in all splits, times the split's part of all images;
  official test sets are left out.

  Returns:
    Split -> class -> count / share - 1, for the classes that occur.
  """
  ours = table.where(np.flatnonzero(table.ours))
  counts, whole = class_counts(ours), totals(ours)
  labelled = {split: sum(counts[split][name] for name in whole) for split in counts}
  images = sum(whole.values())
  return {
    split: {
      name: counts[split][name] * images / (count * labelled[split]) - 1
      for name, count in whole.items()
    }
    for split in counts
    if labelled[split]
  }


def group_sizes(table: DataTable) -> np.ndarray:
  """Images of every group, over all splits, int [G]."""
  return np.unique(table.texts['group_id'], return_counts=True)[1]


def groups(table: DataTable, split: str | None = None) -> int:
  """Number of groups, of one split or of all."""
  ids = table.texts['group_id']
  return len(np.unique(ids if split is None else ids[table.split == split]))


def divided_groups(table: DataTable) -> int:
  """Groups that lie in several splits."""
  return _several(table.texts['group_id'], table.split)


def contradicting_groups(table: DataTable) -> int:
  """Groups whose images have different labels; images without a label do not count."""
  known = table.label >= 0
  return _several(table.texts['group_id'][known], table.label[known])


def _several(ids: np.ndarray, values: np.ndarray) -> int:
  """Ids that occur with more than one value."""
  places = [np.unique(column, return_inverse=True)[1] for column in (ids, values)]
  pairs = np.unique(np.stack(places), axis=1)
  return int((np.unique(pairs[0], return_counts=True)[1] > 1).sum())


def binned_group_sizes(sizes: np.ndarray) -> dict[str, int]:
  """Groups by their number of images: '1', '2', ... '5', '6-10', '11-20', '21-50', '51+'."""
  edges = [1, 2, 3, 4, 5, 6, 11, 21, 51]
  names = ['1', '2', '3', '4', '5', '6-10', '11-20', '21-50', '51+']
  place = np.searchsorted(edges, sizes, side='right') - 1
  counts = np.bincount(place, minlength=len(names))[: int(place.max(initial=0)) + 1]
  return dict(zip(names, counts.tolist(), strict=False))


def value_counts(values: np.ndarray) -> dict[str, int]:
  """Counts of the values that are not missing, the most frequent first."""
  names, counts = np.unique(values[values != ''], return_counts=True)
  order = sorted(range(len(names)), key=lambda i: (-counts[i], names[i]))
  return {str(names[i]): int(counts[i]) for i in order}


def cross_counts(values: np.ndarray, labels: np.ndarray, num_classes: int) -> dict[str, list[int]]:
  """Images of every class for every value, the most frequent value first; '' is missing, last."""
  names = [*value_counts(values), *([''] if (values == '').any() else [])]
  return {
    name: np.bincount(labels[(values == name) & (labels >= 0)], minlength=num_classes).tolist()
    for name in names
  }


def missing_values(table: DataTable) -> dict[str, dict[str, int]]:
  """Feature -> split -> images without it; label only where the data set has classes."""
  empty = {key: column == '' for key, column in table.texts.items() if key not in ('image_id',)}
  if table.age is not None:
    empty['age'] = np.isnan(table.age)
  if table.has_mask is not None:
    empty['mask'] = ~table.has_mask
  if table.class_names:
    empty['label'] = table.label < 0
  return {
    key: {split: int(absent[table.split == split].sum()) for split in table.splits}
    for key, absent in empty.items()
  }


def size_counts(size_px: np.ndarray) -> dict[tuple[int, int], int]:
  """Images by (width, height), the most frequent first."""
  sizes, counts = np.unique(size_px, axis=0, return_counts=True)
  found = [(int(w), int(h), int(n)) for (w, h), n in zip(sizes, counts, strict=True)]
  return {(w, h): n for w, h, n in sorted(found, key=lambda one: (-one[2], one[:2]))}


def by_class(
  values: np.ndarray, labels: np.ndarray, class_names: Sequence[str]
) -> list[tuple[str, np.ndarray]]:
  """Values of every class that has some; those that are nan are left out."""
  known = np.isfinite(values)
  found = [(name, values[known & (labels == c)]) for c, name in enumerate(class_names)]
  return [(name, some) for name, some in found if len(some)]
