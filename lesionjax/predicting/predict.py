"""The mode `predict`: a trained run, or the mean of several, on a folder of photographs."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from data_builders.errors import UserError
from lesionjax.explain import maps
from lesionjax.explain.explained import ExplainedRun
from lesionjax.host import environment, files
from lesionjax.predicting import outlines, page, panels
from lesionjax.predicting.finding import RESULT, Found, find_images
from lesionjax.predicting.fitted import POINT, Fitted, read_fitted
from lesionjax.predicting.network import Ensemble
from lesionjax.predicting.rows import Row, Writer, growing_file
from lesionjax.predicting.stream import Explain, Prepared, Preparer, predict_rows
from lesionjax.runs import run_directory
from lesionjax.runs import tta as tta_lib

_BATCH, _BATCH_EXPLAINED = 64, 16


def predict(
  workdir: str,
  images: str,
  out: str,
  segmenter: str = '',
  overlays: bool = True,
  tta: str = 'none',
) -> str:
  """Predicts photographs and writes predictions.csv, predict.html, predictions.json and overlays/.

  A file that is no image is a row with its error. Memory does not grow with the number of images.

  Args:
    workdir: a classifier's run that was evaluated; several, joined by commas, are averaged.
    images: see `finding.find_images`.
    out: the folder of the results; what an earlier prediction wrote there is replaced.
    segmenter: a segmenter's run that finds the lesion; '' is the run's own first stage where it has
      one, else Otsu's threshold.
    overlays: whether to write a picture of every image with its lesion's outline and Grad-CAM.
    tta: views of an image that are averaged, see `lesionjax.runs.tta`.

  Returns:
    The path of predict.html.

  Raises:
    UserError: a run is none, no image was found, or none could be predicted (then all is written).
  """
  start = time.perf_counter()
  run_dirs = [part.strip() for part in (workdir or '').split(',') if part.strip()]
  if not run_dirs or not out:
    raise UserError('--mode=predict needs --workdir=RUN, --images=FOLDER and --out=DIR.')
  if len({run_directory.locate(run_dir) for run_dir in run_dirs}) < len(run_dirs):
    raise UserError('--workdir names a run twice: its vote would count twice, give each once.')
  tta = tta or 'none'
  tta_lib.views(tta)
  found = find_images(images, out)
  fitted = read_fitted(run_dirs, tta)
  ensemble = Ensemble(run_dirs, fitted.temperatures, tta)
  find_lesion, by = _lesions(segmenter, ensemble, overlays)
  # A damaged file has a row; what OpenCV prints of it besides, nobody could place.
  cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
  if os.path.exists(os.path.join(out, RESULT)):
    print(f'{out} holds an earlier prediction, which is replaced.')
  _make_folder(out)
  explain = _explainer(ensemble, os.path.join(out, panels.FOLDER)) if overlays else None
  prepare = Preparer(found.folder, ensemble, find_lesion, overlays)
  batch_size = min(_BATCH_EXPLAINED if overlays else _BATCH, len(found.names))
  summary = page.Summary()
  with growing_file(os.path.join(out, 'predictions.csv')) as file:
    writer = Writer(file, ensemble.class_names, fitted.positive.name)
    rows = predict_rows(found.names, prepare, ensemble, fitted, batch_size, explain)
    for row in rows:
      writer.write(row)
      summary.add(row)
  about = _about(run_dirs, ensemble, fitted, found, summary, by, tta)
  about['wall_s'] = round(time.perf_counter() - start, 2)
  files.write_json(os.path.join(out, RESULT), about)
  html = page.write(out, found, summary, about, overlays)
  return _told(summary, out, html)


def _make_folder(out: str) -> None:
  """Makes the folder of the results, without the panels of an earlier prediction."""
  try:
    os.makedirs(out, exist_ok=True)
    panels.remove_old(os.path.join(out, panels.FOLDER))
  except OSError as error:
    raise UserError(
      f'--out={out} cannot be written ({error.strerror or error}): give another folder.'
    ) from error


def _told(summary: page.Summary, out: str, html: str) -> str:
  """Prints how many succeeded; none is a mistake of the user's, with status 1."""
  table = os.path.join(out, 'predictions.csv')
  if not summary.predicted:
    first = summary.errors[0]
    raise UserError(
      f'None of {summary.failed:,} images could be predicted, such as {first.name}, which'
      f' {first.error}: {table} tells why.'
    )
  print(f'{summary.predicted:,} images predicted, {summary.failed:,} failed: {table}')
  return html


