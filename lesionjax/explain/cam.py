"""Grad-CAM and Grad-CAM++ at any named map of any classifier, by one reverse pass behind it.

Sources: Selvaraju et al., "Grad-CAM", ICCV 2017, equations 1 and 2; Chattopadhay et al.,
"Grad-CAM++", WACV 2018, equations 10, 11 and 19. Scaled as in pytorch-grad-cam
(https://github.com/jacobgil/pytorch-grad-cam): from the smallest to the largest value of an image,
before it is stretched to the size of the image and after.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lesionjax.models.perturbed import apply_with_offset


class Cam(NamedTuple):
  """What Grad-CAM says of B images.

  Attributes:
    maps: float32 [B, H, W] in [0, 1], of the input's size; 0 everywhere where nothing speaks for
      the class.
    raw: float32 [B, h, w], the weighted sum of the channels, before relu and scaling.
    logits: float32 [B, K], of the same pass.
  """

  maps: jax.Array
  raw: jax.Array
  logits: jax.Array


CamFunction = Callable[[Any, Any, Any], Cam]
"""(variables, image float [B, H, W, 3] normalised, class int [B]) -> Cam."""


def make_cam(model: Any, layer: str = 'last_map', plus_plus: bool = False) -> CamFunction:
  """Builds Grad-CAM of a classifier.

  Args:
    model: a module of `lesionjax.models`.
    layer: name of a map, from `perturbed.feature_maps`.
    plus_plus: whether the gradients are weighted as Grad-CAM++ does.

  Returns:
    Compiled (variables, image float [B, H, W, 3] normalised, class int [B]) -> Cam. It raises
    UserError when the network has no such map.
  """
  weights_of = _plus_plus_weights if plus_plus else _mean_weights

  @jax.jit
  def cam(variables: Any, image: jax.Array, classes: jax.Array) -> Cam:
    logits, activation, gradient = gradient_of_map(model, variables, image, layer, classes)
    raw = jnp.einsum('bhwc,bc->bhw', activation, weights_of(activation, gradient))
    return Cam(stretched(jax.nn.relu(raw), image.shape[1:3]), raw, logits)

  return cam


def gradient_of_map(
  model: Any, variables: Any, image: Any, layer: str, classes: Any
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Differentiates the logit of a class of every image by a map.

  Args:
    model: a module of `lesionjax.models`.
    variables: its variables.
    image: float [B, H, W, 3], normalised.
    layer: name of the map.
    classes: int [B].

  Returns:
    Logits float32 [B, K], the map and its gradient, both float32 [B, h, w, C].
  """
  shape = jax.eval_shape(lambda v, x: apply_with_offset(model, v, x, layer)[1], variables, image)
  logits, backward, activation = jax.vjp(
    lambda offset: apply_with_offset(model, variables, image, layer, offset),
    jnp.zeros(shape.shape, jnp.float32),
    has_aux=True,
  )
  (gradient,) = backward(jax.nn.one_hot(classes, logits.shape[-1], dtype=logits.dtype))
  return logits, activation, gradient


def stretched(raw: jax.Array, size_px: tuple[int, ...]) -> jax.Array:
  """Scales maps [B, h, w] to [0, 1] and stretches them to height and width, bilinearly."""
  shape = (raw.shape[0], *size_px)
  return scaled(jax.image.resize(scaled(raw), shape, 'linear', antialias=False))


def scaled(maps: jax.Array) -> jax.Array:
  """Maps the values of every map [B, H, W] from their range to [0, 1]; constant ones become 0."""
  lowest = maps.min((1, 2), keepdims=True)
  span = maps.max((1, 2), keepdims=True) - lowest
  return jnp.where(span > 0, (maps - lowest) / jnp.where(span > 0, span, 1.0), 0.0)


def _mean_weights(activation: jax.Array, gradient: jax.Array) -> jax.Array:
  """Weights [B, C] of Grad-CAM, equation 1: the gradient's mean over the map."""
  del activation
  return gradient.mean((1, 2))


def _plus_plus_weights(activation: jax.Array, gradient: jax.Array) -> jax.Array:
  """Weights [B, C] of Grad-CAM++, equations 11 and 19 for a score exp(logit).

  Its second and third derivatives are powers of the gradient times the score, which cancels.
  """
  square = gradient**2
  total = activation.sum((1, 2), keepdims=True)
  # The reference's guard against a sum of zero; the quotient is 0 where the gradient is.
  share = square / (2 * square + total * square * gradient + 1e-6)
  return (jnp.where(gradient != 0, share, 0.0) * jax.nn.relu(gradient)).sum((1, 2))
