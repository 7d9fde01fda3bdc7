"""What an evaluation of a classifier has at hand for all that is measured beyond its metrics."""

from __future__ import annotations

import dataclasses

import numpy as np
from etils import epath
from ml_collections import ConfigDict

from lesionjax.data.records import Split
from lesionjax.runs.inference import softmax
from lesionjax.runs.scoring import labels_of


@dataclasses.dataclass(frozen=True)
class Unknown:
  """Images of a split that show none of the classes a run knows.

  Attributes:
    split: the records.
    names: str [N], what the data call them, or 'unknown'.
    outputs: logits [N, K] and pre_logits [N, D].
  """

  split: Split
  names: np.ndarray
  outputs: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Evaluated:
  """A classifier's outputs on the splits it was evaluated on.

  Attributes:
    config: of the run, with the view that was asked for.
    run_dir: the run's directory, where what was fitted on its validation split lies.
    out_dir: where results go; another one than `run_dir` where other data were evaluated.
    class_names: K names, in the order of the logits.
    splits: the records, by name; 'validation' (as `config.data.validation_split` names it) is among
      them where the run's own data were evaluated.
    outputs: by the same names, logits [N, K] and pre_logits [N, D], in the order of the records.
    unknown: by the same names, the images of a split that have no class and are not in `splits`.
  """

  config: ConfigDict
  run_dir: epath.Path
  out_dir: epath.Path
  class_names: tuple[str, ...]
  splits: dict[str, Split]
  outputs: dict[str, dict[str, np.ndarray]]
  unknown: dict[str, Unknown] = dataclasses.field(default_factory=dict)

  @property
  def validation(self) -> str | None:
    """Name of the split that thresholds and temperatures are fitted on; None on other data."""
    name = self.config.data.validation_split
    return name if name in self.splits else None

  @property
  def measured(self) -> list[str]:
    """Names of the splits that are measured: all but validation."""
    return [name for name in self.splits if name != self.validation]

  @property
  def published(self) -> bool:
    """Whether a publication's protocol is followed, its faults included."""
    return self.config.protocol == 'published' and self.out_dir == self.run_dir

  def labels(self, name: str) -> np.ndarray:
    """Int [N], the true classes of a split as indices into `class_names`."""
    return labels_of(self.splits[name], self.class_names)

  def logits(self, name: str) -> np.ndarray:
    """Float32 [N, K]."""
    return self.outputs[name]['logits']

  def probabilities(self, name: str) -> np.ndarray:
    """Float32 [N, K], rows sum to 1."""
    return softmax(self.logits(name))

  def groups(self, name: str) -> np.ndarray:
    """Str [N], lesion or patient."""
    return self.splits[name].group_ids
