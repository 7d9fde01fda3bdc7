"""The command line: bad input gets one sentence, a non-zero status, and leaves nothing."""

import pathlib
import re
import subprocess
import sys

import pytest

from configs import ham_resnet, quickstart
from data_builders.errors import UserError
from lesionjax import modes

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    (('--config=configs/quickstart.py', '--config.seeed=1'), "no key 'seeed'"),
    (('--config=configs/nothing.py',), 'configs/nothing.py cannot be read'),
    (('--config=configs/ham_resnet.py:odd',), 'ham_resnet.py:odd is not one of'),
    ((), '--config is missing'),
  ],
)
def test_one_sentence_and_nothing_written(arguments, message, tmp_path):
  workdir = tmp_path / 'run'
  command = [sys.executable, str(ROOT / 'main.py'), *arguments, f'--workdir={workdir}']
  found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
  assert found.returncode == 1
  assert message in found.stderr
  assert 'Traceback' not in found.stderr
  assert len(found.stderr.strip().splitlines()) == 1
  assert not workdir.exists()


@pytest.mark.parametrize(
  ('key', 'value', 'message'),
  [
    ('model.name', 'resnet81', "unknown model 'resnet81'"),
    ('data.name', 'ham1000', 'ham1000'),
    ('schedule.name', 'cosin', "config.schedule.name='cosin' is not one of"),
    ('train.batch_size', 0, 'config.train.batch_size=0 must be at least 1'),
    ('train.accumulate', 7, 'must be a multiple'),
    ('select.metric', 'macro_auk', "config.select.metric='macro_auk' is not one of"),
    ('optimiser.learning_rate', -1.0, 'config.optimiser.learning_rate=-1.0 must be above 0'),
    ('optimiser.learning_rate', float('nan'), 'learning_rate=nan must be above 0'),
    ('train.label_smoothing', float('nan'), 'config.train.label_smoothing=nan must be from 0.0'),
    ('seed', -1, 'config.seed=-1 must be from 0 to 4294967295'),
    ('normalise.std', (0.2, 0.2, 0.0), 'config.normalise.std=(0.2, 0.2, 0.0) must be above 0'),
    ('init_from', 'runs/other', "config.init_head='' go together"),
    ('augment.crop_area', (0.0, 1.0), 'crop_area'),
    ('augment.scale', (0.5,), 'augment.scale is (0.5,); it must be two numbers'),
    ('num_devices', 99, 'config.num_devices=99 must be at most'),
    ('evaluate.batch_size', 30, 'config.evaluate.batch_size=30 must be a multiple of 8'),
  ],
)
def test_bad_values_are_told_before_anything_is_written(key, value, message, tiny_config, tmp_path):
  tiny_config.num_devices = 0
  tiny_config.update_from_flattened_dict({key: value})
  with pytest.raises(UserError, match=re.escape(message)):
    modes.run('train', tiny_config, str(tmp_path / 'run'))
  assert not (tmp_path / 'run').exists()


def test_flags_that_do_not_go_together(tiny_config, tmp_path):
  with pytest.raises(UserError, match='--mode=evaluate reads the config of the run'):
    modes.run('evaluate', tiny_config, str(tmp_path))
  with pytest.raises(UserError, match='--eval_data=ham10000 goes with --mode=evaluate'):
    modes.run('train', tiny_config, str(tmp_path), eval_data='ham10000')
  with pytest.raises(UserError, match='--workdir is missing'):
    modes.run('train', tiny_config, None)
  with pytest.raises(UserError, match=r'it has no config\.json'):
    modes.run('evaluate', None, str(tmp_path))


def test_a_directory_that_is_no_run_is_refused(tiny_config, tmp_path):
  (tmp_path / 'thesis.tex').write_text('precious')
  with pytest.raises(UserError, match='is not empty and holds no config'):
    modes.run('train', tiny_config, str(tmp_path))
  assert [path.name for path in tmp_path.iterdir()] == ['thesis.tex']


def test_dry_run_describes_and_writes_nothing(tiny_config, tmp_path, capsys):
  modes.run('train', tiny_config, str(tmp_path / 'run'), dry_run=True)
  out = capsys.readouterr().out
  # block1_conv1 3x3x3x8, block1_conv2 3x3x8x8, block2: twice 3x3x8x8, 4 norms of 2x8, dense, head
  total = 216 + 3 * 576 + 4 * 16 + (4 * 4 * 8 * 16 + 16) + (16 * 8 + 8)
  assert f'{total:,} parameters' in out
  assert 'steps: 12 = 3 epochs x 4' in out
  assert not (tmp_path / 'run').exists()


def test_recipes_are_complete_and_valid():
  from lesionjax import config as config_lib

  for config in (quickstart.get_config(), *map(ham_resnet.get_config, ham_resnet.VARIANTS)):
    config_lib.validate(config)
    assert config.recipe


def test_dry_run_describes_a_first_stage_and_tells_what_is_wrong_with_it(
  tiny_config, segmenter_config, tmp_path, capsys
):
  tiny_config.data.lesion, tiny_config.data.lesion_masks = 'crop', 'stage'
  with pytest.raises(UserError, match=r'config\.segmenter not given do not go together'):
    modes.run('train', tiny_config, str(tmp_path / 'run'), dry_run=True)
  tiny_config.segmenter = segmenter_config
  modes.run('train', tiny_config, str(tmp_path / 'run'), dry_run=True)
  first, second = capsys.readouterr().out.split('second stage, on its masks:')
  assert first.startswith('first stage, config.segmenter:')
  for part, model, steps in (
    (first, 'unet', 'steps: 8 = 2 epochs x 4'),
    (second, 'cnn', 'steps: 12 = 3 epochs x 4'),
  ):
    assert f'model {model}: ' in part
    assert steps in part
    assert 'memory of a step' in part
  tiny_config.segmenter.model.name = 'unit'
  with pytest.raises(UserError, match="unknown segmenter 'unit'"):
    modes.run('train', tiny_config, str(tmp_path / 'run'), dry_run=True)
  assert not (tmp_path / 'run').exists()