def _lesions(
  segmenter: str, ensemble: Ensemble, overlays: bool
) -> tuple[outlines.FindLesion | None, str]:
  """Who finds the lesion, None where nobody asks, and its name in words."""
  own = next((m for m in ensemble.members if m.looks), ensemble.members[0])
  asked = overlays or any(member.wants_mask for member in ensemble.members)
  if segmenter and not asked:
    sees = 'finds lesions by its own first stage' if own.looks else 'sees whole images'
    raise UserError(
      f'--segmenter={segmenter} has no effect on a run that {sees} where no pictures are asked for:'
      ' leave it or --nooverlays out.'
    )
  # A network's own first stage is asked, too: whether there is a lesion decides on referral.
  if not asked and not own.looks:
    return None, ''
  return outlines.choose(segmenter, own.classifier)


def _explainer(ensemble: Ensemble, folder: str) -> Explain:
  """Writes the panel of every image: Grad-CAM of the label, of the first run."""
  run = ExplainedRun(ensemble.members[0].classifier, batch_size=_BATCH_EXPLAINED)
  names = ensemble.class_names
  layer = maps.cam_layer(run.feature_maps())

  def explain(batch: Sequence[Prepared], judged: Sequence[Row]) -> None:
    seen = np.stack([each.views[0] for each in batch])
    labels = [names.index(row.label) if row.label else 0 for row in judged]
    # One shape, so that it is compiled once.
    filling = _BATCH_EXPLAINED - len(seen)
    full = np.pad(seen, ((0, filling), (0, 0), (0, 0), (0, 0)))
    cams = run.cam(full, np.pad(labels, (0, filling)), layer)
    for each, pixels, cam in zip(batch, seen, cams, strict=False):
      assert each.picture is not None
      panels.write(folder, each.index, each.name, panels.panel(each.picture, pixels, cam))

  return explain


def _about(
  run_dirs: Sequence[str],
  ensemble: Ensemble,
  fitted: Fitted,
  found: Found,
  summary: page.Summary,
  by: str,
  tta: str,
) -> dict[str, Any]:
  """predictions.json: what was done, with what."""
  first = ensemble.members[0]
  notes = list(fitted.notes)
  if first.looks and by:
    notes.append(f'The network sees the lesion alone, which {by} finds.')
  if fitted.positive.unknown:
    unknown = ', '.join(fitted.positive.unknown)
    notes.append(f'Whether {unknown} is malignant is unknown: it counts as not.')
  sets = fitted.conformal
  if sets is not None and sets.always.any():
    rare = [name for name, always in zip(sets.class_names, sets.always, strict=True) if always]
    notes.append(
      f'Too few validation images of {", ".join(rare)} for sets of a coverage of'
      f' {100 * sets.coverage:g} %: {"they are" if len(rare) > 1 else "it is"} in every set, and'
      ' not counted where a set decides on referral.'
    )
  return {
    'runs': list(run_dirs),
    'images': len(found.names),
    'predicted': summary.predicted,
    'failed': summary.failed,
    'referred': summary.referred,
    'flagged': summary.flagged,
    'other_files': found.others,
    'classes': list(ensemble.class_names),
    'positive': {'name': fitted.positive.name, 'classes': list(fitted.positive.classes)},
    'temperatures': list(fitted.temperatures),
    'operating_point': None if fitted.threshold is None else POINT,
    'threshold': fitted.threshold,
    'coverage': None if sets is None else sets.coverage,
    'tta': tta,
    'outline': by or None,
    'notes': notes,
    'commit': environment.code_commit(),
  }
