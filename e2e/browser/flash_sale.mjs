// Drives the pages of the flash sale as people do, on a telephone and on a desk in the dark, with and without JavaScript: looks, solves challenges, buys, meets the
// cool-down, sees "sold out", and does what an operator does. On every page axe-core looks for what keeps somebody out. With the
// variable SCREENSHOTS set, pictures of all pages go into that folder.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { chromium } from "playwright-core";

const [publicUrl, operatorUrl, operatorKey, jwtSecret, digits] = process.argv.slice(2);
const require = createRequire(import.meta.url);
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const altcha = readFileSync(`${dirname(require.resolve("altcha"))}/altcha.js`, "utf8");
const sizes = [
  { width: 390, height: 844, colorScheme: "light" },
  { width: 1280, height: 800, colorScheme: "dark" },
];
const productUrl = `${publicUrl}/product/detail?productID=1`;
let pagesChecked = 0;

const base64url = (value) => Buffer.from(value).toString("base64url");

/** A token of the shop for this customer. */
function tokenOf(customer) {
  const exp = Math.floor(Date.now() / 1000) + 3600;
  const text = [{ alg: "HS256" }, { sub: customer, exp }].map((part) => base64url(JSON.stringify(part))).join(".");
  const signature = createHmac("sha256", Buffer.from(jwtSecret, "base64url")).update(text).digest("base64url");
  return `${text}.${signature}`;
}

/** Asks the operator's API. */
async function operator(method, path, body, type = "application/json") {
  const answer = await fetch(operatorUrl + path, {
    method,
    headers: { Authorization: `Bearer ${operatorKey}`, "Content-Type": type },
    body: JSON.stringify(body),
  });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${await answer.text()}`);
}

const changeSale = (change) => operator("PATCH", "/v1/sales/flash", change, "application/merge-patch+json");

const stock = (quantity_total) => [{ stock: "1", title: "Blue shoe", quantity_total }];

/** A browser window in which nothing may go wrong unseen. */
async function open(browser, { colorScheme, ...viewport }, options = {}) {
  const context = await browser.newContext({ viewport, colorScheme, ...options });
  const page = await context.newPage();
  page.on("pageerror", (error) => assert.fail(`${page.url()}: ${error.message}`));
  page.on("request", (request) => {
    const { origin } = new URL(request.url());
    assert.ok([publicUrl, operatorUrl].includes(origin), `${page.url()} loads ${request.url()}`);
  });
  page.on("console", (message) => {
    const isOfStatus = message.text().startsWith("Failed to load resource: the server responded with");
    assert.ok(message.type() !== "error" || isOfStatus, `${page.url()}: ${message.text()}`);
  });
  return { context, page };
}

/** Looks at the page that is shown: nothing keeps anybody out, and nothing is wider than the window. */
async function look(page, status, words) {
  const text = await page.locator("main").innerText();
  for (const word of [words].flat()) assert.ok(text.includes(word), `${page.url()} lacks "${word}":\n${text}`);
  const { violations } = await page.evaluate(`${axe};axe.run()`);
  const found = violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" ")}`);
  assert.deepEqual(found, [], page.url());
  const tooWide = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
  assert.ok(tooWide <= 0, `${page.url()} is ${tooWide} pixels too wide`);
  const shown = await page.evaluate("performance.getEntriesByType('navigation')[0].responseStatus");
  assert.equal(shown, status, page.url());
  pagesChecked += 1;
  if (process.env.SCREENSHOTS) {
    const { width } = page.viewportSize();
    await page.screenshot({ path: `${process.env.SCREENSHOTS}/${width}-${pagesChecked}.png` });
  }
}

async function logIn(context, customer) {
  const answer = await context.request.post(`${publicUrl}/v1/session`, { data: { token: tokenOf(customer) } });
  assert.equal(answer.status(), 200);
}

