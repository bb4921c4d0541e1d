// The page: asks the coordinator each second, and hands what it says to those who show it.

import {dropKey, Fault, getJson, hasKey, Poller, setKey} from './api.js';
import {DecisionList} from './decisions.js';
import {byId, setText} from './dom.js';
import * as f from './format.js';
import {showLinks} from './links.js';
import {History, kFetched} from './model.js';
import {showClasses, showTiles} from './overview.js';
import {Playground} from './playground.js';
import {showNodes, showProfiles} from './tables.js';

let history = new History();
let started = 0;  // when the coordinator began: tells one that was started anew
let lost = null;  // since when nothing came
let seen = null;  // the last answers, to be drawn anew when the page's width changes

const decisions = new DecisionList();
const playground = new Playground();
const poller = new Poller(turn);

async function fetchAll() {
  const [status, nodes, profiles, slo, totals] = await Promise.all(
      ['status', 'nodes', 'profiles', 'slo', 'totals'].map((name) => getJson(`sluice/v1/${name}`)));
  if (totals.started !== started) {
    started = totals.started;
    history = new History();
    decisions.reset();
  }
  history.add((await getJson(`sluice/v1/decisions?after=${history.last}&limit=${kFetched}`)).decisions);
  return {status, nodes: nodes.nodes, profiles: profiles.profiles, slo, totals, requests: history.requests};
}

function draw() {
  showTiles(seen);
  showClasses(seen);
  showLinks(seen);
  showNodes(seen);
  showProfiles(seen);
  decisions.update(history);
  playground.offer(seen.profiles, seen.slo.classes);
  setText(byId('model'), seen.status.model);
  setText(byId('version'), `Sluice ${seen.status.version}, up for ${f.ago(Date.now() / 1000 - started)}`);
}

/** One round; true when all of it was answered. */
async function turn() {
  try {
    seen = await fetchAll();
    lost = null;
    askKey(false);
    draw();
    connection(seen.status.admin === false ? 'live, read-only key' : 'live', 'good');
    return true;
  } catch (e) {
    if (e instanceof Fault) {
      failed(e);
    } else {
      console.error(e);
      connection(`the page failed: ${e.message}`, 'bad');
    }
    return false;
  }
}

function failed(fault) {
  if (fault.status === 401) {
    connection('a key is needed', 'warn');
    askKey(true);
    return;
  }
  lost ??= new Date();
  connection(`disconnected since ${lost.toLocaleTimeString('en-GB')}: ${fault.message}`, 'bad');
}

function connection(text, tone) {
  const node = byId('connection');
  setText(node, text);
  node.className = `connection ${tone}`;
  document.body.classList.toggle('stale', tone !== 'good');
}

function askKey(wanted) {
  const form = byId('key-form');
  if (!wanted) {
    form.hidden = true;
    return;
  }
  if (hasKey()) setText(byId('key-error'), 'The coordinator does not take this key.');
  dropKey();
  if (!form.hidden) return;
  form.hidden = false;
  byId('key').focus();
}

byId('key-form').addEventListener('submit', (e) => {
  e.preventDefault();
  const key = byId('key').value.trim();
  byId('key').value = '';
  if (!/^[\x21-\x7e]+$/.test(key)) {  // a header could not carry it
    setText(byId('key-error'), 'A key is made of letters, digits and signs, without spaces.');
    return;
  }
  setKey(key);
  setText(byId('key-error'), '');
  poller.now();
});

let width = document.documentElement.clientWidth;
window.addEventListener('resize', () => {
  if (document.documentElement.clientWidth === width) return;
  width = document.documentElement.clientWidth;
  if (seen) draw();
});

poller.run();
