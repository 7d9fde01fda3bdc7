"""Any map within a network, by its name, and the logits when something is added to it.

Module calls are intercepted, as in `frozen`: the network stays one pure function, of (variables,
image, offset) now, and its derivative by the offset at zero is that of the logits by the map.
Reverse mode then runs through the part of the network behind the map alone.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from lesionjax.models import names
from lesionjax.models.parts import LAST_MAP

_Variables = Any


def feature_maps(
  model: nn.Module, variables: _Variables, size_px: tuple[int, int]
) -> dict[str, tuple[int, int, int]]:
  """Lists the maps of a network.

  Args:
    model: a classifier.
    variables: its variables, or their shapes.
    size_px: height and width of its input.

  Returns:
    Name -> (h, w, C), in the order of computation: modules by their '/'-joined paths, the maps of
    its features as 'strideN'; at the end 'last_map', the default of Grad-CAM (`parts.LAST_MAP`).
    Tokens of a transformer are a map without their class token.
  """
  model = _plain(model)
  seen: dict[str, tuple[int, ...]] = {}

  def record(call: Any, args: tuple[Any, ...], kwargs: dict[str, Any], context: Any) -> Any:
    """Calls a module and notes the shape of its result; dropouts change nothing."""
    out = call(*args, **kwargs)
    is_call = context.method_name == '__call__' and not isinstance(context.module, nn.Dropout)
    if is_call and isinstance(out, jax.Array):
      seen['/'.join(context.module.path)] = out.shape
    return out

  image = jax.ShapeDtypeStruct((1, *size_px, 3), jnp.float32)
  with nn.intercept_methods(record):
    _, features = jax.eval_shape(lambda v, x: model.apply(v, x, train=False), variables, image)
  grid = features['last_map'].shape[1:3]
  maps = {}
  for name, shape in seen.items():
    if len(shape) == 4:
      maps[name] = shape[1:]
    elif len(shape) == 3 and shape[1] == 1 + grid[0] * grid[1]:
      maps[name] = (*grid, shape[2])
  default = LAST_MAP.get(type(model).__name__)
  if default is not None:
    maps['last_map'] = maps[default(model)]
  return maps


def apply_with_offset(
  model: nn.Module,
  variables: _Variables,
  image: Any,
  name: str,
  offset: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
  """Classifies images, adding something to one map on the way.

  Args:
    model: a classifier.
    variables: its variables.
    image: float [B,H,W,C], normalised.
    name: of the map, from `feature_maps`.
    offset: [B,h,w,C], added to the map; None adds nothing.

  Returns:
    Logits float32 [B,K], and the map float32 [B,h,w,C] as it was before the addition.

  Raises:
    UserError: the network has no such map; the nearest names are suggested.
  """
  model = _plain(model)
  default = LAST_MAP.get(type(model).__name__)
  path = default(model) if name == 'last_map' and default is not None else name
  found: list[jax.Array] = []

  def disturb(call: Any, args: tuple[Any, ...], kwargs: dict[str, Any], context: Any) -> Any:
    """Calls a module and adds the offset to what the named one returns."""
    out = call(*args, **kwargs)
    if context.method_name != '__call__' or '/'.join(context.module.path) != path:
      return out
    if not isinstance(out, jax.Array) or out.ndim not in (3, 4):
      return out
    found.append(out)
    if offset is None:
      return out
    if out.ndim == 4:
      return out + offset.astype(out.dtype)
    flat = offset.reshape(out.shape[0], -1, out.shape[-1])
    return out + jnp.pad(flat, ((0, 0), (1, 0), (0, 0))).astype(out.dtype)

  with nn.intercept_methods(disturb):
    outputs: Any = model.apply(variables, image, train=False)
  logits, features = outputs
  if not found:
    names.check_name('feature map', name, feature_maps(model, variables, image.shape[1:3]))
  seen = found[-1]
  if seen.ndim == 3:
    grid = features['last_map'].shape[1:3]
    seen = seen[:, 1:].reshape(seen.shape[0], *grid, seen.shape[-1])
  return logits, seen.astype(jnp.float32)


def _plain(model: Any) -> Any:
  """The network without recomputation, whose insides may not be looked at from outside."""
  return model.clone(remat=False) if getattr(model, 'remat', False) else model
