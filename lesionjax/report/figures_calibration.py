"""Reliability diagrams and the risk-coverage curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lesionjax.report import figures
from lesionjax.report.figures import Plot
from lesionjax.report.run_files import number


def reliability_plot(
  name: str, title: str, bins: Sequence[Mapping[str, Any]], across: str, up: str
) -> Plot:
  """Stated probability against what came true, bin by bin, with intervals.

  Args:
    name: of the file.
    title: of the figure.
    bins: confidence, frequency, low, high, images and groups of each.
    across: what is stated.
    up: what came true.
  """
  x, y, low, high = (
    np.array([number(each[key]) for each in bins])
    for key in ('confidence', 'frequency', 'low', 'high')
  )
  figure, axes = figures.new_figure(3.9, equal=True)
  axes.plot([0, 1], [0, 1], color='#7B8794', linewidth=1, linestyle=(0, (2, 2)))
  axes.errorbar(
    x, y, yerr=[y - low, high - y], fmt='o', markersize=4, linewidth=1.2, capsize=2,
    color=figures.VALIDATION_COLOUR, ecolor='#8FBCD4', zorder=3,
  )  # fmt: skip
  axes.set_xlim(-0.02, 1.02)
  axes.set_ylim(-0.02, 1.02)
  axes.set_xlabel(across)
  axes.set_ylabel(up)
  told = '; '.join(f'{a:.2f} stated, {b:.2f} true' for a, b in zip(x, y, strict=True))
  images, groups = ([number(each[key]) for each in bins] for key in ('images', 'groups'))
  caption = (
    f'{len(bins)} {"bin" if len(bins) == 1 else "bins"} of {_range(images)} images'
    f' ({_range(groups)} lesions or patients each); bars: 95 % Wilson. Dotted: stated = true.'
  )
  return Plot(name, title, f'{title}. {told}.', figure, caption)


def risk_plot(split: str, area: Mapping[str, Any]) -> Plot:
  """Share of errors over the share of images that is decided.

  Args:
    split: whose.
    area: curve and aurc of selective.json.
  """
  curve = area['curve']
  x, risk, low, high = (
    np.array([number(point[key]) for point in curve]) for key in ('coverage', 'risk', 'low', 'high')
  )
  figure, axes = figures.new_figure(3.4)
  axes.fill_between(x, low, high, color='#8FBCD4', alpha=0.5, linewidth=0)
  axes.plot(x, risk, color=figures.VALIDATION_COLOUR)
  axes.axhline(risk[-1], color='#7B8794', linewidth=1, linestyle=(0, (2, 2)))
  axes.set_xlim(0, 1.01)
  top = np.nanmax(np.concatenate([high, risk]))
  axes.set_ylim(0, max(1.05 * float(top), 0.01))
  axes.set_xlabel('coverage: share of images decided, the most certain ones')
  axes.set_ylabel('risk: share of errors among them')
  told = '; '.join(
    f'{100 * a:.0f} % decided, {100 * b:.1f} % wrong' for a, b in zip(x, risk, strict=True)
  )
  caption = 'Band: 95 % interval. Dotted: the error rate when everything is decided.'
  return Plot(
    f'risk_coverage_{split}',
    'Errors among what is decided',
    f'Risk over coverage, {split}: {told}.',
    figure,
    caption,
  )


def _range(numbers: Sequence[float]) -> str:
  low, high = min(numbers), max(numbers)
  return f'{low:,.0f}' if low == high else f'{low:,.0f} to {high:,.0f}'
