"""Without jax, what needs it is named: every module that imports it, itself or through another."""

from __future__ import annotations

import ast
import functools
import pathlib

import lesionjax

PACKAGE = pathlib.Path(lesionjax.__file__).parent
JAX = {'jax', 'flax', 'optax', 'orbax', 'grain'}


def name_of(path):
  parts = path.relative_to(PACKAGE.parent).with_suffix('').parts
  return '.'.join(part for part in parts if part != '__init__')


MODULES = {name_of(path): path for path in PACKAGE.rglob('*.py')}


def with_parents(name):
  parts = name.split('.')
  return ['.'.join(parts[:count]) for count in range(1, len(parts) + 1)]


@functools.cache
def imported(name):
  """What a module imports when it is imported."""
  found = set()
  for node in ast.parse(MODULES[name].read_text()).body:
    if isinstance(node, ast.Import):
      found |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom) and node.module:
      found |= {node.module, *(f'{node.module}.{alias.name}' for alias in node.names)}
  return {part for each in found for part in with_parents(each)} - {'lesionjax', name}


def test_every_module_that_imports_jax_is_listed():
  needs = {name for name in MODULES if imported(name) & JAX}
  grown = True
  while grown:
    more = {name for name in MODULES if imported(name) & needs} - needs
    needs, grown = needs | more, bool(more)
  listed = {f'lesionjax.{name}' for name in lesionjax._TRAINING_SIDE}
  assert len(needs) > 50
  assert sorted(name for name in needs if not listed & {*with_parents(name)}) == []
  assert listed <= {*MODULES}
