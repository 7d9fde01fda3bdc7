"""All that is measured of an evaluated classifier beyond its metrics, in the order it is needed."""

from __future__ import annotations

from lesionjax.trust import calibration, explaining, feature_space, operating, subgroups, unknown
from lesionjax.trust.evaluated import Evaluated

# Later ones may read what earlier ones wrote: rates of subgroups are at a threshold.
WRITERS = (
  operating.write,
  calibration.write,
  subgroups.write,
  unknown.write,
  explaining.write,
  feature_space.write,
)


def write(evaluated: Evaluated) -> None:
  """Writes the files of every part into `evaluated.out_dir`."""
  for writer in WRITERS:
    writer(evaluated)
