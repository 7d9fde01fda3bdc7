import json
import pathlib

import pytest

from data_builders.errors import UserError
from lesionjax.report import result_tables, results

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

CLAIMS = {
  'text': {
    'dataset': 'ham10000',
    'headline': ['only', 'accuracy'],
    'rows': {'only': {'label': 'a|b', 'claimed': {'accuracy': 0.7, 'recall/mel': '> 0.9'}}},
  },
  'ours': {
    'dataset': 'ham10000',
    'headline': ['one', 'macro_auc'],
    'rows': {
      'one': {'label': 'One', 'claimed': {}, 'show': ['macro_auc']},
      'two': {
        'dataset': 'isic2020',
        'label': 'Two',
        'claimed': {},
        'show': ['macro_auc', 'macro_f1'],
      },
    },
  },
}
PAGE = '# Page\n<!-- results:begin {0} -->\nold\n<!-- results:end {0} -->\nend\n'


@pytest.fixture
def repository(tmp_path):
  folder = tmp_path / 'repository' / 'docs' / 'results'
  folder.mkdir(parents=True)
  (folder / 'claims.json').write_text(json.dumps(CLAIMS))
  root = tmp_path / 'repository'
  (root / 'README.md').write_text(PAGE.format('summary'))
  (root / 'docs' / 'results.md').write_text(PAGE.format('text') + PAGE.format('runs'))
  return root


@pytest.fixture
def make_run(tmp_path, repository):
  def make(seed=0, accuracy=0.65, protocol='rigorous'):
    run = tmp_path / f'run{seed}'
    run.mkdir()
    parts = {
      'config': {
        'seed': seed,
        'protocol': protocol,
        'data': {'data_dir': f'{repository}/data', 'manual_dir': '/home/ada/secret/ham'},
        'init_from': '',
      },
      'metrics': {
        'test': {
          'accuracy': {'value': accuracy, 'low': 0.6, 'high': 0.7, 'n': 9},
          'recall/mel': {'value': None, 'low': None, 'high': None, 'n': 9},
        },
      },
      'data': {
        'name': 'ham10000',
        'config': 'grouped',
        'version': '1.0.0',
        'citation': 'see /a/b and https://doi.org/10.1038/x',
        'fingerprint': 'abc',
      },
      'environment': {
        'command': f'python /home/ada/main.py --workdir={run} --config=configs/a.py gs://b/c',
        'commit': 'c0ffee',
        'backend': 'cpu',
        'cores': 2,
        'cpu': 'Chip',
        'devices': ['cpu'] * 8,
        'wall_s': {'train': 60.0, 'evaluate': 30.0},
      },
    }
    for name, content in parts.items():
      (run / f'{name}.json').write_text(json.dumps(content))
    return run

  return make


def test_add_keeps_numbers_and_drops_the_machine(repository, make_run):
  run = make_run()
  path = results.add(run, repository, 'text', note='first')
  assert path.name == 'text-only-rigorous-seed0.json'
  text = path.read_text()
  for private in ('ada', str(run.parent), str(repository)):
    assert private not in text
  written = json.loads(text)
  assert written['metrics'] == json.loads((run / 'metrics.json').read_text())
  assert written['config']['data'] == {'data_dir': 'data', 'manual_dir': '.../ham'}
  command = 'python .../main.py --workdir=.../run0 --config=configs/a.py gs://b/c'
  assert written['environment']['command'] == command
  assert written['data']['citation'] == 'see /a/b and https://doi.org/10.1038/x'
  assert written['data']['fingerprint'] == 'abc'
  assert (written['split'], written['note']) == ('test', 'first')


def test_scrub_leaves_urls_fractions_and_relative_paths():
  text = 'https://a.b/c gs://x/y recall/mel 3/4 ../shared/data configs/a.py and / or'
  assert results.scrub(text, REPOSITORY) == text
  assert results.scrub('a=/x/y,~/z;"/q w"', REPOSITORY) == 'a=.../y,.../z;".../q w"'


def test_tables_show_claim_interval_and_what_was_not_run(repository, make_run):
  results.add(make_run(), repository, 'text')
  assert len(results.tables(repository)) == 2
  summary = (repository / 'README.md').read_text()
  assert '| `text`: a\\|b | accuracy | 0.700 | not run | 0.650 [0.600, 0.700] |\n' in summary
  assert '| `ours`: One | macro AUC | no claim | no claim | not run |\n' in summary
  assert summary.startswith('# Page\n')
  assert summary.endswith('-->\nend\n')
  assert 'old' not in summary
  page = (repository / 'docs' / 'results.md').read_text()
  assert '|  | recall of mel | > 0.9 | not run | undefined |\n' in page
  assert '| ham10000/grouped 1.0.0 | c0ffee | 2 cores, Chip | 1.5 min |  |\n' in page