/** Registers and logs in by the forms, with the mistakes that people make. */
async function register(page, name) {
  const fill = async (password, button) => {
    await page.getByLabel("User name").fill(name);
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: button }).click();
  };
  await page.goto(productUrl);
  await page.locator("main").getByRole("link", { name: "Register" }).click();
  await look(page, 200, ["User name", "8 to 128 characters"]);
  await fill("correct horse", "Register");
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  await look(page, 200, "No account yet?");
  await page.locator("main").getByRole("link", { name: "Register" }).click();
  await fill("another horse", "Register");
  await page.getByRole("alert").waitFor();
  await look(page, 409, "There is an account with this user name already.");
  await page.locator("main").getByRole("link", { name: "Log in" }).click();
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  await fill("wrong horse", "Log in");
  await page.getByRole("alert").waitFor();
  await look(page, 401, "The user name or the password is wrong.");
  assert.equal(await page.getByLabel("Password").inputValue(), "");
  assert.equal(await page.getByLabel("User name").inputValue(), name);
  await page.getByLabel("Password").fill("correct horse");
  await page.keyboard.press("Enter");
  await page.waitForURL(productUrl);
}

/** Reserves from a page of a shop that has the real ALTCHA widget on it. */
async function reserveWithWidget(browser, size, customer) {
  const { context, page } = await open(browser, size);
  await logIn(context, customer);
  const url = `${publicUrl}/shop-with-widget`;
  const widget = `<altcha-widget auto="onload" challengeurl="/v1/sales/flash/challenges?kind=proof_of_work"></altcha-widget>`;
  const body = `<!doctype html><title>A shop</title><form>${widget}</form>`;
  await page.route(url, (route) => route.fulfill({ contentType: "text/html", body }));
  await page.goto(url);
  await page.addScriptTag({ content: altcha, type: "module" });
  const found = page.locator("input[name=altcha]");
  await found.waitFor({ state: "attached" });
  const challenge = await found.inputValue();
  const data = { lines: [{ stock: "1", quantity: 1 }], challenge };
  const answer = await context.request.post(`${publicUrl}/v1/sales/flash/reservations`, { data });
  assert.equal(answer.status(), 201, await answer.text());
  await context.close();
}

/** Buys as a program of the other system does, by `/captcha/` and `/check`. */
async function buyByPaths(customer) {
  const headers = { Authorization: `Bearer ${tokenOf(customer)}` };
  const ask = async (path) => {
    const answer = await fetch(publicUrl + path, { headers });
    const cookie = answer.headers.get("set-cookie");
    if (cookie) headers.Cookie = cookie.split(";")[0];
    return answer;
  };
  assert.equal((await ask("/check?productID=1")).headers.get("onrush-refusal"), "challenge_required");
  assert.equal((await ask("/captcha/")).headers.get("content-type"), "image/png");
  assert.equal((await (await ask(`/captcha/verify?code=${digits}`)).json()).error_code, 0);
  assert.equal(await (await ask("/check?productID=1")).text(), "true");
}

