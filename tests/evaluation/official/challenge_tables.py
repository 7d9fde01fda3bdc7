"""Truth and submission tables with ties, weights and ISIC_0035068, as text."""

from __future__ import annotations

import numpy as np

CLASSES_2018 = ('MEL', 'NV', 'BCC', 'AKIEC', 'BKL', 'DF', 'VASC')
CLASSES_2019 = ('MEL', 'NV', 'BCC', 'AK', 'BKL', 'DF', 'VASC', 'SCC', 'UNK')


def write(rows: list[list[object]], header: list[str]) -> str:
  """A CSV file's text; floats with all their digits."""
  return '\n'.join(','.join(map(str, row)) for row in [header, *rows]) + '\n'


def tables(
  classes: tuple[str, ...],
  labels: np.ndarray,
  probabilities: np.ndarray,
  weights: np.ndarray | None = None,
  ids: list[str] | None = None,
) -> tuple[str, str]:
  """Truth and submission of N images.

  Args:
    classes: K names.
    labels: int [N]; -1 is an image of no class.
    probabilities: float [N, K].
    weights: float [N, 2], score and validation; None leaves the columns out.
    ids: of the images; None numbers them.
  """
  ids = ids or [f'ISIC_{number:07d}' for number in range(len(labels))]
  header = ['image', *classes]
  truth = [
    [name, *(float(label == k) for k in range(len(classes)))]
    for name, label in zip(ids, labels, strict=True)
  ]
  submission = [[name, *map(float, row)] for name, row in zip(ids, probabilities, strict=True)]
  if weights is None:
    return write(truth, header), write(submission, header)
  weighed = [[*row, *map(float, pair)] for row, pair in zip(truth, weights, strict=True)]
  return (
    write(weighed, [*header, 'score_weight', 'validation_weight']),
    write(submission, header),
  )


def pattern(count: int, size: int, steps: int = 20) -> np.ndarray:
  """Probabilities [count, size] on a grid of `steps`: many ties, also at .5 and for the highest."""
  i, k = np.mgrid[:count, :size]
  return (7 * i * i + 3 * i * k + 5 * k * k + 11 * k) % (steps + 1) / steps


def recorded_cases() -> dict[str, tuple[str, str]]:
  """Name -> (truth, submission); made without random numbers, so that they never change."""
  labels = (np.arange(42) ** 2 + np.arange(42) // 5) % 7
  weights = np.stack([np.arange(42) % 4 / 4, (np.arange(42) + 1) % 3], 1)
  ids = [f'ISIC_{number:07d}' for number in range(35040, 35082)]
  wide = np.append(np.arange(45) % 9, [-1, -1])
  return {
    'as published in 2018': tables(CLASSES_2018, labels, pattern(42, 7)),
    'weights and ISIC_0035068': tables(CLASSES_2018, labels, pattern(42, 7), weights, ids),
    'of 2019, with images of no class': tables(CLASSES_2019, wide, pattern(47, 9, 40)),
    'always .5': tables(CLASSES_2018, labels, np.full((42, 7), 0.5)),
    'one image a class, perfect': tables(CLASSES_2018, np.arange(7), np.eye(7) * 0.9),
  }
