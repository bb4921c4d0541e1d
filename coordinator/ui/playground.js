// A chat over the public API, streamed. The conversation is in this tab only.

import {Fault, postJson} from './api.js';
import {stageBars} from './charts.js';
import {byId, el, setOptions, setText} from './dom.js';
import * as f from './format.js';
import {stagesOf} from './model.js';
import {EventParser} from './sse.js';

/** What came of one streamed answer; on() is called with each piece of text. */
async function stream(body, headers, signal, on) {
  const answer = await postJson('v1/chat/completions', body, headers, signal);
  const end = {tokens: 0, finish: null, explain: null, usage: null, done: false};
  let broken = null;
  const parser = new EventParser((data) => {
    if (data === '[DONE]') return void (end.done = true);
    const event = JSON.parse(data);
    if (event.error) broken = new Fault(200, event.error.code ?? 'error', event.error.message);
    const choice = event.choices?.[0];
    if (choice?.delta?.content) on(choice.delta.content);
    if (choice?.finish_reason) end.finish = choice.finish_reason;
    if (event.usage) end.usage = event.usage;
    if (event.sluice) end.explain = event.sluice;
  });
  const reader = answer.body.getReader();
  for (;;) {
    const {value, done} = await reader.read();
    if (done) break;
    parser.feed(value);
    if (broken) throw broken;
  }
  if (!end.done) throw new Fault(0, 'cut', 'the answer was cut before its end');
  return end;
}

function explanation(x, width) {
  const fact = (name, value) => el('div', {}, el('dt', {}, name), el('dd', {}, value));
  const facts = el('dl', {class: 'facts'},
                   fact('from, to', x.mode === 'colocated' ? `${x.decode_node} alone` : `${x.prefill_node} → ${x.decode_node}`),
                   fact('KV profile', x.changed_to ? `${x.profile} > ${x.changed_to}` : x.profile),
                   fact('chosen as', x.choice ?? '–'),
                   fact('KV', x.kv_wire_bytes > 0 ? `${f.bytes(x.kv_wire_bytes)} sent for ${f.bytes(x.kv_raw_bytes)}` : 'none sent'),
                   fact('TTFT', `${f.ms(x.ttft_ms)}, predicted ${f.ms(x.predicted_ttft_ms)}`), fact('TPOT', f.ms(x.tpot_ms)),
                   fact('KL', f.kl(x.quality?.kl)));
  return [el('h3', {}, 'How this answer was served'), facts, stageBars(stagesOf({}, x.stages_ms), width)];
}

export class Playground {
  constructor() {
    this.messages = [];
    this.running = null;
    byId('chat-form').addEventListener('submit', (e) => {
      e.preventDefault();
      this.send();
    });
    byId('prompt').addEventListener('keydown', (e) => {
      if (e.key !== 'Enter' || e.shiftKey || e.isComposing) return;
      e.preventDefault();
      byId('chat-form').requestSubmit();
    });
    byId('stop').addEventListener('click', () => this.running?.abort());
    byId('clear').addEventListener('click', () => this.clear());
  }

  /** What there is to choose from. */
  offer(profiles, classes) {
    setOptions(byId('chat-profile'), [['', 'chosen for me'], ...profiles.map((p) => [p.name, p.name])]);
    setOptions(byId('chat-class'), Object.keys(classes).map((name) => [name, name]));
  }

  clear() {
    this.running?.abort();
    this.messages = [];
    byId('chat').replaceChildren();
    byId('explain').hidden = true;
    setText(byId('chat-state'), '');
    byId('prompt').focus();
  }

  turn(role, text) {
    const said = el('p', {}, text);
    byId('chat').append(el('article', {class: `turn ${role}`}, el('h3', {}, role === 'user' ? 'You' : 'Model'), said));
    return said;
  }

  request() {
    const profile = byId('chat-profile').value;
    return {
      messages: this.messages,
      stream: true,
      stream_options: {include_usage: true},
      max_tokens: byId('chat-tokens').valueAsNumber || undefined,
      temperature: Number.isNaN(byId('chat-temperature').valueAsNumber) ? undefined : byId('chat-temperature').valueAsNumber,
      sluice: {explain: true, ...(profile ? {profile} : {})},
    };
  }

  async send() {
    const text = byId('prompt').value.trim();
    if (text === '' || this.running) return;
    const mine = this.messages;  // another list after "New chat"
    mine.push({role: 'user', content: text});
    this.turn('user', text);
    byId('prompt').value = '';
    byId('explain').hidden = true;
    const out = this.turn('assistant', '');
    const abort = new AbortController();
    this.busy(abort);
    let answer = '';
    const state = (words) => {
      if (mine === this.messages) setText(byId('chat-state'), words);
    };
    try {
      state('waiting for the first token');
      const headers = {'x-slo-class': byId('chat-class').value};
      const end = await stream(this.request(), headers, abort.signal, (piece) => {
        answer += piece;
        out.textContent = answer;
        state('answering');
      });
      state(`${f.count(end.usage?.completion_tokens)} tokens; ended by ${end.finish}`);
      if (end.explain && mine === this.messages) this.explain(end.explain);
    } catch (e) {
      if (e.name === 'AbortError') state('stopped');
      else {
        const code = e instanceof Fault ? `${e.status ? `${e.status} ` : ''}${e.code}` : 'page error';
        out.parentElement.append(el('p', {class: 'bad', role: 'alert'}, `${code}: ${e.message}`));
        state('failed');
      }
    }
    // What was not answered is asked no second time; what was answered in part is part of the conversation.
    if (answer !== '') mine.push({role: 'assistant', content: answer});
    else mine.pop();
    this.busy(null);
  }

  busy(abort) {
    this.running = abort;
    byId('send').disabled = abort !== null;
    byId('stop').disabled = abort === null;
    byId('chat').setAttribute('aria-busy', String(abort !== null));
  }

  explain(x) {
    const box = byId('explain');
    box.hidden = false;
    box.replaceChildren(...explanation(x, Math.min(520, Math.max(240, byId('chat').clientWidth - 8))));
  }
}
