// Recent decisions: a row for each, put on top as it comes, with the stages behind a button.

import {stageBars} from './charts.js';
import {byId, el, setText} from './dom.js';
import * as f from './format.js';
import {whyOf} from './links.js';
import {stagesOf} from './model.js';

const kShown = 60;

const isLate = (value, limit) => typeof value === 'number' && value > limit;

function endOf(r) {
  const well = r.outcome === 'stop' || r.outcome === 'length';
  if (!well) return {text: r.outcome, tone: r.outcome === 'cancelled' ? 'warn' : 'bad'};
  if (isLate(r.ttft_ms, r.slo_ttft_ms) || isLate(r.tpot_ms, r.slo_tpot_ms)) return {text: 'late', tone: 'bad'};
  return {text: 'in time', tone: 'good'};
}

const profileOf = (r) => r.profile === null ? '–' : r.changed_to ? `${r.profile} > ${r.changed_to}` : r.profile;

function pairOf(r) {
  if (r.decode_node === null) return '–';
  return r.mode === 'colocated' ? `${r.decode_node} alone` : `${r.prefill_node} → ${r.decode_node}`;
}

/** What a decision says in full, below its row. */
function detail(r, width) {
  const fact = (name, value, kind) => el('div', {class: kind}, el('dt', {}, name), el('dd', {}, value));
  const why = whyOf(r);
  const facts = el('dl', {class: 'facts'}, fact('request', r.request_id), fact('from, to', pairOf(r)),
                   fact('why', r.decode_node === null ? r.reason : `${why.text}${why.sub ? `. ${why.sub}` : ''}`, 'whole'),
                   fact('TTFT', `${f.ms(r.ttft_ms)}, predicted ${f.ms(r.predicted_ttft_ms)}, objective ${f.ms(r.slo_ttft_ms)}`),
                   fact('TPOT', `${f.ms(r.tpot_ms)}, predicted ${f.ms(r.predicted_tpot_ms)}, objective ${f.ms(r.slo_tpot_ms)}`),
                   fact('tokens', `${f.count(r.prompt_tokens)} in, ${f.count(r.output_tokens)} out`),
                   fact('KV', r.kv_wire_bytes > 0 ? `${f.bytes(r.kv_wire_bytes)} sent for ${f.bytes(r.kv_raw_bytes)}` : 'none sent'));
  if (r.resumes > 0) facts.append(fact('placed again', `${r.resumes} times`));
  if (r.error) facts.append(fact('error', `${r.error.code}: ${r.error.message}`, 'whole'));
  const stages = stagesOf(r.predicted_stages_ms, r.stages_ms);
  if (stages.length === 0) return [facts];
  const key = el('p', {class: 'hint'}, el('span', {class: 'swatch predicted'}), 'predicted ',
                 el('span', {class: 'swatch actual'}), 'measured. Stages overlap: they do not add up to TTFT.');
  return [facts, el('div', {}, key, stageBars(stages, width))];
}

function requestRows(r) {
  const end = endOf(r);
  const button = el('button', {type: 'button', class: 'more', 'aria-expanded': 'false',
                               'aria-label': `Details of request ${r.request_id}`}, '+');
  const late = (value, limit) => (isLate(value, limit) ? 'bad' : undefined);
  const td = (className, text, tone) => el('td', {class: className}, el('span', {class: tone}, text));
  const row = el('tr', {}, el('th', {scope: 'row'}, f.clock(r.time)), td('wide', pairOf(r)), td('', profileOf(r)),
                 td('num', f.ms(r.ttft_ms), late(r.ttft_ms, r.slo_ttft_ms)), td('num wide', f.ms(r.predicted_ttft_ms)),
                 td('num mid', f.ms(r.tpot_ms), late(r.tpot_ms, r.slo_tpot_ms)),
                 td('num wide', `${f.count(r.prompt_tokens)} → ${f.count(r.output_tokens)}`), td('wide', r.slo_class),
                 td('', end.text, end.tone), el('td', {}, button));
  const cell = el('td', {colspan: row.cells.length});
  const below = el('tr', {class: 'below', hidden: true}, cell);
  button.addEventListener('click', () => {
    below.hidden = !below.hidden;
    button.setAttribute('aria-expanded', String(!below.hidden));
    button.textContent = below.hidden ? '+' : '−';
    if (below.hidden) return;
    const room = byId('decision-rows').closest('.scroll').clientWidth - 28;
    cell.replaceChildren(el('div', {class: 'detail'}, ...detail(r, Math.min(520, Math.max(240, room)))));
  });
  return [row, below];
}

/** A change by an operator or a probe that later decisions rest on. */
function eventRows(e) {
  const said = {
    slo_changed: () => e.slo === null ? `Class ${e.slo_class} was removed`
        : `Objectives of class ${e.slo_class} were changed: TTFT ${f.ms(e.slo.ttft_ms)}, TPOT ${f.ms(e.slo.tpot_ms)}, KL ${f.kl(e.slo.quality_kl)}`,
    quality_left: () => `Profile ${e.profile} exceeds its stated KL ${f.kl(e.stated_kl)}: it counts as ${f.kl(e.effective_kl)} now`,
    quality_kept_again: () => `Profile ${e.profile} keeps its stated KL again`,
  }[e.event]?.() ?? e.event;
  const columns = byId('decision-rows').parentElement.tHead.rows[0].cells.length;
  return [el('tr', {class: 'event'}, el('th', {scope: 'row'}, f.clock(e.time)), el('td', {colspan: columns - 1}, said))];
}

/** Puts new entries on top; the rows that are there stay as they are, and so do focus and what is unfolded. */
export class DecisionList {
  constructor() {
    this.shown = 0;  // the sequence number of the newest
    this.groups = [];
    this.paused = false;
    const button = byId('pause');
    button.addEventListener('click', () => {
      this.paused = !this.paused;
      button.setAttribute('aria-pressed', String(this.paused));
      button.textContent = this.paused ? 'Go on' : 'Pause';
      if (!this.paused) this.update(this.history);
    });
  }

  update(history) {
    this.history = history;
    const fresh = history?.entries.filter((e) => e.seq > this.shown) ?? [];
    if (this.paused) {
      setText(byId('decisions-note'), fresh.length > 0 ? `Paused; ${f.count(fresh.length)} more came.` : 'Paused.');
      return;
    }
    const body = byId('decision-rows');
    for (const e of fresh.slice(-kShown)) {
      const rows = e.event ? eventRows(e) : requestRows(e);
      body.prepend(...rows);
      this.groups.push(rows);
    }
    if (fresh.length > 0) this.shown = fresh.at(-1).seq;
    while (this.groups.length > kShown) this.groups.shift().forEach((row) => row.remove());
    setText(byId('decisions-note'), this.groups.length === 0 ? 'No request has ended yet.' : '');
  }

  /** The coordinator is another one: what it decided begins anew. */
  reset() {
    this.shown = 0;
    this.groups.flat().forEach((row) => row.remove());
    this.groups = [];
  }
}
