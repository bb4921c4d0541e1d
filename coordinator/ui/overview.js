// The tiles at the top, and the objectives: latencies of each class beside what it is promised.

import {sparkline} from './charts.js';
import {byId, el, redraw, show} from './dom.js';
import * as f from './format.js';
import {classesOf, errorsOf, quantile, sentOf} from './model.js';

const kDrawn = 80;  // values of a sparkline

export function showTiles({status, totals, requests}) {
  const nodes = status.nodes;
  show('t-ready', status.ready ? 'ready' : 'not ready', status.ready ? 'good' : 'bad');
  show('t-nodes', status.ready ? `${nodes.prefill_nodes} prefill, ${nodes.decode_nodes} decode` : status.reason);
  show('t-active', `${f.count(status.active)} active`);
  show('t-waiting', `${f.count(status.waiting)} waiting`);

  const classes = Object.values(totals.classes);
  const finished = classes.reduce((sum, c) => sum + c.finished, 0);
  const met = classes.reduce((sum, c) => sum + c.met, 0);
  show('t-met', finished > 0 ? f.percent(met / finished) : '–');
  show('t-finished', `of ${f.count(finished)} since the start`);

  const sent = sentOf(totals);
  show('t-saved', sent.transfers > 0 ? f.bytes(sent.raw - sent.wire) : '–');
  show('t-wire', sent.wire > 0 ? `${f.bytes(sent.wire)} sent for ${f.bytes(sent.raw)}, ${f.ratio(sent.raw / sent.wire)}`
                               : 'nothing was sent yet');

  const errors = errorsOf(requests);
  show('t-error', errors.length > 0 ? `± ${f.percent(quantile(errors, 0.5))}` : '–');
  show('t-error-n', errors.length > 0 ? `median of the last ${f.count(errors.length)}` : 'no prediction came true yet');
}

function latency(name, values, limit) {
  const p50 = quantile(values, 0.5);
  const p95 = quantile(values, 0.95);
  const late = limit !== undefined && p95 !== undefined && p95 > limit;
  const figure = (label, value, tone) => el('div', {}, el('dt', {}, label), el('dd', {class: tone}, value));
  return el('div', {class: 'latency'}, el('h4', {}, name),
            sparkline(values.slice(-kDrawn), limit,
                      `${name} of the last ${Math.min(values.length, kDrawn)} requests; median ${f.ms(p50)}, ` +
                      `95th percentile ${f.ms(p95)}, objective ${f.ms(limit)}`),
            el('dl', {}, figure('median', f.ms(p50)), figure('p95', f.ms(p95), late ? 'bad' : ''),
               figure('objective', f.ms(limit))));
}

function classCard(c) {
  const share = c.finished > 0 ? c.met / c.finished : undefined;
  const target = c.slo?.attainment;
  const short = share !== undefined && target !== undefined && share < target;
  const said = share === undefined ? 'no request ended yet'
      : `${f.percent(share)} of ${f.count(c.finished)} met both`;
  const aim = target === undefined ? 'removed' : `target ${f.percent(target)}`;
  return el('article', {class: 'class', 'aria-label': `Class ${c.name}`},
            el('header', {}, el('h3', {}, c.name),
               el('p', {class: short ? 'bad' : ''}, said, el('span', {class: 'hint'}, ` (${aim})`))),
            latency('TTFT', c.ttft, c.slo?.ttft_ms), latency('TPOT', c.tpot, c.slo?.tpot_ms));
}

export function showClasses({slo, totals, requests}) {
  const classes = classesOf(slo, totals, requests);
  redraw(byId('classes'), classes, () => classes.map(classCard));
}
