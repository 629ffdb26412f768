'use strict';

// The token is in a cookie that no script can read. The browser sends it along with each request to this server.

const element = (id) => document.getElementById(id);

/** Sends a request, and gives the status and the JSON of the answer. */
async function send(method, path, body) {
  const request = { method, headers: {}, credentials: 'same-origin', cache: 'no-store' };
  if (body) {
    request.headers['Content-Type'] = 'application/json';
    request.body = JSON.stringify(body);
  }
  const response = await fetch(path, request);
  const text = await response.text();
  return { ok: response.ok, status: response.status, body: text ? JSON.parse(text) : null };
}

function say(text) {
  element('message').textContent = text;
}

/** Shows either the form or the account, and moves the focus there if the user has asked for it. */
function show(id, moveFocus) {
  if (id === 'login') {
    localStorage.removeItem('logged-in');
  }
  element('login').hidden = id !== 'login';
  element('account').hidden = id !== 'account';
  if (moveFocus) {
    element(`${id}-title`).focus();
  }
}

function time(text) {
  return text ? new Date(text).toLocaleString() : 'never';
}

/** An element with text. A label is the text of a stranger: it goes in as text and never as HTML. */
function make(tag, text, settings = {}) {
  return Object.assign(document.createElement(tag), { textContent: text, ...settings });
}

function describe(session) {
  const label = session.label ?? 'Unnamed';
  return `${label}, since ${time(session.created_at)}, last used: ${time(session.last_used_at)}`;
}

function button(text, session, onClick) {
  const made = make('button', text, { type: 'button', ariaLabel: `${text}: ${describe(session)}` });
  made.addEventListener('click', () => onClick(made));
  return made;
}

/** A line of the list of sessions. */
function line(session) {
  const item = make('li', '');
  const rename = button('Rename', session, () => item.replaceChildren(renaming(session)));
  const last = session.current ? make('strong', 'This one') : button('End', session, () => end(session));
  item.append(make('span', describe(session)), rename, last);
  return item;
}

/** The form that takes the place of a line whose session gets another name. */
function renaming(session) {
  const form = make('form', '', { className: 'rename' });
  const name = make('input', '', { ariaLabel: 'New name', value: session.label ?? '', maxLength: 255 });
  const cancel = make('button', 'Cancel', { type: 'button' });
  form.append(name, make('button', 'Save', { type: 'submit' }), cancel);
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    rename(session, name.value);
  });
  cancel.addEventListener('click', () => run(() => refresh(true)));
  queueMicrotask(() => name.select());
  return form;
}

/** A line of the sessions of which one may end for the new one. */
function deniedLine(session) {
  const item = make('li', '');
  const endIt = button('End and log in', session, () => run(() => login(session.id)));
  item.append(make('span', describe(session)), endIt);
  return item;
}

/** Says what went wrong. If the session has ended, the user logs in again. */
async function failed(answer) {
  if (answer.status === 401) {
    // The answer takes the cookie away.
    await send('POST', '/logout');
    show('login', true);
    say('Your session has ended. Log in again.');
  } else {
    say(answer.body?.detail ?? 'Something went wrong. Try again.');
  }
}

/** Shows who is logged in. */
async function refresh(moveFocus) {
  // No secret, but a note that spares a request, and an error in the console, where nobody has logged in.
  if (!localStorage.getItem('logged-in')) {
    show('login', moveFocus);
    return;
  }
  const me = await send('GET', '/me');
  if (me.body?.code === 'missing_token') {
    show('login', moveFocus);
    say('Your session has ended. Log in again.');
    return;
  }
  const sessions = me.ok ? await send('GET', '/sessions') : me;
  if (!sessions.ok) {
    await failed(sessions);
    return;
  }
  element('subject').textContent = me.body.subject;
  element('sessions').replaceChildren(...sessions.body.map(line));
  show('account', moveFocus);
}

async function login(endSession) {
  const body = { username: element('username').value, password: element('password').value };
  if (endSession) {
    body.end_session = endSession;
  }
  const answer = await send('POST', '/login', body);
  const denied = answer.body?.sessions ?? [];
  element('denied').hidden = denied.length === 0;
  element('denied-sessions').replaceChildren(...denied.map(deniedLine));
  if (!answer.ok) {
    say(answer.body?.detail ?? 'Something went wrong. Try again.');
    return;
  }
  element('login').reset();
  localStorage.setItem('logged-in', 'yes');
  say('');
  await refresh(true);
}

function end(session) {
  return run(async () => {
    const answer = await send('DELETE', `/sessions/${session.id}`);
    // 404: it has ended already.
    if (!answer.ok && answer.status !== 404) {
      await failed(answer);
      return;
    }
    await refresh(true);
    say('The session has ended.');
  });
}

function rename(session, label) {
  return run(async () => {
    const answer = await send('PATCH', `/sessions/${session.id}`, { label });
    if (!answer.ok && answer.status !== 404) {
      await failed(answer);
      return;
    }
    await refresh(true);
    say(answer.ok ? 'The session has a new name.' : 'The session has ended already.');
  });
}

async function endOthers() {
  const answer = await send('POST', '/logout_other');
  if (!answer.ok) {
    await failed(answer);
    return;
  }
  await refresh(true);
  say(`Sessions ended: ${answer.body.deleted_sessions}.`);
}

async function logout() {
  const answer = await send('POST', '/logout');
  if (!answer.ok && answer.status !== 401) {
    await failed(answer);
    return;
  }
  show('login', true);
  say('You are logged out.');
}

/** Runs an action, and says so if the server cannot be reached. */
async function run(action) {
  try {
    await action();
  } catch {
    say('The server cannot be reached. Try again.');
  }
}

element('login').addEventListener('submit', (event) => {
  event.preventDefault();
  run(() => login());
});
element('end-others').addEventListener('click', () => run(endOthers));
element('logout').addEventListener('click', () => run(logout));
run(() => refresh(false));
