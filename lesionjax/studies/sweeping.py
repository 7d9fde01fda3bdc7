"""The mode `sweep`: the runs that a recipe lists, one after the other.

Each runs in a process of its own: its time and peak memory are its own, an accelerator is free
again, and its environment.json holds the command that makes this run alone.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import pathlib
import signal
import subprocess
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from etils import epath
from ml_collections import ConfigDict, config_flags

from data_builders.errors import UserError
from lesionjax import config as config_lib
from lesionjax.runs import run_directory
from lesionjax.training.stopping import Interrupted, interrupted_by_sigterm


@dataclasses.dataclass(frozen=True)
class Recipe:
  """What the command line says of a configuration.

  Attributes:
    path: of the recipe, such as configs/two_stage_melanoma.py.
    argument: what stands behind the colon.
    overrides: value by dotted key, of --config.KEY=VALUE.
  """

  path: str
  argument: str = ''
  overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  @classmethod
  def of_flag(cls, flag: Any) -> Recipe:
    """Returns what was given for a flag of ml_collections."""
    path, _, argument = config_flags.get_config_filename(flag).partition(':')
    return cls(path, argument, config_flags.get_override_values(flag))

  def runs(self) -> dict[str, str]:
    """Returns name -> argument of every run that the recipe lists, in order.

    Raises:
      UserError: it lists none.
    """
    module = _load(self.path)
    if not hasattr(module, 'get_sweep'):
      raise UserError(
        f'{self.path} lists no runs: --mode=sweep takes a recipe with a function get_sweep, such as'
        ' configs/two_stage_melanoma.py.'
      )
    found = module.get_sweep(self.argument)
    if not found:
      raise UserError(f'get_sweep of {self.path} lists no run; it must name at least one.')
    return dict(found)

  def configure(self, argument: str) -> ConfigDict:
    """Returns the complete configuration of one run.

    Raises:
      UserError: argument or overrides are not allowed.
    """
    config = _load(self.path).get_config(argument)
    try:
      config.update_from_flattened_dict(dict(self.overrides))
    except (KeyError, AttributeError, TypeError) as error:
      raise UserError(
        f'its configuration does not take --config.{", --config.".join(self.overrides)} ({error}):'
        ' give what all runs have, or choose one with --sweep_index.'
      ) from error
    config_lib.validate(config)
    return config.lock()

  def flags(self, argument: str) -> list[str]:
    """Returns the flags that give one run its configuration."""
    config = f'--config={self.path}' + (f':{argument}' if argument else '')
    return [config, *(f'--config.{key}={_text(value)}' for key, value in self.overrides.items())]


def sweep(
  recipe: Recipe,
  workdir: str,
  index: int | None = None,
  options: Mapping[str, bool] | None = None,
  program: tuple[str, ...] = (),
) -> None:
  """Trains the runs of a recipe in `workdir`/NAME; finished ones are skipped, others carried on.

  Args:
    recipe: lists them.
    workdir: directory of all runs.
    index: of the only run to make, from 0; None makes all.
    options: flags without value that every run gets where they are true, such as 'dry_run'.
    program: the command that trains; () is this one.

  Raises:
    UserError: on a mistake in the recipe, or when a run ends with one; it is named.
    Interrupted: when asked to stop; the state of the run is saved.
  """
  runs, options = recipe.runs(), dict(options or {})
  names = list(runs)
  if index is not None and not 0 <= index < len(names):
    raise UserError(
      f'--sweep_index={index} is none of the {len(names)} runs of {recipe.path}: give 0 to'
      f' {len(names) - 1} ({", ".join(names)}).'
    )
  chosen = names if index is None else [names[index]]
  places = {name: run_directory.locate(workdir) / name for name in chosen}
  for name in chosen:  # before hours are spent
    try:
      config = recipe.configure(runs[name])
    except UserError as error:
      raise UserError(f'The run {name} of the sweep: {error}') from error
    run_directory.check(places[name], config)
  extra = [f'--{name}' for name, given in options.items() if given]
  for name in chosen:
    print(f'Run {names.index(name) + 1} of {len(names)}, {name}: ', end='', flush=True)
    if is_finished(places[name]):
      print('finished before.', flush=True)
      continue
    print(places[name], flush=True)
    command = [*(program or (sys.executable, sys.argv[0])), *recipe.flags(runs[name])]
    status = _call([*command, f'--workdir={places[name]}', *extra])
    if status:
      how = f'was killed by signal {-status}' if status < 0 else 'ended with the message above'
      raise UserError(
        f'The run {name} of the sweep {how}: mend it and give the same command again; finished runs'
        ' are skipped.'
      )
    if not options.get('dry_run') and not is_finished(places[name]):
      raise Interrupted  # the run was asked to stop, and has saved its state


def is_finished(run_dir: epath.Path) -> bool:
  """Whether a directory holds a run that was trained, evaluated and reported."""
  return (run_dir / 'metrics.json').exists() and (run_dir / 'report.html').exists()


def _call(command: list[str]) -> int:
  """Runs a command and returns its status; asked to stop, lets it save first."""
  # A group of its own: a signal to all processes of a terminal or a job would reach it twice, from
  # there and from here, and the second one does not wait for the step under way.
  with interrupted_by_sigterm():
    process = subprocess.Popen(command, process_group=0)
    try:
      return process.wait()
    except (Interrupted, KeyboardInterrupt):
      process.send_signal(signal.SIGTERM)
      process.wait()
      raise


def _load(path: str) -> ModuleType:
  spec = importlib.util.spec_from_file_location('sweep_config', path)
  if spec is None or spec.loader is None or not pathlib.Path(path).is_file():
    raise UserError(
      f'--config={path} cannot be read: give a file such as configs/two_stage_melanoma.py.'
    )
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def _text(value: Any) -> str:
  return repr(value.to_dict()) if isinstance(value, ConfigDict) else str(value)
