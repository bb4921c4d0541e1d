// Nodes and profiles, a row each.

import {byId, fillTable, setText} from './dom.js';
import * as f from './format.js';

const kRows = 100;

const stateOf = (n, staleMs) => n.state !== 'ready' ? {text: n.state, tone: 'warn'}
    : n.heartbeat_age_ms > staleMs ? {text: 'silent', tone: 'bad', sub: `for ${f.ms(n.heartbeat_age_ms)}`}
                                   : {text: 'ready', tone: 'good'};

function loadOf(n) {
  if (n.role === 'prefill') return {text: `${f.count(n.queued_tokens)} tokens`, sub: `${n.running} run, ${n.waiting} wait`};
  return {text: `${f.count(n.seqs)} sequences`, sub: `${n.running} run, ${n.waiting} wait`};
}

function speedOf(n) {
  if (n.role === 'prefill')
    return n.prefill_tokens_per_s > 0 ? `${f.count(n.prefill_tokens_per_s)} tokens/s` : 'not measured yet';
  return n.step_ms > 0 ? {text: `${f.ms(n.step_ms)} a step`, sub: `of ${n.step_batch.toFixed(1)} sequences`}
                       : 'not measured yet';
}

const memoryOf = (n) => n.total_blocks > 0
    ? {text: `${f.percent(1 - n.free_blocks / n.total_blocks)} used`,
       sub: `${f.count(n.free_blocks)} of ${f.count(n.total_blocks)} blocks free`} : '–';

export function showNodes({nodes}) {
  const kStaleMs = 1500;
  const order = (a, b) => b.role.localeCompare(a.role) || a.node.localeCompare(b.node, 'en', {numeric: true});
  const rows = [...nodes].sort(order).slice(0, kRows).map((n) => ({
    key: n.incarnation + n.node,
    cells: [{text: n.node, sub: n.role}, stateOf(n, kStaleMs), loadOf(n), speedOf(n), f.count(n.requests), memoryOf(n),
            {text: n.backend, sub: n.precision}, f.ms(Math.round(n.heartbeat_age_ms))],
  }));
  fillTable(byId('node-rows'), rows);
  setText(byId('nodes-note'), nodes.length === 0 ? 'No node has joined.'
      : nodes.length > kRows ? `${kRows} of ${f.count(nodes.length)} nodes.` : '');
}

function qualityOf(p) {
  if (p.drift) return {text: 'drifted', tone: 'bad', sub: `counts as KL ${f.kl(p.kl)}`};
  if (!p.allowed) return {text: 'beyond the budget', tone: 'warn'};
  if (p.stated_kl === 0) return {text: 'lossless', tone: 'good'};
  return p.probes > 0 ? {text: 'as stated', tone: 'good'} : {text: 'not probed yet'};
}

export function showProfiles({profiles, totals, status}) {
  const sent = (p) => totals.profiles[p.name];
  // What needs an eye first, then what is used.
  const order = (a, b) => (b.drift === true) - (a.drift === true) ||
      (sent(b)?.transfers ?? 0) - (sent(a)?.transfers ?? 0) || b.allowed - a.allowed || a.stated_kl - b.stated_kl;
  const rows = [...profiles].sort(order).map((p) => ({
    key: p.name,
    cells: [p.name, qualityOf(p), f.ratio(p.ratio), f.kl(p.stated_kl),
            p.probes > 0 ? {text: f.kl(p.probed_kl), sub: `${f.count(p.probes)} probes`} : '–',
            p.probes > 0 ? f.percent(p.probed_top1) : '–', sent(p) ? f.count(sent(p).transfers) : '–',
            sent(p) ? f.bytes(Math.max(0, sent(p).kv_raw_bytes - sent(p).kv_wire_bytes)) : '–'],
  }));
  fillTable(byId('profile-rows'), rows);
  const drifted = profiles.filter((p) => p.drift).length;
  setText(byId('quality-hint'), 'KL to exact KV in nats per token: as stated offline, and as probed on live requests. ' +
      `The default class allows ${f.kl(status.slo.quality_kl)}. ` +
      (drifted > 0 ? `${drifted} of ${profiles.length} profiles exceed what they state.` : 'No profile has drifted.'));
}
