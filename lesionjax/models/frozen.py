"""Runs the frozen part of any network in evaluation mode, without the network knowing.

A module has one argument `train` for all of it. Here the calls of its parts are intercepted, and
those that are frozen are told `train=False`: batch norm takes its running statistics and leaves
them alone, dropout passes everything on. The network itself stays one function of (variables,
image), whatever a phase freezes.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
import jax

_Variables = dict[str, Any]


@contextlib.contextmanager
def evaluating(calls: frozenset[str]) -> Iterator[None]:
  """Inside, the named parts of every network run with `train=False`.

  Args:
    calls: paths of modules, from `frozen_calls`; dropouts among them are left out.
  """

  def intercept(call: Any, args: tuple[Any, ...], kwargs: dict[str, Any], context: Any) -> Any:
    """Calls a module as it was called, or with `train=False` where it is one of `calls`."""
    if context.method_name != '__call__' or '/'.join(context.module.path) not in calls:
      return call(*args, **kwargs)
    if isinstance(context.module, nn.Dropout):
      return args[0]
    # By its place where it was given by place: `nn.remat` counts static arguments by place.
    names = list(inspect.signature(type(context.module).__call__).parameters)[1:]
    if 'train' in kwargs:
      kwargs = {**kwargs, 'train': False}
    elif 'train' in names and names.index('train') < len(args):
      at = names.index('train')
      args = (*args[:at], False, *args[at + 1 :])
    return call(*args, **kwargs)

  with nn.intercept_methods(intercept):
    yield


def frozen_calls(
  model: nn.Module, variables: _Variables, image: jax.Array, trainable: frozenset[str]
) -> frozenset[str]:
  """Finds the parts of a network that a phase freezes.

  Args:
    model: a classifier.
    variables: its variables; only shapes matter.
    image: its input; only the shape matters.
    trainable: '/'-joined paths of the parameters that train.

  Returns:
    '/'-joined paths of the modules that hold parameters of which none trains, and of the dropouts
    that belong to them: those inside, and in a module of which a part trains those in front.
  """
  leaves = jax.tree_util.tree_leaves_with_path(variables['params'])
  names = [tuple(key.key for key in path) for path, _ in leaves]
  trained = [name for name in names if '/'.join(name) in trainable]
  modules, alive, stiff = (
    {name[:end] for name in group for end in range(1, len(name))}
    for group in (names, trained, set(names) - set(trained))
  )
  frozen, mixed = modules - alive, alive & stiff | {()}
  owners = {name[:-1] for name in names}
  found, behind = set(frozen), None
  for path, is_dropout in reversed(_calls(model, variables, image)):
    if is_dropout and (path[:-1] in frozen or (path[:-1] in mixed and behind in frozen)):
      found.add(path)
    elif path in owners:
      behind = path  # what the dropouts before it feed
  return frozenset('/'.join(path) for path in found)


def _calls(model: nn.Module, variables: _Variables, image: jax.Array):
  """Paths of the module calls in the order in which they begin, and which are dropouts."""
  seen: list[tuple[tuple[str, ...], bool]] = []

  def record(call: Any, args: tuple[Any, ...], kwargs: dict[str, Any], context: Any) -> Any:
    """Notes a module's call and makes it."""
    if context.method_name == '__call__':
      seen.append((context.module.path, isinstance(context.module, nn.Dropout)))
    return call(*args, **kwargs)

  with nn.intercept_methods(record):
    jax.eval_shape(lambda v, x: model.apply(v, x, train=False), variables, image)
  return seen
