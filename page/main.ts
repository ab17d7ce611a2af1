/** The page: the head with its views, what is chosen there, and what is dropped onto it. */

import "uplot/dist/uPlot.min.css";
import "./theme.css";
import "./player.css";
import "./page.css";
import "./gallery.css";
import "./query.css";
import "./compare.css";
import "./live.css";
import { App, type View, type ViewName } from "./app";
import { type Layout, learnLayouts } from "./clip";
import { CompareView } from "./compare_view";
import { button, element, notice, on, onKeys, says } from "./dom";
import { GalleryView } from "./gallery_view";
import { LiveView } from "./live_view";
import type { GetInfoResponse } from "./messages";
import { QueryView } from "./query_view";
import { CallError, call, forgetToken, hasToken, onTokenNeeded } from "./server";
import { ask } from "./writing";

const VIEWS: [ViewName, string][] = [
  ["gallery", "Gallery"],
  ["query", "Query"],
  ["compare", "Compare"],
  ["live", "Live"],
];

const app = new App();
const place = document.querySelector("main") as HTMLElement;
const top_ = document.querySelector("header.top") as HTMLElement;
const make: Record<ViewName, () => View> = {
  gallery: () => new GalleryView(app),
  query: () => new QueryView(app),
  compare: () => new CompareView(app),
  live: () => new LiveView(app),
};
const views = new Map<ViewName, View>();
let present: ViewName | null = null;

const links = new Map<ViewName, HTMLAnchorElement>();
const choice = element("select", { "aria-label": "Gallery", hidden: true });
const forget = button("Forget token", forgetAndReload, "quiet", { hidden: true });
let listed = ""; // the galleries that `choice` has

function buildTop(): void {
  const nav = element("nav", { "aria-label": "Views" });
  for (const [name, title] of VIEWS) {
    const link = element("a", { href: `#${name}` }, title);
    links.set(name, link);
    nav.append(link);
  }
  on(choice, {
    change: () => {
      app.gallery = choice.value;
      app.go(present ?? "gallery");
    },
  });
  top_.append(
    element("a", { class: "brand", href: "#gallery" }, "GFP-Serve"),
    nav,
    element("div", { class: "right" }, element("span", { class: "who" }, forget), choice),
  );
}

function forgetAndReload(): void {
  forgetToken();
  location.reload();
}

/** The link's own address would be taken for that of a view. */
function listenToSkip(): void {
  document.querySelector(".skip")?.addEventListener("click", (event) => {
    event.preventDefault();
    place.focus();
  });
}

function showTop(): void {
  for (const [name, link] of links) {
    link.href = app.address(name);
    if (name === present) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const options = app.galleries.map(({ name, num_items }) => {
    const text = `${name} · ${Number(num_items).toLocaleString("en")}`;
    return element("option", { value: name }, text);
  });
  // Most answers change nothing here, and somebody may be choosing.
  const names = options.map(({ text }) => text).join("\n");
  if (listed !== names) choice.replaceChildren(...options);
  listed = names;
  choice.value = app.gallery;
  choice.hidden = app.galleries.length < 2;
  forget.hidden = !hasToken();
}

const isThere = (gallery: string): boolean => app.galleries.some(({ name }) => name === gallery);

/** Say that the gallery of the address is not there. Another one must not take its place unnoticed. */
function showMissing(gallery: string): void {
  if (present) views.get(present)?.close();
  present = null;
  const others = app.galleries.map(({ name }) => {
    const address = name === "default" ? "#gallery" : `#gallery?${new URLSearchParams({ in: name })}`;
    return element("li", {}, element("a", { href: address }, name));
  });
  place.replaceChildren(
    element(
      "div",
      { class: "card failed" },
      notice("error", `There is no gallery “${gallery}” here that this encoder can use.`),
      others.length ? element("p", {}, "These are there:") : null,
      element("ul", {}, ...others),
    ),
  );
  showTop();
}

async function route(): Promise<void> {
  const address = location.hash;
  const [name, rest] = address.slice(1).split("?");
  const asked = new URLSearchParams(rest ?? "");
  const wanted = VIEWS.some(([each]) => each === name) ? (name as ViewName) : "gallery";
  const gallery = asked.get("in") ?? "default";
  if (asked.has("in") && !isThere(gallery)) {
    await app.readGalleries().catch(() => {}); // it may be new
    if (location.hash !== address) return;
    if (!isThere(gallery)) {
      showMissing(gallery);
      return;
    }
  }
  if (isThere(gallery)) app.gallery = gallery;
  if (present && present !== wanted) views.get(present)?.close();
  let view = views.get(wanted);
  if (!view) {
    view = make[wanted]();
    views.set(wanted, view);
  }
  const isNew = present !== wanted;
  present = wanted;
  document.title = `${VIEWS.find(([each]) => each === wanted)?.[1]} · GFP-Serve`;
  if (isNew) place.replaceChildren(view.element);
  showTop();
  view.open(asked);
  if (app.file && view.take) {
    const file = app.file;
    app.file = null;
    view.take(file);
  }
}

/** A file that is dropped anywhere goes to the view, or to Query if the view takes none. */
function takeDrops(): void {
  const veil = element("div", { class: "veil", hidden: true }, element("p", {}, "Drop the video or recording here"));
  document.body.append(veil);
  const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
  addEventListener("dragenter", (event) => {
    if (hasFiles(event)) veil.hidden = false;
  });
  addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) veil.hidden = true;
  });
  addEventListener("drop", (event) => {
    veil.hidden = true;
    if (!hasFiles(event)) return;
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (!file) return;
    const view = present && views.get(present);
    if (view && "take" in view && view.take) {
      view.take(file, event.target);
    } else {
      app.file = file;
      app.go("query");
    }
  });
}

onTokenNeeded(async (isWrong) => {
  const why = isWrong
    ? "The server does not know the last one. Whoever runs the server gives you another."
    : "Whoever runs the server gives you one.";
  const token = await ask("This server asks for a token", why, "Use it", { label: "Token", value: "", secret: true });
  return token || null;
});

async function start(): Promise<void> {
  buildTop();
  listenToSkip();
  place.replaceChildren(element("p", { class: "status waiting" }, "Asking the server …"));
  try {
    const layouts = fetch("/page/layouts.json").then((answer) => answer.json() as Promise<Record<string, Layout>>);
    app.info = await call<GetInfoResponse>("EmbeddingService/GetInfo", {});
    await app.readGalleries();
    learnLayouts(await layouts);
  } catch (error) {
    const again = button("Try again", () => location.reload(), "primary");
    if (error instanceof CallError && error.code === "unauthenticated") forgetToken();
    place.replaceChildren(element("div", { class: "card failed" }, notice("error", says(error)), again));
    return;
  }
  app.onGalleries = showTop;
  takeDrops();
  onKeys((event) => (present && views.get(present)?.key?.(event)) ?? false);
  addEventListener("hashchange", route);
  route();
}

start();
