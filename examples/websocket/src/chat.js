'use strict';

// The token is in a cookie that no script can read. The browser sends it along with the upgrade to a WebSocket.

const element = (id) => document.getElementById(id);
let socket;

function show(id, status) {
  element('login').hidden = id !== 'login';
  element('chat').hidden = id !== 'chat';
  element('status').textContent = status;
}

function connect() {
  socket = new WebSocket(`${location.origin.replace('http', 'ws')}/chat`);
  socket.onopen = () => show('chat', 'Connected.');
  socket.onmessage = ({ data }) => {
    const item = document.createElement('li');
    // The text of a stranger: it goes in as text and never as HTML.
    item.textContent = data;
    element('messages').append(item);
  };
  socket.onclose = async ({ code }) => {
    // 1008: the session has ended. Otherwise ask, since a script is not told the status of an upgrade that is rejected.
    const status = code === 1008 ? 401 : await fetch('/verify').then((answer) => answer.status, () => 503);
    if (status === 401) {
      element('messages').replaceChildren();
      show('login', 'Log in.');
    } else {
      show('', 'Connecting again in a few seconds.');
      setTimeout(connect, 2000 + 3000 * Math.random());
    }
  };
}

element('login').addEventListener('submit', async (event) => {
  event.preventDefault();
  const { username, password } = Object.fromEntries(new FormData(event.target));
  const answer = await fetch('/login', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ username, password }),
  });
  if (answer.ok) {
    event.target.reset();
    connect();
  } else {
    element('status').textContent = (await answer.json()).detail;
  }
});

element('chat').addEventListener('submit', (event) => {
  event.preventDefault();
  socket.send(new FormData(event.target).get('message'));
  event.target.reset();
});

// The server closes the connection then.
element('logout').addEventListener('click', () => fetch('/logout', { method: 'POST' }));

connect();
