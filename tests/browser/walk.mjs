// Walks through the page of each example server, and lets hostile pages try: node walk.mjs <programs> <pictures>

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const [programs, pictures] = process.argv.slice(2).map((folder) => resolve(folder));
const COOKIE = '__Host-session';

/** Starts a server, and gives its address and a way to stop it. */
async function start(framework, settings = {}) {
  const program = spawn(join(programs, framework), {
    cwd: mkdtempSync(join(tmpdir(), 'knox-browser-')),
    env: { PATH: process.env.PATH, LISTEN: '127.0.0.1:0', KNOX_COOKIES: '1', ...settings },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: program.stdout });
  const address = await new Promise((found, failed) => {
    lines.on('line', (line) => {
      const [address] = line.match(/http:\/\/127\.0\.0\.1:\d+/) ?? [];
      if (address) found(address);
    });
    program.on('exit', (code) => failed(new Error(`${framework} ended with ${code}`)));
  });
  return { address, stop: () => program.kill() };
}

/** A browser of one user, whose errors count. */
async function open(browser, address, settings = {}) {
  const context = await browser.newContext(settings);
  const page = await context.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) errors.push(message.text());
  });
  await page.goto(address);
  return { context, page, errors };
}

/** Logs in by keyboard alone. */
async function login({ page }, username = 'alice', password = 'wonderland') {
  await page.locator('#login').waitFor();
  await page.locator('#username').focus();
  await page.keyboard.type(username);
  await page.keyboard.press('Tab');
  await page.keyboard.type(password);
  await page.keyboard.press('Enter');
}

const account = ({ page }) => page.locator('#account').waitFor();
const rows = ({ page }) => page.locator('#sessions li').count();
const message = ({ page }, text) => page.locator('#message', { hasText: text }).waitFor();
const status = ({ page }, method, path) =>
  page.evaluate(async ([method, path]) => (await fetch(path, { method })).status, [method, path]);
const cookie = async ({ context }) => (await context.cookies()).find(({ name }) => name === COOKIE);

/** Only the answers that a step provokes may show as errors: the browser notes each 4xx. */
function expectErrors(visitor, pattern) {
  const others = visitor.errors.filter((error) => !pattern?.test(error));
  assert.deepEqual(others, []);
  visitor.errors.length = 0;
}

async function walk(browser, framework) {
  const { address, stop } = await start(framework);
  try {
    const first = await open(browser, address, { viewport: { width: 360, height: 740 }, hasTouch: true });
    assert.equal(await first.page.title(), 'Your sessions');
    await first.page.locator('#login').waitFor();
    await first.page.screenshot({ path: join(pictures, `${framework}-login.png`) });

    await login(first, 'alice', 'wrong');
    await message(first, 'The user name or the password is wrong.');
    expectErrors(first, /status of 401/);
    await first.page.reload();
    await login(first);
    await account(first);
    assert.equal(await rows(first), 1);
    assert.equal(await first.page.evaluate(() => document.activeElement.id), 'account-title', 'the focus follows');

    const { httpOnly, secure, sameSite, path } = await cookie(first);
    assert.deepEqual({ httpOnly, secure, sameSite, path }, { httpOnly: true, secure: true, sameSite: 'Lax', path: '/' });
    const readable = await first.page.evaluate(() => document.cookie + JSON.stringify({ ...localStorage, ...sessionStorage }));
    assert.ok(!readable.includes('eyJ'), `no token within reach of a script: ${readable}`);

    const second = await open(browser, address);
    await login(second);
    await account(second);
    await first.page.reload();
    await account(first);
    assert.equal(await rows(first), 2);
    await first.page.screenshot({ path: join(pictures, `${framework}-account.png`) });
    await second.page.screenshot({ path: join(pictures, `${framework}-account-wide.png`) });
    const width = await first.page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 360, `the page fits a phone: ${width}`);

    // The other one gets a name that looks like HTML. By keyboard: the first button after the heading that has the focus.
    await first.page.locator('#account-title').focus();
    await first.page.keyboard.press('Tab');
    await first.page.keyboard.press('Enter');
    await first.page.keyboard.type('<b>Kitchen</b> tablet');
    await first.page.screenshot({ path: join(pictures, `${framework}-rename.png`) });
    await first.page.keyboard.press('Enter');
    await message(first, 'The session has a new name.');
    await first.page.locator('#sessions li span', { hasText: '<b>Kitchen</b> tablet, since' }).waitFor();
    await first.page.getByRole('button', { name: 'Rename: <b>Kitchen</b> tablet' }).click();
    await first.page.getByRole('button', { name: 'Cancel' }).click();
    await first.page.locator('#sessions li span', { hasText: '<b>Kitchen</b> tablet, since' }).waitFor();

    // One session is ended from the other: the button after that.
    await first.page.locator('#account-title').focus();
    await first.page.keyboard.press('Tab');
    await first.page.keyboard.press('Tab');
    await first.page.keyboard.press('Enter');
    await message(first, 'The session has ended.');
    assert.equal(await rows(first), 1);
    await second.page.reload();
    await message(second, 'Your session has ended. Log in again.');
    assert.equal(await cookie(second), undefined, 'the cookie of a session that is over is gone');
    expectErrors(second, /status of 401/);

    await login(second);
    await account(second);
    await second.page.getByRole('button', { name: 'End the others' }).click();
    await message(second, 'Sessions ended: 1.');
    await first.page.getByRole('button', { name: 'End the others' }).click();
    await message(first, 'Your session has ended. Log in again.');
    expectErrors(first, /status of 401/);
    await login(first);
    await account(first);

    // Two tabs rotate at once, and both stay logged in.
    const tab = { ...first, page: await first.context.newPage() };
    await tab.page.goto(address);
    await account(tab);
    const before = (await cookie(first)).value;
    assert.deepEqual(await Promise.all([first, tab].map((visitor) => status(visitor, 'POST', '/rotate'))), [200, 200]);
    assert.notEqual((await cookie(first)).value, before);
    assert.deepEqual(await Promise.all([first, tab].map((visitor) => status(visitor, 'GET', '/me'))), [200, 200]);
    await tab.page.close();

    await attack(browser, address);

    await first.page.getByRole('button', { name: 'Log out' }).click();
    await message(first, 'You are logged out.');
    assert.equal(await cookie(first), undefined);
    await first.page.reload();
    await first.page.locator('#login').waitFor();
    for (const visitor of [first, second]) {
      expectErrors(visitor);
      await visitor.context.close();
    }
  } finally {
    stop();
  }
  await expire(browser, framework);
}

