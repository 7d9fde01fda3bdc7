"""Runs of a recipe, one after the other: which are made, skipped, refused, stopped."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import sys
import threading
import time

import pytest
from absl import flags
from ml_collections import config_flags

from data_builders.errors import UserError
from lesionjax import experiment, modes
from lesionjax.studies import comparing, sweeping
from lesionjax.studies.sweeping import Recipe, sweep
from lesionjax.training.stopping import Interrupted

ROOT = pathlib.Path(__file__).resolve().parents[2]

RECIPE = """
from configs import base
from data_builders.errors import UserError

def get_config(argument=''):
  config = base.get_config()
  config.data.size_px = 16
  config.model.name = 'cnn'
  with config.unlocked():
    config.model.arguments = {'widths': (8,), 'dense_features': 8}
  config.train.batch_size = 32
  config.train.epochs = 1
  config.evaluate.resamples = 20
  config.evaluate.examples = 2
  config.evaluate.colour_baseline = False
  if argument == 'wrong':
    raise UserError('wrong is not allowed.')
  if argument:
    config.optimiser.learning_rate = float(argument)
  return config

def get_sweep(argument=''):
  rates = {'slow': '0.001', 'middle': '0.01', 'fast': '0.1'}
  return rates | ({argument: argument} if argument else {})
"""
# Stands in for main.py: writes what a finished run holds, and its flags.
PROGRAM = """
import json, pathlib, sys
given = dict(part.lstrip('-').partition('=')[::2] for part in sys.argv[1:])
place = pathlib.Path(given['workdir'])
if 'dry_run' not in given:
  place.mkdir(parents=True, exist_ok=True)
  (place / 'flags.json').write_text(json.dumps(given))
  if (place.parent / f'{place.name}_fails').exists():
    sys.exit(1)
  (place / 'metrics.json').write_text('{}')
  (place / 'report.html').write_text('')
