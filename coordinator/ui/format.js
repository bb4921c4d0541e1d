// Numbers as people read them. A figure that is not there is a dash.

const kNone = '–';
const isNumber = (v) => typeof v === 'number' && Number.isFinite(v);

/** Three digits that matter. */
function digits(v) {
  if (v === 0) return '0';
  const a = Math.abs(v);
  return v.toFixed(a >= 100 ? 0 : a >= 10 ? 1 : a >= 1 ? 2 : a >= 0.001 ? 3 : 5);
}

function scaled(v, step, units) {
  let i = 0;
  while (Math.abs(v) >= step && i + 1 < units.length) v /= step, ++i;
  return `${i === 0 && Number.isInteger(v) ? v : digits(v)} ${units[i]}`;
}

export const count = (v) => (isNumber(v) ? Math.round(v).toLocaleString('en') : kNone);
export const bytes = (v) => (isNumber(v) ? scaled(v, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']) : kNone);
/** Of bytes per second; 0 is "not measured". */
export const speed = (v) =>
    (isNumber(v) && v > 0 ? scaled(v, 1000, ['B/s', 'kB/s', 'MB/s', 'GB/s', 'TB/s']) : kNone);
export const percent = (v) => {
  if (!isNumber(v)) return kNone;
  const p = v * 100;
  return `${p === 100 || p === 0 ? p : p >= 99.95 ? '> 99.9' : p.toFixed(1)} %`;
};
export const kl = (v) => (!isNumber(v) ? kNone : v === 0 ? '0' : v < 0.001 ? v.toExponential(1) : digits(v));
export const ratio = (v) => (isNumber(v) && v > 0 ? `${v.toFixed(2)}×` : kNone);

export function ms(v) {
  if (!isNumber(v)) return kNone;
  if (v >= 10000) return `${digits(v / 1000)} s`;
  return v > 0 && v < 0.1 ? `${digits(v * 1000)} µs` : `${digits(v)} ms`;
}

export const clock = (unixSeconds) => new Date(unixSeconds * 1000).toLocaleTimeString('en-GB');

export function ago(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${digits(seconds / 3600)} h`;
}
