"""lesionjax: functional JAX/Flax research code for dermoscopy."""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from lesionjax.generation.sampling import Generator
  from lesionjax.runs.predictor import Classifier, Segmenter

__all__ = ['load']

# What imports jax and its company, which the wheel alone does not install.
_TRAINING_SIDE = (
  'config', 'config_values', 'data.augment', 'data.between', 'data.colour', 'data.features',
  'data.memory', 'data.noise', 'data.render', 'data.resample', 'data.stream', 'data.warp',
  'evaluating', 'experiment', 'explain', 'generation', 'host.compilation', 'host.environment',
  'host.processes', 'masking', 'models', 'modes', 'predicting', 'report.model_table', 'runs',
  'studies', 'training', 'trust',
)  # fmt: skip


class _WithoutJax(importlib.abc.MetaPathFinder):
  """Says which extra is missing, instead of "No module named 'jax'"."""

  def find_spec(self, fullname: str, path: Sequence[str] | None, target: object = None) -> None:
    if fullname.removeprefix(f'{__name__}.') in _TRAINING_SIDE:
      raise ModuleNotFoundError(
        f'{fullname} needs jax, which is not installed: pip install'
        " 'lesionjax[cpu]' (or lesionjax[cuda12], lesionjax[tpu]); data_builders works without.",
        name='jax',  # with the module's own name, `from lesionjax import x` would swallow this
      )


if importlib.util.find_spec('jax') is None:
  sys.meta_path.insert(0, _WithoutJax())


def load(run: str) -> Classifier | Segmenter | Generator:
  """Opens a trained run for prediction, in a notebook or a script.

  Args:
    run: a run directory; may be a gs:// path.

  Returns:
    A Classifier, `load(run).predict(images).probabilities`, or of a segmenter's run a Segmenter,
    `load(run).predict(images).masks`, of a generator's a Generator, `load(run).generate(labels)`.

  Raises:
    UserError: when it is no run, or has no finished epoch.
  """
  # They import jax: `import lesionjax` stays light.
  from lesionjax.generation.sampling import Generator
  from lesionjax.runs.predictor import Classifier, Segmenter
  from lesionjax.runs.run_directory import read_config

  kinds = {'segment': Segmenter, 'generate': Generator}
  return kinds.get(read_config(run).task, Classifier)(run)
