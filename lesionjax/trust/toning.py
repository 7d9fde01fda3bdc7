"""Stress test of a fixed classifier: the same lesions on skin of eighteen tones.

`python -m lesionjax.trust.toning RUN [--images=N] [--data_dir=DIR] [--split=test]`

Every image with a lesion mask is recoloured to each tone of `evaluation.skin.tones` and classified;
what changes is the skin alone, so that a change of the score is the skin's doing. That is no
measurement of patients with dark skin: their lesions look different too. The control is the image
recoloured to the tone nearest to its own.

Writes toning.json, toning.npz and the report's figure into the run directory.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from etils import epath

from data_builders.cleaning import geometry
from data_builders.errors import UserError
from lesionjax.data import decode
from lesionjax.data.records import Split
from lesionjax.evaluation.operating import Positive, positive_of
from lesionjax.evaluation.skin import ita, recolour, toned_scores, tones
from lesionjax.host import files
from lesionjax.runs import run_data, run_directory, two_stage
from lesionjax.runs.inference import softmax
from lesionjax.runs.predictor import Classifier
from lesionjax.runs.scoring import labels_of, write_npz
from lesionjax.trust.tones_of_split import damaged, mask_kind

FILE, ARRAYS = 'toning.json', 'toning.npz'
POINT = 'sensitivity_90'
SHOWN = 'ADHLOR'
"""Tones of the pictures in the report."""

_SHOWN_PX = 144
_CHUNK = 32  # images in memory at a time, in all their tones
_VIEWS = 1 + len(tones.LETTERS)


class Toned(NamedTuple):
  """One image in all tones.

  Attributes:
    seen: uint8 [19, h, w, 3], as it is and in tones A to R, as the network sees it.
    own: letter of the tone nearest to its own.
    reason: why it could not be recoloured; '' where it was.
  """

  seen: np.ndarray
  own: str
  reason: str


def write(
  run_dir: epath.PathLike, split_name: str = '', data_dir: str = '', images: int = 0
) -> dict[str, Any]:
  """Measures a run and writes toning.json and toning.npz into its directory.

  Args:
    run_dir: of a classifier.
    split_name: which split of its data; '' is its test split.
    data_dir: where the data lie; '' is where the run found them.
    images: how many are drawn; 0 is all.

  Returns:
    The content of toning.json.

  Raises:
    UserError: it is no classifier, sees no skin, or its data have no masks.
  """
  classifier, split, positive = _opened(run_dir, split_name, data_dir)
  rows = _drawn(len(split), images)
  split = split.take(rows)
  made: list[Toned] = []
  logits = classifier.look(_views(classifier, split, made), _VIEWS * len(split))['logits']
  scores = positive.score(softmax(logits)).reshape(len(split), _VIEWS)
  good = np.array([not toned.reason for toned in made], bool)
  if not good.any():
    raise UserError(
      f'{split.name} ({split.split}): none of {len(split)} images can be recoloured'
      f' ({made[0].reason}): give --split or --images with some whose lesion is known.'
    )
  labels = labels_of(split, classifier.class_names)
  content = _content(classifier, split, positive, scores, labels, made, good)
  shown = _example(split, labels, positive, scores, good)
  directory = epath.Path(classifier.run_dir)
  write_npz(
    directory / ARRAYS,
    image_id=split.image_ids[good],
    group_id=split.group_ids[good],
    label=labels[good],
    scores=scores[good].astype(np.float32),
    own=np.array([toned.own for toned in made])[good],
    example=_pictures(split, shown),
    example_id=np.array(str(split.image_ids[shown])),
  )
  files.write_json(directory / FILE, content)
  return content


def toned(classifier: Classifier, split: Split, row: int) -> Toned:
  """Decodes an image once and shows it to the network as it is and in all tones."""
  image, mask = _decoded(split, row, classifier)
  skin = recolour.skin_of(image, mask)
  height, width = classifier.size

  def seen(picture: np.ndarray) -> np.ndarray:
    changed, _ = split.lesion.apply(*split.preprocessing.apply(picture, mask))
    return geometry.resize(changed, width, height)

  plain = seen(image)
  if skin is None or mask is None:
    reason = 'no lesion is known' if mask is None or not mask.any() else 'too little skin is seen'
    return Toned(np.repeat(plain[None], _VIEWS, axis=0), '', reason)
  views = [seen(recolour.shifted(image, mask, skin, colour)) for colour in tones.palette()]
  return Toned(np.stack([plain, *views]), tones.tone_of(float(ita.angle_deg(skin.colour))), '')


def _opened(
  run_dir: epath.PathLike, split_name: str, data_dir: str
) -> tuple[Classifier, Split, Positive]:
  place = run_directory.locate(run_dir)
  config = two_stage.resolve(run_directory.read_config(place), place)
  if config.task != 'classify':
    raise UserError(f'{run_dir} is a run of task {config.task!r}: give that of a classifier.')
  if config.data.lesion in ('mask', 'mask_crop'):
    raise UserError(
      f'{run_dir} was trained with config.data.lesion={config.data.lesion!r} and sees no skin:'
      ' there is nothing to recolour.'
    )
  config.data.data_dir = data_dir or config.data.data_dir
  split = run_data.open_data(config, split_name or config.data.test_split)
  split = split.take(split.labels >= 0)
  if mask_kind(split) == 'otsu':
    raise UserError(
      f'{split.name} has no lesion masks, which say what is skin: write them with --mode=masks and'
      ' train with config.data.lesion_masks=FOLDER, or evaluate a data set that has some.'
    )
  classifier = Classifier(run_dir)
  positive = positive_of(config.evaluate.positive, classifier.class_names)
  if positive.problem:
    raise UserError(f'config.evaluate.positive={config.evaluate.positive!r}: {positive.problem}')
  return classifier, split, positive


def _drawn(count: int, images: int) -> np.ndarray:
  """Rows of a random part, in their order; always the same."""
  if images < 0:
    raise UserError(f'--images={images} must be 0, for all, or more.')
  if not images or images >= count:
    return np.arange(count)
  return np.sort(np.random.default_rng(0).permutation(count)[:images])


def _decoded(
  split: Split, row: int, classifier: Classifier
) -> tuple[np.ndarray, np.ndarray | None]:
  data, png = split.encoded(row), split.encoded_mask(row)
  try:
    whole = bool(split.preprocessing.steps) or split.lesion.looks
    image = decode.decode_pixels(data, 1 if whole else decode.reduction(data, classifier.size))
    return image, None if png is None else decode.decode_mask(png, image.shape[:2])
  except decode.DecodeError as error:
    raise damaged(split, row, error) from error


def _views(classifier: Classifier, split: Split, made: list[Toned]) -> Iterator[np.ndarray]:
  """Yields what the network sees, 19 views an image; notes in `made` what was done."""
  with ThreadPoolExecutor() as pool:
    for start in range(0, len(split), _CHUNK):
      rows = range(start, min(start + _CHUNK, len(split)))
      for one in pool.map(lambda row: toned(classifier, split, row), rows):
        made.append(one._replace(seen=one.seen[:0]))
        yield from one.seen


def _content(
  classifier: Classifier,
  split: Split,
  positive: Positive,
  scores: np.ndarray,
  labels: np.ndarray,
  made: list[Toned],
  good: np.ndarray,
) -> dict[str, Any]:
  """What toning.json holds."""
  threshold, point = _threshold(classifier.run_dir)
  truth, groups = positive.truth(labels)[good], split.group_ids[good]
  before, after = scores[good, 0], scores[good, 1:]
  resamples = classifier.config.evaluate.resamples

  def summary(changed: np.ndarray) -> dict[str, Any]:
    return toned_scores.summarise(before, changed, truth, groups, threshold, resamples)

  own = np.array([tones.LETTERS.index(one.own) for one in made if not one.reason])
  by_tone = [
    {'tone': letter, 'ita_deg': round(angle, 1), **summary(after[:, number])}
    for number, (letter, angle) in enumerate(
      zip(tones.LETTERS, tones.angles_deg().tolist(), strict=True)
    )
  ]
  return {
    'split': split.split,
    'data': split.name,
    'images': int(good.sum()),
    'groups': len(np.unique(groups)),
    'positives': int(truth.sum()),
    'skipped': dict(Counter(one.reason for one in made if one.reason)),
    'positive': {'name': positive.name, 'classes': list(positive.classes)},
    'threshold': threshold,
    'point': point,
    'masks': mask_kind(split),
    'tones': by_tone,
    'own': summary(after[np.arange(len(own)), own]),
    'original': summary(before),
    'own_tones': {letter: int((own == n).sum()) for n, letter in enumerate(tones.LETTERS)},
    'range': toned_scores.steepest(by_tone),
  }


def _threshold(run_dir: epath.Path) -> tuple[float, str]:
  """The run's own threshold and its name; 0.5 and '' where it has none."""
  path = run_dir / 'thresholds.json'
  if not path.exists():
    return 0.5, ''
  content = run_directory.read_json(run_dir, path.name, f'{run_dir} has no {path.name}')
  try:
    points = content['fitted']['points']
    return (float(points[POINT]['threshold']), POINT) if points else (0.5, '')
  except (KeyError, TypeError, ValueError) as error:
    raise UserError(
      f'{path} cannot be read ({error}): write it again with --mode=evaluate.'
    ) from error


