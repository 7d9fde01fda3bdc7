"""lesionjax: functional JAX/Flax research code for dermoscopy."""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from lesionjax.predictor import Classifier, Segmenter
  from lesionjax.sampling import Generator

__all__ = ['load']

# What imports jax and its company, which the wheel alone does not install.
_TRAINING_SIDE = (
  'additions', 'assembly', 'compared_runs', 'comparing', 'compilation', 'config', 'config_values',
  'cross_fitting', 'data.augment', 'data.between', 'data.colour', 'data.features', 'data.memory',
  'data.noise', 'data.render', 'data.resample', 'data.stream', 'data.warp', 'dry_run',
  'environment', 'evaluating', 'experiment', 'gan_config', 'generating', 'generation_scoring',
  'generation_writing', 'held_out', 'inference', 'judging', 'mask_scoring', 'mask_writing',
  'models', 'modes', 'phase_inputs', 'phases', 'pieces', 'predictor', 'processes',
  'report.model_table', 'run_data', 'run_directory', 'sampling', 'scoring', 'segmenting',
  'starting', 'sweeping', 'training', 'two_stage',
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
  from lesionjax.predictor import Classifier, Segmenter
  from lesionjax.run_directory import read_config
  from lesionjax.sampling import Generator

  kinds = {'segment': Segmenter, 'generate': Generator}
  return kinds.get(read_config(run).task, Classifier)(run)
