"""The official scorer of the ISIC challenge and this project's metrics give the same numbers.

`RECORDED` is what isic-challenge-scoring 5.6.0 returned; where the package is installed (the extra
`official`, which .ci/run installs) it is asked again, also on random masks and on files.
"""

from __future__ import annotations

import importlib.util
import pathlib
import sys
import zipfile
from typing import Any

import cv2
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.evaluation.segmentation import image_metrics, measure

# The scorer's own use of pandas; it is not ours to mend.
pytestmark = pytest.mark.filterwarnings('ignore:The inplace keyword in Series.rename')

OFFICIAL = {  # its name -> ours
  'accuracy': 'pixel_accuracy',
  'sensitivity': 'sensitivity',
  'specificity': 'specificity',
  'jaccard': 'jaccard',
  'threshold_jaccard': 'threshold_jaccard',
  'dice': 'dice',
}


def pattern(a: int, b: int, below: int) -> np.ndarray:
  y, x = np.mgrid[:24, :31]
  return (a * y * y + b * x * y + 5 * x) % 11 < below


def square(size: int, shift: int = 0) -> np.ndarray:
  mask = np.zeros((20, 20), bool)
  mask[shift : size + shift, :13] = True
  return mask


EMPTY, FULL = np.zeros((20, 20), bool), np.ones((20, 20), bool)
CASES = {  # name: (prediction, truth)
  'pattern': (pattern(7, 3, 5), pattern(2, 1, 6)),
  'both empty': (EMPTY, EMPTY),
  'nothing predicted': (EMPTY, square(10)),
  'nothing there': (square(10), EMPTY),
  'both full': (FULL, FULL),
  'all is lesion': (square(10), FULL),
  'all is predicted': (FULL, square(10)),
  'disjoint': (square(5), square(5, 10)),
  'equal': (square(9), square(9)),
  'jaccard of exactly 0.65': (square(13), square(20)),
  'just below 0.65': (square(11), square(17)),
}
RECORDED = {  # in the order of OFFICIAL
  'pattern': (0.594086022, 0.513513514, 0.673796791, 0.386178862, 0, 0.557184751),
  'both empty': (1, 1, 1, 1, 1, 1),
  'nothing predicted': (0.675, 0, 1, 0, 0, 0),
  'nothing there': (0.675, 1, 0.675, 0, 0, 0),
  'both full': (1, 1, 1, 1, 1, 1),
  'all is lesion': (0.325, 0.325, 1, 0.325, 0, 0.490566038),
  'all is predicted': (0.325, 1, 0, 0.325, 0, 0.490566038),
  'disjoint': (0.675, 0, 0.805970149, 0, 0, 0),
  'equal': (1, 1, 1, 1, 1, 1),
  'jaccard of exactly 0.65': (0.7725, 0.65, 1, 0.65, 0.65, 0.787878788),
  'just below 0.65': (0.805, 0.647058824, 1, 0.647058824, 0, 0.785714286),
}


@pytest.fixture(scope='module')
def scorer() -> Any:
  """Returns a function: (prediction, truth) -> the official metrics of one image."""
  if not importlib.util.find_spec('zipfile_deflate64'):  # needs a compiler, is only for archives
    sys.modules['zipfile_deflate64'] = zipfile
  pytest.importorskip('isic_challenge_scoring', reason='isic-challenge-scoring is not installed')
  from isic_challenge_scoring.load_image import ImagePair
  from isic_challenge_scoring.segmentation import SegmentationScore

  def score(prediction: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    pair = ImagePair(truth_file=pathlib.Path('ISIC_0000000_segmentation.png'))
    pair.image_id = 'ISIC_0000000'
    pair.truth_image = truth * np.uint8(255)
    pair.prediction_image = prediction * np.uint8(255)
    return SegmentationScore([pair]).macro_average.to_dict()

  return score


@pytest.mark.parametrize('case', CASES)
def test_equals_the_recorded_numbers(case):
  ours = image_metrics(*CASES[case])
  for name, expected in zip(OFFICIAL.values(), RECORDED[case], strict=True):
    assert ours[name] == pytest.approx(expected, abs=1e-6), name


@pytest.mark.parametrize('case', CASES)
def test_the_record_is_what_the_scorer_says(scorer, case):
  official = scorer(*CASES[case])
  assert [official[name] for name in OFFICIAL] == pytest.approx(RECORDED[case], abs=1e-6)


def test_equals_the_scorer_on_random_masks(scorer):
  rng = np.random.default_rng(0)
  for _ in range(60):
    shape = tuple(rng.integers(1, 40, 2))
    truth = rng.random(shape) < rng.random()
    prediction = truth ^ (rng.random(shape) < 0.4 * rng.random())
    official, ours = scorer(prediction, truth), image_metrics(prediction, truth)
    for name, own in OFFICIAL.items():
      assert ours[own] == pytest.approx(official[name], abs=1e-6), name


def test_equals_the_scorer_on_files(scorer, tmp_path):
  from isic_challenge_scoring.segmentation import SegmentationScore

  cases = list(CASES.values())
  for index, (prediction, truth) in enumerate(cases):
    for folder, mask in (('truth', truth), ('predicted', prediction)):
      (tmp_path / folder).mkdir(exist_ok=True)
      path = tmp_path / folder / f'ISIC_{index:07d}_segmentation.png'
      cv2.imwrite(str(path), mask * np.uint8(255))
  official = SegmentationScore.from_dir(tmp_path / 'truth', tmp_path / 'predicted').macro_average
  ours = measure(*zip(*cases, strict=True))
  for name, own in OFFICIAL.items():
    assert ours[own].mean() == pytest.approx(official[name], abs=1e-6), name


def test_both_refuse_masks_of_different_sizes(scorer, tmp_path):
  from isic_challenge_scoring.segmentation import SegmentationScore
  from isic_challenge_scoring.types import ScoreError

  for folder, mask in (('truth', np.zeros((20, 20), np.uint8)), ('predicted', np.zeros((20, 21)))):
    (tmp_path / folder).mkdir()
    cv2.imwrite(str(tmp_path / folder / 'ISIC_0000000.png'), mask)
  with pytest.raises(ScoreError, match='dimensions'):
    SegmentationScore.from_dir(tmp_path / 'truth', tmp_path / 'predicted')
  with pytest.raises(UserError, match=r'predicted mask of ISIC_0000000 is 21x20 .* 20x20 pixels'):
    image_metrics(np.zeros((20, 21), bool), EMPTY, 'ISIC_0000000')
