
// Recomputes what a threshold does from the counts in the page. No network, nothing is kept.
(function () {
  'use strict';
  var box = document.getElementById('operating-slider');
  if (!box) { return; }
  var data = JSON.parse(box.getAttribute('data-counts'));
  var slider = document.getElementById('operating-range');
  var split = box.getAttribute('data-split');
  var buttons = Array.prototype.slice.call(box.querySelectorAll('button[data-point]'));

  function put(name, text) { document.getElementById('operating-' + name).textContent = text; }

  function share(part, whole) {
    return whole ? (100 * part / whole).toFixed(1) + ' %' : 'undefined';
  }

  function show(point) {
    var step = Number(slider.value);
    var tp = data.tp[step], fp = data.fp[step];
    var fn = data.positives - tp, tn = data.negatives - fp, all = data.positives + data.negatives;
    var known = point ? data.named[point] : null;
    var threshold = known ? known.threshold : data.t[step];
    var told = threshold === null ? 'above every score' : String(Number(threshold.toPrecision(6)));
    put('threshold', told);
    put('sensitivity', share(tp, data.positives));
    put('specificity', share(tn, data.negatives));
    put('ppv', share(tp, tp + fp));
    put('npv', share(tn, tn + fn));
    put('referred', share(tp + fp, all));
    put('referred-count', (tp + fp) + ' of ' + all);
    put('tp', tp); put('fp', fp); put('fn', fn); put('tn', tn);
    put('origin', known
      ? 'Fitted on ' + box.getAttribute('data-on') + ': ' + known.title + '. Applied here unchanged.'
      : 'Exploring on ' + split + ': a threshold that is picked on this page is picked on the '
        + split + ' images. Its numbers are too good to be reported.');
    document.getElementById('operating-state').className = known ? 'box' : 'box warn';
    slider.setAttribute('aria-valuetext', 'threshold ' + told + ', sensitivity '
      + share(tp, data.positives) + ', specificity ' + share(tn, data.negatives));
    buttons.forEach(function (button) {
      button.setAttribute('aria-pressed', String(button.getAttribute('data-point') === point));
    });
  }

  slider.max = String(data.t.length - 1);
  slider.value = String(data.step);
  slider.addEventListener('input', function () { show(''); });
  buttons.forEach(function (button) {
    button.addEventListener('click', function () {
      var point = button.getAttribute('data-point');
      slider.value = String(data.named[point].step);
      show(point);
    });
  });
  show(data.start);
  box.hidden = false;
})();
