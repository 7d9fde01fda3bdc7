"""A phase that trains the head alone, on features that the frozen backbone has computed once."""

from __future__ import annotations

from lesionjax.training.state import Array, Batch, PyTree, State, Task


def on_features(whole: Task, head: Task) -> Task:
  """Returns the task of such a phase.

  The state stays that of the whole network, so that checkpoints and predictions are as ever.

  Args:
    whole: of the network.
    head: made of the head alone, with the same parameters trainable; takes features as its image.

  Returns:
    A Task whose batches hold `features` float32 [B, D] instead of `image`.
  """

  def train_step(state: State, batch: Batch, key: Array) -> tuple[State, dict[str, Array]]:
    return head.train_step(state, {'image': batch['features'], 'label': batch['label']}, key)

  def eval_step(weights: PyTree, batch: Batch) -> dict[str, Array]:
    return head.eval_step(weights, {'image': batch['features']})

  return Task(whole.init, train_step, eval_step, whole.start, whole.summarise, whole.advice)
