// Calls to the coordinator that this page came from. The key stays in this tab's session storage, and goes out as a
// header only.

const kRoot = new URL('../', import.meta.url);
const kKey = 'sluice.key';
const kPatienceMs = 10000;

/** What the server refused, or that there was none (status 0). */
export class Fault extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export const setKey = (key) => sessionStorage.setItem(kKey, key);
export const hasKey = () => sessionStorage.getItem(kKey) !== null;
export const dropKey = () => sessionStorage.removeItem(kKey);

function headers(more) {
  const key = sessionStorage.getItem(kKey);
  return key === null ? more : {...more, authorization: `Bearer ${key}`};
}

/** A response of status 200, or a Fault with the server's own words. */
async function call(path, options) {
  let answer;
  try {
    answer = await fetch(new URL(path, kRoot), {...options, cache: 'no-store', redirect: 'error'});
  } catch (e) {
    if (e.name === 'AbortError') throw e;
    throw new Fault(0, 'unreachable', e.name === 'TimeoutError' ? 'the coordinator did not answer in time'
                                                               : 'the coordinator cannot be reached');
  }
  if (answer.ok) return answer;
  const body = await answer.json().catch(() => null);
  throw new Fault(answer.status, body?.error?.code ?? `http_${answer.status}`,
                  body?.error?.message ?? answer.statusText);
}

export async function getJson(path) {
  const answer = await call(path, {headers: headers({}), signal: AbortSignal.timeout(kPatienceMs)});
  try {
    return await answer.json();
  } catch {
    throw new Fault(0, 'cut', 'an answer of the coordinator was cut');
  }
}

/** The response to a POST, its body still to be read. */
export const postJson = (path, body, more, signal) => call(path, {
  method: 'POST',
  headers: headers({'content-type': 'application/json', ...more}),
  body: JSON.stringify(body),
  signal,
});

/**
 * Runs `turn` again and again: a second after the last one, less often when a turn takes long (a large cluster's
 * answers cost the coordinator time), rarely in a hidden tab, and ever less often while the server is away.
 */
export class Poller {
  static everyMs = 1000;
  static hiddenMs = 15000;
  static mostMs = 15000;
  static share = 20;  // a turn may take a twentieth of the time

  constructor(turn) {
    this.turn = turn;
    this.failures = 0;
    this.timer = 0;
    this.running = false;
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.now();
    });
  }

  /** At once, unless it runs. */
  now() {
    clearTimeout(this.timer);
    if (!this.running) this.run();
  }

  async run() {
    this.running = true;
    const begin = performance.now();
    const ok = await this.turn();
    this.failures = ok ? 0 : this.failures + 1;
    this.running = false;
    this.timer = setTimeout(() => this.run(), this.pause(performance.now() - begin));
  }

  pause(tookMs) {
    const away = this.failures === 0 ? 0 : Math.min(Poller.mostMs, Poller.everyMs * 2 ** (this.failures - 1));
    return Math.max(Poller.everyMs, tookMs * Poller.share, away, document.hidden ? Poller.hiddenMs : 0);
  }
}
