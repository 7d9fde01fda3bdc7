"""How much of a split has been seen in training: shares by group, and what a random split leaks.

A group is a lesion or a patient, or whatever must not be divided; `data_builders.groups.connect`
makes one column of groups out of several.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

Column = Sequence[str] | np.ndarray
"""One value a row: a list of strings or `<U` [N]."""


@dataclasses.dataclass(frozen=True)
class Share:
  """Some images of a split, and how many of them have their group in training as well."""

  images: int
  leaked: int

  @property
  def share(self) -> float:
    """Leaked images over images, 0..1; 0 where there are no images."""
    return self.leaked / self.images if self.images else 0.0


@dataclasses.dataclass(frozen=True)
class SplitLeak:
  """What one split shares with training: overall and for every class that the split holds."""

  overall: Share
  classes: dict[str, Share]


@dataclasses.dataclass(frozen=True)
class RandomLeak:
  """What a random split would leak, as shares 0..1 of the images outside training.

  Attributes:
    overall: closed form over all images.
    classes: closed form for every class.
    mean: name -> mean over the simulated splits; the name '' is overall.
    sd: name -> standard deviation over the simulated splits.
    seeds: number of simulated splits.
  """

  overall: float
  classes: dict[str, float]
  mean: dict[str, float]
  sd: dict[str, float]
  seeds: int


def leaked_images(groups: Column, splits: Column, train: str) -> np.ndarray:
  """Marks the images outside training whose group also occurs in training.

  Args:
    groups: [N] group of every image.
    splits: [N] split of every image.
    train: name of the training split.

  Returns:
    bool [N]; False for the training images themselves.
  """
  groups, training = np.asarray(groups, np.str_), np.asarray(splits, np.str_) == train
  return np.isin(groups, np.unique(groups[training])) & ~training


def leak_by_split(
  groups: Column, splits: Column, labels: Column, train: str
) -> dict[str, SplitLeak]:
  """Counts, for every split but training, the images whose group also occurs in training.

  Args:
    groups: [N] group of every image.
    splits: [N] split of every image.
    labels: [N] class of every image.
    train: name of the training split.

  Returns:
    Split name -> its counts, in the order of names.
  """
  leaked = leaked_images(groups, splits, train)
  splits, labels = np.asarray(splits, np.str_), np.asarray(labels, np.str_)
  result = {}
  for name in np.unique(splits[splits != train]):
    inside = splits == name
    classes = {
      str(label): _share(leaked[inside & (labels == label)]) for label in np.unique(labels[inside])
    }
    result[str(name)] = SplitLeak(_share(leaked[inside]), classes)
  return result


def divided(keys: Column, parts: Column) -> dict[str, tuple[str, ...]]:
  """Finds the keys (groups, image ids) whose rows lie in more than one part (split, fold).

  Args:
    keys: [N] what must not be divided; the empty string is nobody's key.
    parts: [N] where every row lies.

  Returns:
    Key -> its parts, both sorted; empty where nothing is divided.
  """
  found: dict[str, set[str]] = defaultdict(set)
  for key, part in zip(keys, parts, strict=True):
    if key:
      found[str(key)].add(str(part))
  return {key: tuple(sorted(found[key])) for key in sorted(found) if len(found[key]) > 1}


def support(labels: Column, splits: Column) -> dict[str, dict[str, int]]:
  """Counts the images of every class in every split: split -> class -> images, both sorted."""
  counts = Counter(zip(map(str, splits), map(str, labels), strict=True))
  result: dict[str, dict[str, int]] = {}
  for split, label in sorted(counts):
    result.setdefault(split, {})[label] = counts[split, label]
  return result


def groups_with_two_labels(groups: Column, labels: Column) -> dict[str, dict[str, int]]:
  """Finds groups whose images carry different labels: group -> class -> images."""
  counts: dict[str, Counter[str]] = defaultdict(Counter)
  for group, label in zip(groups, labels, strict=True):
    counts[str(group)][str(label)] += 1
  return {
    group: dict(sorted(counts[group].items())) for group in sorted(counts) if len(counts[group]) > 1
  }


def leak_probability(group_size: int, images: int, training: int) -> float:
  """Probability that an image outside training has a sibling in it, under a random split.

  Of the other n - 1 images, m are drawn for training; none of the k - 1 siblings is among them
  with probability C(n - k, m) / C(n - 1, m).

  Args:
    group_size: k, images of the group, this one included.
    images: n, all images.
    training: m, images in training; at most n - 1, or no image would be outside.

  Returns:
    1 - C(n - k, m) / C(n - 1, m).
  """
  n, k, m = images, group_size, training
  if not (1 <= k <= n and 0 <= m < n):
    raise ValueError(f'no such split: group of {k}, {n} images, {m} in training')
  # The ratio of the binomials, factor by factor: each sibling in turn is drawn outside training.
  return 1.0 - math.prod(max(n - m - i, 0) / (n - i) for i in range(1, k))


def random_split_leak(
  groups: Column, labels: Column, train_share: float, seeds: int = 100
) -> RandomLeak:
  """Tells what a random split by image would leak, by the closed form and by drawing splits.

  Args:
    groups: [N] group of every image.
    labels: [N] class of every image.
    train_share: share of the images in training, 0 < share < 1.
    seeds: number of splits to draw, with the seeds 0, 1, ...

  Returns:
    Closed form, and mean and standard deviation of the drawn splits.

  Raises:
    ValueError: the share leaves training or the rest without an image, or there are no seeds.
  """
  names, classes = np.unique(np.asarray(labels, np.str_), return_inverse=True)
  _, group_of, sizes = np.unique(
    np.asarray(groups, np.str_), return_inverse=True, return_counts=True
  )
  images = len(group_of)
  training = round(images * train_share)
  if not 0 < training < images or seeds < 1:
    raise ValueError(f'{training} of {images} images in training, {seeds} seeds')
  by_size = {int(k): leak_probability(int(k), images, training) for k in np.unique(sizes)}
  expected = np.array([by_size[int(k)] for k in sizes])[group_of]

  drawn = np.array([_draw(group_of, classes, len(names), training, seed) for seed in range(seeds)])
  # A rare class may have no image outside training in some draw: those draws do not count.
  counted = ~np.isnan(drawn)
  total = np.where(counted, drawn, 0).sum(axis=0)
  mean = total / np.maximum(counted.sum(axis=0), 1)
  squares = np.where(counted, (drawn - mean) ** 2, 0).sum(axis=0)
  sd = np.sqrt(squares / np.maximum(counted.sum(axis=0) - 1, 1))
  keys = ['', *map(str, names)]
  return RandomLeak(
    overall=float(expected.mean()),
    classes={str(name): float(expected[classes == i].mean()) for i, name in enumerate(names)},
    mean=dict(zip(keys, mean.tolist(), strict=True)),
    sd=dict(zip(keys, sd.tolist(), strict=True)),
    seeds=seeds,
  )


def _draw(
  group_of: np.ndarray, classes: np.ndarray, num_classes: int, training: int, seed: int
) -> np.ndarray:
  """Leaked shares of one random split: overall, then every class; NaN where it has no image."""
  order = np.random.default_rng(seed).permutation(len(group_of))
  seen = np.zeros(int(group_of.max()) + 1, bool)
  seen[group_of[order[:training]]] = True
  outside = order[training:]
  leaked = seen[group_of[outside]]
  held = np.bincount(classes[outside], minlength=num_classes)
  hit = np.bincount(classes[outside], weights=leaked, minlength=num_classes)
  shares = np.full(num_classes, np.nan)
  np.divide(hit, held, out=shares, where=held > 0)
  return np.concatenate([[leaked.mean()], shares])


def _share(leaked: np.ndarray) -> Share:
  return Share(len(leaked), int(leaked.sum()))
