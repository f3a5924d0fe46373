// Shows a page in the headless browser of .venv-browser and says, as JSON, what can be measured.
//
//   node browser.mjs BINARY PROFILE < looks.json     [{"url", "width", "scheme", "picture"}, ...]
//
// Speaks the DevTools protocol itself: Node has WebSocket, and nothing else is needed.

import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";

const [binary, profile] = process.argv.slice(2);
const looks = JSON.parse(readFileSync(0, "utf-8"));
const flags = ["--headless=shell", "--no-sandbox", "--no-zygote", "--single-process",
  "--disable-gpu", "--font-render-hinting=none", "--remote-debugging-port=0",
  `--user-data-dir=${profile}`];
const browser = spawn(binary, flags, { stdio: ["ignore", "ignore", "pipe"] });
process.on("exit", () => browser.kill("SIGKILL"));

let said = "";
browser.on("exit", (code, signal) => {
  console.error(`the browser ended (${code ?? signal}): ${said}`);
  process.exit(1);
});
const address = await new Promise((resolve) => {
  browser.stderr.on("data", (data) => {
    said += data;
    const found = said.match(/listening on (ws:\S+)/);
    if (found) resolve(found[1]);
  });
});
const socket = new WebSocket(address);
await new Promise((resolve) => { socket.onopen = resolve; });

let last = 0;
const waiting = new Map();
let heard = () => {};
socket.onmessage = ({ data }) => {
  const message = JSON.parse(data);
  if (message.id) waiting.get(message.id)(message);
  else heard(message);
};
const send = (method, params = {}, sessionId = undefined) => new Promise((resolve, reject) => {
  last += 1;
  waiting.set(last, ({ result, error }) => (error ? reject(new Error(error.message)) : resolve(result)));
  socket.send(JSON.stringify({ id: last, method, params, sessionId }));
});

// Runs inside the page.
function measure() {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].map((part) => part / 255);
  };
  const light = ([r, g, b]) => {
    const [R, G, B] = [r, g, b].map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * R + 0.7152 * G + 0.0722 * B;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] > 0.99) return colour;
    }
    return rgba("white");
  };
  const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
  const texts = [...document.querySelectorAll("body *")].filter((element) =>
    !["STYLE", "TITLE", "title"].includes(element.tagName) && element.checkVisibility()
    && [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()));
  const contrasts = texts.map((element) => {
    const style = getComputedStyle(element);
    const ink = rgba(element instanceof SVGElement ? style.fill : style.color);
    return [ratio(ink, ground(element)), element.textContent.trim().slice(0, 40)];
  }).sort((a, b) => a[0] - b[0]);
  const outside = texts.filter((element) => {
    if (element.closest(".scroll, pre")) return false;
    const box = element.getBoundingClientRect();
    return box.left < -0.5 || box.right > innerWidth + 0.5;
  }).map((element) => element.textContent.trim().slice(0, 40));
  const pictures = [...document.querySelectorAll("svg")];
  const spilled = pictures.flatMap((svg) => {
    const frame = svg.getBoundingClientRect();
    return [...svg.querySelectorAll("text, .line, .dot")].filter((part) => {
      const box = part.getBoundingClientRect();
      return box.left < frame.left - 1 || box.right > frame.right + 1
        || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
    }).map((part) => `${svg.getAttribute("aria-label")}: ${part.textContent || part.tagName}`);
  });
  return {
    overflow: document.documentElement.scrollWidth - innerWidth,
    height: document.documentElement.scrollHeight,
    lightness: light(ground(document.body)),
    contrast: contrasts[0],
    columns: getComputedStyle(document.querySelector(".grid")).gridTemplateColumns.split(" ").length,
    pictures: pictures.map((svg) => svg.getBoundingClientRect().width),
    outside,
    spilled,
    invisible: texts.filter((element) => element.getBoundingClientRect().width < 1).length,
  };
}

async function look({ url, width, scheme, picture }) {
  const { targetId } = await send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  const call = (method, params) => send(method, params, sessionId);
  const requests = [];
  const errors = [];
  const loaded = new Promise((resolve) => {
    heard = ({ method, params }) => {
      if (method === "Network.requestWillBeSent") requests.push(params.request.url);
      if (method === "Log.entryAdded") errors.push(params.entry.text);
      if (method === "Page.loadEventFired") resolve();
    };
  });
  for (const domain of ["Page", "Network", "Log"]) await call(`${domain}.enable`);
  const features = [{ name: "prefers-color-scheme", value: scheme }];
  await call("Emulation.setEmulatedMedia", { features });
  const metrics = { width, height: 900, deviceScaleFactor: 1, mobile: width < 600 };
  await call("Emulation.setDeviceMetricsOverride", metrics);
  await call("Page.navigate", { url });
  await loaded;
  const expression = `(${measure})()`;
  const { result, exceptionDetails } = await call("Runtime.evaluate", { expression, returnByValue: true });
  if (exceptionDetails) throw new Error(exceptionDetails.exception.description);
  if (picture) {
    await call("Emulation.setDeviceMetricsOverride", { ...metrics, height: result.value.height });
    const shot = await call("Page.captureScreenshot", { format: "png" });
    writeFileSync(picture, Buffer.from(shot.data, "base64"));
  }
  return { ...result.value, requests, errors };
}

const seen = [];
for (const wanted of looks) seen.push(await look(wanted));
process.stdout.write(JSON.stringify(seen));
process.exit(0);
