"""Which lesions exist, how often each is photographed, and in which split it lies: no drawing."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from data_builders import folds

CLASS_NAMES = ('ak', 'bcc', 'bkl', 'df', 'mel', 'nv', 'scc', 'vasc')

ISIC_2019_COUNTS = {
  'nv': 12875,
  'mel': 4522,
  'bcc': 3323,
  'bkl': 2624,
  'ak': 867,
  'scc': 628,
  'vasc': 253,
  'df': 239,
}
"""Images per class of the ISIC 2019 training set, whose imbalance is imitated."""

ITA_RANGE_DEG = (-50.0, 65.0)
"""Individual typology angle of the skins: very dark to very light."""

_SEED = 20260
PHOTOGRAPHS_PER_LESION = (1, 2, 2, 3, 1, 4)
"""Number of photographs of successive lesions of a class, repeated."""


@dataclasses.dataclass(frozen=True)
class Photograph:
  """One image of one lesion: its identity and the two seeds that it is drawn from."""

  image_id: str
  lesion_id: str
  label: int
  ita_deg: float
  lesion_seed: int
  photograph_seed: int


def class_counts(divisor: int = 12, floor: int = 96) -> dict[str, int]:
  """Returns images per class: ISIC 2019 divided by `divisor`, at least `floor` each.

  The floor keeps 15 % of the rarest class, the share of the test split, above 12 images.
  """
  return {name: max(floor, ISIC_2019_COUNTS[name] // divisor) for name in CLASS_NAMES}


def make_plan(
  counts: dict[str, int],
  photographs_per_lesion: Sequence[int] = PHOTOGRAPHS_PER_LESION,
) -> list[Photograph]:
  """Lists every photograph of a data set; a lesion's photographs are neighbours.

  Args:
    counts: class name -> number of images.
    photographs_per_lesion: photographs of successive lesions of a class, used in a cycle.

  Returns:
    Photographs in the order of their ids. Neither the order nor an id tells the class. The skin
    tones of a class are spread evenly over `ITA_RANGE_DEG`, so that tone does not tell it either.
  """
  rng = np.random.Generator(np.random.Philox(_SEED))
  lesions = []
  for label, name in enumerate(CLASS_NAMES):
    sizes = _split_count(counts[name], photographs_per_lesion)
    ranks = (rng.permutation(len(sizes)) + rng.random(len(sizes))) / len(sizes)
    lesions += [(label, size, rank) for size, rank in zip(sizes, ranks, strict=True)]
  low, high = ITA_RANGE_DEG
  plan = []
  for number, index in enumerate(rng.permutation(len(lesions))):
    label, size, rank = lesions[index]
    for _ in range(size):
      plan.append(
        Photograph(
          image_id=f'SYN_{len(plan):07d}',
          lesion_id=f'SYL_{number:07d}',
          label=label,
          ita_deg=round(low + (high - low) * rank, 2),
          lesion_seed=number,
          photograph_seed=len(plan),
        )
      )
  return plan


def assign_slots(plan: Sequence[Photograph], by_image: bool = False) -> np.ndarray:
  """Returns the slot 0..19 of every photograph (see `data_builders.folds`) as int32 [N].

  Args:
    plan: the photographs.
    by_image: ignore that photographs show the same lesion (the `random` configuration).
  """
  groups = [shot.image_id if by_image else shot.lesion_id for shot in plan]
  return folds.assign_slots(groups, [shot.label for shot in plan])


def by_lesion(plan: Sequence[Photograph]) -> list[list[Photograph]]:
  """Groups neighbouring photographs of the same lesion."""
  groups: list[list[Photograph]] = []
  for shot in plan:
    if groups and groups[-1][0].lesion_id == shot.lesion_id:
      groups[-1].append(shot)
    else:
      groups.append([shot])
  return groups


def _split_count(total: int, cycle: Sequence[int]) -> list[int]:
  """Cuts `total` photographs into lesions with the numbers in `cycle`; the last may be smaller."""
  sizes: list[int] = []
  while total > 0:
    sizes.append(min(cycle[len(sizes) % len(cycle)], total))
    total -= sizes[-1]
  return sizes
