// Links: how fast each is, what travels on it, and why.

import {linkMap} from './charts.js';
import {byId, fillTable, redraw, setText} from './dom.js';
import * as f from './format.js';
import {choiceOf, linksOf} from './model.js';

const kMapSide = 4;  // nodes of a role that the map has room for
const kRows = 60;

/** What was chosen the last time, and on what grounds. */
export function whyOf(r) {
  if (!r) return {text: 'nothing travelled lately'};
  const reckoned = [];
  if (r.predicted_ttft_ms !== null) reckoned.push(`TTFT ${f.ms(r.predicted_ttft_ms)} expected of ${f.ms(r.slo_ttft_ms)}`);
  if (typeof r.chance === 'number') reckoned.push(`${f.percent(r.chance)} likely to meet both`);
  if (typeof r.kl === 'number')
    reckoned.push(r.pinned ? `KL ${f.kl(r.kl)}` : `KL ${f.kl(r.kl)} of ${f.kl(r.quality_budget)} allowed`);
  const changed = r.changed_to ? `; its sender went on under ${r.changed_to} as the link gave way` : '';
  return {text: choiceOf(r) + changed, sub: reckoned.join(', ')};
}

function profileCell(link) {
  if (link.uses === 0) return {text: '–'};
  const [name, n] = link.ways[0];
  const others = link.ways.slice(1, 4).map(([other, m]) => `${other} ${m}`).join(', ');
  return {text: name, sub: `${n} of ${link.uses}${others ? `; ${others}` : ''}`};
}

function rowOf(link) {
  const m = link.measured;
  const underWay = m ? m.in_flight + m.queued : undefined;
  return {
    key: JSON.stringify([link.prefill, link.decode]),
    cells: [`${link.prefill} → ${link.decode}`, f.speed(m?.bandwidth_bps), m?.rtt_s > 0 ? f.ms(m.rtt_s * 1000) : '–',
            f.bytes(underWay), profileCell(link), link.uses > 0 ? f.bytes(Math.max(0, link.saved)) : '–', whyOf(link.last)],
  };
}

function showMap(nodes, links, profiles) {
  const prefills = nodes.filter((n) => n.role === 'prefill');
  const decodes = nodes.filter((n) => n.role === 'decode');
  const map = byId('map');
  map.hidden = links.length === 0 || prefills.length > kMapSide || decodes.length > kMapSide;
  if (map.hidden) return;
  const lossless = new Set(profiles.filter((p) => p.stated_kl === 0).map((p) => p.name));
  const drawn = links.map((l) => ({
    from: prefills.findIndex((n) => n.node === l.prefill),
    to: decodes.findIndex((n) => n.node === l.decode),
    // To two digits: the map is for a glance, and need not move with each measurement.
    speed: Number((l.measured?.bandwidth_bps ?? 0).toPrecision(2)),
    used: l.uses > 0,
    lossless: l.uses > 0 && lossless.has(l.ways[0][0]),
    label: l.uses > 0 ? l.ways[0][0] : 'unused',
  }));
  const said = (n) => ({node: n.node, role: n.role, state: n.state});
  const width = Math.max(240, Math.floor(map.clientWidth));
  const [left, right] = [prefills.map(said), decodes.map(said)];
  redraw(map, [left, right, drawn, width], () => linkMap(left, right, drawn, width));
}

export function showLinks({nodes, requests, profiles}) {
  const links = linksOf(nodes, requests);
  showMap(nodes, links, profiles);
  const shown = [...links].sort((a, b) => b.uses - a.uses).slice(0, kRows);
  fillTable(byId('link-rows'), shown.map(rowOf));
  setText(byId('links-note'), links.length === 0 ? 'There is no link yet: it takes a prefill node and a decode node.'
      : links.length > kRows ? `The ${kRows} most used of ${f.count(links.length)} links.` : '');
}
