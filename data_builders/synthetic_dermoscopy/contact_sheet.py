"""A picture of the data set, one row a class: `python -m ...contact_sheet OUT.jpg`."""

from __future__ import annotations

import sys

import cv2
import numpy as np

from data_builders.synthetic_dermoscopy import lesion, photograph, plan

_COLUMNS, _DRAWN_PX, _SHOWN_PX, _LABEL_PX = 8, 256, 128, 56


def contact_sheet() -> np.ndarray:
  """Draws the first photograph of the first lesions of every class.

  Returns:
    uint8 [8 * 128, 56 + 8 * 128, 3], BGR; the class's name stands at the left of its row.
  """
  lesions = plan.by_lesion(plan.make_plan(plan.class_counts()))
  rows = []
  for label, name in enumerate(plan.CLASS_NAMES):
    shots = [shots[0] for shots in lesions if shots[0].label == label][:_COLUMNS]
    title = np.full((_SHOWN_PX, _LABEL_PX, 3), 255, np.uint8)
    at = (4, _SHOWN_PX // 2 + 5)
    cv2.putText(title, name, at, cv2.FONT_HERSHEY_SIMPLEX, 0.6, (60, 40, 30), 1, cv2.LINE_AA)
    rows.append(np.hstack([title, *map(_thumbnail, shots)]))
  return np.vstack(rows)


def _thumbnail(shot: plan.Photograph) -> np.ndarray:
  drawn = lesion.draw_lesion(shot.label, shot.ita_deg, shot.lesion_seed, _DRAWN_PX)
  photo = photograph.take_photograph(drawn, shot.photograph_seed, _DRAWN_PX)
  small = cv2.resize(photo.image, (_SHOWN_PX, _SHOWN_PX), interpolation=cv2.INTER_AREA)
  return cv2.cvtColor(small, cv2.COLOR_RGB2BGR)


if __name__ == '__main__':
  if len(sys.argv) != 2:
    sys.exit(__doc__)
  if not cv2.imwrite(sys.argv[1], contact_sheet(), [cv2.IMWRITE_JPEG_QUALITY, 88]):
    sys.exit(f'{sys.argv[1]} cannot be written: name a .jpg file in a directory that exists.')
