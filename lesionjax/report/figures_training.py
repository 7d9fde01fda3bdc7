"""Curves per epoch and the distribution of classes over the splits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from lesionjax.report import figures
from lesionjax.report.figures import Plot
from lesionjax.report.run_files import Run, number

_LOWER_IS_BETTER = ('loss', 'log_loss', 'discriminator_loss', 'fid', 'kid')
_CURVES = (
  ('loss', 'Loss', 'mean over images (nats)'),
  ('accuracy', 'Accuracy', 'share of images'),
  ('balanced_accuracy', 'Balanced accuracy', 'mean recall of the classes'),
)


def best_record(run: Run) -> dict[str, Any] | None:
  """What validation measured when the checkpoint that was kept was made; None if nothing tells."""
  metric = str(run.option('select.metric', 'balanced_accuracy'))
  sign = -1 if metric in _LOWER_IS_BETTER else 1
  records = run.history.get('validation', [])
  if run.option('select.phase') == 'last' and records:
    # A run that was stopped before its last phase has its best epoch in what there is.
    phases = run.option('phases') or [{}]
    last = phases[-1].get('name') or f'phase{len(phases)}'
    records = [record for record in records if record.get('phase', '') == last] or records
  known = [
    (sign * number(record.get(metric)), -index)
    for index, record in enumerate(records)
    if not math.isnan(number(record.get(metric)))
  ]
  return records[-max(known)[1]] if known else None  # the first of equals, as training chooses


def best_epoch(run: Run) -> tuple[float, str] | None:
  """Epoch whose checkpoint was kept and the metric that chose it; None where nothing tells."""
  record = best_record(run)
  if record is None:
    return None
  return _epoch(record), str(run.option('select.metric', 'balanced_accuracy'))


def phase_starts(run: Run) -> list[tuple[float, str]]:
  """Where every phase begins, in epochs, and its name; empty where a run has only one."""
  starts: list[tuple[float, str]] = []
  before = 0.0
  for record in run.history.get('train', []):
    name = str(record.get('phase', ''))
    if name and (not starts or starts[-1][1] != name):
      starts.append((before, name))
    before = _epoch(record)
  return starts if len(starts) > 1 else []


def training_plots(run: Run) -> list[Plot]:
  """Loss, accuracy, balanced accuracy and recall of every class per epoch; empty without any."""
  train, validation = (run.history.get(kind, []) for kind in ('train', 'validation'))
  plots = curve_plots(run, _CURVES)
  marks = best_epoch(run), phase_starts(run)
  for kind, records in (('validation', validation), ('training', train)):
    plot = _recall_plot(kind, records, run.class_names, *marks)
    if plot:
      plots.append(plot)
  return plots


def curve_plots(run: Run, curves: Sequence[tuple[str, str, str]]) -> list[Plot]:
  """Training and validation per epoch, a figure for every (metric, title, unit) that there is."""
  train, validation = (run.history.get(kind, []) for kind in ('train', 'validation'))
  marks = best_epoch(run), phase_starts(run)
  plots = []
  for key, title, unit in curves:
    figure, axes = figures.new_figure()
    drawn = [
      _draw(axes, records, key, {'color': colour, 'label': label})
      for label, records, colour in (
        ('training', train, figures.TRAIN_COLOUR),
        ('validation', validation, figures.VALIDATION_COLOUR),
      )
    ]
    if any(drawn):
      _finish(axes, *marks, unit, share=key != 'loss')
      figures.add_legend(figure, axes)
      alt = f'{title} per epoch. ' + _ends(key, {'training': train, 'validation': validation})
      plots.append(Plot(f'curve_{key}', title, alt, figure))
  return plots


def _recall_plot(
  kind: str,
  records: list[dict[str, Any]],
  names: Sequence[str],
  best: tuple[float, str] | None,
  phases: list[tuple[float, str]],
) -> Plot | None:
  figure, axes = figures.new_figure(3.5)
  drawn = [
    _draw(
      axes,
      records,
      f'recall/{name}',
      {**figures.class_line(index), 'label': figures.shorten(name)},
    )
    for index, name in enumerate(names)
  ]
  if not any(drawn):
    return None
  _finish(axes, best, phases, 'recall (share of the class found)', share=True)
  figures.add_legend(figure, axes)
  last = [f'{number(records[-1].get(f"recall/{name}")):.2f}' for name in names]
  title = f'Recall of every class, {kind}'
  alt = f'{title}, per epoch. Last epoch: {figures.describe(names, last)}.'
  return Plot(f'curve_recall_{kind}', title, alt, figure)


def _draw(axes: Axes, records: list[dict[str, Any]], key: str, look: dict[str, Any]) -> bool:
  values = np.array([number(record.get(key)) for record in records])
  if not np.isfinite(values).any():
    return False
  marker = 'o' if len(values) <= 20 else ''
  axes.plot([_epoch(record) for record in records], values, marker=marker, markersize=3, **look)
  return True


def _finish(
  axes: Axes,
  best: tuple[float, str] | None,
  phases: list[tuple[float, str]],
  unit: str,
  share: bool,
) -> None:
  for start, name in phases:
    if start:
      axes.axvline(start, color='#52606D', linewidth=0.9)
    within = axes.get_xaxis_transform() if start else 'axes fraction'
    place = {'xycoords': within, 'textcoords': 'offset points'}
    note = axes.annotate(figures.shorten(name), (start, 1.0), xytext=(3, 3), **place)
    note.set(fontsize=7.5, color='#52606D')
  if best:
    label = f'best ({best[0]:g})'
    axes.axvline(best[0], color='#7B8794', linewidth=1, linestyle=(0, (2, 2)), label=label)
  axes.set_xlabel('epoch')
  axes.set_ylabel(unit)
  axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
  if share:
    axes.set_ylim(-0.02, 1.02)
  else:
    axes.set_ylim(bottom=0)


def _epoch(record: dict[str, Any]) -> float:
  epoch = number(record.get('epoch'))
  return number(record['step']) if math.isnan(epoch) else epoch


def _ends(key: str, series: dict[str, list[dict[str, Any]]]) -> str:
  parts = [
    f'{name} from {number(records[0].get(key)):.3f} to {number(records[-1].get(key)):.3f}'
    for name, records in series.items()
    if records
  ]
  return '; '.join(parts) + '.'


def distribution_plot(run: Run) -> Plot | None:
  """Share of every class in every split, with counts; None without data.json."""
  splits: dict[str, Any] = run.data.get('splits') or {}
  names = [str(name) for name in run.data.get('class_names', ())]
  order = [name for name in ('train', 'validation', 'test') if name in splits]
  order += sorted(set(splits) - set(order))
  if not order or not names:
    return None
  return class_distribution(
    {s: [int((splits[s].get('support') or {}).get(n, 0)) for n in names] for s in order}, names
  )


def class_distribution(
  counts: Mapping[str, Sequence[int]], names: Sequence[str], colours: Sequence[str] = ()
) -> Plot:
  """Share of every class in every split, with counts.

  Args:
    counts: split -> images of every class, in the order of `names`.
    names: K classes.
    colours: of the classes; default: those of their places.
  """
  colours = colours or [figures.class_colour(index) for index in range(len(names))]
  order = list(counts)
  figure, axes = figures.new_figure(0.9 + 0.19 * len(names) * (len(order) + 0.8))
  height = 0.82 / len(order)
  largest = max(max(counts[s]) / max(sum(counts[s]), 1) for s in order)
  for row, split in enumerate(order):
    total = max(sum(counts[split]), 1)
    for index, count in enumerate(counts[split]):
      at = index - 0.41 + (row + 0.5) * height
      shade = 1.0 - 0.62 * row / max(len(order) - 1, 1)
      share = 100 * count / total
      axes.barh(at, share, height * 0.9, color=colours[index], alpha=shade)
      note = f'{split}: {count:,} ({share:.1f} %)'
      axes.text(share + largest, at, note, va='center', fontsize=7.2)
  axes.set_yticks(range(len(names)), [figures.shorten(name) for name in names])
  axes.tick_params(axis='y', length=0)
  axes.set_ylim(len(names) - 0.5, -0.5)
  axes.set_xlim(0, 100 * largest * 1.5)
  axes.set_xticks([tick for tick in axes.get_xticks() if tick <= 100])
  axes.set_xlabel('share of the split (%)')
  axes.grid(False, axis='y')
  alt = 'Classes by split. ' + ' '.join(
    f'{split}: {figures.describe(names, [str(c) for c in counts[split]])}.' for split in order
  )
  return Plot('class_distribution', 'Class distribution by split', alt, figure)
