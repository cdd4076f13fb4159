// What the page of a product does beside its forms, which work without it: it counts down to the opening and the seconds until the
// button may be pressed again, shows how many are left, and shows times in the reader's own time zone.
"use strict";

(() => {
  for (const time of document.querySelectorAll("time[data-time]")) {
    time.textContent = new Date(Number(time.dataset.time)).toLocaleString(document.documentElement.lang, {
      dateStyle: "long",
      timeStyle: "long",
    });
  }

  // A page that the browser kept from before is out of date.
  addEventListener("pageshow", (event) => event.persisted && location.reload());

  const product = document.getElementById("product");
  if (!product) return;
  const opens = document.getElementById("opens");
  const left = document.getElementById("left");
  const form = document.getElementById("buy");
  const button = form && form.querySelector("button");
  const label = button && button.textContent;
  const serverAhead = Number(product.dataset.now) - Date.now();
  const mayTryAt = Date.now() + (form ? Number(form.dataset.waitS) * 1000 : 0);
  const soldOutText = left && left.dataset.none;
  let isBusy = false;

  const two = (number) => String(number).padStart(2, "0");

  function duration(milliseconds) {
    const seconds = Math.ceil(milliseconds / 1000);
    const hours = Math.floor(seconds / 3600);
    return `${hours}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  }

  function show(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  function tick() {
    const untilOpen = opens ? Number(opens.dataset.at) - (Date.now() + serverAhead) : 0;
    if (opens) {
      const countdown = document.getElementById("countdown");
      const { text, open } = countdown.dataset;
      show(countdown, untilOpen > 0 ? text.replace("{time}", duration(untilOpen)) : open);
    }
    if (!button) return;
    const waitSeconds = Math.ceil((mayTryAt - Date.now()) / 1000);
    const isSoldOut = left !== null && left.textContent === soldOutText;
    if (comesLater && untilOpen <= 0 && !isSoldOut) reloadSoon(Math.random() * 1000);
    button.disabled = isBusy || isWorking || comesLater || untilOpen > 0 || isSoldOut || waitSeconds > 0;
    if (isBusy) show(button, button.dataset.busy);
    else if (isWorking && !isSoldOut && untilOpen <= 0) show(button, work.dataset.busy);
    else if (waitSeconds > 0) show(button, button.dataset.wait.replace("{time}", duration(waitSeconds * 1000)));
    else show(button, label);
  }

  if (form) {
    form.addEventListener("submit", () => {
      // Behind the browser's own work: a button that is disabled now would not be pressed.
      setTimeout(() => {
        isBusy = true;
        tick();
      });
    });
  }

  // A challenge comes with the page once something can be bought, and does not last long.
  const captcha = form && form.querySelector("input[name=captcha]");
  const comesLater = captcha !== null && captcha.value === "";
  let isReloading = false;

  function reloadSoon(milliseconds) {
    if (isReloading) return;
    isReloading = true;
    // Not by `reload`, which would send a form again that led to this page.
    const target = `/product/detail?productID=${encodeURIComponent(product.dataset.stock)}`;
    setTimeout(() => isBusy || location.replace(target), milliseconds);
  }

  if (form && form.dataset.reloadS && !comesLater) reloadSoon(Number(form.dataset.reloadS) * 1000);

  // Finds the number behind the salt, which costs the browser a moment, before the button can be pressed.
  const work = form && form.querySelector("input[name=work]");
  let isWorking = false;

  async function findNumber() {
    const { salt, challenge, max } = work.dataset;
    const encoder = new TextEncoder();
    const hexadecimal = (bytes) => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
    for (let start = 0; start <= Number(max); start += 1000) {
      const numbers = Array.from({ length: 1000 }, (_, at) => start + at);
      const hashes = await Promise.all(numbers.map((number) => crypto.subtle.digest("SHA-256", encoder.encode(salt + number))));
      const at = hashes.findIndex((hash) => hexadecimal(hash) === challenge);
      if (at >= 0) return btoa(JSON.stringify({ algorithm: "SHA-256", challenge, number: start + at, salt }));
    }
    throw new Error("no number has this hash");
  }

  if (work) {
    isWorking = true;
    const finding = window.crypto && crypto.subtle ? findNumber() : Promise.reject(new Error("no hashes"));
    finding.then(
      (found) => {
        work.value = found;
        isWorking = false;
        tick();
      },
      () => {
        work.dataset.busy = work.dataset.failed;
        tick();
      },
    );
  }

  // Everybody looks at a moment of their own, so that the server is not asked by all of them at once.
  const some = (from, to) => from + Math.random() * (to - from);

  async function look() {
    let next = some(4000, 6000);
    try {
      if (!document.hidden) {
        const answer = await fetch(`/v1/sales/${encodeURIComponent(product.dataset.sale)}`);
        if (!answer.ok) throw new Error(String(answer.status));
        const stocks = (await answer.json()).stocks;
        const stock = stocks.find((one) => one.stock === product.dataset.stock);
        const count = stock ? stock.quantity_available : 0;
        show(left, count > 0 ? left.dataset.text.replace("{count}", count) : soldOutText);
        tick();
      }
    } catch {
      next = some(15000, 25000);
    }
    setTimeout(look, next);
  }

  tick();
  setInterval(tick, 250);
  if (left) setTimeout(look, some(1000, 5000));
})();
