"""A trained run opened for measuring: data it may be measured on, its best weights, its outputs."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import numpy as np
from etils import epath
from ml_collections import ConfigDict

from lesionjax import config as config_lib
from lesionjax.data import synthetic
from lesionjax.data.records import Split
from lesionjax.runs import assembly, inference, run_data, run_directory, scoring, tta
from lesionjax.training.mesh import Mesh, check_batch, make_mesh


class Network(NamedTuple):
  """The best weights of a run, ready to predict.

  Attributes:
    config: of the run.
    mesh: the devices that serve.
    predict: from `inference.compile_predict`.
    weights: from `inference.restore_best`.
  """

  config: ConfigDict
  mesh: Mesh
  predict: Any
  weights: Any

  def outputs(self, split: Split) -> dict[str, np.ndarray]:
    """Returns outputs of every image, in the order of the records."""
    batches = run_data.eval_batches(self.config, split, self.mesh)
    return inference.predict_batches(self.predict, self.weights, batches)

  def views(self, split: Split, names: str) -> dict[str, np.ndarray]:
    """Returns outputs of every view of every image of a classifier; images are read once.

    Args:
      split: the records.
      names: of `tta.views`.

    Returns:
      logits float32 [V, N, K] and pre_logits float32 [V, N, D], the image as it is first.
    """
    parts: list[list[dict[str, np.ndarray]]] = []
    for batch in run_data.eval_batches(self.config, split, self.mesh):
      # One compiled program for all views.
      seen = [{**batch, 'image': view(batch['image'])} for view in tta.views(names)]
      parts.append(
        [inference.predict_batches(self.predict, self.weights, iter([one])) for one in seen]
      )
    return {
      name: np.stack([np.concatenate(rows) for rows in zip(*_named(parts, name), strict=True)])
      for name in ('logits', 'pre_logits')
    }


def network(config: ConfigDict, run_dir: epath.Path, class_names: tuple[str, ...]) -> Network:
  """Reads the best weights of a run and compiles its network when it is first asked.

  Raises:
    UserError: there are no weights, or the batch does not fit the devices.
  """
  mesh = mesh_of(config)
  check_batch('evaluate.batch_size', config.evaluate.batch_size, mesh)
  model = assembly.make_model(config, len(class_names))
  weights = inference.restore_best(run_dir, model, config_lib.image_size(config), mesh.replicated)
  predict = inference.compile_predict(assembly.make_eval_step(config, model), mesh)
  return Network(config, mesh, predict, weights)


def mesh_of(config: ConfigDict) -> Mesh:
  """The numbers do not depend on the devices: where there are fewer than in training, all serve."""
  return make_mesh(config.num_devices if config.num_devices <= jax.device_count() else 0)


def describe(
  config: ConfigDict, run_dir: epath.Path, eval_data: str = '', other_masks: bool = False
) -> dict[str, Any]:
  """What is known of the data; refuses own data that are not those that the run was made from.

  Args:
    config: of the run, with the view that was told.
    run_dir: its directory.
    eval_data: another data set, or ''.
    other_masks: whether masks or a view were told, which differ from the run's on purpose.
  """
  data = run_data.describe_data(config, eval_data)
  if not eval_data:
    data |= _remembered(run_dir, 'masks') if other_masks else run_data.describe_masks(config)
    data |= _remembered(run_dir, 'synthetic')  # only training needs the images
    run_directory.refuse_other_data(run_dir, data)
  return data


def scored(split: Split) -> Split:
  """The images that have a class; tells how many have none."""
  known = split.labels >= 0
  if known.all():
    return split
  print(
    f'{(~known).sum():,} of the {len(split):,} images of {split.name} ({split.split}) show none of'
    f' the classes {", ".join(split.class_names)} and are not scored.'
  )
  return split.take(known)


def check_unseen(
  config: ConfigDict,
  run_dir: epath.Path,
  split: Split,
  class_names: tuple[str, ...],
  images_only: bool,
) -> None:
  """Refuses a split that the run or the masks it looks at have seen, or that is no photographs.

  Args:
    config: of the run, with the view that was told.
    run_dir: its directory.
    split: what it is to be measured on.
    class_names: of the run.
    images_only: whether lesions may be shared; see `run_directory.refuse_leak`.

  Raises:
    UserError: it may not be measured on these.
  """
  synthetic.refuse(split, 'Evaluation')
  if config.task == 'classify':
    scoring.labels_of(split, class_names)
  run_directory.refuse_seen(run_dir, split, 'Evaluation', images_only=images_only)
  masks = config.data.lesion_masks
  if split.lesion.needs_mask and masks != 'true':
    purpose = f'Evaluation with the lesion masks {masks}'
    run_directory.refuse_seen(masks, split, purpose, images_only=images_only)


def _remembered(run_dir: epath.Path, key: str) -> dict[str, Any]:
  data = run_directory.read_json(run_dir, 'data.json', f'{run_dir} has no data.json')
  return {key: data[key]} if key in data else {}


def _named(parts: list[list[dict[str, np.ndarray]]], name: str) -> list[list[np.ndarray]]:
  """One output, [batch][view]."""
  return [[outputs[name] for outputs in batch] for batch in parts]
