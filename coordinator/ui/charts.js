// Small charts as SVG. Each says in words what it draws, for those who do not see it.

import {svg} from './dom.js';
import * as f from './format.js';

const kHeight = 44;

/** The last values as a line, and the objective as a dashed one; beyond the objective the ground is tinted. */
export function sparkline(values, limit, label) {
  const width = 240;
  const most = Math.max(...values, limit ?? 0) * 1.08 || 1;
  const x = (i) => (values.length < 2 ? width / 2 : 3 + i * (width - 6) / (values.length - 1));
  const y = (v) => kHeight - 2 - v / most * (kHeight - 4);
  const chart = svg('svg', {viewBox: `0 0 ${width} ${kHeight}`, preserveAspectRatio: 'none', class: 'spark',
                            role: 'img', 'aria-label': label});
  if (limit !== undefined) {
    chart.append(svg('rect', {x: 0, y: 0, width, height: y(limit), class: 'beyond'}),
                 svg('line', {x1: 0, x2: width, y1: y(limit), y2: y(limit), class: 'limit'}));
  }
  if (values.length > 1)
    chart.append(svg('polyline', {points: values.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`).join(' ')}));
  if (values.length > 0) {
    const last = values.length - 1;
    const late = limit !== undefined && values[last] > limit;
    // A line of no length with a round end: a dot that the stretched chart does not squash.
    chart.append(svg('path', {d: `M${x(last).toFixed(1)} ${y(values[last]).toFixed(1)}h0.01`,
                              class: late ? 'dot late' : 'dot'}));
  }
  return chart;
}

/** Predicted above actual for each stage, on one scale. `stages` as of stagesOf(). */
export function stageBars(stages, width) {
  const left = 78;
  const right = 72;
  const row = 30;
  const most = Math.max(...stages.flatMap((s) => [s.predicted ?? 0, s.actual ?? 0]), 1e-9);
  const length = (v) => Math.max(1.5, v / most * (width - left - right));
  const words = stages.map((s) => `${s.name}: predicted ${f.ms(s.predicted)}, took ${f.ms(s.actual)}`).join('; ');
  const chart = svg('svg', {width, height: stages.length * row + 4, viewBox: `0 0 ${width} ${stages.length * row + 4}`,
                            class: 'stages', role: 'img', 'aria-label': `Stages. ${words}`});
  stages.forEach((s, i) => {
    const y = i * row + 4;
    chart.append(svg('text', {x: left - 8, y: y + 15, class: 'name'}, s.name));
    const bar = (v, at, kind) => {
      if (v === undefined) return;
      chart.append(svg('rect', {x: left, y: at, width: length(v), height: 9, rx: 2, class: kind}),
                   svg('text', {x: left + length(v) + 6, y: at + 8.5, class: 'value'}, f.ms(v)));
    };
    bar(s.predicted, y, 'predicted');
    bar(s.actual, y + 12, 'actual');
  });
  return chart;
}

const kBox = 34;
const kLabel = 18;  // the height of a link's words
const kLeast = 3;  // names of boxes that are cut keep so many characters

/** A name that fits into so many pixels. */
const clip = (name, pixels) => {
  const most = Math.max(kLeast, Math.floor(pixels / 7.4));
  return name.length > most ? `${name.slice(0, most - 1)}…` : name;
};

function box(node, x, y, width) {
  const g = svg('g', {class: `box ${node.role}${node.state === 'ready' ? '' : ' out'}`});
  g.append(svg('title', {}, `${node.node} (${node.role}, ${node.state})`),
           svg('rect', {x, y, width, height: kBox, rx: 7}),
           svg('text', {x: x + width / 2, y: y + 21}, clip(node.node, width - 12)));
  return g;
}

/** Of a line: by orders of magnitude, 10 MB/s to 100 GB/s. */
const thickness = (speed) => (1.2 + 1.2 * Math.min(4, Math.max(0, Math.log10(Math.max(speed, 1)) - 7))).toFixed(1);

/** Prefill nodes left, decode nodes right, a line for each link: thick is fast, dashed is unused. */
export function linkMap(prefills, decodes, links, width) {
  const boxWidth = Math.min(150, Math.max(78, width * 0.22));
  // Links are labelled where the mix of both ends' heights is another one for each: at this share of the way down to
  // the decode node.
  const down = prefills.length === 1 ? 0.75 : 1 / (decodes.length + 1);
  const t = 0.5 - Math.sin(Math.asin(1 - 2 * down) / 3);  // there the curve has come so far
  const rows = Math.max(prefills.length, decodes.length);
  const step = Math.max(66, kLabel * (decodes.length + 1));
  const height = (rows - 1) * step + kBox + 28;
  const top = (n, i) => 26 + (height - 28 - kBox) * (n === 1 ? 0.5 : i / (n - 1));
  const chart = svg('svg', {width, height, viewBox: `0 0 ${width} ${height}`, role: 'img',
                            'aria-label': 'Prefill nodes, decode nodes and the links between them, as in the table below'});
  chart.append(svg('text', {x: boxWidth / 2, y: 14, class: 'side'}, 'prefill'),
               svg('text', {x: width - boxWidth / 2, y: 14, class: 'side'}, 'decode'));
  const labels = [];
  links.forEach((l) => {
    const y1 = top(prefills.length, l.from) + kBox / 2;
    const y2 = top(decodes.length, l.to) + kBox / 2;
    const x1 = boxWidth + 2;
    const x2 = width - boxWidth - 2;
    const bend = (x2 - x1) * 0.4;
    chart.append(svg('path', {d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`,
                              'stroke-width': l.used ? thickness(l.speed) : 1.5,
                              class: `line ${l.used ? l.lossless ? 'lossless' : 'lossy' : 'idle'}`}));
    const at = (a, b, c, d) => (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t * t * c + t ** 3 * d;
    const x = at(x1, x1 + bend, x2 - bend, x2);
    const y = at(y1, y1, y2, y2);
    const speed = f.speed(l.speed);
    const wide = l.label.length * 7.4 + speed.length * 6.1 + 16;
    labels.push(svg('rect', {x: x - wide / 2, y: y - 7, width: wide, height: 14, class: 'ground'}),
                svg('text', {x, y: y + 4, class: 'label'}, l.label, svg('tspan', {dx: 6, class: 'sub'}, speed)));
  });
  chart.append(...labels, ...prefills.map((n, i) => box(n, 0, top(prefills.length, i), boxWidth)),
               ...decodes.map((n, i) => box(n, width - boxWidth, top(decodes.length, i), boxWidth)));
  return chart;
}