"""


@pytest.fixture
def recipe(tmp_path):
  path = tmp_path / 'recipe.py'
  path.write_text(RECIPE)
  return Recipe(str(path))


@pytest.fixture
def program(tmp_path):
  path = tmp_path / 'program.py'
  path.write_text(PROGRAM)
  return sys.executable, str(path)


@pytest.fixture
def runs(tmp_path, monkeypatch):
  """The directory of the runs; the stand-in writes no config.json, so none is held against it."""
  monkeypatch.setattr(sweeping.run_directory, 'check', lambda run_dir, config: None)
  (tmp_path / 'runs').mkdir()
  return tmp_path / 'runs'


def made(runs):
  return {path.parent.name: json.loads(path.read_text()) for path in runs.glob('*/flags.json')}


def test_every_run_gets_its_argument_and_what_was_overridden(recipe, program, runs, capsys):
  overrides = {'train.epochs': 2, 'data.name': 'ham10000', 'augment.scale': (0.8, 1.2)}
  recipe = Recipe(recipe.path, overrides=overrides)
  sweep(recipe, str(runs), options={'profile': True, 'distributed': False}, program=program)
  found = made(runs)
  assert {*found} == {'slow', 'middle', 'fast'}
  assert found['fast'] == {
    'config': f'{recipe.path}:0.1',
    'config.train.epochs': '2',
    'config.data.name': 'ham10000',
    'config.augment.scale': '(0.8, 1.2)',
    'workdir': str(runs / 'fast'),
    'profile': '',
  }
  order = [line.split(':')[0] for line in capsys.readouterr().out.splitlines()]
  assert order == ['Run 1 of 3, slow', 'Run 2 of 3, middle', 'Run 3 of 3, fast']


def test_what_a_flag_holds_reaches_the_runs(recipe):
  values = flags.FlagValues()
  argv = [
    'main.py', f'--config={recipe.path}:0.5', '--config.train.epochs=7',
    '--config.augment.scale=(0.5, 2.0)', '--config.data.name=isic2019',
    '--noconfig.augment.flip_horizontal',
  ]  # fmt: skip
  config_flags.DEFINE_config_file('config', flag_values=values, sys_argv=argv)
  values(argv)
  given = Recipe.of_flag(values['config'])
  assert (given.path, given.argument) == (recipe.path, '0.5')
  assert given.runs()['0.5'] == '0.5'
  config = given.configure('0.5')
  assert config.optimiser.learning_rate == 0.5
  assert (config.train.epochs, config.augment.scale, config.data.name) == (
    7,
    (0.5, 2.0),
    'isic2019',
  )
  # The flags of one run, parsed again, are its configuration.
  again = flags.FlagValues()
  argv = ['main.py', *given.flags('0.01')]
  parsed = config_flags.DEFINE_config_file('config', flag_values=again, sys_argv=argv)
  again(argv)
  assert parsed.value.to_dict() == given.configure('0.01').to_dict()


def test_finished_runs_are_skipped_and_the_others_made(recipe, program, runs, capsys):
  sweep(recipe, str(runs), 1, program=program)
  assert {*made(runs)} == {'middle'}
  (runs / 'middle' / 'flags.json').unlink()
  (runs / 'slow').mkdir()
  (runs / 'slow' / 'metrics.json').write_text('{}')  # no report: not finished
  capsys.readouterr()
  sweep(recipe, str(runs), program=program)
  assert {*made(runs)} == {'slow', 'fast'}
  assert 'Run 2 of 3, middle: finished before.' in capsys.readouterr().out


def test_a_dry_run_passes_through(recipe, program, runs):
  sweep(recipe, str(runs), options={'dry_run': True}, program=program)
  assert not any(runs.iterdir())


def test_an_index_out_of_range_is_told_how_many_there_are(recipe, program, runs):
  for index in (3, -1):
    with pytest.raises(UserError, match=rf'={index} is none of the 3 runs .* give 0 to 2 \(slow'):
      sweep(recipe, str(runs), index, program=program)
  assert not made(runs)


def test_a_run_that_fails_stops_the_sweep_and_is_named(recipe, program, runs):
  (runs / 'middle_fails').touch()
  with pytest.raises(UserError, match=r'The run middle of the sweep ended with the message above'):
    sweep(recipe, str(runs), program=program)
  assert {*made(runs)} == {'slow', 'middle'}
  (runs / 'middle_fails').unlink()
  sweep(recipe, str(runs), program=program)
  assert all((runs / name / 'report.html').exists() for name in ('slow', 'middle', 'fast'))


def test_a_run_that_is_killed_is_named(recipe, runs, tmp_path):
  path = tmp_path / 'killed.py'
  path.write_text('import os; os.kill(os.getpid(), 9)')
  with pytest.raises(UserError, match='The run slow of the sweep was killed by signal 9'):
    sweep(recipe, str(runs), program=(sys.executable, str(path)))


@pytest.mark.parametrize(
  ('argument', 'overrides', 'sentence'),
  [
    ('wrong', {}, 'The run wrong of the sweep: wrong is not allowed'),
    ('', {'train.epochs': 0}, r'The run slow of the sweep: config\.train\.epochs=0 must be'),
    ('', {'train.epoch': 1}, r'does not take --config\.train\.epoch .* --sweep_index'),
  ],
)
def test_mistakes_are_told_before_the_first_run(
  argument, overrides, sentence, recipe, program, runs
):
  with pytest.raises(UserError, match=sentence):
    sweep(Recipe(recipe.path, argument, overrides), str(runs), program=program)
  assert not made(runs)


def test_one_run_alone_may_take_what_others_do_not(recipe, program, runs):
  sweep(Recipe(recipe.path, 'wrong'), str(runs), 1, program=program)
  assert {*made(runs)} == {'middle'}


def test_a_recipe_without_runs_is_refused(tmp_path):
  with pytest.raises(UserError, match=r'configs/ham_resnet\.py lists no runs: --mode=sweep takes'):
    sweep(Recipe('configs/ham_resnet.py'), str(tmp_path))
  with pytest.raises(UserError, match=r'nothing\.py cannot be read'):
    sweep(Recipe('configs/nothing.py'), str(tmp_path))
  (tmp_path / 'empty.py').write_text('def get_sweep(argument=""):\n  return {}')
  with pytest.raises(UserError, match='lists no run; it must name at least one'):
    sweep(Recipe(str(tmp_path / 'empty.py')), str(tmp_path))


def test_asked_to_stop_it_lets_the_run_save_first(recipe, runs, tmp_path):
  path, ready, saved = tmp_path / 'slow.py', tmp_path / 'ready', tmp_path / 'saved'
  path.write_text(
    'import pathlib, signal, sys, time\n'
    'def save(*_):\n'
    '  time.sleep(0.2)\n'
    f'  pathlib.Path({str(saved)!r}).write_text("once")\n'
    '  sys.exit(0)\n'
    'signal.signal(signal.SIGTERM, save)\n'
    f'pathlib.Path({str(ready)!r}).touch()\n'
    'time.sleep(60)\n'
  )

  def stop():
    while not ready.exists():
      time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGTERM)

  threading.Thread(target=stop, daemon=True).start()
  with pytest.raises(Interrupted, match='the same command carries on'):
    sweep(recipe, str(runs), program=(sys.executable, str(path)))
  assert saved.exists()


def test_a_run_that_was_stopped_by_itself_ends_the_sweep(recipe, runs, tmp_path):
  path = tmp_path / 'stopped.py'
  path.write_text('')  # status 0 and no report: asked to stop, state saved
  with pytest.raises(Interrupted):
    sweep(recipe, str(runs), program=(sys.executable, str(path)))


def test_flags_that_do_not_go_together(tiny_config, tmp_path):
  place = str(tmp_path)
  with pytest.raises(UserError, match='--sweep_index=0 goes with --mode=sweep'):
    modes.run('train', tiny_config, place, sweep_index=0)
  with pytest.raises(UserError, match='--reference=row1 goes with --mode=compare'):
    modes.run('train', tiny_config, place, reference='row1')
  with pytest.raises(UserError, match='--config is missing'):
    modes.run('sweep', None, place)
  with pytest.raises(UserError, match='--mode=compare reads the config of the run'):
    modes.run('compare', tiny_config, place)
  with pytest.raises(UserError, match='--eval_data=ham10000'):
    modes.run('compare', None, place, eval_data='ham10000')
  with pytest.raises(UserError, match='--workdir is missing'):
    modes.run('compare', None, None)
  with pytest.raises(UserError, match=r'holds 0 finished runs \(none\)'):
    modes.run('compare', None, place)


def test_a_sweep_of_real_runs_is_compared(recipe, tiny_data_dir, tmp_path):
  overrides = {
    'data.name': 'synthetic_dermoscopy/tiny', 'data.data_dir': str(tiny_data_dir), 'num_devices': 1,
  }  # fmt: skip
  recipe, runs = Recipe(recipe.path, overrides=overrides), tmp_path / 'runs'
  program = (sys.executable, str(ROOT / 'main.py'))
  sweep(recipe, str(runs), 2, program=program)
  experiment.train(recipe.configure('0.001'), str(runs / 'slow'))  # what a sweep would make, faster
  command = json.loads((runs / 'fast' / 'environment.json').read_text())['command']
  assert f'--config={recipe.path}:0.1 ' in command
  assert f'--workdir={runs / "fast"}' in command

  changed = Recipe(recipe.path, overrides={**overrides, 'train.epochs': 2})
  with pytest.raises(UserError, match=r'train\.epochs: asked for 2, found 1'):
    sweep(changed, str(runs), 0)

  table = comparing.compare(str(runs))  # the first by name
  assert table.splitlines()[1].split()[0] == 'fast'
  assert 'reference' in table.splitlines()[1]
  found = json.loads((runs / 'compare.json').read_text())
  assert [run['name'] for run in found['runs']] == ['fast', 'slow']
  # 3x3 convolutions 3 -> 8 -> 8 with norms, a dense layer on 8x8x8, and the head.
  parameters = 216 + 576 + 2 * 16 + (8 * 8 * 8 * 8 + 8) + (8 * 8 + 8)
  assert found['runs'][0]['parameters'] == parameters
  for run in found['runs']:
    metrics = json.loads((runs / run['name'] / 'metrics.json').read_text())['test']
    added = {'rare_recall'}  # of the rarest third of the classes, by the comparison
    assert {name: run['metrics'][name] for name in run['metrics'].keys() - added} == metrics
    assert run['train_wall_s'] > 0
    assert run['peak_memory_mb'] > 0
  (pair,) = found['differences']
  one, other = (run['metrics']['balanced_accuracy']['value'] for run in found['runs'])
  assert pair['differences']['balanced_accuracy']['value'] == pytest.approx(other - one)
