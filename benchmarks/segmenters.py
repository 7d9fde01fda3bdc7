"""Our side of the segmenters' benchmarks."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from lesionjax.training.segmentation_losses import bce_dice


def train_step(
  model: nn.Module, image: np.ndarray, mask: np.ndarray
) -> tuple[Callable[[], object], float]:
  """One training step on a batch that lies on the device: forward, BCE + Dice, backward, AdamW.

  Args:
    model: segmenter.
    image: float32 [B,H,W,3].
    mask: {0, 1} [B,H,W].

  Returns:
    A function that does one step, waits for it and returns the loss; seconds to compile.
  """
  tx = optax.adamw(1e-3, weight_decay=1e-4)
  images, masks = jax.device_put((image, mask.astype(np.float32)))
  variables: Any = jax.jit(model.init)(jax.random.key(0), images[:1])

  def step(state: Any, image: jax.Array, mask: jax.Array) -> tuple[Any, jax.Array]:
    params, batch_stats, opt_state = state

    def loss_fn(params: Any) -> tuple[jax.Array, Any]:
      (logits, _), new = model.apply(
        {'params': params, 'batch_stats': batch_stats}, image, train=True, mutable=['batch_stats']
      )
      return jnp.mean(bce_dice(logits, mask)), new['batch_stats']

    (loss, batch_stats), gradient = jax.value_and_grad(loss_fn, has_aux=True)(params)
    updates, opt_state = tx.update(gradient, opt_state, params)
    return (optax.apply_updates(params, updates), batch_stats, opt_state), loss

  params = variables['params']
  holder = [(params, variables['batch_stats'], tx.init(params))]
  start = time.perf_counter()
  compiled = jax.jit(step, donate_argnums=0).lower(holder[0], images, masks).compile()
  compile_s = time.perf_counter() - start

  def run() -> float:
    holder[0], loss = compiled(holder[0], images, masks)
    jax.block_until_ready(holder[0])
    return float(loss)

  return run, compile_s


def inference(model: nn.Module, image: np.ndarray) -> tuple[Callable[[], object], float]:
  """Predicts masks of a batch that lies on the device.

  Args:
    model: segmenter.
    image: float32 [B,H,W,3].

  Returns:
    A function that does one pass, waits for it and returns the masks bool [B,H,W]; seconds to
    compile.
  """
  images = jax.device_put(image)
  variables: Any = jax.jit(model.init)(jax.random.key(0), images[:1])
  forward = jax.jit(lambda variables, image: model.apply(variables, image)[0][..., 0] > 0)
  start = time.perf_counter()
  compiled = forward.lower(variables, images).compile()
  compile_s = time.perf_counter() - start
  return lambda: np.asarray(compiled(variables, images)), compile_s
