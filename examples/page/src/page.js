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

/** A line of a list of sessions. A label is the text of a stranger: it goes in as text and never as HTML. */
function line(session, action, onClick) {
  const item = document.createElement('li');
  const text = document.createElement('span');
  const label = session.label ?? 'Unnamed';
  text.textContent = `${label}, since ${time(session.created_at)}, last used: ${time(session.last_used_at)}`;
  item.append(text);
  if (session.current) {
    const current = document.createElement('strong');
    current.textContent = 'This one';
    item.append(current);
  } else {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = action;
    button.setAttribute('aria-label', `${action}: ${text.textContent}`);
    button.addEventListener('click', onClick);
    item.append(button);
  }
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
  element('sessions').replaceChildren(...sessions.body.map((session) => line(session, 'End', () => end(session))));
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
  element('denied-sessions').replaceChildren(
    ...denied.map((session) => line(session, 'End and log in', () => run(() => login(session.id)))),
  );
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
