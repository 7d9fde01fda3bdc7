"""The challenge's own program, where it is installed."""

from __future__ import annotations

import importlib.util
import io
import sys
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

METRICS = ('balanced_accuracy', 'auc', 'ap')

Program = Callable[[str, str, str], dict[str, Any]]


def load() -> Program | None:
  """Returns (truth, submission, metric) -> its JSON, all as text; None where it is not installed.

  Raises from the returned function: isic_challenge_scoring.ScoreError.
  """
  if not importlib.util.find_spec('isic_challenge_scoring'):
    return None
  if not importlib.util.find_spec('zipfile_deflate64'):  # needs a compiler, is only for archives
    sys.modules['zipfile_deflate64'] = zipfile
  import pandas as pd

  if not hasattr(pd.DataFrame, 'applymap'):  # its name before pandas 3
    pd.DataFrame.applymap = pd.DataFrame.map  # type: ignore[attr-defined]
  from isic_challenge_scoring import ClassificationMetric, ClassificationScore

  def score(truth: str, submission: str, metric: str) -> dict[str, Any]:
    with warnings.catch_warnings():  # of its own use of pandas; it is not ours to mend
      warnings.simplefilter('ignore')
      return ClassificationScore.from_stream(
        io.StringIO(truth), io.StringIO(submission), ClassificationMetric(metric)
      ).to_dict(rocs=False)

  return score