def test_several_seeds_become_mean_and_range(repository, make_run):
  for seed, accuracy in enumerate((0.6, 0.7, 0.8)):
    results.add(make_run(seed, accuracy), repository, 'text')
  results.tables(repository)
  assert '| 0.700 (mean of 3 runs, 0.600 to 0.800) |' in (repository / 'README.md').read_text()


def test_protocols_have_their_own_columns(repository, make_run):
  results.add(make_run(protocol='published'), repository, 'text')
  results.tables(repository)
  expected = '| 0.700 | 0.650 [0.600, 0.700] | not run |'
  assert expected in (repository / 'README.md').read_text()


def test_check_fails_on_drift_and_writes_nothing(repository, make_run, capsys):
  root = ['--root', str(repository)]
  assert results.main([*root, 'table']) == 0
  assert results.main([*root, 'table', '--check']) == 0
  page = repository / 'README.md'
  page.write_text(page.read_text().replace('0.700', '0.999'))
  edited = page.read_text()
  assert results.main([*root, 'table', '--check']) == 1
  assert page.read_text() == edited
  message = capsys.readouterr().err
  assert '-| `text`: a\\|b | accuracy | 0.999' in message
  assert 'make results' in message
  assert results.main([*root, 'table']) == 0
  assert '0.999' not in page.read_text()
  arguments = ['add', str(make_run()), '--system=text', '--protocol=rigorous']
  assert results.main([*root, *arguments]) == 0
  assert '0.650' in page.read_text()
  assert results.main([*root, 'table', '--check']) == 0


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'system': 'txet'}, '--system=txet is not one of text, ours'),
    ({'system': 'ours'}, '--row= is not a row of ours: it has one, two'),
    ({'system': 'ours', 'row': 'three'}, '--row=three'),
    ({'system': 'ours', 'row': 'two'}, 'was scored on ham10000, but the row two of ours is about'),
    ({'system': 'text', 'protocol': 'loose'}, '--protocol=loose is not one of'),
    ({'system': 'text', 'protocol': 'published'}, 'says protocol=rigorous'),
    ({'system': 'text', 'split': 'tset'}, '--split=tset is not in metrics.json: test are'),
    ({'system': 'text', 'name': '../x'}, '--name=../x is no file name'),
    ({'system': 'text', 'name': 'claims'}, '--name=claims is no file name'),
  ],
)
def test_add_refuses_what_does_not_fit(repository, make_run, arguments, message):
  with pytest.raises(UserError) as caught:
    results.add(make_run(), repository, **arguments)
  assert message in str(caught.value)
  assert len(list((repository / 'docs' / 'results').iterdir())) == 1


def test_add_refuses_an_unfinished_run(repository, make_run, capsys):
  run = make_run()
  (run / 'metrics.json').unlink()
  assert results.main(['--root', str(repository), 'add', str(run), '--system=text']) == 1
  assert 'metrics.json is missing: name the directory of a run that is finished' in (
    capsys.readouterr().err
  )


@pytest.mark.parametrize(
  ('page', 'message'),
  [
    ('no marker', 'README.md needs its markers in pairs'),
    ('<!-- results:begin summary -->\n', 'README.md needs its markers in pairs'),
    (PAGE.format('sumary'), 'has the marker "results:begin sumary"'),
  ],
)
def test_pages_without_proper_markers_are_refused(page, message):
  with pytest.raises(UserError) as caught:
    result_tables.fill(page, CLAIMS, [], {}, 'README.md')
  assert message in str(caught.value)


def test_the_committed_claims_are_complete():
  claims = results.read_claims(REPOSITORY)
  page = (REPOSITORY / 'docs' / 'results.md').read_text()
  for name, claim in claims.items():
    assert f'<!-- results:begin {name} -->' in page
    assert claim['dataset'].islower()
    row, metric = claim['headline']
    entry = claim['rows'][row]
    assert metric in entry['claimed'] or metric in entry['show']
    for entry in claim['rows'].values():
      for value in entry['claimed'].values():
        assert isinstance(value, str) or 0 < value < 1
  assert claims['two_stage_melanoma']['rows']['row05']['claimed'] == {
    'accuracy': 0.925, 'recall/benign': 0.937, 'recall/malignant': 0.264,
    'balanced_accuracy': 0.6, 'precision/malignant': 0.071, 'f1/malignant': 0.112,
  }  # fmt: skip


def test_committed_results_fit_the_claims():
  claims = results.read_claims(REPOSITORY)
  for result in results.read_results(REPOSITORY):
    assert result['row'] in claims[result['system']]['rows']
    assert result['protocol'] in result_tables.PROTOCOLS
    assert result['split'] in result['metrics']
