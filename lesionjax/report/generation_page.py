"""The page of a generator: verdict, samples of every class and over time, copies, curves."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np
from etils import epath

from lesionjax.report import figures, figures_training, tables
from lesionjax.report.figures import Plot
from lesionjax.report.run_files import Run, number

_TILES = (
  ('fid', 'FID in features of the judge (lower is better)'),
  ('judge_ratio', 'Classes recognised: generated, as a share of real'),
  ('manifold_precision', 'Precision: generated images like real ones'),
  ('manifold_recall', 'Recall: real images like generated ones'),
  ('kid', 'KID (lower is better)'),
  ('memorised', 'Nearer to training than training to itself'),
)
_COLUMNS = (
  ('kid', 'KID'),
  ('judge_recall', 'Generated, recognised'),
  ('real_recall', 'Real, recognised'),
)
_CURVES = (
  ('loss', 'Loss of the generator', 'mean over images'),
  ('discriminator_loss', 'Loss of the discriminator', 'mean over images'),
  ('fid', 'FID', 'features of the judge, validation'),
  ('kid', 'KID', 'features of the judge, validation'),
  ('judge_recall', 'Generated images recognised', 'mean over classes'),
)
_MOMENTS = 5  # grids over time that are shown


def plots(run: Run) -> dict[str, list[Plot]]:
  """The figures of the page by place; to be called within `figures.style()`."""
  drawn = [plot for curve in _CURVES if (plot := _curve(run, *curve))]
  distribution = figures_training.distribution_plot(run)
  logits = _logit_plot(run)
  return {
    'training': [*drawn[:2], *([logits] if logits else []), *drawn[2:]],
    'distribution': [distribution] if distribution else [],
  }


def context(run: Run, split: str) -> dict[str, Any]:
  """What the page shows of a generator."""
  title, sentences = _verdict(run, split)
  samples = run.directory / 'samples'
  metrics = run.metrics.get(split, {})
  size = str(run.option('data.size_px', 'unknown'))
  return {
    'generation': {
      'title': title,
      'verdict': sentences,
      'tiles': _tiles(metrics) if 'fid' in metrics else [],
      'best': _picture(samples / 'best.png'),
      'moments': _moments(run, samples),
      'nearest': _picture(samples / 'nearest.png'),
      'copies': _copies(metrics),
      'columns': [title for _, title in _COLUMNS],
      'classes': _classes(run, metrics) if 'fid' in metrics else [],
      'size': size,
      'judge': str(run.option('gan.judge', '')),
    }
  }


def _verdict(run: Run, split: str) -> tuple[str, list[str]]:
  metrics = run.metrics.get(split, {})
  if 'fid' not in metrics:
    return 'Not measured: no judge was named', [
      'The losses below say whether the game was fair, not whether the images are good: name a'
      ' finished classifier with config.gan.judge, or look at the samples.'
    ]
  ratio, generated, real = (
    _value(metrics, name) for name in ('judge_ratio', 'judge_recall', 'real_recall')
  )
  title = f'Classes are recognised {100 * ratio:.0f} % as often as in real images'
  sentences = [
    f'A classifier that trained on real images only takes {generated:.3f} of the generated images'
    f' for the class that was meant (mean over classes), and {real:.3f} of the real images of the'
    f' {split} split.',
    f'FID in the features of this classifier is {_value(metrics, "fid"):.1f} for'
    f' {_value(metrics, "fid", "n"):,.0f} real and as many generated images of the same classes;'
    ' such a number compares runs with the same judge and as many images, nothing else.',
  ]
  return title, sentences


def _copies(metrics: dict[str, Any]) -> str:
  if 'memorised' not in metrics:
    return ''
  generated, real = (100 * _value(metrics, n) for n in ('memorised', 'real_memorised'))
  return (
    f'{generated:.1f} % of the generated images lie nearer to a training image than 99 % of the'
    ' training images lie to the nearest of another lesion, in the features of the judge; of real'
    f' images that were held out {real:.1f} % do.'
  )


def _value(metrics: dict[str, Any], name: str, key: str = 'value') -> float:
  return number((metrics.get(name) or {}).get(key))


def _tiles(metrics: dict[str, Any]) -> list[dict[str, Any]]:
  found = []
  for name, title in _TILES:
    told = tables.cell(metrics.get(name))
    bounded = name not in ('fid', 'kid')
    found.append({'title': title, 'cell': told, 'strip': told['strip'] if bounded else None})
  return found


def _classes(run: Run, metrics: dict[str, Any]) -> list[dict[str, Any]]:
  return [
    {
      'name': name,
      'colour': figures.class_colour(index),
      'cells': [tables.cell(metrics.get(f'{kind}/{name}')) for kind, _ in _COLUMNS],
    }
    for index, name in enumerate(run.class_names)
  ]


def _picture(path: epath.Path) -> str:
  """A PNG as the source of an <img>; '' where there is none."""
  if not path.exists():
    return ''
  return 'data:image/png;base64,' + base64.b64encode(path.read_bytes()).decode()


def _moments(run: Run, samples: epath.Path) -> list[dict[str, Any]]:
  """Some of the grids of the run, the first and the last among them."""
  epochs = {
    int(number(record.get('step'))): number(record.get('epoch'))
    for record in run.history.get('validation', [])
  }
  there = [step for step in sorted(epochs) if (samples / f'step_{step}.png').exists()]
  if not there:
    return []
  # More of the beginning, where most happens.
  places = np.unique(np.linspace(0, 1, _MOMENTS) ** 2 * (len(there) - 1) + 0.5).astype(int)
  chosen = [there[at] for at in sorted(set(places.tolist()))]
  return [
    {'epoch': f'{epochs[step]:g}', 'src': _picture(samples / f'step_{step}.png')} for step in chosen
  ]


def _curve(run: Run, key: str, title: str, unit: str) -> Plot | None:
  return _lines(
    f'curve_{key}',
    title,
    unit,
    {
      label: [(number(r.get('epoch')), number(r.get(key))) for r in run.history.get(kind, [])]
      for label, kind in (('training', 'train'), ('validation', 'validation'))
    },
  )


def _logit_plot(run: Run) -> Plot | None:
  """What the discriminator says of training, held-out and generated images: does it memorise?"""
  train, held_out = (run.history.get(kind, []) for kind in ('train', 'validation'))
  series = {
    'real, training': [(number(r.get('epoch')), number(r.get('real_logit'))) for r in train],
    'real, validation': [(number(r.get('epoch')), number(r.get('real_logit'))) for r in held_out],
    'generated': [(number(r.get('epoch')), number(r.get('fake_logit'))) for r in train],
  }
  caption = 'Where validation leaves training for generated, the discriminator memorises.'
  return _lines('curve_logits', 'Logits of the discriminator', 'mean logit', series, caption)


def _lines(
  name: str,
  title: str,
  unit: str,
  series: dict[str, list[tuple[float, float]]],
  caption: str = '',
) -> Plot | None:
  figure, axes = figures.new_figure()
  colours = (figures.TRAIN_COLOUR, figures.VALIDATION_COLOUR, figures.class_colour(1))
  ends = []
  for (label, points), colour in zip(series.items(), colours, strict=False):
    known = [(x, y) for x, y in points if math.isfinite(y)]
    if not known:
      continue
    x, y = zip(*known, strict=True)
    axes.plot(x, y, color=colour, label=label, marker='o' if len(x) <= 20 else '', markersize=3)
    ends.append(f'{label} from {y[0]:.3g} to {y[-1]:.3g}')
  if not ends:
    return None
  axes.set_xlabel('epoch')
  axes.set_ylabel(unit)
  figures.add_legend(figure, axes)
  return Plot(name, title, f'{title} per epoch: {"; ".join(ends)}.', figure, caption)
