/** Calls of the server that gave this page. Nothing else is ever asked for anything. */

const TOKEN = "gfp-token";

/** What the server says when a call fails. The request's field that is wrong is not in the message. */
export class CallError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly field = "",
    /** The kind of error, such as EMPTY_GALLERY. */
    readonly reason = "",
  ) {
    super(field && message.startsWith(`${field}: `) ? message.slice(field.length + 2) : message);
  }
}

/** Whether the server refused a part of the request, such as "filter" or "queries". */
export function isAbout(error: unknown, field: string): boolean {
  return error instanceof CallError && error.code === "invalid_argument" && error.field.startsWith(field);
}

/** Whether there is nothing to find in the gallery yet. */
export function isEmptyGallery(error: unknown): boolean {
  return error instanceof CallError && error.reason === "EMPTY_GALLERY";
}

/** Asks the reader for a token; null when they do not give one. `isWrong`: the server does not know the last one. */
type AskToken = (isWrong: boolean) => Promise<string | null>;

let askToken: AskToken = async () => null;
let asking: Promise<string | null> | null = null;

export function onTokenNeeded(ask: AskToken): void {
  askToken = ask;
}

export function hasToken(): boolean {
  return sessionStorage.getItem(TOKEN) !== null;
}

export function forgetToken(): void {
  sessionStorage.removeItem(TOKEN);
}

function headers(): Record<string, string> {
  const token = sessionStorage.getItem(TOKEN);
  return {
    "content-type": "application/json",
    ...(token ? { authorization: `Bearer ${token}` } : {}),
  };
}

/** Fetch a path of the server. Raises `CallError`; asks for a token when one is needed, and tries again. */
async function fetched(path: string, init: RequestInit): Promise<Response> {
  for (;;) {
    const sent = sessionStorage.getItem(TOKEN);
    let answer: Response;
    try {
      answer = await fetch(path, { ...init, headers: headers(), cache: "no-store" });
    } catch (error) {
      if (error instanceof DOMException && error.name === "AbortError") throw error;
      throw new CallError("unavailable", "The server does not answer. Is gfp-serve still running?");
    }
    if (answer.ok) return answer;
    const said = await answer.json().catch(() => ({}));
    if (said.code !== "unauthenticated") {
      const message = said.message ?? `The server answered ${answer.status}.`;
      throw new CallError(said.code ?? "unknown", message, said.field, said.reason);
    }
    if (sessionStorage.getItem(TOKEN) !== sent) continue; // another call got one meanwhile
    asking ??= askToken(sent !== null).finally(() => {
      asking = null;
    });
    const token = await asking;
    if (token === null) throw new CallError(said.code, "This server asks for a token. Whoever runs it gives you one.");
    sessionStorage.setItem(TOKEN, token);
  }
}

/** Make a call, such as `call<GetResponse>("GalleryService/Get", {ids})`. Raises `CallError`. */
export async function call<Reply>(method: string, request: object, signal?: AbortSignal): Promise<Reply> {
  const init: RequestInit = { method: "POST", body: JSON.stringify(request) };
  if (signal) init.signal = signal;
  return (await fetched(`/gfp_serve.v1.${method}`, init)).json();
}

const STREAM = "/gfp_serve.v1.StreamService/EmbedStream";

/** A stream of windows: frames go in by `send`, events come to `onEvent` until `done`. */
export class LiveStream {
  private readonly leaving = new AbortController();
  private id = "";
  readonly opened: Promise<void>;
  readonly done: Promise<void>;

  constructor(config: object, onEvent: (name: string, said: unknown) => void) {
    let open: () => void = () => {};
    let fail: (error: unknown) => void = () => {};
    this.opened = new Promise((resolve, reject) => {
      open = resolve;
      fail = reject;
    });
    this.opened.catch(() => {});
    this.done = this.read(config, (name, said) => {
      if (name === "open") {
        this.id = (said as { stream: string }).stream;
        open();
      } else if (name === "error") {
        const { code, message, field, reason } = said as CallError;
        throw new CallError(code, message, field, reason);
      } else onEvent(name, said);
    }).catch((error) => {
      fail(error);
      if (!this.leaving.signal.aborted) throw error;
    });
  }

  /** Send frames; this returns when the server has taken them. */
  async send(positions: string, frames: number): Promise<void> {
    await fetched(`${STREAM}?stream=${encodeURIComponent(this.id)}`, {
      method: "POST",
      body: JSON.stringify({ frames: { positions, num_frames: frames } }),
      signal: this.leaving.signal,
    });
  }

  close(): void {
    this.leaving.abort();
  }

  private async read(config: object, onEvent: (name: string, said: unknown) => void): Promise<void> {
    const init = { method: "POST", body: JSON.stringify({ config }), signal: this.leaving.signal };
    const answer = await fetched(STREAM, init);
    if (!answer.body) return;
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      text += value;
      const events = text.split("\n\n");
      text = events.pop() ?? "";
      for (const event of events) {
        const name = /^event: (.*)$/m.exec(event)?.[1] ?? "";
        const data = /^data: (.*)$/m.exec(event)?.[1] ?? "{}";
        onEvent(name, JSON.parse(data));
      }
    }
  }
}
