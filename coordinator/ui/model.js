// What the page makes of the coordinator's answers. Pure: no page, no network, no clock.

const kKept = 500;  // decisions, in the tab's memory
export const kFetched = 500;  // at most, in one call

/** The decisions seen so far, oldest first. An entry with `event` is a change by an operator or a probe, no request. */
export class History {
  constructor() {
    this.entries = [];
    this.last = 0;
  }
  add(entries) {
    for (const e of entries) {
      if (e.seq <= this.last) continue;
      this.entries.push(e);
      this.last = e.seq;
    }
    if (this.entries.length > kKept) this.entries.splice(0, this.entries.length - kKept);
  }
  get requests() {
    return this.entries.filter((e) => !e.event);
  }
}

/** The value that a share of the values does not exceed; undefined of none. */
export function quantile(values, share) {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

const numbers = (requests, field) => requests.map((r) => r[field]).filter((v) => typeof v === 'number');

/** Of each class, by name: its objectives, recent latencies, and what was met since the start. */
export function classesOf(slo, totals, requests) {
  const names = new Set([...Object.keys(slo.classes ?? {}), ...Object.keys(totals.classes ?? {})]);
  return [...names].sort((a, b) => (b === 'default') - (a === 'default') || a.localeCompare(b)).map((name) => {
    const mine = requests.filter((r) => r.slo_class === name);
    return {
      name,
      slo: slo.classes?.[name],
      ttft: numbers(mine, 'ttft_ms'),
      tpot: numbers(mine, 'tpot_ms'),
      finished: totals.classes?.[name]?.finished ?? 0,
      met: totals.classes?.[name]?.met ?? 0,
    };
  });
}

const pairKey = (prefill, decode) => JSON.stringify([prefill, decode]);

/** Every pair of nodes: the link as measured, and the requests that lately went over it. */
export function linksOf(nodes, requests) {
  const decodes = nodes.filter((n) => n.role === 'decode');
  const byPair = new Map();
  for (const p of nodes.filter((n) => n.role === 'prefill')) {
    const measured = new Map(p.links.map((l) => [l.address, l]));
    for (const d of decodes)
      byPair.set(pairKey(p.node, d.node), {prefill: p.node, decode: d.node, measured: measured.get(d.data_address),
                                           uses: 0, profiles: new Map(), saved: 0, last: undefined});
  }
  for (const r of requests) {
    const link = r.prefill_node !== null && byPair.get(pairKey(r.prefill_node, r.decode_node));
    if (!link) continue;
    ++link.uses;
    link.profiles.set(r.profile, (link.profiles.get(r.profile) ?? 0) + 1);
    link.saved += r.kv_raw_bytes - r.kv_wire_bytes;
    link.last = r;
  }
  for (const link of byPair.values())
    link.ways = [...link.profiles].sort((a, b) => b[1] - a[1]);
  return [...byPair.values()];
}

/** Sums of what was sent: {transfers, raw, wire}. */
export function sentOf(totals) {
  const sum = {transfers: 0, raw: 0, wire: 0};
  for (const p of Object.values(totals.profiles ?? {})) {
    sum.transfers += p.transfers;
    sum.raw += p.kv_raw_bytes;
    sum.wire += p.kv_wire_bytes;
  }
  return sum;
}

/** |predicted - actual| / actual of TTFT, one per request that has both and was placed once. */
export const errorsOf = (requests) => requests
    .filter((r) => r.ttft_ms > 0 && r.predicted_ttft_ms > 0 && r.resumes === 0)
    .map((r) => Math.abs(r.predicted_ttft_ms - r.ttft_ms) / r.ttft_ms);

const kChoices = {
  explore: (n) => `tried to learn, one of ${n} candidates`,
  only: () => 'the only candidate',
  cooled_fallback: () => 'better pairs rest after a failure',
  best: (n) => `best of ${n} candidates`,
};

/** The short reason of a choice. */
export function choiceOf(r) {
  if (r.mode === 'colocated') return 'asked to stay on one node';
  if (r.pinned) return 'pinned by the client';
  return kChoices[r.reason]?.(r.considered) ?? r.reason;
}

/** The stages of a request in the order of its way: [{name, predicted, actual}] in ms, undefined where not said. */
export function stagesOf(predicted = {}, actual = {}) {
  const order = ['queue', 'prefill', 'encode', 'link_wait', 'wire', 'decode', 'first_step', 'exposed', 'fixed'];
  return order.map((name) => ({name: name.replace('_', ' '), predicted: predicted[name], actual: actual[name]}))
      .filter((s) => s.predicted !== undefined || s.actual !== undefined);
}