async function customer(browser, size) {
  const name = `ann-${size.width}`;
  const inMs = (milliseconds) => new Date(Date.now() + milliseconds).toISOString();
  const opens_at = inMs(3_600_000);
  await operator("DELETE", "/v1/sales/flash").catch(() => {});
  const gate = { challenge: "either", cooldown_ms: 86_400_000 };
  await operator("PUT", "/v1/sales/flash", { title: "Flash", opens_at, per_customer_max: 2, gate, stocks: stock(4) });
  const { context, page } = await open(browser, size);

  await page.goto(productUrl);
  await look(page, 200, ["Blue shoe", "4 left", "The sale opens at", "At most 2 per person."]);
  await page.goto(`${publicUrl}/product/detail?productID=7`);
  await look(page, 404, "no such page or product");
  await register(page, name);
  await look(page, 200, ["The sale opens at", "It opens in "]);
  assert.ok(await page.locator("#buy button").isDisabled());

  // The button wakes up by itself, and the keyboard is enough.
  await changeSale({ opens_at: inMs(2000) });
  await page.goto(productUrl);
  const button = page.locator("#buy button:enabled");
  await button.waitFor();
  await look(page, 200, ["Are you a person?", "Type the six digits"]);
  assert.equal(await page.getByAltText("Six digits in a picture").evaluate((picture) => picture.naturalWidth), 240);
  assert.ok(await page.locator("audio").evaluate(async (sound) => {
    sound.load();
    await new Promise((done, failed) => Object.assign(sound, { preload: "auto", oncanplaythrough: done, onerror: failed }));
    return sound.duration > 1;
  }));
  await page.getByLabel("Type the six digits").fill("999999");
  await button.click();
  await page.getByRole("alert").waitFor();
  await look(page, 403, ["That was not right", "4 left"]);
  await button.waitFor();
  await page.getByLabel("Type the six digits").fill(digits);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "You have it" }).waitFor();
  await look(page, 200, ["Your order", "3 left"]);
  assert.equal(page.url(), productUrl);

  // The second one comes too soon.
  await page.getByLabel("Type the six digits").fill(digits);
  await page.locator("#buy button").click();
  await page.getByRole("alert").waitFor();
  await look(page, 429, "You have just bought something. Nothing more was bought.");
  await page.getByText(/^Try again in [\d:]+$/).waitFor();
  assert.ok(await page.locator("#buy button").isDisabled());

  // Somebody without JavaScript buys as well.
  const plain = await open(browser, size, { javaScriptEnabled: false });
  await logIn(plain.context, `bob-${size.width}`);
  await plain.page.goto(productUrl);
  await plain.page.getByLabel("Type the six digits").fill(digits);
  await plain.page.getByRole("button", { name: "Buy" }).click();
  await plain.page.getByRole("heading", { name: "You have it" }).waitFor();
  await plain.context.close();

  // Work instead of digits: the script does it before the button can be pressed.
  await changeSale({ gate: { challenge: "proof_of_work" } });
  const worker = await open(browser, size);
  await logIn(worker.context, `dan-${size.width}`);
  await worker.page.goto(productUrl);
  await worker.page.locator("#buy button:enabled").click();
  await worker.page.getByRole("heading", { name: "You have it" }).waitFor();
  await worker.context.close();
  await changeSale({ stocks: stock(5) });
  await reserveWithWidget(browser, size, `eve-${size.width}`);
  await changeSale({ gate: { challenge: "either" } });

  // The last one is bought while the page is open.
  await buyByPaths(`cid-${size.width}`);
  await page.goto(productUrl);
  await look(page, 200, "Sold out");
  await changeSale({ stocks: stock(7) });
  await page.locator("#left", { hasText: "2 left" }).waitFor();
  await page.locator("#buy button:enabled").waitFor();
  await changeSale({ stocks: stock(5) });
  await page.locator("#left", { hasText: "Sold out" }).waitFor();
  assert.ok(await page.locator("#buy button").isDisabled());
  await changeSale({ closes_at: inMs(-1000), opens_at: null });
  await page.goto(productUrl);
  await look(page, 200, "The sale has ended.");
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("navigation", { name: "Account" }).waitFor();
  await context.close();
}

async function operatorPages(browser, size) {
  const httpCredentials = { username: "ops", password: operatorKey };
  const { context, page } = await open(browser, size, { httpCredentials });
  await page.goto(`${operatorUrl}/order/all`);
  await look(page, 200, [`ann-${size.width}`, `cid-${size.width}`, "Blue shoe", "confirmed"]);
  await page.getByRole("link", { name: "Add a product" }).click();
  await look(page, 200, "Units for sale");
  await page.getByLabel("Name").fill('A "red" <shoe>');
  await page.getByLabel("Units for sale").fill("2000000000");
  await page.getByRole("button", { name: "Save" }).click();
  await look(page, 400, "must be a whole number from 0");
  assert.equal(await page.getByLabel("Name").inputValue(), 'A "red" <shoe>');
  await page.getByLabel("Units for sale").fill("20");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("heading", { name: "Products" }).waitFor();
  await look(page, 200, ["Blue shoe", 'A "red" <shoe>', "20"]);
  await page.getByRole("link", { name: "2", exact: true }).click();
  await page.getByLabel("Units for sale").fill("30");
  await look(page, 200, []);
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("heading", { name: "Products" }).waitFor();
  await look(page, 200, "30");
  await context.close();
}

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium-headless-shell",
  args: ["--no-sandbox"],
});
for (const size of sizes) {
  await customer(browser, size);
  await operatorPages(browser, size);
}
await browser.close();
console.log(`${pagesChecked} pages looked at in ${sizes.map(({ width }) => width).join(" and ")} pixels`);
