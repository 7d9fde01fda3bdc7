"""The section on operating points says what thresholds.json holds."""

from __future__ import annotations

import json

import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.report import operating
from lesionjax.report.run_files import read_run
from tests.report import operating_page
from tests.report.fake_run import write_fake_run
from tests.report.html_page import Page


class SectionPage(Page):
  """A page with an input, which is never closed."""

  _VOID = (*Page._VOID, 'input')


@pytest.fixture
def run(tmp_path):
  return write_fake_run(tmp_path / 'run', images=150, resamples=20, epochs=2)


def text_of(run):
  return SectionPage(operating_page.write_page(run).read_text()).text


def test_the_section_holds_every_point_with_its_interval(run):
  found = operating_page.write_thresholds(run)
  text = text_of(run)
  for name in ('best_f1', 'sensitivity_90', 'youden'):
    point = found['splits']['test']['points'][name]['sensitivity']
    assert f'{point["value"]:.3f} {point["low"]:.3f} to {point["high"]:.3f}' in text
  assert 'Positive is malignant (ak, bcc, mel, scc: their probabilities are added)' in text
  assert 'a miss costs 10 alarms' in text
  assert 'Tuned on test' not in text
  assert 'nan' not in text.split()
  assert operating.plots(read_run(run))[0].name == 'decision_curve_test'


def test_thresholds_tuned_on_test_are_marked(run):
  operating_page.write_thresholds(run, protocol='published')
  text = text_of(run)
  assert 'Tuned on test.' in text
  assert 'Thresholds tuned on test itself' in text


def test_a_run_without_thresholds_has_no_section(run):
  assert operating.context(read_run(run)) is None
  assert operating.plots(read_run(run)) == []


def test_a_problem_stands_in_place_of_the_table(run):
  operating_page.write_thresholds(run, splits=('test',))
  (run / 'predictions_validation.npz').unlink()
  text = text_of(run)
  assert 'evaluate it on its own data first' in text
  assert 'Threshold for' not in text
  assert 'no threshold was fitted' in text


def test_a_damaged_file_is_told(run):
  (run / 'thresholds.json').write_text(json.dumps({'splits': {'test': {}}}))
  with pytest.raises(UserError, match=r"thresholds.json lacks 'fitted': write it again"):
    operating.context(read_run(run))


def test_worth_tells_where_the_model_gains():
  gain_low = [-0.1, 0.1, 0.1, 0.0, 0.2]
  curve = {'threshold': [0.1, 0.2, 0.3, 0.4, 0.5], 'gain_low': gain_low}
  told = operating.worth(curve, 'test')
  assert 'from 0.20 to 0.30, and at 1 of the others' in told
  assert operating.worth(None, 'test') == ''
  none = operating.worth(curve | {'gain_low': [0.0] * 5}, 'test')
  assert none.startswith('At no threshold probability')


def test_undefined_rates_carry_their_reason(run):
  arrays = dict(np.load(run / 'predictions_test.npz'))
  keep = ~np.isin(arrays['label'], [0, 1, 4, 6])
  rows = {k: v if k == 'class_names' else v[keep] for k, v in arrays.items()}
  np.savez(run / 'predictions_test.npz', **rows)
  (run / 'examples_test.npz').unlink()
  operating_page.write_thresholds(run)
  assert 'undefined no image is positive' in text_of(run)
