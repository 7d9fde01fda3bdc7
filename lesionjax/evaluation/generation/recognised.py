"""How often the intended class is seen: recalls averaged over classes, under a bootstrap."""

from __future__ import annotations

import numpy as np

from lesionjax.evaluation.intervals import group_weights


def mean_recall(
  labels: np.ndarray,
  predicted: np.ndarray,
  groups: np.ndarray | None = None,
  resamples: int = 1000,
  seed: int = 0,
) -> tuple[float, np.ndarray]:
  """Mean over classes of the share of their images that are taken for them.

  Args:
    labels: int [N], the true or the intended class.
    predicted: int [N].
    groups: [N] ids of what is drawn together, such as lesions; None: every image for itself.
    resamples: number R of bootstrap draws.
    seed: of the draws; others for what is independent.

  Returns:
    The mean over the classes that there are, and the same of every draw, float64 [R], over those
    that were drawn.
  """
  classes, own = np.unique(labels, return_inverse=True)
  one_hot = np.eye(len(classes))[own]
  hits = one_hot * (labels == predicted)[:, None]
  value = float((hits.sum(0) / one_hot.sum(0)).mean())
  index = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
  weights = group_weights(int(index.max()) + 1, resamples, seed)[:, index].astype(np.float64)
  with np.errstate(invalid='ignore'):
    recalls = (weights @ hits) / (weights @ one_hot)
  return value, np.nanmean(recalls, axis=1)
