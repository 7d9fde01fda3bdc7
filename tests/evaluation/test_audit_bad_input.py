"""Mistakes in tables, flags and images: one sentence, status 2, nothing on stdout."""

from __future__ import annotations

import pytest

from lesionjax.evaluation import audit
from tests.evaluation.audit_tables import CLEAN
from tests.evaluation.pictures import jpeg, picture

COLUMNS = ('--split=split', '--group=lesion_id,patient_id', '--label=dx')


BAD = {
  'no_file': (CLEAN, ['nowhere.csv', *COLUMNS], 'nowhere.csv cannot be read'),
  'no_split': (CLEAN, ['--group=lesion_id'], 'Name the column of splits'),
  'no_group': (CLEAN, ['--split=split'], 'Name the columns that connect'),
  'no_column': (CLEAN, ['--split=fold', '--group=lesion_id'], 'no column fold'),
  'no_image': ('a,b\n1,2\n', ['--split=a', '--group=b'], '--image=COLUMN'),
  'no_train': (CLEAN.replace('train', 'fit'), COLUMNS, 'name the training split with --train'),
  'wrong_train': (CLEAN, [*COLUMNS, '--train=fit'], '--train=fit'),
  'empty_split': (CLEAN.replace('nv,val', 'nv,'), COLUMNS, 'line 7 has no value in the split'),
  'empty_label': (CLEAN.replace('nv,val', ',val'), COLUMNS, 'line 7 has no value in the label'),
  'semicolons': (CLEAN.replace(',', ';'), COLUMNS, 'separated by semicolons'),
  'short_row': (CLEAN + 'i9,L9\n', COLUMNS, 'line 8 has 2 values'),
  'no_id': (CLEAN + ',L9,,nv,test\n', COLUMNS, "line 8 has no 'image_id'"),
  'header_only': ('image,lesion_id,split\n', COLUMNS, 'no rows'),
  'empty': ('', COLUMNS, 'is empty'),
  'share': (CLEAN, ['--group=lesion_id', '--simulate=1.5'], '--simulate=1.5 leaves'),
  'nan': (CLEAN, ['--group=lesion_id', '--simulate=nan'], '--simulate=nan'),
  'both': (CLEAN, ['--group=lesion_id', '--simulate=0.8', '--images=x'], 'looks at no images'),
  'flag': (CLEAN, [*COLUMNS, '--splitt=x'], 'unrecognized arguments: --splitt=x'),
  'number': (CLEAN, ['--group=lesion_id', '--simulate=much'], 'invalid float value'),
  'images': (CLEAN, [*COLUMNS, '--images=nowhere'], '--images=nowhere is neither'),
  'records': (CLEAN, [*COLUMNS, '--images=records'], 'of a built data set'),
  'registration': (CLEAN, [*COLUMNS, '--registration'], 'name them with --images'),
  'drop': (CLEAN, [*COLUMNS, '--drop=duplicates.csv'], 'names no column'),
  'join': (CLEAN, [*COLUMNS, '--join=nowhere.csv'], 'nowhere.csv cannot be read'),
  'data_dir': (CLEAN, [*COLUMNS, '--data_dir=data'], '--data_dir is for built data sets'),
  'one_hot': (
    'image,lesion_id,split,A,B\na,L,train,1,1\n',
    ['--split=split', '--group=lesion_id', '--label=A,B'],
    'line 2 sets A and B',
  ),
  'data_set': (CLEAN, ['nowhere', '--split=split'], '--split is for tables'),
}


@pytest.mark.parametrize('case', BAD)
def test_mistakes_are_one_sentence_and_status_two(case, table, capsys):
  text, arguments, message = BAD[case]
  arguments = list(arguments)
  if arguments[0].startswith('--'):
    arguments.insert(0, table(text))
  assert audit.main(arguments) == 2
  captured = capsys.readouterr()
  assert message in captured.err
  assert captured.out == ''
  assert 'Traceback' not in captured.err


def test_an_id_that_the_joined_table_lacks_is_named(table, capsys):
  other = table('image_id,site\ni0,back\n', 'other.csv')
  assert audit.main([table(CLEAN), *COLUMNS, f'--join={other}']) == 2
  assert 'line 3: i1 is not in' in capsys.readouterr().err


def test_images_of_another_table_are_told(table, tmp_path, capsys):
  (tmp_path / 'other.jpg').write_bytes(jpeg(picture(0, 32)))
  assert audit.main([table(CLEAN), *COLUMNS, f'--images={tmp_path}']) == 2
  assert 'holds none of the 6 audited images' in capsys.readouterr().err
