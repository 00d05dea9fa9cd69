// A real browser for the tests in Rust: a command a line on stdin, its answer a line on stdout, both JSON. It knows nothing of what it looks at.
//
// Every customer is a context of its own (cookies, storage). Nothing leaves this machine: names other than loopback's do not resolve.

import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const [pictures] = process.argv.slice(2);
await mkdir(pictures, { recursive: true });
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const PATIENCE = 60_000;
// Every page is looked at in light and dark, on the narrowest screen that WCAG 2.2 asks for and on a wide one.
const LOOKS = ['light', 'dark'].flatMap((scheme) => [320, 1280].map((width) => ({ scheme, width })));

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  timeout: PATIENCE,
  args: [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
    '--disable-sync', '--disable-dev-shm-usage', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
  ],
});
const customers = new Map();

// The customer's one page, with what arrived last as the main document.
async function page(customer) {
  if (!customers.has(customer.name)) {
    const context = await browser.newContext({ javaScriptEnabled: customer.script ?? true });
    context.setDefaultTimeout(PATIENCE);
    const opened = await context.newPage();
    const state = { page: opened, status: null };
    opened.on('response', (answer) => {
      const request = answer.request();
      const main = request.isNavigationRequest() && request.frame() === opened.mainFrame();
      if (main && (answer.status() < 300 || answer.status() >= 400)) state.status = answer.status();
    });
    customers.set(customer.name, state);
  }
  return customers.get(customer.name);
}

async function told({ page, status }) {
  await page.waitForLoadState('load');
  return { address: page.url(), status, title: await page.title(), text: await page.locator('body').innerText() };
}

// Follows a deed that leads to another page, and tells where that is.
async function led(state, deed) {
  state.status = null;
  const arrives = state.page.waitForEvent('framenavigated', (frame) => frame === state.page.mainFrame());
  await deed();
  await arrives;
  return told(state);
}

const deeds = {
  // Types an address. One where nobody listens is where the browser wanted to go.
  async open({ customer, address }) {
    const state = await page(customer);
    state.status = null;
    await state.page.goto(address, { waitUntil: 'load' });
    return told(state);
  },

  // Presses a button or follows a link, as a mouse does.
  async press({ customer, name }) {
    const state = await page(customer);
    const target = state.page.getByRole('button', { name, exact: true }).or(state.page.getByRole('link', { name, exact: true }));
    return led(state, () => target.click());
  },

  // Where a click leads whose end lies outside of this machine.
  async leaves({ customer, name }) {
    const state = await page(customer);
    const wanted = state.page.waitForEvent('request', (request) => request.isNavigationRequest() && !/^https?:\/\/(127\.0\.0\.1|localhost)[:/]/.test(request.url()));
    await state.page.getByRole('button', { name, exact: true }).click();
    return { address: (await wanted).url() };
  },

  async tick({ customer, name, checked }) {
    await (await page(customer)).page.getByRole('checkbox', { name, exact: true }).setChecked(checked);
    return {};
  },

  async type({ customer, name, text }) {
    await (await page(customer)).page.locator(`[name="${name}"]`).fill(text);
    return {};
  },

  // What has the focus after one press of Tab, and whether a person sees that it has.
  async tab({ customer }) {
    const { page: shown } = await page(customer);
    const style = () => {
      const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(document.activeElement);
      return { name: document.activeElement.textContent.trim(), tag: document.activeElement.tagName.toLowerCase(), outlineStyle, width: parseFloat(outlineWidth), outlineColor };
    };
    await shown.keyboard.press('Tab');
    const { name, tag, outlineStyle, width } = await shown.evaluate(style);
    return { name, tag, visible: outlineStyle !== 'none' && width >= 2 };
  },

  async enter({ customer }) {
    const state = await page(customer);
    return led(state, () => state.page.keyboard.press('Enter'));
  },

  // Looks at a page in every way, keeps pictures, and tells all that axe and the eye find wrong.
  async look({ customer, name }) {
    const { page: shown } = await page(customer);
    const wrong = [];
    for (const { scheme, width } of LOOKS) {
      await shown.emulateMedia({ colorScheme: scheme });
      await shown.setViewportSize({ width, height: 800 });
      const where = `${name}, ${scheme}, ${width} px`;
      const needed = await shown.evaluate(() => document.documentElement.scrollWidth);
      if (needed > width) wrong.push(`${where}: needs ${needed} px`);
      await shown.evaluate(axe);
      const { violations, incomplete, passes } = await shown.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations', 'incomplete'] }));
      if (passes.length === 0) wrong.push(`${where}: axe checked nothing`);
      for (const { id, nodes } of [...violations, ...incomplete]) {
        for (const node of nodes) wrong.push(`${where}: ${id}: ${node.html}: ${node.failureSummary}`);
      }
      await shown.screenshot({ path: join(pictures, `${name}-${scheme}-${width}.png`), fullPage: true });
    }
    return { wrong, looks: LOOKS.length };
  },

  async cookies({ customer }) {
    return { cookies: await (await page(customer)).page.context().cookies() };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { deed, ...what } = JSON.parse(line);
  let answer;
  try {
    answer = { done: await deeds[deed](what) };
  } catch (failure) {
    answer = { failed: `${deed} ${JSON.stringify(what)}: ${failure.message}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
