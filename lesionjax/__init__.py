"""lesionjax: functional JAX/Flax research code for dermoscopy."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from lesionjax.inference import Classifier

__all__ = ['load']


def load(run: str) -> Classifier:
  """Opens a trained run for prediction, in a notebook or a script.

  Args:
    run: a run directory; may be a gs:// path.

  Returns:
    A Classifier: `load(run).predict(images).probabilities`.

  Raises:
    UserError: when it is no run, or has no finished epoch.
  """
  from lesionjax.inference import Classifier  # imports jax: `import lesionjax` stays light

  return Classifier(run)
