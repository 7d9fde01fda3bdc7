"""A trained segmenter on whole splits, as `--mode=masks` needs it."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import numpy as np
from etils import epath

from data_builders.errors import UserError
from lesionjax import config as config_lib
from lesionjax.data.datasets import preprocessing_of
from lesionjax.data.records import Split
from lesionjax.evaluation.segmentation.postprocess import Postprocess
from lesionjax.masking import mask_scoring
from lesionjax.runs import assembly, inference, run_data, run_directory
from lesionjax.training.mesh import Mesh, check_batch, make_mesh

MOVING = ('crop', 'pad', 'vga', 'frame')
"""Beginnings of preprocessing steps that move pixels: a mask no longer lies on the image as the
archive holds it. A stretch does, since masks are stretched to their image."""


class SplitSegmenter:
  """A trained segmenter on whole splits, on all devices."""

  def __init__(self, run_dir: epath.PathLike, mesh: Mesh | None = None):
    """Reads configuration, best weights and post-processing of a run directory.

    Raises:
      UserError: it is no run, no segmenter, or has not been evaluated.
    """
    self.run_dir = run_directory.locate(run_dir)
    self.config = run_directory.read_config(run_dir)
    if self.config.task != 'segment':
      raise UserError(
        f'{run_dir} is a run of task {self.config.task!r}: give the --workdir of a segmenter'
        " (config.task='segment')."
      )
    # The numbers do not depend on the devices: where there are fewer than in training, all serve.
    count = self.config.num_devices
    self.mesh = mesh or make_mesh(count if count <= jax.device_count() else 0)
    check_batch('evaluate.batch_size', self.config.evaluate.batch_size, self.mesh)
    self.postprocess: Postprocess = mask_scoring.read_postprocess(self.run_dir)
    model = assembly.make_model(self.config, 1)
    size = config_lib.image_size(self.config)
    self._weights = inference.restore_best(run_dir, model, size, self.mesh.replicated)
    step = assembly.make_eval_step(self.config, model)
    self._predict = inference.compile_predict(step, self.mesh)

  def probabilities(self, split: Split) -> Iterator[np.ndarray]:
    """Yields float32 [H, W] of every image in turn, at the network's size."""
    batches = run_data.eval_batches(self.config, split, self.mesh)
    for outputs in inference.predictions(self._predict, self._weights, batches):
      if not outputs['finite'].all():
        raise UserError(f'{self.run_dir} gives NaN: train it again with a lower learning rate.')
      for probability in outputs['probability']:
        yield probability.astype(np.float32) / np.float32(255)

  def check_preprocessing(self, data: str) -> None:
    """Refuses a data set whose images were cleaned otherwise than those it has learned from.

    Raises:
      UserError: naming both ways.
    """
    ours = preprocessing_of(self.config.data.name, self.config.data.preprocess).steps
    moving = [step for step in ours if step.startswith(MOVING)]
    if moving:
      raise UserError(
        f'{self.run_dir} was trained on images after {moving[0]!r}, so that its masks do not lie on'
        ' the images as stored: give a segmenter without that step.'
      )
    theirs = preprocessing_of(data, self.config.data.preprocess).steps
    one, other = (
      tuple(s for s in steps if not s.startswith('stretch')) for steps in (ours, theirs)
    )
    if one != other:
      raise UserError(
        f'{data} is prepared with {"-".join(theirs) or "nothing"!r}, the segmenter {self.run_dir}'
        f' has learned from images with {"-".join(ours) or "nothing"!r}: write masks of the'
        ' configuration that has the same; they serve every configuration whose pixels do not move.'
      )
