"""predict.html: what was predicted, the images to look at first, and what went wrong."""

from __future__ import annotations

import heapq
import os
from typing import Any

import cv2

from lesionjax.data.decode import DecodeError
from lesionjax.host import files
from lesionjax.predicting import panels
from lesionjax.predicting.finding import Found
from lesionjax.predicting.reading import read_photograph
from lesionjax.predicting.rows import Row
from lesionjax.report import images, rendering

SHOWN = 200
_SIDE_PX = 192


class Summary:
  """Counts of all rows, and the few that the page shows: memory does not grow with the images.

  Attributes:
    predicted: rows with a prediction.
    failed: rows with an error.
    referred: predicted rows that are referred.
    flagged: predicted rows whose score reaches the threshold.
    labels: how often each label was given.
    errors: the first `SHOWN` rows with an error.
  """

  def __init__(self):
    self.predicted = self.failed = self.referred = self.flagged = 0
    self.labels: dict[str, int] = {}
    self.errors: list[Row] = []
    self._first: list[tuple[tuple[float, ...], Row]] = []

  def add(self, row: Row) -> None:
    """Counts a row."""
    if row.error:
      self.failed += 1
      if len(self.errors) < SHOWN:
        self.errors.append(row)
      return
    self.predicted += 1
    self.referred += bool(row.why)
    self.flagged += bool(row.flag)
    self.labels[row.label] = self.labels.get(row.label, 0) + 1
    heapq.heappush(self._first, (_urgency(row), row))
    if len(self._first) > SHOWN:
      heapq.heappop(self._first)

  def first(self) -> list[Row]:
    """At most `SHOWN` rows: the referred ones, then the most suspicious, then the least certain."""
    return [row for _, row in sorted(self._first, key=lambda entry: entry[0], reverse=True)]


def _urgency(row: Row) -> tuple[float, ...]:
  """Rows with a higher one are shown first; no two have the same, so that rows are not compared."""
  confidence = 1.0 if row.confidence is None else row.confidence
  return bool(row.why), row.malignant or 0.0, -confidence, -row.index


def write(out: str, found: Found, summary: Summary, about: dict[str, Any], overlays: bool) -> str:
  """Writes the page.

  Args:
    out: folder of the results.
    found: the images.
    summary: of their rows.
    about: content of predictions.json.
    overlays: whether there are panels.

  Returns:
    Its path.
  """
  cards = [_card(out, found, row, overlays) for row in summary.first()]
  counts = sorted(summary.labels.items(), key=lambda entry: -entry[1])
  html = rendering.environment().get_template('predict.html.j2').render(
    facts=[f'{summary.predicted:,} predicted', f'{summary.failed:,} failed'],
    about=about,
    cards=cards,
    errors=[{'name': row.name, 'error': row.error} for row in summary.errors],
    more_errors=summary.failed - len(summary.errors),
    labels=[{'name': name, 'count': f'{count:,}'} for name, count in counts],
    overlays=overlays,
  )  # fmt: skip
  path = os.path.join(out, 'predict.html')
  files.write_text(path, html)
  return path


def _card(out: str, found: Found, row: Row, overlays: bool) -> dict[str, Any]:
  name = found.names[row.index]
  file = os.path.join(panels.FOLDER, panels.file_name(row.index, name))
  confidence = f'{row.confidence:.2f}' if row.confidence is not None else ''
  return {
    'name': row.name,
    'src': _panel(os.path.join(out, file)) if overlays else _photograph(found, name),
    'link': file if overlays else '',
    'label': row.label,
    'confidence': confidence,
    'malignant': '' if row.malignant is None else f'{row.malignant:.2f}',
    'set': None if row.classes is None else ', '.join(row.classes) or 'empty',
    'why': row.why or '',
    'note': row.note,
  }


def _photograph(found: Found, name: str) -> str:
  """A small photograph; '' where it can no longer be read."""
  try:
    pixels = read_photograph(os.path.join(found.folder, name)).pixels(_SIDE_PX)
  except DecodeError:
    return ''
  return images.data_uri(images.shrink(pixels, _SIDE_PX))


def _panel(path: str) -> str:
  image = cv2.imread(path, cv2.IMREAD_COLOR)
  return '' if image is None else images.data_uri(images.shrink(image[..., ::-1], 2 * _SIDE_PX))