/** The session expires while the page is open. */
async function expire(browser, framework) {
  const { address, stop } = await start(framework, { KNOX_LIFETIME_SECONDS: '2' });
  try {
    const visitor = await open(browser, address);
    await login(visitor);
    await account(visitor);
    const deadline = Date.now() + 20_000;
    while ((await status(visitor, 'GET', '/me')) !== 401) {
      assert.ok(Date.now() < deadline, 'the session expires');
    }
    await visitor.page.reload();
    await message(visitor, 'Your session has ended. Log in again.');
    await login(visitor);
    await account(visitor);
    expectErrors(visitor, /status of 401/);
    await visitor.context.close();
  } finally {
    stop();
  }
}

/** Pages of another site, and of the same site with another origin, as those of a hostile subdomain are. */
async function attack(browser, address) {
  const evil = http.createServer((_, response) => {
    response.setHeader('content-type', 'text/html').end('<!doctype html><title>evil</title><link rel=icon href=data:,>');
  });
  await new Promise((listening) => evil.listen(0, '127.0.0.1', listening));
  try {
    for (const host of ['localhost', '127.0.0.1']) {
      const victim = await open(browser, address);
      await login(victim, 'bob', 'builder');
      await account(victim);
      const session = async () => (await victim.page.evaluate(async () => (await fetch('/me')).json())).session_id;
      const [id, { value }] = [await session(), await cookie(victim)];

      const page = await victim.context.newPage();
      await page.goto(`http://${host}:${evil.address().port}`);
      await page.evaluate(async (address) => {
        const paths = ['/logout', '/logout_all', '/logout_other', '/rotate', '/login', '/get_token'];
        const body = JSON.stringify({ username: 'alice', password: 'wonderland' });
        const json = { 'Content-Type': 'application/json' };
        for (const path of paths) {
          const to = address + path;
          const requests = [
            { mode: 'no-cors', body },
            { mode: 'no-cors', headers: { 'Content-Type': 'text/plain' }, body },
            { mode: 'no-cors', body: new URLSearchParams({ username: 'alice', password: 'wonderland' }) },
            { mode: 'cors', headers: json, body },
          ];
          for (const request of requests) {
            await fetch(to, { method: 'POST', credentials: 'include', ...request }).catch(() => {});
          }
          navigator.sendBeacon(to, body);
          for (const enctype of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
            const frame = document.createElement('iframe');
            frame.name = `to-${path}-${enctype}`;
            const form = document.createElement('form');
            Object.assign(form, { method: 'post', action: to, enctype, target: frame.name });
            // As text/plain this is `{"username":"alice",…,"x":"="}`.
            const field = document.createElement('input');
            Object.assign(field, { name: `${body.slice(0, -1)},"x":"`, value: '"}' });
            form.append(field);
            document.body.append(frame, form);
            const loaded = new Promise((done) => frame.addEventListener('load', done));
            form.submit();
            await loaded;
          }
        }
        for (const method of ['DELETE', 'PATCH']) {
          await fetch(`${address}/sessions/${'0'.repeat(32)}`, { method, credentials: 'include' }).catch(() => {});
        }
      }, address);
      // Nothing can be read, either.
      const read = await page.evaluate(async (address) => {
        const paths = ['/me', '/sessions'].map((path) => address + path);
        const texts = paths.map((path) => fetch(path, { credentials: 'include' }).then((answer) => answer.text()).catch(() => ''));
        const socket = new WebSocket(`${address.replace('http', 'ws')}/me`);
        const opened = await new Promise((done) => {
          socket.onopen = () => done('opened');
          socket.onerror = () => done('');
        });
        return (await Promise.all(texts)).join('') + opened;
      }, address);
      assert.equal(read, '');
      // A form that takes the whole window along.
      await page.evaluate((address) => {
        const form = document.createElement('form');
        Object.assign(form, { method: 'post', action: `${address}/logout` });
        document.body.append(form);
        form.submit();
      }, address);
      await page.waitForURL(`${address}/logout`);

      assert.equal(await session(), id, `a page of ${host} has changed the session`);
      assert.equal((await cookie(victim)).value, value, `a page of ${host} has changed the cookie`);
      assert.equal(await status(victim, 'POST', '/logout'), 204, 'and the page of the origin itself may log out');
      await victim.context.close();
    }
  } finally {
    evil.close();
    evil.closeAllConnections();
  }
}

const browser = await chromium.launch({
  executablePath: process.env.KNOX_TEST_CHROMIUM,
  // The sandbox needs rights that a container often lacks; the pages are ours.
  args: ['--no-sandbox'],
});
try {
  for (const framework of ['axum', 'actix', 'rocket']) {
    await walk(browser, framework);
    console.log(`${framework}: the walk and the attacks are done`);
  }
} finally {
  await browser.close();
}
