"""What the report says of the phases of a run."""

from __future__ import annotations

import json

from lesionjax.report import phases
from lesionjax.report.page import write_report
from tests.report.fake_run import write_fake_run

_TWO = [
  {'name': 'warm_up', 'epochs': 3, 'trainable': 'head', 'optimiser': {'learning_rate': 0.01}},
  {'trainable': ['stage4.*', 'head.*'], 'freeze_batch_stats': False},
]
_REST = {
  'optimiser': {'learning_rate': 0.0001},
  'schedule': {'name': 'plateau'},
  'train': {'epochs': 20},
}


def test_every_phase_says_what_it_froze():
  assert phases.sentences({**_REST, 'phases': _TWO}) == [
    'warm_up, at most 3 epochs at learning rate 0.01 (plateau): the head trains, the backbone is'
    ' frozen; batch statistics of the frozen part are frozen, too.',
    'phase2, at most 20 epochs at learning rate 0.0001 (plateau): only parameters that match'
    ' stage4.* or head.* train; batch statistics of the frozen part move on.',
  ]


def test_cached_features_and_frozen_patterns_are_told():
  (line,) = phases.sentences({**_REST, 'phases': [{'frozen': ['stem.*'], 'cache_features': True}]})
  assert 'all parameters train, stem.* frozen;' in line
  assert line.endswith('; on features that were computed once.')


def test_what_a_phase_reads_and_lowers_is_told():
  phase = {'reinit_head': True, 'data': {'resample': 'smote'}, 'train': {'loss': 'focal'}}
  (line,) = phases.sentences({**_REST, 'phases': [phase]})
  assert line.endswith('drawn anew at the start; with data.resample=smote, train.loss=focal.')


def test_a_run_without_phases_says_nothing():
  assert phases.sentences({}) == phases.sentences({'phases': []}) == []


def test_the_page_shows_the_sentences(tmp_path):
  run = write_fake_run(tmp_path / 'run', images=40, epochs=3, resamples=5)
  config = json.loads((run / 'config.json').read_text())
  (run / 'config.json').write_text(json.dumps({**config, 'phases': _TWO}))
  assert 'the head trains, the backbone is frozen' in write_report(run).read_text()