def _example(
  split: Split, labels: np.ndarray, positive: Positive, scores: np.ndarray, good: np.ndarray
) -> int:
  """Row of the image that is shown: of the positive ones that with the middle range of scores."""
  rows = np.flatnonzero(good & positive.truth(labels))
  rows = rows if len(rows) else np.flatnonzero(good)
  spans = np.ptp(scores[rows, 1:], axis=1)
  return int(rows[np.argsort(spans, kind='stable')[len(rows) // 2]])


def _pictures(split: Split, row: int) -> np.ndarray:
  """uint8 [7, 144, 144, 3]: an image as it is and in the tones of `SHOWN`."""
  image = decode.decode_pixels(split.encoded(row))
  png = split.encoded_mask(row)
  mask = None if png is None else decode.decode_mask(png, image.shape[:2])
  colours = [tones.colour_at(tones.angle_of(letter)) for letter in SHOWN]
  pictures = [image, *(recolour.recolour(image, mask, colour) for colour in colours)]
  return np.stack([geometry.crop(picture, _SHOWN_PX) for picture in pictures])


def main(arguments: list[str] | None = None) -> int:
  """Measures, writes, renews the report, and tells the finding in a line; returns the status."""
  from lesionjax.report.page import write_report

  parser = argparse.ArgumentParser(
    prog='python -m lesionjax.trust.toning',
    description='What a classifier says of the same lesions on skin of eighteen tones.',
  )
  parser.add_argument('run', help='a run directory of a classifier')
  parser.add_argument('--images', type=int, default=0, help='how many are drawn; 0 is all')
  parser.add_argument(
    '--data_dir', default='', help='where the data lie; default as the run had it'
  )
  parser.add_argument('--split', default='', help="which split; default is the run's test split")
  chosen = parser.parse_args(arguments)
  try:
    content = write(chosen.run, chosen.split, chosen.data_dir, chosen.images)
    write_report(chosen.run)
  except UserError as error:
    print(f'Error: {error}', file=sys.stderr)
    return 1
  print(
    f'{content["images"]:,} images in {len(content["tones"])} tones: the mean score changes by'
    f' {content["range"]:.3f} from one end of its range to the other; see'
    f' {epath.Path(chosen.run) / FILE} and report.html.'
  )
  return 0


if __name__ == '__main__':
  sys.exit(main())
